//! Arguments of ATen calls, by position or name, as both PyTorch formats give them.

use derate_core::shape::DataType;

use super::Refusal;
use super::tensor::Tensor;

/// An argument, or what a call gives.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    /// A tensor.
    Tensor(Tensor),
    /// An integer, or a size.
    Int(i64),
    /// A number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A data type. TorchScript writes it as an integer.
    DataType(DataType),
    /// A word.
    Str(String),
    /// Nothing.
    None,
    /// Several.
    List(Vec<Argument>),
    /// Something that the importer could not find out, and why.
    Unknown(String),
}

impl Argument {
    /// The tensors of a list, or the one.
    pub(crate) fn tensors(tensors: impl IntoIterator<Item = Tensor>) -> Self {
        Self::List(tensors.into_iter().map(Self::Tensor).collect())
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Tensor(_) => "a tensor",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Bool(_) => "a truth value",
            Self::DataType(_) => "a data type",
            Self::Str(_) => "a word",
            Self::None => "nothing",
            Self::List(_) => "a list",
            Self::Unknown(_) => "an unknown value",
        }
    }

    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Tensor(tensor) => tensor.value().map(truncated),
            _ => None,
        }
    }

    pub(crate) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            // Sizes are far below 2^53, where the conversion would round.
            Self::Int(value) => Some(*value as f64),
            Self::Bool(value) => Some(f64::from(*value)),
            Self::Tensor(tensor) => tensor.value(),
            _ => None,
        }
    }
}

/// The integer part; beyond 64 bits, the nearest that there is.
pub(crate) fn truncated(value: f64) -> i64 {
    value as i64
}

/// The arguments of one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// In the order of the op's schema.
    pub(crate) positional: Vec<Argument>,
    /// With the names of the schema.
    pub(crate) named: Vec<(String, Argument)>,
}

impl Args {
    /// The argument of this name, or else at this position.
    pub(super) fn get(&self, position: usize, name: &str) -> Option<&Argument> {
        let named = self.named.iter().find(|(called, _)| called == name).map(|(_, argument)| argument);
        named.or_else(|| self.positional.get(position))
    }

    /// The argument of this name only, for those that calls give by name.
    pub(super) fn named(&self, name: &str) -> Option<&Argument> {
        self.named.iter().find(|(called, _)| called == name).map(|(_, argument)| argument)
    }

    fn wrong(name: &str, wanted: &str, found: Option<&Argument>) -> Refusal {
        match found {
            Some(Argument::Unknown(why)) => Refusal::new(why.clone()),
            Some(found) => Refusal::new(format!("argument {name} is {}, not {wanted}", found.what())),
            None => Refusal::new(format!("argument {name} is missing: {wanted}")),
        }
    }

    /// The first argument, which is a tensor in most calls, whatever it is called.
    pub(super) fn first(&self) -> Result<&Tensor, Refusal> {
        let found = self.positional.first().or_else(|| self.named.first().map(|(_, argument)| argument));
        match found {
            Some(Argument::Tensor(tensor)) => Ok(tensor),
            found => Err(Self::wrong("self", "a tensor", found)),
        }
    }

    pub(super) fn tensor(&self, position: usize, name: &str) -> Result<&Tensor, Refusal> {
        match self.get(position, name) {
            Some(Argument::Tensor(tensor)) => Ok(tensor),
            found => Err(Self::wrong(name, "a tensor", found)),
        }
    }

    pub(super) fn optional_tensor(&self, position: usize, name: &str) -> Result<Option<&Tensor>, Refusal> {
        match self.get(position, name) {
            None | Some(Argument::None) => Ok(None),
            Some(Argument::Tensor(tensor)) => Ok(Some(tensor)),
            found => Err(Self::wrong(name, "a tensor or nothing", found)),
        }
    }

    pub(super) fn tensor_list(&self, position: usize, name: &str) -> Result<Vec<Tensor>, Refusal> {
        let found = self.get(position, name);
        let Some(Argument::List(list)) = found else { return Err(Self::wrong(name, "a list of tensors", found)) };
        list.iter()
            .map(|item| match item {
                Argument::Tensor(tensor) => Ok(tensor.clone()),
                other => Err(Self::wrong(name, "a list of tensors", Some(other))),
            })
            .collect()
    }

    pub(super) fn int(&self, position: usize, name: &str) -> Result<i64, Refusal> {
        let found = self.get(position, name);
        found.and_then(Argument::int).ok_or_else(|| Self::wrong(name, "an integer", found))
    }

    pub(super) fn int_or(&self, position: usize, name: &str, default: i64) -> Result<i64, Refusal> {
        match self.get(position, name) {
            None | Some(Argument::None) => Ok(default),
            Some(_) => self.int(position, name),
        }
    }

    pub(super) fn float_or(&self, position: usize, name: &str, default: f64) -> Result<f64, Refusal> {
        match self.get(position, name) {
            None | Some(Argument::None) => Ok(default),
            found => found.and_then(Argument::float).ok_or_else(|| Self::wrong(name, "a number", found)),
        }
    }

    pub(super) fn bool_or(&self, position: usize, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.get(position, name) {
            None | Some(Argument::None) => Ok(default),
            Some(Argument::Bool(value)) => Ok(*value),
            Some(Argument::Int(value)) => Ok(*value != 0),
            found => Err(Self::wrong(name, "a truth value", found)),
        }
    }

    pub(super) fn str_or<'a>(&'a self, position: usize, name: &str, default: &'a str) -> &'a str {
        match self.get(position, name) {
            Some(Argument::Str(value)) => value,
            _ => default,
        }
    }

    /// Integers; one integer stands for a list of itself.
    pub(super) fn ints(&self, position: usize, name: &str) -> Result<Vec<i64>, Refusal> {
        let found = self.get(position, name);
        match found {
            Some(Argument::List(list)) => list
                .iter()
                .map(|item| item.int().ok_or_else(|| Self::wrong(name, "a list of integers", Some(item))))
                .collect(),
            Some(one) => Ok(vec![one.int().ok_or_else(|| Self::wrong(name, "a list of integers", found))?]),
            None => Err(Self::wrong(name, "a list of integers", None)),
        }
    }

    /// Integers, or nothing where they are not given.
    pub(super) fn optional_ints(&self, position: usize, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        match self.get(position, name) {
            None | Some(Argument::None) => Ok(None),
            Some(_) => self.ints(position, name).map(Some),
        }
    }

    /// Integers after a position, in a list or as arguments of their own.
    pub(super) fn sizes(&self, position: usize, name: &str) -> Result<Vec<i64>, Refusal> {
        self.ints(position, name)
    }
}
