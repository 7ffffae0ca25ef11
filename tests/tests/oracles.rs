//! Oracles: core's closed forms against counting, stepping through, and the equations in `f64`.

use std::collections::HashSet;
use std::mem::discriminant;

use derate_core::Error;
use derate_core::error::Attribute;
use derate_core::estimate::{KernelWork, Target, op_estimates};
use derate_core::graph::{Build, Graph, GraphView, Tables};
use derate_core::op::{Conv, ConvTranspose, Op, Pool, PoolKind, Window, Windows};
use derate_core::residency::{Border, Residency};
use derate_core::shape::DataType;
use derate_core::units::{Bytes, Factor};
use derate_tests::device::{calibration, device};
use derate_tests::network::{KINDS, Network, Step, batch, network, small_network};
use derate_tests::source::{code, variants};
use derate_tests::{oracle, tolerance};
use proptest::prelude::*;

const FITS_NOT: Error = Error::InvalidAttribute(Attribute::Padding);

/// MACs of an op beyond which stepping through each takes too long.
const COUNTABLE: u64 = 200_000;

/// Checks every node of a graph against what stepping through it counts; gives the ops that were checked.
fn check_by_counting(graph: GraphView<'_>) -> Result<Vec<Op>, Error> {
    let mut checked = Vec::new();
    for node in graph.nodes() {
        let work = graph.work(node)?;
        let tensor = |index: usize| graph.tensors()[index];
        let operands: Vec<_> = graph.operands(node).ids().iter().map(|id| tensor(id.index())).collect();
        let outputs: Vec<_> = graph.outputs(node).map(|id| tensor(id.index())).collect();
        if work.macs.0 + operands.iter().map(|operand| operand.shape.elements().unwrap_or(0)).sum::<u64>() > COUNTABLE {
            continue;
        }
        let tally = oracle::tally(&node.op, &operands, &outputs);
        let got = oracle::Tally {
            shape: outputs[0].shape.extents().to_vec(),
            macs: work.macs.0,
            other: work.flops.0 - 2 * work.macs.0,
            params: if node.shared { tally.params } else { work.params },
            stored: if node.shared { tally.stored } else { work.bytes_stored.0 },
            read: [work.bytes_in.0, work.bytes_weight.0],
            written: work.bytes_out.0,
        };
        assert_eq!(got, tally, "{:?} on {operands:?}", node.op);
        assert_eq!(work.elements_out, outputs[0].shape.elements()?);
        assert!(!node.shared || (work.params, work.bytes_stored.0) == (0, 0), "{node:?}");
        checked.push(node.op);
    }
    Ok(checked)
}

/// The output extents and MACs of one op.
fn single(op: Op, input: &[u32]) -> Result<(Vec<u32>, u64), Error> {
    let mut graph = Graph::<1, 2>::new();
    let x = graph.input(input, DataType::Fp32)?;
    let y = graph.op(op, &[x])?;
    let view = graph.view();
    Ok((view.tensors()[y.index()].shape.extents().to_vec(), view.total_work()?.macs.0))
}

/// A window along an axis, and the extent of the axis; it may not fit.
fn window() -> impl Strategy<Value = (u32, Window)> {
    (1_u32..=7, 1_u16..=4, 1_u16..=4, [0_u16..=3, 0_u16..=3], 1_u16..=3)
        .prop_map(|(extent, kernel, stride, padding, dilation)| (extent, Window { kernel, stride, padding, dilation }))
}

/// Number of windows along each axis by going along it.
fn extents(axes: &[(u32, Window)], ceil: bool) -> Option<Vec<u32>> {
    let along = axes.iter().map(|&(extent, window)| oracle::windows(extent, window, ceil));
    along.map(|starts| u32::try_from(starts?.len()).ok()).collect()
}

