//! Matrix–vector products on the vector lanes: as many bytes as the matrix has, no matrix instructions, nothing padded to them.

use super::blocks::{Multiprocessor, PORT, Plan};
use super::fastest::Sink;
use super::{PARTITIONS, WARP};
use crate::error::Error;
use crate::nest::{ElementSizes, Traffic};
use crate::shape::product;
use crate::units::{Bytes, Parts as _, to_f32};
use crate::work::Gemm;

/// Most vectors that a thread keeps sums of: it reads each element of the matrix once for all of them.
///
/// **Source**: the kernels of mistral.rs, `mistralrs_quant::gemv`, for batches of 1 to 8.
const VECTORS: u64 = 8;

/// Columns of the matrix that a warp has, one after the other, and a block of a warp for each partition.
const COLUMNS: u64 = 8 * PARTITIONS;

/// Instructions that add the sums of the threads of a warp: log2 of their number.
const FOLDS: u64 = 5;

impl Multiprocessor {
    /// The plans of a product as matrix–vector products, a few vectors at once: the rows of A are vectors, or the columns of B.
    ///
    /// ```text
    /// block   = 32 columns · vectors · min(32 · (⌈k / 32⌉ + 5), k) instructions of a warp, on the lanes
    /// cycles  = max(⌈blocks / multiprocessors⌉ · block · 32 / lanes, loads / 128 bytes)
    /// bytes   = matrix · ⌈rows / vectors⌉ + vectors · ⌈columns / 32⌉ + C
    /// ```
    /// The threads of a warp have parts of k of one column, added at the end, or a column each. Blocks take parts of k where they
    /// are few.
    pub(super) fn vectors(&self, gemm: Gemm, sizes: ElementSizes, best: &mut impl Sink) -> Result<(), Error> {
        let Gemm { m, n, k, groups } = gemm;
        for (few, many, swapped) in [(m, n, false), (n, m, true)] {
            for rows in 1..=VECTORS.min(few) {
                let passes = few.in_parts_of(rows);
                let across = many.in_parts_of(COLUMNS);
                let all = product([passes, across, groups])?;
                let [vector, matrix] = if swapped { [sizes.b, sizes.a] } else { [sizes.a, sizes.b] };
                let read = product([groups, many, k, matrix, passes])?;
                let vectors = product([groups, few, k, vector])?;
                let c = Bytes(product([groups, m, n, sizes.c])?);
                // Each column reads the vectors from shared memory.
                let from_shared = product([vectors, many])?;
                let ordered = |vector: u64, matrix: u64| {
                    let (a, b) = if swapped { (matrix, vector) } else { (vector, matrix) };
                    Traffic { a: Bytes(a), b: Bytes(b), c }
                };
                let mut split = 1_u64;
                while split == 1 || split.saturating_mul(WARP) <= k {
                    let blocks = product([all, split])?;
                    let deep = k.in_parts_of(split);
                    let folded = product([COLUMNS, deep.in_parts_of(WARP).saturating_add(FOLDS)])?;
                    let block = product([rows, folded.min(deep), WARP])?;
                    let parts = if split > 1 { product([2, split, groups, m, n, sizes.partial])? } else { 0 };
                    let count = to_f32(self.count);
                    let macs = to_f32(product([groups, m, n, k])?);
                    let emulated = macs / (self.lanes * count);
                    let waves = to_f32(blocks.in_parts_of(self.count)) * to_f32(block) / self.lanes;
                    let loaded = waves.max((to_f32(read) + to_f32(from_shared)) / (PORT * count));
                    best.see(Plan {
                        edge: macs,
                        padded: macs,
                        emulated,
                        waves,
                        idle: waves,
                        loaded,
                        cycles: loaded + to_f32(parts) / self.outside,
                        fragments: ordered(from_shared, read),
                        tiles: ordered(product([vectors, across])?, read),
                        local: Bytes(parts),
                        shared: Bytes::ZERO,
                        kernels: 1,
                    })?;
                    if blocks > self.count {
                        break;
                    }
                    split = split.saturating_mul(2);
                }
            }
        }
        Ok(())
    }
}
