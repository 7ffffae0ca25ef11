//! Drawings of an evaluation, as SVG: estimate against measured, residuals by regime, the heat map, coverage, error against rows.

use derate_core::calibration::{Group, Regime};
use plotters::prelude::*;

use super::{percent, share};
use crate::evaluate::summary::Summary;
use crate::evaluate::{Prediction, Study, VIEW};
use crate::report::plot::axis::{Span, label};
use crate::report::plot::draw::{self, Key, Mark, canvas, caption, legend_line, mark, text};
use crate::report::plot::{BLUE, Failure, GREY, INK, ORANGE};

/// Rows that are drawn at most: of more, every so many, so that a page stays small.
const DRAWN: usize = 1500;

/// Largest error that the axis of residuals shows, in percent; marks beyond stand on its border.
const BORDER: f64 = 100.0;

pub(super) fn plots(summary: &Summary, study: &Study) -> Result<Vec<String>, Failure> {
    let Some(ours) = study.held_out.first() else { return Ok(Vec::new()) };
    let counted: Vec<&Prediction> = ours.predictions.iter().filter(|row| row.class != VIEW).collect();
    let step = counted.len().div_ceil(DRAWN).max(1);
    let drawn: Vec<&Prediction> = counted.into_iter().step_by(step).collect();
    let wholes: Vec<&Prediction> = study.wholes.first().into_iter().flatten().collect();
    let mut all = vec![times(&drawn, &wholes)?, residuals(&drawn)?, heat(summary)?];
    if !study.coverage.is_empty() {
        all.push(coverage(&study.coverage)?);
    }
    if study.learning.len() > 1 {
        all.push(learning(&study.learning)?);
    }
    Ok(all)
}

/// The mark of a regime.
fn of_regime(regime: &str) -> Mark {
    match regime {
        "overhead" => Mark::Cross(GREY),
        "memory" => Mark::Triangle(ORANGE),
        _ => Mark::Circle(BLUE),
    }
}

fn keys() -> Vec<Key<'static>> {
    Regime::ALL.iter().map(|regime| (regime.name(), of_regime(regime.name()))).collect()
}

/// Estimated against measured time in ms.
fn times(rows: &[&Prediction], wholes: &[&Prediction]) -> Result<String, Failure> {
    let both = rows.iter().chain(wholes).flat_map(|row| [row.measured * 1e3, row.predicted * 1e3]);
    let span = Span::logarithmic(both, 1.5);
    let (low, high) = (span.low, span.high);
    canvas((760, 700), |root| {
        caption(root, "Estimated against measured time")?;
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_top(84)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(span.clone(), span.clone())?;
        draw::mesh(&mut chart, ["measured time, ms", "estimated time, ms"], label, label)?;
        chart.draw_series([PathElement::new(vec![(low, low), (high, high)], INK.mix(0.7).stroke_width(1))])?;
        for row in rows {
            mark(chart.plotting_area(), of_regime(row.regime), (row.measured * 1e3, row.predicted * 1e3))?;
        }
        for whole in wholes {
            let at = (whole.measured * 1e3, whole.predicted * 1e3);
            chart.plotting_area().draw(&Circle::new(at, 6, INK.stroke_width(2)))?;
            if let Some([below, above]) = whole.interval {
                let bar = vec![(at.0, below * 1e3), (at.0, above * 1e3)];
                chart.plotting_area().draw(&PathElement::new(bar, INK.mix(0.6).stroke_width(1)))?;
            }
        }
        let mut keys = keys();
        if !wholes.is_empty() {
            keys.push(("rings: whole models, with intervals", Mark::Nothing));
        }
        legend_line(root, (88, 58), &keys)
    })
}

/// Error in percent against measured time, by regime.
fn residuals(rows: &[&Prediction]) -> Result<String, Failure> {
    let span = Span::logarithmic(rows.iter().map(|row| row.measured * 1e3), 1.3);
    let axis = Span::symmetric(BORDER);
    canvas((860, 520), |root| {
        caption(root, "Error of each row, by regime")?;
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_top(84)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(span.clone(), axis.clone())?;
        let percentage = |value: &f64| format!("{} %", label(value));
        draw::mesh(&mut chart, ["measured time, ms", "error of the estimate"], label, percentage)?;
        chart.draw_series([Rectangle::new([(span.low, -10.0), (span.high, 10.0)], BLUE.mix(0.12).filled())])?;
        for row in rows {
            let error = row.error_pct().clamp(axis.low, axis.high);
            mark(chart.plotting_area(), of_regime(row.regime), (row.measured * 1e3, error))?;
        }
        legend_line(root, (88, 58), &keys())
    })
}

