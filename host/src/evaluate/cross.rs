//! Cross-validation: every row predicted by fits that saw no row of its kind, with intervals from the errors of the other kinds.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use derate_core::calibration::{Calibration, Evidence, Group, Intervals, Machine, Regime};
use derate_core::units::Seconds;
use derate_core::work::Class;

use super::truth::Set;
use super::{HeldOut, Prediction, Study};
use crate::calibrate::fit::{Biweight, FitError, Options};
use crate::calibrate::model::{Bench, Model};
use crate::calibrate::sample::Sample;

/// What is held out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Holdout {
    /// A configuration: the same nodes of a model at all batches; of operators, a shape at a batch. In folds.
    Configuration,
    /// All rows of a model, or of a layer's shape at all batches.
    Model,
    /// All rows of a family of models, or of a kind of operator.
    Family,
    /// All rows of a device.
    Device,
}

impl Holdout {
    /// As it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Model => "model",
            Self::Family => "family",
            Self::Device => "device",
        }
    }
}

/// Most folds: kinds are held out one by one up to so many, and dealt out to so few folds where there are more.
const KINDS: usize = 20;

/// Folds of more kinds than that; of operators, and of parts of networks.
const FOLDS: [usize; 2] = [5, 10];

/// Steps of the multiplicative generator that deals kinds out (Lehmer; Park and Miller, CACM 31(10), 1988).
const LEHMER: u64 = 48_271;

/// Its modulus, 2^31 − 1.
const MODULUS: u64 = 2_147_483_647;

/// How much is worked out beside the predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Nothing.
    Errors,
    /// How coverage follows the share that intervals are asked for, and errors the number of rows.
    Curves,
}

/// A shuffled order of so many things, the same each time.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 1;
    for last in (1..count).rev() {
        state = state * LEHMER % MODULUS;
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
    order
}

/// The fold of each row, and what the folds are called.
fn folds(samples: &[Sample], evidence: Evidence, holdout: Holdout) -> Result<(Vec<usize>, String)> {
    if holdout == Holdout::Device {
        bail!("--holdout device: all rows are of one device; hold out a configuration, model or family");
    }
    let kind = |sample: &Sample| sample.kinds[holdout as usize].clone();
    let kinds: BTreeSet<String> = samples.iter().map(kind).collect();
    if kinds.len() < 2 {
        bail!("--holdout {0}: all rows are of one {0}, and none would be left to fit", holdout.name());
    }
    let count = FOLDS[usize::from(evidence == Evidence::Networks)];
    let few = kinds.len() <= KINDS.min(if holdout == Holdout::Configuration { count } else { KINDS });
    let order = shuffled(kinds.len());
    let fold: BTreeMap<String, usize> =
        kinds.into_iter().zip(order).map(|(kind, place)| (kind, if few { place } else { place % count })).collect();
    let name = if few { format!("one {}", holdout.name()) } else { format!("{count} folds by {}", holdout.name()) };
    Ok((samples.iter().map(|sample| fold[&kind(sample)]).collect(), name))
}

/// How a model is fitted to rows of a kind.
#[must_use]
pub fn options(model: Model, evidence: Evidence) -> Options {
    // A baseline leaves errors twice as large.
    let scale = if model == Model::Calibrated { 0.15 } else { 0.3 };
    // Operators are measured in many shapes, some of which a library runs oddly; of networks no row is one of a few.
    let biweight = (evidence != Evidence::Networks && model == Model::Calibrated).then_some(Biweight::USUAL);
    Options { scale, biweight, ..Options::default() }
}

/// The three that are compared, ours first.
pub const MODELS: [Model; 3] = [Model::Calibrated, Model::PlainRoofline, Model::MacOnly];

/// A set that is cross-validated.
struct Cross<'a> {
    bench: Bench<'a>,
    fold: Vec<usize>,
    folds: usize,
    /// What a row that is held out is a new one of: 1 a model, 2 a family.
    unit: usize,
}

