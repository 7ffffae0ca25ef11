//! What the code calls beside methods and ATen ops on tensors: arithmetic on numbers, lists, tests, conversions.

use std::rc::Rc;

use derate_core::shape::DataType;

use super::interpret::{Frame, Interpreter, Stop};
use super::value::{Value, number};
use crate::import::aten::tensor::Tensor;
use crate::import::python::Expr;

/// Whether a value is of a type, where that is known.
pub(super) fn is_instance(value: &Value, wanted: Option<&Expr>) -> Value {
    let named = |name: &str| match value {
        Value::Tensor(_) => name == "Tensor",
        Value::None => name == "NoneType",
        Value::Int(_) => name == "int",
        Value::Float(_) => name == "float",
        Value::Bool(_) => name == "bool",
        Value::Str(_) => name == "str",
        Value::List(_) => name == "List" || name == "list",
        Value::Dict(_) => name == "Dict" || name == "dict",
        Value::Tuple(_) | Value::Named(..) => name == "Tuple" || name == "tuple",
        _ => false,
    };
    let one = |wanted: &Expr| match wanted {
        Expr::Name(name) => Some(named(name)),
        Expr::Index(base, _) => match &**base {
            Expr::Name(name) => Some(named(name)),
            _ => None,
        },
        _ => None,
    };
    let truth = match (value, wanted) {
        (Value::Unknown(_), _) | (_, None) => None,
        (_, Some(Expr::Tuple(all) | Expr::List(all))) => {
            all.iter().try_fold(false, |found, wanted| Some(found || one(wanted)?))
        }
        (_, Some(wanted)) => one(wanted),
    };
    truth.map_or_else(|| Value::unknown("a type that is not known"), Value::Bool)
}

impl Interpreter {
    /// Calls `torch.name`, `ops.name`, a function of Python or a method of a tensor or list.
    pub(super) fn builtin(
        &mut self,
        frame: &mut Frame,
        name: &str,
        args: Vec<Value>,
        named: Vec<(Rc<str>, Value)>,
    ) -> Result<Value, Stop> {
        let name = name.strip_prefix("prim.").unwrap_or(name);
        if let Some(value) = self.property(name, &args)? {
            return Ok(value);
        }
        if let Some(value) = self.logic(name, &args) {
            return Ok(value);
        }
        if let Some(Value::List(items)) = args.first() {
            let items = Rc::clone(items);
            if let Some(value) = self.list(name, &items, &args)? {
                return Ok(value);
            }
        }
        if let Some(value) = self.container(name, &args)? {
            return Ok(value);
        }
        if let Some(value) = arithmetic(name, &args) {
            if let Value::Str(word) = &value {
                self.charge(word.len())?;
            }
            return Ok(value);
        }
        if name == "getattr"
            && let [base, Value::Str(attribute)] = args.as_slice()
        {
            return self.attribute(frame, base, attribute);
        }
        Ok(self.aten(frame, name, &args, &named))
    }

