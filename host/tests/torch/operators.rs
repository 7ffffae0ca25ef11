//! `derate sweep operators` from start to end: columns, classes, protocols; stopped and resumed; what is large in a process of its own.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use derate::hardware_file::HardwareFile;
use derate::import::inline::{describe, graph_of};
use derate_core::shape::DataType;

use crate::common::documented::has_keys_of;
use crate::common::{COLUMNS, Folder, TWO_CORE, number};
use crate::table::Table;

const LINE: &str = "sweep operators --hardware two_core.toml --output sweep.csv --threads 2";

#[test]
fn a_short_sweep_measures_classes_and_protocols_and_is_resumed() {
    let folder = Folder::new();
    let json = folder.derate(&format!("{LINE} --budget 3s --format json")).exits(0).json();
    let verbs = "`sweep operators`, `gemm`, `elementwise`";
    let of_passes = ["precision", "threads", "configurations", "resumed", "rows", "skipped", "disturbed", "seconds"];
    let of_classes = ["op_class", "protocol", "shapes", "runs", "median_spread_pct", "median_ms", "mad_ms"];
    has_keys_of(&json, verbs, &[&of_passes[..], &of_classes].concat());
    let pass = &json["passes"][0];
    has_keys_of(pass, verbs, &[&["output", "passes", "classes"], &of_classes[..]].concat());
    let others = ["output", "passes", "classes", "interrupted", "mad_ms"];
    let not_of_classes = ["precision", "threads", "configurations", "resumed", "rows", "seconds"];
    has_keys_of(&json["classes"][0], verbs, &[&others[..], &not_of_classes].concat());
    assert_eq!((&pass["precision"], &pass["threads"]), (&"fp32".into(), &2.into()));
    let (rows, seconds) = (number(pass, "rows"), number(pass, "seconds"));
    // One block may begin just before the time is over.
    assert!(rows >= 2.0 && number(pass, "configurations") > 1_000.0 && seconds >= 3.0, "{pass}");

    let text = folder.read("sweep.csv");
    let after = COLUMNS.split_once("batch_size").expect("a batch").1;
    let header = "model,op_class,graph,protocol,regime,working_set_mb,border,batch_size";
    assert!(text.starts_with(&format!("{header}{after},")), "{}", text.lines().next().unwrap_or_default());
    let table = Table::read(&folder.path("sweep.csv"));
    assert_eq!(table.column("graph").len() as f64, rows);
    for (((graph, protocol), class), (time, runs)) in table
        .column("graph")
        .into_iter()
        .zip(table.column("protocol"))
        .zip(table.column("op_class"))
        .zip(table.numbers("empirical_time_ms").into_iter().zip(table.numbers("runs")))
    {
        let read = graph_of(graph, DataType::Fp32).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(describe(&read).as_deref(), Some(graph));
        assert_eq!(protocol == "in_sequence", class == "sequence", "{graph}");
        assert!(time > 0.0 && runs >= 5.0, "{graph}: {time} ms, {runs} runs");
    }
    let classes = json["classes"].as_array().expect("a list");
    let counted: f64 = classes.iter().map(|class| number(class, "shapes")).sum();
    assert_eq!(counted, rows);

    // The budget is spent: nothing is measured, nothing is lost; a larger one goes on.
    let ran = folder.derate(&format!("{LINE} --budget 1s")).exits(0);
    assert!(ran.stdout.contains("its budget is spent"), "{}", ran.stdout);
    assert_eq!(folder.read("sweep.csv"), text);
    let json = folder.derate(&format!("{LINE} --budget 8s --format json")).exits(0).json();
    assert_eq!(number(&json["passes"][0], "resumed"), rows);
    assert!(number(&json["passes"][0], "rows") >= 1.0);
    let resumed = folder.read("sweep.csv");
    assert!(resumed.starts_with(&text), "rows were lost");
    let table = Table::read(&folder.path("sweep.csv"));
    let keys: HashSet<(&str, &str)> = table.column("graph").into_iter().zip(table.column("protocol")).collect();
    assert_eq!(keys.len(), resumed.lines().count() - 1, "a row was measured twice");
    // Another selection is another sweep.
    folder
        .derate("sweep gemm --hardware two_core.toml --output sweep.csv --budget 1s")
        .refused(&["another output file"]);
}

