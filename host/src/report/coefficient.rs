//! Coefficients: what a fit recommends for the description, and what it found for the model, each with its range.

use derate_core::calibration::COEFFICIENTS;
use derate_core::estimate::Target;
use serde::Serialize;

use super::analysis::AnalysisError;
use crate::calibrate::Study;
use crate::calibrate::fit::Parameter;
use crate::calibrate::model::Model;

/// A factor of the description: as it is, and as the measurements recommend it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FactorChange {
    /// Value in the thermal profile that the estimates were made with.
    pub current: f64,
    /// Fitted value.
    pub recommended: f64,
    /// From the first to the second, in percent.
    pub change_pct: f64,
    /// Whether the fitted value lies at the edge of its range: the two factors cannot say what happens there.
    pub at_bound: bool,
    /// Whether the fit did not move it from where it starts: the rows do not tell it.
    pub at_prior: bool,
}

/// The two factors of the description.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Factors {
    /// Share of the peak throughput.
    pub efficiency_factor: FactorChange,
    /// Share of the bandwidths.
    pub memory_bottleneck_factor: FactorChange,
    /// Held-out mean absolute percentage error of the description with the recommended factors.
    pub held_out_mape_pct: f64,
}

/// One coefficient of the calibrated model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CoefficientValue {
    /// Name, as in the profile.
    pub name: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// Its unit; `1` for a factor.
    pub unit: &'static str,
    /// Fitted value.
    pub value: f64,
    /// Its standard error, in percent.
    pub standard_error_pct: f64,
    /// Value before any measurement.
    pub prior: f64,
    /// Lowest value.
    pub low: f64,
    /// Highest value.
    pub high: f64,
    /// Whether the fitted value lies at the edge of its range.
    pub at_bound: bool,
    /// Whether it stayed at its prior: the rows do not tell it.
    pub at_prior: bool,
}

pub(super) fn factors(study: &Study, target: &Target<'_>) -> Result<Factors, AnalysisError> {
    let precision = study.precision;
    let fitted = study
        .of(Model::TwoFactors)
        .ok_or(AnalysisError::Model { precision: precision.name(), model: Model::TwoFactors.name() })?;
    let current = target.thermal_profile.factors.at(precision).ok_or(AnalysisError::Factors {
        precision: precision.name(),
        profile: target.thermal_profile.name.to_owned(),
    })?;
    let (&[efficiency, memory], &[efficiency_parameter, memory_parameter]) =
        (&fitted.values[..], &fitted.parameters[..])
    else {
        return Err(AnalysisError::Model { precision: precision.name(), model: Model::TwoFactors.name() });
    };
    let change = |current: f32, recommended: f64, parameter: Parameter| {
        // Through decimals: 0.7 is meant, not the nearest f32 written out as f64.
        let current: f64 = current.to_string().parse().unwrap_or(f64::from(current));
        FactorChange {
            current,
            recommended,
            change_pct: (recommended / current - 1.0) * 100.0,
            at_bound: parameter.at_bound(recommended),
            at_prior: parameter.at_prior(recommended),
        }
    };
    Ok(Factors {
        efficiency_factor: change(current.efficiency_factor.get(), efficiency, efficiency_parameter),
        memory_bottleneck_factor: change(current.memory_bottleneck_factor.get(), memory, memory_parameter),
        held_out_mape_pct: fitted.held_out_error.mape_pct,
    })
}

pub(super) fn coefficients(study: &Study) -> Result<Vec<CoefficientValue>, AnalysisError> {
    let precision = study.precision.name();
    let missing = AnalysisError::Model { precision, model: Model::Calibrated.name() };
    let fitted = study.of(Model::Calibrated).ok_or(missing)?;
    let values = fitted.parameters.iter().zip(&fitted.values).zip(&fitted.standard_errors);
    Ok(values
        .filter_map(|((parameter, &value), &standard_error)| {
            let c = COEFFICIENTS.iter().find(|c| c.name == parameter.name)?;
            Some(CoefficientValue {
                name: c.name,
                meaning: c.meaning,
                unit: c.unit,
                value,
                standard_error_pct: standard_error * 100.0,
                prior: parameter.prior,
                low: parameter.low,
                high: parameter.high,
                at_bound: parameter.at_bound(value),
                at_prior: standard_error >= 0.9 * parameter.prior_sd,
            })
        })
        .collect())
}
