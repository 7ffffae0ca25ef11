//! Random chains of nodes: small files that both read, with all the attributes that shapes depend on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use derate::import::{Options, onnx};
use derate_core::graph::Tables;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::model::Attribute::{Int, Ints, Text};
use crate::model::{Attribute, Model};
use crate::{Compared, compare};

/// Chains that are tried.
const CASES: u32 = 400;
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
    convolution,
    convolution,
    transposed_convolution,
    pool,
    pool,
    global_pool,
    matrix_product,
    product_with_itself,
    gemm,
    reshape,
    flatten,
    transpose,
    concat,
    slice,
    slice,
    pad,
    unsqueeze,
    squeeze,
    reduce,
    softmax,
    norm,
    broadcast,
    expand,
    tile,
    split,
    gather,
    blocks,
    resize,
    recurrent,
    einsum,
];

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

/// Kernel, strides, dilations, pads of windows that fit an image.
struct Windows {
    kernel: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
}

fn windows(image: &[u32], draw: &mut Draw<'_>, dilated: bool) -> Windows {
    let mut drawn = Windows { kernel: Vec::new(), strides: Vec::new(), dilations: Vec::new(), pads: Vec::new() };
    let mut ends = Vec::new();
    for &extent in image {
        let kernel = draw.number(1, 4);
        let (before, after) = (draw.number(0, kernel - 1), draw.number(0, kernel - 1));
        let dilation = if dilated { draw.number(1, 2) } else { 1 };
        // A window that does not fit is one of a single element.
        let fits = (kernel - 1) * dilation < extent + before + after;
        let (kernel, before, after) = if fits { (kernel, before, after) } else { (1, 0, 0) };
        drawn.kernel.push(kernel.into());
        drawn.strides.push(draw.number(1, 3).into());
        drawn.dilations.push(dilation.into());
        drawn.pads.push(before.into());
        ends.push(after.into());
    }
    drawn.pads.append(&mut ends);
    drawn
}

impl Windows {
    /// Whether windows without padding fit.
    fn fit_bare(&self, image: &[u32]) -> bool {
        let span = |(kernel, dilation): (&i64, &i64)| (kernel - 1) * dilation;
        self.kernel.iter().zip(&self.dilations).map(span).zip(image).all(|(span, &extent)| span < i64::from(extent))
    }
}

