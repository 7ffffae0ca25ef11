//! Bytes at each memory level, from the register tiles outwards: tilings of what each instance of a cache works on.
//!
//! Levels with one instance for each of P workers are tiled for a share of the nest, cut along groups, rows and columns of the
//! result, and their traffic adds up over the workers; a level that all share is tiled for the whole nest. Tiles of levels that
//! as many workers share cut each other; between groups of levels the tilings are independent, which leaves out that a small
//! tile ends at the edge of a much larger one. A cache too small for any tile lets everything pass.
//!
//! Leaves out what a level may hold ([`crate::hardware::Holds`]): every level of a processor holds anything.

use crate::error::Error;
use crate::hardware::{Filling, MemoryLevel};
use crate::mapper::losses::parts;
use crate::mapping::Machine;
use crate::nest::{AttentionLoops, LoopNest, Loops, Operand, Stream, Traffic};
use crate::shape::product;
use crate::tile::{Buffer, LevelTiling, MAX_LEVELS, Tiling, tile};
use crate::units::Bytes;
use crate::work::Gemm;

/// The memory levels that a mapping tells apart: the first [`MAX_LEVELS`], of which the last is the backing store.
pub(super) fn of<'a>(machine: &Machine<'a>) -> &'a [MemoryLevel<'a>] {
    let memory = machine.hardware.memory();
    memory.get(..MAX_LEVELS).unwrap_or(memory)
}

/// Bytes that each level serves, by operand, and the tiles that lead to them.
#[derive(Debug)]
pub(super) struct Levels {
    served: [Traffic; MAX_LEVELS],
    /// Bytes of tiles in one instance of each level; of the backing store all operands.
    pub(super) footprint: [Bytes; MAX_LEVELS],
    /// The tiles, from the level of the last given traffic on; `None` where there is no cache.
    pub(super) tiling: Option<Tiling>,
}

impl Levels {
    /// Traffic of all levels. `given` is that of the innermost ones; the last of them serves what `tile` is told to cut.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn of(nest: &LoopNest, machine: &Machine<'_>, given: &[Traffic]) -> Result<Self, Error> {
        let memory = of(machine);
        let last = memory.len().saturating_sub(1);
        let least = Traffic::compulsory(nest)?;
        let mut levels = Self { served: [least; MAX_LEVELS], footprint: [Bytes::ZERO; MAX_LEVELS], tiling: None };
        // A dilated window with steps larger than itself is taken to touch what lies between its taps: more than what is read.
        let enough = |traffic: &Traffic| Traffic {
            a: traffic.a.max(least.a),
            b: traffic.b.max(least.b),
            c: traffic.c.max(least.c),
        };
        for (place, traffic) in levels.served.iter_mut().zip(given) {
            *place = enough(traffic);
        }
        if let Some(place) = levels.footprint.get_mut(last) {
            *place = least.total()?;
        }
        let mut inner = given.last().map_or(least, enough);
        let mut tiling = Tiling { levels: heapless::Vec::new() };
        let mut index = given.len().saturating_sub(1);
        while let Some(first) = memory.get(index).filter(|_| index < last) {
            let mut buffers = heapless::Vec::<Buffer, MAX_LEVELS>::new();
            for level in memory.iter().take(last).skip(index).take_while(|level| level.instances == first.instances) {
                let double_buffered = level.filling == Filling::Scratchpad;
                buffers.push(Buffer { capacity: level.instance_capacity(), double_buffered }).ok();
            }
            let share = Share::of(nest, u64::from(first.instances))?;
            let (passed, mut tiles) = tiled(&share.nest, &buffers)?;
            let passed = (0..passed).map(|_| None);
            for level in passed.chain(tiles.levels.iter_mut().map(Some)) {
                let own = match &level {
                    Some(level) => share.all(&level.traffic, &least)?,
                    None => inner,
                };
                // What a level inside does not ask for, none outside it needs to serve.
                inner = if own.total()? < inner.total()? { own } else { inner };
                let outside = index.saturating_add(1);
                if let (Some(served), Some(footprint)) =
                    (levels.served.get_mut(outside), levels.footprint.get_mut(index))
                {
                    *served = inner;
                    *footprint = level.as_ref().map_or(Bytes::ZERO, |level| level.footprint);
                }
                let level = level.map_or_else(|| passing(inner), |level| core::mem::replace(level, passing(inner)));
                tiling.levels.push(level).ok();
                index = outside;
            }
        }
        levels.tiling = (!tiling.levels.is_empty()).then_some(tiling);
        Ok(levels)
    }

    /// Bytes of all operands at each level up to the home of each; beyond it none.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub(super) fn bytes(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<[Bytes; MAX_LEVELS], Error> {
        let count = of(machine).len();
        let last = count.saturating_sub(1);
        let b = if nest.weighted { nest.homes.weights } else { nest.homes.input };
        let mut bytes = [Bytes::ZERO; MAX_LEVELS];
        for (index, (place, served)) in (0..count).zip(bytes.iter_mut().zip(&self.served)) {
            let homed = |home: u8, bytes: Bytes| if usize::from(home).min(last) >= index { bytes } else { Bytes::ZERO };
            *place = homed(nest.homes.input, served.a)
                .checked_add(homed(b, served.b))?
                .checked_add(homed(nest.homes.output, served.c))?;
        }
        Ok(bytes)
    }
}

