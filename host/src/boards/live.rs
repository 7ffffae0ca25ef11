//! Live channels of a quantized network: those that can ever change and that somebody reads.
//!
//! Training leaves channels that are the same for every input (all weights of a filter zero, a bias that pushes it below its
//! activation) or that no later layer looks at. A runtime that compiles the network may leave them out; the count of MACs that it then
//! runs is the live one, not the published one.
//!
//! ```text
//! forward    [lo, hi] of an output = clamp(round(Σ w · [lo, hi] of the inputs + bias))     interval arithmetic on the integers
//!            a tap that may lie in the padding reads the zero point as well
//! constant   lo = hi
//! backward   an input is read if a live output has a weight that is not zero for it
//! live       not constant, and read
//! ```
//! The interval of an operator that is not followed is that of its data type, and all its operands are read: what is called dead is dead
//! for every input; some that is dead may be missed.
//!
//! **Source**: how integers stand for reals, and where they are rounded: B. Jacob et al., "Quantization and Training of Neural
//! Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 2.2; the TFLite 8-bit quantization specification.

use std::path::Path;

use crate::import::ImportError;
use crate::import::tflite::quantized::{self, Clamp, Kind, Operator, Quantized, Tensor};

/// Live channels of one layer with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Name of the tensor that it gives, which the importer names the op by.
    pub name: String,
    /// Outputs that can change and are read.
    pub outputs: usize,
    /// All outputs.
    pub all_outputs: usize,
    /// Inputs of each sum that can change and are read by a live output; 1 of a depthwise convolution.
    pub inputs: usize,
    /// All inputs of each sum; 1 of a depthwise convolution.
    pub all_inputs: usize,
}

/// Live channels of the layers of a file, in execution order; none for layers of reals.
///
/// # Errors
/// [`ImportError`] for a file that is no TFLite network.
pub fn live_in(path: &Path) -> Result<Vec<Live>, ImportError> {
    quantized::read(path, live)
}

/// Least and greatest value of each channel.
type Ranges = Vec<[i64; 2]>;

/// A layer whose weights are known, with the interval of each output.
struct Layer<'a, 'b> {
    operator: &'b Operator,
    input: usize,
    output: usize,
    weights: &'b Tensor<'a>,
    outputs: Ranges,
    /// Whether its weights have one entry for each channel of the operand, so that channels can be told apart.
    by_channel: bool,
}

/// Live channels of the layers with stored integer weights, in execution order.
#[must_use]
pub fn live(network: &Quantized<'_>) -> Vec<Live> {
    let mut ranges: Vec<Option<Ranges>> = vec![None; network.tensors.len()];
    let mut layers = Vec::new();
    for operator in &network.operators {
        if let Some(layer) = layer(network, operator, &ranges) {
            set(&mut ranges, layer.output, layer.outputs.clone());
            layers.push(Some(layer));
            continue;
        }
        layers.push(None);
        if let (Kind::Pool, Some(Some(input)), [output]) =
            (operator.kind, operator.inputs.first(), &operator.outputs[..])
            && let (Some(x), Some(y)) = (network.tensors.get(*input), network.tensors.get(*output))
            && (&x.scales, &x.zero_points) == (&y.scales, &y.zero_points)
            && let Some(found) = ranges.get(*input).cloned().flatten()
        {
            set(&mut ranges, *output, found);
        }
    }
    let mut read: Vec<Option<Vec<bool>>> = vec![None; network.tensors.len()];
    for &output in &network.outputs {
        need(&mut read, network, output, |_| true);
    }
    let mut found = Vec::new();
    for (operator, layer) in network.operators.iter().zip(&layers).rev() {
        match layer {
            Some(layer) => found.push(live_of(network, layer, &ranges, &mut read)),
            None => pass_on(network, operator, &mut read),
        }
    }
    found.reverse();
    found
}

fn set(ranges: &mut [Option<Ranges>], tensor: usize, found: Ranges) {
    if let Some(range) = ranges.get_mut(tensor) {
        *range = Some(found);
    }
}

