//! Graphs: ops in execution order, and the tensors between them.
//!
//! [`Graph`] owns a graph of fixed capacity; everything else takes a [`GraphView`], three slices, so that a host's growing
//! buffer, a graph in flash and a graph on the stack look the same. Whoever owns the tables implements [`Tables`];
//! checking and shape inference are written once, in [`Build`].

use crate::error::{Error, Table};
use crate::op::Op;
use crate::shape::{DataType, Shape};
use crate::tensor::{Operands, Tensor, TensorId, TensorKind};
use crate::units::Bytes;
use crate::work::{Class, Work};

/// One op of a graph: what it computes, which operands it reads, which tensor it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Node {
    /// The operation and its attributes.
    pub op: Op,
    /// First of its operands in the graph's table of operands.
    first_operand: u32,
    /// Number of its operands.
    operand_count: u16,
    /// The tensor it gives; the first, where there are several.
    pub output: TensorId,
    /// Whether its parameters are those of an earlier node: read here too, but stored and counted there.
    pub shared: bool,
}

impl Node {
    /// A node of tables that are written by hand or by a program: its operands are `operand_count` entries of the table of operands from
    /// `first_operand` on. Builders make nodes themselves; [`GraphView::check`] says whether tables belong together.
    #[must_use]
    pub const fn new(op: Op, first_operand: u32, operand_count: u16, output: TensorId, shared: bool) -> Self {
        Self { op, first_operand, operand_count, output, shared }
    }
}

/// A graph as slices; `Copy`, wherever the tables lie.
#[derive(Clone, Copy, Debug)]
pub struct GraphView<'a> {
    nodes: &'a [Node],
    tensors: &'a [Tensor],
    operands: &'a [TensorId],
}

impl<'a> GraphView<'a> {
    /// View of three tables that one [`Build`] filled, or that [`GraphView::check`] finds right.
    #[must_use]
    pub const fn new(nodes: &'a [Node], tensors: &'a [Tensor], operands: &'a [TensorId]) -> Self {
        Self { nodes, tensors, operands }
    }

