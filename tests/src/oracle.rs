//! Oracles: the same quantities as core's, computed the slow and obvious way, by enumeration or in `f64`.
//!
//! They share no code with core beyond its plain types; where core has a closed form, these count.

use derate_core::Error;
use derate_core::calibration::{Calibration, FRESH, GRAIN};
use derate_core::graph::GraphView;
use derate_core::work::{Class, Work};

mod cell;
pub mod nest;
mod number;
pub mod tiling;
mod work;

pub use number::{Number, counted};
pub use work::{Tally, tally, windows};

use crate::device::Device;
use crate::tolerance;

/// Most bytes of activations alive at once: the ops are stepped through, and at each the buffers that are still needed counted.
///
/// # Errors
/// [`Error::CountOverflow`] of a tensor, as core gives it.
pub fn peak_activations(graph: GraphView<'_>) -> Result<u64, Error> {
    let nodes = graph.nodes();
    // The buffer that each tensor lies in, by the number of the tensor that it was made for.
    let mut buffer: Vec<usize> = (0..graph.tensors().len()).collect();
    let stored = |tensor: usize| graph.tensors()[tensor].kind.is_stored();
    let bytes = |buffers: &[usize]| -> Result<u64, Error> {
        let activations = buffers.iter().filter(|&&index| !stored(index));
        activations.copied().try_fold(0, |sum, index: usize| Ok(sum + graph.tensors()[index].bytes()?.0))
    };
    let read_by = |step: usize| graph.operands(&nodes[step]).ids().iter().map(|id| id.index()).collect::<Vec<_>>();
    let is_output = |tensor: usize| !(0..nodes.len()).any(|step| read_by(step).contains(&tensor));

    // What each step needs in the end: tensors reach the buffers they lie in only through the views made so far.
    let computed = |tensor: usize| nodes.iter().any(|node| graph.outputs(node).any(|id| id.index() == tensor));
    let mut held: Vec<usize> = (0..graph.tensors().len()).filter(|&tensor| !computed(tensor)).collect();
    let mut peak = bytes(&held)?;
    for (step, node) in nodes.iter().enumerate() {
        let operands = read_by(step);
        let outputs: Vec<usize> = graph.outputs(node).map(|id| id.index()).collect();
        // All views there will ever be: who looks at a buffer now or later keeps it.
        let mut lies_in = buffer.clone();
        for later in &nodes[step..] {
            if later.op.is_view() {
                lies_in[later.output.index()] = lies_in[graph.operands(later).ids()[0].index()];
            }
        }
        let needed_after = |wanted: usize| {
            let later = (step + 1..nodes.len()).any(|later| read_by(later).iter().any(|&t| lies_in[t] == wanted));
            later || (0..lies_in.len()).any(|t| lies_in[t] == wanted && is_output(t))
        };
        if node.op.is_view() {
            buffer[outputs[0]] = buffer[operands[0]];
        } else {
            let first = buffer[operands[0]];
            if node.op.in_place() && !needed_after(first) && !stored(first) {
                // The result is written over operand 0, which has the same size: there is one buffer, not two.
                held.retain(|&index| index != first);
            }
            held.extend(&outputs);
            peak = peak.max(bytes(&held)?);
        }
        let made_now: Vec<usize> = outputs.iter().map(|&output| buffer[output]).collect();
        held.retain(|&index| made_now.contains(&index) || needed_after(index));
    }
    Ok(peak)
}

/// Bytes of all that is stored with a network: the parameters of each op that is the first to have them, and its own tensors.
///
/// # Errors
/// [`Error::CountOverflow`] of a tensor, as core gives it.
pub fn stored(graph: GraphView<'_>) -> Result<u64, Error> {
    let mut sum = 0;
    for node in graph.nodes().iter().filter(|node| !node.shared) {
        sum += graph.work(node)?.bytes_stored.0;
    }
    for tensor in graph.tensors().iter().filter(|tensor| tensor.kind.is_stored()) {
        sum += tensor.bytes()?.0;
    }
    Ok(sum)
}

