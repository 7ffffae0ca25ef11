//! Shapes that the ONNX importer gives each node, against those that tract infers for the same file.
//!
//! tract sees the declared shapes of inputs and weights alone: what the file declares of other tensors is withheld from it.

mod model;
mod random;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use derate::graph_buf::GraphBuf;
use derate::import::{Options, onnx};
use derate_core::graph::Tables;
use tract_onnx::model::ParseResult;
use tract_onnx::pb;
use tract_onnx::prelude::{Framework, OutletId};
use tract_onnx::tract_hir::infer::{Factoid, InferenceModel, InferenceModelExt};

/// What came of the nodes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Compared {
    /// Nodes of the file.
    nodes: usize,
    /// Those of the kind `Constant`.
    constants: usize,
    /// Other nodes without an op of ours: shape arithmetic, identities.
    folded: usize,
    /// Outputs of the other nodes whose shape tract leaves open.
    open: usize,
    /// Outputs whose shape both give.
    compared: usize,
}

impl Compared {
    fn add(&mut self, other: &Self) {
        self.nodes += other.nodes;
        self.constants += other.constants;
        self.folded += other.folded;
        self.open += other.open;
        self.compared += other.compared;
    }
}

/// Reads a file with both, and compares.
fn compare(path: &Path) -> Result<Compared, String> {
    let text = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let framework = tract_onnx::onnx().with_ignore_value_info(true);
    let proto = framework.proto_model_for_path(path).map_err(|error| text(&format!("tract: {error:#}")))?;
    let parsed = framework.parse(&proto, None).map_err(|error| text(&format!("tract: {error:#}")))?;
    let ParseResult { mut model, outlets_by_name, .. } = parsed;
    model.analyse(false).map_err(|error| text(&format!("tract: {error:#}")))?;
    let import = onnx::read(path, &Options::default()).map_err(|error| text(&error))?;
    if let Some(unsupported) = import.unsupported.first() {
        return Err(text(&format!("not counted: {unsupported:?}")));
    }
    let graph = proto.graph.as_ref().ok_or_else(|| text(&"no graph"))?;
    let ours = Ours::new(&import.graph, &graph.node);
    let mut sum = Compared { nodes: graph.node.len(), ..Compared::default() };
    for node in &graph.node {
        if ours.ops(name(node)).is_none() {
            *if node.op_type == "Constant" { &mut sum.constants } else { &mut sum.folded } += 1;
            continue;
        }
        for (position, output) in node.output.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            let Some(found) = ours.shape(name(node), position) else { continue };
            match outlets_by_name.get(output).and_then(|outlet| theirs(&model, *outlet)) {
                None => sum.open += 1,
                Some(expected) if expected == found => sum.compared += 1,
                Some(expected) => {
                    let op = &node.op_type;
                    return Err(text(&format!("{output} ({op}): we say {found:?}, tract says {expected:?}\n{node:?}")));
                }
            }
        }
    }
    Ok(sum)
}

/// Name of a node as both call it: its own, or that of its first output.
fn name(node: &pb::NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

/// Shape that tract infers, where all extents are known.
fn theirs(model: &InferenceModel, outlet: OutletId) -> Option<Vec<i64>> {
    let shape = model.outlet_fact(outlet).ok()?.shape.concretize()?;
    shape.iter().map(|extent| extent.to_i64().ok()).collect()
}

/// Our ops by the nodes that they stand for.
struct Ours<'a> {
    graph: &'a GraphBuf,
    /// Positions of the ops of each node, in order.
    ops: HashMap<&'a str, Vec<usize>>,
    /// Positions of ops by their own names.
    named: HashMap<&'a str, usize>,
}

impl<'a> Ours<'a> {
    fn new(graph: &'a GraphBuf, nodes: &[pb::NodeProto]) -> Self {
        let known: HashSet<&str> = nodes.iter().map(name).collect();
        let mut ops: HashMap<&str, Vec<usize>> = HashMap::new();
        for (position, op) in graph.names().iter().enumerate() {
            // One of several ops of a node is called `node/part`.
            let node = if known.contains(op.as_str()) { op } else { op.rsplit_once('/').map_or("", |(node, _)| node) };
            ops.entry(node).or_default().push(position);
        }
        let named = graph.names().iter().enumerate().map(|(position, name)| (name.as_str(), position)).collect();
        Self { graph, ops, named }
    }

    fn ops(&self, node: &str) -> Option<&Vec<usize>> {
        self.ops.get(node)
    }

    /// Shape of an output of a node: of the op called after the output's position, of an op with several outputs, or of the last op.
    fn shape(&self, node: &str, position: usize) -> Option<Vec<i64>> {
        let view = self.graph.view();
        let output = |op: usize, position: usize| {
            let id = view.outputs(view.nodes().get(op)?).nth(position)?;
            let extents = view.tensors().get(id.index())?.shape;
            Some(extents.extents().iter().copied().map(i64::from).collect())
        };
        if let Some(op) = self.named.get(format!("{node}/{position}").as_str()) {
            return output(*op, 0);
        }
        match position {
            0 => output(*self.ops(node)?.last()?, 0),
            _ => output(*self.named.get(node)?, position),
        }
    }
}

#[test]
fn networks_have_the_shapes_that_tract_infers() {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let folder = shared.join("data/onnx");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: networks_have_the_shapes_that_tract_infers: {} is missing", folder.display());
        return;
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    for path in &files {
        let sum = compare(path).unwrap_or_else(|error| panic!("{error}"));
        eprintln!("{}: {sum:?}", path.display());
        let computed = sum.nodes - sum.constants;
        assert_eq!((sum.open, sum.compared), (0, computed - sum.folded), "{}", path.display());
        assert!(sum.folded * 20 <= computed, "{}: {sum:?}", path.display());
    }
    assert_eq!(files.len(), 8, "files in {}", folder.display());
}
