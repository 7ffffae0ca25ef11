//! A step becomes an op: attributes that fit its operand, and the stored tensors that it reads beside it.

use derate_core::Error;
use derate_core::graph::{Build, Tables};
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cast, Cell, Concat,
    Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm, LayerNorm, Linear, LocalResponseNorm, MatMul, Move,
    MoveKind, MultiHeadAttention, Op, PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize,
    ResizeKind, RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{Tensor, TensorId, TensorKind};

use super::Step;

/// Elements of one image beyond which nothing grows any more.
const LARGE: u64 = 1 << 12;

/// The operand of a step, and what it may read beside it.
struct Site<'a, T> {
    graph: &'a mut T,
    ids: &'a [TensorId],
    x: TensorId,
    extents: Vec<u32>,
    data_type: DataType,
}

impl<'a, T: Tables> Site<'a, T> {
    fn new(graph: &'a mut T, ids: &'a [TensorId], x: TensorId) -> Self {
        let tensor = tensor(graph, x);
        Self { graph, ids, x, extents: tensor.shape.extents().to_vec(), data_type: tensor.data_type }
    }

    /// The same image by image, as `[n, …]` of another rank: axes are merged from the end, or added there.
    fn with_rank(self, rank: usize) -> Result<Self, Error> {
        if self.extents.len() == rank {
            return Ok(self);
        }
        let mut extents = self.extents.clone();
        while extents.len() > rank {
            let last = extents.pop().unwrap_or(1);
            *extents.last_mut().expect("the batch stays") *= last;
        }
        extents.resize(rank, 1);
        let x = self.graph.op(Op::View(View { shape: Shape::new(&extents)? }), &[self.x])?;
        Ok(Self { x, extents, ..self })
    }

    fn stored(&mut self, extents: &[u32], data_type: DataType, kind: TensorKind) -> Result<TensorId, Error> {
        self.graph.tensor(extents, data_type, kind)
    }

    /// An earlier tensor of this data type that fits, or the operand itself.
    fn other(&self, fits: impl Fn(&[u32]) -> bool) -> TensorId {
        let wanted = |id: &TensorId| {
            let tensor = tensor(self.graph, *id);
            tensor.data_type == self.data_type && fits(tensor.shape.extents())
        };
        self.ids.iter().copied().find(wanted).unwrap_or(self.x)
    }

    fn last(&self) -> u32 {
        self.extents[self.extents.len() - 1]
    }
}

fn tensor(graph: &impl Tables, id: TensorId) -> Tensor {
    graph.view().tensors()[id.index()]
}

/// The largest divisor of a number up to a limit.
fn divisor(number: u32, limit: u32) -> u32 {
    (1..=limit.max(1)).rev().find(|candidate| number.is_multiple_of(*candidate)).unwrap_or(1)
}

impl Step {
    /// The op that this step stands for on the tensors so far, and its operands; what it needs beside them is added to the graph.
    pub(super) fn fit<T: Tables>(&self, graph: &mut T, ids: &[TensorId]) -> Result<(Op, Vec<TensorId>), Error> {
        let x = ids[ids.len() - 1 - usize::from(self.back) % ids.len()];
        let site = Site::new(graph, ids, x);
        let each: u64 = site.extents[1..].iter().map(|&extent| u64::from(extent)).product();
        let grows = matches!(self.kind, 0..=7 | 16 | 26 | 29..=31);
        if each > LARGE && grows {
            return Ok((self.activation(), vec![site.x]));
        }
        match self.kind {
            0..=2 => self.product(site),
            3 | 4 | 21 => self.window(site),
            5..=7 => self.sequence(site),
            8..=12 => self.norm(site),
            13..=20 => self.elementwise(site),
            22..=25 => self.reduction(site),
            26..=30 => self.layout(site),
            _ => self.indexed(site),
        }
    }

    fn pick<V: Copy>(&self, of: &[V]) -> V {
        of[usize::from(self.variant) % of.len()]
    }

    fn activation(&self) -> Op {
        Op::Activation(Activation { kind: self.pick(&ActivationKind::ALL), in_place: self.in_place })
    }

    fn weights(&self) -> Option<DataType> {
        self.pick(&[None, None, Some(DataType::Int8), Some(DataType::Fp16)])
    }

