//! Ops and their attributes as Rust expressions in const context.

use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cast, Cell, Concat,
    Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm, LayerNorm, Linear, LocalResponseNorm, MatMul, Move,
    MoveKind, MultiHeadAttention, Op, PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize,
    ResizeKind, RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Windows,
};
use derate_core::shape::{DataType, Shape};

use super::Imports;

/// A value as a Rust expression.
pub(super) trait Expression {
    /// The expression; what it names is imported.
    fn write(&self, imports: &mut Imports) -> String;
}

macro_rules! plain {
    ($($type:ty),*) => {
        $(impl Expression for $type {
            fn write(&self, _: &mut Imports) -> String {
                format!("{self:?}")
            }
        })*
    };
}

plain!(bool, u8, u16, u32, [u8; 8], [u16; 3]);

/// Enums without data, which `Debug` writes as their variant.
macro_rules! variants {
    ($($module:literal $type:ident),*) => {
        $(impl Expression for $type {
            fn write(&self, imports: &mut Imports) -> String {
                imports.take($module, stringify!($type));
                format!("{}::{self:?}", stringify!($type))
            }
        })*
    };
}

variants!(
    "shape" DataType,
    "op" ActivationKind, "op" BinaryKind, "op" Cell, "op" MoveKind, "op" PoolKind, "op" ReduceKind, "op" ResizeKind
);

impl Expression for Option<DataType> {
    fn write(&self, imports: &mut Imports) -> String {
        self.map_or_else(|| "None".to_owned(), |data_type| format!("Some({})", data_type.write(imports)))
    }
}

impl Expression for Shape {
    fn write(&self, imports: &mut Imports) -> String {
        imports.take("shape", "Shape");
        format!("shape(&{:?})", self.extents())
    }
}

impl Expression for Windows {
    fn write(&self, imports: &mut Imports) -> String {
        imports.take("op", "Window");
        imports.take("op", "Windows");
        let axis = |window: &derate_core::op::Window| {
            format!("window({}, {}, {:?}, {})", window.kernel, window.stride, window.padding, window.dilation)
        };
        format!("windows(&[{}])", self.axes().iter().map(axis).collect::<Vec<_>>().join(", "))
    }
}

/// Structs as literals. Each field is named, so that a new one does not compile until it is written too.
macro_rules! literals {
    ($($type:ident { $($field:ident),* })*) => {
        $(impl Expression for $type {
            fn write(&self, imports: &mut Imports) -> String {
                imports.take("op", stringify!($type));
                let Self { $($field),* } = self;
                let fields = [$(format!("{}: {}", stringify!($field), $field.write(imports))),*];
                format!("{} {{ {} }}", stringify!($type), fields.join(", "))
            }
        })*
    };
}

literals! {
    Linear { in_features, out_features, bias, weights }
    MatMul { transpose_a, transpose_b }
    Contraction { shape, batch, m, n, k }
    Conv { c_in, c_out, groups, windows, bias, weights }
    ConvTranspose { c_in, c_out, groups, windows, output_padding, bias, weights }
    Attention { causal }
    MultiHeadAttention { embed, heads, k_features, v_features, bias }
    Recurrent { cell, input, hidden, layers, bidirectional, bias, batch_first }
    BatchNorm { features }
    Affine { weight, bias }
    LayerNorm { axes, affine }
    RmsNorm { weight }
    GroupNorm { groups, affine }
    LocalResponseNorm { size }
    Activation { kind, in_place }
    PRelu { slopes }
    Binary { kind, in_place }
    Scalar { kind, in_place }
    Cast { to }
    Quantize { to }
    Softmax { axis, log }
    Pool { kind, windows, ceil_mode }
    AdaptivePool { kind, output }
    Reduce { kind, axes, keep_dims }
    Scan { axis }
    TopK { axis, k }
    Concat { axis }
    View { shape }
    Transpose { order }
    Move { kind, shape }
    Gather { axis }
    Pick { shape }
    Scatter { combine }
    Embedding { entries, features, data_type }
    Resize { kind, shape }
}

impl Expression for Where {
    fn write(&self, imports: &mut Imports) -> String {
        imports.take("op", "Where");
        "Where".to_owned()
    }
}

/// `Op::Conv(Conv { … })`; `None` for an op that is not known here.
pub(super) fn node_op(op: &Op, imports: &mut Imports) -> Option<String> {
    macro_rules! variant {
        ($($name:ident),*) => {
            match op {
                $(Op::$name(op) => format!("Op::{}({})", stringify!($name), op.write(imports)),)*
                _ => return None,
            }
        };
    }
    Some(variant!(
        Linear,
        MatMul,
        Contraction,
        Conv,
        ConvTranspose,
        Attention,
        MultiHeadAttention,
        Recurrent,
        BatchNorm,
        LayerNorm,
        RmsNorm,
        GroupNorm,
        LocalResponseNorm,
        Activation,
        PRelu,
        Binary,
        Scalar,
        Where,
        Cast,
        Quantize,
        Softmax,
        Pool,
        AdaptivePool,
        Reduce,
        Scan,
        TopK,
        Concat,
        View,
        Transpose,
        Move,
        Gather,
        Pick,
        Scatter,
        Embedding,
        Resize
    ))
}
