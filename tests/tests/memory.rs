//! Memory of random networks: peaks against stepping through, arenas in which nothing overlaps, and schedules beside the best of all orders.

use derate_core::graph::{GraphView, Tables};
use derate_core::memory::{Buffer, Placement, footprint, lifetimes, schedule};
use derate_core::tensor::TensorId;
use derate_core::units::Bytes;
use derate_tests::network::{Network, OPS, Step, TENSORS, batch, network};
use derate_tests::oracle;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn peak(graph: GraphView<'_>, order: Option<&[u32]>) -> u64 {
    lifetimes(graph, order, &mut [Buffer::EMPTY; TENSORS]).expect("a valid order").peak().expect("small").0
}

/// The graph's own order, or the one that `schedule` finds; with its peak.
fn scheduled(graph: GraphView<'_>) -> (Vec<u32>, u64) {
    let (mut order, mut scratch) = ([0; OPS], [0; 2 * OPS]);
    let peak = schedule(graph, &mut order, &mut scratch, &mut [Buffer::EMPTY; TENSORS]).expect("room").0;
    (order[..graph.nodes().len()].to_vec(), peak)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn peak_memory_is_what_stepping_through_finds(network in network(), batch in batch()) {
        let graph = network.build(batch)?;
        let got = footprint(graph.view(), &mut [Buffer::EMPTY; TENSORS])?;
        prop_assert_eq!(got.peak_activations, Bytes(oracle::peak_activations(graph.view())?));
        prop_assert_eq!(got.weights.0, oracle::stored(graph.view())?);
    }

    #[test]
    fn the_schedule_is_an_order_with_the_peak_it_states(network in network()) {
        let graph = network.build(1).expect("fits");
        let (order, stated) = scheduled(graph.view());
        prop_assert_eq!(peak(graph.view(), Some(&order)), stated);
        prop_assert!(stated <= peak(graph.view(), None));
    }

    #[test]
    fn tensors_that_live_together_do_not_overlap(network in network(), alignment in prop::sample::select(&[1_u32, 4, 16, 64][..])) {
        let graph = network.build(1).expect("fits");
        let mut buffers = [Buffer::EMPTY; TENSORS];
        let mut lifetimes = lifetimes(graph.view(), None, &mut buffers).expect("valid");
        let size = lifetimes.place(alignment).expect("small").0;
        prop_assert!(size >= lifetimes.peak().expect("small").0);
        let ids: Vec<TensorId> = graph.view().nodes().iter().flat_map(|node| graph.view().outputs(node)).collect();
        let placed: Vec<Placement> = ids.iter().filter_map(|&id| lifetimes.placement(id)).collect();
        for a in &placed {
            prop_assert!(a.offset.0 + a.bytes.0 <= size);
            prop_assert_eq!(a.offset.0 % u64::from(alignment), 0);
            for b in placed.iter().filter(|b| b.root != a.root && b.first <= a.last && a.first <= b.last) {
                let apart = a.offset.0 + a.bytes.0 <= b.offset.0 || b.offset.0 + b.bytes.0 <= a.offset.0;
                prop_assert!(apart, "{a:?} {b:?}");
            }
        }
    }
}

/// Lowest peak of all orders, by trying each; `None` where there are more than so many.
fn best_of_all(graph: GraphView<'_>, limit: usize) -> Option<u64> {
    fn visit(graph: GraphView<'_>, order: &mut Vec<u32>, best: &mut u64, left: &mut usize) -> Option<()> {
        let nodes = graph.nodes();
        if order.len() == nodes.len() {
            *left = left.checked_sub(1)?;
            *best = (*best).min(peak(graph, Some(order)));
            return Some(());
        }
        for (number, node) in (0_u32..).zip(nodes) {
            let there = |id: &TensorId| {
                nodes.iter().enumerate().all(|(maker, made)| {
                    let makes = graph.outputs(made).any(|output| output == *id);
                    !makes || order.contains(&u32::try_from(maker).expect("few"))
                })
            };
            if !order.contains(&number) && graph.operands(node).ids().iter().all(there) {
                order.push(number);
                visit(graph, order, best, left)?;
                order.pop();
            }
        }
        Some(())
    }
    let (mut best, mut left) = (u64::MAX, limit);
    visit(graph, &mut Vec::new(), &mut best, &mut left)?;
    Some(best)
}

/// The heuristic against brute force, over 500 networks that have a choice: counted, not sampled anew at each run.
#[test]
fn schedules_are_close_to_the_best_order() {
    let mut runner = TestRunner::deterministic();
    let wide = prop::collection::vec(any::<(u8, u8, u32)>(), 6..=8);
    let (mut cases, mut equal, mut worst, mut sum) = (0_u32, 0_u32, 1.0_f64, 0.0_f64);
    let mut improved = 0_u32;
    while cases < 500 {
        let drawn = network().new_tree(&mut runner).expect("drawn").current();
        let sizes = wide.new_tree(&mut runner).expect("drawn").current();
        // Branches: each step reads any of the tensors before it, and widths differ by up to two orders of magnitude.
        let steps = drawn.steps.into_iter().zip(sizes).map(|(step, (back, _, width))| Step {
            back: back % 4,
            width: 1 + width % 96,
            ..step
        });
        let network = Network { steps: steps.collect(), ..drawn };
        let graph = network.build(1).expect("fits");
        let own = peak(graph.view(), None);
        let Some(best) = best_of_all(graph.view(), 3000) else { continue };
        if graph.view().nodes().len() < 4 {
            continue;
        }
        let (_, found) = scheduled(graph.view());
        assert!(found >= best, "below the best of all orders");
        cases += 1;
        equal += u32::from(found == best);
        improved += u32::from(best < own);
        let ratio = found as f64 / best as f64;
        worst = worst.max(ratio);
        sum += ratio;
    }
    println!(
        "{cases} networks, {improved} with a better order than their own: {equal} scheduled at the lowest peak, worst {worst:.3}, mean {:.4}",
        sum / f64::from(cases)
    );
    assert!(equal * 100 >= cases * 97, "{equal} of {cases} at the lowest peak");
    assert!(worst <= 1.15, "worst {worst}");
}
