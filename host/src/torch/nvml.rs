//! Power, energy and clocks of an NVIDIA device, through NVML.
//!
//! Source: NVML API reference, `nvml.h`: power in milliwatts, energy since the driver was loaded in millijoules, clocks in MHz; memory as
//! `nvmlMemory_t`, three 64-bit counts of bytes (total, free, used).

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

use super::dl::{Library, LoadError, function};

type Handle = *mut c_void;
type Init = unsafe extern "C" fn() -> c_int;
type ByIndex = unsafe extern "C" fn(c_uint, *mut Handle) -> c_int;
type ByUuid = unsafe extern "C" fn(*const c_char, *mut Handle) -> c_int;
type Power = unsafe extern "C" fn(Handle, *mut c_uint) -> c_int;
type TotalEnergy = unsafe extern "C" fn(Handle, *mut u64) -> c_int;
type Clock = unsafe extern "C" fn(Handle, c_uint, *mut c_uint) -> c_int;
type MemoryInfo = unsafe extern "C" fn(Handle, *mut Memory) -> c_int;

/// `NVML_CLOCK_SM`.
const SM: c_uint = 1;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

/// NVML, and the device that CUDA calls the first.
#[derive(Debug)]
pub(super) struct Nvml {
    device: Handle,
    power: Power,
    total_energy: TotalEnergy,
    clock: Clock,
    memory: MemoryInfo,
}

// SAFETY: NVML is thread-safe, as its reference says in "Feature Overview"; the handle is a name of the device, valid until NVML is shut
// down, which this program does not do.
unsafe impl Send for Nvml {}
// SAFETY: as above.
unsafe impl Sync for Nvml {}

/// Why NVML cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NvmlError {
    /// It is not there.
    #[error("NVML: {0}")]
    Load(#[from] LoadError),
    /// It refuses.
    #[error("NVML: {function} gave {code} (nvmlReturn_t)")]
    Refused {
        /// The function.
        function: &'static str,
        /// What it gave.
        code: i32,
    },
}

impl Nvml {
    /// Opens the library, and finds the device: the first, or the one that `CUDA_VISIBLE_DEVICES` begins with.
    ///
    /// # Errors
    /// The loader's words, or NVML's code.
    pub(super) fn open() -> Result<Self, NvmlError> {
        let library = Library::open(&["libnvidia-ml.so.1", "libnvidia-ml.so"])?;
        // SAFETY: the types are those of the functions in `nvml.h`; a device is a pointer, an enumeration a 32-bit integer.
        let (init, by_index, by_uuid, power, total_energy, clock, memory) = unsafe {
            (
                function!(library, c"nvmlInit_v2" as Init),
                function!(library, c"nvmlDeviceGetHandleByIndex_v2" as ByIndex),
                function!(library, c"nvmlDeviceGetHandleByUUID" as ByUuid),
                function!(library, c"nvmlDeviceGetPowerUsage" as Power),
                function!(library, c"nvmlDeviceGetTotalEnergyConsumption" as TotalEnergy),
                function!(library, c"nvmlDeviceGetClockInfo" as Clock),
                function!(library, c"nvmlDeviceGetMemoryInfo" as MemoryInfo),
            )
        };
        // SAFETY: takes nothing; may be called more than once.
        check("nvmlInit_v2", unsafe { init() })?;
        let mut device = null_mut();
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
        match first_visible(&visible) {
            Visible::Index(index) => {
                // SAFETY: `device` is a place for a handle.
                check("nvmlDeviceGetHandleByIndex_v2", unsafe { by_index(index, &raw mut device) })?;
            }
            Visible::Uuid(uuid) => {
                // SAFETY: a string ended by zero that outlives the call, and a place for a handle.
                check("nvmlDeviceGetHandleByUUID", unsafe { by_uuid(uuid.as_ptr(), &raw mut device) })?;
            }
        }
        Ok(Self { device, power, total_energy, clock, memory })
    }

    /// Power now, in watts: on recent devices the mean over the last second.
    pub(super) fn power_w(&self) -> Option<f64> {
        let mut milliwatts = 0;
        // SAFETY: the handle is NVML's, and the pointer to a place for the number.
        let status = unsafe { (self.power)(self.device, &raw mut milliwatts) };
        (status == 0).then(|| f64::from(milliwatts) / 1e3)
    }

    /// Energy since the driver was loaded, in joules; `None` where the device does not count it.
    pub(super) fn energy_j(&self) -> Option<f64> {
        let mut millijoules = 0_u64;
        // SAFETY: as above.
        let status = unsafe { (self.total_energy)(self.device, &raw mut millijoules) };
        (status == 0).then(|| millijoules as f64 / 1e3)
    }

    /// Clock of the multiprocessors now, in MHz.
    pub(super) fn sm_clock_mhz(&self) -> Option<u32> {
        let mut megahertz = 0;
        // SAFETY: as above; the kind of clock is of the header.
        let status = unsafe { (self.clock)(self.device, SM, &raw mut megahertz) };
        (status == 0).then_some(megahertz)
    }

    /// Memory of the device that nobody holds, in bytes.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let mut memory = Memory::default();
        // SAFETY: as above; the structure is laid out as the header's.
        let status = unsafe { (self.memory)(self.device, &raw mut memory) };
        (status == 0).then_some(memory.free)
    }
}

fn check(function: &'static str, code: c_int) -> Result<(), NvmlError> {
    if code == 0 { Ok(()) } else { Err(NvmlError::Refused { function, code }) }
}

#[derive(Debug, PartialEq, Eq)]
enum Visible {
    Index(u32),
    Uuid(CString),
}

/// The device that CUDA calls the first, from the value of `CUDA_VISIBLE_DEVICES`.
fn first_visible(value: &str) -> Visible {
    let first = value.split(',').next().unwrap_or_default().trim();
    match (first.parse(), CString::new(first)) {
        (Ok(index), _) => Visible::Index(index),
        (Err(_), Ok(uuid)) if first.starts_with("GPU-") || first.starts_with("MIG-") => Visible::Uuid(uuid),
        _ => Visible::Index(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_visible_device_is_a_number_or_an_identity() {
        assert_eq!(first_visible(""), Visible::Index(0));
        assert_eq!(first_visible("3,1"), Visible::Index(3));
        assert_eq!(first_visible("GPU-1a,0"), Visible::Uuid(c"GPU-1a".to_owned()));
        assert_eq!(first_visible("nonsense"), Visible::Index(0));
    }
}
