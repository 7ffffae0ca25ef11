//! The tables of a TFLite file that the importer reads, in the idiom of generated FlatBuffers code: slots, defaults, verifiers.
//!
//! **Source**: `tensorflow/lite/schema/schema.fbs`, version 3. A slot is 4 + 2 · (position of the field in its table). A table is
//! only made by following an offset from a [`Model`] that [`model`] verified, so that every field lies inside the file.

use flatbuffers::{
    Follow, ForwardsUOffset, InvalidFlatbuffer, Table, VOffsetT, Vector, Verifiable, Verifier, VerifierOptions,
};

/// Slots of an operator's options: their type, then the table.
const OPTIONS_TYPE: VOffsetT = 10;
const OPTIONS: VOffsetT = 12;

/// A table: its fields with slot and type; with a default where the field is a number.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident<$a:lifetime> { $($field:ident: $slot:literal, $type:ty $(, $default:expr)?;)* } $($more:tt)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $name<$a> {
            table: Table<$a>,
        }

        impl<$a> Follow<$a> for $name<$a> {
            type Inner = Self;

            unsafe fn follow(buf: &$a [u8], loc: usize) -> Self {
                // SAFETY: the caller says that a table of this type starts at `loc`.
                Self { table: unsafe { Table::new(buf, loc) } }
            }
        }

        impl<$a> $name<$a> {
            $(table!(@field $a, $field, $slot, $type $(, $default)?);)*
        }

        impl<$a> Verifiable for $name<$a> {
            fn run_verifier(v: &mut Verifier<'_, '_>, pos: usize) -> Result<(), InvalidFlatbuffer> {
                v.visit_table(pos)?
                    $(.visit_field::<$type>(stringify!($field), $slot, false)?)*
                    $($more)*
                    .finish();
                Ok(())
            }
        }
    };
    (@field $a:lifetime, $field:ident, $slot:literal, $type:ty) => {
        pub(super) fn $field(&self) -> Option<<$type as Follow<$a>>::Inner> {
            // SAFETY: the verifier of this table found such a field in this slot, or none.
            unsafe { self.table.get::<$type>($slot, None) }
        }
    };
    (@field $a:lifetime, $field:ident, $slot:literal, $type:ty, $default:expr) => {
        pub(super) fn $field(&self) -> $type {
            // SAFETY: the verifier of this table found such a field in this slot, or none.
            unsafe { self.table.get::<$type>($slot, Some($default)) }.unwrap_or($default)
        }
    };
}

table! {
    /// The file.
    Model<'a> {
        operator_codes: 6, ForwardsUOffset<Vector<'a, ForwardsUOffset<OperatorCode<'a>>>>;
        subgraphs: 8, ForwardsUOffset<Vector<'a, ForwardsUOffset<SubGraph<'a>>>>;
        buffers: 12, ForwardsUOffset<Vector<'a, ForwardsUOffset<Buffer<'a>>>>;
    }
}
table! {
    /// Which operation: the larger of both codes.
    OperatorCode<'a> {
        deprecated_builtin_code: 4, i8, 0;
        custom_code: 6, ForwardsUOffset<&'a str>;
        builtin_code: 10, i32, 0;
    }
}
table! {
    /// One graph; the first is the network, others are bodies of control flow.
    SubGraph<'a> {
        tensors: 4, ForwardsUOffset<Vector<'a, ForwardsUOffset<Tensor<'a>>>>;
        inputs: 6, ForwardsUOffset<Vector<'a, i32>>;
        outputs: 8, ForwardsUOffset<Vector<'a, i32>>;
        operators: 10, ForwardsUOffset<Vector<'a, ForwardsUOffset<Operator<'a>>>>;
    }
}
table! {
    /// A tensor: computed, or held by a buffer.
    Tensor<'a> {
        shape: 4, ForwardsUOffset<Vector<'a, i32>>;
        data_type: 6, i8, 0;
        buffer: 8, u32, 0;
        name: 10, ForwardsUOffset<&'a str>;
        quantization: 12, ForwardsUOffset<Quantization<'a>>;
        is_variable: 14, bool, false;
        shape_signature: 18, ForwardsUOffset<Vector<'a, i32>>;
    }
}
table! {
    /// What the integers of a tensor stand for: scale · (integer − zero point), for the whole tensor or for each channel.
    Quantization<'a> {
        scale: 8, ForwardsUOffset<Vector<'a, f32>>;
        zero_point: 10, ForwardsUOffset<Vector<'a, i64>>;
    }
}
table! {
    /// Bytes of a constant: in the FlatBuffer, or at `offset` of the file where it is larger than 2 GiB.
    Buffer<'a> {
        data: 4, ForwardsUOffset<Vector<'a, u8>>;
        offset: 6, u64, 0;
        size: 8, u64, 0;
    }
}
table! {
    /// A call of an operation.
    Operator<'a> {
        opcode_index: 4, u32, 0;
        inputs: 6, ForwardsUOffset<Vector<'a, i32>>;
        outputs: 8, ForwardsUOffset<Vector<'a, i32>>;
        options_type: 10, u8, 0;
    }
    .visit_union::<u8, _>("builtin_options_type", OPTIONS_TYPE, "builtin_options", OPTIONS, false, verify_options)?
}

