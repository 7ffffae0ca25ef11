//! Neural processors, and the matrix engines of signal processors: lanes for positions, input and output channels, a decoder of
//! weights, accumulators, and a stage through which results leave.
//!
//! ```text
//! MAC cycles    = tiles of channels · steps · max(tiles of positions · cycles of a step, blocks · decoding of a step's weights)
//! output cycles = results / output
//! cycles        = max(MAC, output) + min(MAC, output) · min(1, accumulators / results of all tiles)
//! ```
//! A block is what the accumulators hold: the two stages work on different blocks, so the first or the last block is in the open.
//! Weights are decoded once for each block of positions. Several units share the tiles of channels or those of positions, whichever
//! takes fewer cycles.
//!
//! The unit reads the input once for each block of channels, weights once for each block of positions, and writes results once. Wide
//! blocks decode and read weights less often, deep ones read the input less often; the depth is the one with which arithmetic and moves
//! together take least time, so that flash that alone holds the weights asks for wide blocks. That is the traffic of the array, at level 0
//! mostly; beyond it see the equations of `levels.rs`. What feeds the lanes each cycle is part of the unit, not a level.
//!
//! Leaves out: rows of the input that blocks share, and bursts shorter than a memory wants.
//!
//! **Source**: the structure is that of Arm Ethos-U, as `architecture_features.py` and `npu_performance.py` of ethos-u-vela 5.2.0
//! (Apache-2.0) state it: micro-blocks, steps of 32 input channels or of 8 channels and four taps, 8 weights decoded a cycle, output
//! cycles an element. Others fit by their parameters.

use crate::error::Error;
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{LoopNest, Stream, Traffic};
use crate::shape::product;
use crate::units::{Bytes, to_f32};

use super::flows::{self, Fastest};
use super::lanes::{Lanes, Rates, Sums, Tiles, ceil, cycles_at, stream_cycles, tiles};
use super::levels::Levels;
use super::losses::Losses;

/// The geometry of a neural processor.
///
/// ```
/// # use derate_core::mapper::{lanes::{Lanes, Rates}, npu::Npu};
/// // Arm Ethos-U55 with 128 MACs: micro-blocks of 2 × 1 × 8 results, 8 input channels a cycle, in steps of four cycles.
/// let dense = Lanes { rows: 2, columns: 1, c_in: 8, taps: 4, c_out: 8, share: 1.0 };
/// let u55 = Npu {
///     dense,
///     depthwise: Some(Lanes { c_in: 1, share: 0.125, ..dense }),
///     weights_per_cycle: Some(8.0),
///     accumulators: Some(1536),
///     output: Some(2.0),
///     rates: Rates { elementwise: 2.0 / 3.0, window: 2.0 },
///     stored_weights: 1.0,
///     setup_cycles: 128,
/// };
/// # assert_eq!(u55.dense.c_out, 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Npu {
    /// What a unit works on in one step.
    pub dense: Lanes,
    /// The same for depthwise convolutions; `None` where they run on the dense lanes, one channel in each group of them.
    pub depthwise: Option<Lanes>,
    /// Weights that a unit decodes in a cycle, those of padded channels too; `None` where that never binds.
    pub weights_per_cycle: Option<f32>,
    /// Sums that a unit holds at once; `None` for all.
    pub accumulators: Option<u64>,
    /// Results that a unit scales, activates and writes in a cycle; `None` where that never binds.
    pub output: Option<f32>,
    /// Rates of what is no product.
    pub rates: Rates,
    /// Bytes that a byte of weights takes in memory, above 0: below 1 where the unit decodes compressed weights.
    pub stored_weights: f32,
    /// Cycles before the arithmetic of a kernel starts and after it ends: the first fetch, the last write.
    pub setup_cycles: u64,
}

/// Blocks of tiles that the accumulators hold.
#[derive(Clone, Copy)]
struct Blocks {
    /// Blocks of positions: so often weights are decoded.
    positions: u64,
    /// Blocks of channels that read the same input: so often it is read.
    channels: u64,
}

/// Cycles of a product on some units.
#[derive(Clone, Copy)]
struct Cost {
    /// Of the fullest unit, each MAC lane stepping through its tiles.
    share: u64,
    /// With the weights decoded.
    decoded: u64,
    /// With the results leaving.
    issued: u64,
    /// With the first or last block in the open.
    total: u64,
}

impl Npu {
    /// Cycles in which the weights of a step are decoded.
    fn decoding(&self, cut: &Tiles, weighted: bool) -> Result<u64, Error> {
        match self.weights_per_cycle {
            Some(rate) if weighted => cycles_at(to_f32(cut.step_weights), rate),
            _ => Ok(0),
        }
    }

