//! A node as its importer sees it: name, attributes with their types, and the ways in which it can fail.

use derate_core::shape::DataType;

use super::proto::{Attribute, Graph, Node, Tensor, kind};
use crate::import::ImportError;

/// Why a node was not imported.
#[derive(Debug)]
pub(super) enum Stop {
    /// No op describes it: it is listed, and the import goes on.
    Unsupported(String),
    /// The file is wrong.
    Wrong(String),
    /// The file is wrong, and the error is complete.
    Error(ImportError),
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Error(error)
    }
}

impl From<derate_core::Error> for Stop {
    fn from(error: derate_core::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// A stop for what the file may hold, but no op describes.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Unsupported(reason.into()))
}

/// A stop for what no valid file holds.
pub(super) fn wrong<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Wrong(reason.into()))
}

/// A node with its attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'n> {
    pub(super) node: &'n Node,
    /// Version of the operators in force for it.
    pub(super) opset: i64,
}

impl<'n> Call<'n> {
    /// The node's name; where it has none, that of its first output.
    pub(super) fn name(&self) -> &'n str {
        name(self.node)
    }

    pub(super) fn op(&self) -> &'n str {
        &self.node.op_type
    }

    /// Name of an operand; `None` where it is left out.
    pub(super) fn input(&self, position: usize) -> Option<&'n str> {
        self.node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Name of a result; `None` where it is left out.
    pub(super) fn output(&self, position: usize) -> Option<&'n str> {
        self.node.output.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn attribute(&self, name: &str, wanted: i32) -> Result<Option<&'n Attribute>, Stop> {
        let Some(attribute) = self.node.attribute.iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        if attribute.kind == 0 || attribute.kind == wanted {
            Ok(Some(attribute))
        } else {
            wrong(format!("attribute {name} is of kind {}, {} is wanted", kind_name(attribute.kind), kind_name(wanted)))
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.node.attribute.iter().any(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, Stop> {
        Ok(self.attribute(name, kind::INT)?.map_or(default, |attribute| attribute.i.unwrap_or(0)))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Stop> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, Stop> {
        Ok(self.attribute(name, kind::FLOAT)?.map(|attribute| attribute.f.unwrap_or(0.0)))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f32>>, Stop> {
        Ok(self.attribute(name, kind::FLOATS)?.map(|attribute| attribute.floats.clone()))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, Stop> {
        Ok(self.attribute(name, kind::INTS)?.map(|attribute| attribute.ints.clone()))
    }

    pub(super) fn text(&self, name: &str, default: &str) -> Result<String, Stop> {
        Ok(self.attribute(name, kind::STRING)?.map_or_else(
            || default.to_owned(),
            |attribute| String::from_utf8_lossy(attribute.s.as_deref().unwrap_or_default()).into_owned(),
        ))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'n Tensor>, Stop> {
        Ok(self.attribute(name, kind::TENSOR)?.and_then(|attribute| attribute.t.as_deref()))
    }

    pub(super) fn graph(&self, name: &str) -> Result<Option<&'n Graph>, Stop> {
        Ok(self.attribute(name, kind::GRAPH)?.and_then(|attribute| attribute.g.as_deref()))
    }

    /// An axis from an attribute, which may count from the end.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, Stop> {
        axis(self.int(name, default)?, rank)
    }
}

/// A node's name; where it has none, that of its first output.
pub(super) fn name(node: &Node) -> &str {
    if node.name.is_empty() {
        node.output.iter().find(|name| !name.is_empty()).map_or(node.op_type.as_str(), String::as_str)
    } else {
        &node.name
    }
}

/// An axis, which may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Stop> {
    let count = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_start = if axis < 0 { axis.saturating_add(count) } else { axis };
    match usize::try_from(from_start) {
        Ok(found) if found < rank => Ok(found),
        _ => wrong(format!("axis {axis} of a tensor of rank {rank}; it must be in -{rank} ..= {}", count - 1)),
    }
}

/// An axis as core counts them.
pub(super) fn axis_u8(axis: usize) -> Result<u8, Stop> {
    u8::try_from(axis).map_err(|_| Stop::Wrong(format!("axis {axis} is beyond 8 dimensions")))
}

fn kind_name(kind: i32) -> &'static str {
    match kind {
        kind::FLOAT => "float",
        kind::INT => "int",
        kind::STRING => "string",
        kind::TENSOR => "tensor",
        kind::GRAPH => "graph",
        kind::FLOATS => "floats",
        kind::INTS => "ints",
        _ => "another",
    }
}

/// The data type of an ONNX element type (`TensorProto.DataType`); what it is called where there is none.
pub(super) fn data_type(element: i32) -> Result<DataType, &'static str> {
    Ok(match element {
        1 => DataType::Fp32,
        2 | 3 => DataType::Int8,
        4 | 5 => DataType::Int16,
        6 | 12 => DataType::Int32,
        7 | 13 => DataType::Int64,
        9 => DataType::Bool,
        10 => DataType::Fp16,
        11 => DataType::Fp64,
        16 => DataType::Bf16,
        0 => return Err("undefined"),
        8 => return Err("string"),
        14 | 15 => return Err("complex"),
        17..=20 => return Err("8-bit float"),
        21 | 22 => return Err("4-bit integer"),
        23 => return Err("4-bit float"),
        _ => return Err("unknown"),
    })
}
