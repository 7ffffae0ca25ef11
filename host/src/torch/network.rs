//! A graph as tensors: random parameters, and one `ATen` call for each op; where an op takes several, its function says so.
//!
//! Ops run as eager PyTorch runs them: views, transposes, slices and expansions share memory with what they look at, and the op
//! that reads them pays for it. What is not in the graph is random: parameters (of the attributes' sizes), inputs, stored tensors,
//! and indices, which are always valid.

mod attention;
mod call;
mod elementwise;
mod layers;
mod moves;
mod norms;
mod pool;
mod reduce;
mod values;

use derate_core::graph::{GraphView, Node};
use derate_core::op::{MoveKind, Op};
use derate_core::shape::DataType;
use derate_core::tensor::Tensor as Described;
use tch::{Device, Tensor};

use self::call::{Call, Outputs};
use self::values::{Parameters, indices, reads_indices, source};
use super::TorchError;

/// A graph with parameters, ready to run.
#[derive(Debug)]
pub struct Network {
    steps: Vec<Step>,
    sources: Vec<(usize, Tensor)>,
    slots: usize,
}

/// One op: where it reads and writes, and its parameters.
#[derive(Debug)]
struct Step {
    op: Op,
    operands: Vec<usize>,
    described: Vec<Described>,
    /// The slot of its first output; others follow it.
    output: usize,
    result: Described,
    parameters: Vec<Tensor>,
    /// Slots that nobody reads after this step: freed, as Python frees a name that is bound anew.
    dead: Vec<usize>,
    in_place: bool,
    /// Whether libtorch may give another kind of element than core says, so that the result is converted.
    convert: bool,
}

impl Network {
    /// The graph with random parameters of the size that keeps activations near 1, so that no value is denormal or infinite.
    ///
    /// Nodes whose parameters are shared take the tensors of the last node before them that has tensors of the same shapes.
    ///
    /// # Errors
    /// [`TorchError`] for a data type or an op that libtorch does not run here, and where memory is short. int8 networks do not
    /// run ([`TorchError::Int8`]); [`crate::retype::retyped`] gives them another data type.
    pub fn new(graph: GraphView<'_>) -> Result<Self, TorchError> {
        Self::on(graph, Device::Cpu)
    }

    /// [`Network::new`] with all tensors on this device.
    ///
    /// # Errors
    /// Those of [`Network::new`].
    pub fn on(graph: GraphView<'_>, device: Device) -> Result<Self, TorchError> {
        tch::no_grad(|| Self::build(graph, device))
    }

    fn build(graph: GraphView<'_>, device: Device) -> Result<Self, TorchError> {
        let lifetimes = Lifetimes::of(graph);
        let sources = lifetimes.sources(graph, device)?;
        let mut parameters = Parameters::default();
        let mut steps = Vec::with_capacity(graph.nodes().len());
        for (index, node) in graph.nodes().iter().enumerate() {
            let described = described(graph, node)?;
            refuse_int8(index, node.op, &described)?;
            let result = *graph.output(node)?;
            let mut tensors = parameters.of(&node.op, &described, &result, node.shared, device)?;
            let operands: Vec<usize> = graph.operands(node).ids().iter().map(|id| id.index()).collect();
            if reads_indices(&node.op) {
                let given = operands.get(1).or(operands.first()).copied();
                let valid = given.is_some_and(|slot| lifetimes.is_source(slot));
                tensors.extend(indices(&node.op, &described, &result, valid, device)?);
            }
            let convert =
                described.iter().any(|tensor| !is_float(tensor.data_type)) || elementwise::gives_truth_values(&node.op);
            steps.push(Step {
                op: node.op,
                in_place: lifetimes.in_place(node, index, &operands),
                dead: lifetimes.dead(index, &operands),
                operands,
                described,
                output: node.output.index(),
                result,
                parameters: tensors,
                convert,
            });
        }
        Ok(Self { steps, sources, slots: graph.tensors().len() })
    }

    /// Runs the network once and gives what the last op computes; of several results, the first.
    ///
    /// # Errors
    /// [`TorchError`] with the node and libtorch's own message.
    pub fn run(&self) -> Result<Tensor, TorchError> {
        self.run_all()?.into_iter().next().ok_or(TorchError::Empty)
    }

    /// Runs the network once and gives all results of the last op.
    ///
    /// # Errors
    /// Those of [`Network::run`].
    pub fn run_all(&self) -> Result<Vec<Tensor>, TorchError> {
        tch::no_grad(|| {
            let mut values: Vec<Option<Tensor>> = Vec::new();
            values.resize_with(self.slots, || None);
            for (slot, tensor) in &self.sources {
                if let Some(value) = values.get_mut(*slot) {
                    *value = Some(tensor.shallow_clone());
                }
            }
            for (index, step) in self.steps.iter().enumerate() {
                let outputs = step.run(&mut values).map_err(|error| error.at(index, step.op.name()))?;
                for slot in &step.dead {
                    if let Some(value) = values.get_mut(*slot) {
                        *value = None;
                    }
                }
                let further = outputs.further.into_iter().flatten();
                for (value, output) in
                    values.iter_mut().skip(step.output).zip([outputs.first].into_iter().chain(further))
                {
                    *value = Some(output);
                }
            }
            let last = self.steps.last().ok_or(TorchError::Empty)?;
            let count = usize::from(last.op.output_count());
            Ok(values.iter_mut().skip(last.output).take(count).filter_map(Option::take).collect())
        })
    }
}

