//! Inputs of the graph: their extents, and which of them stand for weights.
//!
//! **Which graph inputs are weights.** An input that an initializer of the same name gives a value is stored. Beyond that, a file
//! may have been stripped of its weights, so that each is an input of which only type and shape are left. Such a file is known
//! by this: no position that takes weights (`W` of a convolution, `B` of a Gemm, the scale of a normalisation, the matrices of a
//! recurrent layer) is fed by anything stored, and at least one is fed by a graph input; or there is no such position, as in
//! transformers of older opsets, and an input that nothing reads as data is called `….weight`, as exporters call parameters of
//! modules. Then, and only then, a graph input stands for a weight if
//!
//! - it is not the first input, has floating-point (or 8-bit) elements, and a static shape;
//! - everything that reads it, directly or behind reshapes, transposes and casts, reads it in a position that takes weights, or in
//!   one that could: second factor of a matrix product of rank 2, table of a gather, operand of arithmetic, of a concatenation or
//!   an expansion;
//! - where only the latter read it, its name has no word `input`, `mask` or `state`.
//!
//! Whatever is read as data by any node (operand 0 of a layer, indices, first states) stays an input, and so do all inputs of a file
//! that has its weights.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::call::data_type;
use super::proto::{Dimension, Graph, Node, ValueInfo};
use super::value::is_float;
use crate::import::Options;
use derate_core::shape::DataType;

/// Extents of named dimensions, those of the batch among them.
#[derive(Debug, Default)]
pub(super) struct Bound {
    names: HashMap<String, u32>,
}

/// Elements and shape of an input, where both are known.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) dims: Vec<u32>,
}

impl Bound {
    /// An extent where it is known; `Err` for a number that is none.
    pub(super) fn extent(&self, dimension: &Dimension) -> Result<Option<u32>, String> {
        match (dimension.dim_value, dimension.dim_param.as_deref()) {
            // -1 is how some writers say "open".
            (Some(-1), _) | (None, None | Some("")) => Ok(None),
            (Some(value), _) => u32::try_from(value)
                .ok()
                .map(Some)
                .ok_or_else(|| format!("extent {value} of its shape is not in 0 ..= 4294967295")),
            (None, Some(name)) => Ok(self.names.get(name).copied()),
        }
    }
}

fn dimensions(info: &ValueInfo) -> Option<&[Dimension]> {
    Some(&info.kind.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?.dim)
}

/// Element type of a declared value, as the file numbers it.
pub(super) fn element(info: &ValueInfo) -> Option<i32> {
    Some(info.kind.as_ref()?.tensor_type.as_ref()?.elem_type)
}

/// Declared shape of a value, with the extents that are known.
pub(super) fn declared(info: &ValueInfo, bound: &Bound) -> Result<Option<Vec<Option<u32>>>, String> {
    dimensions(info).map(|dims| dims.iter().map(|dimension| bound.extent(dimension)).collect()).transpose()
}

fn is_open(dimension: &Dimension) -> bool {
    matches!(dimension.dim_value, None | Some(-1))
}

/// The inputs `real`, with every open extent taken from the options.
///
/// # Errors
/// Where (if known) and what: an extent that is left open, all of them named; a type that no tensor has.
pub(super) fn bind(real: &[&ValueInfo], options: &Options) -> Result<(Bound, Vec<Input>), (Option<String>, String)> {
    let mut bound = Bound { names: options.dims.iter().map(|(name, &extent)| (name.clone(), extent)).collect() };
    let mut named = BTreeSet::new();
    for info in real {
        for (axis, dimension) in dimensions(info).unwrap_or_default().iter().enumerate() {
            if !is_open(dimension) {
                continue;
            }
            let name = open_name(info, axis, dimension);
            if let (0, Some(batch)) = (axis, options.batch) {
                bound.names.entry(name.clone()).or_insert(batch);
            }
            named.insert(name);
        }
    }
    if let Some(unknown) = options.dims.keys().find(|name| !named.contains(*name)) {
        let known = named.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        return Err((None, format!("no input has an open dimension {unknown:?}; open dimensions: {known}")));
    }
    let open: Vec<&String> = named.iter().filter(|name| !bound.names.contains_key(*name)).collect();
    if !open.is_empty() {
        let list = open.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let first = open.first().map_or("", |name| name.as_str());
        return Err((
            None,
            format!(
                "these dimensions of its inputs are open: {list}; give the batch with `--batch N`, each other one as in `--dim {first}=N`"
            ),
        ));
    }
    let mut inputs = Vec::new();
    for info in real {
        let at = |message: String| (Some(info.name.clone()), message);
        let element = element(info).ok_or_else(|| at("this input is no tensor".to_owned()))?;
        let data_type =
            data_type(element).map_err(|kind| at(format!("this input has elements of type {kind} ({element})")))?;
        let dims = dimensions(info).ok_or_else(|| at("this input has no declared shape".to_owned()))?;
        let dims = dims
            .iter()
            .enumerate()
            .map(|(axis, dimension)| {
                let unnamed = || bound.names.get(&open_name(info, axis, dimension)).copied();
                bound.extent(dimension).map(|extent| extent.or_else(unnamed))
            })
            .collect::<Result<Option<Vec<u32>>, _>>()
            .map_err(at)?;
        let dims = dims.ok_or_else(|| at("an extent of this input is open".to_owned()))?;
        inputs.push(Input { name: info.name.clone(), data_type, dims });
    }
    Ok((bound, inputs))
}

