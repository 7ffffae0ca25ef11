//! One register tile: its slots, and those of all tiles at least.

use crate::error::Error;
use crate::mapper::losses::parts;
use crate::shape::product;

/// What a tile does at each step along its sums, and after the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// Steps along the sums.
    steps: u64,
    /// Whether every multiply-add loads a vector of its own, beside those of the columns: nothing is shared along rows.
    own_loads: bool,
    /// Slots of a tile in which the chain of its steps runs.
    waited: u64,
    /// Slots of each sum after the last step: its parts added, its lanes folded.
    fold: u64,
    /// Slots of a tile in which the chain of these runs.
    chain: u64,
}

impl Kernel {
    /// A kernel whose sums each have one part, and are not folded.
    pub(super) fn new(steps: u64, own_loads: bool, cover: u64) -> Result<Self, Error> {
        let waited = product([cover, steps])?;
        Ok(Self { steps, own_loads, waited, fold: 0, chain: 0 })
    }

    /// The same whose sums are each in so many parts, that are added at the end, so that there are enough independent ones; then
    /// a vector is folded in half so many times: log2 of the lanes that a sum has.
    pub(super) fn folded(self, summed: u64, folds: u64, cover: u64) -> Result<Self, Error> {
        let summed = summed.min(self.steps).max(1);
        let fold = folds.saturating_add(summed).saturating_sub(1);
        let chain = product([cover, folds.saturating_add(log2_up(summed))])?;
        let waited = if summed == 1 { self.waited } else { product([cover, parts(self.steps, summed)])? };
        Ok(Self { waited, fold, chain: if fold == 0 { 0 } else { chain }, ..self })
    }

    /// Slots of a tile of so many rows and vectors: multiply-adds, with loads and folds, with waits.
    ///
    /// ```text
    /// multiply = r · v · steps
    /// issue    = max(r · v, loads) · steps + r · v · (folds + parts − 1)                  loads = r + v
    /// wait     = max(r · v, loads, cover / parts) · steps + …                             the same chain for folds
    /// ```
    #[inline]
    pub(super) fn slots(&self, rows: u64, vectors: u64) -> Result<[u64; 3], Error> {
        let sums = product([rows, vectors])?;
        let shared = if self.own_loads { sums } else { rows };
        let loads = sum(shared, vectors)?;
        let multiply = product([sums, self.steps])?;
        let loaded = product([sums.max(loads), self.steps])?;
        let folds = product([sums, self.fold])?;
        let chain = if folds == 0 { 0 } else { self.chain };
        Ok([multiply, sum(loaded, folds)?, sum(loaded.max(self.waited), folds.max(chain))?])
    }

    /// Slots of all sums, at least, however they are cut: their steps and folds.
    pub(super) fn fewest(&self, [rows, vectors, groups]: [u64; 3]) -> Result<u64, Error> {
        product([rows, vectors, groups, sum(self.steps, self.fold)?])
    }

    /// Slots of all tiles with waits, at least; no less with more tiles along an axis.
    ///
    /// ```text
    /// Σ wait ≥ max(R · V, R · across + V · down, waited · tiles / steps) · steps + max(R · V · fold, chain · tiles)
    /// ```
    /// for the sums of the terms over the tiles of R rows × V vectors: of a sum of the larger and the larger sum the latter is less.
    #[inline]
    pub(super) fn least(&self, [rows, vectors, groups]: [u64; 3], [down, across]: [u64; 2]) -> Result<u64, Error> {
        let sums = product([rows, vectors])?;
        let tiles = product([down, across])?;
        let shared = if self.own_loads { sums } else { product([rows, across])? };
        let loads = sum(shared, product([vectors, down])?)?;
        let stepped = product([sums.max(loads), self.steps])?.max(product([self.waited, tiles])?);
        let folded = product([sums, self.fold])?.max(product([self.chain, tiles])?);
        product([sum(stepped, folded)?, groups])
    }
}

/// A sum of counts.
pub(super) fn sum(a: u64, b: u64) -> Result<u64, Error> {
    a.checked_add(b).ok_or(Error::CountOverflow)
}

/// The smallest power of two that is not below a number, as its exponent.
pub(super) fn log2_up(number: u64) -> u64 {
    u64::from(number.checked_next_power_of_two().and_then(u64::checked_ilog2).unwrap_or(u64::BITS))
}
