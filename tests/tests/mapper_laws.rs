//! Mappers obey the laws of mappers, on random kernels and devices, from their description alone.
//!
//! Those that tile obey them but for rare cases, in which their tilings of several levels, or of convolutions, are not near-optimal; what
//! holds of each without exception is in `mapper_*.rs`.

use derate_core::mapper::Roofline;
use derate_core::mapper::mcu::Mcu;
use derate_tests::mapper_laws::{Device, Excused, check, device};
use proptest::prelude::*;
use proptest::sample::select;

/// Random kernels on random devices, for each mapper; `DERATE_CASES` sets another number.
fn cases() -> u32 {
    std::env::var("DERATE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10_000)
}

/// A device whose units do so many MACs a cycle.
fn with_rate(mut device: Device, macs_per_cycle: u64) -> Device {
    device.macs_per_cycle = macs_per_cycle as f32;
    device
}

#[test]
fn roofline() {
    check(device().prop_map(|device| (device, Roofline)), cases(), Excused::Nothing);
}

#[test]
fn mcu() {
    let core = (select(vec![1_u32, 2, 4, 16]), 1_u32..=2, select(vec![4_u32, 8]), any::<bool>());
    let devices = (device(), core).prop_map(|(mut device, (macs, issue_width, bus_bytes, overlapped))| {
        device.count = 1;
        device.private = 0;
        let mapper = Mcu {
            macs_per_instruction: macs,
            mac_cycles: 1.0,
            issue_width,
            bus_bytes,
            load_cycles: 0.5,
            branch_cycles: 2.0,
            pointer_cycles: 0.0,
            registers: 13,
            requantize_cycles: 20.0,
            fp32_mac_cycles: 2.0,
            overlapped,
        };
        (with_rate(device, u64::from(macs * issue_width)), mapper)
    });
    check(devices, cases(), Excused::Narrower);
}
