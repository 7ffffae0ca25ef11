//! Detection of the CPU this program runs on: what the machine says of itself (names, cores, caches, memory), and what
//! it reaches when measured (clock in Hz, arithmetic peaks in FLOP/s, bandwidth of every memory level in bytes/s).
//!
//! ```text
//! CPUID, /sys, /proc ──► Identity, Isa, Topology, Cache, Memory, Environment
//! pinned threads ──────► Measured: clock, peak per precision, read and copy bandwidth per level
//! ```
//! All series are interleaved in rounds over the whole run (about 10 s), so that a disturbance hits a few samples
//! of each instead of all samples of one; see [`Measured`] for what is kept. One thread per physical core is used: a
//! second hardware thread shares the core's arithmetic units and caches and adds nothing to their peak.
//!
//! Leaves out energy, latencies and accelerators. Linux only; on architectures other than x86-64 the loops are
//! compiled Rust and the low precisions are not measured.

use std::io;
use std::path::Path;
use std::time::Instant;

#[cfg(target_arch = "x86_64")]
mod amx;
mod bandwidth;
mod clock;
mod cpu;
mod notes;
mod options;
mod os;
mod peak;
#[cfg(target_arch = "x86_64")]
mod peak_x86;
mod preflight;
mod result;
mod sampling;
mod series;
mod system;
mod topology;
mod trace;
mod working_set;

pub use cpu::{Identity, Isa, SimdLevel};
pub use options::{DetectError, DetectOptions};
pub use peak::Precision;
pub use preflight::{Preflight, preflight};
pub use result::{DetectedCpu, LevelBandwidth, Peak, Rates};
pub use sampling::Measured;
pub use system::{Environment, Memory};
pub use topology::{Cache, CacheKind, Topology};
pub use working_set::MemoryLevel;

use bandwidth::{Stream, StreamKind};
use peak::Selection;
use preflight::CpuTicks;
use sampling::{Pool, Work};
use series::{Handle, SeriesSet};
use working_set::{WorkingSets, working_sets};

/// Describes and measures this CPU; `progress` receives a short line now and then.
///
/// Meant for a quiet machine: see [`preflight()`] for what disturbs. Uses all available cores for about 10 s.
///
/// # Errors
/// `Option` for options out of range; `Affinity`, `Thread`, `Pin`, `OutOfMemory` if the system refuses threads or
/// memory; `WorkerLost` and `NoRate` if a measurement breaks down.
///
/// ```no_run
/// use derate::detect::{DetectOptions, detect};
/// let cpu = detect(&DetectOptions::default(), &mut |line| eprintln!("{line}"))?;
/// for level in &cpu.bandwidths {
///     println!("{}: {:.1} GB/s", level.level, level.read_bytes_per_s.all_cores.value * 1e-9);
/// }
/// # Ok::<(), derate::detect::DetectError>(())
/// ```
pub fn detect(options: &DetectOptions, progress: &mut dyn FnMut(&str)) -> Result<DetectedCpu, DetectError> {
    options.check()?;
    let begin = Instant::now();
    let root = Path::new("/");
    progress("reading what the machine says of itself");
    let cpus = os::available_cpus().map_err(DetectError::Affinity)?;
    let Some(&first_cpu) = cpus.first() else {
        return Err(DetectError::Affinity(io::Error::from(io::ErrorKind::NotFound)));
    };
    let mut notes = Vec::new();
    let isa = Isa::of_this_cpu();
    let topology = Topology::read(root, &cpus);
    let caches = topology::read_caches(root, &cpus, &mut notes);
    let memory = Memory::read(root);
    let environment = Environment::read(root, first_cpu);

    let places = topology.first_cpus();
    let share = memory.usable_bytes().map_or(u64::MAX, |bytes| bytes / 4 / places.len() as u64);
    let sets = working_sets(&caches, &places, options.max_buffer_bytes.min(share));
    notes.extend(notes::of_machine(&topology, &environment, isa.simd_level()));
    notes.extend(notes::of_working_sets(&sets));

    let mut series = SeriesSet::new(places.len());
    let clock = clock::work().map(|work| series.add_mean(clock::METHOD, move || Box::new(work)));
    let peaks: Vec<_> = Precision::ALL.map(|precision| (precision, plan_peak(precision, &isa, &mut series))).into();
    let streams: Vec<_> = sets.iter().map(|sets| plan_streams(sets, isa.simd_level(), &mut series)).collect();

    progress(&format!("preparing buffers of {} MiB on {} cores", buffer_bytes(&sets, 0) >> 20, places.len()));
    let buffers: Vec<_> = places.iter().enumerate().map(|(i, &cpu)| (cpu, buffer_bytes(&sets, i))).collect();
    let pool = Pool::start(&buffers)?;
    let ticks_before = CpuTicks::read(root);
    for round in 1..=options.rounds {
        progress(&format!("measuring, round {round} of {}", options.rounds));
        series.sample_all(&pool, options.sample_time)?;
    }
    let steal_percent =
        ticks_before.zip(CpuTicks::read(root)).and_then(|(before, after)| after.steal_percent_since(before));
    drop(pool);

    let rates = |handle: &Handle| series.rates(handle, options.sample_time);
    let clock_hz = clock.as_ref().map(rates).transpose()?;
    let mut measured_peaks = Vec::with_capacity(peaks.len());
    for (precision, planned) in peaks {
        let peak = match planned {
            PlannedPeak::Series(handle) => Peak::Measured { flops_per_s: rates(&handle)? },
            PlannedPeak::NoNativeUnit => Peak::NoNativeUnit,
            PlannedPeak::NotMeasured(reason) => Peak::NotMeasured { reason },
        };
        measured_peaks.push((precision, peak));
    }
    notes.extend(notes::of_interruptions(series.least_undisturbed()));
    notes.extend(notes::of_scaling(&measured_peaks, places.len()));
    let mut bandwidths = Vec::with_capacity(streams.len());
    for (sets, [read, copy]) in sets.iter().zip(&streams) {
        bandwidths.push(LevelBandwidth {
            level: sets.level,
            single_core_set_bytes: sets.single,
            all_cores_set_bytes: sets.all.iter().sum(),
            read_bytes_per_s: rates(read)?,
            copy_bytes_per_s: rates(copy)?,
        });
    }
    Ok(DetectedCpu {
        identity: Identity::of_this_cpu(root),
        isa,
        topology,
        caches,
        memory,
        environment,
        clock_hz,
        peaks: measured_peaks,
        bandwidths,
        steal_percent,
        elapsed: begin.elapsed(),
        notes,
    })
}

