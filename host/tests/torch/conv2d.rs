//! `derate sweep conv2d` from start to end: the columns, the counts in them, resuming, and a calibration on its rows.

use crate::common::{COLUMNS, Folder, number};
use crate::table::Table;

const SWEEP: &str =
    "sweep conv2d --hardware two_core.toml --runs 5 --block-time 0.2 --time-cap 0.2 --warmup 1 --output sweep.csv";

/// FLOPs by hand: two for each MAC, one for each bias, one for each ReLU; odd kernels keep the image's size.
fn flops([c_in, c_out, kernel, layers, size, batch]: [u64; 6]) -> u64 {
    let positions = batch * size * size;
    let macs = positions * kernel * kernel * c_out * (c_in + (layers - 1) * c_out);
    2 * macs + 2 * layers * positions * c_out
}

#[test]
fn quick_gives_five_rows_with_the_columns_of_convolutions_and_is_calibrated() {
    let folder = Folder::new();
    let ran = folder.derate(&format!("{SWEEP} --quick")).exits(0);
    assert!(ran.stdout.starts_with("sweep.csv: 5 rows written"), "{}", ran.stdout);
    // The published columns of an MLP, but for those of its shape.
    let shape = "in_channels,out_channels,kernel_size,num_layers,image_size";
    let columns = COLUMNS.replace("input_dim,hidden_dims,output_dim", shape);
    assert!(folder.read("sweep.csv").starts_with(&format!("{columns},mean_ms,")), "{}", folder.read("sweep.csv"));

    let rows = Table::read(&folder.path("sweep.csv"));
    assert_eq!(
        rows.column("model"),
        ["conv2d_1layer", "conv2d_2layer", "conv2d_2layer", "conv2d_3layer", "conv2d_2layer"]
    );
    let shapes: Vec<[u64; 6]> = (0..5)
        .map(|row| {
            let column = |name: &str| rows.column(name)[row].parse::<u64>().expect("a whole number");
            [
                column("in_channels"),
                column("out_channels"),
                column("kernel_size"),
                column("num_layers"),
                column("image_size"),
                column("batch_size"),
            ]
        })
        .collect();
    assert_eq!((shapes[0], shapes[4]), ([3, 8, 3, 1, 16, 1], [16, 64, 1, 2, 112, 1]));
    let counted: Vec<String> = shapes.iter().map(|shape| flops(*shape).to_string()).collect();
    assert_eq!(rows.column("analytical_flops"), counted);
    let [time, memory] = ["empirical_time_ms", "empirical_memory_mb"].map(|name| rows.numbers(name));
    assert!(time.iter().chain(&memory).all(|value| *value > 0.0), "{time:?} {memory:?}");
    // Input, output of a convolution and of its ReLU: the last network holds two of 64 channels and its weights.
    let footprint = rows.numbers("analytical_memory_mb")[4];
    let by_hand = 4.0 * (2.0 * 64.0 * 112.0 * 112.0 + (16.0 * 64.0 + 64.0 * 64.0 + 128.0)) / 1e6;
    assert!((footprint / by_hand - 1.0).abs() < 0.3, "{footprint} MB, {by_hand} MB by hand");

    // A row that is missing is measured again, and no other.
    let text = folder.read("sweep.csv");
    let kept: Vec<&str> = text.lines().take(5).collect();
    folder.write("sweep.csv", kept.join("\n") + "\n");
    let ran = folder.derate(&format!("{SWEEP} --quick --format json")).exits(0);
    let json = ran.json();
    assert_eq!((&json["resumed"], &json["rows"]), (&4.into(), &1.into()));
    // The CSV of MLPs is another file.
    folder.derate(&format!("{} --quick", SWEEP.replace("conv2d", "mlp"))).refused(&["sweep.csv"]);

    let calibrate = "calibrate --input sweep.csv --hardware two_core.toml --output report.md --format json";
    let json = folder.derate(calibrate).exits(0).json();
    assert_eq!(number(&json, "provenance.rows"), 5.0);
    let report = folder.read("report.md");
    assert!(report.contains("conv2d 3-8 k3 x1 16px @1"), "{report}");
    let next = json["precisions"][0]["next_sweeps"][0]["command"].as_str().expect("a command").to_owned();
    assert!(next.starts_with("derate sweep conv2d --full"), "{next}");
}

#[test]
fn a_file_of_parameters_names_its_own_keys() {
    let folder = Folder::new();
    folder.write("spec.toml", "input_dim = [8]\nhidden = [{ hidden_dims = [8], output_dim = 8 }]\nbatch_size = [1]\n");
    folder.derate(&format!("{SWEEP} --spec spec.toml")).refused(&[
        "spec.toml",
        "line 2",
        "unknown field `hidden`",
        "in_channels",
    ]);
    folder.write(
        "spec.toml",
        "in_channels = [2]\nout_channels = [4]\nkernel_size = [2, 3]\nnum_layers = [2]\nimage_size = [9]\nbatch_size = [1]\n",
    );
    folder.derate(&format!("{SWEEP} --spec spec.toml --batch 2,3")).exits(0);
    let rows = Table::read(&folder.path("sweep.csv"));
    assert_eq!(
        (rows.column("kernel_size"), rows.column("batch_size")),
        (vec!["2", "2", "3", "3"], vec!["2", "3", "2", "3"])
    );
    assert!(rows.numbers("empirical_memory_mb").iter().all(|memory| *memory > 0.0));
}
