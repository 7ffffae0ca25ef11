//! How well networks on microcontrollers are predicted: each timing of a table of results held out in its turn.
//!
//! | held out | what is left |
//! |---|---|
//! | [`NEW_SYSTEM`] | the system's other timings; no other row of its board with its runtime, in any version |
//! | [`NEW_NETWORK`] | every other network, on all systems |
//! | [`ENERGY`], [`ENERGY_AND_TIME`] | the energies of the system's other networks; with this one's time, or without, as in [`NEW_SYSTEM`] |
//!
//! Energy is time by power, and power is the geometric mean of that of the system's other networks.
//! Beside the model stand two that are simpler: one speed for all MACs, and one speed with a ratio for each kind of kernel, the ratios
//! fitted on the other systems.

use std::collections::{BTreeMap, HashMap};

use super::{HeldOut, Prediction};
use crate::boards::hierarchy::{Hyper, MICROCONTROLLERS};
use crate::boards::model::{Model, Works, distinct, works};
use crate::boards::network::{KINDS, Kind, Network};
use crate::boards::results::System;

/// A board with a runtime that no other row shows together.
pub const NEW_SYSTEM: &str = "new board and runtime, other networks timed";
/// A network that was never timed.
pub const NEW_NETWORK: &str = "network never timed";
/// As [`NEW_NETWORK`], where it is said which runtimes leave dead channels out.
pub const NEW_NETWORK_SAID: &str = "network never timed, dead channels declared";
/// Energy of an inference whose time is known.
pub const ENERGY: &str = "energy, time measured";
/// Energy of an inference on a new system.
pub const ENERGY_AND_TIME: &str = "energy, time held out";

/// The model of [`crate::boards`].
pub const DERATE: &str = "derate";
/// One speed.
pub const MAC_ONLY: &str = "MAC-only";
/// One speed, and a ratio for each kind of kernel.
pub const OP_CLASS: &str = "op-class ratios";

/// Standard deviations from the middle of a normal distribution to the ends of what holds 90 % of it.
const NINETY: f64 = 1.644_853_6;

/// One speed and ratios of kinds, all but free: what all systems share, and one factor each.
const RATIOS: Hyper = Hyper {
    mean: MICROCONTROLLERS.mean,
    common: 0.0,
    of_kind: [1.0; KINDS],
    speed: 3.0,
    kernels: [0.0; KINDS],
    runtime: [0.0; KINDS],
    board: [0.0; KINDS],
    system: [0.0; KINDS],
    noise: 0.1,
    k0: 0.0,
    n0: 0.0,
};

/// What a predictor says of one timing: cycles, and the standard deviation of their logarithm where it has one.
type Said = (f64, Option<f64>);

/// Who predicts from the works that `hyper` counts.
struct Predictor {
    name: &'static str,
    coefficients: usize,
    hyper: Hyper,
    works: Works,
    /// Whether published MACs are used, dead channels and all.
    dense: bool,
}

impl Predictor {
    fn new(name: &'static str, coefficients: usize, hyper: Hyper, networks: &[Network], dense: bool) -> Self {
        let mut works = works(networks, &hyper);
        if dense {
            works.values_mut().for_each(|work| work.live = work.dense);
        }
        Self { name, coefficients, hyper, works, dense }
    }
}

/// Systems that timed every one of these networks.
#[must_use]
pub fn complete(systems: &[System], networks: &[Network]) -> Vec<System> {
    let all = |system: &&System| networks.iter().all(|network| system.timings.contains_key(&network.name));
    systems.iter().filter(all).cloned().collect()
}

