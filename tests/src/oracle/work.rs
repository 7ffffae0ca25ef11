//! Work of an op by doing it: every multiplication is stepped through, every element visited, nothing multiplied out.

use derate_core::op::{Op, Recurrent, Window};
use derate_core::shape::DataType;
use derate_core::tensor::{Tensor, TensorKind};

use super::cell;
use super::number::{Number, counted};

/// What was counted of one op.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Extents of the first result.
    pub shape: Vec<u32>,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Operations beside them.
    pub other: u64,
    /// Learned values.
    pub params: u64,
    /// Bytes that are stored for the op.
    pub stored: u64,
    /// Bytes read of activations, and of what is stored.
    pub read: [u64; 2],
    /// Bytes written.
    pub written: u64,
}

/// Any number: what is computed does not change how much.
const X: Number = Number(-0.5);

/// All indices into a tensor of these extents, the last axis fastest.
fn indices(extents: &[u32]) -> Vec<Vec<u32>> {
    extents.iter().fold(vec![Vec::new()], |outer, &extent| {
        let longer = |index: &Vec<u32>| (0..extent).map(|last| [&index[..], &[last]].concat()).collect::<Vec<_>>();
        outer.iter().flat_map(longer).collect()
    })
}

fn elements(extents: &[u32]) -> u64 {
    indices(extents).iter().map(|_| 1).sum()
}

fn size(data_type: DataType) -> u64 {
    match data_type.name().trim_start_matches(char::is_alphabetic) {
        "64" => 8,
        "32" => 4,
        "16" => 2,
        // int8 and bool.
        _ => 1,
    }
}

/// Starts of the windows along one axis, in elements of the padded operand; `None` where not even one window fits.
///
/// With `ceil`, windows go on until the padded end is covered, but none starts in the padding after the operand: the rule of
/// PyTorch's pooling. The first one counts as the one after a window that ends a step earlier.
#[must_use]
pub fn windows(extent: u32, window: Window, ceil: bool) -> Option<Vec<u32>> {
    let [before, after] = window.padding.map(i64::from);
    let (stride, dilation) = (i64::from(window.stride), i64::from(window.dilation));
    let padded = before + i64::from(extent) + after;
    let last_tap = |start: i64| (0..i64::from(window.kernel)).map(|tap| start + tap * dilation).max().unwrap_or(start);
    let mut starts = Vec::new();
    let mut previous = -stride;
    loop {
        let start = previous + stride;
        let whole = last_tap(start) < padded;
        let partial = last_tap(previous) + 1 < padded && (start < before + i64::from(extent) || start == 0);
        if !(whole || ceil && partial) {
            return (!starts.is_empty()).then_some(starts);
        }
        starts.push(u32::try_from(start).ok()?);
        previous = start;
    }
}

/// Positions along several axes: each combination of what stands along each.
fn positions(along: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let extents: Vec<u32> = along.iter().map(|starts| u32::try_from(starts.len()).unwrap_or(0)).collect();
    indices(&extents)
}

fn taps(windows: &[Window]) -> Vec<Vec<u32>> {
    indices(&windows.iter().map(|window| u32::from(window.kernel)).collect::<Vec<_>>())
}

/// Whether an input channel takes part in an output channel.
fn connected([c_in, n_in]: [u32; 2], [c_out, n_out]: [u32; 2], groups: u32) -> bool {
    c_in / (n_in / groups) == c_out / (n_out / groups)
}

/// Stepping through an op.
struct Steps<'a> {
    operands: &'a [Tensor],
    shape: Vec<u32>,
    tally: Tally,
}

/// The work of an op on these operands, of which `outputs` are the results.
#[must_use]
pub fn tally(op: &Op, operands: &[Tensor], outputs: &[Tensor]) -> Tally {
    let shape = outputs[0].shape.extents().to_vec();
    let mut steps = Steps { operands, shape, tally: Tally::default() };
    for operand in operands {
        steps.read(operand, elements(operand.shape.extents()));
    }
    for output in outputs {
        steps.tally.written += elements(output.shape.extents()) * size(output.data_type);
    }
    steps.shape_and_arithmetic(op);
    Tally { shape: steps.shape, ..steps.tally }
}

