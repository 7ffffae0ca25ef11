//! Attention: softmax(Q·Kᵀ/√d)·V over heads, alone or with its projections.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{Shape, product};
use crate::tensor::{Operands, Tensor};
use crate::units::{Flops, Macs};
use crate::work::{Class, Gemm, Work};

/// FLOPs of one score beside its MACs: scaling, and a softmax of maximum, subtraction, `exp`, sum and division.
const SCORE_FLOPS: u64 = 6;

/// Scaled dot-product attention on queries `[…, heads, l, d]`, keys `[…, kv_heads, s, d]`, values `[…, kv_heads, s, d_v]`, giving
/// `[…, heads, l, d_v]`; a fourth operand is a mask that is added to the scores, and broadcast to `[…, heads, l, s]`. Fewer heads of
/// keys and values than of queries are each used by several (grouped-query attention). Of the axes before the heads, extents of 1 of
/// keys and values are broadcast. Operands without an axis of heads have one head.
///
/// ```text
/// macs  = outer · heads · l · s · (d + d_v)
/// flops = 2 · macs + (6 + (mask: 1)) · outer · heads · l · s
/// ```
/// All scores count, those that a causal mask makes zero too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Attention {
    /// Whether each query sees only the keys up to its own position.
    pub causal: bool,
}

struct Extents {
    /// Outer extents and heads of the queries.
    outer: u64,
    l: u64,
    s: u64,
    d: u64,
    d_v: u64,
}

impl Attention {
    fn extents(operands: Operands<'_>) -> Result<Extents, Error> {
        let [q, k, v] = [operands.at(0)?, operands.at(1)?, operands.at(2)?];
        for (position, tensor) in [(1, k), (2, v)] {
            if tensor.data_type != q.data_type {
                return Err(Error::DataTypeMismatch { operand: position });
            }
            if tensor.shape.rank() != q.shape.rank() {
                return Err(Error::ShapeMismatch { operand: position, axis: tensor.shape.rank() });
            }
        }
        let ([outer_q @ .., l, d], [outer_k @ .., s, d_k], [outer_v @ .., s_v, d_v]) =
            (q.shape.extents(), k.shape.extents(), v.shape.extents())
        else {
            return Err(Error::ShapeMismatch { operand: 0, axis: q.shape.rank() });
        };
        let last = q.shape.rank().saturating_sub(1);
        if d != d_k {
            return Err(Error::ShapeMismatch { operand: 1, axis: last });
        }
        if s != s_v {
            return Err(Error::ShapeMismatch { operand: 2, axis: last.saturating_sub(1) });
        }
        let heads = q.shape.rank().checked_sub(3);
        for (position, outer) in [(1, outer_k), (2, outer_v)] {
            for (axis, (&x, &of_q)) in (0..u8::MAX).zip(outer.iter().zip(outer_q)) {
                // The heads of the queries are a multiple of those of keys and values; outer axes may be broadcast.
                let fits = x == of_q || x == 1 || Some(axis) == heads && x > 0 && of_q.is_multiple_of(x);
                if !fits {
                    return Err(Error::ShapeMismatch { operand: position, axis });
                }
            }
        }
        if outer_k.last() != outer_v.last() {
            return Err(Error::ShapeMismatch { operand: 2, axis: heads.unwrap_or(0) });
        }
        if operands.len() > 3 {
            let (mask, scores) = (operands.at(3)?.shape, Shape::new(outer_q)?.push(*l)?.push(*s)?);
            if scores.broadcast(&mask) != Ok(scores) {
                return Err(Error::ShapeMismatch { operand: 3, axis: mask.rank() });
            }
        }
        Ok(Extents {
            outer: product(outer_q.iter().map(|&extent| u64::from(extent)))?,
            l: u64::from(*l),
            s: u64::from(*s),
            d: u64::from(*d),
            d_v: u64::from(*d_v),
        })
    }
}

/// MACs of both products, FLOPs of all.
fn scores(e: &Extents, mask: bool) -> Result<(Macs, Flops), Error> {
    let scores = product([e.outer, e.l, e.s])?;
    let depth = e.d.checked_add(e.d_v).ok_or(Error::CountOverflow)?;
    let macs = Macs(product([scores, depth])?);
    let beside = product([scores, SCORE_FLOPS.saturating_add(u64::from(mask))])?;
    Ok((macs, macs.flops()?.checked_add(Flops(beside))?))
}

