//! Nodes that move, choose or gather elements along axes.

use super::{Draw, LARGE, broadcast_with};
use crate::model::Attribute::{Int, Ints, Text};
use crate::model::{Attribute, Model};

pub(super) fn reshape(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn flatten(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let rank = shape.len() as i64;
    let axis = i64::from(draw.number(0, shape.len() as u32)) - if draw.yes() { rank } else { 0 };
    // All axes before it is written from the front alone.
    let axis = if axis == 0 && draw.yes() { rank } else { axis };
    Some(model.node("Flatten", &[x], &[("axis", Int(axis))]))
}

pub(super) fn transpose(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let mut axes: Vec<i64> = (0..shape.len() as i64).collect();
    for place in 0..axes.len() {
        let other = draw.number(place as u32, axes.len() as u32 - 1) as usize;
        axes.swap(place, other);
    }
    let attributes: &[(&str, Attribute<'_>)] = if draw.yes() { &[("perm", Ints(&axes))] } else { &[] };
    Some(model.node("Transpose", &[x], attributes))
}

pub(super) fn concat(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn slice(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

/// A slice of all axes at once, the steps left out.
pub(super) fn window_of_axes(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for &extent in shape {
        let start = draw.number(0, extent - 1);
        starts.push(i64::from(start));
        ends.push(i64::from(draw.number(start + 1, extent + 2)));
    }
    let [starts, ends] = [starts, ends].map(|list| model.ints(&list));
    Some(model.node("Slice", &[x, &starts, &ends], &[]))
}

pub(super) fn pad(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let mode = draw.one_of(&["constant", "constant", "edge", "reflect"]);
    // A reflection needs as many elements beside the edge.
    let most = |extent: u32| if mode == "reflect" { 2.min(extent - 1) } else { 2 };
    let pads: Vec<i64> = shape.iter().chain(shape).map(|&extent| draw.number(0, most(extent)).into()).collect();
    let pads = model.ints(&pads);
    (shape.iter().product::<u32>() <= LARGE).then(|| model.node("Pad", &[x, &pads], &[("mode", Text(mode))]))
}

pub(super) fn unsqueeze(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    if shape.len() > 4 {
        return None;
    }
    let (_, axis) = draw.axis(shape.len() + 1);
    let axes = model.ints(&[axis]);
    Some(model.node("Unsqueeze", &[x, &axes], &[]))
}

pub(super) fn squeeze(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let axis = shape.iter().position(|&extent| extent == 1).filter(|_| shape.len() > 1)? as i64;
    let all = shape.iter().all(|&extent| extent == 1);
    if draw.yes() || all {
        let axes = model.ints(&[axis]);
        return Some(model.node("Squeeze", &[x, &axes], &[]));
    }
    Some(model.node("Squeeze", &[x], &[]))
}

pub(super) fn expand(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let dims: Vec<i64> = broadcast_with(shape, draw).into_iter().map(i64::from).collect();
    let dims = model.ints(&dims);
    (shape.iter().product::<u32>() <= LARGE).then(|| model.node("Expand", &[x, &dims], &[]))
}

pub(super) fn tile(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let repeats: Vec<i64> = shape.iter().map(|_| draw.number(1, 2).into()).collect();
    let repeats = model.ints(&repeats);
    (shape.iter().product::<u32>() <= LARGE / 16).then(|| model.node("Tile", &[x, &repeats], &[]))
}

pub(super) fn split(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
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

pub(super) fn gather(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (axis, written) = draw.axis(shape.len());
    let count = draw.number(1, 3);
    let extent = i64::from(shape[axis]);
    let indices: Vec<i64> = (0..count).map(|_| i64::from(draw.number(0, 99)) % extent).collect();
    let indices = model.ints(&indices);
    Some(model.node("Gather", &[x, &indices], &[("axis", Int(written))]))
}

/// One element, row or plane of an axis, which disappears.
pub(super) fn pick_elements(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    if shape.len() < 2 {
        return None;
    }
    let (axis, written) = draw.axis(shape.len());
    let index = i64::from(draw.number(0, shape[axis] - 1));
    let index = model.int(if draw.yes() { index - i64::from(shape[axis]) } else { index });
    Some(model.node("Gather", &[x, &index], &[("axis", Int(written))]))
}

pub(super) fn blocks(model: &mut Model, x: &str, shape: &[u32], _: &mut Draw<'_>) -> Option<String> {
    let &[_, channels, height, width] = shape else { return None };
    let size = ("blocksize", Int(2));
    if channels.is_multiple_of(4) {
        return Some(model.node("DepthToSpace", &[x], &[size]));
    }
    let even = height.is_multiple_of(2) && width.is_multiple_of(2);
    even.then(|| model.node("SpaceToDepth", &[x], &[size]))
}

pub(super) fn resize(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    if shape.len() != 4 || shape.iter().product::<u32>() > LARGE / 4 {
        return None;
    }
    let mode = ("mode", Text(draw.one_of(&["nearest", "linear"])));
    if draw.yes() {
        let mut sizes: Vec<i64> = shape.iter().copied().map(i64::from).collect();
        sizes[2] = draw.number(1, 12).into();
        let sizes = model.ints(&sizes);
        return Some(model.node("Resize", &[x, "", "", &sizes], &[mode]));
    }
    let scales = model.floats(&[1.0, 1.0, draw.one_of(&[2.0, 1.5, 3.0, 0.5]), 2.0]);
    if shape[2] < 2 {
        return None;
    }
    Some(model.node("Resize", &[x, "", &scales], &[mode]))
}

pub(super) fn reduce(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"]);
    let (_, axis) = draw.axis(shape.len());
    let keep = ("keepdims", Int((draw.yes() || shape.len() == 1).into()));
    if op == "ReduceSum" {
        let axes = model.ints(&[axis]);
        return Some(model.node(op, &[x, &axes], &[keep]));
    }
    Some(model.node(op, &[x], &[("axes", Ints(&[axis])), keep]))
}

pub(super) fn arg_max(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let op = draw.one_of(&["ArgMax", "ArgMin"]);
    let (_, axis) = draw.axis(shape.len());
    let keep = draw.yes() || shape.len() == 1;
    let found = model.node(op, &[x], &[("axis", Int(axis)), ("keepdims", Int(keep.into()))]);
    // The rest of the chain reads floating-point numbers.
    Some(model.node("Cast", &[&found], &[("to", Int(1))]))
}

pub(super) fn top_k(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (axis, written) = draw.axis(shape.len());
    let count = model.ints(&[draw.number(1, shape[axis]).into()]);
    Some(model.split("TopK", &[x, &count], &[("axis", Int(written))], 2).swap_remove(0))
}

pub(super) fn running_sum(model: &mut Model, x: &str, shape: &[u32], draw: &mut Draw<'_>) -> Option<String> {
    let (_, axis) = draw.axis(shape.len());
    let axis = model.int(axis);
    Some(model.node("CumSum", &[x, &axis], &[("reverse", Int(draw.yes().into()))]))
}
