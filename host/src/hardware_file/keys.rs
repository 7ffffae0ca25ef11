//! The keys of a hardware description: which there are, what each may hold, in which unit. The check and the JSON Schema
//! both follow these tables, so that an editor and the reader agree.

use derate_core::shape::Precision;

use super::mapper_npu::{CGRA, DPU, NPU};

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    /// As the file writes it.
    pub(super) name: &'static str,
    /// Whether it must be there.
    pub(super) required: bool,
    /// What it holds.
    pub(super) node: Node,
    /// Meaning and unit.
    pub(super) doc: &'static str,
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    /// The integer [`super::SCHEMA`].
    Schema,
    /// A string.
    Text(Text),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A number by itself.
    Plain(Range),
    /// A number with its basis and source: `{ value, basis, source }`.
    Number(Range),
    /// A table.
    Table(&'static Fields),
    /// An array of one or more tables.
    List(&'static Fields),
}

/// The keys of a table.
#[derive(Debug)]
pub(super) struct Fields {
    /// Those with a name of their own.
    pub(super) keys: &'static [Key],
    /// What the name of a precision holds, where such keys are allowed; then at least one must be there.
    pub(super) by_precision: Option<Node>,
}

/// Which strings are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Any.
    Any,
    /// All but the empty and blank ones.
    NotEmpty,
    /// One or more of `a-z 0-9 . _ -`.
    Identity,
    /// 64 hexadecimal digits.
    Sha256,
}

/// Which numbers are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// Above zero and finite, also after rounding to 32 bits.
    Positive,
    /// Zero or above and finite, also after rounding to 32 bits.
    NotNegative,
    /// Above zero and at most [`FACTOR_MAX`].
    Factor,
    /// An integer from 1 to this one.
    Integer(i64),
}

/// The highest factor: software that beats a roof by half shows that the roof is wrong.
pub(super) const FACTOR_MAX: f64 = 1.5;

/// Names of the precisions, in the order of [`Precision::ALL`].
pub(super) const PRECISIONS: [&str; Precision::ALL.len()] = {
    let mut names = [""; Precision::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Precision::ALL[i].name();
        i += 1;
    }
    names
};

/// Names of the sorts of device.
pub(super) const KINDS: &[&str] = &["cpu", "gpu", "mcu", "npu", "dsp", "systolic", "tile_fabric", "dpu", "cgra"];
/// Names of the bases.
pub(super) const BASES: &[&str] = &["spec", "measured", "fitted", "assumed"];

/// Who fills a memory level.
const FILLINGS: &[&str] = &["cache", "scratchpad"];
/// What a memory level holds.
const HOLDS: &[&str] = &["all", "weights", "activations"];

/// Which operand stays in a systolic array.
const DATAFLOWS: &[&str] = &["output_stationary", "weight_stationary", "input_stationary"];

const U16: Range = Range::Integer(0xffff);
/// Integers of 32 bits from 1 on.
pub(super) const U32: Range = Range::Integer(0xffff_ffff);
/// Integers from 1 on that TOML can write.
pub(super) const U63: Range = Range::Integer(i64::MAX);

/// A key that must be there.
pub(super) const fn required(name: &'static str, node: Node, doc: &'static str) -> Key {
    Key { name, required: true, node, doc }
}

/// A key that may be missing.
pub(super) const fn optional(name: &'static str, node: Node, doc: &'static str) -> Key {
    Key { name, required: false, node, doc }
}

/// The keys of a number with its basis and source.
pub(super) const fn number(range: Range) -> [Key; 4] {
    [
        required("value", Node::Plain(range), "The number, in the unit of its key."),
        required(
            "basis",
            Node::OneOf(BASES),
            "spec: a document or the operating system; measured: a clock; fitted: from measurements; assumed: nobody's word.",
        ),
        required("source", Node::Text(Text::NotEmpty), "The document, measurement or reasoning."),
        optional("note", Node::Text(Text::Any), "A remark for readers."),
    ]
}

