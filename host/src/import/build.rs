//! Building a graph from a file: names, shared weights, unsupported nodes.

use std::collections::HashSet;

use derate_core::graph::Tables;
use derate_core::op::Op;
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};

use super::{Import, ImportError, Unsupported};
use crate::graph_buf::{GraphBuf, GraphError};

/// A graph under construction.
#[derive(Debug)]
pub(crate) struct Builder {
    file: String,
    graph: GraphBuf,
    unsupported: Vec<Unsupported>,
    bookkeeping: usize,
    /// Weights that an op holds already, by the name that the file gives them.
    held: HashSet<String>,
}

impl Builder {
    /// An empty graph, read from `file`.
    pub(crate) fn new(file: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            graph: GraphBuf::new(name),
            unsupported: Vec::new(),
            bookkeeping: 0,
            held: HashSet::new(),
        }
    }

    /// An error about a node, tensor or key of the file.
    pub(crate) fn error(&self, at: impl Into<String>, message: impl Into<String>) -> ImportError {
        ImportError { file: self.file.clone(), at: Some(at.into()), message: message.into() }
    }

    /// Adds a tensor that no op computes.
    pub(crate) fn source(
        &mut self,
        name: &str,
        extents: &[u32],
        data_type: DataType,
        kind: TensorKind,
    ) -> Result<TensorId, ImportError> {
        self.graph.add_source(name, extents, data_type, kind).map_err(|error| self.refused(error))
    }

    /// Adds an op without weights, or with weights of its own.
    pub(crate) fn op(&mut self, name: &str, op: Op, operands: &[TensorId]) -> Result<TensorId, ImportError> {
        self.graph.add(name, op, operands).map_err(|error| self.refused(error))
    }

    /// Adds an op whose weights the file calls `weights`; where another op holds them already, they are shared with it.
    pub(crate) fn op_with_weights(
        &mut self,
        name: &str,
        op: Op,
        operands: &[TensorId],
        weights: &str,
    ) -> Result<TensorId, ImportError> {
        let shared = !self.held.insert(weights.to_owned());
        self.graph.add_node(name, op, operands, shared).map_err(|error| self.refused(error))
    }

    /// Says that weights are in the graph already, as a tensor of its own; ops that have them share them.
    pub(crate) fn hold(&mut self, weights: &str) {
        self.held.insert(weights.to_owned());
    }

    /// Lists a node that no op describes. Where its output shape is known, the caller adds that as an input with [`Builder::source`].
    pub(crate) fn unsupported(&mut self, name: &str, op: &str, reason: impl Into<String>) {
        self.unsupported.push(Unsupported { name: name.to_owned(), op: op.to_owned(), reason: reason.into() });
    }

    /// Counts a node that takes no time and holds no memory.
    pub(crate) fn bookkeeping(&mut self) {
        self.bookkeeping += 1;
    }

    /// Shape of a tensor.
    pub(crate) fn shape(&self, id: TensorId) -> Shape {
        self.graph.view().tensors().get(id.index()).map(|tensor| tensor.shape).unwrap_or_default()
    }

    /// Data type of a tensor.
    pub(crate) fn data_type(&self, id: TensorId) -> DataType {
        self.graph.view().tensors().get(id.index()).map_or(DataType::Fp32, |tensor| tensor.data_type)
    }

    /// The finished graph.
    pub(crate) fn finish(self) -> Result<Import, ImportError> {
        if self.graph.view().nodes().is_empty() && self.unsupported.is_empty() {
            return Err(ImportError { file: self.file, at: None, message: "the graph has no ops".to_owned() });
        }
        Ok(Import { graph: self.graph, unsupported: self.unsupported, bookkeeping: self.bookkeeping })
    }

    fn refused(&self, error: GraphError) -> ImportError {
        ImportError { file: self.file.clone(), at: None, message: error.to_string() }
    }
}
