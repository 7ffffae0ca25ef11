//! Laws: what must hold of every estimate, whatever the network and the device.
//!
//! A law says nothing about the right number; it catches a wrong model that a few numbers by hand would not.

use derate_core::Error;
use derate_core::calibration::{COEFFICIENTS, Calibration, Coefficients, Routine, Runtime};
use derate_core::estimate::{Confidence, KernelWork, Target, estimate, op_estimates};
use derate_core::graph::{Build, Graph, GraphView, Tables};
use derate_core::hardware::Hardware;
use derate_core::memory::{Buffer, footprint};
use derate_core::op::{BatchNorm, Op, View};
use derate_core::residency::{Border, Residency};
use derate_core::roofline::smooth_max;
use derate_core::shape::{DataType, Shape};
use derate_core::units::{Bytes, Factor, Seconds};
use derate_core::work::Work;
use derate_tests::device::{Device, calibration, device};
use derate_tests::network::{Network, OPS, Step, TENSORS, batch, network, replay};
use derate_tests::tolerance;
use proptest::prelude::*;

/// Latency in seconds of a graph on a device, by its description or by a calibration.
fn latency(graph: GraphView<'_>, device: &Device, calibration: Option<&Calibration>) -> Result<f32, Error> {
    device.with(|hardware| Ok(estimate(graph, &Target { calibration, ..Target::new(hardware)? })?.latency.0))?
}

/// Whether the first of two latencies is at most the second, up to rounding.
fn at_most(a: f32, b: f32) -> bool {
    a <= b * (1.0 + tolerance::ORDER)
}

/// Latency of the same graph on a device and on a changed one.
fn before_and_after(network: &Network, device: &Device, change: impl Fn(&mut Device)) -> Result<[f32; 2], Error> {
    let graph = network.build(1)?;
    let mut changed = device.clone();
    change(&mut changed);
    Ok([latency(graph.view(), device, None)?, latency(graph.view(), &changed, None)?])
}

/// Checks each op and the whole against its roofs.
fn above_the_roofs(
    graph: GraphView<'_>,
    hardware: &Hardware<'_>,
    calibration: Option<&Calibration>,
) -> Result<(), Error> {
    let target = Target { calibration, ..Target::new(hardware)? };
    let mut sum = Seconds::ZERO;
    let mut parts = [Seconds::ZERO; 3];
    for op in op_estimates(graph, &target)? {
        let op = op?;
        assert!(op.latency.0.is_finite() && op.latency.0 >= 0.0, "{op:?}");
        assert!(op.latency.0 >= op.compute.max(op.memory).0 && op.latency.0 >= op.overhead.0, "{op:?}");
        let roofs = op.overhead.0 + op.compute.0 + op.memory.0;
        assert!(at_most(op.latency.0, roofs), "at most one after the other: {op:?}");
        assert!(op.interval.is_none_or(|[low, high]| low.0 <= op.latency.0 && op.latency.0 <= high.0), "{op:?}");
        sum = sum + op.latency;
        for (part, time) in parts.iter_mut().zip([op.compute, op.memory, op.overhead]) {
            *part = *part + time;
        }
    }
    let whole = estimate(graph, &target)?;
    let run = calibration.map_or(Seconds::ZERO, |calibration| calibration.coefficients.run(sum));
    assert_eq!(whole.latency, sum + run, "ops run one after the other");
    parts[2] = parts[2] + run;
    assert_eq!([whole.compute, whole.memory, whole.overhead], parts, "each part is the sum of its ops'");
    // What the runtime makes a view of moves nothing; all else is as the graph counts it.
    let counted = graph.total_work()?;
    let (bytes_in, bytes_out, bytes_weight) = (whole.work.bytes_in, whole.work.bytes_out, whole.work.bytes_weight);
    assert!(bytes_in <= counted.bytes_in && bytes_out <= counted.bytes_out && bytes_weight <= counted.bytes_weight);
    assert_eq!(whole.work, Work { bytes_in, bytes_out, bytes_weight, ..counted });
    if let Some([low, high]) = whole.interval {
        assert!(low.0 <= whole.latency.0 && whole.latency.0 <= high.0, "{whole:?}");
    }
    // An interval only with a calibration; and never more than a tenth of the time less sure than said.
    assert_eq!(whole.interval.is_some(), calibration.is_some() && sum.0 > 0.0);
    assert!(calibration.is_some() || whole.confidence <= Confidence::Theoretical);
    let mut less_sure = 0.0_f64;
    for op in op_estimates(graph, &target)? {
        let op = op?;
        less_sure += if op.confidence < whole.confidence { f64::from(op.latency.0) } else { 0.0 };
    }
    assert!(less_sure <= f64::from(sum.0) * 0.1001, "{less_sure} of {sum:?} s below {:?}", whole.confidence);
    Ok(())
}

