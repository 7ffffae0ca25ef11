//! Times of kernels as the device stamps them, in nanoseconds, through CUPTI's activity records.
//!
//! Source: NVIDIA CUPTI 13.0, `cupti_activity.h`: `CUpti_ActivityKernel10`, `CUpti_ActivityMemcpy6` and `CUpti_ActivityMemset4`, which
//! all begin with the kind (4 bytes), and hold `start` at byte 16 and `end` at byte 24, as they have since CUPTI 9 (`Kernel4`). Records
//! are packed to 8 bytes; a time of 0 is unknown.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use super::dl::{Library, LoadError, function};

/// Kinds of records: copies, fills, kernels that may run side by side.
const MEMCPY: u32 = 1;
const MEMSET: u32 = 2;
const CONCURRENT_KERNEL: u32 = 10;
const KINDS: [u32; 3] = [MEMCPY, MEMSET, CONCURRENT_KERNEL];

/// `CUPTI_ACTIVITY_FLAG_FLUSH_FORCED`.
const FORCED: u32 = 1;

/// Bytes of a buffer that CUPTI fills: some ten thousand records; and its alignment.
const BUFFER: Layout = match Layout::from_size_align(8 << 20, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

type Enable = unsafe extern "C" fn(u32) -> c_int;
type Flush = unsafe extern "C" fn(u32) -> c_int;
type Request = unsafe extern "C" fn(*mut *mut u8, *mut usize, *mut usize);
type Complete = unsafe extern "C" fn(*mut c_void, u32, *mut u8, usize, usize);
type Register = unsafe extern "C" fn(Request, Complete) -> c_int;
type NextRecord = unsafe extern "C" fn(*mut u8, usize, *mut *mut u8) -> c_int;

/// Start and end of each kernel, copy and fill since the last look.
static STAMPS: Mutex<Vec<Stamp>> = Mutex::new(Vec::new());

/// `cuptiActivityGetNextRecord`, for the callback.
static NEXT_RECORD: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Start and end of a piece of work on the device, in nanoseconds of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    start: u64,
    end: u64,
}

/// Work on the device between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DeviceTime {
    /// Sum of the times of all pieces of work, in nanoseconds.
    pub(super) sum_ns: u64,
    /// From the start of the first to the end of the last, in nanoseconds.
    pub(super) span_ns: u64,
    /// Pieces of work.
    pub(super) count: u64,
}

impl DeviceTime {
    fn of(stamps: &[Stamp]) -> Self {
        let known: Vec<&Stamp> = stamps.iter().filter(|stamp| stamp.end > stamp.start && stamp.start > 0).collect();
        let start = known.iter().map(|stamp| stamp.start).min().unwrap_or(0);
        let end = known.iter().map(|stamp| stamp.end).max().unwrap_or(0);
        Self {
            sum_ns: known.iter().fold(0, |sum, stamp| sum.saturating_add(stamp.end - stamp.start)),
            span_ns: end - start,
            count: known.len() as u64,
        }
    }
}

/// CUPTI, opened, its callbacks registered.
#[derive(Debug)]
pub(super) struct Cupti {
    enable: Enable,
    disable: Enable,
    flush: Flush,
}

impl Cupti {
    /// Opens the library and registers the callbacks; once in a process is enough.
    ///
    /// # Errors
    /// The loader's words, or CUPTI's code.
    pub(super) fn open() -> Result<Self, CuptiError> {
        let library = Library::open(&["libcupti.so.13", "libcupti.so.12", "libcupti.so"])?;
        // SAFETY: the types are those of the functions in `cupti_activity.h`: an enumeration is a 32-bit integer in C's ABI on Linux.
        let (enable, disable, flush, register) = unsafe {
            (
                function!(library, c"cuptiActivityEnable" as Enable),
                function!(library, c"cuptiActivityDisable" as Enable),
                function!(library, c"cuptiActivityFlushAll" as Flush),
                function!(library, c"cuptiActivityRegisterCallbacks" as Register),
            )
        };
        NEXT_RECORD.store(library.address(c"cuptiActivityGetNextRecord")?.as_ptr(), Ordering::Release);
        // SAFETY: both callbacks have the types of the header, live for ever, and do not unwind.
        let status = unsafe { register(request, complete) };
        check("cuptiActivityRegisterCallbacks", status)?;
        Ok(Self { enable, disable, flush })
    }

    /// Records work from here on.
    ///
    /// # Errors
    /// CUPTI's code, as where another profiler holds the device.
    pub(super) fn start(&self) -> Result<(), CuptiError> {
        for kind in KINDS {
            // SAFETY: the function is CUPTI's, and the kind one of its header.
            check("cuptiActivityEnable", unsafe { (self.enable)(kind) })?;
        }
        Ok(())
    }

    /// Records no work from here on.
    pub(super) fn stop(&self) {
        for kind in KINDS {
            // SAFETY: as in `start`. A refusal leaves records that nobody reads.
            unsafe { (self.disable)(kind) };
        }
    }

    /// What the device did since the last look. It must be idle: the caller has waited for it.
    ///
    /// # Errors
    /// CUPTI's code.
    pub(super) fn look(&self) -> Result<DeviceTime, CuptiError> {
        // SAFETY: the function is CUPTI's; the flag is of its header.
        check("cuptiActivityFlushAll", unsafe { (self.flush)(FORCED) })?;
        let mut stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
        let time = DeviceTime::of(&stamps);
        stamps.clear();
        Ok(time)
    }
}

