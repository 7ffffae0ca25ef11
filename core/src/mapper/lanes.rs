//! Lanes: how much of a convolution a unit works on at once, and the cycles of a product on them. Positions, channels and taps
//! are padded to the lanes; a depthwise convolution has lanes of its own.
//!
//! Shared by neural processors ([`super::npu`]) and dataflow processors ([`super::dpu`]).

use crate::error::{Error, Quantity};
use crate::mapping::Machine;
use crate::nest::{LoopNest, Loops, Stream};
use crate::shape::product;
use crate::units::{Cycles, to_f32};
use crate::work::Gemm;

/// What a unit works on in one step: so many positions of the result, output channels, input channels and taps, all of them
/// multiplied with each other.
///
/// ```text
/// cycles of a step = ⌈rows · columns · c_out · c_in · taps / (share · macs_per_cycle)⌉
/// steps of a sum   = min(⌈c_in of the layer / c_in⌉ · ⌈taps of the layer / taps⌉, ⌈c_in of the layer / (c_in · taps)⌉ · taps of the layer)
/// ```
/// The second order takes `taps` times as many channels of one tap instead: units with `taps` above 1 can do both.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lanes {
    /// Output rows, at least 1; 0 counts as 1, as below.
    pub rows: u64,
    /// Output columns.
    pub columns: u64,
    /// Input channels; 1 of a depthwise convolution.
    pub c_in: u64,
    /// Taps of the window.
    pub taps: u64,
    /// Output channels; of a depthwise convolution its channels.
    pub c_out: u64,
    /// Share of the unit's MACs that these lanes are, above 0: 1, or less where a kind of layer leaves some without work.
    pub share: f32,
}

impl Lanes {
    fn clamped(&self) -> Self {
        let Self { rows, columns, c_in, taps, c_out, share } = *self;
        let [rows, columns, c_in, taps, c_out] = [rows, columns, c_in, taps, c_out].map(|lanes| lanes.max(1));
        Self { rows, columns, c_in, taps, c_out, share }
    }
}

/// The sums of a product, whatever its loops: a convolution, or a matrix product as one of single taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    /// Images, or slices of a volume, whose positions share no tile.
    pub(super) images: u64,
    /// Output rows of an image.
    pub(super) rows: u64,
    /// Output columns of an image.
    pub(super) columns: u64,
    /// Whether positions are a list, cut without regard to rows.
    pub(super) list: bool,
    /// Groups of channels.
    pub(super) groups: u64,
    /// Input channels of a group.
    pub(super) c_in: u64,
    /// Output channels of a group.
    pub(super) c_out: u64,
    /// Taps of the window.
    pub(super) taps: u64,
    /// Runs one after the other.
    pub(super) runs: u64,
    /// Whether groups are those of channels of one image, not the heads of an attention.
    pub(super) grouped: bool,
}

impl Sums {
    /// The products of a nest: two of an attention, one of all else.
    pub(super) fn of(nest: &LoopNest) -> Result<heapless::Vec<Self, 2>, Error> {
        let runs = nest.repeats;
        let gemm = |Gemm { m, n, k, groups }| Self {
            images: 1,
            rows: 1,
            columns: m,
            list: true,
            groups,
            c_in: k,
            c_out: n,
            taps: 1,
            runs,
            grouped: true,
        };
        let mut sums = heapless::Vec::new();
        match nest.loops {
            Loops::Gemm(loops) => sums.push(gemm(loops)).ok(),
            Loops::Conv(loops) => {
                let [depth, rows, columns] = loops.output;
                let [_, height, _] = loops.kernel;
                sums.push(Self {
                    images: product([loops.batch, depth])?,
                    rows,
                    columns,
                    list: rows == 1 && height == 1,
                    groups: loops.groups,
                    c_in: loops.c_in,
                    c_out: loops.c_out,
                    taps: product(loops.kernel)?,
                    runs,
                    grouped: true,
                })
                .ok()
            }
            Loops::Attention(loops) => {
                let (groups, m, n) = (loops.groups, loops.m, loops.n);
                let head = |loops| Self { grouped: false, ..gemm(loops) };
                sums.push(head(Gemm { m, n, k: loops.d, groups })).ok();
                sums.push(head(Gemm { m, n: loops.d_v, k: n, groups })).ok()
            }
        };
        Ok(sums)
    }

    /// Whether each channel has sums of its own. Heads of depth 1 are no channels: one of them, which is no group, and several of them
    /// run on the same lanes.
    pub(super) const fn is_depthwise(&self) -> bool {
        self.grouped && self.c_in == 1 && self.groups > 1
    }

    /// Positions of the result.
    pub(super) fn positions(&self) -> Result<u64, Error> {
        product([self.images, self.rows, self.columns])
    }

    /// Terms of a sum.
    pub(super) fn terms(&self) -> Result<u64, Error> {
        product([self.c_in, self.taps])
    }
}

