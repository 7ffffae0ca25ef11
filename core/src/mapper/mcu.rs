//! Microcontrollers: cycles from the instructions that inner loops issue, bytes from what each region of memory holds.
//!
//! A core issues one instruction a cycle, or two; of those of a loop only some are MACs. The others are counted by kind
//! in the kernels that such cores run, not looked up for a network:
//!
//! ```text
//! cycles = MACs / lanes · mac_cycles + loads, extensions, addresses, spills + steps of loops · branch_cycles
//!          + results · requantize_cycles
//! ```
//! Levels are regions: weights are read from the level that they lie in (flash, or SRAM for copied ones), activations
//! from SRAM. Registers alone reuse operands, two rows by two columns; every load beyond is traffic, which a cache in
//! front serves where what lies between two uses fits it, of the whole product or of parts that are run one by one. A small core waits for its loads, so that the times of
//! arithmetic and traffic add up.
//!
//! **Valid for** kernels like those of CMSIS-NN and of TensorFlow Lite for Microcontrollers, with code that is fetched
//! without waiting. **Leaves out** padded taps that a kernel skips, code that does not fit an instruction cache, writes
//! of a cache back.
//!
//! **Source**: Lai, Suda, Chandra, "CMSIS-NN: Efficient Neural Network Kernels for Arm Cortex-M CPUs", arXiv
//! 1801.06601, 2018.

mod cores;
mod counts;
mod kernels;
mod regions;
#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::mapping::{Loss, Lost, MAX_LOSSES, Machine, Mapper, Mapping};
use crate::nest::{AttentionLoops, LoopNest, Loops, Stream, Traffic};
use crate::shape::{Precision, product};
use crate::units::{Bytes, Cycles, Seconds, to_f32};
use crate::work::Gemm;
use counts::{Counts, ceiling};
use kernels::{Kernel, Matrix, Style};
use regions::{Flow, Regions};

/// A microcontroller core, as its inner loops see it. Constants of this type describe cores with the manuals they are
/// from.
///
/// Every cycle count is finite and not negative; rates and widths are at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mcu {
    /// MACs of 8-bit integers of one multiply-accumulate instruction: 1; 2 for SMLAD, which takes pairs of 16 bits; 4
    /// for a dot product of packed bytes; 16 for VMLADAVA.
    pub macs_per_instruction: u32,
    /// Cycles of that instruction; of the pair where multiplying and adding are two instructions.
    pub mac_cycles: f32,
    /// Instructions that are issued in a cycle.
    pub issue_width: u32,
    /// Bytes of a load that arrive in a cycle.
    pub bus_bytes: u32,
    /// Cycles of a load beside those in which its data arrives, on average over the loads of a loop.
    pub load_cycles: f32,
    /// Cycles of a branch that is taken, at the end of a loop; 0 for a loop in hardware.
    pub branch_cycles: f32,
    /// Cycles to step a pointer by one load; 0 where loads do it themselves.
    pub pointer_cycles: f32,
    /// Registers that an inner loop may use.
    pub registers: u32,
    /// Cycles to scale a sum to 8 bits: load of multiplier and shift, product of 64 bits, rounding shift, offset,
    /// clamp.
    pub requantize_cycles: f32,
    /// Cycles of a multiply-accumulate of 32-bit floats whose sum the next one needs; of the two calls where there is
    /// no unit.
    pub fp32_mac_cycles: f32,
    /// Whether loads run beside arithmetic.
    pub overlapped: bool,
}

impl Mapper for Mcu {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let integer = machine.precision == Precision::Int8;
        let mut regions = Regions::new(machine, nest.homes);
        let byte_cycles = regions.byte_cycles(machine.unit.clock.get());
        let style = Style::of(self, integer, nest.sizes.a).served(byte_cycles);
        let mac_cycles = self.mac_of(style, machine);
        let (kernels, number) = self.kernels(style, nest, mac_cycles)?;

