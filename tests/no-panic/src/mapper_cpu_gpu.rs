//! Calls of the mappers of processors and graphics processors.

use derate_core::Error;
use derate_core::hardware::Hardware;
use derate_core::mapper::{cpu::Cpu, gpu::Gpu};
use derate_core::mapping::{Machine, Mapper};
use derate_core::nest::{AttentionLoops, ConvLoops, ElementSizes, Homes, LoopNest, Loops, Stream};
use derate_core::shape::Precision;
use derate_core::units::{Bytes, Flops, Seconds};
use derate_core::work::Gemm;

use crate::{keep, opaque};

/// Maps a product, a convolution, an attention and a stream to a device.
pub(crate) fn processors(hardware: &Hardware<'_>) -> Result<(), Error> {
    let [profile, ..] = hardware.thermal_profiles() else { return Err(Error::NoThermalProfile) };
    let machine = opaque(Machine::new(hardware, profile, opaque(Precision::Int8))?);
    let (read, weights, written) = (opaque(Bytes(1)), opaque(Bytes(1)), opaque(Bytes(1)));
    let stream = &opaque(Stream { read, weights, written, flops: Flops(1), elements: 1, homes: Homes::COLD });
    let cpu = opaque(Cpu { vector_bytes: 64, fma_ports: 2, fma_latency_cycles: 4, vector_registers: 32 });
    let registers = opaque(Bytes(1 << 18));
    let gpu = opaque(Gpu { matrix: [16, 8, 16], threads: 2048, registers, launch: Seconds::ZERO });
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
    for loops in [
        Loops::Gemm(Gemm { m: 1, n: 1, k: 1, groups: 1 }),
        Loops::Conv(conv),
        Loops::Attention(AttentionLoops { groups: 1, m: 1, n: 1, d: 1, d_v: 1 }),
    ] {
        let nest = &opaque(LoopNest::new(opaque(loops), ElementSizes::all(opaque(1))));
        keep((cpu.product(nest, &machine), gpu.product(nest, &machine)));
    }
    keep((cpu.stream(stream, &machine), gpu.stream(stream, &machine)));
    keep((cpu.launch(), gpu.launch()));
    Ok(())
}
