//! Writing a graph: one line a tensor, one line an op.

use std::collections::HashSet;
use std::fmt::Write as _;

use derate_core::graph::{Node, Tables};
use derate_core::tensor::TensorId;
use serde_json::Value;

use super::{FORMAT, TENSOR_KINDS, VERSION, ops};
use crate::graph_buf::GraphBuf;

/// The graph as JSON in our format, with a line break at the end. Names that stand for two tensors or ops get a number, `name#2`.
#[must_use]
pub fn write(graph: &GraphBuf) -> String {
    let view = graph.view();
    let names = Names::of(graph);
    let mut text = format!(
        "{{\n  \"format\": \"{FORMAT}\",\n  \"version\": {VERSION},\n  \"name\": {},\n  \"tensors\": [",
        quoted(graph.name())
    );
    let mut separator = "";
    for (id, _) in graph.sources() {
        let Some(tensor) = view.tensors().get(id.index()) else { continue };
        let kind = TENSOR_KINDS.iter().find(|(_, kind)| *kind == tensor.kind).map_or("input", |(name, _)| name);
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "{separator}\n    {{\"name\": {}, \"kind\": \"{kind}\", \"shape\": {:?}, \"data_type\": \"{}\"",
            quoted(names.at(*id)),
            tensor.shape,
            tensor.data_type.name()
        );
        // Tensors keep their numbers: one that was added after an op is read after it.
        let before = view.nodes().partition_point(|node| node.output < *id);
        if let Some(node) = before.checked_sub(1).and_then(|place| view.nodes().get(place)) {
            let _ = write!(text, ", \"after\": {}", quoted(names.at(node.output)));
        }
        text.push('}');
        separator = ",";
    }
    text.push_str("\n  ],\n  \"ops\": [");
    separator = "";
    for (place, node) in view.nodes().iter().enumerate() {
        let operands = view.operands(node);
        let listed: Vec<String> = operands.ids().iter().map(|id| quoted(names.at(*id))).collect();
        let _ = write!(
            text,
            "{separator}\n    {{\"name\": {}, \"op\": \"{}\", \"operands\": [{}]",
            quoted(names.at(node.output)),
            node.op.name(),
            listed.join(", ")
        );
        let rank = operands.at(0).map_or(0, |operand| operand.shape.rank());
        for (key, value) in ops::attributes(&node.op, rank) {
            let _ = write!(text, ", \"{key}\": {}", spaced(&value));
        }
        if node.shared
            && let Some(first) = shared_with(view.nodes().get(..place).unwrap_or_default(), node)
        {
            let _ = write!(text, ", \"shares\": {}", quoted(names.at(first.output)));
        }
        text.push('}');
        separator = ",";
    }
    text.push_str("\n  ]\n}\n");
    text
}

/// The earlier node whose parameters a node most likely shares: the same op, else any.
fn shared_with<'n>(earlier: &'n [Node], node: &Node) -> Option<&'n Node> {
    let same = earlier.iter().find(|candidate| !candidate.shared && candidate.op == node.op);
    same.or_else(|| earlier.iter().find(|candidate| !candidate.shared))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A value with a space after each comma.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A name for each tensor of a graph, all different.
struct Names {
    names: Vec<String>,
}

impl Names {
    fn of(graph: &GraphBuf) -> Self {
        let view = graph.view();
        let mut names = vec![String::new(); view.tensors().len()];
        let mut taken = HashSet::new();
        let mut put = |id: TensorId, name: String| {
            if let Some(place) = names.get_mut(id.index()) {
                *place = name;
            }
        };
        for (id, name) in graph.sources() {
            put(*id, free(name, 1, &mut taken));
        }
        for (node, name) in view.nodes().iter().zip(graph.names()) {
            let count = node.op.output_count();
            let name = free(name, count, &mut taken);
            for (position, id) in (1..count).zip(view.outputs(node).skip(1)) {
                put(id, format!("{name}:{position}"));
            }
            put(node.output, name);
        }
        Self { names }
    }

    fn at(&self, id: TensorId) -> &str {
        self.names.get(id.index()).map_or("", String::as_str)
    }
}

/// A name that is not taken yet, nor are those of its further outputs.
fn free(name: &str, count: u16, taken: &mut HashSet<String>) -> String {
    let name = if name.is_empty() { "op" } else { name };
    let mut candidate = name.to_owned();
    let mut number = 1_u64;
    let outputs = |name: &str| (1..count).map(|position| format!("{name}:{position}")).collect::<Vec<_>>();
    while taken.contains(&candidate) || outputs(&candidate).iter().any(|further| taken.contains(further)) {
        number += 1;
        candidate = format!("{name}#{number}");
    }
    taken.insert(candidate.clone());
    taken.extend(outputs(&candidate));
    candidate
}