    fn product<T: Tables>(&self, mut site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        let last = site.last();
        if self.kind == 0 {
            let op = Linear { in_features: last, out_features: self.width, bias: self.bias, weights: self.weights() };
            return Ok((Op::Linear(op), vec![site.x]));
        }
        if self.kind == 2 {
            // Each image, flat, by a stored matrix: an einsum `n…k,mk→nm`.
            let [n, k] = [site.extents[0], site.extents[1..].iter().product()];
            let b = site.stored(&[k, self.width], site.data_type, TensorKind::Parameter)?;
            let op = Contraction { shape: Shape::new(&[n, self.width])?, batch: 1, m: n, n: self.width, k };
            return Ok((Op::Contraction(op), vec![site.x, b]));
        }
        if self.in_place {
            let [k, n] = if self.bias { [self.width, last] } else { [last, self.width] };
            let b = site.stored(&[k, n], site.data_type, TensorKind::Constant)?;
            return Ok((Op::MatMul(MatMul { transpose_a: false, transpose_b: self.bias }), vec![site.x, b]));
        }
        let site = site.with_rank(3)?;
        Ok((Op::MatMul(MatMul { transpose_a: self.bias, transpose_b: !self.bias }), vec![site.x; 2]))
    }

    fn window<T: Tables>(&self, site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        let axes = 1 + usize::from(self.variant % 3);
        let site = site.with_rank(2 + axes)?;
        let c_in = site.extents[1];
        let windows = |most: [u16; 2]| {
            let axes: Vec<Window> = site.extents[2..]
                .iter()
                .map(|&extent| {
                    let padding = [self.padding[0].min(most[0]), self.padding[1].min(most[1])];
                    let room = extent + u32::from(padding[0]) + u32::from(padding[1]);
                    let kernel = self.kernel.min(u16::try_from(room).unwrap_or(u16::MAX));
                    let fits = u32::from(self.dilation) * u32::from(kernel - 1) < room;
                    Window { kernel, stride: self.stride, padding, dilation: if fits { self.dilation } else { 1 } }
                })
                .collect();
            Windows::new(&axes)
        };
        let bias = self.bias;
        let (op, weights) = match self.kind {
            3 => {
                let groups = if self.in_place { divisor(c_in, self.width) } else { 1 };
                let (c_out, windows) = (self.width * groups, windows([2, 2])?);
                (Op::Conv(Conv { c_in, c_out, groups, windows, bias, weights: self.weights() }), vec![site.x])
            }
            4 => {
                let groups = if self.in_place { divisor(c_in, self.width) } else { 1 };
                // Padding of at most what the taps spread beyond an element leaves something.
                let most = u16::from(self.kernel > 2) * self.dilation;
                let axes = [Window {
                    kernel: self.kernel,
                    stride: self.stride,
                    padding: self.padding.map(|side| side.min(most)),
                    dilation: self.dilation,
                }; 3];
                let extra = (self.stride.max(self.dilation) - 1) * u16::from(self.bias);
                let op = ConvTranspose {
                    c_in,
                    c_out: self.width * groups,
                    groups,
                    windows: Windows::new(&axes[..site.extents.len() - 2])?,
                    output_padding: [extra; 3],
                    bias,
                    weights: self.weights(),
                };
                (Op::ConvTranspose(op), vec![site.x])
            }
            _ => {
                let kind = self.pick(&[PoolKind::Max, PoolKind::Average, PoolKind::Norm, PoolKind::Max]);
                // A reduced kernel reaches over one element at least, more than a padding of none.
                let narrow = site.extents[2..].iter().any(|&extent| extent < u32::from(self.kernel));
                let most = if narrow { 0 } else { self.kernel - 1 };
                (Op::Pool(Pool { kind, windows: windows([most; 2])?, ceil_mode: self.in_place }), vec![site.x])
            }
        };
        Ok((op, weights))
    }

