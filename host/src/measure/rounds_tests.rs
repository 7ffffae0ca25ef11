//! Tests of the loop in rounds: times in nanoseconds from a script, so that every count is exact.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use super::disturbance::ReferenceLevels;
use super::mock::{Event, MockConfiguration, MockExecutor};
use super::order::visiting_order;
use super::plan::{End, Finish};
use super::record::{Chunk, Outcome, Progress, Record, ReferenceSample};
use super::rounds::{RoundPlan, RoundSettings, RoundSink, Runner, Todo, run};

impl Runner for MockExecutor {
    type Extra = usize;

    fn width(&self, _idx: usize) -> usize {
        1
    }

    fn conclude(&mut self, idx: usize) -> Result<Option<usize>, Infallible> {
        Ok(Some(idx))
    }
}

#[derive(Default)]
struct Kept {
    chunks: Vec<(usize, u32, usize)>,
    rows: Vec<(Record, Vec<u64>, Option<usize>)>,
    last: Option<Progress>,
}

impl RoundSink<usize> for Kept {
    type Error = Infallible;

    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), Infallible> {
        self.chunks.push((chunk.idx, chunk.round, chunk.samples_ns.len()));
        Ok(())
    }

    fn reference(&mut self, _sample: &ReferenceSample) -> Result<(), Infallible> {
        Ok(())
    }

    fn row(&mut self, record: &Record, numbers: &[u64], width: usize, extra: Option<usize>) -> Result<(), Infallible> {
        assert_eq!(width, 1);
        self.rows.push((record.clone(), numbers.to_vec(), extra));
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        self.last = Some(*progress);
    }
}

fn todo(n: usize) -> Vec<Todo> {
    (0..n).map(|idx| Todo { idx, ..Todo::default() }).collect()
}

fn measured(
    executor: &mut MockExecutor,
    todo: Vec<Todo>,
    settings: &RoundSettings,
    stop: &AtomicBool,
) -> (Finish, Kept) {
    let mut kept = Kept::default();
    let plan = RoundPlan { todo, block: 0, best: ReferenceLevels::default() };
    let finish = run(executor, &mut executor.surroundings(), &mut kept, plan, settings, stop);
    assert!(executor.prepared().is_empty(), "everything is released");
    (finish.expect("scripted"), kept)
}

const MS: u64 = 1_000_000;

#[test]
fn every_configuration_has_a_turn_in_every_round_and_its_row_at_the_end() {
    let times = [MS, 20 * MS, 600 * MS];
    let mut executor = MockExecutor::new(times.map(MockConfiguration::steady).to_vec());
    let (finish, kept) = measured(&mut executor, todo(3), &RoundSettings::default(), &AtomicBool::new(false));
    assert_eq!((finish.end, finish.rows, finish.skipped), (End::Complete, 3, 0));
    // Ten rounds in the balanced order.
    let visits: Vec<(usize, u32)> = kept.chunks.iter().map(|&(idx, round, _)| (idx, round)).collect();
    let wanted: Vec<(usize, u32)> =
        (0..10).flat_map(|round| visiting_order(3, round as usize).into_iter().map(move |idx| (idx, round))).collect();
    assert_eq!(visits, wanted);
    let counts: Vec<usize> = kept.rows.iter().map(|(_, numbers, _)| numbers.len()).collect();
    // 1 ms: turns of 30 ms, the first of 8 runs (growth), all without their first run: 8 + 9 · 30.
    // 20 ms: 50 runs over ten rounds, 5 a turn. 600 ms: ten, one a turn, the first run counts.
    assert_eq!(counts, [8 + 9 * 30, 50, 10]);
    for (place, (record, numbers, extra)) in kept.rows.iter().enumerate() {
        assert_eq!((record.idx, *extra), (place, Some(place)));
        assert!(numbers.iter().all(|&ns| ns == times[place]));
        assert!(
            matches!(&record.outcome, Outcome::Measured(measured) if measured.summary.p10_ns == times[place] as f64)
        );
    }
    assert_eq!(kept.last.map(|progress| (progress.done, progress.total)), Some((30, 30)));
}

#[test]
fn what_does_not_fit_beside_the_rest_takes_the_place_of_the_one_used_last() {
    let one = || MockConfiguration { fits_among: Some(2), ..MockConfiguration::steady(60 * MS) };
    let mut executor = MockExecutor::new(vec![one(), one(), one()]);
    let settings = RoundSettings { rounds: 2, runs: 2, ..RoundSettings::default() };
    let (finish, kept) = measured(&mut executor, todo(3), &settings, &AtomicBool::new(false));
    assert_eq!((finish.rows, finish.skipped), (3, 0));
    assert!(kept.rows.iter().all(|(_, numbers, _)| numbers.len() == 2));
    let first_release = executor.events.iter().find(|event| matches!(event, Event::Release(_)));
    // Round 0 visits 0, 2, 1: at 1 there is no room, and 2 was used last.
    assert_eq!(visiting_order(3, 0), [0, 2, 1]);
    assert_eq!(first_release, Some(&Event::Release(2)));
}