/// What fits on the other folds say of each row.
struct Told {
    times: Vec<f64>,
    /// Of our model: what most of the time goes to.
    cells: Vec<(Group, Regime)>,
}

impl Cross<'_> {
    fn rows(&self, keep: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..self.fold.len()).filter(|&row| keep(self.fold[row])).collect()
    }

    /// Times by fits on the other folds, of which only some rows are used.
    fn told(&self, model: Model, used: impl Fn(usize) -> bool) -> Result<Told, FitError> {
        let samples = self.bench.samples;
        let mut told = Told {
            times: vec![f64::NAN; samples.len()],
            cells: vec![(Group::Elementwise, Regime::Overhead); samples.len()],
        };
        for this in 0..self.folds {
            let mut kept = self.rows(|fold| fold != this);
            kept.retain(|&row| used(row));
            let out = self.rows(|fold| fold == this);
            let fit = self.bench.fit(model, &kept, &options(model, self.bench.evidence))?;
            let times = self.bench.predict(model, &out, &fit.values).ok_or(FitError::NotFinite)?;
            for (&row, seconds) in out.iter().zip(times) {
                told.times[row] = seconds;
            }
            if model == Model::Calibrated {
                let coefficients = self.bench.coefficients(&fit.values).ok_or(FitError::NotFinite)?;
                for &row in &out {
                    told.cells[row] = self.bench.character(&samples[row], &coefficients);
                }
            }
        }
        Ok(told)
    }

    /// Intervals for the rows of each fold, from the errors of the others, that hold this share.
    fn intervals(&self, told: &Told, held: f64) -> Vec<Option<Intervals>> {
        (0..self.folds)
            .map(|this| {
                let others = self.rows(|fold| fold != this);
                self.bench.intervals_among(&others, &told.times, &told.cells, held, self.unit)
            })
            .collect()
    }

    fn predictions(&self, told: &Told, intervals: Option<&[Option<Intervals>]>) -> Vec<Prediction> {
        let samples = self.bench.samples;
        (0..samples.len())
            .map(|row| {
                let bounds = intervals.and_then(|all| all[self.fold[row]]);
                prediction(&samples[row], told.times[row], intervals.map(|_| told.cells[row]), bounds, 1.0)
            })
            .collect()
    }
}

/// A row beside what is predicted of it.
fn prediction(
    sample: &Sample,
    seconds: f64,
    cell: Option<(Group, Regime)>,
    intervals: Option<Intervals>,
    wider: f32,
) -> Prediction {
    let interval = cell.zip(intervals).filter(|_| sample.has_kernels()).map(|((group, regime), intervals)| {
        intervals.of_op(Seconds(seconds as f32), group, regime, wider).map(|bound| f64::from(bound.0))
    });
    Prediction {
        name: sample.name.clone(),
        group: sample.group.clone(),
        class: match cell {
            _ if !sample.has_kernels() => super::VIEW,
            Some((group, _)) => group.name(),
            None => "",
        },
        regime: cell.map_or("", |(_, regime)| regime.name()),
        measured: sample.seconds,
        predicted: seconds,
        interval,
    }
}

