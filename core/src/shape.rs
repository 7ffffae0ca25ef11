//! Shapes and data types: how many elements a tensor has, and how many bytes.

use crate::error::Error;
use crate::units::Bytes;

/// Most dimensions of a shape.
pub const MAX_RANK: usize = 8;

/// Extents of a tensor, outermost first; images are `[n, c, h, w]`. A scalar has rank 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    rank: u8,
    extents: [u32; MAX_RANK],
}

impl Shape {
    /// Shape with these extents.
    ///
    /// ```
    /// # use derate_core::shape::Shape;
    /// let image = Shape::new(&[1, 3, 224, 224])?;
    /// assert_eq!(image.elements()?, 150_528);
    /// # Ok::<(), derate_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RankExceeded`] beyond eight dimensions.
    pub const fn new(extents: &[u32]) -> Result<Self, Error> {
        let mut shape = Self { rank: 0, extents: [0; MAX_RANK] };
        let mut left = extents;
        let mut free: &mut [u32] = &mut shape.extents;
        // A loop over patterns: tables in flash are built in const context, where slices have little else.
        while let [extent, rest @ ..] = left {
            let [place, places @ ..] = free else { return Err(Error::RankExceeded) };
            *place = *extent;
            shape.rank = shape.rank.saturating_add(1);
            left = rest;
            free = places;
        }
        Ok(shape)
    }

    /// Extents, outermost first.
    #[must_use]
    pub fn extents(&self) -> &[u32] {
        self.extents.get(..usize::from(self.rank)).unwrap_or(&self.extents)
    }

    /// Number of dimensions, 0 to 8.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        self.rank
    }

    /// Extent of one dimension; `None` beyond the rank.
    #[must_use]
    pub fn extent(&self, axis: usize) -> Option<u32> {
        self.extents().get(axis).copied()
    }

    /// This shape with one extent replaced; `None` beyond the rank.
    #[must_use]
    pub fn with_extent(mut self, axis: usize, extent: u32) -> Option<Self> {
        *self.extents.get_mut(..usize::from(self.rank))?.get_mut(axis)? = extent;
        Some(self)
    }

    /// This shape with one more extent at its end.
    ///
    /// # Errors
    /// [`Error::RankExceeded`] beyond eight dimensions.
    pub fn push(mut self, extent: u32) -> Result<Self, Error> {
        *self.extents.get_mut(usize::from(self.rank)).ok_or(Error::RankExceeded)? = extent;
        self.rank = self.rank.saturating_add(1);
        Ok(self)
    }

    /// Shape of two tensors broadcast against each other, aligned at the last axis (the rule of NumPy and ONNX).
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] naming an axis of `other` whose extent is neither this one's nor 1.
    pub fn broadcast(&self, other: &Self) -> Result<Self, Error> {
        let rank = usize::from(self.rank().max(other.rank()));
        let from_the_end = |shape: &Self, back: usize| {
            usize::from(shape.rank()).checked_sub(back).map_or(Some(1), |axis| shape.extent(axis))
        };
        let mut shape = Self::default();
        for back in (1..=rank).rev() {
            shape = shape.push(match (from_the_end(self, back), from_the_end(other, back)) {
                (Some(x), Some(1)) => x,
                (Some(1), Some(y)) => y,
                (Some(x), Some(y)) if x == y => x,
                _ => {
                    let axis = usize::from(other.rank()).saturating_sub(back);
                    return Err(Error::ShapeMismatch { operand: 1, axis: u8::try_from(axis).unwrap_or(u8::MAX) });
                }
            })?;
        }
        Ok(shape)
    }

    /// Number of elements: the product of the extents; 1 for a scalar.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn elements(&self) -> Result<u64, Error> {
        product(self.extents().iter().map(|&extent| u64::from(extent)))
    }
}

impl core::fmt::Debug for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.extents()).finish()
    }
}

/// Checked product of counts; 1 for none.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub(crate) fn product(factors: impl IntoIterator<Item = u64>) -> Result<u64, Error> {
    factors.into_iter().try_fold(1_u64, |product, factor| product.checked_mul(factor)).ok_or(Error::CountOverflow)
}

/// How an element is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum DataType {
    /// IEEE 754 binary64.
    Fp64,
    /// IEEE 754 binary32.
    Fp32,
    /// bfloat16: 8 bits of exponent, 7 of fraction.
    Bf16,
    /// IEEE 754 binary16.
    Fp16,
    /// Signed or unsigned 8-bit integer.
    Int8,
    /// Signed 16-bit integer, as activations of some int8 networks are.
    Int16,
    /// Signed 32-bit integer, as biases and accumulators of int8 networks are.
    Int32,
    /// Signed 64-bit integer, as indices are.
    Int64,
    /// True or false, one byte, as masks are.
    Bool,
}

impl DataType {
    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> Bytes {
        Bytes(match self {
            Self::Fp64 | Self::Int64 => 8,
            Self::Fp32 | Self::Int32 => 4,
            Self::Bf16 | Self::Fp16 | Self::Int16 => 2,
            Self::Int8 | Self::Bool => 1,
        })
    }

    /// The type in which sums of products of this type are kept: 32 bits for the narrower ones, itself for the others.
    #[must_use]
    pub const fn accumulator(self) -> Self {
        match self {
            Self::Fp16 | Self::Bf16 => Self::Fp32,
            Self::Int8 => Self::Int32,
            other => other,
        }
    }

