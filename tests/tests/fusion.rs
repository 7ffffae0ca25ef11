//! Laws of fusion, on random networks and every policy.

use std::collections::HashSet;

use derate_core::fusion::{Fused, Link, POLICIES, Policy, Readers, fuse};
use derate_core::graph::{GraphView, Tables};
use derate_core::tensor::TensorId;
use derate_core::units::Bytes;
use derate_core::work::Work;
use derate_tests::network::{OPS, TENSORS, network};
use proptest::prelude::*;

fn fused<R>(graph: GraphView<'_>, policy: &'static Policy, body: impl FnOnce(Fused<'_>) -> R) -> R {
    let (mut readers, mut links) = ([Readers::NOBODY; TENSORS], [Link::FREE; OPS]);
    body(fuse(graph, policy, &mut readers, &mut links).expect("scratch is large enough"))
}

fn traffic(work: &Work) -> u64 {
    work.bytes_in.0 + work.bytes_weight.0 + work.bytes_out.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn each_op_is_in_one_kernel(network in network()) {
        let graph = network.build(2).expect("fits");
        for policy in POLICIES {
            let mut nodes: Vec<u32> = fused(graph.view(), policy, |fused| fused.kernels().flat_map(|kernel| kernel.nodes()).collect());
            nodes.sort_unstable();
            let all: Vec<u32> = (0..u32::try_from(graph.view().nodes().len()).expect("few")).collect();
            prop_assert_eq!(nodes, all, "{}", policy.name);
        }
    }

    #[test]
    fn macs_and_parameters_stay_and_traffic_never_grows(network in network()) {
        let graph = network.build(2).expect("fits");
        let view = graph.view();
        for policy in POLICIES {
            fused(view, policy, |fused| {
                for kernel in fused.kernels() {
                    let alone = kernel.nodes().map(|number| view.work(&view.nodes()[number as usize]).expect("counted"));
                    let alone = alone.reduce(|a, b| a.checked_add(&b).expect("small")).expect("not empty");
                    let work = kernel.work().expect("counted");
                    let is_view = work.class == derate_core::work::Class::View;
                    prop_assert_eq!(work.macs, alone.macs);
                    prop_assert!(is_view || work.params == alone.params && work.bytes_stored == alone.bytes_stored);
                    prop_assert!(traffic(&work) <= traffic(&alone), "{}: {work:?} {alone:?}", policy.name);
                    prop_assert!(work.flops.0 <= alone.flops.0);
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn a_kernel_reads_only_what_is_there_and_shares_nothing_inside(network in network()) {
        let graph = network.build(2).expect("fits");
        let view = graph.view();
        for policy in POLICIES {
            fused(view, policy, |fused| {
                let sources = (0..view.tensors().len()).filter(|&index| {
                    !view.nodes().iter().any(|node| view.outputs(node).any(|id| id.index() == index))
                });
                let mut there: HashSet<usize> = sources.collect();
                for kernel in fused.kernels() {
                    let members: Vec<usize> = kernel.nodes().map(|number| number as usize).collect();
                    let last = &view.nodes()[members[0]];
                    let inside: HashSet<usize> = members.iter().map(|&member| view.nodes()[member].output.index()).collect();
                    for &member in &members {
                        for id in view.operands(&view.nodes()[member]).ids() {
                            prop_assert!(inside.contains(&id.index()) || there.contains(&id.index()), "{}", policy.name);
                        }
                    }
                    // Nobody outside reads what stays inside.
                    for (number, node) in view.nodes().iter().enumerate() {
                        let reads = |id: &TensorId| inside.contains(&id.index()) && *id != last.output;
                        prop_assert!(members.contains(&number) || !view.operands(node).ids().iter().any(reads));
                    }
                    there.extend(view.outputs(last).map(TensorId::index));
                }
                Ok(())
            })?;
        }
    }

    /// Bytes of a kernel counted anew: each tensor from outside that a member reads, and the one that leaves.
    #[test]
    fn a_fused_kernel_moves_what_crosses_its_border(network in network()) {
        let graph = network.build(2).expect("fits");
        let view = graph.view();
        for policy in POLICIES {
            fused(view, policy, |fused| {
                for kernel in fused.kernels().filter(|kernel| kernel.nodes().count() > 1) {
                    let members: Vec<u32> = kernel.nodes().collect();
                    let inside: HashSet<usize> =
                        members.iter().map(|&member| view.nodes()[member as usize].output.index()).collect();
                    let mut bytes = 0;
                    for &member in &members {
                        for id in view.operands(&view.nodes()[member as usize]).ids() {
                            let tensor = view.tensors()[id.index()];
                            let is_view = view.nodes()[member as usize].op.is_view();
                            if !inside.contains(&id.index()) && !tensor.kind.is_stored() && !is_view {
                                bytes += tensor.bytes().expect("small").0;
                            }
                        }
                    }
                    let last = view.nodes()[members[0] as usize].output;
                    let work = kernel.work().expect("counted");
                    prop_assert_eq!(work.bytes_in, Bytes(bytes), "{}", policy.name);
                    let out = if view.nodes()[members[0] as usize].op.is_view() { Bytes::ZERO } else { view.tensors()[last.index()].bytes().expect("small") };
                    prop_assert_eq!(work.bytes_out, out);
                }
                Ok(())
            })?;
        }
    }
}
