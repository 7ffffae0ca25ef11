//! Timing of ops and sequences under protocols: the executor of operator sweeps. Times in nanoseconds, memory in bytes.
//!
//! What is large runs in a process of its own (`child`), so that a system out of memory ends that and not the sweep.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use derate_core::graph::Tables;
use derate_core::shape::Precision;
use tch::{Device, Kind, Tensor};

use super::Network;
use super::child::Child;
use super::timing::{GraphExecutor, TorchError, first_line};
use crate::graph_buf::GraphBuf;
use crate::measure::{Executor, Prepared, Ran, Reference};
use crate::process_memory;
use crate::sweep::operators::{Configuration, Plan, Protocol};

/// Memory that an op takes while it runs, over its tensors: copies in the layout of the primitive, and the tensors of the warm-up.
const WORKSPACE: u64 = 3;

/// Share of the memory still to be had that an op may take.
const MEMORY_SHARE: f64 = 0.6;

/// Share above which it runs in a process of its own.
const LARGE_SHARE: f64 = 0.2;

/// Least bytes that are written to empty the caches.
const LEAST_FLUSH: u64 = 64 << 20;

/// Other data that is put into the caches before a cold run.
#[derive(Debug)]
pub(super) struct Flush {
    data: Tensor,
}

impl Flush {
    /// Data of twice the last cache on this device.
    ///
    /// # Errors
    /// [`TorchError`] where the memory is short.
    pub(super) fn new(last_cache: u64, device: Device) -> Result<Self, TorchError> {
        let elements = last_cache.saturating_mul(2).max(LEAST_FLUSH) / 4;
        let elements = i64::try_from(elements).unwrap_or(i64::MAX);
        Ok(Self { data: Tensor::f_zeros([elements], (Kind::Float, device))? })
    }

    /// Writes all of it, by all threads: what was in the caches is elsewhere, and its place is taken by lines that are still to be
    /// written back, as the op before leaves them in a network.
    fn run(&mut self) -> Result<(), TorchError> {
        drop(tch::no_grad(|| self.data.f_add_scalar_(1.0))?);
        synchronize(self.data.device());
        Ok(())
    }
}

/// Waits for a device that works on its own.
fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(i64::try_from(index).unwrap_or(0));
    }
}

/// Times single runs of a network under a protocol, and appends each.
///
/// # Errors
/// [`TorchError`] of the first run that failed.
pub(super) fn time_runs(
    network: &Network,
    protocol: Protocol,
    flush: &mut Flush,
    runs: u32,
    samples_ns: &mut Vec<u64>,
) -> Result<(), TorchError> {
    for _ in 0..runs {
        if protocol == Protocol::Cold {
            flush.run()?;
        }
        let start = Instant::now();
        let output = network.run()?;
        synchronize(output.device());
        samples_ns.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        drop(black_box(output));
    }
    Ok(())
}

/// How operators are run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where.
    pub device: Device,
    /// Bytes of the last cache.
    pub last_cache: u64,
    /// The program whose `measure-operator` runs what is large.
    pub program: PathBuf,
    /// Bytes above which an op is large; `None` for a share of the memory still to be had.
    pub large: Option<u64>,
}

/// Times the configurations of a plan.
#[derive(Debug)]
pub struct OperatorExecutor<'a> {
    plan: &'a Plan,
    setup: Setup,
    flush: Flush,
    references: GraphExecutor,
    /// Networks by the number of their shape, with the configurations that use them.
    networks: HashMap<usize, (Network, Vec<usize>)>,
    children: HashMap<usize, Child>,
}

impl<'a> OperatorExecutor<'a> {
    /// An executor with drift references beside it.
    ///
    /// # Errors
    /// [`TorchError`] where the references and the data of cold runs do not fit into memory.
    pub fn new(plan: &'a Plan, setup: Setup) -> Result<Self, TorchError> {
        Ok(Self {
            plan,
            flush: Flush::new(setup.last_cache, setup.device)?,
            setup,
            references: GraphExecutor::new(Vec::new(), 0)?,
            networks: HashMap::new(),
            children: HashMap::new(),
        })
    }

    fn configuration(&self, idx: usize) -> Result<Configuration, TorchError> {
        self.plan.configurations.get(idx).copied().ok_or(TorchError::Empty)
    }

