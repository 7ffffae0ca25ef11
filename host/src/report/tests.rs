//! A report on six networks whose numbers can be checked by hand.
//!
//! On the two-core CPU (96 KiB, 2 MiB, 32 MiB of cache), each row's time is made from its FLOPs, so that the time per FLOP of a
//! scenario, and with it every slowdown, is a round number; each estimate is the time at a round error.

use derate_core::calibration::{
    COEFFICIENTS, Calibration, Coefficients, Hull, Intervals, MODEL_VERSION, Protocol, Runtime,
};
use derate_core::estimate::Target;
use derate_core::graph::Tables;
use derate_core::shape::Precision;

use super::*;
use crate::calibrate::fit::Parameter;
use crate::calibrate::holdout::Fitted;
use crate::calibrate::model::Model;
use crate::calibrate::tests::with_two_core_cpu;
use crate::calibrate::{Dataset, ErrorSummary, Grade, Row, Statistic, Study};
use crate::sweep::Scenario;
use crate::zoo::Mlp;

/// Width, batch, time per FLOP in ns, held-out error of the calibrated model in percent, memory measured.
type Given = (u32, u32, f64, f64, Option<f64>);

/// Two networks in L1 (w² · 8 B of weights: 33 kB), two in L2 (524 kB), two in DRAM (134 MB); all of one hidden layer.
const GIVEN: [Given; 6] = [
    (64, 1, 1.0, 4.0, None),
    (64, 8, 1.0, -8.0, None),
    (256, 1, 2.0, 2.0, Some(1.0)),
    (256, 64, 2.0, 6.0, Some(0.5)),
    (4096, 1, 5.0, -34.0, None),
    (4096, 8, 3.0, 9.0, None),
];

fn dataset(given: &[Given]) -> Dataset {
    let row = |(at, &(width, batch, ns_per_flop, _, memory_share)): (usize, &Given)| {
        let mlp = Mlp { input_dim: width, hidden_dims: vec![width], output_dim: width, batch };
        let graph = mlp.graph(Precision::Fp32.data_type()).expect("valid");
        let flops = graph.view().total_work().expect("small").flops.0 as f64;
        let footprint = graph.footprint().and_then(|footprint| footprint.total()).expect("small").0 as f64;
        Row {
            place: format!("x.csv:{}", at + 2),
            net: mlp.into(),
            precision: Precision::Fp32,
            seconds: flops * ns_per_flop * 1e-9,
            memory: memory_share.map(|share| footprint / share),
            disturbed: width == 4096 && batch == 1,
        }
    };
    Dataset {
        files: vec!["my data/x.csv".into()],
        sha256: "ab".repeat(32),
        statistic: Statistic::P10,
        device: "cpu".into(),
        hardware: None,
        runtime: Some("libtorch-2.11.0".into()),
        threads: Some(2),
        rows: given.iter().enumerate().map(row).collect(),
        skipped: 3,
    }
}

/// A study whose models are off by round numbers: before −50 %, two factors +20 %, baselines +40 and +100 %, in-sample 0 %.
fn study(given: &[Given], dataset: &Dataset) -> Study {
    let measured: Vec<f64> = dataset.rows.iter().map(|row| row.seconds).collect();
    let off = |errors: &dyn Fn(usize) -> f64| -> Vec<f64> {
        measured.iter().enumerate().map(|(at, seconds)| seconds * (1.0 + errors(at) / 100.0)).collect()
    };
    let summary = |estimated: &[f64]| {
        let pairs: Vec<(f64, f64)> = estimated.iter().copied().zip(measured.iter().copied()).collect();
        ErrorSummary::of(&pairs).expect("rows")
    };
    let fitted = |model: Model, values: Vec<f64>, held_out: Vec<f64>| {
        let in_sample = measured.clone();
        let (in_sample_error, held_out_error) = (summary(&in_sample), summary(&held_out));
        let parameter = |name| Parameter { name, prior: 0.7, prior_sd: 1.0, low: 0.01, high: 1.5 };
        let names = if values.len() > 2 { COEFFICIENTS.map(|c| c.name).to_vec() } else { vec!["a", "b"] };
        Fitted {
            model,
            parameters: values.iter().zip(names).map(|(_, name)| parameter(name)).collect(),
            standard_errors: values.iter().map(|value| if *value == 0.01 { 0.1 } else { 1.0 }).collect(),
            values,
            in_sample,
            held_out,
            in_sample_error,
            held_out_error,
        }
    };
    let before = off(&|_| -50.0);
    // The first coefficient at its lower bound; everything else stays at its prior.
    let mut values = vec![0.7; COEFFICIENTS.len()];
    values[0] = 0.01;
    Study {
        precision: Precision::Fp32,
        rows: (0..measured.len()).collect(),
        before_error: summary(&before),
        before,
        fitted: vec![
            fitted(Model::Calibrated, values, off(&|at| given[at].3)),
            fitted(Model::TwoFactors, vec![0.63, 0.01], off(&|_| 20.0)),
            fitted(Model::PlainRoofline, vec![1e11, 1e10], off(&|_| 40.0)),
            fitted(Model::MacOnly, vec![1e-11], off(&|_| 100.0)),
        ],
        calibration: Calibration {
            model_version: MODEL_VERSION,
            runtime: Runtime::EagerCpu,
            protocol: Protocol::WholeRun,
            threads: 2,
            coefficients: Coefficients::NEUTRAL,
            hulls: [Hull::EMPTY; 14],
            // e^(2 · 0.168) = 1.4.
            intervals: Some(Intervals { ops: [[[-0.1, 0.3]; 3]; 5], common: 0.168_236, own: 0.0, quantile: 2.0 }),
        },
        folds: 5,
    }
}

