//! Arithmetic peak per precision, in FLOP/s (for int8: integer operations per second; one multiply-accumulate
//! counts as two): independent chains of the widest multiply-accumulate instruction, held in registers.
//!
//! A chain is as slow as the instruction's latency, so as many run at once as registers allow: 24 with AVX-512, 12
//! with AVX2, at least latency × units of current cores (4 to 6 cycles, two units).
//! The x86-64 loops are assembly, so that a build without optimisation measures the same, and each is checked on
//! known numbers before it is timed. A precision without an instruction of its own is "no native unit", never a guess.
//!
//! **Source**: Intel SDM volume 2, `VFMADD231PS/PD/PH`, `VDPBF16PS`, `VPDPBUSD`; latencies from uops.info.

use super::cpu::Isa;
use super::os::Buffer;
use super::sampling::Work;

/// Number formats whose peak is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// IEEE 754 binary64.
    Fp64,
    /// IEEE 754 binary32.
    Fp32,
    /// bfloat16 products, summed in fp32.
    Bf16,
    /// IEEE 754 binary16.
    Fp16,
    /// 8-bit integer products, summed in 32-bit integers.
    Int8,
}

impl Precision {
    /// All of them, widest first.
    pub const ALL: [Self; 5] = [Self::Fp64, Self::Fp32, Self::Bf16, Self::Fp16, Self::Int8];

    /// Lower-case name: `fp64`, `fp32`, `bf16`, `fp16`, `int8`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp64 => "fp64",
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }
}

/// What the accumulators hold, to read a result back.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only the x86-64 kernels have all of them"))]
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane {
    F64,
    F32,
    F16,
    I32,
}

/// A loop of multiply-accumulates, each adding 1 · 1 to every accumulator lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeakKernel {
    /// Kernel, instruction set and instruction, for the `method` text.
    pub(super) method: &'static str,
    /// FLOP (or integer operations) of one turn of the loop.
    pub(super) flops_per_turn: u64,
    /// Products that one turn adds to one lane.
    pub(super) products_per_lane: u32,
    /// Type of a lane.
    pub(super) lane: Lane,
    /// Turns between two looks at the time.
    pub(super) turns_per_run: u64,
    /// Runs the loop; gives the first 64 bits of an accumulator. To be called only where the CPU supports it.
    pub(super) run: unsafe fn(turns: u64) -> u64,
}

