//! Plans: the list of configurations of an MLP sweep, from a scope and the caches of the device.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;

use derate_core::hardware::Hardware;
use derate_core::shape::Precision;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::graph_buf::GraphError;
use crate::zoo::Mlp;

/// Most FLOPs of a configuration in `--full`: some tens of milliseconds a run on two cores, so that 50 runs stay short.
const FULL_FLOPS: u64 = 4_000_000_000;

/// Where the working set of a configuration fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[allow(non_camel_case_types, reason = "the names are those of files, reports and the command line")]
#[value(rename_all = "verbatim")]
pub enum Scenario {
    /// In the first-level caches.
    L1_fit,
    /// In the second-level caches, not in the first.
    L2_fit,
    /// In the third-level cache, not in the second.
    L3_fit,
    /// In no cache.
    DRAM_spill,
}

impl Scenario {
    /// Every scenario, nearest first.
    pub const ALL: [Self; 4] = [Self::L1_fit, Self::L2_fit, Self::L3_fit, Self::DRAM_spill];

    /// Name in files and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::L1_fit => "L1_fit",
            Self::L2_fit => "L2_fit",
            Self::L3_fit => "L3_fit",
            Self::DRAM_spill => "DRAM_spill",
        }
    }

    /// The scenario of a working set of this many bytes: the first cache that holds it.
    #[must_use]
    pub fn of(bytes: u64, hardware: &Hardware<'_>) -> Self {
        let caches = hardware.memory().split_last().map_or(&[][..], |(_, caches)| caches);
        let holds = |scenario: &&Self| {
            caches.iter().any(|level| Some(level.name) == scenario.level() && bytes <= level.capacity.0)
        };
        Self::ALL.iter().find(holds).copied().unwrap_or(Self::DRAM_spill)
    }

    const fn level(self) -> Option<&'static str> {
        match self {
            Self::L1_fit => Some("L1"),
            Self::L2_fit => Some("L2"),
            Self::L3_fit => Some("L3"),
            Self::DRAM_spill => None,
        }
    }

    /// Working sets that stand for the scenario, in bytes.
    fn targets(self, hardware: &Hardware<'_>) -> Result<[u64; 2], PlanError> {
        let caches = hardware.memory().split_last().map_or(&[][..], |(_, caches)| caches);
        let Some(name) = self.level() else {
            let last = caches.last().ok_or(PlanError::NoCache { scenario: self, has: String::new() })?.capacity.0;
            return Ok([last * 2, last * 4]);
        };
        let capacity =
            caches.iter().find(|level| level.name == name).map(|level| level.capacity.0).ok_or_else(|| {
                let has = caches.iter().map(|level| level.name).collect::<Vec<_>>().join(", ");
                PlanError::NoCache { scenario: self, has }
            })?;
        Ok([capacity * 35 / 100, capacity * 70 / 100])
    }

    /// Configurations of the scenario: one to three hidden layers, two working sets, batches of 1 and 8.
    fn configurations(self, hardware: &Hardware<'_>, precision: Precision) -> Result<Vec<Mlp>, PlanError> {
        let mut list = Vec::new();
        for target in self.targets(hardware)? {
            for layers in 1..=3 {
                for batch in [1, 8] {
                    list.push(sized(target, layers, batch, precision)?);
                }
            }
        }
        Ok(list)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A scenario names a cache that the device does not have.
    #[error("{scenario}: the description has no such cache; it has {}", if has.is_empty() { "none" } else { has })]
    NoCache {
        /// The scenario.
        scenario: Scenario,
        /// Names of its caches.
        has: String,
    },
    /// A file of parameters that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of parameters with a wrong key or value.
    #[error("{path}: {message}")]
    Spec {
        /// The file.
        path: String,
        /// What is wrong, with its line, and what is allowed.
        message: String,
    },
    /// A configuration that is no network.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// A count that overflows.
    #[error("{0}")]
    Core(#[from] derate_core::Error),
}

/// Which configurations.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Five, of all kinds.
    Quick,
    /// Those of one memory scenario.
    Scenario(Scenario),
    /// 150 and more: a grid, all scenarios, odd sizes.
    Full,
    /// The parameter lists of a TOML file.
    Spec(&'a Path),
}

impl Scope<'_> {
    /// Middle part of the name of the result file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Scenario(scenario) => scenario.name(),
            Self::Full => "full",
            Self::Spec(_) => "custom",
        }
    }
}

/// One row to be measured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Configuration {
    /// The network.
    pub mlp: Mlp,
    /// Precision of its tensors.
    pub precision: Precision,
}

