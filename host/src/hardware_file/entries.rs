//! The parts of a hardware description as plain, owned data, named like the keys of the file and in its units.

use std::collections::BTreeMap;
use std::path::Path;

use derate_core::hardware::{Basis, Filling, Holds};
use derate_core::shape::Precision;
use serde::{Deserialize, Serialize};

use super::check::check;
use super::mapper_cpu_gpu::{CpuEntry, GpuEntry};
use super::mapper_mcu::McuEntry;
use super::mapper_npu::{CgraEntry, DpuEntry, NpuEntry};
use super::mapper_systolic::{SystolicEntry, TileFabricEntry};
use super::problem::{Problem, ProblemKind, SpecError};

/// A number, where it comes from, and who says so. Written as `{ value, basis, source }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number<T = f64> {
    /// The number, in the unit of its key.
    pub value: T,
    /// What it rests on.
    pub basis: Basis,
    /// The document, measurement or reasoning; not empty.
    pub source: String,
    /// A remark for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl<T> Number<T> {
    /// A number without a note.
    #[must_use]
    pub fn new(value: T, basis: Basis, source: impl Into<String>) -> Self {
        Self { value, basis, source: source.into(), note: None }
    }
}

/// What sort of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Processor cores with caches.
    Cpu,
    /// Graphics processor.
    Gpu,
    /// Microcontroller.
    Mcu,
    /// Neural processor.
    Npu,
    /// Digital signal processor.
    Dsp,
    /// Systolic array.
    Systolic,
    /// Fabric of compute and memory tiles with explicit data movement.
    TileFabric,
    /// Dataflow processor.
    Dpu,
    /// Coarse-grained reconfigurable array.
    Cgra,
}

impl DeviceKind {
    /// The name used in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Mcu => "mcu",
            Self::Npu => "npu",
            Self::Dsp => "dsp",
            Self::Systolic => "systolic",
            Self::TileFabric => "tile_fabric",
            Self::Dpu => "dpu",
            Self::Cgra => "cgra",
        }
    }
}

/// A hardware description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardwareFile {
    /// Version of the format: [`super::SCHEMA`].
    pub schema: u32,
    /// Identity of the device: one or more of `a-z 0-9 . _ -`.
    pub name: String,
    /// What sort of device it is.
    pub kind: DeviceKind,
    /// What people call it.
    pub description: String,
    /// Its compute units, at least one.
    pub compute: Vec<ComputeEntry>,
    /// Its memory levels from the smallest to the backing store, at least one.
    pub memory: Vec<MemoryEntry>,
    /// Times that the runtime adds.
    pub overhead: OverheadEntry,
    /// The geometry of its systolic arrays, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systolic: Option<SystolicEntry>,
    /// The geometry of its fabric of compute tiles, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_fabric: Option<TileFabricEntry>,
    /// Geometry of a neural processor, or of the matrix engine of a signal processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub npu: Option<NpuEntry>,
    /// Parallelism of a dataflow processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpu: Option<DpuEntry>,
    /// Processing elements of a reconfigurable array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgra: Option<CgraEntry>,
    /// How inner loops run on it, where it is a microcontroller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcu: Option<McuEntry>,
    /// The vector unit of its cores, of a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuEntry>,
    /// Its multiprocessors, of a graphics processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuEntry>,
    /// Its power modes, the default one first, at least one.
    pub thermal_profile: Vec<ThermalEntry>,
}

/// Identical compute units: `[[compute]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeEntry {
    /// What they are called, such as `AVX-512`.
    pub name: String,
    /// How many work at once; on a processor, its cores.
    pub count: Number<u32>,
    /// Their clock in Hz while all of them work.
    pub clock_hz: Number,
    /// MACs that one of them completes in a cycle, for each precision that it has instructions for; at least one.
    pub macs_per_cycle: BTreeMap<Precision, Number>,
    /// Energy of a MAC in picojoules, for each precision for which it is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pj_per_mac: BTreeMap<Precision, Number>,
}

