//! The geometry of neural processors, dataflow processors and reconfigurable arrays: the tables `[npu]` (also of kind `dsp`),
//! `[dpu]` and `[cgra]`, their keys, how they are written, and the core's mappers made from them.

use derate_core::mapper::cgra::Cgra;
use derate_core::mapper::dpu::Dpu;
use derate_core::mapper::lanes::{Lanes, Rates};
use derate_core::mapper::npu::Npu;
use serde::{Deserialize, Serialize};

use super::entries::Number;
use super::keys::{Fields, Key, Node, Range, U32, U63, optional, required};
use super::write::{Lines, float, integer};

/// Lanes, positions and rates of a neural processor: `[npu]`, also of the matrix engine of a signal processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpuEntry {
    /// Output rows on which a unit works at once; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Number<u32>>,
    /// Output columns on which a unit works at once; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Number<u32>>,
    /// Input channels in a step.
    pub c_in: Number<u32>,
    /// Taps in a step; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taps: Option<Number<u32>>,
    /// Output channels in a step.
    pub c_out: Number<u32>,
    /// Lanes of depthwise convolutions; without them they run on the dense ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depthwise: Option<DepthwiseEntry>,
    /// Weights that a unit decodes in a cycle; no limit where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_per_cycle: Option<Number>,
    /// Sums that a unit holds at once; no limit where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulators: Option<Number<u64>>,
    /// Results that leave a unit in a cycle; no limit where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_per_cycle: Option<Number>,
    /// Results of elementwise ops of a unit in a cycle.
    pub elementwise_per_cycle: Number,
    /// Elements of pooling windows and reductions that a unit takes in a cycle.
    pub window_per_cycle: Number,
    /// Bytes that a byte of weights takes in memory; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_weights: Option<Number>,
    /// Cycles before the arithmetic of a kernel starts and after it ends; none where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_cycles: Option<Number<u64>>,
}

/// Lanes of depthwise convolutions: `[npu.depthwise]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthwiseEntry {
    /// Output rows at once; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Number<u32>>,
    /// Output columns at once; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Number<u32>>,
    /// Taps in a step; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taps: Option<Number<u32>>,
    /// Channels at once.
    pub channels: Number<u32>,
    /// Share of the MACs of a unit that have work.
    pub share: Number,
}

/// Parallelism of a dataflow processor: `[dpu]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpuEntry {
    /// Pixel parallelism.
    pub pixels: Number<u32>,
    /// Input channel parallelism.
    pub c_in: Number<u32>,
    /// Output channel parallelism.
    pub c_out: Number<u32>,
    /// Pixels on which the ALU works at once.
    pub alu_pixels: Number<u32>,
    /// Cycles before the arithmetic of a kernel starts; none where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_cycles: Option<Number<u64>>,
}

/// Processing elements of a reconfigurable array: `[cgra]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CgraEntry {
    /// Rows of elements.
    pub rows: Number<u32>,
    /// Columns of elements.
    pub columns: Number<u32>,
    /// Cycles from one iteration of a loop body to the next.
    pub initiation_interval: Number<u32>,
    /// Cycles from the first operand in to the last result out of one iteration.
    pub pipeline_cycles: Number<u64>,
    /// Cycles in which the instructions of a kernel are loaded; none where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconfiguration_cycles: Option<Number<u64>>,
}

const INTEGER: Node = Node::Number(U32);
const COUNT: Node = Node::Number(U63);
const RATE: Node = Node::Number(Range::Positive);