    /// Whether the shape fits beside what is prepared; `Ok` says whether it is large.
    fn room(&self, graph: &GraphBuf) -> Result<Result<bool, String>, TorchError> {
        let needed = graph.footprint()?.total()?.0.saturating_mul(WORKSPACE);
        let available = process_memory::available() as f64;
        if needed as f64 > available * MEMORY_SHARE {
            let budget = (available * MEMORY_SHARE) as u64;
            return Ok(Err(format!("{} MB needed, {} MB available", needed / 1_000_000, budget / 1_000_000)));
        }
        Ok(Ok(self.setup.large.map_or(needed as f64 > available * LARGE_SHARE, |large| needed > large)))
    }
}

impl Executor for OperatorExecutor<'_> {
    type Error = TorchError;

    fn prepare(&mut self, idx: usize, warmup: u32) -> Result<Prepared, TorchError> {
        let Configuration { sample, protocol } = self.configuration(idx)?;
        if self.children.contains_key(&idx) {
            return Ok(Prepared::Ready);
        }
        let skipped = |error: TorchError| Prepared::Skipped { reason: first_line(&error.to_string()) };
        let shape = self.plan.samples.get(sample).ok_or(TorchError::Empty)?;
        if !self.networks.contains_key(&sample) {
            let large = match self.room(&shape.graph)? {
                Ok(large) => large,
                Err(reason) if self.networks.is_empty() && self.children.is_empty() => {
                    return Ok(Prepared::Skipped { reason });
                }
                Err(reason) => return Ok(Prepared::NoRoom { reason }),
            };
            if large {
                let job = Job {
                    text: shape.text.clone(),
                    precision: self.plan.precision,
                    protocol,
                    threads: self.plan.threads,
                    warmup,
                };
                return Ok(match Child::start(&self.setup, &job) {
                    Ok(child) => {
                        self.children.insert(idx, child);
                        Prepared::Ready
                    }
                    Err(reason) => Prepared::Skipped { reason },
                });
            }
            match Network::on(shape.graph.view(), self.setup.device) {
                Ok(network) => self.networks.insert(sample, (network, Vec::new())),
                Err(error) => return Ok(skipped(error)),
            };
        }
        let Some((network, users)) = self.networks.get_mut(&sample) else { return Err(TorchError::Empty) };
        for _ in 0..warmup {
            if let Err(error) = network.run() {
                // Another protocol of the shape may be prepared: it fails on its own.
                if users.is_empty() {
                    self.networks.remove(&sample);
                }
                return Ok(skipped(error));
            }
        }
        if !users.contains(&idx) {
            users.push(idx);
        }
        Ok(Prepared::Ready)
    }

    fn run(&mut self, idx: usize, runs: u32, samples_ns: &mut Vec<u64>) -> Result<Ran, TorchError> {
        if let Some(child) = self.children.get_mut(&idx) {
            return Ok(match child.run(runs, samples_ns) {
                Ok(()) => Ran::Done,
                Err(reason) => Ran::Skipped { reason },
            });
        }
        let Configuration { sample, protocol } = self.configuration(idx)?;
        let Some((network, _)) = self.networks.get(&sample) else { return Err(TorchError::Empty) };
        Ok(match time_runs(network, protocol, &mut self.flush, runs, samples_ns) {
            Ok(()) => Ran::Done,
            Err(error) => Ran::Skipped { reason: first_line(&error.to_string()) },
        })
    }

    fn release(&mut self, idx: usize) {
        self.children.remove(&idx);
        let Ok(Configuration { sample, .. }) = self.configuration(idx) else { return };
        if let Some((_, users)) = self.networks.get_mut(&sample) {
            users.retain(|&user| user != idx);
            if users.is_empty() {
                self.networks.remove(&sample);
            }
        }
    }

    fn reference(&mut self, which: Reference) -> Result<Option<u64>, TorchError> {
        self.references.reference(which)
    }
}

/// What a process of its own measures.
#[derive(Clone, Debug)]
pub struct Job {
    /// Description of the graph.
    pub text: String,
    /// Precision of the tensors.
    pub precision: Precision,
    /// How it is run.
    pub protocol: Protocol,
    /// Threads of every op.
    pub threads: u32,
    /// Untimed runs.
    pub warmup: u32,
}
