//! The inner loops: what a matrix product, a gathered convolution, a depthwise convolution and a plain loop issue.
//!
//! Integers follow CMSIS-NN (Lai, Suda, Chandra, arXiv 1801.06601; the sources of version 4): columns of the input are
//! gathered and widened to 16 bits, then multiplied two rows of weights by two columns at a time. Floats follow the
//! plain loops of TensorFlow Lite for Microcontrollers: one sum at a time, no gathering.

use super::Mcu;
use super::counts::Counts;
use super::regions::Strips;
use crate::error::Error;
use crate::nest::{ConvLoops, ElementSizes};
use crate::shape::product;
use crate::units::to_f32;

/// Instructions before the bytes of one tap are gathered: two coordinates, four comparisons with the edges, two
/// addresses of a multiplication and an addition each, the arguments of the call, loop counters; from the source of
/// `arm_convolve_s8`.
const GATHER_TAP: u64 = 16;
/// Branches taken there: the call, its return, the loop over taps.
const GATHER_BRANCHES: u64 = 3;
/// Instructions of one tap of a loop that gathers nothing: two comparisons, two indices of a multiplication and an
/// addition each, the offset of the input, the counter; from the sources of `arm_depthwise_conv_s8` and of TensorFlow's
/// reference convolution.
const DIRECT_TAP: u64 = 8;
/// Channels that the depthwise kernels take at once.
const CHANNELS: u64 = 4;
/// Steps of the unrolled matrix product of cores with pairs of multipliers, `arm_nn_mat_mult_nt_t_s8`.
const UNROLLED: u64 = 4;

/// How a core multiplies in one precision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// MACs of one instruction.
    pub(super) lanes: u64,
    /// Elements of a sum that one step takes.
    depth: u64,
    /// Bytes of its loads.
    word: u64,
    /// Rows of B and columns of A whose sums are in registers.
    block: [u64; 2],
    /// Whether sums are scaled to 8 bits, and the input is gathered before it is multiplied.
    integer: bool,
    /// Whether the lanes are those of a vector whose tail is masked.
    vector: bool,
    /// Cycles in which a byte of the input is served: of two blocks the faster one is taken.
    byte_cycles: f32,
}

/// A kernel: what it issues, and the cycles that the same MACs and results take where nothing is left over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// All instructions.
    pub(super) counts: Counts,
    /// Cycles of full blocks alone.
    pub(super) even: f32,
    /// Bytes between two uses of the same byte of A: what a cache must hold for a hit.
    pub(super) distance_a: u64,
    /// The same of B.
    pub(super) distance_b: u64,
    /// Bytes of the buffer of gathered columns.
    pub(super) buffer: u64,
    /// Bytes between two uses of the same byte of that buffer.
    pub(super) distance_buffer: u64,
    /// Columns of A that may be taken in parts.
    pub(super) strips: Option<Strips>,
}

/// A matrix product: rows of weights, columns of inputs, elements of a sum; bytes of their elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    /// Rows: output channels.
    pub(super) rows: u64,
    /// Columns: output pixels.
    pub(super) columns: u64,
    /// Elements of each sum.
    pub(super) depth: u64,
    /// Whether the columns were gathered, and widened to 16 bits where the core multiplies pairs of those.
    pub(super) gathered: bool,
}

impl Style {
    /// The style of integers of 8 bits, or of floats of this many bytes.
    pub(super) fn of(mcu: &Mcu, integer: bool, element: u64) -> Self {
        let int8 = u64::from(mcu.macs_per_instruction.max(1));
        let vector = int8 >= 16;
        let lanes = match (integer, vector) {
            (true, _) => int8,
            (false, true) => int8.checked_div(element.max(1)).unwrap_or(1).max(1),
            (false, false) => 1,
        };
        let depth = if integer && !vector && lanes > 1 { lanes.max(4) } else { lanes };
        let block = match (integer, vector) {
            (true, false) => [2, 2],
            (true, true) => [1, 4],
            (false, _) => [1, 1],
        };
        Self { lanes, depth, word: if vector { 16 } else { 4 }, block, integer, vector, byte_cycles: 0.0 }
    }

