//! Dataflow processors of the Vitis AI kind: a convolution engine that is parallel in pixels, input and output channels, and an ALU
//! for depthwise convolutions, pooling and elementwise ops.
//!
//! ```text
//! convolution = ⌈pixels / PP⌉ · ⌈c_in / ICP⌉ · ⌈c_out / OCP⌉ · k_h · k_w              cycles
//! depthwise   = ⌈pixels / ALU⌉ · ⌈channels / OCP⌉ · k_h · k_w                         cycles
//! peak        = 2 · PP · ICP · OCP                                                    operations a cycle
//! ```
//! Several cores share the tiles of output channels or those of pixels, whichever takes fewer cycles. A unit whose description
//! says fewer MACs a cycle than PP · ICP · OCP takes more than one cycle a step.
//!
//! At level 0 the engine reads every tap of the input once for each tile of output channels, the weights once for each tile of
//! pixels, and writes results once; beyond it see the equations of `levels.rs`.
//!
//! Leaves out: loads of instructions, and banks of the on-chip memory that collide.
//!
//! **Source**: AMD, PG338 4.1, product guide of the DPUCZDX8G, "Architecture of the DPUCZDX8G" (table of PP, ICP, OCP and peak) and
//! "`DepthwiseConv` (ALU)" (parallelism of the ALU: 1 to PP pixels, PP / 2 recommended).

use crate::error::Error;
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{LoopNest, Stream, Traffic};
use crate::shape::product;
use crate::units::{Bytes, to_f32};

use super::flows;
use super::lanes::{Lanes, Rates, Sums, Tiles, stream_cycles, tiles};
use super::levels::Levels;
use super::losses::Losses;

/// The geometry of a dataflow processor.
///
/// ```
/// # use derate_core::mapper::dpu::Dpu;
/// // B4096: 8 pixels, 16 input channels, 16 output channels; 2 · 8 · 16 · 16 = 4096 operations a cycle.
/// let b4096 = Dpu { pixels: 8, c_in: 16, c_out: 16, alu_pixels: 4, setup_cycles: 0 };
/// assert_eq!(2 * b4096.pixels * b4096.c_in * b4096.c_out, 4096);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dpu {
    /// Pixel parallelism (PP), at least 1; 0 counts as 1, as below.
    pub pixels: u64,
    /// Input channel parallelism (ICP).
    pub c_in: u64,
    /// Output channel parallelism (OCP).
    pub c_out: u64,
    /// Pixels on which the ALU works at once, each with OCP channels: 1 to PP.
    pub alu_pixels: u64,
    /// Cycles before the arithmetic of a kernel starts: its instructions, the first load.
    pub setup_cycles: u64,
}

impl Dpu {
    /// Lanes of the convolution engine and of the ALU.
    fn lanes(&self) -> [Lanes; 2] {
        let dense =
            Lanes { rows: 1, columns: self.pixels.max(1), c_in: self.c_in, taps: 1, c_out: self.c_out, share: 1.0 };
        let share = to_f32(self.alu_pixels.max(1)) / (to_f32(self.pixels.max(1)) * to_f32(self.c_in.max(1)));
        [dense, Lanes { columns: self.alu_pixels.max(1), c_in: 1, share: share.min(1.0), ..dense }]
    }
}

