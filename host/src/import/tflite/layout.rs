//! Order of axes: a TFLite file stores images as `[n, h, w, c]`, core counts them as `[n, c, h, w]`.
//!
//! Only the names of the axes change, not the bytes: where an op needs the other order, a view of no cost stands before it. Images
//! (tensors of four axes that are inputs, or that windows slide over) have their channels first; what a reshape or a transposition
//! makes of them keeps the order of the file, until a window slides over it. Axes, paddings and shapes of an op are mapped to
//! the order of its operand.

/// Order of the axes of a tensor in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// As in the file.
    Stored,
    /// The file's last axis second.
    ChannelsFirst,
}

impl Layout {
    /// This order for a tensor of so many axes; below three both are the same.
    pub(super) const fn of_rank(self, rank: usize) -> Self {
        if rank < 3 { Self::Stored } else { self }
    }

    /// Place of an axis of the file, below the rank.
    pub(super) const fn axis(self, rank: usize, axis: usize) -> usize {
        match self.of_rank(rank) {
            Self::Stored => axis,
            Self::ChannelsFirst if axis == 0 => 0,
            Self::ChannelsFirst if axis + 1 == rank => 1,
            Self::ChannelsFirst => axis + 1,
        }
    }

    /// Entries of the file's axes in this order.
    pub(super) fn order<T: Copy>(self, entries: &[T]) -> Vec<T> {
        match (self.of_rank(entries.len()), entries) {
            (Self::ChannelsFirst, [n, spatial @ .., c]) => {
                [*n, *c].into_iter().chain(spatial.iter().copied()).collect()
            }
            _ => entries.to_vec(),
        }
    }

    /// Entries in this order, as the file orders them.
    pub(super) fn stored<T: Copy>(self, entries: &[T]) -> Vec<T> {
        match (self.of_rank(entries.len()), entries) {
            (Self::ChannelsFirst, [n, c, spatial @ ..]) => {
                [*n].into_iter().chain(spatial.iter().copied()).chain([*c]).collect()
            }
            _ => entries.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_axis_becomes_the_second_and_goes_back() {
        let first = Layout::ChannelsFirst;
        assert_eq!(first.order(&[1, 32, 33, 3]), [1, 3, 32, 33]);
        assert_eq!(first.stored(&[1, 3, 32, 33]), [1, 32, 33, 3]);
        assert_eq!([0, 1, 2, 3].map(|axis| first.axis(4, axis)), [0, 2, 3, 1]);
        // A matrix has no channels to move.
        assert_eq!((first.order(&[7, 8]), first.axis(2, 1)), (vec![7, 8], 1));
        assert_eq!(Layout::Stored.order(&[1, 32, 33, 3]), [1, 32, 33, 3]);
    }
}
