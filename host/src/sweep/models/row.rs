//! Rows of a sweep of whole networks, and of their ops. Times in milliseconds, energy in joules, power in watts.

use derate_core::graph::Tables;

use super::super::row::{Conditions, after_shape, fields_after_shape, number};
use super::{Model, ModelPlan, ModelRun, Protocol};
use crate::measure::{Record, Sorted};

/// Columns before those that every sweep has.
const FIRST: [&str; 3] = ["model", "graph", "batch_size"];

/// Columns after those.
const LAST: [&str; 9] = [
    "protocol",
    "pinned",
    "dispatch_ms",
    "device_span_ms",
    "kernels",
    "energy_j",
    "power_w",
    "sm_clock_mhz",
    "energy_runs",
];

/// All columns.
#[must_use]
pub fn header() -> Vec<&'static str> {
    FIRST.into_iter().chain(after_shape()).chain(LAST).collect()
}

/// Columns of the ops of a network: first those that measurements of layers have elsewhere too.
pub const PER_OP: [&str; 25] = [
    "model",
    "batch",
    "subgraph",
    "nodes",
    "mean_ms",
    "std_ms",
    "min_ms",
    "max_ms",
    "samples",
    "bookkeeping",
    "op",
    "class",
    "input_shapes",
    "output_shape",
    "median_ms",
    "p10_ms",
    "graph",
    "device",
    "precision",
    "threads",
    "protocol",
    "hardware",
    "runtime",
    "pinned",
    "tool_version",
];

/// Energy and clocks over a loop of runs, as the device reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Energy {
    /// Of one run, in joules.
    pub energy_j: Option<f64>,
    /// Mean power over the loop, in watts.
    pub power_w: Option<f64>,
    /// Clock of the multiprocessors at the end of the loop, in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Runs of the loop.
    pub runs: u64,
}

/// Key of a row, as [`ModelPlan::key`] writes it.
///
/// # Errors
/// What is wrong with the row.
pub fn key_of(record: &csv::StringRecord) -> Result<String, String> {
    let header = header();
    let field = |name: &str| field(&header, record, name);
    Ok(super::key(field("graph")?, field("batch_size")?, field("precision")?, field("threads")?, field("protocol")?))
}

/// Key of a row of an op: that of its network's row, `#`, and the op's number.
///
/// # Errors
/// What is wrong with the row.
pub fn key_of_op(record: &csv::StringRecord) -> Result<String, String> {
    let field = |name: &str| field(&PER_OP, record, name);
    let network =
        super::key(field("graph")?, field("batch")?, field("precision")?, field("threads")?, field("protocol")?);
    Ok(format!("{network} #{}", field("subgraph")?))
}

fn field<'a>(header: &[&str], record: &'a csv::StringRecord, name: &str) -> Result<&'a str, String> {
    let column = header.iter().position(|column| *column == name);
    column.and_then(|column| record.get(column)).ok_or_else(|| format!("`{name}` is missing"))
}

/// What a row says beyond the statistics of its times.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// Numbers of all its runs, `width` a run: the time, then what the protocol adds.
    pub numbers: &'a [u64],
    /// Numbers a run.
    pub width: usize,
    /// Measured growth of memory, in bytes.
    pub memory: Option<u64>,
    /// How threads are bound to cores; empty where they are not.
    pub pinned: &'a str,
    /// What was measured over a loop.
    pub energy: Option<Energy>,
}

/// Fields of a row, in the order of [`header`].
///
/// # Errors
/// [`derate_core::Error`] where the network cannot be estimated on the target.
pub fn fields(
    model: &Model,
    run: &ModelRun,
    record: &Record,
    beside: &Beside<'_>,
    conditions: &Conditions<'_>,
) -> Result<Vec<String>, derate_core::Error> {
    let mut row = vec![model.graph.name().to_owned(), model.source.clone(), model.batch.to_string()];
    row.extend(fields_after_shape(model.batch, run.precision, &model.graph, record, beside.memory, conditions)?);
    let median = |position: usize| {
        let numbers: Vec<u64> = beside.numbers.iter().skip(position).step_by(beside.width).copied().collect();
        Sorted::of_ns(&numbers).map(|sorted| sorted.median())
    };
    let of = |protocol: Protocol, position: usize| (run.protocol == protocol).then(|| median(position)).flatten();
    let ms = |ns: Option<f64>| ns.map_or(String::new(), |ns| number(ns / 1e6));
    let energy = beside.energy.unwrap_or_default();
    row.extend([
        run.protocol.name().to_owned(),
        beside.pinned.to_owned(),
        ms(of(Protocol::EndToEnd, 1)),
        ms(of(Protocol::Device, 1)),
        of(Protocol::Device, 2).map_or(String::new(), number),
        energy.energy_j.map_or(String::new(), number),
        energy.power_w.map_or(String::new(), number),
        energy.sm_clock_mhz.map_or(String::new(), |clock| clock.to_string()),
        if beside.energy.is_some() { energy.runs.to_string() } else { String::new() },
    ]);
    Ok(row)
}