/// The keys of `[npu]`.
pub(super) const NPU: Fields = Fields {
    keys: &[
        optional("rows", INTEGER, "Output rows on which a unit works at once; without it, 1."),
        optional("columns", INTEGER, "Output columns on which a unit works at once; without it, 1."),
        required("c_in", INTEGER, "Input channels on which a unit works at once."),
        optional(
            "taps",
            INTEGER,
            "Taps on which a unit works at once, or so many times c_in channels of one tap; without it, 1.",
        ),
        required("c_out", INTEGER, "Output channels on which a unit works at once."),
        optional(
            "depthwise",
            Node::Table(&DEPTHWISE),
            "Lanes of depthwise convolutions; without them, one channel in each group of dense lanes.",
        ),
        optional("weights_per_cycle", RATE, "Weights that a unit decodes in a cycle; without it, no limit."),
        optional("accumulators", COUNT, "Sums that a unit holds at once; without it, no limit."),
        optional("output_per_cycle", RATE, "Results that leave a unit in a cycle; without it, no limit."),
        required("elementwise_per_cycle", RATE, "Results of elementwise ops of a unit in a cycle."),
        required("window_per_cycle", RATE, "Elements of windows of pooling that a unit takes in a cycle."),
        optional("stored_weights", RATE, "Bytes that a byte of weights takes in memory; without it, 1."),
        optional(SETUP.name, SETUP.node, SETUP.doc),
    ],
    by_precision: None,
};

const DEPTHWISE: Fields = Fields {
    keys: &[
        optional("rows", INTEGER, "Output rows at once; without it, 1."),
        optional("columns", INTEGER, "Output columns at once; without it, 1."),
        optional("taps", INTEGER, "Taps at once; without it, 1."),
        required("channels", INTEGER, "Channels at once."),
        required("share", Node::Number(Range::Factor), "Share of the MACs of a unit that have work."),
    ],
    by_precision: None,
};

/// The keys of `[dpu]`.
pub(super) const DPU: Fields = Fields {
    keys: &[
        required("pixels", INTEGER, "Pixel parallelism (PP)."),
        required("c_in", INTEGER, "Input channel parallelism (ICP)."),
        required("c_out", INTEGER, "Output channel parallelism (OCP)."),
        required("alu_pixels", INTEGER, "Pixels on which the ALU works at once, each with OCP channels: 1 to PP."),
        optional(SETUP.name, SETUP.node, SETUP.doc),
    ],
    by_precision: None,
};

/// The keys of `[cgra]`.
pub(super) const CGRA: Fields = Fields {
    keys: &[
        required("rows", INTEGER, "Rows of processing elements."),
        required("columns", INTEGER, "Columns of processing elements."),
        required("initiation_interval", INTEGER, "Cycles from one iteration of a loop body to the next."),
        required("pipeline_cycles", COUNT, "Cycles from the first operand in to the last result out of one iteration."),
        optional(
            "reconfiguration_cycles",
            COUNT,
            "Cycles in which the instructions of a kernel are loaded; without it, none.",
        ),
    ],
    by_precision: None,
};

const SETUP: Key = optional(
    "setup_cycles",
    COUNT,
    "Cycles before the arithmetic of a kernel starts and after it ends: the first fetch, the last write; without it, none.",
);

fn or<T: Copy>(number: Option<&Number<T>>, default: T) -> T {
    number.map_or(default, |number| number.value)
}

fn lanes(number: Option<&Number<u32>>) -> u64 {
    u64::from(or(number, 1))
}

impl NpuEntry {
    /// The core's mapper; numbers are rounded to 32 bits.
    #[must_use]
    pub fn npu(&self) -> Npu {
        let depthwise = self.depthwise.as_ref().map(|entry| Lanes {
            rows: lanes(entry.rows.as_ref()),
            columns: lanes(entry.columns.as_ref()),
            c_in: 1,
            taps: lanes(entry.taps.as_ref()),
            c_out: u64::from(entry.channels.value),
            share: entry.share.value as f32,
        });
        let rate = |number: &Option<Number>| number.as_ref().map(|number| number.value as f32);
        Npu {
            dense: Lanes {
                rows: lanes(self.rows.as_ref()),
                columns: lanes(self.columns.as_ref()),
                c_in: u64::from(self.c_in.value),
                taps: lanes(self.taps.as_ref()),
                c_out: u64::from(self.c_out.value),
                share: 1.0,
            },
            depthwise,
            weights_per_cycle: rate(&self.weights_per_cycle),
            accumulators: self.accumulators.as_ref().map(|number| number.value),
            output: rate(&self.output_per_cycle),
            rates: Rates {
                elementwise: self.elementwise_per_cycle.value as f32,
                window: self.window_per_cycle.value as f32,
            },
            stored_weights: or(self.stored_weights.as_ref(), 1.0) as f32,
            setup_cycles: or(self.setup_cycles.as_ref(), 0),
        }
    }
}

