//! Processor cores with vector units and caches: register tiles over lanes and cores, cache tiles around them.
//!
//! A product is cut into register tiles of rows × vectors, as BLIS does: sums stay in registers, and each step along k loads one
//! element of A a row and one vector of B a column of the tile. Three things bound the steps of a tile: its multiply-adds over
//! the ports, its loads over as many load ports, and the latency of an instruction where the tile has fewer independent sums
//! than cover it. Of all tiles that the registers hold, with vectors along columns, rows or the sum, the one of least time
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

mod kernel;
mod registers;
mod ways;

use crate::error::Error;
use crate::mapper::levels::{Crossing, Levels, Limit, Pace, of, streamed};
use crate::mapper::losses::{Losses, filled, parts, whole};
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{ConvLoops, LoopNest, Loops, Stream, Traffic};
use crate::shape::product;
use crate::tile::MAX_LEVELS;
use crate::units::{Bytes, Cycles, Parts as _, to_f32};
use crate::work::Gemm;
use registers::{Core, Product};
use ways::{Tiled, Ways};

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
    /// The way, and the number of cores at work, that take least time, then fewest cycles, then fewest bytes.
    ///
    /// Fewer cores are faster than all where what each of them reads for itself takes longer than the arithmetic. What is there on
    /// a smaller device is there on a larger one too, and no slower.
    fn fastest(&self, nest: &LoopNest, levels: &Levels<'_>, machine: &Machine<'_>) -> Result<Option<Way>, Error> {
        let cores = u64::from(machine.unit.count).max(1);
        let mut search = Search {
            nest,
            levels,
            pace: Pace::of(machine),
            core: Core::of(self, nest.sizes.partial, cores, machine),
            best: None,
            least: 0.0,
            fewest_bytes: [Bytes::ZERO; MAX_LEVELS],
        };
        let (mut first, mut second) = (Ways::new(), Ways::new());
        // Slots of one core at least.
        let mut alone = 0_u64;
        for workers in (1..=cores).rev() {
            search.core.cores = workers;
            let fewer = workers < cores;
            if fewer && search.is_over(alone.in_parts_of(workers)) {
                break;
            }
            if workers.saturating_add(1) == cores {
                search.apart(&first, &second)?;
            }
            let least = search.least;
            if fewer
                && (search.is_over(alone.in_parts_of(workers))
                    || search.best.as_ref().is_some_and(|best| best.cost.0 <= least))
            {
                break;
            }
            let shares = shares(nest, workers, levels, machine)?;
            alone = search.ways(&shares, [&mut first, &mut second])?;
        }
        Ok(search.best)
    }
}

/// The search for the fastest way.
struct Search<'a, 'l> {
    nest: &'a LoopNest,
    levels: &'a Levels<'l>,
    pace: Pace,
    core: Core,
    best: Option<Way>,
    /// Time of the best way if no core read anything for itself: it is no less with fewer cores. 0 while it is not known.
    least: f32,
    /// Least bytes of each level then.
    fewest_bytes: [Bytes; MAX_LEVELS],
}

impl Search<'_, '_> {
    /// Cycles of so many slots of the busiest core.
    fn cycles(&self, slots: u64) -> f32 {
        to_f32(slots) * self.core.cycles_a_slot
    }

    /// Whether no way of so many slots is faster than the best.
    fn is_over(&self, slots: u64) -> bool {
        self.takes(slots, self.best.as_ref().map_or(f32::INFINITY, |best| best.cost.0))
    }

    /// Whether all ways of so many slots take at least this time.
    fn takes(&self, slots: u64, time: f32) -> bool {
        self.pace.busy(self.cycles(slots), &self.fewest_bytes) >= time
    }

    /// Slots on one core, and bytes at the innermost level, that take longer than the best way.
    fn limit(&self) -> Limit {
        let Some(best) = &self.best else { return Limit::NONE };
        let runs = to_f32(self.nest.repeats);
        let slot = self.cycles(1) * runs / to_f32(self.core.cores);
        self.pace.limit(best.cost.0, slot, runs)
    }

