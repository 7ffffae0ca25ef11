//! A graph as tensors: random parameters, and one `ATen` call for each op.

use derate_core::graph::GraphView;
use derate_core::op::{ActivationKind, BinaryKind, Op, PoolKind};
use derate_core::tensor::Tensor as Described;
use tch::{Device, Kind, Tensor};

use super::{TorchError, kind};

/// A graph with parameters, ready to run on the CPU.
#[derive(Debug)]
pub struct Network {
    steps: Vec<Step>,
    inputs: Vec<(usize, Tensor)>,
    slots: usize,
}

/// One op: where it reads and writes, and its parameters.
#[derive(Debug)]
struct Step {
    op: Op,
    operands: Vec<usize>,
    output: usize,
    parameters: Vec<Tensor>,
    /// Slots that nobody reads after this step: freed, as Python frees a name that is bound anew.
    dead: Vec<usize>,
    in_place: bool,
}

impl Network {
    /// The graph with random parameters of the size that keeps activations near 1, so that no value is denormal or infinite.
    ///
    /// # Errors
    /// [`TorchError`] for a data type or an op that libtorch does not run here, and where memory is short.
    pub fn new(graph: GraphView<'_>) -> Result<Self, TorchError> {
        tch::no_grad(|| Self::build(graph))
    }

    fn build(graph: GraphView<'_>) -> Result<Self, TorchError> {
        let nodes = graph.nodes();
        let slots = graph.tensors().len();
        let mut last_use = vec![usize::MAX; slots];
        for (step, node) in nodes.iter().enumerate() {
            for id in graph.operands(node).ids() {
                last_use[id.index()] = step;
            }
        }
        let written: Vec<usize> = nodes.iter().map(|node| node.output.index()).collect();
        let mut inputs = Vec::new();
        for (slot, tensor) in graph.tensors().iter().enumerate() {
            if !written.contains(&slot) {
                inputs.push((slot, random(tensor)?));
            }
        }
        let mut steps = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let operands: Vec<usize> = graph.operands(node).ids().iter().map(|id| id.index()).collect();
            let is_input = |slot: &usize| !written.contains(slot);
            let mut dead: Vec<usize> =
                operands.iter().copied().filter(|slot| last_use[*slot] == index && !is_input(slot)).collect();
            dead.sort_unstable();
            dead.dedup();
            let in_place = node.op.in_place() && operands.first().is_some_and(|slot| dead.contains(slot));
            let data_type = graph.tensors()[node.output.index()].data_type;
            let parameters = parameters(&node.op, kind(data_type).ok_or(TorchError::DataType(data_type))?)?;
            steps.push(Step { op: node.op, operands, output: node.output.index(), parameters, dead, in_place });
        }
        Ok(Self { steps, inputs, slots })
    }

    /// Runs the network once and gives what the last op computes.
    ///
    /// # Errors
    /// [`TorchError`] with libtorch's own message.
    pub fn run(&self) -> Result<Tensor, TorchError> {
        tch::no_grad(|| {
            let mut values: Vec<Option<Tensor>> = Vec::new();
            values.resize_with(self.slots, || None);
            for (slot, tensor) in &self.inputs {
                values[*slot] = Some(tensor.shallow_clone());
            }
            let mut last = None;
            for step in &self.steps {
                let output = step.run(&mut values)?;
                for slot in &step.dead {
                    values[*slot] = None;
                }
                values[step.output] = Some(output);
                last = Some(step.output);
            }
            last.and_then(|slot| values[slot].take()).ok_or(TorchError::Empty)
        })
    }
}