    /// The same where a byte of the input is served in so many cycles.
    pub(super) const fn served(self, byte_cycles: f32) -> Self {
        Self { byte_cycles, ..self }
    }

    /// Cycles in which the operands of so many instructions are served, all as fast as the input: kernels are the same
    /// wherever the weights lie.
    fn moving(&self, counts: &Counts) -> f32 {
        to_f32(counts.a.saturating_add(counts.b).saturating_add(counts.scratch)) * self.byte_cycles
    }

    /// Bytes of a gathered element: 2 where the core multiplies 16 bits.
    fn gathered(&self, element: u64) -> u64 {
        if self.lanes <= 2 { element.max(2) } else { element }
    }
}

impl Mcu {
    fn bus(&self) -> u64 {
        u64::from(self.bus_bytes)
    }

    /// Sums of `rows` · `columns` over `depth` elements in registers; no results written.
    ///
    /// One step takes `style.depth` elements of each row and column: word loads of both, their extension to 16 bits
    /// where the core multiplies pairs of those (SXTB16 twice a word; two packings more where the other side lies in
    /// order), the MACs, and a store and a load for each value beyond the registers: the sums, a pointer for each row
    /// and column, the counter, the operands and one temporary. Elements left over are taken one by one; a vector masks
    /// them.
    fn dot(
        &self,
        style: Style,
        [rows, columns]: [u64; 2],
        matrix: &Matrix,
        sizes: ElementSizes,
    ) -> Result<Counts, Error> {
        let k = matrix.depth;
        let a = if matrix.gathered { style.gathered(sizes.a) } else { sizes.a };
        let b = sizes.b;
        let pairs = style.integer && style.lanes == 2;
        let sums = product([rows, columns])?;
        let pointers = rows.saturating_add(columns);

        let words = |side: u64, element: u64| -> Result<Counts, Error> {
            let bytes = product([style.depth, element])?;
            let width = bytes.min(style.word);
            Ok(Counts::loads(product([side, bytes.div_ceil(style.word.max(1))])?, width, self.bus()))
        };
        let extended = match (pairs, matrix.gathered) {
            (false, _) => 0,
            (true, true) => rows.saturating_mul(4),
            (true, false) => pointers.saturating_mul(2),
        };
        let operands = if pairs { rows.saturating_mul(2).saturating_add(columns) } else { rows };
        let live = [sums, pointers, operands, 2].into_iter().fold(0, u64::saturating_add);
        let body = Counts {
            macs: product([sums, style.depth])?.div_ceil(style.lanes.max(1)),
            arithmetic: extended,
            spills: live.saturating_sub(u64::from(self.registers)),
            ..words(columns, a)?.plus(words(rows, b)?)?
        };

        let (steps, left) = if style.vector {
            (k.div_ceil(style.depth.max(1)), 0)
        } else {
            (k.checked_div(style.depth).unwrap_or(0), k.checked_rem(style.depth).unwrap_or(0))
        };
        let unrolled = if pairs && !matrix.gathered && columns > 1 { UNROLLED } else { 1 };
        let trips = steps.div_ceil(unrolled).saturating_add(left);
        let single =
            Counts { macs: sums, ..Counts::loads(columns, a, self.bus()).plus(Counts::loads(rows, b, self.bus()))? };
        let mut counts = body.times(steps)?.plus(single.times(left)?)?.plus(Counts::step(pointers).times(trips)?)?;
        counts.b = product([rows, k, b])?;
        let read = product([columns, k, a])?;
        if matrix.gathered {
            counts.scratch = read
        } else {
            counts.a = read
        }
        Ok(counts)
    }

