//! Fully connected layers and products of tensors.

use derate_core::op::{BinaryKind, Linear, MatMul, Op};

use super::argument::Argument;
use super::emit::Weights;
use super::tensor::{Origin, Tensor};
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// `linear`: input, weight `[n, k]`, bias.
    pub(super) fn linear(&mut self, call: &Call<'_>) -> Lowered {
        let (input, weight) = (call.args.tensor(0, "input")?, call.args.tensor(1, "weight")?);
        let bias = call.args.optional_tensor(2, "bias")?;
        let &[n, k] = weight.extents() else {
            return Err(Refusal::new(format!("weights {:?}; [out, in] are allowed", weight.extents())));
        };
        if Self::is_stored(weight) {
            return self.fully_connected(call, input, weight, bias, (n, k)).map(Argument::Tensor);
        }
        let turned = self.permuted(weight, &[1, 0])?;
        let product = self.product(call.node, input, &turned)?;
        self.plus(call, product, bias)
    }

    fn fully_connected(
        &mut self,
        call: &Call<'_>,
        input: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        (out_features, in_features): (u32, u32),
    ) -> Result<Tensor, Refusal> {
        let weights = (weight.data_type() != input.data_type()).then(|| weight.data_type());
        let op = |bias| Op::Linear(Linear { in_features, out_features, bias, weights });
        // Only a vector is the bias of a layer; more is an addition of its own.
        let inside = bias.filter(|bias| bias.rank() == 1 && bias.elements() == u64::from(out_features));
        let last = input.rank().saturating_sub(1);
        let result = self.emit_weighted(call.node, op, input, Weights { weight, bias: inside }, last)?;
        match bias.filter(|_| inside.is_none()) {
            Some(bias) => self.binary(call.node, BinaryKind::Add, &result, bias, false),
            None => Ok(result),
        }
    }

    fn plus(&mut self, call: &Call<'_>, product: Tensor, bias: Option<&Tensor>) -> Lowered {
        match bias {
            Some(bias) => self.binary(call.node, BinaryKind::Add, &product, bias, false).map(Argument::Tensor),
            None => Ok(Argument::Tensor(product)),
        }
    }

    /// `addmm`, `baddbmm`, `addbmm`: self, a, b. Factors of the two terms are part of the product.
    pub(super) fn add_product(&mut self, call: &Call<'_>) -> Lowered {
        let bias = call.args.tensor(0, "self")?;
        let names = if call.op == "addmm" { ["mat1", "mat2"] } else { ["batch1", "batch2"] };
        let (a, b) = (call.args.tensor(1, names[0])?, call.args.tensor(2, names[1])?);
        let counts = call.args.named("beta").and_then(Argument::float) != Some(0.0);
        let bias = Some(bias).filter(|_| counts);
        if Self::is_stored(b)
            && let &[k, n] = b.extents()
        {
            return self.fully_connected(call, a, b, bias, (n, k)).map(Argument::Tensor);
        }
        let product = self.product(call.node, a, b)?;
        self.plus(call, product, bias)
    }

    /// `mm`, `bmm`, `matmul`, `mv`, `dot`: a, b; vectors are matrices of one row or column.
    pub(super) fn matmul(&mut self, call: &Call<'_>) -> Lowered {
        let a = call.args.first()?;
        let b = match call.args.positional.get(1) {
            Some(Argument::Tensor(b)) => b,
            _ => ["other", "mat2", "vec", "tensor"]
                .iter()
                .find_map(|name| call.args.tensor(usize::MAX, name).ok())
                .ok_or_else(|| Refusal::new("operand 1 is no tensor"))?,
        };
        let (row, column) = (a.rank() == 1, b.rank() == 1);
        let left = if row { self.unsqueezed(a, 0)? } else { a.clone() };
        let right = if column { self.unsqueezed(b, 1)? } else { b.clone() };
        let mut result = match (Self::is_stored(&right), right.extents()) {
            (true, &[k, n]) => self.fully_connected(call, &left, &right, None, (n, k))?,
            _ => self.product(call.node, &left, &right)?,
        };
        if column {
            result = self.squeezed(&result, -1)?;
        }
        if row {
            result = self.squeezed(&result, if column { -1 } else { -2 })?;
        }
        Ok(Argument::Tensor(result))
    }

    /// The product of two tensors; one whose last axes are exchanged is read as it lies.
    pub(super) fn product(&mut self, node: &str, a: &Tensor, b: &Tensor) -> Result<Tensor, Refusal> {
        let (a, transpose_a) = untransposed(a);
        let (b, transpose_b) = untransposed(b);
        let b = self.cast(node, &b, a.data_type())?;
        self.emit(node, Op::MatMul(MatMul { transpose_a, transpose_b }), &[&a, &b])
    }
}

/// The tensor of which this one is the transpose of the last two axes, and whether it is one.
fn untransposed(tensor: &Tensor) -> (Tensor, bool) {
    if let Origin::Permute(base, order) = tensor.origin()
        && tensor.made().is_none()
        && let [outer @ .., before_last, last] = order.as_slice()
        && usize::from(*before_last) == outer.len().saturating_add(1)
        && usize::from(*last) == outer.len()
        && outer.iter().enumerate().all(|(at, &axis)| usize::from(axis) == at)
    {
        return (base.clone(), true);
    }
    (tensor.clone(), false)
}
