//! A description as a Rust source file: constants that `derate-core` takes as they are.
//!
//! Numbers are rounded to 32 bits, as when the description is read. The parameters of a mapper are written as `Debug` writes
//! them, which is Rust where all fields are public.

use std::fmt::Write;

use derate_core::hardware::{ComputeUnit, Hardware, MemoryLevel, PrecisionFactors, ThermalProfile};
use derate_core::shape::{PerPrecision, Precision};

use crate::hardware_file::{HardwareFile, SpecError};

/// Name of the constant of a device: `STM32L4R5`, `ETHOS_U55_128`.
#[must_use]
pub fn constant_name(device: &str) -> String {
    let name: String =
        device.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("DEVICE_{name}") } else { name }
}

/// Name of its module: the constant's in small letters.
#[must_use]
pub fn module_name(device: &str) -> String {
    constant_name(device).to_ascii_lowercase()
}

/// The source file of a device.
///
/// # Errors
/// [`SpecError::Hardware`] for a number that core refuses.
pub fn device(file: &HardwareFile) -> Result<String, SpecError> {
    let (mapper, literal) = file.mapper_expression();
    file.with_hardware(|hardware| {
        let name = constant_name(&file.name);
        let mut text = format!("//! {}. Written from `devices/{}.toml`; do not edit.\n\n", file.description, file.name);
        text += "use super::prelude::*;\n\n";
        write(&mut text, format_args!("/// {}.\n", file.description));
        write(
            &mut text,
            format_args!(
                "pub static {name}: Device<'static, {mapper}> = Device {{\n    hardware: valid(Hardware::new(\n        {:?},\n        &COMPUTE,\n        &MEMORY,\n        &THERMAL_PROFILES,\n        Seconds({:?}),\n    )),\n    mapper: {literal},\n}};\n\n",
                hardware.name(),
                hardware.dispatch().0
            ),
        );
        parts(&mut text, hardware);
        text
    })
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A string takes everything.
    text.write_fmt(arguments).ok();
}

fn parts(text: &mut String, hardware: &Hardware<'_>) {
    let list = |text: &mut String, name: &str, kind: &str, entries: Vec<String>| {
        write(text, format_args!("const {name}: [{kind}<'static>; {}] = [\n{}];\n", entries.len(), entries.concat()));
    };
    list(text, "COMPUTE", "ComputeUnit", hardware.compute().iter().map(compute).collect());
    text.push('\n');
    list(text, "MEMORY", "MemoryLevel", hardware.memory().iter().map(memory).collect());
    text.push('\n');
    list(text, "THERMAL_PROFILES", "ThermalProfile", hardware.thermal_profiles().iter().map(profile).collect());
}

/// Values by precision, as a chain of `with`.
fn by_precision<T: Copy>(values: &PerPrecision<Option<T>>, expression: impl Fn(T) -> String) -> String {
    let mut chain = "PerPrecision::all(None)".to_owned();
    for precision in Precision::ALL {
        if let Some(value) = values.at(precision) {
            write(
                &mut chain,
                format_args!("\n            .with(Precision::{precision:?}, Some({}))", expression(value)),
            );
        }
    }
    chain
}

fn compute(unit: &ComputeUnit<'_>) -> String {
    format!(
        "    ComputeUnit {{\n        name: {:?},\n        count: {},\n        clock: hertz({:?}),\n        macs_per_cycle: {},\n        energy_per_mac: {},\n        basis: Basis::{:?},\n    }},\n",
        unit.name,
        unit.count,
        unit.clock.get(),
        by_precision(&unit.macs_per_cycle, |rate| format!("macs_per_cycle({:?})", rate.get())),
        by_precision(&unit.energy_per_mac, |energy| format!("joules_per_mac({:?})", energy.get())),
        unit.basis
    )
}

fn memory(level: &MemoryLevel<'_>) -> String {
    let energy =
        level.energy_per_byte.map_or("None".to_owned(), |energy| format!("Some(joules_per_byte({:?}))", energy.get()));
    format!(
        "    MemoryLevel {{\n        name: {:?},\n        capacity: Bytes({}),\n        bandwidth: bytes_per_second({:?}),\n        instances: {},\n        filling: Filling::{:?},\n        holds: Holds::{:?},\n        energy_per_byte: {energy},\n        basis: Basis::{:?},\n    }},\n",
        level.name,
        level.capacity.0,
        level.bandwidth.get(),
        level.instances,
        level.filling,
        level.holds,
        level.basis
    )
}

fn profile(profile: &ThermalProfile<'_>) -> String {
    let some =
        |name: &str, value: Option<f32>| value.map_or("None".to_owned(), |value| format!("Some({name}({value:?}))"));
    let factors = |factors: PrecisionFactors| {
        format!(
            "factors({:?}, {:?}, {:?}, {})",
            factors.efficiency_factor.get(),
            factors.memory_bottleneck_factor.get(),
            factors.tile_utilization.get(),
            factors.native_acceleration
        )
    };
    format!(
        "    ThermalProfile {{\n        name: {:?},\n        tdp: {},\n        static_power: {},\n        clock: {},\n        boost_clock: {},\n        bandwidth: {},\n        cooling_solution: {:?},\n        factors: {},\n    }},\n",
        profile.name,
        some("watts", profile.tdp.map(derate_core::units::Watts::get)),
        some("watts", profile.static_power.map(derate_core::units::Watts::get)),
        some("hertz", profile.clock.map(derate_core::units::Hertz::get)),
        some("hertz", profile.boost_clock.map(derate_core::units::Hertz::get)),
        some("bytes_per_second", profile.bandwidth.map(derate_core::units::BytesPerSecond::get)),
        profile.cooling_solution,
        by_precision(&profile.factors, factors)
    )
}

/// The module that holds the constants of all devices.
#[must_use]
pub fn index<'a>(devices: impl Iterator<Item = &'a HardwareFile>) -> String {
    let (mut modules, mut uses, mut arms) = (String::new(), String::new(), String::new());
    for file in devices {
        let (module, constant) = (module_name(&file.name), constant_name(&file.name));
        let (mapper, _) = file.mapper_expression();
        write(&mut modules, format_args!("mod {module};\n"));
        write(&mut uses, format_args!("pub use {module}::{constant};\n"));
        write(
            &mut arms,
            format_args!("        {:?} => any(&{constant}, Any::{mapper}({constant}.mapper)),\n", file.name),
        );
    }
    format!(
        "//! Every device as a constant. Written from `devices/`; do not edit.\n\n{modules}mod prelude;\n\nuse derate_core::mapper::Any;\nuse derate_core::mapping::Device;\n\nuse prelude::any;\n\n{uses}\n/// The device of this name, for programs that learn it when they run: all of them are linked then.\n#[must_use]\npub fn find(name: &str) -> Option<Device<'static, Any>> {{\n    Some(match name {{\n{arms}        _ => return None,\n    }})\n}}\n"
    )
}
