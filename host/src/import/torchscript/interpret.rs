//! Following the code: statements, calls, attributes. What is not known stays unknown, and says why when something reads it.

use std::collections::HashMap;
use std::rc::Rc;

use derate_core::shape::DataType;

use super::code::{ClassCode, Code, Item};
use super::pickle::{Id, Node, Pickle};
use super::value::{Value, arguments};
use crate::import::aten::tensor::Tensor;
use crate::import::aten::{Lowering, Stored, named_data_type};
use crate::import::python::{Expr, Function, Statement, Target};
use crate::import::torch_archive::Archive;
use crate::import::{Import, ImportError, Options};

/// Most calls within each other.
const MAX_CALLS: usize = 150;
/// Most expressions that are evaluated.
const MAX_STEPS: u64 = 2_000_000;
/// Most items of all lists, and letters of all words, together.
const MAX_ITEMS: usize = 1_000_000;

/// Most bytes of a constant whose one value is read.
const MAX_CONSTANT: u64 = 1 << 20;

/// Why following the code ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// The code raises an error.
    Raised(String),
    /// The file is not what it should be.
    Fatal(ImportError),
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Fatal(error)
    }
}

/// What a statement leads to.
enum Flow {
    Next,
    Return(Value),
}

/// The variables of a call.
#[derive(Debug, Default)]
pub(super) struct Frame {
    variables: HashMap<Rc<str>, Value>,
    /// Path of the module whose method this is.
    pub(super) path: Rc<str>,
}

/// What follows the code.
#[derive(Debug)]
pub(super) struct Interpreter {
    archive: Archive,
    code: Code,
    modules: Pickle,
    constants: Pickle,
    pub(super) lowering: Lowering,
    /// Stored tensors, by where their data lie.
    stored: HashMap<String, Tensor>,
    /// Attributes that the code sets.
    set: HashMap<(Id, Rc<str>), Value>,
    steps: u64,
    items: usize,
    calls: usize,
}

/// Follows `forward` of the top module.
pub(super) fn follow(
    archive: Archive,
    code: Code,
    modules: Pickle,
    constants: Pickle,
    name: &str,
    options: &Options,
) -> Result<Import, ImportError> {
    let file = archive.file().to_owned();
    let lowering = Lowering::new(&file, name);
    let mut interpreter = Interpreter {
        archive,
        code,
        modules,
        constants,
        lowering,
        stored: HashMap::new(),
        set: HashMap::new(),
        steps: 0,
        items: 0,
        calls: 0,
    };
    let refuse =
        |at: Option<&str>, message: String| ImportError { file: file.clone(), at: at.map(str::to_owned), message };
    let top = interpreter.modules.root();
    let class =
        interpreter.class_of(top)?.ok_or_else(|| refuse(None, "data.pkl holds no module with code".to_owned()))?;
    let forward = class.methods.get("forward").cloned();
    let forward = forward.ok_or_else(|| refuse(None, "the top module has no method forward".to_owned()))?;
    let parameters: Vec<_> = forward.parameters.iter().skip(1).collect();
    let needed = parameters.iter().filter(|(_, default)| default.is_none()).count();
    if options.inputs.len() < needed || options.inputs.len() > parameters.len() {
        let names: Vec<&str> = parameters.iter().map(|(name, _)| &**name).collect();
        let message = format!(
            "{} shapes of inputs for forward({}), which this format does not store: give each with --input 1x3x224x224",
            options.inputs.len(),
            names.join(", ")
        );
        return Err(refuse(None, message));
    }
    let mut values = Vec::with_capacity(options.inputs.len());
    for ((name, _), extents) in parameters.iter().zip(&options.inputs) {
        let tensor = interpreter.lowering.input(name, extents, DataType::Fp32)?;
        values.push(Value::Tensor(tensor));
    }
    let result = interpreter.method(top, &"".into(), "forward", values, Vec::new()).map_err(|stop| match stop {
        Stop::Fatal(error) => error,
        Stop::Raised(message) => refuse(None, format!("its code raises an error on these inputs: {message}")),
    })?;
    interpreter.lay_out(&result, 8);
    interpreter.lowering.builder.finish()
}

