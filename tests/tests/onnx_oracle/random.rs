//! Random chains of nodes: small files that both read, with all the attributes that shapes depend on.
//!
//! The chains are the same on every run, so that what they hold can be asserted. With `PROPTEST_CASES=N` in the environment they are
//! N others each time.

mod layers;
mod moves;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use derate::import::{Options, onnx};
use derate_core::graph::Tables;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::model::Model;
use crate::{Compared, compare};

/// Chains that are tried.
const CASES: u32 = 400;
/// Kinds of nodes that `KINDS` can append; the chains hold all of them.
const OPS: usize = 59;
/// Most elements of a tensor that further nodes may enlarge.
const LARGE: u32 = 20_000;

/// Numbers that the attributes of one node are drawn from.
struct Draw<'a>(std::slice::Iter<'a, u16>);

impl Draw<'_> {
    /// A number in `low ..= high`; `low` when all are used up.
    fn number(&mut self, low: u32, high: u32) -> u32 {
        let drawn = self.0.next().copied().map_or(0, u32::from);
        low + drawn % (high.max(low) - low + 1)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.number(0, choices.len() as u32 - 1) as usize]
    }

    fn yes(&mut self) -> bool {
        self.number(0, 1) == 1
    }

    /// An axis of so many, as files write it: from the front or from the back.
    fn axis(&mut self, rank: usize) -> (usize, i64) {
        let axis = self.number(0, rank as u32 - 1);
        let written = i64::from(axis) - if self.yes() { rank as i64 } else { 0 };
        (axis as usize, written)
    }
}

/// Appends a node that reads `x` of this shape; its output, or `None` where it cannot read such a shape.
type Append = fn(&mut Model, &str, &[u32], &mut Draw<'_>) -> Option<String>;

const KINDS: &[Append] = &[
    unary,
    layers::convolution,
    layers::convolution,
    layers::transposed_convolution,
    layers::pool,
    layers::pool,
    layers::global_pool,
    layers::matrix_product,
    layers::product_with_itself,
    layers::gemm,
    moves::reshape,
    moves::flatten,
    moves::transpose,
    moves::concat,
    moves::slice,
    moves::slice,
    moves::pad,
    moves::unsqueeze,
    moves::squeeze,
    moves::reduce,
    layers::softmax,
    layers::norm,
    broadcast,
    moves::expand,
    moves::tile,
    moves::split,
    moves::gather,
    moves::blocks,
    moves::resize,
    layers::recurrent,
    layers::einsum,
    comparison,
    moves::arg_max,
    moves::top_k,
    moves::running_sum,
    moves::pick_elements,
    layers::vector_product,
    moves::window_of_axes,
];

/// A shape that broadcasts with this one: some axes of extent 1, some of them enlarged, some axes fewer or one more.
fn broadcast_with(shape: &[u32], draw: &mut Draw<'_>) -> Vec<u32> {
    let mut other: Vec<u32> = Vec::new();
    for &extent in shape {
        other.push(match extent {
            1 => draw.number(1, 3),
            _ => draw.one_of(&[1, extent]),
        });
    }
    match draw.number(0, 3) {
        0 if other.len() < 5 => other.insert(0, 2),
        1 => drop(other.remove(0)),
        _ => {}
    }
    if other.is_empty() { vec![1] } else { other }
}

fn unary(model: &mut Model, x: &str, _: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&[
        "Relu",
        "Sigmoid",
        "Tanh",
        "HardSwish",
        "HardSigmoid",
        "Erf",
        "Exp",
        "Neg",
        "Softplus",
        "LeakyRelu",
    ]);
    Some(model.node(op, &[x], &[]))
}

fn broadcast(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["Add", "Sub", "Mul", "Div", "Max"]);
    let dims = broadcast_with(shape, draw);
    let weight = model.weight(&dims);
    let inputs = if draw.yes() { [x, &weight] } else { [&weight, x] };
    (shape.iter().product::<u32>() <= LARGE).then(|| model.node(op, &inputs, &[]))
}

fn comparison(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["Greater", "Less", "Equal"]);
    let other = model.weight(&broadcast_with(shape, draw));
    let condition = model.node(op, &[x, &other], &[]);
    (shape.iter().product::<u32>() <= LARGE / 4).then(|| model.node("Where", &[&condition, x, &other], &[]))
}

/// A chain of nodes from numbers; shapes are ours, found by reading what is there so far.
fn chain(input: &[u32], steps: &[(usize, Vec<u16>)], path: &Path) -> Result<Model, String> {
    let mut model = Model::new(input);
    let (mut x, mut shape) = ("x".to_owned(), input.to_vec());
    for (kind, drawn) in steps {
        let append = KINDS[kind % KINDS.len()];
        let mut longer = model.clone();
        let Some(output) = append(&mut longer, &x, &shape, &mut Draw(drawn.iter())) else { continue };
        // A rectifier at the end shows the shape of what it reads, also where the node before it is no op of ours.
        let mut shown = longer.clone();
        shown.node("Relu", &[&output], &[]);
        shown.write(path, false);
        let import = onnx::read(path, &Options::default()).map_err(|error| format!("{error}\n{shown:#?}"))?;
        if let Some(unsupported) = import.unsupported.first() {
            return Err(format!("not counted: {unsupported:?}\n{shown:#?}"));
        }
        let view = import.graph.view();
        let last = view.nodes().last().and_then(|node| view.output(node).ok());
        shape = last.ok_or("no ops")?.shape.extents().to_vec();
        (model, x) = (longer, output);
    }
    model.node("Relu", &[&x], &[]);
    Ok(model)
}

#[test]
fn random_chains_have_the_shapes_that_tract_infers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chain.onnx");
    let sum = RefCell::new((Compared::default(), BTreeMap::<String, usize>::new()));
    // Most of them images and sequences, which most layers read.
    let inputs = prop_oneof![
        2 => prop::collection::vec(1_u32..9, 1..=5),
        3 => (1_u32..3, 1_u32..9, 1_u32..13, 1_u32..13).prop_map(|(n, c, h, w)| vec![n, c, h, w]),
        1 => (1_u32..6, 1_u32..4, 1_u32..9).prop_map(|(steps, n, width)| vec![steps, n, width]),
    ];
    let step = (0..KINDS.len(), prop::collection::vec(any::<u16>(), 24));
    let strategy = (inputs, prop::collection::vec(step, 1..9));
    let others = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config { cases: others.unwrap_or(CASES), failure_persistence: None, ..Config::default() };
    let mut runner = match others {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let result = runner.run(&strategy, |(input, steps)| {
        let model = chain(&input, &steps, &path).map_err(TestCaseError::fail)?;
        // Once with its weights, once with all of them as inputs.
        model.write(&path, true);
        compare(&path).map_err(|error| TestCaseError::fail(format!("without weights: {error}\n{model:#?}")))?;
        model.write(&path, false);
        let found = compare(&path).map_err(|error| TestCaseError::fail(format!("{error}\n{model:#?}")))?;
        prop_assert_eq!(found.nodes, model.len());
        let (sum, kinds) = &mut *sum.borrow_mut();
        sum.add(&found);
        for kind in model.kinds() {
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let (sum, kinds) = sum.into_inner();
    eprintln!("{sum:?}, of {} kinds: {kinds:?}", kinds.len());
    assert_eq!((sum.open, sum.constants), (0, 0));
    // A split gives two outputs.
    assert!(sum.compared + sum.folded >= sum.nodes && sum.folded * 10 <= sum.nodes, "{sum:?}");
    assert!(kinds.len() == OPS || others.is_some(), "{} kinds: {kinds:?}", kinds.len());
}
