//! Rounds of one block: their order and length, the stopping rule, and the evidence taken beside them. Times in ns of the
//! scripted executor.

use std::sync::atomic::AtomicBool;

use super::super::disturbance::ReferenceLevels;
use super::super::executor::Reference;
use super::super::mock::{Event, MockConfiguration, MockExecutor};
use super::super::order::visiting_order;
use super::super::plan::{End, Plan};
use super::super::record::{ReferenceSample, Stop};
use super::super::schedule::run;
use super::super::settings::Settings;
use super::super::verdict::Status;
use super::{Kept, MS, steady, sweep, unspread};

#[test]
fn rounds_interleave_in_balanced_order_with_chunks_of_30_ms() {
    let mut mock = steady(&[10 * MS, 5 * MS, 70 * MS]);
    let (finish, kept) = sweep(&mut mock, &Settings::default());
    assert_eq!((finish.end, finish.rows), (End::Complete, 3));
    for round in 0..17 {
        let order = visiting_order(3, round as usize);
        assert_eq!(kept.order_in(0, round), order, "round {round}");
    }
    for chunk in &kept.chunks {
        // A first run below 50 ms is dropped, then 30 ms: 1 + 3, 1 + 6; 70 ms counts as it is.
        let want = [(4, 3), (7, 6), (1, 1)][chunk.idx];
        assert_eq!((chunk.runs, chunk.samples_ns.len()), want);
    }
}

#[test]
fn every_member_gets_the_least_number_of_runs() {
    let mut mock = steady(&[10 * MS, 70 * MS]);
    let (_, kept) = sweep(&mut mock, &unspread());
    // One sample a round for the slow one: 50 rounds, 0 to 49. Three a round for the fast one: 51
    // after 17 rounds, then in every fourth round only, which are 20, 24, …, 48: eight more turns.
    assert_eq!(kept.measured(0).summary.n, 51 + 8 * 3);
    assert_eq!(kept.measured(1).summary.n, 50);
    assert_eq!(kept.measured(1).stop, Stop::Converged);
    assert_eq!(kept.measured(1).summary.median_ns, 70e6);
    let evidence = &kept.measured(0).evidence;
    // 25 turns of 1 + 3 runs of 10 ms.
    assert_eq!(evidence.runs, 100);
    assert!((evidence.run_time_s - 1.0).abs() < 1e-9);
}

#[test]
fn the_time_cap_ends_slow_ones_before_the_least_number_of_runs() {
    let mut mock = steady(&[1_000 * MS, MS]);
    let settings = Settings { time_cap_s: 5.0, ..unspread() };
    let (_, kept) = sweep(&mut mock, &settings);
    let slow = kept.measured(0);
    assert_eq!((slow.summary.n, slow.stop), (5, Stop::TimeCap));
    assert_eq!(slow.summary.median_interval_ns, None);
    assert_eq!(kept.measured(1).stop, Stop::Converged);
}

#[test]
fn beyond_its_cap_a_member_takes_turns_only_while_the_block_is_spread() {
    // The second needs 50 rounds; the first is capped after two and, at 0.3 s a round, stays in
    // the rotation until the block has lasted 3 s.
    let mut mock = steady(&[200 * MS, 100 * MS]);
    mock.compute_bound_ns.clear();
    mock.memory_bound_ns.clear();
    let settings = Settings { time_cap_s: 0.4, min_block_time_s: 3.0, ..unspread() };
    let (_, kept) = sweep(&mut mock, &settings);
    assert_eq!(kept.measured(0).stop, Stop::TimeCap);
    assert_eq!(kept.measured(0).summary.n, 10);
    assert_eq!(kept.measured(1).summary.n, 10);
    let settings = Settings { time_cap_s: 2.0, min_block_time_s: 0.0, ..unspread() };
    let (_, kept) = sweep(&mut steady(&[200 * MS, 100 * MS]), &settings);
    // 2 s each: ten turns of the first, twenty of the second.
    assert_eq!(kept.measured(0).summary.n, 10);
    assert_eq!(kept.measured(1).summary.n, 20);
    assert_eq!(kept.order_in(0, 15), [1]);
}

