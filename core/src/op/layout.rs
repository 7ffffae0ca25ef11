//! Ops that arrange elements and compute nothing, or next to nothing: views, copies, concatenation, gather, resizing.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{MAX_RANK, Shape, product};
use crate::tensor::{Operands, Read, Tensor};
use crate::work::{Class, Work};

/// Requires that a given shape holds something: no tensor of a graph is empty.
fn positive_extents(shape: &Shape) -> Result<(), Error> {
    shape.extents().iter().try_for_each(|&extent| positive(extent, Attribute::OutputSize).map(|_| ()))
}

/// Concatenation of any number of tensors that differ in one axis only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Concat {
    /// The axis, below the rank.
    pub axis: u8,
}

impl Describe for Concat {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let first = operands.at(0)?;
        let axis = usize::from(self.axis);
        let mut total = 0_u32;
        for operand in operands.iter() {
            let (position, tensor) = operand?;
            if tensor.data_type != first.data_type {
                return Err(Error::DataTypeMismatch { operand: position });
            }
            if tensor.shape.rank() != first.shape.rank() {
                return Err(Error::ShapeMismatch { operand: position, axis: tensor.shape.rank() });
            }
            for (at, (x, y)) in (0..u8::MAX).zip(tensor.shape.extents().iter().zip(first.shape.extents())) {
                if at != self.axis && x != y {
                    return Err(Error::ShapeMismatch { operand: position, axis: at });
                }
            }
            let extent = tensor.shape.extent(axis).ok_or(Error::InvalidAttribute(Attribute::Axis))?;
            total = total.checked_add(extent).ok_or(Error::CountOverflow)?;
        }
        let shape = first.shape.with_extent(axis, total).ok_or(Error::InvalidAttribute(Attribute::Axis))?;
        Ok(Tensor::activation(shape, first.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Copy, operands, output, 0)
    }
}

/// The same elements in the same order under another shape (reshape, flatten, squeeze, unsqueeze); no byte moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct View {
    /// The other shape, of as many elements.
    pub shape: Shape,
}

impl Describe for View {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        if input.shape.elements()? != self.shape.elements()? {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        }
        Ok(Tensor::activation(self.shape, input.data_type))
    }

    fn work(&self, _operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        Ok(Work { elements_out: output.shape.elements()?, ..Work::none(Class::View) })
    }
}

/// Axes in another order; every byte moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transpose {
    /// For each axis of the result, the axis of the operand that it is; entries beyond the rank are ignored.
    pub order: [u8; MAX_RANK],
}

impl Transpose {
    /// Transposition in this order.
    ///
    /// # Errors
    /// [`Error::RankExceeded`] for more than eight axes.
    pub fn new(order: &[u8]) -> Result<Self, Error> {
        let mut all = [u8::MAX; MAX_RANK];
        all.get_mut(..order.len()).ok_or(Error::RankExceeded)?.copy_from_slice(order);
        Ok(Self { order: all })
    }
}

impl Describe for Transpose {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        let mut shape = Shape::default();
        let mut seen = 0_u32;
        for &axis in self.order.iter().take(usize::from(input.shape.rank())) {
            let bit = 1_u32.checked_shl(u32::from(axis)).unwrap_or(0);
            let extent = input.shape.extent(usize::from(axis)).filter(|_| seen & bit == 0);
            shape = shape.push(extent.ok_or(Error::InvalidAttribute(Attribute::Axis))?)?;
            seen |= bit;
        }
        Ok(Tensor::activation(shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Copy, operands, output, 0)
    }
}

/// How elements get to other places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MoveKind {
    /// A part of the operand: no extent grows; only that part is read.
    Slice,
    /// The operand amid constant or repeated values: no extent shrinks.
    Pad,
    /// Extents of 1, and missing outer axes, repeated.
    Expand,
    /// The whole operand repeated along axes: each extent is a multiple.
    Tile,
    /// Each element once, elsewhere: a copy, a roll, a flip.
    Copy,
    /// Overlapping windows laid out one after the other; any shape.
    Unfold,
}

impl MoveKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Slice, Self::Pad, Self::Expand, Self::Tile, Self::Copy, Self::Unfold];

    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slice => "slice",
            Self::Pad => "pad",
            Self::Expand => "expand",
            Self::Tile => "tile",
            Self::Copy => "copy",
            Self::Unfold => "unfold",
        }
    }
}

/// Elements of the operand at other places of a tensor of a given shape; bytes move, nothing is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Move {
    /// How.
    pub kind: MoveKind,
    /// Shape of the result.
    pub shape: Shape,
}

impl Describe for Move {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        positive_extents(&self.shape)?;
        let fits = |from: u32, to: u32| match self.kind {
            MoveKind::Slice => to <= from,
            MoveKind::Pad => to >= from,
            MoveKind::Tile => to.is_multiple_of(from.max(1)),
            _ => true,
        };
        if matches!(self.kind, MoveKind::Slice | MoveKind::Pad | MoveKind::Tile) {
            if input.shape.rank() != self.shape.rank() {
                return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
            }
            for (axis, (&from, &to)) in (0..u8::MAX).zip(input.shape.extents().iter().zip(self.shape.extents())) {
                if !fits(from, to) {
                    return Err(Error::ShapeMismatch { operand: 0, axis });
                }
            }
        }
        if self.kind == MoveKind::Expand && self.shape.broadcast(&input.shape) != Ok(self.shape) {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        }
        if self.kind == MoveKind::Copy && input.shape.elements()? != self.shape.elements()? {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        }
        Ok(Tensor::activation(self.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let work = streaming(Class::Copy, operands, output, 0)?;
        if self.kind != MoveKind::Slice {
            return Ok(work);
        }
        let read = Read::default().and(operands.at(0)?, output.bytes()?)?;
        Ok(Work { bytes_in: read.activations, bytes_weight: read.stored, ..work })
    }
}

/// Rows of operand 0 along an axis, chosen by the indices of operand 1: `data[:axis] ++ indices ++ data[axis + 1:]`.
/// As many elements of the data are read as are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gather {
    /// The axis, below the rank of the data.
    pub axis: u8,
}

