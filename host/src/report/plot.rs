//! Plots, as SVG: estimated against measured time in ms, held-out error in percent against operational intensity in FLOP/B, and
//! the errors of all models as bars.
//!
//! Text stays text: whoever shows the file chooses the font. Colours are those of Okabe and Ito (2008), which the colour-blind
//! can tell apart; marks differ in shape as well.

pub(crate) mod axis;
pub(crate) mod draw;

use derate_core::shape::Precision;
use plotters::prelude::*;

use self::axis::{Span, label};
use self::draw::{Key, Mark, canvas, caption, legend, mark, text};
use super::ReportError;
use super::analysis::{Analysis, PrecisionAnalysis};
use super::format::percent;
use super::row::{COMPUTE_BOUND_ABOVE, Regime, RowAnalysis};

pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(crate) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(crate) const GREY: RGBColor = RGBColor(140, 140, 140);
pub(crate) const INK: RGBColor = RGBColor(40, 40, 40);

/// One plot of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    /// The precision it is about.
    pub precision: Precision,
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// Name of the file, in the folder of the report.
    pub file: String,
    /// Its contents.
    pub svg: String,
}

/// Why a drawing failed.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The plots of every precision; files are named `<stem>_<precision>_*.svg`.
///
/// # Errors
/// [`ReportError::Plot`], which a plot in memory does not meet.
pub fn plots(analysis: &Analysis, stem: &str) -> Result<Vec<Plot>, ReportError> {
    type Draw = fn(&PrecisionAnalysis, &str) -> Result<String, Failure>;
    let kinds: [(&str, &str, Draw); 3] = [
        ("errors", "Mean absolute error of each model", errors),
        ("times", "Estimated against measured time", times),
        ("intensity", "Held-out error against operational intensity", intensity),
    ];
    let mut plots = Vec::new();
    for analysis_of in &analysis.precisions {
        let precision = analysis_of.precision;
        for (kind, what, draw) in kinds {
            let title = format!("{what}, {}, {}", analysis.provenance.hardware, precision.name());
            let file = format!("{stem}_{}_{kind}.svg", precision.name());
            let svg = draw(analysis_of, &title)
                .map_err(|error| ReportError::Plot { plot: file.clone(), message: error.to_string() })?;
            plots.push(Plot { precision, title, file, svg });
        }
    }
    Ok(plots)
}