fn with_analysis<R>(given: &[Given], body: impl FnOnce(&Analysis) -> R) -> R {
    with_two_core_cpu(|hardware| {
        let target = Target::new(hardware).expect("valid");
        let dataset = dataset(given);
        let subject = Subject {
            target: &target,
            hardware_file: None,
            profile: "results/p.profile.json",
            date: "2026-01-01T00:00:00Z",
        };
        body(&analyze(&dataset, &[study(given, &dataset)], &subject).expect("one study"))
    })
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn errors_by_hand() {
    with_analysis(&GIVEN, |analysis| {
        // (4 + 8 + 2 + 6 + 34 + 9) / 6 = 10.5 %.
        assert!(near(analysis.error.after_held_out.summary.mape_pct, 10.5));
        assert!(near(analysis.error.before.summary.mape_pct, 50.0));
        assert!(near(analysis.error.after_in_sample.summary.mape_pct, 0.0));
        let models = &analysis.precisions[0].models;
        let held_out = [&models.two_factors, &models.plain_roofline, &models.mac_only]
            .map(|model| model.held_out.summary.mape_pct);
        assert!(held_out.into_iter().zip([20.0, 40.0, 100.0]).all(|(got, want)| near(got, want)), "{held_out:?}");
        // Footprint 1.0 and 0.5 of the measured memory: 0 and −50 %.
        let memory = &analysis.precisions[0].memory;
        assert_eq!((memory.measured_rows, memory.unmeasured_rows), (2, 4));
        assert!(memory.error.as_ref().is_some_and(|error| near(error.summary.mape_pct, 25.0)));
    });
}

#[test]
fn splits_by_hand() {
    with_analysis(&GIVEN, |analysis| {
        let splits = &analysis.precisions[0].splits;
        let seen = |groups: &[Group]| -> Vec<(String, usize, f64)> {
            groups
                .iter()
                .map(|group| (group.value.clone(), group.rows, (group.calibrated.summary.mape_pct * 1e6).round() / 1e6))
                .collect()
        };
        // 64 rows through 256 × 256: 2 · 64 · 2 · 256² FLOPs over 526 kB of weights and 131 kB of input and output, 26 FLOP/B.
        // (64, 8) has 5 FLOP/B, 4096 at batch 8 has 4, batch 1 always 0.5.
        assert_eq!(seen(&splits.regime), [("compute-bound".into(), 1, 6.0), ("memory-bound".into(), 5, 11.4)]);
        assert_eq!(seen(&splits.batch), [("1".into(), 3, 13.333_333), ("8".into(), 2, 8.5), ("64".into(), 1, 6.0)]);
        assert_eq!(seen(&splits.layers), [("1".into(), 6, 10.5)]);
        assert_eq!(
            seen(&splits.scenario),
            [("L1_fit".into(), 2, 6.0), ("L2_fit".into(), 2, 4.0), ("DRAM_spill".into(), 2, 21.5)]
        );
        assert_eq!(seen(&splits.disturbance), [("undisturbed".into(), 5, 5.8), ("disturbed".into(), 1, 34.0)]);
        assert!(splits.batch.iter().all(|group| near(group.before.summary.bias_pct, -50.0)));
    });
}

#[test]
fn slowdowns_compare_like_with_like() {
    with_analysis(&GIVEN, |analysis| {
        let seen: Vec<_> = analysis.precisions[0]
            .slowdowns
            .iter()
            .map(|slowdown| (slowdown.scenario, slowdown.rows, slowdown.pairs, slowdown.observed))
            .collect();
        // L2: batch 1 alone is in both, 2 / 1; its batch 64 has no partner. DRAM: 5 / 1 and 3 / 1, median 4. Nothing in L3.
        let want = [
            (Scenario::L2_fit, 2, 1, Some(2.0)),
            (Scenario::L3_fit, 0, 0, None),
            (Scenario::DRAM_spill, 2, 2, Some(4.0)),
        ];
        for (seen, want) in seen.iter().zip(want) {
            assert_eq!((seen.0, seen.1, seen.2), (want.0, want.1, want.2));
            assert_eq!(seen.3.map(|ratio| (ratio * 1e9).round() / 1e9), want.3);
        }
        // Estimates that are off by the same share everywhere expect the same ratio.
        let dram = &analysis.precisions[0].slowdowns[2];
        assert!(dram.expected_before.is_some_and(|ratio| near(ratio, 4.0)));
        assert!(dram.expected.is_some_and(|ratio| near(ratio, 4.0)));
    });
}

#[test]
fn worst_rows_and_factors() {
    with_analysis(&GIVEN, |analysis| {
        let of = &analysis.precisions[0];
        let errors: Vec<f64> = of.worst_rows.iter().map(|row| row.held_out_error_pct.round()).collect();
        assert_eq!(errors, [-34.0, 9.0, -8.0, 6.0, 4.0]);
        assert_eq!((of.worst_rows[0].place.as_str(), of.worst_rows[0].disturbed), ("x.csv:6", true));
        // 0.7 → 0.63 is −10 %; 0.01 is the lower bound of a factor.
        let [efficiency, memory] = [of.factors.efficiency_factor, of.factors.memory_bottleneck_factor];
        assert!(near(efficiency.current, 0.7) && near(efficiency.change_pct, -10.0));
        assert_eq!((efficiency.at_bound, memory.at_bound), (false, true));
        let flags: Vec<_> = of.coefficients.iter().map(|c| (c.at_bound, c.at_prior)).take(2).collect();
        assert_eq!(flags, [(true, false), (false, true)]);
    });
}

#[test]
fn few_rows_ask_for_a_full_sweep() {
    with_analysis(&GIVEN, |analysis| {
        let next = &analysis.precisions[0].next_sweeps;
        assert_eq!(next.len(), 1);
        assert_eq!(
            next[0].command,
            "derate sweep mlp --full --device cpu --threads 2 --output results/mlp_sweep_full_cpu.csv"
        );
        assert!(next[0].reason.starts_with("6 rows cannot tell"), "{}", next[0].reason);
    });
}

#[test]
fn many_rows_ask_for_what_is_scarce_and_what_is_heavy() {
    // Widths of 64 to 104 are in L1, of 512 to 592 in L3; all at 2 % but L3 at batch 1, which holds the error up.
    let mut given = Vec::new();
    for at in 0..6 {
        for batch in [1, 2, 4] {
            given.push((64 + 8 * at, batch, 1.0, 2.0, None));
            given.push((1024 + 16 * at, batch, 1.0, if batch == 1 { 40.0 } else { 2.0 }, None));
        }
    }
    with_analysis(&given, |analysis| {
        let next: Vec<_> = analysis.precisions[0].next_sweeps.iter().map(|next| next.command.as_str()).collect();
        let end = "--device cpu --threads 2 --output results/mlp_sweep";
        assert_eq!(
            next,
            [
                format!("derate sweep mlp --scenario L2_fit {end}_L2_fit_cpu.csv"),
                format!("derate sweep mlp --scenario DRAM_spill {end}_DRAM_spill_cpu.csv"),
                // Batch 1 carries 6 · 40 + 6 · 2 − 12 · mean, mean = 300/36; L3 carries 6 · 40 + 12 · 2 − 18 · mean: less.
                format!("derate sweep mlp --full --batch 1 {end}_full_batch1_cpu.csv"),
            ]
        );
        let heavy = &analysis.precisions[0].next_sweeps[2];
        // 252 of 300; 12 of 36 rows; 252 / 12.
        assert_eq!(
            heavy.reason,
            "Rows of batch 1 carry 84.0 % of the summed error with 33.3 % of the rows: held-out MAPE 21.0 % over 12 rows."
        );
        assert_eq!(heavy.then, "derate calibrate --input 'my data/x.csv' results/mlp_sweep_full_batch1_cpu.csv");
    });
}

#[test]
fn even_errors_ask_for_nothing_heavy() {
    let mut given = Vec::new();
    for at in 0..10 {
        for width in [64, 256, 1024, 3200] {
            given.push((width, 1 + at, 1.0, if at % 2 == 0 { 5.0 } else { -5.0 }, None));
        }
    }
    with_analysis(&given, |analysis| assert_eq!(analysis.precisions[0].next_sweeps, []));
}

#[test]
fn json_has_the_keys_of_scripts() {
    with_analysis(&GIVEN, |analysis| {
        let text = serde_json::to_string(analysis).expect("serializes");
        let json: serde_json::Value = serde_json::from_str(&text).expect("parses");
        for (at, want) in [
            ("/error/before/mape_pct", 50.0),
            ("/error/after_held_out/mape_pct", 10.5),
            ("/error/after_in_sample/mape_pct", 0.0),
            ("/precisions/0/models/two_factors/held_out/mape_pct", 20.0),
            ("/precisions/0/factors/efficiency_factor/recommended", 0.63),
            ("/precisions/0/memory/error/mape_pct", 25.0),
        ] {
            let got = json.pointer(at).and_then(serde_json::Value::as_f64);
            assert!(got.is_some_and(|got| near(got, want)), "{at}: {got:?}");
        }
        for (at, want) in [
            ("/format", "1"),
            ("/grade", "\"good\""),
            ("/precisions/0/precision", "\"fp32\""),
            ("/precisions/0/coefficients/0/name", "\"conv_throughput\""),
            ("/precisions/0/coefficients/0/value", "0.01"),
            ("/precisions/0/worst_rows/0/scenario", "\"DRAM_spill\""),
            ("/precisions/0/worst_rows/0/regime", "\"memory\""),
            ("/precisions/0/points/5/batch", "8"),
            ("/precisions/0/slowdowns/1/observed", "null"),
            ("/apply_command", "\"derate apply results/p.profile.json\""),
            ("/provenance/statistic", "\"p10\""),
            ("/provenance/skipped", "3"),
        ] {
            assert_eq!(json.pointer(at).map(ToString::to_string).as_deref(), Some(want), "{at}");
        }
    });
}

#[test]
fn markdown_says_what_matters_first() {
    with_analysis(&GIVEN, |analysis| {
        assert_eq!(analysis.grade, Grade::Good);
        let plots = plots(analysis, "x").expect("drawn");
        let text = markdown(analysis, &plots);
        // Padding is the table's business.
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[0], "# Calibration of two-core (cpu)");
        assert_eq!(
            lines[2],
            "**fp32: good.** The error of estimated times (MAPE) goes from **50.0 %** before to **10.5 %** after calibration, held out, \
             on 6 rows; in-sample it is 0.0 %. Held out as well: two factors 20.0 %, plain roofline 40.0 %, MAC-only 100 %."
        );
        for line in [
            "derate apply results/p.profile.json --dry-run",
            "| **after: calibrated model** | held out | 10.5 % | good | 7.0 % | −3.5 % | 2.0 % | 34.0 % | 11.8 % | 0.983 | 83.3 % |",
            "| `efficiency_factor` | 0.700 | 0.630 | −10.0 % | |",
            "| scenario | L1_fit | 2 | 50.0 % | 20.0 % | 6.0 % | excellent | −2.0 % | 8.0 % |",
            "| DRAM_spill | 2 | 2 | 4.00× | 4.00× | 4.00× |",
            "| mlp 4096-4096-4096 @1 fp32 | x.csv:6 | 335.6 | 221.5 | −34.0 % | disturbed |",
            "| below 10 % | excellent | use it, for networks like the ones measured |",
            "| rows | 6 measured, 3 skipped |",
            "| time of a row | 10th percentile (p10_ms) |",
            "![Estimated against measured time, two-core, fp32](x_fp32_times.svg)",
        ] {
            assert!(lines.iter().any(|got| got == line), "no line {line:?} in\n{text}");
        }
        assert!(text.contains(
            "1 row is marked as disturbed, and fitted like the others: the held-out MAPE is 34.0 % there, 5.8 %"
        ));
        assert!(text.contains("Nothing to compare for L3_fit"));
        assert!(!text.contains("\n\n\n") && text.ends_with("|\n"));
    });
}