    /// The precision in which an op on such elements computes; `None` for indices and masks, which are no arithmetic of a network.
    #[must_use]
    pub const fn precision(self) -> Option<Precision> {
        match self {
            Self::Fp64 => Some(Precision::Fp64),
            Self::Fp32 => Some(Precision::Fp32),
            Self::Bf16 => Some(Precision::Bf16),
            Self::Fp16 => Some(Precision::Fp16),
            Self::Int8 => Some(Precision::Int8),
            Self::Int16 | Self::Int32 | Self::Int64 | Self::Bool => None,
        }
    }

    /// Every data type.
    pub const ALL: [Self; 9] =
        [Self::Fp64, Self::Fp32, Self::Bf16, Self::Fp16, Self::Int8, Self::Int16, Self::Int32, Self::Int64, Self::Bool];

    /// The name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp64 => "fp64",
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
        }
    }

    /// Bytes of this many elements.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub const fn bytes(self, elements: u64) -> Result<Bytes, Error> {
        match elements.checked_mul(self.size().0) {
            Some(bytes) => Ok(Bytes(bytes)),
            None => Err(Error::CountOverflow),
        }
    }
}

/// Arithmetic in which a compute unit works; the key of every per-precision table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Precision {
    /// IEEE 754 binary64.
    Fp64,
    /// IEEE 754 binary32.
    Fp32,
    /// NVIDIA TensorFloat-32: fp32 storage, 10 bits of fraction in the multiplier.
    Tf32,
    /// bfloat16 products, fp32 sums.
    Bf16,
    /// IEEE 754 binary16 products.
    Fp16,
    /// 8-bit integer products, 32-bit sums.
    Int8,
}

impl Precision {
    /// Every precision, in the order of the per-precision tables.
    pub const ALL: [Self; 6] = [Self::Fp64, Self::Fp32, Self::Tf32, Self::Bf16, Self::Fp16, Self::Int8];

    /// The name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp64 => "fp64",
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }

    /// The data type that tensors of this precision are stored in.
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::Fp64 => DataType::Fp64,
            Self::Fp32 | Self::Tf32 => DataType::Fp32,
            Self::Bf16 => DataType::Bf16,
            Self::Fp16 => DataType::Fp16,
            Self::Int8 => DataType::Int8,
        }
    }
}

/// One value for each precision.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PerPrecision<T> {
    /// In the order of [`Precision::ALL`].
    values: [T; Precision::ALL.len()],
}

impl<T: Copy> PerPrecision<T> {
    /// The same value for every precision.
    #[must_use]
    pub const fn all(value: T) -> Self {
        Self { values: [value; Precision::ALL.len()] }
    }

    /// This table with one entry replaced.
    #[must_use]
    pub const fn with(mut self, precision: Precision, value: T) -> Self {
        let [fp64, fp32, tf32, bf16, fp16, int8] = &mut self.values;
        match precision {
            Precision::Fp64 => *fp64 = value,
            Precision::Fp32 => *fp32 = value,
            Precision::Tf32 => *tf32 = value,
            Precision::Bf16 => *bf16 = value,
            Precision::Fp16 => *fp16 = value,
            Precision::Int8 => *int8 = value,
        }
        self
    }

    /// The entry of one precision.
    #[must_use]
    pub const fn at(&self, precision: Precision) -> T {
        let [fp64, fp32, tf32, bf16, fp16, int8] = self.values;
        match precision {
            Precision::Fp64 => fp64,
            Precision::Fp32 => fp32,
            Precision::Tf32 => tf32,
            Precision::Bf16 => bf16,
            Precision::Fp16 => fp16,
            Precision::Int8 => int8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_dimensions_and_no_more() {
        assert_eq!(Shape::new(&[2; 8]).and_then(|s| s.elements()), Ok(256));
        assert_eq!(Shape::new(&[2; 9]), Err(Error::RankExceeded));
        assert_eq!(Shape::new(&[]).and_then(|s| s.elements()), Ok(1));
    }

    #[test]
    fn broadcasting_follows_the_last_axis() -> Result<(), Error> {
        let shape = |extents: &[u32]| Shape::new(extents);
        // A squeeze-excite gate [2, 8, 1, 1] against [2, 8, 7, 7], and a bias [7] against it.
        assert_eq!(shape(&[2, 8, 1, 1])?.broadcast(&shape(&[2, 8, 7, 7])?), shape(&[2, 8, 7, 7]));
        assert_eq!(shape(&[2, 8, 7, 7])?.broadcast(&shape(&[7])?), shape(&[2, 8, 7, 7]));
        assert_eq!(shape(&[2, 3])?.broadcast(&shape(&[2, 4])?), Err(Error::ShapeMismatch { operand: 1, axis: 1 }));
        Ok(())
    }

    #[test]
    fn too_many_elements_are_an_error() {
        assert_eq!(Shape::new(&[u32::MAX; 3]).and_then(|s| s.elements()), Err(Error::CountOverflow));
    }

    #[test]
    fn a_table_holds_one_value_for_each_precision() {
        let mut table = PerPrecision::all(0);
        for (i, precision) in Precision::ALL.into_iter().enumerate() {
            table = table.with(precision, i);
        }
        for (i, precision) in Precision::ALL.into_iter().enumerate() {
            assert_eq!(table.at(precision), i);
        }
    }
}
