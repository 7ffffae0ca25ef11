//! Systolic arrays: cycles of a product whose operands march through a grid of multipliers, one operand held still.
//!
//! The cycles of one array are SCALE-Sim's, cycle for cycle; several arrays share the folds of a product. Leaves out
//! what hides one fold behind another: a second set of weights in the array, as a TPU has, or results that leave while
//! the next fold enters.

use crate::error::Error;
use crate::mapper::arrays::{self, Losses, Product, both, bound, cycles_at, sum, wide};
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
/// An array that holds an operand takes R cycles to load it. A fold at the edge costs a full one; folds do not overlap.
///
/// **Valid for** one array of SCALE-Sim 3.0.0, exactly: its cycles of computation without stalls.
/// **Source**: the demand matrices that SCALE-Sim 3.0.0 makes (`scalesim/compute`), a row for each cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Systolic {
    /// Rows of an array, R.
    pub rows: u32,
    /// Columns of an array, C.
    pub columns: u32,
    /// What stays in it.
    pub dataflow: Dataflow,
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
struct Folding {
    /// Folds of all groups.
    folds: u64,
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
        Ok(Folding { folds, steps, skew: rows.saturating_add(columns).saturating_sub(2), load })
    }

    /// Cycles of a product on one array, an operand of each row and column a cycle.
    ///
    /// ```text
    /// output-stationary   groups · ⌈M / R⌉ · ⌈N / C⌉ · (K + R + C − 2)
    /// weight-stationary   groups · ⌈K / R⌉ · ⌈N / C⌉ · (M + 2R + C − 2)
    /// input-stationary    groups · ⌈K / R⌉ · ⌈M / C⌉ · (N + 2R + C − 2)
    /// ```
    /// **Valid for** SCALE-Sim 3.0.0, exactly: its `compute_cycles`; its `total_cycles` less the stalls are one less,
    /// the index of the last cycle.
    ///
    /// ```
    /// # use derate_core::{mapper::systolic::{Dataflow, Systolic}, units::Cycles, work::Gemm};
    /// let array = Systolic { rows: 16, columns: 16, dataflow: Dataflow::OutputStationary, vector_lanes: 16 };
    /// // 64³ in 4 · 4 folds of 64 + 16 + 16 − 2 = 94 cycles.
    /// assert_eq!(array.cycles(Gemm { m: 64, n: 64, k: 64, groups: 1 })?, Cycles(1504));
    /// # Ok::<(), derate_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 cycles.
    pub fn cycles(&self, gemm: Gemm) -> Result<Cycles, Error> {
        let Folding { folds, steps, skew, load } = self.folding(gemm)?;
        Ok(Cycles(product([folds, sum([steps, skew, load])?])?))
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
}