    /// Tiles that the accumulators hold, at least one.
    fn held(&self, cut: &Tiles) -> u64 {
        self.accumulators.map_or(u64::MAX, |sums| tiles(sums.max(1), cut.results))
    }

    /// Depths of blocks in tiles of channels that share their input: those of as few blocks as the accumulators allow, of twice as many,
    /// and so on until a block is one tile deep.
    fn depths(&self, cut: &Tiles) -> impl Iterator<Item = u64> {
        let (held, sharing) = (self.held(cut), cut.sharing);
        let fewest = tiles(sharing, held);
        let numbers = core::iter::successors(Some(fewest), |blocks| blocks.checked_mul(2));
        let mut deeper = true;
        numbers.map_while(move |blocks| {
            let deep = tiles(sharing, blocks).max(1);
            core::mem::replace(&mut deeper, deep > 1).then_some(deep)
        })
    }

    /// Blocks of so many tiles of channels, and of as many positions as the accumulators then hold.
    fn blocks(&self, cut: &Tiles, positions: u64, deep: u64) -> Blocks {
        let wide = self.held(cut).checked_div(deep).unwrap_or(1).max(1);
        Blocks { positions: tiles(positions, wide), channels: tiles(cut.sharing, deep) }
    }

    /// Cycles of some of the tiles on one unit in blocks of a depth, with `results` that leave.
    fn cost(&self, lanes: &OnLanes, deep: u64, [positions, channels]: [u64; 2], results: f32) -> Result<Cost, Error> {
        let cut = &lanes.cut;
        let share = cut.cycles(positions, channels)?;
        let blocks = self.blocks(cut, positions, deep.min(channels).max(1));
        let decoded = share.max(product([channels, cut.steps, blocks.positions, lanes.decoding])?);
        let output = results / self.output.unwrap_or(f32::INFINITY);
        let sums = to_f32(product([positions, channels, cut.results])?);
        let held = self.accumulators.map_or(1.0, |held| (to_f32(held) / sums).min(1.0));
        let open = ceil(to_f32(decoded).min(output) * held)?;
        let issued = decoded.max(self.output.map_or(Ok(0), |rate| cycles_at(results, rate))?);
        Ok(Cost { share, decoded, issued, total: issued.checked_add(open).ok_or(Error::CountOverflow)? })
    }
}

/// Sums cut for lanes of their kind.
#[derive(Clone, Copy)]
struct OnLanes {
    cut: Tiles,
    /// Share of the MACs that the lanes are.
    share: f32,
    /// Cycles in which the weights of a step are decoded.
    decoding: u64,
}

/// The same in blocks of one depth.
#[derive(Clone, Copy)]
struct Laid {
    lanes: OnLanes,
    blocks: Blocks,
    cost: Cost,
    /// Cycles of all runs.
    total: u64,
}

impl Npu {
    /// Cuts sums for the lanes of their kind.
    fn on_lanes(&self, sums: &Sums, weighted: bool, machine: &Machine<'_>) -> Result<OnLanes, Error> {
        let (cut, share) = Tiles::of(sums, &self.dense, self.depthwise.as_ref(), machine)?;
        Ok(OnLanes { cut, share, decoding: self.decoding(&cut, weighted)? })
    }

    /// Lays sums in blocks of a depth; the units share channels or positions.
    fn lay(&self, sums: &Sums, lanes: &OnLanes, deep: u64, units: u64) -> Result<Laid, Error> {
        let cut = &lanes.cut;
        let (positions, channels) = (sums.positions()?, product([sums.groups, sums.c_out])?);
        // The same tiles, their channels or their positions shared by the units.
        let [by_channels, by_positions] = [tiles(cut.channels, units), tiles(cut.positions, units)];
        let results = to_f32(positions) * to_f32(channels.min(product([by_channels, cut.lane_channels])?));
        let first = self.cost(lanes, deep, [cut.positions, by_channels], results)?;
        let results = to_f32(positions.min(product([by_positions, cut.lane_positions])?)) * to_f32(channels);
        let second = self.cost(lanes, deep, [by_positions, cut.channels], results)?;
        let cost = if second.total < first.total { second } else { first };
        let blocks = self.blocks(cut, cut.positions, deep);
        Ok(Laid { lanes: *lanes, blocks, cost, total: product([cost.total, sums.runs])? })
    }