/// Names of the tags that are opened and not closed; fails where one is closed that is not open.
fn open_tags(svg: &str) -> Vec<&str> {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let tag = tag.split('>').next().expect("before >");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().expect("a name"));
        }
    }
    open
}

#[test]
fn plots_are_whole_and_labelled() {
    with_analysis(&GIVEN, |analysis| {
        let mut analysis = analysis.clone();
        analysis.provenance.hardware = "a < b & c".into();
        let plots = plots(&analysis, "x").expect("drawn");
        let files: Vec<&str> = plots.iter().map(|plot| plot.file.as_str()).collect();
        assert_eq!(files, ["x_fp32_errors.svg", "x_fp32_times.svg", "x_fp32_intensity.svg"]);
        let labels: [&[&str]; 3] = [
            &["before", "MAC-only", "plain roofline", "two factors", "calibrated", "50.0 %", "10.5 %"],
            &["measured time, ms", "estimated time, ms", "calibrated, held out", "within ±10 %", "100"],
            &["operational intensity, FLOP/B", "memory-bound", "compute-bound", "−30 %"],
        ];
        for (plot, labels) in plots.iter().zip(labels) {
            assert_eq!(open_tags(&plot.svg), [""; 0], "{}", plot.file);
            assert!(plot.svg.contains("a &lt; b &amp; c"), "{}", plot.file);
            let texts: Vec<&str> = plot.svg.lines().map(str::trim).collect();
            for label in labels {
                assert!(texts.contains(label), "no {label:?} in {}", plot.file);
            }
            assert!(!plot.svg.contains("NaN") && !plot.svg.contains("-2147483648"), "{}", plot.file);
        }
        // One mark for each row and series.
        assert_eq!(plots[1].svg.matches("<circle").count(), 6 + 1);
    });
}

