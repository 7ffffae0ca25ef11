//! Settings of the measuring loop: block size, number of runs, width of the interval, caps and
//! times. Times in seconds, shares without unit; each default with its reason.
//!
//! Source of the defaults: chosen so that a block of eight takes some seconds and its 10th
//! percentile meets undisturbed moments, on machines whose disturbances last up to seconds.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How a sweep is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most configurations prepared and interleaved together, 1 to 64. Default 8: what is compared
    /// shares its moments, and a killed sweep repeats at most eight.
    pub block_size: usize,
    /// Untimed runs when a configuration is prepared. Default 5.
    pub warmup_runs: u32,
    /// Fewest kept samples before the interval may end a configuration, at least 1. Default 50.
    pub min_runs: u32,
    /// Kept samples at which a configuration no longer waits for its interval, at least
    /// `min_runs`. Default 2000, where the interval's ranks are 2.2 % of the samples off the middle.
    pub max_runs: u32,
    /// Half width of the median's 95 % interval over the median, above 0. Default 0.02.
    pub target_relative_half_width: f64,
    /// Run time of one configuration after which it neither waits for runs nor for its interval,
    /// above 0 s. Default 20.
    pub time_cap_s: f64,
    /// Time over which a block is spread at least, 0 s or more. Default 6.
    pub min_block_time_s: f64,
    /// Length of a chunk, the runs a configuration gets in one round, above 0 s; at least one run.
    /// Default 0.03.
    pub chunk_time_s: f64,
    /// Samples kept of one chunk, at least 1; of more runs, one of each of that many equal parts is kept. Default
    /// 100, so that kept samples never exceed 100 per chunk time, whatever a run takes.
    pub kept_per_chunk: u32,
    /// A chunk's first run is dropped if it takes less than this, 0 s or more. Default 0.05: the
    /// configuration before it left its own data in the caches, and refilling them takes some
    /// milliseconds; longer runs hide that.
    pub drop_first_below_s: f64,
    /// Time after which drift references are taken again inside a round, above 0 s; they are taken
    /// before each round anyway. Default 0.25.
    pub reference_interval_s: f64,
    /// Rounds of which a configuration that is done takes a turn in one, once its block has lasted long enough, at least 1. Default 4:
    /// in every round one slow configuration would cost as much as all of them together.
    #[serde(skip_serializing_if = "is_default_turn")]
    pub finished_turns_every: u32,
    /// Kept samples before the time cap ends a configuration, unless it has taken ten times the cap. Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub runs_before_cap: u32,
}

/// Whether the value may be left out.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(runs: &u32) -> bool {
    *runs == 0
}

/// Whether the value may be left out, so that sweeps that were begun without it are resumed.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_default_turn(every: &u32) -> bool {
    *every == DEFAULT_TURN
}

const DEFAULT_TURN: u32 = 4;

impl Default for Settings {
    fn default() -> Self {
        Self {
            block_size: 8,
            warmup_runs: 5,
            min_runs: 50,
            max_runs: 2_000,
            target_relative_half_width: 0.02,
            time_cap_s: 20.0,
            min_block_time_s: 6.0,
            chunk_time_s: 0.03,
            kept_per_chunk: 100,
            drop_first_below_s: 0.05,
            reference_interval_s: 0.25,
            finished_turns_every: DEFAULT_TURN,
            runs_before_cap: 0,
        }
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("setting `{key}` is {value}; allowed: {allowed}")]
pub struct SettingsError {
    /// Name of the setting.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Settings {
    /// Longest time a setting may name: a day.
    const MAX_TIME_S: f64 = 86_400.0;

    /// Checks each setting against its range.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] of the first setting outside its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let check = |ok: bool, key, value: &dyn ToString, allowed| {
            ok.then_some(()).ok_or_else(|| SettingsError { key, value: value.to_string(), allowed })
        };
        let size = self.block_size;
        check((1..=64).contains(&size), "block_size", &size, "1 to 64")?;
        check(self.min_runs >= 1, "min_runs", &self.min_runs, "1 or more")?;
        check(self.max_runs >= self.min_runs, "max_runs", &self.max_runs, "`min_runs` or more")?;
        check(self.kept_per_chunk >= 1, "kept_per_chunk", &self.kept_per_chunk, "1 or more")?;
        check(self.finished_turns_every >= 1, "finished_turns_every", &self.finished_turns_every, "1 or more")?;
        let width = self.target_relative_half_width;
        check(width > 0.0 && width <= 1.0, "target_relative_half_width", &width, "above 0, to 1")?;
        for (key, seconds) in [
            ("time_cap_s", self.time_cap_s),
            ("chunk_time_s", self.chunk_time_s),
            ("reference_interval_s", self.reference_interval_s),
        ] {
            let ok = seconds > 0.0 && seconds <= Self::MAX_TIME_S;
            check(ok, key, &seconds, "above 0, to 86400 seconds")?;
        }
        for (key, seconds) in
            [("min_block_time_s", self.min_block_time_s), ("drop_first_below_s", self.drop_first_below_s)]
        {
            let ok = (0.0..=Self::MAX_TIME_S).contains(&seconds);
            check(ok, key, &seconds, "0 to 86400 seconds")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_json() {
        let settings = Settings::default();
        assert_eq!(settings.validate(), Ok(()));
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
        let part: Settings = serde_json::from_str(r#"{"min_runs": 7}"#).unwrap();
        assert_eq!((part.min_runs, part.max_runs), (7, 2_000));
        assert!(serde_json::from_str::<Settings>(r#"{"runs": 7}"#).is_err());
    }

    #[test]
    fn each_range_is_checked_and_named() {
        type Change = fn(&mut Settings);
        let cases: [(&str, Change); 12] = [
            ("finished_turns_every", |s| s.finished_turns_every = 0),
            ("block_size", |s| s.block_size = 0),
            ("block_size", |s| s.block_size = 65),
            ("min_runs", |s| s.min_runs = 0),
            ("max_runs", |s| s.max_runs = 49),
            ("kept_per_chunk", |s| s.kept_per_chunk = 0),
            ("target_relative_half_width", |s| s.target_relative_half_width = f64::NAN),
            ("time_cap_s", |s| s.time_cap_s = 0.0),
            ("chunk_time_s", |s| s.chunk_time_s = f64::INFINITY),
            ("reference_interval_s", |s| s.reference_interval_s = -1.0),
            ("min_block_time_s", |s| s.min_block_time_s = -1.0),
            ("drop_first_below_s", |s| s.drop_first_below_s = f64::NAN),
        ];
        for (key, change) in cases {
            let mut settings = Settings::default();
            change(&mut settings);
            assert_eq!(settings.validate().unwrap_err().key, key);
        }
        let settings = Settings { max_runs: 49, ..Settings::default() };
        assert_eq!(
            settings.validate().unwrap_err().to_string(),
            "setting `max_runs` is 49; allowed: `min_runs` or more"
        );
    }
}
