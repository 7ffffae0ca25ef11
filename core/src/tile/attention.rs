//! Tiling of a fused attention: tiles of queries that stay with their results while keys and values pass, or the other way round.
//!
//! Scores never leave the innermost level. A tile of tq queries holds the queries, the accumulators of their results, and a running
//! maximum and sum each; a tile of tk keys holds the keys and their values:
//!
//! ```text
//! footprint = a · d · tq + partial · (d_v + 2) · tq + b · (d + d_v) · tk    (+ partial · tq · tk, the scores, at the innermost level)
//! order               stays                    queries, results   keys, values
//! head, query, key    queries and results      once               × ⌈m / tq⌉
//! head, key, query    keys and values          × ⌈n / tk⌉         once
//! ```
//! What does not stay takes room twice where the level is double-buffered. A result that comes v times costs (v − 1) · 2 · `partial` ·
//! (`d_v` + 2) bytes more than its c · `d_v`: its maximum and sum go with it. Heads share nothing; a tile has one, or several whole ones.
//!
//! **Lower bound**, of all schedules that finish a pair of query and key while its rows are there, by the argument of
//! [`super::conv_bound`]: I rows of queries and J of keys make at most I · J pairs, so that with u = a · d + `partial` · `d_v` and
//! v = b · (d + `d_v`) bytes of them
//!
//! ```text
//! traffic ≥ max_k k · (V(heads · m · n / k) − S) + (c − partial) · heads · m · d_v
//! V(g)    = min u·I + v·J   with   I·J ≥ g,  I ≥ g / n,  J ≥ g / m          (about heads · m · n · u · v / S)
//! ```
//! **Source**: Dao, Fu, Ermon, Rudra, Ré, arXiv 2205.14135, algorithm 1 and theorem 2; the bound is derived here.

use super::conv_bound::{best_near, floor};
use super::cut::{Cut, balanced};
use super::gemm::too_many_levels;
use super::visits::{ByDepth, CLASSES, Ranks, visits};
use super::{Buffer, LevelTiling, MAX_LEVELS, TileLoop};
use crate::error::Error;
use crate::nest::{AttentionLoops, Dim, ElementSizes, LoopNest, Loops, Operand, Traffic};
use crate::shape::product;
use crate::units::{Bytes, to_f32};

/// Head, query, key: queries and results stay.
const QUERIES_STAY: Ranks = [0, 1, 2, 3];

/// Head, key, query: keys and values stay.
const KEYS_STAY: Ranks = [0, 2, 1, 3];

/// Share of a bound that is kept, so that roundings of f32 never lift it above the truth.
const KEPT: f32 = 0.9999;

/// What stays in a level while the innermost loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    All,
    Queries,
    Keys,
    Nothing,
}

/// A level: heads, queries and keys of a tile.
#[derive(Clone, Copy, Debug)]
struct Choice {
    tile: [u64; 3],
    ranks: Ranks,
    stays: Stays,
}

/// Bytes of one row: of a query with its result, of a key with its value, and of one score.
struct Rows {
    query: u64,
    key: u64,
    score: u64,
}

impl Rows {
    fn new(loops: &AttentionLoops, sizes: &ElementSizes) -> Result<Self, Error> {
        let depths = loops.d.checked_add(loops.d_v).ok_or(Error::CountOverflow)?;
        let state = loops.d_v.checked_add(2).ok_or(Error::CountOverflow)?;
        let query = product([sizes.a, loops.d])?.checked_add(product([sizes.partial, state])?);
        let rows =
            Self { query: query.ok_or(Error::CountOverflow)?, key: product([sizes.b, depths])?, score: sizes.partial };
        Ok(rows)
    }

    /// Bytes that a tile takes; scores only where `innermost`.
    fn footprint(&self, [group, queries, keys]: [u64; 3], stays: Stays, double: bool, innermost: bool) -> u64 {
        let twice = u64::from(double).saturating_add(1);
        let (of_queries, of_keys) = match stays {
            Stays::All => (1, 1),
            Stays::Queries => (1, twice),
            Stays::Keys => (twice, 1),
            Stays::Nothing => (twice, twice),
        };
        let scores = if innermost { self.score.saturating_mul(queries).saturating_mul(keys) } else { 0 };
        let rows = self.query.saturating_mul(of_queries).saturating_mul(queries);
        let rows = rows.saturating_add(self.key.saturating_mul(of_keys).saturating_mul(keys));
        rows.saturating_mul(group).saturating_add(scores)
    }
}