    /// Ops in execution order: an op reads only graph inputs and outputs of ops before it.
    #[must_use]
    pub const fn nodes(&self) -> &'a [Node] {
        self.nodes
    }

    /// Tensors in order of definition.
    #[must_use]
    pub const fn tensors(&self) -> &'a [Tensor] {
        self.tensors
    }

    /// What a node reads.
    #[must_use]
    pub fn operands(&self, node: &Node) -> Operands<'a> {
        let first = usize::try_from(node.first_operand).unwrap_or(usize::MAX);
        let ids = self.operands.get(first..first.saturating_add(usize::from(node.operand_count))).unwrap_or(&[]);
        Operands { tensors: self.tensors, ids }
    }

    /// The tensor that a node gives.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`] in a view of tables that do not belong together.
    pub fn output(&self, node: &Node) -> Result<&'a Tensor, Error> {
        self.tensors.get(node.output.index()).ok_or(Error::UnknownTensor { operand: 0 })
    }

    /// The tensors that a node gives, first to last.
    pub fn outputs(&self, node: &Node) -> impl Iterator<Item = TensorId> + use<> {
        let first = node.output;
        (0..node.op.output_count()).map(move |position| first.offset(position))
    }

    /// Checks tables that no [`Build`] filled, such as constants in flash: every node reads tensors that are given, stored or
    /// computed before it, what it gives is what its op says, each activation is given by one node, and all counts fit.
    ///
    /// # Errors
    /// [`Error::OperandCount`] where the table of operands ends before those of a node; [`Error::UnknownTensor`] for an operand
    /// that is not there yet; [`Error::WrongTensor`] for a tensor that is not what its op gives; what [`Op::output`] refuses;
    /// [`Error::ZeroExtent`] and [`Error::CountOverflow`] as [`Build`].
    pub fn check(&self) -> Result<(), Error> {
        let mut ready = 0_u32;
        for node in self.nodes {
            let call = self.operands(node);
            if call.len() != usize::from(node.operand_count) {
                let found = u16::try_from(call.len()).unwrap_or(u16::MAX);
                return Err(Error::OperandCount { expected: node.operand_count, found });
            }
            for (operand, id) in (0..u16::MAX).zip(call.ids()) {
                // Outputs are numbered in the order of the nodes, so that all below this node's are there.
                if id.0 >= node.output.0 {
                    return Err(Error::UnknownTensor { operand });
                }
            }
            ready = self.sources(ready, node.output)?;
            for position in 0..node.op.output_count() {
                if self.tensors.get(node.output.offset(position).index()) != Some(&node.op.output(call, position)?) {
                    return Err(Error::WrongTensor { tensor: ready });
                }
                ready = ready.checked_add(1).ok_or(Error::CountOverflow)?;
            }
        }
        self.sources(ready, TensorId(next(self.tensors.len(), Table::Tensors)?))?;
        self.total_work().map(|_| ())
    }

    /// Checks that the tensors from `ready` up to `end` are such as no op computes; gives `end`.
    fn sources(&self, ready: u32, end: TensorId) -> Result<u32, Error> {
        if end.0 < ready {
            return Err(Error::WrongTensor { tensor: end.0 });
        }
        for number in ready..end.0 {
            let wrong = Error::WrongTensor { tensor: number };
            let tensor = self.tensors.get(TensorId(number).index()).ok_or(wrong)?;
            if tensor.kind == TensorKind::Activation {
                return Err(wrong);
            }
            no_zero(&tensor.shape)?;
            tensor.bytes()?;
        }
        Ok(end.0)
    }

    /// Exact work of one node; parameters that an earlier node holds are read, but neither stored nor counted.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn work(&self, node: &Node) -> Result<Work, Error> {
        let work = node.op.work(self.operands(node), self.output(node)?)?;
        Ok(if node.shared { Work { params: 0, bytes_stored: Bytes::ZERO, ..work } } else { work })
    }

    /// Exact work of all nodes, with the stored tensors of the graph itself among `params` and `bytes_stored`.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn total_work(&self) -> Result<Work, Error> {
        let mut sum = self.stored()?;
        for node in self.nodes {
            sum = sum.checked_add(&self.work(node)?)?;
        }
        Ok(sum)
    }

    /// The stored tensors of the graph itself: their values, of which only parameters are learned, and their bytes.
    pub(crate) fn stored(&self) -> Result<Work, Error> {
        let mut sum = Work::none(Class::View);
        for tensor in self.tensors.iter().filter(|tensor| tensor.kind.is_stored()) {
            if tensor.kind == TensorKind::Parameter {
                sum.params = sum.params.checked_add(tensor.shape.elements()?).ok_or(Error::CountOverflow)?;
            }
            sum.bytes_stored = sum.bytes_stored.checked_add(tensor.bytes()?)?;
        }
        Ok(sum)
    }

    /// Bytes of everything that is stored with the network: parameters, buffers, constants.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn bytes_stored(&self) -> Result<Bytes, Error> {
        let own = self.stored()?.bytes_stored;
        self.nodes
            .iter()
            .filter(|node| !node.shared)
            .try_fold(own, |sum, node| sum.checked_add(node.op.stored(self.operands(node), self.output(node)?)?))
    }

    /// Bytes that the model itself must move, however it is executed: parameters once, inputs once, outputs once.
    /// Activations between its ops may stay on chip and are not counted.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn compulsory_traffic(&self) -> Result<Bytes, Error> {
        let mut bytes = self.bytes_stored()?;
        for tensor in self.tensors.iter().filter(|tensor| tensor.kind == TensorKind::Input) {
            bytes = bytes.checked_add(tensor.bytes()?)?;
        }
        for node in self.nodes {
            // Who reads a result mostly comes next: the search begins there, so that long graphs do not take the square of their length.
            let later = usize::try_from(node.first_operand).unwrap_or(usize::MAX);
            let (earlier, later) = self.operands.split_at_checked(later).unwrap_or((self.operands, &[]));
            for id in self.outputs(node).filter(|id| !later.contains(id) && !earlier.contains(id)) {
                bytes = bytes.checked_add(self.tensors.get(id.index()).map_or(Ok(Bytes::ZERO), Tensor::bytes)?)?;
            }
        }
        Ok(bytes)
    }
}

