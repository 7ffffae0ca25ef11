//! libtorch on the first CUDA device: its libraries opened when they are asked for, waiting for the device, TF32, energy of a loop.
//!
//! Source: PyTorch 2.11, `aten/src/ATen/Context.h`: `at::globalContext()`, `Context::setAllowTF32CuBLAS(bool)`,
//! `Context::setAllowTF32CuDNN(bool)`; by default convolutions may use TF32 and matrix products may not. Names are mangled as the
//! Itanium C++ ABI does, in which `this` is the first argument.

use std::ffi::{OsString, c_void};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::cupti::{Cupti, CuptiError};
use super::dl::{Library, LoadError, anywhere};
use super::nvml::Nvml;
use crate::sweep::models::row::Energy;

/// Seconds of a loop whose energy is read; of these, seconds before the first look that counts.
const LOOP_S: f64 = 1.8;
const WARM_S: f64 = 0.5;
/// Seconds between two looks at the instruments.
const LOOK_S: f64 = 0.005;

/// Why libtorch cannot use a CUDA device.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// Its CUDA part cannot be opened.
    #[error("libtorch_cuda.so: {0}")]
    Load(#[from] LoadError),
    /// It sees no device.
    #[error("libtorch has CUDA, but sees no device: the driver is missing, or CUDA_VISIBLE_DEVICES hides all")]
    NoDevice,
}

/// The folder of the libtorch that `LIBTORCH` names when the program runs, if its CUDA part is there.
fn named_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("LIBTORCH").filter(|value| !value.is_empty())?);
    [folder.join("lib"), folder].into_iter().find(|folder| folder.join("libtorch_cuda.so").is_file())
}

/// What the environment must hold before the program starts, so that all parts of libtorch are of the folder that `LIBTORCH` names;
/// nothing where that has no CUDA part.
#[must_use]
pub fn environment() -> Vec<(&'static str, OsString)> {
    let Some(folder) = named_folder() else { return Vec::new() };
    let before = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let first = std::env::split_paths(&before).next();
    if first.as_deref() == Some(Path::new(&folder)) {
        return vec![("LD_LIBRARY_PATH", before)];
    }
    let paths = [folder].into_iter().chain(std::env::split_paths(&before));
    std::env::join_paths(paths).map(|paths| vec![("LD_LIBRARY_PATH", paths)]).unwrap_or_default()
}

/// Opens libtorch's CUDA part, and looks for a device. To be called before anything else asks libtorch for CUDA.
///
/// # Errors
/// [`CudaError`].
pub fn load() -> Result<(), CudaError> {
    let named = named_folder().map(|folder| folder.join("libtorch_cuda.so").display().to_string());
    let names: Vec<&str> = named.as_deref().into_iter().chain(["libtorch_cuda.so"]).collect();
    Library::open(&names)?;
    if tch::Cuda::is_available() { Ok(()) } else { Err(CudaError::NoDevice) }
}

/// Versions of the CUDA runtime and of cuDNN, as rows carry them beside libtorch's.
#[must_use]
pub fn versions() -> String {
    // 13000 is 13.0; 91900 is 9.19.0.
    let cuda = tch::utils::version_cudart();
    let cudnn = tch::utils::version_cudnn();
    let cuda = format!("cuda-{}.{}", cuda / 1000, cuda % 1000 / 10);
    format!("{cuda} cudnn-{}.{}.{}", cudnn / 10_000, cudnn % 10_000 / 100, cudnn % 100)
}

/// Waits until the device has nothing to do.
pub fn wait() {
    tch::Cuda::synchronize(0);
}

