//! Systolic arrays: cycles of a product whose operands march through a grid of multipliers, one operand held still.
//!
//! The cycles of one array are SCALE-Sim's, cycle for cycle, where it has room for one tile of the operand that stays, and
//! its sums leave it; several arrays share the folds of a product. With room for two tiles, as a TPU has, the next one is
//! loaded while the array works; with accumulators partial sums do not leave. Leaves out results of an output-stationary
//! array that leave while the next fold enters.

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::mapper::arrays::{self, Product, both, bound, cycles_at, parts_of, sum, wide};
use crate::mapper::flows::Fastest;
use crate::mapper::levels::Levels;
use crate::mapper::losses::{Losses, filled};
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{LoopNest, Stream, Traffic};
use crate::shape::product;
use crate::units::{Bytes, Cycles, to_f32};
use crate::work::Gemm;

/// Which operand stays in the array while the others pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Dataflow {
    /// The result: each element of the array sums one element of C.
    OutputStationary,
    /// Weights: each element of the array holds one element of B.
    WeightStationary,
    /// Activations: each element of the array holds one element of A.
    InputStationary,
}

/// Geometry of systolic arrays; their number is that of the units of the machine. Extents are at least 1, and 0 counts
/// as 1.
///
/// ```text
///                     rows S   columns S'   steps T   cycles of a fold
/// output-stationary   M        N            K         T + R + C − 2
/// weight-stationary   K        N            M         T + 2R + C − 2
/// input-stationary    K        M            N         T + 2R + C − 2
///
/// folds = groups · ⌈S / R⌉ · ⌈S' / C⌉
/// ```
/// An array that holds an operand takes R cycles to load it. A fold at the edge costs a full one. With room for one tile
/// of that operand folds do not overlap; with room for two the next tile is loaded while the array works, and takes effect
/// behind the last operands of the fold before it:
///
/// ```text
/// one tile    folds · (T + 2R + C − 2)
/// two tiles   R + (folds − 1) · max(T, R) + T + R + C − 2
/// ```
/// **Valid for** one array of SCALE-Sim 3.0.0 with room for one tile, exactly: its cycles of computation without stalls.
/// **Source**: the demand matrices that SCALE-Sim 3.0.0 makes (`scalesim/compute`), a row for each cycle; two tiles and
/// accumulators: Jouppi et al., "In-Datacenter Performance Analysis of a Tensor Processing Unit", ISCA 2017, section 2:
/// "one 64 KiB tile of weights plus one for double-buffering (to hide the 256 cycles it takes to shift a tile in)",
/// "4096, 256-element, 32-bit accumulators".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Systolic {
    /// Rows of an array, R.
    pub rows: u32,
    /// Columns of an array, C.
    pub columns: u32,
    /// What stays in it.
    pub dataflow: Dataflow,
    /// Tiles of the operand that stays for which an array has room: 2 where the next is loaded while it works, else 1. An
    /// array that holds results loads nothing.
    pub held_tiles: u32,
    /// Partial sums of each column that an array keeps, so that they do not pass level 0; 0 for none. An array that holds
    /// results needs none.
    pub accumulators: u32,
    /// Elements a cycle of the vector unit beside each array.
    pub vector_lanes: u32,
}

/// Elements that pass the edges of an array, over a whole product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EdgeAccesses {
    /// Of A, read.
    pub a: u64,
    /// Of B, read.
    pub b: u64,
    /// Of C, written: partial sums and results.
    pub c_written: u64,
    /// Of C, read again to be added to.
    pub c_read: u64,
}

/// How a product folds onto an array.
#[derive(Clone, Copy)]
struct Folding {
    /// Folds of all groups.
    folds: u64,
    /// Folds that must run on the same array, as they add into the sums that it keeps.
    chain: u64,
    /// Operands that pass in a fold.
    steps: u64,
    /// Cycles in which they enter and leave beside the steps.
    skew: u64,
    /// Cycles in which what stays is loaded.
    load: u64,
}

impl Systolic {
    fn extents(&self) -> [u64; 2] {
        [self.rows, self.columns].map(|extent| u64::from(extent.max(1)))
    }

