//! Reductions and running sums.

use derate_core::op::{Reduce, ReduceKind, Scan};
use tch::{Kind, Tensor};

use super::call::Call;
use super::is_float;
use super::values::element_kind;
use crate::torch::TorchError;

impl Call<'_> {
    /// A reduction; a product over several axes is one call for each, and integers are real numbers first where libtorch has no other
    /// way to a mean, a norm or a variance of them.
    pub(super) fn reduce(&self, op: &Reduce) -> Result<Tensor, TorchError> {
        let described = self.described.first().ok_or(TorchError::Empty)?;
        let dims: Vec<i64> = (0..i64::from(described.shape.rank())).filter(|axis| op.axes >> axis & 1 == 1).collect();
        let keep = op.keep_dims;
        let (x, kind) = (self.x()?, element_kind(self.result.data_type)?);
        // No axis to reduce: to libtorch that would be all of them.
        if dims.is_empty() {
            return Ok(if op.kind == ReduceKind::Index {
                x.f_zeros_like()?.f_to_kind(kind)?
            } else {
                x.f_alias_copy()?
            });
        }
        let real = || -> Result<Tensor, TorchError> {
            Ok(if is_float(described.data_type) { x.shallow_clone() } else { x.f_to_kind(Kind::Float)? })
        };
        Ok(match op.kind {
            ReduceKind::Sum => x.f_sum_dim_intlist(dims, keep, kind)?,
            ReduceKind::Mean => {
                let real = real()?;
                real.f_mean_dim(dims, keep, real.f_kind()?)?
            }
            ReduceKind::Max => x.f_amax(dims, keep)?,
            ReduceKind::Min => x.f_amin(dims, keep)?,
            // From the last axis, so that those before keep their numbers.
            ReduceKind::Product => {
                dims.iter().rev().try_fold(x.shallow_clone(), |x, &dim| x.f_prod_dim_int(dim, keep, kind))?
            }
            ReduceKind::Index => self.position(x, &dims, keep)?,
            ReduceKind::L1 => real()?.f_norm_scalaropt_dim(1.0, dims, keep)?,
            ReduceKind::L2 => real()?.f_norm_scalaropt_dim(2.0, dims, keep)?,
            ReduceKind::Variance => real()?.f_var_dim(dims, false, keep)?,
            ReduceKind::LogSumExp => real()?.f_logsumexp(dims, keep)?,
            other => return Err(TorchError::Op(other.name())),
        })
    }

    /// `argmax`; over several axes, of these as one, moved to the end.
    fn position(&self, x: &Tensor, dims: &[i64], keep: bool) -> Result<Tensor, TorchError> {
        if let [dim] = dims {
            return Ok(x.f_argmax(*dim, keep)?);
        }
        let rank = i64::try_from(x.dim()).unwrap_or(0);
        let others: Vec<i64> = (0..rank).filter(|axis| !dims.contains(axis)).collect();
        let moved = x.f_permute([others.as_slice(), dims].concat())?;
        let start = i64::try_from(others.len()).unwrap_or(0);
        Ok(moved.f_flatten(start, -1)?.f_argmax(-1, false)?.f_reshape(self.extents())?)
    }

    /// `cumsum`, for products and maxima too: each reads and writes as much.
    pub(super) fn scan(&self, op: &Scan) -> Result<Tensor, TorchError> {
        Ok(self.x()?.f_cumsum(i64::from(op.axis), element_kind(self.result.data_type)?)?)
    }
}