        let compulsory = Traffic::compulsory(nest)?;
        let (mut counts, mut even) = (Counts::NONE, 0.0);
        for (index, kernel) in kernels.iter().enumerate() {
            let all = kernel.counts.times(number)?;
            counts = counts.plus(all)?;
            even += kernel.even * to_f32(number);
            // Of an attention's two products the first reads the queries, the second writes the result; keys and values
            // are halves.
            let [first, last] = [index == 0, index.saturating_add(1) == kernels.len()];
            let a = if first { compulsory.a.0 } else { 0 };
            let b = if kernels.len() > 1 { compulsory.b.0.div_ceil(2) } else { compulsory.b.0 };
            let flow = |bytes, least, distance, runs| Flow { bytes, least, distance, runs };
            let operands = [flow(all.a, a, kernel.distance_a, 1), flow(all.b, b, kernel.distance_b, nest.repeats)];
            regions.operands(operands, nest.weighted, kernel.strips)?;
            regions.buffer(all.scratch, kernel.buffer, kernel.distance_buffer)?;
            regions.write(if last { all.c.max(compulsory.c.0) } else { all.c })?;
        }
        let units = to_f32(u64::from(machine.unit.count));
        let cycles = self.cycles(&counts, mac_cycles) / units;
        let native =
            machine.thermal_profile.factors.at(machine.precision).is_none_or(|factors| factors.native_acceleration);
        let emulated = if native { 0.0 } else { to_f32(counts.macs) * mac_cycles / units };
        self.mapping(nest.macs()?.as_f32(), cycles, even / units, emulated, &regions, machine)
    }

    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let integer = machine.precision == Precision::Int8;
        let size = machine.precision.data_type().size().0.max(1);
        let style = Style::of(self, integer, size);
        let mut regions = Regions::new(machine, stream.homes);
        for (bytes, weights) in [(stream.read.0, false), (stream.weights.0, true)] {
            regions.read(Flow::once(bytes), weights)?;
        }
        regions.write(stream.written.0)?;

        let bus = u64::from(self.bus_bytes);
        let elements = |bytes: Bytes| bytes.0.checked_div(size).unwrap_or(0);
        let read = elements(stream.read.checked_add(stream.weights)?);
        let moves = Counts::loads(read, size, bus).plus(Counts::stores(elements(stream.written), size, bus))?;
        // What is computed on values in registers, between a product and its store, has no loop of its own.
        let (steps, results) = if stream.read == Bytes::ZERO { (0, 0) } else { (stream.elements, stream.elements) };
        let mut counts = moves.plus(Counts::step(2).times(steps)?)?;
        let mac_cycles = self.mac_of(style, machine);
        if integer {
            counts.arithmetic = counts.arithmetic.checked_add(stream.flops.0).ok_or(Error::CountOverflow)?;
            counts.results = results;
        } else {
            counts.macs = stream.flops.0.div_ceil(style.lanes.saturating_mul(2));
        }
        let cycles = self.cycles(&counts, mac_cycles) / to_f32(u64::from(machine.unit.count));
        self.mapping(stream.flops.as_f32() / 2.0, cycles, cycles, 0.0, &regions, machine)
    }
}

impl Mcu {
    /// Cycles of a multiply-accumulate instruction: by this core's numbers, and of other floats than those of 32 bits
    /// no less than the machine's rate allows.
    fn mac_of(&self, style: Style, machine: &Machine<'_>) -> f32 {
        match machine.precision {
            Precision::Int8 => self.mac_cycles,
            Precision::Fp32 => self.fp32_mac_cycles,
            _ => {
                let least = to_f32(style.lanes) / machine.macs_per_cycle.get();
                if least > self.fp32_mac_cycles { least } else { self.fp32_mac_cycles }
            }
        }
    }

    /// The kernels of a nest, and how often they run.
    fn kernels(
        &self,
        style: Style,
        nest: &LoopNest,
        mac_cycles: f32,
    ) -> Result<(heapless::Vec<Kernel, 2>, u64), Error> {
        let mut kernels = heapless::Vec::new();
        let mut push = |kernel| kernels.push(kernel).map_err(|_| Error::CountOverflow);
        let matrix = |columns, rows, depth| {
            let matrix = Matrix { rows, columns, depth, gathered: false };
            self.matrix(style, &matrix, nest.sizes, mac_cycles)
        };
        let number = match nest.loops {
            Loops::Gemm(Gemm { m, n, k, groups }) => {
                push(matrix(m, n, k)?)?;
                groups
            }
            Loops::Attention(AttentionLoops { groups, m, n, d, d_v }) => {
                push(matrix(m, n, d)?)?;
                push(matrix(m, d_v, n)?)?;
                groups
            }
            Loops::Conv(conv) if conv.c_in == 1 && conv.c_out == 1 && conv.groups > 1 => {
                push(self.depthwise(style, &conv, nest.sizes, mac_cycles)?)?;
                conv.batch
            }
            Loops::Conv(conv) => {
                push(self.convolution(style, &conv, nest.sizes, mac_cycles)?)?;
                product([conv.batch, conv.groups])?
            }
        };
        Ok((kernels, product([number, nest.repeats])?))
    }

    /// The mapping of so many MACs in so many cycles, of which `even` would do without leftovers and `emulated` are
    /// those of the emulated arithmetic alone.
    fn mapping(
        &self,
        macs: f32,
        cycles: f32,
        even: f32,
        emulated: f32,
        regions: &Regions<'_>,
        machine: &Machine<'_>,
    ) -> Result<Mapping, Error> {
        let least = macs / (to_f32(u64::from(machine.unit.count)) * machine.macs_per_cycle.get());
        let compute_cycles = ceiling(if cycles > least { cycles } else { least })?;
        let total = to_f32(compute_cycles);
        let utilization = if total > 0.0 { (least / total).min(1.0) } else { 0.0 };
        let mut losses: heapless::Vec<Lost, MAX_LOSSES> = heapless::Vec::new();
        // Each loss takes its share of what is left; the last takes the rest, so that the product is the utilization.
        let mut left = utilization;
        if left > 0.0 {
            let shares = [
                (Loss::EdgeTiles, even / total),
                (Loss::Emulation, if emulated > least { least / emulated } else { 1.0 }),
            ];
            for (loss, share) in shares {
                if share < 1.0 && share > left {
                    losses.push(Lost { loss, left: share }).ok();
                    left /= share;
                }
            }
            if left < 1.0 {
                losses.push(Lost { loss: Loss::Issue, left }).ok();
            }
        }
        let (traffic, footprint) = regions.tables();
        Ok(Mapping {
            compute_cycles: Cycles(compute_cycles),
            utilization,
            losses,
            traffic,
            footprint,
            tiling: None,
            setup: Seconds::ZERO,
            overlapped: self.overlapped,
        })
    }
}
