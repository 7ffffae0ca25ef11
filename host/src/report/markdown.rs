//! Markdown: the report as people read it. Errors in percent of the measurement, times in ms, memory in MB (10^6 B).

use super::analysis::{Analysis, GradedError, ModelError, PrecisionAnalysis};
use super::coefficient::FactorChange;
use super::command::NextSweep;
use super::format::{NONE, count, percent, signed_percent, significant};
use super::group::Group;
use super::plot::Plot;
use super::row::RowAnalysis;
use super::slowdown::Slowdown;
use super::table::Column::{Left, Right};
use super::table::Table;
use crate::calibrate::Grade;

/// The report; `plots` are the files beside it, as [`super::plots`] names them.
#[must_use]
pub fn markdown(analysis: &Analysis, plots: &[Plot]) -> String {
    let mut sections = vec![head(analysis), how_to_apply(analysis)];
    for precision in &analysis.precisions {
        sections.push(of_precision(precision, plots));
    }
    sections.push(thresholds());
    sections.push(provenance(analysis));
    let sections: Vec<&str> = sections.iter().map(|section| section.trim_end()).collect();
    sections.join("\n\n") + "\n"
}

fn head(analysis: &Analysis) -> String {
    let of = &analysis.provenance;
    let mut text = format!("# Calibration of {} ({})\n\n", of.hardware, of.device);
    for precision in &analysis.precisions {
        let (error, models) = (&precision.error, &precision.models);
        let mape = |error: &GradedError| percent(error.summary.mape_pct);
        text += &format!(
            "**{}: {}.** The error of estimated times (MAPE) goes from **{}** before to **{}** after calibration, held out, on {}; \
             in-sample it is {}. Held out as well: two factors {}, plain roofline {}, MAC-only {}.\n\n",
            precision.precision.name(),
            error.after_held_out.grade.word(),
            mape(&error.before),
            mape(&error.after_held_out),
            count(precision.rows, "row"),
            mape(&error.after_in_sample),
            mape(&models.two_factors.held_out),
            mape(&models.plain_roofline.held_out),
            mape(&models.mac_only.held_out),
        );
    }
    let folds = analysis.precisions.first().map_or(0, |precision| precision.folds);
    text += &format!(
        "*MAPE* is the mean of |estimated − measured| / measured. *Held out*: the rows are dealt into {folds} folds, and each fold is \
         estimated by a fit that never saw it; only that says how well a network does that was not measured. *In-sample*: \
         estimated by the fit on all rows. *Before*: the description as it is, with nothing fitted to these rows. \
         Fitted and compared is the {} of each row.\n",
        of.statistic.describe(),
    );
    text
}

fn how_to_apply(analysis: &Analysis) -> String {
    let apply = &analysis.apply_command;
    format!(
        "## How to apply\n\n\
         ```sh\n\
         # what would change in the description of {}\n\
         {apply} --dry-run\n\
         # and the change itself\n\
         {apply}\n\
         ```\n\n\
         The description gets `efficiency_factor` and `memory_bottleneck_factor`, for whoever reads no profile; the calibrated \
         model with all its coefficients is in the profile. \
         `derate verify` then tests both on whole networks.\n",
        analysis.provenance.hardware,
    )
}

fn of_precision(analysis: &PrecisionAnalysis, plots: &[Plot]) -> String {
    let mut text = format!("## {}\n\n", analysis.precision.name());
    let mut section = |heading: &str, body: String| {
        if !body.is_empty() {
            text += &format!("### {heading}\n\n{}\n\n", body.trim_end());
        }
    };
    section("Error of estimated times", times(analysis));
    let of_this = plots.iter().filter(|plot| plot.precision == analysis.precision);
    section("Plots", of_this.map(|plot| format!("![{}]({})\n\n", plot.title, plot.file.replace(' ', "%20"))).collect());
    section("Recommended factors of the description", factors(analysis));
    section("What to measure next", next_sweeps(&analysis.next_sweeps));
    section("Where the error is", splits(analysis));
    section("Slowdown by memory scenario", slowdowns(&analysis.slowdowns));
    section("Worst rows", worst(&analysis.worst_rows));
    section("Error of estimated memory", memory(analysis));
    section("Coefficients of the calibrated model", coefficients(analysis));
    text
}

