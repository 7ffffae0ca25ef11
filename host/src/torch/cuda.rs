//! libtorch on the first CUDA device: its libraries opened when they are asked for, waiting for the device, TF32, energy of a loop.
//!
//! Source: PyTorch 2.11, `aten/src/ATen/Context.h`: `at::globalContext()`, `Context::setAllowTF32CuBLAS(bool)`,
//! `Context::setAllowTF32CuDNN(bool)`; by default convolutions may use TF32 and matrix products may not. Names are mangled as the
//! Itanium C++ ABI does, in which `this` is the first argument.

use std::ffi::{OsString, c_void};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cupti::{Cupti, CuptiError};
use super::dl::{Library, LoadError, anywhere};
use super::nvml::Nvml;
use crate::sweep::models::row::Energy;

/// Seconds of a loop whose energy is read, at least.
const LOOP_S: f64 = 1.0;
/// Seconds between two looks at the energy counter.
const LOOK_S: f64 = 0.005;
/// Seconds that the counter may take to move before the loop is timed anyway.
const EDGE_S: f64 = 1.0;

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
        match times.iter().all(|time| time[2] > 0) {
            true => Ok(Ok(times)),
            false => Err("CUPTI recorded no kernel".to_owned()),
        }
    }

    /// Energy, power and clock over a loop of `run`, which waits for the device itself; `None` without NVML.
    ///
    /// The counter moves some tens of times a second. The loop is timed from one move to another, at least a second later, and runs
    /// on between, so that no idle time is in it.
    ///
    /// # Errors
    /// What `run` gives.
    pub fn energy<E>(&self, mut run: impl FnMut() -> Result<(), E>) -> Result<Option<Energy>, E> {
        let Some(nvml) = &self.nvml else { return Ok(None) };
        let begun = Instant::now();
        let (mut looked, mut seen) = (begun, nvml.energy_j());
        let mut start: Option<(Instant, f64)> = None;
        let (mut runs, mut powers, mut clocks) = (0_u64, Vec::new(), Vec::new());
        let timed = |since: Instant| since.elapsed().as_secs_f64();
        loop {
            run()?;
            if start.is_some() {
                runs += 1;
            }
            if looked.elapsed() < Duration::from_secs_f64(LOOK_S) {
                continue;
            }
            looked = Instant::now();
            let now = nvml.energy_j();
            if let Some((since, first)) = start {
                powers.extend(nvml.power_w());
                clocks.extend(nvml.sm_clock_mhz());
                let moved = now != seen;
                if timed(since) >= LOOP_S && (moved || timed(since) >= LOOP_S + EDGE_S) {
                    let joules = now.map(|now| now - first).filter(|joules| *joules > 0.0);
                    let seconds = timed(since);
                    powers.sort_by(f64::total_cmp);
                    clocks.sort_unstable();
                    let middle = powers.get(powers.len() / 2).copied();
                    let power_w = joules.map(|joules| joules / seconds).or(middle);
                    return Ok(Some(Energy {
                        energy_j: power_w.map(|power| power * seconds / runs as f64),
                        power_w,
                        sm_clock_mhz: clocks.get(clocks.len() / 2).copied(),
                        runs,
                    }));
                }
            } else if now != seen || timed(begun) >= EDGE_S {
                start = Some((looked, now.unwrap_or(0.0)));
            }
            seen = now;
        }
    }
}
