//! Calls of nests, tilings, the mappers of neural and dataflow processors, reconfigurable arrays and microcontrollers, and of estimates
//! by a mapper.

use derate_core::Error;
use derate_core::estimate::{
    Energy, Memo, Target, estimate_mapped, homes, mapped_kernels, mapping_of, task_estimate, task_of,
};
use derate_core::fusion::Fused;
use derate_core::hardware::Hardware;
use derate_core::mapper::cgra::Cgra;
use derate_core::mapper::dpu::Dpu;
use derate_core::mapper::lanes::{Lanes, Rates};
use derate_core::mapper::mcu::Mcu;
use derate_core::mapper::npu::Npu;
use derate_core::mapper::roofline::passing;
use derate_core::mapper::{Any, Roofline};
use derate_core::mapping::{Loss, Lost, Machine, Mapper, Mapping, whole_cycles};
use derate_core::nest::{
    AttentionLoops, ConvLoops, Dim, ElementSizes, Homes, LoopNest, Loops, Operand, Stream, Task, Traffic,
};
use derate_core::shape::Precision;
use derate_core::tile::{Buffer, TileLoop, any_order_bound, lower_bound, tile};
use derate_core::units::{Bytes, Flops, Hertz, Joules, Macs, Seconds};
use derate_core::work::{Gemm, Work};

use crate::{keep, opaque};

/// Loops of each kind, about whose extents nothing is known.
fn loops() -> [Loops; 3] {
    let axes = opaque([1_u64; 3]);
    let conv = ConvLoops {
        batch: 1,
        groups: 1,
        c_in: 1,
        c_out: 1,
        input: axes,
        output: axes,
        kernel: axes,
        stride: axes,
        dilation: axes,
        padding: axes,
    };
    keep(opaque(conv).touched());
    let gemm = Gemm { m: 1, n: 1, k: 1, groups: 1 };
    let attention = AttentionLoops { groups: 1, m: 1, n: 1, d: 1, d_v: 1 };
    [Loops::Gemm(gemm), Loops::Conv(conv), Loops::Attention(attention)].map(opaque)
}

/// Nests, their traffic, tiles and bounds.
pub(crate) fn nests() -> Result<(), Error> {
    keep((opaque(Dim::M).name(), opaque(Operand::A).name()));
    let sizes = ElementSizes::all(opaque(1));
    let buffer = Buffer { capacity: Bytes(1), double_buffered: false };
    let buffers = opaque([buffer; 3]);
    keep(opaque(TileLoop { dim: Dim::M, tile: 1, extent: 1 }).trips());
    for loops in loops() {
        let nest = opaque(LoopNest::new(loops, sizes));
        keep((nest.macs(), Traffic::compulsory(&nest).map(|traffic| traffic.total())));
        keep((tile(&nest, opaque(&buffers[..])), lower_bound(&nest, opaque(Bytes(1)))));
        keep(any_order_bound(&nest, opaque(Bytes(1))));
        keep(Task::product(nest, opaque(Precision::Int8)).map(|task| task.at(opaque(Homes::COLD))));
    }
    keep((whole_cycles(opaque(1.0)), Mapping::idle(), Lost { loss: opaque(Loss::Waves), left: 1.0 }));
    Ok(())
}

/// Any of the mappers of this file: which, and of what geometry, is not known.
fn mappers() -> [Any; 5] {
    let lanes = opaque(Lanes { rows: 1, columns: 1, c_in: 1, taps: 1, c_out: 1, share: 1.0 });
    let npu = Npu {
        dense: lanes,
        depthwise: opaque(Some(lanes)),
        weights_per_cycle: opaque(Some(1.0)),
        accumulators: opaque(Some(1)),
        output: opaque(Some(1.0)),
        rates: opaque(Rates { elementwise: 1.0, window: 1.0 }),
        stored_weights: 1.0,
        setup_cycles: 1,
    };
    let dpu = Dpu { pixels: 1, c_in: 1, c_out: 1, alu_pixels: 1, setup_cycles: 1 };
    let cgra = Cgra { rows: 1, columns: 1, initiation_interval: 1, pipeline_cycles: 1, reconfiguration_cycles: 1 };
    let mcu = Mcu {
        macs_per_instruction: 1,
        mac_cycles: 1.0,
        issue_width: 1,
        bus_bytes: 4,
        load_cycles: 1.0,
        branch_cycles: 1.0,
        pointer_cycles: 1.0,
        registers: 1,
        requantize_cycles: 1.0,
        fp32_mac_cycles: 1.0,
        overlapped: false,
    };
    let roofline = Any::Roofline(Roofline);
    [Any::Npu(opaque(npu)), Any::Dpu(opaque(dpu)), Any::Cgra(opaque(cgra)), Any::Mcu(opaque(mcu)), roofline].map(opaque)
}

/// Maps products and a stream to a device, by each mapper.
pub(crate) fn machines(hardware: &Hardware<'_>) -> Result<(), Error> {
    let [profile, ..] = hardware.thermal_profiles() else { return Err(Error::NoThermalProfile) };
    let machine = Machine::new(hardware, profile, opaque(Precision::Int8))?;
    let machine = &opaque(machine.at_clock(opaque(Some(Hertz::new(opaque(1e9))?)))?);
    keep((machine.tile_utilization(), machine.least_cycles(opaque(Macs(1)))));
    for unit in hardware.compute() {
        keep(hardware.clock(unit, opaque(None)));
    }
    keep((
        homes(hardware, opaque(Bytes(1)), opaque(Bytes(1))),
        passing(machine, opaque(Homes::COLD), opaque(Traffic::default()), opaque(true)),
    ));
    let (read, weights, written) = (opaque(Bytes(1)), opaque(Bytes(1)), opaque(Bytes(1)));
    let stream = opaque(Stream { read, weights, written, flops: Flops(1), elements: 1, homes: Homes::COLD });
    keep(stream.is_empty());
    for mapper in &mappers() {
        keep(mapper.stream(&stream, machine));
        for loops in loops() {
            let nest = opaque(LoopNest::new(loops, ElementSizes::all(opaque(1))));
            keep(mapper.product(&opaque(nest), machine));
        }
    }
    Ok(())
}

/// Estimates of a fused graph by a mapper.
pub(crate) fn kernels(fused: Fused<'_>, target: &Target<'_>) -> Result<(), Error> {
    let mut memos = [Memo::EMPTY; 2];
    let mapper = &opaque(Any::Roofline(Roofline));
    keep(estimate_mapped(fused, target, mapper, opaque(&mut memos[..])));
    for kernel in mapped_kernels(fused, target, mapper, opaque(&mut memos[..]))? {
        keep(kernel.map(|kernel| kernel.energy));
    }
    for kernel in fused.kernels() {
        let task = opaque(task_of(fused, &kernel, opaque(Bytes(1)), target)?);
        keep((task_estimate(&task, target, mapper, opaque(&mut memos[..])), mapping_of(&task, target, mapper)));
        keep(Task::of(fused.graph(), &kernel, opaque(Precision::Int8)));
    }
    for node in fused.graph().nodes() {
        let work: Work = fused.graph().work(node)?;
        keep(Task::op(fused.graph(), node, work, opaque(Precision::Int8)));
    }
    let energy = opaque(Energy { compute: Joules(1.0), memory: Joules(1.0), idle: Joules(1.0) });
    keep((energy.total(), energy.delay_product(opaque(Seconds(1.0)))));
    Ok(())
}
