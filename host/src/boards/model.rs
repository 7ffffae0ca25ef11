//! Timings of networks on many systems, learnt from; and what they say of another system, or of a network that was never timed.
//!
//! Whether a runtime leaves dead channels out is a fact of its version. Where nobody says it, timings do:
//!
//! ```text
//! margin(version) = Σ log N(log cycles; live prediction) − log N(log cycles; prediction with all channels)   [nat]
//! removes         = margin ≥ ln 1000
//! ```
//! The sum is over timings of networks that have dead channels, on systems of that version; their predictions come from timings of
//! networks that have none, which are the same under both. Repeated measurements of a system count once, and a timing that neither
//! explains does not count. A version without such a timing does what most other versions do.

use std::collections::BTreeMap;

use super::hierarchy::{Belief, Hyper, OUTLIER, Observation, Prior};
use super::labels::Labels;
use super::network::{KINDS, Network, Work};
use super::results::System;

/// Work of each network, by the name that timings have.
pub type Works = BTreeMap<String, Work>;

/// How much likelier it must be that dead channels are left out than that they are not: a thousand times, as a logarithm.
pub const MARGIN: f64 = 6.907_755_278_982_137;

/// Work of networks, under the costs beside MACs that are assumed.
#[must_use]
pub fn works(networks: &[Network], hyper: &Hyper) -> Works {
    networks.iter().map(|network| (network.name.clone(), network.work(hyper.k0, hyper.n0))).collect()
}

/// A runtime and its version.
type Version = (String, String);

/// Timings of systems, learnt from.
#[derive(Clone, Debug)]
pub struct Model {
    works: Works,
    systems: Vec<Labels>,
    prior: Prior,
    /// Learnt from networks without dead channels alone.
    without_dead: Prior,
    margins: BTreeMap<Version, f64>,
    said: BTreeMap<Version, bool>,
    outliers: Vec<(usize, String)>,
}

/// What is known of a system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Its cycles per MAC.
    pub belief: Belief,
    /// Whether its runtime leaves dead channels out.
    pub removes_dead_channels: bool,
}

impl Known {
    /// Cycles of a network, and the standard deviation of their logarithm.
    #[must_use]
    pub fn predict(&self, work: &Work) -> (f64, f64) {
        self.belief.predict(work.of(self.removes_dead_channels))
    }
}

fn version(labels: &Labels) -> Version {
    (labels.runtime.clone(), labels.version.clone())
}

/// Whether a network has dead channels: only its timings tell who leaves them out.
fn has_dead(work: &Work) -> bool {
    work.dense.iter().zip(&work.live).any(|(dense, live)| dense > live)
}

/// Error in standard deviations, and logarithm of a normal density but for a constant.
fn log_likelihood(cycles: f64, (predicted, sd): (f64, f64)) -> (f64, f64) {
    let z = (cycles / predicted).ln() / sd;
    (z.abs(), -0.5 * z * z - sd.ln())
}

/// Log-likelihood of live over all channels, of a system's timings of networks with dead channels; `None` where there are none.
fn margin(belief: &Belief, system: &System, works: &Works) -> Option<f64> {
    let timings = system.timings.iter().filter_map(|(network, timing)| Some((works.get(network)?, timing.cycles())));
    let dead = timings.filter(|(work, _)| has_dead(work)).filter_map(|(work, cycles)| {
        let [live, dense] = [&work.live, &work.dense].map(|work| log_likelihood(cycles, belief.predict(work)));
        // What neither explains is a mistake, and tells nothing.
        (live.0.min(dense.0) <= OUTLIER).then_some(live.1 - dense.1)
    });
    dead.reduce(|a, b| a + b)
}

/// Timings of a system, as work and cycles: of networks without dead channels alone, or of all under a flag.
fn timings(system: &System, works: &Works, removes: Option<bool>) -> Vec<(String, [f64; KINDS], f64)> {
    let known = system.timings.iter().filter_map(|(network, timing)| Some((network, works.get(network)?, timing)));
    let used = known.filter(|(_, work, _)| removes.is_some() || !has_dead(work));
    used.map(|(network, work, timing)| (network.clone(), *work.of(removes == Some(true)), timing.cycles())).collect()
}

