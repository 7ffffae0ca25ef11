//! What the JSON of an exported program holds, as far as it matters here.
//!
//! **Source**: `torch/_export/serde/schema.py`, version 8.17 (PyTorch 2.11). Unknown keys are passed over.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// The whole file.
#[derive(Debug, Deserialize)]
pub(super) struct Program {
    pub(super) graph_module: GraphModule,
}

/// A graph, and what its inputs stand for.
#[derive(Debug, Deserialize)]
pub(super) struct GraphModule {
    pub(super) graph: Graph,
    pub(super) signature: Signature,
}

/// A graph.
#[derive(Debug, Deserialize)]
pub(super) struct Graph {
    pub(super) inputs: Vec<Argument>,
    pub(super) outputs: Vec<Argument>,
    pub(super) nodes: Vec<Node>,
    pub(super) tensor_values: HashMap<String, TensorMeta>,
    #[serde(default)]
    pub(super) sym_int_values: HashMap<String, SymInt>,
}

/// One call.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) target: String,
    pub(super) inputs: Vec<NamedArgument>,
    pub(super) outputs: Vec<Argument>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// An argument with its name in the op's schema.
#[derive(Debug, Deserialize)]
pub(super) struct NamedArgument {
    #[serde(default)]
    pub(super) name: String,
    pub(super) arg: Argument,
    /// 2 for those that are given by name.
    #[serde(default)]
    pub(super) kind: Option<i64>,
}

/// Shape and data type of a tensor.
#[derive(Debug, Deserialize)]
pub(super) struct TensorMeta {
    pub(super) dtype: i64,
    pub(super) sizes: Vec<SymInt>,
}

/// A size: a number or an expression of symbols.
#[derive(Debug, Deserialize)]
pub(super) struct SymInt {
    #[serde(default)]
    pub(super) as_int: Option<i64>,
    #[serde(default)]
    pub(super) as_expr: Option<SymExpr>,
}

/// An expression of symbols.
#[derive(Debug, Deserialize)]
pub(super) struct SymExpr {
    pub(super) expr_str: String,
}

/// What the inputs of the graph stand for, in their order.
#[derive(Debug, Deserialize)]
pub(super) struct Signature {
    pub(super) input_specs: Vec<InputSpec>,
}

/// What an input of the graph stands for: one of the keys is there.
#[derive(Debug, Deserialize)]
pub(super) struct InputSpec {
    #[serde(default)]
    pub(super) parameter: Option<ParameterSpec>,
    #[serde(default)]
    pub(super) buffer: Option<BufferSpec>,
    #[serde(default)]
    pub(super) tensor_constant: Option<ConstantSpec>,
}

/// A learned tensor.
#[derive(Debug, Deserialize)]
pub(super) struct ParameterSpec {
    pub(super) arg: Named,
    pub(super) parameter_name: String,
}

/// A stored tensor that is not learned.
#[derive(Debug, Deserialize)]
pub(super) struct BufferSpec {
    pub(super) arg: Named,
    pub(super) buffer_name: String,
}

/// A constant of the code.
#[derive(Debug, Deserialize)]
pub(super) struct ConstantSpec {
    pub(super) arg: Named,
    pub(super) tensor_constant_name: String,
}

/// A name of a value of the graph.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// A size in a list: the name of a value, or a number.
#[derive(Debug, Deserialize)]
pub(super) struct SymArgument {
    #[serde(default)]
    pub(super) as_name: Option<String>,
    #[serde(default)]
    pub(super) as_int: Option<i64>,
}

/// An argument of a call, or what it gives.
#[derive(Debug)]
pub(super) enum Argument {
    None,
    Tensor(String),
    Tensors(Vec<String>),
    OptionalTensors(Vec<Option<String>>),
    Int(i64),
    Ints(Vec<i64>),
    Float(f64),
    Floats(Vec<f64>),
    Bool(bool),
    Str(String),
    ScalarType(i64),
    SymInt(SymArgument),
    SymInts(Vec<SymArgument>),
    /// A truth value or number that depends on sizes.
    Symbolic,
    /// Devices, layouts, memory formats, graphs, objects.
    Other,
}

#[derive(Deserialize)]
struct OptionalTensor {
    #[serde(default)]
    as_tensor: Option<Named>,
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ArgumentVisitor)
    }
}

struct ArgumentVisitor;

impl<'de> Visitor<'de> for ArgumentVisitor {
    type Value = Argument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an argument: an object of one key such as as_tensor or as_int")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Argument, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::custom("an argument without a key such as as_tensor or as_int"));
        };
        let names = |tensors: Vec<Named>| tensors.into_iter().map(|tensor| tensor.name).collect();
        let argument = match key.as_str() {
            "as_tensor" => Argument::Tensor(map.next_value::<Named>()?.name),
            "as_tensors" => Argument::Tensors(names(map.next_value()?)),
            "as_optional_tensors" => {
                let tensors: Vec<OptionalTensor> = map.next_value()?;
                Argument::OptionalTensors(
                    tensors.into_iter().map(|tensor| tensor.as_tensor.map(|name| name.name)).collect(),
                )
            }
            "as_optional_tensor" => match map.next_value::<OptionalTensor>()?.as_tensor {
                Some(tensor) => Argument::Tensor(tensor.name),
                None => Argument::None,
            },
            "as_int" => Argument::Int(map.next_value()?),
            "as_ints" => Argument::Ints(map.next_value()?),
            "as_float" => Argument::Float(map.next_value::<Real>()?.value()),
            "as_floats" => Argument::Floats(map.next_value::<Vec<Real>>()?.iter().map(Real::value).collect()),
            "as_bool" => Argument::Bool(map.next_value()?),
            "as_string" => Argument::Str(map.next_value()?),
            "as_scalar_type" => Argument::ScalarType(map.next_value()?),
            "as_sym_int" => Argument::SymInt(map.next_value()?),
            "as_sym_ints" => Argument::SymInts(map.next_value()?),
            "as_none" => {
                map.next_value::<IgnoredAny>()?;
                Argument::None
            }
            "as_sym_bool" | "as_sym_bools" | "as_sym_float" | "as_sym_floats" => {
                map.next_value::<IgnoredAny>()?;
                Argument::Symbolic
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                Argument::Other
            }
        };
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(argument)
    }
}

/// A number; `Infinity` and its like stand as words.
#[derive(Deserialize)]
#[serde(untagged)]
enum Real {
    Number(f64),
    Word(Box<str>),
    Other(IgnoredAny),
}

impl Real {
    fn value(&self) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Word(word) if word.starts_with('-') => f64::NEG_INFINITY,
            Self::Word(word) if word.starts_with("Inf") || word.starts_with("inf") => f64::INFINITY,
            Self::Word(_) | Self::Other(_) => f64::NAN,
        }
    }
}
