//! Roofline: the time of a kernel from its arithmetic and its traffic, and which of the two binds.
//!
//! Leaves out latency of a single access; overheads are added by [`mod@crate::estimate`].

use crate::units::{BytesPerSecond, FlopsPerByte, FlopsPerSecond, Seconds};

/// What limits a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Bound {
    /// Arithmetic.
    Compute,
    /// Traffic, most of its time at this level: an index into the device's memory levels.
    Memory(u8),
    /// Time beside the work: dispatch, threads.
    Overhead,
}

/// Attainable throughput at operational intensity `i`, in FLOP/s; `None` at intensity 0, where nothing is computed.
///
/// ```text
/// attainable = min(peak, i · bandwidth)          [FLOP/s] = min([FLOP/s], [FLOP/B] · [B/s])
/// ```
/// **Valid for** steady state: a kernel long enough to hide start-up.
/// **Source**: Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009.
///
/// ```
/// # use derate_core::{roofline::attainable_throughput, units::*};
/// // 0.5 FLOP/B · 100 MB/s = 50 MFLOP/s, below the peak of 168: memory-bound.
/// let peak = FlopsPerSecond::new(168e6)?;
/// let got = attainable_throughput(FlopsPerByte(0.5), peak, BytesPerSecond::new(100e6)?);
/// assert_eq!(got, Some(FlopsPerSecond::new(50e6)?));
/// # Ok::<(), derate_core::Error>(())
/// ```
#[must_use]
pub fn attainable_throughput(
    intensity: FlopsPerByte,
    peak: FlopsPerSecond,
    bandwidth: BytesPerSecond,
) -> Option<FlopsPerSecond> {
    let memory = intensity.0 * bandwidth.get();
    FlopsPerSecond::new(if memory > peak.get() { peak.get() } else { memory }).ok()
}

/// Operational intensity at which arithmetic and traffic take the same time, in FLOP/B.
#[must_use]
pub fn ridge_point(peak: FlopsPerSecond, bandwidth: BytesPerSecond) -> FlopsPerByte {
    FlopsPerByte(peak.get() / bandwidth.get())
}

/// Smooth maximum of two times: above the longer one, by 26 % where they are equal, by nothing where they are far apart.
///
/// ```text
/// smooth_max(a, b) = (a³ + b³)^(1/3) = max · cbrt(1 + (min / max)³)
/// ```
/// Arithmetic and traffic overlap, but not fully: near the ridge point each waits for the other now and then.
/// **Valid for** times that are not negative.
#[must_use]
pub fn smooth_max(a: Seconds, b: Seconds) -> Seconds {
    let (shorter, longer) = if a.0 < b.0 { (a.0, b.0) } else { (b.0, a.0) };
    if longer <= 0.0 {
        return Seconds::ZERO;
    }
    let ratio = shorter / longer;
    Seconds(longer * libm::cbrtf(1.0 + ratio * ratio * ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_maximum_by_hand() {
        assert_eq!(smooth_max(Seconds(2.0), Seconds::ZERO), Seconds(2.0));
        assert_eq!(smooth_max(Seconds::ZERO, Seconds::ZERO), Seconds::ZERO);
        // (1 + 1)^(1/3) = 1.259921.
        assert!((smooth_max(Seconds(1.0), Seconds(1.0)).0 - 1.259_921).abs() < 1e-6);
        // (8 + 1)^(1/3) = 2.080084.
        assert!((smooth_max(Seconds(1.0), Seconds(2.0)).0 - 2.080_084).abs() < 1e-6);
    }
}
