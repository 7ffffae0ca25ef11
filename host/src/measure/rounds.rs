//! The measuring loop over a whole run: every configuration takes a turn in every round, from the first minute to the last.
//! Samples in nanoseconds, settings in seconds.
//!
//! Source: `schedule` compares within a block of seconds; networks of very different sizes have to be compared over a sweep of
//! minutes, in which a shared machine drifts. Here the drift falls on all alike, since each round visits all of them, in the
//! balanced order of `order`.
//!
//! What does not fit into memory beside the rest is prepared again at its turn; of a cycle that does not fit, the one used last is
//! the one needed last, so it is the one that goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::disturbance::{Evidence, ReferenceLevels, Switches};
use super::executor::{Executor, Prepared, Ran, Reference};
use super::member::chunk_runs;
use super::order::visiting_order;
use super::plan::{End, Finish, RunError};
use super::record::{Chunk, Measured, Outcome, Progress, Record, ReferenceSample, Stop};
use super::settings::{Settings, SettingsError};
use super::stats::Summary;
use super::surroundings::{CpuTimes, Surroundings};
use super::verdict::{Status, judge};

/// Most numbers of one turn that are kept, where a run gives many.
const KEPT_NUMBERS: usize = 10_000;

/// Most samples of each reference in a row, taken to make up for a long turn without any.
const REFERENCE_BURST: u32 = 10;

/// How a whole run is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundSettings {
    /// Rounds over all configurations, 1 to 1000. Default 10.
    pub rounds: u32,
    /// Untimed runs when a configuration is first prepared. Default 10.
    pub warmup_runs: u32,
    /// Fewest timed runs over all rounds, at least 1. Default 50.
    pub runs: u32,
    /// The same where a run takes longer than `slow_s`, at least 1. Default 10.
    pub slow_runs: u32,
    /// Time of a run above which it is a slow one, in seconds, above 0. Default 0.5.
    pub slow_s: f64,
    /// Length of a turn where runs are short, in seconds, above 0. Default 0.03.
    pub turn_time_s: f64,
    /// Runs kept of one turn, at least 1; of more, one of each of as many equal parts. Default 100.
    pub kept_per_turn: u32,
    /// A turn's first run is dropped if it takes less than this, in seconds, 0 or more: it meets foreign caches. Default 0.05.
    pub drop_first_below_s: f64,
    /// Time after which drift references are taken again, in seconds, above 0. Default 1.
    pub reference_interval_s: f64,
}

impl Default for RoundSettings {
    fn default() -> Self {
        let Settings { drop_first_below_s, chunk_time_s, kept_per_chunk, .. } = Settings::default();
        Self {
            rounds: 10,
            warmup_runs: 10,
            runs: 50,
            slow_runs: 10,
            slow_s: 0.5,
            turn_time_s: chunk_time_s,
            kept_per_turn: kept_per_chunk,
            drop_first_below_s,
            reference_interval_s: 1.0,
        }
    }
}

impl RoundSettings {
    /// Checks each setting against its range.
    ///
    /// # Errors
    /// [`SettingsError`] of the first setting outside its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let fails = |key, value: String, allowed| Err(SettingsError { key, value, allowed });
        if !(1..=1000).contains(&self.rounds) {
            return fails("rounds", self.rounds.to_string(), "1 to 1000");
        }
        for (key, count) in [("runs", self.runs), ("slow_runs", self.slow_runs), ("kept_per_turn", self.kept_per_turn)]
        {
            if count == 0 {
                return fails(key, count.to_string(), "1 or more");
            }
        }
        for (key, seconds) in [
            ("slow_s", self.slow_s),
            ("turn_time_s", self.turn_time_s),
            ("reference_interval_s", self.reference_interval_s),
        ] {
            if !(seconds > 0.0 && seconds <= 86_400.0) {
                return fails(key, seconds.to_string(), "above 0, to 86400 seconds");
            }
        }
        if !(0.0..=86_400.0).contains(&self.drop_first_below_s) {
            return fails("drop_first_below_s", self.drop_first_below_s.to_string(), "0 to 86400 seconds");
        }
        Ok(())
    }

    /// Timed runs of a turn at least, where one takes `pace`.
    fn least_runs(&self, pace: Duration) -> u32 {
        let runs = if pace.as_secs_f64() > self.slow_s { self.slow_runs } else { self.runs };
        runs.div_ceil(self.rounds)
    }
}

/// An executor of which a run gives several numbers, of which the first is its time.
pub trait Runner: Executor {
    /// What is measured once, when all rounds are over.
    type Extra;

