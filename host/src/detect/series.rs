//! The series of a detection: what is measured in each round, on one core and on all, and the samples gathered (rates
//! per second, in the unit of each series).
//!
//! A round takes one sample of every series in turn, so that all series see the same stretch of time.

use std::time::Duration;

use super::sampling::{Measured, Pool, Work};
use super::trace::Sample;
use super::working_set::{MemoryLevel, WorkingSets};
use super::{DetectError, Rates};

/// Time all threads run their kernel before a sample begins: wakes the threads and lets the clock settle.
const WARM_UP: Duration = Duration::from_millis(3);

/// Rate at which a working set is assumed to fill a cache at worst, in bytes per second, to lengthen the warm-up.
const FILL_BYTES_PER_S: f64 = 10e9;

/// Where the two series of a pair (one core, all cores) are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handle {
    single: usize,
    all: usize,
}

struct Series {
    method: String,
    /// Makes the threads' works for a round.
    works: Box<dyn Fn(usize) -> Vec<Box<dyn Work>>>,
    warm_up: Duration,
    /// Factor on each sample: 1, or 1 / threads where the mean per core is wanted.
    scale: f64,
    samples: Vec<Sample>,
}

/// All series of one detection.
pub(super) struct SeriesSet {
    n_cores: usize,
    series: Vec<Series>,
}

impl SeriesSet {
    /// No series yet; "all cores" will be `n_cores` threads.
    pub(super) fn new(n_cores: usize) -> Self {
        Self { n_cores, series: Vec::new() }
    }

    /// Adds a rate that sums over cores.
    pub(super) fn add(&mut self, method: &str, work: impl Fn() -> Box<dyn Work> + Clone + 'static) -> Handle {
        self.add_pair(method, work, 1.0)
    }

    /// Adds a rate of which the mean per core is wanted.
    pub(super) fn add_mean(&mut self, method: &str, work: impl Fn() -> Box<dyn Work> + Clone + 'static) -> Handle {
        self.add_pair(method, work, 1.0 / self.n_cores as f64)
    }

    /// Adds a stream through the working sets of a level; `stream` makes the work for a set of so many bytes and a round.
    pub(super) fn add_streams(
        &mut self,
        method: &str,
        sets: &WorkingSets,
        stream: impl Fn(u64, usize) -> Box<dyn Work> + Clone + 'static,
    ) -> Handle {
        let fill = |bytes: u64| match sets.level {
            MemoryLevel::Cache(_) => Duration::from_secs_f64(bytes as f64 / FILL_BYTES_PER_S),
            MemoryLevel::Dram => Duration::ZERO,
        };
        let level = sets.level;
        let (single, all, for_all) = (sets.single, sets.all.clone(), stream.clone());
        let total: u64 = all.iter().sum();
        let largest = all.iter().copied().max().unwrap_or(0);
        let single = self.push(
            format!("{method}, {level}, {} KiB", single >> 10),
            1,
            WARM_UP + fill(single),
            1.0,
            move |round| vec![stream(single, round)],
        );
        let all = self.push(
            format!("{method}, {level}, {} KiB per thread", largest >> 10),
            self.n_cores,
            WARM_UP + fill(total.min(1 << 28)),
            1.0,
            move |round| all.iter().map(|&bytes| for_all(bytes, round)).collect(),
        );
        Handle { single, all }
    }

    fn add_pair(&mut self, method: &str, work: impl Fn() -> Box<dyn Work> + Clone + 'static, scale: f64) -> Handle {
        let (for_all, n_cores) = (work.clone(), self.n_cores);
        let single = self.push(method.to_owned(), 1, WARM_UP, 1.0, move |_| vec![work()]);
        let works = move |_| (0..n_cores).map(|_| for_all()).collect();
        let method = if scale == 1.0 { method.to_owned() } else { format!("{method}, mean per core") };
        let all = self.push(method, n_cores, WARM_UP, scale, works);
        Handle { single, all }
    }

    fn push(
        &mut self,
        method: String,
        n_threads: usize,
        warm_up: Duration,
        scale: f64,
        works: impl Fn(usize) -> Vec<Box<dyn Work>> + 'static,
    ) -> usize {
        let threads = if n_threads == 1 { "1 thread".to_owned() } else { format!("{n_threads} threads") };
        self.series.push(Series {
            method: format!("{method}, {threads}"),
            works: Box::new(works),
            warm_up,
            scale,
            samples: Vec::new(),
        });
        self.series.len() - 1
    }

    /// One round: a sample of every series, taken once more if interruptions leave nothing of it.
    ///
    /// # Errors
    /// Those of [`Pool::sample`].
    pub(super) fn sample_all(&mut self, pool: &Pool, window: Duration) -> Result<(), DetectError> {
        for series in &mut self.series {
            let round = series.samples.len();
            let mut sample = pool.sample((series.works)(round), series.warm_up, window)?;
            if !sample.is_usable() {
                sample = pool.sample((series.works)(round), series.warm_up, window)?;
            }
            series.samples.push(Sample { rate: sample.rate * series.scale, ..sample });
        }
        Ok(())
    }

    /// Smallest share, over all series, of sample time without interruption, 0 to 1 (median of each series).
    pub(super) fn least_undisturbed(&self) -> f64 {
        let median = |series: &Series| {
            let mut shares: Vec<f64> = series.samples.iter().map(|sample| sample.undisturbed).collect();
            shares.sort_by(f64::total_cmp);
            shares.get(shares.len() / 2).copied().unwrap_or(1.0)
        };
        self.series.iter().map(median).fold(1.0, f64::min)
    }

    /// Statistics of a pair.
    ///
    /// # Errors
    /// `NoRate` if there are no samples, or one is not a positive number.
    pub(super) fn rates(&self, handle: &Handle, window: Duration) -> Result<Rates, DetectError> {
        let measured = |i: usize| {
            let series = self.series.get(i).ok_or(DetectError::WorkerLost)?;
            Measured::from_samples(&series.samples, &series.method, window)
                .ok_or_else(|| DetectError::NoRate { method: series.method.clone() })
        };
        Ok(Rates { single_core: measured(handle.single)?, all_cores: measured(handle.all)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::os::{Buffer, available_cpus};

    struct Nap(u64);

    impl Work for Nap {
        fn run(&mut self, _buffer: &mut Buffer) -> u64 {
            std::thread::sleep(Duration::from_micros(500));
            self.0
        }
    }

    #[test]
    fn a_pair_is_sampled_once_a_round_and_named_in_full() {
        let cpu = available_cpus().expect("affinity")[0];
        let pool = Pool::start(&[(cpu, 4096), (cpu, 4096)]).expect("two threads");
        let window = Duration::from_millis(2);
        let mut series = SeriesSet::new(2);
        let sum = series.add("nap", || Box::new(Nap(1)));
        let mean = series.add_mean("nap", || Box::new(Nap(1)));
        assert!(matches!(series.rates(&sum, window), Err(DetectError::NoRate { method }) if method == "nap, 1 thread"));
        for _ in 0..3 {
            series.sample_all(&pool, window).expect("sample");
        }
        let (sum, mean) = (series.rates(&sum, window).expect("rates"), series.rates(&mean, window).expect("rates"));
        assert_eq!(sum.all_cores.method, "nap, 2 threads, 90th percentile of 3 x 2 ms");
        assert_eq!(mean.all_cores.method, "nap, mean per core, 2 threads, 90th percentile of 3 x 2 ms");
        // At most one unit per 500 µs and thread.
        assert!(sum.single_core.value <= 2000.0 && sum.all_cores.value <= 4000.0 && mean.all_cores.value <= 2000.0);
    }
}
