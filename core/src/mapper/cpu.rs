//! Processor cores with vector units and caches: register tiles over lanes and cores, cache tiles around them.
//!
//! A product is cut into register tiles of rows × vectors, as BLIS does: sums stay in registers, and each step along k loads one
//! element of A a row and one vector of B a column of the tile. Three things bound the steps of a tile: its multiply-adds over
//! the ports, its loads over as many load ports, and the latency of an instruction where the tile has fewer independent sums
//! than cover it. Of all tiles that the registers hold, with vectors along columns, rows or the sum, the one of least cycles
//! is taken, as libraries that generate kernels for a shape do; the shape of the paper's tile follows where the product is
//! large. Tiles are dealt to the cores.
//!
//! Convolutions are implicit matrix products of all positions × output channels × taps of all input channels, group by group;
//! where a group has one input channel, vectors may run along channels or along the columns of the image. The two products of
//! an attention follow each other; the scores between them lie in the innermost level. A matrix–vector product has no reuse in
//! registers: each of its multiply-adds loads its weights, which shows as loads on the ports and as bytes that the innermost
//! level serves; a bandwidth of that level below the ports' shows in the time of those bytes, not in cycles.
//!
//! Leaves out what instructions beside multiply-adds and loads cost (packing, address arithmetic), matrix registers (AMX, SME),
//! and two threads on one core.
//!
//! **Source**: Low, Igual, Smith, Quintana-Ortí, "Analytical Modeling Is Enough for High-Performance BLIS", ACM TOMS 43(2),
//! 2016: a register tile hides the latency where its rows × columns ≥ lanes · latency · ports. As many loads as
//! multiply-adds a cycle: Intel 64 and IA-32 Architectures Optimization Reference Manual, ports of Haswell and later.

mod registers;

use crate::error::Error;
use crate::mapper::levels::{Levels, streamed};
use crate::mapper::losses::{Steps, parts, whole};
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{ConvLoops, LoopNest, Loops, Stream, Traffic};
use crate::shape::product;
use crate::tile::MAX_LEVELS;
use crate::units::{Bytes, Cycles, Seconds, to_f32};
use crate::work::Gemm;
use registers::{Core, Product, Tiled};

/// The vector unit of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cpu {
    /// Bytes of a vector register, at least 1: 64 with AVX-512, 32 with AVX2, 16 with NEON.
    pub vector_bytes: u32,
    /// Fused multiply-adds of whole vectors that a core starts in a cycle, at least 1.
    pub fma_ports: u32,
    /// Cycles from the start of a multiply-add until its sum can be added to, at least 1.
    pub fma_latency_cycles: u32,
    /// Vector registers, 3 (one sum, one vector of each operand) to 256.
    pub vector_registers: u32,
}

impl Cpu {
    /// A product by the register tiles that take the least cycles, and the bytes between registers and the innermost level.
    fn tiled(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<(Core, Tiled), Error> {
        let core = Core::of(self, nest.sizes.partial, machine);
        let sizes = nest.sizes;
        let mut tiled = match nest.loops {
            Loops::Gemm(gemm) => core.best(&Product::of(gemm, sizes))?,
            Loops::Conv(conv) => {
                let gemm = implicit(&conv)?;
                let tiled = core.best(&Product::of(gemm, sizes))?;
                if conv.c_in == 1 { tiled.or_less(core.depthwise(&conv, sizes)?) } else { tiled }
            }
            Loops::Attention(attention) => {
                let (groups, m, n) = (attention.groups, attention.m, attention.n);
                let partial = sizes.partial;
                let scores = Gemm { m, n, k: attention.d, groups };
                let scores = core.best(&Product { c: partial, ..Product::of(scores, sizes) })?;
                let values = Gemm { m, n: attention.d_v, k: n, groups };
                let values = core.best(&Product { a: partial, ..Product::of(values, sizes) })?;
                Tiled {
                    local: scores.traffic.c.checked_add(values.traffic.a)?,
                    traffic: Traffic {
                        a: scores.traffic.a,
                        b: scores.traffic.b.checked_add(values.traffic.b)?,
                        c: values.traffic.c,
                    },
                    slots: scores.slots.and(&values.slots)?,
                }
            }
        };
        tiled.repeat(nest.repeats)?;
        Ok((core, tiled))
    }
}

/// A convolution as the matrix products of its groups: positions × output channels × taps of all input channels.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub(super) fn implicit(conv: &ConvLoops) -> Result<Gemm, Error> {
    Ok(Gemm {
        m: product([conv.batch, product(conv.output)?])?,
        n: conv.c_out,
        k: product([conv.c_in, product(conv.kernel)?])?,
        groups: conv.groups,
    })
}