fn convolution(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let [_, channels, image @ ..] = shape else { return None };
    if image.is_empty() || image.len() > 3 {
        return None;
    }
    let groups = if draw.yes() { *channels } else { 1 };
    let outputs = groups * draw.number(1, 3);
    let padding = draw.one_of(&["NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]);
    let drawn = windows(image, draw, true);
    if padding == "VALID" && !drawn.fit_bare(image) {
        return None;
    }
    let mut weight = vec![outputs, channels / groups];
    weight.extend(drawn.kernel.iter().map(|&extent| extent as u32));
    let mut inputs = vec![x.to_owned(), model.weight(&weight)];
    if draw.yes() {
        inputs.push(model.weight(&[outputs]));
    }
    let mut attributes = vec![("group", Int(groups.into()))];
    if draw.yes() {
        attributes.push(("kernel_shape", Ints(&drawn.kernel)));
    }
    attributes.push(("strides", Ints(&drawn.strides)));
    attributes.push(("dilations", Ints(&drawn.dilations)));
    attributes.push(if padding == "NOTSET" { ("pads", Ints(&drawn.pads)) } else { ("auto_pad", Text(padding)) });
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    Some(model.node("Conv", &inputs, &attributes))
}

fn transposed_convolution(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let &[_, channels, height, width] = shape else { return None };
    let outputs = draw.number(1, 3);
    let (mut kernel, mut strides, mut further, mut before, mut after) = ([0; 2], [0; 2], [0; 2], [0; 2], [0; 2]);
    for axis in 0..2 {
        kernel[axis] = i64::from(draw.number(1, 4));
        strides[axis] = i64::from(draw.number(1, 3));
        further[axis] = i64::from(draw.number(0, strides[axis] as u32 - 1));
        before[axis] = i64::from(draw.number(0, (kernel[axis] as u32 - 1) / 2));
        after[axis] = i64::from(draw.number(0, (kernel[axis] as u32 - 1) / 2));
    }
    if height * width > LARGE / 16 {
        return None;
    }
    let weight = model.weight(&[channels, outputs, kernel[0] as u32, kernel[1] as u32]);
    let pads = [before, after].concat();
    let attributes: [(&str, Attribute<'_>); 3] =
        [("strides", Ints(&strides)), ("output_padding", Ints(&further)), ("pads", Ints(&pads))];
    Some(model.node("ConvTranspose", &[x, &weight], &attributes))
}

fn pool(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let [_, _, image @ ..] = shape else { return None };
    if image.is_empty() || image.len() > 3 {
        return None;
    }
    let op = draw.one_of(&["MaxPool", "AveragePool"]);
    let padding = draw.one_of(&["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]);
    let up = draw.yes();
    let drawn = windows(image, draw, op == "MaxPool");
    if padding == "VALID" && !drawn.fit_bare(image) {
        return None;
    }
    let mut attributes = vec![("kernel_shape", Ints(&drawn.kernel)), ("strides", Ints(&drawn.strides))];
    if op == "MaxPool" {
        attributes.push(("dilations", Ints(&drawn.dilations)));
    }
    if padding == "NOTSET" {
        attributes.push(("pads", Ints(&drawn.pads)));
        attributes.push(("ceil_mode", Int(up.into())));
    } else {
        attributes.push(("auto_pad", Text(padding)));
    }
    Some(model.node(op, &[x], &attributes))
}

fn global_pool(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["GlobalAveragePool", "GlobalMaxPool"]);
    (shape.len() > 2).then(|| model.node(op, &[x], &[]))
}

fn matrix_product(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let [batch @ .., _, inner] = shape else { return None };
    let columns = draw.number(1, 6);
    // One matrix for all, or one for each.
    let mut dims = if draw.yes() { batch.to_vec() } else { Vec::new() };
    dims.extend([*inner, columns]);
    let weight = model.weight(&dims);
    Some(model.node("MatMul", &[x, &weight], &[]))
}

fn product_with_itself(model: &mut Model, x: &str, shape: &[u32], _: &mut Draw<'_>) -> Option<String> {
    let [batch @ .., rows, _] = shape else { return None };
    let rank = shape.len() as i64;
    let elements: u32 = batch.iter().product::<u32>() * rows * rows;
    if elements > LARGE {
        return None;
    }
    let mut axes: Vec<i64> = (0..rank).collect();
    axes.swap(shape.len() - 1, shape.len() - 2);
    let transposed = model.node("Transpose", &[x], &[("perm", Ints(&axes))]);
    Some(model.node("MatMul", &[x, &transposed], &[]))
}

fn gemm(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let &[rows, inner] = shape else { return None };
    let (across, down, columns) = (draw.yes(), draw.yes(), draw.number(1, 6));
    let inner = if across { rows } else { inner };
    let weight = model.weight(&if down { [columns, inner] } else { [inner, columns] });
    let bias = model.weight(&[columns]);
    let attributes = [("transA", Int(across.into())), ("transB", Int(down.into()))];
    Some(model.node("Gemm", &[x, &weight, &bias], &attributes))
}

fn reshape(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let last = *shape.last()?;
    let rest = shape.len() - 1;
    let target = match draw.number(0, 3) {
        0 => vec![-1],
        // 0 keeps an axis.
        1 if rest > 0 => vec![0, -1],
        2 if last.is_multiple_of(2) => [vec![0; rest], vec![2, -1]].concat(),
        _ => [vec![1, -1], vec![i64::from(last)]].concat(),
    };
    let target = model.ints(&target);
    Some(model.node("Reshape", &[x, &target], &[]))
}

fn flatten(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let rank = shape.len() as i64;
    let axis = i64::from(draw.number(0, shape.len() as u32)) - if draw.yes() { rank } else { 0 };
    // All axes before it is written from the front alone.
    let axis = if axis == 0 && draw.yes() { rank } else { axis };
    Some(model.node("Flatten", &[x], &[("axis", Int(axis))]))
}

fn transpose(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let mut axes: Vec<i64> = (0..shape.len() as i64).collect();
    for place in 0..axes.len() {
        let other = draw.number(place as u32, axes.len() as u32 - 1) as usize;
        axes.swap(place, other);
    }
    let attributes: &[(&str, Attribute<'_>)] = if draw.yes() { &[("perm", Ints(&axes))] } else { &[] };
    Some(model.node("Transpose", &[x], attributes))
}

fn concat(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    if shape.iter().product::<u32>() > LARGE {
        return None;
    }
    let (axis, written) = draw.axis(shape.len());
    let mut dims = shape.to_vec();
    dims[axis] = draw.number(1, 4);
    let stored = model.weight(&dims);
    let other = model.node("Relu", &[x], &[]);
    let inputs: &[&str] = if draw.yes() { &[x, &other, &stored] } else { &[&other, x] };
    Some(model.node("Concat", inputs, &[("axis", Int(written))]))
}

fn slice(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (axis, written) = draw.axis(shape.len());
    let extent = shape[axis];
    let first = draw.number(0, extent - 1);
    let last = draw.number(first, extent - 1);
    let step = i64::from(draw.number(1, 3));
    let (first, last, extent) = (i64::from(first), i64::from(last), i64::from(extent));
    let forward = draw.yes();
    let (start, end, step) = if forward {
        // Beyond the end is the end.
        (first, if last + 1 == extent && draw.yes() { i64::from(i32::MAX) } else { last + 1 }, step)
    } else {
        (last, if first == 0 { -extent - 1 } else { first - 1 }, -step)
    };
    let start = if draw.yes() { start - extent } else { start };
    let [starts, ends, axes, steps] = [start, end, written, step].map(|value| model.ints(&[value]));
    Some(model.node("Slice", &[x, &starts, &ends, &axes, &steps], &[]))
}

fn pad(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let pads: Vec<i64> = (0..shape.len() * 2).map(|_| draw.number(0, 2).into()).collect();
    let pads = model.ints(&pads);
    (shape.iter().product::<u32>() <= LARGE).then(|| model.node("Pad", &[x, &pads], &[]))
}

fn unsqueeze(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    if shape.len() > 4 {
        return None;
    }
    let (_, axis) = draw.axis(shape.len() + 1);
    let axes = model.ints(&[axis]);
    Some(model.node("Unsqueeze", &[x, &axes], &[]))
}

fn squeeze(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let axis = shape.iter().position(|&extent| extent == 1).filter(|_| shape.len() > 1)? as i64;
    let all = shape.iter().all(|&extent| extent == 1);
    if draw.yes() || all {
        let axes = model.ints(&[axis]);
        return Some(model.node("Squeeze", &[x, &axes], &[]));
    }
    Some(model.node("Squeeze", &[x], &[]))
}

fn reduce(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"]);
    let (_, axis) = draw.axis(shape.len());
    let keep = ("keepdims", Int((draw.yes() || shape.len() == 1).into()));
    if op == "ReduceSum" {
        let axes = model.ints(&[axis]);
        return Some(model.node(op, &[x, &axes], &[keep]));
    }
    Some(model.node(op, &[x], &[("axes", Ints(&[axis])), keep]))
}

fn softmax(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (_, axis) = draw.axis(shape.len());
    Some(model.node("Softmax", &[x], &[("axis", Int(axis))]))
}

fn norm(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["BatchNormalization", "LayerNormalization", "InstanceNormalization"]);
    let (width, inputs) = match op {
        "BatchNormalization" => (*shape.get(1)?, 4),
        "InstanceNormalization" => (*shape.get(1).filter(|_| shape.len() > 2)?, 2),
        _ => (*shape.last()?, 2),
    };
    let stored: Vec<String> = (0..inputs).map(|_| model.weight(&[width])).collect();
    let inputs: Vec<&str> = std::iter::once(x).chain(stored.iter().map(String::as_str)).collect();
    Some(model.node(op, &inputs, &[]))
}

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

fn broadcast(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["Add", "Sub", "Mul", "Div", "Max"]);
    let dims = broadcast_with(shape, draw);
    let weight = model.weight(&dims);
    let inputs = if draw.yes() { [x, &weight] } else { [&weight, x] };
    (shape.iter().product::<u32>() <= LARGE).then(|| model.node(op, &inputs, &[]))
}

fn expand(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let dims: Vec<i64> = broadcast_with(shape, draw).into_iter().map(i64::from).collect();
    let dims = model.ints(&dims);
    (shape.iter().product::<u32>() <= LARGE).then(|| model.node("Expand", &[x, &dims], &[]))
}

fn tile(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let repeats: Vec<i64> = shape.iter().map(|_| draw.number(1, 2).into()).collect();
    let repeats = model.ints(&repeats);
    (shape.iter().product::<u32>() <= LARGE / 16).then(|| model.node("Tile", &[x, &repeats], &[]))
}

fn split(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (axis, written) = draw.axis(shape.len());
    let extent = shape[axis];
    if extent < 2 {
        return None;
    }
    let first = draw.number(1, extent - 1);
    let sizes = model.ints(&[first.into(), (extent - first).into()]);
    let parts = model.split("Split", &[x, &sizes], &[("axis", Int(written))], 2);
    Some(draw.one_of(&[&parts[0], &parts[1]]).clone())
}

fn gather(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (axis, written) = draw.axis(shape.len());
    let count = draw.number(1, 3);
    let extent = i64::from(shape[axis]);
    let indices: Vec<i64> = (0..count).map(|_| i64::from(draw.number(0, 99)) % extent).collect();
    let indices = model.ints(&indices);
    Some(model.node("Gather", &[x, &indices], &[("axis", Int(written))]))
}

fn blocks(model: &mut Model, x: &str, shape: &[u32], _: &mut Draw<'_>) -> Option<String> {
    let &[_, channels, height, width] = shape else { return None };
    let size = ("blocksize", Int(2));
    if channels.is_multiple_of(4) {
        return Some(model.node("DepthToSpace", &[x], &[size]));
    }
    let even = height.is_multiple_of(2) && width.is_multiple_of(2);
    even.then(|| model.node("SpaceToDepth", &[x], &[size]))
}

fn resize(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    if shape.len() != 4 || shape.iter().product::<u32>() > LARGE / 4 {
        return None;
    }
    let scale = draw.one_of(&[2.0, 1.5, 3.0]);
    let scales = model.floats(&[1.0, 1.0, scale, 2.0]);
    Some(model.node("Resize", &[x, "", &scales], &[("mode", Text("nearest"))]))
}

fn recurrent(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let &[_, _, features] = shape else { return None };
    let (op, gates) = draw.one_of(&[("LSTM", 4), ("GRU", 3), ("RNN", 1)]);
    let hidden = draw.number(1, 4);
    let weights = model.weight(&[1, gates * hidden, features]);
    let states = model.weight(&[1, gates * hidden, hidden]);
    Some(model.node(op, &[x, &weights, &states], &[("hidden_size", Int(hidden.into()))]))
}

fn einsum(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let &[_, inner, width] = shape else { return None };
    let columns = draw.number(1, 4);
    let (equation, weight) = draw.one_of(&[
        ("abc,cd->abd", [width, columns]),
        ("abc,bd->adc", [inner, columns]),
        ("abc,dc->abd", [columns, width]),
    ]);
    let weight = model.weight(&weight);
    Some(model.node("Einsum", &[x, &weight], &[("equation", Text(equation))]))
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
        shown.write(path);
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
    // Half of them images, which most layers read.
    let inputs = prop_oneof![
        prop::collection::vec(1_u32..9, 1..=5),
        (1_u32..3, 1_u32..9, 1_u32..13, 1_u32..13).prop_map(|(n, c, h, w)| vec![n, c, h, w]),
    ];
    let step = (0..KINDS.len(), prop::collection::vec(any::<u16>(), 24));
    let strategy = (inputs, prop::collection::vec(step, 1..9));
    // The same chains on every run, so that their number and kinds can be asserted.
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&strategy, |(input, steps)| {
        let model = chain(&input, &steps, &path).map_err(TestCaseError::fail)?;
        model.write(&path);
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
    eprintln!("{CASES} chains: {sum:?}\n{kinds:?}");
}