fn times(analysis: &PrecisionAnalysis) -> String {
    let mut table = Table::new([
        Left("model"),
        Left("on"),
        Right("MAPE"),
        Left("grade"),
        Right("median"),
        Right("bias"),
        Right("min"),
        Right("max"),
        Right("std"),
        Right("R²"),
        Right("within 10 %"),
    ]);
    let mut row = |name: &str, on: &str, error: &GradedError| {
        let of = &error.summary;
        table.row([
            name.to_owned(),
            on.to_owned(),
            percent(of.mape_pct),
            error.grade.word().to_owned(),
            percent(of.median_pct),
            signed_percent(of.bias_pct),
            percent(of.min_pct),
            percent(of.max_pct),
            percent(of.std_pct),
            of.r2.map_or(NONE.into(), |r2| format!("{r2:.3}").replace('-', "−")),
            percent(of.within_10_share * 100.0),
        ]);
    };
    row("before: description as it is", "all rows", &analysis.error.before);
    let mut fitted = |name: &str, error: &ModelError| {
        row(name, "held out", &error.held_out);
        row("", "in-sample", &error.in_sample);
    };
    let models = &analysis.models;
    fitted("**after: calibrated model**", &models.calibrated);
    fitted("description with two factors", &models.two_factors);
    fitted("baseline: plain roofline", &models.plain_roofline);
    fitted("baseline: MAC-only", &models.mac_only);
    let interval = match analysis.interval {
        Some([low, high]) => format!(
            "Held out, the measured time of 90 % of the rows lies between {low:.2} and {high:.2} times the estimate."
        ),
        None => "There are too few rows to say between which bounds 90 % of them lie.".to_owned(),
    };
    let disturbed = match &analysis.splits.disturbance[..] {
        [others, disturbed] => format!(
            " {} marked as disturbed, and fitted like the others: the held-out MAPE is {} there, {} elsewhere.",
            if disturbed.rows == 1 { "1 row is".into() } else { format!("{} rows are", disturbed.rows) },
            percent(disturbed.calibrated.summary.mape_pct),
            percent(others.calibrated.summary.mape_pct),
        ),
        _ if analysis.disturbed_rows > 0 => " All rows are marked as disturbed.".into(),
        _ => String::new(),
    };
    format!(
        "{}\nAll figures but R² are of relative errors, (estimated − measured) / measured; bias is their mean with sign. \
         {interval}{disturbed}\n",
        table.markdown(),
    )
}

fn factors(analysis: &PrecisionAnalysis) -> String {
    let mut table = Table::new([Left("factor"), Right("current"), Right("recommended"), Right("change"), Left("note")]);
    let mut row = |name: &str, factor: &FactorChange| {
        let note = if factor.at_bound {
            "at the edge of its range: the two factors alone cannot describe these rows"
        } else if factor.at_prior {
            "where the fit starts: these rows do not tell it"
        } else {
            ""
        };
        table.row([
            format!("`{name}`"),
            significant(factor.current, 3),
            significant(factor.recommended, 3),
            signed_percent(factor.change_pct),
            note.into(),
        ]);
    };
    row("efficiency_factor", &analysis.factors.efficiency_factor);
    row("memory_bottleneck_factor", &analysis.factors.memory_bottleneck_factor);
    format!(
        "{}\nWith these two alone, the held-out MAPE is {} (before: {}).\n",
        table.markdown(),
        percent(analysis.factors.held_out_mape_pct),
        percent(analysis.error.before.summary.mape_pct),
    )
}

