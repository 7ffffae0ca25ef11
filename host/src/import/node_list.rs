//! Lists of nodes as a tracer of modules prints them: JSON with `nodes` in execution order, each with name, op, operands, output shape
//! and attributes. Described in `docs/formats.md`.
//!
//! A node that the file marks as `bookkeeping` takes no time; one that it marks as `alias` moves no byte: a view, where its shape is
//! another. The shape that an op gives must be the one that the file states.

mod layers;
mod values;

use std::collections::HashMap;

use derate_core::op::{Move, MoveKind, Op, View};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};
use serde_json::{Map, Value};

use self::values::{extents, flag, list, shown, text};
use super::build::Builder;
use super::{Import, ImportError, Options};

/// Why a node was not added.
enum Stop {
    /// The file is no graph.
    Error(ImportError),
    /// No op describes it; it is listed.
    Unsupported(String),
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Error(error)
    }
}

type Step<T = ()> = Result<T, Stop>;

fn unsupported<T>(reason: impl Into<String>) -> Step<T> {
    Err(Stop::Unsupported(reason.into()))
}

/// Reads a list of nodes; [`Options::batch`] replaces the batch that the header states, in dimension 0 of all but parameters.
///
/// # Errors
/// [`ImportError`] for missing keys, values out of range, operands that no earlier node gives, and ops that core refuses or that give
/// another shape than the file states.
pub(super) fn read_map(
    graph: &Map<String, Value>,
    file: &str,
    stem: &str,
    options: &Options,
) -> Result<Import, ImportError> {
    let name = graph.get("model").and_then(Value::as_str).unwrap_or(stem);
    let builder = Builder::new(file, name);
    let batch = match graph.get("batch") {
        None => 1,
        Some(value) => {
            let batch = value.as_u64().and_then(|batch| u32::try_from(batch).ok()).filter(|&batch| batch > 0);
            batch.ok_or_else(|| builder.error("\"batch\"", format!("{}; a number from 1 is needed", shown(value))))?
        }
    };
    let nodes = list(graph, "nodes").map_err(|message| builder.error("header", message))?;
    let batch = (batch, options.batch.unwrap_or(batch));
    let mut reader = Reader { builder, batch, given: HashMap::new() };
    for (place, node) in nodes.iter().enumerate() {
        let at = format!("node {place}");
        let Value::Object(map) = node else {
            return Err(reader.builder.error(at, format!("{} is no object", shown(node))));
        };
        let node = Node::new(map).map_err(|message| reader.builder.error(at, message))?;
        reader.node(&node)?;
    }
    reader.builder.finish()
}

/// A node of the file.
struct Node<'a> {
    name: &'a str,
    op: &'a str,
    inputs: Vec<&'a str>,
    /// Shape of the result as the file states it; `None` where it is no tensor.
    output: Option<Vec<u32>>,
    attributes: Option<&'a Map<String, Value>>,
    data_type: DataType,
    alias: bool,
    bookkeeping: bool,
}

impl<'a> Node<'a> {
    fn new(map: &'a Map<String, Value>) -> Result<Self, String> {
        let name = text(map, "name")?;
        let named = |message: String| format!("{name}: {message}");
        let input =
            |value: &'a Value| value.as_str().ok_or_else(|| named(format!("operand {} is no name", shown(value))));
        // Where a node gives several results, the first stands for it.
        let several = map.get("output_shapes").and_then(Value::as_array).and_then(|shapes| shapes.first());
        let output = match map.get("output_shape").filter(|shape| !shape.is_null()).or(several) {
            None | Some(Value::Null) => None,
            Some(shape) => Some(extents(shape).map_err(|message| named(format!("\"output_shape\": {message}")))?),
        };
        Ok(Self {
            name,
            op: text(map, "op").map_err(named)?,
            inputs: list(map, "inputs").map_err(named)?.iter().map(input).collect::<Result<_, _>>()?,
            output,
            attributes: map.get("attrs").and_then(Value::as_object),
            data_type: values::data_type(map).map_err(named)?,
            alias: flag(map, "alias").map_err(named)?,
            bookkeeping: flag(map, "bookkeeping").map_err(named)?,
        })
    }
}

struct Reader {
    builder: Builder,
    /// Batch of the file, and the one that is asked for.
    batch: (u32, u32),
    /// What each node gives; `None` for what is no tensor.
    given: HashMap<String, Option<TensorId>>,
}