impl Interpreter {
    /// Adds what was put off of the result.
    fn lay_out(&mut self, value: &Value, depth: u8) {
        let Some(deeper) = depth.checked_sub(1) else { return };
        match value {
            Value::Tensor(tensor) => {
                if let Err(refusal) = self.lowering.output(tensor) {
                    self.lowering.builder.unsupported("output", "output", refusal.reason());
                }
            }
            Value::Tuple(items) | Value::Named(_, items) => items.iter().for_each(|item| self.lay_out(item, deeper)),
            Value::List(items) => items.borrow().clone().iter().for_each(|item| self.lay_out(item, deeper)),
            Value::Dict(entries) => entries.borrow().clone().iter().for_each(|(_, item)| self.lay_out(item, deeper)),
            _ => {}
        }
    }

    fn fatal(&self, message: impl Into<String>) -> Stop {
        Stop::Fatal(ImportError { file: self.archive.file().to_owned(), at: None, message: message.into() })
    }

    /// Counts items of lists and letters of words, so that no doubling fills the memory.
    pub(super) fn charge(&mut self, items: usize) -> Result<(), Stop> {
        self.items = self.items.saturating_add(items);
        if self.items > MAX_ITEMS {
            return Err(self.fatal(format!("its code makes lists and words of more than {MAX_ITEMS} items")));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MAX_STEPS {
            return Err(self.fatal(format!("its code does not end within {MAX_STEPS} steps")));
        }
        Ok(())
    }

    fn class_of(&mut self, object: Id) -> Result<Option<Rc<ClassCode>>, ImportError> {
        let Node::Object { class, .. } = self.modules.node(object) else { return Ok(None) };
        let class = class.clone();
        Ok(match self.code.item(&mut self.archive, &class)? {
            Some(Item::Class(class)) => Some(class),
            _ => None,
        })
    }

    /// Calls a method of an object.
    fn method(
        &mut self,
        object: Id,
        path: &Rc<str>,
        name: &str,
        positional: Vec<Value>,
        named: Vec<(Rc<str>, Value)>,
    ) -> Result<Value, Stop> {
        let function = self.class_of(object)?.and_then(|class| class.methods.get(name).cloned());
        let Some(function) = function else {
            return Ok(Value::unknown(format!("{path} has no method {name} in the file")));
        };
        let mut all = vec![Value::Object(object, Rc::clone(path))];
        all.extend(positional);
        self.function(&function, path, all, named)
    }

    fn function(
        &mut self,
        function: &Function,
        path: &Rc<str>,
        positional: Vec<Value>,
        named: Vec<(Rc<str>, Value)>,
    ) -> Result<Value, Stop> {
        if self.calls >= MAX_CALLS {
            return Err(
                self.fatal(format!("more than {MAX_CALLS} calls within each other at {path}.{}", function.name))
            );
        }
        let mut frame = Frame { variables: HashMap::new(), path: Rc::clone(path) };
        let mut positional = positional.into_iter();
        for (parameter, default) in &function.parameters {
            let given = named.iter().find(|(name, _)| name == parameter).map(|(_, value)| value.clone());
            let value = match (positional.next().or(given), default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(&mut Frame::default(), default)?,
                (None, None) => Value::unknown(format!("{parameter} of {} is not given", function.name)),
            };
            frame.variables.insert(Rc::clone(parameter), value);
        }
        self.calls = self.calls.saturating_add(1);
        let flow = self.block(&mut frame, &function.body);
        self.calls = self.calls.saturating_sub(1);
        Ok(match flow? {
            Flow::Return(value) => value,
            Flow::Next => Value::None,
        })
    }

    fn block(&mut self, frame: &mut Frame, statements: &[Statement]) -> Result<Flow, Stop> {
        for statement in statements {
            if let Flow::Return(value) = self.statement(frame, statement)? {
                return Ok(Flow::Return(value));
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, frame: &mut Frame, statement: &Statement) -> Result<Flow, Stop> {
        self.step()?;
        match statement {
            Statement::Assign(target, expr) => {
                let value = self.eval(frame, expr)?;
                self.assign(frame, target, value)?;
            }
            Statement::Expr(expr) => {
                self.eval(frame, expr)?;
            }
            Statement::Return(expr) => {
                return Ok(Flow::Return(expr.as_ref().map_or(Ok(Value::None), |expr| self.eval(frame, expr))?));
            }
            Statement::If(condition, then, otherwise) => {
                return match self.eval(frame, condition)?.truth() {
                    Ok(truth) => self.block(frame, if truth { then } else { otherwise }),
                    // A branch that only raises an error is a check: the network goes the other way.
                    Err(_) if raises(then) => self.block(frame, otherwise),
                    Err(_) if raises(otherwise) => self.block(frame, then),
                    Err(why) => Ok(self.undecided(frame, "if", &why, &[then, otherwise])),
                };
            }
            Statement::While(condition, body) => loop {
                self.step()?;
                match self.eval(frame, condition)?.truth() {
                    Ok(false) => break,
                    Ok(true) => {
                        if let Flow::Return(value) = self.block(frame, body)? {
                            return Ok(Flow::Return(value));
                        }
                    }
                    Err(why) => return Ok(self.undecided(frame, "while", &why, &[body])),
                }
            },
            Statement::For(name, values, body) => return self.repeat(frame, name, values, body),
            Statement::Declare(name, Some(expr)) => {
                let value = self.eval(frame, expr)?;
                frame.variables.insert(Rc::clone(name), value);
            }
            Statement::Declare(..) | Statement::Def(_) | Statement::Class(_) | Statement::Nothing => {}
        }
        Ok(Flow::Next)
    }

    fn repeat(&mut self, frame: &mut Frame, name: &Rc<str>, values: &Expr, body: &[Statement]) -> Result<Flow, Stop> {
        // A range is counted, not laid out as a list.
        let items = match values {
            Expr::Call(function, arguments, _) if matches!(&**function, Expr::Name(name) if &**name == "range") => {
                let bounds = arguments.iter().map(|bound| self.eval(frame, bound)).collect::<Result<Vec<_>, _>>()?;
                match bounds.iter().map(Value::int).collect::<Option<Vec<_>>>().as_deref() {
                    Some([end]) => Ok((0, *end)),
                    Some([start, end, ..]) => Ok((*start, *end)),
                    _ => Err("a range whose end is not known".into()),
                }
            }
            _ => Err("a loop over something else than a range".into()),
        };
        let (start, end) = match items {
            Ok(range) => range,
            Err(why) => return Ok(self.undecided(frame, "for", &why, &[body])),
        };
        for index in start..end {
            self.step()?;
            frame.variables.insert(Rc::clone(name), Value::Int(index));
            if let Flow::Return(value) = self.block(frame, body)? {
                return Ok(Flow::Return(value));
            }
        }
        Ok(Flow::Next)
    }

    /// Lists control flow that cannot be decided; what it would set is unknown.
    fn undecided(&mut self, frame: &mut Frame, what: &str, why: &Rc<str>, blocks: &[&[Statement]]) -> Flow {
        let reason: Rc<str> = format!("a condition that is not known: {why}").into();
        self.lowering.builder.unsupported(if frame.path.is_empty() { "forward" } else { &frame.path }, what, &*reason);
        let mut names = Vec::new();
        let returns = blocks.iter().any(|block| assigned(block, &mut names));
        for name in names {
            frame.variables.insert(name, Value::Unknown(Rc::clone(&reason)));
        }
        if returns { Flow::Return(Value::Unknown(reason)) } else { Flow::Next }
    }

    fn assign(&mut self, frame: &mut Frame, target: &Target, value: Value) -> Result<(), Stop> {
        match target {
            Target::One(target) => self.put(frame, target, value),
            Target::Several(targets) => {
                let items = match &value {
                    Value::Tuple(items) | Value::Named(_, items) => items.to_vec(),
                    Value::List(items) => items.borrow().clone(),
                    _ => Vec::new(),
                };
                let why: Rc<str> = match value {
                    Value::Unknown(why) => why,
                    _ => format!("{} values are expected, {} are there", targets.len(), items.len()).into(),
                };
                for (at, target) in targets.iter().enumerate() {
                    let item = items.get(at).cloned().unwrap_or_else(|| Value::Unknown(Rc::clone(&why)));
                    self.put(frame, target, item)?;
                }
                Ok(())
            }
        }
    }

    fn put(&mut self, frame: &mut Frame, target: &Expr, value: Value) -> Result<(), Stop> {
        match target {
            Expr::Name(name) => {
                frame.variables.insert(Rc::clone(name), value);
            }
            Expr::Attribute(base, name) => {
                if let Value::Object(id, _) = self.eval(frame, base)? {
                    self.set.insert((id, Rc::clone(name)), value);
                }
            }
            Expr::Index(base, index) => {
                let (base, index) = (self.eval(frame, base)?, self.eval(frame, index)?);
                self.builtin(frame, "_set_item", vec![base, index, value], Vec::new())?;
            }
            _ => return Err(self.fatal("a value is put where none can be")),
        }
        Ok(())
    }

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

    pub(super) fn attribute(&mut self, frame: &mut Frame, base: &Value, name: &Rc<str>) -> Result<Value, Stop> {
        let (id, path) = match base {
            Value::Object(id, path) => (*id, path),
            Value::Named(fields, items) => {
                let at = fields.iter().position(|field| field == name);
                let item = at.and_then(|at| items.get(at)).cloned();
                return Ok(item.unwrap_or_else(|| Value::unknown(format!("no field {name}"))));
            }
            Value::Tensor(_) => return self.builtin(frame, name, vec![base.clone()], Vec::new()),
            Value::Unknown(why) => return Ok(Value::Unknown(Rc::clone(why))),
            _ => return Ok(Value::unknown(format!("attribute {name} of something that has none"))),
        };
        if let Some(value) = self.set.get(&(id, Rc::clone(name))) {
            return Ok(value.clone());
        }
        let class = self.class_of(id)?;
        let inner: Rc<str> = if path.is_empty() { Rc::clone(name) } else { format!("{path}.{name}").into() };
        if let Node::Object { state: Some(state), .. } = self.modules.node(id)
            && let Node::Dict(entries) = self.modules.node(*state)
        {
            let found = entries.chunks_exact(2).find_map(|entry| match entry {
                [key, value] if matches!(self.modules.node(*key), Node::Str(word) if **word == **name) => Some(*value),
                _ => None,
            });
            if let Some(found) = found {
                let learned = class.as_ref().is_some_and(|class| class.parameters.contains(name));
                return self.loaded(found, false, &inner, learned, 8);
            }
        }
        let Some(class) = class else { return Ok(Value::unknown(format!("{inner} is not in the file"))) };
        if let Some(value) = class.constants.get(name) {
            return self.eval(&mut Frame::default(), value);
        }
        if class.methods.contains_key(name) {
            return Ok(Value::Method(id, Rc::clone(path), Rc::clone(name)));
        }
        Ok(Value::unknown(format!("{inner} is not in the file")))
    }

    /// A value of a pickle.
    fn loaded(&mut self, id: Id, constant: bool, path: &Rc<str>, learned: bool, depth: u8) -> Result<Value, Stop> {
        let pickle = if constant { &self.constants } else { &self.modules };
        let Some(deeper) = depth.checked_sub(1) else { return Ok(Value::unknown("lists within lists")) };
        Ok(match pickle.node(id) {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::Str(word) => Value::Str(word.as_str().into()),
            Node::Object { .. } => Value::Object(id, Rc::clone(path)),
            Node::List(items) => {
                let items = items.clone();
                Value::list(self.loaded_all(&items, constant, path, deeper)?)
            }
            Node::Tuple(items) => {
                let items = items.clone();
                Value::Tuple(Rc::new(self.loaded_all(&items, constant, path, deeper)?))
            }
            Node::Dict(entries) => {
                let entries = entries.clone();
                let all = self.loaded_all(&entries, constant, path, deeper)?;
                let pairs = all.chunks_exact(2).filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())));
                Value::Dict(Rc::new(std::cell::RefCell::new(pairs.collect())))
            }
            Node::Tensor { storage, offset, extents, learned: own } => {
                let (offset, sizes, learned) = (*offset, extents.clone(), learned || *own);
                let Node::Storage { key, element } = pickle.node(*storage) else {
                    return Err(self.fatal(format!("{path}: a tensor without a storage")));
                };
                let (key, element) = (key.clone(), element.clone());
                self.stored_tensor(constant, &key, &element, offset, &sizes, path, learned)?
            }
            Node::Global(_) | Node::Storage { .. } | Node::Other => {
                Value::unknown(format!("{path} is of no type that matters"))
            }
        })
    }

