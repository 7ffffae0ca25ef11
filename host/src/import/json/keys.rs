//! Ops of a graph file: their names and attributes, in one table that the reader and the JSON Schema follow.

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A count of at least 1: a number, or a product of numbers and names of dimensions.
    Extent,
    /// A number from 0 to 255.
    Axis,
    /// A number from 1 to 65535.
    Small,
    /// True or false.
    Flag,
    /// A data type.
    Type,
    /// Extents.
    Shape,
    /// A number for each axis of a window, from 0 to 65535.
    Windows,
    /// Padding of each axis: a number for both sides, or `[before, after]`.
    Padding,
    /// Axes.
    Axes,
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it means, and what it is where it is left out.
    pub(super) doc: &'static str,
    pub(super) required: bool,
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc, required: true }
}

const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc, required: false }
}

/// Ops of the same attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// Their names.
    pub(super) ops: &'static [&'static str],
    /// Their attributes.
    pub(super) keys: &'static [Key],
}

const IN_PLACE: Key = optional("in_place", Kind::Flag, "whether the result overwrites operand 0; false");
const WEIGHTS: Key = optional("weights", Kind::Type, "how the weights are stored; as operand 0");
const BIAS: Key = required("bias", Kind::Flag, "whether a learned vector is added");
const AFFINE_WEIGHT: Key = required("weight", Kind::Flag, "whether there is a learned factor");
const SHAPE: Key = required("shape", Kind::Shape, "shape of the result");
const IN_CHANNELS: Key = required("in_channels", Kind::Extent, "channels of the operand");
const OUT_CHANNELS: Key = required("out_channels", Kind::Extent, "channels of the result");
const KERNEL: Key = required("kernel", Kind::Windows, "taps along each axis");
const STRIDE: Key = optional("stride", Kind::Windows, "step along each axis; 1");
const POOL_STRIDE: Key = required("stride", Kind::Windows, "step along each axis");
const PADDING: Key = optional("padding", Kind::Padding, "padding of each axis, a number or [before, after]; 0");
const DILATION: Key = optional("dilation", Kind::Windows, "distance of the taps along each axis; 1");
const GROUPS: Key = optional("groups", Kind::Extent, "groups of channels; 1");
const AXIS: Key = required("axis", Kind::Axis, "the axis, from 0");

