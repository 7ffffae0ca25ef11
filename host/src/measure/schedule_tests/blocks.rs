//! Blocks of a sweep: their size, what is skipped, interrupts and what they leave, errors, progress, and the promises that
//! any sweep keeps.

use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::super::mock::{Event, MockConfiguration, MockExecutor};
use super::super::plan::{End, RunError};
use super::super::record::{Outcome, Stop};
use super::super::settings::Settings;
use super::{Kept, KeptChunk, MS, resume, steady, sweep, unspread};

#[test]
fn skipped_configurations_become_rows_in_their_place() {
    let mut mock = steady(&[70 * MS; 4]);
    mock.configurations[1].skip = Some("needs 9 GB, 4 GB are free".to_owned());
    mock.configurations[2].fail_at_run = Some(7);
    let (finish, kept) = sweep(&mut mock, &unspread());
    assert_eq!(kept.indices(), [0, 1, 2, 3]);
    assert_eq!(kept.reason(1), "needs 9 GB, 4 GB are free");
    assert_eq!(kept.reason(2), "failed at run 7");
    assert_eq!(kept.measured(3).summary.n, 50);
    assert_eq!((finish.rows, finish.skipped, finish.disturbed), (4, 2, 0));
    // The one never prepared is not released; the one that failed is, once.
    let releases = |idx| mock.events.iter().filter(|&&e| e == Event::Release(idx)).count();
    assert_eq!([0, 1, 2, 3].map(releases), [1, 0, 1, 1]);
    assert!(mock.prepared().is_empty());
}

#[test]
fn a_block_of_skipped_ones_takes_no_time() {
    let mut mock = steady(&[MS; 3]);
    for configuration in &mut mock.configurations {
        configuration.skip = Some("no such precision".to_owned());
    }
    let (finish, kept) = sweep(&mut mock, &Settings::default());
    assert_eq!((finish.rows, finish.skipped), (3, 3));
    assert_eq!(mock.clock.now().as_nanos(), 0);
    assert!(kept.references.is_empty());
}

#[test]
fn what_finds_no_room_beside_others_opens_the_next_block() {
    let mut mock = steady(&[70 * MS; 5]);
    mock.configurations[2].fits_among = Some(2);
    mock.configurations[3].fits_among = Some(0);
    let (finish, kept) = sweep(&mut mock, &unspread());
    assert_eq!(kept.indices(), [0, 1, 2, 3, 4]);
    let blocks: Vec<u32> = kept.rows.iter().map(|row| row.block).collect();
    // 0 and 1; 2 did not fit as a third; 3 did not fit beside 2, nor alone, where 4 joins it.
    assert_eq!(blocks, [0, 0, 1, 2, 2]);
    assert_eq!(kept.reason(3), "no room beside 0 others");
    assert_eq!((finish.rows, finish.skipped), (5, 1));
}

#[test]
fn blocks_are_of_the_set_size_and_rows_in_plan_order() {
    let mut mock = steady(&[70 * MS; 19]);
    let (_, kept) = sweep(&mut mock, &unspread());
    assert_eq!(kept.indices(), (0..19).collect::<Vec<_>>());
    let blocks: Vec<u32> = kept.rows.iter().map(|row| row.block).collect();
    assert_eq!(blocks, [[0; 8].as_slice(), &[1; 8], &[2; 3]].concat());
    let mut prepared = 0_usize;
    for event in &mock.events {
        match event {
            Event::Prepare(_) => prepared += 1,
            Event::Release(_) => prepared -= 1,
            _ => {}
        }
        assert!(prepared <= 8);
    }
    assert_eq!(prepared, 0);
}

#[test]
fn an_interrupt_is_clean_and_resuming_repeats_one_block_at_most() {
    let mut mock = steady(&[70 * MS; 20]);
    let flag = Rc::new(AtomicBool::new(false));
    // Blocks of 8 take 400 runs: this is in the second block.
    mock.interrupt_after = Some((555, Rc::clone(&flag)));
    let (finish, mut kept) = sweep(&mut mock, &unspread());
    assert_eq!((finish.end, finish.rows), (End::Interrupted, 8));
    assert_eq!(kept.indices(), (0..8).collect::<Vec<_>>());
    assert!(mock.prepared().is_empty());
    // The run in progress is the last: the flag is seen before the next chunk.
    assert_eq!(kept.chunks.len(), 555);
    let after = |event: &&Event| matches!(event, Event::Run(..));
    assert_eq!(mock.events.iter().filter(after).count(), 555);

    mock.interrupt_after = None;
    let todo: Vec<usize> = (8..20).collect();
    let mut surroundings = mock.surroundings();
    let finish = resume(&mut mock, &mut surroundings, &mut kept, &todo, &unspread()).unwrap();
    assert_eq!((finish.end, finish.rows), (End::Complete, 12));
    assert_eq!(kept.indices(), (0..20).collect::<Vec<_>>());
    let mut blocks_of = vec![std::collections::BTreeSet::new(); 20];
    for chunk in &kept.chunks {
        blocks_of[chunk.idx].insert(chunk.block);
    }
    let repeated: Vec<usize> = (0..20).filter(|&idx| blocks_of[idx].len() > 1).collect();
    assert_eq!(repeated, (8..16).collect::<Vec<_>>());
    // Samples of the interrupted part are not in the rows.
    assert!(kept.rows.iter().all(|row| row.block != 1));
    assert_eq!(kept.measured(8).summary.n, 50);
}