/// The folds of a nest's products on several arrays that work side by side.
///
/// ```text
/// steps  = ⌈T · R · C / macs_per_cycle⌉                 T where each element completes a MAC a cycle
/// fold   = steps + R + C − 2 [+ R to load what stays]
/// waves  = ⌈folds / arrays⌉
/// cycles = repeats · Σ over products of waves · fold
///
/// left:  EdgeTiles   Σ macs / macs_per_cycle over Σ folds · steps
///        FillDrain   that over Σ folds · (steps + R + C − 2)
///        WeightLoad  that over Σ folds · fold
///        Waves       that over arrays · Σ waves · fold
/// ```
/// Folds along K on different arrays add into the same sums, at no cost but their traffic. A run of a recurrent layer
/// loads its weights again. Moves hide behind the arithmetic.
///
/// ```text
/// traffic₀    = bytes at the edges of the arrays, partial sums read and written
/// trafficᵢ₊₁  = what the tiles of level i move between levels i and i + 1, of operands whose home is i + 1 or beyond
/// ```
/// Tiles are those of one instance of a level; what several instances need at once is moved to them once.
/// [`Systolic::edge_accesses`] counts the elements at the edges. The scores of an attention leave the array and come
/// back at level 0.
impl Mapper for Systolic {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let rate = machine.macs_per_cycle.get();
        let [rows, columns] = self.extents();
        let arrays = u64::from(machine.unit.count);
        let products = arrays::products(nest, arrays::last_level(machine))?;
        let (mut cycles, mut edge) = (0, Traffic::default());
        // Cycles of one array, from its lanes full to all that it waits.
        let [mut stepping, mut skewed, mut folding, mut waving] = [0; 4];
        for part in &products {
            let Folding { folds, steps, skew, load } = self.folding(part.gemm)?;
            let steps = cycles_at(wide([steps, rows, columns])?, rate)?;
            let fold = sum([steps, skew, load])?;
            let waves = folds.div_ceil(arrays.max(1));
            cycles = sum([cycles, product([waves, fold])?])?;
            stepping = sum([stepping, product([folds, steps])?])?;
            skewed = sum([skewed, product([folds, sum([steps, skew])?])?])?;
            folding = sum([folding, product([folds, fold])?])?;
            waving = sum([waving, product([arrays, waves, fold])?])?;
            edge = both(&edge, &self.edge_bytes(part, nest.repeats)?)?;
        }
        let runs = to_f32(nest.repeats);
        let losses = Losses::new(nest.macs()?.as_f32() / rate)
            .then(Loss::EdgeTiles, bound(stepping, runs))
            .then(Loss::FillDrain, bound(skewed, runs))
            .then(Loss::WeightLoad, bound(folding, runs))
            .then(Loss::Waves, bound(waving, runs));
        let moves = arrays::moved(nest, machine, |_, level| level.instance_capacity(), edge)?;
        Ok(losses.mapping(Cycles(product([cycles, nest.repeats])?), moves))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapper::arrays::tests::{assert_utilization, left, with_machine};
    use crate::nest::{AttentionLoops, ConvLoops, ElementSizes, Homes, Loops};
    use crate::units::{Bytes, Flops};

    /// A core of a TPU v4: four arrays of 128 × 128, weights held still.
    const TPU: Systolic =
        Systolic { rows: 128, columns: 128, dataflow: Dataflow::WeightStationary, vector_lanes: 1024 };
    const RATE: f32 = 128.0 * 128.0;
    const SIZES: ElementSizes = ElementSizes { a: 1, b: 1, partial: 4, c: 1 };

