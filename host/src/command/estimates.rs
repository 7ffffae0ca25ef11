//! What verbs that estimate share: the profile that belongs to a device, and a network's estimate beside those of the baselines.

use std::path::Path;

use anyhow::Result;
use derate_core::estimate::{Estimate, Target, estimate};
use derate_core::graph::Tables;
use derate_core::shape::Precision;

use super::{clock, cores};
use crate::calibrate::model::{Model, baseline};
use crate::graph_buf::GraphBuf;
use crate::hardware_file::HardwareFile;
use crate::on_device::OnDevice;
use crate::profile::{Belonging, PrecisionFit, Profile};

/// A profile with its path, where one is given.
pub(super) fn profile(path: Option<&Path>) -> Result<Option<(&Path, Profile)>> {
    Ok(path.map(|path| Profile::read(path).map(|profile| (path, profile))).transpose()?)
}

/// Threads: those asked for, those of the profile, or the cores of the description.
pub(super) fn threads(asked: Option<u32>, profile: Option<&(&Path, Profile)>, file: &HardwareFile) -> u32 {
    asked.or(profile.map(|(_, profile)| profile.threads)).unwrap_or_else(|| cores(file))
}

/// The profile's fit of a precision, if it belongs to the description, these threads and the runtime (`None` is not compared).
pub(super) fn fit(
    profile: Option<&(&Path, Profile)>,
    precision: Precision,
    file: &HardwareFile,
    threads: u32,
    runtime: Option<&str>,
) -> Result<Option<PrecisionFit>> {
    let Some((path, profile)) = profile else { return Ok(None) };
    profile.belongs(
        path,
        &Belonging {
            hardware: &file.name,
            clock_hz: clock(file),
            runtime,
            device: runtime.map(|_| "cpu"),
            threads: Some(threads),
        },
    )?;
    Ok(Some(*profile.fit(precision, path)?))
}

/// A network's estimates, by everything that estimates. Times in milliseconds.
#[derive(Debug)]
pub(super) struct Estimates {
    /// By the profile; without one, by the description and its mapper.
    pub(super) got: Estimate,
    /// The time of `got`.
    pub(super) estimated_ms: f64,
    /// Its interval, with a profile.
    pub(super) interval_ms: Option<[f64; 2]>,
    /// By the description's two factors.
    pub(super) described_ms: f64,
    /// By the MAC-only baseline, with a profile.
    pub(super) mac_only_ms: Option<f64>,
    /// By the plain-roofline baseline, with a profile.
    pub(super) plain_roofline_ms: Option<f64>,
}

/// Estimates a network on an uncalibrated target, where it was mapped, and with a fit.
pub(super) fn estimates(
    graph: &GraphBuf,
    target: &Target<'_>,
    fit: Option<&PrecisionFit>,
    mapped: Option<&OnDevice>,
) -> Result<Estimates> {
    let view = graph.view();
    let described = estimate(view, target)?;
    let calibration = fit.map(|fit| fit.calibration);
    let got = match &calibration {
        Some(calibration) => estimate(view, &Target { calibration: Some(calibration), ..*target })?,
        None => mapped.map_or(described, |mapped| mapped.network.estimate),
    };
    let works = view.nodes().iter().map(|node| view.work(node)).collect::<Result<Vec<_>, _>>()?;
    let baseline = |model: Model, values: Option<Vec<f64>>| {
        values.and_then(|values| baseline(model, &works, &values)).map(|seconds| seconds * 1e3)
    };
    let ms = |seconds: derate_core::units::Seconds| f64::from(seconds.0) * 1e3;
    Ok(Estimates {
        estimated_ms: ms(got.latency),
        interval_ms: got.interval.map(|interval| interval.map(ms)),
        described_ms: ms(described.latency),
        mac_only_ms: baseline(Model::MacOnly, fit.map(|fit| vec![fit.mac_only_s_per_mac])),
        plain_roofline_ms: baseline(
            Model::PlainRoofline,
            fit.map(|fit| vec![fit.roofline_flops_per_s, fit.roofline_bytes_per_s]),
        ),
        got,
    })
}

/// (estimated − measured) / measured, in percent.
pub(super) fn error_pct(estimated: f64, measured: f64) -> f64 {
    (estimated - measured) / measured * 100.0
}
