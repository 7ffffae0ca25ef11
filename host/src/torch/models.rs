//! Timing of whole networks in rounds: one network for all its numbers of threads and protocols, and the numbers that each gives.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use derate_core::graph::Tables;
use derate_core::shape::Precision;

use super::cuda::{self, Instruments};
use super::timing::first_line;
use super::{GraphExecutor, Network, Place, TorchError, set_threads};
use crate::graph_buf::GraphBuf;
use crate::measure::rounds::Runner;
use crate::measure::{Executor, Prepared, Ran, Reference};
use crate::sweep::models::row::Energy;
use crate::sweep::models::{ModelPlan, ModelRun, Protocol};

/// Seconds after which a network is warm, however few its runs, and the runs that it has at least.
const WARM: (f64, u32) = (1.0, 2);

/// Share of the free memory of a CUDA device that networks prepared at once may take: libtorch keeps what it frees, in pieces, and
/// cuDNN takes work space beside it.
const DEVICE_SHARE: f64 = 0.5;

/// Times the rows of a plan.
#[derive(Debug)]
pub struct ModelExecutor<'a> {
    plan: &'a ModelPlan,
    /// By position in the plan's models.
    prepared: HashMap<usize, Network>,
    references: GraphExecutor,
    /// Threads now, and those of the references.
    threads: u32,
    most_threads: u32,
    budget: u64,
    place: Place,
    /// Of a CUDA device.
    instruments: Option<Instruments>,
    /// Whether products of fp32 may use TF32 now.
    tf32: bool,
}

impl<'a> ModelExecutor<'a> {
    /// An executor of this plan, whose networks take at most `budget` bytes at once; on a CUDA device also at most its share of
    /// the memory that is free there.
    ///
    /// # Errors
    /// [`TorchError`] where the references do not fit into memory, or TF32 cannot be switched.
    pub fn new(plan: &'a ModelPlan, place: Place, budget: u64) -> Result<Self, TorchError> {
        let most_threads = plan.runs.iter().map(|run| run.threads).max().unwrap_or(1);
        set_threads(most_threads);
        let instruments = (place == Place::Cuda).then(Instruments::open);
        let budget = match &instruments {
            Some(instruments) => instruments.free_bytes().map_or(budget, |free| (free as f64 * DEVICE_SHARE) as u64),
            None => budget,
        };
        if place == Place::Cuda {
            cuda::allow_tf32(false)?;
        }
        let references = GraphExecutor::on(Vec::new(), budget, place)?;
        let prepared = HashMap::new();
        let (threads, tf32) = (most_threads, false);
        Ok(Self { plan, prepared, references, threads, most_threads, budget, place, instruments, tf32 })
    }

    /// Sets threads and arithmetic as a row wants them.
    fn use_conditions(&mut self, run: &ModelRun) -> Result<(), TorchError> {
        self.use_threads(run.threads);
        let tf32 = run.precision == Precision::Tf32;
        if self.place == Place::Cuda && tf32 != self.tf32 {
            cuda::allow_tf32(tf32)?;
            self.tf32 = tf32;
        }
        Ok(())
    }

    fn use_threads(&mut self, threads: u32) {
        if self.threads != threads {
            set_threads(threads);
            self.threads = threads;
        }
    }

    fn row(&self, idx: usize) -> Result<(ModelRun, &'a GraphBuf), TorchError> {
        let run = self.plan.runs.get(idx).ok_or(TorchError::Empty)?;
        let model = self.plan.models.get(run.model).ok_or(TorchError::Empty)?;
        Ok((*run, &model.graph))
    }

    /// Bytes that a network takes: its weights, and its activations at their peak.
    fn bytes(&self, model: usize) -> Result<u64, TorchError> {
        let model = self.plan.models.get(model).ok_or(TorchError::Empty)?;
        Ok(model.graph.footprint()?.total()?.0)
    }

    /// What is short beside the networks that are prepared; `None` where there is room.
    fn short(&self, model: usize) -> Result<Option<String>, TorchError> {
        let needed = self.bytes(model)?;
        let mut taken = 0_u64;
        for other in self.prepared.keys() {
            taken = taken.saturating_add(self.bytes(*other)?);
        }
        let reason = || format!("{} MB needed, {} MB available", needed / 1_000_000, self.budget / 1_000_000);
        Ok((taken.saturating_add(needed) > self.budget).then(reason))
    }
}