/// What one model says of every row: name, mark, estimate in ms.
type Series = (&'static str, Mark, fn(&RowAnalysis) -> f64);

/// The three that are shown, faintest first.
fn series() -> [Series; 3] {
    [
        ("before", Mark::Cross(GREY), |row| row.before_ms),
        ("two factors, held out", Mark::Triangle(ORANGE), |row| row.two_factors_held_out_ms),
        ("calibrated, held out", Mark::Circle(BLUE), |row| row.held_out_ms),
    ]
}

/// Estimated against measured time, both in ms on logarithmic axes, with bands of ±10 and ±25 %.
fn times(analysis: &PrecisionAnalysis, title: &str) -> Result<String, Failure> {
    let all = analysis
        .points
        .iter()
        .flat_map(|row| [row.measured_ms, row.before_ms, row.two_factors_held_out_ms, row.held_out_ms]);
    let span = Span::logarithmic(all, 1.5);
    let (low, high) = (span.low, span.high);
    canvas((760, 720), |root| {
        caption(root, title)?;
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_top(52)
            .x_label_area_size(48)
            .y_label_area_size(66)
            .build_cartesian_2d(span.clone(), span.clone())?;
        draw::mesh(&mut chart, ["measured time, ms", "estimated time, ms"], label, label)?;
        for (share, alpha) in [(0.25, 0.10), (0.10, 0.16)] {
            let [above, below] = [1.0 + share, 1.0 - share];
            let band = vec![
                (low, low),
                (low, low * above),
                (high / above, high),
                (high, high),
                (high, high * below),
                (low / below, low),
            ];
            chart.draw_series([Polygon::new(band, BLUE.mix(alpha))])?;
        }
        chart.draw_series([PathElement::new(vec![(low, low), (high, high)], INK.mix(0.7).stroke_width(1))])?;
        for (_, kind, estimated_ms) in series() {
            for row in &analysis.points {
                let at = (row.measured_ms, estimated_ms(row));
                if at.0.is_finite() && at.1.is_finite() {
                    mark(chart.plotting_area(), kind, at)?;
                }
            }
        }
        let mut keys: Vec<Key<'_>> = series().into_iter().rev().map(|(name, kind, _)| (name, kind)).collect();
        keys.extend([("within ±10 %", Mark::Band(BLUE, 0.26)), ("within ±25 %", Mark::Band(BLUE, 0.10))]);
        legend(root, (98, 68), &keys)
    })
}

/// Relative error of the held-out estimates in percent, against operational intensity in FLOP/B.
fn intensity(analysis: &PrecisionAnalysis, title: &str) -> Result<String, Failure> {
    let intensities = analysis.points.iter().map(|row| row.operational_intensity);
    let span = Span::logarithmic(intensities.chain([COMPUTE_BOUND_ABOVE]), 1.3);
    // The axis holds all errors of the calibrated model; those of the two factors may lie beyond, and are drawn at its end.
    let largest = analysis.points.iter().map(|row| row.held_out_error_pct.abs()).filter(|e| e.is_finite());
    let axis = Span::symmetric(largest.fold(25.0, f64::max));
    canvas((860, 540), |root| {
        caption(root, title)?;
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_top(94)
            .x_label_area_size(48)
            .y_label_area_size(66)
            .build_cartesian_2d(span.clone(), axis.clone())?;
        let percentage = |value: &f64| format!("{}{} %", if *value > 0.0 { "+" } else { "" }, label(value));
        draw::mesh(&mut chart, ["operational intensity, FLOP/B", "error of the estimate"], label, percentage)?;
        for (size, alpha) in [(25.0, 0.10), (10.0, 0.16)] {
            chart.draw_series([Rectangle::new([(span.low, -size), (span.high, size)], BLUE.mix(alpha).filled())])?;
        }
        chart.draw_series([PathElement::new(vec![(span.low, 0.0), (span.high, 0.0)], INK.mix(0.7).stroke_width(1))])?;
        let border = [(COMPUTE_BOUND_ABOVE, axis.low), (COMPUTE_BOUND_ABOVE, axis.high)];
        chart.draw_series(DashedLineSeries::new(border, 6, 4, INK.mix(0.8).stroke_width(1)))?;
        let (x, y) = chart.backend_coord(&(COMPUTE_BOUND_ABOVE, axis.high));
        root.draw_text(Regime::Memory.name(), &text::style(13, text::RIGHT), (x - 9, y - 11))?;
        root.draw_text(Regime::Compute.name(), &text::style(13, text::LEFT), (x + 9, y - 11))?;
        let mut beyond = false;
        for (_, kind, estimated_ms) in series().into_iter().skip(1) {
            for row in &analysis.points {
                let error = row.error_pct(estimated_ms(row));
                if error.is_finite() {
                    beyond |= error.abs() > axis.high;
                    mark(chart.plotting_area(), kind, (row.operational_intensity, error.clamp(axis.low, axis.high)))?;
                }
            }
        }
        let mut keys: Vec<Key<'_>> = series().into_iter().skip(1).rev().map(|(name, kind, _)| (name, kind)).collect();
        if beyond {
            keys.push(("marks on the border lie beyond it", Mark::Nothing));
        }
        draw::legend_line(root, (82, 56), &keys)
    })
}

/// Mean absolute percentage error of each model, as bars; held out where there is a fit.
fn errors(analysis: &PrecisionAnalysis, title: &str) -> Result<String, Failure> {
    let models = &analysis.models;
    let bars = [
        ("before", analysis.error.before.summary.mape_pct, GREY),
        ("MAC-only", models.mac_only.held_out.summary.mape_pct, GREY),
        ("plain roofline", models.plain_roofline.held_out.summary.mape_pct, GREY),
        ("two factors", models.two_factors.held_out.summary.mape_pct, ORANGE),
        ("calibrated", models.calibrated.held_out.summary.mape_pct, BLUE),
    ];
    let largest = bars.iter().map(|bar| bar.1).filter(|mape| mape.is_finite()).fold(0.0, f64::max);
    // One hopeless bar must not flatten the others: it is cut, and its number says how long it is.
    let axis = Span::from_zero(largest.clamp(12.0, 120.0));
    canvas((860, 340), |root| {
        caption(root, title)?;
        let rows = bars.len() as f64;
        let centres: Vec<f64> = (0..bars.len()).map(|index| rows - 0.5 - index as f64).collect();
        let name =
            |at: &f64| bars.get((rows - 0.5 - at).round() as usize).map_or(String::new(), |bar| bar.0.to_owned());
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .margin_top(64)
            .margin_right(72)
            .x_label_area_size(48)
            .y_label_area_size(116)
            .build_cartesian_2d(axis.clone(), Span::linear(rows, centres.clone()))?;
        let percentage = |value: &f64| format!("{} %", label(value));
        draw::mesh(
            &mut chart,
            ["mean absolute percentage error (MAPE), held out where anything is fitted", ""],
            percentage,
            name,
        )?;
        // The borders between the four words, behind the bars.
        for limit in [10.0, 15.0, 25.0].into_iter().filter(|&limit| limit < axis.high) {
            let line = [(limit, 0.0), (limit, rows)];
            chart.draw_series(DashedLineSeries::new(line, 3, 4, INK.mix(0.6).stroke_width(1)))?;
            let (x, y) = chart.backend_coord(&(limit, rows));
            root.draw_text(&label(&limit), &text::style(12, text::CENTRE), (x, y - 9))?;
        }
        for (at, (_, mape, colour)) in centres.iter().zip(bars) {
            let length = if mape.is_finite() { mape.min(axis.high) } else { 0.0 };
            let corners = [(0.0, at - 0.32), (length, at + 0.32)];
            chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            let (x, y) = chart.backend_coord(&(length, *at));
            let number = percent(mape) + if mape > axis.high { " →" } else { "" };
            draw::note(root, &number, (x + 6, y))?;
        }
        Ok(())
    })
}
