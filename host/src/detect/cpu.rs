//! Identity of the CPU (vendor, model, family, stepping), its vector instruction sets, and whether a hypervisor
//! stands between.
//!
//! **Source**: the CPUID instruction (Intel SDM volume 2A, "CPUID"; AMD APM volume 3, appendix E) through the
//! `raw-cpuid` crate on x86-64; `/proc/cpuinfo` elsewhere. Instruction sets count only if the operating system
//! saves their registers (XCR0), which the standard library's feature detection checks.

use std::path::Path;

use super::topology::read_text;

/// Who made the CPU and which one it is. A field is `None` where the machine does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Vendor, for example `AuthenticAMD` or `GenuineIntel`.
    pub vendor: Option<String>,
    /// Marketing name, for example `AMD EPYC 9B45`; hypervisors often shorten it.
    pub model_name: Option<String>,
    /// CPU family, extended family included (x86 only).
    pub family: Option<u32>,
    /// CPU model, extended model included (x86 only).
    pub model: Option<u32>,
    /// Stepping (x86 only).
    pub stepping: Option<u32>,
    /// Name of the hypervisor, `unnamed` if it hides its name, `None` on bare metal or where nothing says.
    pub hypervisor: Option<String>,
}

/// Widest vector instructions that both CPU and operating system support and the kernels here use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimdLevel {
    /// 512-bit vectors (AVX-512F), fused multiply-add.
    Avx512,
    /// 256-bit vectors (AVX2 and FMA3).
    Avx2Fma,
    /// 128-bit vectors (SSE2), separate multiply and add. CPUs with AVX but no FMA3 count here.
    Sse2,
    /// Whatever the compiler makes of plain loops: every architecture but x86-64.
    Portable,
}

impl SimdLevel {
    /// Vector width, in bits; `None` if it is the compiler's choice.
    #[must_use]
    pub fn width_bits(self) -> Option<u32> {
        match self {
            Self::Avx512 => Some(512),
            Self::Avx2Fma => Some(256),
            Self::Sse2 => Some(128),
            Self::Portable => None,
        }
    }
}

/// Vector and matrix instruction sets that matter for arithmetic peaks. All `false` outside x86-64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Isa {
    /// 128-bit vectors.
    pub sse2: bool,
    /// 256-bit integer and floating-point vectors together with fused multiply-add.
    pub avx2_fma: bool,
    /// 512-bit vectors.
    pub avx512f: bool,
    /// `vdpbf16ps`: bf16 pairs into fp32, 512-bit.
    pub avx512_bf16: bool,
    /// Native fp16 arithmetic, 512-bit.
    pub avx512_fp16: bool,
    /// `vpdpbusd`: int8 quadruples into int32, 512-bit.
    pub avx512_vnni: bool,
    /// `vpdpbusd`, 256-bit.
    pub avx_vnni: bool,
    /// Matrix tiles, bf16 into fp32.
    pub amx_bf16: bool,
    /// Matrix tiles, fp16 into fp32.
    pub amx_fp16: bool,
    /// Matrix tiles, int8 into int32.
    pub amx_int8: bool,
}

impl Isa {
    /// Widest vectors among the sets.
    #[must_use]
    pub fn simd_level(&self) -> SimdLevel {
        if self.avx512f {
            SimdLevel::Avx512
        } else if self.avx2_fma {
            SimdLevel::Avx2Fma
        } else if self.sse2 {
            SimdLevel::Sse2
        } else {
            SimdLevel::Portable
        }
    }

    /// The sets of this machine.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn of_this_cpu() -> Self {
        use std::arch::is_x86_feature_detected as has;
        let extended = raw_cpuid::CpuId::new().get_extended_feature_info();
        // The tiles' registers are saved if XCR0 has bits 17 and 18 (Intel SDM volume 1, chapter 13); the
        // permission to use them is asked for when they are.
        let tiles = has!("avx512f") && extended.as_ref().is_some_and(raw_cpuid::ExtendedFeatures::has_amx_tile) && {
            // SAFETY: AVX-512F detected implies OSXSAVE, which XGETBV needs.
            let xcr0 = unsafe { xcr0() };
            xcr0 & (0b11 << 17) == 0b11 << 17
        };
        Self {
            sse2: has!("sse2"),
            avx2_fma: has!("avx2") && has!("fma"),
            avx512f: has!("avx512f"),
            avx512_bf16: has!("avx512bf16"),
            avx512_fp16: has!("avx512fp16"),
            avx512_vnni: has!("avx512vnni"),
            avx_vnni: has!("avxvnni"),
            amx_bf16: tiles && extended.as_ref().is_some_and(raw_cpuid::ExtendedFeatures::has_amx_bf16),
            // Leaf 7, sub-leaf 1, EAX bit 21.
            amx_fp16: tiles && core::arch::x86_64::__cpuid_count(7, 1).eax & (1 << 21) != 0,
            amx_int8: tiles && extended.as_ref().is_some_and(raw_cpuid::ExtendedFeatures::has_amx_int8),
        }
    }

    /// The sets of this machine: none of the x86 ones.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn of_this_cpu() -> Self {
        Self::default()
    }
}

