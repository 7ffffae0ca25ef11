//! The models that are fitted: ours, the description's two factors, and the two baselines that every figure stands beside.
//!
//! Each predicts the time of a network from its graph and a handful of positive numbers; all are fitted alike (see [`super::fit`]).

use derate_core::calibration::{COEFFICIENTS, Calibration, Coefficients, Hull, MODEL_VERSION};
use derate_core::estimate::{Target, estimate};
use derate_core::graph::Tables;
use derate_core::hardware::{PrecisionFactors, ThermalProfile};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::Factor;
use derate_core::work::Class;

use super::fit::Parameter;
use crate::graph_buf::GraphBuf;

/// A network with its measured time.
#[derive(Debug)]
pub struct Sample {
    /// The network.
    pub graph: GraphBuf,
    /// Measured time of one run, in seconds.
    pub seconds: f64,
}

/// A form of prediction with free parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The coefficients of [`derate_core::calibration`].
    Calibrated,
    /// The description's `efficiency_factor` and `memory_bottleneck_factor`.
    TwoFactors,
    /// Time in proportion to MACs.
    MacOnly,
    /// Each op at the longer of its arithmetic at one throughput and its bytes at one bandwidth; no overhead, one memory level.
    PlainRoofline,
}

impl Model {
    /// All of them, ours first.
    pub const ALL: [Self; 4] = [Self::Calibrated, Self::TwoFactors, Self::PlainRoofline, Self::MacOnly];

    /// As it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calibrated => "calibrated model",
            Self::TwoFactors => "two factors",
            Self::MacOnly => "MAC-only",
            Self::PlainRoofline => "plain roofline",
        }
    }

    /// Its free parameters, before any measurement.
    #[must_use]
    pub fn parameters(self) -> Vec<Parameter> {
        // Without a prior to speak of: a standard deviation of e^10.
        let free = |name, prior: f64| Parameter { name, prior, prior_sd: 10.0, low: prior * 1e-6, high: prior * 1e6 };
        match self {
            Self::Calibrated => COEFFICIENTS
                .iter()
                .map(|c| Parameter {
                    name: c.name,
                    prior: f64::from(c.prior),
                    prior_sd: f64::from(c.prior_sd),
                    low: f64::from(c.low),
                    high: f64::from(c.high),
                })
                .collect(),
            Self::TwoFactors => {
                let factor = |name| Parameter { name, prior: 0.7, prior_sd: 1.0, low: 0.01, high: 1.5 };
                vec![factor("efficiency_factor"), factor("memory_bottleneck_factor")]
            }
            Self::MacOnly => vec![free("seconds_per_mac", 1e-11)],
            Self::PlainRoofline => vec![free("peak_throughput", 1e11), free("bandwidth", 1e10)],
        }
    }

    /// Time of one run in seconds; `None` where the parameters or the network make no sense on the target.
    #[must_use]
    pub fn predict(self, graph: &GraphBuf, values: &[f64], target: &Target<'_>, precision: Precision) -> Option<f64> {
        let view = graph.view();
        match (self, values) {
            (Self::Calibrated, values) => {
                let calibration = calibration(values)?;
                let target = Target { calibration: Some(&calibration), ..*target };
                Some(f64::from(estimate(view, &target).ok()?.latency.0))
            }
            (Self::TwoFactors, &[efficiency, memory]) => {
                let profile = with_factors(target.thermal_profile, precision, efficiency, memory)?;
                let target = Target { calibration: None, thermal_profile: &profile, ..*target };
                Some(f64::from(estimate(view, &target).ok()?.latency.0))
            }
            (Self::MacOnly, &[seconds_per_mac]) => Some(view.total_work().ok()?.macs.0 as f64 * seconds_per_mac),
            (Self::PlainRoofline, &[flops_per_second, bytes_per_second]) => {
                view.nodes().iter().try_fold(0.0, |sum, node| {
                    let work = view.work(node).ok()?;
                    let bytes = work.compulsory_traffic().ok()?;
                    Some(sum + f64::max(work.flops.0 as f64 / flops_per_second, bytes.0 as f64 / bytes_per_second))
                })
            }
            _ => None,
        }
    }
}

/// A calibration of these values that covers every class: for evaluating, not for keeping.
fn calibration(values: &[f64]) -> Option<Calibration> {
    let mut array = [0.0_f32; COEFFICIENTS.len()];
    for ((slot, value), c) in array.iter_mut().zip(values).zip(COEFFICIENTS) {
        // From f64 to f32 a value at its bound may land just outside.
        *slot = (*value as f32).clamp(c.low, c.high);
    }
    Some(Calibration {
        model_version: MODEL_VERSION,
        coefficients: Coefficients::from_values(array).ok()?,
        classes: u16::MAX,
        hull: Hull::EMPTY,
        interval: None,
    })
}

/// Coefficients from fitted values; `None` where there are not as many as there are coefficients.
#[must_use]
pub fn coefficients(values: &[f64]) -> Option<Coefficients> {
    (values.len() == COEFFICIENTS.len()).then(|| calibration(values).map(|c| c.coefficients)).flatten()
}

/// The thermal profile with other factors for one precision.
#[must_use]
pub fn with_factors<'a>(
    profile: &ThermalProfile<'a>,
    precision: Precision,
    efficiency: f64,
    memory: f64,
) -> Option<ThermalProfile<'a>> {
    let factors: PrecisionFactors = profile.factors.at(precision)?;
    let factors = PrecisionFactors {
        efficiency_factor: Factor::new(efficiency as f32).ok()?,
        memory_bottleneck_factor: Factor::new(memory as f32).ok()?,
        ..factors
    };
    let all: PerPrecision<Option<PrecisionFactors>> = profile.factors.with(precision, Some(factors));
    Some(ThermalProfile { factors: all, ..*profile })
}

/// What a calibration may say of itself: the classes of its samples' ops, and their region.
///
/// # Errors
/// [`derate_core::Error::CountOverflow`].
pub fn coverage(samples: &[Sample]) -> Result<(u16, Hull), derate_core::Error> {
    let (mut classes, mut hull) = (0, Hull::EMPTY);
    for sample in samples {
        let view = sample.graph.view();
        for node in view.nodes() {
            let work = view.work(node)?;
            classes |= work.class.bit();
            if work.class != Class::View {
                hull.widen(&work)?;
            }
        }
    }
    Ok((classes, hull))
}