    /// What is known of a tensor without computing, and conversions.
    fn property(&mut self, name: &str, args: &[Value]) -> Result<Option<Value>, Stop> {
        Ok(Some(match (name, args) {
            ("RaiseException", args) => {
                let word = args.first().map_or_else(|| "an error".to_owned(), |value| word(value, 4));
                return Err(Stop::Raised(word));
            }
            // The code is followed as at inference.
            ("is_grad_enabled" | "is_autocast_enabled" | "is_autocast_cpu_enabled", _) => Value::Bool(false),
            ("backends.mha.get_fastpath_enabled" | "is_scripting" | "jit.is_scripting", _) => Value::Bool(true),
            (
                "is_cuda" | "is_nested" | "requires_grad" | "is_quantized" | "is_sparse" | "is_mkldnn" | "is_complex"
                | "is_xla" | "is_vulkan" | "is_meta" | "is_mps" | "is_xpu" | "is_cpu" | "is_tracing" | "jit.is_tracing",
                [Value::Tensor(_)] | [],
            ) => Value::Bool(name == "is_cpu"),
            ("set_grad_enabled" | "_set_grad_enabled" | "warn" | "manual_seed" | "_assert" | "Print", _) => Value::None,
            ("device", _) => Value::Str("cpu".into()),
            ("type", [Value::Str(device)]) => Value::Str(Rc::clone(device)),
            ("layout" | "get_device", [Value::Tensor(_)]) => Value::Int(0),
            ("grad", [Value::Tensor(_)]) => Value::None,
            ("dtype", [Value::Tensor(tensor)]) => Value::Int(number(tensor.data_type())),
            ("shape", [Value::Tensor(tensor)]) => {
                Value::list(tensor.extents().iter().map(|&extent| Value::Int(i64::from(extent))).collect())
            }
            ("ndim", [Value::Tensor(tensor)]) => Value::Int(i64::try_from(tensor.rank()).unwrap_or(0)),
            ("NumToTensor", [Value::Float(value)]) => {
                Value::Tensor(Tensor::known(Vec::new(), DataType::Fp32, Some(*value)))
            }
            ("NumToTensor", [value]) => match value.number() {
                Some(value) => Value::Tensor(Tensor::known(Vec::new(), DataType::Int64, Some(value))),
                None => Value::unknown("a number that is not known"),
            },
            ("int" | "Int" | "IntImplicit", [value]) => match (value, value.number()) {
                (Value::Str(word), _) => word.parse().map_or_else(|_| Value::unknown("no integer"), Value::Int),
                (_, Some(value)) => Value::Int(crate::import::aten::argument::truncated(value)),
                _ => Value::unknown("an integer that depends on the input"),
            },
            ("float" | "Float" | "FloatImplicit" | "ScalarImplicit", [value]) => match (value, value.number()) {
                (Value::Str(word), _) => word.parse().map_or_else(|_| Value::unknown("no number"), Value::Float),
                (Value::Int(value), _) if name == "ScalarImplicit" => Value::Int(*value),
                (_, Some(value)) => Value::Float(value),
                _ => Value::unknown("a number that depends on the input"),
            },
            ("bool" | "Bool", [value]) => value.truth().map_or_else(Value::Unknown, Value::Bool),
            ("str", [value]) => Value::Str(word(value, 4).into()),
            ("format", [Value::Str(format), rest @ ..]) => {
                let mut text = String::new();
                let mut rest = rest.iter();
                for (at, part) in format.split("{}").enumerate() {
                    if at > 0 {
                        text.push_str(&rest.next().map_or_else(String::new, |value| word(value, 4)));
                    }
                    text.push_str(part);
                }
                self.charge(text.len())?;
                Value::Str(text.into())
            }
            _ => return Ok(None),
        }))
    }

    /// Tests and comparisons of what is no tensor.
    fn logic(&mut self, name: &str, args: &[Value]) -> Option<Value> {
        let truth =
            |truth: Option<bool>| truth.map_or_else(|| Value::unknown("values that are not known"), Value::Bool);
        Some(match (name, args) {
            ("__not__", [value]) => match value.truth() {
                Ok(value) => Value::Bool(!value),
                Err(why) => Value::Unknown(why),
            },
            ("__is__" | "__isnot__", [a, b]) => {
                let same = match (a, b) {
                    (Value::Unknown(why), _) | (_, Value::Unknown(why)) => return Some(Value::Unknown(Rc::clone(why))),
                    (Value::None, Value::None) => Some(true),
                    (Value::None, _) | (_, Value::None) => Some(false),
                    (Value::Tensor(a), Value::Tensor(b)) => Some(a.is(b)),
                    (a, b) => a.equals(b, 8),
                };
                truth(same.map(|same| same == (name == "__is__")))
            }
            ("__contains__", [Value::List(items), value]) => {
                let items = items.borrow();
                truth(items.iter().try_fold(false, |found, item| Some(found || item.equals(value, 8)?)))
            }
            ("__contains__", [Value::Dict(entries), key]) => {
                let entries = entries.borrow();
                truth(entries.iter().try_fold(false, |found, (own, _)| Some(found || own.equals(key, 8)?)))
            }
            ("eq" | "ne", [a, b]) if !matches!((a, b), (Value::Tensor(_), _) | (_, Value::Tensor(_))) => {
                truth(a.equals(b, 8).map(|equal| equal == (name == "eq")))
            }
            ("len", [Value::Str(word)]) => Value::Int(i64::try_from(word.chars().count()).unwrap_or(0)),
            ("len", [Value::List(items)]) => Value::Int(i64::try_from(items.borrow().len()).unwrap_or(0)),
            ("len", [Value::Dict(entries)]) => Value::Int(i64::try_from(entries.borrow().len()).unwrap_or(0)),
            ("len", [Value::Tuple(items)]) => Value::Int(i64::try_from(items.len()).unwrap_or(0)),
            ("len", [Value::Tensor(tensor)]) => {
                Value::Int(tensor.extents().first().map_or(0, |&extent| i64::from(extent)))
            }
            _ => return None,
        })
    }

