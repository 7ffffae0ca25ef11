//! Works of kernels, counted once: all that an estimate by the roofs takes of a graph, for as many devices as are asked about.
//!
//! Counting the work of a network takes longer than its estimate. Who looks for a device, a power mode or a clock counts once with
//! [`works`] and estimates many times with [`estimate_works`], which gives the bits of [`estimate_kernels`].
//!
//! [`estimate_kernels`]: super::estimate_kernels

use super::time::{Roofs, described};
use super::{Confidence, Estimate, OpEstimate, Target, any_precision, bound_of, confidence, own_precision, total};
use crate::calibration::{Call, Calls, Group, Intervals, Run};
use crate::error::Error;
use crate::fusion::{EAGER, Fused, Kernel};
use crate::graph::{GraphView, Node};
use crate::roofline::smooth_max;
use crate::shape::Precision;
use crate::units::Bytes;
use crate::work::{Class, Work};

/// Work of a kernel, and how it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KernelWork {
    /// Its exact work.
    pub work: Work,
    /// The precision it computes in; `None` for arithmetic on indices, which runs in units of fp32 or in whatever the device has.
    pub precision: Option<Precision>,
    /// What an eager runtime does for it; of a fused kernel, for the op that says how it spends its time.
    pub calls: Calls,
}

impl KernelWork {
    /// A kernel that does nothing. Scratch for [`works`]: one for each kernel.
    pub const NOTHING: Self = Self { work: Work::none(Class::View), precision: None, calls: Calls::One(Call::VIEW) };

    /// Of a kernel.
    pub(super) fn of(graph: GraphView<'_>, kernel: &Kernel<'_>) -> Result<Self, Error> {
        let node = kernel.main().ok_or(Error::UnknownTensor { operand: 0 })?;
        let work = kernel.work()?;
        let calls = Calls::of(graph, node, &work)?;
        Ok(Self { work, precision: own_precision(graph, node)?, calls: calls.in_place(kernel.in_place()) })
    }

    /// Of one op as an eager runtime runs it: what such a runtime makes a view of moves nothing.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn of_node(graph: GraphView<'_>, node: &Node) -> Result<Self, Error> {
        let work = graph.work(node)?;
        let work = if EAGER.is_view(graph, node) { work.as_view() } else { work };
        Ok(Self { work, precision: own_precision(graph, node)?, calls: Calls::of(graph, node, &work)? })
    }
}

/// Works of all kernels of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Works<'a> {
    kernels: &'a [KernelWork],
    /// What the graph itself stores.
    stored: Work,
    /// Bytes of everything that is stored with the network.
    weights: Bytes,
}

impl<'a> Works<'a> {
    /// The kernels, in execution order.
    #[must_use]
    pub const fn kernels(&self) -> &'a [KernelWork] {
        self.kernels
    }
}

/// Counts the work of each kernel of a graph. Scratch: one entry for each kernel.
///
/// # Errors
/// [`Error::ScratchTooSmall`]; [`Error::CountOverflow`] above 2^64 − 1 of anything.
pub fn works<'a>(fused: Fused<'_>, scratch: &'a mut [KernelWork]) -> Result<Works<'a>, Error> {
    let graph = fused.graph();
    let mut places = scratch.iter_mut();
    let mut count = 0_usize;
    for kernel in fused.kernels() {
        count = count.saturating_add(1);
        if let Some(place) = places.next() {
            *place = KernelWork::of(graph, &kernel)?;
        }
    }
    let small = Error::ScratchTooSmall { needed: u32::try_from(count).unwrap_or(u32::MAX) };
    let kernels = scratch.get(..count).ok_or(small)?;
    Ok(Works { kernels, stored: graph.stored()?, weights: graph.bytes_stored()? })
}

/// Time of a graph whose work is counted, on the target.
///
/// # Errors
/// Those of [`estimate_kernels`](super::estimate_kernels).
pub fn estimate_works(works: &Works<'_>, target: &Target<'_>) -> Result<Estimate, Error> {
    let mut roofline = Roofline::of(target, works.weights);
    total(works.stored, works.kernels.iter().map(|kernel| roofline.estimate(kernel)), target)
}

/// The roofs of a target, looked up once for each precision in a row, and the run so far by a calibration.
pub(super) struct Roofline<'a> {
    target: &'a Target<'a>,
    last: Option<(Option<Precision>, Roofs)>,
    run: Option<Run<'a>>,
}