proptest! {
    #[test]
    fn the_work_of_each_op_is_what_stepping_through_counts(network in small_network(), batch in 1_u32..=2) {
        check_by_counting(network.build(batch)?.view())?;
    }

    #[test]
    fn a_convolution_has_the_windows_that_fit(
        axes in prop::collection::vec(window(), 1..=3), n in 1_u32..=2, (groups, c_in, c_out) in (1_u32..=3, 1_u32..=3, 1_u32..=3),
    ) {
        let (c_in, c_out) = (c_in * groups, c_out * groups);
        let (sizes, list): (Vec<u32>, Vec<Window>) = axes.iter().copied().unzip();
        let op = Op::Conv(Conv { c_in, c_out, groups, windows: Windows::new(&list)?, bias: true, weights: None });
        let input = [&[n, c_in], &sizes[..]].concat();
        let expected = extents(&axes, false).map(|extents| [&[n, c_out], &extents[..]].concat()).ok_or(FITS_NOT);
        prop_assert_eq!(single(op, &input).map(|(shape, _)| shape), expected);
    }

    #[test]
    fn a_convolution_undoes_the_extents_of_its_transpose(
        axes in prop::collection::vec((window(), 0_u16..4), 1..=3), (c_in, c_out) in (1_u32..=3, 1_u32..=3),
    ) {
        let (axes, extra): (Vec<(u32, Window)>, Vec<u16>) = axes.into_iter().unzip();
        let (sizes, list): (Vec<u32>, Vec<Window>) = axes.iter().copied().unzip();
        let windows = Windows::new(&list)?;
        let mut output_padding = [0; 3];
        output_padding[..extra.len()].copy_from_slice(&extra);
        let op = Op::ConvTranspose(ConvTranspose { c_in, c_out, groups: 1, windows, output_padding, bias: false, weights: None });
        let input = [&[1, c_in], &sizes[..]].concat();
        match single(op, &input) {
            Ok((shape, _)) => {
                // With less output padding than a step, the convolution has as many windows on the result as this had elements.
                let back = Conv { c_in: c_out, c_out: c_in, groups: 1, windows, bias: false, weights: None };
                if extra.iter().zip(&list).all(|(&extra, window)| extra < window.stride) {
                    prop_assert_eq!(single(Op::Conv(back), &shape).map(|(shape, _)| shape), Ok(input));
                }
            }
            Err(error) => {
                prop_assert_eq!(error, FITS_NOT);
                let spread = |&(extent, axis): &(u32, Window)| {
                    (extent - 1) * u32::from(axis.stride) + u32::from(axis.dilation) * u32::from(axis.kernel - 1) + 1
                };
                let nothing_left = axes.iter().zip(&extra).any(|(axis, &extra)| {
                    spread(axis) + u32::from(extra) <= axis.1.padding.map(u32::from).iter().sum()
                });
                let padded = list.iter().zip(&extra).any(|(axis, &extra)| extra >= axis.stride.max(axis.dilation));
                prop_assert!(nothing_left || padded, "{:?}", axes);
            }
        }
    }

    #[test]
    fn pooling_counts_windows_as_pytorch_does(axes in prop::collection::vec(window(), 1..=3), ceil_mode in any::<bool>()) {
        let (sizes, list): (Vec<u32>, Vec<Window>) = axes.iter().copied().unzip();
        let op = Op::Pool(Pool { kind: PoolKind::Max, windows: Windows::new(&list)?, ceil_mode });
        let input = [&[1, 2], &sizes[..]].concat();
        // A window in the padding alone.
        let reach = |axis: &Window| axis.dilation * (axis.kernel - 1) + 1;
        let lost = list.iter().any(|axis| axis.padding.iter().any(|&side| side >= reach(axis)));
        let fitting = extents(&axes, ceil_mode).filter(|_| !lost);
        let expected = fitting.map(|extents| [&[1, 2], &extents[..]].concat()).ok_or(FITS_NOT);
        prop_assert_eq!(single(op, &input).map(|(shape, _)| shape), expected);
    }

    #[test]
    fn shares_are_those_of_the_equations(device in device(), distance in any::<u64>(), shift in 0_u32..64, factor in 0.2_f32..2.0) {
        let distance = distance >> shift;
        device.with(|hardware| -> Result<(), Error> {
            let smooth = Border::Smooth { capacity: Factor::new(factor)? };
            for (border, capacity) in [(Border::Sharp, None), (smooth, Some(f64::from(factor)))] {
                let residency = Residency { hardware, border, cache: Factor::ONE, backing: Factor::ONE };
                let expected = oracle::shares(&device, distance as f64, capacity);
                for (got, expected) in residency.share(Bytes(distance)).zip(expected) {
                    assert!((f64::from(got) - expected).abs() <= tolerance::SHARE, "{got} {expected} of {border:?}");
                }
            }
            Ok(())
        })??;
    }

    #[test]
    fn a_latency_is_that_of_the_equations(
        network in network(), batch in batch(), device in device(), calibration in calibration(),
    ) {
        let graph = network.build(batch)?;
        let view = graph.view();
        let weights = oracle::stored(view)?;
        device.with(|hardware| -> Result<(), Error> {
            for calibration in [None, Some(&calibration)] {
                let target = Target { calibration, ..Target::new(hardware)? };
                for (node, op) in view.nodes().iter().zip(op_estimates(view, &target)?) {
                    let op = op?;
                    let [expected, slack] = match calibration {
                        None => oracle::described_latency(&op.work, &device),
                        Some(calibration) => {
                            let kernel = KernelWork::of_node(view, node)?;
                            oracle::calibrated_latency(&kernel.calls, weights, calibration)
                        }
                    };
                    let off = (f64::from(op.latency.0) - expected).abs();
                    assert!(off <= slack, "{} s, by the equations {expected} s: {op:?}", op.latency.0);
                }
            }
            Ok(())
        })??;
    }
}

