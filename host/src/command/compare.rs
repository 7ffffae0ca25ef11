//! `derate compare`: networks on devices, side by side: latency, throughput, energy, whether they fit, what bounds.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::{Context, Result, bail};
use derate_core::shape::Precision;
use serde::Serialize;

use super::hardware::find;
use super::{Outcome, json, print_json};
use crate::cli::{Compare, Format, SortBy};
use crate::graph_buf::GraphBuf;
use crate::hardware_file::HardwareFile;
use crate::import::{Options, import};
use crate::on_device::{
    bound_name, described_in, in_precision, joules, least_seconds, on_device, precision_of, target,
};
use crate::rebatch::rebatched;
use crate::report::table::Column::{Left, Right};
use crate::report::{Table, bars};

/// A network on a device: the keys of `--format json` and the columns of `.csv`.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// The network.
    model: String,
    /// Extent of the outermost axis of its first input.
    batch: u32,
    /// Precision of most of its arithmetic.
    precision: &'static str,
    /// The device.
    hardware: String,
    /// Power mode.
    thermal_profile: String,
    /// Time of one run.
    latency_ms: f64,
    /// Samples per second, one run after the other.
    throughput_per_s: f64,
    /// Energy of one run; null where the description does not say enough.
    energy_mj: Option<f64>,
    /// Energy times delay, in millijoule-milliseconds.
    edp_mj_ms: Option<f64>,
    /// MACs over those that all units could have done in the time.
    utilization: f64,
    /// Bytes of weights.
    weight_bytes: u64,
    /// Most bytes of activations alive at once.
    peak_activation_bytes: u64,
    /// Whether weights and activations fit.
    fits: bool,
    /// What takes most of the time.
    bound: String,
    /// How sure the estimate is.
    confidence: &'static str,
}