/// A [`Peak`] before the measurement.
enum PlannedPeak {
    Series(Handle),
    NoNativeUnit,
    NotMeasured(String),
}

/// Adds the series of one precision, or says why there is none.
fn plan_peak(precision: Precision, isa: &Isa, series: &mut SeriesSet) -> PlannedPeak {
    match peak::select(precision, isa) {
        Selection::NoNativeUnit => PlannedPeak::NoNativeUnit,
        Selection::NotMeasured(reason) => PlannedPeak::NotMeasured(reason.to_owned()),
        Selection::Kernel(kernel) if !kernel.computes_known_sum() => {
            PlannedPeak::NotMeasured(format!("{}: the kernel fails its check on known numbers", kernel.method))
        }
        Selection::Kernel(kernel) => PlannedPeak::Series(series.add(kernel.method, move || Box::new(kernel))),
    }
}

/// Adds the read and the copy series of one level.
fn plan_streams(sets: &WorkingSets, simd: SimdLevel, series: &mut SeriesSet) -> [Handle; 2] {
    [StreamKind::Read, StreamKind::Copy].map(|kind| {
        let method = Stream::method(kind, simd);
        let stream = move |bytes, round| Box::new(Stream::new(kind, simd, bytes, round)) as Box<dyn Work>;
        series.add_streams(&method, sets, stream)
    })
}

/// Size of the buffer of thread `i`, in bytes: its largest working set.
fn buffer_bytes(sets: &[WorkingSets], i: usize) -> usize {
    let of_level = |sets: &WorkingSets| {
        let single = if i == 0 { sets.single } else { 0 };
        sets.all.get(i).copied().unwrap_or(0).max(single)
    };
    let bytes = sets.iter().map(of_level).max().unwrap_or(0);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn short() -> DetectOptions {
        DetectOptions { rounds: 7, sample_time: Duration::from_millis(1), max_buffer_bytes: 32 << 20 }
    }

    #[test]
    fn the_first_thread_has_room_for_its_lone_set() {
        let sets = [WorkingSets { level: MemoryLevel::Dram, single: 128, all: vec![64, 96], mixed: false }];
        assert_eq!((buffer_bytes(&sets, 0), buffer_bytes(&sets, 1), buffer_bytes(&[], 0)), (128, 96, 0));
    }

    #[test]
    fn this_machine_measures_within_the_bounds_of_physics() {
        let mut lines = 0;
        let cpu = detect(&short(), &mut |_| lines += 1).expect("detect");
        assert_eq!(lines, 2 + 7);
        assert_eq!(cpu.peaks.len(), Precision::ALL.len());
        assert_eq!(cpu.bandwidths.last().map(|level| level.level), Some(MemoryLevel::Dram));

        let between = |rates: &Rates, least: f64, most: f64, what: &str| {
            for measured in [&rates.single_core, &rates.all_cores] {
                assert!((least..most).contains(&measured.value), "{what}: {measured:?}");
                assert!((4..=7).contains(&measured.n_samples), "{what}: {measured:?}");
            }
        };
        // From what a stalled machine leaves to more than any core does: 10 GHz, 8192 operations a cycle (twice a matrix
        // unit's), four 64-byte loads a cycle.
        let n_cores = cpu.topology.cores.len() as f64;
        if let Some(clock) = &cpu.clock_hz {
            between(clock, 1e7, 1e10, "clock");
        }
        for (precision, peak) in &cpu.peaks {
            if let Some(rates) = peak.flops_per_s() {
                between(rates, 1e6, 8192e10 * n_cores, precision.name());
            }
        }
        for level in &cpu.bandwidths {
            between(&level.read_bytes_per_s, 1e6, 256e10 * n_cores, "read");
            between(&level.copy_bytes_per_s, 1e6, 512e10 * n_cores, "copy");
        }
    }
}
