//! Graphics processors: thread-block tiles over multiprocessors in waves, matrix instructions inside, caches around.
//!
//! A product is cut into tiles of C, one for a thread block, which multiprocessors take one after the other. Each block goes
//! along k in slices that it loads into shared memory, the next slice while it multiplies this one. Blocks compute whole tiles
//! of whole instructions, whatever part of them lies in C. Several blocks share a multiprocessor where its shared memory,
//! registers and threads allow. Where tiles are few and k is long, blocks take parts of k, whose sums are added at the end.
//! Of all tiles, in all numbers of parts, with matrix instructions and without, the plan of least time is taken: arithmetic and
//! bytes of every level together. Matrix–vector products also run on the vector lanes, where nothing is padded to instructions.
//!
//! Convolutions are implicit matrix products. An attention is one kernel: a block has the rows of some queries and goes along
//! keys and values, the scores in registers; where heads are too deep for that, or it is faster, two kernels with the scores in the
//! cache between them. Depthwise convolutions and streams run on the vector lanes, one thread an output, and are bound by bandwidth
//! or, where there are fewer outputs than threads, by the latency that those threads would cover.
//!
//! Leaves out clusters of multiprocessors, sparsity, and instructions beside multiplies.
//!
//! **Source**: NVIDIA, "CUTLASS: Efficient GEMM in CUDA" (hierarchy, pipelining with two buffers, split-K); NVIDIA, "Matrix
//! Multiplication Background User's Guide", DU-09799-001, chapter 3 (tile and wave quantization); Dao, "FlashAttention-2", 2023
//! (blocks of queries, also parts of the keys).

mod blocks;
mod fastest;
mod vector;

use crate::error::Error;
use crate::mapper::cpu::implicit;
use crate::mapper::levels::{Levels, of, streamed};
use crate::mapper::losses::{Losses, filled, floor, parts, whole};
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{AttentionLoops, ConvLoops, LoopNest, Loops, Stream, Traffic};
use crate::shape::{Precision, product};
use crate::units::{Bytes, Cycles, Seconds, to_f32};
use crate::work::Gemm;
use blocks::Multiprocessor;
use fastest::{Chosen, Fastest, Front, Sink as _};

/// Threads that execute an instruction together.
///
/// **Source**: CUDA C++ Programming Guide, "SIMT Architecture".
const WARP: u64 = 32;

/// Parts of a multiprocessor, each with its own scheduler, lanes and matrix unit: a warp keeps one of them busy.
///
/// **Source**: NVIDIA's white papers on the architectures Volta to Hopper: four processing blocks in each SM.
const PARTITIONS: u64 = 4;

/// A multiprocessor, and what it takes to start a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gpu {
    /// Rows, columns and depth of a matrix instruction, each at least 1; 1 × 1 × 1 where the units have none.
    pub matrix: [u32; 3],
    /// Threads that a multiprocessor holds at once, at least 32.
    pub threads: u32,
    /// Registers of a multiprocessor.
    pub registers: Bytes,
    /// Time from the launch of a kernel until its first instruction, beside what the runtime's dispatch takes.
    pub launch: Seconds,
}

impl Gpu {
    /// The fastest plan of a nest by thread blocks; none where no tile fits.
    fn planned<'a>(&self, nest: &'a LoopNest, machine: &'a Machine<'a>) -> Result<Fastest<'a>, Error> {
        let sizes = nest.sizes;
        let unit = Multiprocessor::of(self, machine);
        let mut best = Fastest::of(nest, self, machine)?;
        for unit in unit.kinds() {
            match nest.loops {
                Loops::Gemm(gemm) => unit.product(gemm, sizes, &mut best)?,
                Loops::Conv(conv) => unit.product(implicit(&conv)?, sizes, &mut best)?,
                Loops::Attention(attention) => unit.attention(attention, sizes, &mut best)?,
            }
        }
        match nest.loops {
            Loops::Gemm(gemm) => unit.vectors(gemm, sizes, &mut best)?,
            Loops::Attention(AttentionLoops { groups, m, n, d, d_v }) => {
                // Two kernels, the scores between them in the cache outside the multiprocessors.
                let [mut scores, mut values] = [Front::default(), Front::default()];
                for unit in unit.kinds() {
                    unit.product(Gemm { m, n, k: d, groups }, sizes, &mut scores)?;
                    unit.product(Gemm { m, n: d_v, k: n, groups }, sizes, &mut values)?;
                }
                for first in &scores.plans {
                    values.plans.iter().try_for_each(|second| best.see(first.then(second)?))?;
                }
            }
            Loops::Conv(_) => {}
        }
        Ok(best)
    }

    /// A convolution of one input channel a group, on the vector lanes.
    ///
    /// ```text
    /// cycles = max(⌈⌈MACs / multiprocessors⌉ / lanes⌉, taps · threads / lanes)
    /// ```
    fn depthwise(&self, nest: &LoopNest, conv: &ConvLoops, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let taps = product(conv.kernel)?;
        let macs = nest.macs()?;
        let once = macs.0.checked_div(nest.repeats).unwrap_or(0);
        let cycles = product([self.lanes_for(once, taps, machine), nest.repeats])?;
        let least = Traffic::compulsory(nest)?;
        // Each thread loads its inputs; the weight of a channel is one load of a warp.
        let served = Traffic {
            a: Bytes(product([macs.0, nest.sizes.a])?).max(least.a),
            b: Bytes(product([parts(macs.0, WARP), nest.sizes.b])?).max(least.b),
            c: least.c,
        };
        let levels = Levels::of(nest, machine, 0);
        let levels = levels.as_ref().map_err(|error| *error)?;
        let crossing = levels.crossing(&[served])?;
        let all = to_f32(u64::from(machine.unit.count)) * to_f32(self.lanes(machine));
        let losses = Losses::from(machine.least_cycles(macs))
            .then(Loss::Emulation, macs.as_f32() / all)
            .then(Loss::Latency, to_f32(cycles));
        filled(|mapping| {
            levels.moved(&crossing, 1.0, mapping)?;
            mapping.compute_cycles = Cycles(cycles);
            losses.finish(mapping);
            Ok(())
        })
    }

    /// Scalar operations that a multiprocessor starts in a cycle: one a lane.
    ///
    /// Where the device has several units, those of least fp32 MACs a cycle; at most a warp for each partition.
    fn lanes(&self, machine: &Machine<'_>) -> u64 {
        let rate = |unit: &crate::hardware::ComputeUnit<'_>| Some(unit.macs_per_cycle.at(Precision::Fp32)?.get());
        let fp32 = machine.hardware.compute().iter().filter_map(rate).min_by(f32::total_cmp);
        let lanes = fp32.unwrap_or(f32::INFINITY).min(machine.macs_per_cycle.get());
        let most = WARP.saturating_mul(PARTITIONS);
        floor(lanes).clamp(1, most)
    }

    /// Cycles of so many scalar operations, so many of them one after the other in a thread.
    ///
    /// A multiprocessor holds as many threads as cover the latency of its instructions: an operation of fewer threads takes as
    /// long as one of all of them.
    fn lanes_for(&self, operations: u64, in_a_row: u64, machine: &Machine<'_>) -> u64 {
        if operations == 0 {
            return 0;
        }
        let lanes = self.lanes(machine);
        let busy = parts(parts(operations, u64::from(machine.unit.count)), lanes);
        busy.max(in_a_row.saturating_mul(parts(u64::from(self.threads), lanes)))
    }
}