impl Mapper for Dpu {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let units = u64::from(machine.unit.count.max(1));
        let [dense, alu] = self.lanes();
        let lanes = to_f32(units) * machine.macs_per_cycle.get();
        let (mut a, mut b) = (0_u64, 0_u64);
        let (mut padded, mut edges, mut total) = (0.0, 0.0, 0_u64);
        for sums in Sums::of(nest)?.iter() {
            // Pixels are a list: they are cut without regard to rows.
            let sums = Sums { columns: sums.positions()?, images: 1, rows: 1, list: true, ..*sums };
            let (cut, share) = Tiles::of(&sums, &dense, Some(&alu), machine)?;
            let by_channels = cut.cycles(cut.positions, tiles(cut.channels, units))?;
            let by_pixels = cut.cycles(tiles(cut.positions, units), cut.channels)?;
            let cycles = product([by_channels.min(by_pixels), sums.runs])?;
            let runs = to_f32(sums.runs);
            padded += to_f32(sums.columns) * to_f32(cut.padded) * runs / (lanes * share);
            edges += to_f32(cut.cycles(cut.positions, cut.channels)?) * runs / to_f32(units);
            total = total.checked_add(cycles).ok_or(Error::CountOverflow)?;
            let read = product([sums.columns, sums.groups, sums.terms()?, cut.sharing, nest.sizes.a, sums.runs])?;
            let weights = product([sums.groups, sums.c_out, sums.terms()?, cut.positions, nest.sizes.b, sums.runs])?;
            a = a.checked_add(read).ok_or(Error::CountOverflow)?;
            b = b.checked_add(weights).ok_or(Error::CountOverflow)?;
        }
        let losses = Losses::from(machine.least_cycles(nest.macs()?))
            .then(Loss::Padding, padded)
            .then(Loss::EdgeTiles, edges)
            .then(Loss::Waves, to_f32(total));
        let levels = Levels::of(nest, machine, 0);
        let levels = levels.as_ref().map_err(|error| *error)?;
        let crossing = levels.crossing(&[Traffic { a: Bytes(a), b: Bytes(b), c: levels.once.c }])?;
        flows::product_mapping((levels, 1.0), &crossing, total, losses, self.setup_cycles, machine)
    }

    /// The ALU passes `alu_pixels` · OCP elements a cycle, of results and of windows alike.
    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let rate = to_f32(product([self.alu_pixels.max(1), self.c_out.max(1)])?);
        let cycles = stream_cycles(stream, &Rates { elementwise: rate, window: rate }, machine.unit.count)?;
        flows::stream_mapping(stream, machine, cycles, self.setup_cycles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapper::npu_toy::{Toy, assert_consistent, conv, linear};
    use crate::units::Cycles;

    const B4096: Dpu = Dpu { pixels: 8, c_in: 16, c_out: 16, alu_pixels: 4, setup_cycles: 1000 };

    fn cycles(nest: &LoopNest, count: u32) -> Result<u64, Error> {
        Toy { count, ..Toy::new(2048.0) }.with(|machine| {
            let mapping = B4096.product(nest, machine)?;
            assert_consistent(nest, &mapping, machine)?;
            Ok(mapping.compute_cycles.0)
        })
    }

    #[test]
    fn channels_are_padded_to_sixteen() -> Result<(), Error> {
        // 8 × 8 pixels, 3 × 3 taps: 64/8 = 8 tiles of pixels, 9 taps.
        // 16 → 16 channels: 8 · 1 · 1 · 9 = 72; 17 → 16: 8 · 2 · 1 · 9 = 144, as 32 → 16; 17 → 17: 288.
        assert_eq!(cycles(&conv(16, 16, 1, [8, 8], 3), 1)?, 72);
        assert_eq!(cycles(&conv(17, 16, 1, [8, 8], 3), 1)?, 144);
        assert_eq!(cycles(&conv(32, 16, 1, [8, 8], 3), 1)?, 144);
        assert_eq!(cycles(&conv(17, 17, 1, [8, 8], 3), 1)?, 288);
        Ok(())
    }

    #[test]
    fn edge_tiles_are_whole_tiles() -> Result<(), Error> {
        // 7 × 7 = 49 pixels: ⌈49/8⌉ = 7 tiles · 9 taps = 63 cycles; 49 / 56 of the lanes.
        let nest = conv(16, 16, 1, [7, 7], 3);
        assert_eq!(cycles(&nest, 1)?, 63);
        Toy::new(2048.0).with(|machine| {
            let mapping = B4096.product(&nest, machine)?;
            let [lost] = mapping.losses.as_slice() else { panic!("{:?}", mapping.losses) };
            assert_eq!((lost.loss, lost.left), (Loss::EdgeTiles, 49.0 / 56.0));
            // 1000 cycles of 1 GHz.
            assert_eq!(mapping.setup, crate::units::Seconds(1e-6));
            // A: 49 pixels · 144 terms; B: 16 · 144 weights for each of 7 tiles; C: 49 · 16.
            assert_eq!(mapping.traffic[0], Bytes(49 * 144 + 7 * 16 * 144 + 49 * 16));
            Ok(())
        })
    }

    #[test]
    fn a_fully_connected_layer_has_one_pixel() -> Result<(), Error> {
        // 1 × 100 · 100 × 10: 1 · ⌈100/16⌉ · ⌈10/16⌉ = 7 cycles.
        assert_eq!(cycles(&linear([1, 10, 100]), 1)?, 7);
        Ok(())
    }

    #[test]
    fn depthwise_runs_on_the_alu() -> Result<(), Error> {
        // 64 pixels / 4 · ⌈17/16⌉ · 9 = 16 · 2 · 9 = 288.
        assert_eq!(cycles(&conv(1, 1, 17, [8, 8], 3), 1)?, 288);
        Ok(())
    }

    #[test]
    fn cores_share_channels_or_pixels() -> Result<(), Error> {
        // 48 output channels are 3 tiles, 8 tiles of pixels. Two cores: 2 of 3 tiles · 8 · 9 = 144, or 3 · 4 · 9 = 108.
        assert_eq!(cycles(&conv(16, 48, 1, [8, 8], 3), 2)?, 108);
        // 16 output channels, 1 × 1: one tile of each; the second core has nothing to do.
        assert_eq!(cycles(&linear([1, 16, 16]), 2)?, 1);
        Ok(())
    }

    #[test]
    fn pooling_and_additions_run_on_the_alu() -> Result<(), Error> {
        let stream = Stream {
            read: Bytes(2048),
            weights: Bytes::ZERO,
            written: Bytes(512),
            flops: crate::units::Flops(2048),
            elements: 512,
            homes: crate::mapper::npu_toy::INSIDE,
        };
        Toy::new(2048.0).with(|machine| {
            // A pooling of 2 × 2: 2048 − 512 = 1536 of the windows / 64 a cycle = 24.
            assert_eq!(B4096.stream(&stream, machine)?.compute_cycles, Cycles(24));
            // An addition of 512 elements: 512 / 64 = 8.
            let sum = Stream { flops: crate::units::Flops(512), ..stream };
            assert_eq!(B4096.stream(&sum, machine)?.compute_cycles, Cycles(8));
            // An activation on what leaves the array is part of its product.
            let fused = Stream { read: Bytes::ZERO, written: Bytes::ZERO, ..sum };
            assert_eq!(B4096.stream(&fused, machine)?.compute_cycles, Cycles(0));
            Ok(())
        })
    }
}