    /// The blocks of up to two sums with which arithmetic and moves take least time.
    fn best<'a>(
        &self,
        sums: &[Sums],
        nest: &LoopNest,
        levels: &'a Levels<'a>,
        machine: &Machine<'_>,
    ) -> Result<Fastest<'a, 2, Laid>, Error> {
        let units = u64::from(machine.unit.count.max(1));
        let once = levels.once;
        let mut best = Fastest::none(levels, self.stored_weights, machine);
        let mut see = |laid: [Option<Laid>; 2]| {
            let (mut total, mut a, mut b) = (0_u64, 0, 0);
            for Laid { blocks, total: cycles, .. } in laid.iter().flatten() {
                total = total.checked_add(*cycles).ok_or(Error::CountOverflow)?;
                (a, b) = (blocks.channels.max(a), blocks.positions.max(b));
            }
            let (a, b) = (product([once.a.0, a])?, product([once.b.0, b, nest.repeats])?);
            let array = Traffic { a: Bytes(a), b: Bytes(b), c: once.c };
            best.see(laid, total, |levels| levels.crossing(&[array]))
        };
        let Some((first, rest)) = sums.split_first() else { return Ok(best) };
        let lanes = self.on_lanes(first, nest.weighted, machine)?;
        for deep in self.depths(&lanes.cut) {
            let one = self.lay(first, &lanes, deep, units)?;
            let Some(second) = rest.first() else {
                see([Some(one), None])?;
                continue;
            };
            let lanes = self.on_lanes(second, nest.weighted, machine)?;
            for deep in self.depths(&lanes.cut) {
                see([Some(one), Some(self.lay(second, &lanes, deep, units)?)])?;
            }
        }
        Ok(best)
    }
}

