//! Graphs as JSON: our own format, and lists of nodes as tracers print them ([`super::node_list`]).
//!
//! Our format is described in `docs/formats.md` and, for editors, in `docs/graph.schema.json`. Every op of core has its place in it;
//! what [`write()`] writes [`read_text`] reads back as the same graph. Unknown keys are errors.

mod json_schema;
mod keys;
mod ops;
#[cfg(test)]
mod tests;
mod values;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use derate_core::tensor::{TensorId, TensorKind};
use serde_json::{Map, Value};

pub use self::json_schema::json_schema;
pub use self::write::write;
use crate::closest::hint;

use self::keys::{Family, Kind, OP_KEYS, family};
pub(super) use self::values::shown;
use self::values::{Fields, open_names};
use super::build::Builder;
use super::{Import, ImportError, Options, node_list};

/// What the key `format` says.
const FORMAT: &str = "derate-graph";

/// The version that is written, and read.
const VERSION: u64 = 1;

/// Most bytes of a file: a graph of 10 000 ops has 3 MB.
const MOST_BYTES: u64 = 8 << 20;

/// Most objects of a text: each takes up to 700 bytes once it is read, however little stands in it.
const MOST_OBJECTS: usize = 300_000;

const GRAPH_KEYS: [&str; 6] = ["$schema", "format", "version", "name", "tensors", "ops"];
const TENSOR_KEYS: [&str; 5] = ["name", "kind", "shape", "data_type", "after"];
const TENSOR_KINDS: [(&str, TensorKind); 3] =
    [("input", TensorKind::Input), ("parameter", TensorKind::Parameter), ("constant", TensorKind::Constant)];

/// Reads the graph of a file.
///
/// # Errors
/// [`ImportError`] for a file that cannot be read, is larger than 8 MiB, or holds no graph in one of the formats.
pub fn read(path: &Path, options: &Options) -> Result<Import, ImportError> {
    let file = path.display().to_string();
    let error = |message: String| ImportError { file: file.clone(), at: None, message };
    let opened = File::open(path).map_err(|cause| error(format!("cannot be opened: {cause}")))?;
    let mut bytes = Vec::new();
    let read = opened.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|cause| error(format!("cannot be read: {cause}")))?;
    let text = String::from_utf8(bytes).map_err(|cause| error(format!("is no text: {cause}")))?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    read_text(&text, &file, &name, options)
}

/// Reads the graph of a text; `file` is what errors call it, `name` what a graph without a name is called.
///
/// # Errors
/// [`ImportError`] for a text of more than 8 MiB or of another format, for unknown and missing keys, for values that are out of
/// range, for names of dimensions that the options do not bind, and for ops that core refuses.
pub fn read_text(text: &str, file: &str, name: &str, options: &Options) -> Result<Import, ImportError> {
    let error = |message: String| ImportError { file: file.to_owned(), at: None, message };
    if u64::try_from(text.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(error(format!("more than {MOST_BYTES} bytes; a graph has fewer")));
    }
    if text.bytes().filter(|&byte| byte == b'{').count() > MOST_OBJECTS {
        return Err(error(format!("more than {MOST_OBJECTS} objects; a graph has fewer")));
    }
    let value: Value = serde_json::from_str(text).map_err(|cause| error(format!("is no JSON: {cause}")))?;
    let Value::Object(graph) = &value else {
        return Err(error(format!("{} is no graph; a graph is an object", shown(&value))));
    };
    match graph.get("format") {
        Some(format) if format == FORMAT => graph_of(graph, file, name, options),
        None if graph.contains_key("nodes") => node_list::read_map(graph, file, name, options),
        Some(format) => Err(error(format!("\"format\": {} is unknown; known is \"{FORMAT}\"", shown(format)))),
        None => Err(error(format!("neither \"format\": \"{FORMAT}\" nor a list of \"nodes\""))),
    }
}

