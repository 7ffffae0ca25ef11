//! Laws of tilings of matrix products, on random products and buffers.

use derate_core::Error;
use derate_core::nest::{Dim, ElementSizes, LoopNest, Loops, Traffic};
use derate_core::tile::{Buffer, Tiling, tile};
use derate_core::units::Bytes;
use derate_core::work::Gemm;
use derate_tests::oracle::tiling::{Level, walk};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn nest(gemm: Gemm, sizes: ElementSizes, repeats: u64) -> LoopNest {
    LoopNest { repeats, ..LoopNest::new(Loops::Gemm(gemm), sizes) }
}

/// Integers up to 2^bits, each power of two as often.
fn spread(bits: u32) -> impl Strategy<Value = u64> {
    (0..=bits, any::<u64>()).prop_map(|(bits, value)| (value & ((1 << bits) - 1)) | (1 << bits))
}

fn extents(bits: u32) -> impl Strategy<Value = Gemm> {
    (spread(bits), spread(bits), spread(bits)).prop_map(|(m, n, k)| Gemm { m, n, k, groups: 1 })
}

fn sizes() -> impl Strategy<Value = ElementSizes> {
    prop_oneof![
        Just(ElementSizes::all(4)),
        Just(ElementSizes { a: 1, b: 1, partial: 4, c: 1 }),
        Just(ElementSizes { a: 2, b: 1, partial: 4, c: 2 }),
        Just(ElementSizes { a: 2, b: 2, partial: 4, c: 4 }),
    ]
}

/// One to three buffers, smallest first.
fn buffers(bits: u32) -> impl Strategy<Value = Vec<Buffer>> {
    let levels = prop_oneof![4 => 1_usize..=1, 3 => 2_usize..=2, 1 => 3_usize..=3];
    (levels.prop_flat_map(move |levels| prop::collection::vec(spread(bits), levels)), any::<bool>()).prop_map(
        |(mut capacities, double_buffered)| {
            capacities.sort_unstable();
            capacities.into_iter().map(|bytes| Buffer { capacity: Bytes(bytes + 15), double_buffered }).collect()
        },
    )
}

fn totals(tiling: &Tiling) -> Result<Vec<u64>, Error> {
    tiling.levels.iter().map(|level| Ok(level.traffic.total()?.0)).collect()
}

/// Tiles that fit, or nothing where none do.
fn tiled(nest: &LoopNest, buffers: &[Buffer]) -> Result<Option<Tiling>, Error> {
    match tile(nest, buffers) {
        Err(Error::Infeasible { level }) => {
            // The smallest tile of one element of each operand does not fit.
            let ElementSizes { a, b, partial, .. } = nest.sizes;
            let double = if buffers[0].double_buffered { 2 } else { 1 };
            assert!(buffers[usize::from(level)].capacity.0 < double * (a + b + partial), "{nest:?} {buffers:?}");
            Ok(None)
        }
        tiling => tiling.map(Some),
    }
}

/// The levels from the outermost on, as the oracle knows them.
fn levels(tiling: &Tiling) -> Vec<Level> {
    let mut levels = Vec::new();
    for level in tiling.levels.iter().rev() {
        let (mut tile, mut order) = ([0; 3], [0; 3]);
        for (place, step) in level.loops.iter().filter(|step| step.dim != Dim::Group).enumerate() {
            let axis = [Dim::M, Dim::N, Dim::K].iter().position(|&dim| dim == step.dim).expect("an axis of a product");
            tile[axis] = step.tile;
            order[place] = axis;
        }
        levels.push(Level { tile, order });
    }
    levels
}

