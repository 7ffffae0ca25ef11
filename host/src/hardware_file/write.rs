//! The writer of hardware descriptions: a whole file in the order of the format, numbers in base units as people write them.

use std::fmt::Display;

use derate_core::hardware::{Basis, Filling, Holds};
use toml_edit::Value;

use super::entries::{ComputeEntry, FactorsEntry, HardwareFile, MemoryEntry, Number, Provenance, ThermalEntry};
use super::mapper_mcu::McuEntry;

const HEADER: &str = "\
# What a device can do, in Hz, bytes, bytes per second, seconds and watts; a MAC is two FLOPs.
# basis: spec (a document or the operating system), measured (a clock), fitted (from measurements) or assumed.
";

impl HardwareFile {
    /// The description as TOML, with a comment at the top, every key in the order of the format. Parses to an equal one.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self {
            schema,
            name,
            kind,
            description,
            compute,
            memory,
            overhead,
            cpu,
            gpu,
            systolic,
            tile_fabric,
            npu,
            dpu,
            cgra,
            mcu,
            thermal_profile,
        } = self;
        let mut out = Lines(HEADER.to_owned());
        out.key("schema", schema);
        out.key("name", text(name));
        out.key("kind", text(kind.name()));
        out.key("description", text(description));
        for unit in compute {
            out.compute(unit);
        }
        for level in memory {
            out.memory(level);
        }
        out.table("[overhead]");
        out.number("dispatch_s", &overhead.dispatch_s, float);
        if let Some(systolic) = systolic {
            out.table("[systolic]");
            out.key("dataflow", text(systolic.dataflow_name()));
            out.counts(systolic.numbers());
        }
        if let Some(fabric) = tile_fabric {
            out.table("[tile_fabric]");
            out.counts(fabric.numbers());
        }
        if let Some(entry) = npu {
            out.npu(entry);
        }
        if let Some(entry) = dpu {
            out.dpu(entry);
        }
        if let Some(entry) = cgra {
            out.cgra(entry);
        }
        if let Some(mcu) = mcu {
            out.mcu(mcu);
        }
        let count = |count: u32| integer(u64::from(count));
        if let Some(cpu) = cpu {
            out.table("[cpu]");
            for (key, number) in cpu.numbers() {
                out.number(key, number, count);
            }
        }
        if let Some(gpu) = gpu {
            out.table("[gpu]");
            for (key, number) in gpu.numbers() {
                out.number(key, number, count);
            }
            out.number("registers_bytes", &gpu.registers_bytes, integer);
            out.number("launch_s", &gpu.launch_s, float);
        }
        for profile in thermal_profile {
            out.thermal_profile(profile);
        }
        out.0
    }
}