impl Mapper for Gpu {
    fn launch(&self) -> Seconds {
        self.launch
    }

    /// Cycles of the multiprocessor with the most blocks, and bytes at each level.
    ///
    /// ```text
    /// blocks  = ⌈m / b_m⌉ · ⌈n / b_n⌉ · groups · parts of k          waves = ⌈blocks / multiprocessors⌉
    /// slice   = b_m · b_n · b_k / macs_per_cycle                    loads = fragments of a slice / 128 bytes
    /// cycles  = k / parts / b_k · waves · max(slice · idle, loads) + (first slices of all blocks + parts added) / bytes a cycle
    /// idle    = max(1, 4 / (warps of the resident blocks))
    /// bytes(0) = A · ⌈n / b_n⌉ · warps along n + B · ⌈m / b_m⌉ · warps along m + C
    /// bytes(1) = A · ⌈n / b_n⌉ + B · ⌈m / b_m⌉ + C + 2 · parts added          outer levels by tilings
    /// ```
    /// Level 0 is shared memory, level 1 what lies outside the multiprocessors.
    /// **Valid for** any extents.
    ///
    /// # Errors
    /// [`Error::Infeasible`] where shared memory or registers hold not even the smallest tile twice.
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        if let Loops::Conv(conv) = &nest.loops
            && conv.c_in == 1
        {
            return self.depthwise(nest, conv, machine);
        }
        let best = self.planned(nest, machine)?;
        let Chosen { plan, crossing, traffic, .. } = best.chosen.ok_or(Error::Infeasible { level: 0 })?;
        let inner = of(machine).len() > 1;
        let peak = to_f32(u64::from(machine.unit.count)) * machine.macs_per_cycle.get();
        let compute_cycles = whole(plan.cycles)?;
        // Single elements on the lanes are not padded.
        let padded = plan.padded / peak;
        let scalar = plan.emulated > padded * 1.0001;
        let (padding, padded) = if scalar { (Loss::Emulation, plan.emulated) } else { (Loss::Padding, padded) };
        let losses = Losses::from(machine.least_cycles(nest.macs()?))
            .then(Loss::EdgeTiles, plan.edge / peak)
            .then(padding, padded)
            .then(Loss::Waves, plan.waves)
            .then(Loss::Latency, plan.idle)
            .then(Loss::Issue, plan.loaded)
            .then(Loss::FillDrain, compute_cycles.as_f32());
        filled(|mapping| {
            best.levels.occupied(&crossing, 1.0, mapping)?;
            if let Some(shared) = mapping.footprint.first_mut().filter(|_| inner) {
                *shared = plan.shared;
            }
            mapping.compute_cycles = compute_cycles;
            mapping.traffic = traffic;
            // The first kernel is that of the task.
            mapping.setup = self.launch * to_f32(plan.kernels.saturating_sub(1));
            losses.finish(mapping);
            Ok(())
        })
    }

    /// FLOPs over the vector lanes, one thread an element read or written, whichever are more; each byte once, up to its home.
    ///
    /// ```text
    /// cycles = max(⌈⌈FLOPs / multiprocessors⌉ / lanes⌉, ⌈FLOPs / elements⌉ · threads / lanes)
    /// ```
    /// The utilization is of one FLOP a lane and cycle.
    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let size = machine.precision.data_type().size().0;
        let elements = stream.elements.max(stream.read.0.checked_div(size).unwrap_or(0)).max(1);
        let cycles = self.lanes_for(stream.flops.0, parts(stream.flops.0, elements), machine);
        let all = to_f32(u64::from(machine.unit.count)) * to_f32(self.lanes(machine));
        filled(|mapping| {
            mapping.compute_cycles = Cycles(cycles);
            mapping.traffic = streamed(stream, machine)?;
            Losses::from(stream.flops.as_f32() / all).then(Loss::Latency, to_f32(cycles)).finish(mapping);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