    /// Methods and functions of lists.
    fn list(
        &mut self,
        name: &str,
        list: &Rc<std::cell::RefCell<Vec<Value>>>,
        args: &[Value],
    ) -> Result<Option<Value>, Stop> {
        let place = |at: Option<i64>, len: usize| {
            let at = at?;
            let at = if at < 0 { at.checked_add(i64::try_from(len).ok()?)? } else { at };
            usize::try_from(at).ok().filter(|at| *at < len)
        };
        Ok(Some(match (name, args) {
            ("append", [_, item]) => {
                self.charge(1)?;
                list.borrow_mut().push(item.clone());
                args.first().cloned().unwrap_or(Value::None)
            }
            ("extend", [_, Value::List(items)]) => {
                let items = items.borrow().clone();
                self.charge(items.len())?;
                list.borrow_mut().extend(items);
                Value::None
            }
            ("insert", [_, at, item]) => {
                self.charge(1)?;
                let len = list.borrow().len();
                list.borrow_mut().insert(place(at.int(), len).unwrap_or(len), item.clone());
                Value::None
            }
            ("pop", [_, rest @ ..]) => {
                let len = list.borrow().len();
                let at = place(rest.first().map_or(Some(-1), Value::int), len);
                at.map_or_else(|| Value::unknown("an empty list"), |at| list.borrow_mut().remove(at))
            }
            ("clear", _) => {
                list.borrow_mut().clear();
                Value::None
            }
            ("reverse", _) => {
                list.borrow_mut().reverse();
                Value::None
            }
            ("_set_item", [_, at, item]) => {
                let len = list.borrow().len();
                match place(at.int(), len) {
                    Some(at) => {
                        if let Some(place) = list.borrow_mut().get_mut(at) {
                            *place = item.clone();
                        }
                    }
                    None => return Ok(Some(Value::unknown("a place beyond a list"))),
                }
                Value::None
            }
            ("__getitem__", [_, at]) => {
                let items = list.borrow();
                let item = place(at.int(), items.len()).and_then(|at| items.get(at)).cloned();
                item.unwrap_or_else(|| Value::unknown("a place beyond a list"))
            }
            ("slice", [_, rest @ ..]) => {
                let items = list.borrow().clone();
                let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let bound = |at: usize, default: i64| {
                    let value = rest.get(at).and_then(Value::int).unwrap_or(default);
                    let value = if value < 0 { value.saturating_add(len) } else { value };
                    usize::try_from(value.clamp(0, len)).unwrap_or(0)
                };
                let step =
                    rest.get(2).and_then(Value::int).and_then(|step| usize::try_from(step).ok()).unwrap_or(1).max(1);
                let (start, end) = (bound(0, 0), bound(1, len));
                let part: Vec<Value> = items.into_iter().take(end).skip(start).step_by(step).collect();
                self.charge(part.len())?;
                Value::list(part)
            }
            ("list" | "copy", [_]) => {
                let items = list.borrow().clone();
                self.charge(items.len())?;
                Value::list(items)
            }
            ("add" | "add_", [_, Value::List(other)]) => {
                let items = [list.borrow().as_slice(), other.borrow().as_slice()].concat();
                self.charge(items.len())?;
                Value::list(items)
            }
            ("mul", [_, times]) => {
                let items = list.borrow().clone();
                let times = times.int().and_then(|times| usize::try_from(times).ok()).unwrap_or(0);
                self.charge(items.len().saturating_mul(times))?;
                Value::list(items.iter().cycle().take(items.len().saturating_mul(times)).cloned().collect())
            }
            ("any" | "all", [_]) => {
                let want = name == "any";
                let truths = list.borrow().iter().map(Value::truth).collect::<Result<Vec<_>, _>>();
                match truths {
                    Ok(truths) => Value::Bool(truths.contains(&want) == want),
                    Err(why) => Value::Unknown(why),
                }
            }
            ("max" | "min" | "sum", [_]) => {
                let numbers = list.borrow().iter().map(Value::int).collect::<Option<Vec<_>>>();
                let result = numbers.and_then(|numbers| match name {
                    "max" => numbers.into_iter().max(),
                    "min" => numbers.into_iter().min(),
                    _ => numbers.into_iter().try_fold(0_i64, i64::checked_add),
                });
                result.map_or_else(|| Value::unknown("numbers that are not known"), Value::Int)
            }
            _ => return Ok(None),
        }))
    }

