//! Oracles: the same quantities as core's, computed the slow and obvious way, by enumeration or in `f64`.
//!
//! They share no code with core beyond its plain types; where core has a closed form, these count.

use derate_core::Error;
use derate_core::calibration::{Calibration, FRESH, GRAIN};
use derate_core::graph::GraphView;
use derate_core::op::Conv2d;
use derate_core::work::{Class, Work};

use crate::device::Device;
use crate::tolerance;

/// Starts of the windows along one axis, in elements of the padded operand; `None` where not even one window fits.
///
/// With `ceil`, windows go on until the padded end is covered, but none starts in the padding after the operand: the rule of
/// PyTorch's pooling, whose documentation asks for padding of at most half a window.
#[must_use]
pub fn windows(
    extent: u32,
    kernel: u32,
    stride: u32,
    [before, after]: [u32; 2],
    dilation: u32,
    ceil: bool,
) -> Option<Vec<u32>> {
    let padded = before + extent + after;
    let last_tap = |start: u32| (0..kernel).map(|tap| start + tap * dilation).max().unwrap_or(start);
    let fits = |start: u32| last_tap(start) < padded;
    if !fits(0) {
        return None;
    }
    let mut starts = vec![0];
    loop {
        let previous = starts[starts.len() - 1];
        let start = previous + stride;
        let uncovered = last_tap(previous) + 1 < padded;
        if fits(start) || ceil && uncovered && start < before + extent {
            starts.push(start);
        } else {
            return Some(starts);
        }
    }
}

/// MACs of a convolution of `[n, c_in, h, w]`, one at a time; `None` where the kernel does not fit.
#[must_use]
pub fn conv_macs(conv: &Conv2d, [n, h, w]: [u32; 3]) -> Option<u64> {
    let [[k_h, k_w], [s_h, s_w], [d_h, d_w]] = [conv.kernel, conv.stride, conv.dilation];
    let rows = windows(h, k_h, s_h, conv.padding[0], d_h, false)?;
    let columns = windows(w, k_w, s_w, conv.padding[1], d_w, false)?;
    let mut macs = 0;
    for _image in 0..n {
        for c_out in 0..conv.c_out {
            let group = c_out / (conv.c_out / conv.groups);
            for _output in rows.iter().flat_map(|_| &columns) {
                for c_in in 0..conv.c_in {
                    if c_in / (conv.c_in / conv.groups) == group {
                        macs += u64::from(k_h * k_w);
                    }
                }
            }
        }
    }
    Some(macs)
}

/// Most bytes of activations alive at once: the ops are stepped through, and at each the buffers that are still needed counted.
///
/// # Errors
/// [`Error::CountOverflow`] of a tensor, as core gives it.
pub fn peak_activations(graph: GraphView<'_>) -> Result<u64, Error> {
    let nodes = graph.nodes();
    let is_view = |node: &derate_core::graph::Node| matches!(node.op, derate_core::op::Op::Flatten(_));
    // The buffer that each tensor lies in, by the number of the tensor that it was made for.
    let mut buffer: Vec<usize> = (0..graph.tensors().len()).collect();
    let bytes = |buffers: &[usize]| -> Result<u64, Error> {
        buffers.iter().try_fold(0, |sum, &index| Ok(sum + graph.tensors()[index].bytes()?.0))
    };
    let read_by = |step: usize| graph.operands(&nodes[step]).ids().iter().map(|id| id.index()).collect::<Vec<_>>();
    let is_output = |tensor: usize| !(0..nodes.len()).any(|step| read_by(step).contains(&tensor));

    // What each step needs in the end: tensors reach the buffers they lie in only through the views made so far.
    let mut held: Vec<usize> =
        (0..graph.tensors().len()).filter(|&t| !nodes.iter().any(|n| n.output.index() == t)).collect();
    let mut peak = bytes(&held)?;
    for (step, node) in nodes.iter().enumerate() {
        let operands = read_by(step);
        let output = node.output.index();
        // All views there will ever be: who looks at a buffer now or later keeps it.
        let mut lies_in = buffer.clone();
        for later in &nodes[step..] {
            if is_view(later) {
                lies_in[later.output.index()] = lies_in[graph.operands(later).ids()[0].index()];
            }
        }
        let needed_after = |wanted: usize| {
            let later = (step + 1..nodes.len()).any(|later| read_by(later).iter().any(|&t| lies_in[t] == wanted));
            later || (0..lies_in.len()).any(|t| lies_in[t] == wanted && is_output(t))
        };
        if is_view(node) {
            buffer[output] = buffer[operands[0]];
        } else {
            let first = buffer[operands[0]];
            if node.op.in_place() && !needed_after(first) {
                // The result is written over operand 0, which has the same size: there is one buffer, not two.
                held.retain(|&index| index != first);
            }
            held.push(output);
            peak = peak.max(bytes(&held)?);
        }
        let made_now = buffer[output];
        held.retain(|&index| index == made_now || needed_after(index));
    }
    Ok(peak)
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
