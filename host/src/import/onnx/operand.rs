//! Operands of a node: tensors, weights, known numbers; and how a stored tensor enters the graph.

use std::ops::ControlFlow;
use std::rc::Rc;

use derate_core::op::{Op, View};
use derate_core::shape::DataType;
use derate_core::tensor::{TensorId, TensorKind};

use super::call::{Call, Stop, unsupported, wrong};
use super::graph::{Importer, shape};
use super::value::{Elements, Stored, Value, is_float};

/// Elements of a stored tensor that are looked at to tell a mask from a parameter.
const LOOKED_AT: u64 = 1 << 16;

/// Key of weights that are computed: held, and so never counted with the layer that reads them.
const COMPUTED: &str = "";

/// Weights of a layer.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) dims: Vec<u32>,
    /// How they are stored, where not as the layer's operand.
    pub(super) stored_as: Option<DataType>,
    /// The initializer; `None` for weights that the graph computes.
    pub(super) key: Option<String>,
}

impl Importer {
    /// A value that a node reads.
    pub(super) fn operand(&self, call: &Call<'_>, position: usize) -> Result<Value, Stop> {
        match call.input(position).and_then(|name| self.value(name)) {
            Some(value) => Ok(value.clone()),
            None => wrong(format!("it has no input {position}")),
        }
    }

    /// A value that a node may read.
    pub(super) fn optional(&self, call: &Call<'_>, position: usize) -> Option<Value> {
        call.input(position).and_then(|name| self.value(name)).cloned()
    }

    /// An operand that is stored.
    pub(super) fn stored(&self, call: &Call<'_>, position: usize) -> Option<Rc<Stored>> {
        match self.optional(call, position) {
            Some(Value::Stored(stored)) => Some(stored),
            _ => None,
        }
    }

    /// Extents of an operand.
    pub(super) fn dims(&self, call: &Call<'_>, position: usize) -> Result<Vec<u32>, Stop> {
        let value = self.operand(call, position)?;
        self.dims_of(&value).ok_or_else(|| Stop::Unsupported(format!("the shape of its input {position} is not known")))
    }

    /// An operand as a tensor of the graph.
    pub(super) fn tensor(&mut self, call: &Call<'_>, position: usize) -> Result<TensorId, Stop> {
        match self.operand(call, position)? {
            Value::Tensor(id) => Ok(id),
            Value::Stored(stored) => self.enter(call, &stored, may_be_learned(call, position, &stored)),
            Value::Unknown(reason) => unsupported(reason),
        }
    }

    /// A stored tensor as a tensor of the graph: a parameter, or a constant.
    pub(super) fn enter(&mut self, call: &Call<'_>, stored: &Rc<Stored>, learned: bool) -> Result<TensorId, Stop> {
        if stored.elements() == 0 {
            return unsupported(format!("its operand {} has no elements", stored.name));
        }
        if let Some((whole, op)) = &stored.part {
            let whole = self.enter(call, whole, learned)?;
            let name = format!("{}/part", stored.name);
            return Ok(self.builder.op(&name, *op, &[whole])?);
        }
        let key = format!("{}\u{0}{}", stored.name, stored.data_type.name());
        if let Some(&id) = self.entered.get(&key) {
            let view = Op::View(View { shape: shape(&stored.dims)? });
            return if self.extents(id) == stored.dims {
                Ok(id)
            } else {
                Ok(self.builder.op(&format!("{}/view", call.name()), view, &[id])?)
            };
        }
        let learned = learned && stored.learned && !is_table(stored);
        // What a layer holds is not counted a second time.
        let kind =
            if learned && !self.builder.hold(&stored.name) { TensorKind::Parameter } else { TensorKind::Constant };
        let id = self.builder.source(&stored.name, &stored.dims, stored.data_type, kind)?;
        self.entered.insert(key, id);
        Ok(id)
    }

    /// Known integers of an operand; `None` where it is left out.
    pub(super) fn numbers(&self, call: &Call<'_>, position: usize) -> Result<Option<Vec<i64>>, Stop> {
        Ok(self.known(call, position)?.map(|elements| elements.ints()))
    }

    /// Known elements of an operand; `None` where it is left out.
    pub(super) fn known(&self, call: &Call<'_>, position: usize) -> Result<Option<Rc<Elements>>, Stop> {
        let name = call.input(position).unwrap_or_default();
        match self.optional(call, position) {
            None => Ok(None),
            Some(Value::Stored(stored)) => match stored.known() {
                Some(elements) => Ok(Some(elements)),
                None => unsupported(format!("the values of its input {name} are not known here")),
            },
            Some(Value::Tensor(_)) => unsupported(format!("its shape depends on data: its input {name} is computed")),
            Some(Value::Unknown(reason)) => unsupported(reason),
        }
    }