    fn sequence<T: Tables>(&self, site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        if self.kind == 5 && self.bias {
            // Stored keys and values, of heads that several heads of the queries use; a mask for them.
            let mut site = site.with_rank(4)?;
            let [heads, l, d] = [site.extents[1], site.extents[2], site.extents[3]];
            let (s, kv_heads) = (u32::from(self.kernel), divisor(heads, u32::from(self.stride)));
            let k = site.stored(&[1, kv_heads, s, d], site.data_type, TensorKind::Parameter)?;
            let v = site.stored(&[1, kv_heads, s, self.width], site.data_type, TensorKind::Parameter)?;
            let mut operands = vec![site.x, k, v];
            if self.in_place {
                let mask = if self.stride == 2 { vec![heads, l, s] } else { vec![l, s] };
                operands.push(site.stored(&mask, DataType::Bool, TensorKind::Constant)?);
            }
            return Ok((Op::Attention(Attention { causal: false }), operands));
        }
        let mut site = site.with_rank(3)?;
        let (n, features) = (site.extents[0], site.last());
        match self.kind {
            5 => Ok((Op::Attention(Attention { causal: self.in_place }), vec![site.x; 3])),
            6 => {
                let heads = divisor(features, self.width);
                let mut operands = vec![site.x; 3];
                let [mut k_features, mut v_features] = [features; 2];
                if self.in_place {
                    // Keys and values of another length and width, given with each image.
                    let s = u32::from(self.kernel);
                    [k_features, v_features] = [self.width, self.width + u32::from(self.stride)];
                    operands[1] = site.stored(&[n, s, k_features], site.data_type, TensorKind::Input)?;
                    operands[2] = site.stored(&[n, s, v_features], site.data_type, TensorKind::Input)?;
                }
                let op = MultiHeadAttention { embed: features, heads, k_features, v_features, bias: self.bias };
                Ok((Op::MultiHeadAttention(op), operands))
            }
            _ => {
                let (layers, bidirectional) = (self.kernel, self.in_place);
                let op = Recurrent {
                    cell: self.pick(&Cell::ALL),
                    input: features,
                    hidden: self.width,
                    layers,
                    bidirectional,
                    bias: self.bias,
                    batch_first: true,
                };
                let states = u32::from(layers) * if bidirectional { 2 } else { 1 };
                let mut operands = vec![site.x];
                if self.stride == 2 {
                    // A first state for each image, so that it is given rather than stored.
                    operands.push(site.stored(&[states, n, self.width], site.data_type, TensorKind::Input)?);
                }
                Ok((Op::Recurrent(op), operands))
            }
        }
    }

    fn norm<T: Tables>(&self, site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        let features = site.extents[1];
        let affine = Affine { weight: self.in_place, bias: self.bias };
        let op = match self.kind {
            8 => Op::BatchNorm(BatchNorm { features }),
            9 => {
                let most = u8::try_from(site.extents.len() - 1).unwrap_or(1);
                Op::LayerNorm(LayerNorm { axes: 1 + self.variant % most, affine })
            }
            10 => Op::RmsNorm(RmsNorm { weight: self.bias }),
            11 => Op::GroupNorm(GroupNorm { groups: divisor(features, self.width), affine }),
            _ => Op::LocalResponseNorm(LocalResponseNorm { size: self.kernel }),
        };
        Ok((op, vec![site.x]))
    }

    fn elementwise<T: Tables>(&self, mut site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        let x = site.x;
        let same = site.other(|extents| extents == site.extents);
        Ok(match self.kind {
            13 => (self.activation(), vec![x]),
            14 => (Op::PRelu(PRelu { slopes: if self.bias { site.extents[1] } else { 1 } }), vec![x]),
            15 => {
                let op = Binary { kind: self.pick(&BinaryKind::ALL), in_place: self.in_place };
                let y =
                    if self.bias { site.stored(&[site.last()], site.data_type, TensorKind::Parameter)? } else { same };
                (Op::Binary(op), vec![x, y])
            }
            16 => (Op::Embedding(self.embedding()), vec![site.with_rank(2)?.x]),
            17 => (Op::Scalar(Scalar { kind: self.pick(&BinaryKind::ALL), in_place: self.in_place }), vec![x]),
            18 => {
                let condition = site.stored(&[site.last()], DataType::Bool, TensorKind::Constant)?;
                (Op::Where(Where), vec![condition, x, same])
            }
            19 => (Op::Cast(Cast { to: self.pick(&DataType::ALL) }), vec![x]),
            _ => {
                (Op::Quantize(Quantize { to: self.pick(&[DataType::Int8, DataType::Fp32, DataType::Int16]) }), vec![x])
            }
        })
    }

    const fn embedding(&self) -> Embedding {
        Embedding { entries: 100, features: self.width, data_type: DataType::Fp32 }
    }

