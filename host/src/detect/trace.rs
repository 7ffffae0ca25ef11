//! Rate of several threads while none of them is interrupted, from the times at which each finished its runs of work.
//!
//! A thread that loses its CPU (to another program, or the whole virtual machine to another one) leaves one run that
//! takes far longer than the others, however long the interruption is. Such runs are cut out of every thread's time, and
//! the rate is
//!
//! ```text
//! rate = Σ_threads work inside T / |T|        T: the time in which no thread is in a cut-out run     [1/s]
//! ```
//! Only time common to all threads counts: while one is off its CPU the others have more of a shared cache or memory
//! for themselves. What slows all runs alike (a lower clock, a neighbour's memory traffic) is not seen here; it
//! is left to the percentile over samples.

/// A run longer than this many times the thread's median run counts as interrupted.
const INTERRUPTED: f64 = 3.0;

/// Least share of undisturbed time for a rate to be taken from it alone: half a millisecond of 15.
const MIN_UNDISTURBED_SHARE: f64 = 0.033;

/// Progress of one thread through a sample: `(seconds, work done until then)`, both ascending, beginning with work 0.
pub(super) type Trace = Vec<(f64, f64)>;

/// Rate of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// Work per second.
    pub(super) rate: f64,
    /// Share of the time in which no thread was interrupted, 0 to 1.
    pub(super) undisturbed: f64,
}

impl Sample {
    /// Whether the undisturbed time is enough to take the rate from it alone.
    pub(super) fn is_usable(&self) -> bool {
        self.undisturbed >= MIN_UNDISTURBED_SHARE
    }
}

/// Rate of `traces` together over their undisturbed time; where there is too little of it, over all the time from the
/// first start to the last end, which an interruption can only lower. `None` without traces of at least two points.
pub(super) fn undisturbed_rate(traces: &[Trace]) -> Option<Sample> {
    let mut begin = f64::INFINITY;
    let mut end = f64::NEG_INFINITY;
    let mut total_work = 0.0;
    let mut common: Option<Vec<(f64, f64)>> = None;
    for trace in traces {
        let (&(first, _), &(last, work)) = (trace.first()?, trace.last()?);
        begin = begin.min(first);
        end = end.max(last);
        total_work += work;
        let mine = running_spans(trace)?;
        common = Some(common.map_or_else(|| mine.clone(), |spans| intersection(&spans, &mine)));
    }
    let common = common?;
    let time: f64 = common.iter().map(|(from, until)| until - from).sum();
    let mut sample = Sample { rate: total_work / (end - begin), undisturbed: time / (end - begin) };
    if sample.is_usable() {
        let work: f64 = traces.iter().map(|trace| work_inside(trace, &common)).sum();
        sample.rate = work / time;
    }
    Some(sample)
}

/// Spans without interrupted runs; `None` if the trace has no run.
fn running_spans(trace: &Trace) -> Option<Vec<(f64, f64)>> {
    let runs = || trace.iter().zip(trace.iter().skip(1)).map(|(from, until)| (from.0, until.0));
    let mut lengths: Vec<f64> = runs().map(|(from, until)| until - from).collect();
    let middle = lengths.len() / 2;
    if lengths.is_empty() {
        return None;
    }
    let (_, median, _) = lengths.select_nth_unstable_by(middle, f64::total_cmp);
    let longest = INTERRUPTED * *median;
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for (from, until) in runs().filter(|(from, until)| until - from <= longest) {
        match spans.last_mut() {
            Some(span) if span.1 == from => span.1 = until,
            _ => spans.push((from, until)),
        }
    }
    Some(spans)
}

/// Time inside both of two ascending lists of spans.
fn intersection(a: &[(f64, f64)], b: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut both = Vec::new();
    let (mut rest_a, mut rest_b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(&&(from_a, until_a)), Some(&&(from_b, until_b))) = (rest_a.peek(), rest_b.peek()) {
        let (from, until) = (from_a.max(from_b), until_a.min(until_b));
        if from < until {
            both.push((from, until));
        }
        if until_a <= until_b {
            rest_a.next();
        } else {
            rest_b.next();
        }
    }
    both
}

/// Work that `trace` does inside ascending `spans`, each run's work being spread evenly over its time.
fn work_inside(trace: &Trace, spans: &[(f64, f64)]) -> f64 {
    let mut work = 0.0;
    let mut first = 0;
    for (&(from, before), &(until, after)) in trace.iter().zip(trace.iter().skip(1)) {
        while spans.get(first).is_some_and(|span| span.1 <= from) {
            first += 1;
        }
        for span in spans.iter().skip(first).take_while(|span| span.0 < until) {
            work += (after - before) * (span.1.min(until) - span.0.max(from)) / (until - from);
        }
    }
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace that starts at `start` and does 10 units in each of the given times, in ms.
    fn trace(start: f64, runs: &[f64]) -> Trace {
        let mut trace = vec![(start * 1e-3, 0.0)];
        let (mut time, mut work) = (start, 0.0);
        for run in runs {
            time += run;
            work += 10.0;
            trace.push((time * 1e-3, work));
        }
        trace
    }

    fn assert_sample(traces: &[Trace], rate: f64, undisturbed: f64) {
        let got = undisturbed_rate(traces).expect("a rate");
        assert!((got.rate / rate - 1.0).abs() < 1e-9, "{got:?} {rate}");
        assert!((got.undisturbed - undisturbed).abs() < 1e-9, "{got:?} {undisturbed}");
    }

    #[test]
    fn an_interruption_of_any_length_is_cut_out() {
        // Five runs of 1 ms with 10 units: 10,000 a second, whether the interruption takes 5 ms or 95 ms.
        assert_sample(&[trace(0.0, &[1.0, 1.0, 5.0, 1.0, 1.0, 1.0])], 10_000.0, 0.5);
        assert_sample(&[trace(3.0, &[1.0, 1.0, 95.0, 1.0, 1.0, 1.0])], 10_000.0, 0.05);
    }

    #[test]
    fn runs_that_vary_are_all_kept() {
        // 30 units in 6 ms; the longest run is 3 times the median.
        assert_sample(&[trace(0.0, &[1.0, 1.0, 3.0])], 6_000.0, 1.0);
    }

    #[test]
    fn only_time_common_to_all_threads_counts() {
        // The first thread is off its CPU from 2 to 6 ms; meanwhile the second is twice as fast.
        let first = trace(0.0, &[1.0, 1.0, 4.0, 1.0, 1.0, 1.0]);
        let second = trace(0.0, &[1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0]);
        // Common: 0 to 2 and 6 to 9 ms, in which each does 50 units: 100 units in 5 ms.
        assert_sample(&[first, second], 20_000.0, 5.0 / 9.0);
    }

    #[test]
    fn a_run_across_the_border_counts_in_part() {
        // The second thread begins 0.5 ms later and ends 0.5 ms later: common 0.5 to 4 ms, 35 units each.
        assert_sample(&[trace(0.0, &[1.0; 4]), trace(0.5, &[1.0; 4])], 20_000.0, 3.5 / 4.5);
    }

    #[test]
    fn threads_that_never_run_together_give_the_plain_rate() {
        // One after the other: 80 units in 8 ms.
        assert_sample(&[trace(0.0, &[1.0; 4]), trace(4.0, &[1.0; 4])], 10_000.0, 0.0);
    }

    #[test]
    fn no_runs_no_rate() {
        assert_eq!(undisturbed_rate(&[]), None);
        assert_eq!(undisturbed_rate(&[vec![]]), None);
        assert_eq!(undisturbed_rate(&[trace(0.0, &[])]), None);
    }
}
