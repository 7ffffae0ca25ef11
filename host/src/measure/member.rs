//! One configuration of the open block: its samples so far (ns), what was seen around them, and
//! when they are enough. Times in seconds where a setting is meant.
//!
//! Source of the stopping rule: the interval of `stats::median_ranks`, as narrow as the settings ask.

use std::time::Duration;

use super::disturbance::Switches;
use super::record::Stop;
use super::settings::Settings;
use super::stats::{Sorted, relative_half_width};

/// Most runs asked of the executor at once; keeps a chunk small where a run takes no time at all.
const MAX_RUNS_AT_ONCE: u32 = 10_000;

/// How many times the runs of its last chunk a chunk may have. One run that was far too short must
/// not ask for thousands that are not.
const MAX_GROWTH: u32 = 8;

/// One configuration of the open block.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) idx: usize,
    pub(super) prepared: bool,
    pub(super) skipped: Option<String>,
    pub(super) samples_ns: Vec<u64>,
    /// Runs executed in the rounds, kept or not.
    pub(super) runs: u64,
    /// Time those took.
    pub(super) run_time: Duration,
    pub(super) switches: Option<Switches>,
    /// Runs of the latest chunk beyond its first, and the time of one.
    pub(super) pace: Option<(u32, Duration)>,
    pub(super) stop: Option<Stop>,
}

impl Member {
    /// Looks whether sampling is enough; once it is, it stays so.
    pub(super) fn settle(&mut self, settings: &Settings) {
        if self.stop.is_some() || self.skipped.is_some() {
            return;
        }
        let n = self.samples_ns.len();
        if n >= settings.min_runs as usize
            && let Some(sorted) = Sorted::of_ns(&self.samples_ns)
            && relative_half_width(sorted.median(), sorted.median_interval())
                .is_some_and(|width| width <= settings.target_relative_half_width)
        {
            self.stop = Some(Stop::Converged);
        } else if n >= settings.max_runs as usize {
            self.stop = Some(Stop::RunCap);
        } else if self.capped(settings) {
            self.stop = Some(Stop::TimeCap);
        }
    }

    /// Whether it has taken its time: the cap with as many samples as are asked for, or ten times the cap with any.
    pub(super) fn capped(&self, settings: &Settings) -> bool {
        let caps = self.run_time.as_secs_f64() / settings.time_cap_s;
        caps >= 10.0 || caps >= 1.0 && self.samples_ns.len() >= settings.runs_before_cap as usize
    }
}

/// Runs at `pace` that last about `chunk_time_s`: at least one, at most [`MAX_GROWTH`] times `last`.
pub(super) fn chunk_runs(pace: Duration, chunk_time_s: f64, last: u32) -> u32 {
    // A pace of 0 gives infinity, which the cast and the clamp bring to the most allowed.
    let runs = (chunk_time_s / pace.as_secs_f64()).round() as u32;
    let most = last.saturating_mul(MAX_GROWTH).clamp(1, MAX_RUNS_AT_ONCE);
    runs.clamp(1, most)
}

/// Keeps at most `keep` samples, one of each of as many equal parts, in order.
///
/// Which one of its part follows the golden ratio's multiples, so that a rhythm in the samples does
/// not meet the same beat each time.
pub(super) fn thin(samples: &mut Vec<u64>, keep: usize) {
    let n = samples.len();
    if n <= keep {
        return;
    }
    for part in 0..keep {
        let (start, end) = (part * n / keep, (part + 1) * n / keep);
        // The fraction of part · (√5 − 1) / 2, in 32 bits.
        let fraction = (part as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let offset = ((end - start) as u64 * fraction) >> 32;
        samples[part] = samples[start + offset as usize];
    }
    samples.truncate(keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_last_about_the_chunk_time() {
        let runs = |pace_ms| chunk_runs(Duration::from_millis(pace_ms), 0.03, 10);
        // 30 / 7 = 4.3, 30 / 20 = 1.5 (rounded up: 40 ms), 30 / 70 = 0.4 (one run at least).
        assert_eq!([runs(7), runs(20), runs(70)], [4, 2, 1]);
        // 30 / 0.1 = 300 at once only after a chunk of 38 or more.
        let after = |last| chunk_runs(Duration::from_micros(100), 0.03, last);
        assert_eq!([after(1), after(37), after(38)], [8, 296, 300]);
        let at_most = chunk_runs(Duration::ZERO, 0.03, u32::MAX);
        assert_eq!(at_most, MAX_RUNS_AT_ONCE);
    }

    #[test]
    fn thinning_keeps_one_of_each_part_in_order() {
        let mut samples: Vec<u64> = (0..10).collect();
        thin(&mut samples, 4);
        // Parts 0..2, 2..5, 5..7, 7..10; fractions 0, 0.618, 0.236, 0.854 of their lengths.
        assert_eq!(samples, [0, 3, 5, 9]);
        thin(&mut samples, 4);
        assert_eq!(samples, [0, 3, 5, 9]);
    }

    #[test]
    fn thinning_keeps_the_share_of_a_rhythm() {
        // Every tenth is long; an even stride of 100 would keep all of them or none.
        let mut samples: Vec<u64> = (0..10_000).map(|i| 1 + u64::from(i % 10 == 0)).collect();
        thin(&mut samples, 100);
        let long = samples.iter().filter(|&&ns| ns == 2).count();
        assert_eq!(samples.len(), 100);
        assert!((5..=15).contains(&long), "{long} of 100, 10 expected");
    }

    #[test]
    fn settling_is_final_and_names_its_reason() {
        let settings = Settings { min_runs: 10, max_runs: 20, time_cap_s: 1.0, ..Settings::default() };
        let settled = |samples_ns: Vec<u64>, run_time_ms| {
            let mut member = Member { samples_ns, run_time: Duration::from_millis(run_time_ms), ..Member::default() };
            member.settle(&settings);
            member.stop
        };
        // 100, 200 in turn: ranks 2 and 9 of ten are 100 and 200, half width 50 / 150.
        let wide = |n: usize| (0..n).map(|i| 100 + 100 * (i as u64 % 2)).collect();
        assert_eq!(settled(vec![100; 9], 999), None);
        assert_eq!(settled(vec![100; 10], 0), Some(Stop::Converged));
        assert_eq!(settled(wide(19), 999), None);
        assert_eq!(settled(wide(20), 999), Some(Stop::RunCap));
        assert_eq!(settled(wide(3), 1_000), Some(Stop::TimeCap));
        // A cap that waits for samples, but not for ever.
        let patient = Settings { runs_before_cap: 5, ..settings.clone() };
        let capped = |n: usize, run_time_ms| {
            let member =
                Member { samples_ns: wide(n), run_time: Duration::from_millis(run_time_ms), ..Member::default() };
            member.capped(&patient)
        };
        assert_eq!([capped(4, 1_000), capped(5, 999), capped(5, 1_000), capped(4, 10_000)], [false, false, true, true]);
        // Converged stays, whatever is added.
        let mut member = Member { samples_ns: vec![100; 10], ..Member::default() };
        member.settle(&settings);
        member.samples_ns.extend([900; 10]);
        member.settle(&settings);
        assert_eq!(member.stop, Some(Stop::Converged));
    }
}
