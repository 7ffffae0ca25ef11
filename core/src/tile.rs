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

mod attention;
mod conv;
mod conv_bound;
mod cut;
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
    /// The operand that stays while the innermost loop with more than one tile runs.
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
/// # Errors
/// [`Error::Infeasible`] with the level whose buffer is too small for the smallest tile; [`Error::CountOverflow`] above 2^64 − 1
/// bytes.
pub fn tile(nest: &LoopNest, buffers: &[Buffer]) -> Result<Tiling, Error> {
    match &nest.loops {
        Loops::Gemm(_) => Err(Error::Infeasible { level: 0 }),
        Loops::Conv(loops) => conv::tile_conv(loops, &nest.sizes, buffers),
        Loops::Attention(loops) => attention::tile_attention(loops, &nest.sizes, buffers),
    }
}

/// Bytes that must pass between a memory of this capacity and the level outside it, whatever the tiling.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub fn lower_bound(nest: &LoopNest, capacity: Bytes) -> Result<Bytes, Error> {
    match &nest.loops {
        Loops::Gemm(_) => Traffic::compulsory(nest)?.total(),
        Loops::Conv(loops) => conv_bound::bound_conv(loops, &nest.sizes, capacity),
        Loops::Attention(loops) => attention::bound_attention(loops, &nest.sizes, capacity),
    }
}
