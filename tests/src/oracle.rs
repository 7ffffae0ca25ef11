//! Oracles: the same quantities as core's, computed the slow and obvious way, by enumeration or in `f64`.
//!
//! They share no code with core beyond its plain types; where core has a closed form, these count.

use derate_core::Error;
use derate_core::calibration::{
    COEFFICIENTS, Calibration, Call, Calls, Coefficients, FRESH, GRAIN, Routine, SMALL_CONV,
};
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

/// Time of one op in seconds, and by how much rounding may change it, from the description's two factors.
#[must_use]
pub fn described_latency(work: &Work, device: &Device) -> [f64; 2] {
    if work.class == Class::View {
        return [0.0, 0.0];
    }
    let footprint = (work.bytes_in.0 + work.bytes_out.0 + work.bytes_weight.0) as f64;
    let peak = f64::from(device.count) * f64::from(device.clock) * 2.0 * f64::from(device.macs_per_cycle);
    let (mut traffic, mut slack) = (0.0, 0.0);
    for (share, &(_, bandwidth)) in shares(device, footprint, None).iter().zip(&device.levels) {
        let bandwidth = f64::from(bandwidth) * f64::from(device.memory);
        traffic += footprint * share / bandwidth;
        slack += tolerance::SHARE * footprint / bandwidth;
    }
    let compute = work.flops.0 as f64 / (peak * f64::from(device.efficiency));
    let time = f64::from(device.dispatch) + norm(compute, traffic);
    [time, slack + time * tolerance::LATENCY]
}

fn norm(a: f64, b: f64) -> f64 {
    (a.powi(3) + b.powi(3)).cbrt()
}

/// Time of one op in seconds on a CPU by a calibration, and by how much rounding may change it: the equations of
/// `derate_core::calibration`, as they stand there.
#[must_use]
pub fn calibrated_latency(calls: &Calls, weights: u64, calibration: &Calibration) -> [f64; 2] {
    let c = Wide::of(&calibration.coefficients);
    let (mut time, mut slack) = (0.0, 0.0);
    calls.each(|call, repeated| {
        let [of_call, of_bytes] = c.call(call, weights as f64, f64::from(calibration.threads));
        time += f64::from(repeated) * of_call;
        slack += f64::from(repeated) * tolerance::SHARE * of_bytes;
    });
    [time, slack + time * tolerance::LATENCY]
}

/// The coefficients in `f64`.
struct Wide(std::collections::HashMap<&'static str, f64>);

impl Wide {
    fn of(coefficients: &Coefficients) -> Self {
        let values = coefficients.values().map(f64::from);
        Self(COEFFICIENTS.iter().map(|c| c.name).zip(values).collect())
    }

    /// Time of a call within a network, and the time that all its bytes would take from the backing store.
    fn call(&self, call: &Call, weights: f64, threads: f64) -> [f64; 2] {
        let c = |name: &str| self.0[name];
        let cold = 1.0 + (c("cold_factor") - 1.0) * c("network_coldness");
        if call.routine == Routine::View {
            return [c("view_dispatch") * cold, 0.0];
        }
        let element = f64::from(call.element);
        let [n_in, n_out, n_w] = [call.elements_in, call.elements_out, call.elements_weight].map(f64::from);
        let [m, n, k, g] = call.mnkg.map(f64::from);
        let (a, w) = ((n_in + n_out) * element, n_w * element);
        let beta = |distance: f64| {
            let x = distance / c("cache_capacity");
            let far = if distance > 0.0 { x * x / (1.0 + x * x) } else { 0.0 };
            1.0 / c("cache_bandwidth") + far / c("memory_bandwidth")
        };
        let traffic = a * beta(a) + w * beta(weights + a);
        let fresh = |elements: f64| if elements * element > f64::from(FRESH) { elements * element } else { 0.0 };
        let conv =
            matches!(call.routine, Routine::Conv | Routine::Pointwise | Routine::Depthwise | Routine::GroupedConv);
        let mut pages = if call.in_place { 0.0 } else { fresh(n_out) };
        let time = if conv || matches!(call.routine, Routine::Linear | Routine::MatMul) {
            let direct = conv && call.batch == 1.0 && g == 1.0 && call.edge <= 3.0 && n_in <= f64::from(SMALL_CONV);
            let kind = if conv && !direct { "conv" } else { "linear" };
            let throughput = match call.routine {
                Routine::Depthwise => c("depthwise_throughput"),
                _ if direct => c("direct_throughput"),
                _ => c(&format!("{kind}_throughput")),
            };
            let half = ["m", "n", "k"].map(|letter| c(&format!("{kind}_{letter}")));
            let slower = match call.routine {
                Routine::Depthwise => 1.0,
                _ => (1.0 + half[0] / m) * (1.0 + half[1] / n) * (1.0 + half[2] / k),
            };
            let mut copies = 0.0;
            if conv && !direct {
                copies += c("reorder_passes") * traffic;
                pages += fresh(n_out) + fresh(n_in);
            }
            if direct && call.taps > 1.0 && matches!(call.routine, Routine::Conv | Routine::GroupedConv) {
                copies += 2.0 * m * k * g * element / c("thread_bandwidth");
            }
            let dispatch = if direct { c("dispatch") } else { c("library_dispatch") };
            dispatch * f64::from(call.overhead_share) * cold
                + norm(2.0 * m * n * k * g * slower / throughput, traffic)
                + copies
        } else {
            let elements = if call.routine == Routine::Reduction { n_in } else { n_out };
            let team = (elements / f64::from(GRAIN)).ceil().clamp(1.0, threads.max(1.0));
            let batch_norm = call.routine == Routine::BatchNorm;
            let dispatch = match call.routine {
                Routine::Reduction | Routine::Norm | Routine::Softmax => c("reduction_dispatch"),
                Routine::BatchNorm => c("norm_dispatch"),
                _ => c("dispatch"),
            };
            let fork = if elements > f64::from(GRAIN) && !batch_norm { c("fork") } else { 0.0 };
            let steps = match call.routine {
                Routine::Transcendental | Routine::Softmax => n_out / c("transcendental_rate") * threads / team,
                Routine::Pooling => n_out * (f64::from(call.taps) + 4.0) / c("pooling_rate"),
                Routine::Reduction => n_in / c("indexed_rate"),
                _ if call.broadcast => n_out / c("indexed_rate"),
                _ => 0.0,
            };
            let alone = a / (c("thread_bandwidth") * if batch_norm { threads } else { team });
            (dispatch * f64::from(call.overhead_share) + fork) * cold + norm(steps, traffic.max(alone))
        };
        let passes = 1.0 + c("reorder_passes");
        [time + pages / c("fault_bandwidth"), passes * (a + w) / c("memory_bandwidth")]
    }
}
