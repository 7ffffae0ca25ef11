//! Ops that arrange elements and compute nothing: concatenation (bytes move) and flatten (nothing moves).

use super::{Describe, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{MAX_RANK, Shape, product};
use crate::tensor::{Operands, Tensor};
use crate::work::{Class, Work};

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
        let mut extents =
            heapless::Vec::<u32, MAX_RANK>::from_slice(first.shape.extents()).map_err(|_| Error::RankExceeded)?;
        *extents.get_mut(axis).ok_or(Error::InvalidAttribute(Attribute::Axis))? = total;
        Ok(Tensor { shape: Shape::new(&extents)?, ..*first })
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Copy, operands, output, 0)
    }
}

/// All dimensions from `start_axis` on merged into one; no byte moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flatten {
    /// First merged axis, below the rank.
    pub start_axis: u8,
}

impl Describe for Flatten {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        let (outer, merged) = input
            .shape
            .extents()
            .split_at_checked(usize::from(self.start_axis))
            .filter(|(_, merged)| !merged.is_empty())
            .ok_or(Error::InvalidAttribute(Attribute::Axis))?;
        let merged = product(merged.iter().map(|&extent| u64::from(extent)))?;
        let mut extents = heapless::Vec::<u32, MAX_RANK>::from_slice(outer).map_err(|_| Error::RankExceeded)?;
        extents.push(u32::try_from(merged).map_err(|_| Error::CountOverflow)?).map_err(|_| Error::RankExceeded)?;
        Ok(Tensor { shape: Shape::new(&extents)?, ..*input })
    }

    fn work(&self, _operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        Ok(Work { elements_out: output.shape.elements()?, ..Work::none(Class::View) })
    }
}
