//! Cycles of Arm Ethos-U on the four MLPerf Tiny networks: the mapper against the estimates of Arm's own compiler, Vela 5.2.0.
//!
//! Layers come from `truth/mlperf_tiny_macs.csv`, estimates, bandwidths and where Vela keeps things from `truth/vela.csv`. A layer
//! takes the longer of its arithmetic and of the bytes at each memory level, and its set-up; Vela's total is such a sum too.
//!
//! The geometries are Arm's, none is fitted: micro-blocks, weight decoding, output and elementwise rates of U55 and U65 from
//! `architecture_features.py`, latencies from `Arm/vela.ini`, both of ethos-u-vela 5.2.0 (Apache-2.0); those of U85 from
//! `ethos_u85.cpp` and `ethos_u85_performance.cpp` of its compiler Regor.
//!
//! Skipped where the data are missing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use derate_core::Error;
use derate_core::hardware::{Basis, ComputeUnit, Filling, Hardware, MemoryLevel, ThermalProfile};
use derate_core::mapper::lanes::{Lanes, Rates};
use derate_core::mapper::npu::Npu;
use derate_core::mapping::{Machine, Mapper, Mapping};
use derate_core::nest::{ConvLoops, ElementSizes, Homes, LoopNest, Loops, Stream};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::{Bytes, BytesPerSecond, Flops, Hertz, MacsPerCycle, Seconds};
use derate_core::work::Gemm;

type Row = BTreeMap<String, String>;

/// Bytes of scale and bias of an output channel: 80 bits (`_pack_bias` of `weight_compressor.py`).
const SCALE_BYTES: u64 = 10;

/// Cycles from a request to the first byte, and of the last write (`vela.ini`, all its system configurations of these rows).
const SRAM_READ: u64 = 32;
const SRAM_WRITE: u64 = 32;
const FLASH_READ: u64 = 64;
const DRAM_READ: u64 = 500;

fn rows(name: &str) -> Option<Vec<Row>> {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = shared.join("data/truth").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is missing", path.display());
        return None;
    };
    let mut lines = text.lines();
    let header: Vec<String> = lines.next()?.split(',').map(str::to_owned).collect();
    Some(lines.map(|line| header.iter().cloned().zip(line.split(',').map(str::to_owned)).collect()).collect())
}

fn number(row: &Row, key: &str) -> f32 {
    row[key].parse().unwrap_or_else(|_| panic!("{key}: {}", row[key]))
}

fn count(row: &Row, key: &str) -> u64 {
    row[key].parse().unwrap_or_else(|_| panic!("{key}: {}", row[key]))
}

/// The geometry of a configuration, its MACs a cycle of one core, and its cores.
fn ethos(configuration: &str) -> (Npu, f32, u32) {
    // Results at once of convolutions and of depthwise convolutions as rows, columns, channels; weights decoded a cycle; sums held (half
    // of the SHRAM of U55 and U65, all of the accumulator memory of U85, two blocks of 4 bytes each); results a cycle; additions and
    // elements of a window of one position a cycle; MACs; cores.
    let (dense, depthwise, weights, sums, output, elementwise, window, macs, cores) = match configuration {
        "Ethos_U55_32" => ([1, 1, 4], [1, 1, 4], 8.0, 1024, 0.5, 1.0 / 6.0, 4.0, 32.0, 1),
        "Ethos_U55_64" => ([1, 1, 8], [1, 1, 8], 8.0, 1024, 1.0, 1.0 / 3.0, 8.0, 64.0, 1),
        "Ethos_U55_128" => ([2, 1, 8], [2, 1, 8], 8.0, 1536, 2.0, 1.0 / 1.5, 8.0, 128.0, 1),
        "Ethos_U55_256" | "Ethos_U65_256" => ([2, 2, 8], [2, 2, 8], 8.0, 3072, 4.0, 1.0 / 0.75, 8.0, 256.0, 1),
        "Ethos_U65_512" => ([2, 2, 8], [2, 2, 8], 8.0, 3072, 4.0, 1.0 / 0.75, 8.0, 256.0, 2),
        "Ethos_U85_128" => ([1, 2, 8], [1, 1, 16], 8.0, 1024, 2.0, 2.0, 4.0, 128.0, 1),
        "Ethos_U85_256" => ([2, 2, 8], [1, 2, 16], 8.0, 2048, 4.0, 4.0, 4.0, 256.0, 1),
        "Ethos_U85_512" => ([2, 2, 16], [2, 2, 16], 16.0, 4096, 8.0, 8.0, 4.0, 512.0, 1),
        "Ethos_U85_1024" => ([2, 4, 16], [2, 4, 16], 32.0, 8192, 16.0, 16.0, 4.0, 1024.0, 1),
        "Ethos_U85_2048" => ([4, 4, 16], [4, 4, 16], 32.0, 16384, 32.0, 32.0, 4.0, 2048.0, 1),
        other => panic!("no geometry of {other}"),
    };
    // 8 input channels a cycle, in steps of four cycles: of four taps, or of 32 channels of one.
    let lanes = |[rows, columns, c_out]: [u64; 3], c_in, share| Lanes { rows, columns, c_in, taps: 4, c_out, share };
    let npu = Npu {
        dense: lanes(dense, 8, 1.0),
        // One tap a cycle, where a convolution has 8 channels.
        depthwise: Some(lanes(depthwise, 1, 0.125)),
        weights_per_cycle: Some(weights),
        accumulators: Some(sums),
        output: Some(output),
        rates: Rates { elementwise, window },
        stored_weights: 1.0,
        setup_cycles: 0,
    };
    (npu, macs, cores)
}

