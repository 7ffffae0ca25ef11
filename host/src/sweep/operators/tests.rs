//! Tests of the plan: the same each time, every class in it, each prefix balanced, descriptions that read back.

use std::collections::{BTreeMap, HashSet};

use derate_core::graph::Tables;
use derate_core::hardware::Hardware;
use derate_core::shape::{DataType, Precision};
use derate_core::work::Class;

use super::*;
use crate::calibrate::tests::with_two_core_cpu;
use crate::import::inline::describe;

fn plan(selection: Selection, hardware: &Hardware<'_>) -> Plan {
    Plan::new(selection, &Protocol::ALL, hardware, Precision::Fp32, 2).expect("a plan")
}

#[test]
fn a_plan_is_the_same_each_time_and_holds_each_row_once() {
    with_two_core_cpu(|hardware| {
        let [one, other] = [0, 1].map(|_| plan(Selection::Operators, hardware));
        let keys = |plan: &Plan| -> Vec<String> { (0..plan.configurations.len()).map(|at| plan.key(at)).collect() };
        assert_eq!(keys(&one), keys(&other));
        assert_eq!(keys(&one).iter().collect::<HashSet<_>>().len(), one.configurations.len());
        assert!(one.configurations.len() > 1_500, "{}", one.configurations.len());
        assert!(one.key(0).ends_with(" fp32 t2"), "{}", one.key(0));
    });
}

#[test]
fn every_description_reads_back_into_its_graph() {
    with_two_core_cpu(|hardware| {
        for selection in [Selection::Operators, Selection::Gemm, Selection::Elementwise] {
            for sample in &plan(selection, hardware).samples {
                assert_eq!(describe(&sample.graph).as_deref(), Some(sample.text.as_str()));
                assert_eq!(sample.graph.name(), sample.text);
            }
        }
    });
}

#[test]
fn every_class_is_there_and_is_what_it_is_called() {
    with_two_core_cpu(|hardware| {
        let plan = plan(Selection::Operators, hardware);
        let mut counts: BTreeMap<Family, usize> = BTreeMap::new();
        for sample in &plan.samples {
            *counts.entry(sample.family).or_default() += 1;
            let view = sample.graph.view();
            let classes: HashSet<Class> =
                view.nodes().iter().map(|node| view.work(node).expect("small").class).collect();
            let expected = match sample.family {
                Family::Conv => Class::Conv,
                Family::Pointwise => Class::Pointwise,
                Family::Depthwise => Class::Depthwise,
                Family::GroupedConv => Class::GroupedConv,
                Family::Linear => Class::Linear,
                Family::MatMul => Class::MatMul,
                Family::Attention => Class::Attention,
                Family::Elementwise | Family::BatchNorm => Class::Elementwise,
                Family::Transcendental | Family::Softmax => Class::Transcendental,
                Family::LayerNorm | Family::GlobalPooling => Class::Reduction,
                Family::Pooling => Class::Pooling,
                Family::Copy => Class::Copy,
                Family::Sequence(_) => {
                    assert!(view.nodes().len() > 2, "{}", sample.text);
                    continue;
                }
            };
            assert_eq!(classes, HashSet::from([expected]), "{}", sample.text);
        }
        for (family, _) in Selection::Operators.families() {
            assert!(counts.get(family).is_some_and(|&count| count >= 40), "{family:?}: {counts:?}");
        }
    });
}

#[test]
fn each_prefix_is_balanced_over_classes() {
    with_two_core_cpu(|hardware| {
        for selection in [Selection::Operators, Selection::Gemm, Selection::Elementwise] {
            let plan = plan(selection, hardware);
            let total: u32 = selection.families().iter().map(|(_, share)| share).sum();
            let count = |prefix: usize, family: Family| {
                plan.samples.iter().take(prefix).filter(|sample| sample.family == family).count()
            };
            // Until the first family has no more shapes.
            let all = plan.samples.len();
            let whole = |&prefix: &usize| {
                selection.families().iter().all(|&(family, _)| count(prefix, family) < count(all, family))
            };
            let prefixes: Vec<usize> = (1..=all).take_while(whole).collect();
            assert!(prefixes.len() >= 150, "{selection:?}: {}", prefixes.len());
            for prefix in prefixes {
                for &(family, share) in selection.families() {
                    let there = count(prefix, family);
                    let due = prefix as f64 * f64::from(share) / f64::from(total);
                    assert!((there as f64 - due).abs() <= 1.5, "{selection:?} {family:?}: {there} of {prefix}, {due}");
                }
            }
        }
    });
}