/// The nest cut by the levels chosen so far.
struct Nest {
    cuts: [Cut; 3],
    counts: [ByDepth; CLASSES],
    ranks: heapless::Vec<Ranks, MAX_LEVELS>,
}

impl Nest {
    /// Bytes of each operand at the innermost of these levels, the outermost first.
    #[inline(never)]
    fn moved(choices: &[Choice], loops: &AttentionLoops, sizes: &ElementSizes) -> Traffic {
        let cuts = [loops.groups, loops.m, loops.n].map(Cut::whole);
        let mut nest = Self { cuts, counts: [[1; MAX_LEVELS + 1]; CLASSES], ranks: heapless::Vec::new() };
        choices.iter().for_each(|choice| nest.push(choice));
        nest.traffic(loops, sizes)
    }

    fn push(&mut self, choice: &Choice) {
        self.ranks.push(choice.ranks).ok();
        for ((cut, tile), by) in self.cuts.iter_mut().zip(choice.tile).zip(&mut self.counts) {
            cut.push(tile);
            if let Some(entry) = by.get_mut(self.ranks.len()) {
                *entry = cut.count();
            }
        }
    }

    fn traffic(&self, loops: &AttentionLoops, sizes: &ElementSizes) -> Traffic {
        let [groups, queries, keys] = &self.cuts;
        let rows = visits(&self.ranks, &[Some(groups.sums()), Some(queries.sums()), None, None], &self.counts);
        let key_rows = visits(&self.ranks, &[Some(groups.sums()), None, Some(keys.sums()), None], &self.counts);
        let times = |rows: u64, elements: u64, bytes: u64| rows.saturating_mul(elements).saturating_mul(bytes);
        let spilled = times(rows.again.saturating_mul(2), loops.d_v.saturating_add(2), sizes.partial);
        Traffic {
            a: Bytes(times(rows.first.saturating_add(rows.again), loops.d, sizes.a)),
            b: Bytes(times(key_rows.first.saturating_add(key_rows.again), loops.d.saturating_add(loops.d_v), sizes.b)),
            c: Bytes(times(rows.first, loops.d_v, sizes.c).saturating_add(spilled)),
        }
    }
}

/// Cuts an attention into tiles for these buffers, from the innermost to the outermost.
///
/// # Errors
/// [`Error::Infeasible`] with the level that does not hold one query, one key and their rows; [`Error::CountOverflow`] above 2^64 − 1
/// bytes.
pub(super) fn tile_attention(
    loops: &AttentionLoops,
    sizes: &ElementSizes,
    buffers: &[Buffer],
    levels: &mut heapless::Vec<LevelTiling, MAX_LEVELS>,
) -> Result<(), Error> {
    let rows = Rows::new(loops, sizes)?;
    let mut outer = [loops.groups, loops.m, loops.n];
    let mut choices: heapless::Vec<Choice, MAX_LEVELS> = heapless::Vec::new();
    let mut stays = Stays::All;
    for (index, buffer) in buffers.iter().enumerate().rev() {
        let innermost = index == 0;
        let mut best: Option<(u64, Choice, Traffic)> = None;
        for choice in candidates(&rows, outer, stays, buffer, innermost).into_iter().flatten() {
            choices.push(choice).map_err(|_| too_many_levels())?;
            let traffic = Nest::moved(&choices, loops, sizes);
            choices.pop();
            let total = traffic.total()?.0;
            if best.as_ref().is_none_or(|(least, ..)| total < *least) {
                best = Some((total, choice, traffic));
            }
        }
        let infeasible = Error::Infeasible { level: u8::try_from(index).unwrap_or(u8::MAX) };
        let (_, choice, traffic) = best.ok_or(infeasible)?;
        let dims = if choice.ranks == KEYS_STAY { [0, 2, 1] } else { [0, 1, 2] };
        let dims = dims.iter().filter_map(|&at: &usize| {
            let dim = [Dim::Group, Dim::M, Dim::N].get(at).copied();
            Some(TileLoop { dim: dim?, tile: *choice.tile.get(at)?, extent: *outer.get(at)? })
        });
        let level = LevelTiling {
            loops: dims.collect(),
            stationary: if choice.stays == Stays::Keys { Operand::B } else { Operand::C },
            footprint: Bytes(rows.footprint(choice.tile, choice.stays, buffer.double_buffered, innermost)),
            traffic,
            lower_bound: bound_attention(loops, sizes, buffer.capacity)?,
        };
        super::put_first(levels, level)?;
        choices.push(choice).map_err(|_| too_many_levels())?;
        (outer, stays) = (choice.tile, choice.stays);
    }
    Ok(())
}

