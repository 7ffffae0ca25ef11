//! The command line, verb by verb, as a user's shell sees it: exit codes, standard output, files. What measures is in `torch`.

mod all_hardware;
mod apply;
mod calibrate;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod estimate;
mod evaluate;
mod explain;
mod graph;
mod hardware;
mod malformed;
mod synthetic;
mod tile;

use common::Folder;

#[test]
fn help_and_version_end_with_0_and_a_wrong_option_with_2() {
    let folder = Folder::new();
    let help = folder.derate("--help").exits(0);
    for word in ["hardware", "graph", "sweep", "calibrate", "apply", "verify", "Exit codes: 0 done"] {
        assert!(help.stdout.contains(word), "{word} is not in {}", help.stdout);
    }
    assert_eq!(folder.derate("--version").exits(0).stdout, format!("derate {}\n", env!("CARGO_PKG_VERSION")));
    folder.derate("calibrate --inptu x.csv").refused(&["--inptu"]);
    folder.derate("sweep mlp").refused(&["--quick", "--spec"]);
    folder.derate("sweep mlp --quick --full").refused(&["cannot be used with"]);
    let precisions = "fp64, fp32, tf32, bf16, fp16, int8";
    folder.derate("sweep mlp --quick --precision fp31").refused(&["fp31", precisions]);
    folder.derate("sweep mlp --scenario L4_fit").refused(&["L1_fit", "L2_fit", "L3_fit", "DRAM_spill"]);
    folder.derate("sweep mlp --quick --runs 0").refused(&["--runs", "0"]);
    for limit in ["-1", "NaN", "inf", "ten"] {
        folder.derate(&format!("verify --max-mape {limit}")).refused(&[
            "--max-mape",
            limit,
            "finite number, 0 or more",
        ]);
    }
    assert_eq!(folder.names(), ["two_core.toml"], "nothing is left behind");
}

#[test]
fn without_a_description_it_is_said_how_to_get_one() {
    let folder = Folder::new();
    folder.write("sweep.csv", synthetic::sweep(&synthetic::few()));
    let said = ["derate hardware detect", "cache/hardware/this-cpu.toml", "--hardware FILE"];
    folder.derate("calibrate --input sweep.csv").refused(&said);
    folder.write("x.profile.json", common::profile().to_string());
    folder.derate("apply x.profile.json").refused(&said);

    // An empty variable counts as one that is not set.
    let mut command = folder.command(&["apply", "x.profile.json"]);
    command.env("DERATE_CACHE", "").env("HOME", folder.path("home"));
    let ran = common::Ran::of(command.output().expect("the program starts"));
    ran.refused(&["home/.cache/derate/hardware/this-cpu.toml"]);
}

/// A copy of the program in a folder of its own: where it was built, a build with libtorch may lie beside it.
#[cfg(not(feature = "torch"))]
fn copied(folder: &Folder, line: &str) -> common::Ran {
    let program = folder.path("bin/derate");
    if !program.exists() {
        std::fs::create_dir_all(folder.path("bin")).expect("a folder");
        let built = env!("CARGO_BIN_EXE_derate");
        // A file that was just written is busy where another thread starts a program meanwhile: a link is not.
        std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(drop)).expect("a copy");
    }
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir(folder.path("."));
    common::Ran::of(command.output().expect("the program starts"))
}

/// What needs libtorch.
#[cfg(not(feature = "torch"))]
const MEASURING: [&str; 3] = [
    "sweep mlp --quick --hardware two_core.toml",
    "verify --hardware two_core.toml",
    "estimate zoo:resnet18 --measure --hardware two_core.toml",
];

#[cfg(not(feature = "torch"))]
#[test]
fn without_the_program_that_measures_it_is_said_how_to_build_it() {
    let folder = Folder::new();
    for line in MEASURING {
        copied(&folder, line).refused(&["built without libtorch", "derate-torch", "cargo xtask build"]);
    }
    assert_eq!(folder.names(), ["bin", "two_core.toml"]);
}

#[cfg(all(unix, not(feature = "torch")))]
#[test]
fn what_measures_is_left_to_the_program_beside_it() {
    let folder = Folder::new();
    copied(&folder, "verify").refused(&["derate-torch"]);
    std::os::unix::fs::symlink("/bin/echo", folder.path("bin/derate-torch")).expect("a link");
    for line in MEASURING {
        let ran = copied(&folder, line);
        assert_eq!((ran.code, ran.stdout), (Some(0), format!("{line}\n")), "{}", ran.stderr);
    }
}
