//! The table `[mcu]`: how inner loops run on a microcontroller core, for the core's mapper [`Mcu`].

use derate_core::mapper::mcu::Mcu;
use serde::{Deserialize, Serialize};

use super::entries::Number;
use super::keys::{Fields, Node, Range, U32, required};

/// How inner loops run on a microcontroller core: `[mcu]`. Keys as of [`Mcu`], which explains them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McuEntry {
    /// MACs of 8-bit integers of one multiply-accumulate instruction.
    pub macs_per_instruction: Number<u32>,
    /// Cycles of that instruction, or of a multiplication and an addition.
    pub mac_cycles: Number,
    /// Instructions that are issued in a cycle.
    pub issue_width: Number<u32>,
    /// Bytes of a load that arrive in a cycle.
    pub bus_bytes: Number<u32>,
    /// Cycles of a load beside those in which its data arrives, 0 or more.
    pub load_cycles: Number,
    /// Cycles of a branch that is taken, 0 or more.
    pub branch_cycles: Number,
    /// Cycles to step a pointer by one load, 0 or more.
    pub pointer_cycles: Number,
    /// Registers that an inner loop may use.
    pub registers: Number<u32>,
    /// Cycles to scale a sum to 8 bits, 0 or more.
    pub requantize_cycles: Number,
    /// Cycles of a multiply-accumulate of 32-bit floats whose sum the next one needs.
    pub fp32_mac_cycles: Number,
    /// Whether loads run beside arithmetic.
    pub overlapped: bool,
}

impl McuEntry {
    /// The core's mapper of these numbers, rounded to 32 bits.
    #[must_use]
    pub const fn mapper(&self) -> Mcu {
        Mcu {
            macs_per_instruction: self.macs_per_instruction.value,
            mac_cycles: self.mac_cycles.value as f32,
            issue_width: self.issue_width.value,
            bus_bytes: self.bus_bytes.value,
            load_cycles: self.load_cycles.value as f32,
            branch_cycles: self.branch_cycles.value as f32,
            pointer_cycles: self.pointer_cycles.value as f32,
            registers: self.registers.value,
            requantize_cycles: self.requantize_cycles.value as f32,
            fp32_mac_cycles: self.fp32_mac_cycles.value as f32,
            overlapped: self.overlapped,
        }
    }
}

/// The keys of the table.
pub(super) const MCU: Fields = Fields {
    keys: &[
        required(
            "macs_per_instruction",
            Node::Number(U32),
            "MACs of bytes of one instruction: 1; 2 for SMLAD; 4 for a dot product of packed bytes; 16 for VMLADAVA.",
        ),
        required(
            "mac_cycles",
            Node::Number(Range::Positive),
            "Cycles of that instruction, or of a multiplication and an addition.",
        ),
        required("issue_width", Node::Number(U32), "Instructions that are issued in a cycle."),
        required("bus_bytes", Node::Number(U32), "Bytes of a load that arrive in a cycle."),
        required(
            "load_cycles",
            Node::Number(Range::NotNegative),
            "Cycles of a load beside those in which its data arrives, on average over the loads of a loop.",
        ),
        required(
            "branch_cycles",
            Node::Number(Range::NotNegative),
            "Cycles of a branch that is taken; 0 for loops in hardware.",
        ),
        required(
            "pointer_cycles",
            Node::Number(Range::NotNegative),
            "Cycles to step a pointer by one load; 0 where loads do it themselves.",
        ),
        required("registers", Node::Number(U32), "Registers that an inner loop may use."),
        required("requantize_cycles", Node::Number(Range::NotNegative), "Cycles to scale a sum to 8 bits."),
        required(
            "fp32_mac_cycles",
            Node::Number(Range::Positive),
            "Cycles of a multiply-accumulate of 32-bit floats, one after the other; of two calls where there is no unit.",
        ),
        required("overlapped", Node::Flag, "Whether loads run beside arithmetic."),
    ],
    by_precision: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware_file::HardwareFile;

    #[test]
    fn the_shipped_microcontroller_is_the_cores_constant() {
        let (name, text) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == "stm32l4r5").expect("shipped");
        let file = HardwareFile::parse(text, name).expect("valid");
        assert_eq!(file.mcu.as_ref().map(McuEntry::mapper), Some(Mcu::CORTEX_M4));
        // What is written parses to the same.
        assert_eq!(HardwareFile::parse(&file.to_toml(), name).expect("valid"), file);
    }

    #[test]
    fn a_wrong_table_is_refused() {
        let (name, text) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == "stm32l4r5").expect("shipped");
        for (from, to) in
            [("overlapped = false", "overlapped = 0"), ("[mcu]\n", "[mcu]\nother = 1\n"), ("overlapped = false", "")]
        {
            assert!(text.contains(from));
            assert!(HardwareFile::parse(&text.replacen(from, to, 1), name).is_err(), "{to}");
        }
    }
}
