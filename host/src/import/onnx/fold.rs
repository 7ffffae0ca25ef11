//! Nodes that depend on no input: shape arithmetic, constants, weights under another shape or type.

mod arithmetic;
mod arrange;

pub(super) use arrange::flatten_axis;

use std::rc::Rc;

use derate_core::op::{Move, MoveKind, Op};
use derate_core::shape::DataType;

use super::call::{Call, Stop, axis, data_type};
use super::graph::{Importer, Outputs, shape};
use super::layout::{slice_ranges, split_sizes};
use super::operand::{is_table, may_be_learned};
use super::value::{Data, Elements, KNOWN, Stored, Value, elements, is_float};

/// What is computed: extents, type, and elements where there are few.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) dims: Vec<u32>,
    pub(super) data_type: DataType,
    pub(super) values: Option<Elements>,
}

/// Elements up to which a stored float tensor may be a list of scales or sizes rather than a parameter.
const FEW: u64 = 16;

/// Nodes that give other values at each run.
const RANDOM: [&str; 6] =
    ["RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"];

impl Importer {
    /// What a node gives if that can be told before the network runs; `None` where an op must run.
    pub(super) fn fold(&mut self, call: &Call<'_>) -> Result<Option<Vec<Value>>, Stop> {
        if let Some(value) = self.without_data(call)? {
            return Ok(Some(vec![value]));
        }
        let mut stored = Vec::new();
        for position in 0..call.node.input.len() {
            match self.optional(call, position) {
                Some(Value::Stored(value)) => stored.push(Some(value)),
                None => stored.push(None),
                Some(_) => return Ok(None),
            }
        }
        if !stored.iter().any(Option::is_some) || RANDOM.contains(&call.op()) {
            return Ok(None);
        }
        if let Some(weight) = self.same_weight(call, &stored)? {
            return Ok(Some(vec![Value::Stored(Rc::new(weight))]));
        }
        let learned = || {
            (0..).zip(&stored).filter_map(|(position, value)| {
                let value = value.as_ref()?;
                let quantized = call.op() == "Gather" && position == 0 && is_quantized_table(value);
                (quantized || value.learned && may_be_learned(call, position, value)).then_some(value)
            })
        };
        if learned().any(|value| value.elements() > FEW) {
            return self.parts(call, &stored);
        }
        let constants = match self.evaluate(call, &stored)? {
            Some(constants) => constants,
            // Not computed here, but its shape follows from the op's own rule.
            None => match self.aside(|importer| {
                let outputs = importer.standard(call)?;
                let describe = |value: &Value| match value {
                    Value::Tensor(id) => {
                        Some((importer.builder.shape(*id).extents().to_vec(), importer.builder.data_type(*id)))
                    }
                    Value::Stored(stored) => Some((stored.dims.clone(), stored.data_type)),
                    Value::Unknown(_) => None,
                };
                let described = outputs.iter().map(describe).collect::<Option<Vec<_>>>();
                described.ok_or_else(|| Stop::Unsupported("a shape is not known".to_owned()))
            }) {
                Ok(found) => {
                    found.into_iter().map(|(dims, data_type)| Constant { dims, data_type, values: None }).collect()
                }
                Err(_) => return Ok(None),
            },
        };
        // What is computed from frequencies or masks is no more learned than they are.
        // What is computed from one learned number is still that number.
        let number = learned().find(|value| value.elements() == 1 && !is_table(value)).map(|value| value.name.clone());
        let learned = learned().any(|value| !is_table(value));
        let values = constants.into_iter().enumerate().map(|(position, constant)| {
            let one = elements(&constant.dims) == 1;
            let number = number.as_ref().filter(|_| one);
            let learned = learned && is_float(constant.data_type) && (number.is_some() || !one);
            let own = || call.output(position).unwrap_or_default().to_owned();
            Value::Stored(Rc::new(Stored {
                name: number.cloned().unwrap_or_else(own),
                dims: constant.dims,
                data_type: constant.data_type,
                storage: constant.data_type,
                learned,
                part: None,
                data: constant.values.map_or_else(Data::none, Data::from_elements),
            }))
        });
        Ok(Some(values.collect()))
    }