/// The interval of each output of a layer; `None` for what is no layer of integers with stored weights.
fn layer<'a, 'b>(
    network: &'b Quantized<'a>,
    operator: &'b Operator,
    ranges: &[Option<Ranges>],
) -> Option<Layer<'a, 'b>> {
    let operand = |place: usize| operator.inputs.get(place).copied().flatten();
    let depthwise = match operator.kind {
        Kind::Conv | Kind::FullyConnected => false,
        Kind::Depthwise => true,
        Kind::Pool | Kind::Other => return None,
    };
    let (input, output) = (operand(0)?, *operator.outputs.first()?);
    let (x, weights, y) =
        (network.tensors.get(input)?, network.tensors.get(operand(1)?)?, network.tensors.get(output)?);
    let (whole, bounds) = (x.stored?.range(), y.stored?.range());
    let outputs = if depthwise { weights.channels() } else { *weights.shape.first()? };
    let inputs = if depthwise { x.channels() } else { weights.channels() };
    let sum: usize = weights.shape.iter().product::<usize>().checked_div(outputs)?;
    let by_channel = if depthwise { outputs.checked_rem(inputs)? == 0 } else { inputs == x.channels() };
    let count = outputs.checked_mul(sum)?;
    if weights.content.is_empty() || weights.integers().count() != count || inputs == 0 {
        return None;
    }
    // What each input adds to the zero point; all of the data type where channels cannot be told apart.
    let known = ranges.get(input).and_then(Option::as_ref).filter(|known| by_channel && known.len() == inputs);
    // A window of one tap never reads the padding.
    let padded = if depthwise { sum > 1 } else { sum > inputs };
    let offsets: Ranges = (0..inputs)
        .map(|channel| {
            let [lo, hi] = known.and_then(|known| known.get(channel)).copied().unwrap_or(whole);
            let zero = x.zero_point(0);
            let (lo, hi) = (lo.saturating_sub(zero), hi.saturating_sub(zero));
            if padded { [lo.min(0), hi.max(0)] } else { [lo, hi] }
        })
        .collect();
    let mut sums: Ranges = vec![[0; 2]; outputs];
    for (place, weight) in weights.integers().enumerate() {
        let (to, from) = if depthwise {
            // Each channel of the operand has as many outputs as the others, one after the other.
            (place % outputs, (place % outputs) / (outputs / inputs).max(1))
        } else {
            (place / sum, place % inputs)
        };
        let weight = weight.saturating_sub(weights.zero_point(to));
        if let (Some([lo, hi]), Some(&[least, greatest])) = (sums.get_mut(to), offsets.get(from)) {
            let (one, other) = (weight.saturating_mul(least), weight.saturating_mul(greatest));
            *lo = lo.saturating_add(one.min(other));
            *hi = hi.saturating_add(one.max(other));
        }
    }
    let bias: Vec<i64> =
        operand(2).and_then(|place| network.tensors.get(place)).map_or_else(Vec::new, |bias| bias.integers().collect());
    let clamp = clamped(operator.clamp, y, bounds)?;
    let scaled = |(channel, [lo, hi]): (usize, [i64; 2])| {
        let bias = bias.get(channel).copied().unwrap_or(0);
        let scale = x.scale(0)? * weights.scale(channel)? / y.scale(0)?;
        let at = |sum: i64| {
            let value = (sum.saturating_add(bias) as f64 * scale).round() as i64;
            value.saturating_add(y.zero_point(0)).clamp(clamp[0], clamp[1])
        };
        Some([at(lo), at(hi)])
    };
    let outputs = sums.into_iter().enumerate().map(scaled).collect::<Option<Ranges>>()?;
    Some(Layer { operator, input, output, weights, outputs, by_channel })
}

/// The integers that a fused activation lets through.
fn clamped(clamp: Clamp, y: &Tensor<'_>, [least, greatest]: [i64; 2]) -> Option<[i64; 2]> {
    let scale = y.scale(0)?;
    let at = |real: f64| ((real / scale).round() as i64).saturating_add(y.zero_point(0)).clamp(least, greatest);
    Some(match clamp {
        Clamp::None => [least, greatest],
        Clamp::Relu => [at(0.0), greatest],
        Clamp::Relu6 => [at(0.0), at(6.0)],
        Clamp::ReluN1To1 => [at(-1.0), at(1.0)],
    })
}