/// Lets matrix products and convolutions on fp32 tensors use TF32, or keeps them from it.
///
/// # Errors
/// Where this libtorch has no such functions.
pub fn allow_tf32(allow: bool) -> Result<(), LoadError> {
    type Global = unsafe extern "C" fn() -> *mut c_void;
    type Set = unsafe extern "C" fn(*mut c_void, bool);
    let global = anywhere(c"_ZN2at13globalContextEv")?;
    let setters =
        [anywhere(c"_ZN2at7Context18setAllowTF32CuBLASEb")?, anywhere(c"_ZN2at7Context17setAllowTF32CuDNNEb")?];
    // SAFETY: the mangled name says that the function takes nothing; it gives a reference, which is a pointer.
    let global = unsafe { std::mem::transmute::<*mut c_void, Global>(global.as_ptr()) };
    for setter in setters {
        // SAFETY: the mangled names say that these are members of `at::Context` that take a `bool`; `this` comes first.
        let set = unsafe { std::mem::transmute::<*mut c_void, Set>(setter.as_ptr()) };
        // SAFETY: the context lives as long as the process.
        unsafe { set(global(), allow) };
    }
    Ok(())
}

/// The device's own instruments.
#[derive(Debug)]
pub struct Instruments {
    cupti: Result<Cupti, CuptiError>,
    nvml: Option<Nvml>,
}

/// What the device did in one run: sum of its work, from its first to its last moment (ns), pieces of work.
pub type OnDevice = [u64; 3];

impl Instruments {
    /// Opens what is there; what is not is said on standard error, since rows are without it.
    #[must_use]
    pub fn open() -> Self {
        let nvml = Nvml::open();
        if let Err(error) = &nvml {
            eprintln!("no energy, power and clocks: {error}");
        }
        let cupti = Cupti::open();
        if let Err(error) = &cupti {
            eprintln!("no times of kernels: {error}");
        }
        Self { cupti, nvml: nvml.ok() }
    }

    /// Memory of the device that nobody holds, in bytes.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        self.nvml.as_ref().and_then(Nvml::free_bytes)
    }

    /// Runs `run` so many times, and gives what the device did in each.
    ///
    /// # Errors
    /// Why kernels cannot be timed; what `run` gives.
    pub fn device_times<E>(
        &self,
        runs: u32,
        mut run: impl FnMut() -> Result<(), E>,
    ) -> Result<Result<Vec<OnDevice>, E>, String> {
        let cupti = self.cupti.as_ref().map_err(ToString::to_string)?;
        let said = |error: CuptiError| error.to_string();
        wait();
        cupti.start().map_err(said)?;
        cupti.look().map_err(said)?;
        let mut times = Vec::new();
        for _ in 0..runs {
            let ran = run();
            wait();
            if let Err(error) = ran {
                cupti.stop();
                return Ok(Err(error));
            }
            let time = cupti.look().map_err(said)?;
            times.push([time.sum_ns, time.span_ns, time.count]);
        }
        cupti.stop();
        if times.iter().all(|time| time[2] > 0) { Ok(Ok(times)) } else { Err("CUPTI recorded no kernel".to_owned()) }
    }

    /// Energy, power and clock over a loop of `run`, which waits for the device itself; `None` without NVML.
    ///
    /// The counter moves some tens of times a second, and asking for it takes milliseconds: another thread asks, so that the device
    /// has no pause. Counted are the energy between two moves of the counter, and the runs between them.
    ///
    /// # Errors
    /// What `run` gives.
    pub fn energy<E>(&self, mut run: impl FnMut() -> Result<(), E>) -> Result<Option<Energy>, E> {
        let Some(nvml) = &self.nvml else { return Ok(None) };
        let begun = Instant::now();
        let over = AtomicBool::new(false);
        let (ends, looks) = std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut looks = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let joules = nvml.energy_j();
                    let at = begun.elapsed().as_secs_f64();
                    looks.push(Look { at, joules, power_w: nvml.power_w(), sm_clock_mhz: nvml.sm_clock_mhz() });
                    std::thread::sleep(Duration::from_secs_f64(LOOK_S));
                }
                looks
            });
            let mut ends = Vec::new();
            let mut ran = Ok(());
            while ran.is_ok() && begun.elapsed().as_secs_f64() < LOOP_S {
                ran = run();
                ends.push(begun.elapsed().as_secs_f64());
            }
            over.store(true, Ordering::Relaxed);
            let looks = looking.join().unwrap_or_default();
            ran.map(|()| (ends, looks))
        })?;
        Ok(energy_of(&ends, &looks))
    }
}