/// Kind of op × regime: the darker, the larger its share of the absolute error.
fn heat(summary: &Summary) -> Result<String, Failure> {
    let most = summary.cells.iter().map(|cell| cell.error_share).fold(1e-9, f64::max);
    canvas((760, 400), |root| {
        caption(root, "Where the error sits: share of the absolute error in time")?;
        let (left, top, wide, high) = (130, 84, 195, 56);
        for (column, regime) in (0..).zip(Regime::ALL) {
            let at = (left + column * wide + wide / 2, top - 16);
            root.draw_text(regime.name(), &text::style(15, text::CENTRE), at)?;
        }
        for (line, group) in (0..).zip(Group::ALL) {
            let y = top + line * high;
            root.draw_text(group.name(), &text::style(15, text::RIGHT), (left - 12, y + high / 2))?;
            for (column, regime) in (0..).zip(Regime::ALL) {
                let x = left + column * wide;
                let corners = [(x, y), (x + wide - 3, y + high - 3)];
                let cell = summary.cells.iter().find(|cell| cell.class == group.name() && cell.regime == regime.name());
                let Some(cell) = cell else {
                    root.draw(&Rectangle::new(corners, INK.mix(0.15).stroke_width(1)))?;
                    continue;
                };
                root.draw(&Rectangle::new(corners, ORANGE.mix(0.06 + 0.9 * cell.error_share / most).filled()))?;
                let middle = (x + wide / 2, y + high / 2);
                let said = format!("{} of the error", share(Some(cell.error_share)));
                root.draw_text(&said, &text::style(14, text::CENTRE), (middle.0, middle.1 - 9))?;
                let said = format!("mean {}, {} rows", percent(cell.mape_pct), cell.n);
                root.draw_text(&said, &text::style(12, text::CENTRE), (middle.0, middle.1 + 10))?;
            }
        }
        Ok(())
    })
}

/// Share of the measurements that intervals hold, against the share they are asked to hold.
fn coverage(points: &[[f64; 2]]) -> Result<String, Failure> {
    let points: Vec<(f64, f64)> = points.iter().map(|[asked, held]| (asked * 100.0, held * 100.0)).collect();
    let span = Span::linear(100.0, vec![0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    let percentage = |value: &f64| format!("{} %", label(value));
    canvas((560, 520), |root| {
        caption(root, "Coverage of the intervals")?;
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_top(56)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(span.clone(), span.clone())?;
        draw::mesh(&mut chart, ["asked to hold", "measurements that they hold"], percentage, percentage)?;
        chart.draw_series([PathElement::new(vec![(0.0, 0.0), (100.0, 100.0)], INK.mix(0.7).stroke_width(1))])?;
        chart.draw_series([PathElement::new(points.clone(), BLUE.stroke_width(2))])?;
        for &point in &points {
            mark(chart.plotting_area(), Mark::Circle(BLUE), point)?;
        }
        Ok(())
    })
}

/// Mean absolute error against the number of rows that were fitted.
fn learning(points: &[[f64; 2]]) -> Result<String, Failure> {
    let points: Vec<(f64, f64)> = points.iter().map(|[rows, error]| (*rows, *error)).collect();
    let span = Span::logarithmic(points.iter().map(|point| point.0), 1.2);
    let axis = Span::from_zero(points.iter().map(|point| point.1).fold(1.0, f64::max));
    let percentage = |value: &f64| format!("{} %", label(value));
    canvas((560, 420), |root| {
        caption(root, "Error against the number of measured rows")?;
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_top(56)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(span.clone(), axis.clone())?;
        draw::mesh(
            &mut chart,
            ["rows measured, of which the held-out ones are not fitted", "MAPE of rows, held out"],
            label,
            percentage,
        )?;
        chart.draw_series([PathElement::new(points.clone(), BLUE.stroke_width(2))])?;
        for &point in &points {
            mark(chart.plotting_area(), Mark::Circle(BLUE), point)?;
        }
        Ok(())
    })
}
