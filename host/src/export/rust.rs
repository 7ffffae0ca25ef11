//! A graph as a Rust source file: constants that `derate-core` takes as they are, in flash, without allocation.
//!
//! The file depends on nothing but `derate-core`. Its tables are kept from `rustfmt`, one entry a line, so that no setting of a
//! project changes it; `GraphView::check` says at start-up or in a test that they belong together.

mod expression;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use derate_core::graph::Tables;

use self::expression::{Expression, node_op};
use crate::graph_buf::GraphBuf;

/// Why a graph has no Rust form.
#[derive(Debug, thiserror::Error)]
pub enum RustError {
    /// A kind of op that this writer does not know.
    #[error("{node}: the op `{op}` has no Rust form")]
    UnknownOp {
        /// Name of the node.
        node: String,
        /// Its op.
        op: &'static str,
    },
    /// A count of the header overflows.
    #[error("the graph's counts: {0}")]
    Count(#[from] derate_core::Error),
}

/// Names that the file imports from `derate-core`, by module.
#[derive(Debug, Default)]
struct Imports(BTreeMap<&'static str, BTreeSet<&'static str>>);

impl Imports {
    fn take(&mut self, module: &'static str, name: &'static str) {
        self.0.entry(module).or_default().insert(name);
    }
}

/// The file's text; `source` is what the graph was read from, for the header.
///
/// # Errors
/// [`RustError`].
pub fn write(graph: &GraphBuf, source: &str) -> Result<String, RustError> {
    let view = graph.view();
    let (work, footprint) = (view.total_work()?, graph.footprint()?);
    let mut imports = Imports::default();
    for name in ["GraphView", "Node"] {
        imports.take("graph", name);
    }
    imports.take("op", "Op");
    for name in ["Tensor", "TensorId"] {
        imports.take("tensor", name);
    }
    let mut nodes = String::new();
    let mut operands = Vec::new();
    for (node, name) in view.nodes().iter().zip(graph.names()) {
        let op = node_op(&node.op, &mut imports)
            .ok_or_else(|| RustError::UnknownOp { node: name.clone(), op: node.op.name() })?;
        let ids = view.operands(node).ids();
        let entry = format!("node({op}, {}, {}, {}, {})", operands.len(), ids.len(), node.output.index(), node.shared);
        line(&mut nodes, &entry);
        operands.extend(ids.iter().map(|id| id.index()));
    }
    let mut tensors = String::new();
    for tensor in view.tensors() {
        let kind = format!("TensorKind::{:?}", tensor.kind);
        imports.take("tensor", "TensorKind");
        let (shape, data_type) = (tensor.shape.write(&mut imports), tensor.data_type.write(&mut imports));
        line(&mut tensors, &format!("Tensor {{ shape: {shape}, data_type: {data_type}, kind: {kind} }}"));
    }
    let names: String = graph.names().iter().fold(String::new(), |mut text, name| {
        line(&mut text, &format!("{name:?}"));
        text
    });
    let mut rust = String::new();
    // Writing into a string does not fail.
    let counts = [
        format!("{} ops, {} tensors", view.nodes().len(), view.tensors().len()),
        format!("{} MACs, {} FLOPs, {} parameters", work.macs.0, work.flops.0, work.params),
        format!("{} bytes of weights", footprint.weights.0),
        format!("{} bytes of activations at the peak", footprint.peak_activations.0),
    ];
    header(&mut rust, graph.name(), source, &counts);
    for (module, names) in &imports.0 {
        let names: Vec<&str> = names.iter().copied().collect();
        if let [name] = names[..] {
            writeln!(rust, "use derate_core::{module}::{name};").ok();
        } else {
            import_list(&mut rust, module, &names);
        }
    }
    writeln!(rust, "\n{GRAPH}").ok();
    table(
        &mut rust,
        "Ops in execution order: op, first operand, operands, output, whether parameters are shared.",
        "NODES",
        "Node",
        view.nodes().len(),
        &nodes,
    );
    table(&mut rust, "Tensors in order of definition.", "TENSORS", "Tensor", view.tensors().len(), &tensors);
    let ids = rows(&operands);
    table(&mut rust, "What the ops read, op after op.", "OPERANDS", "TensorId", operands.len(), &ids);
    table(
        &mut rust,
        "Names of the ops; a program that does not use them does not hold them.",
        "NAMES",
        "&str",
        graph.names().len(),
        &names,
    );
    helpers(&mut rust, &imports);
    Ok(rust)
}

const GRAPH: &str = "/// The graph.
#[must_use]
pub const fn graph() -> GraphView<'static> {
    GraphView::new(&NODES, &TENSORS, &OPERANDS)
}
";