/// A graph in our format.
fn graph_of(graph: &Map<String, Value>, file: &str, name: &str, options: &Options) -> Result<Import, ImportError> {
    let error = |message: String| ImportError { file: file.to_owned(), at: None, message };
    let fields = Fields { map: graph, options };
    fields.only(&GRAPH_KEYS).map_err(error)?;
    match graph.get("version") {
        Some(version) if version.as_u64() == Some(VERSION) => {}
        Some(version) => return Err(error(format!("\"version\": {} is unknown; known is {VERSION}", shown(version)))),
        None => return Err(error(format!("\"version\" is missing; known is {VERSION}"))),
    }
    let name = if graph.contains_key("name") { fields.text("name").map_err(error)? } else { name };
    let tensors = objects(fields.list("tensors").map_err(error)?, "tensor", file)?;
    let ops = objects(fields.list("ops").map_err(error)?, "op", file)?;
    let mut reader = Reader { builder: Builder::new(file, name), options, named: HashMap::new() };
    reader.bound(&tensors, &ops)?;
    reader.build(&tensors, &ops)?;
    reader.builder.finish()
}

/// Items of a list that must be objects.
fn objects<'a>(items: &'a [Value], what: &str, file: &str) -> Result<Vec<&'a Map<String, Value>>, ImportError> {
    let object = |(place, item): (usize, &'a Value)| match item {
        Value::Object(map) => Ok(map),
        other => {
            let message = format!("{} is no object", shown(other));
            Err(ImportError { file: file.to_owned(), at: Some(format!("{what} {place}")), message })
        }
    };
    items.iter().enumerate().map(object).collect()
}

struct Reader<'a> {
    builder: Builder,
    options: &'a Options,
    /// What a name gives, and how many tensors.
    named: HashMap<&'a str, (TensorId, u16)>,
}