/// Why CUPTI cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CuptiError {
    /// It is not there.
    #[error("CUPTI: {0}")]
    Load(#[from] LoadError),
    /// It refuses.
    #[error("CUPTI: {function} gave {code} (CUptiResult)")]
    Refused {
        /// The function.
        function: &'static str,
        /// What it gave.
        code: i32,
    },
}

fn check(function: &'static str, code: c_int) -> Result<(), CuptiError> {
    if code == 0 { Ok(()) } else { Err(CuptiError::Refused { function, code }) }
}

/// CUPTI wants an empty buffer.
///
/// # Safety
/// Only CUPTI calls it, with three pointers that it may write to.
unsafe extern "C" fn request(buffer: *mut *mut u8, size: *mut usize, most_records: *mut usize) {
    // SAFETY: the layout's size is not zero. Null, where memory is short, makes CUPTI drop records.
    let memory = unsafe { alloc(BUFFER) };
    // SAFETY: CUPTI's pointers, as the caller promises.
    unsafe {
        *buffer = memory;
        *size = if memory.is_null() { 0 } else { BUFFER.size() };
        *most_records = 0;
    }
}

/// CUPTI gives a buffer back with records in its first `valid` bytes.
///
/// # Safety
/// Only CUPTI calls it, with a buffer that [`request`] gave it.
unsafe extern "C" fn complete(_context: *mut c_void, _stream: u32, buffer: *mut u8, _size: usize, valid: usize) {
    if buffer.is_null() {
        return;
    }
    let next = NEXT_RECORD.load(Ordering::Acquire);
    if !next.is_null() {
        // SAFETY: the address is that of `cuptiActivityGetNextRecord`, whose type this is in `cupti_activity.h`.
        let next: NextRecord = unsafe { std::mem::transmute::<*mut c_void, NextRecord>(next) };
        let mut stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record: *mut u8 = null_mut();
        // SAFETY: CUPTI's own buffer and the number of its valid bytes; `record` is null first, then the record before.
        while unsafe { next(buffer, valid, &raw mut record) } == 0 && !record.is_null() {
            // SAFETY: a record begins with its kind, 4 bytes, and is aligned to 8.
            let kind = unsafe { record.cast::<u32>().read() };
            if KINDS.contains(&kind) {
                // SAFETY: records of these kinds hold two times of 8 bytes at bytes 16 and 24, see above.
                let (start, end) = unsafe {
                    (record.add(16).cast::<u64>().read_unaligned(), record.add(24).cast::<u64>().read_unaligned())
                };
                stamps.push(Stamp { start, end });
            }
        }
    }
    // SAFETY: the buffer is of `alloc` with this layout, and CUPTI does not use it any more.
    unsafe { dealloc(buffer, BUFFER) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_the_span_holds_the_gaps() {
        let stamp = |start, end| Stamp { start, end };
        // 10 + 20 + 5 of work, 50 from the first to the last; one record without times.
        let stamps = [stamp(120, 140), stamp(100, 110), stamp(145, 150), stamp(0, 0)];
        assert_eq!(DeviceTime::of(&stamps), DeviceTime { sum_ns: 35, span_ns: 50, count: 3 });
        assert_eq!(DeviceTime::of(&[]), DeviceTime::default());
    }

    /// The callbacks with a reader of records in CUPTI's place.
    #[test]
    fn records_of_a_buffer_are_read_and_the_buffer_is_freed() {
        /// Records of 32 bytes, one after the other.
        unsafe extern "C" fn next(buffer: *mut u8, valid: usize, record: *mut *mut u8) -> c_int {
            // SAFETY: the test's own buffer and pointer.
            unsafe {
                let offset = if (*record).is_null() { 0 } else { (*record).offset_from(buffer) as usize + 32 };
                if offset + 32 > valid {
                    return 12;
                }
                *record = buffer.add(offset);
            }
            0
        }
        let (mut buffer, mut size, mut most) = (null_mut(), 0, 1);
        // SAFETY: three places to write to.
        unsafe { request(&raw mut buffer, &raw mut size, &raw mut most) };
        assert!(!buffer.is_null() && size == BUFFER.size() && most == 0);
        // A kernel, a record of another kind, a copy.
        for (position, (kind, start, end)) in
            [(CONCURRENT_KERNEL, 100, 130), (5, 1, 9), (MEMCPY, 140, 150)].iter().enumerate()
        {
            // SAFETY: within the buffer, aligned.
            unsafe {
                let record = buffer.add(32 * position);
                record.cast::<u32>().write(*kind);
                record.add(16).cast::<u64>().write(*start);
                record.add(24).cast::<u64>().write(*end);
            }
        }
        NEXT_RECORD.store(next as *mut c_void, Ordering::Release);
        // SAFETY: the buffer is of `request`.
        unsafe { complete(null_mut(), 0, buffer, size, 96) };
        let mut stamps = STAMPS.lock().expect("the test is alone");
        assert_eq!(DeviceTime::of(&stamps), DeviceTime { sum_ns: 40, span_ns: 50, count: 2 });
        stamps.clear();
    }
}
