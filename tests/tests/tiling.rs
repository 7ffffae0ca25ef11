//! Tilings of matrix products against all tilings there are, and the laws that hold of each.

use derate_core::Error;
use derate_core::nest::{ElementSizes, LoopNest, Loops};
use derate_core::tile::{Buffer, Tiling, lower_bound, tile};
use derate_core::units::Bytes;
use derate_core::work::Gemm;
use derate_tests::oracle::tiling::{self, Level};

/// Numbers that are the same in each run (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

fn product([m, n, k]: [u64; 3], sizes: ElementSizes, repeats: u64) -> LoopNest {
    LoopNest { repeats, ..LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), sizes) }
}

const SIZES: [ElementSizes; 6] = [
    ElementSizes { a: 4, b: 4, partial: 4, c: 4 },
    ElementSizes { a: 1, b: 1, partial: 4, c: 1 },
    ElementSizes { a: 1, b: 1, partial: 4, c: 4 },
    ElementSizes { a: 2, b: 2, partial: 4, c: 2 },
    ElementSizes { a: 2, b: 1, partial: 4, c: 2 },
    ElementSizes { a: 1, b: 1, partial: 1, c: 1 },
];

fn total(tiling: &Tiling) -> u64 {
    tiling.levels.iter().map(|level| level.traffic.total().expect("small").0).sum()
}

/// The levels of a tiling, from the outermost on, as the oracle knows them.
fn levels(tiling: &Tiling) -> Vec<Level> {
    use derate_core::nest::Dim;
    let axis = |dim| [Dim::M, Dim::N, Dim::K].iter().position(|&other| other == dim);
    tiling
        .levels
        .iter()
        .rev()
        .map(|level| {
            let (mut tile, mut order) = ([0; 3], [0; 3]);
            for (place, step) in level.loops.iter().filter(|step| step.dim != Dim::Group).enumerate() {
                let axis = axis(step.dim).expect("a product");
                tile[axis] = step.tile;
                order[place] = axis;
            }
            Level { tile, order }
        })
        .collect()
}

