//! Systolic arrays against SCALE-Sim 3.0.0, cycle for cycle and element for element.

use std::collections::BTreeMap;
use std::path::PathBuf;

use derate_core::Error;
use derate_core::mapper::systolic::{Dataflow, Systolic};
use derate_core::units::Cycles;
use derate_core::work::Gemm;

/// What the simulator gives: cycles, elements of A and of B read, elements of C written.
type Counts = [u64; 4];

/// The same counts of an array. The simulator adds the extents of each fold of an output-stationary array to what is
/// written: its `create_ofmap_demand_mat` counts a fold once by its area, and once more by its sides.
fn counts(array: &Systolic, gemm: Gemm) -> Result<Counts, Error> {
    let Cycles(cycles) = array.cycles(gemm)?;
    let edge = array.edge_accesses(gemm)?;
    let [rows, columns] = [array.rows, array.columns].map(u64::from);
    let sides = match array.dataflow {
        Dataflow::OutputStationary => gemm.m.div_ceil(rows) * gemm.n.div_ceil(columns) * (rows + columns),
        Dataflow::WeightStationary | Dataflow::InputStationary => 0,
    };
    Ok([cycles, edge.a, edge.b, edge.c_written + sides])
}

fn dataflow(name: &str) -> Dataflow {
    match name {
        "os" => Dataflow::OutputStationary,
        "ws" => Dataflow::WeightStationary,
        "is" => Dataflow::InputStationary,
        other => panic!("dataflow {other}"),
    }
}

/// A row of the table by the names of its columns.
struct Row<'t>(BTreeMap<&'t str, &'t str>);

impl Row<'_> {
    fn text(&self, column: &str) -> &str {
        self.0.get(column).unwrap_or_else(|| panic!("no column {column}"))
    }

    fn number(&self, column: &str) -> u64 {
        let text = self.text(column);
        text.parse().unwrap_or_else(|_| panic!("{column}: {text:?}"))
    }

    /// The product of a row; of a convolution from its own columns.
    ///
    /// The simulator steps windows over the input without padding: ⌈(input − filter + stride) / stride⌉ along an axis.
    /// Where the step does not divide, the last window hangs over the end; that is one more than a network has.
    fn gemm(&self) -> Gemm {
        let [m, n, k] = match self.text("kind") {
            "conv" => {
                let number = |column: &str| self.number(&format!("conv_{column}"));
                let stride = number("stride");
                let steps = |input: &str, filter: &str| (number(input) - number(filter) + stride).div_ceil(stride);
                let windows = steps("ifmap_h", "filt_h") * steps("ifmap_w", "filt_w");
                [windows, number("cout"), number("filt_h") * number("filt_w") * number("cin")]
            }
            _ => ["M", "N", "K"].map(|column| self.number(column)),
        };
        Gemm { m, n, k, groups: 1 }
    }
}

#[test]
fn every_row_of_the_simulator() -> Result<(), Error> {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = shared.join("data/truth/scalesim.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: every_row_of_the_simulator: {} is missing", path.display());
        return Ok(());
    };
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let (mut rows, mut convolutions, mut totals) = (0, 0, 0);
    for line in lines {
        let row = Row(names.iter().copied().zip(line.split(',')).collect());
        let gemm = row.gemm();
        assert_eq!([gemm.m, gemm.n, gemm.k], ["M", "N", "K"].map(|column| row.number(column)), "{line}");
        let extent = |column| u32::try_from(row.number(column)).expect("an extent");
        let array = Systolic {
            rows: extent("array_rows"),
            columns: extent("array_cols"),
            dataflow: dataflow(row.text("dataflow")),
            held_tiles: 1,
            accumulators: 0,
            vector_lanes: 1,
        };
        let columns = ["compute_cycles", "ifmap_sram_reads", "filter_sram_reads", "ofmap_sram_writes"];
        assert_eq!(counts(&array, gemm)?, columns.map(|column| row.number(column)), "{line}");
        // The total is the index of the last cycle, and counts stalls.
        if !row.text("total_cycles").is_empty() {
            let moving = row.number("total_cycles") - row.number("stall_cycles");
            assert_eq!(array.cycles(gemm)?, Cycles(moving + 1), "{line}");
            totals += 1;
        }
        rows += 1;
        convolutions += usize::from(row.text("kind") == "conv");
    }
    assert_eq!((rows, convolutions, totals), (723, 106, 424), "rows of {}", path.display());
    Ok(())
}