impl Describe for Gather {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let (data, indices) = (operands.at(0)?, operands.at(1)?);
        let axis = usize::from(self.axis);
        let wrong = Error::InvalidAttribute(Attribute::Axis);
        let (outer, rest) = data.shape.extents().split_at_checked(axis).ok_or(wrong)?;
        let (_, inner) = rest.split_first().ok_or(wrong)?;
        let mut shape = Shape::new(outer)?;
        for &extent in indices.shape.extents().iter().chain(inner) {
            shape = shape.push(extent)?;
        }
        Ok(Tensor::activation(shape, data.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        gathered(operands, output)
    }
}

/// Elements of operand 0 chosen one by one by the indices of operand 1 (gather of elements, of n-tuples, by masks); the shape is given.
/// As many elements of the data are read as are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pick {
    /// Shape of the result.
    pub shape: Shape,
}

impl Describe for Pick {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive_extents(&self.shape)?;
        Ok(Tensor::activation(self.shape, operands.at(0)?.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        gathered(operands, output)
    }
}

/// Indices read whole, data as much as is written.
fn gathered(operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
    let mut read = Read::default().and(operands.at(0)?, output.bytes()?)?;
    for operand in operands.iter().skip(1) {
        let (_, tensor) = operand?;
        read = read.and(tensor, tensor.bytes()?)?;
    }
    let work = streaming(Class::Copy, operands, output, 0)?;
    Ok(Work { bytes_in: read.activations, bytes_weight: read.stored, ..work })
}

/// Operand 0 with the elements at the indices of operand 1 replaced by operand 2; 1 FLOP an update where they are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scatter {
    /// Whether an update is added (or multiplied, …) rather than put.
    pub combine: bool,
}

impl Describe for Scatter {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let (data, updates) = (operands.at(0)?, operands.at(2)?);
        operands.at(1)?;
        if data.data_type != updates.data_type {
            return Err(Error::DataTypeMismatch { operand: 2 });
        }
        Ok(Tensor::activation(data.shape, data.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let work = streaming(Class::Copy, operands, output, 0)?;
        let updates = if self.combine { operands.at(2)?.shape.elements()? } else { 0 };
        Ok(Work { flops: crate::units::Flops(updates), ..work })
    }
}

/// Learned vectors of `features`, one for each of `entries` indices: `[…]` gives `[…, features]`. Only the vectors looked up are read.
///
/// ```text
/// params = entries · features
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Embedding {
    /// Rows of the table.
    pub entries: u32,
    /// Length of a row.
    pub features: u32,
    /// How the table, and the result, are stored.
    pub data_type: crate::shape::DataType,
}

impl Describe for Embedding {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.entries, Attribute::Channels)?;
        positive(self.features, Attribute::Channels)?;
        Ok(Tensor::activation(operands.at(0)?.shape.push(self.features)?, self.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let params = product([u64::from(self.entries), u64::from(self.features)])?;
        let work = streaming(Class::Copy, operands, output, 0)?;
        Ok(Work {
            params,
            bytes_weight: output.bytes()?.checked_add(work.bytes_weight)?,
            bytes_stored: output.data_type.bytes(params)?,
            ..work
        })
    }
}

/// How values between the samples of an image are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResizeKind {
    /// The nearest sample: no arithmetic.
    Nearest,
    /// Between the two neighbours along each resized axis: 3 FLOP for each of 2^axes − 1 interpolations.
    Linear,
    /// A cubic through four neighbours along each resized axis: 7 FLOP (four products, three sums) for each of
    /// (4^axes − 1) / 3 interpolations.
    Cubic,
}

impl ResizeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Nearest, Self::Linear, Self::Cubic];

    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nearest => "resize_nearest",
            Self::Linear => "resize_linear",
            Self::Cubic => "resize_cubic",
        }
    }
}

/// An image or volume with other extents, its values interpolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Resize {
    /// How values are found.
    pub kind: ResizeKind,
    /// Shape of the result, of the operand's rank.
    pub shape: Shape,
}

impl Describe for Resize {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        if input.shape.rank() != self.shape.rank() {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        }
        positive_extents(&self.shape)?;
        Ok(Tensor::activation(self.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let input = operands.at(0)?.shape;
        let resized = input.extents().iter().zip(self.shape.extents()).filter(|(from, to)| from != to);
        // Interpolations of one output: one axis after the other, each halving (or quartering) the values.
        let points: u64 = match self.kind {
            ResizeKind::Nearest => 1,
            ResizeKind::Linear => 2,
            ResizeKind::Cubic => 4,
        };
        let interpolations = resized.fold(0_u64, |sum, _| sum.saturating_mul(points).saturating_add(1));
        let each: u64 = match self.kind {
            ResizeKind::Nearest => 0,
            ResizeKind::Linear => 3,
            ResizeKind::Cubic => 7,
        };
        streaming(Class::Pooling, operands, output, interpolations.saturating_mul(each))
    }
}