impl Reader {
    fn node(&mut self, node: &Node<'_>) -> Result<(), ImportError> {
        let given = match self.convert(node) {
            Ok(id) => id,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Unsupported(reason)) => {
                self.builder.unsupported(node.name, node.op, reason);
                match self.output(node)? {
                    Some(shape) => Some(self.source(node, &shape, TensorKind::Input)?),
                    None => None,
                }
            }
        };
        if self.given.insert(node.name.to_owned(), given).is_some() {
            return Err(self.builder.error(node.name, "the name stands for another node already"));
        }
        Ok(())
    }

    fn source(&mut self, node: &Node<'_>, shape: &[u32], kind: TensorKind) -> Result<TensorId, ImportError> {
        self.builder.source(node.name, shape, node.data_type, kind)
    }

    /// The stated shape with the batch that is asked for.
    fn output(&self, node: &Node<'_>) -> Result<Option<Vec<u32>>, ImportError> {
        let Some(mut shape) = node.output.clone() else { return Ok(None) };
        let (from, to) = self.batch;
        if let Some(first) = shape.first_mut().filter(|_| from != to) {
            let scaled = u64::from(*first).checked_mul(u64::from(to)).filter(|scaled| scaled % u64::from(from) == 0);
            let scaled = scaled.and_then(|scaled| u32::try_from(scaled / u64::from(from)).ok());
            *first = scaled.ok_or_else(|| {
                self.builder
                    .error(node.name, format!("extent {first} at batch {from} has no counterpart at batch {to}"))
            })?;
        }
        Ok(Some(shape))
    }

    fn convert(&mut self, node: &Node<'_>) -> Step<Option<TensorId>> {
        let operands = self.operands(node)?;
        match (node.op, self.output(node)?) {
            ("input", Some(shape)) => Ok(Some(self.source(node, &shape, TensorKind::Input)?)),
            ("parameter", _) => match &node.output {
                Some(shape) => Ok(Some(self.source(node, shape, TensorKind::Parameter)?)),
                None => Err(Stop::Error(self.builder.error(node.name, "a parameter without \"output_shape\""))),
            },
            ("output", _) => {
                self.builder.bookkeeping();
                Ok(None)
            }
            (_, None) if node.bookkeeping => {
                self.builder.bookkeeping();
                Ok(None)
            }
            (_, None) => unsupported("its result is no tensor"),
            (_, Some(shape)) => {
                let wanted = Shape::new(&shape).map_err(|error| self.builder.error(node.name, error.to_string()))?;
                let id = if node.alias || node.bookkeeping {
                    self.alias(node, &operands, wanted)?
                } else {
                    self.computed(node, &operands, wanted)?
                };
                let found = self.builder.shape(id);
                if found == wanted {
                    return Ok(Some(id));
                }
                let message = format!("{} gives the shape {found:?}, but the file states {wanted:?}", node.op);
                Err(Stop::Error(self.builder.error(node.name, message)))
            }
        }
    }

    /// Operands that are tensors.
    fn operands(&self, node: &Node<'_>) -> Step<Vec<TensorId>> {
        let mut ids = Vec::new();
        for &input in &node.inputs {
            let given = self.given.get(input).ok_or_else(|| {
                let shown: String = input.chars().take(60).collect();
                self.builder.error(node.name, format!("operand \"{shown}\" is no earlier node"))
            })?;
            ids.extend(given);
        }
        Ok(ids)
    }

    /// The first operand under another shape.
    fn alias(&mut self, node: &Node<'_>, operands: &[TensorId], wanted: Shape) -> Step<TensorId> {
        let Some(&input) = operands.first() else { return unsupported("a view of no tensor") };
        let from = self.builder.shape(input);
        if from == wanted {
            self.builder.bookkeeping();
            return Ok(input);
        }
        if from.elements().is_ok_and(|elements| Ok(elements) == wanted.elements()) {
            return Ok(self.builder.op(node.name, Op::View(View { shape: wanted }), &[input])?);
        }
        if wanted.broadcast(&from) == Ok(wanted) {
            return Ok(self.builder.op(
                node.name,
                Op::Move(Move { kind: MoveKind::Expand, shape: wanted }),
                &[input],
            )?);
        }
        let Some(part) = selected(from.extents(), wanted.extents()) else {
            return unsupported(format!("a view of {from:?} as {wanted:?}"));
        };
        let shape = Shape::new(&part).map_err(|error| self.builder.error(node.name, error.to_string()))?;
        let part = self.builder.op(node.name, Op::Move(Move { kind: MoveKind::Slice, shape }), &[input])?;
        if shape == wanted {
            return Ok(part);
        }
        Ok(self.builder.op(&format!("{}:view", node.name), Op::View(View { shape: wanted }), &[part])?)
    }
}

