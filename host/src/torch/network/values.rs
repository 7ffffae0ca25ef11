//! Random values: parameters of ops, tensors that no op computes, indices.

use derate_core::graph::GraphView;
use derate_core::op::{Affine, Cell, Op};
use derate_core::shape::DataType;
use derate_core::tensor::Tensor as Described;
use tch::{Device, Kind, Tensor};

use super::call::{elements, long};
use super::is_float;
use crate::torch::TorchError;

/// Kind of the elements of a tensor; of integers too, which [`crate::torch::kind`] leaves out as no arithmetic.
pub(super) fn element_kind(data_type: DataType) -> Result<Kind, TorchError> {
    Ok(match data_type {
        DataType::Int8 => Kind::Int8,
        DataType::Int16 => Kind::Int16,
        DataType::Int32 => Kind::Int,
        DataType::Int64 => Kind::Int64,
        DataType::Bool => Kind::Bool,
        other => crate::torch::kind(other).ok_or(TorchError::DataType(other))?,
    })
}

/// A tensor that no op computes. Real numbers are normal; truth values are half true; integers are valid indices below `limit`
/// where they choose rows, and 1 or 2 else, so that nothing is divided by 0.
pub(super) fn source(described: &Described, limit: Option<i64>, device: Device) -> Result<Tensor, TorchError> {
    let kind = element_kind(described.data_type)?;
    let extents = long(described.shape.extents());
    if is_float(described.data_type) {
        return normal(&extents, (kind, device));
    }
    if described.data_type == DataType::Bool {
        return Ok(Tensor::f_randint(2, extents, (Kind::Int64, device))?.f_to_kind(Kind::Bool)?);
    }
    let whole = (Kind::Int64, device);
    let values = match limit {
        Some(limit) => Tensor::f_randint(limit.max(1), extents, whole)?,
        None => Tensor::f_randint_low(1, 3, extents, whole)?,
    };
    Ok(values.f_to_kind(kind)?)
}

/// Normal random numbers. A large tensor repeats the first million: each number costs some 10 ns, and no kernel looks whether they come
/// again.
fn normal(extents: &[i64], options: (Kind, Device)) -> Result<Tensor, TorchError> {
    const DIFFERENT: i64 = 1 << 20;
    let count = extents.iter().fold(1_i64, |product, &extent| product.saturating_mul(extent));
    if count <= 2 * DIFFERENT {
        return Ok(Tensor::f_randn(extents, options)?);
    }
    let rounds = count / DIFFERENT + i64::from(count % DIFFERENT > 0);
    let all = Tensor::f_randn([DIFFERENT], options)?.f_repeat([rounds])?;
    Ok(all.f_narrow(0, 0, count)?.f_reshape(extents)?)
}

/// For each tensor, the number of rows that its elements may choose from; `None` where they are no indices.
pub(super) fn limits(graph: GraphView<'_>) -> Result<Vec<Option<i64>>, TorchError> {
    let mut limits: Vec<Option<i64>> = vec![None; graph.tensors().len()];
    for node in graph.nodes() {
        let operands = graph.operands(node);
        let (position, rows) = match node.op {
            Op::Embedding(op) => (0, i64::from(op.entries)),
            Op::Gather(op) => (1, operands.at(0)?.shape.extent(usize::from(op.axis)).map_or(1, i64::from)),
            _ => continue,
        };
        let slot = operands.ids().get(position).map(|id| id.index());
        if let Some(limit) = slot.and_then(|slot| limits.get_mut(slot)) {
            *limit = Some(limit.map_or(rows, |other| other.min(rows)));
        }
    }
    Ok(limits)
}

/// Whether the op chooses elements by indices.
pub(super) const fn reads_indices(op: &Op) -> bool {
    matches!(op, Op::Embedding(_) | Op::Gather(_) | Op::Pick(_) | Op::Scatter(_))
}

/// Indices in the place of those of the graph; none where the operand itself holds valid ones (`given`: no op computes it).
///
/// What an op computes from random values is no valid index, and n-tuples of indices would have to be joined: as many random
/// ones are read instead. An index is as long as libtorch's: 8 bytes.
pub(super) fn indices(
    op: &Op,
    operands: &[Described],
    result: &Described,
    given: bool,
    device: Device,
) -> Result<Option<Tensor>, TorchError> {
    let shape = |position: usize| operands.get(position).map(|tensor| tensor.shape).ok_or(TorchError::Empty);
    let usable = |position: usize| {
        let kind = operands.get(position).map(|tensor| tensor.data_type);
        given && matches!(kind, Some(DataType::Int32 | DataType::Int64))
    };
    let random = |rows: i64, extents: Vec<i64>| -> Result<Option<Tensor>, TorchError> {
        Ok(Some(Tensor::f_randint(rows.max(1), extents, (Kind::Int64, device))?))
    };
    match op {
        Op::Embedding(_) if usable(0) => Ok(None),
        Op::Embedding(op) => random(i64::from(op.entries), long(shape(0)?.extents())),
        Op::Gather(_) if usable(1) => Ok(None),
        Op::Gather(op) => {
            let rows = shape(0)?.extent(usize::from(op.axis)).map_or(1, i64::from);
            random(rows, vec![elements(shape(1)?.extents())])
        }
        Op::Pick(_) => {
            let (data, wanted) = (shape(0)?, result.shape);
            match tuples(data.extents(), shape(1)?.extents(), elements(wanted.extents())) {
                Some(tuples) => random(tuples.rows, vec![tuples.count]),
                None => random(elements(data.extents()), long(wanted.extents())),
            }
        }
        Op::Scatter(_) => {
            let (data, updates) = (shape(0)?, shape(2)?);
            match tuples(data.extents(), shape(1)?.extents(), elements(updates.extents())) {
                Some(tuples) => random(tuples.rows, vec![tuples.count]),
                None => random(elements(data.extents()), long(updates.extents())),
            }
        }
        _ => Ok(None),
    }
}

