//! Execution order: the file's own where it is one, a sorted one else.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::call::name;
use super::proto::{Graph, Node};

/// Positions of the nodes in an order in which each comes after what it reads.
///
/// # Errors
/// The node and what is wrong: two nodes give the same value, or nodes wait for each other.
pub(super) fn order(nodes: &[Node]) -> Result<Vec<usize>, (String, String)> {
    let mut made_by = HashMap::new();
    for (position, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if let Some(other) = made_by.insert(output.as_str(), position) {
                let other = nodes.get(other).map_or("", name);
                return Err((name(node).to_owned(), format!("it gives {output}, which {other} gives too")));
            }
        }
    }
    let reads: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| {
            let mut names = Vec::new();
            read_by(node, &mut names);
            let mut makers: Vec<usize> = names.iter().filter_map(|name| made_by.get(name).copied()).collect();
            makers.sort_unstable();
            makers.dedup();
            makers
        })
        .collect();
    if reads.iter().enumerate().all(|(position, makers)| makers.iter().all(|&maker| maker < position)) {
        return Ok((0..nodes.len()).collect());
    }
    let mut waits: Vec<usize> = reads.iter().map(Vec::len).collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (position, makers) in reads.iter().enumerate() {
        for &maker in makers {
            if let Some(list) = readers.get_mut(maker) {
                list.push(position);
            }
        }
    }
    // The first in the file among those that can run.
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&at| waits.get(at) == Some(&0)).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(position) = ready.pop_first() {
        order.push(position);
        for &reader in readers.get(position).into_iter().flatten() {
            if let Some(count) = waits.get_mut(reader) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.insert(reader);
                }
            }
        }
    }
    if order.len() == nodes.len() { Ok(order) } else { Err(cycle(nodes, &reads, &order)) }
}

/// A node that waits for itself.
fn cycle(nodes: &[Node], reads: &[Vec<usize>], done: &[usize]) -> (String, String) {
    let done: HashSet<usize> = done.iter().copied().collect();
    let mut at = (0..nodes.len()).find(|position| !done.contains(position)).unwrap_or(0);
    let mut seen = HashSet::new();
    // Each node left waits for another that is left: whoever walks back long enough meets one twice.
    while seen.insert(at) {
        at = reads.get(at).into_iter().flatten().copied().find(|maker| !done.contains(maker)).unwrap_or(at);
    }
    let node = nodes.get(at).map_or("", name);
    (node.to_owned(), "it waits for its own result: the graph has a cycle".to_owned())
}

/// Names that a node reads, those of its branches among them.
fn read_by<'n>(node: &'n Node, names: &mut Vec<&'n str>) {
    names.extend(node.input.iter().map(String::as_str).filter(|name| !name.is_empty()));
    for graph in node.attribute.iter().filter_map(|attribute| attribute.g.as_deref()) {
        read_in(graph, names);
    }
}

fn read_in<'n>(graph: &'n Graph, names: &mut Vec<&'n str>) {
    for node in &graph.node {
        read_by(node, names);
    }
    names.extend(graph.output.iter().map(|output| output.name.as_str()));
}
