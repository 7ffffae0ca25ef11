//! Values while TorchScript's code is followed.

use std::cell::RefCell;
use std::rc::Rc;

use derate_core::shape::DataType;

use super::pickle::Id;
use crate::import::aten::argument::{Args, Argument};
use crate::import::aten::tensor::Tensor;

/// A value; lists and dictionaries are shared, as in Python.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    Tensor(Tensor),
    List(Rc<RefCell<Vec<Value>>>),
    Tuple(Rc<Vec<Value>>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// A named tuple: names of its fields, and their values.
    Named(Rc<Vec<Rc<str>>>, Rc<Vec<Value>>),
    /// An object of `data.pkl`, with its path from the top.
    Object(Id, Rc<str>),
    /// A class or function by qualified name.
    Item(Rc<str>),
    /// A method of an object.
    Method(Id, Rc<str>, Rc<str>),
    /// What could not be found out, and why.
    Unknown(Rc<str>),
}

impl Value {
    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(RefCell::new(items)))
    }

    pub(super) fn unknown(why: impl Into<Rc<str>>) -> Self {
        Self::Unknown(why.into())
    }

    /// The argument of an ATen call. Lists within lists end at some depth: a list may hold itself.
    pub(super) fn argument(&self, depth: u8) -> Argument {
        let inner = |item: &Self| match depth.checked_sub(1) {
            Some(depth) => item.argument(depth),
            None => Argument::Unknown("lists within lists".to_owned()),
        };
        match self {
            Self::None => Argument::None,
            Self::Bool(value) => Argument::Bool(*value),
            Self::Int(value) => Argument::Int(*value),
            Self::Float(value) => Argument::Float(*value),
            Self::Str(word) => Argument::Str(word.to_string()),
            Self::Tensor(tensor) => Argument::Tensor(tensor.clone()),
            Self::List(items) => Argument::List(items.borrow().iter().map(inner).collect()),
            Self::Tuple(items) | Self::Named(_, items) => Argument::List(items.iter().map(inner).collect()),
            Self::Unknown(why) => Argument::Unknown(why.to_string()),
            Self::Dict(_) | Self::Object(..) | Self::Item(_) | Self::Method(..) => {
                Argument::Unknown("an object as an operand".to_owned())
            }
        }
    }

    /// What an ATen call gave. Several tensors are a tuple or a list, which the code tells apart only by how it reads them.
    pub(super) fn from_argument(argument: Argument) -> Self {
        match argument {
            Argument::Tensor(tensor) => Self::Tensor(tensor),
            Argument::Int(value) => Self::Int(value),
            Argument::Float(value) => Self::Float(value),
            Argument::Bool(value) => Self::Bool(value),
            Argument::DataType(data_type) => Self::Int(number(data_type)),
            Argument::Str(word) => Self::Str(word.into()),
            Argument::None => Self::None,
            Argument::List(items) => Self::list(items.into_iter().map(Self::from_argument).collect()),
            Argument::Unknown(why) => Self::unknown(why),
        }
    }

    /// Whether Python takes it for true, where that is known.
    pub(super) fn truth(&self) -> Result<bool, Rc<str>> {
        match self {
            Self::None => Ok(false),
            Self::Bool(value) => Ok(*value),
            Self::Int(value) => Ok(*value != 0),
            Self::Float(value) => Ok(*value != 0.0),
            Self::Str(word) => Ok(!word.is_empty()),
            Self::List(items) => Ok(!items.borrow().is_empty()),
            Self::Tuple(items) => Ok(!items.is_empty()),
            Self::Tensor(tensor) => {
                tensor.value().map(|value| value != 0.0).ok_or_else(|| "it depends on the input".into())
            }
            Self::Unknown(why) => Err(Rc::clone(why)),
            _ => Ok(true),
        }
    }

    /// The number, if it is one that is known.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => self.argument(0).float(),
            Self::Tensor(tensor) => tensor.value(),
            _ => None,
        }
    }

    /// The integer, if it is one that is known.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Bool(_) | Self::Int(_) => self.argument(0).int(),
            Self::Tensor(tensor) => tensor.value().map(crate::import::aten::argument::truncated),
            _ => None,
        }
    }

    /// Whether two simple values are equal; `None` where that is not known.
    pub(super) fn equals(&self, other: &Self, depth: u8) -> Option<bool> {
        let items = |a: &[Self], b: &[Self]| {
            let depth = depth.checked_sub(1)?;
            if a.len() != b.len() {
                return Some(false);
            }
            a.iter().zip(b).try_fold(true, |equal, (a, b)| Some(equal && a.equals(b, depth)?))
        };
        match (self, other) {
            (Self::Unknown(_), _) | (_, Self::Unknown(_)) => None,
            (Self::None, Self::None) => Some(true),
            (Self::Str(a), Self::Str(b)) => Some(a == b),
            (Self::List(a), Self::List(b)) => items(&a.borrow(), &b.borrow()),
            (Self::Tuple(a), Self::Tuple(b)) => items(a, b),
            (Self::Object(a, _), Self::Object(b, _)) => Some(a == b),
            (Self::Item(a), Self::Item(b)) => Some(a == b),
            (a, b) => match (a.number(), b.number()) {
                (Some(a), Some(b)) => Some(a == b),
                (None, None) => None,
                _ => Some(false),
            },
        }
    }
}

/// The number of a `c10::ScalarType`.
pub(super) fn number(data_type: DataType) -> i64 {
    match data_type {
        DataType::Int8 => 1,
        DataType::Int16 => 2,
        DataType::Int32 => 3,
        DataType::Int64 => 4,
        DataType::Fp16 => 5,
        DataType::Fp64 => 7,
        DataType::Bool => 11,
        DataType::Bf16 => 15,
        _ => 6,
    }
}

/// Arguments of an ATen call.
pub(super) fn arguments(positional: &[Value], named: &[(Rc<str>, Value)]) -> Args {
    Args {
        positional: positional.iter().map(|value| value.argument(4)).collect(),
        named: named.iter().map(|(name, value)| (name.to_string(), value.argument(4))).collect(),
    }
}
