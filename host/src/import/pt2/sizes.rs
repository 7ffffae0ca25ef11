//! Symbolic sizes: what each symbol is bound to, and what expressions of symbols give.

use std::collections::{BTreeMap, HashMap};

use super::schema::{Graph, SymInt};
use crate::import::python::{Expr, expression};
use crate::import::{ImportError, Options};

/// Longest expression of symbols, in bytes.
const MAX_EXPRESSION: usize = 4096;

/// Extents of the symbols of a graph.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    bound: HashMap<String, i64>,
    /// Expressions that were evaluated.
    values: HashMap<String, i64>,
}

impl Sizes {
    /// Binds the symbols in the shapes of `inputs`, names of tensors in their order.
    pub(super) fn bind(file: &str, graph: &Graph, inputs: &[&str], options: &Options) -> Result<Self, ImportError> {
        let refuse =
            |at: Option<&str>, message| ImportError { file: file.to_owned(), at: at.map(str::to_owned), message };
        let mut sizes = Self::default();
        sizes.bound.extend(options.dims.iter().map(|(name, &extent)| (name.clone(), i64::from(extent))));
        let mut open: BTreeMap<String, String> = BTreeMap::new();
        for (at, &input) in inputs.iter().enumerate() {
            let Some(meta) = graph.tensor_values.get(input) else { continue };
            let given = options.inputs.get(at);
            if given.is_some_and(|given| given.len() != meta.sizes.len()) {
                let message =
                    format!("--input gives {} axes; the input has {}", given.map_or(0, Vec::len), meta.sizes.len());
                return Err(refuse(Some(input), message));
            }
            for (axis, size) in meta.sizes.iter().enumerate() {
                let Some(symbol) = symbol(size) else { continue };
                let extent = given.and_then(|given| given.get(axis)).copied();
                let extent = extent.or(options.batch.filter(|_| axis == 0));
                match extent {
                    Some(extent) => {
                        sizes.bound.entry(symbol).or_insert_with(|| i64::from(extent));
                    }
                    None => {
                        open.entry(symbol).or_insert_with(|| format!("axis {axis} of {input}"));
                    }
                }
            }
        }
        open.retain(|symbol, _| !sizes.bound.contains_key(symbol));
        if open.is_empty() {
            return Ok(sizes);
        }
        let list: Vec<String> = open.iter().map(|(symbol, place)| format!("{symbol} ({place})")).collect();
        let first = open.keys().next().cloned().unwrap_or_default();
        let message =
            format!("sizes that the file leaves open: {}; give them with --dim {first}=… or --batch", list.join(", "));
        Err(refuse(None, message))
    }

    /// The value of a size.
    pub(super) fn value(&mut self, size: &SymInt) -> Result<i64, String> {
        match (&size.as_int, &size.as_expr) {
            (Some(value), _) => Ok(*value),
            (None, Some(expr)) => self.text(&expr.expr_str),
            (None, None) => Err("a size that is neither a number nor an expression".to_owned()),
        }
    }

    fn text(&mut self, text: &str) -> Result<i64, String> {
        if let Some(&value) = self.values.get(text) {
            return Ok(value);
        }
        let value = whole(self.evaluate(&parsed(text)?)?, text)?;
        self.values.insert(text.to_owned(), value);
        Ok(value)
    }

    fn evaluate(&self, expr: &Expr) -> Result<f64, String> {
        let wrong = || format!("{expr:?} in a size");
        Ok(match expr {
            // Sizes are far below 2^53, where doubles are exact.
            Expr::Int(value) => *value as f64,
            Expr::Float(value) => *value,
            Expr::Name(name) => {
                let bound = self
                    .bound
                    .get(&**name)
                    .ok_or_else(|| format!("size {name} is open; give it with --dim {name}=…"))?;
                *bound as f64
            }
            Expr::Unary("-", inner) => -self.evaluate(inner)?,
            Expr::Binary(operator, left, right) => {
                let (x, y) = (self.evaluate(left)?, self.evaluate(right)?);
                match *operator {
                    "+" => x + y,
                    "-" => x - y,
                    "*" => x * y,
                    "/" => x / y,
                    "//" => (x / y).floor(),
                    "%" => x - (x / y).floor() * y,
                    "**" => x.powf(y),
                    _ => return Err(wrong()),
                }
            }
            Expr::Call(function, arguments, _) => {
                // PyTorch writes its own functions with their modules.
                let (Expr::Name(name) | Expr::Attribute(_, name)) = &**function else { return Err(wrong()) };
                if let ("Symbol", [Expr::Str(name), ..]) = (&**name, arguments.as_slice()) {
                    return self.evaluate(&Expr::Name(name.clone()));
                }
                let values = arguments.iter().map(|argument| self.evaluate(argument)).collect::<Result<Vec<_>, _>>()?;
                match (&**name, values.as_slice()) {
                    ("Integer" | "Float", [x]) => *x,
                    ("Rational", [x, y]) => x / y,
                    ("Add", values) => values.iter().sum(),
                    ("Mul", values) => values.iter().product(),
                    ("Pow", [x, y]) => x.powf(*y),
                    ("Max" | "max", [first, rest @ ..]) => rest.iter().copied().fold(*first, f64::max),
                    ("Min" | "min", [first, rest @ ..]) => rest.iter().copied().fold(*first, f64::min),
                    ("Mod" | "PythonMod", [x, y]) => x - (x / y).floor() * y,
                    ("FloorDiv" | "CleanDiv", [x, y]) => (x / y).floor(),
                    ("CeilDiv", [x, y]) => (x / y).ceil(),
                    ("IntTrueDiv" | "FloatTrueDiv", [x, y]) => x / y,
                    ("ModularIndexing", [x, y, m]) => {
                        let quotient = (x / y).floor();
                        quotient - (quotient / m).floor() * m
                    }
                    ("floor" | "FloorToInt", [x]) => x.floor(),
                    ("ceiling" | "CeilToInt", [x]) => x.ceil(),
                    ("TruncToInt" | "TruncToFloat", [x]) => x.trunc(),
                    ("RoundToInt", [x]) => x.round_ties_even(),
                    ("ToFloat" | "Identity", [x]) => *x,
                    ("PowByNatural" | "FloatPow", [x, y]) => x.powf(*y),
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(wrong()),
        })
    }
}

fn parsed(text: &str) -> Result<Expr, String> {
    if text.len() > MAX_EXPRESSION {
        return Err(format!("a size of {} letters; at most {MAX_EXPRESSION} are read", text.len()));
    }
    expression(text).map_err(|error| format!("size {text:?}: {}", error.message))
}

fn whole(value: f64, text: &str) -> Result<i64, String> {
    if value.fract() == 0.0 && value.abs() < 9e15 { Ok(value as i64) } else { Err(format!("size {text:?} is {value}")) }
}

/// The symbol that a size is, if it is nothing but one.
fn symbol(size: &SymInt) -> Option<String> {
    match parsed(&size.as_expr.as_ref()?.expr_str) {
        Ok(Expr::Name(name)) => Some(name.to_string()),
        Ok(Expr::Call(function, arguments, _)) => match (*function, arguments.as_slice()) {
            (Expr::Name(function), [Expr::Str(name), ..]) if *function == *"Symbol" => Some(name.to_string()),
            _ => None,
        },
        _ => None,
    }
}
