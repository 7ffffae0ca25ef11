//! Tensors of a graph, by number: shape and data type, without data.

use crate::error::Error;
use crate::shape::{DataType, Shape};
use crate::units::Bytes;

/// Number of a tensor in its graph, from 0 in the order of definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TensorId(pub(crate) u32);

impl TensorId {
    /// The number as an index into the graph's tensors.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Shape and data type of a value that flows through a graph: an input, or what an op computes.
/// Learned parameters are not tensors of the graph: they follow from the attributes of their op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tensor {
    /// Extents, outermost first; the first is the batch.
    pub shape: Shape,
    /// How each element is stored.
    pub data_type: DataType,
}

impl Tensor {
    /// Bytes that the tensor holds.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn bytes(&self) -> Result<Bytes, Error> {
        self.data_type.bytes(self.shape.elements()?)
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

    /// Bytes of all operands; a repeated operand counts each time it is read.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1; [`Error::UnknownTensor`].
    pub fn bytes(&self) -> Result<Bytes, Error> {
        self.iter().try_fold(Bytes::ZERO, |sum, operand| sum.checked_add(operand?.1.bytes()?))
    }
}
