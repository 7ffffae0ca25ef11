//! The x86-64 loops of the arithmetic peak, one for each precision and vector width; their unit is FLOP (int8: integer
//! operations) per turn. Every lane of both factors is 1, so an accumulator counts the products added to it, which
//! checks the loop and the count of operations at once.
//!
//! **Source**: Intel SDM volume 2; AMD APM volumes 4 and 5.

use super::peak::{Lane, PeakKernel};
use core::arch::asm;

const FP64_ONES: u64 = 1.0_f64.to_bits();
const FP32_ONES: u64 = 0x3f80_0000_3f80_0000;
const BF16_ONES: u64 = 0x3f80_3f80_3f80_3f80;
const FP16_ONES: u64 = 0x3c00_3c00_3c00_3c00;
const INT8_ONES: u64 = 0x0101_0101_0101_0101;

/// 24 accumulators in zmm0 to zmm23, both factors in zmm30.
macro_rules! chains_avx512 {
    ($kernel:ident, $run:ident, $instruction:literal, $text:literal, $ones:ident, $lane:ident, $lanes:literal, $products:literal) => {
        pub(super) const $kernel: PeakKernel = PeakKernel {
            method: concat!("independent ", $text, " chains, AVX-512 ", $instruction),
            flops_per_turn: 24 * $lanes * $products * 2,
            products_per_lane: $products,
            lane: Lane::$lane,
            turns_per_run: 4096,
            run: $run,
        };

        unsafe fn $run(turns: u64) -> u64 {
            let first: u64;
            // SAFETY: the caller vouches for the instruction set; all vector registers are declared clobbered,
            // memory and stack are not touched.
            unsafe {
                asm!(
                    "vpbroadcastq zmm30, rax",
                    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
                    "vpxord zmm\\i, zmm\\i, zmm\\i",
                    ".endr",
                    "2:",
                    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
                    concat!($instruction, " zmm\\i, zmm30, zmm30"),
                    ".endr",
                    "dec rcx",
                    "jnz 2b",
                    "vmovq rax, xmm0",
                    "vzeroupper",
                    inout("rax") $ones => first,
                    inout("rcx") turns.max(1) => _,
                    clobber_abi("C"),
                    options(nomem, nostack),
                );
            }
            first
        }
    };
}

/// 12 accumulators in ymm0 to ymm11, both factors in ymm14.
macro_rules! chains_avx2 {
    ($kernel:ident, $run:ident, $prefix:literal, $instruction:literal, $text:literal, $ones:ident, $lane:ident, $lanes:literal, $products:literal) => {
        pub(super) const $kernel: PeakKernel = PeakKernel {
            method: concat!("independent ", $text, " chains, AVX2 ", $instruction),
            flops_per_turn: 12 * $lanes * $products * 2,
            products_per_lane: $products,
            lane: Lane::$lane,
            turns_per_run: 8192,
            run: $run,
        };

        unsafe fn $run(turns: u64) -> u64 {
            let first: u64;
            // SAFETY: the caller vouches for the instruction set; all vector registers are declared clobbered,
            // memory and stack are not touched.
            unsafe {
                asm!(
                    "vmovq xmm14, rax",
                    "vpbroadcastq ymm14, xmm14",
                    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11",
                    "vpxor ymm\\i, ymm\\i, ymm\\i",
                    ".endr",
                    "2:",
                    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11",
                    concat!($prefix, $instruction, " ymm\\i, ymm14, ymm14"),
                    ".endr",
                    "dec rcx",
                    "jnz 2b",
                    "vmovq rax, xmm0",
                    "vzeroupper",
                    inout("rax") $ones => first,
                    inout("rcx") turns.max(1) => _,
                    clobber_abi("C"),
                    options(nomem, nostack),
                );
            }
            first
        }
    };
}

/// 7 products in xmm0 to xmm6 and 7 sums in xmm7 to xmm13, factor and summand in xmm14: a multiplier and an adder
/// work side by side, so a product and a sum together count as one multiply-accumulate.
macro_rules! chains_sse2 {
    ($kernel:ident, $run:ident, $multiply:literal, $add:literal, $ones:ident, $lane:ident, $lanes:literal) => {
        pub(super) const $kernel: PeakKernel = PeakKernel {
            method: concat!("independent multiply and add chains, SSE2 ", $multiply, " and ", $add),
            flops_per_turn: 7 * $lanes * 2,
            products_per_lane: 1,
            lane: Lane::$lane,
            turns_per_run: 8192,
            run: $run,
        };

        unsafe fn $run(turns: u64) -> u64 {
            let first: u64;
            // SAFETY: SSE2 is part of x86-64; all vector registers are declared clobbered, memory and stack are
            // not touched.
            unsafe {
                asm!(
                    "movq xmm14, rax",
                    "punpcklqdq xmm14, xmm14",
                    ".irp i,0,1,2,3,4,5,6",
                    "movdqa xmm\\i, xmm14",
                    ".endr",
                    ".irp i,7,8,9,10,11,12,13",
                    "pxor xmm\\i, xmm\\i",
                    ".endr",
                    "2:",
                    ".irp i,0,1,2,3,4,5,6",
                    concat!($multiply, " xmm\\i, xmm14"),
                    ".endr",
                    ".irp i,7,8,9,10,11,12,13",
                    concat!($add, " xmm\\i, xmm14"),
                    ".endr",
                    "dec rcx",
                    "jnz 2b",
                    "movq rax, xmm7",
                    inout("rax") $ones => first,
                    inout("rcx") turns.max(1) => _,
                    clobber_abi("C"),
                    options(nomem, nostack),
                );
            }
            first
        }
    };
}

chains_avx512!(FP64_AVX512, fp64_avx512, "vfmadd231pd", "FMA", FP64_ONES, F64, 8, 1);
chains_avx512!(FP32_AVX512, fp32_avx512, "vfmadd231ps", "FMA", FP32_ONES, F32, 16, 1);
chains_avx512!(FP16_AVX512, fp16_avx512, "vfmadd231ph", "FMA", FP16_ONES, F16, 32, 1);
chains_avx512!(BF16_AVX512, bf16_avx512, "vdpbf16ps", "dot-product", BF16_ONES, F32, 16, 2);
chains_avx512!(INT8_AVX512, int8_avx512, "vpdpbusd", "dot-product", INT8_ONES, I32, 16, 4);
chains_avx2!(FP64_AVX2, fp64_avx2, "", "vfmadd231pd", "FMA", FP64_ONES, F64, 4, 1);
chains_avx2!(FP32_AVX2, fp32_avx2, "", "vfmadd231ps", "FMA", FP32_ONES, F32, 8, 1);
// The prefix asks for the encoding of AVX-VNNI; without it the assembler takes that of AVX-512.
chains_avx2!(INT8_AVX, int8_avx, "{{vex}} ", "vpdpbusd", "dot-product", INT8_ONES, I32, 8, 4);
chains_sse2!(FP64_SSE2, fp64_sse2, "mulpd", "addpd", FP64_ONES, F64, 2);
chains_sse2!(FP32_SSE2, fp32_sse2, "mulps", "addps", FP32_ONES, F32, 4);