impl Mapper for Npu {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let units = u64::from(machine.unit.count.max(1));
        let lanes = to_f32(units) * machine.macs_per_cycle.get();
        let levels = Levels::of(nest, machine, 0);
        let levels = levels.as_ref().map_err(|error| *error)?;
        let sums = Sums::of(nest)?;
        let Fastest { chosen, cycles: total, crossing, .. } = self.best(&sums, nest, levels, machine)?;
        let (mut padded, mut edges, mut waves, mut decoded, mut issued) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (sums, Laid { lanes: OnLanes { cut, share, .. }, cost, .. }) in sums.iter().zip(chosen.iter().flatten()) {
            let runs = to_f32(sums.runs);
            padded += to_f32(sums.positions()?) * to_f32(cut.padded) * runs / (lanes * share);
            edges += to_f32(cut.cycles(cut.positions, cut.channels)?) * runs / to_f32(units);
            waves += to_f32(cost.share) * runs;
            decoded += to_f32(cost.decoded) * runs;
            issued += to_f32(cost.issued) * runs;
        }
        let losses = Losses::from(machine.least_cycles(nest.macs()?))
            .then(Loss::Padding, padded)
            .then(Loss::EdgeTiles, edges)
            .then(Loss::Waves, waves)
            .then(Loss::WeightLoad, decoded)
            .then(Loss::Issue, issued)
            .then(Loss::FillDrain, to_f32(total));
        flows::product_mapping((levels, self.stored_weights), &crossing, total, losses, self.setup_cycles, machine)
    }

    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        flows::stream_mapping(
            stream,
            machine,
            stream_cycles(stream, &self.rates, machine.unit.count)?,
            self.setup_cycles,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapper::npu_toy::{INSIDE, Toy, assert_consistent, conv, linear};
    use crate::units::{Cycles, Flops, Seconds};

    /// Micro-blocks of 2 × 1 × 8 results, 8 input channels and 1 tap a cycle, in steps of 4 cycles: 128 MACs a cycle.
    const U55_128: Npu = {
        let dense = Lanes { rows: 2, columns: 1, c_in: 8, taps: 4, c_out: 8, share: 1.0 };
        Npu {
            dense,
            depthwise: Some(Lanes { c_in: 1, share: 0.125, ..dense }),
            weights_per_cycle: Some(8.0),
            accumulators: Some(1536),
            output: Some(2.0),
            rates: Rates { elementwise: 0.5, window: 2.0 },
            stored_weights: 1.0,
            setup_cycles: 128,
        }
    };

    fn map(nest: &LoopNest, count: u32) -> Result<Mapping, Error> {
        Toy { count, ..Toy::new(128.0) }.with(|machine| {
            let mapping = U55_128.product(nest, machine)?;
            assert_consistent(nest, &mapping, machine)?;
            Ok(mapping)
        })
    }

    fn cycles(nest: &LoopNest, count: u32) -> Result<u64, Error> {
        Ok(map(nest, count)?.compute_cycles.0)
    }

    #[test]
    fn seventeen_input_channels_cost_as_much_as_thirty_two() -> Result<(), Error> {
        // 8 × 8 results: 4 · 8 = 32 tiles of positions; 16 output channels: 2 tiles; steps of 4 cycles.
        // 16 channels, 9 taps: min(⌈16/8⌉ · ⌈9/4⌉, ⌈16/32⌉ · 9) = min(6, 9) = 6 steps: 32 · 2 · 6 · 4 = 1536 cycles.
        // Results: 1024 / 2 = 512 cycles, all of them held at once and so in the open: 2048.
        assert_eq!(cycles(&conv(16, 16, 1, [8, 8], 3), 1)?, 2048);
        // 17 channels: min(3 · 3, 1 · 9) = 9 steps: 2304 + 512. 32 channels: min(4 · 3, 9) = 9.
        assert_eq!(cycles(&conv(17, 16, 1, [8, 8], 3), 1)?, 2816);
        assert_eq!(cycles(&conv(32, 16, 1, [8, 8], 3), 1)?, 2816);
        // 17 output channels: 3 tiles: 32 · 3 · 6 · 4 = 2304, and 64 · 17 / 2 = 544.
        assert_eq!(cycles(&conv(16, 17, 1, [8, 8], 3), 1)?, 2848);
        Ok(())
    }

    #[test]
    fn edge_tiles_and_padded_taps_are_named() -> Result<(), Error> {
        // 7 × 7: ⌈7/2⌉ · 7 = 28 tiles · 2 · 6 · 4 = 1344; results 784 / 2 = 392: 1736.
        let mapping = map(&conv(16, 16, 1, [7, 7], 3), 1)?;
        assert_eq!(mapping.compute_cycles, Cycles(1736));
        let [taps, edges, drain] = mapping.losses.as_slice() else { panic!("{:?}", mapping.losses) };
        // 9 taps as 12; 49 positions as 56; 1344 of 1736 cycles.
        assert_eq!((taps.loss, taps.left), (Loss::Padding, 0.75));
        assert_eq!((edges.loss, edges.left), (Loss::EdgeTiles, 1176.0 / 1344.0));
        assert_eq!((drain.loss, drain.left), (Loss::FillDrain, 1344.0 / 1736.0));
        assert_eq!(mapping.setup, Seconds(1.28e-7));
        // One block: input, weights and results once.
        assert_eq!(mapping.traffic[0], Bytes(49 * 16 + 16 * 16 * 9 + 49 * 16));
        Ok(())
    }

    #[test]
    fn weights_that_come_from_slow_memory_ask_for_wide_blocks() -> Result<(), Error> {
        use crate::hardware::Holds;
        use crate::nest::Homes;
        // 64 → 64 channels, 1 × 1 on 125 positions: 63 · 8 tiles, 96 of them held; 8 positions hide the decoding.
        let nest = linear([125, 64, 64]);
        Toy::new(128.0).with(|machine| {
            // Both from the scratchpad: 8 deep, 12 wide: 6 times 4096 weights and 8000 inputs are 32 576; 4 deep, 24 wide: 3 times
            // 4096 and 2 times 8000: 28 288; 2 deep, 48 wide: 2 times 4096 and 4 times 8000. And 8000 results.
            let mapping = U55_128.product(&nest, machine)?;
            assert_eq!(mapping.traffic[0], Bytes(28_288 + 8000));
            Ok(())
        })?;
        // Weights straight from the backing store, as fast as the scratchpad: 4 deep take max(16 000, 12 288).
        let nest = LoopNest { homes: Homes { weights: 1, ..INSIDE }, ..nest };
        Toy { holds: [Holds::Activations, Holds::All], ..Toy::new(128.0) }.with(|machine| {
            assert_eq!(U55_128.product(&nest, machine)?.traffic[..2], [Bytes(16_000 + 8000), Bytes(12_288)]);
            Ok(())
        })?;
        // And a sixteenth as fast: 1 deep, 63 wide reads them once.
        Toy { holds: [Holds::Activations, Holds::All], slower: 16.0, ..Toy::new(128.0) }.with(|machine| {
            assert_eq!(U55_128.product(&nest, machine)?.traffic[..2], [Bytes(64_000 + 8000), Bytes(4096)]);
            Ok(())
        })
    }

    #[test]
    fn a_fully_connected_layer_waits_for_its_weights() -> Result<(), Error> {
        // 640 → 128: 16 tiles of channels · ⌈640/32⌉ = 20 steps of 4 cycles = 1280, but 256 weights a step at 8 a cycle: 32 cycles:
        // 16 · 20 · 32 = 10 240; results 128 / 2 = 64.
        let mapping = map(&linear([1, 128, 640]), 1)?;
        assert_eq!(mapping.compute_cycles, Cycles(10_304));
        let weights = mapping.losses.iter().find(|lost| lost.loss == Loss::WeightLoad).map(|lost| lost.left);
        assert_eq!(weights, Some(0.125));
        Ok(())
    }

    #[test]
    fn depthwise_convolutions_use_an_eighth() -> Result<(), Error> {
        // 64 channels, 25 × 5: ⌈25/2⌉ · 5 = 65 tiles · 8 · ⌈9/4⌉ · 4 = 6240; 8000 results / 2 = 4000, of 65 · 8 · 16 = 8320
        // 1536 at once: 4000 · 1536 / 8320 = 738.5 in the open.
        assert_eq!(cycles(&conv(1, 1, 64, [25, 5], 3), 1)?, 6240 + 739);
        // Without lanes of their own: 64 groups of one tile, min(1 · 3, 1 · 9) = 3 steps: 65 · 64 · 3 · 4 = 49 920, and
        // 4000 · 1536 / (65 · 64 · 16) = 92.3 in the open.
        Toy::new(128.0).with(|machine| {
            let npu = Npu { depthwise: None, ..U55_128 };
            let mapping = npu.product(&conv(1, 1, 64, [25, 5], 3), machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(49_920 + 93));
            Ok(())
        })
    }

    #[test]
    fn a_slow_output_stage_binds() -> Result<(), Error> {
        // 8 → 8, 1 × 1 of 64 positions: 32 tiles · 1 · 1 step · 4 = 128; results 512 / 2 = 256; open: 128.
        let mapping = map(&linear([64, 8, 8]), 1)?;
        assert_eq!(mapping.compute_cycles, Cycles(256 + 128));
        let names: std::vec::Vec<_> = mapping.losses.iter().map(|lost| lost.loss).collect();
        // 8 of 32 terms of a step; 128 of 256 cycles; 256 of 384.
        assert_eq!(names, [Loss::Padding, Loss::Issue, Loss::FillDrain]);
        Ok(())
    }

    #[test]
    fn units_share_channels_or_positions() -> Result<(), Error> {
        // 16 output channels: a tile for each of two units: half of 1536 and of 512.
        assert_eq!(cycles(&conv(16, 16, 1, [8, 8], 3), 2)?, 1024);
        // 8 output channels: one tile, but 16 of 32 tiles of positions each: 16 · 6 · 4 = 384, 256 / 2 = 128.
        assert_eq!(cycles(&conv(16, 8, 1, [8, 8], 3), 2)?, 512);
        // Three units on two tiles of channels: 1 · 32, or 2 · 11 tiles of positions: 528 and 22 · 16 / 2 = 176.
        assert_eq!(cycles(&conv(16, 16, 1, [8, 8], 3), 3)?, 704);
        Ok(())
    }

    #[test]
    fn an_attention_is_two_products() -> Result<(), Error> {
        use crate::nest::{AttentionLoops, ElementSizes, Loops};
        let loops = AttentionLoops { groups: 2, m: 32, n: 64, d: 32, d_v: 32 };
        let nest = LoopNest::new(Loops::Attention(loops), ElementSizes::all(1));
        let nest = LoopNest { weighted: false, homes: INSIDE, ..nest };
        // Scores: 16 tiles · 2 · 8 · ⌈32/32⌉ · 4 = 1024, 2 · 32 · 64 / 2 = 2048 results: 2048 + 1024 · 1536/4096 = 2432.
        // Values: 16 · 2 · 4 · ⌈64/32⌉ · 4 = 1024, 2 · 32 · 32 / 2 = 1024 results: 1024 + 1024 · 1536/2048 = 1792.
        assert_eq!(cycles(&nest, 1)?, 2432 + 1792);
        Ok(())
    }

    #[test]
    fn streams_pass_at_their_rates() -> Result<(), Error> {
        let stream = Stream {
            read: Bytes(2000),
            weights: Bytes::ZERO,
            written: Bytes(1000),
            flops: Flops(1000),
            elements: 1000,
            homes: INSIDE,
        };
        Toy::new(128.0).with(|machine| {
            let npu = U55_128;
            // An addition of 1000 elements at half an element a cycle.
            assert_eq!(npu.stream(&stream, machine)?.compute_cycles, Cycles(2000));
            assert_eq!(npu.stream(&stream, machine)?.traffic[0], Bytes(3000));
            // Windows of 100 elements for each of 10 results: 990 / 2 = 495.
            let pool = Stream { elements: 10, ..stream };
            assert_eq!(npu.stream(&pool, machine)?.compute_cycles, Cycles(495));
            Ok(())
        })
    }
}
