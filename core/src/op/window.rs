//! Sliding windows: one to three axes of kernel, stride, padding and dilation, and the extents they give.

use super::positive;
use crate::error::{Attribute, Error};
use crate::shape::{Shape, product};

/// A sliding window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Taps, at least 1.
    pub kernel: u16,
    /// Step of the window, at least 1.
    pub stride: u16,
    /// Padding `[before, after]` the operand.
    pub padding: [u16; 2],
    /// Distance of the taps; 1 is dense.
    pub dilation: u16,
}

impl Window {
    /// A dense window with the same padding on both sides.
    #[must_use]
    pub const fn new(kernel: u16, stride: u16, padding: u16) -> Self {
        Self { kernel, stride, padding: [padding; 2], dilation: 1 }
    }

    /// Extent that the taps reach over: `dilation · (kernel − 1) + 1`.
    pub(super) fn reach(&self) -> Result<u64, Error> {
        positive(u32::from(self.kernel), Attribute::Kernel)?;
        positive(u32::from(self.stride), Attribute::Stride)?;
        positive(u32::from(self.dilation), Attribute::Dilation)?;
        Ok(u64::from(self.dilation).saturating_mul(u64::from(self.kernel).saturating_sub(1)).saturating_add(1))
    }

    /// Output extent: `⌊(extent + padding − reach) / stride⌋ + 1`, rounded up where `ceil`.
    ///
    /// With `ceil` (as in PyTorch's pooling) a window that would start in the padding after the operand is left out, and even the
    /// first may reach over the end by less than a step.
    ///
    /// # Errors
    /// [`Error::InvalidAttribute`] for a zero attribute, or where the padded operand does not hold the window once.
    pub fn output(&self, extent: u32, ceil: bool) -> Result<u32, Error> {
        let reach = self.reach()?;
        let [before, after] = self.padding.map(u64::from);
        let (extent, stride) = (u64::from(extent), u64::from(self.stride));
        let padded = extent.saturating_add(before).saturating_add(after);
        // Rounded up, the quotient is 0 too where the window reaches over the end by less than a step.
        let lent = if ceil { stride.saturating_sub(1) } else { 0 };
        let free = padded.saturating_add(lent).checked_sub(reach).ok_or(Error::InvalidAttribute(Attribute::Padding))?;
        let mut steps = free.checked_div(stride).unwrap_or(0);
        if ceil && steps.saturating_mul(stride) >= extent.saturating_add(before) {
            steps = steps.saturating_sub(1);
        }
        u32::try_from(steps.saturating_add(1)).map_err(|_| Error::CountOverflow)
    }

    /// Output extent of a transposed window: `(extent − 1) · stride + reach − padding + output_padding`.
    ///
    /// # Errors
    /// [`Error::InvalidAttribute`] for a zero attribute, padding as large as the output, or output padding that is not below the
    /// stride or the dilation; [`Error::CountOverflow`].
    pub fn transposed_output(&self, extent: u32, output_padding: u16) -> Result<u32, Error> {
        let reach = self.reach()?;
        // As many more would be another output of the convolution that this transposes.
        if output_padding >= self.stride.max(self.dilation) {
            return Err(Error::InvalidAttribute(Attribute::Padding));
        }
        let [before, after] = self.padding.map(u64::from);
        let full = u64::from(extent)
            .saturating_sub(1)
            .saturating_mul(u64::from(self.stride))
            .saturating_add(reach)
            .saturating_add(u64::from(output_padding));
        let cut = full.checked_sub(before.saturating_add(after)).filter(|&extent| extent > 0);
        u32::try_from(cut.ok_or(Error::InvalidAttribute(Attribute::Padding))?).map_err(|_| Error::CountOverflow)
    }
}

/// Windows of the one to three innermost axes: `[length]`, `[height, width]` or `[depth, height, width]`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Windows {
    rank: u8,
    axes: [Window; Self::MAX],
}

impl Windows {
    /// Most axes.
    pub const MAX: usize = 3;

    /// Windows of these axes, outermost first.
    ///
    /// # Errors
    /// [`Error::RankExceeded`] for none, or more than three.
    pub const fn new(axes: &[Window]) -> Result<Self, Error> {
        let one = Window::new(1, 1, 0);
        let (rank, axes) = match *axes {
            [a] => (1, [a, one, one]),
            [a, b] => (2, [a, b, one]),
            [a, b, c] => (3, [a, b, c]),
            _ => return Err(Error::RankExceeded),
        };
        Ok(Self { rank, axes })
    }

    /// The same dense window on both axes of an image.
    #[must_use]
    pub const fn square(kernel: u16, stride: u16, padding: u16) -> Self {
        let window = Window::new(kernel, stride, padding);
        Self { rank: 2, axes: [window, window, Window::new(1, 1, 0)] }
    }

    /// The windows, outermost axis first.
    #[must_use]
    pub fn axes(&self) -> &[Window] {
        self.axes.get(..usize::from(self.rank)).unwrap_or(&self.axes)
    }

    /// Number of axes, 1 to 3.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        self.rank
    }

    /// Taps of all axes together.
    ///
    /// # Errors
    /// [`Error::CountOverflow`], which three extents of 16 bits do not reach.
    pub fn taps(&self) -> Result<u64, Error> {
        product(self.axes().iter().map(|axis| u64::from(axis.kernel)))
    }

    /// Shape of `[n, c, …]` under these windows, with `channels` for `c`.
    pub(crate) fn output(
        &self,
        input: &Shape,
        channels: u32,
        extent: impl Fn(usize, &Window, u32) -> Result<u32, Error>,
    ) -> Result<Shape, Error> {
        let [n, _, spatial @ ..] = input.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.rank() });
        };
        if spatial.len() != self.axes().len() {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.rank() });
        }
        let mut shape = Shape::new(&[*n, channels])?;
        for (index, (window, &size)) in (0..Self::MAX).zip(self.axes().iter().zip(spatial)) {
            shape = shape.push(extent(index, window, size)?)?;
        }
        Ok(shape)
    }
}

impl core::fmt::Debug for Windows {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.axes()).finish()
    }
}