/// Bytes of a stream at each level: each byte once, up to its home.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub(super) fn streamed(stream: &Stream, machine: &Machine<'_>) -> Result<[Bytes; MAX_LEVELS], Error> {
    let count = of(machine).len();
    let last = count.saturating_sub(1);
    let mut bytes = [Bytes::ZERO; MAX_LEVELS];
    for (index, place) in (0..count).zip(&mut bytes) {
        let homed = |home: u8, bytes: Bytes| if usize::from(home).min(last) >= index { bytes } else { Bytes::ZERO };
        *place = homed(stream.homes.input, stream.read)
            .checked_add(homed(stream.homes.weights, stream.weights))?
            .checked_add(homed(stream.homes.output, stream.written))?;
    }
    Ok(bytes)
}

/// How many of the innermost buffers hold not even the smallest tile, and tiles for the others.
fn tiled(nest: &LoopNest, buffers: &[Buffer]) -> Result<(usize, Tiling), Error> {
    let mut rest = buffers;
    let mut passed = 0_usize;
    while let [_, outer @ ..] = rest {
        match tile(nest, rest) {
            Err(Error::Infeasible { .. }) => {
                passed = passed.saturating_add(1);
                rest = outer;
            }
            tiling => return Ok((passed, tiling?)),
        }
    }
    Ok((passed, Tiling { levels: heapless::Vec::new() }))
}

/// The entry of a level that holds no tile.
const fn passing(traffic: Traffic) -> LevelTiling {
    LevelTiling {
        loops: heapless::Vec::new(),
        stationary: Operand::C,
        footprint: Bytes::ZERO,
        traffic,
        lower_bound: Bytes::ZERO,
    }
}

/// The part of a nest that the worker with the most of it computes, and the extents of the parts and of the whole.
#[derive(Debug)]
struct Share {
    nest: LoopNest,
    /// Groups, rows and columns of the whole, and of this part.
    whole: [u64; 3],
    part: [u64; 3],
}

