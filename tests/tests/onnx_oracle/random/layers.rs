//! Layers with windows, weights or states: convolutions, pools, matrix products, recurrent layers, norms.

use super::{Draw, LARGE};
use crate::model::Attribute::{Int, Ints, Text};
use crate::model::{Attribute, Model};

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

pub(super) fn convolution(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn transposed_convolution(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn pool(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn global_pool(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["GlobalAveragePool", "GlobalMaxPool"]);
    (shape.len() > 2).then(|| model.node(op, &[x], &[]))
}

pub(super) fn matrix_product(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let [batch @ .., _, inner] = shape else { return None };
    let columns = draw.number(1, 6);
    // One matrix for all, or one for each.
    let mut dims = if draw.yes() { batch.to_vec() } else { Vec::new() };
    dims.extend([*inner, columns]);
    let weight = model.weight(&dims);
    Some(model.node("MatMul", &[x, &weight], &[]))
}

pub(super) fn product_with_itself(model: &mut Model, x: &str, shape: &[u32], _: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn vector_product(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (&last, &rows) = (shape.last()?, shape.get(shape.len().checked_sub(2)?)?);
    if draw.yes() {
        let vector = model.weight(&[last]);
        return Some(model.node("MatMul", &[x, &vector], &[]));
    }
    let vector = model.weight(&[rows]);
    Some(model.node("MatMul", &[&vector, x], &[]))
}

pub(super) fn gemm(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let &[rows, inner] = shape else { return None };
    let (across, down, columns) = (draw.yes(), draw.yes(), draw.number(1, 6));
    let inner = if across { rows } else { inner };
    let weight = model.weight(&if down { [columns, inner] } else { [inner, columns] });
    let bias = model.weight(&[columns]);
    let attributes = [("transA", Int(across.into())), ("transB", Int(down.into()))];
    Some(model.node("Gemm", &[x, &weight, &bias], &attributes))
}

pub(super) fn einsum(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn recurrent(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let &[_, _, features] = shape else { return None };
    let (op, gates) = draw.one_of(&[("LSTM", 4), ("GRU", 3), ("RNN", 1)]);
    let hidden = draw.number(1, 4);
    let (direction, directions) = draw.one_of(&[("forward", 1), ("reverse", 1), ("bidirectional", 2)]);
    let weights = model.weight(&[directions, gates * hidden, features]);
    let states = model.weight(&[directions, gates * hidden, hidden]);
    let attributes = [("hidden_size", Int(hidden.into())), ("direction", Text(direction))];
    Some(model.node(op, &[x, &weights, &states], &attributes))
}

pub(super) fn norm(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn softmax(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (_, axis) = draw.axis(shape.len());
    Some(model.node("Softmax", &[x], &[("axis", Int(axis))]))
}
