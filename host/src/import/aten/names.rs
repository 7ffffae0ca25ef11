//! Which ATen op is lowered by what.

use derate_core::op::{ActivationKind, BinaryKind, MoveKind, PoolKind, ReduceKind};

use super::{Call, Lowered, Lowering, Refusal};
use crate::import::aten::argument::Argument;

impl Lowering {
    pub(super) fn dispatch(&mut self, call: &Call<'_>) -> Lowered {
        if let Some(kind) = unary(call.op) {
            let x = call.args.first()?;
            return self.activation(call, kind, x);
        }
        if let Some(kind) = binary(call.op) {
            return self.arithmetic(call, kind);
        }
        match call.op {
            "conv1d" | "conv2d" | "conv3d" | "_convolution_mode" => self.conv(call),
            "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d" => self.conv_transpose(call),
            "convolution" | "_convolution" | "convolution_overrideable" => self.general_conv(call),
            "linear" => self.linear(call),
            "addmm" | "baddbmm" => self.add_product(call),
            "mm" | "bmm" | "matmul" | "mv" | "dot" | "__matmul__" => self.matmul(call),
            "einsum" => self.einsum(call),
            "scaled_dot_product_attention"
            | "_scaled_dot_product_attention_math"
            | "_scaled_dot_product_flash_attention_for_cpu"
            | "_scaled_dot_product_flash_attention"
            | "_scaled_dot_product_efficient_attention"
            | "_scaled_dot_product_cudnn_attention"
            | "_scaled_dot_product_attention_math_for_mps"
            | "_scaled_dot_product_fused_attention_overrideable" => self.attention(call),
            "_native_multi_head_attention" => self.native_attention(call),
            "_transformer_encoder_layer_fwd" => self.encoder_layer(call),
            "batch_norm"
            | "_native_batch_norm_legit_no_training"
            | "native_batch_norm"
            | "_native_batch_norm_legit"
            | "_batch_norm_impl_index"
            | "cudnn_batch_norm"
            | "instance_norm" => self.batch_norm(call),
            "layer_norm" | "native_layer_norm" => self.layer_norm(call),
            "group_norm" | "native_group_norm" => self.group_norm(call),
            "rms_norm" | "_fused_rms_norm" => self.rms_norm(call),
            _ => self.dispatch_functions(call),
        }
    }

    fn dispatch_functions(&mut self, call: &Call<'_>) -> Lowered {
        match call.op {
            "relu" | "relu6" | "hardtanh" | "clamp" | "clip" | "clamp_min" | "clamp_max" | "threshold" => {
                self.clamp(call)
            }
            "gelu" => self.gelu(call),
            "elu" => self.elu(call),
            "glu" => self.glu(call),
            "prelu" | "_prelu_kernel" => self.prelu(call),
            "log_sigmoid_forward" => self.log_sigmoid(call),
            "isnan" | "isinf" | "isfinite" | "logical_not" | "bitwise_not" => self.test(call),
            "softmax" | "_softmax" | "log_softmax" | "_log_softmax" | "special_softmax" => self.softmax(call),
            "where" => self.choose(call),
            "masked_fill" => self.masked_fill(call),
            "addcmul" | "addcdiv" => self.add_combined(call),
            "lerp" => self.lerp(call),
            "max" | "min" if call.args.get(1, "other").is_some_and(|other| matches!(other, Argument::Tensor(_))) => {
                let kind = if call.op == "max" { BinaryKind::Max } else { BinaryKind::Min };
                self.arithmetic(call, kind)
            }
            "max" => self.extreme(call, ReduceKind::Max),
            "min" => self.extreme(call, ReduceKind::Min),
            "mean" => self.reduce(call, ReduceKind::Mean),
            "sum" | "nansum" => self.reduce(call, ReduceKind::Sum),
            "amax" => self.reduce(call, ReduceKind::Max),
            "amin" => self.reduce(call, ReduceKind::Min),
            "prod" => self.reduce(call, ReduceKind::Product),
            "all" | "any" => self.reduce(call, ReduceKind::Max),
            "logsumexp" => self.reduce(call, ReduceKind::LogSumExp),
            "argmax" | "argmin" => self.reduce(call, ReduceKind::Index),
            "var" | "std" | "var_mean" | "std_mean" => self.variance(call),
            "norm" | "linalg_vector_norm" | "frobenius_norm" | "linalg_norm" => self.norm(call),
            "cumsum" | "cumprod" | "logcumsumexp" | "cummax" | "cummin" => self.scan(call),
            "topk" | "sort" | "argsort" => self.top(call),
            "max_pool1d" | "max_pool2d" | "max_pool3d" => self.pool(call, PoolKind::Max),
            "max_pool1d_with_indices" | "max_pool2d_with_indices" | "max_pool3d_with_indices" => {
                self.pool(call, PoolKind::Max).map(|pooled| with_unread(pooled, "indices of pooling"))
            }
            "avg_pool1d" | "avg_pool2d" | "avg_pool3d" => self.pool(call, PoolKind::Average),
            "adaptive_avg_pool1d"
            | "adaptive_avg_pool2d"
            | "adaptive_avg_pool3d"
            | "_adaptive_avg_pool2d"
            | "_adaptive_avg_pool3d" => self.adaptive_pool(call, PoolKind::Average),
            "adaptive_max_pool1d" | "adaptive_max_pool2d" | "adaptive_max_pool3d" => {
                self.adaptive_pool(call, PoolKind::Max)
            }
            "lstm" | "gru" | "rnn_tanh" | "rnn_relu" => self.recurrent(call),
            "lstm_cell" | "gru_cell" | "rnn_tanh_cell" | "rnn_relu_cell" => self.recurrent_cell(call),
            "mkldnn_rnn_layer" => self.recurrent_layer(call),
            _ => self.dispatch_moves(call),
        }
    }

