//! Timing of networks: the executor of the measuring loop, and the memory of one network in a process of its own.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use derate_core::graph::Tables;
use derate_core::shape::DataType;
use tch::{Device, Kind, Tensor};

use super::Network;
use crate::graph_buf::GraphBuf;
use crate::measure::{Executor, Prepared, Ran, Reference};
use crate::process_memory;

/// What libtorch refused, or what it cannot run.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// An error of libtorch, in its own words.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A data type that libtorch has no kernels for here.
    #[error("libtorch does not compute on {0:?} here")]
    DataType(DataType),
    /// An op that is not mapped to an `ATen` call.
    #[error("{0} is not run by this version")]
    Op(&'static str),
    /// An op that computes on int8, which libtorch does not.
    #[error("node {index} ({op}) computes on int8, which libtorch cannot here; run the network in fp32 instead")]
    Int8 {
        /// Number of the node, from 0.
        index: usize,
        /// Kind of op.
        op: &'static str,
    },
    /// An op that failed while it ran.
    #[error("node {index} ({op}): {source}")]
    Node {
        /// Number of the node, from 0.
        index: usize,
        /// Kind of op.
        op: &'static str,
        /// What it failed with.
        source: Box<Self>,
    },
    /// A graph without ops.
    #[error("the graph has no op to run")]
    Empty,
    /// Counts of a graph that overflow.
    #[error("{0}")]
    Graph(#[from] derate_core::Error),
}

impl TorchError {
    /// The error as one of a node.
    pub(super) fn at(self, index: usize, op: &'static str) -> Self {
        Self::Node { index, op, source: Box::new(self) }
    }
}

/// Times graphs, run after run, for [`crate::measure`].
#[derive(Debug)]
pub struct GraphExecutor {
    graphs: Vec<GraphBuf>,
    prepared: HashMap<usize, Network>,
    compute: [Tensor; 2],
    memory: [Tensor; 2],
    /// Bytes that may be taken for networks prepared at once.
    budget: u64,
}

impl GraphExecutor {
    /// An executor of these graphs, with drift references beside them: a matrix product of 256³, within the second-level
    /// cache, and a copy of 64 MiB, beyond the last-level cache of most CPUs.
    ///
    /// # Errors
    /// [`TorchError`] where the references do not fit into memory.
    pub fn new(graphs: Vec<GraphBuf>, budget: u64) -> Result<Self, TorchError> {
        let square = || Tensor::f_randn([256, 256], (Kind::Float, Device::Cpu));
        let stream = || Tensor::f_zeros([16 << 20], (Kind::Float, Device::Cpu));
        Ok(Self {
            graphs,
            prepared: HashMap::new(),
            compute: [square()?, square()?],
            memory: [stream()?, stream()?],
            budget,
        })
    }
}

fn time<R>(body: impl FnOnce() -> R) -> (u64, R) {
    let start = Instant::now();
    let result = body();
    (u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX), result)
}

impl Executor for GraphExecutor {
    type Error = TorchError;

    fn prepare(&mut self, idx: usize, warmup: u32) -> Result<Prepared, TorchError> {
        if self.prepared.contains_key(&idx) {
            return Ok(Prepared::Ready);
        }
        let Some(graph) = self.graphs.get(idx) else { return Err(TorchError::Empty) };
        // Told beforehand, since a process that takes too much is killed and asks nobody.
        let bytes = |graph: &GraphBuf| -> Result<u64, TorchError> { Ok(graph.footprint()?.total()?.0) };
        let mut taken = 0;
        for other in self.prepared.keys() {
            taken += bytes(&self.graphs[*other])?;
        }
        let needed = bytes(graph)?;
        if taken + needed > self.budget {
            let reason = format!("{} MB needed, {} MB available", needed / 1_000_000, self.budget / 1_000_000);
            return Ok(if taken == 0 { Prepared::Skipped { reason } } else { Prepared::NoRoom { reason } });
        }
        let network = match Network::new(graph.view()) {
            Ok(network) => network,
            Err(TorchError::Torch(error)) => return Ok(Prepared::Skipped { reason: first_line(&error.to_string()) }),
            Err(error) => return Err(error),
        };
        for _ in 0..warmup {
            if let Err(error) = network.run() {
                return Ok(Prepared::Skipped { reason: first_line(&error.to_string()) });
            }
        }
        self.prepared.insert(idx, network);
        Ok(Prepared::Ready)
    }

    fn run(&mut self, idx: usize, runs: u32, samples_ns: &mut Vec<u64>) -> Result<Ran, TorchError> {
        let Some(network) = self.prepared.get(&idx) else { return Err(TorchError::Empty) };
        for _ in 0..runs {
            let (ns, output) = time(|| network.run());
            match output {
                Ok(output) => {
                    drop(black_box(output));
                    samples_ns.push(ns);
                }
                Err(error) => return Ok(Ran::Skipped { reason: first_line(&error.to_string()) }),
            }
        }
        Ok(Ran::Done)
    }

    fn release(&mut self, idx: usize) {
        self.prepared.remove(&idx);
    }

    fn reference(&mut self, which: Reference) -> Result<Option<u64>, TorchError> {
        tch::no_grad(|| {
            let (ns, ()) = match which {
                Reference::ComputeBound => {
                    let [a, b] = &self.compute;
                    let (ns, product) = time(|| a.f_mm(b));
                    drop(black_box(product?));
                    (ns, ())
                }
                Reference::MemoryBound => {
                    let [to, from] = &mut self.memory;
                    let (ns, copied) = time(|| to.f_copy_(from));
                    copied?;
                    (ns, ())
                }
            };
            Ok(Some(ns))
        })
    }
}

pub(super) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

/// Growth of this process's peak resident memory, in bytes, by building a network and running it three times.
/// Call it once, in a fresh process: the peak of a process never falls.
///
/// # Errors
/// [`TorchError`] where the network does not run.
pub fn measure_memory(graph: &GraphBuf) -> Result<u64, TorchError> {
    // The libraries' own memory first: thread pools, buffers of MKL and oneDNN, in the data type at hand.
    let data_type = graph.view().tensors().iter().map(|tensor| tensor.data_type).find(|t| super::kind(*t).is_some());
    let data_type = data_type.unwrap_or(DataType::Fp32);
    let warm = crate::zoo::Mlp { input_dim: 64, hidden_dims: vec![64], output_dim: 64, batch: 64 };
    if let Ok(warm) = warm.graph(data_type) {
        drop(Network::new(warm.view())?.run()?);
    }
    let before = process_memory::resident();
    let network = Network::new(graph.view())?;
    // Generating random parameters takes more for a moment than holding them.
    process_memory::forget_peak();
    for _ in 0..3 {
        drop(black_box(network.run()?));
    }
    Ok(process_memory::peak().saturating_sub(before))
}
