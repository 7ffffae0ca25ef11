//! Following the code: statements, calls, attributes. What is not known stays unknown, and says why when something reads it.

use std::collections::HashMap;
use std::rc::Rc;

use derate_core::shape::DataType;

use super::code::Code;
use super::expression::dotted;
use super::pickle::{Id, Pickle};
use super::value::{Value, arguments};
use crate::import::aten::Lowering;
use crate::import::aten::tensor::Tensor;
use crate::import::python::{Expr, Function, Statement, Target};
use crate::import::torch_archive::Archive;
use crate::import::{Import, ImportError, Options};

/// Most calls within each other.
const MAX_CALLS: usize = 150;
/// Most expressions that are evaluated.
const MAX_STEPS: u64 = 500_000;
/// Steps that an op takes beside its expression: it is checked, and stays in the graph.
const OP_STEPS: u64 = 10;
/// Most items of all lists, and letters of all words, together.
const MAX_ITEMS: usize = 1_000_000;

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
    pub(super) variables: HashMap<Rc<str>, Value>,
    /// Path of the module whose method this is.
    pub(super) path: Rc<str>,
}

/// What follows the code.
#[derive(Debug)]
pub(super) struct Interpreter {
    pub(super) archive: Archive,
    pub(super) code: Code,
    pub(super) modules: Pickle,
    pub(super) constants: Pickle,
    pub(super) lowering: Lowering,
    /// Stored tensors, by where their data lie.
    pub(super) stored: HashMap<String, Tensor>,
    /// Attributes that the code sets.
    pub(super) set: HashMap<(Id, Rc<str>), Value>,
    pub(super) steps: u64,
    pub(super) items: usize,
    pub(super) calls: usize,
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
            "{} shapes of inputs are given, forward({}) takes {needed}: this format does not store them; give each with --input 1x3x224x224",
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
    let import = interpreter.lowering.builder.finish()?;
    // What core refuses at once is mostly the shape that was given.
    match import.unsupported.first() {
        Some(first) if import.graph.names().is_empty() => {
            let message =
                format!("{}: {}; no op can be counted: does --input give the right shapes?", first.op, first.reason);
            Err(refuse(Some(&first.name), message))
        }
        _ => Ok(import),
    }
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

    pub(super) fn fatal(&self, message: impl Into<String>) -> Stop {
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

    pub(super) fn step(&mut self) -> Result<(), Stop> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MAX_STEPS {
            return Err(self.fatal(format!("its code does not end within {MAX_STEPS} steps")));
        }
        Ok(())
    }

    /// Calls a method of an object.
    pub(super) fn method(
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

    pub(super) fn function(
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
        // One cause, however many conditions hang on it.
        let unknown = "a condition that is not known";
        let reason: Rc<str> =
            if why.starts_with(unknown) { Rc::clone(why) } else { format!("{unknown}: {why}").into() };
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

    /// Calls an op of ATen; what cannot be lowered is listed, and what it gives is unknown.
    pub(super) fn aten(&mut self, frame: &Frame, op: &str, positional: &[Value], named: &[(Rc<str>, Value)]) -> Value {
        self.steps = self.steps.saturating_add(OP_STEPS);
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