/// Rows of the ops of a network, in the order of [`PER_OP`], from the numbers of a run [`Protocol::PerOp`]: the time of all, then
/// the time of each.
///
/// # Errors
/// [`derate_core::Error`] where an op's shapes or work cannot be told.
pub fn op_fields(
    plan: &ModelPlan,
    run: &ModelRun,
    beside: &Beside<'_>,
    conditions: &Conditions<'_>,
) -> Result<Vec<Vec<String>>, derate_core::Error> {
    let Some(model) = plan.models.get(run.model) else { return Ok(Vec::new()) };
    let view = model.graph.view();
    let mut rows = Vec::with_capacity(view.nodes().len());
    for (position, (node, name)) in view.nodes().iter().zip(model.graph.names()).enumerate() {
        let times: Vec<u64> =
            beside.numbers.iter().skip(position.saturating_add(1)).step_by(beside.width).copied().collect();
        let Some(sorted) = Sorted::of_ns(&times) else { continue };
        let inputs: Vec<String> = view
            .operands(node)
            .iter()
            .map(|operand| operand.map(|(_, tensor)| extents(tensor.shape.extents())))
            .collect::<Result<_, derate_core::Error>>()?;
        let ms = |ns: f64| number(ns / 1e6);
        rows.push(vec![
            model.graph.name().to_owned(),
            model.batch.to_string(),
            position.to_string(),
            name.clone(),
            ms(sorted.mean()),
            sorted.std().map_or_else(|| "0".to_owned(), ms),
            ms(sorted.min()),
            ms(sorted.max()),
            times.len().to_string(),
            "0".to_owned(),
            node.op.name().to_owned(),
            view.work(node)?.class.name().to_owned(),
            inputs.join("|"),
            extents(view.output(node)?.shape.extents()),
            ms(sorted.median()),
            ms(sorted.percentile(10.0)),
            model.source.clone(),
            conditions.device.to_owned(),
            run.precision.name().to_owned(),
            run.threads.to_string(),
            run.protocol.name().to_owned(),
            conditions.target.hardware.name().to_owned(),
            conditions.runtime.to_owned(),
            beside.pinned.to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ]);
    }
    Ok(rows)
}

/// `1x3x224x224`.
fn extents(extents: &[u32]) -> String {
    extents.iter().map(u32::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_other_sweeps_between_ours() {
        let header = header();
        assert_eq!(header[..5], ["model", "graph", "batch_size", "device", "precision"]);
        assert!(header.contains(&"p10_ms") && header.contains(&"empirical_time_ms"));
        assert_eq!(header.last(), Some(&"energy_runs"));
        // As published measurements of subgraphs have them.
        assert_eq!(
            PER_OP[..10].join(","),
            "model,batch,subgraph,nodes,mean_ms,std_ms,min_ms,max_ms,samples,bookkeeping"
        );
    }

    #[test]
    fn keys_are_read_from_rows() {
        let cells = |header: &[&str], values: &[(&str, &str)]| {
            let cell = |column: &&str| values.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value);
            header.iter().map(cell).collect::<csv::StringRecord>()
        };
        let row = cells(
            &header(),
            &[
                ("graph", "zoo:vgg11@4"),
                ("batch_size", "4"),
                ("precision", "bf16"),
                ("threads", "2"),
                ("protocol", "per_op"),
            ],
        );
        assert_eq!(key_of(&row).as_deref(), Ok("zoo:vgg11@4 bf16 2 per_op"));
        let row = cells(
            &PER_OP,
            &[
                ("graph", "x.onnx"),
                ("batch", "4"),
                ("precision", "fp32"),
                ("threads", "1"),
                ("protocol", "per_op"),
                ("subgraph", "12"),
            ],
        );
        assert_eq!(key_of_op(&row).as_deref(), Ok("x.onnx@4 fp32 1 per_op #12"));
    }
}