/// Indices that are n-tuples: each chooses one of `rows`, of `length` elements that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuples {
    pub(super) rows: i64,
    pub(super) length: i64,
    pub(super) count: i64,
}

/// The n-tuples that stand along the last axis of `indices` into `data`, if so they choose rows of together `chosen` elements;
/// `None` for indices of single elements.
pub(super) fn tuples(data: &[u32], indices: &[u32], chosen: i64) -> Option<Tuples> {
    let (&last, outer) = indices.split_last()?;
    let (chooses, row) = data.split_at_checked(usize::try_from(last).ok()?)?;
    let tuples = Tuples { rows: elements(chooses), length: elements(row), count: elements(outer) };
    (!row.is_empty() && tuples.count.checked_mul(tuples.length)? == chosen).then_some(tuples)
}

/// How a parameter is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fill {
    /// Normal, with this standard deviation.
    Normal(f64),
    Ones,
    Zeros,
}

#[derive(Clone, Debug, PartialEq)]
struct Parameter {
    extents: Vec<i64>,
    fill: Fill,
}

impl Parameter {
    /// Weights of variance 2 / fan-in.
    fn weights(extents: Vec<i64>, fan_in: i64) -> Self {
        Self { extents, fill: Fill::Normal((2.0 / fan_in.max(1) as f64).sqrt()) }
    }

    fn ones(extents: Vec<i64>) -> Self {
        Self { extents, fill: Fill::Ones }
    }

    fn zeros(extents: Vec<i64>) -> Self {
        Self { extents, fill: Fill::Zeros }
    }

    fn tensor(&self, kind: Kind, device: Device) -> Result<Tensor, TorchError> {
        let (extents, options) = (self.extents.as_slice(), (kind, device));
        Ok(match self.fill {
            Fill::Normal(deviation) if is_real(kind) => normal(extents, options)?.f_mul_scalar_(deviation)?,
            Fill::Normal(_) => Tensor::f_randint_low(-1, 2, extents, (Kind::Int64, device))?.f_to_kind(kind)?,
            Fill::Ones => Tensor::f_ones(extents, options)?,
            Fill::Zeros => Tensor::f_zeros(extents, options)?,
        })
    }
}

const fn is_real(kind: Kind) -> bool {
    matches!(kind, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16)
}

/// The parameters of all ops so far, so that later ones can share them.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    op: Op,
    kind: Kind,
    described: Vec<Parameter>,
    tensors: Vec<Tensor>,
}

impl Parameters {
    /// Random parameters of an op, in the order of its `ATen` call; or those of an earlier op, where they are `shared`.
    ///
    /// Weights that are stored in another type than the operand's are held in the operand's: libtorch's ops take both in one.
    pub(super) fn of(
        &mut self,
        op: &Op,
        operands: &[Described],
        result: &Described,
        shared: bool,
        device: Device,
    ) -> Result<Vec<Tensor>, TorchError> {
        let described = parameters(op, operands);
        if described.is_empty() {
            return Ok(Vec::new());
        }
        let kind = element_kind(result.data_type)?;
        let same_shapes = |held: &&Held| held.kind == kind && held.described == described;
        // An earlier op of the same attributes; else one that holds the same tensors, as a classifier has those of an embedding.
        let earlier = || self.held.iter().rev().filter(same_shapes);
        let found = if shared { earlier().find(|held| held.op == *op).or_else(|| earlier().next()) } else { None };
        let tensors = match found {
            Some(held) => held.tensors.iter().map(Tensor::shallow_clone).collect(),
            None => described.iter().map(|one| one.tensor(kind, device)).collect::<Result<Vec<_>, _>>()?,
        };
        let copies = tensors.iter().map(Tensor::shallow_clone).collect();
        self.held.push(Held { op: *op, kind, described, tensors: copies });
        Ok(tensors)
    }
}