impl Configuration {
    /// What tells the row from all others of the sweep.
    #[must_use]
    pub fn key(&self) -> String {
        let Mlp { input_dim, hidden_dims, output_dim, batch } = &self.mlp;
        format!("{input_dim}-{hidden_dims:?}-{output_dim}@{batch} {}", self.precision.name())
    }
}

/// The list of configurations of a sweep; each key once.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of the rows.
    pub configurations: Vec<Configuration>,
}

/// `--spec FILE`: lists whose product is the plan.
///
/// ```toml
/// input_dim = [1024]
/// hidden = [{ hidden_dims = [2048, 2048, 2048], output_dim = 1024 }]
/// batch_size = [1, 2, 4, 8]
/// precision = ["fp32"]
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    input_dim: List<NonZeroU32>,
    hidden: List<Hidden>,
    batch_size: List<NonZeroU32>,
    precision: Option<List<Precision>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hidden {
    hidden_dims: List<NonZeroU32>,
    output_dim: NonZeroU32,
}

/// A list of one or more; the parser tells the line of an empty one.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<T>")]
struct List<T>(Vec<T>);

impl<T> TryFrom<Vec<T>> for List<T> {
    type Error = &'static str;

    fn try_from(list: Vec<T>) -> Result<Self, Self::Error> {
        if list.is_empty() { Err("a list must not be empty") } else { Ok(Self(list)) }
    }
}

impl Plan {
    /// The plan of a scope, in these precisions; `batches` replaces the scope's own batch sizes.
    ///
    /// # Errors
    /// [`PlanError`] for a scenario without its cache, or a wrong file of parameters.
    pub fn new(
        scope: Scope<'_>,
        hardware: &Hardware<'_>,
        precisions: &[Precision],
        batches: Option<&[u32]>,
    ) -> Result<Self, PlanError> {
        let mut configurations = Vec::new();
        let mut seen = HashSet::new();
        for &precision in precisions {
            let mlps = match scope {
                Scope::Quick => quick(),
                Scope::Scenario(scenario) => scenario.configurations(hardware, precision)?,
                Scope::Full => full(hardware, precision)?,
                Scope::Spec(path) => Spec::read(path)?.configurations(),
            };
            for mlp in rebatched(mlps, batches) {
                let configuration = Configuration { mlp, precision };
                configuration.mlp.graph(precision.data_type())?;
                if seen.insert(configuration.clone()) {
                    configurations.push(configuration);
                }
            }
        }
        Ok(Self { configurations })
    }

    /// Precisions that a file of parameters asks for; `None` where it leaves them to the command line.
    ///
    /// # Errors
    /// [`PlanError`] for a wrong file.
    pub fn precisions_of(path: &Path) -> Result<Option<Vec<Precision>>, PlanError> {
        Ok(Spec::read(path)?.precision.map(|list| list.0))
    }

    /// SHA-256 over all configurations and what else defines their work.
    #[must_use]
    pub fn hash(&self, conditions: &[&str]) -> String {
        let mut hash = Sha256::new();
        for text in
            conditions.iter().map(|text| (*text).to_owned()).chain(self.configurations.iter().map(Configuration::key))
        {
            hash.update(text.as_bytes());
            hash.update(b"\n");
        }
        format!("{:x}", hash.finalize())
    }
}

impl Spec {
    fn read(path: &Path) -> Result<Self, PlanError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| PlanError::Read { path: name.clone(), source })?;
        toml::from_str(&text)
            .map_err(|error| PlanError::Spec { path: name, message: error.to_string().trim().to_owned() })
    }

    fn configurations(&self) -> Vec<Mlp> {
        let mut list = Vec::new();
        for input_dim in &self.input_dim.0 {
            for Hidden { hidden_dims, output_dim } in &self.hidden.0 {
                for batch in &self.batch_size.0 {
                    list.push(Mlp {
                        input_dim: input_dim.get(),
                        hidden_dims: hidden_dims.0.iter().map(|dim| dim.get()).collect(),
                        output_dim: output_dim.get(),
                        batch: batch.get(),
                    });
                }
            }
        }
        list
    }
}

fn mlp(input_dim: u32, hidden_dims: &[u32], output_dim: u32, batch: u32) -> Mlp {
    Mlp { input_dim, hidden_dims: hidden_dims.to_vec(), output_dim, batch }
}

/// One of each kind: overhead, a middle size, weights from memory at batch 1, arithmetic, a tapered network.
fn quick() -> Vec<Mlp> {
    vec![
        mlp(128, &[128], 64, 1),
        mlp(512, &[512, 512], 128, 32),
        mlp(2048, &[4096], 1024, 1),
        mlp(1024, &[1024, 1024, 1024], 256, 128),
        mlp(784, &[1024, 512, 256, 128], 10, 64),
    ]
}