#[test]
fn each_family_takes_its_regimes_in_turn() {
    with_two_core_cpu(|hardware| {
        let plan = plan(Selection::Operators, hardware);
        for &(family, _) in Selection::Operators.families() {
            let regimes: Vec<String> = plan
                .samples
                .iter()
                .filter(|sample| sample.family == family)
                .map(|sample| (sample.place.limit, sample.place.level))
                .map(|regime| format!("{regime:?}"))
                .collect();
            let kinds: HashSet<&String> = regimes.iter().collect();
            assert!(kinds.len() >= 3, "{family:?}: {kinds:?}");
            assert!(kinds.iter().any(|kind| kind.contains("Launch")), "{family:?}: {kinds:?}");
            let first: HashSet<&String> = regimes.iter().take(kinds.len()).collect();
            assert_eq!(first, kinds, "{family:?}");
        }
        let of = |wanted: &str| plan.samples.iter().filter(|sample| sample.place.regime() == wanted).count();
        for regime in ["launch", "memory L2", "memory L3", "memory DRAM", "compute L2", "compute L3", "compute DRAM"] {
            assert!(of(regime) >= 20, "{regime}: {}", of(regime));
        }
    });
}

#[test]
fn shapes_are_those_of_networks() {
    with_two_core_cpu(|hardware| {
        let plan = plan(Selection::Operators, hardware);
        let of = |family| plan.samples.iter().filter(move |sample| sample.family == family);
        for sample in &plan.samples {
            assert!(sample.place.seconds <= MOST_SECONDS && sample.place.working_set <= 8 * (32 << 20));
            for tensor in sample.graph.view().tensors() {
                assert!(tensor.shape.extents().iter().all(|&extent| extent <= 50_000), "{}", sample.text);
            }
        }
        for kernel in ["k3", "k5", "k7"] {
            for stride in [",s2", ""] {
                let has = |text: &str| text.contains(kernel) && text.contains(",s2") != stride.is_empty();
                assert!(of(Family::Conv).filter(|sample| has(&sample.text)).count() >= 2, "{kernel}{stride}");
            }
        }
        let one_row = |text: &str| text.rsplit_once(':').is_some_and(|(_, shape)| shape.starts_with("1x"));
        assert!(of(Family::Linear).filter(|sample| one_row(&sample.text)).count() >= 10);
        // Sizes that no vector divides.
        let odd = |sample: &&Sample| {
            sample
                .graph
                .view()
                .tensors()
                .iter()
                .any(|tensor| tensor.shape.extents().iter().any(|e| *e > 8 && e % 2 == 1))
        };
        let share = plan.samples.iter().filter(odd).count() as f64 / plan.samples.len() as f64;
        assert!((0.2..0.8).contains(&share), "{share}");
        let at_border = plan.samples.iter().filter(|sample| sample.place.border).count();
        assert!(at_border > 0 && at_border * 4 < plan.samples.len(), "{at_border} of {}", plan.samples.len());
    });
}

#[test]
fn every_shape_can_be_estimated() {
    use derate_core::estimate::{Target, estimate};
    with_two_core_cpu(|hardware| {
        let target = Target::new(hardware).expect("valid");
        for sample in &plan(Selection::Operators, hardware).samples {
            let latency =
                estimate(sample.graph.view(), &target).unwrap_or_else(|error| panic!("{}: {error}", sample.text));
            assert!(latency.latency.0 > 0.0, "{}", sample.text);
        }
    });
}

#[test]
fn borders_and_regimes_by_hand() {
    with_two_core_cpu(|hardware| {
        let place = |text: &str| {
            let graph = graph_of(text, DataType::Fp32).expect("valid");
            place(&graph, hardware, Precision::Fp32).expect("fp32 runs")
        };
        // 8 B · 64 · 56 · 56 = 1.6 MB: 0.77 of the second cache of 2 MiB, and 4 µs at 400 GB/s.
        let relu = place("op:relu:1x64x56x56");
        assert_eq!((relu.working_set, relu.border, relu.regime().as_str()), (1_605_632, true, "launch"));
        // 8 B · 10^6 = 8 MB: a quarter of the third cache, and 53 µs at 150 GB/s.
        let relu = place("op:relu:1000x1000");
        assert_eq!((relu.border, relu.regime().as_str()), (false, "memory L3"));
        assert!((relu.seconds / 53.3e-6 - 1.0).abs() < 1e-2, "{}", relu.seconds);
        // 2 · 1024³ FLOP at 512 GFLOP/s: 4.2 ms; 12 MiB.
        let product = place("gemm:1024x1024x1024");
        assert_eq!((product.regime().as_str(), product.border), ("compute L3", false));
        assert!((product.seconds / 4.194e-3 - 1.0).abs() < 1e-2, "{}", product.seconds);
        // One row streams 64 MiB of weights.
        assert_eq!(place("op:linear,4096:1x4096").regime(), "memory DRAM");
    });
}

#[test]
fn a_precision_that_the_device_lacks_is_refused() {
    with_two_core_cpu(|hardware| {
        assert!(Plan::new(Selection::Gemm, &Protocol::ALL, hardware, Precision::Bf16, 2).is_err());
    });
}

#[test]
fn protocols_can_be_left_out() {
    with_two_core_cpu(|hardware| {
        let warm = Plan::new(Selection::Operators, &[Protocol::Warm], hardware, Precision::Fp32, 2).expect("a plan");
        assert!(warm.configurations.iter().all(|configuration| configuration.protocol == Protocol::Warm));
        assert!(warm.samples.iter().all(|sample| !matches!(sample.family, Family::Sequence(_))));
    });
}
