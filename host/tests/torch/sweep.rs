//! `derate sweep mlp` from start to end: the columns, the counts in them, the second time, other precisions, too much memory.

use derate_core::shape::Precision;

use crate::BRIEF;
use crate::common::{COLUMNS, Folder, number};
use crate::table::Table;

/// FLOPs of an MLP by hand: two for each MAC, one for each bias, one for each ReLU.
fn flops(input: u64, hidden: &[u64], output: u64, batch: u64) -> u64 {
    let widths = [&[input], hidden, &[output]].concat();
    let macs: u64 = widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let relus: u64 = hidden.iter().sum();
    batch * (2 * macs + (relus + output) + relus)
}

#[test]
fn quick_gives_five_rows_with_the_published_columns_and_again_a_comparison() {
    let folder = Folder::new();
    let line = format!("{BRIEF} --quick");
    let ran = folder.derate(&line).exits(0);
    assert!(ran.stdout.starts_with("sweep.csv: 5 rows written"), "{}", ran.stdout);
    let text = folder.read("sweep.csv");
    assert!(text.starts_with(&format!("{COLUMNS},")), "{}", text.lines().next().unwrap_or_default());

    let rows = Table::read(&folder.path("sweep.csv"));
    let networks = [
        "128-[128]-64@1",
        "512-[512, 512]-128@32",
        "2048-[4096]-1024@1",
        "1024-[1024, 1024, 1024]-256@128",
        "784-[1024, 512, 256, 128]-10@64",
    ];
    assert_eq!(rows.networks(), networks);
    assert_eq!(rows.column("model"), ["mlp_1layer", "mlp_2layer", "mlp_1layer", "mlp_3layer", "mlp_4layer"]);
    assert_eq!((rows.column("device"), rows.column("precision")), (vec!["cpu"; 5], vec!["fp32"; 5]));
    let counted = [
        flops(128, &[128], 64, 1),
        flops(512, &[512, 512], 128, 32),
        flops(2048, &[4096], 1024, 1),
        flops(1024, &[1024; 3], 256, 128),
        flops(784, &[1024, 512, 256, 128], 10, 64),
    ];
    assert_eq!(counted[0], 2 * (128 * 128 + 128 * 64) + (128 + 64) + 128);
    assert_eq!(rows.column("analytical_flops"), counted.map(|flops| flops.to_string()));

    let [time, estimated, error] =
        ["empirical_time_ms", "analytical_time_ms", "time_error_pct"].map(|name| rows.numbers(name));
    let (batch, throughput) = (rows.numbers("batch_size"), rows.numbers("empirical_throughput"));
    let [memory, footprint] = ["empirical_memory_mb", "analytical_memory_mb"].map(|name| rows.numbers(name));
    for row in 0..5 {
        assert!(time[row] > 0.0 && memory[row] > 0.0, "{} ms, {} MB", time[row], memory[row]);
        let by_hand = (estimated[row] - time[row]).abs() / time[row] * 100.0;
        assert!((error[row] / by_hand - 1.0).abs() < 1e-3, "{} % against {by_hand} %", error[row]);
        let by_hand = batch[row] / (time[row] / 1e3);
        assert!((throughput[row] / by_hand - 1.0).abs() < 1e-3, "{} against {by_hand} a second", throughput[row]);
    }
    // Parameters, and a ReLU's input beside its output: 4 B · (2048·4096 + 4096 + 4096·1024 + 1024 + 2·4096) = 50.384896 MB.
    assert_eq!(rows.column("analytical_memory_mb")[2], "50.3849");
    // The smaller networks drown in what libtorch takes for itself.
    assert!((memory[2] / footprint[2] - 1.0).abs() < 0.25, "{} MB of {} MB", memory[2], footprint[2]);

    let kept = [text, folder.read("sweep.csv.journal")];
    let ran = folder.derate(&format!("{line} --format json")).exits(0);
    assert!(ran.stderr.contains("kept as sweep.1.csv"), "{}", ran.stderr);
    assert_eq!([folder.read("sweep.1.csv"), folder.read("sweep.1.csv.journal")], kept);
    assert_eq!(Table::read(&folder.path("sweep.csv")).networks(), networks);
    let json = ran.json();
    for (key, value) in [("configurations", 5), ("rows", 5), ("resumed", 0), ("skipped", 0)] {
        assert_eq!(json[key], value, "{key}");
    }
    assert_eq!((&json["output"], &json["interrupted"]), (&"sweep.csv".into(), &false.into()));
    let compared = json["comparison"]["rows"].as_array().expect("a comparison");
    assert_eq!(compared.len(), 5);
    for row in compared {
        let by_hand = number(row, "second_ns") / number(row, "first_ns") - 1.0;
        assert!((number(row, "relative") - by_hand).abs() < 1e-9, "{row}");
    }

    // A third time, for people; and what the sweep measured can be calibrated as it is.
    let ran = folder.derate(&line).exits(0);
    assert!(ran.stdout.contains("against sweep.2.csv:"), "{}", ran.stdout);
    for network in networks {
        assert!(ran.stdout.contains(&format!("{network} fp32")), "{}", ran.stdout);
    }
    let calibrate = "calibrate --input sweep.csv --hardware two_core.toml --output report.md --format json";
    let json = folder.derate(calibrate).exits(0).json();
    assert_eq!(json["provenance"]["statistic"], "p10");
    assert_eq!(json["provenance"]["runtime"].as_str(), rows.column("runtime").first().copied());
    assert_eq!((number(&json, "provenance.rows"), number(&json, "provenance.threads")), (5.0, 2.0));
}

