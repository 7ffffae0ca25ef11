//! Priors: what is expected of each coefficient before any measurement, from a device's description, and where it may lie there.
//!
//! Log-normal: a centre and a standard deviation of the natural logarithm. Centres are shares of the described peaks and bandwidths,
//! and times that an eager runtime takes on cores of some GHz: they matter where data are few.

use super::coefficients::{COEFFICIENTS, Coefficients};
use super::machine::Machine;
use super::time::{Protocol, Runtime};
use crate::error::Error;

/// What is expected of one coefficient.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Prior {
    /// Median.
    pub centre: f32,
    /// Standard deviation of the natural logarithm; 0 for a coefficient that is not fitted.
    pub sd: f32,
    /// Lowest value on this device.
    pub low: f32,
    /// Highest value on this device.
    pub high: f32,
    /// Number of the coefficient whose value it takes, where it has none of its own.
    pub like: Option<u8>,
}

/// What a dataset can tell: more coefficients are free where it can tell more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Evidence {
    /// Networks and parts of them.
    Networks,
    /// Whole runs of stacks of layers, of many shapes; each after an idle moment.
    Stacks,
    /// Single ops of many shapes, warm and cold, and chains of them.
    Operators,
}

/// Priors of all coefficients, in their order.
pub type Priors = [Prior; COEFFICIENTS.len()];

/// Builds the table by name: all others stay fixed at their neutral values.
struct Table {
    centres: Coefficients,
    sds: Coefficients,
    lows: Coefficients,
    highs: Coefficients,
}

macro_rules! set {
    ($table:ident, $sd:expr, $($name:ident: $centre:expr, $low:expr, $high:expr;)*) => {$(
        $table.centres.$name = $centre;
        $table.sds.$name = $sd;
        $table.lows.$name = $low;
        $table.highs.$name = $high;
    )*};
}

impl Table {
    const fn new() -> Self {
        let n = Coefficients::NEUTRAL;
        // Nothing is fitted but what is set.
        Self { centres: n, sds: Coefficients::ZERO, lows: n, highs: n }
    }

    /// The table; each of `ties` names a coefficient and the one whose value it takes.
    fn finish(&self, ties: &[[&str; 2]]) -> Priors {
        let mut priors = [Prior { centre: 0.0, sd: 0.0, low: 0.0, high: 0.0, like: None }; COEFFICIENTS.len()];
        let (centres, sds) = (self.centres.values(), self.sds.values());
        let bounds = self.lows.values().into_iter().zip(self.highs.values());
        let rows = priors.iter_mut().zip(COEFFICIENTS).zip(centres).zip(sds).zip(bounds);
        for ((((prior, coefficient), centre), sd), (low, high)) in rows {
            let tie = ties.iter().find(|[name, _]| *name == coefficient.name);
            let like = tie.and_then(|[_, other]| (0_u8..).zip(COEFFICIENTS).find(|(_, c)| c.name == *other));
            *prior = Prior { centre: centre.max(low).min(high), sd, low, high, like: like.map(|(index, _)| index) };
        }
        priors
    }
}

/// Priors on a device, for data of a kind.
#[must_use]
pub fn priors(machine: &Machine, evidence: Evidence) -> Priors {
    match machine.runtime {
        Runtime::EagerCpu => cpu(machine, evidence),
        Runtime::EagerGpu => gpu(machine, evidence),
        Runtime::Embedded => embedded(machine),
    }
}

/// Coefficients of these values, those that are tied to others set to theirs.
///
/// # Errors
/// [`Error::CoefficientOutOfRange`] for the first that lies outside the range that makes sense anywhere.
pub fn tied(priors: &Priors, mut values: [f32; COEFFICIENTS.len()]) -> Result<Coefficients, Error> {
    let own = values;
    for (value, prior) in values.iter_mut().zip(priors) {
        if let Some(other) = prior.like.and_then(|index| own.get(usize::from(index))) {
            *value = *other;
        }
    }
    Coefficients::from_values(values)
}

/// Coefficients at their centres.
///
/// # Errors
/// As [`tied`], of a device whose description is far from any that exists.
pub fn expected(priors: &Priors) -> Result<Coefficients, Error> {
    tied(priors, priors.map(|prior| prior.centre))
}

