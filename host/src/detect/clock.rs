//! Effective clock, in Hz: how many cycles a core really runs per second, by timing a chain of integer
//! additions in which each needs the result of the one before.
//!
//! Such an addition takes one cycle on every x86-64 and 64-bit Arm core in use, so additions per second equal
//! cycles per second. The operands are registers: recent Intel cores fold an addition of a small constant into the
//! renaming stage, and a chain of those would run faster than one per cycle.
//!
//! **Source**: A. Fog, "Instruction tables" (`ADD r,r`: latency 1 on the Intel and AMD cores listed); A. Abel and J. Reineke,
//! "uops.info: Characterizing Latency, Throughput, and Port Usage of Instructions", ASPLOS 2019; Arm's software
//! optimization guides of its cores (arithmetic, basic: latency 1).
//! Leaves out the nominal and boost clocks of the datasheet, which a virtual machine does not see.

use super::os::Buffer;
use super::sampling::Work;

/// Additions between two looks at the time: 65,536 take 13 to 65 µs at 5 to 1 GHz.
const ADDS_PER_RUN: u64 = 65_536;

/// Additions in one turn of the loop; the loop counter runs beside the chain and costs no cycle.
const ADDS_PER_TURN: u64 = 64;

/// Kernel and assumption, for the `method` text.
pub(super) const METHOD: &str = "chain of dependent register additions, one cycle each";

/// The chain, on architectures whose addition is known to take one cycle and is written out in assembly here.
pub(super) fn work() -> Option<AddChain> {
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64")).then_some(AddChain)
}

/// Chain of dependent additions; its unit of work is one addition, that is one cycle.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddChain;

impl Work for AddChain {
    fn run(&mut self, _buffer: &mut Buffer) -> u64 {
        let sum = add_chain(ADDS_PER_RUN / ADDS_PER_TURN, 1);
        std::hint::black_box(sum);
        ADDS_PER_RUN
    }
}

/// Adds `step` to zero `64 · turns` times, one after the other; `turns` ≥ 1.
#[cfg(target_arch = "x86_64")]
fn add_chain(turns: u64, step: u64) -> u64 {
    let mut sum = 0_u64;
    // SAFETY: the block touches the named registers and the flags only; `turns` ≥ 1 ends the loop.
    unsafe {
        core::arch::asm!(
            "2:",
            ".rept 64",
            "add {sum}, {step}",
            ".endr",
            "dec {turns}",
            "jnz 2b",
            sum = inout(reg) sum,
            step = in(reg) step,
            turns = inout(reg) turns.max(1) => _,
            options(nomem, nostack),
        );
    }
    sum
}

/// Adds `step` to zero `64 · turns` times, one after the other; `turns` ≥ 1.
#[cfg(target_arch = "aarch64")]
fn add_chain(turns: u64, step: u64) -> u64 {
    let mut sum = 0_u64;
    // SAFETY: the block touches the named registers and the flags only; `turns` ≥ 1 ends the loop.
    unsafe {
        core::arch::asm!(
            "2:",
            ".rept 64",
            "add {sum}, {sum}, {step}",
            ".endr",
            "subs {turns}, {turns}, #1",
            "b.ne 2b",
            sum = inout(reg) sum,
            step = in(reg) step,
            turns = inout(reg) turns.max(1) => _,
            options(nomem, nostack),
        );
    }
    sum
}

/// Adds `step` to zero `64 · turns` times. Takes more than one cycle per addition (the barrier goes through
/// memory), so [`work`] does not offer it.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn add_chain(turns: u64, step: u64) -> u64 {
    let mut sum = 0_u64;
    for _ in 0..turns.max(1) * ADDS_PER_TURN {
        sum = std::hint::black_box(sum.wrapping_add(step));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_addition_happens() {
        // 3 turns · 64 additions · 7 = 1344.
        assert_eq!(add_chain(3, 7), 1344);
    }
}