/// The whole file.
pub(super) const ROOT: Fields = Fields {
    keys: &[
        required("schema", Node::Schema, "Version of the format."),
        required("name", Node::Text(Text::Identity), "Identity of the device."),
        required("kind", Node::OneOf(KINDS), "What sort of device it is."),
        required("description", Node::Text(Text::Any), "What people call it."),
        required("compute", Node::List(&COMPUTE), "Identical compute units, such as the vector units of all cores."),
        required("memory", Node::List(&MEMORY), "Memory levels, from the smallest to the backing store."),
        required("overhead", Node::Table(&OVERHEAD), "Times that the runtime adds to the work."),
        optional("cpu", Node::Table(&super::mapper_cpu_gpu::CPU), "The vector unit of each core of a processor."),
        optional("gpu", Node::Table(&super::mapper_cpu_gpu::GPU), "Each multiprocessor of a graphics processor."),
        optional(
            "systolic",
            Node::Table(&SYSTOLIC),
            "Geometry of systolic arrays, as many as the compute unit counts.",
        ),
        optional(
            "tile_fabric",
            Node::Table(&TILE_FABRIC),
            "Geometry of a fabric of compute tiles, each type a compute unit, and the engines that bring operands.",
        ),
        optional(
            "npu",
            Node::Table(&NPU),
            "Geometry of a neural processor, or of the matrix engine of a signal processor.",
        ),
        optional("dpu", Node::Table(&DPU), "Parallelism of a dataflow processor."),
        optional("cgra", Node::Table(&CGRA), "Processing elements of a reconfigurable array."),
        optional("mcu", Node::Table(&super::mapper_mcu::MCU), "How inner loops run on a microcontroller core."),
        required("thermal_profile", Node::List(&THERMAL_PROFILE), "Power modes, the default one first."),
    ],
    by_precision: None,
};

const COMPUTE: Fields = Fields {
    keys: &[
        required("name", Node::Text(Text::NotEmpty), "What the units are called, such as AVX-512."),
        required("count", Node::Number(U32), "How many work at once; on a processor, its cores."),
        required("clock_hz", Node::Number(Range::Positive), "Their clock while all of them work, in Hz."),
        required(
            "macs_per_cycle",
            Node::Table(&MACS_PER_CYCLE),
            "MACs that one unit completes in a cycle, for each precision that it has instructions for.",
        ),
        optional("pj_per_mac", Node::Table(&MACS_PER_CYCLE), "Energy of a MAC in picojoules, by precision."),
    ],
    by_precision: None,
};

const MACS_PER_CYCLE: Fields = Fields { keys: &[], by_precision: Some(Node::Number(Range::Positive)) };

const MEMORY: Fields = Fields {
    keys: &[
        required("name", Node::Text(Text::NotEmpty), "What the level is called, such as L1 or DRAM."),
        required("capacity_bytes", Node::Number(U63), "Bytes of all instances together."),
        required(
            "bandwidth_bytes_per_s",
            Node::Number(Range::Positive),
            "Bandwidth of all instances together, all cores at work, in bytes per second.",
        ),
        optional(
            "bandwidth_one_core_bytes_per_s",
            Node::Number(Range::Positive),
            "Bandwidth that one core alone draws, in bytes per second; n cores draw n times as much, up to the whole.",
        ),
        optional(
            "shared_by",
            Node::Number(U32),
            "How many units (cores, tiles) share one instance; without it, all of them.",
        ),
        optional("filling", Node::OneOf(FILLINGS), "Who fills it: the hardware (cache, the default) or the program."),
        optional("holds", Node::OneOf(HOLDS), "What it holds; without it, anything."),
        optional("pj_per_byte", Node::Number(Range::Positive), "Energy of a byte read or written, in picojoules."),
    ],
    by_precision: None,
};

const OVERHEAD: Fields = Fields {
    keys: &[required(
        "dispatch_s",
        Node::Number(Range::NotNegative),
        "Time that the runtime spends on each op before its arithmetic starts, in seconds.",
    )],
    by_precision: None,
};

const SYSTOLIC: Fields = Fields {
    keys: &[
        required("dataflow", Node::OneOf(DATAFLOWS), "Which operand stays in an array while the others pass."),
        required("rows", Node::Number(U32), "Rows of an array."),
        required("columns", Node::Number(U32), "Columns of an array."),
        optional(
            "held_tiles",
            Node::Number(U32),
            "Tiles of the operand that stays for which an array has room: 2 where the next is loaded while it works; without it, 1.",
        ),
        optional(
            "accumulators",
            Node::Number(U32),
            "Partial sums of each column that an array keeps; without it, none: they pass the first memory level.",
        ),
        required("vector_lanes", Node::Number(U32), "Elements a cycle of the vector unit beside each array."),
    ],
    by_precision: None,
};

const TILE_FABRIC: Fields = Fields {
    keys: &[
        required("rows", Node::Number(U32), "Rows of processing elements of a compute tile."),
        required("columns", Node::Number(U32), "Columns of processing elements of a compute tile."),
        required("streamers", Node::Number(U32), "Streamers of one compute tile, between its L2 and its array."),
        required("streamer_bytes_per_cycle", Node::Number(U32), "Bytes that one streamer moves in a cycle."),
        required("block_movers", Node::Number(U32), "Block movers of the device, between L3 and L2."),
        required("block_mover_bytes_per_cycle", Node::Number(U32), "Bytes that one block mover moves in a cycle."),
        required("dma_engines", Node::Number(U32), "DMA engines of the device, between the last memory level and L3."),
        required("dma_bytes_per_cycle", Node::Number(U32), "Bytes that one DMA engine moves in a cycle."),
    ],
    by_precision: None,
};

