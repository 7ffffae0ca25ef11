//! Oracles: core's closed forms against counting, stepping through, and the equations in `f64`.

use derate_core::Error;
use derate_core::error::Attribute;
use derate_core::estimate::{Target, op_estimates};
use derate_core::graph::{Build, Graph, Tables};
use derate_core::memory::footprint;
use derate_core::op::{
    Activation, ActivationKind, AdaptiveAveragePool2d, BatchNorm, Binary, BinaryKind, Concat, Conv2d, Flatten,
    LayerNorm, Linear, Op, Pool2d, PoolKind, Softmax,
};
use derate_core::residency::{Border, Residency};
use derate_core::shape::DataType;
use derate_core::units::{Bytes, Factor};
use derate_tests::device::{calibration, device};
use derate_tests::network::{STEPS, batch, network};
use derate_tests::{oracle, tolerance};
use proptest::prelude::*;

const FITS_NOT: Error = Error::InvalidAttribute(Attribute::Padding);

/// The output extents and MACs of one op on `[n, c, h, w]`.
fn single(op: Op, input: [u32; 4]) -> Result<(Vec<u32>, u64), Error> {
    let mut graph = Graph::<1, 2>::new();
    let x = graph.input(&input, DataType::Fp32)?;
    let y = graph.op(op, &[x])?;
    let view = graph.view();
    Ok((view.tensors()[y.index()].shape.extents().to_vec(), view.total_work()?.macs.0))
}

/// Number of windows along both axes, as core gives extents.
fn extents([rows, columns]: [Option<Vec<u32>>; 2]) -> Option<[u32; 2]> {
    Some([u32::try_from(rows?.len()).ok()?, u32::try_from(columns?.len()).ok()?])
}

proptest! {
    #[test]
    fn a_convolution_is_the_sum_of_its_taps(
        (n, h, w) in (1_u32..=2, 1_u32..=7, 1_u32..=7),
        (groups, c_in, c_out) in (1_u32..=3, 1_u32..=3, 1_u32..=3),
        kernel in [1_u32..=3, 1_u32..=3], stride in [1_u32..=3, 1_u32..=3], dilation in [1_u32..=2, 1_u32..=2],
        padding in [[0_u32..=2, 0_u32..=2], [0_u32..=2, 0_u32..=2]], bias in any::<bool>(),
    ) {
        let (c_in, c_out) = (c_in * groups, c_out * groups);
        let conv = Conv2d { c_in, c_out, kernel, stride, padding, dilation, groups, bias };
        let along = |axis: usize, extent| {
            oracle::windows(extent, kernel[axis], stride[axis], padding[axis], dilation[axis], false)
        };
        let expected = extents([along(0, h), along(1, w)]).zip(oracle::conv_macs(&conv, [n, h, w]));
        let expected = expected.map(|([h, w], macs)| (vec![n, c_out, h, w], macs)).ok_or(FITS_NOT);
        prop_assert_eq!(single(Op::Conv2d(conv), [n, c_in, h, w]), expected);
    }

    #[test]
    fn pooling_counts_windows_as_pytorch_does(
        (h, w) in (1_u32..=9, 1_u32..=9), kernel in [1_u32..=4, 1_u32..=4], stride in [1_u32..=5, 1_u32..=5],
        dilation in [1_u32..=2, 1_u32..=2], ceil_mode in any::<bool>(),
        halves in [[any::<bool>(), any::<bool>()], [any::<bool>(), any::<bool>()]],
    ) {
        // PyTorch refuses padding of more than half a window.
        let half = |axis: usize| kernel[axis] / 2;
        let padding = [0, 1].map(|axis: usize| halves[axis].map(|padded| if padded { half(axis) } else { 0 }));
        let pool = Pool2d { kind: PoolKind::Max, kernel, stride, padding, dilation, ceil_mode };
        let along = |axis: usize, extent| {
            oracle::windows(extent, kernel[axis], stride[axis], padding[axis], dilation[axis], ceil_mode)
        };
        let expected = extents([along(0, h), along(1, w)]).map(|[h, w]| (vec![1, 2, h, w], 0)).ok_or(FITS_NOT);
        prop_assert_eq!(single(Op::Pool2d(pool), [1, 2, h, w]), expected);
    }

    #[test]
    fn peak_memory_is_what_stepping_through_finds(network in network(), batch in batch()) {
        let graph = network.build(batch)?;
        let got = footprint(graph.view(), &mut [0; 2 * STEPS])?;
        prop_assert_eq!(got.peak_activations, Bytes(oracle::peak_activations(graph.view())?));
        prop_assert_eq!(got.weights, graph.view().total_work()?.bytes_weight);
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
        let weights = view.total_work()?.bytes_weight.0;
        device.with(|hardware| -> Result<(), Error> {
            for calibration in [None, Some(&calibration)] {
                let target = Target { calibration, ..Target::new(hardware)? };
                for (node, op) in view.nodes().iter().zip(op_estimates(view, &target)?) {
                    let op = op?;
                    let [expected, slack] = oracle::latency(&op.work, weights, node.op.in_place(), &device, calibration);
                    let off = (f64::from(op.latency.0) - expected).abs();
                    assert!(off <= slack, "{} s, by the equations {expected} s: {op:?}", op.latency.0);
                }
            }
            Ok(())
        })??;
    }
}