    fn dispatch_moves(&mut self, call: &Call<'_>) -> Lowered {
        match call.op {
            "view" | "reshape" | "_unsafe_view" | "_reshape_alias" | "view_copy" => self.reshape(call),
            "as_strided" => {
                // With the shape that it has already, only strides change; other uses pick elements in any order.
                let x = call.args.first()?;
                let sizes = super::emit::extents(&call.args.ints(1, "size")?)?;
                let same = x.extents() == sizes;
                if same {
                    Ok(Argument::Tensor(x.clone()))
                } else {
                    Err(Refusal::new("elements at strides of their own"))
                }
            }
            "view_as" | "reshape_as" => self.reshape_as(call),
            "flatten" | "ravel" => self.flatten(call),
            "unflatten" => self.unflatten(call),
            "squeeze" | "squeeze_copy" | "unsqueeze" | "unsqueeze_copy" => self.squeeze(call),
            "permute" | "transpose" | "t" | "numpy_T" | "mT" | "mH" | "adjoint" | "matrix_H" | "movedim"
            | "moveaxis" | "swapaxes" | "swapdims" => self.permute(call),
            "expand" | "expand_as" | "broadcast_to" => self.expand(call),
            "repeat" | "tile" => self.repeat(call),
            "repeat_interleave" => self.repeat_interleave(call),
            "clone" | "roll" | "flip" | "tril" | "triu" | "channel_shuffle" => self.copy(call),
            "pixel_shuffle" | "pixel_unshuffle" => self.pixel_shuffle(call),
            "chunk"
            | "split"
            | "split_with_sizes"
            | "unbind"
            | "tensor_split"
            | "unsafe_split"
            | "unsafe_chunk"
            | "unsafe_split_with_sizes" => self.split(call),
            "slice" | "narrow" | "select" => self.slice(call),
            "pad" | "constant_pad_nd" | "reflection_pad1d" | "reflection_pad2d" | "reflection_pad3d"
            | "replication_pad1d" | "replication_pad2d" | "replication_pad3d" => self.pad(call),
            "cat" | "concat" | "concatenate" => self.concat(call),
            "stack" => self.stack(call),
            "unfold" | "im2col" => self.unfold(call),
            "embedding" => self.embedding(call),
            "index" | "_unsafe_index" => self.index(call),
            "index_select" => self.index_select(call),
            "gather" | "take_along_dim" => self.gather(call),
            "scatter" | "scatter_add" | "scatter_reduce" | "index_add" | "index_put" | "_unsafe_index_put"
            | "index_copy" | "index_fill" | "masked_scatter" => self.scatter(call),
            "slice_scatter" | "select_scatter" => {
                let sizes = call.args.first()?.extents().to_vec();
                self.moved(call, call.args.first()?, MoveKind::Copy, sizes)
            }
            "copy" | "fill" | "zero" => self.overwrite(call),
            "upsample_nearest1d"
            | "upsample_nearest2d"
            | "upsample_nearest3d"
            | "_upsample_nearest_exact1d"
            | "_upsample_nearest_exact2d"
            | "_upsample_nearest_exact3d"
            | "upsample_linear1d"
            | "upsample_bilinear2d"
            | "upsample_trilinear3d"
            | "upsample_bicubic2d"
            | "_upsample_bilinear2d_aa"
            | "_upsample_bicubic2d_aa" => self.resize(call),
            _ => self.dispatch_created(call),
        }
    }