    fn reduction<T: Tables>(&self, site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        let rank = u8::try_from(site.extents.len()).unwrap_or(u8::MAX);
        // Any axis but the batch.
        let axis = 1 + self.variant % (rank - 1);
        Ok(match self.kind {
            22 => {
                let site = if rank < 3 { site.with_rank(3)? } else { site };
                let outputs = vec![u32::from(self.kernel); site.extents.len() - 2];
                let kind = self.pick(&[PoolKind::Average, PoolKind::Max, PoolKind::Norm]);
                (Op::AdaptivePool(AdaptivePool { kind, output: Shape::new(&outputs)? }), vec![site.x])
            }
            23 => {
                let all = u8::MAX.checked_shr(8 - u32::from(rank)).unwrap_or(0);
                let axes = self.variant & all & !1;
                let left = rank.saturating_sub(u8::try_from(axes.count_ones()).unwrap_or(0));
                let kind = ReduceKind::ALL[usize::from(self.back) * 3 % 10];
                (Op::Reduce(Reduce { kind, axes, keep_dims: self.in_place || left < 2 }), vec![site.x])
            }
            24 => (Op::Scan(Scan { axis }), vec![site.x]),
            _ => {
                let k = self.width.min(site.extents[usize::from(axis)]);
                (Op::TopK(TopK { axis, k }), vec![site.x])
            }
        })
    }

    fn layout<T: Tables>(&self, site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        let extents = site.extents.clone();
        let rank = u8::try_from(extents.len()).unwrap_or(u8::MAX);
        Ok(match self.kind {
            26 => {
                let fits = |other: &[u32]| other.len() == extents.len() && other[2..] == extents[2..];
                let other = site.other(fits);
                (Op::Concat(Concat { axis: 1 }), vec![site.x, other])
            }
            27 => {
                // One axis less, or one more.
                let mut other = extents;
                match other.pop() {
                    Some(last) if other.len() >= 2 => *other.last_mut().expect("two axes") *= last,
                    last => other.extend([1, last.unwrap_or(1)]),
                }
                (Op::View(View { shape: Shape::new(&other)? }), vec![site.x])
            }
            28 => {
                let mut order: Vec<u8> = (0..rank).collect();
                let turn = usize::from(self.variant) % (extents.len() - 1);
                order[1..].rotate_left(turn);
                (Op::Transpose(Transpose::new(&order)?), vec![site.x])
            }
            29 => {
                let (n, each) = (extents[0], &extents[1..]);
                let kind = self.pick(&MoveKind::ALL);
                let width = self.width;
                let to: Vec<u32> = match kind {
                    MoveKind::Slice => each.iter().map(|&extent| extent.min(width)).collect(),
                    MoveKind::Pad => each.iter().map(|&extent| extent + u32::from(self.padding[0])).collect(),
                    MoveKind::Expand => each.iter().map(|&extent| if extent == 1 { width } else { extent }).collect(),
                    MoveKind::Tile => each.iter().map(|&extent| extent * u32::from(self.stride)).collect(),
                    MoveKind::Unfold => vec![each.iter().product(), u32::from(self.kernel)],
                    _ => each.iter().rev().copied().collect(),
                };
                let shape = Shape::new(&[&[n], &to[..]].concat())?;
                (Op::Move(Move { kind, shape }), vec![site.x])
            }
            _ => {
                let to = |extent: u32| extent.min(5) * u32::from(self.stride) + u32::from(self.bias);
                let mut other = extents;
                other[2..].iter_mut().for_each(|extent| *extent = to(*extent));
                (Op::Resize(Resize { kind: self.pick(&ResizeKind::ALL), shape: Shape::new(&other)? }), vec![site.x])
            }
        })
    }

    fn indexed<T: Tables>(&self, mut site: Site<'_, T>) -> Result<(Op, Vec<TensorId>), Error> {
        let extents = site.extents.clone();
        let n_indices = u32::from(self.kernel);
        Ok(match self.kind {
            31 => {
                let axis = 1 + self.variant % u8::try_from(extents.len() - 1).unwrap_or(1);
                let indices = site.stored(&[n_indices], DataType::Int64, TensorKind::Constant)?;
                (Op::Gather(Gather { axis }), vec![site.x, indices])
            }
            32 => {
                let indices = site.stored(&[n_indices], DataType::Int32, TensorKind::Constant)?;
                (Op::Pick(Pick { shape: Shape::new(&[extents[0], n_indices])? }), vec![site.x, indices])
            }
            33 => (
                Op::Softmax(Softmax {
                    axis: 1 + self.variant % u8::try_from(extents.len() - 1).unwrap_or(1),
                    log: self.bias,
                }),
                vec![site.x],
            ),
            _ => {
                // As many updates for each image as it has, given with it.
                let indices = site.stored(&extents, DataType::Int64, TensorKind::Input)?;
                let updates = site.other(|other| other == extents);
                (Op::Scatter(Scatter { combine: self.bias }), vec![site.x, indices, updates])
            }
        })
    }
}