impl Share {
    /// A cut for this many workers: groups first, then rows and columns of the result so that the workers together read least.
    ///
    /// ```text
    /// workers p = p_g · p_m · p_n          bytes read ∝ A · p_n + B · p_m
    /// ```
    fn of(nest: &LoopNest, workers: u64) -> Result<Self, Error> {
        let whole @ [groups, rows, columns] = extents(&nest.loops)?;
        let mut share = Self { nest: *nest, whole, part: whole };
        let by_group = groups.min(workers).max(1);
        let workers = workers.checked_div(by_group).unwrap_or(1).max(1);
        let least = Traffic::compulsory(nest)?;
        let mut best = (1_u64, 1_u64, u128::MAX);
        // Divisors of the number of workers come in pairs.
        for low in (1..=workers).take_while(|low| low.saturating_mul(*low) <= workers) {
            let high = workers.checked_div(low).unwrap_or(1);
            for (by_row, by_column) in [(low, high), (high, low)] {
                let (by_row, by_column) = (by_row.min(rows).max(1), by_column.min(columns).max(1));
                let used = by_row.saturating_mul(by_column);
                let read = u128::from(least.a.0).saturating_mul(by_column.into());
                let read = read.saturating_add(u128::from(least.b.0).saturating_mul(by_row.into()));
                let (row, column, bytes) = best;
                if low.saturating_mul(high) == workers && (used, bytes) > (row.saturating_mul(column), read) {
                    best = (by_row, by_column, read);
                }
            }
        }
        let (by_row, by_column, _) = best;
        let cut = parts;
        match &mut share.nest.loops {
            Loops::Gemm(Gemm { m, n, groups, .. }) => {
                (*groups, *m, *n) = (cut(*groups, by_group), cut(*m, by_row), cut(*n, by_column));
            }
            Loops::Attention(AttentionLoops { groups, m, .. }) => {
                (*groups, *m) = (cut(*groups, by_group), cut(*m, by_row));
            }
            Loops::Conv(conv) => {
                (conv.groups, conv.c_out) = (cut(conv.groups, by_group), cut(conv.c_out, by_column));
                let by_image = by_row.min(conv.batch).max(1);
                conv.batch = cut(conv.batch, by_image);
                let by_position = by_row.checked_div(by_image).unwrap_or(1);
                let axes = conv.output.iter_mut().zip(&mut conv.input);
                let axes = axes.zip(conv.kernel.iter().zip(&conv.stride).zip(&conv.dilation));
                if let Some(((output, input), ((kernel, stride), dilation))) =
                    axes.max_by_key(|((output, _), _)| **output)
                {
                    *output = cut(*output, by_position);
                    // Rows of windows at the border between two parts are read by both.
                    let reach = dilation.saturating_mul(kernel.saturating_sub(1)).saturating_add(1);
                    let span = stride.saturating_mul(output.saturating_sub(1)).saturating_add(reach);
                    *input = span.min(*input);
                }
            }
        }
        share.part = extents(&share.nest.loops)?;
        Ok(share)
    }

    /// Traffic of all workers from that of this one; at least that of every operand once.
    ///
    /// ```text
    /// A · (groups · rows) / (part of them) · workers along columns          B · … · workers along rows          C · …
    /// ```
    fn all(&self, one: &Traffic, least: &Traffic) -> Result<Traffic, Error> {
        let ([groups, rows, columns], [group, row, column]) = (self.whole, self.part);
        let copies = parts;
        let scale = |bytes: Bytes, times: [u64; 3], over: [u64; 2]| -> Result<Bytes, Error> {
            let times = u128::from(product(times)?);
            let over = u128::from(product(over)?);
            let all = u128::from(bytes.0).checked_mul(times).ok_or(Error::CountOverflow)?.div_ceil(over.max(1));
            Ok(Bytes(u64::try_from(all).map_err(|_| Error::CountOverflow)?))
        };
        Ok(Traffic {
            a: scale(one.a, [groups, rows, copies(columns, column)], [group, row])?.max(least.a),
            b: scale(one.b, [groups, copies(rows, row), columns], [group, column])?.max(least.b),
            c: scale(one.c, [groups, rows, columns], [group, product([row, column])?])?.max(least.c),
        })
    }
}

/// Groups, rows and columns of the result along which workers divide a nest. Keys of an attention are not divided.
fn extents(loops: &Loops) -> Result<[u64; 3], Error> {
    Ok(match loops {
        Loops::Gemm(gemm) => [gemm.groups, gemm.m, gemm.n],
        Loops::Conv(conv) => [conv.groups, product([conv.batch, product(conv.output)?])?, conv.c_out],
        Loops::Attention(attention) => [attention.groups, attention.m, 1],
    })
}
