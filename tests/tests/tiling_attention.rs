//! Tilings of attentions: against a walk of every tiling of small ones, and laws over random ones.

use std::collections::HashMap;

use derate_core::Error;
use derate_core::nest::{AttentionLoops, Dim, ElementSizes, LoopNest, Loops};
use derate_core::tile::{Buffer, tile};
use derate_core::units::Bytes;
use proptest::prelude::*;

/// Loops over tiles, outermost first: 0 heads, 1 queries, 2 keys.
type Nest = Vec<(usize, u64)>;

type Ranges = [(u64, u64); 3];

fn walk(ranges: &mut Ranges, nest: &[(usize, u64)], each: &mut impl FnMut(&Ranges)) {
    let Some((&(at, tile), inner)) = nest.split_first() else { return each(ranges) };
    let (from, to) = ranges[at];
    let mut start = from;
    while start < to {
        ranges[at] = (start, to.min(start + tile));
        walk(ranges, inner, each);
        start += tile;
    }
    ranges[at] = (from, to);
}

fn extents(loops: &AttentionLoops) -> [u64; 3] {
    [loops.groups, loops.m, loops.n]
}

/// Bytes of queries, of keys and values, and of results, each tile moved where it is not the one before.
fn moved(loops: &AttentionLoops, sizes: &ElementSizes, nest: &Nest) -> [u64; 3] {
    let (mut queries, mut keys) = (None, None);
    let mut visits: HashMap<[(u64, u64); 2], u64> = HashMap::new();
    let mut bytes = [0; 3];
    walk(&mut extents(loops).map(|extent| (0, extent)), nest, &mut |&[head, query, key]| {
        let rows = |range: (u64, u64)| (head.1 - head.0) * (range.1 - range.0);
        if queries != Some([head, query]) {
            queries = Some([head, query]);
            bytes[0] += rows(query) * loops.d * sizes.a;
            let visit = visits.entry([head, query]).or_default();
            // Back with its maximum and sum; or for the first time, to leave as a result in the end.
            bytes[2] +=
                rows(query) * if *visit > 0 { 2 * (loops.d_v + 2) * sizes.partial } else { loops.d_v * sizes.c };
            *visit += 1;
        }
        if keys != Some([head, key]) {
            keys = Some([head, key]);
            bytes[1] += rows(key) * (loops.d + loops.d_v) * sizes.b;
        }
    });
    bytes
}

/// Bytes of the largest tiles; what does not stay twice where `double`. Scores are of one head at a time, and innermost.
fn held(loops: &AttentionLoops, sizes: &ElementSizes, nest: &Nest, double: bool, innermost: bool) -> u64 {
    let mut tile = extents(loops);
    let mut last = None;
    for &(at, size) in nest {
        if size < tile[at] {
            (tile[at], last) = (size, Some(at));
        }
    }
    let [head, query, key] = tile;
    let times = |steps: &[usize]| if double && last.is_some_and(|last| steps.contains(&last)) { 2 } else { 1 };
    let queries = head * query * (sizes.a * loops.d + sizes.partial * (loops.d_v + 2)) * times(&[0, 1]);
    let keys = head * key * sizes.b * (loops.d + loops.d_v) * times(&[0, 2]);
    queries + keys + if innermost { query * key * sizes.partial } else { 0 }
}

/// The least bytes of all sizes and both orders.
fn best(loops: &AttentionLoops, sizes: &ElementSizes, outer: &Nest, buffer: Buffer, innermost: bool) -> Option<u64> {
    let mut most = extents(loops);
    for &(at, size) in outer {
        most[at] = most[at].min(size);
    }
    let mut best = None;
    for (heads, queries) in (1..=most[0]).flat_map(|heads| (1..=most[1]).map(move |queries| (heads, queries))) {
        for keys in 1..=most[2] {
            for order in [[(0, heads), (1, queries), (2, keys)], [(0, heads), (2, keys), (1, queries)]] {
                let nest: Nest = outer.iter().copied().chain(order).collect();
                if held(loops, sizes, &nest, buffer.double_buffered, innermost) <= buffer.capacity.0 {
                    let total = moved(loops, sizes, &nest).iter().sum::<u64>();
                    best = Some(best.map_or(total, |best: u64| best.min(total)));
                }
            }
        }
    }
    best
}

fn sizes() -> impl Strategy<Value = ElementSizes> {
    prop_oneof![Just(ElementSizes::all(4)), Just(ElementSizes { a: 2, b: 1, partial: 4, c: 2 })]
}

