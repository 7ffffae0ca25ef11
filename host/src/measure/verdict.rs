//! Decides from a row's summary and evidence whether the row was disturbed, and says by what.
//! Inputs in nanoseconds and shares; the result is `ok` or a short reason with its numbers.
//!
//! Source of the limits: what repeated runs on shared virtual machines showed, each beside its
//! constant. The rules are conservative: a row that is called `ok` met every one of them.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::disturbance::{Evidence, ReferenceLevels};
use super::stats::Summary;

/// Limits above which a row counts as disturbed; shares without unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Steal over the CPU time asked for.
    pub steal_share: f64,
    /// Median over 10th percentile.
    pub median_over_p10: f64,
    /// Rise of the compute-bound reference's 10th percentile over the best known one.
    pub compute_reference_rise: f64,
    /// Rise of the memory-bound reference's 10th percentile over the best known one.
    pub memory_reference_rise: f64,
    /// Involuntary context switches per run.
    pub involuntary_per_run: f64,
    /// Involuntary context switches per second and CPU (1/s); only together with the one per run.
    pub involuntary_per_cpu_second: f64,
    /// Median below which context switches tell nothing, in nanoseconds.
    pub slice_ns: f64,
}

/// The limits that [`judge`] applies.
pub const LIMITS: Limits = Limits {
    // A stolen slice lengthens a run by milliseconds. At 1 % the mean moves by 1 %, half of the
    // width the median's interval is allowed.
    steal_share: 0.01,
    // The undisturbed spread of a warm kernel is a few per cent; medians of whole networks moved
    // by up to 30 % between runs minutes apart. At 1.25 the typical run is not the undisturbed one.
    median_over_p10: 1.25,
    // The reference holds work constant, so its 10th percentile moves with the clock and with the
    // host. Two sweeps that are to agree within 7 % must have seen the same machine within 7 %.
    compute_reference_rise: 0.07,
    // Memory beyond the last cache is shared with whoever else runs on the host: on a quiet virtual
    // machine blocks scatter by 10 to 20 %.
    memory_reference_rise: 0.25,
    // Below one switch in two runs, the median is of a run that kept its CPUs throughout.
    involuntary_per_run: 0.5,
    // Kernel threads take a CPU back a few times a second on any machine, which long runs collect
    // and hardly feel; a competing process takes it every scheduler slice, about 3 ms.
    involuntary_per_cpu_second: 25.0,
    // About the shortest slice a competing process takes. Had most runs lost one, their median
    // would be above it; switches of shorter runs are a program waking its own threads.
    slice_ns: 1e6,
};

/// Whether a row can be trusted as the time of an undisturbed machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// No rule found a disturbance.
    Ok,
    /// At least one rule did.
    Disturbed {
        /// The rules that did, with their numbers, parted by `; `.
        reason: String,
    },
}

impl Status {
    /// The word of the CSV's status column: `ok` or `disturbed`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Disturbed { .. } => "disturbed",
        }
    }

    /// The reason; empty for `ok`.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Ok => "",
            Self::Disturbed { reason } => reason,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Disturbed { reason } => write!(f, "disturbed: {reason}"),
        }
    }
}

/// Judges a row against [`LIMITS`], `best` being the lowest reference levels known.
///
/// Evidence that is unknown speaks neither for nor against a row.
#[must_use]
pub fn judge(summary: &Summary, evidence: &Evidence, best: &ReferenceLevels) -> Status {
    let mut reasons = Vec::new();
    if let Some(share) = evidence.steal_share
        && share > LIMITS.steal_share
    {
        let percent = above(share * 100.0, LIMITS.steal_share * 100.0, 1);
        reasons.push(format!("steal {percent} % > {} %", LIMITS.steal_share * 100.0));
    }
    // A 10th percentile of 0 is below the clock's resolution and tells nothing.
    if summary.p10_ns > 0.0 && summary.median_ns > summary.p10_ns * LIMITS.median_over_p10 {
        let ratio = above(summary.median_ns / summary.p10_ns, LIMITS.median_over_p10, 2);
        reasons.push(format!("median/p10 {ratio} > {}", LIMITS.median_over_p10));
    }
    let here = &evidence.references;
    for (name, level, best, limit) in [
        ("compute", here.compute_bound_ns, best.compute_bound_ns, LIMITS.compute_reference_rise),
        ("memory", here.memory_bound_ns, best.memory_bound_ns, LIMITS.memory_reference_rise),
    ] {
        if let (Some(level), Some(best)) = (level, best)
            && best > 0.0
            && level > best * (1.0 + limit)
        {
            let limit = (limit * 100.0).round();
            let percent = above((level / best - 1.0) * 100.0, limit, 1);
            reasons.push(format!("{name} reference +{percent} % > {limit} %"));
        }
    }
    if let (Some(per_run), Some(per_second)) = (evidence.involuntary_per_run(), evidence.involuntary_per_cpu_second())
        && summary.median_ns >= LIMITS.slice_ns
        && per_run > LIMITS.involuntary_per_run
        && per_second > LIMITS.involuntary_per_cpu_second
    {
        let limit = LIMITS.involuntary_per_run;
        let per_run = above(per_run, limit, 1);
        reasons.push(format!("involuntary switches {per_run} per run > {limit}"));
    }
    if reasons.is_empty() { Status::Ok } else { Status::Disturbed { reason: reasons.join("; ") } }
}