/// Says which channels of a tensor are read, beside those that are already.
fn need(read: &mut [Option<Vec<bool>>], network: &Quantized<'_>, tensor: usize, which: impl Fn(usize) -> bool) {
    let channels = network.tensors.get(tensor).map_or(0, Tensor::channels);
    let Some(needed) = read.get_mut(tensor) else { return };
    for (channel, needed) in needed.get_or_insert_with(|| vec![false; channels]).iter_mut().enumerate() {
        *needed |= which(channel);
    }
}

/// Whether a channel of a tensor is read; a tensor that nobody is known to read is read by the caller.
fn is_read(read: &[Option<Vec<bool>>], tensor: usize, channel: usize) -> bool {
    read.get(tensor).and_then(Option::as_ref).is_none_or(|read| read.get(channel).copied().unwrap_or(true))
}

/// Live channels of a layer; says which of its operand's channels it reads.
fn live_of(
    network: &Quantized<'_>,
    layer: &Layer<'_, '_>,
    ranges: &[Option<Ranges>],
    read: &mut [Option<Vec<bool>>],
) -> Live {
    let live: Vec<bool> = layer
        .outputs
        .iter()
        .enumerate()
        .map(|(channel, [lo, hi])| lo != hi && is_read(read, layer.output, channel))
        .collect();
    let depthwise = layer.operator.kind == Kind::Depthwise;
    let all_outputs = live.len();
    let all_inputs =
        if depthwise { network.tensors.get(layer.input).map_or(1, Tensor::channels) } else { layer.weights.channels() };
    let mut wanted = vec![!layer.by_channel; all_inputs];
    if layer.by_channel && depthwise {
        for (channel, _) in live.iter().enumerate().filter(|(_, live)| **live) {
            if let Some(wanted) = wanted.get_mut(channel / (all_outputs / all_inputs.max(1)).max(1)) {
                *wanted = true;
            }
        }
    } else if layer.by_channel {
        let sum = layer.weights.shape.iter().skip(1).product::<usize>().max(1);
        for (place, weight) in layer.weights.integers().enumerate() {
            let output = place / sum;
            if weight != layer.weights.zero_point(output)
                && live.get(output) == Some(&true)
                && let Some(wanted) = wanted.get_mut(place % all_inputs)
            {
                *wanted = true;
            }
        }
    }
    need(read, network, layer.input, |channel| !layer.by_channel || wanted.get(channel).copied().unwrap_or(true));
    // Whatever other reader the operand has, this layer's sums are over what can change and what its own live outputs weigh.
    let known = ranges.get(layer.input).and_then(Option::as_ref).filter(|_| layer.by_channel);
    let changes = |channel: usize| known.and_then(|known| known.get(channel)).is_none_or(|[lo, hi]| lo != hi);
    let inputs = wanted.iter().enumerate().filter(|(channel, wanted)| **wanted && changes(*channel)).count();
    Live {
        name: network.tensors.get(layer.output).map_or_else(String::new, |output| output.name.clone()),
        outputs: live.iter().filter(|live| **live).count(),
        all_outputs,
        inputs: if depthwise { 1 } else { inputs },
        all_inputs: if depthwise { 1 } else { all_inputs },
    }
}

/// What an operator that is no layer reads: of a pooling the channels that are read of its result, of any other all.
fn pass_on(network: &Quantized<'_>, operator: &Operator, read: &mut [Option<Vec<bool>>]) {
    let result = operator.outputs.first().and_then(|&output| read.get(output).cloned().flatten());
    for (place, input) in operator.inputs.iter().enumerate() {
        let Some(input) = *input else { continue };
        let through = result.as_ref().filter(|_| operator.kind == Kind::Pool && place == 0);
        need(read, network, input, |channel| {
            through.is_none_or(|through| through.get(channel).copied().unwrap_or(true))
        });
    }
}

#[cfg(test)]
mod tests;
