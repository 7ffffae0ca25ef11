//! Which configuration is measured next: in the order of the plan, or as someone decides who looks at what was measured.

/// What a sweep has measured of one configuration. Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// Number of the configuration in the plan.
    pub configuration: usize,
    /// Median of all kept runs.
    pub median_s: f64,
    /// Their 10th percentile.
    pub p10_s: f64,
    /// Their median absolute deviation.
    pub mad_s: f64,
    /// Kept runs.
    pub runs: u32,
    /// Whether the row was marked as disturbed.
    pub disturbed: bool,
}

/// Chooses what is measured next.
pub trait Pick {
    /// One of `open`, the configurations without a row in the order of the plan; `None` ends the sweep. What is not in `open` is
    /// taken as the first of it.
    fn next(&mut self, measured: &[Sampled], open: &[usize]) -> Option<usize>;
}

/// The order of the plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct InOrder;

impl Pick for InOrder {
    fn next(&mut self, _measured: &[Sampled], open: &[usize]) -> Option<usize> {
        open.first().copied()
    }
}

impl<F: FnMut(&[Sampled], &[usize]) -> Option<usize>> Pick for F {
    fn next(&mut self, measured: &[Sampled], open: &[usize]) -> Option<usize> {
        self(measured, open)
    }
}

/// The next `size` configurations, taken out of `open`; what is measured together is chosen together.
pub fn block(pick: &mut dyn Pick, measured: &[Sampled], open: &mut Vec<usize>, size: usize) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(size);
    while chosen.len() < size && !open.is_empty() {
        let Some(wanted) = pick.next(measured, open) else { break };
        let at = open.iter().position(|&index| index == wanted).unwrap_or(0);
        chosen.push(open.remove(at));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_the_front_of_the_plan_or_what_a_closure_chooses() {
        let mut open = vec![3, 5, 7, 9];
        assert_eq!(block(&mut InOrder, &[], &mut open, 2), [3, 5]);
        assert_eq!(open, [7, 9]);
        let mut last = |_: &[Sampled], open: &[usize]| open.last().copied();
        let mut open = vec![3, 5, 7, 9];
        assert_eq!(block(&mut last, &[], &mut open, 3), [9, 7, 5]);
        // What has its row already is not measured again.
        let mut stubborn = |_: &[Sampled], _: &[usize]| Some(9);
        let mut open = vec![3, 9, 5];
        assert_eq!(block(&mut stubborn, &[], &mut open, 5), [9, 3, 5]);
    }

    #[test]
    fn a_pick_sees_what_was_measured_and_can_end_the_sweep() {
        let row = |configuration, mad_s| Sampled {
            configuration,
            median_s: 1e-3,
            p10_s: 1e-3,
            mad_s,
            runs: 5,
            disturbed: false,
        };
        // The neighbour of the row that scatters most.
        let mut pick = |measured: &[Sampled], open: &[usize]| {
            let worst = measured.iter().max_by(|a, b| a.mad_s.total_cmp(&b.mad_s))?.configuration;
            open.iter().copied().min_by_key(|index| index.abs_diff(worst))
        };
        let mut open: Vec<usize> = (0..10).filter(|index| ![2, 8].contains(index)).collect();
        assert_eq!(block(&mut pick, &[row(2, 1e-6), row(8, 1e-4)], &mut open, 2), [7, 9]);
        assert!(block(&mut pick, &[], &mut open, 2).is_empty());
    }
}