/// One level of the memory hierarchy: `[[memory]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryEntry {
    /// What it is called, such as `L1` or `DRAM`.
    pub name: String,
    /// Bytes of all its instances together.
    pub capacity_bytes: Number<u64>,
    /// Bandwidth of all its instances together, all cores at work, in bytes per second.
    pub bandwidth_bytes_per_s: Number,
    /// Bandwidth that one core alone draws, in bytes per second; see [`HardwareFile::with_threads`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_one_core_bytes_per_s: Option<Number>,
    /// How many cores share one instance; `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_by: Option<Number<u32>>,
    /// Who fills it; the hardware where nothing is said.
    #[serde(default = "cache")]
    pub filling: Filling,
    /// What it holds; anything where nothing is said.
    #[serde(default = "all")]
    pub holds: Holds,
    /// Energy of a byte read or written, in picojoules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pj_per_byte: Option<Number>,
}

const fn cache() -> Filling {
    Filling::Cache
}

const fn all() -> Holds {
    Holds::All
}

/// Times that the runtime adds to the work: `[overhead]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverheadEntry {
    /// Seconds that the runtime spends on each op before its arithmetic starts, 0 or more.
    pub dispatch_s: Number,
}

/// A power mode: `[[thermal_profile]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThermalEntry {
    /// What it is called, such as `default` or `15W`.
    pub name: String,
    /// Sustained power in watts; `None` where nobody states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdp_watts: Option<Number>,
    /// Power in watts while nothing is computed or moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_watts: Option<Number>,
    /// Sustained clock of the first compute unit in this mode in Hz, with which the others scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_hz: Option<Number>,
    /// Clock of the first compute unit for as long as temperature and power allow, in Hz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost_clock_hz: Option<Number>,
    /// Bandwidth of the backing store in this mode, in bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_bytes_per_s: Option<Number>,
    /// How the device is cooled.
    pub cooling_solution: String,
    /// What software reaches in each precision; at least one. Any key that is not a precision is refused here.
    #[serde(flatten)]
    pub factors: BTreeMap<Precision, FactorsEntry>,
}

/// The share of the roofs that software reaches in one precision: `[thermal_profile.fp32]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorsEntry {
    /// Share of the peak throughput, above 0 and at most 1.5.
    pub efficiency_factor: Number,
    /// Share of the bandwidth of the memory, above 0 and at most 1.5.
    pub memory_bottleneck_factor: Number,
    /// Share of the units that the tiles of a large problem fill, above 0 and at most 1.5.
    pub tile_utilization: Number,
    /// Whether the units have instructions of this precision.
    pub native_acceleration: bool,
    /// The calibration that the factors come from; `None` for factors that none set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// The calibration that factors come from: `[thermal_profile.fp32.provenance]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// SHA-256 of the measurements, 64 hexadecimal digits.
    pub dataset_sha256: String,
    /// Measurements that the fit used.
    pub rows: u64,
    /// When it was fitted, as RFC 3339 writes it.
    pub date: String,
    /// Version of the tool that fitted.
    pub tool_version: String,
    /// [`derate_core::calibration::MODEL_VERSION`] of the fit.
    pub model_version: u16,
    /// The device as the measurements name it.
    pub device: String,
    /// Its clock in Hz while it was measured; `None` where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_hz: Option<f64>,
    /// The runtime with its version, such as `libtorch 2.11.0`.
    pub runtime: String,
    /// Threads of the runtime.
    pub threads: u32,
    /// Precision of the measurements: that of the table this stands in.
    pub precision: Precision,
    /// Mean absolute error in percent on measurements that the fit did not see.
    pub held_out_mape_pct: f64,
    /// What stands for the repetitions of one measurement, such as `median`.
    pub statistic: String,
}

impl HardwareFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`SpecError::Read`] where it cannot be read, [`SpecError::Problems`] with all that is wrong in it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SpecError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| SpecError::Read { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Checks and parses a text; `path` is only named in messages.
    ///
    /// # Errors
    /// [`SpecError::Problems`] with all that is wrong in it.
    pub fn parse(text: &str, path: impl AsRef<Path>) -> Result<Self, SpecError> {
        let path = path.as_ref();
        let problems = check(text, path);
        if !problems.is_empty() {
            return Err(SpecError::Problems(problems));
        }
        // The check is the stricter of the two; this is for a difference between them, so that it shows as an error.
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            SpecError::Problems(vec![Problem {
                file: path.display().to_string(),
                line: text.bytes().take(start).filter(|&byte| byte == b'\n').count() + 1,
                key: String::new(),
                kind: ProblemKind::Syntax,
                found: error.message().to_owned(),
                allowed: String::new(),
            }])
        })
    }
}