/// What there is to measure for one precision.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "elsewhere native units are not examined"))]
#[derive(Debug, Clone, Copy)]
pub(super) enum Selection {
    Kernel(PeakKernel),
    NoNativeUnit,
    NotMeasured(&'static str),
}

impl PeakKernel {
    /// Whether 64 turns leave the sum they must: 64 times the products added to a lane.
    pub(super) fn computes_known_sum(&self) -> bool {
        // SAFETY: kernels are selected by the detected instruction sets only.
        let bits = unsafe { (self.run)(64) };
        let sum = match self.lane {
            Lane::F64 => f64::from_bits(bits),
            Lane::F32 => f64::from(f32::from_bits(bits as u32)),
            Lane::F16 => normal_half(bits as u16),
            Lane::I32 => f64::from(bits as i32),
        };
        sum == 64.0 * f64::from(self.products_per_lane)
    }
}

impl Work for PeakKernel {
    fn run(&mut self, _buffer: &mut Buffer) -> u64 {
        // SAFETY: kernels are selected by the detected instruction sets only.
        std::hint::black_box(unsafe { (self.run)(self.turns_per_run) });
        self.turns_per_run * self.flops_per_turn
    }
}

/// Value of a positive normal binary16 number: (1 + fraction / 1024) · 2^(exponent − 15).
fn normal_half(bits: u16) -> f64 {
    (1.0 + f64::from(bits & 0x3ff) / 1024.0) * f64::from(i32::from(bits >> 10) - 15).exp2()
}

/// Kernel for `precision` among the instruction sets in `isa`, which must be those of this CPU.
#[cfg(target_arch = "x86_64")]
pub(super) fn select(precision: Precision, isa: &Isa) -> Selection {
    use super::amx;
    use super::cpu::SimdLevel;
    use super::peak_x86 as kernels;
    let level = isa.simd_level();
    Selection::Kernel(match (precision, level) {
        (Precision::Fp64, SimdLevel::Avx512) => kernels::FP64_AVX512,
        (Precision::Fp64, SimdLevel::Avx2Fma) => kernels::FP64_AVX2,
        (Precision::Fp64, _) => kernels::FP64_SSE2,
        (Precision::Fp32, SimdLevel::Avx512) => kernels::FP32_AVX512,
        (Precision::Fp32, SimdLevel::Avx2Fma) => kernels::FP32_AVX2,
        (Precision::Fp32, _) => kernels::FP32_SSE2,
        (Precision::Bf16, _) if isa.amx_bf16 => return amx::select(amx::BF16),
        (Precision::Bf16, _) if isa.avx512_bf16 => kernels::BF16_AVX512,
        (Precision::Fp16, _) if isa.amx_fp16 => return amx::select(amx::FP16),
        (Precision::Fp16, _) if isa.avx512_fp16 => kernels::FP16_AVX512,
        (Precision::Int8, _) if isa.amx_int8 => return amx::select(amx::INT8),
        (Precision::Int8, _) if isa.avx512_vnni => kernels::INT8_AVX512,
        (Precision::Int8, _) if isa.avx_vnni => kernels::INT8_AVX,
        (Precision::Bf16 | Precision::Fp16 | Precision::Int8, _) => return Selection::NoNativeUnit,
    })
}

/// Portable loops for fp64 and fp32; whether this CPU has units for the rest is not examined.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn select(precision: Precision, _isa: &Isa) -> Selection {
    match precision {
        Precision::Fp64 => Selection::Kernel(portable::FP64),
        Precision::Fp32 => Selection::Kernel(portable::FP32),
        Precision::Bf16 | Precision::Fp16 | Precision::Int8 => {
            Selection::NotMeasured("there is no kernel for this precision on this architecture")
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod portable {
    //! Loops that the compiler vectorises: 64 (fp32) or 32 (fp64) independent accumulators, 16 vectors of 128 bits.

    use super::{Lane, PeakKernel};
    use std::hint::black_box;

    macro_rules! chains_portable {
        ($kernel:ident, $run:ident, $number:ty, $lane:ident, $n:literal) => {
            pub(super) const $kernel: PeakKernel = PeakKernel {
                method: "independent multiply-add chains, compiled loop",
                flops_per_turn: 2 * $n,
                products_per_lane: 1,
                lane: Lane::$lane,
                turns_per_run: 4096,
                run: $run,
            };

            unsafe fn $run(turns: u64) -> u64 {
                let one: $number = black_box(1.0);
                let mut sums = [0.0; $n];
                for _ in 0..turns.max(1) {
                    for sum in &mut sums {
                        *sum = one.mul_add(one, *sum);
                    }
                }
                let [first, ..] = black_box(sums);
                u64::from(first.to_bits())
            }
        };
    }

    chains_portable!(FP64, fp64, f64, F64, 32);
    chains_portable!(FP32, fp32, f32, F32, 64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_this_cpu_computes_its_sum() {
        let isa = Isa::of_this_cpu();
        for precision in Precision::ALL {
            if let Selection::Kernel(kernel) = select(precision, &isa) {
                assert!(kernel.computes_known_sum(), "{precision:?}: {}", kernel.method);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn narrower_kernels_compute_their_sums_too() {
        let isa = Isa::of_this_cpu();
        let baseline = Isa { sse2: true, ..Isa::default() };
        let avx2 = Isa { avx2_fma: isa.avx2_fma, avx_vnni: isa.avx_vnni, ..baseline };
        for (isa, precision) in [baseline, avx2].iter().flat_map(|isa| Precision::ALL.map(|p| (isa, p))) {
            if let Selection::Kernel(kernel) = select(precision, isa) {
                assert!(kernel.computes_known_sum(), "{precision:?}: {}", kernel.method);
            }
        }
        for precision in [Precision::Bf16, Precision::Fp16, Precision::Int8] {
            assert!(matches!(select(precision, &baseline), Selection::NoNativeUnit), "{precision:?}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn operations_of_one_turn() {
        use super::super::peak_x86 as kernels;
        // 24 registers · 16 lanes · 2; of bf16 pairs twice, of int8 quadruples four times as many.
        assert_eq!(kernels::FP32_AVX512.flops_per_turn, 768);
        assert_eq!(kernels::BF16_AVX512.flops_per_turn, 1536);
        assert_eq!(kernels::INT8_AVX512.flops_per_turn, 3072);
        assert_eq!(kernels::FP64_SSE2.flops_per_turn, 28);
    }

    #[test]
    fn halves() {
        assert_eq!(normal_half(0x3c00), 1.0);
        assert_eq!(normal_half(0x5400), 64.0);
        assert_eq!(normal_half(0x3e00), 1.5);
    }
}
