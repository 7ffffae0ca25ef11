//! Microcontrollers against published results: the four networks of `MLPerf` Tiny on the Cortex-M boards of its closed
//! division.
//!
//! Cycles are summed over the layers of the reference networks; a core's numbers are the constants of [`Mcu`], chosen
//! by its type alone, a board's are its clock and its flash. Nothing is fitted to a network, a board or a stack. The
//! stacks that run kernels like those that are modelled (TensorFlow Lite for Microcontrollers, microTVM and ONNC on
//! CMSIS-NN) are what the bound is about. Beside them stand the first reference of 2021 with older kernels, stacks with
//! kernels of their own, floats, and two cores of another instruction set with packed bytes.

use std::fs;
use std::path::PathBuf;

use derate_core::Error;
use derate_core::hardware::{
    Basis, ComputeUnit, Filling, Hardware, Holds, MemoryLevel, PrecisionFactors, ThermalProfile,
};
use derate_core::mapper::mcu::Mcu;
use derate_core::mapping::{Machine, Mapper, Mapping};
use derate_core::nest::{ConvLoops, ElementSizes, Homes, LoopNest, Loops, Stream, Traffic};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::{Bytes, BytesPerSecond, Factor, Flops, Hertz, MacsPerCycle, Seconds};
use derate_core::work::Gemm;

/// Median absolute error over the stacks on CMSIS-NN, in percent.
const BOUND: f32 = 15.0;

/// A table of the data, by the names of its columns.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a table, or says why it is skipped.
    fn read(name: &str) -> Option<Self> {
        let shared = std::env::var_os("DERATE_SHARED")
            .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
        let path = shared.join("data/truth").join(name);
        let Ok(text) = fs::read_to_string(&path) else {
            eprintln!("skipped: {} cannot be read", path.display());
            return None;
        };
        let mut rows = text.lines().map(fields);
        let columns = rows.next()?;
        Some(Self { columns, rows: rows.collect() })
    }

    fn get<'t>(&self, row: &'t [String], column: &str) -> &'t str {
        let index = self.columns.iter().position(|name| name == column).expect("a column of the table");
        &row[index]
    }

    fn number(&self, row: &[String], column: &str) -> u64 {
        self.get(row, column).parse().unwrap_or(0)
    }
}

/// The fields of a line; commas in quotes are text.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().expect("one field").push(letter),
        }
    }
    fields
}

/// A layer: a product, or a stream.
enum Layer {
    Product(LoopNest),
    Stream(Stream),
}

/// Filters of the convolutions of VWW that are not zero throughout, counted in the reference's `vww_96_int8.tflite`: a
/// compiler that drops the others computes a smaller network. KWS and IC have none that are zero.
const LIVE: [u64; 14] = [8, 16, 32, 32, 64, 60, 107, 57, 30, 19, 19, 27, 32, 22];

/// VWW without the filters that are zero throughout, and without the channels that they would give to the next layer.
fn without_zeros(layers: Vec<Layer>) -> Vec<Layer> {
    let mut live = LIVE.into_iter();
    let mut channels = 3;
    let mut cut = |nest: LoopNest| {
        let loops = match nest.loops {
            Loops::Gemm(gemm) => {
                let cut = Gemm { k: gemm.k.min(channels), n: live.next().unwrap_or(gemm.n), ..gemm };
                channels = cut.n;
                Loops::Gemm(cut)
            }
            other @ Loops::Attention(_) => other,
            Loops::Conv(conv) if conv.groups > 1 => Loops::Conv(ConvLoops { groups: channels, ..conv }),
            Loops::Conv(conv) => {
                let cut = ConvLoops { c_in: channels, c_out: live.next().unwrap_or(conv.c_out), ..conv };
                channels = cut.c_out;
                Loops::Conv(cut)
            }
        };
        LoopNest { loops, ..nest }
    };
    let mut cut_layer = |layer| match layer {
        Layer::Product(nest) => Layer::Product(cut(nest)),
        stream @ Layer::Stream(_) => stream,
    };
    layers.into_iter().map(&mut cut_layer).collect()
}