    /// Tuples, dictionaries, ranges.
    fn container(&mut self, name: &str, args: &[Value]) -> Result<Option<Value>, Stop> {
        Ok(Some(match (name, args) {
            ("__getitem__", [Value::Tuple(items) | Value::Named(_, items), at]) => {
                let at = at
                    .int()
                    .map(|at| if at < 0 { at.saturating_add(i64::try_from(items.len()).unwrap_or(0)) } else { at });
                let item = at.and_then(|at| usize::try_from(at).ok()).and_then(|at| items.get(at)).cloned();
                item.unwrap_or_else(|| Value::unknown("a place beyond a tuple"))
            }
            ("__getitem__" | "get", [Value::Dict(entries), key, ..]) => {
                let entries = entries.borrow();
                let found =
                    entries.iter().find(|(own, _)| own.equals(key, 8) == Some(true)).map(|(_, value)| value.clone());
                match (found, name) {
                    (Some(value), _) => value,
                    (None, "get") => args.get(2).cloned().unwrap_or(Value::None),
                    _ => Value::unknown("a key that is not there"),
                }
            }
            ("_set_item", [Value::Dict(entries), key, value]) => {
                self.charge(1)?;
                let mut entries = entries.borrow_mut();
                match entries.iter_mut().find(|(own, _)| own.equals(key, 8) == Some(true)) {
                    Some(entry) => entry.1 = value.clone(),
                    None => entries.push((key.clone(), value.clone())),
                }
                Value::None
            }
            ("dict", []) => Value::Dict(Rc::default()),
            ("keys" | "values" | "items", [Value::Dict(entries)]) => {
                let entries = entries.borrow().clone();
                self.charge(entries.len())?;
                let one = |(key, value): (Value, Value)| match name {
                    "keys" => key,
                    "values" => value,
                    _ => Value::Tuple(Rc::new(vec![key, value])),
                };
                Value::list(entries.into_iter().map(one).collect())
            }
            ("__getitem__", [Value::Unknown(why), _]) => Value::Unknown(Rc::clone(why)),
            ("data" | "detach", [value @ Value::Tensor(_)]) => value.clone(),
            _ => return Ok(None),
        }))
    }
}