/// Runs a network until it is warm; what libtorch refuses comes back as a reason.
fn warm(network: &Network, runs: u32) -> Result<(), String> {
    let start = Instant::now();
    let (seconds, least) = WARM;
    for run in 0..runs {
        if run >= least && start.elapsed().as_secs_f64() > seconds {
            break;
        }
        drop(network.run().map_err(|error| first_line(&error.to_string()))?);
    }
    Ok(())
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// One run on the CPU, from the call to its return.
fn whole_run(network: &Network, numbers: &mut Vec<u64>) -> Result<(), TorchError> {
    let start = Instant::now();
    let output = network.run();
    let ns = nanoseconds(start);
    drop(black_box(output?));
    numbers.push(ns);
    Ok(())
}

/// One run on an accelerator that has nothing to do before: until the device is done, and until the last call returned.
fn end_to_end(network: &Network, place: Place, numbers: &mut Vec<u64>) -> Result<(), TorchError> {
    let start = Instant::now();
    let output = network.run();
    let dispatch = nanoseconds(start);
    place.wait();
    let whole = nanoseconds(start);
    drop(black_box(output?));
    numbers.extend([whole, dispatch]);
    Ok(())
}

/// One run op by op: the sum, then each op, from where the one before it ended.
fn per_op(network: &Network, wait: impl Fn(), numbers: &mut Vec<u64>) -> Result<(), TorchError> {
    let sum_at = numbers.len();
    numbers.push(0);
    wait();
    let mut last = Instant::now();
    let output = network.run_observed(|| {
        wait();
        numbers.push(nanoseconds(last));
        last = Instant::now();
    });
    if let Err(error) = output.map(|output| drop(black_box(output))) {
        numbers.truncate(sum_at);
        return Err(error);
    }
    let sum = numbers.iter().skip(sum_at).fold(0_u64, |sum, ns| sum.saturating_add(*ns));
    if let Some(first) = numbers.get_mut(sum_at) {
        *first = sum;
    }
    Ok(())
}

impl Executor for ModelExecutor<'_> {
    type Error = TorchError;

    fn prepare(&mut self, idx: usize, warmup: u32) -> Result<Prepared, TorchError> {
        let (run, graph) = self.row(idx)?;
        self.use_conditions(&run)?;
        if self.prepared.contains_key(&run.model) {
            return Ok(Prepared::Ready);
        }
        // Told beforehand, since a process that takes too much is killed and asks nobody.
        if let Some(reason) = self.short(run.model)? {
            let alone = self.prepared.is_empty();
            return Ok(if alone { Prepared::Skipped { reason } } else { Prepared::NoRoom { reason } });
        }
        let network = match Network::on(graph.view(), self.place.device()) {
            Ok(network) => network,
            Err(error) => return Ok(Prepared::Skipped { reason: first_line(&error.to_string()) }),
        };
        let warmed = warm(&network, warmup);
        self.place.wait();
        if let Err(reason) = warmed {
            return Ok(Prepared::Skipped { reason });
        }
        self.prepared.insert(run.model, network);
        Ok(Prepared::Ready)
    }

    fn run(&mut self, idx: usize, runs: u32, numbers: &mut Vec<u64>) -> Result<Ran, TorchError> {
        let (run, _) = self.row(idx)?;
        self.use_conditions(&run)?;
        let Some(network) = self.prepared.get(&run.model) else { return Err(TorchError::Empty) };
        let place = self.place;
        if run.protocol == Protocol::Device {
            let Some(instruments) = &self.instruments else { return Err(TorchError::Empty) };
            return Ok(match instruments.device_times(runs, || network.run().map(|output| drop(black_box(output)))) {
                Ok(Ok(times)) => {
                    numbers.extend(times.into_iter().flatten());
                    Ran::Done
                }
                Ok(Err(error)) => Ran::Skipped { reason: first_line(&error.to_string()) },
                Err(reason) => Ran::Skipped { reason },
            });
        }
        for _ in 0..runs {
            let ran = match run.protocol {
                Protocol::PerOp => per_op(network, || place.wait(), numbers),
                Protocol::EndToEnd => end_to_end(network, place, numbers),
                Protocol::WholeRun | Protocol::Device => whole_run(network, numbers),
            };
            if let Err(error) = ran {
                return Ok(Ran::Skipped { reason: first_line(&error.to_string()) });
            }
        }
        Ok(Ran::Done)
    }

    fn release(&mut self, idx: usize) {
        if let Some(run) = self.plan.runs.get(idx) {
            self.prepared.remove(&run.model);
        }
    }

    fn reference(&mut self, which: Reference) -> Result<Option<u64>, TorchError> {
        self.use_threads(self.most_threads);
        self.references.reference(which)
    }
}

impl Runner for ModelExecutor<'_> {
    type Extra = Energy;

    fn width(&self, idx: usize) -> usize {
        let Ok((run, graph)) = self.row(idx) else { return 1 };
        match run.protocol {
            Protocol::PerOp => graph.view().nodes().len().saturating_add(1),
            Protocol::WholeRun => 1,
            Protocol::EndToEnd => 2,
            Protocol::Device => 3,
        }
    }

    fn conclude(&mut self, idx: usize) -> Result<Option<Energy>, TorchError> {
        let (run, _) = self.row(idx)?;
        self.use_conditions(&run)?;
        let Some(network) = self.prepared.get(&run.model) else { return Err(TorchError::Empty) };
        match &self.instruments {
            Some(instruments) if run.protocol == Protocol::EndToEnd => {
                let mut forgotten = Vec::new();
                instruments.energy(|| {
                    forgotten.clear();
                    end_to_end(network, self.place, &mut forgotten)
                })
            }
            _ => Ok(None),
        }
    }
}