fn full(hardware: &Hardware<'_>, precision: Precision) -> Result<Vec<Mlp>, PlanError> {
    let mut list = quick();
    for width in [64, 128, 256, 512, 1024, 2048] {
        for layers in 1..=4 {
            for batch in [1, 4, 16, 64, 256] {
                list.push(mlp(width, &vec![width; layers], width, batch));
            }
        }
    }
    // Odd and unequal sizes, as real classifiers, encoders and recommenders have them.
    for batch in [1, 7, 100] {
        list.extend([
            mlp(784, &[300, 100], 10, batch),
            mlp(640, &[128, 128, 8, 128], 640, batch),
            mlp(333, &[777], 55, batch),
            mlp(3072, &[1000, 500], 100, batch),
            mlp(50, &[2000], 3, batch),
            mlp(1, &[1500, 1500], 1, batch),
        ]);
    }
    for scenario in Scenario::ALL {
        // A device without one of the caches has no such scenario, and the rest is still a full sweep.
        if let Ok(configurations) = scenario.configurations(hardware, precision) {
            list.extend(configurations);
        }
    }
    let mut kept = Vec::new();
    for mlp in list {
        use derate_core::graph::Tables;
        if mlp.graph(precision.data_type())?.view().total_work()?.flops.0 <= FULL_FLOPS {
            kept.push(mlp);
        }
    }
    Ok(kept)
}

fn rebatched(mlps: Vec<Mlp>, batches: Option<&[u32]>) -> Vec<Mlp> {
    match batches {
        None => mlps,
        Some(batches) => {
            mlps.iter().flat_map(|mlp| batches.iter().map(|&batch| Mlp { batch, ..mlp.clone() })).collect()
        }
    }
}

/// The MLP of equal widths, a multiple of 8, whose parameters and activations come closest to `target` bytes.
fn sized(target: u64, layers: usize, batch: u32, precision: Precision) -> Result<Mlp, PlanError> {
    let bytes = |width: u32| -> Result<u64, PlanError> {
        let candidate = mlp(width, &vec![width; layers], width, batch);
        Ok(candidate.graph(precision.data_type())?.footprint()?.total()?.0)
    };
    let mut width = 8;
    while bytes(width + 8)? <= target {
        width += 8;
    }
    Ok(mlp(width, &vec![width; layers], width, batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::with_two_core_cpu;

    #[test]
    fn quick_is_five_and_full_is_150_or_more() {
        with_two_core_cpu(|hardware| {
            let plan = |scope| Plan::new(scope, hardware, &[Precision::Fp32], None).expect("a plan").configurations;
            assert_eq!(plan(Scope::Quick).len(), 5);
            let full = plan(Scope::Full);
            assert!(full.len() >= 150, "{}", full.len());
            let keys: HashSet<String> = full.iter().map(Configuration::key).collect();
            assert_eq!(keys.len(), full.len());
        });
    }

    #[test]
    fn each_scenario_fits_where_it_says() {
        with_two_core_cpu(|hardware| {
            for scenario in Scenario::ALL {
                for mlp in scenario.configurations(hardware, Precision::Fp32).expect("has all caches") {
                    let graph = mlp.graph(Precision::Fp32.data_type()).expect("valid");
                    let bytes = graph.footprint().and_then(|f| f.total()).expect("small").0;
                    assert_eq!(Scenario::of(bytes, hardware), scenario, "{mlp:?}: {bytes} B");
                }
            }
        });
    }

    #[test]
    fn no_plan_holds_what_is_verified() {
        with_two_core_cpu(|hardware| {
            for scope in [Scope::Quick, Scope::Full] {
                let plan = Plan::new(scope, hardware, &[Precision::Fp32], None).expect("a plan");
                for mlp in Mlp::unseen() {
                    assert!(plan.configurations.iter().all(|configuration| configuration.mlp != mlp), "{mlp:?}");
                }
            }
        });
    }

    #[test]
    fn batches_can_be_replaced() {
        with_two_core_cpu(|hardware| {
            let plan = Plan::new(Scope::Quick, hardware, &[Precision::Fp32], Some(&[2, 3])).expect("a plan");
            assert_eq!(plan.configurations.len(), 10);
        });
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "input_dim = [1]\nbatchsize = [1]\n").expect("written");
        let error = Spec::read(file.path()).expect_err("wrong key").to_string();
        assert!(error.contains("line 2") && error.contains("batchsize"), "{error}");
    }
}
