//! Tensors of a graph, by number: shape and data type, without data.

use crate::error::Error;
use crate::shape::{DataType, Shape};
use crate::units::Bytes;

/// Number of a tensor in its graph, from 0 in the order of definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TensorId(pub(crate) u32);

impl TensorId {
    /// The tensor of this number, for tables that are written by hand or by a program; builders number tensors themselves.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number as an index into the graph's tensors.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The tensor defined so many places later: output `offset` of an op whose first output this is.
    #[must_use]
    pub const fn offset(self, offset: u16) -> Self {
        // A sum beyond the last number names no tensor: whoever looks it up gets an error.
        #[allow(clippy::as_conversions, reason = "u16 to u32; `From` is not const")]
        Self(self.0.saturating_add(offset as u32))
    }
}

/// What a tensor of a graph stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TensorKind {
    /// Given from outside at each run.
    Input,
    /// Learned, and no attribute of an op: a position embedding, a class token. Held with the weights.
    Parameter,
    /// Stored with the network, but not learned: a mask, a table. Held with the weights.
    Constant,
    /// Computed by an op.
    Activation,
}

impl TensorKind {
    /// Whether the tensor is stored with the network rather than computed or given.
    #[must_use]
    pub const fn is_stored(self) -> bool {
        matches!(self, Self::Parameter | Self::Constant)
    }
}

/// Shape and data type of a value that flows through a graph: an input, what an op computes, or a stored value of its own.
/// Weights of a linear layer, a convolution or a normalisation are not tensors of the graph: they follow from the attributes of
/// their op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tensor {
    /// Extents, outermost first; the first is the batch.
    pub shape: Shape,
    /// How each element is stored.
    pub data_type: DataType,
    /// What it stands for.
    pub kind: TensorKind,
}

impl Tensor {
    /// What an op computes: an activation of this shape.
    #[must_use]
    pub const fn activation(shape: Shape, data_type: DataType) -> Self {
        Self { shape, data_type, kind: TensorKind::Activation }
    }

    /// Bytes that the tensor holds.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn bytes(&self) -> Result<Bytes, Error> {
        self.data_type.bytes(self.shape.elements()?)
    }
}

/// Bytes that an op reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Of inputs and activations.
    pub activations: Bytes,
    /// Of parameters and constants.
    pub stored: Bytes,
}

impl Read {
    /// These bytes more, read from this tensor.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn and(mut self, tensor: &Tensor, bytes: Bytes) -> Result<Self, Error> {
        let part = if tensor.kind.is_stored() { &mut self.stored } else { &mut self.activations };
        *part = part.checked_add(bytes)?;
        Ok(self)
    }
}

/// What an op reads: references into the tensors of its graph.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    pub(crate) tensors: &'a [Tensor],
    pub(crate) ids: &'a [TensorId],
}

impl<'a> Operands<'a> {
    /// Number of operands.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Numbers of the tensors, in call order.
    #[must_use]
    pub const fn ids(&self) -> &'a [TensorId] {
        self.ids
    }

    /// The tensor at a position of the call.
    ///
    /// # Errors
    /// [`Error::OperandCount`] past the last; [`Error::UnknownTensor`] where the graph does not hold it.
    pub fn at(&self, position: u16) -> Result<&'a Tensor, Error> {
        let missing = Error::OperandCount {
            expected: position.saturating_add(1),
            found: u16::try_from(self.len()).unwrap_or(u16::MAX),
        };
        let id = self.ids.get(usize::from(position)).ok_or(missing)?;
        self.tensors.get(id.index()).ok_or(Error::UnknownTensor { operand: position })
    }

    /// The tensors in call order; each with its position.
    pub fn iter(&self) -> impl Iterator<Item = Result<(u16, &'a Tensor), Error>> + use<'a> {
        let operands = *self;
        (0..u16::try_from(self.len()).unwrap_or(u16::MAX))
            .map(move |position| operands.at(position).map(|tensor| (position, tensor)))
    }

    /// Bytes of all operands, activations and stored tensors apart; a repeated operand counts each time it is read.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1; [`Error::UnknownTensor`].
    pub fn bytes(&self) -> Result<Read, Error> {
        self.iter().try_fold(Read::default(), |read, operand| {
            let (_, tensor) = operand?;
            read.and(tensor, tensor.bytes()?)
        })
    }
}
