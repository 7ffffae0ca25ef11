//! Layers that are matrix products: convolutions, fully connected layers, products of two tensors.

use std::rc::Rc;

use derate_core::op::{Binary, BinaryKind, Conv, ConvTranspose, Linear, MatMul, Op, Transpose, View};
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, unsupported, wrong};
use super::graph::{Importer, Outputs, shape};
use super::operand::Weights;
use super::value::{Stored, Value, elements};
use super::windows::Frame;

/// What a layer adds to its outputs.
enum Bias {
    None,
    /// Part of the layer.
    Joined,
    /// An addition of its own.
    Apart(TensorId),
}

impl Importer {
    /// A convolution or a matrix product.
    pub(super) fn dense(&mut self, call: &Call<'_>) -> Outputs {
        match call.op() {
            "Conv" => {
                let x = self.tensor(call, 0)?;
                let weights = self.weights(call, 1, x)?;
                let c_out = weights.dims.first().copied().unwrap_or(0);
                let bias = self.channel_bias(call, &weights, c_out)?;
                let y = self.conv(call, x, &weights, matches!(bias, Bias::Joined))?;
                self.with_bias(call, y, &bias)
            }
            "ConvTranspose" => self.conv_transpose(call),
            "Gemm" => self.gemm(call),
            _ => {
                let (a, b) = (self.operand(call, 0)?, self.operand(call, 1)?);
                Ok(vec![Value::Tensor(self.mat_mul(call, &a, &b, [0, 1])?)])
            }
        }
    }

    /// A convolution with these weights.
    pub(super) fn conv(
        &mut self,
        call: &Call<'_>,
        x: TensorId,
        weights: &Weights,
        bias: bool,
    ) -> Result<TensorId, Stop> {
        let groups = positive(call, "group")?;
        let &[c_out, per_group, ref kernel @ ..] = weights.dims.as_slice() else {
            return wrong(format!("weights of shape {:?} are those of no convolution", weights.dims));
        };
        let dims = self.extents(x);
        let Some(c_in) = per_group.checked_mul(groups) else { return wrong(format!("{groups} groups")) };
        self.image(call, &dims, c_in, &weights.dims, kernel)?;
        let frame = Frame::new(call, kernel)?;
        let windows = frame.over(dims.get(2..).unwrap_or_default())?;
        let op = Op::Conv(Conv { c_in, c_out, groups, windows, bias, weights: weights.stored_as });
        self.emit_weighted(call, op, &[x], weights.key.as_deref())
    }

    fn conv_transpose(&mut self, call: &Call<'_>) -> Outputs {
        let x = self.tensor(call, 0)?;
        let weights = self.weights(call, 1, x)?;
        let groups = positive(call, "group")?;
        let &[c_in, per_group, ref kernel @ ..] = weights.dims.as_slice() else {
            return wrong(format!("weights of shape {:?} are those of no convolution", weights.dims));
        };
        let dims = self.extents(x);
        self.image(call, &dims, c_in, &weights.dims, kernel)?;
        let Some(c_out) = per_group.checked_mul(groups) else { return wrong(format!("{groups} groups")) };
        let (windows, output_padding) =
            Frame::new(call, kernel)?.transposed(call, dims.get(2..).unwrap_or_default())?;
        let bias = self.channel_bias(call, &weights, c_out)?;
        let joined = matches!(bias, Bias::Joined);
        let stored_as = weights.stored_as;
        let op = ConvTranspose { c_in, c_out, groups, windows, output_padding, bias: joined, weights: stored_as };
        let y = self.emit_weighted(call, Op::ConvTranspose(op), &[x], weights.key.as_deref())?;
        self.with_bias(call, y, &bias)
    }

