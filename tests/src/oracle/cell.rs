//! What is computed of one element, one row or one hidden value, written with numbers that count.
//!
//! What is done once a row, such as the division of a sum by its length, is computed without being counted, as core documents.

use derate_core::op::{ActivationKind, Affine, BinaryKind, Cell, PoolKind, ReduceKind, ResizeKind};

use super::number::Number;

/// Slope, bound or base of an activation; any number will do.
const A: Number = Number(0.1);
const ONE: Number = Number(1.0);
const TWO: Number = Number(2.0);
const THREE: Number = Number(3.0);
const SIX: Number = Number(6.0);
const ZERO: Number = Number(0.0);

/// A function of one element. Where it has two branches, `x` should be one that takes the longer.
pub(super) fn activation(kind: ActivationKind, x: Number) -> Number {
    match kind {
        ActivationKind::Relu => x.max(ZERO),
        ActivationKind::Relu6 => x.max(ZERO).min(SIX),
        ActivationKind::LeakyRelu => {
            if x.is_negative() {
                A * x
            } else {
                x
            }
        }
        ActivationKind::Clip => x.max(A).min(ONE),
        ActivationKind::HardSigmoid => (x + THREE).max(ZERO).min(SIX) / SIX,
        ActivationKind::HardSwish => x * ((x + THREE).max(ZERO).min(SIX) / SIX),
        ActivationKind::Sigmoid => x.sigmoid(),
        ActivationKind::LogSigmoid => -(ONE + (-x).exp()).ln(),
        ActivationKind::Silu => x * x.sigmoid(),
        // No erf in the standard library; any elementary function counts the same.
        ActivationKind::Gelu => x / TWO * (ONE + (x / Number(2.0_f64.sqrt())).tanh()),
        ActivationKind::GeluTanh => {
            let inner = x + Number(0.044_715) * (x * x * x);
            x / TWO * (ONE + (Number(0.797_884) * inner).tanh())
        }
        ActivationKind::QuickGelu => x * (Number(1.702) * x).sigmoid(),
        ActivationKind::Elu => elu(x),
        ActivationKind::Selu => Number(1.05) * elu(x),
        ActivationKind::Celu => {
            if x.is_negative() {
                A * ((x / A).exp() - ONE)
            } else {
                x
            }
        }
        ActivationKind::Softplus => (ONE + x.exp()).ln(),
        ActivationKind::Softsign => x / (ONE + x.abs()),
        ActivationKind::Mish => x * (ONE + x.exp()).ln().tanh(),
        ActivationKind::Rsqrt => ONE / x.sqrt(),
        ActivationKind::Square => x * x,
        ActivationKind::Reciprocal => ONE / x,
        ActivationKind::Neg => -x,
        // One function each.
        _ => x.apply(f64::tanh),
    }
}

fn elu(x: Number) -> Number {
    if x.is_negative() { A * (x.exp() - ONE) } else { x }
}

/// A function of two elements.
pub(super) fn binary(kind: BinaryKind, x: Number, y: Number) -> Number {
    match kind {
        BinaryKind::Add => x + y,
        BinaryKind::Sub => x - y,
        BinaryKind::Mul => x * y,
        BinaryKind::Div => x / y,
        BinaryKind::Pow => x.powf(y),
        BinaryKind::Max => x.max(y),
        BinaryKind::Min => x.min(y),
        // Remainder, comparison, logic: one operation each.
        _ => x - y,
    }
}

/// Softmax of a row, or its logarithm; the logarithm of the sum is taken once a row.
pub(super) fn softmax(row: &mut [Number], log: bool) {
    let mut largest = Number(f64::NEG_INFINITY);
    for &x in row.iter() {
        largest = largest.max(x);
    }
    let mut sum = ZERO;
    for x in row.iter_mut() {
        *x = *x - largest;
        sum = sum + x.exp();
    }
    let log_sum = Number(sum.0.ln());
    for x in row.iter_mut() {
        // The exponential was counted above; here it is only read again.
        *x = if log { *x - log_sum } else { Number(x.0.exp()) / sum };
    }
}

/// A row by its mean and variance.
pub(super) fn normalise(row: &mut [Number], affine: Affine) {
    let count = row.len() as f64;
    let mut sum = ZERO;
    for &x in row.iter() {
        sum = sum + x;
    }
    let mean = Number(sum.0 / count);
    let mut squares = ZERO;
    for x in row.iter_mut() {
        *x = *x - mean;
        squares = squares + *x * *x;
    }
    let scale = Number(1.0 / (squares.0 / count + 1e-5).sqrt());
    for x in row.iter_mut() {
        *x = *x * scale;
        if affine.weight {
            *x = *x * A;
        }
        if affine.bias {
            *x = *x + A;
        }
    }
}