/// Groups of several rows as a whole, with intervals of networks: of each row's fold, or one for all.
fn wholes(samples: &[Sample], predictions: &[Prediction], of: impl Fn(usize) -> Option<Intervals>) -> Vec<Prediction> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, sample) in samples.iter().enumerate() {
        groups.entry(&sample.group).or_default().push(row);
    }
    // One op that was measured twice is no network.
    groups.retain(|_, rows| rows.iter().any(|&row| samples[row].kinds[0] != samples[rows[0]].kinds[0]));
    let whole = |(group, rows): (&str, Vec<usize>)| {
        let sum = |of: &dyn Fn(&Prediction) -> f64| rows.iter().map(|&row| of(&predictions[row])).sum::<f64>();
        let (measured, predicted) = (sum(&|row| row.measured), sum(&|row| row.predicted));
        let squares = sum(&|row| (row.predicted / predicted).powi(2));
        let interval = of(rows[0]).map(|intervals| {
            intervals.of_network(Seconds(predicted as f32), squares as f32, 1.0).map(|bound| f64::from(bound.0))
        });
        // What takes most of its time.
        let longest = |of: &dyn Fn(&Prediction) -> &'static str| {
            let mut times: BTreeMap<&'static str, f64> = BTreeMap::new();
            rows.iter().for_each(|&row| *times.entry(of(&predictions[row])).or_default() += predictions[row].predicted);
            times.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("", |(name, _)| name)
        };
        Prediction {
            name: group.to_owned(),
            group: samples[rows[0]].kinds[1].clone(),
            class: longest(&|row| row.class),
            regime: longest(&|row| row.regime),
            measured,
            predicted,
            interval,
        }
    };
    groups.into_iter().map(whole).collect()
}

/// Families of models that have a class of ops which no other family has: what they take cannot be told from the others.
fn apart(samples: &[Sample]) -> BTreeMap<String, Vec<&'static str>> {
    let mut classes: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for sample in samples {
        let own = classes.entry(&sample.kinds[2]).or_default();
        own.extend(sample.works.iter().filter(|work| work.class != Class::View).map(|work| work.class.index()));
    }
    let alone = |family: &str, class: usize| {
        classes.iter().filter(|(other, _)| **other != family).all(|(_, own)| !own.contains(&class))
    };
    let apart: BTreeMap<String, Vec<&'static str>> = classes
        .iter()
        .map(|(family, own)| {
            let names = Class::ALL.iter().filter(|class| own.contains(&class.index()) && alone(family, class.index()));
            ((*family).to_owned(), names.map(|class| class.name()).collect::<Vec<_>>())
        })
        .filter(|(_, names)| !names.is_empty())
        .collect();
    // Where every family is of its own kind there is nothing to tell apart from.
    if apart.len() < classes.len() { apart } else { BTreeMap::new() }
}

/// Shares of the measurements that intervals are asked to hold.
const ASKED: [f64; 5] = [0.5, 0.6, 0.7, 0.8, 0.9];

/// Shares of the rows that are fitted.
const SHARES: [f64; 4] = [0.05, 0.15, 0.4, 1.0];

/// Predicts each row by fits that saw no row of its kind: by ours and by the two baselines.
///
/// # Errors
/// Too few kinds; a fit that finds no values.
pub fn evaluate(set: &Set, machine: Machine, holdout: Holdout, depth: Depth) -> Result<Study> {
    let samples = set.samples.as_slice();
    let bench = Bench { samples, machine, evidence: set.evidence, target: None, precision: set.precision };
    let (fold, name) = folds(samples, set.evidence, holdout)?;
    let folds = fold.iter().max().map_or(0, |last| last + 1);
    let unit = if holdout == Holdout::Family { 2 } else { 1 };
    let cross = Cross { bench, fold, folds, unit };
    let mut study = Study::new(format!("{}, held out: {name}", set.name()));
    for model in MODELS {
        let told = cross.told(model, |_| true).with_context(|| format!("{}, {}", set.name(), model.name()))?;
        let ours = model == Model::Calibrated;
        let intervals = ours.then(|| cross.intervals(&told, 0.9));
        let predictions = cross.predictions(&told, intervals.as_deref());
        let of = |row: usize| intervals.as_ref().and_then(|all| all[cross.fold[row]]);
        study.wholes.push(wholes(samples, &predictions, of));
        if ours && depth == Depth::Curves {
            for asked in ASKED {
                let bounds = cross.intervals(&told, asked);
                study.coverage.extend(coverage(&cross.predictions(&told, Some(&bounds))).map(|got| [asked, got]));
            }
        }
        study.held_out.push(HeldOut {
            holdout: name.clone(),
            predictor: model.name().to_owned(),
            coefficients: bench.parameters(model).len(),
            predictions,
        });
    }
    if depth == Depth::Curves {
        let order = shuffled(samples.len());
        for share in SHARES {
            let last = (share * samples.len() as f64).ceil() as usize;
            let Ok(told) = cross.told(Model::Calibrated, |row| order[row] < last) else { continue };
            let errors = super::errors(&cross.predictions(&told, None));
            study.learning.extend(errors.map(|errors| [last as f64, errors.mape_pct]));
        }
    }
    study.apart = apart(samples);
    study.families = samples.iter().map(|sample| (sample.group.clone(), sample.kinds[2].clone())).collect();
    study.held_out_rows = samples.len();
    Ok(study)
}