/// FLOPs, parameters, and bytes read, of parameters and written, of each op on `[2, 4, 6, 6]`: 288 elements of 4 bytes.
#[test]
fn the_work_of_each_op_by_hand() -> Result<(), Error> {
    let conv = |c_out, groups, bias| {
        let (kernel, one) = ([3; 2], [1; 2]);
        Op::Conv2d(Conv2d { c_in: 4, c_out, kernel, stride: one, padding: [one; 2], dilation: one, groups, bias })
    };
    let (kernel, stride) = ([2; 2], [2; 2]);
    let pool =
        Pool2d { kind: PoolKind::Average, kernel, stride, padding: [[0; 2]; 2], dilation: [1; 2], ceil_mode: false };
    let activation = |kind| Op::Activation(Activation { kind, in_place: false });
    let cases = [
        // 576 outputs of 4 · 9 taps, and a bias each.
        (conv(8, 1, true), 2 * 576 * 36 + 576, 8 * 36 + 8, [288, 8 * 36 + 8, 576]),
        (conv(4, 4, false), 2 * 288 * 9, 4 * 9, [288, 4 * 9, 288]),
        (conv(8, 2, false), 2 * 576 * 18, 8 * 18, [288, 8 * 18, 576]),
        // 48 rows of 6 features to 5.
        (Op::Linear(Linear { in_features: 6, out_features: 5, bias: true }), 2 * 48 * 30 + 48 * 5, 35, [288, 35, 240]),
        // Two learned vectors of 4, two buffers more.
        (Op::BatchNorm(BatchNorm { features: 4 }), 2 * 288, 8, [288, 16, 288]),
        (Op::LayerNorm(LayerNorm { features: 6 }), 7 * 288, 12, [288, 12, 288]),
        (Op::Pool2d(pool), 72 * 4, 0, [288, 0, 72]),
        (Op::AdaptiveAveragePool2d(AdaptiveAveragePool2d { output: [1; 2] }), 288 + 8, 0, [288, 0, 8]),
        (activation(ActivationKind::Relu), 288, 0, [288, 0, 288]),
        (activation(ActivationKind::Gelu), 5 * 288, 0, [288, 0, 288]),
        (Op::Softmax(Softmax { axis: 1 }), 5 * 288, 0, [288, 0, 288]),
        (Op::Concat(Concat { axis: 1 }), 0, 0, [2 * 288, 0, 2 * 288]),
        (Op::Binary(Binary { kind: BinaryKind::Mul, in_place: false }), 288, 0, [2 * 288, 0, 288]),
        (Op::Flatten(Flatten { start_axis: 1 }), 0, 0, [0, 0, 0]),
    ];
    for (op, flops, params, elements) in cases {
        let mut graph = Graph::<1, 3>::new();
        let pair = [graph.input(&[2, 4, 6, 6], DataType::Fp32)?; 2];
        let operands = if matches!(op, Op::Concat(_) | Op::Binary(_)) { &pair[..] } else { &pair[..1] };
        graph.op(op, operands)?;
        let work = graph.view().total_work()?;
        let bytes = [work.bytes_in, work.bytes_weight, work.bytes_out].map(|bytes| bytes.0);
        assert_eq!((work.flops.0, work.params, bytes), (flops, params, elements.map(|count| 4 * count)), "{op:?}");
    }
    Ok(())
}

#[test]
fn the_oracle_of_windows_by_hand() {
    // 5 elements in twos: two windows, and a third of one element where the last may be partial.
    assert_eq!(oracle::windows(5, 2, 2, [0, 0], 1, false), Some(vec![0, 2]));
    assert_eq!(oracle::windows(5, 2, 2, [0, 0], 1, true), Some(vec![0, 2, 4]));
    // 2 elements padded to 4: a second window would start at 3, in the padding, and is left out.
    assert_eq!(oracle::windows(2, 2, 3, [1, 1], 1, true), Some(vec![0]));
    // Three taps two apart reach over 5 elements.
    assert_eq!(oracle::windows(4, 3, 1, [0, 0], 2, false), None);
}
