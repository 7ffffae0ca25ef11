//! `derate verify`: estimates against fresh measurements of networks that no sweep holds.

#[cfg(not(feature = "torch"))]
pub(super) fn run(_args: &crate::cli::Verify, _format: crate::cli::Format) -> anyhow::Result<super::Outcome> {
    super::torch::hand_over()
}

#[cfg(feature = "torch")]
pub(super) use measuring::run;

#[cfg(feature = "torch")]
mod measuring {
    use std::path::{Path, PathBuf};

    use anyhow::{Context, Result, bail, ensure};
    use derate_core::estimate::Target;
    use derate_core::graph::Tables;
    use derate_core::op::Op;
    use serde::{Deserialize, Serialize};

    use super::super::estimates::{error_pct, estimates, fit, profile, threads};
    use super::super::measured::measure_all;
    use super::super::sweep::precisions;
    use super::super::{Outcome, hardware, hardware_file, json, print_json, with_threads};
    use crate::calibrate::ErrorSummary;
    use crate::cli::{Format, Verify};
    use crate::graph_buf::GraphBuf;
    use crate::hardware_file::write_atomic;
    use crate::measure::Outcome as Measurement;
    use crate::on_device::{Mode, target};
    use crate::profile::PrecisionFit;
    use crate::report::table::Column::{Left, Right};
    use crate::report::{Table, stem_of};
    use crate::torch;
    use crate::zoo::{self, Mlp};

    /// How much worse than a baseline the error may be, in percentage points: what two runs on a quiet machine differ by.
    const BASELINE_SLACK: f64 = 5.0;

    /// Everything `verify` says; `--format json`, and the file of `--baseline`.
    #[derive(Debug, Serialize, Deserialize)]
    struct Verdict {
        /// Name of the hardware description.
        hardware: String,
        /// Name and version of the runtime.
        runtime: String,
        /// Threads of every op.
        threads: u32,
        /// Precision of the tensors.
        precision: String,
        /// One for each network.
        rows: Vec<Row>,
        /// Mean absolute percentage error over all networks, of what the estimate is: calibrated where a profile is given.
        mape_pct: f64,
        /// The same over the MLPs.
        mlp_mape_pct: Option<f64>,
        /// The same over all other networks.
        others_mape_pct: Option<f64>,
        /// Error over all networks of the description's two factors.
        described_mape_pct: f64,
        /// Error over all networks of the MAC-only baseline, with a profile.
        mac_only_mape_pct: Option<f64>,
        /// Error over all networks of the plain-roofline baseline, with a profile.
        plain_roofline_mape_pct: Option<f64>,
        /// Checks that failed, in words.
        failed: Vec<String>,
    }

    /// One network. Times in milliseconds.
    #[derive(Debug, Serialize, Deserialize)]
    struct Row {
        /// Name of the network, with its batch.
        network: String,
        /// Measured 10th percentile.
        measured_ms: f64,
        /// Measured median.
        median_ms: f64,
        /// `ok` or `disturbed`.
        status: String,
        /// The estimate.
        estimated_ms: f64,
        /// (estimated − measured) / measured, in percent.
        error_pct: f64,
        /// Interval of the estimate that holds 90 % of measurements, with a profile.
        interval_ms: Option<[f64; 2]>,
        /// How sure the estimate says it is.
        confidence: String,
        /// Estimate by the description's two factors.
        described_ms: f64,
        /// Estimate by the MAC-only baseline, with a profile.
        mac_only_ms: Option<f64>,
        /// Estimate by the plain-roofline baseline, with a profile.
        plain_roofline_ms: Option<f64>,
    }