#[test]
fn what_is_done_can_leave_the_rounds_for_good() {
    // Steady, so done after 50 kept runs; the other never narrows, and is capped after 10 s: at one run of 60 or 120 ms a round
    // that is more than 100 rounds.
    let configurations = || {
        MockExecutor::new(vec![MockConfiguration::cycling([10 * MS]), MockConfiguration::cycling([60 * MS, 120 * MS])])
    };
    let kept = |finished_turns_every| {
        let settings = Settings { time_cap_s: 10.0, finished_turns_every, ..unspread() };
        let (_, kept) = sweep(&mut configurations(), &settings);
        (kept.measured(0).summary.n, kept.measured(1).summary.n)
    };
    let (by_default, slow) = kept(4);
    let (for_good, as_slow) = kept(u32::MAX);
    // Chunks of about 30 ms, three runs.
    assert!((50..=53).contains(&for_good) && by_default > for_good + 20, "{for_good}, {by_default}");
    assert_eq!(slow, as_slow);
}

#[test]
fn a_wide_interval_goes_on_until_it_is_narrow() {
    // Uniform over 90 to 110 ms: half width at n is about 0.98 · √n / n of the 20 % spread, so 2 %
    // is reached near n = 96.
    let times: Vec<u64> = (0..101).map(|i| 90 * MS + (i * 37 % 101) * MS / 5).collect();
    let mut mock = MockExecutor::new(vec![MockConfiguration::cycling(times)]);
    let (_, kept) = sweep(&mut mock, &unspread());
    let measured = kept.measured(0);
    assert_eq!(measured.stop, Stop::Converged);
    assert!((80..=110).contains(&measured.summary.n), "{}", measured.summary.n);
    assert!(measured.summary.relative_half_width().unwrap() <= 0.02);
}

#[test]
fn the_run_cap_ends_what_never_narrows() {
    let mut mock = MockExecutor::new(vec![MockConfiguration::cycling([60 * MS, 120 * MS])]);
    let settings = Settings { max_runs: 200, ..unspread() };
    let (_, kept) = sweep(&mut mock, &settings);
    let measured = kept.measured(0);
    assert_eq!((measured.summary.n, measured.stop), (200, Stop::RunCap));
    // Median 90, p10 60: not the time of an undisturbed machine, and said so.
    assert_eq!(measured.status.reason(), "median/p10 1.50 > 1.25");
}

#[test]
fn a_block_is_spread_over_its_least_time_and_sampled_throughout() {
    let mut mock = steady(&[2 * MS, 3 * MS]);
    let (_, kept) = sweep(&mut mock, &Settings::default());
    let spread_ms = mock.clock.now().as_millis();
    assert!((6_000..6_200).contains(&spread_ms), "{spread_ms} ms");
    // Each round: 32 + 33 ms and references of 3 ms.
    let rounds = kept.chunks.last().unwrap().round + 1;
    assert!((85..=90).contains(&rounds), "{rounds} rounds");
    // The first chunk has eight runs: it may grow to eight times the one run before it.
    assert_eq!(kept.measured(0).summary.n, 15 * rounds as usize - 7);
}

#[test]
fn kept_samples_of_very_fast_runs_are_thinned_evenly() {
    // 1 µs, every tenth 11 µs: 2 µs in the mean, so a chunk is 15,000 runs, at most 10,000.
    let mut times = vec![1_000; 9];
    times.push(11_000);
    let mut mock = MockExecutor::new(vec![MockConfiguration::cycling(times)]);
    let settings = Settings { min_block_time_s: 1.0, ..Settings::default() };
    let (_, kept) = sweep(&mut mock, &settings);
    let lengths: Vec<(u32, usize)> = kept.chunks.iter().map(|chunk| (chunk.runs - 1, chunk.samples_ns.len())).collect();
    // Each chunk grows to eight times the last, up to what is asked at once.
    assert_eq!(lengths[..6], [(8, 8), (64, 64), (512, 100), (4_096, 100), (10_000, 100), (10_000, 100)]);
    let summary = &kept.measured(0).summary;
    assert_eq!(summary.median_ns, 1_000.0);
    assert!((1_500.0..2_500.0).contains(&summary.mean_ns), "{} ns", summary.mean_ns);
}