/// `value` with `decimals`, or as many more, up to six, as show it above `limit`.
fn above(value: f64, limit: f64, decimals: usize) -> String {
    let rounded = |decimals: usize| format!("{value:.decimals$}");
    (decimals..6)
        .map(rounded)
        .find(|text| text.parse().is_ok_and(|shown: f64| shown > limit))
        .unwrap_or_else(|| rounded(6))
}

#[cfg(test)]
mod tests {
    use super::super::disturbance::Switches;
    use super::*;

    fn summary(median_ns: f64, p10_ns: f64) -> Summary {
        Summary { median_ns, p10_ns, ..Summary::of(&[1]).unwrap() }
    }

    fn quiet() -> Evidence {
        Evidence {
            steal_share: Some(0.01),
            switches: Some(Switches { voluntary: 0, involuntary: 50 }),
            runs: 100,
            run_time_s: 1.0,
            cpus: 1,
            load_average: Some(9.0),
            references: ReferenceLevels { compute_bound_ns: Some(107.0), memory_bound_ns: Some(1_250.0) },
        }
    }

    fn best() -> ReferenceLevels {
        ReferenceLevels { compute_bound_ns: Some(100.0), memory_bound_ns: Some(1_000.0) }
    }

    #[test]
    fn at_every_limit_a_row_is_still_ok() {
        assert_eq!(judge(&summary(125.0, 100.0), &quiet(), &best()), Status::Ok);
        let unknown = Evidence::default();
        let status = judge(&summary(1.0, 1.0), &unknown, &ReferenceLevels::default());
        assert_eq!((status.word(), status.reason()), ("ok", ""));
    }

    #[test]
    fn each_rule_alone_disturbs_and_says_why() {
        let row = summary(1e6, 1e6);
        let reason_of = |evidence: &Evidence| judge(&row, evidence, &best()).reason().to_owned();
        let mut steal = quiet();
        steal.steal_share = Some(0.023);
        assert_eq!(reason_of(&steal), "steal 2.3 % > 1 %");
        let mut slow = quiet();
        slow.references.memory_bound_ns = Some(1_272.0);
        assert_eq!(reason_of(&slow), "memory reference +27.2 % > 25 %");
        let mut slower = quiet();
        slower.references.compute_bound_ns = Some(150.0);
        assert_eq!(reason_of(&slower), "compute reference +50.0 % > 7 %");
        let mut switched = quiet();
        switched.switches = Some(Switches { voluntary: 0, involuntary: 140 });
        assert_eq!(reason_of(&switched), "involuntary switches 1.4 per run > 0.5");
        let wide = judge(&summary(131.0, 100.0), &quiet(), &best());
        assert_eq!(wide.reason(), "median/p10 1.31 > 1.25");
        // With two decimals it would read 1.25 > 1.25.
        let barely = judge(&summary(125.4, 100.0), &quiet(), &best());
        assert_eq!(barely.reason(), "median/p10 1.254 > 1.25");
        assert_eq!(wide.to_string(), "disturbed: median/p10 1.31 > 1.25");
    }

    #[test]
    fn long_runs_may_collect_rare_switches() {
        // 20 switches in each of 5 runs of 2 s on 2 CPUs: 100 / (10 s · 2) = 5 per CPU-second.
        let mut long = quiet();
        long.switches = Some(Switches { voluntary: 0, involuntary: 100 });
        (long.runs, long.run_time_s, long.cpus) = (5, 10.0, 2);
        assert_eq!(judge(&summary(2e9, 2e9), &long, &best()), Status::Ok);
    }

    #[test]
    fn switches_of_runs_shorter_than_a_slice_do_not_count() {
        let mut busy = quiet();
        busy.switches = Some(Switches { voluntary: 0, involuntary: 100 });
        assert_eq!(judge(&summary(0.99e6, 0.99e6), &busy, &best()), Status::Ok);
        assert_ne!(judge(&summary(1e6, 1e6), &busy, &best()), Status::Ok);
    }

    #[test]
    fn reasons_add_up() {
        let mut evidence = quiet();
        evidence.steal_share = Some(0.5);
        let status = judge(&summary(200.0, 100.0), &evidence, &best());
        assert_eq!(status.reason(), "steal 50.0 % > 1 %; median/p10 2.00 > 1.25");
        assert_eq!(judge(&summary(0.0, 0.0), &quiet(), &best()), Status::Ok);
    }
}