impl Steps<'_> {
    fn read(&mut self, tensor: &Tensor, elements: u64) {
        let stored = matches!(tensor.kind, TensorKind::Parameter | TensorKind::Constant);
        self.tally.read[usize::from(stored)] += elements * size(tensor.data_type);
    }

    fn input(&self) -> Vec<u32> {
        self.operands[0].shape.extents().to_vec()
    }

    /// So many learned values more, all of them read.
    fn learned(&mut self, count: u64, data_type: DataType) {
        self.tally.params += count;
        self.buffers(count, data_type);
    }

    fn buffers(&mut self, count: u64, data_type: DataType) {
        self.tally.stored += count * size(data_type);
        self.tally.read[1] += count * size(data_type);
    }

    /// Weights, of another type where they are stored so, and biases, of 32 bits beside 8-bit integers.
    fn weights(&mut self, weights: u64, bias: u64, stored: Option<DataType>) {
        let data_type = stored.unwrap_or(self.operands[0].data_type);
        self.learned(weights, data_type);
        self.learned(bias, if data_type == DataType::Int8 { DataType::Int32 } else { data_type });
    }

    /// The operation of each element of the result.
    fn each<R>(&mut self, operation: impl Fn() -> R) {
        for _ in indices(&self.shape.clone()) {
            self.tally.other += counted(&operation);
        }
    }

    /// The operation of each row along some axes of the operand, of which the bits are set.
    fn rows<R>(&mut self, axes: u32, operation: impl Fn(&mut [Number]) -> R) {
        let input = self.input();
        let part = |along: bool| -> Vec<u32> {
            let chosen = (0..).zip(&input).filter(|(axis, _)| (axes >> axis & 1 == 1) == along);
            chosen.map(|(_, &extent)| extent).collect()
        };
        for _ in indices(&part(false)) {
            let mut row: Vec<Number> = indices(&part(true)).iter().map(|_| X).collect();
            self.tally.other += counted(|| operation(&mut row));
        }
    }

    fn shape_and_arithmetic(&mut self, op: &Op) {
        let input = self.input();
        let data_type = self.operands[0].data_type;
        match op {
            Op::Linear(linear) => {
                let [outer @ .., _] = &input[..] else { return };
                self.linear(&elements_of(outer), linear.in_features, linear.out_features, linear.bias);
                let weights = elements(&[linear.out_features, linear.in_features]);
                let bias = if linear.bias { elements(&[linear.out_features]) } else { 0 };
                self.weights(weights, bias, linear.weights);
                self.shape = [outer, &[linear.out_features]].concat();
            }
            Op::MatMul(product) => {
                let split = |at: usize, transposed: bool| {
                    let extents = self.operands[at].shape.extents().to_vec();
                    let (outer, [rows, columns]) = extents.split_at(extents.len() - 2) else { panic!("{extents:?}") };
                    if transposed { (outer.to_vec(), *columns, *rows) } else { (outer.to_vec(), *rows, *columns) }
                };
                let (outer_a, m, k) = split(0, product.transpose_a);
                let (outer_b, _, n) = split(1, product.transpose_b);
                let rank = outer_a.len().max(outer_b.len());
                let at =
                    |outer: &[u32], axis: usize| (axis + outer.len()).checked_sub(rank).map_or(1, |axis| outer[axis]);
                self.shape = (0..rank).map(|axis| at(&outer_a, axis).max(at(&outer_b, axis))).chain([m, n]).collect();
                for _output in indices(&self.shape.clone()) {
                    for _ in 0..k {
                        self.tally.macs += 1;
                    }
                }
            }
            Op::Contraction(product) => {
                for _ in indices(&[product.batch, product.m, product.n, product.k]) {
                    self.tally.macs += 1;
                }
            }
            Op::Conv(conv) => {
                let axes = conv.windows.axes();
                let along: Option<Vec<_>> =
                    axes.iter().zip(&input[2..]).map(|(&axis, &e)| windows(e, axis, false)).collect();
                let positions = positions(&along.expect("core made a result"));
                let mut weights = 0;
                for c_out in 0..conv.c_out {
                    for c_in in 0..conv.c_in {
                        if connected([c_in, conv.c_in], [c_out, conv.c_out], conv.groups) {
                            for _tap in taps(axes) {
                                weights += 1;
                                self.tally.macs += u64::from(input[0]) * positions.iter().map(|_| 1).sum::<u64>();
                            }
                        }
                    }
                }
                let last = positions.last().expect("a window");
                self.shape = [&[input[0], conv.c_out], &last.iter().map(|&at| at + 1).collect::<Vec<_>>()[..]].concat();
                self.bias(conv.bias);
                self.weights(weights, if conv.bias { elements(&[conv.c_out]) } else { 0 }, conv.weights);
            }
            Op::ConvTranspose(conv) => {
                let axes = conv.windows.axes();
                let mut weights = 0;
                for c_in in 0..conv.c_in {
                    for c_out in 0..conv.c_out {
                        if connected([c_in, conv.c_in], [c_out, conv.c_out], conv.groups) {
                            for _tap in taps(axes) {
                                weights += 1;
                                self.tally.macs += u64::from(input[0]) * elements(&input[2..]);
                            }
                        }
                    }
                }
                // The result reaches from the first to the last element that any tap of any input spreads to.
                let reached = axes.iter().zip(&input[2..]).zip(conv.output_padding).map(|((axis, &extent), extra)| {
                    let spread = |at: u32| {
                        let taps = 0..u32::from(axis.kernel);
                        taps.map(move |tap| at * u32::from(axis.stride) + tap * u32::from(axis.dilation))
                    };
                    let furthest = (0..extent).flat_map(spread).max().unwrap_or(0);
                    furthest + 1 + u32::from(extra) - u32::from(axis.padding[0]) - u32::from(axis.padding[1])
                });
                self.shape = [input[0], conv.c_out].into_iter().chain(reached).collect();
                self.bias(conv.bias);
                self.weights(weights, if conv.bias { elements(&[conv.c_out]) } else { 0 }, conv.weights);
            }
            Op::Attention(_) => {
                let [outer @ .., l, d] = &input[..] else { return };
                let extents = |at: usize| self.operands[at].shape.extents();
                let (Some(&s), Some(&d_v)) = (extents(2).iter().rev().nth(1), extents(2).last()) else { return };
                self.shape = [outer, &[*l, d_v]].concat();
                self.attention(&elements_of(outer), [*l, s, *d, d_v], self.operands.len() > 3);
            }
            Op::MultiHeadAttention(attention) => {
                let &[n, l, embed] = &input[..] else { return };
                let s = self.operands[1].shape.extents()[1];
                let rows = |rows: u32| elements_of(&[n, rows]);
                self.linear(&rows(l), embed, embed, attention.bias);
                self.linear(&rows(s), attention.k_features, embed, attention.bias);
                self.linear(&rows(s), attention.v_features, embed, attention.bias);
                let depth = embed / attention.heads;
                self.attention(&elements_of(&[n, attention.heads]), [l, s, depth, depth], false);
                self.linear(&rows(l), embed, embed, attention.bias);
                for features in [embed, attention.k_features, attention.v_features, embed] {
                    self.learned(elements(&[embed, features]), data_type);
                    self.learned(if attention.bias { elements(&[embed]) } else { 0 }, data_type);
                }
            }
            Op::Recurrent(recurrent) => self.recurrent(recurrent),
            Op::BatchNorm(norm) => {
                self.each(|| X * X + X);
                // Weight and bias; mean and variance.
                self.learned(elements(&[2, norm.features]), data_type);
                self.buffers(elements(&[2, norm.features]), data_type);
            }
            Op::LayerNorm(norm) => {
                let from = input.len() - usize::from(norm.axes);
                self.rows(!0 << from, |row| cell::normalise(row, norm.affine));
                for wanted in [norm.affine.weight, norm.affine.bias] {
                    self.learned(if wanted { elements(&input[from..]) } else { 0 }, data_type);
                }
            }
            Op::RmsNorm(norm) => {
                self.rows(1 << (input.len() - 1), |row| cell::root_mean_square(row, norm.weight));
                self.learned(if norm.weight { elements(&input[input.len() - 1..]) } else { 0 }, data_type);
            }
            Op::GroupNorm(norm) => {
                for _group in indices(&[input[0], norm.groups]) {
                    let mut group: Vec<Number> =
                        indices(&[&[input[1] / norm.groups], &input[2..]].concat()).iter().map(|_| X).collect();
                    self.tally.other += counted(|| cell::normalise(&mut group, norm.affine));
                }
                for wanted in [norm.affine.weight, norm.affine.bias] {
                    self.learned(if wanted { elements(&[input[1]]) } else { 0 }, data_type);
                }
            }
            Op::LocalResponseNorm(norm) => self.each(|| cell::local_response(X, norm.size)),
            Op::Activation(activation) => self.each(|| cell::activation(activation.kind, X)),
            Op::PRelu(prelu) => {
                self.each(|| if X.is_negative() { X * X } else { X });
                self.learned(elements(&[prelu.slopes]), data_type);
            }
            Op::Binary(binary) => self.each(|| cell::binary(binary.kind, X, X)),
            Op::Scalar(scalar) => self.each(|| cell::binary(scalar.kind, X, X)),
            // Which of the two: a comparison.
            Op::Where(_) => self.each(|| X.is_negative()),
            // Scale; zero point, rounded as it is stored.
            Op::Quantize(_) => self.each(|| X * X + X),
            Op::Softmax(softmax) => self.rows(1 << softmax.axis, |row| cell::softmax(row, softmax.log)),
            Op::Pool(pool) => {
                let axes = pool.windows.axes();
                let along: Option<Vec<_>> =
                    axes.iter().zip(&input[2..]).map(|(&axis, &e)| windows(e, axis, pool.ceil_mode)).collect();
                let positions = positions(&along.expect("core made a result"));
                let last = positions.last().expect("a window").iter().map(|&at| at + 1).collect::<Vec<_>>();
                self.shape = [&input[..2], &last[..]].concat();
                let window: Vec<Number> = taps(axes).iter().map(|_| X).collect();
                self.each(|| cell::pool(pool.kind, &window));
            }
            Op::AdaptivePool(pool) => {
                self.shape = [&input[..2], pool.output.extents()].concat();
                for index in indices(&self.shape.clone()) {
                    let window = index[2..].iter().zip(&input[2..]).zip(pool.output.extents());
                    let window = window.map(|((&i, &h), &o)| ((i + 1) * h).div_ceil(o) - i * h / o);
                    let window: Vec<Number> = indices(&window.collect::<Vec<_>>()).iter().map(|_| X).collect();
                    self.tally.other += counted(|| cell::adaptive_pool(pool.kind, &window));
                }
            }
            Op::Reduce(reduce) => {
                self.rows(u32::from(reduce.axes), |row| cell::reduce(reduce.kind, row));
                let kept = |(axis, &extent): (usize, &u32)| match (reduce.axes >> axis & 1, reduce.keep_dims) {
                    (0, _) => Some(extent),
                    (_, true) => Some(1),
                    _ => None,
                };
                self.shape = input.iter().enumerate().filter_map(kept).collect();
            }
            Op::Scan(_) => self.each(|| X + X),
            Op::TopK(top) => {
                // A heap of one level holds 1, each further one as many again and one more.
                let (mut levels, mut holds) = (0, 0);
                while holds < top.k {
                    (levels, holds) = (levels + 1, 2 * holds + 1);
                }
                self.rows(1 << top.axis, |row| row.iter().for_each(|&x| (0..levels).for_each(|_| _ = x.max(X))));
                self.shape = input;
                self.shape[usize::from(top.axis)] = top.k;
            }
            Op::Concat(concat) => {
                let along = |tensor: &Tensor| tensor.shape.extents()[usize::from(concat.axis)];
                self.shape = input;
                self.shape[usize::from(concat.axis)] = self.operands.iter().map(along).sum();
            }
            Op::View(_) => self.tally = Tally::default(),
            Op::Transpose(transpose) => {
                self.shape = (0..input.len()).map(|axis| input[usize::from(transpose.order[axis])]).collect();
            }
            Op::Move(moved) if moved.kind.name() == "slice" => self.reads_what_it_writes(),
            Op::Gather(gather) => {
                let axis = usize::from(gather.axis);
                self.shape = [&input[..axis], self.operands[1].shape.extents(), &input[axis + 1..]].concat();
                self.reads_what_it_writes();
            }
            Op::Pick(_) => self.reads_what_it_writes(),
            Op::Scatter(scatter) => {
                for _update in indices(self.operands[2].shape.extents()) {
                    self.tally.other += counted(|| scatter.combine.then(|| X + X));
                }
            }
            Op::Embedding(table) => {
                self.shape = [&input[..], &[table.features]].concat();
                let values = elements(&[table.entries, table.features]);
                self.tally.params += values;
                self.tally.stored += values * size(table.data_type);
                for _row in indices(&input) {
                    self.tally.read[1] += elements(&[table.features]) * size(table.data_type);
                }
            }
            Op::Resize(resize) => {
                let axes = input.iter().zip(resize.shape.extents()).filter(|(from, to)| from != to).count();
                self.each(|| cell::interpolate(resize.kind, axes));
            }
            // Casts and moves: bytes alone.
            _ => {}
        }
    }

    /// Of operand 0 only as many elements are read as there are in the result.
    fn reads_what_it_writes(&mut self) {
        self.tally.read = [0; 2];
        let data = self.operands[0];
        let shape = self.shape.clone();
        self.read(&data, elements(&shape));
        for operand in &self.operands[1..] {
            self.read(operand, elements(operand.shape.extents()));
        }
    }

    fn bias(&mut self, wanted: bool) {
        if wanted {
            self.each(|| X + X);
        }
    }

    fn linear(&mut self, rows: &[Vec<u32>], in_features: u32, out_features: u32, bias: bool) {
        for _row in rows {
            for _output in 0..out_features {
                for _ in 0..in_features {
                    self.tally.macs += 1;
                }
                self.tally.other += u64::from(bias);
            }
        }
    }

    fn attention(&mut self, outer: &[Vec<u32>], [l, s, d, d_v]: [u32; 4], mask: bool) {
        for _query in outer.iter().flat_map(|_| 0..l) {
            let mut scores = Vec::new();
            for _key in 0..s {
                for _ in 0..d {
                    self.tally.macs += 1;
                }
                self.tally.other += counted(|| scores.push(if mask { X * X + X } else { X * X }));
            }
            self.tally.other += counted(|| cell::softmax(&mut scores, false));
            for _value in 0..s {
                for _ in 0..d_v {
                    self.tally.macs += 1;
                }
            }
        }
    }

    fn recurrent(&mut self, recurrent: &Recurrent) {
        let input = self.input();
        let directions = if recurrent.bidirectional { 2 } else { 1 };
        let gates = match recurrent.cell.name() {
            "lstm" => 4,
            "gru" => 3,
            _ => 1,
        };
        self.shape = vec![input[0], input[1], directions * recurrent.hidden];
        for layer in 0..recurrent.layers {
            let features = if layer == 0 { recurrent.input } else { directions * recurrent.hidden };
            for _direction in 0..directions {
                for _gate_of_value in indices(&[recurrent.hidden, gates]) {
                    let weights = elements(&[features]) + elements(&[recurrent.hidden]);
                    self.learned(weights + if recurrent.bias { 2 } else { 0 }, self.operands[0].data_type);
                }
                for _step_of_image in indices(&input[..2]) {
                    for _value in 0..recurrent.hidden {
                        for _gate in 0..gates {
                            for _ in 0..features {
                                self.tally.macs += 1;
                            }
                            for _ in 0..recurrent.hidden {
                                self.tally.macs += 1;
                            }
                        }
                        self.tally.other += counted(|| cell::cell(recurrent.cell, recurrent.bias));
                    }
                }
            }
        }
    }
}

/// One entry for each combination of outer extents.
fn elements_of(outer: &[u32]) -> Vec<Vec<u32>> {
    indices(outer)
}
