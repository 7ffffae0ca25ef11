//! Firmware: the host computes, bit by bit, what the device printed.
//!
//! `estimate.out` is the output of the firmware on a Cortex-M4F in QEMU, compared there whenever xtask runs it. Here the same
//! library code runs on the host; a difference is float or pointer-width drift.

use std::fs;
use std::path::Path;

use derate_core::graph::{Build, Graph, GraphView, Tables};
use derate_firmware::network::autoencoder;
use derate_firmware::report::{latency, mapped_latency, write};
use derate_hw_specs::device::STM32L4R5;

fn printed() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/src/bin/estimate.out");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_total_latency_has_the_devices_bits() {
    let printed = printed();
    let bits = printed.lines().find_map(|line| line.strip_prefix("latency bits: 0x")).expect("a line with the bits");
    let host = latency(&STM32L4R5.hardware).expect("an estimate");
    assert_eq!(format!("{:08x}", host.0.to_bits()), bits, "{} s on the host", host.0);
}

/// A mapper's estimate too, whatever the capacity of the graph.
#[test]
fn the_mapped_latency_has_the_devices_bits() {
    let printed = printed();
    let line = printed.lines().find_map(|line| line.strip_prefix("mapped latency bits: 0x"));
    let bits = line.expect("a line with the bits of the mapped latency");
    let graph = autoencoder().expect("a graph");
    let mut larger = Graph::<256, 256>::new();
    copy(graph.view(), &mut larger).expect("room");
    for view in [graph.view(), larger.view()] {
        let host = mapped_latency(view, &STM32L4R5).expect("an estimate");
        assert_eq!(format!("{:08x}", host.0.to_bits()), bits, "{} s on the host", host.0);
    }
}

/// The same graph in another owner.
fn copy(view: GraphView<'_>, other: &mut Graph<256, 256>) -> Result<(), derate_core::Error> {
    let input = view.tensors().first().copied().expect("an input");
    other.input(input.shape.extents(), input.data_type)?;
    for node in view.nodes() {
        other.op(node.op, view.operands(node).ids())?;
    }
    Ok(())
}

#[test]
fn the_report_is_the_devices() {
    let mut report = String::new();
    write(&mut report, &STM32L4R5).expect("a report");
    assert_eq!(report, printed());
}

#[test]
fn the_network_is_the_published_one() {
    let graph = autoencoder().expect("a graph");
    let work = graph.view().total_work().expect("work");
    // Ten layers: 2 · 640 · 128 + 6 · 128 · 128 + 2 · 128 · 8.
    assert_eq!(work.macs.0, 264_192);
    // 269,992 parameters are published; folding takes the four vectors of nine batch norms, 4 · (8 · 128 + 8).
    assert_eq!(work.params, 269_992 - 4 * (8 * 128 + 8));
}

/// The total by hand: arithmetic alone, which hides the traffic but for a few percent, and 19 dispatches.
#[test]
fn the_latency_is_near_the_roof_of_arithmetic() {
    // 2 · 264,192 FLOP and 1,672 biases and 1,032 ReLUs at 120 MHz · 2 · 0.5 MAC · 0.5: 60 MFLOP/s; 2 µs each op.
    let roof = (2.0 * 264_192.0 + 1_672.0 + 1_032.0) / 60e6 + 19.0 * 2e-6;
    let got = f64::from(latency(&STM32L4R5.hardware).expect("an estimate").0);
    assert!((roof..1.02 * roof).contains(&got), "{got} s, roof {roof} s");
}
