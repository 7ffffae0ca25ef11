//! Sweeps of whole networks: which graphs, at which batch, precision, number of threads, by which protocol.

pub mod row;
#[cfg(feature = "torch")]
pub mod run;

use std::collections::BTreeSet;

use derate_core::graph::Tables;
use derate_core::shape::{DataType, Precision};
use sha2::{Digest, Sha256};

use crate::graph_buf::{GraphBuf, GraphError};
use crate::retype::retyped;

/// What one run of a network is timed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// On a CPU: from the call to its return, all ops back to back.
    WholeRun,
    /// Each op on its own, on a clock that is read between any two; on an accelerator the device is waited for after each.
    PerOp,
    /// On an accelerator: from the first call to the end of the last kernel, on the host's clock; runs back to back, each waited for.
    EndToEnd,
    /// On an accelerator: the sum of the times of its kernels, copies and fills, as the device stamps them.
    Device,
}

impl Protocol {
    /// Name in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WholeRun => "whole_run",
            Self::PerOp => "per_op",
            Self::EndToEnd => "end_to_end",
            Self::Device => "device",
        }
    }
}

/// A network at one batch, in one data type.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where it is from, as rows have it: `zoo:resnet18@4`, or a file.
    pub source: String,
    /// Extent of the outermost axis of its inputs.
    pub batch: u32,
    /// The graph.
    pub graph: GraphBuf,
    /// Type of its real numbers.
    pub data_type: DataType,
}

impl Model {
    /// A graph of this source, with its real numbers in `data_type`.
    ///
    /// # Errors
    /// [`GraphError`] for a graph that mixes types, so that it is none in this one.
    pub fn new(source: &str, batch: u32, graph: &GraphBuf, data_type: DataType) -> Result<Self, GraphError> {
        let source = match source.strip_prefix("zoo:") {
            Some(name) => format!("zoo:{}@{batch}", name.split('@').next().unwrap_or(name)),
            None => source.to_owned(),
        };
        Ok(Self { source, batch, graph: retyped(graph, data_type)?, data_type })
    }

    /// MACs of one run.
    ///
    /// # Errors
    /// [`derate_core::Error`] where the count overflows.
    pub fn macs(&self) -> Result<u64, derate_core::Error> {
        Ok(self.graph.view().total_work()?.macs.0)
    }
}

/// One row of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRun {
    /// Position of its network in [`ModelPlan::models`].
    pub model: usize,
    /// Precision of its arithmetic; tf32 runs on tensors of fp32.
    pub precision: Precision,
    /// Threads of every op.
    pub threads: u32,
    /// How it is timed.
    pub protocol: Protocol,
}

/// A sweep: networks, and how each is run.
#[derive(Clone, Debug, Default)]
pub struct ModelPlan {
    /// The networks.
    pub models: Vec<Model>,
    /// The rows, in their order.
    pub runs: Vec<ModelRun>,
}

impl ModelPlan {
    /// All combinations of networks, precisions (of the network's data type), threads and protocols; each once.
    #[must_use]
    pub fn new(models: Vec<Model>, precisions: &[Precision], threads: &[u32], protocols: &[Protocol]) -> Self {
        let mut plan = Self { models, runs: Vec::new() };
        let mut seen = BTreeSet::new();
        for model in 0..plan.models.len() {
            for &precision in precisions.iter().filter(|p| p.data_type() == plan.models[model].data_type) {
                for &threads in threads {
                    for &protocol in protocols {
                        let run = ModelRun { model, precision, threads, protocol };
                        if seen.insert(plan.key(&run)) {
                            plan.runs.push(run);
                        }
                    }
                }
            }
        }
        plan
    }

    /// What tells a row from all others of the sweep.
    #[must_use]
    pub fn key(&self, run: &ModelRun) -> String {
        let (source, batch) = self.models.get(run.model).map_or(("", 0), |model| (model.source.as_str(), model.batch));
        key(source, &batch.to_string(), run.precision.name(), &run.threads.to_string(), run.protocol.name())
    }

    /// SHA-256 over all rows, the work of their networks, and what else defines them.
    #[must_use]
    pub fn hash(&self, conditions: &[&str]) -> String {
        let mut hash = Sha256::new();
        let work = |model: &Model| format!("{:?}", model.graph.view().total_work());
        let lines = conditions.iter().map(|text| (*text).to_owned());
        for text in lines.chain(self.models.iter().map(work)).chain(self.runs.iter().map(|run| self.key(run))) {
            hash.update(text.as_bytes());
            hash.update(b"\n");
        }
        format!("{:x}", hash.finalize())
    }
}

/// Key of a row by its cells.
fn key(source: &str, batch: &str, precision: &str, threads: &str, protocol: &str) -> String {
    let source = if source.starts_with("zoo:") { source.to_owned() } else { format!("{source}@{batch}") };
    format!("{source} {precision} {threads} {protocol}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo;

    #[test]
    fn a_plan_is_the_product_of_what_is_asked_for() {
        let graph = zoo::network("tiny_ad", 2, DataType::Fp32).expect("a network");
        let model = |data_type| Model::new("zoo:tiny_ad", 2, &graph, data_type).expect("valid");
        let models = vec![model(DataType::Fp32), model(DataType::Bf16)];
        let precisions = [Precision::Fp32, Precision::Tf32, Precision::Bf16];
        let plan = ModelPlan::new(models, &precisions, &[1, 2, 1], &[Protocol::WholeRun, Protocol::PerOp]);
        let keys: Vec<String> = plan.runs.iter().map(|run| plan.key(run)).collect();
        // fp32 and tf32 on the first graph, bf16 on the second; two counts of threads, two protocols: 3 · 2 · 2.
        assert_eq!(keys.len(), 12);
        assert_eq!(keys[0], "zoo:tiny_ad@2 fp32 1 whole_run");
        assert_eq!(keys[11], "zoo:tiny_ad@2 bf16 2 per_op");
        let tf32 = plan.runs.iter().filter(|run| run.precision == Precision::Tf32).collect::<Vec<_>>();
        assert!(tf32.len() == 4 && tf32.iter().all(|run| run.model == 0));
        assert_eq!(plan.models[1].macs(), plan.models[0].macs());
        let other = ModelPlan { runs: plan.runs[1..].to_vec(), ..plan.clone() };
        assert!(plan.hash(&[]) != other.hash(&[]) && plan.hash(&[]) != plan.hash(&["x"]));
    }

    #[test]
    fn the_batch_of_a_file_is_part_of_its_key() {
        let graph = zoo::network("tiny_ad", 1, DataType::Fp32).expect("a network");
        let models = [1, 4].map(|batch| Model::new("a/b.onnx", batch, &graph, DataType::Fp32).expect("valid"));
        let plan = ModelPlan::new(models.to_vec(), &[Precision::Fp32], &[2], &[Protocol::WholeRun]);
        let keys: Vec<String> = plan.runs.iter().map(|run| plan.key(run)).collect();
        assert_eq!(keys, ["a/b.onnx@1 fp32 2 whole_run", "a/b.onnx@4 fp32 2 whole_run"]);
    }
}