fn cpu(m: &Machine, evidence: Evidence) -> Priors {
    let (peak, plain, dram, threads) = (m.matrix_peak, m.plain_peak, m.bandwidth, m.threads);
    let (shapes, operators) = (evidence != Evidence::Networks, evidence == Evidence::Operators);
    // Many shapes tell every coefficient; the few of networks need a firmer prior.
    let sd = if shapes { 0.7 } else { 0.3 };
    // An op that is timed by itself is called through an interpreter of the network, one of a whole run by a few instructions.
    let called = if m.protocol == Protocol::PerOp { 1.0 } else { 0.35 };
    let mut t = Table::new();
    set! { t, sd,
        conv_throughput: 0.45 * peak, 0.05 * peak, peak;
        linear_throughput: 0.3 * plain, 0.02 * plain, peak;
        cache_bandwidth: 2.2 * dram, 0.3 * dram, 12.0 * dram;
        memory_bandwidth: 0.8 * dram, 0.1 * dram, 1.5 * dram;
        cache_capacity: 0.8 * m.cache, 0.2 * m.cache, 1.5 * m.cache;
        dispatch: 6e-6 * called, 0.5e-6, 20e-6;
        reduction_dispatch: 15e-6 * called, 1e-6, 100e-6;
        norm_dispatch: 15e-6 * called, 1e-6, 100e-6;
        // A team of threads starts and joins around a product, the longer the more they are.
        library_dispatch: (3.5e-6 * threads + 3e-6) * called, 1e-6, 150e-6;
        reorder_passes: 3.0, 0.5, 20.0;
        thread_bandwidth: 20e9, 5e9, 100e9;
        fork: 0.4e-6 * threads, 0.1e-6, 50e-6;
        fault_bandwidth: 20e9, 1e9, 60e9;
        transcendental_rate: 0.5e9 * threads, 0.05e9, 50e9;
        pooling_rate: 0.25e9 * threads, 0.05e9, 50e9;
    }
    set! { t, sd.max(0.5), direct_throughput: 0.2 * plain, 0.01 * plain, plain; }
    let fixed = if shapes { sd } else { 0.0 };
    set! { t, fixed,
        depthwise_throughput: 0.2 * plain, 0.01 * plain, plain;
        view_dispatch: 3e-6, 0.1e-6, 20e-6;
    }
    if shapes {
        set! { t, 0.5, linear_m: 4.0, 0.1, 100.0; linear_n: 4.0, 0.1, 100.0; linear_k: 5.0, 0.1, 100.0; }
    }
    if operators {
        set! { t, sd, cold_factor: 8.0, 1.0, 40.0; }
        set! { t, 0.5, network_coldness: 0.4, 0.05, 1.0; }
    }
    t.finish(&[])
}

fn gpu(m: &Machine, evidence: Evidence) -> Priors {
    let (tensor, plain, dram, cycles) = (m.matrix_peak, m.plain_peak, m.bandwidth, m.unit_cycles);
    let (linear, twice) = if m.short { (0.15 * tensor, 2.0) } else { (0.35 * plain, 1.0) };
    // A device that is waited for after each op is launched, and answers, each time.
    let waited = if m.protocol == Protocol::PerOp { 1.0 } else { 0.05 };
    let stacks = evidence == Evidence::Stacks;
    let sd = if stacks { 1.0 } else { 0.3 };
    let mut t = Table::new();
    set! { t, sd,
        conv_throughput: 0.3 * tensor, 0.03 * tensor, tensor;
        linear_throughput: linear, 0.02 * plain, tensor;
        depthwise_throughput: 0.03 * plain * twice, 0.003 * plain, 0.3 * plain;
        cache_bandwidth: 3.0 * dram, 0.5 * dram, 15.0 * dram;
        memory_bandwidth: 0.75 * dram, 0.3 * dram, dram;
        cache_capacity: m.cache, 0.25 * m.cache, 2.0 * m.cache;
        dispatch: 120e-6 * waited, 0.5e-6, 500e-6;
        reduction_dispatch: 140e-6 * waited, 0.5e-6, 500e-6;
        library_dispatch: 400e-6 * waited, 1e-6, 1500e-6;
        transcendental_rate: 12.0 * cycles, cycles, 100.0 * cycles;
        pooling_rate: 3.0 * cycles, 0.2 * cycles, 40.0 * cycles;
        indexed_rate: 0.9 * cycles, 0.1 * cycles, 10.0 * cycles;
        conv_m: 400.0, 3.0, 5000.0;
        conv_n: 20.0, 1.0, 500.0;
        conv_k: 200.0 * twice, 1.0, 3000.0;
    }
    set! { t, 0.0, view_dispatch: 80e-6 * waited, 0.1e-6, 200e-6; }
    if m.protocol == Protocol::WholeRun {
        set! { t, sd, kernel_floor: 3e-6, 0.5e-6, 50e-6; run_overhead: 20e-6, 1e-6, 2e-3; }
    }
    if stacks {
        set! { t, sd,
            run_overhead: 400e-6, 5e-6, 1.5e-3;
            idle_clock: 200e-6, 1e-6, 1.5e-3;
            wake: 100e-6, 5e-6, 3e-3;
        }
    }
    // A batch normalisation is dispatched as any other op, and products of any kind fill with their sums alike.
    t.finish(&[["norm_dispatch", "dispatch"], ["linear_k", "conv_k"]])
}

/// One core: cycles of a MAC by class, as published results of int8 networks on Cortex-M and RISC-V scatter around them.
fn embedded(m: &Machine) -> Priors {
    let flops = |cycles_per_mac: f32| 2.0 * m.unit_cycles / cycles_per_mac;
    let mut t = Table::new();
    set! { t, 0.8,
        conv_throughput: flops(2.0), flops(60.0), flops(0.01);
        depthwise_throughput: flops(9.0), flops(120.0), flops(0.02);
        linear_throughput: flops(3.75), flops(60.0), flops(0.01);
    }
    set! { t, 0.5,
        conv_k: 20.0, 1.0, 200.0;
        // A copied element of a window costs about four MACs of two cycles.
        thread_bandwidth: 0.25 * m.unit_cycles, 0.01 * m.unit_cycles, 16.0 * m.unit_cycles;
        dispatch: 2000.0 / m.unit_cycles, 10.0 / m.unit_cycles, 1e5 / m.unit_cycles;
    }
    t.finish(&[])
}
