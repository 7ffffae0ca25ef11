//! A hardware description as fewer threads see it: fewer cores, their share of the caches, the bandwidth that they draw.
//!
//! Capacities in bytes, bandwidths in bytes per second, from the numbers of the description alone. Leaves out that fewer
//! busy cores may clock higher: `clock_hz` is that of all of them at work.

use std::num::NonZeroU32;

use super::entries::{DeviceKind, HardwareFile, MemoryEntry};
use super::parts::weaker;

impl HardwareFile {
    /// This device with `threads` of its cores at work, one thread on each. Other kinds than `cpu` and `mcu` come back as
    /// they are: their units do not run the threads of the host.
    ///
    /// ```text
    /// cores c      = the largest count of a compute unit          used n = min(threads, c)
    /// count        = min(count, n)
    /// share s      = shared_by, or c without it                   reached r = min(c, s · ceil(n / s)) / c
    /// capacity     = capacity · r                                 so private caches (s = 1) shrink to n / c, shared ones stay
    /// bandwidth    = min(bandwidth, n · bandwidth_one_core)       where the file gives that of one core
    ///              = bandwidth · r                                where it does not
    /// ```
    /// **Valid for** threads that fill one instance of a shared cache before they use the next.
    #[must_use]
    pub fn with_threads(&self, threads: NonZeroU32) -> Self {
        let cores = self.compute.iter().map(|unit| unit.count.value).max().unwrap_or(1).max(1);
        let used = threads.get();
        let mut device = self.clone();
        if used >= cores || !matches!(self.kind, DeviceKind::Cpu | DeviceKind::Mcu) {
            return device;
        }
        for unit in &mut device.compute {
            if unit.count.value > used {
                unit.count.value = used;
                unit.count.source += &format!("; {used} threads");
            }
        }
        for level in &mut device.memory {
            scale(level, used, cores);
        }
        device
    }
}

fn scale(level: &mut MemoryEntry, used: u32, cores: u32) {
    let share = level.shared_by.as_ref().map_or(cores, |shared| shared.value.clamp(1, cores));
    let reached = share.saturating_mul(used.div_ceil(share)).min(cores);
    let remark = format!("; {used} of {cores} cores");

    let capacity = &mut level.capacity_bytes;
    if reached < cores {
        let scaled = u128::from(capacity.value) * u128::from(reached) / u128::from(cores);
        capacity.value = u64::try_from(scaled).unwrap_or(capacity.value).max(1);
        capacity.source += &remark;
    }

    let bandwidth = &mut level.bandwidth_bytes_per_s;
    let (drawn, basis) = match &level.bandwidth_one_core_bytes_per_s {
        Some(one) => (f64::from(used) * one.value, one.basis),
        None => (bandwidth.value * f64::from(reached) / f64::from(cores), bandwidth.basis),
    };
    if drawn < bandwidth.value {
        bandwidth.value = drawn;
        bandwidth.basis = weaker(bandwidth.basis, basis);
        bandwidth.source += &remark;
    }
    if let Some(shared) = &mut level.shared_by {
        shared.value = share.min(used);
    }
}