impl Describe for Attention {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        Self::extents(operands)?;
        let (q, v) = (operands.at(0)?, operands.at(2)?);
        let last = usize::from(q.shape.rank().saturating_sub(1));
        let d_v = v.shape.extent(last).ok_or(Error::ShapeMismatch { operand: 2, axis: 0 })?;
        let shape = q.shape.with_extent(last, d_v).ok_or(Error::RankExceeded)?;
        Ok(Tensor::activation(shape, q.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let e = Self::extents(operands)?;
        let (macs, flops) = scores(&e, operands.len() > 3)?;
        // The two products have the same MACs where d = d_v; as one they are l × s with a sum over both depths.
        let k = e.d.checked_add(e.d_v).ok_or(Error::CountOverflow)?;
        let gemm = Some(Gemm { m: e.l, n: e.s, k, groups: e.outer });
        Ok(Work { gemm, macs, flops, ..streaming(Class::Attention, operands, output, 0)? })
    }
}

/// Multi-head attention with its four projections on queries `[n, l, embed]`, keys `[n, s, k_features]`, values `[n, s, v_features]`.
///
/// ```text
/// macs   = n · (l · embed² + s · embed · (k_features + v_features) + l · embed²) + 2 · n · l · s · embed
/// flops  = 2 · macs + 6 · n · heads · l · s + (bias: n · embed · 2 · (l + s))
/// params = embed · (2 · embed + k_features + v_features) + (bias: 4 · embed)
/// ```
/// It is six products; the one of its [`Work::gemm`] stands for the largest, the projections, and has not all of its MACs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MultiHeadAttention {
    /// Features of queries and result, a multiple of the heads.
    pub embed: u32,
    /// Number of heads.
    pub heads: u32,
    /// Features of the keys.
    pub k_features: u32,
    /// Features of the values.
    pub v_features: u32,
    /// Whether all four projections have a bias.
    pub bias: bool,
}

impl Describe for MultiHeadAttention {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.embed, Attribute::Channels)?;
        positive(self.heads, Attribute::Groups)?;
        if !self.embed.is_multiple_of(self.heads) {
            return Err(Error::InvalidAttribute(Attribute::Groups));
        }
        let query = operands.at(0)?;
        let rows = |position: u16, features: u32| -> Result<[u32; 2], Error> {
            let tensor = operands.at(position)?;
            if tensor.data_type != query.data_type {
                return Err(Error::DataTypeMismatch { operand: position });
            }
            match *tensor.shape.extents() {
                [n, rows, last] if last == features => Ok([n, rows]),
                [_, _, _] => Err(Error::ShapeMismatch { operand: position, axis: 2 }),
                _ => Err(Error::ShapeMismatch { operand: position, axis: tensor.shape.rank() }),
            }
        };
        let [n, _] = rows(0, self.embed)?;
        let [k_n, s] = rows(1, self.k_features)?;
        let [v_n, v_s] = rows(2, self.v_features)?;
        if k_n != n {
            return Err(Error::ShapeMismatch { operand: 1, axis: 0 });
        }
        if [v_n, v_s] != [n, s] {
            return Err(Error::ShapeMismatch { operand: 2, axis: if v_n == n { 1 } else { 0 } });
        }
        Ok(Tensor::activation(query.shape, query.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let extent = |shape: &Shape, axis| shape.extent(axis).map(u64::from).unwrap_or(0);
        let (query, key) = (operands.at(0)?.shape, operands.at(1)?.shape);
        let (n, l, s) = (extent(&query, 0), extent(&query, 1), extent(&key, 1));
        let [embed, heads, k, v] = [self.embed, self.heads, self.k_features, self.v_features].map(u64::from);
        let depth = embed.checked_div(heads).unwrap_or(0);
        let outer = product([n, heads])?;
        let (scores, score_flops) = scores(&Extents { outer, l, s, d: depth, d_v: depth }, false)?;
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or(Error::CountOverflow);
        let kv = sum(k, v)?;
        // Rows of queries go through two embed × embed projections, rows of keys and values through one each.
        let projections = sum(product([2, n, l, embed, embed])?, product([n, s, embed, kv])?)?;
        let bias = if self.bias { product([2, n, embed, sum(l, s)?])? } else { 0 };
        let params =
            sum(product([embed, sum(product([2, embed])?, kv)?])?, if self.bias { product([4, embed])? } else { 0 })?;
        let weights = output.data_type.bytes(params)?;
        let work = streaming(Class::Attention, operands, output, 0)?;
        Ok(Work {
            gemm: Some(Gemm { m: product([n, l])?, n: embed, k: embed, groups: 4 }),
            macs: scores.checked_add(Macs(projections))?,
            flops: score_flops.checked_add(Macs(projections).flops()?)?.checked_add(Flops(bias))?,
            params,
            bytes_weight: work.bytes_weight.checked_add(weights)?,
            bytes_stored: weights,
            ..work
        })
    }
}