#[test]
fn rows_without_an_estimate_are_dashes_not_failures() {
    with_two_core_cpu(|hardware| {
        let target = Target::new(hardware).expect("valid");
        let dataset = dataset(&GIVEN);
        let mut study = study(&GIVEN, &dataset);
        study.fitted[0].held_out[2] = f64::NAN;
        study.fitted[0].in_sample.clear();
        let subject = Subject { target: &target, hardware_file: None, profile: "p.json", date: "2026-01-01T00:00:00Z" };
        let analysis = analyze(&dataset, &[study], &subject).expect("one study");
        assert_eq!(analysis.precisions[0].worst_rows[0].place, "x.csv:4");
        let text = markdown(&analysis, &plots(&analysis, "x").expect("drawn"));
        assert!(text.contains("|       — |") && !text.contains("NaN"), "{text}");
        let json = serde_json::to_value(&analysis).expect("serializes");
        assert!(json.pointer("/precisions/0/points/2/held_out_ms").is_some_and(serde_json::Value::is_null));
    });
}

#[test]
fn what_does_not_belong_together_is_refused() {
    with_two_core_cpu(|hardware| {
        let target = Target::new(hardware).expect("valid");
        let dataset = dataset(&GIVEN);
        let subject = Subject { target: &target, hardware_file: None, profile: "p.json", date: "2026-01-01T00:00:00Z" };
        let refused = |studies: &[Study]| analyze(&dataset, studies, &subject).expect_err("refused").to_string();
        assert_eq!(refused(&[]), "no precision was studied: there is nothing to report");
        let mut foreign = study(&GIVEN, &dataset);
        foreign.rows[5] = 6;
        assert!(refused(&[foreign]).ends_with("its row 6 is none of fp32 among the 6 rows"));
        let mut without = study(&GIVEN, &dataset);
        without.fitted.pop();
        assert_eq!(refused(&[without]), "the study of fp32 has no fit of the MAC-only");
    });
}

#[test]
fn a_report_is_written_with_all_it_names() {
    with_analysis(&GIVEN, |analysis| {
        let folder = tempfile::tempdir().expect("a folder");
        let files = write(&folder.path().join("new/r.md"), analysis).expect("written");
        let names: Vec<String> =
            files.iter().map(|file| file.file_name().expect("a name").to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["r.md", "r_fp32_errors.svg", "r_fp32_times.svg", "r_fp32_intensity.svg", "r.json"]);
        let text = std::fs::read_to_string(&files[0]).expect("a report");
        assert!(names[1..4].iter().all(|name| text.contains(&format!("]({name})"))));
        assert!(files.iter().all(|file| file.exists()));
        // The JSON beside it would take this name.
        let error = write(&folder.path().join("r.json"), analysis).expect_err("refused").to_string();
        assert!(error.contains("r.json: a report is Markdown"), "{error}");
    });
}
