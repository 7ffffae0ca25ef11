//! Accuracy on published timings and energies of microcontrollers, each held out, and what a few wrong rows do to the coefficients.

use std::path::PathBuf;
use std::time::Instant;

use derate::boards::hierarchy::MICROCONTROLLERS;
use derate::boards::model::{Model, distinct, works};
use derate::boards::network::Network;
use derate::boards::results::{Selection, System, read};
use derate::evaluate::HeldOut;
use derate::evaluate::boards::{
    DERATE, ENERGY, ENERGY_AND_TIME, MAC_ONLY, NEW_NETWORK, NEW_NETWORK_SAID, NEW_SYSTEM, OP_CLASS, complete, evaluate,
};
use derate::import::Options;

/// Networks, as the table calls them, and their files.
const NETWORKS: [(&str, &str); 4] =
    [("AD", "ad01_int8"), ("KWS", "kws_ref_model"), ("IC", "pretrainedResnet_quant"), ("VWW", "vww_96_int8")];

/// Systems that timed all networks, and the networks; `None`, with a word, where the data are missing.
fn data() -> Option<(Vec<System>, Vec<Network>)> {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let table = shared.join("data/truth/mlperf_tiny_results.csv");
    let files = NETWORKS.map(|(name, file)| (name, shared.join(format!("data/mlperf_tiny/{file}.tflite"))));
    if let Some(missing) = files.iter().map(|(_, file)| file).chain([&table]).find(|path| !path.exists()) {
        eprintln!("skipped: accuracy_tiny: {} is missing", missing.display());
        return None;
    }
    let networks = files.map(|(name, file)| {
        Network::read(&file.display().to_string(), name, &Options::default())
            .unwrap_or_else(|error| panic!("{error:#}"))
    });
    let systems = read(&table, Selection::Microcontrollers).unwrap_or_else(|error| panic!("{error}"));
    Some((complete(&systems, &networks), networks.to_vec()))
}

/// Mean error in %, of one network or of all.
fn mape(held_out: &HeldOut, network: Option<&str>) -> f64 {
    let rows = held_out.predictions.iter().filter(|row| network.is_none_or(|network| row.group == network));
    let errors: Vec<f64> = rows.map(|row| (row.predicted / row.measured - 1.0).abs()).collect();
    100.0 * errors.iter().sum::<f64>() / errors.len() as f64
}

#[test]
fn held_out_errors_stay_below_their_bounds() {
    let Some((systems, networks)) = data() else { return };
    let timings: usize = systems.iter().map(|system| system.timings.len()).sum();
    assert_eq!((systems.len(), timings, distinct(&systems).len()), (40, 160, 28));
    let start = Instant::now();
    let studies = evaluate(&systems, &networks);
    println!("{:46} {:16} rows  mean %    AD   KWS    IC   VWW   in 90 % interval", "held out", "predictor");
    for study in &studies {
        let each = NETWORKS.map(|(network, _)| format!("{:5.1}", mape(study, Some(network)))).join(" ");
        let intervals = study.predictions.iter().filter_map(|row| Some((row.interval?, row.measured)));
        let inside: Vec<bool> = intervals.map(|([low, high], measured)| (low..=high).contains(&measured)).collect();
        let share = if inside.is_empty() {
            String::new()
        } else {
            format!("{:.0} %", 100.0 * inside.iter().filter(|inside| **inside).count() as f64 / inside.len() as f64)
        };
        let (rows, mean) = (study.predictions.len(), mape(study, None));
        println!("{:46} {:16} {rows:4} {mean:7.2}  {each}   {share}", study.holdout, study.predictor);
    }
    println!("{:.1} s", start.elapsed().as_secs_f64());
    let of = |holdout: &str, predictor: &str, network: Option<&str>| {
        let found = studies.iter().find(|study| study.holdout == holdout && study.predictor == predictor);
        mape(found.expect("a study"), network)
    };
    let ours = of(NEW_SYSTEM, DERATE, None);
    assert!(ours <= 8.0, "a new system: {ours:.2} %");
    for baseline in [OP_CLASS, MAC_ONLY] {
        assert!(ours < of(NEW_SYSTEM, baseline, None), "a new system: {baseline} is better");
    }
    for holdout in [NEW_NETWORK, NEW_NETWORK_SAID] {
        let ours = of(holdout, DERATE, None);
        assert!(ours <= 20.0, "{holdout}: {ours:.2} %");
        for (network, _) in NETWORKS {
            let [ours, plain] =
                [(holdout, DERATE), (NEW_NETWORK, MAC_ONLY)].map(|(holdout, who)| of(holdout, who, Some(network)));
            assert!(ours < plain, "{holdout}, {network}: {ours:.2} %, MAC-only {plain:.2} %");
        }
    }
    for holdout in [ENERGY, ENERGY_AND_TIME] {
        let ours = of(holdout, DERATE, None);
        assert!(ours <= 10.0, "{holdout}: {ours:.2} %");
        for baseline in [OP_CLASS, MAC_ONLY] {
            assert!(ours < of(ENERGY_AND_TIME, baseline, None), "{holdout}: {baseline} is better");
        }
    }
}

#[test]
fn dead_channels_are_told_from_timings() {
    let Some((systems, networks)) = data() else { return };
    let model = Model::learn(&systems, &works(&networks, &MICROCONTROLLERS), &MICROCONTROLLERS).expect("learns");
    for ((runtime, version), margin) in model.margins() {
        println!("{runtime} {version}: {margin:.1}");
    }
    assert!(model.outliers().is_empty(), "published rows agree: {:?}", model.outliers());
    // Runtimes whose cycles per MAC on the network with dead channels are far below those on the others, by hand: 10 of 40 systems.
    let removing =
        (0..systems.len()).filter(|&place| model.learnt(place).is_some_and(|known| known.removes_dead_channels));
    assert_eq!(removing.count(), 10);
}

#[test]
fn a_row_that_is_off_by_ten_moves_no_other_system() {
    let Some((systems, networks)) = data() else { return };
    let (systems, works) = (distinct(&systems), works(&networks, &MICROCONTROLLERS));
    let learn = |systems: &[System]| Model::learn(systems, &works, &MICROCONTROLLERS).expect("learns");
    let costs = |model: &Model, place: usize| model.learnt(place).expect("a place").belief.cycles_per_mac();
    let clean = learn(&systems);
    let rows: Vec<(usize, String)> = (0..systems.len())
        .flat_map(|place| systems[place].timings.keys().map(move |network| (place, network.clone())))
        .collect();
    let mut worst: f64 = 0.0;
    // One row of 112 is 1 %: ten draws, 11 rows apart, each network and either direction among them.
    for draw in 0..10 {
        let (hit, network) = &rows[draw * 11];
        let mut wrong = systems.clone();
        let timing = wrong[*hit].timings.get_mut(network).expect("a timing");
        timing.seconds *= if draw % 2 == 0 { 10.0 } else { 0.1 };
        let model = learn(&wrong);
        assert_eq!(model.outliers(), [(*hit, network.clone())], "the wrong row, and no other");
        for place in (0..systems.len()).filter(|place| place != hit) {
            for ((before, sd), (after, _)) in costs(&clean, place).into_iter().zip(costs(&model, place)) {
                worst = worst.max((after / before - 1.0).abs() / sd.max(0.03));
            }
        }
    }
    println!("largest move: {worst:.2} of the larger of 3 % and a standard deviation");
    assert!(worst <= 1.0, "{worst:.2}");
}
