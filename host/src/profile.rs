//! Profiles: what a calibration leaves behind, a JSON file. Plain, versioned, and refused where it does not belong.

use std::path::Path;

use derate_core::calibration::{COEFFICIENTS, Calibration, Group, MODEL_VERSION, Regime};
use derate_core::shape::Precision;
use derate_core::work::Class;
use serde::{Deserialize, Serialize};

use crate::calibrate::Statistic;

/// Version of this format.
pub const FORMAT: u32 = 2;

/// How far two clocks of one device may lie apart, as a share: the factors scale the peak at the clock they were fitted at.
pub const CLOCK_TOLERANCE: f64 = 0.1;

/// Coefficients of one device, runtime and thread count; one fit for each precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the tool that made it.
    pub tool_version: String,
    /// When, RFC 3339, UTC.
    pub date: String,
    /// Name of the hardware description that it belongs to.
    pub hardware: String,
    /// Clock of the compute unit in that description, in Hz.
    pub clock_hz: f64,
    /// Name and version of the runtime that was measured.
    pub runtime: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// Threads of every op.
    pub threads: u32,
    /// What stood for the time of a row.
    pub statistic: Statistic,
    /// What it was fitted on.
    pub dataset: DatasetId,
    /// One for each precision of the dataset.
    pub fits: Vec<PrecisionFit>,
}

/// Which data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetId {
    /// Names of the files.
    pub files: Vec<String>,
    /// SHA-256 over their contents.
    pub sha256: String,
    /// Measured rows.
    pub rows: usize,
}

/// The fit of one precision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrecisionFit {
    /// The precision.
    pub precision: Precision,
    /// Rows it was fitted on.
    pub rows: usize,
    /// For the description: share of the peak throughput.
    pub efficiency_factor: f64,
    /// For the description: share of the bandwidths.
    pub memory_bottleneck_factor: f64,
    /// Held-out mean absolute percentage error of the description with these two factors.
    pub two_factors_held_out_mape_pct: f64,
    /// For the model: coefficients, coverage, interval.
    pub calibration: Calibration,
    /// Held-out mean absolute percentage error of the model.
    pub held_out_mape_pct: f64,
    /// Seconds of one MAC, for the MAC-only baseline.
    pub mac_only_s_per_mac: f64,
    /// Throughput of the plain-roofline baseline, in FLOP/s.
    pub roofline_flops_per_s: f64,
    /// Bandwidth of the plain-roofline baseline, in B/s.
    pub roofline_bytes_per_s: f64,
}

/// Why a profile is refused.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// No JSON, or not of this format.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Something that does not belong.
    #[error("{path}: `{key}` is {found}; {allowed}")]
    Mismatch {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// What is wanted.
        allowed: String,
    },
}

