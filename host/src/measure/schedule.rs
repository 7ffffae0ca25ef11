//! The measuring loop: blocks of configurations, timed in interleaved rounds until each median is
//! known well enough. Samples in nanoseconds, settings in seconds.
//!
//! Source: medians of the same network taken minutes apart differ by up to 30 % on a shared
//! machine, so what is compared takes turns within seconds (`order`), and a block lasts long enough
//! for its 10th percentile to meet undisturbed moments.
//!
//! Ending at the first narrow interval makes it cover a little less than its nominal 95 %. A
//! configuration therefore stays in the rotation until its block ends, if less often, and its row
//! states the interval of all its samples.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::disturbance::{Evidence, ReferenceLevels};
use super::executor::{Executor, Prepared, Ran, Reference};
use super::member::{Member, chunk_runs, thin};
use super::order::visiting_order;
use super::plan::{End, Finish, Plan, RunError};
use super::record::{Chunk, Measured, Outcome, Progress, Record, ReferenceSample, Sink, Stop};
use super::settings::Settings;
use super::stats::Summary;
use super::surroundings::{CpuTimes, Surroundings};
use super::verdict::{Status, judge};

/// Most samples of each reference in a row, taken to make up for a long chunk without any.
const REFERENCE_BURST: u32 = 10;

/// Measures `plan` and hands everything to `sink`.
///
/// Each round visits the members of the block in balanced order and gives each a chunk of runs.
/// A member is done when it has `min_runs` kept samples and a narrow interval, or has reached a cap;
/// the block ends when all are done and it has lasted `min_block_time_s`. After that time a member
/// that is done takes a turn only in every fourth round (`finished_turns_every`), and none beyond its time cap, so a block
/// lasts at most about that time and the sum of the caps. `stop` is looked at between any two
/// chunks, preparations and references.
///
/// # Errors
///
/// [`RunError`]; whatever was prepared is released first, and rows handed over stay valid.
pub fn run<E: Executor, W: Surroundings, S: Sink>(
    executor: &mut E,
    surroundings: &mut W,
    sink: &mut S,
    plan: Plan<'_>,
    settings: &Settings,
    stop: &AtomicBool,
) -> Result<Finish, RunError<E::Error, S::Error>> {
    settings.validate()?;
    let started = surroundings.now();
    let mut sweep = Sweep {
        executor,
        surroundings,
        sink,
        settings,
        stop,
        total: plan.total,
        left: plan.todo.len(),
        block: plan.first_block,
        blocks_ended: 0,
        started,
        last_reference: None,
        references_ns: [Vec::new(), Vec::new()],
        finish: Finish { end: End::Complete, rows: 0, skipped: 0, disturbed: 0, best: plan.best },
    };
    let mut rest = plan.todo;
    while !rest.is_empty() {
        match sweep.block(rest)? {
            Some(n_members) => rest = &rest[n_members..],
            None => {
                sweep.finish.end = End::Interrupted;
                break;
            }
        }
    }
    Ok(sweep.finish)
}

/// Whether to go on, or the stop flag was set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    GoOn,
    Interrupted,
}

/// Result of a step of the loop.
type Stepped<T, E, S> = Result<T, RunError<<E as Executor>::Error, <S as Sink>::Error>>;

struct Sweep<'a, E, W, S> {
    executor: &'a mut E,
    surroundings: &'a mut W,
    sink: &'a mut S,
    settings: &'a Settings,
    stop: &'a AtomicBool,
    total: usize,
    /// Configurations without a row.
    left: usize,
    block: u32,
    blocks_ended: u32,
    started: Duration,
    last_reference: Option<Duration>,
    /// Reference samples of the open block, in the order of [`Reference::ALL`].
    references_ns: [Vec<u64>; 2],
    finish: Finish,
}