impl Model {
    /// Learns from systems; timings of networks that are not in `works` are passed over. `None` where a work is not positive and finite.
    #[must_use]
    pub fn learn(systems: &[System], works: &Works, hyper: &Hyper) -> Option<Self> {
        let labels: Vec<Labels> = systems.iter().map(|system| system.labels.clone()).collect();
        let rows = |place: usize, removes: Option<bool>| {
            let system = systems.get(place)?;
            Some(
                timings(system, works, removes)
                    .into_iter()
                    .map(move |(network, work, cycles)| (network, Observation { system: place, work, cycles })),
            )
        };
        let certain: Vec<(String, Observation)> =
            (0..systems.len()).filter_map(|place| rows(place, None)).flatten().collect();
        let observations: Vec<Observation> = certain.iter().map(|(_, row)| *row).collect();
        let (without_dead, outliers) = Prior::learn_without_outliers(&labels, &observations, hyper)?;
        let mut said = BTreeMap::new();
        // Repeated measurements are evidence once: their mean.
        let mut repeats: BTreeMap<&Labels, Vec<f64>> = BTreeMap::new();
        for (place, system) in systems.iter().enumerate() {
            if let Some(removes) = system.removes_dead_channels {
                said.insert(version(&system.labels), removes);
            }
            if let Some(margin) = margin(&without_dead.belief(&system.labels, Some(place)), system, works) {
                repeats.entry(&system.labels).or_default().push(margin);
            }
        }
        let mut margins: BTreeMap<Version, f64> = BTreeMap::new();
        for (labels, found) in repeats {
            *margins.entry(version(labels)).or_default() += found.iter().sum::<f64>() / found.len() as f64;
        }
        let mut model = Self {
            works: works.clone(),
            systems: labels,
            prior: without_dead.clone(),
            without_dead,
            margins,
            said,
            outliers: Vec::new(),
        };
        let name = |rows: Vec<usize>, all: &[(String, Observation)]| {
            rows.into_iter()
                .filter_map(|row| all.get(row))
                .map(|(network, row)| (row.system, network.clone()))
                .collect()
        };
        if !works.values().any(has_dead) {
            model.outliers = name(outliers, &certain);
            return Some(model);
        }
        let flags: Vec<bool> = systems.iter().map(|system| model.removes(&system.labels, None)).collect();
        let all: Vec<(String, Observation)> =
            flags.into_iter().enumerate().filter_map(|(place, flag)| rows(place, Some(flag))).flatten().collect();
        let observations: Vec<Observation> = all.iter().map(|(_, row)| *row).collect();
        let (prior, outliers) = Prior::learn_without_outliers(&model.systems, &observations, hyper)?;
        model.prior = prior;
        model.outliers = name(outliers, &all);
        Some(model)
    }

    /// Margin of each runtime and version that timings speak of, as `(runtime, version)`.
    #[must_use]
    pub const fn margins(&self) -> &BTreeMap<(String, String), f64> {
        &self.margins
    }

    /// Timings that were left out, since the others contradict them: the system's place, and the network.
    #[must_use]
    pub fn outliers(&self) -> &[(usize, String)] {
        &self.outliers
    }

    /// Whether a runtime leaves dead channels out, by what is said of its version, by `own` evidence with that of its version, or by most.
    fn removes(&self, labels: &Labels, own: Option<f64>) -> bool {
        let version = version(labels);
        if let Some(&removes) = self.said.get(&version) {
            return removes;
        }
        match (self.margins.get(&version), own) {
            (None, None) => {
                let removing = self.margins.values().filter(|&&margin| margin >= MARGIN).count();
                removing * 2 > self.margins.len()
            }
            (others, own) => others.copied().unwrap_or_default() + own.unwrap_or_default() >= MARGIN,
        }
    }

