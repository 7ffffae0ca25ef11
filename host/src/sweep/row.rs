//! Rows of a sweep's CSV: what is measured beside what is estimated. Times in milliseconds, memory in MB (10^6 B).

use derate_core::estimate::{Target, estimate};
use derate_core::graph::Tables;
use derate_core::shape::Precision;

use super::net::Kind;
use super::plan::Configuration;
use crate::digits::significant;
use crate::graph_buf::GraphBuf;
use crate::measure::{Outcome, Record};

/// Columns after those of the network's shape, in the format that people's scripts read.
pub(super) const PUBLISHED: [&str; 13] = [
    "device",
    "precision",
    "empirical_time_ms",
    "empirical_time_std_ms",
    "empirical_memory_mb",
    "empirical_throughput",
    "analytical_time_ms",
    "analytical_memory_mb",
    "analytical_flops",
    "analytical_ai",
    "analytical_bottleneck",
    "time_error_pct",
    "memory_error_pct",
];

/// Columns of ours, after those.
pub const OUR_COLUMNS: [&str; 18] = [
    "mean_ms",
    "p10_ms",
    "min_ms",
    "mad_ms",
    "outliers",
    "runs",
    "steal_pct",
    "involuntary_switches",
    "reference_compute_ms",
    "reference_memory_ms",
    "hardware",
    "runtime",
    "threads",
    "sweep_block",
    "stop",
    "tool_version",
    "status",
    "reason",
];

/// All columns of a sweep of such networks.
#[must_use]
pub fn header(kind: Kind) -> Vec<&'static str> {
    ["model"].into_iter().chain(kind.columns().iter().copied()).chain(PUBLISHED).chain(OUR_COLUMNS).collect()
}

/// What is the same for every row of a sweep.
#[derive(Debug)]
pub struct Conditions<'a> {
    /// Where the networks run, as the estimate sees it.
    pub target: Target<'a>,
    /// `cpu` or `cuda`.
    pub device: &'a str,
    /// Name and version of the runtime.
    pub runtime: &'a str,
    /// Threads of every op.
    pub threads: u32,
}

/// Key of a row that is in the file already, as [`Configuration::key`] writes it.
///
/// # Errors
/// What is wrong with the row.
pub fn key_of(kind: Kind, record: &csv::StringRecord) -> Result<String, String> {
    let header = header(kind);
    let field = |name: &str| {
        let column = header.iter().position(|column| *column == name);
        column.and_then(|column| record.get(column)).ok_or_else(|| format!("`{name}` is missing"))
    };
    let mut shape = Vec::new();
    for column in kind.columns() {
        shape.push(field(column)?);
    }
    let batch = shape.pop().unwrap_or_default();
    Ok(format!("{}@{batch} {}", shape.join("-"), field("precision")?))
}

/// Fields of a row, in the order of [`header`]. `memory` is the measured growth in bytes, if it could be measured.
///
/// # Errors
/// [`derate_core::Error`] where the network cannot be estimated on the target.
pub fn fields(
    configuration: &Configuration,
    graph: &GraphBuf,
    record: &Record,
    memory: Option<u64>,
    conditions: &Conditions<'_>,
) -> Result<Vec<String>, derate_core::Error> {
    let net = &configuration.net;
    let mut row: Vec<String> = vec![net.name()];
    row.extend(net.cells());
    row.extend(after_shape(net.batch(), configuration.precision, graph, record, memory, conditions)?);
    Ok(row)
}