fn next_sweeps(sweeps: &[NextSweep]) -> String {
    if sweeps.is_empty() {
        return "No part of the data stands out: measuring more of any one kind would change little.\n".into();
    }
    let mut text = String::new();
    for NextSweep { command, reason, spec, then } in sweeps {
        text += &format!("- {reason}\n\n  ```sh\n  {command}\n  {then}\n  ```\n");
        if let Some(spec) = spec {
            let lines: String = spec.lines().map(|line| format!("  {line}\n")).collect();
            text += &format!("\n  The file of parameters:\n\n  ```toml\n{lines}  ```\n");
        }
    }
    text
}

fn splits(analysis: &PrecisionAnalysis) -> String {
    let mut table = Table::new([
        Left("by"),
        Left("group"),
        Right("rows"),
        Right("before"),
        Right("two factors"),
        Right("calibrated"),
        Left("grade"),
        Right("bias"),
        Right("worst"),
    ]);
    let splits = &analysis.splits;
    let mut rows = |by: &str, groups: &[Group]| {
        for (group, at) in groups.iter().zip(0..) {
            let of = &group.calibrated;
            table.row([
                if at == 0 { by } else { "" }.to_owned(),
                group.value.clone(),
                group.rows.to_string(),
                percent(group.before.summary.mape_pct),
                percent(group.two_factors.summary.mape_pct),
                percent(of.summary.mape_pct),
                of.grade.word().to_owned(),
                signed_percent(of.summary.bias_pct),
                percent(of.summary.max_pct),
            ]);
        }
    };
    rows("regime", &splits.regime);
    rows("scenario", &splits.scenario);
    rows("batch", &splits.batch);
    rows("layers", &splits.layers);
    rows("measurement", &splits.disturbance);
    format!(
        "{}\nMAPE, held out but for *before*; grade, bias and worst are of the calibrated model. Compute-bound: above 10 FLOP/B, \
         FLOPs over compulsory bytes of the network. Scenario: the nearest cache that holds weights and activations.\n",
        table.markdown(),
    )
}

fn slowdowns(slowdowns: &[Slowdown]) -> String {
    if slowdowns.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        Left("scenario"),
        Right("rows"),
        Right("pairs"),
        Right("observed"),
        Right("expected, calibrated"),
        Right("expected, before"),
    ]);
    let times = |ratio: Option<f64>| ratio.map_or(NONE.into(), |ratio| format!("{}×", significant(ratio, 3)));
    for slowdown in slowdowns.iter().filter(|slowdown| slowdown.on_device) {
        table.row([
            slowdown.scenario.name().to_owned(),
            slowdown.rows.to_string(),
            slowdown.pairs.to_string(),
            times(slowdown.observed),
            times(slowdown.expected),
            times(slowdown.expected_before),
        ]);
    }
    let without: Vec<&str> =
        slowdowns.iter().filter(|s| s.on_device && s.pairs == 0).map(|slowdown| slowdown.scenario.name()).collect();
    let note = if without.is_empty() {
        String::new()
    } else {
        format!(
            " Nothing to compare for {}: `derate sweep` with `--scenario L1_fit` and `--scenario {}` measures both sides.",
            without.join(", "),
            without[0],
        )
    };
    format!(
        "{}\nTime per FLOP over that of `L1_fit`: for each number of layers and batch size that both have, the ratio of their \
         medians; here the median of those ratios. Below 1, larger networks use the device better than the small ones that fit \
         into L1. The calibrated estimates are in-sample.{note}\n",
        table.markdown(),
    )
}

fn worst(rows: &[RowAnalysis]) -> String {
    let mut table = Table::new([
        Left("row"),
        Left("at"),
        Right("measured, ms"),
        Right("estimated, ms"),
        Right("error"),
        Left("measurement"),
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.place.clone(),
            significant(row.measured_ms, 4),
            significant(row.held_out_ms, 4),
            signed_percent(row.held_out_error_pct),
            if row.disturbed { "disturbed" } else { "undisturbed" }.to_owned(),
        ]);
    }
    format!("{}\nCalibrated model, held out.\n", table.markdown())
}