fn extents(text: &str) -> Vec<u64> {
    text.split('x').filter_map(|extent| extent.parse().ok()).collect()
}

/// The layers of a network that run a kernel, with elements of so many bytes.
fn layers(table: &Table, task: &str, size: u64) -> Vec<Layer> {
    let sizes = ElementSizes { partial: 4, ..ElementSizes::all(size) };
    let mut layers = Vec::new();
    for row in table.rows.iter().filter(|row| table.get(row, "task") == task && table.get(row, "layer") != "TOTAL") {
        let (input, output) = (extents(table.get(row, "input_shape")), extents(table.get(row, "output_shape")));
        let number = |column| table.number(row, column);
        let stream = |read: u64, flops: u64| {
            Layer::Stream(Stream {
                read: Bytes(read * size),
                weights: Bytes::ZERO,
                written: Bytes(output.iter().product::<u64>() * size),
                flops: Flops(flops),
                elements: output.iter().product(),
                homes: Homes::COLD,
            })
        };
        let values: u64 = input.iter().product();
        let layer = match table.get(row, "op") {
            "FULLY_CONNECTED" => Layer::Product(LoopNest::new(Loops::Gemm(gemm(1, number("N"), number("K"))), sizes)),
            op @ ("CONV_2D" | "DEPTHWISE_CONV_2D") => {
                let depthwise = op == "DEPTHWISE_CONV_2D";
                let kernel = [1, number("kernel_h"), number("kernel_w")];
                let stride = [1, number("stride_h"), number("stride_w")];
                let loops = if !depthwise && kernel == [1; 3] && stride == [1; 3] {
                    Loops::Gemm(gemm(number("M"), number("N"), number("K")))
                } else {
                    let (from, to) = ([1, input[1], input[2]], [1, output[1], output[2]]);
                    // The padding of "SAME": what the last window lacks, the smaller half before.
                    let padding =
                        std::array::from_fn(|i| ((to[i] - 1) * stride[i] + kernel[i]).saturating_sub(from[i]) / 2);
                    Loops::Conv(ConvLoops {
                        batch: 1,
                        groups: if depthwise { number("cout") } else { 1 },
                        c_in: if depthwise { 1 } else { number("cin") },
                        c_out: if depthwise { 1 } else { number("cout") },
                        input: from,
                        output: to,
                        kernel,
                        stride,
                        dilation: [1; 3],
                        padding,
                    })
                };
                Layer::Product(LoopNest::new(loops, sizes))
            }
            // Three scalings a sum: two inputs and the result; the last is the stream's own.
            "ADD" => stream(2 * values, 3 * values),
            "AVERAGE_POOL_2D" => stream(values, values),
            "SOFTMAX" => stream(values, 8 * values),
            "RESHAPE" => continue,
            op => panic!("no layer of {op}"),
        };
        layers.push(layer);
    }
    layers
}

fn gemm(m: u64, n: u64, k: u64) -> Gemm {
    Gemm { m, n, k, groups: 1 }
}

/// A board: its core, and the cycles in which its flash gives so many bytes.
struct Board {
    name: &'static str,
    core: Mcu,
    /// Bytes of a line of flash, and cycles until it is there. Assumed but for the STM32L4R5: 5 wait states at 120 MHz.
    flash: (f32, f32),
    /// Bytes of a data cache, 0 for none.
    cache: u64,
}