    /// What a block issues around its sums: they start at the bias, pointers are set, results are scaled and stored.
    fn finish(&self, style: Style, [rows, columns]: [u64; 2], sizes: ElementSizes) -> Result<Counts, Error> {
        let sums = product([rows, columns])?;
        let set = sums.saturating_add(rows).saturating_add(columns).saturating_add(1);
        // A float is only clamped: two instructions.
        let (results, clamps) = if style.integer { (sums, 0) } else { (0, sums.saturating_mul(2)) };
        Ok(Counts {
            arithmetic: set.saturating_add(clamps),
            branches: 1,
            results,
            c: product([sums, sizes.c])?,
            ..Counts::stores(sums, sizes.c, self.bus())
        })
    }

    /// A matrix product in blocks of the style, and in narrower ones where rows or columns are left over.
    pub(super) fn matrix(
        &self,
        style: Style,
        matrix: &Matrix,
        sizes: ElementSizes,
        mac_cycles: f32,
    ) -> Result<Kernel, Error> {
        let Matrix { rows, columns, depth, gathered } = *matrix;
        // A single column: as many rows side by side as there would be columns.
        let [r, c] = if columns == 1 { [style.block.into_iter().max().unwrap_or(1), 1] } else { style.block };
        let split = |extent: u64, by: u64| [extent.checked_div(by).unwrap_or(0), extent.checked_rem(by).unwrap_or(0)];
        let [full_columns, odd_columns] = split(columns, c);
        // So many blocks of columns over all rows; rows left over are taken one by one.
        let strips = |r: u64, width: u64, number: u64| {
            let [full, odd] = split(rows, r);
            let mut counts = Counts::NONE;
            for (block, number) in [([r, width], product([full, number])?), ([1, width], product([odd, number])?)] {
                if number > 0 {
                    let sums = self.dot(style, block, matrix, sizes)?.plus(self.finish(style, block, sizes)?)?;
                    counts = counts.plus(sums.times(number)?)?;
                }
            }
            Ok(counts)
        };
        // Columns left over are a block of their own. Either are vectors, each met by as many rows at once as a block has of
        // either, where that is faster: two halves of a batch are never less work than the whole.
        let alone = style.block.into_iter().max().unwrap_or(1);
        let mut counts = Counts::NONE;
        for (width, number) in [(c, full_columns), (odd_columns, u64::from(odd_columns > 0))] {
            let [block, vectors] = [strips(r, width, number)?, strips(alone, 1, product([width, number])?)?];
            let time = |counts: &Counts| self.cycles(counts, mac_cycles) + style.moving(counts);
            let faster = time(&vectors) < time(&block);
            counts = counts.plus(if faster { vectors } else { block })?;
        }
        // The same without anything left over: whole steps of whole blocks.
        let unit = product([style.depth, UNROLLED])?;
        let step = self.dot(style, [r, c], &Matrix { depth: unit, ..*matrix }, sizes)?;
        let results = to_f32(product([rows, columns])?);
        let block = to_f32(product([r, c])?);
        let steps = results * to_f32(depth) / (block * to_f32(unit));
        let even = self.cycles(&step, mac_cycles) * steps
            + self.cycles(&self.finish(style, [r, c], sizes)?, mac_cycles) * (results / block);

        // Gathered columns are multiplied by all rows before the next are gathered; else a block of rows meets all
        // columns.
        let strip = product([r, depth, sizes.b])?;
        let (distance_a, distance_b) = if gathered || columns == 1 {
            (strip, product([rows, depth, sizes.b])?)
        } else {
            (product([columns, depth, sizes.a])?, strip)
        };
        let strips = Strips { columns, bytes: product([depth, sizes.a])?, block: c };
        let strips = (!gathered && columns > 1).then_some(strips);
        Ok(Kernel { counts, even, distance_a, distance_b, buffer: 0, distance_buffer: 0, strips })
    }