/// Share of a stream that each level serves: all of it the first level that holds the distance, or smoothly where the effective
/// share of the capacities is given.
#[must_use]
pub fn shares(device: &Device, distance: f64, capacity_factor: Option<f64>) -> Vec<f64> {
    let beyond = |level: usize| -> f64 {
        if level + 1 == device.levels.len() {
            return 0.0;
        }
        let capacity = device.levels[level].0 as f64;
        match capacity_factor {
            None => f64::from(u8::from(distance > capacity)),
            Some(factor) => {
                let squared = (distance / (capacity * factor)).powi(2);
                squared / (1.0 + squared)
            }
        }
    };
    (0..device.levels.len()).map(|level| if level == 0 { 1.0 } else { beyond(level - 1) } - beyond(level)).collect()
}

/// Time of one op in seconds, and by how much rounding may change it, from the equations of `derate_core::calibration` or, without
/// one, from the description's two factors.
#[must_use]
pub fn latency(
    work: &Work,
    weights: u64,
    in_place: bool,
    device: &Device,
    calibration: Option<&Calibration>,
) -> [f64; 2] {
    if work.class == Class::View {
        return [0.0, 0.0];
    }
    let flops = work.flops.0 as f64;
    let activations = (work.bytes_in.0 + work.bytes_out.0) as f64;
    let parameters = work.bytes_weight.0 as f64;
    let peak = f64::from(device.count) * f64::from(device.clock) * 2.0 * f64::from(device.macs_per_cycle);

    let mut slack = 0.0;
    let mut traffic =
        |[activation_distance, weight_distance]: [f64; 2], capacity: Option<f64>, [cache, backing]: [f64; 2]| {
            let last = device.levels.len() - 1;
            let shares = [activation_distance, weight_distance].map(|distance| shares(device, distance, capacity));
            let mut time = 0.0;
            for (level, &(_, bandwidth)) in device.levels.iter().enumerate() {
                let bandwidth = f64::from(bandwidth) * if level == last { backing } else { cache };
                time += (activations * shares[0][level] + parameters * shares[1][level]) / bandwidth;
                slack += tolerance::SHARE * (activations + parameters) / bandwidth;
            }
            time
        };
    let norm = |a: f64, b: f64| (a.powi(3) + b.powi(3)).cbrt();

    let time = if let Some(calibration) = calibration {
        let c = calibration.coefficients.values().map(f64::from);
        let [efficiency, vector, backing, cache, capacity, dispatch, fork, fork_work, packing, k_half, serial, fault] =
            c;
        let distances = [activations, weights as f64 + activations];
        let traffic = traffic(distances, Some(capacity), [cache, backing]);
        let fresh = if !in_place && work.bytes_out.0 > FRESH { work.bytes_out.0 as f64 / fault } else { 0.0 };
        if let Some(gemm) = work.gemm {
            let (reached, pack) = if !calibration.covers(work.class) {
                (device.efficiency.into(), 0.0)
            } else if gemm.groups == 1 && (gemm.m == 1 || gemm.n == 1) {
                (vector, 0.0)
            } else {
                (efficiency * gemm.k as f64 / (gemm.k as f64 + k_half), parameters / packing)
            };
            dispatch + fork * flops / (flops + fork_work) + pack + norm(flops / (peak * reached), traffic) + fresh
        } else {
            let alone = activations / serial / (1.0 + work.elements_out as f64 / f64::from(GRAIN));
            dispatch + norm(flops / peak, traffic + alone) + fresh
        }
    } else {
        let footprint = activations + parameters;
        let traffic = traffic([footprint; 2], None, [f64::from(device.memory); 2]);
        f64::from(device.dispatch) + norm(flops / (peak * f64::from(device.efficiency)), traffic)
    };
    [time, slack + time * tolerance::LATENCY]
}