impl DpuEntry {
    /// The core's mapper.
    #[must_use]
    pub fn dpu(&self) -> Dpu {
        Dpu {
            pixels: self.pixels.value.into(),
            c_in: self.c_in.value.into(),
            c_out: self.c_out.value.into(),
            alu_pixels: self.alu_pixels.value.into(),
            setup_cycles: or(self.setup_cycles.as_ref(), 0),
        }
    }
}

impl CgraEntry {
    /// The core's mapper.
    #[must_use]
    pub fn cgra(&self) -> Cgra {
        Cgra {
            rows: self.rows.value.into(),
            columns: self.columns.value.into(),
            initiation_interval: self.initiation_interval.value.into(),
            pipeline_cycles: self.pipeline_cycles.value,
            reconfiguration_cycles: or(self.reconfiguration_cycles.as_ref(), 0),
        }
    }
}

impl Lines {
    fn integers(&mut self, numbers: &[(&str, Option<&Number<u32>>)]) {
        for &(key, number) in numbers {
            if let Some(number) = number {
                self.number(key, number, |value| integer(value.into()));
            }
        }
    }

    fn count(&mut self, key: &str, number: Option<&Number<u64>>) {
        if let Some(number) = number {
            self.number(key, number, integer);
        }
    }

    fn rate(&mut self, key: &str, number: Option<&Number>) {
        if let Some(number) = number {
            self.number(key, number, float);
        }
    }

    /// Appends `[npu]`.
    pub(super) fn npu(&mut self, entry: &NpuEntry) {
        let NpuEntry {
            rows,
            columns,
            c_in,
            taps,
            c_out,
            depthwise,
            weights_per_cycle,
            accumulators,
            output_per_cycle,
            elementwise_per_cycle,
            window_per_cycle,
            stored_weights,
            setup_cycles,
        } = entry;
        self.table("[npu]");
        self.integers(&[
            ("rows", rows.as_ref()),
            ("columns", columns.as_ref()),
            ("c_in", Some(c_in)),
            ("taps", taps.as_ref()),
            ("c_out", Some(c_out)),
        ]);
        self.rate("weights_per_cycle", weights_per_cycle.as_ref());
        self.count("accumulators", accumulators.as_ref());
        self.rate("output_per_cycle", output_per_cycle.as_ref());
        self.rate("elementwise_per_cycle", Some(elementwise_per_cycle));
        self.rate("window_per_cycle", Some(window_per_cycle));
        self.rate("stored_weights", stored_weights.as_ref());
        self.count("setup_cycles", setup_cycles.as_ref());
        if let Some(DepthwiseEntry { rows, columns, taps, channels, share }) = depthwise {
            self.table("[npu.depthwise]");
            self.integers(&[
                ("rows", rows.as_ref()),
                ("columns", columns.as_ref()),
                ("taps", taps.as_ref()),
                ("channels", Some(channels)),
            ]);
            self.rate("share", Some(share));
        }
    }

    /// Appends `[dpu]`.
    pub(super) fn dpu(&mut self, entry: &DpuEntry) {
        let DpuEntry { pixels, c_in, c_out, alu_pixels, setup_cycles } = entry;
        self.table("[dpu]");
        self.integers(&[
            ("pixels", Some(pixels)),
            ("c_in", Some(c_in)),
            ("c_out", Some(c_out)),
            ("alu_pixels", Some(alu_pixels)),
        ]);
        self.count("setup_cycles", setup_cycles.as_ref());
    }

    /// Appends `[cgra]`.
    pub(super) fn cgra(&mut self, entry: &CgraEntry) {
        let CgraEntry { rows, columns, initiation_interval, pipeline_cycles, reconfiguration_cycles } = entry;
        self.table("[cgra]");
        self.integers(&[
            ("rows", Some(rows)),
            ("columns", Some(columns)),
            ("initiation_interval", Some(initiation_interval)),
        ]);
        self.count("pipeline_cycles", Some(pipeline_cycles));
        self.count("reconfiguration_cycles", reconfiguration_cycles.as_ref());
    }
}