    /// Known integers that an attribute gives in older opsets, and an operand in newer ones.
    pub(super) fn numbers_or(
        &self,
        call: &Call<'_>,
        attribute: &str,
        position: usize,
    ) -> Result<Option<Vec<i64>>, Stop> {
        match call.ints(attribute)? {
            Some(values) => Ok(Some(values)),
            None => self.numbers(call, position),
        }
    }

    /// Weights of a layer that computes in the type of `operand`.
    pub(super) fn weights(&self, call: &Call<'_>, position: usize, operand: TensorId) -> Result<Weights, Stop> {
        let computes_in = self.builder.data_type(operand);
        let value = self.operand(call, position)?;
        let Some(dims) = self.dims_of(&value) else { return unsupported("the shape of its weights is not known") };
        if dims.contains(&0) {
            return wrong(format!("its weights have shape {dims:?}; extents must be positive"));
        }
        Ok(match value {
            Value::Stored(stored) => Weights {
                dims,
                stored_as: Some(stored.storage).filter(|storage| *storage != computes_in),
                key: Some(stored.name.clone()),
            },
            _ => Weights { dims, stored_as: None, key: None },
        })
    }

    /// Adds a layer with these weights; those that a stored tensor of the graph, or an earlier layer, holds are shared with it.
    pub(super) fn emit_weighted(
        &mut self,
        call: &Call<'_>,
        op: Op,
        operands: &[TensorId],
        key: Option<&str>,
    ) -> Result<TensorId, Stop> {
        if key.is_none() {
            self.builder.hold(COMPUTED);
        }
        Ok(self.builder.op_with_weights(call.name(), op, operands, key.unwrap_or(COMPUTED))?)
    }

    /// Whether a bias can be part of a layer: where the weights are shared, the bias must be shared too, or be added apart.
    pub(super) fn bias_joins(&mut self, weights: &Weights, bias: &Stored) -> bool {
        let shared = weights.key.as_deref().is_none_or(|key| self.builder.holds(key));
        !shared || self.builder.holds(&bias.name) || !bias.learned
    }
}

/// Whether an operand at this position may be a parameter: not what is subtracted, divided by, compared or chosen by.
pub(super) fn may_be_learned(call: &Call<'_>, position: usize, stored: &Stored) -> bool {
    match call.op() {
        // One number is a parameter by its name: it may well divide.
        "Sub" | "Div" | "Pow" if stored.elements() == 1 => true,
        "QuantizeLinear" | "DequantizeLinear" => position == 0 || stored.elements() > 1,
        "Sub" | "Div" | "Pow" | "Mod" | "Min" | "Max" | "Equal" | "Less" | "Greater" | "LessOrEqual"
        | "GreaterOrEqual" | "OneHot" | "Range" | "CumSum" => false,
        "Where" => position > 0,
        "Resize" | "Pad" | "Clip" | "ScatterND" | "ScatterElements" | "Scatter" => position == 0,
        _ => true,
    }
}

/// Whether the values are those of a mask, or of a table of sines: stored, but never learned.
pub(super) fn is_table(stored: &Stored) -> bool {
    if !is_float(stored.data_type) {
        return true;
    }
    let last = stored.name.rsplit(['.', '/', '_', ':']).next().unwrap_or_default();
    if matches!(last, "cos" | "sin" | "freq" | "freqs") || stored.name.ends_with("_cached") {
        return true;
    }
    // A first look at little decides for nearly all: parameters hold other values than masks from the start.
    let Some(Elements::Float(first)) = stored.read(64) else { return false };
    if is_waves(stored) {
        return true;
    }
    if mask(&first).is_break() {
        return false;
    }
    match stored.read(LOOKED_AT) {
        Some(Elements::Float(values)) => mask(&values) == ControlFlow::Continue(true),
        _ => false,
    }
}

/// Whether values are zeros and large negative numbers, and some of each kind are there; breaks at the first that is neither.
fn mask(values: &[f64]) -> ControlFlow<(), bool> {
    let mut masked = false;
    for &value in values {
        if value <= -50.0 {
            masked = true;
        } else if value != 0.0 {
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(masked)
}

/// Whether rows are pairs of a sine and a cosine of the same angle: neighbours, or halves of the row.
fn is_waves(stored: &Stored) -> bool {
    let Some(&width) = stored.dims.last() else { return false };
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    if width < 4 || !width.is_multiple_of(2) || stored.elements() < 2 * width as u64 {
        return false;
    }
    let Some(Elements::Float(values)) = stored.read(8 * width as u64) else { return false };
    let unit = |x: f64, y: f64| (x * x + y * y - 1.0).abs() < 1e-3;
    values.chunks_exact(width).all(|row| {
        let (first, second) = row.split_at(width / 2);
        row.chunks_exact(2).all(|pair| matches!(pair, [x, y] if unit(*x, *y)))
            || first.iter().zip(second).all(|(x, y)| unit(*x, *y))
    })
}