    fn loaded_all(&mut self, ids: &[Id], constant: bool, path: &Rc<str>, depth: u8) -> Result<Vec<Value>, Stop> {
        self.charge(ids.len())?;
        let mut values = Vec::with_capacity(ids.len());
        for (at, &id) in ids.iter().enumerate() {
            values.push(self.loaded(id, constant, &format!("{path}[{at}]").into(), false, depth)?);
        }
        Ok(values)
    }

    #[allow(clippy::too_many_arguments, reason = "what a pickle says of a tensor")]
    fn stored_tensor(
        &mut self,
        constant: bool,
        key: &str,
        element: &str,
        offset: i64,
        sizes: &[i64],
        path: &Rc<str>,
        learned: bool,
    ) -> Result<Value, Stop> {
        let place = format!("{constant} {key} {offset} {sizes:?}");
        if let Some(tensor) = self.stored.get(&place) {
            return Ok(Value::Tensor(tensor.clone()));
        }
        let extents: Result<Vec<u32>, _> = sizes.iter().map(|&size| u32::try_from(size)).collect();
        let extents = extents.map_err(|_| self.fatal(format!("{path}: extents {sizes:?}")))?;
        let element = element.strip_prefix("torch.").unwrap_or(element).to_lowercase();
        let element = element.strip_suffix("storage").unwrap_or(&element);
        let named = match element {
            "byte" | "char" => "int8",
            other => other,
        };
        let data_type = named_data_type(named).ok_or_else(|| {
            self.fatal(format!("{path}: elements of type {element}; real numbers and integers are allowed"))
        })?;
        if constant && extents.is_empty() {
            // A number that the code computes sizes with.
            let value = self.number_at(key, offset, data_type)?;
            return Ok(Value::Tensor(Tensor::known(extents, data_type, value)));
        }
        let tensor = self.lowering.store(Stored { name: path.to_string(), extents, data_type, learned });
        self.stored.insert(place, tensor.clone());
        Ok(Value::Tensor(tensor))
    }

