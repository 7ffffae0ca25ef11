//! Reductions: one value from the elements along some axes; sums along an axis, and the largest elements of it.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{DataType, Shape};
use crate::tensor::{Operands, Tensor};
use crate::units::Flops;
use crate::work::{Class, Work};

/// What elements are reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReduceKind {
    /// Their sum: 1 FLOP an element read.
    Sum,
    /// Their mean: 1 FLOP an element read, 1 an output.
    Mean,
    /// Their maximum: 1 FLOP an element read.
    Max,
    /// Their minimum: 1 FLOP an element read.
    Min,
    /// Their product: 1 FLOP an element read.
    Product,
    /// Position of the maximum or minimum: 1 FLOP an element read; gives indices.
    Index,
    /// Sum of absolute values: 2 FLOP an element read.
    L1,
    /// Root of the sum of squares: 2 FLOP an element read, 1 an output.
    L2,
    /// Variance or its root: 4 FLOP an element read, 1 an output.
    Variance,
    /// Logarithm of the sum of exponentials: 4 FLOP an element read (maximum, difference, exponential, sum), 2 an output (logarithm,
    /// maximum added).
    LogSumExp,
}

impl ReduceKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Sum,
        Self::Mean,
        Self::Max,
        Self::Min,
        Self::Product,
        Self::Index,
        Self::L1,
        Self::L2,
        Self::Variance,
        Self::LogSumExp,
    ];

    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "reduce_sum",
            Self::Mean => "reduce_mean",
            Self::Max => "reduce_max",
            Self::Min => "reduce_min",
            Self::Product => "reduce_prod",
            Self::Index => "reduce_index",
            Self::L1 => "reduce_l1",
            Self::L2 => "reduce_l2",
            Self::Variance => "reduce_var",
            Self::LogSumExp => "log_sum_exp",
        }
    }

    /// FLOPs of an element read, and of an output.
    const fn flops(self) -> (u64, u64) {
        match self {
            Self::Sum | Self::Max | Self::Min | Self::Product | Self::Index => (1, 0),
            Self::Mean => (1, 1),
            Self::L1 => (2, 0),
            Self::L2 => (2, 1),
            Self::Variance => (4, 1),
            Self::LogSumExp => (4, 2),
        }
    }
}

/// Reduction over a set of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reduce {
    /// What the elements give.
    pub kind: ReduceKind,
    /// Bit `i` for axis `i`; none of them reduces nothing.
    pub axes: u8,
    /// Whether reduced axes stay, with extent 1.
    pub keep_dims: bool,
}

impl Describe for Reduce {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        let mut shape = Shape::default();
        let mut left = self.axes;
        for (axis, &extent) in (0..u32::from(u8::MAX)).zip(input.shape.extents()) {
            let bit = 1_u8.checked_shl(axis).unwrap_or(0);
            left &= !bit;
            if self.axes & bit == 0 {
                shape = shape.push(extent)?;
            } else if self.keep_dims {
                shape = shape.push(1)?;
            }
        }
        if left != 0 {
            return Err(Error::InvalidAttribute(Attribute::Axis));
        }
        let data_type = if self.kind == ReduceKind::Index { DataType::Int64 } else { input.data_type };
        Ok(Tensor::activation(shape, data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let (each, at_end) = self.kind.flops();
        let read = operands.at(0)?.shape.elements()?.checked_mul(each).ok_or(Error::CountOverflow)?;
        let work = streaming(Class::Reduction, operands, output, at_end)?;
        Ok(Work { flops: work.flops.checked_add(Flops(read))?, ..work })
    }
}

/// Sums (or products, or maxima) of all elements up to each one along an axis: 1 FLOP an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scan {
    /// The axis, below the rank.
    pub axis: u8,
}

impl Describe for Scan {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        if self.axis >= input.shape.rank() {
            return Err(Error::InvalidAttribute(Attribute::Axis));
        }
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Reduction, operands, output, 1)
    }
}

/// The `k` largest elements along an axis, and their positions: two outputs. All of an axis are a sort.
///
/// ```text
/// flops = elements read · ⌈log₂(k + 1)⌉          comparisons with a heap of k
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TopK {
    /// The axis, below the rank.
    pub axis: u8,
    /// How many, at most the extent of the axis.
    pub k: u32,
}

impl Describe for TopK {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        let axis = usize::from(self.axis);
        let extent = input.shape.extent(axis).ok_or(Error::InvalidAttribute(Attribute::Axis))?;
        if positive(self.k, Attribute::OutputSize)? > extent {
            return Err(Error::InvalidAttribute(Attribute::OutputSize));
        }
        let shape = input.shape.with_extent(axis, self.k).ok_or(Error::InvalidAttribute(Attribute::Axis))?;
        Ok(Tensor::activation(shape, input.data_type))
    }

    fn further_output(&self, operands: Operands<'_>, _position: u16) -> Result<Tensor, Error> {
        Ok(Tensor { data_type: DataType::Int64, ..self.output(operands)? })
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let levels = u64::from(u64::from(self.k).saturating_add(1).next_power_of_two().trailing_zeros());
        let read = operands.at(0)?.shape.elements()?.checked_mul(levels).ok_or(Error::CountOverflow)?;
        let work = streaming(Class::Reduction, operands, output, 0)?;
        let indices = self.further_output(operands, 1)?.bytes()?;
        Ok(Work { flops: Flops(read), bytes_out: work.bytes_out.checked_add(indices)?, ..work })
    }
}