fn affine(affine: Affine, extents: &[i64]) -> Vec<Parameter> {
    let weight = affine.weight.then(|| Parameter::ones(extents.to_vec()));
    let bias = affine.bias.then(|| Parameter::zeros(extents.to_vec()));
    weight.into_iter().chain(bias).collect()
}

fn parameters(op: &Op, operands: &[Described]) -> Vec<Parameter> {
    let with_bias = |weights: Parameter, bias: bool, n: u32| {
        let bias = bias.then(|| Parameter::zeros(vec![i64::from(n)]));
        [weights].into_iter().chain(bias).collect()
    };
    let of_operand = || operands.first().map(|tensor| long(tensor.shape.extents())).unwrap_or_default();
    match op {
        Op::Linear(op) => {
            let weights = Parameter::weights(long(&[op.out_features, op.in_features]), i64::from(op.in_features));
            with_bias(weights, op.bias, op.out_features)
        }
        Op::Conv(op) => {
            let taps = op.windows.axes().iter().map(|axis| i64::from(axis.kernel));
            let c_in = i64::from(op.c_in) / i64::from(op.groups.max(1));
            let extents: Vec<i64> = [i64::from(op.c_out), c_in].into_iter().chain(taps).collect();
            let fan_in = extents.iter().skip(1).product();
            with_bias(Parameter::weights(extents, fan_in), op.bias, op.c_out)
        }
        Op::ConvTranspose(op) => {
            let taps = op.windows.axes().iter().map(|axis| i64::from(axis.kernel));
            let c_out = i64::from(op.c_out) / i64::from(op.groups.max(1));
            let extents: Vec<i64> = [i64::from(op.c_in), c_out].into_iter().chain(taps).collect();
            with_bias(Parameter::weights(extents, i64::from(op.c_in)), op.bias, op.c_out)
        }
        Op::MultiHeadAttention(op) => {
            let mut all = Vec::new();
            for [rows, columns] in
                [[op.embed, op.embed], [op.embed, op.k_features], [op.embed, op.v_features], [op.embed, op.embed]]
            {
                all.push(Parameter::weights(long(&[rows, columns]), i64::from(columns)));
            }
            all = super::attention::packed(op, all, |rows, columns| Parameter::weights(vec![rows, columns], columns));
            if op.bias {
                // One vector for the packed projections, or one for each; one for the last.
                let rows: Vec<i64> = all.iter().filter_map(|weights| weights.extents.first().copied()).collect();
                all.extend(rows.into_iter().map(|rows| Parameter::zeros(vec![rows])));
            }
            all
        }
        Op::Recurrent(op) => {
            let gates = i64::try_from(op.cell.gates()).unwrap_or(i64::MAX);
            let hidden = i64::from(op.hidden);
            let directions: i64 = if op.bidirectional { 2 } else { 1 };
            let rows = gates.saturating_mul(hidden);
            let mut all = Vec::new();
            for layer in 0..op.layers {
                let input = if layer == 0 { i64::from(op.input) } else { directions * hidden };
                for _ in 0..directions {
                    all.push(Parameter::weights(vec![rows, input], input));
                    all.push(Parameter::weights(vec![rows, hidden], 4 * hidden));
                    if op.bias {
                        all.extend([Parameter::zeros(vec![rows]), Parameter::zeros(vec![rows])]);
                    }
                }
            }
            // First states, where no operand gives them: after the weights.
            let n = operands.first().and_then(|tensor| tensor.shape.extent(usize::from(!op.batch_first)));
            let state = vec![i64::from(op.layers) * directions, n.map_or(1, i64::from), hidden];
            let states = if op.cell == Cell::Lstm { 2 } else { 1 };
            all.extend((0..states).map(|_| Parameter::zeros(state.clone())));
            all
        }
        Op::BatchNorm(op) => {
            let n = vec![i64::from(op.features)];
            // Weight, bias, mean, variance.
            vec![
                Parameter::ones(n.clone()),
                Parameter::zeros(n.clone()),
                Parameter::zeros(n.clone()),
                Parameter::ones(n),
            ]
        }
        Op::LayerNorm(op) => {
            let extents = of_operand();
            affine(op.affine, extents.get(extents.len().saturating_sub(usize::from(op.axes))..).unwrap_or(&[]))
        }
        Op::RmsNorm(op) => {
            let last = of_operand().last().copied().unwrap_or(1);
            affine(Affine { weight: op.weight, bias: false }, &[last])
        }
        Op::GroupNorm(op) => affine(op.affine, &[of_operand().get(1).copied().unwrap_or(1)]),
        Op::PRelu(op) => vec![Parameter { extents: vec![i64::from(op.slopes)], fill: Fill::Normal(0.25) }],
        Op::Embedding(op) => {
            vec![Parameter { extents: long(&[op.entries, op.features]), fill: Fill::Normal(1.0) }]
        }
        // Dilated means are convolutions with equal weights, which libtorch has no pooling for.
        Op::Pool(op) => super::pool::mean_weights(op, operands)
            .map(|extents| Parameter { extents, fill: Fill::Ones })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}