/// All evaluations, on systems that timed every network.
#[must_use]
pub fn evaluate(systems: &[System], networks: &[Network]) -> Vec<HeldOut> {
    let systems = &complete(systems, networks)[..];
    let macs: BTreeMap<&str, f64> =
        networks.iter().map(|network| (network.name.as_str(), network.macs() as f64)).collect();
    let predictors = [
        Predictor::new(DERATE, KINDS, MICROCONTROLLERS, networks, false),
        Predictor::new(OP_CLASS, KINDS, RATIOS, networks, true),
    ];
    let mac_only = |system: &System, network: &str| -> Option<Said> {
        let speeds = others(system, network).filter_map(|(other, timing)| Some(timing.cycles() / macs.get(other)?));
        Some((geometric_mean(speeds)? * macs.get(network)?, None))
    };
    let mut held_out = Vec::new();
    let mut times: Vec<(&Predictor, Vec<Row>)> = Vec::new();
    let speed_alone = Predictor { name: MAC_ONLY, coefficients: 1, hyper: RATIOS, works: Works::new(), dense: true };
    let plain: Vec<Row> = rows(systems, |_, system, network| mac_only(system, network));
    for predictor in &predictors {
        times.push((predictor, new_system(systems, predictor)));
    }
    times.push((&speed_alone, plain.clone()));
    for (predictor, rows) in &times {
        held_out.push(table(NEW_SYSTEM, predictor, systems, networks, rows));
    }
    for predictor in &predictors {
        held_out.push(table(NEW_NETWORK, predictor, systems, networks, &new_network(systems, predictor, None)));
    }
    held_out.push(table(NEW_NETWORK, &speed_alone, systems, networks, &plain));
    let [ours, ..] = &predictors;
    if let Some(model) = Model::learn(systems, &ours.works, &ours.hyper) {
        let rows = new_network(systems, ours, Some(&model));
        held_out.push(table(NEW_NETWORK_SAID, ours, systems, networks, &rows));
    }
    held_out.extend(energies(systems, networks, &times));
    held_out
}

/// One held-out timing: the system's place, the network, what is said of it.
type Row = (usize, String, Said);

/// Timings of a system but that of one network.
fn others<'a>(
    system: &'a System,
    network: &'a str,
) -> impl Iterator<Item = (&'a str, &'a crate::boards::results::Timing)> {
    system.timings.iter().filter(move |(name, _)| *name != network).map(|(name, timing)| (name.as_str(), timing))
}

fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

fn without(system: &System, network: &str) -> System {
    let mut left = system.clone();
    left.timings.remove(network);
    left
}

fn rows(systems: &[System], mut say: impl FnMut(usize, &System, &str) -> Option<Said>) -> Vec<Row> {
    let all = systems
        .iter()
        .enumerate()
        .flat_map(|(place, system)| system.timings.keys().map(move |name| (place, system, name)));
    all.filter_map(|(place, system, network)| Some((place, network.clone(), say(place, system, network)?))).collect()
}

/// Each timing from the others of its system, and from systems of another board or another runtime.
fn new_system(systems: &[System], predictor: &Predictor) -> Vec<Row> {
    let mut models: HashMap<(&str, &str), Option<Model>> = HashMap::new();
    for system in systems {
        let labels = &system.labels;
        models.entry((&labels.board, &labels.runtime)).or_insert_with(|| {
            let same =
                |other: &&System| (&other.labels.board, &other.labels.runtime) == (&labels.board, &labels.runtime);
            let left: Vec<System> = systems.iter().filter(|other| !same(other)).cloned().collect();
            Model::learn(&distinct(&left), &predictor.works, &predictor.hyper)
        });
    }
    rows(systems, |_, system, network| {
        let model = models.get(&(system.labels.board.as_str(), system.labels.runtime.as_str()))?.as_ref()?;
        let known = model.with(&without(system, network))?;
        let (cycles, sd) = known.predict(predictor.works.get(network)?);
        Some((cycles, (!predictor.dense).then_some(sd)))
    })
}

