//! Repeated measurement of a rate (per second) by pinned threads, and the statistics kept of it.
//!
//! On a shared machine a disturbance only ever lowers a rate. So each rate is sampled in short windows, in
//! rounds spread over the whole run; interruptions inside a window are cut out ([`super::trace`]); and the 90th
//! percentile of the samples is taken as the undisturbed value: above the disturbed ones, yet not the single luckiest
//! one. Threads start together at a common instant: all of them already run the kernel as warm-up when the window opens,
//! so no wake-up delay lies inside it.

use std::fmt::Write as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::DetectError;
use super::os::{Buffer, pin_current_thread};
use super::trace::{Sample, Trace, undisturbed_rate};

/// Room for the runs of a usual window, so that recording them rarely allocates.
const N_RUNS_EXPECTED: usize = 4096;

/// A measured rate, in the unit its field names, with its spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The undisturbed rate: 90th percentile of the samples.
    pub value: f64,
    /// Median of the samples, in the same unit.
    pub median: f64,
    /// 10th percentile of the samples, in the same unit.
    pub p10: f64,
    /// Interquartile range over the median (0.01 = 1 %): how noisy the machine was.
    pub relative_iqr: f64,
    /// Number of samples counted: all, or those that interruptions leave enough of, if these are at least half.
    pub n_samples: usize,
    /// Median share of a sample's time in which no thread was interrupted, 0 to 1; well below 1 on a busy machine.
    pub undisturbed: f64,
    /// How it was measured, in words: kernel, threads, samples.
    pub method: String,
}

impl Measured {
    /// Statistics of `samples`; `None` if there are none or a rate is not a positive number.
    pub(super) fn from_samples(samples: &[Sample], method: &str, window: Duration) -> Option<Self> {
        // Samples of which interruptions leave nothing say how busy the machine is, not how fast.
        let usable: Vec<Sample> = samples.iter().copied().filter(Sample::is_usable).collect();
        let counted = if 2 * usable.len() >= samples.len() { &usable } else { samples };
        let ascending = |samples: &[Sample], part: fn(&Sample) -> f64| {
            let mut sorted: Vec<f64> = samples.iter().map(part).collect();
            sorted.sort_by(f64::total_cmp);
            sorted
        };
        let sorted = ascending(counted, |sample| sample.rate);
        if !sorted.iter().all(|rate| rate.is_finite() && *rate > 0.0) {
            return None;
        }
        let at = |fraction| quantile(&sorted, fraction);
        let median = at(0.5)?;
        let mut method = method.to_owned();
        // Writing to a string cannot fail.
        let _ = write!(method, ", 90th percentile of {} x {:.0} ms", sorted.len(), window.as_secs_f64() * 1e3);
        Some(Self {
            value: at(0.9)?,
            median,
            p10: at(0.1)?,
            relative_iqr: (at(0.75)? - at(0.25)?) / median,
            n_samples: sorted.len(),
            undisturbed: quantile(&ascending(samples, |sample| sample.undisturbed), 0.5)?,
            method,
        })
    }
}

/// Quantile of ascending `sorted` by linear interpolation between order statistics; `None` if empty.
///
/// **Source**: Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996, definition 7.
fn quantile(sorted: &[f64], fraction: f64) -> Option<f64> {
    let position = fraction * (sorted.len().checked_sub(1)?) as f64;
    let low = sorted.get(position.floor() as usize)?;
    let high = sorted.get(position.ceil() as usize)?;
    Some(low + (high - low) * position.fract())
}

/// One piece of work that a thread repeats during a window.
pub(super) trait Work: Send {
    /// Runs the work once (about 5 to 500 µs); returns how much was done, in the units of the rate.
    fn run(&mut self, buffer: &mut Buffer) -> u64;
}

struct Job {
    work: Box<dyn Work>,
    start: Instant,
    window: Duration,
}

struct Worker {
    jobs: Option<Sender<Job>>,
    done: Receiver<Trace>,
    thread: Option<JoinHandle<()>>,
}

/// Threads pinned one to a CPU, each with its own buffer.
pub(super) struct Pool {
    workers: Vec<Worker>,
}

impl Pool {
    /// Starts one thread per `(cpu, buffer_bytes)` and waits until every buffer is written.
    ///
    /// # Errors
    /// `Thread`, `Pin` or `OutOfMemory`, each naming the CPU.
    pub(super) fn start(places: &[(usize, usize)]) -> Result<Self, DetectError> {
        let mut workers = Vec::with_capacity(places.len());
        let mut waiting = Vec::with_capacity(places.len());
        for &(cpu, buffer_bytes) in places {
            let (jobs, inbox) = channel();
            let (outbox, done) = channel();
            let (ready, started) = channel();
            let thread = std::thread::Builder::new()
                .name(format!("detect-cpu{cpu}"))
                .spawn(move || serve(cpu, buffer_bytes, &ready, &inbox, &outbox))
                .map_err(|source| DetectError::Thread { cpu, source })?;
            workers.push(Worker { jobs: Some(jobs), done, thread: Some(thread) });
            waiting.push(started);
        }
        let pool = Self { workers };
        for started in waiting {
            started.recv().map_err(|_| DetectError::WorkerLost)??;
        }
        Ok(pool)
    }

