//! Samples: what was run, as the calls of its ops, beside the time that it took.

use derate_core::Error;
use derate_core::calibration::{Calls, Reuse};
use derate_core::estimate::KernelWork;
use derate_core::graph::{GraphView, Tables};
use derate_core::units::Bytes;
use derate_core::work::Work;

use crate::graph_buf::GraphBuf;

/// A measured network, part of one, or op.
#[derive(Debug)]
pub struct Sample {
    /// Short name.
    pub name: String,
    /// What was measured in one go, and so in one state of the machine: the parts of a network at a batch. Its own name, where it stands
    /// alone.
    pub group: String,
    /// What is held out together, from the narrowest: configuration, model, family.
    pub kinds: [String; 3],
    /// Its ops as an eager runtime runs them.
    pub ops: Vec<Calls>,
    /// Their works.
    pub works: Vec<Work>,
    /// Bytes of all weights of the network that it is or belongs to.
    pub weights: Bytes,
    /// When its data were used last.
    pub reuse: Reuse,
    /// Measured time, in seconds.
    pub seconds: f64,
    /// The whole graph, where it is one.
    pub graph: Option<GraphBuf>,
}

impl Sample {
    /// A whole network.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn of_network(name: String, graph: GraphBuf, seconds: f64) -> Result<Self, Error> {
        let view = graph.view();
        let (ops, works) = ops(view, 0..view.nodes().len())?;
        let weights = view.bytes_stored()?;
        let kinds = [name.clone(), name.clone(), name.clone()];
        Ok(Self {
            group: name.clone(),
            name,
            kinds,
            ops,
            works,
            weights,
            reuse: Reuse::Network,
            seconds,
            graph: Some(graph),
        })
    }

    /// Whether something runs at all: not only views.
    #[must_use]
    pub fn has_kernels(&self) -> bool {
        self.works.iter().any(|work| work.class != derate_core::work::Class::View)
    }
}

/// Calls and works of some nodes of a graph, as an eager runtime runs them.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 of anything.
pub fn ops(view: GraphView<'_>, nodes: impl Iterator<Item = usize>) -> Result<(Vec<Calls>, Vec<Work>), Error> {
    let mut both = (Vec::new(), Vec::new());
    for node in nodes {
        let kernel = KernelWork::of_node(view, &view.nodes()[node])?;
        both.0.push(kernel.calls);
        both.1.push(kernel.work);
    }
    Ok(both)
}