    fn folding(&self, Gemm { m, n, k, groups }: Gemm) -> Result<Folding, Error> {
        let [rows, columns] = self.extents();
        let (s_rows, s_columns, steps, load) = match self.dataflow {
            Dataflow::OutputStationary => (m, n, k, 0),
            Dataflow::WeightStationary => (k, n, m, rows),
            Dataflow::InputStationary => (k, m, n, rows),
        };
        let folds = product([groups, s_rows.div_ceil(rows.max(1)), s_columns.div_ceil(columns.max(1))])?;
        Ok(Folding { folds, chain: 1, steps, skew: rows.saturating_add(columns).saturating_sub(2), load })
    }

    /// Cycles of so many folds on one array.
    fn one_after_the_other(&self, &Folding { steps, skew, load, .. }: &Folding, folds: u64) -> Result<u64, Error> {
        let fold = sum([steps, skew, load])?;
        if self.held_tiles < 2 || load == 0 {
            return product([folds, fold]);
        }
        let Some(others) = folds.checked_sub(1) else { return Ok(0) };
        sum([fold, product([others, steps.max(load)])?])
    }

    /// Cycles of a product on one array, an operand of each row and column a cycle.
    ///
    /// ```text
    /// output-stationary   groups · ⌈M / R⌉ · ⌈N / C⌉ · (K + R + C − 2)
    /// weight-stationary   groups · ⌈K / R⌉ · ⌈N / C⌉ · (M + 2R + C − 2)
    /// input-stationary    groups · ⌈K / R⌉ · ⌈M / C⌉ · (N + 2R + C − 2)
    /// ```
    /// and as [`Systolic`] says where it has room for two tiles. Sums leave the array. **Valid for** SCALE-Sim 3.0.0 with room
    /// for one tile, exactly: its `compute_cycles`; its `total_cycles` less the stalls are one less,
    /// the index of the last cycle.
    ///
    /// ```
    /// # use derate_core::{mapper::systolic::{Dataflow, Systolic}, units::Cycles, work::Gemm};
    /// let dataflow = Dataflow::OutputStationary;
    /// let array = Systolic { rows: 16, columns: 16, dataflow, held_tiles: 1, accumulators: 0, vector_lanes: 16 };
    /// // 64³ in 4 · 4 folds of 64 + 16 + 16 − 2 = 94 cycles.
    /// assert_eq!(array.cycles(Gemm { m: 64, n: 64, k: 64, groups: 1 })?, Cycles(1504));
    /// # Ok::<(), derate_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 cycles.
    pub fn cycles(&self, gemm: Gemm) -> Result<Cycles, Error> {
        let folding = self.folding(gemm)?;
        Ok(Cycles(self.one_after_the_other(&folding, folding.folds)?))
    }

    /// Elements that pass the edges of one array in a product.
    ///
    /// ```text
    ///                     A              B              C written      C read
    /// output-stationary   MK · ⌈N / C⌉   KN · ⌈M / R⌉   MN             0
    /// weight-stationary   MK · ⌈N / C⌉   KN             MN · ⌈K / R⌉   MN · (⌈K / R⌉ − 1)
    /// input-stationary    MK             KN · ⌈M / C⌉   MN · ⌈K / R⌉   MN · (⌈K / R⌉ − 1)
    /// ```
    /// times the groups. **Valid for** SCALE-Sim 3.0.0, exactly: its `ifmap_sram_reads`, `filter_sram_reads` and
    /// `ofmap_sram_writes`, but for the writes of the output-stationary array, to which it adds R + C for each fold; it
    /// does not count partial sums that are read.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 elements.
    pub fn edge_accesses(&self, Gemm { m, n, k, groups }: Gemm) -> Result<EdgeAccesses, Error> {
        let [rows, columns] = self.extents();
        let folds = |extent: u64, array: u64| extent.div_ceil(array.max(1));
        let (a, b, sums) = match self.dataflow {
            Dataflow::OutputStationary => (folds(n, columns), folds(m, rows), 1),
            Dataflow::WeightStationary => (folds(n, columns), 1, folds(k, rows)),
            Dataflow::InputStationary => (1, folds(m, columns), folds(k, rows)),
        };
        Ok(EdgeAccesses {
            a: product([groups, m, k, a])?,
            b: product([groups, k, n, b])?,
            c_written: product([groups, m, n, sums])?,
            c_read: product([groups, m, n, sums.saturating_sub(1)])?,
        })
    }

