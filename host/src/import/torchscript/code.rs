//! The code of a TorchScript file: classes and functions by their qualified names, read when they are first needed.

use std::collections::HashMap;
use std::rc::Rc;

use crate::import::ImportError;
use crate::import::python::{Expr, Function, Statement, program};
use crate::import::torch_archive::{Archive, MAX_TEXT};

/// A class.
#[derive(Debug, Default)]
pub(super) struct ClassCode {
    pub(super) methods: HashMap<Rc<str>, Rc<Function>>,
    /// Attributes with a value of their own.
    pub(super) constants: HashMap<Rc<str>, Expr>,
    /// Names of the declared attributes in their order.
    pub(super) fields: Vec<Rc<str>>,
    /// Names of the attributes that are learned.
    pub(super) parameters: Vec<Rc<str>>,
    pub(super) is_tuple: bool,
    pub(super) is_enum: bool,
}

/// What a qualified name stands for.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Class(Rc<ClassCode>),
    Function(Rc<Function>),
}

/// The code of a file.
#[derive(Debug)]
pub(super) struct Code {
    /// Folder of the archive, with `/`.
    root: String,
    /// Items by qualified name.
    items: HashMap<String, Item>,
    /// Modules that were read.
    read: HashMap<String, ()>,
    /// Bytes of text that may still be read.
    left: u64,
}

impl Code {
    pub(super) fn new(root: String) -> Self {
        Self { root, items: HashMap::new(), read: HashMap::new(), left: MAX_TEXT }
    }

    /// The entry with the data of a constant.
    pub(super) fn constant_entry(&self, key: &str) -> String {
        format!("{}constants/{key}", self.root)
    }

    /// What a qualified name such as `__torch__.torch.nn.modules.conv.Conv2d` stands for.
    pub(super) fn item(&mut self, archive: &mut Archive, name: &str) -> Result<Option<Item>, ImportError> {
        if let Some(item) = self.items.get(name) {
            return Ok(Some(item.clone()));
        }
        let Some((module, _)) = name.rsplit_once('.') else { return Ok(None) };
        if self.read.insert(module.to_owned(), ()).is_some() {
            return Ok(None);
        }
        let entry = format!("{}code/{}.py", self.root, module.replace('.', "/"));
        if !archive.names().contains(&entry) {
            return Ok(None);
        }
        let text = archive.text(&entry, self.left)?;
        self.left = self.left.saturating_sub(u64::try_from(text.len()).unwrap_or(u64::MAX));
        let statements =
            program(&text).map_err(|error| archive.error(&entry, format!("line {}: {}", error.line, error.message)))?;
        for statement in statements {
            match statement {
                Statement::Def(function) => {
                    self.items.insert(format!("{module}.{}", function.name), Item::Function(function));
                }
                Statement::Class(class) => {
                    let code = class_code(&class.body, class.base.as_deref());
                    self.items.insert(format!("{module}.{}", class.name), Item::Class(Rc::new(code)));
                }
                _ => {}
            }
        }
        Ok(self.items.get(name).cloned())
    }
}

fn class_code(body: &[Statement], base: Option<&str>) -> ClassCode {
    let mut code =
        ClassCode { is_tuple: base == Some("NamedTuple"), is_enum: base == Some("Enum"), ..ClassCode::default() };
    for statement in body {
        match statement {
            Statement::Def(function) => {
                code.methods.insert(Rc::clone(&function.name), Rc::clone(function));
            }
            Statement::Declare(name, value) => {
                code.fields.push(Rc::clone(name));
                if let Some(value) = value {
                    code.constants.insert(Rc::clone(name), value.clone());
                }
            }
            Statement::Assign(crate::import::python::Target::One(Expr::Name(name)), value) => {
                if &**name == "__parameters__"
                    && let Expr::List(names) = value
                {
                    code.parameters = names
                        .iter()
                        .filter_map(|name| if let Expr::Str(name) = name { Some(Rc::clone(name)) } else { None })
                        .collect();
                }
                code.constants.insert(Rc::clone(name), value.clone());
            }
            _ => {}
        }
    }
    code
}