fn line(text: &mut String, entry: &str) {
    writeln!(text, "    {entry},").ok();
}

fn header(rust: &mut String, name: &str, source: &str, counts: &[String]) {
    // A comment is one line: what a name holds must not end it.
    let comment = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    writeln!(rust, "//! {} as constants, for `derate-core`.\n//!", comment(&format!("`{name}`"))).ok();
    writeln!(
        rust,
        "//! Written by derate {} from {}; do not edit.",
        env!("CARGO_PKG_VERSION"),
        comment(&format!("`{source}`"))
    )
    .ok();
    for (number, count) in (1..).zip(counts) {
        let end = if number == counts.len() { "." } else { "," };
        writeln!(rust, "//! {count}{end}").ok();
    }
    writeln!(rust).ok();
}

/// A list of imports, broken as `rustfmt` breaks it where it is longer than a line of any common width.
fn import_list(rust: &mut String, module: &str, names: &[&str]) {
    let one = format!("use derate_core::{module}::{{{}}};", names.join(", "));
    if one.len() <= 100 {
        writeln!(rust, "{one}").ok();
        return;
    }
    writeln!(rust, "#[rustfmt::skip]\nuse derate_core::{module}::{{").ok();
    let mut row = String::new();
    for name in names {
        if row.len() + name.len() > 90 {
            writeln!(rust, "    {}", row.trim_end()).ok();
            row.clear();
        }
        write!(row, "{name}, ").ok();
    }
    writeln!(rust, "    {}\n}};", row.trim_end()).ok();
}

fn table(rust: &mut String, doc: &str, name: &str, of: &str, length: usize, entries: &str) {
    writeln!(rust, "/// {doc}\n#[rustfmt::skip]\npub static {name}: [{of}; {length}] = [\n{entries}];\n").ok();
}

/// Operands, several a row.
fn rows(operands: &[usize]) -> String {
    let row = |row: &[usize]| row.iter().map(|id| format!("id({id})")).collect::<Vec<_>>().join(", ");
    operands.chunks(12).map(|chunk| format!("    {},\n", row(chunk))).collect()
}

/// Functions of the tables. What they refuse, they refuse when the file is compiled.
fn helpers(rust: &mut String, imports: &Imports) {
    let has = |name: &str| imports.0.values().any(|names| names.contains(name));
    let shape = "const fn shape(extents: &[u32]) -> Shape {
    match Shape::new(extents) {
        Ok(shape) => shape,
        Err(_) => panic!(\"more than 8 dimensions\"),
    }
}
";
    let windows = "const fn windows(axes: &[Window]) -> Windows {
    match Windows::new(axes) {
        Ok(windows) => windows,
        Err(_) => panic!(\"not 1 to 3 axes\"),
    }
}

const fn window(kernel: u16, stride: u16, padding: [u16; 2], dilation: u16) -> Window {
    let mut window = Window::new(kernel, stride, 0);
    window.padding = padding;
    window.dilation = dilation;
    window
}
";
    let base = "const fn id(number: u32) -> TensorId {
    TensorId::new(number)
}

const fn node(op: Op, first: u32, count: u16, output: u32, shared: bool) -> Node {
    Node::new(op, first, count, id(output), shared)
}
";
    let parts = [Some(base), has("Shape").then_some(shape), has("Windows").then_some(windows)];
    rust.push_str(&parts.into_iter().flatten().collect::<Vec<_>>().join("\n"));
}