/// What the instruments said at a moment, in seconds from the start of the loop.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: f64,
    joules: Option<f64>,
    power_w: Option<f64>,
    sm_clock_mhz: Option<u32>,
}

/// Energy of a run that ended at each of these moments, from looks at the counter: between its first move after the
/// warm-up and its last, the part of a run at either side counted as that part. Without a counter, the median power for so long.
fn energy_of(ends: &[f64], looks: &[Look]) -> Option<Energy> {
    let last_end = ends.last().copied()?;
    let warm: Vec<&Look> = looks.iter().filter(|look| look.at >= WARM_S && look.at <= last_end).collect();
    let mut moves = Vec::new();
    for pair in warm.windows(2) {
        if let [before, after] = pair
            && let (Some(was), Some(is)) = (before.joules, after.joules)
            && is > was
        {
            moves.push((after.at, is));
        }
    }
    let mut powers: Vec<f64> = warm.iter().filter_map(|look| look.power_w).collect();
    let mut clocks: Vec<u32> = warm.iter().filter_map(|look| look.sm_clock_mhz).collect();
    powers.sort_by(f64::total_cmp);
    clocks.sort_unstable();
    let (from, to, counted) = match (moves.first(), moves.last()) {
        (Some(&(from, first)), Some(&(to, last))) if to > from => (from, to, Some((last - first) / (to - from))),
        _ => (WARM_S, last_end, None),
    };
    let runs = runs_until(ends, to) - runs_until(ends, from);
    let power_w = counted.or_else(|| powers.get(powers.len() / 2).copied());
    Some(Energy {
        energy_j: power_w.filter(|_| runs > 0.0).map(|power| power * (to - from) / runs),
        power_w,
        sm_clock_mhz: clocks.get(clocks.len() / 2).copied(),
        runs: runs.round() as u64,
    })
}

/// Runs done at a moment, the open one by the part that is done.
fn runs_until(ends: &[f64], at: f64) -> f64 {
    let done = ends.partition_point(|&end| end <= at);
    let begun = done.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0.0);
    let part = ends.get(done).map_or(0.0, |&end| (at - begun) / (end - begun));
    done as f64 + part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_between_two_moves_of_the_counter() {
        // A run each 0.1 s; the counter moves by 20 J each 0.2 s, seen 0.05 s later: 100 W, 10 J a run.
        let ends: Vec<f64> = (1..=20).map(|run| f64::from(run) * 0.1).collect();
        let look = |step: i32| Look {
            at: f64::from(step) * 0.05,
            joules: Some(1000.0 + f64::from(step / 4) * 20.0),
            power_w: Some(90.0),
            sm_clock_mhz: Some(1980),
        };
        let looks: Vec<Look> = (0..40).map(look).collect();
        let energy = energy_of(&ends, &looks).expect("a loop");
        assert!((energy.power_w.expect("power") - 100.0).abs() < 1e-6, "{energy:?}");
        assert!((energy.energy_j.expect("energy") - 10.0).abs() < 1e-6, "{energy:?}");
        assert_eq!(energy.sm_clock_mhz, Some(1980));
        // Without a counter: 90 W for 0.1 s.
        let blind: Vec<Look> = looks.iter().map(|look| Look { joules: None, ..*look }).collect();
        let energy = energy_of(&ends, &blind).expect("a loop");
        assert!((energy.energy_j.expect("energy") - 9.0).abs() < 1e-6, "{energy:?}");
        assert_eq!(energy_of(&[], &looks), None);
    }

    #[test]
    fn runs_are_counted_in_parts() {
        let ends = [1.0, 2.0, 4.0];
        assert_eq!([0.5, 1.0, 3.0, 4.0, 9.0].map(|at| runs_until(&ends, at)), [0.5, 1.0, 2.5, 3.0, 3.0]);
    }
}