/// Name of an open dimension; one without a name is called by its place, as in `x[2]`.
fn open_name(info: &ValueInfo, axis: usize, dimension: &Dimension) -> String {
    match dimension.dim_param.as_deref() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("{}[{axis}]", info.name),
    }
}

/// How a node reads an operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Only weights stand here.
    Weight,
    /// Weights may stand here.
    Either,
    /// As data.
    Data,
    /// Passed on under another shape or type.
    Passed,
}

fn reads(node: &Node, position: usize, rank: usize) -> Use {
    match (node.op_type.as_str(), position) {
        ("Conv" | "ConvTranspose" | "LayerNormalization" | "InstanceNormalization" | "GroupNormalization", 1 | 2)
        | ("BatchNormalization", 1..=4)
        | ("LSTM" | "GRU" | "RNN", 1..=3)
        | ("LSTM", 7)
        | ("Gemm" | "PRelu", 1)
        | ("QLinearConv", 3 | 8)
        | ("QLinearMatMul", 3)
        | ("ConvInteger" | "MatMulInteger", 1) => Use::Weight,
        ("MatMul", 1) if rank == 2 => Use::Either,
        ("Gather", 0) if rank == 2 => Use::Either,
        ("Gemm", 2)
        | ("Add" | "Mul" | "Sub" | "Div" | "Pow" | "Concat" | "Einsum", _)
        | ("Expand" | "Tile", 0)
        | ("Where", 1 | 2) => Use::Either,
        (
            "Transpose" | "Reshape" | "Unsqueeze" | "Squeeze" | "Cast" | "Identity" | "Slice" | "Split" | "Flatten"
            | "DequantizeLinear" | "QuantizeLinear" | "Exp" | "Sigmoid" | "Clip" | "Neg",
            0,
        ) => Use::Passed,
        ("ScatterND" | "ScatterElements", 0 | 2) => Use::Passed,
        ("QuantizeLinear" | "DequantizeLinear", _) => Use::Either,
        // The shape alone tells nothing.
        ("Shape" | "Size", 0) => Use::Either,
        _ => Use::Data,
    }
}

/// Names of graph inputs that stand for weights; the rule stands at the head of this file.
pub(super) fn weights<'g>(graph: &'g Graph, stored: &HashSet<&str>) -> HashSet<&'g str> {
    let mut readers: HashMap<&str, Vec<(&Node, usize)>> = HashMap::new();
    for node in &graph.node {
        for (position, name) in node.input.iter().enumerate() {
            readers.entry(name.as_str()).or_default().push((node, position));
        }
    }
    let open: Vec<&ValueInfo> = graph.input.iter().filter(|info| !stored.contains(info.name.as_str())).collect();
    let constants: HashSet<&str> = graph
        .node
        .iter()
        .filter(|node| node.op_type == "Constant")
        .flat_map(|node| node.output.iter().map(String::as_str))
        .collect();
    let mut by_stored = false;
    for node in &graph.node {
        for (position, name) in node.input.iter().enumerate() {
            if reads(node, position, 0) == Use::Weight {
                // An instance norm may have ones and zeros written down beside absent weights.
                let written = constants.contains(name.as_str()) && node.op_type != "InstanceNormalization";
                by_stored |= stored.contains(name.as_str()) || written;
            }
        }
    }
    // The first input is given at each run, whatever reads it.
    let mut rest = open.iter().skip(1);
    let by_input = rest.any(|info| {
        let found = uses(&info.name, dimensions(info).map_or(0, <[Dimension]>::len), &readers);
        found.weight || info.name.ends_with(".weight") && !found.data && readers.contains_key(info.name.as_str())
    });
    if by_stored || !by_input {
        return HashSet::new();
    }
    let candidates = open.iter().skip(1).filter(|info| {
        let fits = element(info).and_then(|element| data_type(element).ok());
        let rank = dimensions(info).map(<[Dimension]>::len);
        let is_static = dimensions(info).is_some_and(|dims| !dims.iter().any(is_open));
        let fits = fits.is_some_and(|data_type| is_float(data_type) || data_type == DataType::Int8) && is_static;
        let found = uses(&info.name, rank.unwrap_or(0), &readers);
        let named_as_data = words(&info.name).any(|word| matches!(word, "input" | "mask" | "state"));
        fits && !found.data && (found.weight || !named_as_data)
    });
    candidates.map(|info| info.name.as_str()).collect()
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphabetic())
}

struct Uses {
    weight: bool,
    data: bool,
}

fn uses(name: &str, rank: usize, readers: &HashMap<&str, Vec<(&Node, usize)>>) -> Uses {
    let mut found = Uses { weight: false, data: false };
    // Behind a concatenation a weight is still one, but what reads it as data reads the other parts as well, and tells nothing.
    let mut names = vec![(name, true)];
    let mut seen = HashSet::new();
    while let Some((name, whole)) = names.pop() {
        if !seen.insert((name, whole)) {
            continue;
        }
        for (node, position) in readers.get(name).into_iter().flatten() {
            let outputs = node.output.iter().map(String::as_str);
            match reads(node, *position, rank) {
                Use::Weight => found.weight = true,
                Use::Either if node.op_type == "Concat" => names.extend(outputs.map(|name| (name, false))),
                Use::Either => {}
                Use::Data => found.data |= whole,
                Use::Passed => names.extend(outputs.map(|name| (name, whole))),
            }
        }
    }
    found
}