    fn dispatch_created(&mut self, call: &Call<'_>) -> Lowered {
        match call.op {
            "dropout"
            | "alpha_dropout"
            | "feature_dropout"
            | "feature_alpha_dropout"
            | "identity"
            | "detach"
            | "alias"
            | "contiguous"
            | "lift_fresh"
            | "lift_fresh_copy"
            | "lift"
            | "requires_grad"
            | "resolve_conj"
            | "resolve_neg"
            | "cpu"
            | "cuda"
            | "conj"
            | "positive"
            | "data"
            | "real" => {
                self.builder.bookkeeping();
                call.args.first().cloned().map(Argument::Tensor)
            }
            "native_dropout" => {
                self.builder.bookkeeping();
                let x = Argument::Tensor(call.args.first()?.clone());
                Ok(with_unread(x, "mask of dropout"))
            }
            "to"
            | "_to_copy"
            | "type_as"
            | "float"
            | "half"
            | "double"
            | "bfloat16"
            | "long"
            | "int"
            | "bool"
            | "_autocast_to_full_precision" => self.convert(call),
            "quantize_per_tensor"
            | "quantize_per_channel"
            | "quantize_per_tensor_dynamic"
            | "dequantize"
            | "dequantize_per_tensor"
            | "dequantize_per_channel" => self.quantize(call),
            "size" | "sym_size" | "numel" | "sym_numel" | "dim" | "_shape_as_tensor" | "is_floating_point"
            | "sym_stride" | "stride" => self.size(call),
            "arange" | "zeros" | "ones" | "empty" | "full" | "rand" | "randn" | "randint" | "zeros_like"
            | "ones_like" | "empty_like" | "full_like" | "rand_like" | "randn_like" | "new_zeros" | "new_ones"
            | "new_empty" | "new_full" | "scalar_tensor" | "tensor" | "eye" | "linspace" | "empty_strided"
            | "new_empty_strided" | "empty_permuted" => self.create(call),
            "meshgrid" => self.meshgrid(call),
            "item" | "_local_scalar_dense" => match call.args.first()?.value() {
                Some(value) => Ok(Argument::Float(value)),
                None => Err(Refusal::new("a number that depends on the input")),
            },
            "_assert_async"
            | "_assert_tensor_metadata"
            | "_assert_scalar"
            | "sym_constrain_range"
            | "sym_constrain_range_for_size"
            | "_assert"
            | "manual_seed"
            | "warn" => {
                self.builder.bookkeeping();
                Ok(Argument::None)
            }
            _ => Err(Refusal::new("no op of core describes it")),
        }
    }
}

/// A result with a second one that networks do not read.
pub(super) fn with_unread(first: Argument, what: &str) -> Argument {
    Argument::List(vec![first, Argument::Unknown(format!("{what} are not counted"))])
}

/// Functions of each element without attributes that matter.
fn unary(op: &str) -> Option<ActivationKind> {
    Some(match op {
        "hardsigmoid" => ActivationKind::HardSigmoid,
        "hardswish" => ActivationKind::HardSwish,
        "sigmoid" | "special_expit" => ActivationKind::Sigmoid,
        "log_sigmoid" => ActivationKind::LogSigmoid,
        "silu" => ActivationKind::Silu,
        "leaky_relu" | "rrelu" => ActivationKind::LeakyRelu,
        "selu" => ActivationKind::Selu,
        "celu" => ActivationKind::Celu,
        "softplus" => ActivationKind::Softplus,
        "softsign" => ActivationKind::Softsign,
        "mish" => ActivationKind::Mish,
        "tanh" => ActivationKind::Tanh,
        "exp" | "expm1" | "exp2" => ActivationKind::Exp,
        "log" | "log2" | "log10" | "log1p" => ActivationKind::Log,
        "erf" | "erfc" | "erfinv" => ActivationKind::Erf,
        "sqrt" => ActivationKind::Sqrt,
        "rsqrt" => ActivationKind::Rsqrt,
        "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "sinh" | "cosh" | "asinh" | "acosh" | "atanh" => {
            ActivationKind::Sin
        }
        "square" => ActivationKind::Square,
        "reciprocal" => ActivationKind::Reciprocal,
        "neg" | "negative" => ActivationKind::Neg,
        "abs" | "absolute" => ActivationKind::Abs,
        "sign" | "sgn" => ActivationKind::Sign,
        "round" | "floor" | "ceil" | "trunc" | "frac" => ActivationKind::Round,
        _ => return None,
    })
}

/// Arithmetic of two operands.
fn binary(op: &str) -> Option<BinaryKind> {
    Some(match op {
        "add" | "__add__" | "__iadd__" | "__radd__" => BinaryKind::Add,
        "sub" | "subtract" | "rsub" | "__sub__" => BinaryKind::Sub,
        "mul" | "multiply" | "__mul__" => BinaryKind::Mul,
        "div" | "divide" | "true_divide" | "floor_divide" | "floordiv" => BinaryKind::Div,
        "pow" => BinaryKind::Pow,
        "maximum" | "fmax" => BinaryKind::Max,
        "minimum" | "fmin" => BinaryKind::Min,
        "remainder" | "fmod" => BinaryKind::Mod,
        "atan2" => BinaryKind::Pow,
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "not_equal" | "greater" | "less" | "greater_equal" | "less_equal" => {
            BinaryKind::Compare
        }
        "logical_and" | "logical_or" | "logical_xor" | "bitwise_and" | "bitwise_or" | "bitwise_xor" | "__and__"
        | "__or__" | "__xor__" => BinaryKind::Logic,
        _ => return None,
    })
}