/// Tilings of a level inside a tile: all of it or whole heads where they fit; else the most queries, or the most keys, that stay.
fn candidates(rows: &Rows, outer: [u64; 3], stays: Stays, buffer: &Buffer, innermost: bool) -> [Option<Choice>; 2] {
    let [groups, m, n] = outer;
    let (room, double) = (buffer.capacity.0, buffer.double_buffered);
    let bytes = |tile, stays| rows.footprint(tile, stays, double, innermost);
    if bytes(outer, stays) <= room {
        return [Some(Choice { tile: outer, ranks: QUERIES_STAY, stays }), None];
    }
    let head = bytes([1, m, n], Stays::Nothing);
    if groups > 1 && head <= room {
        // Scores of one head are there at a time.
        let scores = head.saturating_sub(rows.footprint([1, m, n], Stays::Nothing, double, false));
        let fit = room.saturating_sub(scores).checked_div(head.saturating_sub(scores)).unwrap_or(1);
        let tile = [balanced(groups, fit.max(1).min(groups.saturating_sub(1))), m, n];
        return [Some(Choice { tile, ranks: QUERIES_STAY, stays: Stays::Nothing }), None];
    }
    // The most rows that stay beside one row of those that pass; then as many of these as fit.
    let twice = u64::from(double).saturating_add(1);
    let score = if innermost { rows.score } else { 0 };
    let most = |stay: u64, pass: u64| {
        room.checked_sub(pass.saturating_mul(twice)).and_then(|room| room.checked_div(stay.saturating_add(score)))
    };
    let grown = |stay: u64, pass: u64, kept: u64| {
        let unit = pass.saturating_mul(twice).saturating_add(score.saturating_mul(kept));
        room.saturating_sub(stay.saturating_mul(kept)).checked_div(unit).unwrap_or(1)
    };
    let below = |extent: u64| extent.saturating_sub(1).max(1);
    let queries = most(rows.query, rows.key).filter(|&fit| fit > 0 && n > 1).map(|fit| {
        let tq = balanced(m, fit.min(m));
        let tk = balanced(n, grown(rows.query, rows.key, tq).max(1).min(below(n)));
        Choice { tile: [1, tq, tk], ranks: QUERIES_STAY, stays: Stays::Queries }
    });
    let keys = most(rows.key, rows.query).filter(|&fit| fit > 0 && m > 1).map(|fit| {
        let tk = balanced(n, fit.min(n));
        let tq = balanced(m, grown(rows.key, rows.query, tk).max(1).min(below(m)));
        Choice { tile: [1, tq, tk], ranks: KEYS_STAY, stays: Stays::Keys }
    });
    [queries, keys]
}

/// Bytes that must pass between a memory of this capacity and the level outside it, for a fused attention.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub(super) fn bound_attention(loops: &AttentionLoops, sizes: &ElementSizes, capacity: Bytes) -> Result<Bytes, Error> {
    let compulsory = Traffic::compulsory(&LoopNest::new(Loops::Attention(*loops), *sizes))?.total()?;
    let pairs = to_f32(product([loops.groups, loops.m, loops.n])?);
    if pairs <= 0.0 {
        return Ok(compulsory);
    }
    let [a, b, partial, c] = [sizes.a, sizes.b, sizes.partial, sizes.c].map(to_f32);
    let (d, d_v) = (to_f32(loops.d), to_f32(loops.d_v));
    let (u, v) = (a * d + partial * d_v, b * (d + d_v));
    let capacity = to_f32(capacity.0);
    let bytes = |g: f32| {
        let (x, y) = (u * g / to_f32(loops.n), v * g / to_f32(loops.m));
        let (x, y) = if x < y { (y, x) } else { (x, y) };
        let equal = libm::sqrtf(u * v * g);
        if x <= equal { 2.0 * equal } else { x + y.max(u * v * (g / x)) }
    };
    let pieces = |k: f32| k * (bytes(pairs / k) - capacity);
    let most = best_near(&pieces, u / capacity.max(1.0) * (v / capacity.max(1.0)) * pairs);
    let results = to_f32(product([loops.groups, loops.m, loops.d_v])?);
    Ok(Bytes(compulsory.0.max(floor((most + (c - partial) * results) * KEPT))))
}
