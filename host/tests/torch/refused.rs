//! What a sweep refuses, at once and without touching a file: devices, precisions, parameters, files of other plans.

use crate::BRIEF;
use crate::common::Folder;

const SPEC: &str = "input_dim = [32]\nhidden = [{ hidden_dims = [16], output_dim = 8 }]\nbatch_size = [1]\n";

#[test]
fn cuda_where_there_is_none_says_what_it_needs() {
    if derate::torch::has_cuda() {
        println!("skipped: cuda_where_there_is_none_says_what_it_needs: there is a CUDA device");
        return;
    }
    let folder = Folder::new();
    // No description is named: none is made, by seconds of measuring, before this is said.
    folder.derate("sweep mlp --quick --device cuda").refused(&["--device cuda", "NVIDIA GPU", "libtorch with CUDA"]);
    assert_eq!(folder.names(), ["two_core.toml"]);
}

#[test]
fn a_precision_that_does_not_run_is_answered_with_those_that_do() {
    let folder = Folder::new();
    for precision in ["int8", "tf32"] {
        let line = format!("{BRIEF} --quick --precision {precision}");
        folder.derate(&line).refused(&[&format!("--precision {precision}"), "fp32", "do"]);
    }
    // fp64 runs in libtorch, but the description has no unit for it.
    folder.derate(&format!("{BRIEF} --quick --precision fp64")).refused(&["--precision fp64", "two-core"]);
    // Whether libtorch runs it at all is known before this CPU is described.
    folder.derate("sweep mlp --quick --precision int8").refused(&["--precision int8", "fp32"]);
    assert_eq!(folder.names(), ["two_core.toml"]);
}

#[test]
fn a_wrong_file_of_parameters_is_named_with_its_line() {
    let folder = Folder::new();
    let cases = [
        (
            SPEC.replace("batch_size", "batchsize"),
            "line 3",
            "expected one of `input_dim`, `hidden`, `batch_size`, `precision`",
        ),
        (SPEC.replace("output_dim", "output"), "line 2", "unknown field `output`"),
        (SPEC.replace("[32]", "[-32]"), "line 1", "-32"),
        (SPEC.replace("[32]", "[4294967296]"), "line 1", "4294967296"),
        (SPEC.replace("[32]", "32"), "line 1", "32"),
        (format!("{SPEC}precision = [\"fp31\"]\n"), "line 4", "expected one of `fp64`, `fp32`"),
        (SPEC.replace("= [1]", "= [1"), "line 3", "array"),
        (SPEC.replace("batch_size = [1]\n", ""), "line 1", "missing field `batch_size`"),
        (SPEC.replace("[1]", "[]"), "line 3", "must not be empty"),
        (SPEC.replace("[16]", "[]"), "line 2", "must not be empty"),
        (format!("{SPEC}precision = []\n"), "line 4", "must not be empty"),
        (SPEC.replace("[32]", "[0]"), "line 1", "integer `0`"),
        (SPEC.replace("[16]", "[16, 0]"), "line 2", "integer `0`"),
    ];
    for (spec, line, said) in cases {
        folder.write("spec.toml", spec);
        folder.derate(&format!("{BRIEF} --spec spec.toml")).refused(&["spec.toml", line, said]);
        assert_eq!(folder.names(), ["spec.toml", "two_core.toml"]);
    }
    folder.derate(&format!("{BRIEF} --spec nowhere.toml")).refused(&["nowhere.toml", "No such file"]);
}

#[test]
fn a_setting_out_of_its_range_leaves_no_file() {
    let folder = Folder::new();
    let base = "sweep mlp --quick --hardware two_core.toml --output sweep.csv";
    for (option, key) in
        [("--time-cap 0", "time_cap"), ("--time-cap nan", "time_cap"), ("--block-time inf", "block_time")]
    {
        folder.derate(&format!("{base} {option}")).refused(&[key, "86400"]);
        assert_eq!(folder.names(), ["two_core.toml"], "{option}");
    }
}

#[test]
fn a_file_of_another_plan_stays_as_it_is() {
    let folder = Folder::new();
    folder.write("spec.toml", SPEC);
    folder.derate(&format!("{BRIEF} --spec spec.toml")).exits(0);
    let files = ["sweep.csv", "sweep.csv.journal"];
    let before = files.map(|name| folder.read(name));
    let names = folder.names();
    // Other configurations, and the same ones measured in another way.
    for other in ["--batch 2", "--threads 1"] {
        let ran = folder.derate(&format!("{BRIEF} --spec spec.toml {other}"));
        ran.refused(&["sweep.csv", "plan", "choose another"]);
        assert_eq!(files.map(|name| folder.read(name)), before, "{other}");
        assert_eq!(folder.names(), names);
    }

    // Without its journal, and with a line that a kill left behind.
    std::fs::remove_file(folder.path("sweep.csv.journal")).expect("removed");
    let cut = before[0].clone() + "mlp_1layer,32,[1";
    folder.write("sweep.csv", &cut);
    let names = folder.names();
    folder.derate(&format!("{BRIEF} --spec spec.toml --batch 2")).refused(&[
        "sweep.csv",
        "32-[16]-8@1 fp32",
        "--output",
    ]);
    assert_eq!(folder.read("sweep.csv"), cut);
    assert_eq!(folder.names(), names, "no journal of the other plan either");
}

#[test]
fn a_file_that_is_no_sweep_stays_as_it_is() {
    let folder = Folder::new();
    folder.write("sweep.csv", "date,weather\nmonday,rain\n");
    let names = folder.names();
    folder.derate(&format!("{BRIEF} --quick")).refused(&["sweep.csv", "line 1", "date,weather", "model,input_dim"]);
    assert_eq!(folder.read("sweep.csv"), "date,weather\nmonday,rain\n");
    assert_eq!(folder.names(), names);
}
