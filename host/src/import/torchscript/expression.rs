//! Expressions of the code: names, operators, calls.

use std::rc::Rc;

use super::code::Item;
use super::interpret::{Frame, Interpreter, Stop};
use super::pickle::Node;
use super::value::Value;
use crate::import::python::Expr;

impl Interpreter {
    pub(super) fn eval(&mut self, frame: &mut Frame, expr: &Expr) -> Result<Value, Stop> {
        self.step()?;
        Ok(match expr {
            Expr::Int(value) => Value::Int(*value),
            Expr::Float(value) => Value::Float(*value),
            Expr::Str(word) => Value::Str(Rc::clone(word)),
            Expr::Name(name) => match frame.variables.get(name) {
                Some(value) => value.clone(),
                None => match &**name {
                    "True" => Value::Bool(true),
                    "False" => Value::Bool(false),
                    "None" => Value::None,
                    "inf" => Value::Float(f64::INFINITY),
                    "nan" => Value::Float(f64::NAN),
                    other => Value::unknown(format!("{other} is not set")),
                },
            },
            Expr::Attribute(base, name) => match dotted(expr) {
                Some(dotted) => self.global(&dotted)?,
                None => {
                    let base = self.eval(frame, base)?;
                    self.attribute(frame, &base, name)?
                }
            },
            Expr::List(items) => Value::list(self.all(frame, items)?),
            Expr::Tuple(items) => Value::Tuple(Rc::new(self.all(frame, items)?)),
            Expr::Dict(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    values.push((self.eval(frame, key)?, self.eval(frame, value)?));
                }
                Value::Dict(Rc::new(std::cell::RefCell::new(values)))
            }
            Expr::Index(base, index) => {
                let (base, index) = (self.eval(frame, base)?, self.eval(frame, index)?);
                self.builtin(frame, "__getitem__", vec![base, index], Vec::new())?
            }
            Expr::Choice(condition, then, otherwise) => match self.eval(frame, condition)?.truth() {
                Ok(truth) => self.eval(frame, if truth { then } else { otherwise })?,
                Err(why) => Value::Unknown(why),
            },
            Expr::Unary(operator, inner) => {
                let inner = self.eval(frame, inner)?;
                let name = match *operator {
                    "-" => "neg",
                    "not" => "__not__",
                    "~" => "bitwise_not",
                    _ => return Ok(inner),
                };
                self.builtin(frame, name, vec![inner], Vec::new())?
            }
            Expr::Binary(operator, left, right) => {
                let left = self.eval(frame, left)?;
                if let ("and" | "or", Ok(truth)) = (*operator, left.truth()) {
                    return if truth == (*operator == "and") { self.eval(frame, right) } else { Ok(left) };
                }
                let right = self.eval(frame, right)?;
                let name = match *operator {
                    "+" => "add",
                    "-" => "sub",
                    "*" => "mul",
                    "/" => "div",
                    "//" => "floordiv",
                    "%" => "remainder",
                    "**" => "pow",
                    "==" => "eq",
                    "!=" => "ne",
                    "<" => "lt",
                    "<=" => "le",
                    ">" => "gt",
                    ">=" => "ge",
                    "@" => "matmul",
                    "&" => "__and__",
                    "|" => "__or__",
                    "^" => "__xor__",
                    "is" => "__is__",
                    "is not" => "__isnot__",
                    "in" => return self.builtin(frame, "__contains__", vec![right, left], Vec::new()),
                    other => return Ok(Value::unknown(format!("operator {other}"))),
                };
                self.builtin(frame, name, vec![left, right], Vec::new())?
            }
            Expr::Call(callee, positional, named) => self.call(frame, callee, positional, named)?,
        })
    }

    fn all(&mut self, frame: &mut Frame, exprs: &[Expr]) -> Result<Vec<Value>, Stop> {
        self.charge(exprs.len())?;
        exprs.iter().map(|expr| self.eval(frame, expr)).collect()
    }

    fn call(
        &mut self,
        frame: &mut Frame,
        callee: &Expr,
        positional: &[Expr],
        named: &[(Rc<str>, Expr)],
    ) -> Result<Value, Stop> {
        if let Expr::Name(name) = callee
            && !frame.variables.contains_key(name)
        {
            // The first argument of these is a type.
            let after_type = match &**name {
                "annotate" | "unchecked_cast" => positional.get(1),
                "uninitialized" => return Ok(Value::unknown("it is never set")),
                "isinstance" => {
                    let value = positional.first().map_or(Ok(Value::None), |value| self.eval(frame, value))?;
                    return Ok(super::builtin::is_instance(&value, positional.get(1)));
                }
                _ => None,
            };
            if let Some(value) = after_type {
                return self.eval(frame, value);
            }
            let values = self.all(frame, positional)?;
            return self.builtin(frame, name, values, Vec::new());
        }
        let positional = self.all(frame, positional)?;
        let mut by_name = Vec::with_capacity(named.len());
        for (name, value) in named {
            by_name.push((Rc::clone(name), self.eval(frame, value)?));
        }
        if let Some(dotted) = dotted(callee) {
            if let Some(name) = dotted.strip_prefix("torch.").or_else(|| dotted.strip_prefix("ops.")) {
                let name = name.strip_prefix("aten.").unwrap_or(name);
                return self.builtin(frame, name, positional, by_name);
            }
            let callee = self.global(&dotted)?;
            return self.apply(frame, &callee, positional, by_name);
        }
        if let Expr::Attribute(base, name) = callee {
            let base = self.eval(frame, base)?;
            if let Value::Object(id, path) = &base {
                return self.method(*id, path, name, positional, by_name);
            }
            if !matches!(base, Value::Item(_)) {
                let all = [base].into_iter().chain(positional).collect();
                return self.builtin(frame, name, all, by_name);
            }
        }
        let callee = self.eval(frame, callee)?;
        self.apply(frame, &callee, positional, by_name)
    }

    fn apply(
        &mut self,
        frame: &Frame,
        callee: &Value,
        positional: Vec<Value>,
        named: Vec<(Rc<str>, Value)>,
    ) -> Result<Value, Stop> {
        match callee {
            Value::Method(object, path, name) => self.method(*object, path, name, positional, named),
            Value::Item(name) => match self.code.item(&mut self.archive, name)? {
                Some(Item::Function(function)) => {
                    let path = Rc::clone(&frame.path);
                    self.function(&function, &path, positional, named)
                }
                Some(Item::Class(class)) if class.is_tuple => {
                    Ok(Value::Named(Rc::new(class.fields.clone()), Rc::new(positional)))
                }
                Some(Item::Class(_)) => Ok(Value::unknown(format!("an object of {name} is made"))),
                None => Ok(Value::unknown(format!("{name} is not in the file"))),
            },
            Value::Unknown(why) => Ok(Value::Unknown(Rc::clone(why))),
            _ => Ok(Value::unknown("something is called that is no function")),
        }
    }

    /// A name that starts at `__torch__` or `CONSTANTS`.
    fn global(&mut self, dotted: &str) -> Result<Value, Stop> {
        if let Some(number) = dotted.strip_prefix("CONSTANTS.c") {
            let at = number.parse::<usize>().ok();
            let constant = match self.constants.node(self.constants.root()) {
                Node::Tuple(items) | Node::List(items) => at.and_then(|at| items.get(at)).copied(),
                _ => None,
            };
            return Ok(match constant {
                Some(id) => self.loaded(id, true, &dotted.into(), false, 8)?,
                None => Value::unknown(format!("{dotted} is not in the file")),
            });
        }
        if let Some((class, member)) = dotted.rsplit_once('.')
            && let Some(Item::Class(class)) = self.code.item(&mut self.archive, class)?
            && class.is_enum
            && let Some(value) = class.constants.get(member).cloned()
        {
            return self.eval(&mut Frame::default(), &value);
        }
        Ok(Value::Item(dotted.into()))
    }
}

/// The dotted name of an expression that starts at a namespace.
pub(super) fn dotted(expr: &Expr) -> Option<String> {
    let mut parts = Vec::new();
    let mut at = expr;
    while let Expr::Attribute(base, name) = at {
        parts.push(&**name);
        at = base;
    }
    match at {
        Expr::Name(root) if matches!(&**root, "torch" | "ops" | "__torch__" | "CONSTANTS") && !parts.is_empty() => {
            parts.push(root);
            parts.reverse();
            Some(parts.join("."))
        }
        _ => None,
    }
}