    /// Tries the ways to tile the nest for the cores at work; of an attention those of its first product with those of its second.
    /// The result is the slots that ways faster than the best take at least, on one core.
    fn ways(&mut self, shares: &Crossing, [first, second]: [&mut Ways; 2]) -> Result<u64, Error> {
        first.clear();
        second.clear();
        let before = self.best.as_ref().map_or(f32::INFINITY, |best| best.cost.0);
        let nest = self.nest;
        let sizes = nest.sizes;
        let core = self.core;
        let least = match nest.loops {
            Loops::Gemm(gemm) => self.product(&Product::of(gemm, sizes), shares, first)?,
            Loops::Conv(conv) => {
                let least = self.product(&Product::of(implicit(&conv)?, sizes), shares, first)?;
                if conv.c_in == 1 { least.min(core.depthwise(&conv, sizes, &self.limit(), first)?) } else { least }
            }
            Loops::Attention(attention) => {
                let (groups, m, n) = (attention.groups, attention.m, attention.n);
                let partial = sizes.partial;
                let scores = Product { c: partial, ..Product::of(Gemm { m, n, k: attention.d, groups }, sizes) };
                let values = Product { a: partial, ..Product::of(Gemm { m, n: attention.d_v, k: n, groups }, sizes) };
                core.first(&scores, &Limit::NONE, first)?;
                core.first(&values, &Limit::NONE, second)?;
                let least = core.ways(&scores, &Limit::NONE, first)?;
                least.saturating_add(core.ways(&values, &Limit::NONE, second)?)
            }
        };
        let fewest = |ways: &Ways| ways.iter().map(|way| way.slots.busiest).min();
        let two = matches!(nest.loops, Loops::Attention(_));
        let slots = fewest(first).unwrap_or(0).saturating_add(fewest(second).unwrap_or(0));
        // Of ways faster than those of more cores, one as fast as the best so far may move less.
        if !self.takes(slots.saturating_mul(nest.repeats), before) {
            for one in first.iter_mut().filter(|way| !way.seen) {
                if two {
                    second.iter().try_for_each(|other| self.see(one.then(other)?, shares))?;
                } else {
                    self.see(*one, shares)?;
                }
            }
        }
        Ok(least.saturating_mul(nest.repeats))
    }

    /// The best tiles of a product: those that are best where all is large first, so that they rule others out.
    fn product(&mut self, product: &Product, shares: &Crossing, ways: &mut Ways) -> Result<u64, Error> {
        self.core.first(product, &self.limit(), ways)?;
        for way in ways.iter_mut() {
            way.seen = true;
            self.see(*way, shares)?;
        }
        self.core.ways(product, &self.limit(), ways)
    }

    /// One way more, with what levels that some of the cores share read at least.
    fn see(&mut self, mut tiled: Tiled, shares: &Crossing) -> Result<(), Error> {
        tiled.repeat(self.nest.repeats)?;
        let crossing = self.levels.crossing_at_least(&[tiled.traffic], shares)?;
        let (time, traffic) = self.time(&tiled, &crossing)?;
        let bytes = traffic.iter().fold(0.0, |sum, bytes| sum + bytes.as_f32());
        let cost = (time, self.cycles(tiled.slots.busiest), bytes);
        if self.best.as_ref().is_none_or(|best| cost < best.cost) {
            self.best = Some(Way { cost, tiled, crossing, traffic, core: self.core });
        }
        Ok(())
    }

    /// What the ways of all cores would take if none read anything for itself.
    fn apart(&mut self, first: &Ways, second: &Ways) -> Result<(), Error> {
        (self.least, self.fewest_bytes) = (f32::INFINITY, [Bytes(u64::MAX); MAX_LEVELS]);
        let mut see = |mut tiled: Tiled| -> Result<(), Error> {
            tiled.repeat(self.nest.repeats)?;
            let (time, traffic) = self.time(&tiled, &self.levels.crossing(&[tiled.traffic])?)?;
            self.least = self.least.min(time);
            for (fewest, bytes) in self.fewest_bytes.iter_mut().zip(traffic) {
                *fewest = bytes.min(*fewest);
            }
            Ok(())
        };
        for one in first {
            if second.is_empty() {
                see(*one)?;
            } else {
                second.iter().try_for_each(|other| see(one.then(other)?))?;
            }
        }
        Ok(())
    }

    /// Time in cycles, and bytes at each level.
    fn time(&self, tiled: &Tiled, crossing: &Crossing) -> Result<(f32, [Bytes; MAX_LEVELS]), Error> {
        let mut traffic = self.levels.served(crossing, 1.0)?;
        if let Some(innermost) = traffic.first_mut() {
            *innermost = innermost.checked_add(tiled.local)?;
        }
        Ok((self.pace.busy(self.cycles(tiled.slots.busiest), &traffic), traffic))
    }
}