/// Arithmetic on numbers alone.
fn arithmetic(name: &str, args: &[Value]) -> Option<Value> {
    if let [Value::Str(a), Value::Str(b)] = args
        && name == "add"
    {
        return Some(Value::Str(format!("{a}{b}").chars().take(10_000).collect::<String>().into()));
    }
    if !args.iter().all(|value| matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_))) {
        return None;
    }
    let whole = |value: f64| Value::Int(crate::import::aten::argument::truncated(value));
    let wrong = || Value::unknown("a division by zero, or an integer of more than 64 bits");
    Some(match *args {
        [ref a] => match (name, a.number()?, a.int()) {
            ("neg", _, Some(a)) => a.checked_neg().map_or_else(wrong, Value::Int),
            ("neg", a, _) => Value::Float(-a),
            ("abs", _, Some(a)) => a.checked_abs().map_or_else(wrong, Value::Int),
            ("abs", a, _) => Value::Float(a.abs()),
            ("floor", a, _) => whole(a.floor()),
            ("ceil", a, _) => whole(a.ceil()),
            ("round", a, _) => Value::Float(a.round_ties_even()),
            ("sqrt", a, _) => Value::Float(a.sqrt()),
            ("exp", a, _) => Value::Float(a.exp()),
            ("log", a, _) => Value::Float(a.ln()),
            ("isfinite", a, _) => Value::Bool(a.is_finite()),
            ("isnan", a, _) => Value::Bool(a.is_nan()),
            _ => return None,
        },
        [ref a, ref b] => {
            let (x, y) = (a.number()?, b.number()?);
            let compared = match name {
                "lt" => Some(x < y),
                "le" => Some(x <= y),
                "gt" => Some(x > y),
                "ge" => Some(x >= y),
                "__and__" => Some(x != 0.0 && y != 0.0),
                "__or__" => Some(x != 0.0 || y != 0.0),
                "__xor__" => Some((x != 0.0) != (y != 0.0)),
                _ => None,
            };
            if let Some(truth) = compared {
                return Some(Value::Bool(truth));
            }
            match (name, a.int(), b.int()) {
                ("add", Some(a), Some(b)) => a.checked_add(b).map_or_else(wrong, Value::Int),
                ("sub", Some(a), Some(b)) => a.checked_sub(b).map_or_else(wrong, Value::Int),
                ("mul", Some(a), Some(b)) => a.checked_mul(b).map_or_else(wrong, Value::Int),
                ("floordiv" | "floor_divide", Some(a), Some(b)) => {
                    floored(a, b).map_or_else(wrong, |(floor, _)| Value::Int(floor))
                }
                ("remainder", Some(a), Some(b)) => floored(a, b).map_or_else(wrong, |(_, rest)| Value::Int(rest)),
                ("max", Some(a), Some(b)) => Value::Int(a.max(b)),
                ("min", Some(a), Some(b)) => Value::Int(a.min(b)),
                ("pow", Some(a), Some(b)) if b >= 0 => {
                    u32::try_from(b).ok().and_then(|b| a.checked_pow(b)).map_or_else(wrong, Value::Int)
                }
                ("add", ..) => Value::Float(x + y),
                ("sub", ..) => Value::Float(x - y),
                ("mul", ..) => Value::Float(x * y),
                ("div" | "truediv", ..) => Value::Float(x / y),
                ("floordiv" | "floor_divide", ..) => Value::Float((x / y).floor()),
                ("remainder", ..) => Value::Float(x - (x / y).floor() * y),
                ("pow", ..) => Value::Float(x.powf(y)),
                ("max", ..) => Value::Float(x.max(y)),
                ("min", ..) => Value::Float(x.min(y)),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Quotient and rest as in Python: rounded down, the rest with the sign of the divisor.
fn floored(a: i64, b: i64) -> Option<(i64, i64)> {
    let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    Some(if rest != 0 && (rest < 0) != (b < 0) {
        (quotient.checked_sub(1)?, rest.checked_add(b)?)
    } else {
        (quotient, rest)
    })
}

/// A value as a message shows it.
fn word(value: &Value, depth: u8) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Str(word) => word.to_string(),
        Value::List(items) => match depth.checked_sub(1) {
            Some(depth) => {
                let words: Vec<String> = items.borrow().iter().take(16).map(|item| word(item, depth)).collect();
                format!("[{}]", words.join(", "))
            }
            None => "[…]".to_owned(),
        },
        Value::Tensor(tensor) => format!("a tensor {:?}", tensor.extents()),
        _ => "…".to_owned(),
    }
}