const BOARDS: [Board; 9] = [
    Board { name: "L4R5ZI", core: Mcu::CORTEX_M4, flash: (8.0, 6.0), cache: 0 },
    Board { name: "M467HJ", core: Mcu::CORTEX_M4, flash: (16.0, 8.0), cache: 0 },
    Board { name: "RA6M4", core: Mcu::CORTEX_M33, flash: (16.0, 4.0), cache: 0 },
    Board { name: "nRF5340", core: Mcu::CORTEX_M33, flash: (16.0, 4.0), cache: 0 },
    Board { name: "U585I", core: Mcu::CORTEX_M33, flash: (16.0, 5.0), cache: 0 },
    Board { name: "H7A3ZI", core: Mcu::CORTEX_M7, flash: (16.0, 7.0), cache: 16 << 10 },
    Board { name: "F746NG", core: Mcu::CORTEX_M7, flash: (32.0, 8.0), cache: 4 << 10 },
    // Cores in an FPGA, found by the name of the core: weights lie in memory without wait states.
    Board { name: "D25F", core: Mcu::RV32IMAFC_PACKED, flash: (4.0, 1.0), cache: 0 },
    Board { name: "D45", core: Mcu { issue_width: 2, ..Mcu::RV32IMAFC_PACKED }, flash: (4.0, 1.0), cache: 0 },
];

/// Times of a network in ms: ours, one MAC a cycle, a roofline of compulsory bytes.
fn times(board: &Board, clock: f32, layers: &[Layer], precision: Precision) -> Result<[f32; 3], Error> {
    let bus = board.core.bus_bytes as f32;
    // What the instructions give at most, for the roofline.
    let rate = match precision {
        Precision::Int8 => board.core.macs_per_instruction as f32 / board.core.mac_cycles,
        _ => 1.0,
    };
    let compute = [ComputeUnit {
        name: "core",
        count: 1,
        clock: Hertz::new(clock)?,
        macs_per_cycle: PerPrecision::all(None).with(precision, Some(MacsPerCycle::new(rate)?)),
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Assumed,
    }];
    let level = |name, capacity, bandwidth, holds| -> Result<MemoryLevel<'static>, Error> {
        Ok(MemoryLevel {
            filling: Filling::Scratchpad,
            holds,
            ..MemoryLevel::new(name, Bytes(capacity), BytesPerSecond::new(bandwidth)?, Basis::Assumed)
        })
    };
    let mut memory = vec![
        level("SRAM", 256 << 10, bus * clock, Holds::Activations)?,
        level("flash", 1 << 20, board.flash.0 / board.flash.1 * clock, Holds::Weights)?,
    ];
    if board.cache > 0 {
        let cache = level("cache", board.cache, bus * clock, Holds::All)?;
        memory.insert(0, MemoryLevel { filling: Filling::Cache, ..cache });
    }
    let factors = PrecisionFactors {
        efficiency_factor: Factor::ONE,
        memory_bottleneck_factor: Factor::ONE,
        tile_utilization: Factor::ONE,
        native_acceleration: true,
    };
    let modes = [ThermalProfile::new("run", "none", PerPrecision::all(None).with(precision, Some(factors)))];
    let hardware = Hardware::new(board.name, &compute, &memory, &modes, Seconds::ZERO)?;
    let machine = Machine::new(&hardware, &modes[0], precision)?;
    let time = |mapping: &Mapping| {
        let moves = memory.iter().zip(&mapping.traffic).map(|(level, &bytes)| (bytes / level.bandwidth).0);
        let arithmetic = (mapping.compute_cycles / machine.clock).0;
        if mapping.overlapped { moves.fold(arithmetic, f32::max) } else { arithmetic + moves.sum::<f32>() }
    };
    let mut sums = [0.0; 3];
    for layer in layers {
        let parts = match layer {
            Layer::Product(nest) => {
                let macs = nest.macs()?.as_f32();
                let bytes = Traffic::compulsory(nest)?;
                let moved = (bytes.b / memory.last().expect("flash").bandwidth).0
                    + (bytes.a.checked_add(bytes.c)? / memory[0].bandwidth).0;
                [time(&board.core.product(nest, &machine)?), macs / clock, (macs / rate / clock).max(moved)]
            }
            Layer::Stream(stream) => {
                let moved = (stream.read.checked_add(stream.written)? / memory[0].bandwidth).0;
                [time(&board.core.stream(stream, &machine)?), 0.0, moved]
            }
        };
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += part * 1e3;
        }
    }
    Ok(sums)
}