    /// Numbers that one run appends to the samples; at least 1. Of a prepared configuration.
    fn width(&self, idx: usize) -> usize;

    /// What is measured once, of a prepared configuration.
    ///
    /// # Errors
    /// A failure that is not of this configuration alone.
    fn conclude(&mut self, idx: usize) -> Result<Option<Self::Extra>, Self::Error>;
}

/// Where the loop puts what it has. An `Err` ends the sweep.
pub trait RoundSink<X> {
    /// Failure to keep what was handed over.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes the numbers of a turn, right after they were taken.
    ///
    /// # Errors
    /// If they cannot be kept.
    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), Self::Error>;

    /// Takes one sample of a reference.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn reference(&mut self, sample: &ReferenceSample) -> Result<(), Self::Error>;

    /// Takes a finished row: the numbers of all its runs, `width` a run, and what was measured once.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn row(&mut self, record: &Record, numbers: &[u64], width: usize, extra: Option<X>) -> Result<(), Self::Error>;

    /// Hears how far the sweep is: turns done and turns in all.
    fn progress(&mut self, progress: &Progress);
}

/// A configuration without a row yet, and what an interrupted run left of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Todo {
    /// Index of the configuration.
    pub idx: usize,
    /// Rounds in which it had its turn.
    pub rounds: u32,
    /// Numbers of its runs in those.
    pub numbers: Vec<u64>,
}

/// What is to be measured.
#[derive(Debug)]
pub struct RoundPlan {
    /// Configurations without a row, in the order of their rows.
    pub todo: Vec<Todo>,
    /// Number of this part of the run: 0, or one past the last of what is resumed.
    pub block: u32,
    /// Lowest reference levels known.
    pub best: ReferenceLevels,
}

/// Measures `plan` in rounds and hands everything to `sink`; rows come when all rounds are over, in plan order.
///
/// # Errors
/// [`RunError`]; whatever was prepared is released first, and numbers handed over stay valid.
pub fn run<E: Runner, W: Surroundings, S: RoundSink<E::Extra>>(
    executor: &mut E,
    surroundings: &mut W,
    sink: &mut S,
    plan: RoundPlan,
    settings: &RoundSettings,
    stop: &AtomicBool,
) -> Result<Finish, RunError<E::Error, S::Error>> {
    settings.validate()?;
    let started = surroundings.now();
    let members: Vec<Member> = plan
        .todo
        .into_iter()
        .map(|Todo { idx, rounds, numbers }| Member { idx, rounds, numbers, ..Member::default() })
        .collect();
    let turns_before: u64 = members.iter().map(|member| u64::from(member.rounds)).sum();
    let mut whole = Whole {
        executor,
        surroundings,
        sink,
        settings,
        stop,
        started,
        turns: (members.len() as u64).saturating_mul(u64::from(settings.rounds)),
        turns_before,
        turns_done: turns_before,
        members,
        prepared: Vec::new(),
        block: plan.block,
        last_reference: None,
        references_ns: [Vec::new(), Vec::new()],
        best: plan.best,
    };
    let finished = whole.all();
    for idx in std::mem::take(&mut whole.prepared) {
        whole.executor.release(idx);
    }
    finished
}

#[derive(Debug, Default)]
struct Member {
    idx: usize,
    rounds: u32,
    numbers: Vec<u64>,
    width: usize,
    skipped: Option<String>,
    runs: u64,
    run_time: Duration,
    switches: Option<Switches>,
    /// Runs of the latest turn beyond its first, and the time of one.
    pace: Option<(u32, Duration)>,
    /// Time of a run at the best: a disturbed turn makes no slow network.
    fastest: Option<Duration>,
}

/// Whether to go on, or the stop flag was set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    GoOn,
    Interrupted,
}

type Stepped<T, E, S> = Result<T, RunError<<E as Executor>::Error, <S as RoundSink<<E as Runner>::Extra>>::Error>>;

struct Whole<'a, E, W, S> {
    executor: &'a mut E,
    surroundings: &'a mut W,
    sink: &'a mut S,
    settings: &'a RoundSettings,
    stop: &'a AtomicBool,
    started: Duration,
    turns: u64,
    turns_before: u64,
    turns_done: u64,
    members: Vec<Member>,
    /// Configurations that are prepared, the one used last at the end.
    prepared: Vec<usize>,
    block: u32,
    last_reference: Option<Duration>,
    /// In the order of [`Reference::ALL`].
    references_ns: [Vec<u64>; 2],
    best: ReferenceLevels,
}