#[test]
fn a_network_that_does_not_fit_is_skipped_with_its_reason() {
    let folder = Folder::new();
    folder.write(
        "spec.toml",
        "input_dim = [200000]\nhidden = [\n\
         { hidden_dims = [64], output_dim = 10 },\n{ hidden_dims = [200000], output_dim = 10 },\n\
         { hidden_dims = [32], output_dim = 10 },\n]\nbatch_size = [1]\n",
    );
    let line = format!("{BRIEF} --spec spec.toml --format json");
    let json = folder.derate(&line).exits(3).json();
    assert_eq!((&json["rows"], &json["skipped"]), (&3.into(), &1.into()));
    let rows = Table::read(&folder.path("sweep.csv"));
    assert_eq!(rows.networks(), ["200000-[64]-10@1", "200000-[200000]-10@1", "200000-[32]-10@1"]);
    let status = rows.column("status");
    assert!(status[1] == "skipped" && status[0] != "skipped" && status[2] != "skipped", "{status:?}");
    // 4 B · 200000² = 160 GB.
    let reason = rows.column("reason")[1];
    assert!(reason.starts_with("160010 MB needed") && reason.ends_with("MB available"), "{reason}");
    let (time, estimate) = (rows.column("empirical_time_ms"), rows.numbers("analytical_time_ms"));
    assert!(time[1].is_empty() && !time[0].is_empty() && estimate[1] > 1e3, "{time:?} {estimate:?}");
}

#[test]
fn precisions_and_batches_of_the_command_line_are_measured() {
    let runs_bf16 = derate::torch::precisions().contains(&Precision::Bf16);
    let folder = Folder::new();
    folder
        .write("spec.toml", "input_dim = [96]\nhidden = [{ hidden_dims = [80], output_dim = 8 }]\nbatch_size = [1]\n");
    let line = format!("{BRIEF} --spec spec.toml --batch 2,3 --precision bf16,fp32");
    if !runs_bf16 {
        folder.derate(&line).refused(&["bf16", "fp32 do"]);
        return;
    }
    folder.derate(&line).exits(0);
    let rows = Table::read(&folder.path("sweep.csv"));
    assert_eq!(rows.column("precision"), ["bf16", "bf16", "fp32", "fp32"]);
    assert_eq!(rows.column("batch_size"), ["2", "3", "2", "3"]);
    // Half the bytes for the same network.
    let footprint = rows.numbers("analytical_memory_mb");
    assert!((footprint[2] / footprint[0] - 2.0).abs() < 1e-3, "{footprint:?}");
}