/// Tables that a graph is built in: three growing lists. Implement it for a container of your own to build
/// graphs in it with [`Build`].
pub trait Tables {
    /// What is there so far.
    fn view(&self) -> GraphView<'_>;
    /// Makes sure that so many more entries fit, or leaves all as it was.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`] naming the first table that is too small.
    fn reserve(&mut self, nodes: usize, tensors: usize, operands: usize) -> Result<(), Error>;
    /// Appends a tensor, for which there is room.
    fn push_tensor(&mut self, tensor: Tensor);
    /// Appends an operand, for which there is room.
    fn push_operand(&mut self, operand: TensorId);
    /// Appends a node, for which there is room.
    fn push_node(&mut self, node: Node);
}

/// Building a graph, op by op; each call checks operands and attributes and infers the shape of the result.
pub trait Build: Tables {
    /// Adds an input of the graph.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`], [`Error::RankExceeded`], [`Error::ZeroExtent`], [`Error::CountOverflow`]; the graph is
    /// unchanged then.
    fn input(&mut self, extents: &[u32], data_type: DataType) -> Result<TensorId, Error> {
        self.tensor(extents, data_type, TensorKind::Input)
    }

    /// Adds a tensor that no op computes: an input, or one that is stored with the network.
    ///
    /// # Errors
    /// Those of [`Build::input`].
    fn tensor(&mut self, extents: &[u32], data_type: DataType, kind: TensorKind) -> Result<TensorId, Error> {
        let tensor = Tensor { shape: Shape::new(extents)?, data_type, kind };
        no_zero(&tensor.shape)?;
        tensor.bytes()?;
        let id = next(self.view().tensors.len(), Table::Tensors)?;
        self.reserve(0, 1, 0)?;
        self.push_tensor(tensor);
        Ok(TensorId(id))
    }

    /// Adds an op that reads these tensors, and gives the tensor it computes; of several, the first, which the others follow
    /// ([`TensorId::offset`]).
    ///
    /// # Errors
    /// What [`Op::output`] and [`Op::work`] refuse, and [`Error::CapacityExceeded`]; the graph is unchanged then.
    fn op(&mut self, op: Op, operands: &[TensorId]) -> Result<TensorId, Error> {
        self.node(op, operands, false)
    }

    /// Adds an op; `shared` says that its parameters are those of an earlier node, and so not counted again.
    ///
    /// # Errors
    /// Those of [`Build::op`].
    fn node(&mut self, op: Op, operands: &[TensorId], shared: bool) -> Result<TensorId, Error> {
        let view = self.view();
        let call = Operands { tensors: view.tensors, ids: operands };
        let output = op.output(call, 0)?;
        op.work(call, &output)?;
        let node = Node {
            op,
            first_operand: next(view.operands.len(), Table::Operands)?,
            operand_count: u16::try_from(operands.len())
                .map_err(|_| Error::CapacityExceeded { table: Table::Operands, capacity: u32::from(u16::MAX) })?,
            output: TensorId(next(view.tensors.len(), Table::Tensors)?),
            shared,
        };
        let mut outputs = heapless::Vec::<Tensor, 3>::new();
        for position in 0..op.output_count() {
            let output = op.output(call, position)?;
            outputs
                .push(output)
                .map_err(|_| Error::CapacityExceeded { table: Table::Tensors, capacity: MAX_OUTPUTS })?;
        }
        self.reserve(1, outputs.len(), operands.len())?;
        for &tensor in &outputs {
            self.push_tensor(tensor);
        }
        for &operand in operands {
            self.push_operand(operand);
        }
        self.push_node(node);
        Ok(node.output)
    }
}

/// Most tensors that one op gives.
const MAX_OUTPUTS: u32 = 3;

impl<T: Tables + ?Sized> Build for T {}

/// Requires that no extent is zero.
fn no_zero(shape: &Shape) -> Result<(), Error> {
    let zero = (0..u8::MAX).zip(shape.extents()).find(|(_, extent)| **extent == 0);
    zero.map_or(Ok(()), |(axis, _)| Err(Error::ZeroExtent { axis }))
}

fn next(len: usize, table: Table) -> Result<u32, Error> {
    u32::try_from(len).map_err(|_| Error::CapacityExceeded { table, capacity: u32::MAX })
}