#[test]
fn what_fits_alone_neither_is_skipped_with_its_reason() {
    let never = MockConfiguration { fits_among: Some(0), ..MockConfiguration::steady(60 * MS) };
    let failing = MockConfiguration { fail_at_run: Some(1), ..MockConfiguration::steady(60 * MS) };
    let mut executor = MockExecutor::new(vec![never, failing, MockConfiguration::steady(60 * MS)]);
    let settings = RoundSettings { rounds: 3, runs: 3, ..RoundSettings::default() };
    let (finish, kept) = measured(&mut executor, todo(3), &settings, &AtomicBool::new(false));
    assert_eq!((finish.rows, finish.skipped), (3, 2));
    let reasons: Vec<Option<&str>> = kept
        .rows
        .iter()
        .map(|(record, ..)| match &record.outcome {
            Outcome::Skipped { reason } => Some(reason.as_str()),
            Outcome::Measured(_) => None,
        })
        .collect();
    assert_eq!(reasons, [Some("no room beside 0 others"), Some("failed at run 1"), None]);
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let stop = Rc::new(AtomicBool::new(false));
    let mut executor = MockExecutor::new(vec![MockConfiguration::steady(60 * MS); 2]);
    // Four turns of two runs of each: 16 runs. Stopped after the third turn.
    executor.interrupt_after = Some((6, Rc::clone(&stop)));
    let settings = RoundSettings { rounds: 4, runs: 8, ..RoundSettings::default() };
    let (finish, kept) = measured(&mut executor, todo(2), &settings, &stop);
    assert_eq!((finish.end, finish.rows, kept.rows.len(), kept.chunks.len()), (End::Interrupted, 0, 0, 3));

    let resumed = (0..2)
        .map(|idx| {
            let rounds = kept.chunks.iter().filter(|chunk| chunk.0 == idx).count();
            Todo { idx, rounds: rounds as u32, numbers: vec![60 * MS; 2 * rounds] }
        })
        .collect();
    let mut executor = MockExecutor::new(vec![MockConfiguration::steady(60 * MS); 2]);
    let (finish, kept) = measured(&mut executor, resumed, &settings, &AtomicBool::new(false));
    assert_eq!((finish.end, finish.rows, kept.chunks.len()), (End::Complete, 2, 5));
    assert!(kept.rows.iter().all(|(_, numbers, _)| numbers.len() == 8));
}

#[test]
fn runs_of_several_numbers_stay_whole() {
    struct Wide(MockExecutor);
    impl super::Executor for Wide {
        type Error = Infallible;
        fn prepare(&mut self, idx: usize, warmup: u32) -> Result<super::Prepared, Infallible> {
            self.0.prepare(idx, warmup)
        }
        fn run(&mut self, idx: usize, runs: u32, samples_ns: &mut Vec<u64>) -> Result<super::Ran, Infallible> {
            for _ in 0..runs {
                self.0.run(idx, 1, samples_ns)?;
                samples_ns.extend([7, 8]);
            }
            Ok(super::Ran::Done)
        }
        fn release(&mut self, idx: usize) {
            self.0.release(idx);
        }
        fn reference(&mut self, which: super::Reference) -> Result<Option<u64>, Infallible> {
            self.0.reference(which)
        }
    }
    impl Runner for Wide {
        type Extra = ();
        fn width(&self, _idx: usize) -> usize {
            3
        }
        fn conclude(&mut self, _idx: usize) -> Result<Option<()>, Infallible> {
            Ok(None)
        }
    }
    struct Rows(Vec<(f64, usize)>);
    impl RoundSink<()> for Rows {
        type Error = Infallible;
        fn chunk(&mut self, _chunk: &Chunk<'_>) -> Result<(), Infallible> {
            Ok(())
        }
        fn reference(&mut self, _sample: &ReferenceSample) -> Result<(), Infallible> {
            Ok(())
        }
        fn row(
            &mut self,
            record: &Record,
            numbers: &[u64],
            width: usize,
            _extra: Option<()>,
        ) -> Result<(), Infallible> {
            assert!(numbers.chunks(width).all(|run| run == [MS, 7, 8]));
            if let Outcome::Measured(measured) = &record.outcome {
                self.0.push((measured.summary.median_ns, measured.summary.n));
            }
            Ok(())
        }
        fn progress(&mut self, _progress: &Progress) {}
    }
    let executor = MockExecutor::new(vec![MockConfiguration::steady(MS)]);
    let mut surroundings = executor.surroundings();
    let (mut wide, mut rows) = (Wide(executor), Rows(Vec::new()));
    let plan = RoundPlan { todo: todo(1), block: 0, best: ReferenceLevels::default() };
    let settings = RoundSettings { rounds: 2, runs: 8, kept_per_turn: 5, ..RoundSettings::default() };
    run(&mut wide, &mut surroundings, &mut rows, plan, &settings, &AtomicBool::new(false)).expect("scripted");
    // Of 8 and of 30 runs, five of each turn.
    assert_eq!(rows.0, [(MS as f64, 10)]);
}

#[test]
fn settings_out_of_range_are_named() {
    let default = RoundSettings::default;
    assert_eq!(default().validate(), Ok(()));
    for (settings, key) in [
        (RoundSettings { rounds: 0, ..default() }, "rounds"),
        (RoundSettings { runs: 0, ..default() }, "runs"),
        (RoundSettings { slow_runs: 0, ..default() }, "slow_runs"),
        (RoundSettings { kept_per_turn: 0, ..default() }, "kept_per_turn"),
        (RoundSettings { slow_s: 0.0, ..default() }, "slow_s"),
        (RoundSettings { turn_time_s: f64::NAN, ..default() }, "turn_time_s"),
        (RoundSettings { reference_interval_s: 0.0, ..default() }, "reference_interval_s"),
        (RoundSettings { drop_first_below_s: -1.0, ..default() }, "drop_first_below_s"),
    ] {
        assert_eq!(settings.validate().expect_err(key).key, key);
    }
}