/// What could not be estimated.
#[derive(Clone, Debug, Serialize)]
struct Skipped {
    model: String,
    hardware: String,
    reason: String,
    /// The batch and the precision that were asked for; null where none was.
    batch: Option<u32>,
    precision: Option<&'static str>,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
struct Comparison {
    rows: Vec<Row>,
    skipped: Vec<Skipped>,
}

pub(super) fn run(args: &Compare, format: Format) -> Result<Outcome> {
    for path in &args.output {
        extension(path)?;
    }
    let devices = devices(&args.hardware)?;
    let precisions: Vec<Option<Precision>> =
        if args.precision.is_empty() { vec![None] } else { args.precision.iter().copied().map(Some).collect() };
    let mut all = Comparison { rows: Vec::new(), skipped: Vec::new() };
    for model in &args.models {
        for &precision in &precisions {
            let read = import(model, &Options { data_type: described_in(precision), ..Options::default() })?;
            if !read.unsupported.is_empty() {
                let count = read.unsupported.len();
                bail!("{model}: {count} of its nodes cannot be counted; `derate graph stats {model}` lists them");
            }
            let batches: Vec<Option<u32>> =
                if args.batch.is_empty() { vec![None] } else { args.batch.iter().copied().map(Some).collect() };
            for batch in batches {
                let graph = match batch {
                    Some(batch) => rebatched(&read.graph, batch).with_context(|| model.clone())?,
                    None => read.graph.clone(),
                };
                for file in &devices {
                    match row(args, model, &graph, precision, file) {
                        Ok(row) => all.rows.push(row),
                        Err(error) => all.skipped.push(Skipped {
                            model: model.clone(),
                            hardware: file.name.clone(),
                            reason: format!("{error:#}"),
                            batch,
                            precision: precision.map(Precision::name),
                        }),
                    }
                }
            }
        }
    }
    if let ([], Some(first)) = (all.rows.as_slice(), all.skipped.first()) {
        bail!("nothing could be estimated; the first reason: {}", first.reason);
    }
    all.rows.sort_by(|a, b| order(args.sort, a, b));
    for path in &args.output {
        let text = written(&all, extension(path)?, args)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    if json(format) {
        print_json(&all)?;
    } else if args.output.is_empty() {
        say_part!("{}", table(&all.rows).text());
    } else {
        args.output.iter().for_each(|path| say!("{}", path.display()));
    }
    for Skipped { model, hardware, reason, batch, precision } in &all.skipped {
        let batch = batch.map(|batch| format!(" @{batch}")).unwrap_or_default();
        let precision = precision.map(|precision| format!(" in {precision}")).unwrap_or_default();
        eprintln!("warning: {model}{batch}{precision} on {hardware} is left out: {reason}");
    }
    Ok(Outcome::Done)
}

/// The devices by their names; each once.
fn devices(names: &[String]) -> Result<Vec<HardwareFile>> {
    let mut files: Vec<HardwareFile> = Vec::new();
    for name in names {
        let found = if name == "all" {
            derate_hw_specs::DEVICES.iter().map(|(name, _)| Ok(find(name)?.1)).collect::<Result<Vec<_>>>()?
        } else {
            vec![find(name)?.1]
        };
        for file in found {
            if files.iter().all(|other| other.name != file.name) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

fn row(
    args: &Compare,
    model: &str,
    graph: &GraphBuf,
    precision: Option<Precision>,
    file: &HardwareFile,
) -> Result<Row> {
    let (graph, precision) = in_precision(graph, precision_of(graph), precision, file)?;
    let got = on_device(&graph, file, args.place.mode())?;
    let estimate = got.network.estimate;
    let batch = crate::rebatch::batch_of(&graph).unwrap_or(1);
    let seconds = f64::from(estimate.latency.0);
    let energy = got.network.energy.map(|energy| joules(&energy) * 1e3);
    let parts = file.parts()?;
    let hardware = parts.hardware()?;
    let least_s = least_seconds(&target(&hardware, args.place.mode())?, precision, estimate.work.macs)?;
    Ok(Row {
        model: model.to_owned(),
        batch,
        precision: precision.name(),
        hardware: file.name.clone(),
        thermal_profile: got.thermal_profile,
        latency_ms: seconds * 1e3,
        throughput_per_s: f64::from(batch) / seconds,
        energy_mj: energy,
        edp_mj_ms: energy.map(|energy| energy * seconds * 1e3),
        utilization: least_s / seconds,
        weight_bytes: got.weights.0,
        peak_activation_bytes: got.peak_activations.0,
        fits: got.fits,
        bound: bound_name(estimate.bound, &got.levels),
        confidence: estimate.confidence.name(),
    })
}

/// The better first; equal ones by model and device.
fn order(by: SortBy, a: &Row, b: &Row) -> Ordering {
    let unknown_last = |x: Option<f64>, y: Option<f64>| match (x, y) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (x, y) => y.is_some().cmp(&x.is_some()),
    };
    let ordering = match by {
        SortBy::Latency => a.latency_ms.total_cmp(&b.latency_ms),
        SortBy::Throughput => b.throughput_per_s.total_cmp(&a.throughput_per_s),
        SortBy::Energy => unknown_last(a.energy_mj, b.energy_mj),
        SortBy::Edp => unknown_last(a.edp_mj_ms, b.edp_mj_ms),
    };
    ordering.then_with(|| (&a.model, &a.hardware, a.batch).cmp(&(&b.model, &b.hardware, b.batch)))
}

/// Forms of a file.
#[derive(Clone, Copy, Debug)]
enum Form {
    Csv,
    Json,
    Markdown,
    Svg,
}

fn extension(path: &Path) -> Result<Form> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Form::Csv),
        Some("json") => Ok(Form::Json),
        Some("md") => Ok(Form::Markdown),
        Some("svg") => Ok(Form::Svg),
        _ => bail!("--output {}: the name must end in .csv, .json, .md or .svg", path.display()),
    }
}

fn written(all: &Comparison, form: Form, args: &Compare) -> Result<String> {
    Ok(match form {
        Form::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &all.rows {
                writer.serialize(row)?;
            }
            String::from_utf8(writer.into_inner()?)?
        }
        Form::Json => serde_json::to_string_pretty(all)? + "\n",
        Form::Markdown => table(&all.rows).markdown(),
        Form::Svg => {
            let value = |row: &Row| match args.sort {
                SortBy::Latency => Some(row.latency_ms),
                SortBy::Throughput => Some(row.throughput_per_s),
                SortBy::Energy => row.energy_mj,
                SortBy::Edp => row.edp_mj_ms,
            };
            let (title, unit) = match args.sort {
                SortBy::Latency => ("Latency", "ms"),
                SortBy::Throughput => ("Throughput", "samples/s"),
                SortBy::Energy => ("Energy of one run", "mJ"),
                SortBy::Edp => ("Energy times delay", "mJ·ms"),
            };
            let bar = |row: &Row| {
                let label = format!("{} @{} {} · {}", row.model, row.batch, row.precision, row.hardware);
                value(row).map(|value| (label, value, row.model.clone()))
            };
            bars::svg(title, unit, &all.rows.iter().filter_map(bar).collect::<Vec<_>>())?
        }
    })
}

fn table(rows: &[Row]) -> Table<'static> {
    let mut table = Table::new([
        Left("model"),
        Right("batch"),
        Left("precision"),
        Left("hardware"),
        Left("profile"),
        Right("latency ms"),
        Right("samples/s"),
        Right("energy mJ"),
        Right("EDP mJ·ms"),
        Right("util %"),
        Left("fits"),
        Left("bound"),
        Left("confidence"),
    ]);
    let number = |value: f64| if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    let optional = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    for row in rows {
        table.row([
            row.model.clone(),
            row.batch.to_string(),
            row.precision.to_owned(),
            row.hardware.clone(),
            row.thermal_profile.clone(),
            number(row.latency_ms),
            number(row.throughput_per_s),
            optional(row.energy_mj),
            optional(row.edp_mj_ms),
            format!("{:.1}", row.utilization * 100.0),
            if row.fits { "yes" } else { "no" }.to_owned(),
            row.bound.clone(),
            row.confidence.to_owned(),
        ]);
    }
    table
}