impl<'a> Operator<'a> {
    /// The options, where they are of this type.
    pub(super) fn options<T: Options<'a>>(&self) -> Option<T> {
        if self.options_type() != T::TYPE {
            return None;
        }
        // SAFETY: the verifier of this operator verified the options as the type that `options_type` names, which is `T`.
        unsafe { self.table.get::<ForwardsUOffset<T>>(OPTIONS, None) }
    }
}

/// A table of options, one of the union.
pub(super) trait Options<'a>: Follow<'a, Inner = Self> + Verifiable + 'a {
    /// Its number in the union.
    const TYPE: u8;
}

macro_rules! options {
    ($($number:literal $name:ident { $($field:ident: $slot:literal, $type:ty $(, $default:expr)?;)* })*) => {
        $(
            table! {
                #[doc = concat!("Options of the union's type ", stringify!($number), ".")]
                $name<'a> { $($field: $slot, $type $(, $default)?;)* }
            }
            impl<'a> Options<'a> for $name<'a> {
                const TYPE: u8 = $number;
            }
        )*

        /// Verifies options of a type that is read here; others are never followed.
        fn verify_options(kind: u8, v: &mut Verifier<'_, '_>, pos: usize) -> Result<(), InvalidFlatbuffer> {
            match kind {
                $($number => v.verify_union_variant::<ForwardsUOffset<$name<'_>>>(stringify!($name), pos),)*
                _ => Ok(()),
            }
        }
    };
}

options! {
    1 Conv2DOptions {
        padding: 4, i8, 0;
        stride_w: 6, i32, 0;
        stride_h: 8, i32, 0;
        activation: 10, i8, 0;
        dilation_w: 12, i32, 1;
        dilation_h: 14, i32, 1;
    }
    2 DepthwiseConv2DOptions {
        padding: 4, i8, 0;
        stride_w: 6, i32, 0;
        stride_h: 8, i32, 0;
        activation: 12, i8, 0;
        dilation_w: 14, i32, 1;
        dilation_h: 16, i32, 1;
    }
    5 Pool2DOptions {
        padding: 4, i8, 0;
        stride_w: 6, i32, 0;
        stride_h: 8, i32, 0;
        filter_width: 10, i32, 0;
        filter_height: 12, i32, 0;
        activation: 14, i8, 0;
    }
    8 FullyConnectedOptions {
        activation: 4, i8, 0;
        keep_num_dims: 8, bool, false;
    }
    10 ConcatenationOptions {
        axis: 4, i32, 0;
        activation: 6, i8, 0;
    }
    11 AddOptions {
        activation: 4, i8, 0;
    }
    12 L2NormOptions {
        activation: 4, i8, 0;
    }
    13 LocalResponseNormalizationOptions {
        radius: 4, i32, 0;
    }
    17 ReshapeOptions {
        new_shape: 4, ForwardsUOffset<Vector<'a, i32>>;
    }
    19 SpaceToDepthOptions {
        block_size: 4, i32, 0;
    }
    21 MulOptions {
        activation: 4, i8, 0;
    }
    23 GatherOptions {
        axis: 4, i32, 0;
        batch_dims: 6, i32, 0;
    }
    27 ReducerOptions {
        keep_dims: 4, bool, false;
    }
    28 SubOptions {
        activation: 4, i8, 0;
    }
    29 DivOptions {
        activation: 4, i8, 0;
    }
    30 SqueezeOptions {
        squeeze_dims: 4, ForwardsUOffset<Vector<'a, i32>>;
    }
    32 StridedSliceOptions {
        begin_mask: 4, i32, 0;
        end_mask: 6, i32, 0;
        ellipsis_mask: 8, i32, 0;
        new_axis_mask: 10, i32, 0;
        shrink_axis_mask: 12, i32, 0;
    }
    49 TransposeConvOptions {
        padding: 4, i8, 0;
        stride_w: 6, i32, 0;
        stride_h: 8, i32, 0;
        activation: 10, i8, 0;
    }
    59 PackOptions {
        axis: 6, i32, 0;
    }
    64 UnpackOptions {
        axis: 6, i32, 0;
    }
    71 UnidirectionalSequenceLstmOptions {
        time_major: 10, bool, false;
    }
    94 DepthToSpaceOptions {
        block_size: 4, i32, 0;
    }
    101 BatchMatMulOptions {
        adj_x: 4, bool, false;
        adj_y: 6, bool, false;
    }
    106 Conv3DOptions {
        padding: 4, i8, 0;
        stride_d: 6, i32, 0;
        stride_w: 8, i32, 0;
        stride_h: 10, i32, 0;
        activation: 12, i8, 0;
        dilation_d: 14, i32, 1;
        dilation_w: 16, i32, 1;
        dilation_h: 18, i32, 1;
    }
    116 GeluOptions {
        approximate: 4, bool, false;
    }
}

/// The model of a file, after every table of it that is read here was verified.
///
/// # Errors
/// What the verifier found: offsets outside the file, too many tables, tables within tables, tables shared so often that the file
/// stands for much more than it holds.
pub(super) fn model(bytes: &[u8]) -> Result<Model<'_>, InvalidFlatbuffer> {
    let options = VerifierOptions {
        max_depth: 16,
        max_tables: 1_000_000,
        // Tables of slots are shared in honest files too, tables of data are not.
        max_apparent_size: bytes.len().saturating_mul(4).saturating_add(1 << 16),
        ignore_missing_null_terminator: true,
    };
    flatbuffers::root_with_opts::<Model<'_>>(&options, bytes)
}