#[test]
fn an_interrupt_before_the_first_run_does_nothing() {
    let mut mock = steady(&[70 * MS]);
    mock.interrupt_after = Some((usize::MAX, Rc::new(AtomicBool::new(true))));
    let (finish, kept) = sweep(&mut mock, &unspread());
    assert_eq!((finish.end, finish.rows), (End::Interrupted, 0));
    assert!(mock.events.is_empty() && kept.chunks.is_empty());
}

#[test]
fn errors_release_what_was_prepared() {
    let mut mock = steady(&[70 * MS; 3]);
    let mut kept = Kept { full_at_row: Some(1), ..Kept::default() };
    let mut surroundings = mock.surroundings();
    let failure = resume(&mut mock, &mut surroundings, &mut kept, &[0, 1, 2], &unspread());
    assert!(matches!(failure, Err(RunError::Sink(_))));
    assert_eq!(kept.indices(), [0]);
    assert!(mock.prepared().is_empty());

    let mut mute = steady(&[70 * MS, 70 * MS]);
    mute.configurations[1].times_ns.clear();
    let failure = resume(&mut mute, &mut surroundings, &mut kept, &[0, 1], &unspread());
    let text = failure.unwrap_err().to_string();
    let want = "configuration 1: 1 runs were reported as done without a single sample";
    assert_eq!(text, want);
    assert!(mute.prepared().is_empty());

    let settings = Settings { block_size: 0, ..Settings::default() };
    let failure = resume(&mut mock, &mut surroundings, &mut kept, &[0], &settings);
    let want = "setting `block_size` is 0; allowed: 1 to 64";
    assert_eq!(failure.unwrap_err().to_string(), want);
}

#[test]
fn progress_counts_up_and_its_estimate_down() {
    let mut mock = steady(&[MS; 20]);
    for configuration in &mut mock.configurations {
        configuration.prepare_ns = 500 * MS;
    }
    let (_, kept) = sweep(&mut mock, &Settings::default());
    assert_eq!((kept.progress[0].done, kept.progress[0].seconds_left), (0, 18.0));
    // Eight were prepared, then came the first chunk.
    let first = kept.progress[8];
    // Two of three blocks of 6 s, and what is left of the first one.
    assert_eq!((first.done, first.total, first.round), (0, 20, 0));
    assert!((17.0..18.0).contains(&first.seconds_left), "{}", first.seconds_left);
    let after_first = kept.progress.iter().find(|progress| progress.done == 8).unwrap();
    // One block took 4 s to prepare and 6 s to measure; two more are left.
    assert!((20.0..20.6).contains(&after_first.seconds_left), "{}", after_first.seconds_left);
    let last = kept.progress.last().unwrap();
    assert_eq!((last.done, last.seconds_left), (20, 0.0));
    assert!(kept.progress.windows(2).all(|pair| pair[0].done <= pair[1].done));
}

fn any_configuration() -> impl Strategy<Value = MockConfiguration> {
    // Runs of one configuration differ by a factor of four at most.
    let times = (1_u64..100 * MS, prop::collection::vec(1_u64..5, 1..6))
        .prop_map(|(base, factors)| factors.iter().map(|factor| base * factor).collect());
    let skip = prop::option::weighted(0.1, Just("no".to_owned()));
    let fits = prop::option::weighted(0.2, 0_usize..4);
    let fail = prop::option::weighted(0.1, 0_usize..30);
    (times, skip, fits, fail).prop_map(|(times_ns, skip, fits_among, fail_at_run)| MockConfiguration {
        times_ns,
        prepare_ns: MS,
        skip,
        fits_among,
        fail_at_run,
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_sweep_keeps_its_promises(
        configurations in prop::collection::vec(any_configuration(), 0..14),
        block_size in 1_usize..6,
        interrupt in prop::option::of(1_usize..3_000),
    ) {
        let n = configurations.len();
        let mut mock = MockExecutor::new(configurations);
        let flag = Rc::new(AtomicBool::new(false));
        mock.interrupt_after = interrupt.map(|runs| (runs, Rc::clone(&flag)));
        let settings = Settings {
            block_size,
            time_cap_s: 2.0,
            min_block_time_s: 0.5,
            ..Settings::default()
        };
        let (finish, kept) = sweep(&mut mock, &settings);
        prop_assert!(mock.prepared().is_empty());
        // Rows: a front part of the plan, whole blocks of it.
        prop_assert_eq!(kept.indices(), (0..finish.rows).collect::<Vec<_>>());
        if finish.end == End::Complete {
            prop_assert_eq!(finish.rows, n);
        }
        for (row, record) in kept.rows.iter().enumerate() {
            if let Outcome::Measured(measured) = &record.outcome {
                let mine = |chunk: &&KeptChunk| chunk.idx == row && chunk.block == record.block;
                let samples: Vec<u64> = kept.chunks.iter().filter(mine)
                    .flat_map(|chunk| chunk.samples_ns.iter().copied()).collect();
                // The row says exactly what the journal can show.
                prop_assert_eq!(&super::super::stats::Summary::of(&samples).unwrap(), &measured.summary);
                let (n, time) = (measured.summary.n, measured.evidence.run_time_s);
                match measured.stop {
                    Stop::Converged => prop_assert!(n >= 50),
                    Stop::RunCap => prop_assert!(n >= 2_000),
                    Stop::TimeCap => prop_assert!(time >= 2.0),
                    Stop::Rounds => prop_assert!(false, "blocks have no rounds in all"),
                }
                // One chunk beyond the cap: a first run below 0.05 s and 0.03 s at a quarter of the
                // pace, or a single run of 0.4 s at most.
                prop_assert!(time <= 2.0 + 0.4, "{time} s");
            }
        }
    }
}