/// Arrays that are not square: rows and columns of the array; M, N, K; counts of each dataflow, from SCALE-Sim 3.0.0's
/// demand matrices and counters for the operands of these extents.
#[rustfmt::skip]
const RECTANGULAR: [([u32; 2], [u64; 3], [Counts; 3]); 12] = [
    ([8, 32], [33, 200, 17], [[1925, 3927, 17000, 8000], [1659, 3927, 3400, 19800], [1476, 561, 6800, 19800]]),
    ([8, 32], [64, 64, 64], [[1632, 8192, 32768, 4736], [1760, 8192, 4096, 32768], [1760, 4096, 8192, 32768]]),
    ([8, 32], [100, 70, 50], [[3432, 15000, 45500, 8560], [3066, 15000, 3500, 49000], [3248, 5000, 14000, 49000]]),
    ([8, 32], [1, 300, 40], [[780, 400, 12000, 700], [2350, 400, 12000, 1500], [1730, 40, 12000, 1500]]),
    ([8, 32], [9, 1, 7], [[90, 63, 14, 89], [55, 63, 7, 9], [47, 63, 7, 9]]),
    ([32, 8], [33, 200, 17], [[2750, 14025, 6800, 8600], [2575, 14025, 3400, 6600], [1350, 561, 17000, 6600]]),
    ([32, 8], [100, 70, 50], [[3168, 45000, 14000, 8440], [3060, 45000, 3500, 14000], [3640, 5000, 45500, 14000]]),
    ([32, 8], [1, 300, 40], [[2964, 1520, 12000, 1820], [5396, 1520, 12000, 600], [740, 40, 12000, 600]]),
    ([3, 5], [33, 200, 17], [[10120, 22440, 37400, 10120], [10080, 22440, 3400, 39600], [8778, 561, 23800, 39600]]),
    ([3, 5], [100, 70, 50], [[26656, 70000, 119000, 10808], [25942, 70000, 3500, 119000], [26860, 5000, 70000, 119000]]),
    ([3, 5], [1, 300, 40], [[2760, 2400, 12000, 780], [8400, 2400, 12000, 4200], [4326, 40, 12000, 4200]]),
    ([3, 5], [9, 1, 7], [[39, 63, 21, 33], [54, 63, 7, 27], [60, 63, 14, 27]]),
];

#[test]
fn arrays_that_are_not_square() -> Result<(), Error> {
    for ([rows, columns], [m, n, k], expected) in RECTANGULAR {
        for (name, expected) in ["os", "ws", "is"].into_iter().zip(expected) {
            let array =
                Systolic { rows, columns, dataflow: dataflow(name), held_tiles: 1, accumulators: 0, vector_lanes: 1 };
            let gemm = Gemm { m, n, k, groups: 1 };
            assert_eq!(counts(&array, gemm)?, expected, "{name} on {rows} x {columns}: {gemm:?}");
        }
    }
    Ok(())
}

#[test]
fn groups_are_products_of_their_own() -> Result<(), Error> {
    let array = Systolic {
        rows: 8,
        columns: 32,
        dataflow: Dataflow::WeightStationary,
        held_tiles: 1,
        accumulators: 0,
        vector_lanes: 1,
    };
    let gemm = |groups| Gemm { m: 33, n: 200, k: 17, groups };
    let (one, many) = (counts(&array, gemm(1))?, counts(&array, gemm(7))?);
    assert_eq!(many, one.map(|count| 7 * count));
    Ok(())
}