    /// Bytes that pass the edges in so many runs of a product: results once at their own width, partial sums at that of
    /// the accumulator.
    pub(super) fn edge_bytes(&self, nest: &Product, runs: u64) -> Result<Traffic, Error> {
        let EdgeAccesses { a, b, c_written, c_read } = self.edge_accesses(nest.gemm)?;
        let partial = product([sum([c_read, c_read])?, nest.partial])?;
        let results = product([c_written.saturating_sub(c_read), nest.c.size])?;
        Ok(Traffic {
            a: Bytes(product([a, nest.a.size, runs])?),
            b: Bytes(product([b, nest.b.size, runs])?),
            c: Bytes(product([sum([results, partial])?, runs])?),
        })
    }

    /// The same of folds whose sums stay in the array, what it holds loaded for so many parts of the operands that pass.
    fn kept_bytes(&self, nest: &Product, parts: u64, runs: u64) -> Result<Traffic, Error> {
        let EdgeAccesses { a, b, c_written, c_read } = self.edge_accesses(nest.gemm)?;
        let [by_a, by_b] = if self.dataflow == Dataflow::InputStationary { [parts, 1] } else { [1, parts] };
        Ok(Traffic {
            a: Bytes(product([a, nest.a.size, by_a, runs])?),
            b: Bytes(product([b, nest.b.size, by_b, runs])?),
            c: Bytes(product([c_written.saturating_sub(c_read), nest.c.size, runs])?),
        })
    }

    /// The ways to fold a product: its sums leave after each fold; or they stay for all of K, and what passes is cut into parts
    /// that the accumulators hold.
    fn ways(&self, gemm: Gemm) -> Result<impl Iterator<Item = Result<(Folding, Option<u64>), Error>>, Error> {
        let leaving = self.folding(gemm)?;
        let [rows, _] = self.extents();
        let chain = gemm.k.div_ceil(rows.max(1));
        let keeps = self.accumulators > 0 && self.dataflow != Dataflow::OutputStationary && chain > 1;
        let parts = parts_of(leaving.steps, u64::from(self.accumulators)).take(if keeps { usize::MAX } else { 0 });
        let staying = parts.map(move |parts| {
            let folds = product([leaving.folds, parts])?;
            let steps = leaving.steps.div_ceil(parts.max(1));
            Ok((Folding { folds, chain, steps, ..leaving }, Some(parts)))
        });
        Ok(core::iter::once(Ok((leaving, None))).chain(staying))
    }
}

/// A product on several arrays, in cycles of one of them from its lanes full to all that it waits.
#[derive(Clone, Copy)]
struct Laid {
    stepping: u64,
    skewed: u64,
    folding: u64,
    waving: u64,
    /// Of one run, all arrays side by side.
    cycles: u64,
    /// What passes the edges in all runs.
    edge: Traffic,
}

impl Systolic {
    /// Lays a product on arrays of this rate in one of its ways.
    fn lay(
        &self,
        part: &Product,
        (folding, parts): (Folding, Option<u64>),
        (arrays, rate): (u64, f32),
        runs: u64,
    ) -> Result<Laid, Error> {
        let [rows, columns] = self.extents();
        let folding = Folding { steps: cycles_at(wide([folding.steps, rows, columns])?, rate)?, ..folding };
        let Folding { folds, chain, steps, skew, .. } = folding;
        let chains = folds.checked_div(chain).unwrap_or(folds);
        let waves = chains.div_ceil(arrays.max(1));
        let cycles = self.one_after_the_other(&folding, product([waves, chain])?)?;
        let stepping = product([folds, steps])?;
        // Of an array with room for two tiles, the first and the last cycles alone are skewed.
        let used = chains.min(arrays);
        let overlaps = self.held_tiles > 1 && folding.load > 0;
        let skews = if overlaps { used } else { folds };
        // All arrays in use have as many folds as one, or one more; together they load while none of them works.
        let working = if overlaps {
            let others = product([folds.saturating_sub(used), steps.max(folding.load)])?;
            sum([product([used, sum([steps, skew, folding.load])?])?, others])?
        } else {
            self.one_after_the_other(&folding, folds)?
        };
        let edge = match parts {
            None => self.edge_bytes(part, runs)?,
            Some(parts) => self.kept_bytes(part, parts, runs)?,
        };
        let skewed = sum([stepping, product([skews, skew])?])?;
        Ok(Laid { stepping, skewed, folding: working, waving: product([arrays, cycles])?, cycles, edge })
    }