fn attention(most: u64) -> impl Strategy<Value = AttentionLoops> {
    (1..=3_u64, 1..=most, 1..=most, 1..=most, 1..=most).prop_map(|(groups, m, n, d, d_v)| AttentionLoops {
        groups,
        m,
        n,
        d,
        d_v,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_tiling_is_near_the_best_that_walking_finds(
        loops in attention(9), sizes in sizes(), inner in 8..800_u64, more in 0..800_u64, double in any::<bool>(),
        levels in 1..=2_usize,
    ) {
        let buffer = |capacity| Buffer { capacity: Bytes(capacity), double_buffered: double };
        let buffers = &[buffer(inner), buffer(inner + more)][2 - levels..];
        let nest = LoopNest::new(Loops::Attention(loops), sizes);
        let tiling = match tile(&nest, buffers) {
            Ok(tiling) => tiling,
            Err(Error::Infeasible { level }) => {
                if usize::from(level) + 1 == levels {
                    prop_assert_eq!(best(&loops, &sizes, &Nest::new(), buffer(inner + more), levels == 1), None);
                }
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let mut walked = Nest::new();
        for (index, (level, &buffer)) in tiling.levels.iter().zip(buffers).enumerate().rev() {
            let best = best(&loops, &sizes, &walked, buffer, index == 0).expect("one that fits");
            walked.extend(level.loops.iter().map(|tiles| {
                (match tiles.dim { Dim::Group => 0, Dim::M => 1, _ => 2 }, tiles.tile)
            }));
            let traffic = [level.traffic.a, level.traffic.b, level.traffic.c].map(|bytes| bytes.0);
            prop_assert_eq!(traffic, moved(&loops, &sizes, &walked));
            prop_assert_eq!(level.footprint.0, held(&loops, &sizes, &walked, double, index == 0));
            prop_assert!(level.footprint <= buffer.capacity);
            prop_assert!(level.lower_bound.0 <= best);
            let total = traffic.iter().sum::<u64>();
            prop_assert!(index + 1 < levels || total as f64 <= 1.02 * best as f64, "{} {} {:?}", total, best, tiling);
        }
    }

    #[test]
    fn more_capacity_costs_no_more_and_twice_the_work_twice_as_much(
        loops in attention(300), sizes in sizes(), capacity in 1000..500_000_u64, more in 1.0..2.0_f64, double in any::<bool>(),
    ) {
        let moved = |loops, capacity| {
            let nest = LoopNest::new(Loops::Attention(loops), sizes);
            let tiling = tile(&nest, &[Buffer { capacity: Bytes(capacity), double_buffered: double }])?;
            Ok::<_, Error>(tiling.levels[0].traffic.total()?.0)
        };
        let AttentionLoops { groups, m, n, .. } = loops;
        // One query and one key of one head are a tile that nothing follows: more of them need more room where double-buffered.
        if let (Ok(once), false) = (moved(loops, capacity), groups * m * n == 1) {
            let (queries, heads) = (AttentionLoops { m: 2 * m, ..loops }, AttentionLoops { groups: 2 * groups, ..loops });
            prop_assert!(moved(loops, (capacity as f64 * more) as u64)? <= once);
            prop_assert!(moved(queries, capacity)? <= 2 * once);
            prop_assert_eq!(moved(heads, capacity)?, 2 * once);
        }
    }
}

#[test]
fn an_attention_by_hand() -> Result<(), Error> {
    // One head of 1024 × 64 queries, keys and values at 4 bytes. A query holds 4 · 64 + 4 · 66 = 520 B, a key 512 B, a score 4 B.
    // In 32 KiB: (32768 − 512) / 524 = 61 queries at most beside one key; 17 tiles of 61 at least, or 17 of 61: K and V 17 times.
    let loops = AttentionLoops { groups: 1, m: 1024, n: 1024, d: 64, d_v: 64 };
    let nest = LoopNest::new(Loops::Attention(loops), ElementSizes::all(4));
    let tiling = tile(&nest, &[Buffer { capacity: Bytes(32768), double_buffered: false }])?;
    let traffic = tiling.levels[0].traffic;
    assert_eq!([traffic.a, traffic.b, traffic.c], [Bytes(262_144), Bytes(17 * 524_288), Bytes(262_144)]);
    // 1024² · 512 · 512 / 32768 = 8388608 at least, less what is kept for rounding.
    let bound = tiling.levels[0].lower_bound.0;
    assert!((8_387_000..=8_388_608).contains(&bound), "{bound}");
    Ok(())
}
