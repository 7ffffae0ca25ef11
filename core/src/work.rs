//! Work: what an op computes and which bytes it must move, exact, independent of any device.

use crate::error::Error;
use crate::shape::DataType;
use crate::units::{Bytes, Flops, FlopsPerByte, Macs};

/// How an op spends its time; the key of everything that is calibrated by kind of op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Class {
    /// Convolution with more than one tap, all channels of a group mixed.
    Conv,
    /// Convolution of one tap.
    Pointwise,
    /// Convolution of one channel per group.
    Depthwise,
    /// Convolution of several groups of several channels.
    GroupedConv,
    /// Fully connected layer.
    Linear,
    /// Product of two activations.
    MatMul,
    /// Scaled dot-product attention, its two products and softmax in one.
    Attention,
    /// Recurrent layer, step after step.
    Recurrent,
    /// One cheap operation per element.
    Elementwise,
    /// An exponential or its like per element.
    Transcendental,
    /// Sliding-window pooling.
    Pooling,
    /// A sum over an axis per output.
    Reduction,
    /// Bytes moved, nothing computed.
    Copy,
    /// Nothing runs: the output is the input under another shape.
    View,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 14] = [
        Self::Conv,
        Self::Pointwise,
        Self::Depthwise,
        Self::GroupedConv,
        Self::Linear,
        Self::MatMul,
        Self::Attention,
        Self::Recurrent,
        Self::Elementwise,
        Self::Transcendental,
        Self::Pooling,
        Self::Reduction,
        Self::Copy,
        Self::View,
    ];

    /// Its place among [`Class::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Conv => 0,
            Self::Pointwise => 1,
            Self::Depthwise => 2,
            Self::GroupedConv => 3,
            Self::Linear => 4,
            Self::MatMul => 5,
            Self::Attention => 6,
            Self::Recurrent => 7,
            Self::Elementwise => 8,
            Self::Transcendental => 9,
            Self::Pooling => 10,
            Self::Reduction => 11,
            Self::Copy => 12,
            Self::View => 13,
        }
    }

    /// The name used in reports and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::Pointwise => "pointwise",
            Self::Depthwise => "depthwise",
            Self::GroupedConv => "grouped_conv",
            Self::Linear => "linear",
            Self::MatMul => "mat_mul",
            Self::Attention => "attention",
            Self::Recurrent => "recurrent",
            Self::Elementwise => "elementwise",
            Self::Transcendental => "transcendental",
            Self::Pooling => "pooling",
            Self::Reduction => "reduction",
            Self::Copy => "copy",
            Self::View => "view",
        }
    }
}

/// An op as `groups` matrix products C`[m × n]` = A`[m × k]` · B`[k × n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gemm {
    /// Rows of the output: batch times positions.
    pub m: u64,
    /// Columns of the output: output channels or features of one group.
    pub n: u64,
    /// Length of each sum: taps times input channels of one group, or input features.
    pub k: u64,
    /// Independent products.
    pub groups: u64,
}

/// Exact work of one op on its shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Work {
    /// How the op spends its time.
    pub class: Class,
    /// The op as a matrix product, if it is one.
    pub gemm: Option<Gemm>,
    /// Multiply-accumulates; padded taps count, as published figures count them.
    pub macs: Macs,
    /// All arithmetic: two for each MAC, and what the op's documentation counts beside.
    pub flops: Flops,
    /// Learned parameters that belong to the op, in elements; those of a node that shares another's are counted there.
    pub params: u64,
    /// Bytes of the activations read; an operand that stands twice is read twice.
    pub bytes_in: Bytes,
    /// Bytes of parameters, buffers and constants read.
    pub bytes_weight: Bytes,
    /// Bytes of parameters and buffers that are stored for this op alone; of a whole graph, all of them, each once.
    pub bytes_stored: Bytes,
    /// Bytes of the activation written.
    pub bytes_out: Bytes,
    /// Elements of the output.
    pub elements_out: u64,
}

impl Work {
    /// Work of nothing, of this class.
    #[must_use]
    pub const fn none(class: Class) -> Self {
        Self {
            class,
            gemm: None,
            macs: Macs::ZERO,
            flops: Flops::ZERO,
            params: 0,
            bytes_in: Bytes::ZERO,
            bytes_weight: Bytes::ZERO,
            bytes_stored: Bytes::ZERO,
            bytes_out: Bytes::ZERO,
            elements_out: 0,
        }
    }

    /// Work of the same op where it is a view: nothing is read, written or computed.
    #[must_use]
    pub const fn as_view(&self) -> Self {
        Self { elements_out: self.elements_out, ..Self::none(Class::View) }
    }

    /// This work with so many more stored and learned values, all of them read.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub(crate) const fn with_parameters(mut self, params: u64, data_type: DataType) -> Result<Self, Error> {
        let (Ok(bytes), Some(params)) = (data_type.bytes(params), self.params.checked_add(params)) else {
            return Err(Error::CountOverflow);
        };
        let (Ok(read), Ok(stored)) = (self.bytes_weight.checked_add(bytes), self.bytes_stored.checked_add(bytes))
        else {
            return Err(Error::CountOverflow);
        };
        self.params = params;
        self.bytes_weight = read;
        self.bytes_stored = stored;
        Ok(self)
    }

    /// Bytes of activations: read and written.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub const fn bytes_activation(&self) -> Result<Bytes, Error> {
        self.bytes_in.checked_add(self.bytes_out)
    }

    /// Compulsory traffic: every operand read once, the output written once.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn compulsory_traffic(&self) -> Result<Bytes, Error> {
        self.bytes_activation()?.checked_add(self.bytes_weight)
    }

    /// FLOPs per compulsory byte.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub fn operational_intensity(&self) -> Result<FlopsPerByte, Error> {
        Ok(self.flops / self.compulsory_traffic()?)
    }

    /// Sum of all counts; the class is this one's, and there is no single matrix product any more.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn checked_add(&self, other: &Self) -> Result<Self, Error> {
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or(Error::CountOverflow);
        Ok(Self {
            class: self.class,
            gemm: None,
            macs: self.macs.checked_add(other.macs)?,
            flops: self.flops.checked_add(other.flops)?,
            params: sum(self.params, other.params)?,
            bytes_in: self.bytes_in.checked_add(other.bytes_in)?,
            bytes_weight: self.bytes_weight.checked_add(other.bytes_weight)?,
            bytes_stored: self.bytes_stored.checked_add(other.bytes_stored)?,
            bytes_out: self.bytes_out.checked_add(other.bytes_out)?,
            elements_out: sum(self.elements_out, other.elements_out)?,
        })
    }
}