/// Shares of random products for which the tiling is the best there is, and the worst ratio.
fn compare(count: u64, seed: u64, most: [u64; 2], depth: usize) {
    let mut numbers = Numbers(seed);
    let (mut equal, mut worst, mut feasible, mut below) = (0, 1.0_f64, 0, 0);
    for case in 0..count {
        let extents = loop {
            let extents = [0; 3].map(|_| 1 + numbers.below(most[0]));
            if extents.iter().product::<u64>() <= most[1] {
                break extents;
            }
        };
        let sizes = numbers.of(&SIZES);
        let repeats = if numbers.below(8) == 0 { 2 } else { 1 };
        let [m, n, k] = extents;
        let all = 2 * (m * k * sizes.a + k * n * sizes.b + m * n * sizes.partial);
        let mut capacities: Vec<u64> =
            (0..depth).map(|_| 1 + numbers.below(all) * (1 + numbers.below(8)) / 8).collect();
        capacities.sort_unstable();
        let double_buffered = numbers.below(2) == 1;
        let buffers: Vec<Buffer> =
            capacities.iter().map(|&bytes| Buffer { capacity: Bytes(bytes), double_buffered }).collect();
        let nest = product(extents, sizes, repeats);
        let best = tiling::least(extents, &sizes, repeats, &buffers);
        match (tile(&nest, &buffers), best) {
            (Err(Error::Infeasible { .. }), None) => {}
            (Ok(ours), Some((least, theirs))) => {
                feasible += 1;
                let cuts = levels(&ours);
                for (index, level) in ours.levels.iter().enumerate() {
                    let walked =
                        tiling::traffic(extents, &sizes, repeats, &cuts[..depth - index], u64::MAX).expect("no limit");
                    assert_eq!(level.traffic, walked, "{nest:?} {buffers:?} {ours:?}");
                    let footprint =
                        tiling::footprint(extents, &sizes, repeats, &cuts[..depth - index], double_buffered);
                    assert_eq!(level.footprint.0, footprint, "{nest:?} {buffers:?} {ours:?}");
                    let stays = tiling::stays(extents, &cuts[..depth - index]);
                    assert!(stays.is_none_or(|stays| stays == level.stationary));
                    assert!(footprint <= buffers[index].capacity.0);
                    let bound = lower_bound(&nest, buffers[index].capacity).expect("small").0;
                    assert!(bound <= level.traffic.total().expect("small").0, "{bound} {nest:?} {buffers:?} {ours:?}");
                }
                // The bound holds of the oracle's tilings too.
                for index in 0..depth {
                    let moved = tiling::traffic(extents, &sizes, repeats, &theirs[..depth - index], u64::MAX)
                        .expect("no limit");
                    below += u64::from(
                        lower_bound(&nest, buffers[index].capacity).expect("small") > moved.total().expect("small"),
                    );
                }
                let ratio = total(&ours) as f64 / least as f64;
                assert!(ratio >= 1.0, "{nest:?} {buffers:?} {ours:?} {theirs:?}");
                equal += u64::from(ratio == 1.0);
                if ratio > worst {
                    worst = ratio;
                    eprintln!(
                        "{case}: {ratio} {extents:?} {sizes:?} x{repeats} {buffers:?}\n  ours {:?} = {}\n  best {theirs:?} = {least}",
                        levels(&ours),
                        total(&ours)
                    );
                }
            }
            (ours, theirs) => panic!("{nest:?} {buffers:?}: {ours:?}, {theirs:?}"),
        }
    }
    eprintln!(
        "{depth} levels: {feasible} of {count} feasible, equal {:.2} %, worst {worst:.4}, bound above {below}",
        100.0 * equal as f64 / feasible as f64
    );
    assert_eq!(below, 0);
    // One level is exact; of two, small products are.
    assert!(equal == feasible || depth > 1 && worst <= 1.02 && equal * 100 >= feasible * 98);
}

#[test]
fn one_level_moves_what_the_best_tiling_moves() {
    compare(2000, 1, [24, 2000], 1);
}

#[test]
fn two_levels_move_together_what_the_best_tilings_move() {
    compare(2000, 2, [16, 250], 2);
}

/// Extents of products that are large against every capacity below.
const LARGE: [[u64; 3]; 12] = [
    [8192, 8192, 8192],
    [16384, 16384, 16384],
    [32768, 32768, 32768],
    [8192, 28672, 8192],
    [8192, 8192, 28672],
    [16384, 53248, 16384],
    [16384, 16384, 53248],
    [8192, 128_256, 8192],
    [16384, 128_256, 16384],
    [32768, 12288, 49152],
    [12544, 10007, 9973],
    [50257, 16384, 12288],
];

#[test]
fn large_products_move_little_more_than_they_must() {
    for (name, sizes) in [("fp32", SIZES[0]), ("int8", SIZES[1])] {
        eprintln!("{name}: bytes moved over the lower bound");
        for shift in 15..=25 {
            let capacity = Bytes(1 << shift);
            let mut ratios = LARGE.map(|extents| {
                let nest = product(extents, sizes, 1);
                let tiling = tile(&nest, &[Buffer { capacity, double_buffered: false }]).expect("it fits");
                total(&tiling) as f64 / tiling.levels[0].lower_bound.0 as f64
            });
            let row: String = ratios.iter().map(|ratio| format!(" {ratio:.3}")).collect();
            ratios.sort_by(f64::total_cmp);
            let median = (ratios[5] + ratios[6]) / 2.0;
            eprintln!("{:>6} KiB: median {median:.3}, all{row}", capacity.0 >> 10);
            assert!((1.0..=1.10).contains(&median), "{name} {capacity}");
        }
    }
}