#[test]
fn references_come_before_each_round_and_within_long_ones() {
    let mut mock = steady(&[300 * MS, 300 * MS]);
    let (_, kept) = sweep(&mut mock, &unspread());
    let visits = |round| {
        let of_round = |r: &&ReferenceSample| r.round == round && r.which == Reference::ComputeBound;
        kept.references.iter().filter(of_round).count()
    };
    // A burst of ten first; then one per 0.25 s: before the round and between its two members.
    assert_eq!(visits(0), 10 + 1);
    assert!((1..50).all(|round| visits(round) == 2));
    let first_run = mock.events.iter().position(|e| matches!(e, Event::Run(..)));
    let first_reference = mock.events.iter().position(|e| matches!(e, Event::Reference(_)));
    assert!(first_reference < first_run);
}

#[test]
fn one_long_run_still_has_enough_reference_samples() {
    let mut mock = steady(&[60_000 * MS]);
    mock.compute_bound_ns = vec![3 * MS];
    let (finish, kept) = sweep(&mut mock, &Settings::default());
    let measured = kept.measured(0);
    assert_eq!((measured.summary.n, measured.stop), (1, Stop::TimeCap));
    // Ten before, ten after.
    assert_eq!(kept.references.len(), 2 * 20);
    assert_eq!(measured.evidence.references.compute_bound_ns, Some(3e6));
    assert_eq!(finish.best.memory_bound_ns, Some(2e6));
}

#[test]
fn evidence_reaches_the_row_and_its_status() {
    let mut mock = steady(&[70 * MS]);
    mock.compute_bound_ns = vec![11 * MS / 10];
    let mut surroundings = mock.surroundings();
    surroundings.stolen_ticks_per_second = 10;
    surroundings.involuntary_per_question = 3;
    let mut kept = Kept::default();
    let plan = Plan {
        todo: &[0],
        total: 1,
        first_block: 7,
        best: ReferenceLevels { compute_bound_ns: Some(1e6), memory_bound_ns: None },
    };
    let stop = AtomicBool::new(false);
    let settings = unspread();
    let finish = run(&mut mock, &mut surroundings, &mut kept, plan, &settings, &stop).unwrap();
    let measured = kept.measured(0);
    let evidence = &measured.evidence;
    assert!((evidence.steal_share.unwrap() - 0.1).abs() < 0.01);
    // Asked before and after each of 50 chunks: 3 between the two.
    assert_eq!(evidence.switches.unwrap().involuntary, 150);
    assert_eq!((evidence.runs, evidence.cpus), (50, 1));
    assert_eq!(evidence.load_average, Some(1.0));
    let reason = measured.status.reason();
    assert!(reason.starts_with("steal "), "{reason}");
    assert!(
        reason.ends_with("% > 1 %; compute reference +10.0 % > 7 %; involuntary switches 3.0 per run > 0.5"),
        "{reason}"
    );
    assert_eq!((finish.disturbed, kept.rows[0].block), (1, 7));
    assert_eq!(finish.best.compute_bound_ns, Some(1e6));
}

#[test]
fn drift_is_judged_against_the_best_block_so_far() {
    let mut mock = steady(&[70 * MS; 3]);
    // 70-ms turns in blocks of one: 10 + 50 + 1 references each; the second block is 10 % slower.
    mock.compute_bound_ns = [[1_000_u64; 61], [1_100; 61], [1_000; 61]].concat();
    let settings = Settings { block_size: 1, ..unspread() };
    let (finish, kept) = sweep(&mut mock, &settings);
    let of_block = |block| {
        let compute = |r: &&ReferenceSample| r.block == block && r.which == Reference::ComputeBound;
        kept.references.iter().filter(compute).count()
    };
    let reasons = [0, 1, 2].map(|row| kept.measured(row).status.reason().to_owned());
    assert!(of_block(0) >= 50, "{}", of_block(0));
    assert_eq!(reasons[0], "");
    assert_eq!(reasons[1], "compute reference +10.0 % > 7 %");
    assert_eq!(kept.measured(2).status, Status::Ok);
    assert_eq!(finish.disturbed, 1);
}

#[test]
fn an_executor_without_references_leaves_that_evidence_open() {
    let mut mock = steady(&[70 * MS]);
    mock.compute_bound_ns.clear();
    mock.memory_bound_ns.clear();
    let (_, kept) = sweep(&mut mock, &unspread());
    assert_eq!(kept.measured(0).evidence.references, ReferenceLevels::default());
    assert_eq!(kept.measured(0).status, Status::Ok);
}