proptest! {
    // The same cases in each run: the search of several levels is not exact.
    #![proptest_config(ProptestConfig { cases: 10_000, rng_seed: RngSeed::Fixed(1702), ..ProptestConfig::default() })]

    #[test]
    fn tiles_fit_and_move_no_less_than_they_must(
        gemm in extents(11), sizes in sizes(), buffers in buffers(22), repeats in 1_u64..=3,
    ) {
        let nest = nest(gemm, sizes, repeats);
        let compulsory = Traffic::compulsory(&nest)?;
        if let Some(tiling) = tiled(&nest, &buffers)? {
            for (level, buffer) in tiling.levels.iter().zip(&buffers) {
                prop_assert!(level.footprint <= buffer.capacity, "{level:?}");
                prop_assert!(level.lower_bound <= level.traffic.total()?, "{level:?}");
                prop_assert!(compulsory.total()? <= level.lower_bound);
                prop_assert!(compulsory.a <= level.traffic.a && compulsory.b <= level.traffic.b);
                prop_assert!(compulsory.c <= level.traffic.c);
            }
        }
    }

    #[test]
    fn a_transposed_product_moves_the_same(gemm in extents(10), sizes in sizes(), buffers in buffers(20)) {
        let Gemm { m, n, k, groups } = gemm;
        let turned = nest(Gemm { m: n, n: m, k, groups }, ElementSizes { a: sizes.b, b: sizes.a, ..sizes }, 1);
        let (one, other) = (tiled(&nest(gemm, sizes, 1), &buffers)?, tiled(&turned, &buffers)?);
        prop_assert_eq!(one.is_some(), other.is_some());
        if let (Some(one), Some(other)) = (one, other) {
            prop_assert_eq!(totals(&one)?, totals(&other)?);
        }
    }

    #[test]
    fn more_room_costs_little_at_most(
        gemm in extents(10), sizes in sizes(), buffers in buffers(20),
        level in any::<prop::sample::Index>(), more in 1_u32..=1024,
    ) {
        let nest = nest(gemm, sizes, 1);
        if let Some(before) = tiled(&nest, &buffers)? {
            let mut larger = buffers.clone();
            let capacity = &mut larger[level.index(buffers.len())].capacity;
            *capacity = Bytes(capacity.0 + (capacity.0 * u64::from(more)).div_ceil(256));
            let after = tiled(&nest, &larger)?.expect("it fitted before");
            let (before, after) = (totals(&before)?.iter().sum::<u64>(), totals(&after)?.iter().sum::<u64>());
            // One level is exact; of several, the search ends a little above the best.
            let percent = if buffers.len() == 1 { 100 } else { 102 };
            prop_assert!(after * 100 <= before * percent, "{before} to {after}");
        }
    }

    #[test]
    fn one_level_moves_no_more_than_its_halves(
        gemm in extents(14), groups in 1_u64..=8, sizes in sizes(), capacity in spread(26), more in spread(26),
        double_buffered in any::<bool>(), repeats in prop_oneof![2 => Just(1), 1 => spread(7)],
    ) {
        let gemm = Gemm { groups, ..gemm };
        let moved = |gemm, repeats, capacity| -> Result<Option<u64>, Error> {
            let tiling = tiled(&nest(gemm, sizes, repeats), &[Buffer { capacity: Bytes(capacity), double_buffered }])?;
            tiling.map(|tiling| Ok(tiling.levels[0].traffic.total()?.0)).transpose()
        };
        // One element of each operand is a tile that nothing follows: two of them need twice the room where double-buffered.
        if let (Some(once), false) = (moved(gemm, repeats, capacity)?, gemm.m * gemm.n * gemm.k == 1) {
            let no_more = |other: Option<u64>, times: u64| other.is_some_and(|other| other <= times * once);
            prop_assert!(no_more(moved(gemm, repeats, capacity + more)?, 1), "more room");
            prop_assert!(no_more(moved(Gemm { m: 2 * gemm.m, ..gemm }, repeats, capacity)?, 2), "twice the rows");
            prop_assert!(no_more(moved(gemm, 2 * repeats, capacity)?, 2), "twice the runs");
            prop_assert_eq!(moved(Gemm { groups: 2 * groups, ..gemm }, repeats, capacity)?, Some(2 * once));
            if repeats == 1 {
                prop_assert!(no_more(moved(Gemm { n: 2 * gemm.n, ..gemm }, 1, capacity)?, 2), "twice the columns");
            }
        }
    }

    #[test]
    fn a_batch_is_as_many_products(gemm in extents(9), sizes in sizes(), buffers in buffers(18), groups in 2_u64..=9) {
        let (one, all) = (nest(gemm, sizes, 1), nest(Gemm { groups, ..gemm }, sizes, 1));
        if let Some(one) = tiled(&one, &buffers)? {
            let all = tiled(&all, &buffers)?.expect("one product fits");
            prop_assert_eq!(levels(&one), levels(&all));
            for (one, all) in one.levels.iter().zip(&all.levels) {
                let [a, b, c] = [one.traffic.a, one.traffic.b, one.traffic.c].map(|bytes| Bytes(bytes.0 * groups));
                prop_assert_eq!(all.traffic, Traffic { a, b, c });
                prop_assert_eq!(all.footprint, one.footprint);
            }
        }
    }

    #[test]
    fn tiles_cover_each_multiplication_once(gemm in extents(4), sizes in sizes(), buffers in buffers(9)) {
        if let Some(tiling) = tiled(&nest(gemm, sizes, 1), &buffers)? {
            let Gemm { m, n, k, .. } = gemm;
            let mut seen = vec![0_u8; (m * n * k) as usize];
            walk(&[0..m, 0..n, 0..k], &levels(&tiling), &mut |[rows, columns, depth]| {
                for row in rows.clone() {
                    for column in columns.clone() {
                        depth.clone().for_each(|step| seen[((row * n + column) * k + step) as usize] += 1);
                    }
                }
                true
            });
            prop_assert!(seen.iter().all(|&times| times == 1));
            // The loops' extents are the tiles of the level outside.
            let outside = levels(&tiling);
            for (index, level) in tiling.levels.iter().rev().enumerate() {
                for step in &level.loops {
                    let axis = [Dim::M, Dim::N, Dim::K].iter().position(|&dim| dim == step.dim).expect("an axis");
                    let extent = if index == 0 { [m, n, k][axis] } else { outside[index - 1].tile[axis] };
                    prop_assert_eq!(step.extent, extent);
                }
            }
        }
    }

    #[test]
    fn runs_with_the_same_weights_move_no_more_than_alone(
        gemm in extents(9), sizes in sizes(), buffers in buffers(18), repeats in 2_u64..=9,
    ) {
        // One level is exact; of several, the search ends a little above the best.
        let percent = if buffers.len() == 1 { 100 } else { 105 };
        let (one, all) = (tiled(&nest(gemm, sizes, 1), &buffers)?, tiled(&nest(gemm, sizes, repeats), &buffers)?);
        if let (Some(one), Some(all)) = (one, all) {
            let (one, all) = (totals(&one)?.iter().sum::<u64>(), totals(&all)?.iter().sum::<u64>());
            prop_assert!(all * 100 <= one * repeats * percent, "{one} times {repeats}, {all}");
        }
    }
}