/// How a nest lies on the cores.
struct Way {
    /// Time in cycles, cycles of arithmetic, bytes at all levels.
    cost: (f32, f32, f32),
    tiled: Tiled,
    crossing: Crossing,
    traffic: [Bytes; MAX_LEVELS],
    core: Core,
}

/// What crosses the outer borders of levels that some of the workers share, at least: each of their instances reads what its part
/// of the result depends on.
///
/// ```text
/// p instances = p_g · p_m · p_n          bytes = A · p_n + B · p_m + C, the least of all cuts along groups, rows and columns
/// ```
fn shares(nest: &LoopNest, workers: u64, levels: &Levels<'_>, machine: &Machine<'_>) -> Result<Crossing, Error> {
    let [groups, rows, columns] = extents(&nest.loops)?;
    let Traffic { a, b, c } = levels.once;
    let cores = u64::from(machine.unit.count);
    let mut shares = [Traffic::default(); MAX_LEVELS];
    for (share, level) in shares.iter_mut().zip(of(machine)).take_while(|(_, level)| level.instances > 1) {
        let instances = workers.in_parts_of(cores.in_parts_of(level.instances.into()).max(1));
        let by_group = groups.min(instances).max(1);
        let in_group = instances.in_parts_of(by_group);
        let mut least = u64::MAX;
        let mut by_row = 1_u64;
        while by_row <= in_group.min(rows.max(1)) {
            let across = in_group.in_parts_of(by_row);
            let by_column = across.min(columns).max(1);
            let cut = Traffic { a: Bytes(product([a.0, by_column])?), b: Bytes(product([b.0, by_row])?), c };
            let bytes = cut.total()?.0;
            if bytes < least {
                (least, *share) = (bytes, cut);
            }
            if across <= 1 {
                break;
            }
            // More rows for as many columns move more: on to the fewest rows with a column less.
            by_row = in_group.in_parts_of(across.saturating_sub(1));
        }
    }
    Ok(shares)
}

/// Groups, rows and columns of the result along which cores divide a nest. Keys of an attention are not divided.
fn extents(loops: &Loops) -> Result<[u64; 3], Error> {
    Ok(match loops {
        Loops::Gemm(gemm) => [gemm.groups, gemm.m, gemm.n],
        Loops::Conv(conv) => [conv.groups, product([conv.batch, product(conv.output)?])?, conv.c_out],
        Loops::Attention(attention) => [attention.groups, attention.m, 1],
    })
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
    /// tile(r, v)   = steps along k · step                              tiles of a row or column as even as can be
    /// core         = tiles dealt to the cores, the busiest of them     at least Σ tiles / cores, at least one tile
    /// cycles       = core · lanes · products a lane / macs_per_cycle
    /// bytes(0)     = A · ⌈n / n_r⌉ + B · ⌈m / m_r⌉ + C                 registers; outer levels by tilings
    /// ```
    /// **Valid for** any extents. A cache too small for any tile lets everything pass, so that nothing is infeasible.
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let levels = Levels::of(nest, machine, 0);
        let levels = levels.as_ref().map_err(|error| *error)?;
        filled(|mapping| {
            // Three registers hold a tile of one sum.
            let way = self.fastest(nest, levels, machine)?.ok_or(Error::Infeasible { level: 0 })?;
            let Way { tiled, core, .. } = &way;
            levels.occupied(&way.crossing, 1.0, mapping)?;
            mapping.traffic = way.traffic;
            // Slots of all cores in cycles of all cores.
            let all = |slots: u64| to_f32(slots) * core.cycles_a_slot / to_f32(u64::from(machine.unit.count).max(1));
            let slots = &tiled.slots;
            mapping.compute_cycles = whole(to_f32(slots.busiest) * core.cycles_a_slot)?;
            Losses::from(machine.least_cycles(nest.macs()?))
                .then(Loss::EdgeTiles, all(slots.multiply))
                .then(Loss::Issue, all(slots.issue))
                .then(Loss::Latency, all(slots.wait))
                .then(Loss::Waves, mapping.compute_cycles.as_f32())
                .finish(mapping);
            Ok(())
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
        filled(|mapping| {
            mapping.compute_cycles = Cycles(cycles);
            mapping.traffic = streamed(stream, machine)?;
            Losses::from(stream.flops.as_f32() / (to_f32(lanes) * at_once))
                .then(Loss::EdgeTiles, to_f32(vectors) / at_once)
                .then(Loss::Waves, to_f32(cycles))
                .finish(mapping);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
