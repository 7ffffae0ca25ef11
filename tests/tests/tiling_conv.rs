//! Tilings of convolutions: against a walk of every tiling of small ones, laws over random ones, and a table of ResNet-50.

use derate_core::Error;
use derate_core::nest::{ConvLoops, Dim, ElementSizes, LoopNest, Loops};
use derate_core::tile::{Buffer, Tiling, lower_bound, tile};
use derate_core::units::Bytes;
use derate_tests::oracle::nest::{self, DIMS, Elements};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Random convolutions that are walked.
const WALKED: u32 = 2000;

/// Random convolutions of the laws.
const CASES: u32 = 10_000;

/// How far a tiling may be from the best one.
const WORST: f64 = 1.02;

/// Share of tilings that are the best.
const EQUAL: f64 = 0.98;

fn sizes() -> impl Strategy<Value = ElementSizes> {
    prop_oneof![
        Just(ElementSizes::all(1)),
        Just(ElementSizes::all(4)),
        Just(ElementSizes { a: 1, b: 1, partial: 4, c: 1 }),
        Just(ElementSizes { a: 2, b: 1, partial: 4, c: 2 }),
    ]
}

/// An axis: input, output, kernel, stride, dilation, padding; the padded input holds the window once.
fn axis(most: u64, kernel: u64) -> impl Strategy<Value = [u64; 6]> {
    (1..=most, 1..=kernel, 1..=3_u64, 1..=2_u64, 0..=2_u64).prop_map(|(input, kernel, stride, dilation, padding)| {
        let reach = dilation * (kernel - 1) + 1;
        let (padding, input) = (padding.min(reach - 1), input.max(reach));
        [input, (input + 2 * padding - reach) / stride + 1, kernel, stride, dilation, padding]
    })
}

/// A convolution of one to three axes, its extents spread evenly or towards small ones.
fn conv(most: u64, kernel: u64) -> impl Strategy<Value = ConvLoops> {
    let small = move || prop_oneof![1..=most.min(8), 1..=most];
    let groups = prop_oneof![3 => Just(1_u64), 1 => 2..=3_u64];
    (1..=3_usize, 1..=3_u64, groups, small(), small(), [axis(most, kernel), axis(most, kernel), axis(most, kernel)])
        .prop_map(|(rank, batch, groups, c_in, c_out, mut axes)| {
            axes[..3 - rank].fill([1, 1, 1, 1, 1, 0]);
            let column = |at: usize| axes.map(|axis| axis[at]);
            ConvLoops {
                batch,
                groups,
                c_in,
                c_out,
                input: column(0),
                output: column(1),
                kernel: column(2),
                stride: column(3),
                dilation: column(4),
                padding: column(5),
            }
        })
}

fn steps(loops: &ConvLoops) -> u64 {
    nest::whole(loops).iter().map(|&(_, to)| to).product()
}

fn buffer(capacity: u64, double_buffered: bool) -> Buffer {
    Buffer { capacity: Bytes(capacity), double_buffered }
}

fn total(tiling: &Tiling) -> Result<u64, Error> {
    tiling.levels.iter().try_fold(0, |sum, level| Ok(sum + level.traffic.total()?.0))
}

/// How many of some tilings are the best, and the worst of them.
#[derive(Default)]
struct Score {
    equal: u32,
    all: u32,
    worst: f64,
}

impl Score {
    fn add(&mut self, got: u64, best: u64) {
        self.equal += u32::from(got == best);
        self.all += 1;
        self.worst = self.worst.max(got as f64 / best as f64);
    }

    fn check(&self, name: &str) {
        let share = f64::from(self.equal) / f64::from(self.all);
        println!(
            "{name}: {} of {} are the best ({:.2} %), the worst {:.4}",
            self.equal,
            self.all,
            share * 100.0,
            self.worst
        );
        assert!(share >= EQUAL && self.worst <= WORST, "{name}: {share} {}", self.worst);
    }
}

