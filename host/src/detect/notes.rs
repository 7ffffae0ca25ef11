//! Notes of a detection: sentences for the user about what limits the meaning of the measured rates (FLOP/s, bytes per
//! second), from the machine's description and from the samples themselves.

use super::cpu::SimdLevel;
use super::peak::Precision;
use super::result::Peak;
use super::system::Environment;
use super::topology::Topology;
use super::working_set::{MemoryLevel, WorkingSets};

/// Undisturbed share of sample time below which a note tells of a busy machine.
const BUSY: f64 = 0.5;

/// Speed-up per core below which a note tells that cores do not add up. Assumed: clocks with all cores busy seldom fall
/// below it, and two hardware threads of one core always do (0.5).
const SCALING: f64 = 0.7;

/// What cores, quota and build limit.
pub(super) fn of_machine(topology: &Topology, environment: &Environment, simd: SimdLevel) -> Vec<String> {
    let mut notes = Vec::new();
    if !topology.efficiency_cpus.is_empty() {
        notes.push(format!(
            "hybrid CPU with {} efficiency CPUs: all-core figures sum unlike cores, single-core ones are of CPU {}",
            topology.efficiency_cpus.len(),
            topology.first_cpus().first().copied().unwrap_or(0),
        ));
    }
    if let Some(quota) = environment.cpu_quota_cpus.filter(|&quota| quota < topology.cores.len() as f64) {
        notes.push(format!(
            "a processor quota of {quota:.2} CPUs interrupts measurements on {} cores",
            topology.cores.len()
        ));
    }
    if cfg!(debug_assertions) {
        notes.push(unoptimised_build(simd));
    }
    notes
}

/// What a build without optimisation does to the figures.
fn unoptimised_build(simd: SimdLevel) -> String {
    match simd {
        SimdLevel::Portable => "built without optimisation: peaks and bandwidths are far too low".to_owned(),
        _ => "built without optimisation: bandwidths of the nearest caches are about 15 % too low".to_owned(),
    }
}

/// Levels that the working sets do not keep apart from their neighbours.
pub(super) fn of_working_sets(sets: &[WorkingSets]) -> Vec<String> {
    let sentence = |level| match level {
        MemoryLevel::Cache(_) => {
            format!("{level}: a core's share is not well above the level before, which serves part of the bytes")
        }
        MemoryLevel::Dram => format!(
            "{level}: the working set is less than twice the last cache, whose hits raise the figures; allow more memory \
             (max_buffer_bytes)"
        ),
    };
    sets.iter().filter(|sets| sets.mixed).map(|sets| sentence(sets.level)).collect()
}

/// A machine too busy, by the least undisturbed share of sample time among all series, 0 to 1.
pub(super) fn of_interruptions(undisturbed: f64) -> Option<String> {
    (undisturbed < BUSY).then(|| {
        format!(
            "busy machine: in some series the threads ran together without interruption for only {:.0} % of the time; \
             measure again when it is quiet",
            100.0 * undisturbed
        )
    })
}

/// All cores together well below as many single ones, in fp32.
pub(super) fn of_scaling(peaks: &[(Precision, Peak)], n_cores: usize) -> Option<String> {
    let (_, fp32) = peaks.iter().find(|(precision, _)| *precision == Precision::Fp32)?;
    let rates = fp32.flops_per_s()?;
    let speed_up = rates.all_cores.value / rates.single_core.value;
    (speed_up < SCALING * n_cores as f64).then(|| {
        format!(
            "{n_cores} cores together reach only {speed_up:.2} times the fp32 peak of one: the virtual CPUs may be hardware \
             threads of fewer cores, or power, a quota or other programs hold them back"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Measured, Rates};

    #[test]
    fn hybrid_cores_and_a_quota() {
        let topology =
            Topology { cpus: vec![2, 3, 4], cores: vec![vec![2, 3], vec![4]], smt: true, efficiency_cpus: vec![4] };
        let quota = |cpus| Environment { cpu_quota_cpus: Some(cpus), ..Environment::default() };
        let got = of_machine(&topology, &quota(1.5), SimdLevel::Avx2Fma);
        assert_eq!(got.len(), 2 + usize::from(cfg!(debug_assertions)));
        assert!(got[0].contains("1 efficiency CPUs") && got[0].ends_with("CPU 2"), "{}", got[0]);
        assert!(got[1].contains("1.50 CPUs") && got[1].contains("2 cores"), "{}", got[1]);
        let uniform = Topology { efficiency_cpus: vec![], ..topology };
        assert_eq!(of_machine(&uniform, &quota(2.0), SimdLevel::Avx2Fma).len(), usize::from(cfg!(debug_assertions)));
    }

    #[test]
    fn mixed_levels_are_named() {
        let set = |level, mixed| WorkingSets { level, single: 1, all: vec![1], mixed };
        let got = of_working_sets(&[
            set(MemoryLevel::Cache(2), false),
            set(MemoryLevel::Cache(3), true),
            set(MemoryLevel::Dram, true),
        ]);
        assert_eq!(got.len(), 2);
        assert!(got[0].starts_with("L3: ") && got[1].starts_with("DRAM: "), "{got:?}");
    }

    #[test]
    fn a_busy_machine() {
        assert_eq!(of_interruptions(0.5), None);
        assert!(of_interruptions(0.2).is_some_and(|note| note.contains("only 20 %")));
    }

    #[test]
    fn cores_that_do_not_add_up() {
        let measured = |value| Measured {
            value,
            median: value,
            p10: value,
            relative_iqr: 0.0,
            n_samples: 7,
            undisturbed: 1.0,
            method: String::new(),
        };
        let peaks = |all| {
            let flops_per_s = Rates { single_core: measured(100.0), all_cores: measured(all) };
            [(Precision::Fp64, Peak::NoNativeUnit), (Precision::Fp32, Peak::Measured { flops_per_s })]
        };
        // Four cores: 2.8 times one is enough, 2 times is not.
        assert_eq!(of_scaling(&peaks(280.0), 4), None);
        assert!(of_scaling(&peaks(200.0), 4).is_some_and(|note| note.contains("only 2.00 times")));
        assert_eq!(of_scaling(&[], 4), None);
    }
}
