//! What can go wrong in this crate: one small `Copy` enum, without strings, at most 16 bytes.
//!
//! Layering: `units` and `error` know each other (a rate refuses a value, an error names its quantity); all else builds on both.

use core::fmt;

/// Failure of a function of this crate; nothing was changed by the call that returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// A table of a graph is full; `capacity` is the const parameter to raise.
    CapacityExceeded {
        /// The table that is full.
        table: Table,
        /// Its capacity in entries.
        capacity: u32,
    },
    /// A count passed 2^64 − 1, or an extent 2^32 − 1.
    CountOverflow,
    /// A shape has more than eight dimensions.
    RankExceeded,
    /// An operand names a tensor that the graph does not hold yet.
    UnknownTensor {
        /// Which operand of the op, from 0.
        operand: u16,
    },
    /// A tensor of tables that were not built is not what the ops give there: another shape, data type or kind.
    WrongTensor {
        /// Number of the tensor.
        tensor: u32,
    },
    /// An op was given the wrong number of operands.
    OperandCount {
        /// The number it takes; of a concatenation the least.
        expected: u16,
        /// The number it was given.
        found: u16,
    },
    /// The shape of an operand does not fit the op's attributes or its other operands.
    ShapeMismatch {
        /// Which operand of the op, from 0.
        operand: u16,
        /// Which dimension of that operand, from 0, or its rank where they differ in it.
        axis: u8,
    },
    /// Operands of one op have different data types.
    DataTypeMismatch {
        /// Which operand of the op, from 0.
        operand: u16,
    },
    /// An attribute of an op is out of range.
    InvalidAttribute(Attribute),
    /// An extent of an input is zero: nothing would be computed.
    ZeroExtent {
        /// Which dimension, from 0.
        axis: u8,
    },
    /// A time that must be finite and not negative is neither.
    InvalidTime,
    /// Part of a calibration beside its coefficients makes no sense.
    InvalidCalibration,
    /// A quantity that must be positive and finite is not.
    NotPositive(Quantity),
    /// Memory levels are not ordered from the smallest to the largest, or there is none.
    MemoryLevels,
    /// A hardware description has no compute unit, or one of zero units.
    NoComputeUnit,
    /// The hardware has no unit that computes in this precision.
    NoUnitForPrecision,
    /// The hardware has no thermal profile of this index.
    NoThermalProfile,
    /// A coefficient of a calibration is outside its range.
    CoefficientOutOfRange {
        /// Index into [`crate::calibration::COEFFICIENTS`].
        index: u8,
    },
    /// A calibration was made under other equations than this crate's.
    ModelVersion {
        /// Version of the calibration.
        found: u16,
        /// Version of this crate.
        expected: u16,
    },
    /// The thermal profile has no factors for this precision.
    NoFactorsForPrecision,
    /// Not even the smallest tile fits a memory level.
    Infeasible {
        /// Index of the level, from the innermost on.
        level: u8,
    },
    /// Scratch memory lent by the caller is too small.
    ScratchTooSmall {
        /// Entries needed.
        needed: u32,
    },
}

/// The table of a graph that was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Table {
    /// Ops of a graph.
    Ops,
    /// Tensors of a graph.
    Tensors,
    /// References of ops to the tensors they read.
    Operands,
}

/// The attribute of an op that was out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Attribute {
    /// Channels or features: positive, and divisible by the groups.
    Channels,
    /// Groups: positive, dividing both channel counts.
    Groups,
    /// Kernel: positive.
    Kernel,
    /// Stride: positive.
    Stride,
    /// Dilation: positive.
    Dilation,
    /// Padding: the padded input must hold the kernel once.
    Padding,
    /// Output size: positive.
    OutputSize,
    /// Axis: below the rank.
    Axis,
}

/// The quantity that was not positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Quantity {
    /// Bytes per second.
    Bandwidth,
    /// FLOP per second.
    Throughput,
    /// Hz.
    Clock,
    /// Watts.
    Power,
    /// Joules per MAC or per byte.
    Energy,
    /// MACs per cycle.
    MacsPerCycle,
    /// A dimensionless factor.
    Factor,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CapacityExceeded { table, capacity } => {
                write!(f, "the graph's table of {table:?} is full at {capacity} entries")
            }
            Self::CountOverflow => f.write_str("a count is above 2^64 - 1, or an extent above 2^32 - 1"),
            Self::RankExceeded => f.write_str("a shape has more than 8 dimensions"),
            Self::UnknownTensor { operand } => {
                write!(f, "operand {operand} is a tensor that the graph does not hold")
            }
            Self::WrongTensor { tensor } => write!(f, "tensor {tensor} of the table is not what the ops give there"),
            Self::OperandCount { expected, found } => {
                write!(f, "the op takes {expected} operands and was given {found}")
            }
            Self::ShapeMismatch { operand, axis } => {
                write!(f, "dimension {axis} of operand {operand} does not fit the op")
            }
            Self::DataTypeMismatch { operand } => {
                write!(f, "operand {operand} has another data type than operand 0")
            }
            Self::InvalidAttribute(attribute) => {
                write!(f, "attribute {attribute:?} of the op is out of range")
            }
            Self::ZeroExtent { axis } => write!(f, "dimension {axis} of an input is 0"),
            Self::InvalidTime => f.write_str("a time must be finite and not negative"),
            Self::InvalidCalibration => f.write_str("the interval or the region of a calibration makes no sense"),
            Self::NotPositive(quantity) => {
                write!(f, "{quantity:?} must be positive and finite")
            }
            Self::MemoryLevels => {
                f.write_str("memory levels must be given from the smallest to the largest, at least one")
            }
            Self::NoComputeUnit => f.write_str("there is no compute unit"),
            Self::NoUnitForPrecision => f.write_str("no compute unit of the hardware works in this precision"),
            Self::NoThermalProfile => f.write_str("the hardware has no such thermal profile"),
            Self::CoefficientOutOfRange { index } => {
                write!(f, "coefficient {index} of the calibration is out of its range")
            }
            Self::ModelVersion { found, expected } => {
                write!(f, "the calibration is of model version {found}, this is version {expected}")
            }
            Self::NoFactorsForPrecision => f.write_str("the thermal profile has no factors for this precision"),
            Self::Infeasible { level } => write!(f, "not even the smallest tile fits memory level {level}"),
            Self::ScratchTooSmall { needed } => {
                write!(f, "the lent scratch needs {needed} entries")
            }
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small() {
        assert!(size_of::<Error>() <= 16);
    }
}