/// The tiles of sums on lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    /// Tiles of positions.
    pub(super) positions: u64,
    /// Tiles of output channels of all groups.
    pub(super) channels: u64,
    /// Tiles of output channels that read the same input channels.
    pub(super) sharing: u64,
    /// Steps of a sum.
    pub(super) steps: u64,
    /// Cycles of a step.
    pub(super) step_cycles: u64,
    /// Weights of a step.
    pub(super) step_weights: u64,
    /// Positions of a tile.
    pub(super) lane_positions: u64,
    /// Output channels of a tile.
    pub(super) lane_channels: u64,
    /// Results of a tile.
    pub(super) results: u64,
    /// MACs that the lanes of a position do for all channels: padded channels and taps count.
    pub(super) padded: u64,
}

impl Tiles {
    /// Cuts sums for lanes, depthwise ones for `depthwise` where the unit has such lanes.
    pub(super) fn of(
        sums: &Sums,
        dense: &Lanes,
        depthwise: Option<&Lanes>,
        machine: &Machine<'_>,
    ) -> Result<(Self, f32), Error> {
        let depthwise = depthwise.filter(|_| sums.is_depthwise());
        let lanes = depthwise.unwrap_or(dense).clamped();
        let positions = if sums.list {
            product([sums.images, tiles(sums.columns, product([lanes.rows, lanes.columns])?)])?
        } else {
            product([sums.images, tiles(sums.rows, lanes.rows), tiles(sums.columns, lanes.columns)])?
        };
        let (channels, sharing) = if depthwise.is_some() {
            (tiles(product([sums.groups, sums.c_out])?, lanes.c_out), 1)
        } else {
            let sharing = tiles(sums.c_out, lanes.c_out);
            (product([sums.groups, sharing])?, sharing)
        };
        let deep = product([lanes.c_in, lanes.taps])?;
        let by_taps = product([tiles(sums.c_in, lanes.c_in), tiles(sums.taps, lanes.taps)])?;
        let by_channels = product([tiles(sums.c_in, deep), sums.taps])?;
        // Depthwise lanes have no other channels to take instead of taps.
        let steps = if depthwise.is_some() { by_taps } else { by_taps.min(by_channels) };
        let step_weights = product([deep, lanes.c_out])?;
        let macs = product([lanes.rows, lanes.columns, step_weights])?;
        // A rate of 32 bits that is a hair too small must not cost a whole cycle.
        let step_cycles = to_f32(macs) / (lanes.share * machine.macs_per_cycle.get());
        let step_cycles = ceil(step_cycles * 0.999_999)?.max(1);
        let cut = Self {
            positions,
            channels,
            sharing,
            steps,
            step_cycles,
            step_weights,
            lane_positions: product([lanes.rows, lanes.columns])?,
            lane_channels: lanes.c_out,
            results: product([lanes.rows, lanes.columns, lanes.c_out])?,
            padded: product([channels, steps, step_weights])?,
        };
        Ok((cut, lanes.share))
    }

    /// Cycles of the MACs of some of the tiles, all lanes stepping through them.
    pub(super) fn cycles(&self, positions: u64, channels: u64) -> Result<u64, Error> {
        product([positions, channels, self.steps, self.step_cycles])
    }
}

/// Elements that units pass in a cycle beside products, each unit alone, each above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rates {
    /// Results of an elementwise op: an addition, a multiplication, a copy.
    pub elementwise: f32,
    /// Elements of windows: of a pooling, a reduction, a normalisation; each as one FLOP.
    pub window: f32,
}

/// Cycles of a stream on some units.
///
/// ```text
/// cycles = ⌈max(results / elementwise, FLOPs / window) / units⌉
/// ```
/// 0 for what is done to the results of a product while they leave the array, as an activation is: a stream that reads and writes
/// no activations.
pub(super) fn stream_cycles(stream: &Stream, rates: &Rates, units: u32) -> Result<Cycles, Error> {
    if stream.read.0 == 0 && stream.written.0 == 0 {
        return Ok(Cycles::ZERO);
    }
    let units = to_f32(u64::from(units.max(1)));
    let results = cycles_at(to_f32(stream.elements), rates.elementwise * units)?;
    // An elementwise op has one FLOP a result, and that is in its rate.
    let windows = stream.flops.0.saturating_sub(stream.elements);
    Ok(Cycles(results.max(cycles_at(to_f32(windows), rates.window * units)?)))
}

/// Cycles in which so many elements pass at a rate per cycle.
pub(super) fn cycles_at(elements: f32, rate: f32) -> Result<u64, Error> {
    if rate > 0.0 { ceil(elements / rate) } else { Err(Error::NotPositive(Quantity::Throughput)) }
}

/// The next integer from a number that is not negative.
///
/// # Errors
/// [`Error::CountOverflow`] for what no 64 bits hold, and for what is no number.
#[allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an integer from 0 to 2^63, which the line before has checked"
)]
pub(super) fn ceil(value: f32) -> Result<u64, Error> {
    let value = libm::ceilf(value);
    if (0.0..9.0e18).contains(&value) { Ok(value as u64) } else { Err(Error::CountOverflow) }
}

/// Tiles of an extent; `tile` is at least 1.
pub(super) fn tiles(extent: u64, tile: u64) -> u64 {
    extent.div_ceil(tile.max(1))
}
