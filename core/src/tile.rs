//! Tiling: a nest cut into tiles for each memory level, so that little moves between them; beside it the bytes that must.
//!
//! A level holds one tile of each operand. Its traffic is what passes between it and the level outside it: an operand's tile is
//! moved again whenever a loop that it depends on steps, so the loops inside the innermost of those reuse it. One operand is
//! *stationary*: the innermost loop does not touch it. Tiles of an inner level cut the tile of the level outside it.
//!
//! Leaves out replacement and conflicts of caches (see [`crate::residency`]) and the shapes that units want (see [`crate::mapper`]).

use crate::error::Error;
use crate::nest::{Dim, LoopNest, Loops, Operand, Traffic};
use crate::units::Bytes;

mod any_order;
mod attention;
mod bound;
mod candidates;
mod case;
mod conv;
mod conv_bound;
mod cut;
mod gemm;
mod inside;
mod pair;
mod reuse;
mod search;
mod several;
mod visits;

/// Most memory levels that are tiled for.
pub const MAX_LEVELS: usize = 6;

/// Most loops of a nest.
pub const MAX_LOOPS: usize = 7;

/// Room for tiles at one memory level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buffer {
    /// Bytes of one instance.
    pub capacity: Bytes,
    /// Whether what comes next is loaded beside what is used: the tiles that are not stationary take room twice.
    pub double_buffered: bool,
}

/// A loop over tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TileLoop {
    /// What it steps along.
    pub dim: Dim,
    /// Extent of a tile; the last one may be smaller.
    pub tile: u64,
    /// Extent that is cut into tiles.
    pub extent: u64,
}

impl TileLoop {
    /// Number of tiles.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.extent.div_ceil(self.tile.max(1))
    }
}

/// The tiles of one memory level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelTiling {
    /// Loops over tiles, outermost first: the loop order. Extents are those of the tile of the level outside.
    pub loops: heapless::Vec<TileLoop, MAX_LOOPS>,
    /// The operand that stays while the innermost loop with more than one tile runs, a loop of the levels outside where this
    /// level has none; where there is one tile alone, B between runs of a recurrent layer, else the operand with the largest tile.
    pub stationary: Operand,
    /// Bytes that one tile of each operand takes, twice where double-buffered.
    pub footprint: Bytes,
    /// Bytes that pass between this level and the one outside it, over the whole nest.
    pub traffic: Traffic,
    /// Bytes that must pass, whatever the tiling: see [`lower_bound`].
    pub lower_bound: Bytes,
}

/// The tiles of a nest, from the innermost level to the outermost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// One entry for each buffer.
    pub levels: heapless::Vec<LevelTiling, MAX_LEVELS>,
}

/// Cuts a nest into tiles for these buffers, from the innermost to the outermost; the backing store is none of them.
///
/// What is least is the bytes of all levels together. An operand's tile is moved again whenever a loop that it depends on steps,
/// of its level or of one outside it. Partial sums that leave are written and read again in their width; the result is written once.
///
/// ```text
/// bytes = Σ over levels: s_a · m · k · passes_n + s_b · k · n · passes_m + s_c · m · n + 2 · s_p · m · n · (passes_k − 1)
/// ```
/// **Valid for** any extents; edge tiles are counted exactly. For one level no tiling of a matrix product moves less, so that more
/// capacity never moves more, nor twice the rows or groups more than twice as much. For several, the search is exact for two levels and
/// products of up to 512 MACs or convolutions of up to 24 steps, by the tests' brute force. Beyond it is near the best: more capacity of
/// any level makes the bytes of all levels together grow by 2 % at most, in each of 40,000 random convolutions in two and three levels
/// (`tests/tests/tiling_conv.rs`) and 10,000 matrix products (`tests/tests/tiling_laws.rs`). That holds of no level alone: the tiles that
/// are best for all may give up some bytes of one.
///
/// ```
/// # use derate_core::{nest::{ElementSizes, LoopNest, Loops}, tile::{Buffer, tile}, units::Bytes, work::Gemm};
/// // 512 x 512 x 512 of fp32 in 64 KiB: C tiles of 128 x 103, so that A moves 5 times, B 4 times, C once.
/// let nest = LoopNest::new(Loops::Gemm(Gemm { m: 512, n: 512, k: 512, groups: 1 }), ElementSizes::all(4));
/// let tiling = tile(&nest, &[Buffer { capacity: Bytes(65536), double_buffered: false }])?;
/// assert_eq!(tiling.levels[0].traffic.total()?, Bytes((5 + 4 + 1) * 512 * 512 * 4));
/// # Ok::<(), derate_core::Error>(())
/// ```
/// **Source**: the reuse of tiles in nested loops as in Parashar et al., "Timeloop", ISPASS 2019.
///
/// # Errors
/// [`Error::Infeasible`] with the level whose buffer is too small for the smallest tile, or the first level beyond
/// [`MAX_LEVELS`]; [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub fn tile(nest: &LoopNest, buffers: &[Buffer]) -> Result<Tiling, Error> {
    match &nest.loops {
        Loops::Gemm(gemm) => filled(|levels| gemm::tile(nest, *gemm, buffers, levels)),
        Loops::Conv(loops) => conv::tile_conv(loops, &nest.sizes, buffers),
        Loops::Attention(loops) => filled(|levels| attention::tile_attention(loops, &nest.sizes, buffers, levels)),
    }
}