impl<'a> Roofline<'a> {
    /// Of a network whose weights are so many bytes together.
    pub(super) fn of(target: &'a Target<'a>, weights: Bytes) -> Self {
        let run = target.calibration.map(|calibration| calibration.run(weights));
        Self { target, last: None, run }
    }

    pub(super) fn estimate(&mut self, kernel: &KernelWork) -> Result<OpEstimate, Error> {
        let KernelWork { work, precision, calls } = kernel;
        let roofs = match &self.last {
            Some((last, roofs)) if last == precision => *roofs,
            _ => {
                let known = precision.map_or_else(|| any_precision(self.target), Ok)?;
                self.last.insert((*precision, Roofs::of(self.target, known)?)).1
            }
        };
        let confidence = confidence(work, self.target, &roofs)?;
        let (Some(calibration), Some(run)) = (self.target.calibration, self.run.as_mut()) else {
            let (compute, transfer, overhead) = described(work, self.target, &roofs)?;
            return Ok(OpEstimate {
                work: *work,
                latency: overhead + smooth_max(compute, transfer.time),
                interval: None,
                compute,
                memory: transfer.time,
                level: transfer.level,
                overhead,
                bound: bound_of(compute, transfer.time, overhead, transfer.level),
                confidence,
            });
        };
        let op = run.op(calls);
        let interval = calibration
            .intervals
            .map(|intervals| intervals.of_op(op.latency, Group::of(calls.routine()), op.regime(), wider(confidence)));
        let [compute, memory, overhead] = [op.times.compute, op.times.memory + op.times.copies, op.times.overhead];
        // The coefficients know two levels: all caches together, and the backing store.
        let from_last = if op.times.far > 0.5 { 1 } else { 2 };
        let level = self.target.hardware.memory().len().saturating_sub(from_last);
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        Ok(OpEstimate {
            work: *work,
            latency: op.latency,
            interval,
            compute,
            memory,
            level,
            overhead,
            bound: bound_of(compute, memory, overhead, level),
            confidence,
        })
    }
}

/// How much wider an interval is than within the region of measured ops, as a factor of its logarithm.
pub(super) const fn wider(confidence: Confidence) -> f32 {
    let [near, far] = Intervals::WIDER;
    match confidence {
        Confidence::Calibrated => 1.0,
        Confidence::Interpolated => near,
        Confidence::Theoretical | Confidence::Unknown => far,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::{estimate_kernels, kernel_estimates};
    use crate::fusion::{INFERENCE, Link, Readers, fuse};
    use crate::graph::{Build, Graph, Tables};
    use crate::hardware::tests::with_toy;
    use crate::op::{Activation, ActivationKind, Linear, Op};
    use crate::shape::DataType;

    #[test]
    fn counted_works_give_the_estimate_of_their_kernels() -> Result<(), Error> {
        let mut net = Graph::<3, 4>::new();
        let x = net.input(&[8, 16], DataType::Fp32)?;
        let linear = |n| Op::Linear(Linear { in_features: 16, out_features: n, bias: true, weights: None });
        let y = net.op(linear(16), &[x])?;
        let y = net.op(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), &[y])?;
        net.op(linear(4), &[y])?;
        let (mut readers, mut links) = ([Readers::NOBODY; 4], [Link::FREE; 3]);
        let fused = fuse(net.view(), &INFERENCE, &mut readers, &mut links)?;

        assert_eq!(works(fused, &mut [KernelWork::NOTHING]).map(|_| ()), Err(Error::ScratchTooSmall { needed: 2 }));
        let mut scratch = [KernelWork::NOTHING; 3];
        let works = works(fused, &mut scratch)?;
        // Two kernels: 8 x 16 x 16 MACs with the ReLU, 8 x 16 x 4.
        let macs = [works.kernels()[0].work.macs.0, works.kernels()[1].work.macs.0];
        assert_eq!((works.kernels().len(), macs), (2, [2048, 512]));
        with_toy(|toy| {
            let target = Target::new(toy)?;
            let got = estimate_works(&works, &target)?;
            assert_eq!(got, estimate_kernels(fused, &target)?);
            assert_eq!(kernel_estimates(fused, &target)?.count(), 2);
            // Two dispatches of 1 µs, and work that takes less than one of them.
            assert!((2e-6..3e-6).contains(&got.latency.0), "{got:?}");
            Ok(())
        })?
    }
}