    /// The ways of up to two products with which arithmetic and moves take least time.
    fn best<'a>(
        &self,
        products: &[Product],
        levels: &'a Levels<'a>,
        runs: u64,
        machine: &Machine<'_>,
    ) -> Result<Fastest<'a, 2, Laid>, Error> {
        let arrays = (u64::from(machine.unit.count), machine.macs_per_cycle.get());
        let mut best = Fastest::none(levels, 1.0, machine);
        let mut see = |laid: [Option<Laid>; 2]| {
            let (mut cycles, mut edge) = (0, Traffic::default());
            for laid in laid.iter().flatten() {
                cycles = sum([cycles, laid.cycles])?;
                edge = both(&edge, &laid.edge)?;
            }
            best.see(laid, product([cycles, runs])?, |levels| arrays::crossing(levels, &edge))
        };
        let Some((first, rest)) = products.split_first() else { return Ok(best) };
        for way in self.ways(first.gemm)? {
            let one = self.lay(first, way?, arrays, runs)?;
            let Some(second) = rest.first() else {
                see([Some(one), None])?;
                continue;
            };
            for way in self.ways(second.gemm)? {
                see([Some(one), Some(self.lay(second, way?, arrays, runs)?)])?;
            }
        }
        Ok(best)
    }
}

/// The folds of a nest's products on several arrays that work side by side.
///
/// ```text
/// steps  = ⌈T · R · C / macs_per_cycle⌉                 T where each element completes a MAC a cycle
/// fold   = steps + R + C − 2 [+ R to load what stays]
/// waves  = ⌈folds / arrays⌉
/// cycles = repeats · Σ over products of waves · fold    as `Systolic` says where an array has room for two tiles
///
/// left:  EdgeTiles   Σ macs / macs_per_cycle over Σ folds · steps
///        FillDrain   that over Σ of steps and skews
///        WeightLoad  that over Σ of all cycles of the arrays in use
///        Waves       that over arrays · Σ of the cycles of one
/// ```
/// Folds along K on different arrays add into the same sums, at no cost but their traffic. An array with accumulators may
/// keep them: the folds of a column then run on one array, a chain of them for each part of T that its accumulators hold,
/// and load what stays again for each part. Of both the faster way is taken. A run of a recurrent layer loads its weights
/// again. Moves hide behind the arithmetic.
///
/// [`Systolic::edge_accesses`] counts the elements at the edges, partial sums read and written; beyond level 0 see the
/// equations of `levels.rs`. The scores of an attention leave the array and come back at level 0.
impl Mapper for Systolic {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let products = arrays::products(nest, arrays::last_level(machine))?;
        let levels = arrays::levels(nest, machine, |_, level| level.instance_capacity());
        let levels = levels.as_ref().map_err(|error| *error)?;
        let best = self.best(&products, levels, nest.repeats, machine)?;
        let [mut stepping, mut skewed, mut folding, mut waving] = [0; 4];
        for laid in best.chosen.iter().flatten() {
            stepping = sum([stepping, laid.stepping])?;
            skewed = sum([skewed, laid.skewed])?;
            folding = sum([folding, laid.folding])?;
            waving = sum([waving, laid.waving])?;
        }
        let runs = to_f32(nest.repeats);
        let losses = Losses::from(nest.macs()?.as_f32() / machine.macs_per_cycle.get())
            .then(Loss::EdgeTiles, bound(stepping, runs))
            .then(Loss::FillDrain, bound(skewed, runs))
            .then(Loss::WeightLoad, bound(folding, runs))
            .then(Loss::Waves, bound(waving, runs));
        filled(|mapping| {
            levels.moved(&best.crossing, 1.0, mapping)?;
            mapping.compute_cycles = Cycles(best.cycles);
            losses.finish(mapping);
            Ok(())
        })
    }

    /// The vector units beside the arrays: an element passes one of their lanes, and each FLOP takes a lane for a
    /// cycle.
    ///
    /// ```text
    /// cycles = ⌈max(flops, elements) / (arrays · vector_lanes)⌉
    /// ```
    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let lanes = product([u64::from(machine.unit.count), u64::from(self.vector_lanes.max(1))])?;
        arrays::stream_mapping(stream, machine, lanes, 0)
    }
}