impl Step {
    fn run(&self, values: &mut [Option<Tensor>]) -> Result<Tensor, TorchError> {
        let operand = |position: usize| -> Result<Tensor, TorchError> {
            let slot = self.operands.get(position).ok_or(TorchError::Empty)?;
            Ok(values[*slot].as_ref().ok_or(TorchError::Empty)?.shallow_clone())
        };
        let parameter = |position: usize| self.parameters.get(position);
        let pair = |[h, w]: [u32; 2]| [i64::from(h), i64::from(w)];
        let mut x = operand(0)?;
        Ok(match self.op {
            Op::Linear(_) => x.f_linear(parameter(0).ok_or(TorchError::Empty)?, parameter(1))?,
            Op::Conv2d(op) => x.f_conv2d(
                parameter(0).ok_or(TorchError::Empty)?,
                parameter(1),
                pair(op.stride),
                symmetric(op.padding)?,
                pair(op.dilation),
                i64::from(op.groups),
            )?,
            Op::BatchNorm(_) => {
                x.f_batch_norm(parameter(0), parameter(1), parameter(2), parameter(3), false, 0.1, 1e-5, true)?
            }
            Op::LayerNorm(op) => x.f_layer_norm([i64::from(op.features)], parameter(0), parameter(1), 1e-5, true)?,
            Op::Activation(op) => match (op.kind, self.in_place) {
                (ActivationKind::Relu, true) => x.f_relu_()?,
                (ActivationKind::Relu, false) => x.f_relu()?,
                (ActivationKind::Relu6, true) => x.f_relu6_()?,
                (ActivationKind::Relu6, false) => x.f_relu6()?,
                (ActivationKind::HardSigmoid, true) => x.f_hardsigmoid_()?,
                (ActivationKind::HardSigmoid, false) => x.f_hardsigmoid()?,
                (ActivationKind::HardSwish, true) => x.f_hardswish_()?,
                (ActivationKind::HardSwish, false) => x.f_hardswish()?,
                (ActivationKind::Sigmoid, true) => x.f_sigmoid_()?,
                (ActivationKind::Sigmoid, false) => x.f_sigmoid()?,
                (ActivationKind::Silu, true) => x.f_silu_()?,
                (ActivationKind::Silu, false) => x.f_silu()?,
                (ActivationKind::Gelu, true) => x.f_gelu_("none")?,
                (ActivationKind::Gelu, false) => x.f_gelu("none")?,
                (ActivationKind::Tanh, true) => x.f_tanh_()?,
                (ActivationKind::Tanh, false) => x.f_tanh()?,
                (kind, _) => return Err(TorchError::Op(kind.name())),
            },
            Op::Binary(op) => {
                let y = operand(1)?;
                match (op.kind, self.in_place) {
                    (BinaryKind::Add, true) => x.f_add_(&y)?,
                    (BinaryKind::Add, false) => x.f_add(&y)?,
                    (BinaryKind::Sub, true) => x.f_sub_(&y)?,
                    (BinaryKind::Sub, false) => x.f_sub(&y)?,
                    (BinaryKind::Mul, true) => x.f_mul_(&y)?,
                    (BinaryKind::Mul, false) => x.f_mul(&y)?,
                    (BinaryKind::Div, true) => x.f_div_(&y)?,
                    (BinaryKind::Div, false) => x.f_div(&y)?,
                    (kind, _) => return Err(TorchError::Op(kind.name())),
                }
            }
            Op::Softmax(op) => x.f_softmax(i64::from(op.axis), None::<Kind>)?,
            Op::Pool2d(op) => {
                let (kernel, stride, padding) = (pair(op.kernel), pair(op.stride), symmetric(op.padding)?);
                match op.kind {
                    PoolKind::Max => x.f_max_pool2d(kernel, stride, padding, pair(op.dilation), op.ceil_mode)?,
                    PoolKind::Average if op.dilation == [1, 1] => {
                        x.f_avg_pool2d(kernel, stride, padding, op.ceil_mode, true, None::<i64>)?
                    }
                    kind => return Err(TorchError::Op(kind.name())),
                }
            }
            Op::AdaptiveAveragePool2d(op) => x.f_adaptive_avg_pool2d(pair(op.output))?,
            Op::Concat(op) => {
                let all = (0..self.operands.len()).map(operand).collect::<Result<Vec<_>, _>>()?;
                Tensor::f_cat(&all, i64::from(op.axis))?
            }
            Op::Flatten(op) => x.f_flatten(i64::from(op.start_axis), -1)?,
            op => return Err(TorchError::Op(op.name())),
        })
    }
}

fn symmetric([[top, bottom], [left, right]]: [[u32; 2]; 2]) -> Result<[i64; 2], TorchError> {
    if top == bottom && left == right {
        Ok([i64::from(top), i64::from(left)])
    } else {
        Err(TorchError::Op("conv2d or pooling with asymmetric padding"))
    }
}

/// Values around 1 for an input.
fn random(described: &Described) -> Result<Tensor, TorchError> {
    let kind = kind(described.data_type).ok_or(TorchError::DataType(described.data_type))?;
    let extents: Vec<i64> = described.shape.extents().iter().map(|&extent| i64::from(extent)).collect();
    Ok(Tensor::f_randn(extents, (kind, Device::Cpu))?)
}

/// Random parameters of an op, in the order of its `ATen` call.
fn parameters(op: &Op, kind: Kind) -> Result<Vec<Tensor>, TorchError> {
    let normal = |extents: &[u32], fan_in: f64| -> Result<Tensor, TorchError> {
        let extents: Vec<i64> = extents.iter().map(|&extent| i64::from(extent)).collect();
        Ok(Tensor::f_randn(extents, (kind, Device::Cpu))?.f_mul_scalar_((2.0 / fan_in).sqrt())?)
    };
    let ones = |n: u32| Tensor::f_ones([i64::from(n)], (kind, Device::Cpu));
    let zeros = |n: u32| Tensor::f_zeros([i64::from(n)], (kind, Device::Cpu));
    Ok(match op {
        Op::Linear(op) => {
            let mut all = vec![normal(&[op.out_features, op.in_features], f64::from(op.in_features))?];
            if op.bias {
                all.push(zeros(op.out_features)?);
            }
            all
        }
        Op::Conv2d(op) => {
            let c_in = op.c_in / op.groups;
            let [k_h, k_w] = op.kernel;
            let mut all = vec![normal(&[op.c_out, c_in, k_h, k_w], f64::from(c_in * k_h * k_w))?];
            if op.bias {
                all.push(zeros(op.c_out)?);
            }
            all
        }
        Op::BatchNorm(op) => vec![ones(op.features)?, zeros(op.features)?, zeros(op.features)?, ones(op.features)?],
        Op::LayerNorm(op) => vec![ones(op.features)?, zeros(op.features)?],
        _ => Vec::new(),
    })
}