/// Every family of ops.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        ops: &["linear"],
        keys: &[
            required("in_features", Kind::Extent, "last extent of the operand"),
            required("out_features", Kind::Extent, "last extent of the result"),
            BIAS,
            WEIGHTS,
        ],
    },
    Family {
        ops: &["mat_mul"],
        keys: &[
            optional("transpose_a", Kind::Flag, "whether operand 0 is [..., k, m]; false"),
            optional("transpose_b", Kind::Flag, "whether operand 1 is [..., n, k]; false"),
        ],
    },
    Family {
        ops: &["contraction"],
        keys: &[
            SHAPE,
            required("batch", Kind::Extent, "product of the extents of both operands and the result"),
            required("m", Kind::Extent, "product of the extents of operand 0 and the result"),
            required("n", Kind::Extent, "product of the extents of operand 1 and the result"),
            required("k", Kind::Extent, "product of the extents that are summed over"),
        ],
    },
    Family {
        ops: &["conv1d", "conv2d", "conv3d"],
        keys: &[IN_CHANNELS, OUT_CHANNELS, KERNEL, STRIDE, PADDING, DILATION, GROUPS, BIAS, WEIGHTS],
    },
    Family {
        ops: &["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"],
        keys: &[
            IN_CHANNELS,
            OUT_CHANNELS,
            KERNEL,
            STRIDE,
            PADDING,
            optional("output_padding", Kind::Windows, "extents added at the end of each axis; 0"),
            DILATION,
            GROUPS,
            BIAS,
            WEIGHTS,
        ],
    },
    Family {
        ops: &["attention"],
        keys: &[optional("causal", Kind::Flag, "whether queries see only keys up to their position; false")],
    },
    Family {
        ops: &["multi_head_attention"],
        keys: &[
            required("embed_dim", Kind::Extent, "features of queries and result"),
            required("num_heads", Kind::Extent, "number of heads"),
            optional("k_features", Kind::Extent, "features of the keys; embed_dim"),
            optional("v_features", Kind::Extent, "features of the values; embed_dim"),
            BIAS,
        ],
    },
    Family {
        ops: &["lstm", "gru", "rnn"],
        keys: &[
            required("input_size", Kind::Extent, "features of a step"),
            required("hidden_size", Kind::Extent, "features of the state"),
            optional("num_layers", Kind::Small, "layers; 1"),
            optional("bidirectional", Kind::Flag, "whether a second pass runs from the end; false"),
            required("bias", Kind::Flag, "whether each gate has its two biases"),
            optional("batch_first", Kind::Flag, "whether the batch is axis 0, the steps axis 1; false"),
        ],
    },
    Family { ops: &["batch_norm"], keys: &[required("num_features", Kind::Extent, "extent of axis 1")] },
    Family {
        ops: &["layer_norm"],
        keys: &[
            optional("axes", Kind::Axis, "how many of the last axes are normalised together; 1"),
            AFFINE_WEIGHT,
            BIAS,
        ],
    },
    Family { ops: &["rms_norm"], keys: &[AFFINE_WEIGHT] },
    Family {
        ops: &["group_norm"],
        keys: &[required("groups", Kind::Extent, "groups of channels"), AFFINE_WEIGHT, BIAS],
    },
    Family { ops: &["local_response_norm"], keys: &[required("size", Kind::Small, "channels in the sum")] },
    Family {
        ops: &[
            "relu",
            "relu6",
            "leaky_relu",
            "clip",
            "hardsigmoid",
            "hardswish",
            "sigmoid",
            "log_sigmoid",
            "silu",
            "gelu",
            "gelu_tanh",
            "quick_gelu",
            "elu",
            "selu",
            "celu",
            "softplus",
            "softsign",
            "mish",
            "tanh",
            "exp",
            "log",
            "erf",
            "sqrt",
            "rsqrt",
            "sin",
            "square",
            "reciprocal",
            "neg",
            "abs",
            "sign",
            "round",
            "not",
        ],
        keys: &[IN_PLACE],
    },
    Family {
        ops: &["prelu"],
        keys: &[required("slopes", Kind::Extent, "number of slopes: 1, or the extent of axis 1")],
    },
    Family { ops: &["add", "sub", "mul", "div", "pow", "max", "min", "mod", "compare", "logic"], keys: &[IN_PLACE] },
    Family { ops: &["where"], keys: &[] },
    Family { ops: &["cast", "quantize"], keys: &[required("to", Kind::Type, "data type of the result")] },
    Family { ops: &["softmax", "log_softmax"], keys: &[AXIS] },
    Family {
        ops: &["max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool"],
        keys: &[
            KERNEL,
            POOL_STRIDE,
            PADDING,
            DILATION,
            optional("ceil_mode", Kind::Flag, "whether a last, partial window counts; false"),
        ],
    },
    Family {
        ops: &[
            "adaptive_max_pool1d",
            "adaptive_max_pool2d",
            "adaptive_max_pool3d",
            "adaptive_avg_pool1d",
            "adaptive_avg_pool2d",
            "adaptive_avg_pool3d",
            "global_lp_pool",
        ],
        keys: &[required("output_size", Kind::Shape, "extents of the result after the channels")],
    },
    Family {
        ops: &[
            "reduce_sum",
            "reduce_mean",
            "reduce_max",
            "reduce_min",
            "reduce_prod",
            "reduce_index",
            "reduce_l1",
            "reduce_l2",
            "reduce_var",
            "log_sum_exp",
        ],
        keys: &[
            required("axes", Kind::Axes, "the axes that are reduced"),
            optional("keep_dims", Kind::Flag, "whether they stay, with extent 1; false"),
        ],
    },
    Family { ops: &["scan"], keys: &[AXIS] },
    Family { ops: &["top_k"], keys: &[AXIS, required("k", Kind::Extent, "how many")] },
    Family { ops: &["concat"], keys: &[AXIS] },
    Family { ops: &["view"], keys: &[SHAPE] },
    Family {
        ops: &["transpose"],
        keys: &[required("order", Kind::Axes, "for each axis of the result, the axis of the operand that it is")],
    },
    Family { ops: &["slice", "pad", "expand", "tile", "copy", "unfold"], keys: &[SHAPE] },
    Family { ops: &["gather"], keys: &[AXIS] },
    Family { ops: &["pick"], keys: &[SHAPE] },
    Family {
        ops: &["scatter"],
        keys: &[optional("combine", Kind::Flag, "whether an update is added, or the like, rather than put; false")],
    },
    Family {
        ops: &["embedding"],
        keys: &[
            required("entries", Kind::Extent, "rows of the table"),
            required("features", Kind::Extent, "length of a row"),
            required("data_type", Kind::Type, "how the table and the result are stored"),
        ],
    },
    Family { ops: &["resize_nearest", "resize_linear", "resize_cubic"], keys: &[SHAPE] },
];

/// Keys of every op, beside its attributes.
pub(super) const OP_KEYS: [&str; 4] = ["name", "op", "operands", "shares"];

/// The family of an op.
pub(super) fn family(op: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.ops.contains(&op))
}