/// A graph of fixed capacity, without allocation: at most `OPS` ops, `TENSORS` tensors and as many references to them.
///
/// ```
/// use derate_core::graph::{Build, Graph, Tables};
/// use derate_core::op::{Linear, Op};
/// use derate_core::shape::DataType;
///
/// let mut graph = Graph::<4, 8>::new();
/// let x = graph.input(&[32, 512], DataType::Fp32)?;
/// let y = graph.op(Op::Linear(Linear { in_features: 512, out_features: 128, bias: true, weights: None }), &[x])?;
/// assert_eq!(graph.view().tensors()[y.index()].shape.extents(), [32, 128]);
/// assert_eq!(graph.view().total_work()?.macs.0, 32 * 512 * 128);
/// # Ok::<(), derate_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph<const OPS: usize, const TENSORS: usize> {
    nodes: heapless::Vec<Node, OPS>,
    tensors: heapless::Vec<Tensor, TENSORS>,
    operands: heapless::Vec<TensorId, TENSORS>,
}

impl<const OPS: usize, const TENSORS: usize> Graph<OPS, TENSORS> {
    /// An empty graph.
    #[must_use]
    pub const fn new() -> Self {
        Self { nodes: heapless::Vec::new(), tensors: heapless::Vec::new(), operands: heapless::Vec::new() }
    }
}