impl<E: Runner, W: Surroundings, S: RoundSink<E::Extra>> Whole<'_, E, W, S> {
    fn all(&mut self) -> Stepped<Finish, E, S> {
        let cpu_times = self.surroundings.cpu_times();
        for round in 0..self.settings.rounds {
            for place in visiting_order(self.members.len(), round as usize) {
                let Some(member) = self.members.get(place) else { continue };
                if member.skipped.is_some() || member.rounds > round {
                    continue;
                }
                if self.references_when_due(round)? == Step::Interrupted || self.stopped() {
                    return Ok(self.ended(End::Interrupted));
                }
                let mut member = std::mem::take(&mut self.members[place]);
                let turn = self.turn(&mut member, round);
                member.rounds = round + 1;
                self.members[place] = member;
                turn?;
                self.turns_done += 1;
                self.report(round);
            }
        }
        self.last_reference = None;
        if !self.members.is_empty() && self.references_when_due(self.settings.rounds)? == Step::Interrupted {
            return Ok(self.ended(End::Interrupted));
        }
        let evidence = self.evidence(cpu_times);
        self.hand_over(&evidence)
    }

    fn ended(&self, end: End) -> Finish {
        Finish { end, rows: 0, skipped: 0, disturbed: 0, best: self.best }
    }

    /// Prepares a configuration, in the place of others where there is no room beside them; `false` where it is skipped.
    fn prepare(&mut self, member: &mut Member) -> Stepped<bool, E, S> {
        let idx = member.idx;
        // Not the first time: its code and the libraries' are warm, its own memory is not.
        let warmup = if member.pace.is_some() { self.settings.warmup_runs.min(2) } else { self.settings.warmup_runs };
        loop {
            let answer = self.executor.prepare(idx, warmup).map_err(|source| RunError::Executor { idx, source })?;
            match answer {
                Prepared::Ready => break,
                Prepared::NoRoom { reason } => match self.prepared.iter().rposition(|&other| other != idx) {
                    Some(last) => self.executor.release(self.prepared.remove(last)),
                    None => {
                        member.skipped = Some(reason);
                        return Ok(false);
                    }
                },
                Prepared::Skipped { reason } => {
                    member.skipped = Some(reason);
                    return Ok(false);
                }
            }
        }
        self.prepared.retain(|&other| other != idx);
        self.prepared.push(idx);
        member.width = self.executor.width(idx).max(1);
        Ok(true)
    }

    fn turn(&mut self, member: &mut Member, round: u32) -> Stepped<(), E, S> {
        if !self.prepare(member)? {
            return Ok(());
        }
        let settings = self.settings;
        let switches = self.surroundings.switches();
        let start = self.surroundings.now();
        let mut numbers = Vec::new();
        let mut ran = self.time(member.idx, 1, &mut numbers)?;
        let first = self.since(start);
        let kept = first.as_secs_f64() >= settings.drop_first_below_s;
        let (last, pace) = match member.pace {
            Some(pace) if !kept => pace,
            _ => (1, first),
        };
        let fastest = member.fastest.map_or(first, |fastest| fastest.min(first)).min(pace);
        member.fastest = Some(fastest);
        let least = settings.least_runs(fastest);
        let more = chunk_runs(pace, settings.turn_time_s, last).max(least) - u32::from(kept);
        let mut runs = 1;
        if ran == Ran::Done && more > 0 {
            if !kept {
                numbers.clear();
            }
            let start = self.surroundings.now();
            ran = self.time(member.idx, more, &mut numbers)?;
            member.pace = Some((more, self.since(start) / more));
            runs += more;
        } else {
            member.pace = Some((1, first));
        }
        member.run_time += self.since(start);
        member.runs += u64::from(runs);
        if let (Some(before), Some(after)) = (switches, self.surroundings.switches()) {
            member.switches.get_or_insert_default().add(after.since(&before));
        }
        if let Ran::Skipped { reason } = ran {
            member.skipped = Some(reason);
            self.prepared.retain(|&other| other != member.idx);
            self.executor.release(member.idx);
            return Ok(());
        }
        let least = least as usize;
        let most = (KEPT_NUMBERS / member.width).clamp(least.max(1), (settings.kept_per_turn as usize).max(least));
        super::member::thin_runs(&mut numbers, member.width, most);
        let at_unix_ms = self.surroundings.unix_ms();
        let chunk = Chunk { idx: member.idx, block: self.block, round, runs, samples_ns: &numbers, at_unix_ms };
        self.sink.chunk(&chunk).map_err(RunError::Sink)?;
        member.numbers.append(&mut numbers);
        Ok(())
    }

    fn time(&mut self, idx: usize, runs: u32, numbers: &mut Vec<u64>) -> Stepped<Ran, E, S> {
        let ran = self.executor.run(idx, runs, numbers).map_err(|source| RunError::Executor { idx, source })?;
        if ran == Ran::Done && numbers.is_empty() {
            return Err(RunError::NoSamples { idx, runs });
        }
        Ok(ran)
    }

    /// Takes both references, if they are due: once, or once per interval gone by without any, up to a burst.
    fn references_when_due(&mut self, round: u32) -> Stepped<Step, E, S> {
        let now = self.surroundings.now();
        let intervals = self.last_reference.map_or(f64::from(REFERENCE_BURST), |last| {
            now.saturating_sub(last).as_secs_f64() / self.settings.reference_interval_s
        });
        if intervals < 1.0 {
            return Ok(Step::GoOn);
        }
        for _ in 0..(intervals as u32).clamp(1, REFERENCE_BURST) {
            for (which, kept_ns) in Reference::ALL.into_iter().zip(&mut self.references_ns) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(Step::Interrupted);
                }
                let sample = self.executor.reference(which).map_err(|source| RunError::Reference { which, source })?;
                let Some(sample_ns) = sample else { continue };
                kept_ns.push(sample_ns);
                let at_unix_ms = self.surroundings.unix_ms();
                let sample = ReferenceSample { which, block: self.block, round, sample_ns, at_unix_ms };
                self.sink.reference(&sample).map_err(RunError::Sink)?;
            }
        }
        self.last_reference = Some(self.surroundings.now());
        Ok(Step::GoOn)
    }

    /// The part of the evidence that all rows share.
    fn evidence(&mut self, before: Option<CpuTimes>) -> Evidence {
        let after = self.surroundings.cpu_times();
        let [compute_bound_ns, memory_bound_ns] = &self.references_ns;
        let references = ReferenceLevels::of(compute_bound_ns, memory_bound_ns);
        self.best = self.best.best(references);
        Evidence {
            steal_share: before.zip(after).and_then(|(before, after)| after.steal_share_since(&before)),
            cpus: self.surroundings.cpus(),
            load_average: self.surroundings.load_average(),
            references,
            ..Evidence::default()
        }
    }

    fn hand_over(&mut self, shared: &Evidence) -> Stepped<Finish, E, S> {
        let mut finish = self.ended(End::Complete);
        for mut member in std::mem::take(&mut self.members) {
            if self.stopped() {
                finish.end = End::Interrupted;
                break;
            }
            let idx = member.idx;
            let mut extra = None;
            // Prepared for what is measured once; and its width is known, where an interrupted run had measured it already.
            if member.skipped.is_none() && self.prepare(&mut member)? {
                extra = self.executor.conclude(idx).map_err(|source| RunError::Executor { idx, source })?;
            }
            let width = member.width.max(1);
            let times: Vec<u64> = member.numbers.iter().step_by(width).copied().collect();
            let outcome = match (member.skipped, Summary::of(&times)) {
                (Some(reason), _) => {
                    finish.skipped += 1;
                    Outcome::Skipped { reason }
                }
                (None, None) => return Err(RunError::NoSamples { idx, runs: 0 }),
                (None, Some(summary)) => {
                    let evidence = Evidence {
                        switches: member.switches,
                        runs: member.runs,
                        run_time_s: member.run_time.as_secs_f64(),
                        ..shared.clone()
                    };
                    let status = judge(&summary, &evidence, &self.best);
                    finish.disturbed += usize::from(status != Status::Ok);
                    Outcome::Measured(Box::new(Measured { summary, evidence, stop: Stop::Rounds, status }))
                }
            };
            let record = Record { idx, block: self.block, outcome };
            self.sink.row(&record, &member.numbers, width, extra).map_err(RunError::Sink)?;
            finish.rows += 1;
        }
        finish.best = self.best;
        Ok(finish)
    }

    /// Tells the sink how many turns are done; the rest takes as long as those of this run did on average.
    fn report(&mut self, round: u32) {
        let elapsed = self.since(self.started).as_secs_f64();
        let done_now = self.turns_done.saturating_sub(self.turns_before).max(1);
        let left = self.turns.saturating_sub(self.turns_done);
        self.sink.progress(&Progress {
            done: usize::try_from(self.turns_done).unwrap_or(usize::MAX),
            total: usize::try_from(self.turns).unwrap_or(usize::MAX),
            block: self.block,
            round,
            seconds_left: elapsed / done_now as f64 * left as f64,
        });
    }

    fn since(&mut self, start: Duration) -> Duration {
        self.surroundings.now().saturating_sub(start)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