/// Where the weights and the feature maps of a row lie, and the latency of the weights' memory.
struct Places {
    weights: u8,
    /// Input and output of the network; what lies between stays in SRAM.
    ends: u8,
    latency: u64,
}

fn places(row: &Row) -> Places {
    let ends = u8::from(row["feature_map_storage_area"] == "DRAM");
    match row["memory_mode"].as_str() {
        "Sram_Only" => Places { weights: 0, ends, latency: SRAM_READ },
        "Shared_Sram" => Places { weights: 1, ends, latency: FLASH_READ },
        _ => Places { weights: 1, ends, latency: DRAM_READ },
    }
}

/// Products and stream of a layer.
fn layer(row: &Row, homes: Homes) -> (Option<LoopNest>, Option<Stream>) {
    let extents = |key: &str| -> Vec<u64> { row[key].split('x').map(|extent| extent.parse().unwrap_or(0)).collect() };
    let (read, written) = (count(row, "input_bytes"), count(row, "output_bytes"));
    let elements = written;
    let stream = |read, weights, written, flops| {
        Some(Stream {
            read: Bytes(read),
            weights: Bytes(weights),
            written: Bytes(written),
            flops: Flops(flops),
            elements,
            homes,
        })
    };
    let sizes = ElementSizes { partial: 4, ..ElementSizes::all(1) };
    // Scale, bias and activation of what leaves the array.
    let epilogue = || stream(0, SCALE_BYTES * count(row, "cout"), 0, elements);
    match row["op"].as_str() {
        "CONV_2D" | "DEPTHWISE_CONV_2D" => {
            let (input, output) = (extents("input_shape"), extents("output_shape"));
            let depthwise = row["op"] == "DEPTHWISE_CONV_2D";
            let (c_in, c_out) = (count(row, "cin"), count(row, "cout"));
            let kernel = [1, count(row, "kernel_h"), count(row, "kernel_w")];
            let stride = [1, count(row, "stride_h"), count(row, "stride_w")];
            let padding = [0, 1, 2].map(|axis| {
                let (input, output) = ([1, input[1], input[2]][axis], [1, output[1], output[2]][axis]);
                ((output - 1) * stride[axis] + kernel[axis]).saturating_sub(input) / 2
            });
            let loops = ConvLoops {
                batch: input[0],
                groups: if depthwise { c_in } else { 1 },
                c_in: if depthwise { 1 } else { c_in },
                c_out: if depthwise { 1 } else { c_out },
                input: [1, input[1], input[2]],
                output: [1, output[1], output[2]],
                kernel,
                stride,
                dilation: [1; 3],
                padding,
            };
            let nest = LoopNest { homes, ..LoopNest::new(Loops::Conv(loops), sizes) };
            assert_eq!(nest.macs().map(|macs| macs.0), Ok(count(row, "macs")), "{row:?}");
            (Some(nest), epilogue())
        }
        "FULLY_CONNECTED" => {
            let loops = Loops::Gemm(Gemm { m: 1, n: count(row, "cout"), k: count(row, "cin"), groups: 1 });
            (Some(LoopNest { homes, ..LoopNest::new(loops, sizes) }), epilogue())
        }
        "ADD" => (None, stream(2 * written, 0, written, elements)),
        // A sum over each window, and a division.
        "AVERAGE_POOL_2D" => (None, stream(read, 0, written, read + elements)),
        "SOFTMAX" => (None, stream(read, 0, written, 5 * elements)),
        "RESHAPE" => (None, None),
        other => panic!("no loops of {other}"),
    }
}