    pub(in super::super) fn run(args: &Verify, format: Format) -> Result<Outcome> {
        let runtime = torch::runtime();
        let (_, file) = hardware_file(args.hardware.as_deref())?;
        let profile = profile(args.profile.as_deref())?;
        let threads = threads(args.threads, profile.as_ref(), &file);
        let fit = fit(profile.as_ref(), args.precision, &file, threads, Some(&runtime))?;
        precisions(&[args.precision], &file)?;
        let networks = networks(args)?;
        let baseline = match &args.baseline {
            None => None,
            Some(path) => {
                let wanted = Subject {
                    hardware: &file.name,
                    runtime: &runtime,
                    threads,
                    precision: args.precision.name(),
                    networks: networks.iter().map(network_name).collect(),
                };
                Some(read_baseline(path, &wanted)?)
            }
        };
        let file = with_threads(&file, threads)?;
        let parts = file.parts()?;
        let device = parts.hardware()?;
        let target = target(&device, Mode::named(args.thermal_profile.as_deref()))?;
        let outputs = args.output.as_deref().map(|output| outputs(output, args.baseline.as_deref())).transpose()?;

        torch::set_threads(threads);
        hardware::warn_if_disturbed();
        eprintln!("measuring {} networks, interleaved", networks.len());
        let Some(records) = measure_all(&networks, args.block_time)? else { return Ok(Outcome::Interrupted) };

        let mut rows = Vec::new();
        let mut skipped = false;
        for record in &records {
            let graph = &networks[record.idx];
            match &record.outcome {
                Measurement::Measured(measured) => {
                    let (p10, median) = (measured.summary.p10_ns / 1e6, measured.summary.median_ns / 1e6);
                    rows.push(row(graph, [p10, median], measured.status.word(), &target, fit.as_ref(), args)?);
                }
                Measurement::Skipped { reason } => {
                    skipped = true;
                    eprintln!("{} skipped: {reason}", graph.name());
                }
            }
        }
        if rows.is_empty() {
            bail!("no network could be measured");
        }
        let mut verdict = verdict(rows, file.name.clone(), runtime, threads, args);
        if let Some(limit) = args.max_mape
            && verdict.mape_pct > limit
        {
            verdict.failed.push(format!("the error is {:.1} %, --max-mape allows {limit} %", verdict.mape_pct));
        }
        if skipped && baseline.is_some() {
            eprintln!("not compared with the baseline, whose error is over all networks");
        } else if let Some(baseline) = baseline
            && verdict.mape_pct > baseline + BASELINE_SLACK
        {
            verdict.failed.push(format!(
                "the error is {:.1} %, the baseline's was {baseline:.1} %: more than {BASELINE_SLACK} points above",
                verdict.mape_pct
            ));
        }

        let text = describe(&verdict, fit.is_some());
        if let Some([table, numbers]) = &outputs {
            write_atomic(numbers, &serde_json::to_string_pretty(&verdict)?)?;
            write_atomic(table, &text)?;
        }
        if json(format) {
            print_json(&verdict)?
        } else {
            say_part!("{text}")
        }
        Ok(match (verdict.failed.is_empty(), skipped) {
            (false, _) => Outcome::CheckFailed,
            (true, true) => Outcome::Skipped,
            (true, false) => Outcome::Done,
        })
    }