    /// Columns of a convolution gathered from the input: `columns` of `taps` taps of `channels` elements.
    ///
    /// A word is loaded, widened by two extensions and two packings where the core multiplies 16 bits
    /// (`arm_q7_to_q15_with_offset`), and stored; a scalar core loads, adds the offset and stores each element; wider
    /// lanes only copy.
    fn gather(&self, style: Style, [columns, taps, channels]: [u64; 3], sizes: ElementSizes) -> Result<Counts, Error> {
        let wide = style.gathered(sizes.a);
        let bus = self.bus();
        let single = Counts { arithmetic: 1, ..Counts::loads(1, sizes.a, bus) }
            .plus(Counts::stores(1, wide, bus))?
            .plus(Counts::step(2))?;
        let per_word = style.word.checked_div(sizes.a.max(1)).unwrap_or(1).max(1);
        let tap = if style.lanes == 1 {
            single.times(channels)?
        } else {
            let stores = product([per_word, wide])?.div_ceil(style.word.max(1));
            let word = Counts { arithmetic: if style.lanes == 2 { 4 } else { 0 }, ..Counts::loads(1, style.word, bus) }
                .plus(Counts::stores(stores, style.word, bus))?
                .plus(Counts::step(2))?;
            if style.vector {
                word.times(channels.div_ceil(per_word))?
            } else {
                let left = channels.checked_rem(per_word).unwrap_or(0);
                word.times(channels.checked_div(per_word).unwrap_or(0))?.plus(single.times(left)?)?
            }
        };
        let mut tap = tap.plus(Counts { arithmetic: GATHER_TAP, branches: GATHER_BRANCHES, ..Counts::NONE })?;
        tap.a = product([channels, sizes.a])?;
        tap.scratch = product([channels, wide])?;
        tap.times(product([columns, taps])?)
    }

    /// A convolution of one image and one group: gathered columns and a matrix product, or plain loops for floats.
    pub(super) fn convolution(
        &self,
        style: Style,
        conv: &ConvLoops,
        sizes: ElementSizes,
        mac_cycles: f32,
    ) -> Result<Kernel, Error> {
        let (pixels, taps) = (product(conv.output)?, product(conv.kernel)?);
        let depth = product([taps, conv.c_in])?;
        let matrix = Matrix { rows: conv.c_out, columns: pixels, depth, gathered: style.integer };
        let mut kernel = if style.integer {
            let mut kernel = self.matrix(style, &matrix, sizes, mac_cycles)?;
            let gather = self.gather(style, [pixels, taps, conv.c_in], sizes)?;
            kernel.counts = kernel.counts.plus(gather)?;
            kernel.even += self.cycles(&gather, mac_cycles);
            let [rows, columns] = style.block;
            kernel.buffer = product([pixels.min(columns), depth, style.gathered(sizes.a)])?;
            // A block of rows passes between two uses of a gathered byte.
            let strip = product([rows, depth, sizes.b])?;
            kernel.distance_buffer = kernel.buffer.checked_add(strip).ok_or(Error::CountOverflow)?;
            kernel
        } else {
            self.direct(style, [product([pixels, conv.c_out])?, taps, conv.c_in], sizes, mac_cycles)?
        };
        kernel.distance_a = window(conv, sizes.a)?;
        kernel.distance_b = product([conv.c_out, depth, sizes.b])?;
        Ok(kernel)
    }

    /// Plain loops: for each result all taps, for each tap all channels.
    fn direct(
        &self,
        style: Style,
        [results, taps, channels]: [u64; 3],
        sizes: ElementSizes,
        mac_cycles: f32,
    ) -> Result<Kernel, Error> {
        let matrix = Matrix { rows: 1, columns: 1, depth: channels, gathered: false };
        let tap = Counts { arithmetic: DIRECT_TAP, branches: 1, ..Counts::NONE };
        let dot = self.dot(style, [1, 1], &matrix, sizes)?;
        let result = dot.plus(tap)?.times(taps)?.plus(self.finish(style, [1, 1], sizes)?)?;
        let counts = result.times(results)?;
        let even = self.cycles(&counts, mac_cycles);
        Ok(Kernel { counts, even, distance_a: 0, distance_b: 0, buffer: 0, distance_buffer: 0, strips: None })
    }

