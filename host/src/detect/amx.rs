//! Matrix-tile kernels (Intel AMX) for the arithmetic peak of bf16, fp16 and int8, in FLOP/s or integer operations/s.
//!
//! Six independent accumulator tiles of 16 × 16 sums take products of two tiles of 16 rows of 64 bytes; an instruction
//! takes 16 cycles and has a latency of 52, so four tiles would do. **These kernels have not run on a machine with
//! tiles.** So every run is made only after the kernel has computed a known sum on the very machine; if it does not, or
//! Linux refuses the tiles, the peak is left out with that reason instead of taken from narrower instructions.
//!
//! **Source**: Intel SDM volume 1, chapter 18 "Programming with Intel AMX", and volume 2, `LDTILECFG`, `TDPBF16PS`,
//! `TDPFP16PS`, `TDPBSSD`; Intel optimization reference manual, chapter "Intel AMX"; Linux `Documentation/arch/x86/xstate.rst`.

use core::arch::asm;

use super::peak::{Lane, PeakKernel, Selection};

/// Request code of `arch_prctl` for a dynamic register state, and the number of the tile data's state.
#[cfg(target_os = "linux")]
const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
#[cfg(target_os = "linux")]
const XFEATURE_XTILEDATA: libc::c_long = 18;

/// Tile configuration: palette 1, and for each of the 8 tiles 16 rows of 64 bytes.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

static CONFIG: TileConfig = TileConfig {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes_per_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// One tile in memory, as 64-bit words.
#[repr(C, align(64))]
struct Tile([u64; 128]);

/// The kernel if the tiles may be used and it computes the known sum.
pub(super) fn select(kernel: PeakKernel) -> Selection {
    if !tiles_permitted() {
        Selection::NotMeasured("the CPU has matrix tiles (AMX) but the operating system refuses their use")
    } else if !kernel.computes_known_sum() {
        Selection::NotMeasured("the CPU has matrix tiles (AMX) but their kernel fails its check on known numbers")
    } else {
        Selection::Kernel(kernel)
    }
}

/// Asks Linux for the tile registers, for all threads of this process.
#[cfg(target_os = "linux")]
fn tiles_permitted() -> bool {
    // SAFETY: the request takes two integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// Permission is asked for on Linux only.
#[cfg(not(target_os = "linux"))]
fn tiles_permitted() -> bool {
    false
}

macro_rules! tile_chains {
    ($kernel:ident, $run:ident, $instruction:literal, $ones:literal, $lane:ident, $products:literal) => {
        pub(super) const $kernel: PeakKernel = PeakKernel {
            method: concat!("independent matrix-tile chains, AMX ", $instruction),
            // 6 tiles · 16 · 16 sums.
            flops_per_turn: 6 * 256 * $products * 2,
            products_per_lane: $products,
            lane: Lane::$lane,
            turns_per_run: 512,
            run: $run,
        };

        unsafe fn $run(turns: u64) -> u64 {
            let factor = Tile([$ones; 128]);
            let mut sums = Tile([0; 128]);
            // SAFETY: the caller vouches for the tiles. The configuration, the factor and the sums are of the sizes the
            // instructions read and write (64 bytes; 16 rows of 64 bytes); tiles are released before the block ends.
            unsafe {
                asm!(
                    "ldtilecfg [{config}]",
                    ".irp i,0,1,2,3,4,5",
                    "tilezero tmm\\i",
                    ".endr",
                    "tileloadd tmm6, [{factor} + {stride}]",
                    "tileloadd tmm7, [{factor} + {stride}]",
                    "2:",
                    ".irp i,0,1,2,3,4,5",
                    concat!($instruction, " tmm\\i, tmm6, tmm7"),
                    ".endr",
                    "dec {turns}",
                    "jnz 2b",
                    "tilestored [{sums} + {stride}], tmm0",
                    "tilerelease",
                    config = in(reg) &raw const CONFIG,
                    factor = in(reg) &raw const factor,
                    sums = in(reg) &raw mut sums,
                    stride = in(reg) 64_u64,
                    turns = inout(reg) turns.max(1) => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
            let [first, ..] = sums.0;
            first
        }
    };
}

tile_chains!(BF16, bf16, "tdpbf16ps", 0x3f80_3f80_3f80_3f80, F32, 32);
tile_chains!(FP16, fp16, "tdpfp16ps", 0x3c00_3c00_3c00_3c00, F32, 32);
tile_chains!(INT8, int8, "tdpbssd", 0x0101_0101_0101_0101, I32, 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_has_the_layout_of_the_manual() {
        // Bytes per row of tile i at byte 16 + 2 i, rows of tile i at byte 48 + i, 64 bytes in all.
        assert_eq!(size_of::<TileConfig>(), 64);
        assert_eq!(std::mem::offset_of!(TileConfig, bytes_per_row), 16);
        assert_eq!(std::mem::offset_of!(TileConfig, rows), 48);
        assert_eq!((CONFIG.palette, CONFIG.start_row, CONFIG.reserved), (1, 0, [0; 14]));
        assert_eq!((CONFIG.bytes_per_row[7], CONFIG.bytes_per_row[8]), (64, 0));
        assert_eq!((CONFIG.rows[7], CONFIG.rows[8]), (16, 0));
    }

    #[test]
    fn operations_of_one_turn() {
        // 16 · 16 sums of 32 products (bf16) or 64 (int8), times 2, in 6 tiles.
        assert_eq!(BF16.flops_per_turn, 6 * 16_384);
        assert_eq!(INT8.flops_per_turn, 6 * 32_768);
    }
}
