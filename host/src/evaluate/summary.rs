//! Summaries of evaluations: figures by group, regime and kind of op, of rows and of whole models.

use std::collections::{BTreeMap, BTreeSet};

use derate_core::calibration::{Group, Regime};
use serde::Serialize;

use super::cross::coverage;
use super::{Prediction, Study, VIEW, errors};
use crate::measure::Sorted;

/// Errors of some predictions: (predicted − measured) / measured, in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Their number.
    pub n: usize,
    /// Mean of the absolute errors.
    pub mape_pct: f64,
    /// Median of the absolute errors.
    pub median_pct: f64,
    /// Share of those within 10 %, from 0 to 1.
    pub within_10_share: f64,
    /// Greatest absolute error.
    pub max_pct: f64,
    /// Mean of the signed errors: positive where predictions are too long.
    pub bias_pct: f64,
    /// Share of the measurements within their intervals, where there are intervals; asked for is 0.9.
    pub coverage: Option<f64>,
    /// Median half-width of the intervals: the root of their upper over their lower end, a factor.
    pub half_width: Option<f64>,
}

impl Figures {
    /// Of the predictions in which something runs; `None` where there is none.
    #[must_use]
    pub fn of(predictions: &[Prediction]) -> Option<Self> {
        let summary = errors(predictions)?;
        let counted = || predictions.iter().filter(|row| row.class != VIEW);
        let widths = counted().filter_map(|row| row.interval).map(|[low, high]| (high / low).sqrt());
        Some(Self {
            n: summary.n,
            mape_pct: summary.mape_pct,
            median_pct: summary.median_pct,
            within_10_share: summary.within_10_share,
            max_pct: summary.max_pct,
            bias_pct: summary.bias_pct,
            coverage: coverage(predictions),
            half_width: Sorted::new(widths).map(|sorted| sorted.median()),
        })
    }
}

/// Figures of rows that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// What they have in common.
    pub name: String,
    /// Their errors.
    pub rows: Option<Figures>,
    /// Error of their sum, in percent, where they are a whole model.
    pub whole_error_pct: Option<f64>,
    /// Interval of their sum over its estimate, where there is one.
    pub whole_interval: Option<[f64; 2]>,
}

/// A cell of the heat map: rows of a kind of op in a regime.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Kind of op.
    pub class: &'static str,
    /// What takes most of its time.
    pub regime: &'static str,
    /// Rows.
    pub n: usize,
    /// Mean of their absolute errors.
    pub mape_pct: f64,
    /// Mean of their signed errors.
    pub bias_pct: f64,
    /// Share of the absolute error of all rows, in time, that is theirs, from 0 to 1.
    pub error_share: f64,
    /// Share of their intervals that hold.
    pub coverage: Option<f64>,
}

/// A family that has a class of ops which no other family has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Apart {
    /// The family.
    pub family: String,
    /// These classes.
    pub classes: Vec<&'static str>,
    /// Errors of its rows.
    pub rows: Option<Figures>,
    /// Errors of its models as a whole.
    pub wholes: Option<Figures>,
}

/// What one predictor achieves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Achieved {
    /// Who.
    pub predictor: String,
    /// Fitted coefficients.
    pub coefficients: usize,
    /// All rows.
    pub rows: Option<Figures>,
    /// All models as a whole, where their parts were measured.
    pub wholes: Option<Figures>,
}

/// A study in figures; those by part are of the first predictor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What was evaluated, and how.
    pub title: String,
    /// What was held out together.
    pub holdout: String,
    /// Each predictor, ours first.
    pub predictors: Vec<Achieved>,
    /// By group: a model at a batch, a kind of operator.
    pub groups: Vec<Part>,
    /// By regime.
    pub regimes: Vec<Part>,
    /// By kind of op.
    pub classes: Vec<Part>,
    /// By both, the greatest share of the error first.
    pub cells: Vec<Cell>,
    /// Families that are told by no other, and the same of all others.
    pub apart: Vec<Apart>,
    /// All families but those.
    pub others: Option<Apart>,
    /// Share that intervals are asked to hold, and that they hold.
    pub coverage: Vec<[f64; 2]>,
    /// Rows that were fitted, and the mean absolute error.
    pub learning: Vec<[f64; 2]>,
}

impl Summary {
    /// Of a study.
    #[must_use]
    pub fn of(study: &Study) -> Self {
        let none: &[Prediction] = &[];
        let ours = study.held_out.first().map_or(none, |held| &held.predictions);
        let wholes = study.wholes.first().map_or(none, |wholes| wholes);
        let achieved = study.held_out.iter().enumerate().map(|(place, held)| Achieved {
            predictor: held.predictor.clone(),
            coefficients: held.coefficients,
            rows: Figures::of(&held.predictions),
            wholes: study.wholes.get(place).and_then(|wholes| Figures::of(wholes)),
        });
        let family = |group: &str| study.families.get(group).map_or("", String::as_str);
        let of_families = |name: String, classes: Vec<&'static str>, keep: &dyn Fn(&str) -> bool| Apart {
            family: name,
            classes,
            rows: Figures::of(&kept(ours, |row| keep(family(&row.group)))),
            wholes: Figures::of(&kept(wholes, |row| keep(family(&row.name)))),
        };
        let alone = study.apart.iter();
        let apart: Vec<Apart> =
            alone.map(|(name, classes)| of_families(name.clone(), classes.clone(), &|family| family == name)).collect();
        let others = (!apart.is_empty())
            .then(|| of_families("all others".to_owned(), Vec::new(), &|family| !study.apart.contains_key(family)));
        Self {
            title: study.title.clone(),
            holdout: study.held_out.first().map_or_else(String::new, |held| held.holdout.clone()),
            predictors: achieved.collect(),
            groups: groups(study, ours, wholes),
            regimes: parts(ours, |row| row.regime, &Regime::ALL.map(Regime::name)),
            classes: parts(ours, |row| row.class, &Group::ALL.map(Group::name)),
            cells: cells(ours),
            apart,
            others,
            coverage: study.coverage.clone(),
            learning: study.learning.clone(),
        }
    }
}