    /// What an error is of: two errors are compared only where all of it is the same.
    struct Subject<'a> {
        hardware: &'a str,
        runtime: &'a str,
        threads: u32,
        precision: &'a str,
        networks: Vec<String>,
    }

    /// The error of an earlier output, in percent, if it is of the same subject.
    fn read_baseline(path: &Path, wanted: &Subject<'_>) -> Result<f64> {
        let place = path.display();
        let text = std::fs::read_to_string(path).with_context(|| place.to_string())?;
        let verdict: Verdict = serde_json::from_str(&text)
            .with_context(|| format!("{place}: not the output of `derate verify --format json`"))?;
        let listed = |mut names: Vec<String>| {
            names.sort();
            names.join(", ")
        };
        for (key, found, wanted) in [
            ("hardware", verdict.hardware, wanted.hardware.to_owned()),
            ("runtime", verdict.runtime, wanted.runtime.to_owned()),
            ("threads", verdict.threads.to_string(), wanted.threads.to_string()),
            ("precision", verdict.precision, wanted.precision.to_owned()),
            (
                "rows[].network",
                listed(verdict.rows.into_iter().map(|row| row.network).collect()),
                listed(wanted.networks.clone()),
            ),
        ] {
            ensure!(found == wanted, "{place}: `{key}` is {found}; to be compared with this run it must be {wanted}");
        }
        let mape_pct = verdict.mape_pct;
        ensure!(
            mape_pct.is_finite() && mape_pct >= 0.0,
            "{place}: `mape_pct` is {mape_pct}; it must be a finite number, 0 or more"
        );
        Ok(mape_pct)
    }

    /// The table and the JSON beside it, in a folder that is there; refused where they would replace the baseline.
    fn outputs(table: &Path, baseline: Option<&Path>) -> Result<[PathBuf; 2]> {
        stem_of(table)?;
        let numbers = table.with_extension("json");
        if let (Some(baseline), Ok(there)) = (baseline, numbers.canonicalize())
            && baseline.canonicalize().is_ok_and(|baseline| baseline == there)
        {
            bail!(
                "--output {}: the JSON beside it would replace the baseline {}; give it another name",
                table.display(),
                baseline.display()
            );
        }
        if let Some(folder) = table.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok([table.to_owned(), numbers])
    }

    fn networks(args: &Verify) -> Result<Vec<GraphBuf>> {
        let data_type = args.precision.data_type();
        let mut networks = Vec::new();
        for model in &args.models {
            if model == "mlp" {
                for mlp in Mlp::unseen() {
                    networks.push(mlp.graph(data_type)?);
                }
            } else {
                let graph = zoo::network(model, 1, data_type);
                networks
                    .push(graph.with_context(|| format!("--models {model}: it must be mlp, or a network of the zoo"))?);
            }
        }
        Ok(networks)
    }

    /// Name of a network with its batch; an MLP's with its widths.
    fn network_name(graph: &GraphBuf) -> String {
        let view = graph.view();
        let input = |axis| view.tensors().first().and_then(|tensor| tensor.shape.extent(axis));
        let batch = input(0).unwrap_or(1);
        if !graph.name().starts_with("mlp") {
            return format!("{} @{batch}", graph.name());
        }
        let outputs = view.nodes().iter().filter_map(|node| match node.op {
            Op::Linear(linear) => Some(linear.out_features),
            _ => None,
        });
        let widths = input(1).into_iter().chain(outputs).map(|width| width.to_string());
        format!("mlp {} @{batch}", widths.collect::<Vec<_>>().join("-"))
    }

    fn row(
        graph: &GraphBuf,
        [measured_ms, median_ms]: [f64; 2],
        status: &str,
        target: &Target<'_>,
        fit: Option<&PrecisionFit>,
        args: &Verify,
    ) -> Result<Row> {
        let got = estimates(graph, target, fit, None)?;
        Ok(Row {
            network: network_name(graph),
            measured_ms,
            median_ms,
            status: status.to_owned(),
            estimated_ms: got.estimated_ms,
            error_pct: error_pct(got.estimated_ms, measured_ms),
            interval_ms: got.interval_ms,
            confidence: got.got.confidence.name().to_owned(),
            described_ms: got.described_ms,
            mac_only_ms: got.mac_only_ms,
            plain_roofline_ms: got.plain_roofline_ms,
        })
    }

    fn verdict(rows: Vec<Row>, hardware: String, runtime: String, threads: u32, args: &Verify) -> Verdict {
        let mape = |estimated: &dyn Fn(&Row) -> Option<f64>, keep: &dyn Fn(&Row) -> bool| {
            let pairs: Vec<(f64, f64)> = rows
                .iter()
                .filter(|row| keep(row))
                .filter_map(|row| Some((estimated(row)?, row.measured_ms)))
                .collect();
            ErrorSummary::of(&pairs).map(|summary| summary.mape_pct)
        };
        let is_mlp = |row: &Row| row.network.starts_with("mlp");
        let ours = |row: &Row| Some(row.estimated_ms);
        Verdict {
            mape_pct: mape(&ours, &|_| true).unwrap_or(f64::NAN),
            mlp_mape_pct: mape(&ours, &is_mlp),
            others_mape_pct: mape(&ours, &|row| !is_mlp(row)),
            described_mape_pct: mape(&|row| Some(row.described_ms), &|_| true).unwrap_or(f64::NAN),
            mac_only_mape_pct: mape(&|row| row.mac_only_ms, &|_| true),
            plain_roofline_mape_pct: mape(&|row| row.plain_roofline_ms, &|_| true),
            hardware,
            runtime,
            threads,
            precision: args.precision.name().to_owned(),
            rows,
            failed: Vec::new(),
        }
    }

    fn describe(verdict: &Verdict, calibrated: bool) -> String {
        let mut table = Table::new([
            Left("network"),
            Right("measured ms"),
            Right("estimated ms"),
            Right("error %"),
            Left("confidence"),
            Right("two factors ms"),
            Right("MAC-only ms"),
            Right("plain roofline ms"),
            Left("status"),
        ]);
        let ms = |value: f64| format!("{value:.3}");
        let maybe = |value: Option<f64>| value.map_or("-".to_owned(), ms);
        for row in &verdict.rows {
            table.row([
                row.network.clone(),
                ms(row.measured_ms),
                ms(row.estimated_ms),
                format!("{:+.1}", row.error_pct),
                row.confidence.clone(),
                ms(row.described_ms),
                maybe(row.mac_only_ms),
                maybe(row.plain_roofline_ms),
                row.status.clone(),
            ]);
        }
        let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} %"));
        let mut text = format!(
            "# Verification on {}, {}, {} threads, {}\n\n{}\nmeasured: 10th percentile of interleaved runs. ",
            verdict.hardware,
            verdict.runtime,
            verdict.threads,
            verdict.precision,
            table.markdown()
        );
        text += if calibrated {
            "estimated: by the profile.\n\n"
        } else {
            "estimated: by the description's two factors.\n\n"
        };
        text += &format!(
            "mean absolute error: **{:.1} %** (MLPs {}, other networks {}); two factors {:.1} %, MAC-only {}, plain roofline {}\n",
            verdict.mape_pct,
            percent(verdict.mlp_mape_pct),
            percent(verdict.others_mape_pct),
            verdict.described_mape_pct,
            percent(verdict.mac_only_mape_pct),
            percent(verdict.plain_roofline_mape_pct),
        );
        if verdict.rows.iter().any(|row| row.confidence == "theoretical") {
            text += "\nConfidence `theoretical`: most of the time is in kinds of ops, or sizes, that the calibration never saw.\n";
        }
        for failed in &verdict.failed {
            text += &format!("\nFAILED: {failed}\n");
        }
        text
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_json_beside_a_table_is_never_the_baseline() {
            let folder = tempfile::tempdir().expect("a folder");
            let path = |name: &str| folder.path().join(name);
            std::fs::write(path("base.json"), "{}").expect("written");
            let wrong = outputs(&path("base.md"), Some(&path("./base.json"))).expect_err("the same file").to_string();
            assert!(wrong.contains("would replace the baseline"), "{wrong}");
            assert!(outputs(&path("table.json"), None).expect_err("no Markdown").to_string().contains("name it `.md`"));
            let files = outputs(&path("new/table.md"), Some(&path("base.json"))).expect("another file");
            assert_eq!(files, [path("new/table.md"), path("new/table.json")]);
            assert!(path("new").is_dir(), "made before anything is measured");
        }
    }
}
