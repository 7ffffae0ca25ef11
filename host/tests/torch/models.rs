//! `derate sweep models`: rows of networks and of their ops, a killed sweep that goes on, what is refused.

use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::Folder;
use crate::table::Table;

/// A sweep as short as it can be.
const BRIEF: &str = "sweep models --hardware two_core.toml --rounds 2 --runs 4 --slow-runs 2 --warmup 1 --turn-time 0.002 --no-memory --output m.csv";

#[test]
fn networks_and_their_ops_have_rows() {
    let folder = Folder::new();
    let line = format!("{BRIEF} --zoo tiny_ad --batch 1,2 --threads 1,2 --per-op");
    let ran = folder.derate(&line).exits(0);
    assert!(ran.stdout.starts_with("m.csv: 8 rows written") && ran.stdout.contains("m_per_op.csv"), "{}", ran.stdout);
    let rows = Table::read(&folder.path("m.csv"));
    let graphs = [["zoo:tiny_ad@1"; 4], ["zoo:tiny_ad@2"; 4]].concat();
    assert_eq!(rows.column("graph"), graphs);
    assert_eq!(rows.column("protocol"), ["whole_run", "per_op"].repeat(4));
    assert_eq!(rows.column("threads"), ["1", "1", "2", "2"].repeat(2));
    assert!(rows.numbers("runs").iter().all(|&runs| runs >= 4.0), "{:?}", rows.column("runs"));
    assert_eq!(rows.column("stop"), ["rounds"; 8]);
    assert!(rows.column("pinned").iter().all(|pinned| pinned.starts_with("OMP_PROC_BIND=")));

    // Each op of each run per op has a row; the ops of one add up to about its time.
    let graph = derate::zoo::network("tiny_ad", 1, derate_core::shape::DataType::Fp32).expect("a network");
    let ops = Table::read(&folder.path("m_per_op.csv"));
    let names: Vec<&str> = graph.names().iter().map(String::as_str).collect();
    assert_eq!(ops.column("nodes"), names.repeat(4));
    let of_first: f64 = ops.numbers("mean_ms").iter().take(graph.names().len()).sum();
    let by_row = rows.numbers("mean_ms")[1];
    assert!((of_first / by_row - 1.0).abs() < 1e-3, "{of_first} ms against {by_row} ms");
    assert_eq!(ops.column("input_shapes")[0], "1x640");

    // Complete: kept beside, and measured anew.
    folder.derate(&line).exits(0);
    assert_eq!(
        folder.names(),
        ["m.1.csv", "m.1.csv.journal", "m.1_per_op.csv", "m.csv", "m.csv.journal", "m_per_op.csv", "two_core.toml"]
    );
}

#[test]
fn a_killed_sweep_goes_on_with_the_turns_that_are_left() {
    let folder = Folder::new();
    let brief = BRIEF.replace("--rounds 2", "--rounds 200");
    let line = format!("{brief} --zoo tiny_ad,tiny_kws --batch 1,2 --threads 1");
    let arguments: Vec<&str> = line.split(' ').collect();
    let mut command = folder.command(&arguments);
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let journal = folder.path("m.csv.journal");
    let chunks = || std::fs::read_to_string(&journal).unwrap_or_default().matches("\"chunk\"").count();
    let start = Instant::now();
    while chunks() < 20 && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    let before = chunks();
    assert!((20..4 * 200).contains(&before), "{before} turns");

    let ran = folder.derate(&line).exits(0);
    assert!(ran.stderr.contains("0 of 4 rows are there"), "{}", ran.stderr);
    // Half a line at the most was lost with the process; no turn is taken twice.
    let all = chunks();
    assert!((4 * 200..=4 * 200 + 1).contains(&all), "{all} turns");
    assert_eq!(Table::read(&folder.path("m.csv")).column("graph").len(), 4);
}

#[test]
fn files_are_networks_and_too_large_batches_are_left_out() {
    let folder = Folder::new();
    let graph = "{\"format\": \"derate-graph\", \"version\": 1, \"name\": \"small\", \
        \"tensors\": [{\"name\": \"x\", \"kind\": \"input\", \"shape\": [\"batch\", 64], \"data_type\": \"fp32\"}], \
        \"ops\": [{\"name\": \"fc\", \"op\": \"linear\", \"operands\": [\"x\"], \"in_features\": 64, \"out_features\": 8, \"bias\": true}]}";
    folder.write("small.json", graph);
    // 512 MACs a sample: 2e-6 billion leave room for three.
    let ran = folder.derate(&format!("{BRIEF} small.json --batch 1,3,4 --max-gmac 0.000002 --no-pin")).exits(0);
    assert!(ran.stderr.contains("left out") && ran.stderr.contains("small batch 4"), "{}", ran.stderr);
    let rows = Table::read(&folder.path("m.csv"));
    assert_eq!((rows.column("graph"), rows.column("batch_size")), (vec!["small.json"; 2], vec!["1", "3"]));
    assert_eq!(rows.column("pinned"), [""; 2]);
    folder.derate(&format!("{BRIEF} small.json --batch 4 --max-gmac 0.000002")).refused(&["--max-gmac"]);
    folder.derate(&format!("{BRIEF} small.json --batch 2")).refused(&["m.csv", "not in this plan"]);
}

#[test]
fn what_cannot_run_is_refused() {
    let folder = Folder::new();
    folder.derate(&format!("{BRIEF} --zoo resnet17")).refused(&["resnet17", "resnet18"]);
    folder.derate(&format!("{BRIEF} --zoo tiny_ad --precision int8")).refused(&["--precision int8", "fp32"]);
    if derate::torch::cuda::load().is_ok() {
        println!("skipped: what_cannot_run_is_refused: there is a CUDA device");
        return;
    }
    folder.derate(&format!("{BRIEF} --zoo tiny_ad --device cuda")).refused(&[
        "--device cuda",
        "NVIDIA GPU",
        "LIBTORCH",
    ]);
    assert_eq!(folder.names(), ["two_core.toml"]);
}