    /// A depthwise convolution of one image: one input channel for each of `conv.groups` groups of one output channel.
    ///
    /// Cores that multiply pairs gather all channels of a pixel and then take four channels and two taps in a step
    /// (`arm_depthwise_conv_s8_opt`): two words of weights, four of inputs, four extensions, two rotations, eight
    /// packings, four SMLAD; an odd tap one by one. Vectors take four channels of four pixels, each lane a
    /// multiplication and an addition (`arm_nn_depthwise_conv_nt_t_s8`). All others run plain loops.
    pub(super) fn depthwise(
        &self,
        style: Style,
        conv: &ConvLoops,
        sizes: ElementSizes,
        mac_cycles: f32,
    ) -> Result<Kernel, Error> {
        let (pixels, taps, channels) = (product(conv.output)?, product(conv.kernel)?, conv.groups);
        let bus = self.bus();
        let mut kernel = if style.integer && (style.lanes == 2 || style.vector) {
            let wide = style.gathered(sizes.a);
            let gather = self.gather(style, [pixels, taps, channels], sizes)?;
            let (quad, at_once) = if style.vector {
                let step = Counts { macs: 8, ..Counts::loads(5, 4, bus) }.plus(Counts::step(2))?;
                (step.times(taps)?.plus(self.finish(style, [CHANNELS, 4], sizes)?)?, 4)
            } else {
                // Sums, two pointers and their two strides, the counter, four words of weights, three operands.
                let spills = 16_u64.saturating_sub(u64::from(self.registers));
                let step =
                    Counts { macs: 4, arithmetic: 16, spills, ..Counts::loads(6, 4, bus) }.plus(Counts::step(0))?;
                let odd = Counts { macs: CHANNELS, arithmetic: 2, ..Counts::loads(CHANNELS, 1, bus) }
                    .plus(Counts::loads(CHANNELS, wide, bus))?
                    .plus(Counts::step(0))?;
                let [pairs, left] = [taps.checked_div(2).unwrap_or(0), taps & 1];
                let sums = step.times(pairs)?.plus(odd.times(left)?)?;
                (sums.plus(self.finish(style, [CHANNELS, 1], sizes)?)?, 1)
            };
            let one = {
                let tap = Counts { macs: 1, arithmetic: 2, ..Counts::loads(1, 1, bus) };
                let tap = tap.plus(Counts::loads(1, wide, bus))?.plus(Counts::step(0))?;
                tap.times(taps)?.plus(self.finish(style, [1, 1], sizes)?)?
            };
            let quads =
                if style.vector { channels.div_ceil(CHANNELS) } else { channels.checked_div(CHANNELS).unwrap_or(0) };
            let left = channels.saturating_sub(product([quads, CHANNELS])?);
            let mut counts = quad.times(product([quads, pixels.div_ceil(at_once)])?)?;
            counts = counts.plus(one.times(product([left, pixels])?)?)?;
            let whole = to_f32(product([channels, pixels])?) / to_f32(product([CHANNELS, at_once])?);
            let even = self.cycles(&quad, mac_cycles) * whole + self.cycles(&gather, mac_cycles);
            counts = counts.plus(gather)?;
            let elements = product([pixels, channels, taps])?;
            counts.b = product([elements.div_ceil(at_once), sizes.b])?.max(product([channels, taps, sizes.b])?);
            counts.scratch = product([elements, wide, 2])?;
            // Padding channels and pixels of a vector are masked.
            counts.c = product([pixels, channels, sizes.c])?;
            let buffer = product([taps, channels, wide, at_once])?;
            Kernel { counts, even, distance_a: 0, distance_b: 0, buffer, distance_buffer: buffer, strips: None }
        } else {
            self.direct(style, [product([pixels, channels])?, taps, 1], sizes, mac_cycles)?
        };
        kernel.distance_a = window(conv, sizes.a)?;
        kernel.distance_b = product([channels, taps, sizes.b])?;
        Ok(kernel)
    }
}

/// Bytes of the input between two uses of a byte by windows: as many rows as the window is high, of all channels.
fn window(conv: &ConvLoops, element: u64) -> Result<u64, Error> {
    let [_, _, width] = conv.input;
    let [depth, height, _] = conv.kernel;
    product([width, depth, height, conv.groups, conv.c_in, element])
}
