//! A graph that grows without limit, each op with its name; the host's owner behind core's [`GraphView`].

use std::fmt::Write as _;

use derate_core::graph::{Build, GraphView, Node, Tables};
use derate_core::memory::{Buffer, Footprint, footprint};
use derate_core::op::Op;
use derate_core::shape::DataType;
use derate_core::tensor::{Tensor, TensorId, TensorKind};

/// Shapes of operands that an error shows.
const SHOWN: usize = 8;

/// An op or an input that the graph refused, by name, with the shapes it was given.
#[derive(Debug, thiserror::Error)]
#[error("{node} ({op}) on {shapes}: {source}")]
pub struct GraphError {
    /// Name of the node.
    pub node: String,
    /// Kind of op, or `input`.
    pub op: &'static str,
    /// Shapes of its operands.
    pub shapes: String,
    /// What core found wrong.
    pub source: derate_core::Error,
}

/// A graph on the heap, built op by op.
#[derive(Clone, Debug, Default)]
pub struct GraphBuf {
    name: String,
    nodes: Vec<Node>,
    names: Vec<String>,
    sources: Vec<(TensorId, String)>,
    tensors: Vec<Tensor>,
    operands: Vec<TensorId>,
}

impl GraphBuf {
    /// An empty graph of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Name of the whole graph.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the ops, in their order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Tensors that no op computes, with their names: inputs, and what is stored with the network.
    #[must_use]
    pub fn sources(&self) -> &[(TensorId, String)] {
        &self.sources
    }

    /// Adds an input of the graph, called `input`.
    ///
    /// # Errors
    /// [`GraphError`] for more than eight dimensions, an extent of zero, or too many elements.
    pub fn add_input(&mut self, extents: &[u32], data_type: DataType) -> Result<TensorId, GraphError> {
        self.add_source("input", extents, data_type, TensorKind::Input)
    }

    /// Adds a tensor that no op computes.
    ///
    /// # Errors
    /// Those of [`GraphBuf::add_input`].
    pub fn add_source(
        &mut self,
        name: impl Into<String>,
        extents: &[u32],
        data_type: DataType,
        kind: TensorKind,
    ) -> Result<TensorId, GraphError> {
        let name = name.into();
        match self.tensor(extents, data_type, kind) {
            Ok(id) => {
                self.sources.push((id, name));
                Ok(id)
            }
            Err(source) => Err(GraphError { node: name, op: "input", shapes: format!("{extents:?}"), source }),
        }
    }

    /// Adds a named op, and gives the tensor it computes; of several, the first.
    ///
    /// # Errors
    /// [`GraphError`] naming the op where operands and attributes do not go together; the graph is unchanged then.
    pub fn add(&mut self, name: impl Into<String>, op: Op, operands: &[TensorId]) -> Result<TensorId, GraphError> {
        self.add_node(name, op, operands, false)
    }

    /// Adds a named op; `shared` says that its parameters are those of an earlier one.
    ///
    /// # Errors
    /// Those of [`GraphBuf::add`].
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: Op,
        operands: &[TensorId],
        shared: bool,
    ) -> Result<TensorId, GraphError> {
        match self.node(op, operands, shared) {
            Ok(output) => {
                self.names.push(name.into());
                Ok(output)
            }
            Err(source) => {
                let shape = |id: &TensorId| {
                    self.tensors.get(id.index()).map_or("unknown tensor".into(), |tensor| format!("{:?}", tensor.shape))
                };
                let mut shapes = operands.iter().take(SHOWN).map(shape).collect::<Vec<_>>().join(", ");
                if let Some(more) = operands.len().checked_sub(SHOWN).filter(|&more| more > 0) {
                    let _ = write!(shapes, " and {more} more");
                }
                Err(GraphError { node: name.into(), op: op.name(), shapes, source })
            }
        }
    }

    /// Bytes that the graph holds at once.
    ///
    /// # Errors
    /// [`derate_core::Error::CountOverflow`].
    pub fn footprint(&self) -> Result<Footprint, derate_core::Error> {
        footprint(self.view(), &mut vec![Buffer::EMPTY; self.tensors.len()])
    }
}

impl Tables for GraphBuf {
    fn view(&self) -> GraphView<'_> {
        GraphView::new(&self.nodes, &self.tensors, &self.operands)
    }

    fn reserve(&mut self, nodes: usize, tensors: usize, operands: usize) -> Result<(), derate_core::Error> {
        self.nodes.reserve(nodes);
        self.tensors.reserve(tensors);
        self.operands.reserve(operands);
        Ok(())
    }

    fn push_tensor(&mut self, tensor: Tensor) {
        self.tensors.push(tensor);
    }

    fn push_operand(&mut self, operand: TensorId) {
        self.operands.push(operand);
    }

    fn push_node(&mut self, node: Node) {
        self.nodes.push(node);
    }
}
