//! Plans: the list of configurations of a sweep, from a kind of network, a scope, and the caches of the device.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use derate_core::hardware::Hardware;
use derate_core::shape::Precision;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lists;
use super::net::{Kind, Net};
use super::spec::Spec;
use crate::graph_buf::GraphError;

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

    /// Networks of the scenario: one to three layers, two working sets, batches of 1 and 8.
    pub(super) fn nets(self, kind: Kind, hardware: &Hardware<'_>, precision: Precision) -> Result<Vec<Net>, PlanError> {
        let mut list = Vec::new();
        for target in self.targets(hardware)? {
            list.extend(lists::of_working_set(kind, target, precision)?);
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
    pub net: Net,
    /// Precision of its tensors.
    pub precision: Precision,
}

impl Configuration {
    /// What tells the row from all others of the sweep.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.net.key(), self.precision.name())
    }
}

/// The list of configurations of a sweep; each key once.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Kind of all its networks.
    pub kind: Kind,
    /// In the order of the rows.
    pub configurations: Vec<Configuration>,
}

impl Plan {
    /// The plan of networks of a kind and a scope, in these precisions; `batches` replaces the scope's own batch sizes.
    ///
    /// # Errors
    /// [`PlanError`] for a scenario without its cache, or a wrong file of parameters.
    pub fn new(
        kind: Kind,
        scope: Scope<'_>,
        hardware: &Hardware<'_>,
        precisions: &[Precision],
        batches: Option<&[u32]>,
    ) -> Result<Self, PlanError> {
        let mut configurations = Vec::new();
        let mut seen = HashSet::new();
        for &precision in precisions {
            let nets = match scope {
                Scope::Quick => lists::quick(kind),
                Scope::Scenario(scenario) => scenario.nets(kind, hardware, precision)?,
                Scope::Full => lists::full(kind, hardware, precision)?,
                Scope::Spec(path) => Spec::read(kind, path)?.nets,
            };
            for net in rebatched(nets, batches) {
                let configuration = Configuration { net, precision };
                configuration.net.graph(precision.data_type())?;
                if seen.insert(configuration.clone()) {
                    configurations.push(configuration);
                }
            }
        }
        Ok(Self { kind, configurations })
    }

    /// Precisions that a file of parameters asks for; `None` where it leaves them to the command line.
    ///
    /// # Errors
    /// [`PlanError`] for a wrong file.
    pub fn precisions_of(kind: Kind, path: &Path) -> Result<Option<Vec<Precision>>, PlanError> {
        Ok(Spec::read(kind, path)?.precision)
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

fn rebatched(nets: Vec<Net>, batches: Option<&[u32]>) -> Vec<Net> {
    match batches {
        None => nets,
        Some(batches) => nets.iter().flat_map(|net| batches.iter().map(|&batch| net.with_batch(batch))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::with_two_core_cpu;
    use crate::zoo::Mlp;

    #[test]
    fn quick_is_five_and_full_is_150_or_more() {
        with_two_core_cpu(|hardware| {
            for kind in Kind::ALL {
                let plan =
                    |scope| Plan::new(kind, scope, hardware, &[Precision::Fp32], None).expect("a plan").configurations;
                assert_eq!(plan(Scope::Quick).len(), 5);
                let full = plan(Scope::Full);
                assert!(full.len() >= 150, "{kind:?}: {}", full.len());
                let keys: HashSet<String> = full.iter().map(Configuration::key).collect();
                assert_eq!(keys.len(), full.len());
            }
        });
    }

    #[test]
    fn each_scenario_fits_where_it_says() {
        with_two_core_cpu(|hardware| {
            for (kind, scenario) in
                Kind::ALL.into_iter().flat_map(|kind| Scenario::ALL.map(|scenario| (kind, scenario)))
            {
                for net in scenario.nets(kind, hardware, Precision::Fp32).expect("has all caches") {
                    let graph = net.graph(Precision::Fp32.data_type()).expect("valid");
                    let bytes = graph.footprint().and_then(|f| f.total()).expect("small").0;
                    assert_eq!(Scenario::of(bytes, hardware), scenario, "{net:?}: {bytes} B");
                }
            }
        });
    }

    #[test]
    fn no_plan_holds_what_is_verified() {
        with_two_core_cpu(|hardware| {
            for scope in [Scope::Quick, Scope::Full] {
                let plan = Plan::new(Kind::Mlp, scope, hardware, &[Precision::Fp32], None).expect("a plan");
                for mlp in Mlp::unseen() {
                    let net = Net::from(mlp);
                    assert!(plan.configurations.iter().all(|configuration| configuration.net != net), "{net:?}");
                }
            }
        });
    }

    #[test]
    fn batches_can_be_replaced() {
        with_two_core_cpu(|hardware| {
            for kind in Kind::ALL {
                let plan = Plan::new(kind, Scope::Quick, hardware, &[Precision::Fp32], Some(&[2, 3])).expect("a plan");
                assert_eq!(plan.configurations.len(), 10);
            }
        });
    }
}