impl Profile {
    /// Reads a profile and checks format, model version, the range of every coefficient, and that there is one fit a precision.
    ///
    /// # Errors
    /// [`ProfileError`] naming file, key, value, and what is allowed.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ProfileError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name)
    }

    /// As [`Profile::read`], of a text.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn parse(text: &str, name: &str) -> Result<Self, ProfileError> {
        let no_json = |source| ProfileError::Json { path: name.to_owned(), source };
        let mismatch = |key: String, found: String, allowed: String| {
            Err(ProfileError::Mismatch { path: name.to_owned(), key, found, allowed })
        };
        // The format first: of another one, unknown keys say little.
        let Version { format } = serde_json::from_str(text).map_err(no_json)?;
        if format != FORMAT {
            return mismatch(
                "format".into(),
                format.to_string(),
                format!("this version reads {FORMAT}: calibrate again"),
            );
        }
        let profile: Self = serde_json::from_str(text).map_err(no_json)?;
        if profile.threads == 0 {
            return mismatch("threads".into(), "0".into(), "it must be 1 or more".into());
        }
        if !is_positive(profile.clock_hz) {
            return mismatch("clock_hz".into(), profile.clock_hz.to_string(), POSITIVE.into());
        }
        if profile.fits.is_empty() {
            return mismatch("fits".into(), "[]".into(), "it must hold a fit for each precision of the dataset".into());
        }
        for (index, fit) in profile.fits.iter().enumerate() {
            if profile.fits[..index].iter().any(|other| other.precision == fit.precision) {
                let allowed = "another fit has this precision, and there must be one for each".to_owned();
                return mismatch(format!("fits[{index}].precision"), fit.precision.name().to_owned(), allowed);
            }
            let place = format!("fits[{}].calibration", fit.precision.name());
            match fit.calibration.check() {
                Ok(()) => {}
                Err(derate_core::Error::ModelVersion { found, .. }) => {
                    return mismatch(
                        format!("{place}.model_version"),
                        found.to_string(),
                        format!("this version's equations are version {MODEL_VERSION}: calibrate again"),
                    );
                }
                Err(derate_core::Error::CoefficientOutOfRange { index }) => {
                    let at = usize::from(index);
                    let c = COEFFICIENTS[at];
                    let found = fit.calibration.coefficients.values()[at];
                    let allowed = format!("it must lie in {:e} to {:e} {}", c.low, c.high, c.unit);
                    return mismatch(format!("{place}.coefficients.{}", c.name), found.to_string(), allowed);
                }
                Err(other) => {
                    return match wrong_bounds(&fit.calibration) {
                        Some((key, found, allowed)) => {
                            mismatch(format!("{place}.{key}"), format!("{found:?}"), allowed.into())
                        }
                        None => mismatch(place, "wrong".into(), other.to_string()),
                    };
                }
            }
            for (key, value) in [
                ("efficiency_factor", fit.efficiency_factor),
                ("memory_bottleneck_factor", fit.memory_bottleneck_factor),
                ("mac_only_s_per_mac", fit.mac_only_s_per_mac),
                ("roofline_flops_per_s", fit.roofline_flops_per_s),
                ("roofline_bytes_per_s", fit.roofline_bytes_per_s),
            ] {
                if !is_positive(value) {
                    let key = format!("fits[{}].{key}", fit.precision.name());
                    return mismatch(key, value.to_string(), POSITIVE.into());
                }
            }
        }
        Ok(profile)
    }

    /// The fit of a precision.
    ///
    /// # Errors
    /// [`ProfileError::Mismatch`] listing what there is.
    pub fn fit(&self, precision: Precision, path: &Path) -> Result<&PrecisionFit, ProfileError> {
        self.fits.iter().find(|fit| fit.precision == precision).ok_or_else(|| {
            let has = self.fits.iter().map(|fit| fit.precision.name()).collect::<Vec<_>>().join(", ");
            ProfileError::Mismatch {
                path: path.display().to_string(),
                key: "fits".into(),
                found: has,
                allowed: format!("{} was asked for: sweep and calibrate it first", precision.name()),
            }
        })
    }

    /// Makes sure that the profile belongs to a description and its clock, a runtime, device and thread count; `None` is not
    /// compared.
    ///
    /// # Errors
    /// [`ProfileError::Mismatch`] for the first that differs.
    pub fn belongs(&self, path: &Path, to: &Belonging<'_>) -> Result<(), ProfileError> {
        let pairs = [
            ("hardware", Some(to.hardware), self.hardware.as_str()),
            ("runtime", to.runtime, self.runtime.as_str()),
            ("device", to.device, self.device.as_str()),
        ];
        let mismatch = |key: &str, found: String, allowed: String| {
            Err(ProfileError::Mismatch { path: path.display().to_string(), key: key.into(), found, allowed })
        };
        let threads = self.threads.to_string();
        let wanted_threads = to.threads.map(|threads| threads.to_string());
        for (key, wanted, found) in pairs.into_iter().chain([("threads", wanted_threads.as_deref(), threads.as_str())])
        {
            if let Some(wanted) = wanted
                && wanted != found
            {
                return mismatch(key, found.to_owned(), format!("it is applied to {wanted}: calibrate there"));
            }
        }
        let apart = (self.clock_hz / to.clock_hz - 1.0).abs();
        if apart.is_nan() || apart > CLOCK_TOLERANCE {
            let allowed = format!(
                "it is applied to {}, more than {} % away: calibrate at this clock",
                to.clock_hz,
                CLOCK_TOLERANCE * 100.0
            );
            return mismatch("clock_hz", self.clock_hz.to_string(), allowed);
        }
        Ok(())
    }
}

