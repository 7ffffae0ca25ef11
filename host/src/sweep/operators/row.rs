//! Rows of a sweep of operators: what was run stands in the place of a network's shape, the rest is as in other sweeps.

use derate_core::graph::Tables;

use super::pick::Sampled;
use super::{Configuration, Plan, pass};
use crate::measure::Record;
use crate::sweep::row::{Conditions, OUR_COLUMNS, PUBLISHED, after_shape, megabytes, number};

/// Columns in the place of a network's shape.
pub const SHAPE: [&str; 7] = ["op_class", "graph", "protocol", "regime", "working_set_mb", "border", "batch_size"];

/// All columns.
#[must_use]
pub fn header() -> Vec<&'static str> {
    ["model"].into_iter().chain(SHAPE).chain(PUBLISHED).chain(OUR_COLUMNS).collect()
}

fn field<'r>(record: &'r csv::StringRecord, name: &str) -> Result<&'r str, String> {
    let column = header().iter().position(|column| *column == name);
    column.and_then(|column| record.get(column)).ok_or_else(|| format!("`{name}` is missing"))
}

/// Key of a row that is in the file, as [`Plan::key`] writes it.
///
/// # Errors
/// What is wrong with the row.
pub fn key_of(record: &csv::StringRecord) -> Result<String, String> {
    let pass = pass(field(record, "precision")?, field(record, "threads")?);
    Ok(format!("{} {} {pass}", field(record, "graph")?, field(record, "protocol")?))
}

/// Fields of a row, in the order of [`header`].
///
/// # Errors
/// [`derate_core::Error`] where the graph cannot be estimated on the target.
pub fn fields(plan: &Plan, record: &Record, conditions: &Conditions<'_>) -> Result<Vec<String>, derate_core::Error> {
    let Configuration { sample, protocol } = plan.configurations[record.idx];
    let sample = &plan.samples[sample];
    let view = sample.graph.view();
    // A copy of a transposed tensor is a copy: the transpose moves nothing.
    let model = match view.nodes() {
        [one] | [_, one] => one.op.name(),
        _ => "sequence",
    };
    let batch = view.tensors().first().and_then(|tensor| tensor.shape.extent(0)).unwrap_or(1);
    let place = &sample.place;
    let mut row = vec![
        model.to_owned(),
        sample.family.name().to_owned(),
        sample.text.clone(),
        protocol.name().to_owned(),
        place.regime(),
        number(megabytes(place.working_set)),
        if place.border { "yes" } else { "no" }.to_owned(),
        batch.to_string(),
    ];
    row.extend(after_shape(batch, plan.precision, &sample.graph, record, None, conditions)?);
    Ok(row)
}

/// What a row of the file holds, of a configuration of the plan; `None` for a skipped row.
#[must_use]
pub fn sampled(configuration: usize, record: &csv::StringRecord) -> Option<Sampled> {
    let seconds = |name| field(record, name).ok()?.parse::<f64>().ok().map(|ms| ms / 1e3);
    Some(Sampled {
        configuration,
        median_s: seconds("empirical_time_ms")?,
        p10_s: seconds("p10_ms")?,
        mad_s: seconds("mad_ms")?,
        runs: field(record, "runs").ok()?.parse().ok()?,
        disturbed: field(record, "status").ok()? == "disturbed",
    })
}

#[cfg(test)]
mod tests {
    use derate_core::estimate::Target;
    use derate_core::shape::Precision;

    use super::*;
    use crate::calibrate::tests::with_two_core_cpu;
    use crate::measure::{Evidence, Measured, Outcome, RowFile, Status, Stop, Summary};
    use crate::sweep::operators::{Protocol, Selection};

    #[test]
    fn rows_are_written_and_found_again() {
        with_two_core_cpu(|hardware| {
            let plan = Plan::new(Selection::Elementwise, &Protocol::ALL, hardware, Precision::Fp32, 2).expect("a plan");
            let conditions = Conditions {
                target: Target::new(hardware).expect("valid"),
                device: "cpu",
                runtime: "none",
                threads: 2,
            };
            let summary = Summary::of(&[1_000, 1_100, 1_200, 1_300, 1_400]).expect("samples");
            let measured = |idx| Record {
                idx,
                block: 3,
                outcome: Outcome::Measured(Box::new(Measured {
                    summary: summary.clone(),
                    evidence: Evidence::default(),
                    stop: Stop::RunCap,
                    status: Status::Disturbed { reason: "steal".to_owned() },
                })),
            };
            let skipped = |idx| Record { idx, block: 3, outcome: Outcome::Skipped { reason: "too large".to_owned() } };
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("rows.csv");
            let (mut file, _) = RowFile::open(&path, &header(), key_of).expect("new");
            for record in [measured(0), skipped(1), measured(4)] {
                file.append(&fields(&plan, &record, &conditions).expect("estimated")).expect("appended");
            }
            drop(file);
            // Half a row, as a killed sweep leaves it.
            let mut bytes = std::fs::read(&path).expect("there");
            bytes.extend_from_slice(b"relu,elementwise,op:re");
            std::fs::write(&path, bytes).expect("written");

            let (_, existing) = RowFile::open(&path, &header(), key_of).expect("resumed");
            assert_eq!(existing.keys, [plan.key(0), plan.key(1), plan.key(4)]);
            assert!(existing.cut.is_some());
            let mut reader = csv::Reader::from_path(&path).expect("a CSV");
            let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
            let one = sampled(7, &rows[0]).expect("measured");
            assert_eq!((one.configuration, one.runs, one.disturbed), (7, 5, true));
            // Median 1.2 µs; deviations 0.2, 0.1, 0, 0.1, 0.2 µs; 10th percentile 1000 + 0.4 · 100 ns.
            assert!((one.median_s - 1.2e-6).abs() < 1e-12 && (one.mad_s - 1e-7).abs() < 1e-12, "{one:?}");
            assert!((one.p10_s - 1.04e-6).abs() < 1e-12);
            assert_eq!(sampled(1, &rows[1]), None);
        });
    }

    #[test]
    fn the_columns_after_the_shape_are_those_of_other_sweeps() {
        use crate::sweep::{Kind, row::header as of_networks};
        let after = |header: Vec<&'static str>| {
            let at = header.iter().position(|name| *name == "batch_size").expect("a batch");
            header[at..].to_vec()
        };
        assert_eq!(after(header()), after(of_networks(Kind::Mlp)));
    }
}