    /// Refuses an operand that does not fit the weights, with both shapes.
    fn image(&self, call: &Call<'_>, dims: &[u32], c_in: u32, weights: &[u32], kernel: &[u32]) -> Result<(), Stop> {
        if let Some(given) = call.ints("kernel_shape")?
            && !given.iter().copied().eq(kernel.iter().map(|&extent| i64::from(extent)))
        {
            return wrong(format!("kernel_shape {given:?}, but weights of shape {weights:?}"));
        }
        if dims.len() == weights.len() && dims.get(1) == Some(&c_in) {
            Ok(())
        } else {
            wrong(format!(
                "an operand of shape {dims:?} does not fit weights of shape {weights:?}: {c_in} channels are wanted"
            ))
        }
    }

    /// The bias of a convolution, as input 2.
    fn channel_bias(&mut self, call: &Call<'_>, weights: &Weights, c_out: u32) -> Result<Bias, Stop> {
        let Some(value) = self.optional(call, 2) else { return Ok(Bias::None) };
        let dims = self.dims_of(&value).unwrap_or_default();
        if elements(&dims) != u64::from(c_out) {
            return wrong(format!("a bias of shape {dims:?} for {c_out} channels"));
        }
        if let Value::Stored(stored) = &value
            && self.bias_joins(weights, stored)
        {
            self.builder.hold(&stored.name);
            return Ok(Bias::Joined);
        }
        let bias = self.tensor(call, 2)?;
        let mut column = vec![c_out];
        column.resize(weights.dims.len() - 1, 1);
        Ok(Bias::Apart(self.emit_part(call, "bias", Op::View(View { shape: shape(&column)? }), &[bias])?))
    }

    fn with_bias(&mut self, call: &Call<'_>, y: TensorId, bias: &Bias) -> Outputs {
        let Bias::Apart(bias) = bias else { return Ok(vec![Value::Tensor(y)]) };
        Ok(vec![Value::Tensor(self.emit_part(call, "add", ADD, &[y, *bias])?)])
    }

    fn gemm(&mut self, call: &Call<'_>) -> Outputs {
        let (transpose_a, transpose_b) = (call.flag("transA", false)?, call.flag("transB", false)?);
        let mut a = self.tensor(call, 0)?;
        let dims = self.dims(call, 1)?;
        let &[rows, columns] = dims.as_slice() else {
            return wrong(format!("B has shape {dims:?}; two axes are wanted"));
        };
        let (k, n) = if transpose_b { (columns, rows) } else { (rows, columns) };
        let extents = self.extents(a);
        let inner = if transpose_a { extents.first() } else { extents.get(1) };
        if extents.len() != 2 || inner != Some(&k) {
            return wrong(format!("A of shape {extents:?} does not fit B of shape {dims:?}: {k} is summed over"));
        }
        let c = self.optional(call, 2);
        let Some(_) = self.stored(call, 1) else {
            let b = self.tensor(call, 1)?;
            let mut y = self.emit(call, Op::MatMul(MatMul { transpose_a, transpose_b }), &[a, b])?;
            if c.is_some() {
                let c = self.tensor(call, 2)?;
                y = self.emit_part(call, "add", ADD, &[y, c])?;
            }
            return Ok(vec![Value::Tensor(y)]);
        };
        if transpose_a {
            a = self.emit_part(call, "transpose", Op::Transpose(Transpose::new(&[1, 0])?), &[a])?;
        }
        let weights = self.weights(call, 1, a)?;
        let bias = match &c {
            None => Bias::None,
            Some(Value::Stored(c)) if c.elements() == u64::from(n) && self.bias_joins(&weights, c) => {
                self.builder.hold(&c.name);
                Bias::Joined
            }
            Some(_) => Bias::Apart(self.tensor(call, 2)?),
        };
        let y = self.linear(call, a, [k, n], matches!(bias, Bias::Joined), &weights)?;
        self.with_bias(call, y, &bias)
    }

    /// A fully connected layer from `k` to `n` features.
    pub(super) fn linear(
        &mut self,
        call: &Call<'_>,
        x: TensorId,
        [k, n]: [u32; 2],
        bias: bool,
        weights: &Weights,
    ) -> Result<TensorId, Stop> {
        let op = Op::Linear(Linear { in_features: k, out_features: n, bias, weights: weights.stored_as });
        self.emit_weighted(call, op, &[x], weights.key.as_deref())
    }