impl<'a> Reader<'a> {
    /// Names of dimensions must be bound, all of them.
    fn bound(&self, tensors: &[&Map<String, Value>], ops: &[&Map<String, Value>]) -> Result<(), ImportError> {
        let mut open = BTreeSet::new();
        for shape in tensors.iter().filter_map(|tensor| tensor.get("shape")) {
            open_names(shape, self.options, &mut open);
        }
        for op in ops {
            let family = op.get("op").and_then(Value::as_str).and_then(family);
            let extents = family.into_iter().flat_map(|family| family.keys).filter(|key| has_extents(key.kind));
            for value in extents.filter_map(|key| op.get(key.name)) {
                open_names(value, self.options, &mut open);
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = open.into_iter().take(20).collect();
        let how = if names.iter().any(|name| name == "batch") { "--batch N, --dim NAME=N" } else { "--dim NAME=N" };
        Err(self.builder.error("dimensions", format!("{} without an extent; bind them with {how}", names.join(", "))))
    }

    fn build(&mut self, tensors: &[&'a Map<String, Value>], ops: &[&'a Map<String, Value>]) -> Result<(), ImportError> {
        let names: HashSet<&str> = ops.iter().filter_map(|op| op.get("name").and_then(Value::as_str)).collect();
        let mut after: HashMap<&str, Vec<&'a Map<String, Value>>> = HashMap::new();
        for &tensor in tensors {
            match tensor.get("after").and_then(Value::as_str) {
                Some(op) if names.contains(op) => after.entry(op).or_default().push(tensor),
                Some(op) => {
                    let name = tensor.get("name").and_then(Value::as_str).unwrap_or_default();
                    let message = format!("\"after\": no op is called \"{op}\"{}", hint(op, names));
                    return Err(self.builder.error(format!("tensor {name}"), message));
                }
                None => self.tensor(tensor)?,
            }
        }
        for &op in ops {
            let name = self.op(op)?;
            for tensor in after.remove(name).unwrap_or_default() {
                self.tensor(tensor)?;
            }
        }
        Ok(())
    }

    /// Gives a name to what it stands for.
    fn called(&mut self, at: &str, name: &'a str, id: TensorId, count: u16) -> Result<(), ImportError> {
        if name.is_empty() {
            return Err(self.builder.error(at, "\"name\" is empty"));
        }
        match self.named.insert(name, (id, count)) {
            None => Ok(()),
            Some(_) => Err(self.builder.error(at, "the name stands for another tensor or op already")),
        }
    }

    fn tensor(&mut self, map: &'a Map<String, Value>) -> Result<(), ImportError> {
        let fields = Fields { map, options: self.options };
        let name = fields.text("name").map_err(|message| self.builder.error("tensor", message))?;
        let at = format!("tensor {name}");
        let refuse = |message: String| self.builder.error(at.as_str(), message);
        fields.only(&TENSOR_KEYS).map_err(refuse)?;
        if map.contains_key("after") {
            fields.text("after").map_err(refuse)?;
        }
        let kind = fields.text("kind").map_err(refuse)?;
        let known = TENSOR_KINDS.iter().find(|(name, _)| *name == kind);
        let &(_, kind) = known.ok_or_else(|| {
            let names = TENSOR_KINDS.map(|(name, _)| name);
            refuse(format!("\"kind\": \"{kind}\" is unknown; allowed are {}", names.join(", ")))
        })?;
        let shape = fields.shape("shape").map_err(refuse)?;
        let data_type = fields.data_type("data_type").map_err(refuse)?;
        let id = self.builder.source(name, shape.extents(), data_type, kind)?;
        self.called(&at, name, id, 1)
    }

    /// Adds an op and tells its name.
    fn op(&mut self, map: &'a Map<String, Value>) -> Result<&'a str, ImportError> {
        let fields = Fields { map, options: self.options };
        let name = fields.text("name").map_err(|message| self.builder.error("op", message))?;
        let kind = fields.text("op").map_err(|message| self.builder.error(format!("op {name}"), message))?;
        let at = format!("op {name} ({kind})");
        let refuse = |message: String| self.builder.error(at.as_str(), message);
        let family = family(kind).ok_or_else(|| refuse(format!("unknown op \"{kind}\"{}", hint(kind, names()))))?;
        fields.only(&op_keys(family)).map_err(refuse)?;
        let mut operands = Vec::new();
        for operand in fields.list("operands").map_err(refuse)? {
            let operand = operand.as_str().ok_or_else(|| refuse(format!("operand {} is no name", shown(operand))));
            operands.push(self.operand(&at, operand?)?);
        }
        let op = ops::op(kind, operands.len(), fields).map_err(refuse)?;
        let weights = if map.contains_key("shares") {
            let shares = fields.text("shares").map_err(refuse)?;
            let earlier = self.named.contains_key(shares);
            if !earlier || shares == name {
                let message = format!("\"shares\": no earlier op is called \"{shares}\"");
                return Err(refuse(message + &hint(shares, self.named.keys().copied())));
            }
            shares
        } else {
            name
        };
        let id = self.builder.op_with_weights(name, op, &operands, weights)?;
        self.called(&at, name, id, op.output_count())?;
        Ok(name)
    }

    /// The tensor that a name stands for: `name`, or `name:1` for a further one of an op.
    fn operand(&self, at: &str, operand: &str) -> Result<TensorId, ImportError> {
        if let Some(&(id, _)) = self.named.get(operand) {
            return Ok(id);
        }
        let further = operand.rsplit_once(':').and_then(|(name, position)| {
            let &(id, count) = self.named.get(name)?;
            let position: u16 = position.parse().ok().filter(|&position| position < count)?;
            Some(id.offset(position))
        });
        further.ok_or_else(|| {
            let hint = hint(operand, self.named.keys().copied());
            self.builder.error(at, format!("operand \"{operand}\" is no tensor and no earlier op{hint}"))
        })
    }
}

/// Names of all ops.
fn names() -> impl Iterator<Item = &'static str> {
    keys::FAMILIES.iter().flat_map(|family| family.ops.iter().copied())
}

/// The keys that an op of this family may have.
fn op_keys(family: &Family) -> Vec<&'static str> {
    OP_KEYS.into_iter().chain(family.keys.iter().map(|key| key.name)).collect()
}

fn has_extents(kind: Kind) -> bool {
    matches!(kind, Kind::Extent | Kind::Shape)
}