    /// The value of a constant of one element; `None` for data types that no size has.
    fn number_at(&mut self, key: &str, offset: i64, data_type: DataType) -> Result<Option<f64>, Stop> {
        let entry = self.code.constant_entry(key);
        let bytes = self.archive.read(&entry, MAX_CONSTANT)?;
        let size = usize::try_from(data_type.size().0).unwrap_or(8);
        let start = usize::try_from(offset).ok().and_then(|offset| offset.checked_mul(size));
        let element = start.and_then(|start| bytes.get(start..start.checked_add(size)?));
        let Some(element) = element else { return Err(self.fatal(format!("{entry} is too short"))) };
        Ok(match (data_type, element) {
            (DataType::Int64, &[a, b, c, d, e, f, g, h]) => Some(i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64),
            (DataType::Fp64, &[a, b, c, d, e, f, g, h]) => Some(f64::from_le_bytes([a, b, c, d, e, f, g, h])),
            (DataType::Int32, &[a, b, c, d]) => Some(f64::from(i32::from_le_bytes([a, b, c, d]))),
            (DataType::Fp32, &[a, b, c, d]) => Some(f64::from(f32::from_le_bytes([a, b, c, d]))),
            (DataType::Bool, &[a]) => Some(f64::from(a)),
            _ => None,
        })
    }