    /// What is known of a system that was not learnt from: by its labels and its own few timings. `None` where a timing makes no sense.
    #[must_use]
    pub fn with(&self, system: &System) -> Option<Known> {
        let told = |rows: Vec<(String, [f64; KINDS], f64)>| {
            rows.into_iter().map(|(_, work, cycles)| (work, cycles)).collect::<Vec<_>>()
        };
        let removes_dead_channels = match system.removes_dead_channels {
            Some(removes) => removes,
            None => {
                let belief = self.without_dead.belief(&system.labels, None);
                let belief = belief.with(&told(timings(system, &self.works, None)))?;
                self.removes(&system.labels, margin(&belief, system, &self.works))
            }
        };
        let belief = self.prior.belief(&system.labels, None);
        let belief = belief.with(&told(timings(system, &self.works, Some(removes_dead_channels))))?;
        Some(Known { belief, removes_dead_channels })
    }

    /// What is known of a system that was learnt from, by its place; `None` beyond them.
    #[must_use]
    pub fn learnt(&self, place: usize) -> Option<Known> {
        let labels = self.systems.get(place)?;
        Some(Known {
            belief: self.prior.belief(labels, Some(place)),
            removes_dead_channels: self.removes(labels, None),
        })
    }
}

/// Systems without repeated measurements of the same software on the same board: the first of each.
#[must_use]
pub fn distinct(systems: &[System]) -> Vec<System> {
    let mut kept: Vec<System> = Vec::new();
    for system in systems {
        if !kept.iter().any(|other| other.labels.same_system(&system.labels)) {
            kept.push(system.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards::hierarchy::MICROCONTROLLERS;
    use crate::boards::results::Timing;

    /// Two networks, the second with 3 of 4 million MACs dead, at 2 cycles a MAC: cycles of `dead` are given in millions.
    fn system(version: &str, dead: f64) -> System {
        let timing = |cycles: f64| Timing { seconds: cycles / 1e8, clock_hz: 1e8, energy: None, power: None };
        System {
            labels: Labels::of(version, version, &[]),
            timings: [("plain".to_owned(), timing(2e6)), ("dead".to_owned(), timing(dead * 1e6))].into(),
            ..System::default()
        }
    }

    fn works() -> Works {
        let work = |dense: f64, live: f64| Work { dense: [dense, 0.0, 0.0, 0.0], live: [live, 0.0, 0.0, 0.0] };
        [("plain".to_owned(), work(1e6, 1e6)), ("dead".to_owned(), work(4e6, 1e6))].into()
    }

    #[test]
    fn versions_that_remove_dead_channels_are_told() {
        // 8 million cycles are all channels at the plain network's speed, 2 million the live ones; 2000 million are a mistake.
        let systems = [system("a 1", 8.0), system("b 2", 2.0), system("c 3", 2000.0)];
        let model = Model::learn(&systems, &works(), &MICROCONTROLLERS).expect("positive");
        let removes = [0, 1, 2].map(|place| model.learnt(place).expect("a place").removes_dead_channels);
        assert_eq!(removes, [false, true, false], "{:?}", model.margins());
        assert_eq!(model.margins().len(), 2, "what neither explains tells nothing");
        // A system without such a timing does as its version does, unless it says otherwise.
        let mut new = system("b 2", 1.0);
        new.timings.remove("dead");
        let works = works();
        let known = model.with(&new).expect("positive");
        assert!(known.removes_dead_channels && (known.predict(&works["dead"]).0 / 2e6 - 1.0).abs() < 0.02);
        new.removes_dead_channels = Some(false);
        let known = model.with(&new).expect("positive");
        assert!((known.predict(&works["dead"]).0 / 8e6 - 1.0).abs() < 0.02);
    }

    #[test]
    fn a_repeated_measurement_is_evidence_once() {
        let once = Model::learn(&[system("a 1", 8.0)], &works(), &MICROCONTROLLERS).expect("positive");
        let twice = Model::learn(&[system("a 1", 8.0), system("a 1", 8.0)], &works(), &MICROCONTROLLERS);
        let [once, twice] = [once, twice.expect("positive")].map(|model| model.margins().values().sum::<f64>());
        // Twice the timings of the plain network make the prediction a little surer, not the evidence two.
        assert!(twice / once < 1.6, "{once} {twice}");
    }
}
