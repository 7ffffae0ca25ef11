//! Every mapper of core on random devices of its kind, for the laws of mappers.

use crate::mapper_laws::{Device, Excused, device, verdict};
use derate_core::mapper::Roofline;
use derate_core::mapper::cgra::Cgra;
use derate_core::mapper::cpu::Cpu;
use derate_core::mapper::dpu::Dpu;
use derate_core::mapper::gpu::Gpu;
use derate_core::mapper::lanes::{Lanes, Rates};
use derate_core::mapper::mcu::Mcu;
use derate_core::mapper::npu::Npu;
use derate_core::mapper::systolic::{Dataflow, Systolic};
use derate_core::mapper::tile_fabric::{Engines, TileFabric};
use derate_core::units::{Bytes, Seconds};
use proptest::prelude::*;
use proptest::sample::select;

/// A device whose units do so many MACs a cycle.
fn with_rate(mut device: Device, macs_per_cycle: u64) -> Device {
    device.macs_per_cycle = macs_per_cycle as f32;
    device
}

fn roofline(cases: u32) -> Result<(), String> {
    verdict(device().prop_map(|device| (device, Roofline)), cases, Excused::Nothing)
}

fn cpu(cases: u32) -> Result<(), String> {
    let cores = (device(), select(vec![16_u32, 32, 64]), 1_u32..=2, 3_u32..=5, select(vec![16_u32, 32]));
    let devices = cores.prop_map(|(device, vector_bytes, fma_ports, fma_latency_cycles, vector_registers)| {
        let mapper = Cpu { vector_bytes, fma_ports, fma_latency_cycles, vector_registers };
        (with_rate(device, u64::from(vector_bytes / 4 * fma_ports)), mapper)
    });
    verdict(devices, cases, Excused::Nothing)
}

fn gpu(cases: u32) -> Result<(), String> {
    let matrices = select(vec![[1_u32, 1, 1], [8, 8, 4], [16, 8, 16], [64, 8, 16]]);
    let devices = (device(), matrices, select(vec![1024_u32, 1536, 2048])).prop_map(|(mut device, matrix, threads)| {
        device.private = 1;
        // Sums lie in registers.
        device.held = 256 << 10;
        let mapper = Gpu { matrix, threads, registers: Bytes(256 << 10), launch: Seconds(2e-6) };
        (device, mapper)
    });
    verdict(devices, cases, Excused::Nothing)
}

fn systolic(cases: u32) -> Result<(), String> {
    let dataflow = select(vec![Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary]);
    let extent = || select(vec![4_u32, 8, 16, 32, 128]);
    let held = (1_u32..=2, select(vec![0_u32, 64, 1024]));
    let arrays = (extent(), extent(), dataflow, held);
    let devices = (device(), arrays).prop_map(|(device, (rows, columns, dataflow, (held_tiles, accumulators)))| {
        let mapper = Systolic { rows, columns, dataflow, held_tiles, accumulators, vector_lanes: columns };
        (with_rate(device, u64::from(rows * columns)), mapper)
    });
    verdict(devices, cases, Excused::Infeasible)
}

fn tile_fabric(cases: u32) -> Result<(), String> {
    let extent = || select(vec![8_u32, 16, 24, 32]);
    let engines = || (1_u32..=16, select(vec![16_u32, 32, 64, 128]));
    let engines = (engines(), engines(), engines());
    let devices = (device(), extent(), extent(), engines).prop_map(|(device, rows, columns, (streams, moves, dma))| {
        let of = |(count, bytes_per_cycle)| Engines { count, bytes_per_cycle };
        let mapper = TileFabric { rows, columns, streamers: of(streams), block_movers: of(moves), dma: of(dma) };
        (with_rate(device, u64::from(rows * columns)), mapper)
    });
    verdict(devices, cases, Excused::Infeasible)
}

fn npu(cases: u32) -> Result<(), String> {
    let lanes = (1_u64..=2, select(vec![1_u64, 2, 4]), select(vec![8_u64, 16, 32]), select(vec![8_u64, 16, 32]));
    let devices = (device(), lanes, any::<bool>()).prop_map(|(mut device, (rows, columns, c_in, c_out), decodes)| {
        let accumulators = rows * columns * c_out * 16;
        device.held = 4 * accumulators;
        let dense = Lanes { rows, columns, c_in, taps: 1, c_out, share: 1.0 };
        let mapper = Npu {
            dense,
            depthwise: Some(Lanes { c_in: 1, share: 1.0 / c_in as f32, ..dense }),
            weights_per_cycle: decodes.then_some(c_out as f32),
            accumulators: Some(accumulators),
            output: Some(c_out as f32 / 2.0),
            rates: Rates { elementwise: c_out as f32 / 4.0, window: c_out as f32 },
            stored_weights: 1.0,
            setup_cycles: 100,
        };
        (with_rate(device, rows * columns * c_in * c_out), mapper)
    });
    verdict(devices, cases, Excused::Nothing)
}

fn dpu(cases: u32) -> Result<(), String> {
    let lanes = (select(vec![4_u64, 8]), select(vec![8_u64, 12, 16]), select(vec![8_u64, 12, 16]));
    let devices = (device(), lanes).prop_map(|(device, (pixels, c_in, c_out))| {
        let mapper = Dpu { pixels, c_in, c_out, alu_pixels: pixels / 2, setup_cycles: 50 };
        (with_rate(device, pixels * c_in * c_out), mapper)
    });
    verdict(devices, cases, Excused::Nothing)
}

fn cgra(cases: u32) -> Result<(), String> {
    let array = (2_u64..=16, 2_u64..=16, 1_u64..=4, 5_u64..=40, 0_u64..=2000);
    let devices =
        (device(), array).prop_map(|(device, (rows, columns, ii, pipeline_cycles, reconfiguration_cycles))| {
            let mapper = Cgra { rows, columns, initiation_interval: ii, pipeline_cycles, reconfiguration_cycles };
            (with_rate(device, rows * columns), mapper)
        });
    verdict(devices, cases, Excused::Nothing)
}

fn mcu(cases: u32) -> Result<(), String> {
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
    verdict(devices, cases, Excused::Narrower)
}

/// A mapper by its name, put through the laws on so many cases: the verdict of [`crate::mapper_laws::verdict`].
pub type Verdict = fn(u32) -> Result<(), String>;

/// All mappers.
pub const MAPPERS: [(&str, Verdict); 9] = [
    ("roofline", roofline),
    ("cpu", cpu),
    ("gpu", gpu),
    ("systolic", systolic),
    ("tile_fabric", tile_fabric),
    ("npu", npu),
    ("dpu", dpu),
    ("cgra", cgra),
    ("mcu", mcu),
];