proptest! {
    #[test]
    fn a_latency_is_finite_and_above_each_roof(
        network in network(), batch in batch(), device in device(), calibration in calibration(),
    ) {
        let graph = network.build(batch)?;
        device.with(|hardware| above_the_roofs(graph.view(), hardware, None))??;
        device.with(|hardware| above_the_roofs(graph.view(), hardware, Some(&calibration)))??;
    }

    #[test]
    fn more_bandwidth_is_never_slower(
        network in network(), device in device(), level in any::<prop::sample::Index>(), factor in 1.0_f32..10.0,
    ) {
        let level = level.index(device.levels.len());
        let [before, after] = before_and_after(&network, &device, |device| device.levels[level].1 *= factor)?;
        prop_assert!(at_most(after, before), "{before} {after}");
    }

    #[test]
    fn a_higher_clock_is_never_slower(network in network(), device in device(), factor in 1.0_f32..10.0) {
        let [before, after] = before_and_after(&network, &device, |device| device.clock *= factor)?;
        prop_assert!(at_most(after, before), "{before} {after}");
    }

    #[test]
    fn more_units_are_never_slower(network in network(), device in device(), more in 0_u32..100) {
        let [before, after] = before_and_after(&network, &device, |device| device.count += more)?;
        prop_assert!(at_most(after, before), "{before} {after}");
    }

    /// Levels stay in their order: a level grows up to the next one.
    #[test]
    fn more_capacity_is_never_slower(
        network in network(), device in device(), level in any::<prop::sample::Index>(), share in 0.0_f64..1.0,
    ) {
        let level = level.index(device.levels.len());
        let capacity = device.levels[level].0;
        let limit = device.levels.get(level + 1).map_or(capacity * 64, |next| next.0 - 1);
        let larger = capacity + ((limit - capacity) as f64 * share) as u64;
        let [before, after] = before_and_after(&network, &device, |device| device.levels[level].0 = larger)?;
        prop_assert!(at_most(after, before), "{before} {after}");
    }

    #[test]
    fn two_images_are_never_faster_than_one(network in network(), device in device(), batch in 1_u32..8) {
        let one = latency(network.build(batch)?.view(), &device, None)?;
        let two = latency(network.build(2 * batch)?.view(), &device, None)?;
        prop_assert!(at_most(one, two), "{one} {two}");
        // Nor slower than one after the other, as long as the second does not push the first out of a level: on one level.
        let flat = Device { levels: device.levels[..1].to_vec(), ..device };
        let one = latency(network.build(batch)?.view(), &flat, None)?;
        let two = latency(network.build(2 * batch)?.view(), &flat, None)?;
        prop_assert!(at_most(two, 2.0 * one), "{one} {two}");
    }

    #[test]
    fn work_is_linear_in_the_batch_and_parameters_are_not(network in network(), batch in 1_u32..1000) {
        let one = network.build(1)?.view().total_work()?;
        let many = network.build(batch)?.view().total_work()?;
        let batch = u64::from(batch);
        prop_assert_eq!(many.macs.0, one.macs.0 * batch);
        prop_assert_eq!(many.flops.0, one.flops.0 * batch);
        prop_assert_eq!(many.bytes_in.0, one.bytes_in.0 * batch);
        prop_assert_eq!(many.bytes_out.0, one.bytes_out.0 * batch);
        prop_assert_eq!((many.bytes_stored, many.params), (one.bytes_stored, one.params));
        // Weights are read once, but of tables as many rows as are looked up.
        let read_once = |batch: u32| -> Result<u64, Error> {
            let graph = network.build(batch)?;
            let mut sum = 0;
            for node in graph.view().nodes().iter().filter(|node| !matches!(node.op, Op::Embedding(_))) {
                sum += graph.view().work(node)?.bytes_weight.0;
            }
            Ok(sum)
        };
        prop_assert_eq!(read_once(u32::try_from(batch).unwrap_or(1))?, read_once(1)?);
    }

    #[test]
    fn a_matrix_product_counts_the_macs(network in network(), batch in 1_u32..9) {
        let graph = network.build(batch)?;
        // Attention with its projections is several products, of which one stands for all.
        for node in graph.view().nodes().iter().filter(|node| !matches!(node.op, Op::MultiHeadAttention(_))) {
            let work = graph.view().work(node)?;
            let product = work.gemm.map_or(0, |gemm| gemm.m * gemm.n * gemm.k * gemm.groups);
            prop_assert_eq!(product, work.macs.0);
            prop_assert!(work.flops.0 >= 2 * work.macs.0);
        }
    }

    #[test]
    fn what_is_shared_is_stored_once(network in network()) {
        let alone = Network { steps: network.steps.iter().map(|step| Step { shared: false, ..*step }).collect(), ..network.clone() };
        let (shared, alone) = (network.build(1)?, alone.build(1)?);
        let (shared, alone) = (shared.view().total_work()?, alone.view().total_work()?);
        prop_assert!(shared.params <= alone.params && shared.bytes_stored <= alone.bytes_stored);
        // It is computed and read all the same.
        prop_assert_eq!((shared.macs, shared.flops, shared.bytes_in), (alone.macs, alone.flops, alone.bytes_in));
    }

    #[test]
    fn the_peak_holds_every_op(network in network()) {
        let graph = network.build(1)?;
        let view = graph.view();
        let peak = footprint(view, &mut [Buffer::EMPTY; TENSORS])?.peak_activations.0;
        for node in view.nodes() {
            // A view lies in what it looks at.
            let viewed = |id| view.nodes().iter().find(|made| made.output == id && made.op.is_view());
            let buffer = |mut id| {
                while let Some(made) = viewed(id) {
                    id = view.operands(made).ids()[0];
                }
                id
            };
            let mut ids: Vec<_> = view.operands(node).ids().iter().map(|&id| buffer(id)).collect();
            ids.sort_unstable();
            ids.dedup();
            let mut bytes = 0;
            if !node.op.in_place() && !node.op.is_view() {
                ids.extend(view.outputs(node));
            }
            for id in ids {
                let tensor = view.tensors()[id.index()];
                bytes += if tensor.kind.is_stored() { 0 } else { tensor.bytes()?.0 };
            }
            prop_assert!(bytes <= peak, "{node:?}: {bytes} > {peak}");
        }
    }

    #[test]
    fn the_owner_of_a_graph_changes_nothing(network in network(), device in device(), calibration in calibration()) {
        let (mut small, mut large) = (Graph::<OPS, TENSORS>::new(), Graph::<256, 512>::new());
        network.build_in(3, &mut small)?;
        network.build_in(3, &mut large)?;
        for calibration in [None, Some(&calibration)] {
            let [a, b] = [
                latency(small.view(), &device, calibration)?.to_bits(),
                latency(large.view(), &device, calibration)?.to_bits(),
            ];
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn a_failed_insertion_leaves_the_graph_as_it_was(network in network()) {
        let whole = network.build(1)?;
        // Too small for most networks, in any of the three tables; `Debug` shows all of them.
        let mut graph = Graph::<3, 9>::new();
        let mut kept = true;
        let built = replay(whole.view(), &mut graph, |before, after, failed| kept &= !failed || before == format!("{after:?}"));
        prop_assert!(kept, "changed by {built:?}");
        prop_assert!(matches!(built, Ok(()) | Err(Error::CapacityExceeded { .. })), "{:?}", built);
        let complete = graph.view().nodes().len() == whole.view().nodes().len()
            && graph.view().tensors().len() == whole.view().tensors().len();
        prop_assert_eq!(built.is_ok(), complete);
        let equal = format!("{:?}", graph.view()) == format!("{:?}", whole.view());
        prop_assert!(built.is_err() || equal);

        // What does not fit for another reason changes as little.
        let expected = format!("{:?}", graph.view());
        prop_assert!(graph.input(&[1; 9], DataType::Fp32).is_err());
        if let Some(last) = graph.view().nodes().last().map(|node| node.output) {
            let attribute = Op::BatchNorm(BatchNorm { features: 0 });
            let operand = Op::View(View { shape: Shape::new(&[1])? });
            prop_assert!(graph.op(attribute, &[last]).is_err() && graph.op(operand, &[]).is_err());
        }
        prop_assert_eq!(format!("{:?}", graph.view()), &expected[..]);
    }

    #[test]
    fn a_smooth_maximum_is_above_the_maximum_by_at_most_26_percent(a in 0.0_f32..1e6, b in 0.0_f32..1e6, more in 0.0_f32..1e6) {
        let smooth = |a: f32, b: f32| smooth_max(Seconds(a), Seconds(b)).0;
        prop_assert!(smooth(a, b) >= a.max(b));
        prop_assert!(smooth(a, b) <= 1.26 * a.max(b));
        prop_assert_eq!(smooth(a, b), smooth(b, a));
        prop_assert!(at_most(smooth(a, b), smooth(a + more, b)));
    }

    #[test]
    fn shares_of_a_stream_add_up_to_it(device in device(), distance in any::<u64>(), shift in 0_u32..64, factor in 0.2_f32..2.0) {
        // Distances of every order of magnitude, not just the largest.
        let distance = Bytes(distance >> shift);
        device.with(|hardware| -> Result<(), Error> {
            for border in [Border::Sharp, Border::Smooth { capacity: Factor::new(factor)? }] {
                let residency = Residency { hardware, border, cache: Factor::ONE, backing: Factor::ONE };
                let shares: Vec<f32> = residency.share(distance).collect();
                assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
                assert!((shares.iter().sum::<f32>() - 1.0).abs() <= tolerance::SHARES, "{shares:?}");
                assert_eq!(shares.len(), hardware.memory().len());
            }
            Ok(())
        })??;
    }

    #[test]
    fn each_coefficient_pulls_its_way(
        network in network(), batch in batch(), device in device(), mut calibration in calibration(), factor in 1.0_f32..3.0,
    ) {
        // A device that idled runs at a low clock until it has worked for a while: there, more work may end earlier.
        calibration.coefficients.idle_clock = 0.0;
        let graph = network.build(batch)?;
        let slower = |change: &dyn Fn(&mut Coefficients)| -> Result<[f32; 2], Error> {
            let mut changed = calibration;
            change(&mut changed.coefficients);
            Ok([latency(graph.view(), &device, Some(&calibration))?, latency(graph.view(), &device, Some(&changed))?])
        };
        for (index, c) in COEFFICIENTS.iter().enumerate() {
            let more = |changed: &mut Coefficients| {
                let mut values = changed.values();
                values[index] *= factor;
                // Beyond the range that is read from files, but the law holds there too.
                *changed = Coefficients::from_values(values).unwrap_or(*changed);
            };
            let [before, after] = slower(&more)?;
            // Rates, bandwidths and capacities make it faster; times, passes and extents at which half is reached, slower.
            let gains = matches!(c.unit, "FLOP/s" | "B/s" | "1/s" | "B");
            let [faster, slower] = if gains { [after, before] } else { [before, after] };
            prop_assert!(at_most(faster, slower), "{}: {} {}", c.name, before, after);
        }
    }

    /// A device beside its host takes at least as long as either, and at most as long as both one after the other.
    #[test]
    fn a_device_works_while_its_host_dispatches(network in network(), batch in batch(), mut calibration in calibration()) {
        let graph = network.build(batch)?;
        let view = graph.view();
        calibration.runtime = Runtime::EagerGpu;
        let mut run = calibration.run(view.bytes_stored()?);
        let [mut host, mut work] = [0.0_f64; 2];
        for node in view.nodes() {
            let kernel = KernelWork::of_node(view, node)?;
            let op = run.op(&kernel.calls);
            prop_assert!(op.latency.0 >= 0.0);
            host += f64::from(op.times.overhead.0);
            kernel.calls.each(|call, repeated| {
                if call.routine != Routine::View {
                    let times = calibration.coefficients.times(call, run.setting());
                    let floor = calibration.coefficients.kernel_floor;
                    work += f64::from(repeated) * f64::from(times.work().0.max(floor));
                }
            });
        }
        // Sums of f32 over hundreds of ops.
        let whole = f64::from(run.ops().0);
        prop_assert!(whole >= host * 0.9999, "{whole} {host}");
        prop_assert!(whole <= (host + work) * 1.0001, "{whole} {host} {work}");
    }
}

/// More levels than an index of one byte tells apart: an unlikely device, but no reason to panic.
#[test]
fn three_hundred_levels_are_estimated() -> Result<(), Error> {
    let levels = (0..300_u16).map(|level| (1 << 10 | u64::from(level), 1e9 - f32::from(level))).collect();
    let device =
        Device { count: 1, clock: 1e9, macs_per_cycle: 1.0, levels, efficiency: 1.0, memory: 1.0, dispatch: 0.0 };
    let step = Step::smallest(13);
    let graph = Network { image: [1, 64, 64], steps: vec![step] }.build(1)?;
    // 2 · 16 KiB (32.8 µs) at the last level's 1 GB/s (bandwidths differ by less than a millionth).
    let got = latency(graph.view(), &device, None)?;
    assert!((32.7e-6..33.3e-6).contains(&got), "{got} s");
    Ok(())
}
