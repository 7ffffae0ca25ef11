//! Elements at other places: transposes, slices, padding, repetition, gather and scatter.

use derate_core::op::{Gather, MoveKind, Scatter, Transpose};
use tch::Tensor;

use super::call::{Call, elements, long};
use super::layers::padding_list;
use super::values::tuples;
use crate::torch::TorchError;

impl Call<'_> {
    /// `permute`: a view, as in eager PyTorch; whoever reads it pays.
    pub(super) fn transpose(&self, op: &Transpose) -> Result<Tensor, TorchError> {
        let rank = self.of(0)?.len();
        let order: Vec<i64> = op.order.iter().take(rank).map(|&axis| i64::from(axis)).collect();
        Ok(self.x()?.f_permute(order)?)
    }

    /// Slices start at 0, and padding stands at the end: the graph does not say where. Overlapping windows are the elements in their
    /// order, over and over: one `expand`, and one copy that reads and writes as much as `unfold` does.
    pub(super) fn moved(&self, kind: MoveKind) -> Result<Tensor, TorchError> {
        let x = self.x()?;
        let from = long(self.of(0)?);
        let to = self.extents();
        Ok(match kind {
            MoveKind::Slice => {
                let mut y = x.shallow_clone();
                for (axis, (from, to)) in (0..).zip(from.iter().zip(&to)) {
                    if from != to {
                        y = y.f_narrow(axis, 0, *to)?;
                    }
                }
                y
            }
            MoveKind::Pad => {
                x.f_constant_pad_nd(padding_list(from.iter().zip(&to).map(|(from, to)| [0, to - from])))?
            }
            MoveKind::Expand => x.f_expand(to, false)?,
            MoveKind::Tile => {
                let times: Vec<i64> = from.iter().zip(&to).map(|(&from, to)| to / from.max(1)).collect();
                x.f_repeat(times)?
            }
            MoveKind::Copy if x.is_contiguous() => x.f_reshape(to)?.f_alias_copy()?,
            // Reshaping what does not lie in order is the copy.
            MoveKind::Copy => x.f_reshape(to)?.f_contiguous()?,
            MoveKind::Unfold => {
                let (found, wanted) = (elements(self.of(0)?), to.iter().product::<i64>());
                let flat = x.f_reshape([found])?;
                let rounds = (wanted + found - 1) / found.max(1);
                if rounds <= 1 {
                    flat.f_narrow(0, 0, wanted)?.f_reshape(to)?.f_alias_copy()?
                } else {
                    let all = flat.f_expand([rounds, found], false)?.f_reshape([rounds * found])?;
                    all.f_narrow(0, 0, wanted)?.f_reshape(to)?
                }
            }
            other => return Err(TorchError::Op(other.name())),
        })
    }

    /// `index_select` with the indices as one list: views around one call.
    pub(super) fn gather(&self, op: &Gather) -> Result<Tensor, TorchError> {
        let given;
        let list = match self.parameters.first() {
            Some(list) => list,
            None => {
                given = self.operand(1)?.f_reshape([-1])?;
                &given
            }
        };
        Ok(self.x()?.f_index_select(i64::from(op.axis), list)?.f_reshape(self.extents())?)
    }

    /// `index_select` of rows where n-tuples choose them, `take` of single elements else.
    pub(super) fn pick(&self) -> Result<Tensor, TorchError> {
        let (x, list) = (self.x()?, self.parameter(0)?);
        let wanted = self.extents();
        match tuples(self.of(0)?, self.of(1)?, wanted.iter().product()) {
            Some(tuples) => {
                Ok(x.f_reshape([tuples.rows, tuples.length])?.f_index_select(0, list)?.f_reshape(wanted)?)
            }
            None => Ok(x.f_take(list)?),
        }
    }

    /// `index_copy` or `index_add` of rows where n-tuples choose them, `put` of single elements else; each copies the data first.
    pub(super) fn scatter(&self, op: &Scatter) -> Result<Tensor, TorchError> {
        let (x, list, updates) = (self.x()?, self.parameter(0)?, self.operand(2)?);
        match tuples(self.of(0)?, self.of(1)?, elements(self.of(2)?)) {
            Some(tuples) => {
                let rows = x.f_reshape([tuples.rows, tuples.length])?;
                let updates = updates.f_reshape([tuples.count, tuples.length])?;
                let put = if op.combine {
                    rows.f_index_add(0, list, &updates)?
                } else {
                    rows.f_index_copy(0, list, &updates)?
                };
                Ok(put.f_reshape(self.extents())?)
            }
            None => Ok(x.f_put(list, updates, op.combine)?),
        }
    }

    pub(super) fn embedding(&self) -> Result<Tensor, TorchError> {
        let list = match self.parameters.get(1) {
            Some(list) => list,
            None => self.x()?,
        };
        Ok(Tensor::f_embedding(self.parameter(0)?, list, -1, false, false)?)
    }
}