const THERMAL_PROFILE: Fields = Fields {
    keys: &[
        required("name", Node::Text(Text::NotEmpty), "What the mode is called, such as default or 15W."),
        optional("tdp_watts", Node::Number(Range::Positive), "Sustained power in watts."),
        optional("static_watts", Node::Number(Range::Positive), "Power while nothing is computed or moved, in watts."),
        optional(
            "clock_hz",
            Node::Number(Range::Positive),
            "Sustained clock of the first compute unit in this mode, with which the others scale, in Hz.",
        ),
        optional(
            "boost_clock_hz",
            Node::Number(Range::Positive),
            "Clock of the first compute unit for as long as temperature and power allow, in Hz.",
        ),
        optional(
            "bandwidth_bytes_per_s",
            Node::Number(Range::Positive),
            "Bandwidth of the last memory level in this mode, in bytes per second.",
        ),
        required("cooling_solution", Node::Text(Text::NotEmpty), "How the device is cooled; unknown where it is."),
    ],
    by_precision: Some(Node::Table(&FACTORS)),
};

const FACTORS: Fields = Fields {
    keys: &[
        required(
            "efficiency_factor",
            Node::Number(Range::Factor),
            "Share of the peak throughput that software reaches.",
        ),
        required(
            "memory_bottleneck_factor",
            Node::Number(Range::Factor),
            "Share of the bandwidth that software reaches.",
        ),
        required(
            "tile_utilization",
            Node::Number(Range::Factor),
            "Share of the units that the tiles of a large problem fill.",
        ),
        required("native_acceleration", Node::Flag, "Whether the units have instructions of this precision."),
        optional(
            "provenance",
            Node::Table(&PROVENANCE),
            "The calibration that the factors come from; written by a tool.",
        ),
    ],
    by_precision: None,
};

const PROVENANCE: Fields = Fields {
    keys: &[
        required("dataset_sha256", Node::Text(Text::Sha256), "SHA-256 of the measurements."),
        required("rows", Node::Plain(U63), "Measurements that the fit used."),
        required("date", Node::Text(Text::NotEmpty), "When it was fitted, as RFC 3339 writes it."),
        required("tool_version", Node::Text(Text::NotEmpty), "Version of the tool that fitted."),
        required("model_version", Node::Plain(U16), "Version of the equations that were fitted."),
        required("device", Node::Text(Text::NotEmpty), "The device as the measurements name it."),
        optional("clock_hz", Node::Plain(Range::Positive), "Its clock while it was measured, in Hz."),
        required("runtime", Node::Text(Text::NotEmpty), "The runtime with its version."),
        required("threads", Node::Plain(U32), "Threads of the runtime."),
        required(
            "precision",
            Node::OneOf(&PRECISIONS),
            "Precision of the measurements: that of the table around this.",
        ),
        required(
            "held_out_mape_pct",
            Node::Plain(Range::NotNegative),
            "Mean absolute error on measurements that the fit did not see, in percent.",
        ),
        required(
            "statistic",
            Node::Text(Text::NotEmpty),
            "What stands for the repetitions of a measurement: median, p10.",
        ),
    ],
    by_precision: None,
};

impl Node {
    /// What it may be, to follow "it must be".
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Schema => format!("{}, the version of the format", super::SCHEMA),
            Self::Text(Text::Any) => "a string".to_owned(),
            Self::Text(Text::NotEmpty) => "a string that is not empty".to_owned(),
            Self::Text(Text::Identity) => "a string of one or more of a-z 0-9 . _ -".to_owned(),
            Self::Text(Text::Sha256) => "a string of 64 hexadecimal digits".to_owned(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
            Self::Flag => "true or false".to_owned(),
            Self::Plain(range) => range.allowed(),
            Self::Number(_) => "a table { value, basis, source }".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::List(_) => "one or more tables, each under its own [[ ]]".to_owned(),
        }
    }
}

impl Text {
    /// Whether this string is allowed.
    pub(super) fn holds(self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::NotEmpty => !text.trim().is_empty(),
            Self::Identity => {
                !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            }
            Self::Sha256 => text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        }
    }
}

impl Range {
    /// Which numbers are allowed, to follow "it must be".
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Positive => "a positive, finite number".to_owned(),
            Self::NotNegative => "0 or a positive, finite number".to_owned(),
            Self::Factor => format!("a number above 0 and at most {FACTOR_MAX}"),
            Self::Integer(i64::MAX) => "an integer of at least 1".to_owned(),
            Self::Integer(max) => format!("an integer from 1 to {max}"),
        }
    }
}