fn median(errors: &[f32]) -> f32 {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f32::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

#[test]
fn networks_take_what_their_instructions_do() -> Result<(), Error> {
    let (Some(macs), Some(results)) = (Table::read("mlperf_tiny_macs.csv"), Table::read("mlperf_tiny_results.csv"))
    else {
        return Ok(());
    };
    let mut seen = Vec::new();
    // By group: errors in percent of ours, one MAC a cycle, roofline.
    let mut groups: [(&str, Vec<[f32; 3]>); 5] = [
        ("on CMSIS-NN", vec![]),
        ("first reference, older kernels", vec![]),
        ("kernels of their own", vec![]),
        ("floats", vec![]),
        ("RISC-V with packed bytes", vec![]),
    ];
    println!("{:8} {:26} {:3}  measured     ours ratio | 1 MAC/cycle ratio | roofline ratio", "board", "stack", "net");
    for row in &results.rows {
        let get = |column| results.get(row, column);
        if get("division") != "closed" || get("has_accelerator") != "0" {
            continue;
        }
        let (precision, size) =
            if get("model_precision").starts_with("int8") { (Precision::Int8, 1) } else { (Precision::Fp32, 4) };
        let named = |board: &&Board| get("board").contains(board.name) || get("core").ends_with(board.name);
        let Some(board) = BOARDS.iter().find(named) else { continue };
        let (framework, system) = (get("framework"), get("system").to_lowercase().replace('-', "_"));
        let cmsis = system.contains("cmsis_nn") || framework == "ONNC" || framework == "tflite-micro";
        let group = match get("submitter") {
            "Andes" => 4,
            _ if precision == Precision::Fp32 => 3,
            _ if cmsis => 0,
            "reference" => 1,
            _ => 2,
        };
        let stack = format!("{framework:.20} {}", if system.contains("zephyr") { "zephyr" } else { get("version") });
        // A submission that another repeats counts once.
        let again = (board.name, framework.to_owned(), cmsis, system.contains("zephyr"), get("benchmark").to_owned());
        if group == 0 {
            if seen.contains(&again) {
                continue;
            }
            seen.push(again);
        }
        let (Ok(clock), Ok(measured)) = (get("clock_mhz").parse::<f32>(), get("latency_ms").parse::<f32>()) else {
            continue;
        };
        let predicted = times(board, clock * 1e6, &layers(&macs, get("benchmark"), size), precision)?;
        let [ours, plain, roof] = predicted.map(|time| time / measured);
        println!(
            "{:8} {stack:26} {:3} {measured:9.2} {:8.2} {ours:5.2} | {:11.2} {plain:5.2} | {:8.2} {roof:5.2}",
            board.name,
            get("benchmark"),
            predicted[0],
            predicted[1],
            predicted[2],
        );
        if get("benchmark") == "VWW" {
            let live = without_zeros(layers(&macs, "VWW", size));
            let [small, ..] = times(board, clock * 1e6, &live, precision)?;
            println!("{:8} {:26}     without zero filters {small:.2} {:5.2}", "", "", small / measured);
        }
        groups[group].1.push([ours, plain, roof].map(|ratio| 100.0 * (ratio - 1.0).abs()));
    }
    println!("median absolute error in percent: ours, 1 MAC a cycle, roofline");
    let medians = groups.map(|(name, errors)| {
        let of = |i: usize| median(&errors.iter().map(|error| error[i]).collect::<Vec<_>>());
        let medians = [of(0), of(1), of(2)];
        println!("{name:32} {:3} rows {:6.1} {:6.1} {:6.1}", errors.len(), medians[0], medians[1], medians[2]);
        medians
    });
    let [ours, plain, roof] = medians[0];
    assert!(ours <= BOUND, "{ours} %");
    assert!(ours < plain && ours < roof);
    Ok(())
}
