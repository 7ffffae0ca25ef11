//! One arena for all activations: offsets such that no two tensors that live at the same time overlap.
//!
//! Each tensor is put at the lowest offset where it fits between those placed before that live at some step with it. Two orders of
//! placing are tried, and the smaller arena is kept: the largest first, the greedy rule by size of Pisarchyk and Lee, "Efficient
//! Memory Management for Deep Neural Net Inference", 2020, which the planner of `TensorFlow` Lite for Microcontrollers uses too;
//! and the first written first, which is the better one for chains. Neither is optimal; the peak of live bytes, below which no
//! arena can be, stands beside the result.

use super::{Lifetimes, NONE};
use crate::error::Error;
use crate::tensor::TensorId;
use crate::units::Bytes;

/// Which tensor is placed next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The largest; of equals the one that is written first.
    Size,
    /// The one that is written first; of equals the largest.
    Time,
}

impl Lifetimes<'_> {
    /// Gives each tensor an offset, a multiple of `alignment` bytes, and returns the size of the arena.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn place(&mut self, alignment: u32) -> Result<Bytes, Error> {
        let by_size = self.place_by(Order::Size, alignment)?;
        let by_time = self.place_by(Order::Time, alignment)?;
        Ok(if by_size < by_time { self.place_by(Order::Size, alignment)? } else { by_time })
    }

    fn place_by(&mut self, order: Order, alignment: u32) -> Result<Bytes, Error> {
        let mut head = NONE;
        let mut size = 0_u64;
        for buffer in self.buffers.iter_mut() {
            buffer.next = NONE;
            buffer.offset = u64::MAX;
        }
        while let Some((id, bytes)) = self.next_to_place(order)? {
            let offset = self.insert(&mut head, id, bytes, u64::from(alignment.max(1)))?;
            size = size.max(offset.checked_add(bytes).ok_or(Error::CountOverflow)?);
        }
        Ok(Bytes(size))
    }

    /// The tensor without an offset that comes next. Empty ones are put at 0.
    fn next_to_place(&mut self, order: Order) -> Result<Option<(TensorId, u64)>, Error> {
        let mut next: Option<(TensorId, u64, u32)> = None;
        for (number, _) in (0..NONE).zip(0..self.buffers.len()) {
            let id = TensorId(number);
            let buffer = self.buffer(id);
            if buffer.offset != u64::MAX {
                continue;
            }
            let bytes = if buffer.root == number { self.bytes(id)?.0 } else { 0 };
            let before = |other: &(TensorId, u64, u32)| match order {
                Order::Size => (bytes, other.2) > (other.1, buffer.first),
                Order::Time => (other.2, bytes) > (buffer.first, other.1),
            };
            if bytes == 0 {
                self.edit(id, |buffer| buffer.offset = 0);
            } else if next.as_ref().is_none_or(before) {
                next = Some((id, bytes, buffer.first));
            }
        }
        Ok(next.map(|(id, bytes, _)| (id, bytes)))
    }

    /// Puts a tensor at the lowest offset where it fits, into the list of placed ones, which is sorted by offset.
    fn insert(&mut self, head: &mut u32, id: TensorId, bytes: u64, alignment: u64) -> Result<u64, Error> {
        let new = self.buffer(id);
        let mut offset = 0_u64;
        let mut before = NONE;
        let mut at = *head;
        while at != NONE {
            let placed = self.buffer(TensorId(at));
            let end = offset.checked_add(bytes).ok_or(Error::CountOverflow)?;
            let together = placed.first <= new.last && new.first <= placed.last;
            if together {
                if placed.offset >= end {
                    break;
                }
                let after = placed.offset.checked_add(self.bytes(TensorId(at))?.0).ok_or(Error::CountOverflow)?;
                offset = offset.max(after.checked_next_multiple_of(alignment).ok_or(Error::CountOverflow)?);
            }
            at = placed.next;
        }
        // The list is sorted by offset: find the place of the new one.
        let mut next = *head;
        while next != NONE && self.buffer(TensorId(next)).offset < offset {
            before = next;
            next = self.buffer(TensorId(next)).next;
        }
        self.edit(id, |buffer| {
            buffer.offset = offset;
            buffer.next = next;
        });
        if before == NONE {
            *head = id.0;
        } else {
            self.edit(TensorId(before), |buffer| buffer.next = id.0);
        }
        Ok(offset)
    }
}