/// Extents of the part of a tensor that is left when some axes are sliced and others, of one element then, dropped.
fn selected(from: &[u32], wanted: &[u32]) -> Option<Vec<u32>> {
    let mut wanted = wanted.iter().peekable();
    let mut part = Vec::new();
    for (axis, &extent) in from.iter().enumerate() {
        let left = from.len() - axis;
        let next = wanted.peek().copied().copied();
        part.push(match next {
            Some(next) if next == extent || (left == wanted.len() && next <= extent) => {
                wanted.next();
                next
            }
            _ => 1,
        });
    }
    wanted.next().is_none().then_some(part)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use derate_core::graph::Tables;

    use super::*;
    use crate::import::json::{read, read_text};

    #[test]
    fn what_a_selection_leaves() {
        assert_eq!(selected(&[1, 197, 768], &[1, 768]), Some(vec![1, 1, 768]));
        assert_eq!(selected(&[4, 10, 8], &[4, 3, 8]), Some(vec![4, 3, 8]));
        assert_eq!(selected(&[4, 10], &[11]), None);
    }

    #[test]
    fn nine_networks_have_the_counts_of_their_headers() {
        let shared = std::env::var_os("DERATE_SHARED")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
        let folder = shared.join("data/graphs");
        let Ok(files) = std::fs::read_dir(&folder) else {
            eprintln!("skipped: no graphs in {}", folder.display());
            return;
        };
        let mut compared = 0;
        for file in files {
            let path = file.expect("readable").path();
            let header: Value = serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("JSON");
            for batch in [None, Some(16)] {
                let import = read(&path, &Options { batch, ..Options::default() }).expect("valid");
                assert_eq!(import.unsupported, [], "{}", path.display());
                let work = import.graph.view().total_work().expect("small");
                let images = u64::from(batch.unwrap_or(1));
                assert_eq!(Some(work.macs.0), header["macs"].as_u64().map(|macs| macs * images), "{}", path.display());
                assert_eq!(Some(work.params), header["params"].as_u64(), "{}", path.display());
            }
            // Node by node too: what one op has too many another could have too few.
            let import = read(&path, &Options::default()).expect("valid");
            let graph = import.graph.view();
            let nodes = header["nodes"].as_array().expect("nodes");
            for (node, name) in graph.nodes().iter().zip(import.graph.names()) {
                let Some(stated) = nodes.iter().find(|node| node["name"] == name.as_str()) else { continue };
                let work = graph.work(node).expect("small");
                let counts = (Some(work.macs.0), Some(work.params));
                assert_eq!(counts, (stated["macs"].as_u64(), stated["params"].as_u64()), "{}: {name}", path.display());
            }
            compared += 1;
        }
        assert_eq!(compared, 9);
    }

    fn refused(nodes: &str) -> String {
        let text = format!("{{\"nodes\": [{nodes}]}}");
        read_text(&text, "test.json", "test", &Options::default()).expect_err("refused").to_string()
    }

    #[test]
    fn errors_name_the_node() {
        let input = r#"{"name":"x","op":"input","inputs":[],"output_shape":[1,8]}"#;
        for (nodes, message) in [
            ("3".to_owned(), "node 0: 3 is no object"),
            (r#"{"op":"input"}"#.to_owned(), "node 0: \"name\" is missing"),
            (r#"{"name":"x","op":"input","inputs":[],"output_shape":[1,-8]}"#.to_owned(), "x: \"output_shape\": -8"),
            (format!(r#"{input},{{"name":"y","op":"relu","inputs":["z"],"output_shape":[1,8]}}"#), "y: operand \"z\""),
            (format!(r#"{input},{{"name":"y","op":"relu","inputs":["x"],"output_shape":[1,9]}}"#), "states [1, 9]"),
            (
                format!(r#"{input},{{"name":"y","op":"linear","inputs":["x"],"output_shape":[1,9],"attrs":{{}}}}"#),
                "y: \"in_features\" is missing",
            ),
            (format!("{input},{input}"), "x: the name stands for another node"),
        ] {
            let found = refused(&nodes);
            assert!(found.contains(message), "{found}");
        }
    }

    #[test]
    fn an_unknown_op_is_listed() {
        let text = r#"{"nodes": [
            {"name": "x", "op": "input", "inputs": [], "output_shape": [1, 8]},
            {"name": "y", "op": "einsum", "inputs": ["x"], "output_shape": [1, 4]},
            {"name": "z", "op": "relu", "inputs": ["y"], "output_shape": [1, 4]}]}"#;
        let import = read_text(text, "test.json", "test", &Options::default()).expect("valid");
        assert_eq!((import.unsupported.len(), import.unsupported[0].op.as_str()), (1, "einsum"));
        assert_eq!(import.graph.names(), ["z"]);
    }
}