    /// Calls an op of ATen; what cannot be lowered is listed, and what it gives is unknown.
    pub(super) fn aten(&mut self, frame: &Frame, op: &str, positional: &[Value], named: &[(Rc<str>, Value)]) -> Value {
        let node = if frame.path.is_empty() { op.to_owned() } else { format!("{}.{op}", frame.path) };
        match self.lowering.call(&node, op, &arguments(positional, named)) {
            Ok(result) => Value::from_argument(result),
            Err(refusal) => {
                self.lowering.builder.unsupported(&node, op, refusal.reason());
                Value::unknown(format!("{node} is not counted"))
            }
        }
    }
}

/// Whether a block does nothing but raise an error.
fn raises(block: &[Statement]) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Expr(Expr::Call(callee, ..)) => dotted(callee).as_deref() == Some("ops.prim.RaiseException"),
        _ => false,
    })
}

/// Collects the names that a block sets; whether it may return.
fn assigned(block: &[Statement], names: &mut Vec<Rc<str>>) -> bool {
    let mut returns = false;
    for statement in block {
        match statement {
            Statement::Assign(target, _) => {
                let targets = match target {
                    Target::One(target) => std::slice::from_ref(target),
                    Target::Several(targets) => targets.as_slice(),
                };
                names.extend(targets.iter().filter_map(|target| match target {
                    Expr::Name(name) => Some(Rc::clone(name)),
                    _ => None,
                }));
            }
            Statement::If(_, then, otherwise) => returns |= assigned(then, names) | assigned(otherwise, names),
            Statement::While(_, body) | Statement::For(_, _, body) => returns |= assigned(body, names),
            Statement::Return(_) => returns = true,
            _ => {}
        }
    }
    returns
}

/// The dotted name of an expression that starts at a namespace.
fn dotted(expr: &Expr) -> Option<String> {
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