/// A TOML document that grows by lines.
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn table(&mut self, header: &str) {
        self.0 += &format!("\n{header}\n");
    }

    fn key(&mut self, key: &str, value: impl Display) {
        self.0 += &format!("{key} = {value}\n");
    }

    pub(super) fn number<T: Copy>(&mut self, key: &str, number: &Number<T>, write: impl Fn(T) -> String) {
        let Number { value, basis, source, note } = number;
        let note = note.as_ref().map_or(String::new(), |note| format!(", note = {}", text(note)));
        let (value, basis, source) = (write(*value), text(basis_name(*basis)), text(source));
        self.key(key, format!("{{ value = {value}, basis = {basis}, source = {source}{note} }}"));
    }

    fn counts<'n>(&mut self, numbers: impl IntoIterator<Item = (&'static str, &'n Number<u32>)>) {
        for (key, number) in numbers {
            self.number(key, number, |count| integer(u64::from(count)));
        }
    }

    fn compute(&mut self, unit: &ComputeEntry) {
        let ComputeEntry { name, count, clock_hz, macs_per_cycle, pj_per_mac } = unit;
        self.table("[[compute]]");
        self.key("name", text(name));
        self.number("count", count, |count| integer(u64::from(count)));
        self.number("clock_hz", clock_hz, float);
        self.table("[compute.macs_per_cycle]");
        for (precision, rate) in macs_per_cycle {
            self.number(precision.name(), rate, float);
        }
        if !pj_per_mac.is_empty() {
            self.table("[compute.pj_per_mac]");
            for (precision, energy) in pj_per_mac {
                self.number(precision.name(), energy, float);
            }
        }
    }

    fn memory(&mut self, level: &MemoryEntry) {
        let MemoryEntry {
            name,
            capacity_bytes,
            bandwidth_bytes_per_s,
            bandwidth_one_core_bytes_per_s,
            shared_by,
            filling,
            holds,
            pj_per_byte,
        } = level;
        self.table("[[memory]]");
        self.key("name", text(name));
        self.number("capacity_bytes", capacity_bytes, integer);
        self.number("bandwidth_bytes_per_s", bandwidth_bytes_per_s, float);
        if let Some(bandwidth) = bandwidth_one_core_bytes_per_s {
            self.number("bandwidth_one_core_bytes_per_s", bandwidth, float);
        }
        if let Some(cores) = shared_by {
            self.number("shared_by", cores, |cores| integer(u64::from(cores)));
        }
        if *filling == Filling::Scratchpad {
            self.key("filling", text("scratchpad"));
        }
        match holds {
            Holds::All => {}
            Holds::Weights => self.key("holds", text("weights")),
            Holds::Activations => self.key("holds", text("activations")),
        }
        if let Some(energy) = pj_per_byte {
            self.number("pj_per_byte", energy, float);
        }
    }

    fn mcu(&mut self, entry: &McuEntry) {
        let McuEntry {
            macs_per_instruction,
            mac_cycles,
            issue_width,
            bus_bytes,
            load_cycles,
            branch_cycles,
            pointer_cycles,
            registers,
            requantize_cycles,
            fp32_mac_cycles,
            overlapped,
        } = entry;
        self.table("[mcu]");
        let count = |count: u32| integer(u64::from(count));
        self.number("macs_per_instruction", macs_per_instruction, count);
        self.number("mac_cycles", mac_cycles, float);
        self.number("issue_width", issue_width, count);
        self.number("bus_bytes", bus_bytes, count);
        self.number("load_cycles", load_cycles, float);
        self.number("branch_cycles", branch_cycles, float);
        self.number("pointer_cycles", pointer_cycles, float);
        self.number("registers", registers, count);
        self.number("requantize_cycles", requantize_cycles, float);
        self.number("fp32_mac_cycles", fp32_mac_cycles, float);
        self.key("overlapped", overlapped);
    }

    fn thermal_profile(&mut self, profile: &ThermalEntry) {
        let ThermalEntry {
            name,
            tdp_watts,
            static_watts,
            clock_hz,
            boost_clock_hz,
            bandwidth_bytes_per_s,
            cooling_solution,
            factors,
        } = profile;
        self.table("[[thermal_profile]]");
        self.key("name", text(name));
        for (key, number) in [
            ("tdp_watts", tdp_watts),
            ("static_watts", static_watts),
            ("clock_hz", clock_hz),
            ("boost_clock_hz", boost_clock_hz),
            ("bandwidth_bytes_per_s", bandwidth_bytes_per_s),
        ] {
            if let Some(number) = number {
                self.number(key, number, float);
            }
        }
        self.key("cooling_solution", text(cooling_solution));
        for (precision, entry) in factors {
            let FactorsEntry {
                efficiency_factor,
                memory_bottleneck_factor,
                tile_utilization,
                native_acceleration,
                provenance,
            } = entry;
            self.table(&format!("[thermal_profile.{}]", precision.name()));
            self.number("efficiency_factor", efficiency_factor, float);
            self.number("memory_bottleneck_factor", memory_bottleneck_factor, float);
            self.number("tile_utilization", tile_utilization, float);
            self.key("native_acceleration", native_acceleration);
            if let Some(provenance) = provenance {
                self.table(&format!("[thermal_profile.{}.provenance]", precision.name()));
                for (key, value) in provenance_values(provenance) {
                    self.key(key, value);
                }
            }
        }
    }
}

/// The keys of a provenance with their values, in the order of the format.
pub(super) fn provenance_values(provenance: &Provenance) -> Vec<(&'static str, String)> {
    let Provenance {
        dataset_sha256,
        rows,
        date,
        tool_version,
        model_version,
        device,
        clock_hz,
        runtime,
        threads,
        precision,
        held_out_mape_pct,
        statistic,
    } = provenance;
    let mut values = vec![
        ("dataset_sha256", text(dataset_sha256)),
        ("rows", integer(*rows)),
        ("date", text(date)),
        ("tool_version", text(tool_version)),
        ("model_version", integer(u64::from(*model_version))),
        ("device", text(device)),
    ];
    values.extend(clock_hz.map(|clock| ("clock_hz", float(clock))));
    values.extend([
        ("runtime", text(runtime)),
        ("threads", integer(u64::from(*threads))),
        ("precision", text(precision.name())),
        ("held_out_mape_pct", float(*held_out_mape_pct)),
        ("statistic", text(statistic)),
    ]);
    values
}

/// A basis as the file writes it.
pub(super) const fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Spec => "spec",
        Basis::Measured => "measured",
        Basis::Fitted => "fitted",
        Basis::Assumed => "assumed",
    }
}

/// A string in quotes.
pub(super) fn text(string: &str) -> String {
    Value::from(string).to_string()
}

/// An integer, from five digits on with `_` between the thousands.
pub(super) fn integer(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// The shortest decimal that reads back as this float: plain from a thousandth to a hundred thousand, else with an exponent.
pub(super) fn float(value: f64) -> String {
    if !value.is_finite() {
        // As TOML writes them; no check passes one.
        return if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) { format!("{value:?}") } else { format!("{value:e}") }
}