    /// Rate of the first `works.len()` threads together, working for `window` after `warm_up`.
    ///
    /// # Errors
    /// `WorkerLost` if a thread is gone, there are more works than threads, or none.
    pub(super) fn sample(
        &self,
        works: Vec<Box<dyn Work>>,
        warm_up: Duration,
        window: Duration,
    ) -> Result<Sample, DetectError> {
        let n_threads = works.len();
        if n_threads > self.workers.len() {
            return Err(DetectError::WorkerLost);
        }
        let start = Instant::now() + warm_up;
        for (worker, work) in self.workers.iter().zip(works) {
            let jobs = worker.jobs.as_ref().ok_or(DetectError::WorkerLost)?;
            jobs.send(Job { work, start, window }).map_err(|_| DetectError::WorkerLost)?;
        }
        let mut traces = Vec::with_capacity(n_threads);
        for worker in self.workers.iter().take(n_threads) {
            traces.push(worker.done.recv().map_err(|_| DetectError::WorkerLost)?);
        }
        undisturbed_rate(&traces).ok_or(DetectError::WorkerLost)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // Closing the channel ends the thread's loop.
            worker.jobs = None;
            if let Some(thread) = worker.thread.take() {
                // A panicked thread has already been reported as lost.
                let _ = thread.join();
            }
        }
    }
}

/// Body of a worker thread.
fn serve(
    cpu: usize,
    buffer_bytes: usize,
    ready: &Sender<Result<(), DetectError>>,
    inbox: &Receiver<Job>,
    outbox: &Sender<Trace>,
) {
    let prepared = pin_current_thread(cpu)
        .map_err(|source| DetectError::Pin { cpu, source })
        .and_then(|()| Buffer::new(buffer_bytes).ok_or(DetectError::OutOfMemory { cpu, bytes: buffer_bytes }));
    let mut buffer = match prepared {
        Ok(buffer) => buffer,
        Err(error) => {
            // The receiver is gone only if the pool's start has already failed.
            let _ = ready.send(Err(error));
            return;
        }
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    while let Ok(mut job) = inbox.recv() {
        let from = loop {
            job.work.run(&mut buffer);
            let now = Instant::now();
            if now >= job.start {
                break now;
            }
        };
        let mut finished = Vec::with_capacity(N_RUNS_EXPECTED);
        let mut amount = 0;
        loop {
            amount += job.work.run(&mut buffer);
            let now = Instant::now();
            finished.push((now, amount));
            if now >= job.start + job.window && now - from >= job.window / 2 {
                break;
            }
        }
        // The conversion waits until the window is over; its seconds count from the start common to all threads, and
        // no thread measures before it.
        let seconds = |at: Instant| at.saturating_duration_since(job.start).as_secs_f64();
        let mut trace: Trace = vec![(seconds(from), 0.0)];
        trace.extend(finished.into_iter().map(|(at, amount)| (seconds(at), amount as f64)));
        if outbox.send(trace).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::os::available_cpus;

    struct Sleep;

    impl Work for Sleep {
        fn run(&mut self, _buffer: &mut Buffer) -> u64 {
            std::thread::sleep(Duration::from_millis(1));
            1
        }
    }

    #[test]
    fn statistics_of_eleven_samples() {
        // 1, 2, …, 11: positions 0.9 · 10 = 9 → 10; 0.5 → 6; 0.1 → 2; quartiles 3.5 and 8.5.
        let samples: Vec<_> =
            (1..=11).rev().map(|n| Sample { rate: f64::from(n), undisturbed: f64::from(n) / 11.0 }).collect();
        let got = Measured::from_samples(&samples, "chain", Duration::from_millis(20)).expect("valid");
        assert_eq!((got.value, got.median, got.p10, got.n_samples), (10.0, 6.0, 2.0, 11));
        assert_eq!(got.undisturbed, 6.0 / 11.0);
        assert!((got.relative_iqr - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!(got.method, "chain, 90th percentile of 11 x 20 ms");
    }

    #[test]
    fn samples_lost_to_interruptions_do_not_count_unless_they_are_most() {
        let of = |lost: usize| -> Vec<_> {
            (0..4)
                .map(|i| Sample {
                    rate: if i < lost { 1.0 } else { 8.0 },
                    undisturbed: if i < lost { 0.0 } else { 0.5 },
                })
                .collect()
        };
        let ms = Duration::from_millis(1);
        let got = Measured::from_samples(&of(2), "", ms).expect("valid");
        // Two of four count; the undisturbed share is still that of all four: between 0 and 0.5.
        assert_eq!((got.median, got.n_samples, got.undisturbed), (8.0, 2, 0.25));
        let got = Measured::from_samples(&of(3), "", ms).expect("valid");
        assert_eq!((got.median, got.n_samples, got.undisturbed), (1.0, 4, 0.0));
    }

    #[test]
    fn samples_that_are_no_rates_give_nothing() {
        let window = Duration::from_millis(1);
        for rates in [&[][..], &[1.0, 0.0], &[f64::NAN], &[f64::INFINITY]] {
            let samples: Vec<_> = rates.iter().map(|&rate| Sample { rate, undisturbed: 1.0 }).collect();
            assert_eq!(Measured::from_samples(&samples, "", window), None);
        }
    }

    #[test]
    fn the_rate_is_amount_over_time() {
        let cpu = available_cpus().expect("affinity")[0];
        let pool = Pool::start(&[(cpu, 4096)]).expect("one thread");
        let ms = Duration::from_millis;
        // One unit per sleep of at least 1 ms: at most 1000 a second; far fewer only on a stalled machine.
        let sample = pool.sample(vec![Box::new(Sleep)], ms(2), ms(20)).expect("sample");
        assert!((20.0..=1000.0).contains(&sample.rate), "{sample:?}");
        let two: Vec<Box<dyn Work>> = vec![Box::new(Sleep), Box::new(Sleep)];
        assert!(matches!(pool.sample(two, ms(1), ms(1)), Err(DetectError::WorkerLost)));
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_named() {
        let error = Pool::start(&[(1 << 20, 4096)]).err().expect("no such CPU");
        assert!(matches!(error, DetectError::Pin { cpu: 0x10_0000, .. }), "{error}");
    }
}