impl<const OPS: usize, const TENSORS: usize> Tables for Graph<OPS, TENSORS> {
    fn view(&self) -> GraphView<'_> {
        GraphView::new(&self.nodes, &self.tensors, &self.operands)
    }

    fn reserve(&mut self, nodes: usize, tensors: usize, operands: usize) -> Result<(), Error> {
        let room = |table, len: usize, more: usize, capacity: usize| {
            if len.saturating_add(more) <= capacity {
                Ok(())
            } else {
                Err(Error::CapacityExceeded { table, capacity: u32::try_from(capacity).unwrap_or(u32::MAX) })
            }
        };
        room(Table::Ops, self.nodes.len(), nodes, OPS)?;
        room(Table::Tensors, self.tensors.len(), tensors, TENSORS)?;
        room(Table::Operands, self.operands.len(), operands, TENSORS)
    }

    // `reserve` came before, so that there is room and nothing is dropped here.
    fn push_tensor(&mut self, tensor: Tensor) {
        self.tensors.push(tensor).ok();
    }

    fn push_operand(&mut self, operand: TensorId) {
        self.operands.push(operand).ok();
    }

    fn push_node(&mut self, node: Node) {
        self.nodes.push(node).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Linear;

    fn linear(in_features: u32, out_features: u32) -> Op {
        Op::Linear(Linear { in_features, out_features, bias: true, weights: None })
    }

    #[test]
    fn a_full_table_is_named_and_nothing_changes() -> Result<(), Error> {
        let mut graph = Graph::<1, 3>::new();
        let x = graph.input(&[1, 8], DataType::Fp32)?;
        let y = graph.op(linear(8, 4), &[x])?;
        let full = Error::CapacityExceeded { table: Table::Ops, capacity: 1 };
        assert_eq!(graph.op(linear(4, 2), &[y]), Err(full));
        assert_eq!((graph.view().nodes().len(), graph.view().tensors().len()), (1, 2));
        Ok(())
    }

    #[test]
    fn operands_must_fit() -> Result<(), Error> {
        let mut graph = Graph::<2, 4>::new();
        let x = graph.input(&[1, 8], DataType::Fp32)?;
        assert_eq!(graph.op(linear(9, 4), &[x]), Err(Error::ShapeMismatch { operand: 0, axis: 1 }));
        assert_eq!(graph.op(linear(8, 4), &[]), Err(Error::OperandCount { expected: 1, found: 0 }));
        assert_eq!(graph.op(linear(8, 4), &[TensorId(7)]), Err(Error::UnknownTensor { operand: 0 }));
        Ok(())
    }

    /// Tables of a graph in flash: a stored row is added to the input, and a linear layer follows.
    const ROW: Shape = match Shape::new(&[2, 8]) {
        Ok(shape) => shape,
        Err(_) => panic!("two dimensions"),
    };
    const NARROW: Shape = match Shape::new(&[2, 4]) {
        Ok(shape) => shape,
        Err(_) => panic!("two dimensions"),
    };
    const ADD: Op = Op::Binary(crate::op::Binary { kind: crate::op::BinaryKind::Add, in_place: false });
    static NODES: [Node; 2] = [
        Node::new(ADD, 0, 2, TensorId::new(2), false),
        Node::new(
            Op::Linear(Linear { in_features: 8, out_features: 4, bias: true, weights: None }),
            2,
            1,
            TensorId::new(3),
            false,
        ),
    ];
    static TENSORS: [Tensor; 4] = [
        Tensor { shape: ROW, data_type: DataType::Fp32, kind: TensorKind::Input },
        Tensor { shape: ROW, data_type: DataType::Fp32, kind: TensorKind::Parameter },
        Tensor { shape: ROW, data_type: DataType::Fp32, kind: TensorKind::Activation },
        Tensor { shape: NARROW, data_type: DataType::Fp32, kind: TensorKind::Activation },
    ];
    static OPERANDS: [TensorId; 3] = [TensorId::new(0), TensorId::new(1), TensorId::new(2)];

    #[test]
    fn tables_in_flash_are_the_graph_that_is_built() -> Result<(), Error> {
        let mut graph = Graph::<2, 4>::new();
        let x = graph.input(&[2, 8], DataType::Fp32)?;
        let row = graph.tensor(&[2, 8], DataType::Fp32, TensorKind::Parameter)?;
        let sum = graph.op(ADD, &[x, row])?;
        graph.op(linear(8, 4), &[sum])?;
        let view = GraphView::new(&NODES, &TENSORS, &OPERANDS);
        assert_eq!((view.nodes(), view.tensors()), (graph.view().nodes(), graph.view().tensors()));
        assert_eq!(view.check(), Ok(()));
        assert_eq!(graph.view().check(), Ok(()));
        assert_eq!(view.total_work(), graph.view().total_work());
        Ok(())
    }

    #[test]
    fn tables_that_do_not_belong_together_are_refused() {
        let check = |nodes: &[Node], tensors: &[Tensor], operands: &[TensorId]| {
            GraphView::new(nodes, tensors, operands).check()
        };
        // A table cut short.
        assert_eq!(check(&NODES, &TENSORS, &OPERANDS[..2]), Err(Error::OperandCount { expected: 1, found: 0 }));
        assert_eq!(check(&NODES, &TENSORS[..3], &OPERANDS), Err(Error::WrongTensor { tensor: 3 }));
        // The second op left out: nobody gives the last tensor.
        assert_eq!(check(&NODES[..1], &TENSORS, &OPERANDS), Err(Error::WrongTensor { tensor: 3 }));
        // An op that reads its own result, one of another shape, two that give the same tensor, a source of no elements.
        let ids = |numbers: [u32; 3]| numbers.map(TensorId::new);
        assert_eq!(check(&NODES, &TENSORS, &ids([0, 2, 2])), Err(Error::UnknownTensor { operand: 1 }));
        let mut tensors = TENSORS;
        tensors[3].shape = ROW;
        assert_eq!(check(&NODES, &tensors, &OPERANDS), Err(Error::WrongTensor { tensor: 3 }));
        let twice = [NODES[0], Node::new(ADD, 0, 2, TensorId::new(2), false)];
        assert_eq!(check(&twice, &TENSORS, &OPERANDS), Err(Error::WrongTensor { tensor: 2 }));
        let mut tensors = TENSORS;
        tensors[0].shape = Shape::new(&[0, 8]).unwrap_or_default();
        assert_eq!(check(&NODES, &tensors, &OPERANDS), Err(Error::ZeroExtent { axis: 0 }));
        tensors[0].shape = ROW;
        tensors[1].kind = TensorKind::Activation;
        assert_eq!(check(&NODES, &tensors, &OPERANDS), Err(Error::WrongTensor { tensor: 1 }));
    }

    #[test]
    fn the_models_own_traffic_is_parameters_input_and_output() -> Result<(), Error> {
        let mut graph = Graph::<2, 4>::new();
        let x = graph.input(&[2, 8], DataType::Fp32)?;
        let h = graph.op(linear(8, 4), &[x])?;
        graph.op(linear(4, 3), &[h])?;
        // Parameters 8·4 + 4 + 4·3 + 3 = 51, input 16, output 6 elements of 4 bytes.
        assert_eq!(graph.view().compulsory_traffic()?, Bytes((51 + 16 + 6) * 4));
        Ok(())
    }
}