/// Cycles of a network: arithmetic alone, and with memory and set-up.
fn cycles(row: &Row, layers: &[&Row]) -> Result<(f32, f32), Error> {
    const GIB: f32 = 1_073_741_824.0;
    let (npu, macs, cores) = ethos(&row["accelerator_configuration"]);
    let places = places(row);
    let stored = number(row, "total_npu_encoded_weights") / number(row, "total_original_weights");
    let npu = Npu { stored_weights: stored, setup_cycles: SRAM_READ + SRAM_WRITE + places.latency, ..npu };
    let clock = Hertz::new(number(row, "core_clock"))?;
    let compute = [ComputeUnit {
        name: "core",
        count: cores,
        clock,
        macs_per_cycle: PerPrecision::all(None).with(Precision::Int8, Some(MacsPerCycle::new(macs)?)),
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Spec,
    }];
    let outer = if row["memory_mode"].starts_with("Dedicated") { "dram" } else { "off_chip_flash" };
    let level = |name, bandwidth: &str, bytes| -> Result<MemoryLevel<'_>, Error> {
        let bandwidth = BytesPerSecond::new(number(row, bandwidth) * GIB)?;
        let level = MemoryLevel::new(name, Bytes(bytes), bandwidth, Basis::Spec);
        Ok(MemoryLevel { filling: Filling::Scratchpad, ..level })
    };
    // The column is in KiB: 384 for a cache of 384 KiB, 4 GiB for an address space.
    let sram = 1024 * number(row, "arena_cache_size") as u64;
    let memory = [level("SRAM", "sram_bandwidth", sram)?, level(outer, &format!("{outer}_bandwidth"), 2 * sram)?];
    let profiles = [ThermalProfile::new("default", "passive", PerPrecision::all(None))];
    let hardware = Hardware::new("ethos-u", &compute, &memory, &profiles, Seconds::ZERO)?;
    let machine = Machine::new(&hardware, &profiles[0], Precision::Int8)?;
    let (mut arithmetic, mut total) = (0.0, 0.0);
    for (number, row) in layers.iter().enumerate() {
        let input = if number == 0 { places.ends } else { 0 };
        let output = if number + 1 == layers.len() { places.ends } else { 0 };
        let (nest, stream) = layer(row, Homes { input, weights: places.weights, output });
        let mut parts: Vec<Mapping> = Vec::new();
        if let Some(nest) = nest {
            parts.push(npu.product(&nest, &machine)?);
        }
        if let Some(stream) = stream {
            parts.push(npu.stream(&stream, &machine)?);
        }
        let compute: f32 = parts.iter().map(|part| part.compute_cycles.as_f32()).sum();
        let moving = memory.iter().enumerate().map(|(level, memory)| {
            let bytes: f32 = parts.iter().map(|part| part.traffic[level].as_f32()).sum();
            bytes / memory.bandwidth.get() * clock.get()
        });
        let setup: f32 = parts.iter().map(|part| part.setup.0 * clock.get()).sum();
        arithmetic += compute;
        total += compute.max(moving.fold(0.0, f32::max)) + setup;
    }
    Ok((arithmetic, total))
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

#[test]
fn cycles_agree_with_velas() -> Result<(), Error> {
    let (Some(layers), Some(estimates)) = (rows("mlperf_tiny_macs.csv"), rows("vela.csv")) else { return Ok(()) };
    let mut networks: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in layers.iter().filter(|row| row["layer"] != "TOTAL") {
        networks.entry(&row["task"]).or_default().push(row);
    }
    // Vela's defaults are listed a second time under the names of what they stand for.
    let keys = ["accelerator_configuration", "system_config", "memory_mode", "compiler_core", "task"];
    let estimates: BTreeMap<Vec<&str>, &Row> =
        estimates.iter().map(|row| (keys.map(|key| row[key].as_str()).to_vec(), row)).collect();
    assert!(estimates.len() >= 200, "{} estimates", estimates.len());
    let mut errors: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    let mut without_memory = Vec::new();
    println!(
        "{:<16}{:<30}{:<22}{:<9}{:<5}{:>9}{:>9}{:>7}",
        "unit", "system", "memory", "core", "net", "ours", "Vela", "ratio"
    );
    for (key, row) in estimates {
        let (arithmetic, ours) = cycles(row, &networks[row["task"].as_str()])?;
        let vela = number(row, "cycles_total");
        let [unit, system, memory, core, network] = key[..] else { panic!("{key:?}") };
        println!("{unit:<16}{system:<30}{memory:<22}{core:<9}{network:<5}{ours:>9.0}{vela:>9.0}{:>7.2}", ours / vela);
        errors.entry(unit).or_default().push((ours / vela - 1.0).abs());
        errors.entry(memory).or_default().push((ours / vela - 1.0).abs());
        without_memory.push((arithmetic / number(row, "cycles_npu") - 1.0).abs());
    }
    for (name, errors) in &errors {
        println!("{name:<22}median {:>5.1} % of {}", 100.0 * median(errors.clone()), errors.len());
    }
    println!("arithmetic alone: median {:.1} %", 100.0 * median(without_memory));
    // Each stands under its unit and under its memory.
    let all: Vec<f32> = errors.into_values().flatten().collect();
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let median = median(all);
    println!("all: median {:.1} %, mean {:.1} %", 100.0 * median, 100.0 * mean);
    assert!(median <= 0.20, "median absolute error {median}");
    Ok(())
}
