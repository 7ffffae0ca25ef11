//! The part of Python's syntax in which TorchScript keeps its code, and `torch.export` its symbolic sizes.

mod parse;
#[cfg(test)]
mod tests;
mod token;

use std::rc::Rc;

pub(crate) use parse::{expression, program};

/// What is wrong with a text, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) message: String,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Name(Rc<str>),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    Attribute(Box<Expr>, Rc<str>),
    Call(Box<Expr>, Vec<Expr>, Vec<(Rc<str>, Expr)>),
    Index(Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `-x`, `+x`, `~x` or `not x`.
    Unary(&'static str, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// Condition, then, else.
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    /// Targets, value; one target is not unpacked, unless a comma follows it.
    Assign(Target, Expr),
    Expr(Expr),
    Return(Option<Expr>),
    If(Expr, Vec<Statement>, Vec<Statement>),
    While(Expr, Vec<Statement>),
    For(Rc<str>, Expr, Vec<Statement>),
    Def(Rc<Function>),
    Class(Class),
    /// A declared attribute, with its value where it has one.
    Declare(Rc<str>, Option<Expr>),
    /// `pass`, `import …`.
    Nothing,
}

/// Where a value is put.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    One(Expr),
    Several(Vec<Expr>),
}

/// A function or method.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: Rc<str>,
    /// Names of the parameters, each with its default.
    pub(crate) parameters: Vec<(Rc<str>, Option<Expr>)>,
    pub(crate) body: Vec<Statement>,
}

/// A class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Class {
    pub(crate) name: Rc<str>,
    /// The first of its bases: `Module`, `NamedTuple`, `Enum`, …
    pub(crate) base: Option<Rc<str>>,
    pub(crate) body: Vec<Statement>,
}
