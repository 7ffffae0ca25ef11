//! Evidence of what disturbed a measurement: steal time (share of CPU time), context switches
//! (count), load average, and the 10th percentile of two drift references (ns).
//!
//! Sources: what `surroundings` reads from the system, and the references of the executor.
//!
//! Evidence is kept beside a row and decides its status; it never changes a time.

use serde::{Deserialize, Serialize};

use super::stats::Sorted;

/// Fewest reference samples whose 10th percentile is more than the luck of one sample.
pub const MIN_REFERENCE_SAMPLES: usize = 10;

/// Context switches of all threads of this process (count).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches {
    /// A thread gave its CPU up, commonly to wait.
    pub voluntary: u64,
    /// The kernel took the CPU from a thread that wanted to go on.
    pub involuntary: u64,
}

impl Switches {
    /// Switches between `earlier` and this.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }

    /// Adds `more` to the count.
    pub fn add(&mut self, more: Self) {
        self.voluntary = self.voluntary.saturating_add(more.voluntary);
        self.involuntary = self.involuntary.saturating_add(more.involuntary);
    }
}

/// 10th percentiles of the two drift references, in nanoseconds.
///
/// `None` where fewer than [`MIN_REFERENCE_SAMPLES`] were taken or the executor has no such
/// reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReferenceLevels {
    /// Of the compute-bound reference.
    pub compute_bound_ns: Option<f64>,
    /// Of the memory-bound reference.
    pub memory_bound_ns: Option<f64>,
}

impl ReferenceLevels {
    /// Levels of the samples taken in one block.
    #[must_use]
    pub fn of(compute_bound_ns: &[u64], memory_bound_ns: &[u64]) -> Self {
        let level = |samples: &[u64]| {
            Sorted::of_ns(samples)
                .filter(|sorted| sorted.as_slice().len() >= MIN_REFERENCE_SAMPLES)
                .map(|sorted| sorted.percentile(10.0))
        };
        Self { compute_bound_ns: level(compute_bound_ns), memory_bound_ns: level(memory_bound_ns) }
    }

    /// The lower level of each reference: the machine at its least disturbed.
    #[must_use]
    pub fn best(self, other: Self) -> Self {
        let lower = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            compute_bound_ns: lower(self.compute_bound_ns, other.compute_bound_ns),
            memory_bound_ns: lower(self.memory_bound_ns, other.memory_bound_ns),
        }
    }
}

/// What was seen around the runs of one row.
///
/// Switches are counted around the configuration's own runs. Steal time, load and references are of
/// the whole block, whose configurations take turns: ticks of 10 ms are too coarse for one of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Steal over the CPU time asked for (0 to 1) in the block; see
    /// [`CpuTimes::steal_share_since`](super::surroundings::CpuTimes::steal_share_since).
    pub steal_share: Option<f64>,
    /// Context switches during the configuration's runs, kept or not.
    pub switches: Option<Switches>,
    /// Runs executed in the rounds, kept or not (count).
    pub runs: u64,
    /// Time those runs took, in seconds.
    pub run_time_s: f64,
    /// CPUs the process may use (count, at least 1).
    pub cpus: usize,
    /// Load average over one minute at the end of the block (runnable tasks, ours among them).
    pub load_average: Option<f64>,
    /// Drift references of the block.
    pub references: ReferenceLevels,
}

impl Evidence {
    /// Involuntary switches per run (no unit); `None` if unknown.
    #[must_use]
    pub fn involuntary_per_run(&self) -> Option<f64> {
        let switches = self.switches?;
        (self.runs > 0).then(|| switches.involuntary as f64 / self.runs as f64)
    }

    /// Involuntary switches per second and CPU (1/s); `None` if unknown.
    #[must_use]
    pub fn involuntary_per_cpu_second(&self) -> Option<f64> {
        let switches = self.switches?;
        let cpu_seconds = self.run_time_s * self.cpus as f64;
        (cpu_seconds > 0.0).then(|| switches.involuntary as f64 / cpu_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_levels_need_ten_samples_and_keep_the_best() {
        let ten: Vec<u64> = (1..=10).map(|i| i * 100).collect();
        // h = 9 · 0.1 = 0.9 → 100 + 0.9 · 100.
        let levels = ReferenceLevels::of(&ten, &ten[..9]);
        assert!((levels.compute_bound_ns.unwrap() - 190.0).abs() < 1e-9);
        assert_eq!(levels.memory_bound_ns, None);
        let other = ReferenceLevels { compute_bound_ns: Some(200.0), memory_bound_ns: Some(50.0) };
        let best = levels.best(other);
        assert_eq!(best, other.best(levels));
        assert!((best.compute_bound_ns.unwrap() - 190.0).abs() < 1e-9);
        assert_eq!(best.memory_bound_ns, Some(50.0));
    }

    #[test]
    fn switches_per_run_and_second_by_hand() {
        let evidence = Evidence {
            switches: Some(Switches { voluntary: 7, involuntary: 30 }),
            runs: 60,
            run_time_s: 1.5,
            cpus: 4,
            ..Evidence::default()
        };
        assert_eq!(evidence.involuntary_per_run(), Some(0.5));
        assert_eq!(evidence.involuntary_per_cpu_second(), Some(5.0));
        assert_eq!(Evidence::default().involuntary_per_run(), None);
    }
}