/// A row by its root mean square.
pub(super) fn root_mean_square(row: &mut [Number], weight: bool) {
    let mut squares = ZERO;
    for &x in row.iter() {
        squares = squares + x * x;
    }
    let scale = Number(1.0 / (squares.0 / row.len() as f64 + 1e-5).sqrt());
    for x in row.iter_mut() {
        *x = *x * scale;
        if weight {
            *x = *x * A;
        }
    }
}

/// An element by so many neighbours across the channels; those beyond the first and last channel are zeros.
pub(super) fn local_response(x: Number, neighbours: u16) -> Number {
    let mut sum = ZERO;
    for _ in 0..neighbours {
        sum = sum + x * x;
    }
    x / (ONE + A * sum).powf(A)
}

/// A window of a pool, taps in the padding among them.
pub(super) fn pool(kind: PoolKind, window: &[Number]) -> Number {
    match kind {
        PoolKind::Max => window.iter().fold(Number(f64::NEG_INFINITY), |largest, &x| largest.max(x)),
        PoolKind::Norm => window.iter().fold(ZERO, |sum, &x| sum + x.powf(TWO)).sqrt(),
        // The first tap is where the sum starts.
        _ => window.iter().skip(1).fold(window[0], |sum, &x| sum + x) * Number(1.0 / window.len() as f64),
    }
}

/// A window of an adaptive pool: its sum starts at zero, since each window has another size.
pub(super) fn adaptive_pool(kind: PoolKind, window: &[Number]) -> Number {
    match kind {
        PoolKind::Max | PoolKind::Norm => pool(kind, window),
        _ => window.iter().fold(ZERO, |sum, &x| sum + x) * Number(1.0 / window.len() as f64),
    }
}

/// A reduction of a row.
pub(super) fn reduce(kind: ReduceKind, row: &[Number]) -> Number {
    let sum = |map: &dyn Fn(Number) -> Number| row.iter().fold(ZERO, |sum, &x| sum + map(x));
    match kind {
        ReduceKind::Sum => sum(&|x| x),
        ReduceKind::Mean => sum(&|x| x) / Number(row.len() as f64),
        ReduceKind::Min => row.iter().fold(Number(f64::INFINITY), |least, &x| least.min(x)),
        ReduceKind::Product => row.iter().fold(ONE, |product, &x| product * x),
        ReduceKind::L1 => sum(&Number::abs),
        ReduceKind::L2 => sum(&|x| x * x).sqrt(),
        ReduceKind::Variance => {
            let mean = Number(sum(&|x| x).0 / row.len() as f64);
            let centred: Vec<Number> = row.iter().map(|&x| x - mean).collect();
            centred.iter().fold(ZERO, |sum, &x| sum + x * x) / Number(row.len() as f64)
        }
        ReduceKind::LogSumExp => {
            let largest = row.iter().fold(Number(f64::NEG_INFINITY), |largest, &x| largest.max(x));
            sum(&|x| (x - largest).exp()).ln() + largest
        }
        // The maximum, or where it stands.
        _ => row.iter().fold(Number(f64::NEG_INFINITY), |largest, &x| largest.max(x)),
    }
}

/// One hidden value of a cell from the products of its gates with input and state; `bias` adds two to each gate.
pub(super) fn cell(cell: Cell, bias: bool) -> Number {
    let (input, state, old) = (Number(0.3), Number(0.2), Number(0.1));
    let of_input = || if bias { input + A } else { input };
    let of_state = || if bias { state + A } else { state };
    let gate = || of_input() + of_state();
    match cell {
        Cell::Lstm => {
            let (i, f, g, o) = (gate().sigmoid(), gate().sigmoid(), gate().tanh(), gate().sigmoid());
            let c = f * old + i * g;
            o * c.tanh()
        }
        Cell::Gru => {
            let (r, z) = (gate().sigmoid(), gate().sigmoid());
            let n = (of_input() + r * of_state()).tanh();
            (ONE - z) * n + z * old
        }
        _ => gate().tanh(),
    }
}

/// A value between samples, along this many axes one after the other.
pub(super) fn interpolate(kind: ResizeKind, axes: usize) -> Number {
    if axes == 0 {
        return A;
    }
    match kind {
        ResizeKind::Linear => {
            let [low, high] = [(); 2].map(|()| interpolate(kind, axes - 1));
            low + (high - low) * A
        }
        ResizeKind::Cubic => {
            let [a, b, c, d] = [(); 4].map(|()| interpolate(kind, axes - 1));
            a * A + b * A + c * A + d * A
        }
        _ => A,
    }
}