/// A network of a single step of each kind, in all its variants; together they are all ops that there are.
#[test]
fn every_op_is_counted() -> Result<(), Error> {
    let mut seen = HashSet::new();
    for kind in 0..KINDS {
        for variant in 0..40 {
            for choice in 0..8_u8 {
                let [in_place, bias, more] = [choice & 1, choice >> 1 & 1, choice >> 2 & 1].map(|bit| bit == 1);
                let (width, kernel, stride) = if more { (3, 2, 2) } else { (2, 3, 1) };
                let smallest = Step::smallest(kind);
                let step =
                    Step { variant, in_place, bias, width, kernel, stride, padding: [1, 0], back: variant, ..smallest };
                let graph = Network { image: [4, 3, 2], steps: vec![step] }.build(2)?;
                let checked = check_by_counting(graph.view())?;
                assert_eq!(checked.len(), graph.view().nodes().len(), "too large to count: {step:?}");
                seen.extend(checked.iter().map(discriminant));
            }
        }
    }
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/op.rs");
    let source = std::fs::read_to_string(source).expect("the source of the op set");
    assert_eq!(seen.len(), variants(&code(&source), "Op").len(), "an op that no random network draws");
    Ok(())
}

#[test]
fn the_oracle_of_windows_by_hand() {
    let windows = |extent, kernel, stride, padding, dilation, ceil| {
        oracle::windows(extent, Window { kernel, stride, padding, dilation }, ceil)
    };
    // 5 elements in twos: two windows, and a third of one element where the last may be partial.
    assert_eq!(windows(5, 2, 2, [0, 0], 1, false), Some(vec![0, 2]));
    assert_eq!(windows(5, 2, 2, [0, 0], 1, true), Some(vec![0, 2, 4]));
    // 2 elements padded to 4: a second window would start at 3, in the padding, and is left out.
    assert_eq!(windows(2, 2, 3, [1, 1], 1, true), Some(vec![0]));
    // Three taps two apart reach over 5 elements.
    assert_eq!(windows(4, 3, 1, [0, 0], 2, false), None);
    // One element in twos: no whole window, but a partial one; at a step of one it would be one element too far.
    assert_eq!([windows(1, 2, 2, [0, 0], 1, true), windows(1, 2, 1, [0, 0], 1, true)], [Some(vec![0]), None]);
}

#[test]
fn the_oracle_of_arithmetic_by_hand() {
    use oracle::{Number, counted};
    // 3 · 4 − 5 and its root: three operations.
    assert_eq!(counted(|| (Number(3.0) * Number(4.0) - Number(5.0)).sqrt()), 3);
    assert_eq!(counted(|| Number(1.0).sigmoid()), 4);
}