    /// A product of two values, which stand at these positions of the call. A stored second factor without outer axes makes it a
    /// fully connected layer.
    pub(super) fn mat_mul(
        &mut self,
        call: &Call<'_>,
        a: &Value,
        b: &Value,
        positions: [usize; 2],
    ) -> Result<TensorId, Stop> {
        let [at_a, at_b] = positions;
        let (Some(left), Some(right)) = (self.dims_of(a), self.dims_of(b)) else {
            return unsupported("the shape of an operand is not known");
        };
        let k_left = left.last().copied();
        let k_right = match right.as_slice() {
            [] => None,
            [one] => Some(*one),
            [.., k, _] => Some(*k),
        };
        if k_left.is_none() || k_left != k_right {
            return wrong(format!("operands of shapes {left:?} and {right:?}: the axes that are summed over differ"));
        }
        if let Value::Stored(stored) = b
            && let Some([k, n]) = matrix(stored)
        {
            // Of two stored factors the first is what the layer is applied to: a table of coordinates.
            let x = match a {
                Value::Stored(table) => self.enter(call, table, false)?,
                _ => self.tensor(call, at_a)?,
            };
            let weights = self.weights(call, at_b, x)?;
            let y = self.linear(call, x, [k, n], false, &weights)?;
            // Outer axes of extent 1 may be more than the operand has; a vector on either side gives no axis.
            let outer = left.get(..left.len().saturating_sub(2)).unwrap_or_default();
            let added = right.len().saturating_sub(2).saturating_sub(outer.len());
            let mut wanted = [vec![1; added], outer.to_vec()].concat();
            wanted.extend(left.len().checked_sub(2).and_then(|row| left.get(row)));
            wanted.extend(Some(n).filter(|_| right.len() > 1));
            return self.under(call, y, &wanted);
        }
        let (mut x, mut w) = (self.tensor(call, at_a)?, self.tensor(call, at_b)?);
        if left.len() == 1 {
            x = self.under(call, x, &[1, left.first().copied().unwrap_or(1)])?;
        }
        if right.len() == 1 {
            w = self.under(call, w, &[right.first().copied().unwrap_or(1), 1])?;
        }
        let y = self.emit(call, Op::MatMul(MatMul { transpose_a: false, transpose_b: false }), &[x, w])?;
        let mut wanted = self.extents(y);
        if right.len() == 1 {
            wanted.pop();
        }
        if left.len() == 1 {
            let row = if right.len() == 1 { wanted.len().checked_sub(1) } else { wanted.len().checked_sub(2) };
            if let Some(row) = row {
                wanted.remove(row);
            }
        }
        self.under(call, y, &wanted)
    }

    /// A tensor under another shape of as many elements; itself where it is the same.
    pub(super) fn under(&mut self, call: &Call<'_>, x: TensorId, dims: &[u32]) -> Result<TensorId, Stop> {
        if self.extents(x) == dims {
            return Ok(x);
        }
        self.emit_part(call, "view", Op::View(View { shape: shape(dims)? }), &[x])
    }
}

/// Addition of two tensors.
pub(super) const ADD: Op = Op::Binary(Binary { kind: BinaryKind::Add, in_place: false });

/// Rows and columns of a stored factor whose outer axes all have extent 1.
fn matrix(stored: &Rc<Stored>) -> Option<[u32; 2]> {
    match stored.dims.as_slice() {
        [k] => Some([*k, 1]),
        [outer @ .., k, n] if outer.iter().all(|&extent| extent == 1) => Some([*k, *n]),
        _ => None,
    }
}

/// A positive attribute, 1 where it is left out.
fn positive(call: &Call<'_>, name: &str) -> Result<u32, Stop> {
    match u32::try_from(call.int(name, 1)?) {
        Ok(value) if value > 0 => Ok(value),
        _ => wrong(format!("attribute {name} must be positive")),
    }
}