fn memory(analysis: &PrecisionAnalysis) -> String {
    let memory = &analysis.memory;
    let without = match memory.unmeasured_rows {
        0 => String::new(),
        n => format!(" {} without a measurement.", count(n, "row")),
    };
    let Some(error) = &memory.error else {
        return format!("No row has a measured memory.{without}\n");
    };
    let of = &error.summary;
    format!(
        "MAPE **{}** ({}) over {}; median {}, bias {}, worst {}, R² {}.{without} Estimated: weights and peak live activations. Measured: \
         growth of a fresh process, which also holds what the runtime allocates for itself; small networks drown in that.\n",
        percent(of.mape_pct),
        error.grade.word(),
        count(memory.measured_rows, "row"),
        percent(of.median_pct),
        signed_percent(of.bias_pct),
        percent(of.max_pct),
        of.r2.map_or(NONE.into(), |r2| format!("{r2:.3}").replace('-', "−")),
    )
}

fn coefficients(analysis: &PrecisionAnalysis) -> String {
    let mut table = Table::new([
        Left("coefficient"),
        Right("value"),
        Right("± %"),
        Left("unit"),
        Right("prior"),
        Right("range"),
        Left("note"),
        Left("meaning"),
    ]);
    for c in &analysis.coefficients {
        let three = |value: f64| significant(value, 3);
        let note = match (c.at_bound, c.at_prior) {
            (true, _) => "at the edge of its range",
            (false, true) => "at its prior",
            (false, false) => "",
        };
        table.row([
            format!("`{}`", c.name),
            three(c.value),
            significant(c.standard_error_pct, 2),
            c.unit.to_owned(),
            three(c.prior),
            format!("{} … {}", significant(c.low, 2), significant(c.high, 2)),
            note.to_owned(),
            c.meaning.trim_end_matches('.').to_owned(),
        ]);
    }
    format!(
        "{}\n*At its prior*: the rows do not tell this one, and the value from before any measurement stands. *At the edge of its \
         range*: the rows ask for more than makes physical sense; the model or the description lacks something there.\n",
        table.markdown(),
    )
}

fn thresholds() -> String {
    let mut table = Table::new([Left("MAPE"), Left("grade"), Left("what it means")]);
    for (range, grade, meaning) in [
        ("below 10 %", Grade::Excellent, "use it, for networks like the ones measured"),
        ("10 to 15 %", Grade::Good, "fine for choosing between designs"),
        ("15 to 25 %", Grade::NeedsTuning, "measure what *What to measure next* names, and calibrate again"),
        ("above 25 %", Grade::Poor, "look for what is systematically wrong: a disturbed machine, a wrong description"),
    ] {
        table.row([range, grade.word(), meaning]);
    }
    format!("## Grades\n\n{}", table.markdown())
}

fn provenance(analysis: &Analysis) -> String {
    let of = &analysis.provenance;
    let mut table = Table::new([Left("what"), Left("value")]);
    let unknown = || "not stated in the files".to_owned();
    for (what, value) in [
        ("files", of.files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ")),
        ("SHA-256 of their contents", format!("`{}`", of.sha256)),
        ("rows", format!("{} measured, {} skipped", of.rows, of.skipped)),
        ("time of a row", of.statistic.describe().to_owned()),
        ("hardware description", format!("{}, thermal profile `{}`", of.hardware, of.thermal_profile)),
        ("device", of.device.clone()),
        ("runtime", of.runtime.clone().unwrap_or_else(unknown)),
        ("threads", of.threads.map_or_else(unknown, |threads| threads.to_string())),
        ("version of the model's equations", of.model_version.to_string()),
        ("made by", format!("derate {}", of.tool_version)),
        ("date", of.date.clone()),
    ] {
        table.row([what.to_owned(), value]);
    }
    format!("## Provenance\n\n{}", table.markdown())
}