#[test]
fn a_killed_sweep_keeps_whole_rows_and_goes_on() {
    let folder = Folder::new();
    let line = "sweep elementwise --hardware two_core.toml --output sweep.csv --budget 6s --protocol warm";
    let arguments: Vec<&str> = line.split(' ').collect();
    let mut child = folder.command(&arguments).stderr(Stdio::null()).spawn().expect("the program starts");
    let rows = || std::fs::read_to_string(folder.path("sweep.csv")).map_or(0, |text| text.matches('\n').count());
    for _ in 0..1_500 {
        if rows() > 8 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("its status");
    let before = rows();
    assert!(before > 1, "nothing was measured");
    let json = folder.derate(&format!("{line} --format json")).exits(0).json();
    assert!(number(&json["passes"][0], "resumed") >= before as f64 - 1.0);
    let table = Table::read(&folder.path("sweep.csv"));
    assert!(table.column("protocol").iter().all(|protocol| *protocol == "warm"));
    let graphs = table.column("graph");
    assert_eq!(graphs.iter().collect::<HashSet<_>>().len(), graphs.len());
}

#[test]
fn what_is_large_runs_in_a_process_of_its_own_and_its_end_is_survived() {
    use derate::measure::{Executor, Prepared, Ran};
    use derate::sweep::operators::{Plan, Protocol, Selection};
    use derate::torch::{OperatorExecutor, Setup};
    use derate_core::shape::Precision;

    let file = HardwareFile::parse(TWO_CORE, "two_core.toml").expect("valid");
    let parts = file.parts().expect("valid");
    let hardware = parts.hardware().expect("valid");
    let plan = Plan::new(Selection::Elementwise, &[Protocol::Warm], &hardware, Precision::Fp32, 1).expect("a plan");
    let setup = |program: &str| Setup {
        device: tch::Device::Cpu,
        last_cache: 1 << 20,
        program: program.into(),
        large: Some(0),
    };
    let mut executor = OperatorExecutor::new(&plan, setup(env!("CARGO_BIN_EXE_derate-torch"))).expect("room");
    assert_eq!(executor.prepare(0, 1).expect("an answer"), Prepared::Ready);
    let mut samples = Vec::new();
    assert_eq!(executor.run(0, 4, &mut samples).expect("an answer"), Ran::Done);
    assert!(samples.len() == 4 && samples.iter().all(|&ns| ns > 0), "{samples:?}");
    executor.release(0);

    // A program that is killed as the system kills it.
    let folder = Folder::new();
    folder.write("killed.sh", "#!/bin/sh\nkill -9 $$\n");
    let script = folder.path("killed.sh");
    Command::new("chmod").arg("+x").arg(&script).status().expect("made runnable");
    let script = script.to_str().expect("a name");
    let mut executor = OperatorExecutor::new(&plan, setup(script)).expect("room");
    let Prepared::Skipped { reason } = executor.prepare(0, 1).expect("an answer") else { panic!("it was killed") };
    assert!(reason.contains("killed (signal 9)"), "{reason}");
    // One that is killed after it was ready.
    folder.write("killed.sh", "#!/bin/sh\necho ready\nread runs\nkill -9 $$\n");
    assert_eq!(executor.prepare(1, 1).expect("an answer"), Prepared::Ready);
    let Ran::Skipped { reason } = executor.run(1, 4, &mut samples).expect("an answer") else { panic!("it was killed") };
    assert!(reason.contains("out of memory"), "{reason}");
    executor.release(1);
    // One that refuses, in its words.
    folder.write("killed.sh", "#!/bin/sh\necho refused no such kernel\n");
    let Prepared::Skipped { reason } = executor.prepare(2, 1).expect("an answer") else { panic!("it refused") };
    assert_eq!(reason, "no such kernel");
}

#[test]
fn shapes_of_every_family_run_and_give_what_is_described() {
    use derate::sweep::operators::{Plan, Protocol, Selection};
    use derate::torch::Network;
    use derate_core::graph::Tables;
    use derate_core::shape::Precision;

    let file = HardwareFile::parse(TWO_CORE, "two_core.toml").expect("valid");
    let parts = file.parts().expect("valid");
    let hardware = parts.hardware().expect("valid");
    for selection in [Selection::Operators, Selection::Gemm, Selection::Elementwise] {
        let plan = Plan::new(selection, &Protocol::ALL, &hardware, Precision::Fp32, 2).expect("a plan");
        for &(family, _) in selection.families() {
            let small = |sample: &&derate::sweep::operators::Sample| {
                sample.family == family && sample.place.working_set < 8 << 20 && sample.place.seconds < 1e-3
            };
            let mut run = 0;
            for sample in plan.samples.iter().filter(small).take(16) {
                let view = sample.graph.view();
                let output = Network::new(view).and_then(|network| network.run());
                let output = output.unwrap_or_else(|error| panic!("{}: {error}", sample.text));
                let described = view.output(view.nodes().last().expect("an op")).expect("one").shape;
                let extents: Vec<i64> = described.extents().iter().map(|&extent| extent.into()).collect();
                assert_eq!(output.size(), extents, "{}", sample.text);
                run += 1;
            }
            assert!(run >= 10, "{family:?}: {run}");
        }
    }
}

#[test]
fn cold_runs_meet_empty_caches() {
    use derate::measure::{Executor, Prepared, Ran, Sorted};
    use derate::sweep::operators::regime::place;
    use derate::sweep::operators::{Configuration, Family, Plan, Protocol, Sample};
    use derate::torch::{OperatorExecutor, Setup};
    use derate_core::shape::Precision;

    let file = HardwareFile::parse(TWO_CORE, "two_core.toml").expect("valid");
    let parts = file.parts().expect("valid");
    let hardware = parts.hardware().expect("valid");
    // 1 MB of weights for one row.
    let text = "op:linear,512,b:1x512";
    let graph = graph_of(text, DataType::Fp32).expect("valid");
    let place = place(&graph, &hardware, Precision::Fp32).expect("fp32");
    let plan = Plan {
        samples: vec![Sample { family: Family::Linear, text: text.to_owned(), graph, place }],
        configurations: vec![
            Configuration { sample: 0, protocol: Protocol::Warm },
            Configuration { sample: 0, protocol: Protocol::Cold },
        ],
        precision: Precision::Fp32,
        threads: 1,
    };
    let setup = Setup { device: tch::Device::Cpu, last_cache: 64 << 20, program: "none".into(), large: None };
    let mut executor = OperatorExecutor::new(&plan, setup).expect("room");
    let mut least = [0.0; 2];
    for (configuration, least) in least.iter_mut().enumerate() {
        assert_eq!(executor.prepare(configuration, 3).expect("an answer"), Prepared::Ready);
        let mut samples = Vec::new();
        assert_eq!(executor.run(configuration, 30, &mut samples).expect("an answer"), Ran::Done);
        *least = Sorted::of_ns(&samples).expect("samples").percentile(10.0);
    }
    executor.release(0);
    executor.release(1);
    // 1 MB at the 30 GB/s of a memory takes 35 µs, and far less from a cache.
    assert!(least[1] > 1.5 * least[0], "warm {} ns, cold {} ns", least[0], least[1]);
}
