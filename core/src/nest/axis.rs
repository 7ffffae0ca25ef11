//! One axis of a convolution: which positions of the input its windows reach over.

use super::ConvLoops;
use crate::error::Error;
use crate::units::Parts as _;

/// Windows along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Input positions without padding.
    pub(crate) input: u64,
    /// Windows.
    pub(crate) output: u64,
    /// Distance of one window's first tap from the next one's.
    pub(crate) stride: u64,
    /// Positions from a window's first tap to its last: dilation · (kernel − 1) + 1.
    pub(crate) reach: u64,
    /// Positions before the input that windows reach over.
    pub(crate) padding: u64,
}

impl Axis {
    /// Positions that `count` neighbouring windows reach over, padding included.
    ///
    /// ```text
    /// span(t) = (t − 1) · stride + reach     where windows touch or overlap
    ///         = t · reach                    where there are gaps between them
    /// ```
    pub(crate) fn span(&self, count: u64) -> u64 {
        if self.stride > self.reach {
            return count.saturating_mul(self.reach);
        }
        match count.checked_sub(1) {
            Some(steps) => steps.saturating_mul(self.stride).saturating_add(self.reach),
            None => 0,
        }
    }

    /// Position after the last one of window `index`, counted from the start of the padding.
    pub(crate) fn end(&self, index: u64) -> u64 {
        index.saturating_mul(self.stride).saturating_add(self.reach)
    }

    /// Position after the input, counted from the start of the padding.
    pub(crate) fn border(&self) -> u64 {
        self.padding.saturating_add(self.input)
    }

    /// Positions of the input that windows `from` to `to` (excluded) reach over; what lies in the padding is none.
    pub(crate) fn moved(&self, from: u64, to: u64) -> u64 {
        let Some(last) = to.checked_sub(1).filter(|&last| last >= from) else { return 0 };
        let clipped = |first: u64, last: u64| {
            let start = first.saturating_mul(self.stride).max(self.padding);
            self.end(last).min(self.border()).saturating_sub(start)
        };
        if self.stride <= self.reach || last == from {
            return clipped(from, last);
        }
        // Windows apart from each other: at each end of the input at most one is cut.
        let low = self.padding.in_parts_of(self.stride).max(from).min(to);
        let high = match self.border().checked_sub(self.reach) {
            Some(last) => last.checked_div(self.stride).unwrap_or(0).saturating_add(1).max(low).min(to),
            None => low,
        };
        let mut moved = high.saturating_sub(low).saturating_mul(self.reach);
        if let Some(before) = low.checked_sub(1).filter(|&before| before >= from) {
            moved = moved.saturating_add(clipped(before, before));
        }
        if high < to {
            moved = moved.saturating_add(clipped(high, high));
        }
        moved
    }

    /// Positions of the input that any window reaches over.
    pub(crate) fn touched(&self) -> u64 {
        self.moved(0, self.output)
    }
}

impl ConvLoops {
    /// The axes, depth, height, width.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] where an axis with its padding is longer than 2^64 − 1: all else of it is exact.
    pub(crate) fn axes(&self) -> Result<[Axis; 3], Error> {
        let axes = self.unchecked_axes();
        for axis in &axes {
            let end = axis.output.checked_mul(axis.stride).and_then(|end| end.checked_add(axis.reach));
            end.and(axis.input.checked_add(axis.padding)).ok_or(Error::CountOverflow)?;
        }
        Ok(axes)
    }

    fn unchecked_axes(&self) -> [Axis; 3] {
        let ([i0, i1, i2], [o0, o1, o2], [k0, k1, k2]) = (self.input, self.output, self.kernel);
        let ([s0, s1, s2], [d0, d1, d2], [p0, p1, p2]) = (self.stride, self.dilation, self.padding);
        let axis = |input, output, kernel: u64, stride: u64, dilation: u64, padding| Axis {
            input,
            output,
            stride: stride.max(1),
            reach: dilation.saturating_mul(kernel.saturating_sub(1)).saturating_add(1),
            padding,
        };
        [axis(i0, o0, k0, s0, d0, p0), axis(i1, o1, k1, s1, d1, p1), axis(i2, o2, k2, s2, d2, p2)]
    }

    /// Input positions that windows reach over, of one channel: all of them, but where the step is larger than the window, and what
    /// lies beyond the last window.
    #[must_use]
    pub fn touched(&self) -> u64 {
        self.unchecked_axes().iter().fold(1, |product: u64, axis| product.saturating_mul(axis.touched()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions, marked one by one.
    fn marked(axis: &Axis, from: u64, to: u64) -> u64 {
        let positions = (axis.padding..axis.border()).filter(|&position| {
            let overlapping = axis.stride <= axis.reach && from < to;
            let within = |first: u64, last: u64| position >= first * axis.stride && position < axis.end(last);
            if overlapping { within(from, to - 1) } else { (from..to).any(|window| within(window, window)) }
        });
        u64::try_from(positions.count()).unwrap()
    }

    #[test]
    fn positions_are_those_that_marking_finds() {
        for input in 1..9 {
            for (stride, reach, padding) in
                (1..5).flat_map(|s| (1..5).flat_map(move |r| (0..6).map(move |p| (s, r, p))))
            {
                for output in 1..6 {
                    let axis = Axis { input, output, stride, reach, padding };
                    for (from, to) in (0..output).flat_map(|from| (from..=output).map(move |to| (from, to))) {
                        assert_eq!(axis.moved(from, to), marked(&axis, from, to), "{axis:?} {from}..{to}");
                    }
                }
            }
        }
    }
}