fn kept(predictions: &[Prediction], keep: impl Fn(&Prediction) -> bool) -> Vec<Prediction> {
    predictions.iter().filter(|row| keep(row)).cloned().collect()
}

/// Whole models, and kinds of rows that are of none.
fn groups(study: &Study, ours: &[Prediction], wholes: &[Prediction]) -> Vec<Part> {
    let mut rows: BTreeMap<&str, Vec<Prediction>> = BTreeMap::new();
    let whole: BTreeMap<&str, &Prediction> = wholes.iter().map(|whole| (whole.name.as_str(), whole)).collect();
    for row in ours {
        let alone = || study.families.get(&row.group).map_or(row.group.as_str(), String::as_str);
        let name = if whole.contains_key(row.group.as_str()) { row.group.as_str() } else { alone() };
        rows.entry(name).or_default().push(row.clone());
    }
    let part = |(name, rows): (&str, Vec<Prediction>)| Part {
        name: name.to_owned(),
        rows: Figures::of(&rows),
        whole_error_pct: whole.get(name).map(|whole| whole.error_pct()),
        whole_interval: whole.get(name).and_then(|whole| Some(whole.interval?.map(|bound| bound / whole.predicted))),
    };
    rows.into_iter().map(part).collect()
}

/// Rows by what they have in common: these names first, in their order, then others.
fn parts(ours: &[Prediction], of: impl Fn(&Prediction) -> &'static str, names: &[&'static str]) -> Vec<Part> {
    let others: BTreeSet<&'static str> =
        ours.iter().filter(|row| row.class != VIEW).map(&of).filter(|name| !names.contains(name)).collect();
    let part = |name: &'static str| Part {
        name: name.to_owned(),
        rows: Figures::of(&kept(ours, |row| of(row) == name)),
        whole_error_pct: None,
        whole_interval: None,
    };
    names.iter().copied().chain(others).map(part).filter(|part| part.rows.is_some()).collect()
}

fn cells(ours: &[Prediction]) -> Vec<Cell> {
    let off = |row: &Prediction| (row.predicted - row.measured).abs();
    let counted = kept(ours, |row| row.class != VIEW);
    let all: f64 = counted.iter().map(off).sum();
    let keys: BTreeSet<(&'static str, &'static str)> = counted.iter().map(|row| (row.class, row.regime)).collect();
    let cell = |(class, regime): (&'static str, &'static str)| {
        let rows = kept(&counted, |row| (row.class, row.regime) == (class, regime));
        let figures = Figures::of(&rows)?;
        let error_share = if all > 0.0 { rows.iter().map(off).sum::<f64>() / all } else { 0.0 };
        let Figures { n, mape_pct, bias_pct, coverage, .. } = figures;
        Some(Cell { class, regime, n, mape_pct, bias_pct, error_share, coverage })
    };
    let mut cells: Vec<Cell> = keys.into_iter().filter_map(cell).collect();
    cells.sort_by(|a, b| b.error_share.total_cmp(&a.error_share));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::HeldOut;

    fn row(name: &str, class: &'static str, measured: f64, predicted: f64, interval: [f64; 2]) -> Prediction {
        Prediction {
            name: name.to_owned(),
            group: "net".to_owned(),
            class,
            regime: "memory",
            measured,
            predicted,
            interval: (class != VIEW).then_some(interval),
        }
    }

    #[test]
    fn figures_by_hand_and_views_count_for_nothing() {
        let rows = [
            row("a", "conv", 100.0, 110.0, [90.0, 160.0]),
            row("b", "product", 100.0, 50.0, [40.0, 90.0]),
            row("v", VIEW, 1.0, 5.0, [0.0, 0.0]),
        ];
        let got = Figures::of(&rows).expect("two rows");
        // +10 % and −50 %; one of two intervals holds; half-widths √(160/90) = 1.333 and 1.5.
        assert_eq!((got.n, got.mape_pct, got.bias_pct, got.max_pct), (2, 30.0, -20.0, 50.0));
        assert_eq!((got.within_10_share, got.coverage), (0.5, Some(0.5)));
        assert!((got.half_width.expect("intervals") - (4.0 / 3.0 + 1.5) / 2.0).abs() < 1e-9);
        // 10 of 60 units of error are the convolution's, 50 the product's.
        let held = HeldOut { holdout: "x".into(), predictor: "p".into(), coefficients: 1, predictions: rows.to_vec() };
        let summary = Summary::of(&Study::of("t".into(), vec![held]));
        let shares: Vec<_> = summary.cells.iter().map(|cell| (cell.class, cell.error_share)).collect();
        assert_eq!(shares, [("product", 50.0 / 60.0), ("conv", 10.0 / 60.0)]);
        assert_eq!(summary.classes.len(), 2);
        assert_eq!(summary.groups[0].whole_error_pct, None);
    }
}
