//! Shapes that the ONNX importer gives each node, against those that tract infers for the same file.
//!
//! tract sees the declared shapes of inputs and weights alone: what the file declares of other tensors is withheld from it.
//! Compared are networks (`networks…`), the fuzzer's seeds (`seeds…`), and random files (`random`).

mod model;
mod random;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use derate::graph_buf::GraphBuf;
use derate::import::{Options, onnx};
use derate_core::graph::Tables;
use tract_onnx::model::ParseResult;
use tract_onnx::pb;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::prelude::{Framework, OutletId};
use tract_onnx::tract_hir::infer::{Factoid, InferenceModel, InferenceModelExt};

/// Batch of files that leave it open.
const BATCH: u32 = 3;

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
    let mut given = proto.clone();
    if let Some(graph) = &mut given.graph {
        weights_as_inputs(graph);
        graph.input.iter_mut().for_each(close);
    }
    let parsed = framework.parse(&given, None).map_err(|error| text(&format!("tract: {error:#}")))?;
    let ParseResult { mut model, outlets_by_name, .. } = parsed;
    model.analyse(false).map_err(|error| text(&format!("tract: {error:#}")))?;
    let import =
        onnx::read(path, &Options { batch: Some(BATCH), ..Options::default() }).map_err(|error| text(&error))?;
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
            let Some(found) = ours.shape(node, position) else { continue };
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

/// Makes inputs of stored tensors whose elements are left out, which tract refuses.
fn weights_as_inputs(graph: &mut pb::GraphProto) {
    let (whole, bare): (Vec<_>, Vec<_>) = graph.initializer.drain(..).partition(|tensor| {
        let elements = usize::try_from(tensor.dims.iter().product::<i64>()).unwrap_or(usize::MAX);
        let listed = [tensor.float_data.len(), tensor.int32_data.len(), tensor.int64_data.len()];
        elements == 0 || tensor.raw_data.len() >= elements || listed.contains(&elements)
    });
    graph.initializer = whole;
    graph.input.retain(|input| bare.iter().all(|tensor| tensor.name != input.name));
    graph.input.extend(bare.iter().map(|tensor| model::value(&tensor.name, tensor.data_type, Some(&tensor.dims))));
}

/// Replaces open extents of an input, all of them batches, by [`BATCH`].
fn close(input: &mut pb::ValueInfoProto) {
    let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
    let Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor { shape: Some(shape), .. })) = kind else {
        return;
    };
    for dimension in shape.dim.iter_mut().map(|dimension| &mut dimension.value) {
        if !matches!(dimension, Some(Value::DimValue(_))) {
            *dimension = Some(Value::DimValue(BATCH.into()));
        }
    }
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

    /// Shape of an output of a node: of the op called after the output, of an op with several outputs, or of the last op.
    fn shape(&self, node: &pb::NodeProto, position: usize) -> Option<Vec<i64>> {
        let view = self.graph.view();
        let output = |op: usize, position: usize| {
            let id = view.outputs(view.nodes().get(op)?).nth(position)?;
            let extents = view.tensors().get(id.index())?.shape;
            Some(extents.extents().iter().copied().map(i64::from).collect())
        };
        let name = name(node);
        let op = match (node.op_type.as_str(), position) {
            ("DynamicQuantizeLinear", 0) => name.to_owned(),
            ("DynamicQuantizeLinear", 1) => format!("{name}/scale"),
            ("DynamicQuantizeLinear", 2) => format!("{name}/zero_point"),
            _ => format!("{name}/{position}"),
        };
        if let Some(op) = self.named.get(op.as_str()) {
            return output(*op, 0);
        }
        match position {
            0 => output(*self.ops(name)?.last()?, 0),
            _ => output(*self.named.get(name)?, position),
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

/// Seeds that the two cannot be compared on: tract's reader panics on the loops of `branches`, refuses the two types of a `Where` in
/// `constants`, and infers nothing of what is not of the standard set, such as `microsoft`; `unknown` holds what nobody knows.
const BEYOND: [&str; 4] = ["branches", "constants", "microsoft", "unknown"];

#[test]
fn seeds_of_the_fuzzer_have_the_shapes_that_tract_infers() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/onnx"));
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("skipped: seeds_of_the_fuzzer_have_the_shapes_that_tract_infers: {} is missing", folder.display());
        return;
    };
    let (mut files, mut sum) = (0, Compared::default());
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        // Hostile files are no networks; what a fuzzer found has no extension.
        let is_seed = path.extension().is_some_and(|extension| extension == "onnx") && !stem.starts_with("hostile_");
        if is_seed && !BEYOND.contains(&stem.as_str()) {
            sum.add(&compare(&path).unwrap_or_else(|error| panic!("{error}")));
            files += 1;
        }
    }
    eprintln!("{files} seeds: {sum:?}");
    assert_eq!(sum.open, 0, "{sum:?}");
    assert!(files >= 10 && sum.compared * 10 >= sum.nodes * 9, "{files} seeds: {sum:?}");
}
