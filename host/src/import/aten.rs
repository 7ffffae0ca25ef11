//! ATen ops to ops of core: one lowering for `torch.export` and TorchScript files.
//!
//! What counts how:
//! - An op with weights is one op of core; parameters elsewhere are [`TensorKind::Parameter`], buffers and constants
//!   [`TensorKind::Constant`]. A parameter counts once, whoever shares it.
//! - Views (`chunk`, `select`, `expand`, …) cost nothing until an op needs them laid out ([`tensor`]). Where a permutation is laid
//!   out, it counts as a transposition; `contiguous` after it adds nothing.
//! - Where operands have different data types, the operand that PyTorch would convert within the op is converted by one of its own.
//! - What does not depend on the input (`arange`, `zeros`, arithmetic on them) is bookkeeping, until an op reads it.

pub(crate) mod argument;
mod arithmetic;
mod attention;
mod conv;
mod create;
mod einsum;
mod elementwise;
mod emit;
mod index;
mod linear;
mod names;
mod norm;
mod pool;
mod recurrent;
mod reduce;
mod slice;
pub(crate) mod tensor;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{HashMap, HashSet};

use derate_core::shape::DataType;
use derate_core::tensor::{TensorId, TensorKind};

use self::argument::{Args, Argument};
use self::tensor::{Origin, Tensor};
use super::ImportError;
use super::build::Builder;

/// Why an op could not be lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(String);

impl Refusal {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The reason, as a phrase.
    pub(crate) fn reason(&self) -> &str {
        &self.0
    }
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self(error.message)
    }
}

impl From<derate_core::Error> for Refusal {
    fn from(error: derate_core::Error) -> Self {
        Self(error.to_string())
    }
}

/// What lowering one op gives.
type Lowered = Result<Argument, Refusal>;

/// One call of an ATen op.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// Name of the node.
    pub(crate) node: &'a str,
    /// Name of the op, without namespace, overload and the `_` of ops in place.
    op: &'a str,
    /// Whether it overwrites its first operand.
    in_place: bool,
    /// Its arguments.
    args: &'a Args,
}

/// A tensor that the file stores.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Its fully qualified name.
    pub(crate) name: String,
    /// Extents, outermost first.
    pub(crate) extents: Vec<u32>,
    /// How each element is stored.
    pub(crate) data_type: DataType,
    /// Whether it is learned.
    pub(crate) learned: bool,
}

/// The graph that calls are lowered to.
#[derive(Debug)]
pub(crate) struct Lowering {
    pub(crate) builder: Builder,
    stored: Vec<Stored>,
    /// Stored tensors that are tensors of the graph, with the shape they have there.
    sources: HashMap<String, Tensor>,
    /// Stored tensors that are attributes of an op.
    attributes: HashSet<String>,
}

impl Lowering {
    /// An empty graph, read from `file`.
    pub(crate) fn new(file: &str, name: &str) -> Self {
        Self {
            builder: Builder::new(file, name),
            stored: Vec::new(),
            sources: HashMap::new(),
            attributes: HashSet::new(),
        }
    }

    /// Adds a tensor that the file stores; it enters the graph when an op reads it.
    pub(crate) fn store(&mut self, stored: Stored) -> Tensor {
        let origin = Origin::Stored { index: self.stored.len(), part: String::new() };
        let tensor = Tensor::new(stored.extents.clone(), stored.data_type, origin);
        self.stored.push(stored);
        tensor
    }

    /// Adds an input of the graph.
    pub(crate) fn input(&mut self, name: &str, extents: &[u32], data_type: DataType) -> Result<Tensor, ImportError> {
        let id = self.builder.source(name, extents, data_type, TensorKind::Input)?;
        Ok(Tensor::in_graph(id, extents.to_vec(), data_type))
    }

    /// Lays out a tensor that the network gives.
    pub(crate) fn output(&mut self, tensor: &Tensor) -> Result<TensorId, Refusal> {
        self.id("output", tensor)
    }

    /// Lowers one call of `op`, such as `conv2d`, `add_` or `max_pool2d`, without namespace and overload.
    pub(crate) fn call(&mut self, node: &str, op: &str, args: &Args) -> Lowered {
        let in_place = op.ends_with('_') && !op.ends_with("__");
        let op = if in_place { op.strip_suffix('_').unwrap_or(op) } else { op };
        self.dispatch(&Call { node, op, in_place, args })
    }
}

/// Core's data type for one of `torch`'s names, such as `float32`.
pub(crate) fn named_data_type(name: &str) -> Option<DataType> {
    Some(match name {
        "float64" | "double" => DataType::Fp64,
        "float32" | "float" => DataType::Fp32,
        "bfloat16" => DataType::Bf16,
        "float16" | "half" => DataType::Fp16,
        "int8" | "uint8" | "qint8" | "quint8" => DataType::Int8,
        "int16" | "short" => DataType::Int16,
        "int32" | "int" | "qint32" => DataType::Int32,
        "int64" | "long" => DataType::Int64,
        "bool" => DataType::Bool,
        _ => return None,
    })
}

/// Core's data type for the number of a `c10::ScalarType`, as TorchScript writes it.
pub(crate) fn numbered_data_type(number: i64) -> Option<DataType> {
    Some(match number {
        0 | 1 | 12 | 13 => DataType::Int8,
        2 => DataType::Int16,
        3 | 14 => DataType::Int32,
        4 => DataType::Int64,
        5 => DataType::Fp16,
        6 => DataType::Fp32,
        7 => DataType::Fp64,
        11 => DataType::Bool,
        15 => DataType::Bf16,
        _ => return None,
    })
}