/// What is allowed for most numbers.
const POSITIVE: &str = "it must be a positive, finite number";

fn is_positive(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

/// Key, value and allowed values of an interval or a hull that no calibration has.
fn wrong_bounds(calibration: &Calibration) -> Option<(String, [f32; 2], &'static str)> {
    let of_interval = "it must be [low, high] with -80 < low <= 0 <= high < 80";
    let cells = calibration.intervals.iter().flat_map(|intervals| intervals.ops.iter().zip(Group::ALL));
    for (row, group) in cells {
        for (&[low, high], regime) in row.iter().zip(Regime::ALL) {
            if !(low > -80.0 && low <= 0.0 && (0.0..80.0).contains(&high)) {
                return Some((format!("intervals.ops.{}.{}", group.name(), regime.name()), [low, high], of_interval));
            }
        }
    }
    calibration
        .hulls
        .iter()
        .zip(Class::ALL)
        .flat_map(|(hull, class)| [("flops", hull.flops, class), ("bytes", hull.bytes, class)])
        .find(|(_, range, _)| range.iter().any(|bound| !(0.0..f32::INFINITY).contains(bound)))
        .map(|(key, range, class)| {
            let key = format!("hulls.{}.{key}", class.name());
            (key, range, "it must be [least, greatest], finite and not negative")
        })
}

/// The one key that every format has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// What a profile must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Belonging<'a> {
    /// Name of the hardware description.
    pub hardware: &'a str,
    /// Clock of its compute unit, in Hz.
    pub clock_hz: f64,
    /// Name and version of the runtime.
    pub runtime: Option<&'a str>,
    /// `cpu` or `cuda`.
    pub device: Option<&'a str>,
    /// Threads of every op.
    pub threads: Option<u32>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use derate_core::calibration::{Coefficients, Hull, Intervals, Protocol, Runtime};

    pub(crate) fn example() -> Profile {
        let calibration = Calibration {
            model_version: MODEL_VERSION,
            runtime: Runtime::EagerCpu,
            protocol: Protocol::WholeRun,
            threads: 2,
            coefficients: Coefficients { linear_throughput: 5e10, ..Coefficients::NEUTRAL },
            hulls: [Hull { flops: [1.0, 1e9], bytes: [1.0, 1e9] }; Class::ALL.len()],
            intervals: Some(Intervals { ops: [[[-0.1, 0.1]; 3]; 5], common: 0.05, own: 0.1, quantile: 1.9 }),
        };
        Profile {
            format: FORMAT,
            tool_version: "0.1.0".into(),
            date: "2026-01-01T00:00:00Z".into(),
            hardware: "two-core".into(),
            clock_hz: 4e9,
            runtime: "libtorch-2.11.0".into(),
            device: "cpu".into(),
            threads: 2,
            statistic: Statistic::P10,
            dataset: DatasetId { files: vec!["x.csv".into()], sha256: "00".into(), rows: 5 },
            fits: vec![PrecisionFit {
                precision: Precision::Fp32,
                rows: 5,
                efficiency_factor: 0.6,
                memory_bottleneck_factor: 0.7,
                two_factors_held_out_mape_pct: 20.0,
                calibration,
                held_out_mape_pct: 8.0,
                mac_only_s_per_mac: 1e-11,
                roofline_flops_per_s: 1e11,
                roofline_bytes_per_s: 1e10,
            }],
        }
    }

    #[test]
    fn a_profile_survives_json() {
        let text = serde_json::to_string_pretty(&example()).expect("serializes");
        assert_eq!(Profile::parse(&text, "p.json").expect("valid"), example());
    }

    #[test]
    fn what_does_not_belong_is_refused_with_its_key() {
        let text = serde_json::to_string(&example()).expect("serializes");
        let parse =
            |from: &str, to: &str| Profile::parse(&text.replace(from, to), "p.json").expect_err("wrong").to_string();
        assert!(parse("\"model_version\":2", "\"model_version\":9").contains("model_version` is 9"));
        assert!(
            parse("\"linear_throughput\":50000000000.0", "\"linear_throughput\":7")
                .contains("coefficients.linear_throughput` is 7; it must lie in")
        );
        assert!(parse("\"format\":2", "\"format\":1").contains("`format` is 1"));
        assert!(parse("\"threads\"", "\"treads\"").contains("unknown field `treads`"));
        assert!(Profile::parse(&text[..100], "p.json").is_err());
    }

    #[test]
    fn what_no_calibration_has_is_refused_with_key_value_and_what_is_allowed() {
        let refused = |change: &dyn Fn(&mut Profile), said: &str| {
            let mut profile = example();
            change(&mut profile);
            let text = serde_json::to_string(&profile).expect("serializes");
            let error = Profile::parse(&text, "p.json").expect_err("wrong").to_string();
            assert!(error.starts_with(&format!("p.json: `{said}")), "{error}");
        };
        refused(&|profile| profile.fits.clear(), "fits` is []; it must hold a fit");
        refused(&|profile| profile.fits.push(profile.fits[0]), "fits[1].precision` is fp32; another fit has");
        refused(&|profile| profile.threads = 0, "threads` is 0; it must be 1 or more");
        refused(&|profile| profile.clock_hz = 0.0, "clock_hz` is 0; it must be a positive, finite number");
        refused(&|profile| profile.clock_hz = -4e9, "clock_hz` is -4000000000; it must be a positive, finite number");
        let place = "fits[fp32].calibration";
        let intervals = |profile: &mut Profile, cell| {
            profile.fits[0].calibration.intervals.as_mut().expect("some").ops[0][2] = cell;
        };
        refused(
            &|profile| intervals(profile, [0.25, 0.5]),
            &format!("{place}.intervals.ops.conv.compute` is [0.25, 0.5]; it must be [low, high] with -80 < low <= 0"),
        );
        refused(
            &|profile| profile.fits[0].calibration.hulls[4].bytes = [-1.0, 2.0],
            &format!(
                "{place}.hulls.linear.bytes` is [-1.0, 2.0]; it must be [least, greatest], finite and not negative"
            ),
        );
    }

    #[test]
    fn a_clock_more_than_a_tenth_away_is_refused() {
        let here = |clock_hz| Belonging { hardware: "two-core", clock_hz, runtime: None, device: None, threads: None };
        let belongs = |clock_hz| example().belongs(Path::new("p.json"), &here(clock_hz));
        // The profile's is 4 GHz: 4 / 3.7 = 1.08, 4 / 3.6 = 1.11, 4 / 4.5 = 0.89.
        assert!(belongs(3.7e9).is_ok() && belongs(4.4e9).is_ok());
        for wrong in [3.6e9, 4.5e9, 0.0, f64::NAN] {
            assert!(belongs(wrong).is_err(), "{wrong}");
        }
        let said = "p.json: `clock_hz` is 4000000000; it is applied to 2000000000, more than 10 % away";
        assert!(belongs(2e9).expect_err("too far").to_string().starts_with(said));
    }

    #[test]
    fn another_device_runtime_or_thread_count_is_refused() {
        let here = Belonging {
            hardware: "two-core",
            clock_hz: 4e9,
            runtime: Some("libtorch-2.11.0"),
            device: Some("cpu"),
            threads: Some(2),
        };
        let path = Path::new("p.json");
        assert!(example().belongs(path, &here).is_ok());
        for there in [
            Belonging { hardware: "other", ..here },
            Belonging { runtime: Some("libtorch-2.10.0"), ..here },
            Belonging { device: Some("cuda"), ..here },
            Belonging { threads: Some(1), ..here },
        ] {
            assert!(example().belongs(path, &there).is_err(), "{there:?}");
        }
    }
}