impl Step {
    fn run(&self, values: &mut [Option<Tensor>]) -> Result<Outputs, TorchError> {
        let mut operands = Vec::with_capacity(self.operands.len());
        for slot in &self.operands {
            let value = values.get(*slot).and_then(Option::as_ref).ok_or(TorchError::Empty)?;
            operands.push(value.shallow_clone());
        }
        let call = Call {
            operands,
            slots: &self.operands,
            described: &self.described,
            result: &self.result,
            parameters: &self.parameters,
            in_place: self.in_place,
        };
        let mut outputs = call.run(&self.op)?;
        if self.convert {
            let wanted = values::element_kind(self.result.data_type)?;
            if outputs.first.f_kind()? != wanted {
                outputs.first = outputs.first.f_to_kind(wanted)?;
            }
        }
        Ok(outputs)
    }
}

fn described(graph: GraphView<'_>, node: &Node) -> Result<Vec<Described>, TorchError> {
    graph.operands(node).iter().map(|operand| Ok(*operand?.1)).collect()
}

const fn is_float(data_type: DataType) -> bool {
    matches!(data_type, DataType::Fp64 | DataType::Fp32 | DataType::Bf16 | DataType::Fp16)
}

/// libtorch moves int8 elements and converts them, but computes nothing right on them.
fn refuse_int8(index: usize, op: Op, operands: &[Described]) -> Result<(), TorchError> {
    let moves = matches!(
        op,
        Op::Cast(_)
            | Op::Quantize(_)
            | Op::Concat(_)
            | Op::View(_)
            | Op::Transpose(_)
            | Op::Move(_)
            | Op::Gather(_)
            | Op::Pick(_)
            | Op::Scatter(_)
            | Op::Embedding(_)
            | Op::Where(_)
    );
    if !moves && operands.iter().any(|tensor| tensor.data_type == DataType::Int8) {
        return Err(TorchError::Int8 { index, op: op.name() });
    }
    Ok(())
}

/// Who reads a tensor last, and whose memory it lies in.
struct Lifetimes {
    /// Step of the last read; `usize::MAX` for a tensor that nobody reads, which is an output of the graph.
    last_use: Vec<usize>,
    /// The slot whose memory a slot lies in: itself, or what it is a view of.
    root: Vec<usize>,
    /// Whether one element of memory stands for several of the slot: libtorch writes into no such tensor.
    expanded: Vec<bool>,
    computed: Vec<bool>,
}

impl Lifetimes {
    fn of(graph: GraphView<'_>) -> Self {
        let slots = graph.tensors().len();
        let mut lifetimes = Self {
            last_use: vec![usize::MAX; slots],
            root: (0..slots).collect(),
            expanded: vec![false; slots],
            computed: vec![false; slots],
        };
        for (step, node) in graph.nodes().iter().enumerate() {
            for id in graph.operands(node).ids() {
                if let Some(last) = lifetimes.last_use.get_mut(id.index()) {
                    *last = step;
                }
            }
            for id in graph.outputs(node) {
                if let Some(computed) = lifetimes.computed.get_mut(id.index()) {
                    *computed = true;
                }
            }
            let (output, operand) = (node.output.index(), graph.operands(node).ids().first().map(|id| id.index()));
            let Some(operand) = operand.filter(|_| shares_memory(graph, node)) else { continue };
            let root = lifetimes.root.get(operand).copied();
            if let (Some(root), Some(of_output)) = (root, lifetimes.root.get_mut(output)) {
                *of_output = root;
            }
            let expands = matches!(node.op, Op::Move(op) if op.kind == MoveKind::Expand);
            let expanded = expands || lifetimes.expanded.get(operand).copied().unwrap_or(false);
            if let Some(of_output) = lifetimes.expanded.get_mut(output) {
                *of_output = expanded;
            }
        }
        lifetimes
    }

    fn is_source(&self, slot: usize) -> bool {
        self.computed.get(slot) == Some(&false)
    }

    /// Random tensors in the place of all that no op computes.
    fn sources(&self, graph: GraphView<'_>, device: Device) -> Result<Vec<(usize, Tensor)>, TorchError> {
        let limits = values::limits(graph)?;
        let slots = graph.tensors().iter().zip(limits).enumerate().filter(|(slot, _)| self.is_source(*slot));
        slots.map(|(slot, (tensor, limit))| Ok((slot, source(tensor, limit, device)?))).collect()
    }

    /// Operands that nobody reads after this step. Sources stay for the next run.
    fn dead(&self, step: usize, operands: &[usize]) -> Vec<usize> {
        let dies = |slot: &usize| self.last_use.get(*slot) == Some(&step) && !self.is_source(*slot);
        let mut dead: Vec<usize> = operands.iter().copied().filter(dies).collect();
        dead.sort_unstable();
        dead.dedup();
        dead
    }

    /// Whether the op may overwrite operand 0: it asks for it, and nobody reads that memory later, under whatever shape.
    fn in_place(&self, node: &Node, step: usize, operands: &[usize]) -> bool {
        let Some(&slot) = operands.first().filter(|_| node.op.in_place()) else { return false };
        let Some(&root) = self.root.get(slot) else { return false };
        // The output itself is still its own root here, and is no reader.
        let alive = self.root.iter().zip(&self.last_use).any(|(other, last)| *other == root && *last > step);
        !alive && !self.is_source(root) && self.expanded.get(slot) == Some(&false)
    }
}

/// Whether libtorch gives operand 0 itself under another shape: what [`call::Call::run`] does for these ops.
fn shares_memory(graph: GraphView<'_>, node: &Node) -> bool {
    match node.op {
        Op::View(_) | Op::Transpose(_) => true,
        Op::Move(op) => matches!(op.kind, MoveKind::Slice | MoveKind::Expand),
        // A conversion to the type that is there already.
        Op::Cast(op) => graph.operands(node).at(0).is_ok_and(|operand| operand.data_type == op.to),
        _ => false,
    }
}