/// Share of the rows with an interval that lie within theirs.
#[must_use]
pub fn coverage(predictions: &[Prediction]) -> Option<f64> {
    let held: Vec<bool> = predictions
        .iter()
        .filter_map(|row| row.interval.map(|[low, high]| low <= row.measured && row.measured <= high))
        .collect();
    (!held.is_empty()).then(|| held.iter().filter(|&&held| held).count() as f64 / held.len() as f64)
}

/// What a stored calibration says of each row, with its intervals; `baselines` are values of the two baselines.
///
/// # Errors
/// Values that give no finite times.
pub fn of_calibration(
    set: &Set,
    machine: Machine,
    calibration: &Calibration,
    baselines: [(Model, Vec<f64>); 2],
) -> Result<Study> {
    let samples = set.samples.as_slice();
    let bench = Bench { samples, machine, evidence: set.evidence, target: None, precision: set.precision };
    let mut study = Study::new(format!("{}, by a stored profile", set.name()));
    let ours: Result<Vec<Prediction>> = samples
        .iter()
        .map(|sample| {
            let seconds = bench.time(sample, &calibration.coefficients);
            let cell = bench.character(sample, &calibration.coefficients);
            Ok(prediction(sample, seconds, Some(cell), calibration.intervals, wider(sample, calibration)?))
        })
        .collect();
    let ours = ours?;
    study.wholes.push(wholes(samples, &ours, |_| calibration.intervals));
    study.held_out.push(HeldOut {
        holdout: "stored profile".to_owned(),
        predictor: Model::Calibrated.name().to_owned(),
        coefficients: bench.parameters(Model::Calibrated).len(),
        predictions: ours,
    });
    let all: Vec<usize> = (0..samples.len()).collect();
    for (model, values) in baselines {
        let times =
            bench.predict(model, &all, &values).with_context(|| format!("{}: no finite times", model.name()))?;
        let predictions: Vec<Prediction> =
            samples.iter().zip(times).map(|(sample, seconds)| prediction(sample, seconds, None, None, 1.0)).collect();
        study.wholes.push(wholes(samples, &predictions, |_| None));
        study.held_out.push(HeldOut {
            holdout: "stored profile".to_owned(),
            predictor: model.name().to_owned(),
            coefficients: values.len(),
            predictions,
        });
    }
    study.families = samples.iter().map(|sample| (sample.group.clone(), sample.kinds[2].clone())).collect();
    study.held_out_rows = samples.len();
    Ok(study)
}

/// Factor by which a region may be left and still be near.
const NEAR: f32 = 2.0;

/// How much wider an interval is where ops lie outside the region that was measured: that of the op farthest from it.
fn wider(sample: &Sample, calibration: &Calibration) -> Result<f32> {
    let [near, far] = Intervals::WIDER;
    let mut wider = 1.0_f32;
    for work in sample.works.iter().filter(|work| work.class != Class::View) {
        let hull = calibration.hull(work.class);
        wider = wider.max(match (hull.is_empty(), hull.holds(work, 1.0)?, hull.holds(work, NEAR)?) {
            (false, true, _) => 1.0,
            (false, _, true) => near,
            _ => far,
        });
    }
    Ok(wider)
}