impl Mapper for Cpu {
    /// Cycles of the busiest core, and bytes at each level.
    ///
    /// ```text
    /// step(r, v)   = max(r · v, r + v, latency · ports)                multiply-adds, loads, sums waited for, in slots of a port
    /// tile(r, v)   = steps along k · step                              the last tile of a row or column clipped to what is left
    /// core         = tiles dealt to the cores, the busiest of them     at least Σ tiles / cores, at least one tile
    /// cycles       = core · lanes · products a lane / macs_per_cycle
    /// bytes(0)     = A · ⌈n / n_r⌉ + B · ⌈m / m_r⌉ + C                 registers; outer levels by tilings
    /// ```
    /// **Valid for** any extents. A cache too small for any tile lets everything pass, so that nothing is infeasible.
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let (core, tiled) = self.tiled(nest, machine)?;
        let levels = Levels::of(nest, machine, 0)?;
        let crossing = levels.crossing(&[tiled.traffic])?;
        let mut moved = levels.moved(&crossing, 1.0)?;
        if let Some(innermost) = moved.traffic.first_mut() {
            *innermost = innermost.checked_add(tiled.local)?;
        }
        // Slots of all cores in cycles of all cores.
        let all = |slots: u64| to_f32(slots) * core.cycles_a_slot / to_f32(core.cores);
        let slots = &tiled.slots;
        let compute_cycles = whole(to_f32(slots.busiest) * core.cycles_a_slot)?;
        let (utilization, losses) = Steps::from(machine.least_cycles(nest.macs()?))
            .then(Loss::EdgeTiles, all(slots.multiply))
            .then(Loss::Issue, all(slots.issue))
            .then(Loss::Latency, all(slots.wait))
            .then(Loss::Waves, compute_cycles.as_f32())
            .finish();
        Ok(Mapping {
            compute_cycles,
            utilization,
            losses,
            traffic: moved.traffic,
            footprint: moved.footprint,
            tiling: moved.tiling,
            setup: Seconds::ZERO,
            overlapped: true,
        })
    }

    /// FLOPs over the lanes of all cores, the last vector of each partly filled; each byte once, up to its home.
    ///
    /// ```text
    /// cycles = ⌈⌈⌈FLOPs / lanes⌉ / cores⌉ / ports⌉          lanes = vector_bytes / bytes of an element
    /// ```
    /// The utilization is of one FLOP a lane and cycle.
    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let element = machine.precision.data_type().size().0.max(1);
        let lanes = u64::from(self.vector_bytes).checked_div(element).unwrap_or(1).max(1);
        let (cores, ports) = (u64::from(machine.unit.count).max(1), u64::from(self.fma_ports).max(1));
        let vectors = parts(stream.flops.0, lanes);
        let cycles = parts(parts(vectors, cores), ports);
        let at_once = to_f32(cores.saturating_mul(ports));
        let (utilization, losses) = Steps::from(stream.flops.as_f32() / (to_f32(lanes) * at_once))
            .then(Loss::EdgeTiles, to_f32(vectors) / at_once)
            .then(Loss::Waves, to_f32(cycles))
            .finish();
        Ok(Mapping {
            compute_cycles: Cycles(cycles),
            utilization,
            losses,
            traffic: streamed(stream, machine)?,
            footprint: [Bytes::ZERO; MAX_LEVELS],
            tiling: None,
            setup: Seconds::ZERO,
            overlapped: true,
        })
    }
}

#[cfg(test)]
mod tests;