    fn gemm(m: u64, n: u64, k: u64) -> LoopNest {
        LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), SIZES)
    }

    fn close(a: f32, b: f32) -> bool {
        (a / b - 1.0).abs() < 1e-6
    }

    #[test]
    fn folds_that_fill_the_arrays() -> Result<(), Error> {
        with_machine(&[(4, RATE, 1.05)], &[], |machine| {
            // K: 256 / 128 = 2, N: 512 / 128 = 4. 8 folds on 4 arrays: 2 waves of 256 + 2 · 128 + 128 − 2 = 638 cycles.
            let nest = gemm(256, 512, 256);
            let mapping = TPU.product(&nest, machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(1276));
            // 256 of 510 cycles without the load, 510 of 638 with it; nothing else: 256 / 638.
            assert_eq!(mapping.losses.len(), 2);
            assert!(close(left(&mapping, Loss::FillDrain), 256.0 / 510.0));
            assert!(close(left(&mapping, Loss::WeightLoad), 510.0 / 638.0));
            assert!(close(mapping.utilization, 256.0 / 638.0));
            assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
        })
    }

    #[test]
    fn edges_and_a_last_wave() -> Result<(), Error> {
        with_machine(&[(4, RATE, 1.05)], &[], |machine| {
            // K: ⌈300 / 128⌉ = 3, N: ⌈200 / 128⌉ = 2: 6 folds are 2 waves of 100 + 256 + 126 = 482 cycles.
            let nest = gemm(100, 200, 300);
            let mapping = TPU.product(&nest, machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(964));
            assert!(close(left(&mapping, Loss::EdgeTiles), 300.0 * 200.0 / (384.0 * 256.0)));
            assert!(close(left(&mapping, Loss::FillDrain), 100.0 / 354.0));
            assert!(close(left(&mapping, Loss::WeightLoad), 354.0 / 482.0));
            assert!(close(left(&mapping, Loss::Waves), 6.0 / 8.0));
            // At the edges: A twice, 100 · 300 · 2; B once, 300 · 200; the results 100 · 200, and of two passes over K
            // partial sums of 4 bytes written and read: 2 · 2 · 20,000 · 4.
            assert_eq!(mapping.traffic[0], Bytes(60_000 + 60_000 + 20_000 + 320_000));
            assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
        })
    }

    #[test]
    fn a_depthwise_convolution_maps_badly() -> Result<(), Error> {
        // 32 channels of 8 × 8 outputs, 3 × 3 taps.
        let conv = ConvLoops {
            batch: 1,
            groups: 32,
            c_in: 1,
            c_out: 1,
            input: [1, 8, 8],
            output: [1, 8, 8],
            kernel: [1, 3, 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0, 1, 1],
        };
        let nest = LoopNest::new(Loops::Conv(conv), SIZES);
        with_machine(&[(4, RATE, 1.05)], &[], |machine| {
            // A product for each channel: M = 64, N = 1, K = 9. 32 folds, 8 waves of 64 + 256 + 126 = 446 cycles.
            let mapping = TPU.product(&nest, machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(8 * 446));
            assert!(close(left(&mapping, Loss::EdgeTiles), 9.0 / RATE));
            assert!(close(mapping.utilization, 9.0 / RATE * 64.0 / 446.0));
            assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
        })
    }

    #[test]
    fn an_attention_is_two_products() -> Result<(), Error> {
        let array = Systolic { rows: 16, columns: 16, dataflow: Dataflow::OutputStationary, vector_lanes: 16 };
        let loops = AttentionLoops { groups: 3, m: 20, n: 40, d: 8, d_v: 24 };
        let nest = LoopNest { weighted: false, ..LoopNest::new(Loops::Attention(loops), SIZES) };
        with_machine(&[(1, 256.0, 1.0)], &[], |machine| {
            // Q · Kᵀ: 3 · ⌈20 / 16⌉ · ⌈40 / 16⌉ = 18 folds of 8 + 30 = 38 cycles.
            // Scores · V: 3 · ⌈20 / 16⌉ · ⌈24 / 16⌉ = 12 folds of 40 + 30 = 70 cycles.
            let mapping = array.product(&nest, machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(18 * 38 + 12 * 70));
            // Q 20 · 8 · 3 times, K 8 · 40 · 2 times, scores 20 · 40 · 4 bytes; scores 20 · 40 · 2 times, V 40 · 24 · 2
            // times, results 20 · 24; of three heads.
            assert_eq!(mapping.traffic[0], Bytes(3 * (480 + 640 + 3200 + 1600 + 1920 + 480)));
            assert_utilization(&mapping, &nest, 256.0)
        })
    }

    #[test]
    fn elements_that_do_more_or_less_than_a_mac_a_cycle() -> Result<(), Error> {
        let array = Systolic { rows: 8, columns: 8, dataflow: Dataflow::OutputStationary, vector_lanes: 8 };
        // 8 × 8 × 33: two MACs an element and cycle are ⌈33 / 2⌉ = 17 steps, half a MAC 66; 14 cycles to fill and
        // drain.
        for (rate, cycles) in [(64.0, 47), (128.0, 31), (32.0, 80)] {
            with_machine(&[(1, rate, 1.0)], &[], |machine| {
                let nest = gemm(8, 8, 33);
                let mapping = array.product(&nest, machine)?;
                assert_eq!(mapping.compute_cycles, Cycles(cycles), "{rate}");
                assert_utilization(&mapping, &nest, f64::from(rate))
            })?;
        }
        Ok(())
    }

    #[test]
    fn steps_of_a_recurrence_come_one_after_the_other() -> Result<(), Error> {
        with_machine(&[(4, RATE, 1.05)], &[], |machine| {
            // One row, 128 · 128: one fold of 1 + 256 + 126 = 383 cycles, 10 times; three arrays idle.
            let nest = LoopNest { repeats: 10, ..gemm(1, 128, 128) };
            let mapping = TPU.product(&nest, machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(3830));
            assert!(close(left(&mapping, Loss::Waves), 0.25));
            assert_eq!(mapping.traffic[0], Bytes(10 * (128 + 128 * 128 + 128)));
            assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
        })
    }

    #[test]
    fn operands_pass_the_levels_up_to_their_homes() -> Result<(), Error> {
        let array = Systolic { rows: 16, columns: 16, dataflow: Dataflow::WeightStationary, vector_lanes: 16 };
        // 64 KiB hold 64³ whole: A and B 4096 bytes, C 4096 of 4 bytes while it is summed.
        with_machine(&[(1, 256.0, 1.0)], &[(1, 64 << 10), (1, 1 << 20)], |machine| {
            let nest = gemm(64, 64, 64);
            // Edges: A 4 times, B once, C: 4096 · 1, and 3 · 4096 partial sums of 4 bytes written and read.
            let edge = Bytes(4 * 4096 + 4096 + 4096 + 2 * 3 * 4096 * 4);
            let once = Bytes(3 * 4096);
            let mapping = array.product(&nest, machine)?;
            assert_eq!(mapping.traffic[..4], [edge, once, once, Bytes::ZERO]);
            // Two tiles that are not stationary take room twice: 2 · 4096 + 2 · 4096 + 16,384.
            assert_eq!(mapping.footprint[..2], [Bytes(32_768); 2]);
            // The input in the first scratchpad, the result in the second: weights alone come from beyond.
            let homes = Homes { input: 0, weights: u8::MAX, output: 1 };
            let mapping = array.product(&LoopNest { homes, ..nest }, machine)?;
            assert_eq!(mapping.traffic[..3], [edge, Bytes(2 * 4096), Bytes(4096)]);
            // B that is no weights lies with the input.
            let mapping = array.product(&LoopNest { homes, weighted: false, ..nest }, machine)?;
            assert_eq!(mapping.traffic[..3], [edge, Bytes(4096), Bytes::ZERO]);
            Ok(())
        })?;
        // Not a byte for anything: the level is named.
        with_machine(&[(1, 256.0, 1.0)], &[(1, 4)], |machine| {
            let mapping = array.product(&gemm(64, 64, 64), machine);
            assert_eq!(mapping.map(|_| ()), Err(Error::Infeasible { level: 0 }));
            Ok(())
        })
    }

    #[test]
    fn the_vector_units_take_the_rest() -> Result<(), Error> {
        with_machine(&[(4, RATE, 1.05)], &[], |machine| {
            // 10,000 elements of 3 FLOPs each on 4 · 1024 lanes: ⌈30,000 / 4096⌉ = 8.
            let stream = Stream {
                read: Bytes(10_000),
                weights: Bytes(64),
                written: Bytes(10_000),
                flops: Flops(30_000),
                elements: 10_000,
                homes: Homes::COLD,
            };
            let mapping = TPU.stream(&stream, machine)?;
            assert_eq!((mapping.compute_cycles, mapping.traffic[0]), (Cycles(8), Bytes(20_064)));
            // Bytes alone take lanes too, an element each: ⌈10,000 / 4096⌉ = 3. What is empty takes none.
            let copy = Stream { flops: Flops::ZERO, ..stream };
            assert_eq!(TPU.stream(&copy, machine)?.compute_cycles, Cycles(3));
            let none = Stream { read: Bytes::ZERO, weights: Bytes::ZERO, written: Bytes::ZERO, ..copy };
            assert_eq!(TPU.stream(&none, machine)?.compute_cycles, Cycles(0));
            Ok(())
        })
    }

    #[test]
    fn too_much_is_an_error() -> Result<(), Error> {
        with_machine(&[(4, RATE, 1.05)], &[], |machine| {
            assert_eq!(TPU.product(&gemm(1 << 40, 1 << 40, 1), machine).map(|_| ()), Err(Error::CountOverflow));
            Ok(())
        })
    }
}