/// Fields after those of the shape, which all sweeps have: [`PUBLISHED`], then [`OUR_COLUMNS`].
///
/// # Errors
/// Those of [`fields`].
pub(super) fn after_shape(
    batch: u32,
    precision: Precision,
    graph: &GraphBuf,
    record: &Record,
    memory: Option<u64>,
    conditions: &Conditions<'_>,
) -> Result<Vec<String>, derate_core::Error> {
    let got = estimate(graph.view(), &conditions.target)?;
    let footprint = graph.footprint()?.total()?;
    let analytical_ms = f64::from(got.latency.0) * 1e3;
    let analytical_mb = megabytes(footprint.0);
    let intensity = got.work.flops / graph.view().compulsory_traffic()?;

    let mut row = vec![conditions.device.to_owned(), precision.name().to_owned()];
    let measured = match &record.outcome {
        Outcome::Measured(measured) => Some(measured),
        Outcome::Skipped { .. } => None,
    };
    let ms = |ns: f64| number(ns / 1e6);
    let time_ms = measured.map(|m| m.summary.median_ns / 1e6);
    let memory_mb = memory.map(megabytes);
    row.extend([
        time_ms.map_or(String::new(), number),
        measured.and_then(|m| m.summary.std_ns).map_or(String::new(), ms),
        memory_mb.map_or(String::new(), number),
        time_ms.map_or(String::new(), |time| number(f64::from(batch) / (time / 1e3))),
        number(analytical_ms),
        number(analytical_mb),
        got.work.flops.0.to_string(),
        number(f64::from(intensity.0)),
        if got.compute_bound() { "compute" } else { "memory" }.to_owned(),
        time_ms.map_or(String::new(), |time| number((analytical_ms - time).abs() / time * 100.0)),
        memory_mb
            .filter(|&measured| measured > 0.0)
            .map_or(String::new(), |measured| number((analytical_mb - measured).abs() / measured * 100.0)),
    ]);
    let summary = measured.map(|m| &m.summary);
    let evidence = measured.map(|m| &m.evidence);
    row.extend([
        summary.map_or(String::new(), |s| ms(s.mean_ns)),
        summary.map_or(String::new(), |s| ms(s.p10_ns)),
        summary.map_or(String::new(), |s| ms(s.min_ns)),
        summary.map_or(String::new(), |s| ms(s.mad_ns)),
        summary.map_or(String::new(), |s| s.outliers.to_string()),
        summary.map_or(String::new(), |s| s.n.to_string()),
        evidence.and_then(|e| e.steal_share).map_or(String::new(), |share| number(share * 100.0)),
        evidence.and_then(|e| e.switches).map_or(String::new(), |s| s.involuntary.to_string()),
        evidence.and_then(|e| e.references.compute_bound_ns).map_or(String::new(), ms),
        evidence.and_then(|e| e.references.memory_bound_ns).map_or(String::new(), ms),
        conditions.target.hardware.name().to_owned(),
        conditions.runtime.to_owned(),
        conditions.threads.to_string(),
        record.block.to_string(),
        measured.map_or(String::new(), |m| format!("{:?}", m.stop).to_lowercase()),
        env!("CARGO_PKG_VERSION").to_owned(),
    ]);
    row.extend(match &record.outcome {
        Outcome::Measured(m) => [m.status.word().to_owned(), m.status.reason().to_owned()],
        Outcome::Skipped { reason } => ["skipped".to_owned(), reason.clone()],
    });
    Ok(row)
}

pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Six significant digits, without exponent: for people, and for every script.
pub(super) fn number(value: f64) -> String {
    significant(value, 6).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_begins_with_the_published_columns() {
        let rest = "device,precision,empirical_time_ms,empirical_time_std_ms,empirical_memory_mb,empirical_throughput,\
                    analytical_time_ms,analytical_memory_mb,analytical_flops,analytical_ai,analytical_bottleneck,\
                    time_error_pct,memory_error_pct";
        for (kind, shape) in [
            (Kind::Mlp, "input_dim,hidden_dims,output_dim,batch_size"),
            (Kind::Conv2d, "in_channels,out_channels,kernel_size,num_layers,image_size,batch_size"),
        ] {
            let header = header(kind).join(",");
            assert_eq!(header.split(",mean_ms").next(), Some(format!("model,{shape},{rest}").as_str()));
        }
    }

    #[test]
    fn numbers_have_six_digits() {
        assert_eq!(number(12.345_678_9), "12.3457");
        assert_eq!(number(0.000_123_456_789), "0.000123457");
        assert_eq!(number(1_234_567.8), "1234570");
        assert_eq!(number(0.0), "0");
    }
}