/// Extended control register 0: which register states the operating system saves.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "xsave")]
fn xcr0() -> u64 {
    // SAFETY: register 0 exists wherever XSAVE is enabled, which the caller has made sure of.
    unsafe { core::arch::x86_64::_xgetbv(0) }
}

impl Identity {
    /// Identity of this machine; `root` is the folder that holds `proc`.
    pub(super) fn of_this_cpu(root: &Path) -> Self {
        let from_proc = Self::from_cpuinfo(&read_text(&root.join("proc/cpuinfo")).unwrap_or_default());
        Self::from_cpuid().unwrap_or(from_proc)
    }

    #[cfg(target_arch = "x86_64")]
    fn from_cpuid() -> Option<Self> {
        let cpuid = raw_cpuid::CpuId::new();
        let features = cpuid.get_feature_info()?;
        Some(Self {
            vendor: cpuid.get_vendor_info().map(|vendor| vendor.as_str().to_owned()),
            model_name: cpuid.get_processor_brand_string().map(|name| name.as_str().trim().to_owned()),
            family: Some(features.family_id().into()),
            model: Some(features.model_id().into()),
            stepping: Some(features.stepping_id().into()),
            hypervisor: features.has_hypervisor().then(|| {
                cpuid
                    .get_hypervisor_info()
                    .map_or_else(|| "unnamed".to_owned(), |info| format!("{:?}", info.identify()))
            }),
        })
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn from_cpuid() -> Option<Self> {
        None
    }

    /// Identity from the text of `/proc/cpuinfo`, first processor; on Arm the vendor is the implementer's code.
    fn from_cpuinfo(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let number = |key: &str| value(key)?.parse().ok();
        let has_hypervisor =
            value("flags").is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
        Self {
            vendor: value("vendor_id").or_else(|| value("CPU implementer")),
            model_name: value("model name").or_else(|| value("Model")).or_else(|| value("Hardware")),
            family: number("cpu family"),
            model: number("model"),
            stepping: number("stepping"),
            hypervisor: has_hypervisor.then(|| "unnamed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpuinfo_of_an_x86_guest() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\n\
                    model name\t: AMD EPYC\nstepping\t: 1\nflags\t\t: fpu hypervisor avx2\n\nprocessor\t: 1\nmodel : 9\n";
        let got = Identity::from_cpuinfo(text);
        assert_eq!((got.family, got.model, got.stepping), (Some(26), Some(2), Some(1)));
        assert_eq!(got.vendor.as_deref(), Some("AuthenticAMD"));
        assert_eq!(got.model_name.as_deref(), Some("AMD EPYC"));
        assert_eq!(got.hypervisor.as_deref(), Some("unnamed"));
    }

    #[test]
    fn cpuinfo_of_an_arm_board_and_an_empty_one() {
        let got = Identity::from_cpuinfo("processor : 0\nCPU implementer : 0x41\nModel : Raspberry Pi 4\n");
        assert_eq!(got.vendor.as_deref(), Some("0x41"));
        assert_eq!(got.model_name.as_deref(), Some("Raspberry Pi 4"));
        assert_eq!((got.family, got.hypervisor), (None, None));
        assert_eq!(Identity::from_cpuinfo("garbage\n:\n"), Identity::default());
    }

    #[test]
    fn the_widest_vectors_win() {
        let mut isa = Isa { sse2: true, ..Isa::default() };
        assert_eq!(isa.simd_level().width_bits(), Some(128));
        isa.avx2_fma = true;
        assert_eq!(isa.simd_level().width_bits(), Some(256));
        isa.avx512f = true;
        assert_eq!(isa.simd_level().width_bits(), Some(512));
        assert_eq!(Isa::default().simd_level().width_bits(), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn this_cpu_has_a_name_and_the_baseline() {
        assert!(Isa::of_this_cpu().sse2);
        assert!(Identity::of_this_cpu(Path::new("/")).vendor.is_some());
    }
}