/// Each timing from those of other networks on all systems; which runtimes leave dead channels out is taken from `said` where it is there.
fn new_network(systems: &[System], predictor: &Predictor, said: Option<&Model>) -> Vec<Row> {
    let left = |network: &str| {
        let mut left: Vec<System> = systems.iter().map(|system| without(system, network)).collect();
        for (place, system) in left.iter_mut().enumerate() {
            if let Some(known) = said.and_then(|model| model.learnt(place)) {
                system.removes_dead_channels = Some(known.removes_dead_channels);
            }
        }
        left
    };
    let learn = |name: &String| (name.clone(), Model::learn(&left(name), &predictor.works, &predictor.hyper));
    let models: HashMap<String, Option<Model>> = predictor.works.keys().map(learn).collect();
    rows(systems, |place, _, network| {
        let known = models.get(network)?.as_ref()?.learnt(place)?;
        let (cycles, sd) = known.predict(predictor.works.get(network)?);
        Some((cycles, (!predictor.dense).then_some(sd)))
    })
}

/// Fewest energies of a system of which one is held out.
const FEWEST_ENERGIES: usize = 3;

/// Power of a system from its networks but one, in watts.
fn power(system: &System, network: &str) -> Option<f64> {
    let known = system.timings.values().filter(|timing| timing.energy.is_some()).count();
    system.timings.get(network)?.energy.filter(|_| known >= FEWEST_ENERGIES)?;
    geometric_mean(others(system, network).filter_map(|(_, timing)| timing.energy.and(timing.power)))
}

fn energies(systems: &[System], networks: &[Network], times: &[(&Predictor, Vec<Row>)]) -> Vec<HeldOut> {
    let Some((first, _)) = times.first() else { return Vec::new() };
    let of = |holdout: &str, predictor: &Predictor, rows: &[Row]| {
        let mut held_out = table(holdout, predictor, systems, networks, rows);
        held_out.predictions = rows
            .iter()
            .zip(held_out.predictions)
            .filter_map(|((place, network, _), prediction)| {
                let (system, seconds) = (systems.get(*place)?, prediction.predicted);
                let timing = system.timings.get(network)?;
                // Energy is measured at a clock of its own: its time is power's denominator, not the timing's.
                let (energy, watts) = (timing.energy?, timing.power?);
                let slower = energy / watts / timing.seconds;
                Some(Prediction {
                    measured: energy,
                    predicted: power(system, network)? * seconds * slower,
                    interval: None,
                    ..prediction
                })
            })
            .collect();
        held_out
    };
    let measured = rows(systems, |_, system, network| Some((system.timings.get(network)?.cycles(), None)));
    let mut held_out = vec![of(ENERGY, first, &measured)];
    held_out.extend(times.iter().map(|(predictor, rows)| of(ENERGY_AND_TIME, predictor, rows)));
    held_out
}

/// Predictions in seconds, beside what was measured.
fn table(holdout: &str, predictor: &Predictor, systems: &[System], networks: &[Network], rows: &[Row]) -> HeldOut {
    let class: HashMap<&str, &'static str> =
        networks.iter().map(|network| (network.name.as_str(), most(network))).collect();
    let predictions = rows.iter().filter_map(|(place, network, (cycles, sd))| {
        let system = systems.get(*place)?;
        let timing = system.timings.get(network)?;
        let seconds = cycles / timing.clock_hz;
        Some(Prediction {
            name: format!("{network} on {}", system.name),
            group: network.clone(),
            class: class.get(network.as_str()).copied()?,
            regime: "compute",
            measured: timing.seconds,
            predicted: seconds,
            interval: sd.map(|sd| [seconds * (-NINETY * sd).exp(), seconds * (NINETY * sd).exp()]),
        })
    });
    HeldOut {
        holdout: holdout.to_owned(),
        predictor: predictor.name.to_owned(),
        coefficients: predictor.coefficients,
        predictions: predictions.collect(),
    }
}

/// The kind of kernel that most MACs of a network are of.
fn most(network: &Network) -> &'static str {
    let of = |kind: Kind| {
        network.layers.iter().filter(|layer| layer.kind == kind).map(|layer| layer.dense.macs).sum::<u64>()
    };
    Kind::ALL.into_iter().max_by_key(|&kind| of(kind)).map_or("", Kind::name)
}
