//! Scripted executor and surroundings: run times in nanoseconds come from a list and move a shared
//! clock, so a test of the loop is exact and takes no time.
//!
//! Source: none; a test tool, public so that tests outside this crate can drive a sweep with it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::disturbance::Switches;
use super::executor::{Executor, Prepared, Ran, Reference};
use super::surroundings::{CpuTimes, Surroundings};

/// Clock that only the mock moves; clones share it. Resolution 1 ns.
#[derive(Clone, Debug, Default)]
pub(crate) struct MockClock(Rc<Cell<u64>>);

impl MockClock {
    /// Time since the clock was made.
    #[must_use]
    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.0.get())
    }

    /// Lets `ns` nanoseconds pass.
    pub(crate) fn advance(&self, ns: u64) {
        self.0.set(self.0.get().saturating_add(ns));
    }
}

/// Script of one configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct MockConfiguration {
    /// Run times in nanoseconds, repeated from the start when used up; none means no sample.
    pub times_ns: Vec<u64>,
    /// Time that preparing takes, in nanoseconds.
    pub prepare_ns: u64,
    /// If set, preparing answers [`Prepared::Skipped`] with this reason.
    pub skip: Option<String>,
    /// Most configurations prepared together with it, itself included; 0 never fits, `None` always.
    pub fits_among: Option<usize>,
    /// Run number (from 0) at which running answers [`Ran::Skipped`].
    pub fail_at_run: Option<usize>,
}

impl MockConfiguration {
    /// A configuration whose every run takes `ns` nanoseconds.
    #[must_use]
    pub(crate) fn steady(ns: u64) -> Self {
        Self::cycling([ns])
    }

    /// A configuration whose run times repeat `times_ns`.
    pub(crate) fn cycling(times_ns: impl Into<Vec<u64>>) -> Self {
        Self { times_ns: times_ns.into(), ..Self::default() }
    }
}

/// What the executor was asked to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Prepare a configuration.
    Prepare(usize),
    /// Time this many runs of a configuration.
    Run(usize, u32),
    /// Release a configuration.
    Release(usize),
    /// Time a reference once.
    Reference(Reference),
}

/// Executor that follows a script and writes down what it was asked.
#[derive(Debug, Default)]
pub(crate) struct MockExecutor {
    /// Moved by each run, preparation and reference.
    pub clock: MockClock,
    /// The configurations, by index.
    pub configurations: Vec<MockConfiguration>,
    /// Times of the compute-bound reference in nanoseconds, repeated; empty for none.
    pub compute_bound_ns: Vec<u64>,
    /// Times of the memory-bound reference in nanoseconds, repeated; empty for none.
    pub memory_bound_ns: Vec<u64>,
    /// Sets the flag once this many runs have been timed, as Ctrl-C would.
    pub interrupt_after: Option<(usize, Rc<AtomicBool>)>,
    /// What was asked so far.
    pub events: Vec<Event>,
    prepared: BTreeSet<usize>,
    runs_of: BTreeMap<usize, usize>,
    references_of: [usize; 2],
    runs: usize,
}

impl MockExecutor {
    /// An executor of these configurations with references of 1 ms and 2 ms.
    #[must_use]
    pub(crate) fn new(configurations: Vec<MockConfiguration>) -> Self {
        Self { configurations, compute_bound_ns: vec![1_000_000], memory_bound_ns: vec![2_000_000], ..Self::default() }
    }

    /// Surroundings that share this executor's clock.
    #[must_use]
    pub(crate) fn surroundings(&self) -> MockSurroundings {
        MockSurroundings { clock: self.clock.clone(), ..MockSurroundings::default() }
    }

    /// Indices of the configurations prepared now, ascending.
    #[must_use]
    pub(crate) fn prepared(&self) -> Vec<usize> {
        self.prepared.iter().copied().collect()
    }
}

impl Executor for MockExecutor {
    type Error = Infallible;

    fn prepare(&mut self, idx: usize, _warmup: u32) -> Result<Prepared, Infallible> {
        self.events.push(Event::Prepare(idx));
        let script = &self.configurations[idx];
        self.clock.advance(script.prepare_ns);
        if let Some(reason) = script.skip.clone() {
            return Ok(Prepared::Skipped { reason });
        }
        let others = self.prepared.len();
        if script.fits_among.is_some_and(|most| others + 1 > most) {
            let reason = format!("no room beside {others} others");
            return Ok(Prepared::NoRoom { reason });
        }
        self.prepared.insert(idx);
        Ok(Prepared::Ready)
    }

    fn run(&mut self, idx: usize, runs: u32, samples_ns: &mut Vec<u64>) -> Result<Ran, Infallible> {
        self.events.push(Event::Run(idx, runs));
        let script = &self.configurations[idx];
        let done = self.runs_of.entry(idx).or_default();
        for _ in 0..runs {
            if script.fail_at_run == Some(*done) {
                let reason = format!("failed at run {done}");
                return Ok(Ran::Skipped { reason });
            }
            if !script.times_ns.is_empty() {
                let ns = script.times_ns[*done % script.times_ns.len()];
                self.clock.advance(ns);
                samples_ns.push(ns);
            }
            *done += 1;
            self.runs += 1;
            if let Some((after, flag)) = &self.interrupt_after
                && self.runs >= *after
            {
                flag.store(true, Ordering::Relaxed);
            }
        }
        Ok(Ran::Done)
    }

    fn release(&mut self, idx: usize) {
        self.events.push(Event::Release(idx));
        self.prepared.remove(&idx);
    }

    fn reference(&mut self, which: Reference) -> Result<Option<u64>, Infallible> {
        self.events.push(Event::Reference(which));
        let (times, taken) = match which {
            Reference::ComputeBound => (&self.compute_bound_ns, &mut self.references_of[0]),
            Reference::MemoryBound => (&self.memory_bound_ns, &mut self.references_of[1]),
        };
        let sample = (!times.is_empty()).then(|| times[*taken % times.len()]);
        *taken += 1;
        self.clock.advance(sample.unwrap_or(0));
        Ok(sample)
    }
}

/// Surroundings that answer what they are told to.
#[derive(Clone, Debug, Default)]
pub(crate) struct MockSurroundings {
    /// The clock of [`Surroundings::now`]; wall-clock time is the same, from 1970.
    pub clock: MockClock,
    /// Ticks stolen per second of the clock; 100 ticks a second are busy or stolen.
    pub stolen_ticks_per_second: u64,
    /// Involuntary switches that each question adds.
    pub involuntary_per_question: u64,
    switches: Switches,
}

impl Surroundings for MockSurroundings {
    fn now(&mut self) -> Duration {
        self.clock.now()
    }

    fn unix_ms(&mut self) -> u64 {
        self.clock.now().as_millis() as u64
    }

    fn cpu_times(&mut self) -> Option<CpuTimes> {
        let seconds = self.clock.now().as_secs_f64();
        let stolen = self.stolen_ticks_per_second.min(100);
        Some(CpuTimes {
            busy: (seconds * (100 - stolen) as f64) as u64,
            idle: 0,
            steal: (seconds * stolen as f64) as u64,
        })
    }

    fn switches(&mut self) -> Option<Switches> {
        self.switches.involuntary += self.involuntary_per_question;
        Some(self.switches)
    }

    fn load_average(&mut self) -> Option<f64> {
        Some(1.0)
    }

    fn cpus(&mut self) -> usize {
        1
    }
}