    /// Nodes whose result needs no data of any operand.
    fn without_data(&mut self, call: &Call<'_>) -> Result<Option<Value>, Stop> {
        let name = call.output(0).unwrap_or_default();
        Ok(Some(match call.op() {
            "Constant" => self.constant(call, name)?,
            "Shape" => {
                let dims = self.dims(call, 0)?;
                let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
                let clamp = |at: i64| {
                    let at = if at < 0 { at.saturating_add(rank) } else { at };
                    usize::try_from(at.clamp(0, rank)).unwrap_or(0)
                };
                let (start, end) = (clamp(call.int("start", 0)?), clamp(call.int("end", rank)?));
                let taken = dims.get(start..end.max(start)).unwrap_or_default();
                Value::Stored(Rc::new(Stored::vector(name, taken.iter().map(|&extent| i64::from(extent)).collect())))
            }
            "Size" => {
                let count = i64::try_from(elements(&self.dims(call, 0)?)).unwrap_or(i64::MAX);
                Value::Stored(Rc::new(Stored::constant(name, Vec::new(), DataType::Int64, Elements::Int(vec![count]))))
            }
            "Identity" | "Dropout" => self.operand(call, 0)?,
            // A conversion to the type that a tensor has already.
            "Cast" => {
                let to = data_type(i32::try_from(call.int("to", 0)?).unwrap_or(0));
                match self.operand(call, 0)? {
                    Value::Tensor(id) if to == Ok(self.builder.data_type(id)) => Value::Tensor(id),
                    _ => return Ok(None),
                }
            }
            "CastLike" => match (self.operand(call, 0)?, self.operand(call, 1)?) {
                (Value::Tensor(id), Value::Tensor(like))
                    if self.builder.data_type(id) == self.builder.data_type(like) =>
                {
                    Value::Tensor(id)
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    fn constant(&mut self, call: &Call<'_>, name: &str) -> Result<Value, Stop> {
        if let Some(tensor) = call.tensor("value")? {
            return Ok(match self.tensor_of(name, tensor).map_err(Stop::Wrong)? {
                Ok(stored) => Value::Stored(Rc::new(stored)),
                Err(reason) => Value::Unknown(reason),
            });
        }
        let count = |len: usize| vec![u32::try_from(len).unwrap_or(u32::MAX)];
        let stored = if call.has("value_int") {
            let values = Elements::Int(vec![call.int("value_int", 0)?]);
            Stored::constant(name, Vec::new(), DataType::Int64, values)
        } else if let Some(value) = call.float("value_float")? {
            Stored::constant(name, Vec::new(), DataType::Fp32, Elements::Float(vec![f64::from(value)]))
        } else if let Some(values) = call.ints("value_ints")? {
            Stored::constant(name, count(values.len()), DataType::Int64, Elements::Int(values))
        } else if let Some(values) = call.floats("value_floats")? {
            let dims = count(values.len());
            let values = values.into_iter().map(f64::from).collect();
            Stored::constant(name, dims, DataType::Fp32, Elements::Float(values))
        } else {
            return Ok(Value::Unknown(format!("{name} is a constant of text, or stored sparse")));
        };
        Ok(Value::Stored(Rc::new(stored)))
    }

    /// A stored weight under another shape, type or range: it stays that weight.
    fn same_weight(&self, call: &Call<'_>, stored: &[Option<Rc<Stored>>]) -> Result<Option<Stored>, Stop> {
        let quantization = matches!(call.op(), "DequantizeLinear" | "QuantizeLinear");
        let arranged =
            matches!(call.op(), "Transpose" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Cast" | "CastLike");
        let unary = arithmetic::is_unary(call.op());
        let binary = arithmetic::is_binary(call.op());
        // Some elements of it replaced, as where a part of a bias must be 0.
        let scattered = matches!(call.op(), "ScatterND" | "ScatterElements" | "Scatter");
        if !(quantization || arranged || unary || binary || scattered) {
            return Ok(None);
        }
        let candidates = if binary { stored } else { stored.get(..1).unwrap_or_default() };
        let mut weights = candidates.iter().flatten().filter(|value| value.learned || quantization);
        let (Some(weight), None) = (weights.next(), weights.next()) else { return Ok(None) };
        if weight.elements() <= 1 {
            return Ok(None);
        }
        let result = match self.evaluate(call, stored)? {
            Some(constants) => constants.into_iter().next(),
            None => None,
        };
        let result = match result {
            Some(result) => result,
            None if quantization => {
                let to = if call.op() == "QuantizeLinear" {
                    DataType::Int8
                } else {
                    stored.get(1).and_then(Option::as_ref).map_or(DataType::Fp32, |scale| scale.data_type)
                };
                Constant { dims: weight.dims.clone(), data_type: to, values: None }
            }
            None if unary || binary || scattered => {
                Constant { dims: weight.dims.clone(), data_type: weight.data_type, values: None }
            }
            None => return Ok(None),
        };
        if elements(&result.dims) != weight.elements() {
            return Ok(None);
        }
        // What is quantized here is stored with 8 bits by whoever runs the network.
        let storage = if call.op() == "QuantizeLinear" { result.data_type } else { weight.storage };
        Ok(Some(Stored {
            name: weight.name.clone(),
            dims: result.dims,
            data_type: result.data_type,
            storage,
            learned: true,
            part: None,
            data: result.values.map_or_else(Data::none, Data::from_elements),
        }))
    }

    /// Stored weights one after the other: one weight, of as many elements.
    fn joined(&self, call: &Call<'_>, stored: &[Option<Rc<Stored>>]) -> Result<Option<Vec<Value>>, Stop> {
        let Some(constants) = self.evaluate(call, stored)? else { return Ok(None) };
        let storage = stored.iter().flatten().next().map(|first| first.storage);
        let weights = constants.into_iter().map(|constant| {
            Value::Stored(Rc::new(Stored {
                name: call.output(0).unwrap_or_default().to_owned(),
                dims: constant.dims,
                data_type: constant.data_type,
                storage: storage.unwrap_or(constant.data_type),
                learned: true,
                part: None,
                data: constant.values.map_or_else(Data::none, Data::from_elements),
            }))
        });
        Ok(Some(weights.collect()))
    }

    /// Parts of a stored weight: each is a weight of its own where a layer takes it, and a slice of the whole elsewhere.
    fn parts(&self, call: &Call<'_>, stored: &[Option<Rc<Stored>>]) -> Result<Option<Vec<Value>>, Stop> {
        if call.op() == "Concat" {
            return self.joined(call, stored);
        }
        let Some(whole) = stored.first().and_then(Option::as_ref) else { return Ok(None) };
        let rank = whole.dims.len();
        let parts: Vec<Vec<u32>> = match call.op() {
            "Split" => {
                let along = call.axis("axis", 0, rank)?;
                let sizes = split_sizes(self, call, whole.dims.get(along).copied().unwrap_or(0))?;
                let part = |size| {
                    let mut dims = whole.dims.clone();
                    if let Some(extent) = dims.get_mut(along) {
                        *extent = size;
                    }
                    dims
                };
                sizes.into_iter().map(part).collect()
            }
            "Slice" => {
                let ranges = slice_ranges(self, call, &whole.dims)?;
                vec![ranges.iter().map(|range| range.count).collect()]
            }
            // One row: the index is taken away with the axis.
            "Gather" => {
                let along = axis(call.int("axis", 0)?, rank)?;
                let index = stored.get(1).and_then(Option::as_ref);
                if along != 0 || index.is_none_or(|index| index.elements() != 1 || !index.dims.is_empty()) {
                    return Ok(None);
                }
                vec![whole.dims.get(1..).unwrap_or_default().to_vec()]
            }
            _ => return Ok(None),
        };
        if parts.iter().any(|dims| dims.contains(&0)) {
            return Ok(None);
        }
        let part = |(position, dims): (usize, Vec<u32>)| -> Result<Value, Stop> {
            let kind = if dims.len() == rank { MoveKind::Slice } else { MoveKind::Unfold };
            let op = Op::Move(Move { kind, shape: shape(&dims)? });
            let name = call.output(position).unwrap_or_default().to_owned();
            let part = Some((Rc::clone(whole), op));
            let learned = elements(&dims) > 1 && whole.learned;
            let (data_type, storage) = (whole.data_type, whole.storage);
            Ok(Value::Stored(Rc::new(Stored { name, dims, data_type, storage, learned, part, data: Data::none() })))
        };
        Ok(Some(parts.into_iter().enumerate().map(part).collect::<Result<_, _>>()?))
    }

    /// What the node gives on these constants; `None` where that is not computed here.
    fn evaluate(&self, call: &Call<'_>, stored: &[Option<Rc<Stored>>]) -> Result<Option<Vec<Constant>>, Stop> {
        if let Some(constants) = arrange::evaluate(self, call, stored)? {
            return Ok(Some(constants));
        }
        Ok(arithmetic::evaluate(call, stored)?.map(|constant| vec![constant]))
    }

    /// An alias, as [`Importer::fold`] gives it, counted.
    pub(super) fn alias(&mut self, value: Value) -> Outputs {
        self.builder.bookkeeping();
        Ok(vec![value])
    }
}

/// A constant, with its elements where there are few.
fn constant(dims: Vec<u32>, data_type: DataType, values: impl FnOnce() -> Option<Elements>) -> Constant {
    let values = if few(&dims) { values() } else { None };
    Constant { dims, data_type, values }
}

/// Whether a matrix has the form of a table of quantized vectors.
fn is_quantized_table(table: &Stored) -> bool {
    table.data_type == DataType::Int8 && table.dims.len() == 2
}

/// Whether all elements of this shape are few enough to compute with.
fn few(dims: &[u32]) -> bool {
    elements(dims) <= KNOWN && dims.iter().all(|&extent| u64::from(extent) <= KNOWN)
}
