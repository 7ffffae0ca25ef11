//! Cores: parameters of common microcontroller cores, each with the manual that a number is from.
//!
//! Of the numbers that no document states, each comment says what is assumed. Counts named after GCC are of the inner
//! loops of CMSIS-NN as GCC 12.2 compiles them with `-O2`, read off its assembly.

use super::Mcu;

impl Mcu {
    /// Arm Cortex-M0+ with the fast multiplier.
    ///
    /// **Source**: instruction summary of the Cortex-M0+ Technical Reference Manual (DDI 0484) as NXP's LPC800 manual
    /// repeats it: MULS 1 cycle, ADDS 1, there is no MLA. Assumed from the same core's general documentation: LDR 2
    /// cycles, never pipelined; a taken branch 2; the eight low registers. Assumed: LDRSB takes its offset from a
    /// register, so that GCC issues two instructions a pointer; 100 cycles to scale a result, of which the call of a
    /// 64-bit product is half; 300 cycles for `__aeabi_fmul` and `__aeabi_fadd`.
    pub const CORTEX_M0_PLUS: Self = Self {
        macs_per_instruction: 1,
        mac_cycles: 2.0,
        issue_width: 1,
        bus_bytes: 4,
        load_cycles: 1.0,
        branch_cycles: 2.0,
        pointer_cycles: 2.0,
        registers: 8,
        requantize_cycles: 100.0,
        fp32_mac_cycles: 300.0,
        overlapped: false,
    };

    /// Arm Cortex-M0+ with the small multiplier, which takes 32 cycles.
    pub const CORTEX_M0_PLUS_SMALL: Self = Self { mac_cycles: 33.0, requantize_cycles: 230.0, ..Self::CORTEX_M0_PLUS };

    /// Arm Cortex-M3: no unit for floats, no pairs of multipliers.
    ///
    /// **Source**: Cortex-M3 Technical Reference Manual (DDI 0337I), table 3.1: MLA 2 cycles, SMULL 3 to 5; a pipeline
    /// refill P of 1 to 3 cycles, of which the middle is taken for a branch of 1 + P. Loads take 2 cycles, 1 each where
    /// they follow one another (load/store timings as in TI SWCU185): assumed in pairs, so half a cycle each. Assumed:
    /// 13 of the registers R0–R12 and LR; 90 cycles for `__aeabi_fmul` and `__aeabi_fadd`.
    pub const CORTEX_M3: Self = Self {
        macs_per_instruction: 1,
        mac_cycles: 2.0,
        issue_width: 1,
        bus_bytes: 4,
        load_cycles: 0.5,
        branch_cycles: 3.0,
        pointer_cycles: 0.0,
        registers: 13,
        requantize_cycles: 50.0,
        fp32_mac_cycles: 90.0,
        overlapped: false,
    };

    /// Arm Cortex-M4 with its unit for floats.
    ///
    /// **Source**: Cortex-M4 Technical Reference Manual (100166), table 3-1: MUL, MLA 1 cycle, P as of the Cortex-M3;
    /// VFMA.F32 3 cycles, table 7-1 of DDI 0439. Assumed: SMLAD 1 cycle; loads and registers as of the Cortex-M3. To
    /// scale a result GCC issues 37 instructions, 6 of them loads, with two branches taken: 45 cycles.
    pub const CORTEX_M4: Self = Self {
        macs_per_instruction: 2,
        mac_cycles: 1.0,
        requantize_cycles: 45.0,
        fp32_mac_cycles: 3.0,
        ..Self::CORTEX_M3
    };

    /// Arm Cortex-M33 with its extension for signals and its unit for floats.
    ///
    /// Arm publishes no cycles of this core. Assumed: those of the Cortex-M4, but loads of one cycle and branches of
    /// two.
    pub const CORTEX_M33: Self =
        Self { load_cycles: 0.0, branch_cycles: 2.0, requantize_cycles: 40.0, ..Self::CORTEX_M4 };

    /// Arm Cortex-M7 with caches.
    ///
    /// Arm publishes no cycles of this core. Two instructions a cycle and a bus of 64 bits are in its Technical
    /// Reference Manual (DDI 0489); assumed: one MAC instruction a cycle, predicted branches of one cycle, the 45
    /// instructions of a result in pairs.
    pub const CORTEX_M7: Self = Self {
        issue_width: 2,
        bus_bytes: 8,
        load_cycles: 0.0,
        branch_cycles: 1.0,
        requantize_cycles: 24.0,
        overlapped: true,
        ..Self::CORTEX_M4
    };

    /// Arm Cortex-M55 with its vector extension.
    ///
    /// Assumed from Arm's descriptions of it: two of the four beats of a vector instruction a cycle, loads beside MACs,
    /// loops without branches; four results are scaled by 18 vector instructions.
    pub const CORTEX_M55: Self = Self {
        macs_per_instruction: 16,
        mac_cycles: 2.0,
        issue_width: 1,
        branch_cycles: 0.0,
        requantize_cycles: 9.0,
        fp32_mac_cycles: 2.0,
        ..Self::CORTEX_M7
    };

    /// Arm Cortex-M85 with its vector extension: the Cortex-M55 with two instructions a cycle. Assumed.
    pub const CORTEX_M85: Self = Self { issue_width: 2, ..Self::CORTEX_M55 };

    /// RISC-V RV32IMC: multiplication and addition apart, no unit for floats.
    ///
    /// **Source**: CV32E40P User Manual, "Cycle counts per instruction type": MUL 1, MULH 5, loads 1, a taken branch 3.
    /// Assumed: 26 of the 31 registers; 45 cycles to scale a result; 120 for the calls of floats.
    pub const RV32IMC: Self = Self {
        macs_per_instruction: 1,
        mac_cycles: 2.0,
        issue_width: 1,
        bus_bytes: 4,
        load_cycles: 0.0,
        branch_cycles: 3.0,
        pointer_cycles: 1.0,
        registers: 26,
        requantize_cycles: 45.0,
        fp32_mac_cycles: 120.0,
        overlapped: false,
    };

    /// RISC-V RV32IMAFC: as RV32IMC, with a unit for floats of a latency of one cycle (same manual: 1 to
    /// `FPU_ADDMUL_LAT` + 1).
    pub const RV32IMAFC: Self = Self { fp32_mac_cycles: 2.0, ..Self::RV32IMC };

    /// RISC-V RV32IMAFC with packed bytes: a dot product of four in one instruction, loads that step their pointer,
    /// loops in hardware (CV32E40P User Manual, CORE-V instruction set extensions).
    pub const RV32IMAFC_PACKED: Self =
        Self { macs_per_instruction: 4, mac_cycles: 1.0, branch_cycles: 0.0, pointer_cycles: 0.0, ..Self::RV32IMAFC };
}