/// A tiling that is filled where it is returned: a small stack has no room for the 1.4 KB of it twice.
fn filled(
    fill: impl FnOnce(&mut heapless::Vec<LevelTiling, MAX_LEVELS>) -> Result<(), Error>,
) -> Result<Tiling, Error> {
    let mut tiling = Ok(Tiling { levels: heapless::Vec::new() });
    if let Ok(Tiling { levels }) = &mut tiling
        && let Err(error) = fill(levels)
    {
        tiling = Err(error);
    }
    tiling
}

/// Bytes that must pass between a memory of this capacity and the level outside it, whatever the tiling.
///
/// Of the tilings of [`tile`]: loops over rectangular tiles, one of each operand in the memory. A schedule that is none, such as one that
/// slides over rows of a convolution and keeps its halo, may move less; see [`any_order_bound`].
///
/// ```text
/// bytes ≥ compulsory + min over p, q of α·(p − 1) + β·(q − 1)      with tiles that fit, for each operand that may stay
/// ```
/// **Valid for** any extents and sizes; less or the same in a larger memory, and for a transposed product the same. Where no tile fits,
/// what the smallest tile moves. For attentions, of all schedules that finish a pair of query and key while its rows are there.
///
/// ```
/// # use derate_core::{nest::{ElementSizes, LoopNest, Loops}, tile::{any_order_bound, lower_bound}, units::Bytes, work::Gemm};
/// // 512 x 512 x 512 of fp32 in 64 KiB: tiles move A and B nine times together and C once, 10 MiB; all schedules 2 · 512³ / 128 elements.
/// let nest = LoopNest::new(Loops::Gemm(Gemm { m: 512, n: 512, k: 512, groups: 1 }), ElementSizes::all(4));
/// let [tiles, any] = [lower_bound(&nest, Bytes(65536))?, any_order_bound(&nest, Bytes(65536))?].map(|bytes| bytes.0);
/// assert!((10_485_000..=10_485_760).contains(&tiles) && (8_380_000..=8_388_608).contains(&any));
/// # Ok::<(), derate_core::Error>(())
/// ```
/// **Source**: derived in `tile/bound.rs` and `tile/conv_bound.rs`; compare Kwasniewski et al., "Red-Blue Pebbling Revisited", SC 2019, and
/// Dinh, Demmel, arXiv 2003.00119.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub fn lower_bound(nest: &LoopNest, capacity: Bytes) -> Result<Bytes, Error> {
    match &nest.loops {
        Loops::Gemm(_) => bound::lower_bound(nest, capacity),
        Loops::Conv(loops) => conv_bound::bound_conv(loops, &nest.sizes, capacity),
        Loops::Attention(loops) => attention::bound_attention(loops, &nest.sizes, capacity),
    }
}

/// Bytes that must pass between a memory of this capacity and the level outside it, whatever the order of the MACs.
///
/// ```text
/// bytes ≥ max(compulsory, 2 · G · √(s_a · s_b · s_p / (r · S)) − (s_p − s_c) · |C|)          more where an extent is short
/// ```
/// with G MACs, |C| results, and r pairs of window and tap that read one input position, 1 in a matrix product. Partial sums count when
/// they are written and when they are read again. Takes about a microsecond; [`lower_bound`] is closer to what tiles move.
///
/// **Valid for** any schedule that starts with an empty memory and computes each MAC once; for attentions as [`lower_bound`].
///
/// **Source**: Hong, Kung, "I/O complexity: the red-blue pebble game", STOC 1981; Smith, Lowery, Langou, van de Geijn, arXiv 1702.02017;
/// Dinh, Demmel, arXiv 2003.00119 (short extents); Chen, Demmel, Dinh, Haberle, Holtz, arXiv 2204.08279 (sizes). Constants derived in
/// `tile/any_order.rs`.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub fn any_order_bound(nest: &LoopNest, capacity: Bytes) -> Result<Bytes, Error> {
    any_order::bound(nest, capacity)
}

/// Puts a level before the others.
fn put_first(levels: &mut heapless::Vec<LevelTiling, MAX_LEVELS>, mut level: LevelTiling) -> Result<(), Error> {
    levels.iter_mut().for_each(|later| core::mem::swap(later, &mut level));
    levels.push(level).map_err(|_| Error::CountOverflow)
}