impl<E: Executor, W: Surroundings, S: Sink> Sweep<'_, E, W, S> {
    /// Measures one block from the front of `rest`; how many it took, or `None` if interrupted.
    fn block(&mut self, rest: &[usize]) -> Stepped<Option<usize>, E, S> {
        self.references_ns.iter_mut().for_each(Vec::clear);
        let mut members = Vec::new();
        let mut evidence = Evidence::default();
        let measured = match self.prepare(rest, &mut members) {
            Ok(Step::GoOn) => self.rounds(&mut members, &mut evidence),
            other => other,
        };
        for member in members.iter().filter(|member| member.prepared) {
            self.executor.release(member.idx);
        }
        if measured? == Step::Interrupted {
            return Ok(None);
        }
        let n_members = members.len();
        self.hand_over(members, &evidence)?;
        self.block += 1;
        self.blocks_ended += 1;
        self.report(0, Duration::ZERO);
        Ok(Some(n_members))
    }

    /// Prepares as many of `rest` as make a block.
    fn prepare(&mut self, rest: &[usize], members: &mut Vec<Member>) -> Stepped<Step, E, S> {
        for &idx in rest.iter().take(self.settings.block_size) {
            if self.stopped() {
                return Ok(Step::Interrupted);
            }
            self.report(0, Duration::ZERO);
            let answer = self
                .executor
                .prepare(idx, self.settings.warmup_runs)
                .map_err(|source| RunError::Executor { idx, source })?;
            let mut member = Member { idx, ..Member::default() };
            match answer {
                Prepared::Ready => member.prepared = true,
                // It opens the next block instead, where nothing else takes room.
                Prepared::NoRoom { .. } if members.iter().any(|member| member.prepared) => break,
                Prepared::NoRoom { reason } | Prepared::Skipped { reason } => {
                    member.skipped = Some(reason);
                }
            }
            members.push(member);
        }
        Ok(Step::GoOn)
    }

    /// Times the members in rounds until all are done, then completes the block's evidence.
    fn rounds(&mut self, members: &mut [Member], evidence: &mut Evidence) -> Stepped<Step, E, S> {
        let start = self.surroundings.now();
        let cpu_times = self.surroundings.cpu_times();
        let mut round = 0;
        loop {
            let elapsed = self.since(start);
            let spread = elapsed.as_secs_f64() >= self.settings.min_block_time_s;
            if members.iter().all(|member| member.skipped.is_some())
                || spread && members.iter().all(|m| m.skipped.is_some() || m.stop.is_some())
            {
                break;
            }
            if self.references(round)? == Step::Interrupted {
                return Ok(Step::Interrupted);
            }
            for place in visiting_order(members.len(), round as usize) {
                let member = &mut members[place];
                let capped = member.capped(self.settings);
                let sits_out = capped || member.stop.is_some() && round % self.settings.finished_turns_every != 0;
                if member.skipped.is_some() || spread && sits_out {
                    continue;
                }
                if self.stopped() || self.reference_is_due() && self.references(round)? == Step::Interrupted {
                    return Ok(Step::Interrupted);
                }
                self.turn(member, round)?;
                member.settle(self.settings);
                let elapsed = self.since(start);
                self.report(round, elapsed);
            }
            round += 1;
        }
        if members.iter().any(|member| member.skipped.is_none()) {
            // So that a block of one long round has references at its end too.
            if self.references(round)? == Step::Interrupted {
                return Ok(Step::Interrupted);
            }
        }
        *evidence = self.block_evidence(cpu_times);
        Ok(Step::GoOn)
    }

    /// Gives one member its chunk of runs.
    fn turn(&mut self, member: &mut Member, round: u32) -> Stepped<(), E, S> {
        let settings = self.settings;
        let switches = self.surroundings.switches();
        let start = self.surroundings.now();
        let mut samples_ns = Vec::new();
        let mut ran = self.time(member.idx, 1, &mut samples_ns)?;
        let first = self.since(start);
        let mut runs = 1;
        // The first run meets foreign caches: it counts only where it is long enough to hide that.
        let kept = first.as_secs_f64() >= settings.drop_first_below_s;
        let (last, pace) = match member.pace {
            Some(pace) if !kept => pace,
            _ => (1, first),
        };
        let more = chunk_runs(pace, settings.chunk_time_s, last) - u32::from(kept);
        if ran == Ran::Done && more > 0 {
            if !kept {
                samples_ns.clear();
            }
            let start = self.surroundings.now();
            ran = self.time(member.idx, more, &mut samples_ns)?;
            member.pace = Some((more, self.since(start) / more));
            runs += more;
        }
        member.run_time += self.since(start);
        member.runs += u64::from(runs);
        if let (Some(before), Some(after)) = (switches, self.surroundings.switches()) {
            let total = member.switches.get_or_insert_default();
            total.add(after.since(&before));
        }
        if let Ran::Skipped { reason } = ran {
            member.skipped = Some(reason);
            member.prepared = false;
            self.executor.release(member.idx);
            return Ok(());
        }
        thin(&mut samples_ns, settings.kept_per_chunk as usize);
        let chunk = Chunk {
            idx: member.idx,
            block: self.block,
            round,
            runs,
            samples_ns: &samples_ns,
            at_unix_ms: self.surroundings.unix_ms(),
        };
        self.sink.chunk(&chunk).map_err(RunError::Sink)?;
        member.samples_ns.append(&mut samples_ns);
        Ok(())
    }

    /// Times `runs` runs; at least one sample comes of it unless the configuration failed.
    fn time(&mut self, idx: usize, runs: u32, samples_ns: &mut Vec<u64>) -> Stepped<Ran, E, S> {
        let ran = self.executor.run(idx, runs, samples_ns).map_err(|source| RunError::Executor { idx, source })?;
        if ran == Ran::Done && samples_ns.is_empty() {
            return Err(RunError::NoSamples { idx, runs });
        }
        Ok(ran)
    }

    fn reference_is_due(&mut self) -> bool {
        self.last_reference.is_none_or(|last| self.since(last).as_secs_f64() >= self.settings.reference_interval_s)
    }

    /// Takes both references: once, or once per interval gone by without any, up to a burst.
    fn references(&mut self, round: u32) -> Stepped<Step, E, S> {
        let times = self.last_reference.map_or(REFERENCE_BURST, |last| {
            let intervals = self.since(last).as_secs_f64() / self.settings.reference_interval_s;
            (intervals as u32).clamp(1, REFERENCE_BURST)
        });
        for _ in 0..times {
            for (which, kept_ns) in Reference::ALL.into_iter().zip(&mut self.references_ns) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(Step::Interrupted);
                }
                let sample_ns =
                    self.executor.reference(which).map_err(|source| RunError::Reference { which, source })?;
                let Some(sample_ns) = sample_ns else { continue };
                kept_ns.push(sample_ns);
                let sample = ReferenceSample {
                    which,
                    block: self.block,
                    round,
                    sample_ns,
                    at_unix_ms: self.surroundings.unix_ms(),
                };
                self.sink.reference(&sample).map_err(RunError::Sink)?;
            }
        }
        self.last_reference = Some(self.surroundings.now());
        Ok(Step::GoOn)
    }

    /// The part of the evidence that the members of a block share.
    fn block_evidence(&mut self, before: Option<CpuTimes>) -> Evidence {
        let after = self.surroundings.cpu_times();
        let [compute_bound_ns, memory_bound_ns] = &self.references_ns;
        let references = ReferenceLevels::of(compute_bound_ns, memory_bound_ns);
        self.finish.best = self.finish.best.best(references);
        Evidence {
            steal_share: before.zip(after).and_then(|(before, after)| after.steal_share_since(&before)),
            cpus: self.surroundings.cpus(),
            load_average: self.surroundings.load_average(),
            references,
            ..Evidence::default()
        }
    }

    /// Hands the rows of a finished block over, one by one in plan order.
    fn hand_over(&mut self, members: Vec<Member>, shared: &Evidence) -> Stepped<(), E, S> {
        for member in members {
            let outcome = match (member.skipped, Summary::of(&member.samples_ns)) {
                (Some(reason), _) => {
                    self.finish.skipped += 1;
                    Outcome::Skipped { reason }
                }
                (None, None) => {
                    let (idx, runs) = (member.idx, 0);
                    return Err(RunError::NoSamples { idx, runs });
                }
                (None, Some(summary)) => {
                    let evidence = Evidence {
                        switches: member.switches,
                        runs: member.runs,
                        run_time_s: member.run_time.as_secs_f64(),
                        ..shared.clone()
                    };
                    let status = judge(&summary, &evidence, &self.finish.best);
                    self.finish.disturbed += usize::from(status != Status::Ok);
                    Outcome::Measured(Box::new(Measured {
                        summary,
                        evidence,
                        stop: member.stop.unwrap_or(Stop::TimeCap),
                        status,
                    }))
                }
            };
            let record = Record { idx: member.idx, block: self.block, outcome };
            self.sink.row(&record).map_err(RunError::Sink)?;
            self.finish.rows += 1;
            self.left -= 1;
        }
        Ok(())
    }

    /// Tells the sink how far the sweep is, `elapsed` being the time in the rounds of this block.
    fn report(&mut self, round: u32, elapsed: Duration) {
        let least = self.settings.min_block_time_s;
        let so_far = self.since(self.started).saturating_sub(elapsed).as_secs_f64();
        let per_block = match self.blocks_ended {
            0 => least,
            n => so_far / f64::from(n),
        };
        let blocks = self.left.div_ceil(self.settings.block_size) as f64;
        let in_block = elapsed > Duration::ZERO && self.left > 0;
        let seconds_left = if in_block {
            (least - elapsed.as_secs_f64()).max(0.0) + (blocks - 1.0) * per_block
        } else {
            blocks * per_block
        };
        self.sink.progress(&Progress {
            done: self.total.saturating_sub(self.left),
            total: self.total,
            block: self.block,
            round,
            seconds_left,
        });
    }

    /// Time since `start`; 0 should the clock step back.
    fn since(&mut self, start: Duration) -> Duration {
        self.surroundings.now().saturating_sub(start)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