#[test]
fn tilings_are_the_best_that_walking_finds() -> Result<(), Error> {
    let mut runner = TestRunner::new_with_rng(Config::default(), rng());
    let small = conv(10, 3).prop_filter("few steps", |loops| (4..=72).contains(&steps(loops)));
    let case = (small, sizes(), 1..=5_u64, 0.02..1.2_f64, 0.1..1.0_f64, any::<[bool; 2]>());
    let (mut one, mut inner, mut infeasible) = (Score::default(), Score::default(), 0);
    for _ in 0..WALKED {
        let tree = case.new_tree(&mut runner).expect("a case");
        let (loops, sizes, kind, share, inner_share, double) = proptest::strategy::ValueTree::current(&tree);
        let mut elements = Elements::new(&loops);
        let all = nest::walked(&loops, &sizes, &[], &mut elements).held.iter().sum::<u64>();
        let outer = buffer((all as f64 * share) as u64 + 3, double[0]);
        let within = buffer((outer.capacity.0 as f64 * inner_share) as u64 + 1, double[1]);
        let buffers = if kind == 1 { vec![within, outer] } else { vec![outer] };
        let tiling = match tile(&LoopNest::new(Loops::Conv(loops), sizes), &buffers) {
            Ok(tiling) => tiling,
            Err(Error::Infeasible { level }) => {
                infeasible += 1;
                // What does not fit the outermost level fits no other tiling either.
                if usize::from(level) + 1 == buffers.len() {
                    assert_eq!(nest::best(&loops, &sizes, &[], &outer), None, "{loops:?} {sizes:?} {outer:?}");
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut loops_so_far = Vec::new();
        for (index, (level, buffer)) in tiling.levels.iter().zip(&buffers).enumerate().rev() {
            let best = nest::best(&loops, &sizes, &loops_so_far, buffer).expect("one that fits");
            loops_so_far.extend(nest::of_level(level));
            let walked = nest::walked(&loops, &sizes, &loops_so_far, &mut elements);
            let footprint = nest::footprint(&loops, &loops_so_far, walked.held, buffer.double_buffered);
            let context = format!("{loops:?} {sizes:?} {buffers:?} level {index}: {level:?}");
            let traffic = [level.traffic.a, level.traffic.b, level.traffic.c].map(|bytes| bytes.0);
            assert_eq!(traffic, walked.moved, "{context}");
            assert!(footprint <= level.footprint.0 && level.footprint <= buffer.capacity, "{footprint} {context}");
            assert!(level.lower_bound.0 <= best, "{best} {context}");
            // The outer of two levels is chosen for what both move.
            if index + 1 == buffers.len() && buffers.len() > 1 {
                continue;
            }
            let score = if buffers.len() == 1 { &mut one } else { &mut inner };
            score.add(traffic.iter().sum(), best);
        }
        covers_once(&loops, &loops_so_far);
    }
    println!("{infeasible} of {WALKED} do not fit");
    one.check("one level");
    inner.check("the inner of two levels");
    Ok(())
}

/// Random convolutions of which all tilings of two levels are walked.
const WALKED_TWICE: u32 = 600;

#[test]
fn tilings_of_two_levels_are_the_best_that_walking_finds() -> Result<(), Error> {
    let mut runner = TestRunner::new_with_rng(Config::default(), rng());
    let small = conv(6, 3).prop_filter("few steps", |loops| (4..=24).contains(&steps(loops)));
    let case = (small, sizes(), 0.1..1.0_f64, 0.2..1.0_f64, any::<[bool; 2]>());
    let (mut score, mut infeasible) = (Score::default(), 0);
    for _ in 0..WALKED_TWICE {
        let tree = case.new_tree(&mut runner).expect("a case");
        let (loops, sizes, share, inner_share, double) = proptest::strategy::ValueTree::current(&tree);
        let all = nest::walked(&loops, &sizes, &[], &mut Elements::new(&loops)).held.iter().sum::<u64>();
        let outer = buffer((all as f64 * share) as u64 + 3, double[0]);
        let within = buffer((outer.capacity.0 as f64 * inner_share) as u64 + 1, double[1]);
        let best = nest::best_of_two(&loops, &sizes, &[within, outer]);
        match (tile(&LoopNest::new(Loops::Conv(loops), sizes), &[within, outer]), best) {
            (Ok(tiling), Some(best)) => {
                let total = total(&tiling)?;
                assert!(total >= best, "{total} below {best}: {loops:?} {sizes:?} {within:?} {outer:?}");
                score.add(total, best);
            }
            (Err(Error::Infeasible { .. }), None) => infeasible += 1,
            (found, best) => panic!("{found:?} against {best:?}: {loops:?} {sizes:?} {within:?} {outer:?}"),
        }
    }
    println!("{infeasible} of {WALKED_TWICE} do not fit");
    score.check("two levels");
    Ok(())
}

/// The same random cases on every run.
fn rng() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

/// Marks each step of each innermost tile.
fn covers_once(loops: &ConvLoops, tiles: &[(usize, u64)]) {
    let whole = nest::whole(loops);
    let mut marks = vec![0_u8; usize::try_from(steps(loops)).expect("few")];
    nest::walk(&mut whole.clone(), tiles, &mut |tile| {
        let mut points = vec![0_usize];
        for (range, extent) in tile.iter().zip(whole) {
            let extent = extent.1 as usize;
            points = points.iter().flat_map(|&p| (range.0..range.1).map(move |i| p * extent + i as usize)).collect();
        }
        points.into_iter().for_each(|point| marks[point] += 1);
    });
    assert!(marks.iter().all(|&mark| mark == 1), "{loops:?} {tiles:?}");
}

/// Capacities of one to three levels, from the innermost on.
fn buffers() -> impl Strategy<Value = Vec<Buffer>> {
    (prop::collection::vec(3.0..22.0_f64, 1..=3), any::<bool>()).prop_map(|(mut powers, double)| {
        powers.sort_by(f64::total_cmp);
        powers.into_iter().map(|power| buffer(power.exp2() as u64, double)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, max_global_rejects: 20 * CASES, ..ProptestConfig::default() })]

    #[test]
    fn a_tiling_is_one(loops in conv(40, 5), sizes in sizes(), buffers in buffers()) {
        let nest = LoopNest::new(Loops::Conv(loops), sizes);
        let tiling = match tile(&nest, &buffers) {
            Ok(tiling) => tiling,
            Err(Error::Infeasible { level }) => {
                // One position, one input and one output channel, nothing twice, take more than this.
                let reach = |axis: usize| loops.dilation[axis] * (loops.kernel[axis] - 1) + 1;
                let window = (0..3).map(reach).product::<u64>();
                let most = sizes.a * window + sizes.b * loops.kernel.iter().product::<u64>() + sizes.partial;
                prop_assert!(buffers[usize::from(level)].capacity.0 < 2 * most);
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert_eq!(tiling.levels.len(), buffers.len());
        prop_assert_eq!(&tiling, &tile(&nest, &buffers).expect("as before"));
        let mut extents = nest::whole(&loops).map(|(_, to)| to);
        for (level, buffer) in tiling.levels.iter().zip(&buffers).rev() {
            let traffic = level.traffic.total().expect("small");
            prop_assert!(traffic >= level.lower_bound, "{:?} {:?}", traffic, level);
            prop_assert_eq!(level.lower_bound, lower_bound(&nest, buffer.capacity).expect("small"));
            prop_assert!(level.footprint <= buffer.capacity);
            // Each dim is cut once, and each tile cuts that of the level outside: all steps are covered, none twice.
            let mut dims: Vec<Dim> = level.loops.iter().map(|tiles| tiles.dim).collect();
            dims.sort_by_key(|&dim| nest::place(dim));
            prop_assert_eq!(dims, DIMS);
            for tiles in &level.loops {
                let extent = &mut extents[nest::place(tiles.dim)];
                prop_assert_eq!(tiles.extent, *extent);
                prop_assert!((1..=tiles.extent).contains(&tiles.tile));
                *extent = tiles.tile;
            }
        }
    }

    #[test]
    fn more_capacity_costs_no_more(
        loops in conv(40, 5), sizes in sizes(), power in 3.0..20.0_f64, more in 1.0..2.0_f64, double in any::<bool>(),
    ) {
        let nest = LoopNest::new(Loops::Conv(loops), sizes);
        let at = |power: f64| tile(&nest, &[buffer(power.exp2() as u64, double)]);
        if let Ok(less) = at(power) {
            let [less, more] = [total(&less), total(&at(power + more).expect("what fitted"))].map(|bytes| bytes.expect("small"));
            prop_assert!(more as f64 <= WORST * less as f64, "{} {}", more, less);
        }
    }

    #[test]
    fn twice_the_batch_costs_no_more_than_twice(
        loops in conv(200, 5), sizes in sizes(), power in 3.0..20.0_f64, more in 0.0..1.0_f64,
    ) {
        // Not double-buffered: an image that is the only one takes room once, one of two takes it twice.
        let at = |batch: u64, power: f64| {
            let nest = LoopNest::new(Loops::Conv(ConvLoops { batch, ..loops }), sizes);
            tile(&nest, &[buffer(power.exp2() as u64, false)]).map(|tiling| total(&tiling).expect("small"))
        };
        if let Ok(once) = at(loops.batch, power) {
            let twice = at(loops.batch * 2, power).expect("what fitted");
            prop_assert!(twice as f64 <= WORST * 2.0 * once as f64, "{} {}", twice, once);
            let grown = at(loops.batch, power + more).expect("what fitted");
            prop_assert!(grown as f64 <= WORST * once as f64, "{} {}", grown, once);
        }
    }
}

#[test]
fn an_image_more_costs_as_much_again() -> Result<(), Error> {
    // 9 to 36 channels, 53 x 53 to 26 x 26, windows of 2 x 2 taps, two apart. All weights, 9 * 36 * 4 * 4 B = 5184 B, stay.
    let loops = |batch| ConvLoops {
        batch,
        groups: 1,
        c_in: 9,
        c_out: 36,
        input: [1, 53, 53],
        output: [1, 26, 26],
        kernel: [1, 2, 2],
        stride: [1, 2, 2],
        dilation: [1, 2, 2],
        padding: [0; 3],
    };
    let at =
        |batch| total(&tile(&LoopNest::new(Loops::Conv(loops(batch)), ElementSizes::all(4)), &[buffer(16344, false)])?);
    let (one, two) = (at(1)?, at(2)?);
    assert_eq!(two, 2 * one - 5184);
    Ok(())
}

/// Random convolutions of the law of several levels, for each number of levels.
const GROWN: u32 = 24_000;

#[test]
fn more_capacity_of_any_level_costs_no_more() -> Result<(), Error> {
    let steps = [0.1..4.0_f64, 0.1..4.0_f64];
    let case = (conv(40, 5), sizes(), 3.0..18.0_f64, steps, 0.1..1.0_f64, any::<[bool; 2]>());
    let mut runner = TestRunner::new_with_rng(Config::default(), rng());
    let (mut all, mut worst) = ([0_u32; 2], 1.0_f64);
    for index in 0..2 * GROWN {
        let tree = case.new_tree(&mut runner).expect("a case");
        let (loops, sizes, power, steps, more, [double, inner]) = proptest::strategy::ValueTree::current(&tree);
        let nest = LoopNest::new(Loops::Conv(loops), sizes);
        let levels = 2 + index as usize % 2;
        let powers = [power, power + steps[0], power + steps[0] + steps[1]];
        let at = |powers: &[f64]| {
            let buffers: Vec<Buffer> = powers.iter().map(|power| buffer(power.exp2() as u64, double)).collect();
            tile(&nest, &buffers)
        };
        let Ok(less) = at(&powers[..levels]) else { continue };
        // The outermost level grows, or one inside it, up to the next one.
        let grows = if inner { index as usize / 2 % (levels - 1) } else { levels - 1 };
        let mut grown = powers;
        grown[grows] += more;
        if grows + 1 < levels {
            grown[grows] = grown[grows].min(powers[grows + 1]);
        }
        let ratio = total(&at(&grown[..levels]).expect("what fitted"))? as f64 / total(&less)? as f64;
        (all[levels - 2], worst) = (all[levels - 2] + 1, worst.max(ratio));
        assert!(ratio <= WORST, "{ratio} {loops:?} {sizes:?} {double} {powers:?} {grown:?}");
    }
    println!("more capacity costs no more in two levels {}, in three {} times, the worst {worst:.4}", all[0], all[1]);
    Ok(())
}

/// Convolutions of ResNet-50 that are no matrix products: `c_in`, `c_out`, input, output, kernel, stride, padding.
///
/// **Source**: He et al., "Deep Residual Learning for Image Recognition", 2015, table 1, the stride of a block in its 3 × 3 one.
const RESNET_50: [[u64; 7]; 11] = [
    [3, 64, 224, 112, 7, 2, 3],
    [64, 64, 56, 56, 3, 1, 1],
    [128, 128, 56, 28, 3, 2, 1],
    [256, 512, 56, 28, 1, 2, 0],
    [128, 128, 28, 28, 3, 1, 1],
    [256, 256, 28, 14, 3, 2, 1],
    [512, 1024, 28, 14, 1, 2, 0],
    [256, 256, 14, 14, 3, 1, 1],
    [512, 512, 14, 7, 3, 2, 1],
    [1024, 2048, 14, 7, 1, 2, 0],
    [512, 512, 7, 7, 3, 1, 1],
];

/// Most that the median may be over the bound.
const MOST: f64 = 1.02;

#[test]
fn resnet_50_moves_little_more_than_it_must() -> Result<(), Error> {
    for (name, sizes) in [("fp32", ElementSizes::all(4)), ("int8", ElementSizes { a: 1, b: 1, partial: 4, c: 1 })] {
        for power in 15..=25 {
            let mut ratios = Vec::new();
            for [c_in, c_out, input, output, kernel, stride, padding] in RESNET_50 {
                let loops = ConvLoops {
                    batch: 1,
                    groups: 1,
                    c_in,
                    c_out,
                    input: [1, input, input],
                    output: [1, output, output],
                    kernel: [1, kernel, kernel],
                    stride: [1, stride, stride],
                    dilation: [1; 3],
                    padding: [0, padding, padding],
                };
                let tiling = tile(&LoopNest::new(Loops::Conv(loops), sizes), &[buffer(1 << power, false)])?;
                let bound = tiling.levels[0].lower_bound.0;
                ratios.push(total(&tiling)? as f64 / bound as f64);
            }
            let row: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
            ratios.sort_by(f64::total_cmp);
            let median = ratios[ratios.len() / 2];
            println!("{name} {:6} KiB  {}  median {median:.3}", 1 << (power - 10), row.join(" "));
            assert!(median <= MOST, "{name} {power}: {median}");
        }
    }
    Ok(())
}
