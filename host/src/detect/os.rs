//! Operating-system calls of the detection: which CPUs this process may use, pinning a thread to one of
//! them, and a page-aligned buffer in large pages.
//!
//! **Source**: `sched_setaffinity(2)`, `sched_getaffinity(2)` and `madvise(2)` of the Linux manual pages.
//! On other systems pinning is refused with an error, since an unpinned bandwidth has no meaning per core.

use std::alloc::{Layout, alloc, dealloc};
use std::io;
use std::ptr::NonNull;

/// Alignment of a [`Buffer`], in bytes: one large page of x86-64 and (with 4 KiB granules) 64-bit Arm.
const ALIGNMENT_BYTES: usize = 2 << 20;

/// Numbers of the CPUs (hardware threads) this process may run on, ascending.
///
/// # Errors
/// The error of the system call; `Unsupported` outside Linux.
#[cfg(target_os = "linux")]
pub(super) fn available_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: `cpu_set_t` is a plain array of integers, for which all bits zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer and the size describe `set`, which outlives the call; pid 0 is this process.
    let status = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((0..8 * size_of::<libc::cpu_set_t>())
        // SAFETY: `cpu` is below the number of bits of `set`.
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

/// Binds the calling thread to one CPU.
///
/// # Errors
/// The error of the system call (for example a CPU outside the process's cpuset); `Unsupported` outside Linux.
#[cfg(target_os = "linux")]
pub(super) fn pin_current_thread(cpu: usize) -> io::Result<()> {
    if cpu >= 8 * size_of::<libc::cpu_set_t>() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: all bits zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is below the number of bits of `set`, checked above.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer and the size describe `set`, which outlives the call; pid 0 is this thread.
    let status = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Numbers of the CPUs this process may run on.
///
/// # Errors
/// Always `Unsupported`: only Linux is implemented.
#[cfg(not(target_os = "linux"))]
pub(super) fn available_cpus() -> io::Result<Vec<usize>> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Binds the calling thread to one CPU.
///
/// # Errors
/// Always `Unsupported`: only Linux is implemented.
#[cfg(not(target_os = "linux"))]
pub(super) fn pin_current_thread(_cpu: usize) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Memory of one worker thread: aligned to large pages, written once by the thread that allocates it, so
/// that its pages exist and lie on that thread's memory node.
#[derive(Debug)]
pub(super) struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
}

impl Buffer {
    /// Allocates `bytes` (rounded up to whole large pages) and fills them; `None` if memory is short.
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let size = bytes.max(1).checked_next_multiple_of(ALIGNMENT_BYTES)?;
        let layout = Layout::from_size_align(size, ALIGNMENT_BYTES).ok()?;
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) })?;
        #[cfg(target_os = "linux")]
        // SAFETY: the range is the allocation just made. A refusal only leaves small pages in place.
        unsafe {
            libc::madvise(start.as_ptr().cast(), size, libc::MADV_HUGEPAGE);
        }
        // SAFETY: the allocation has `size` bytes.
        unsafe { start.as_ptr().write_bytes(1, size) };
        Some(Self { start, layout })
    }

    /// First byte; valid for reads and writes of [`Buffer::len`] bytes, all of them initialised.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Size, in bytes.
    pub(super) fn len(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc` with this very layout and is freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_is_aligned_and_initialised() {
        let mut buffer = Buffer::new(5000).expect("2 MiB");
        assert_eq!(buffer.len(), 2 << 20);
        let start = buffer.as_mut_ptr();
        assert_eq!(start as usize % ALIGNMENT_BYTES, 0);
        // SAFETY: the last byte lies inside the buffer and is initialised.
        assert_eq!(unsafe { start.add((2 << 20) - 1).read() }, 1);
    }

    #[test]
    fn an_impossible_size_is_refused() {
        assert!(Buffer::new(usize::MAX).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pinned_thread_may_run_on_that_cpu_alone() {
        let cpu = available_cpus().expect("affinity")[0];
        let seen = std::thread::spawn(move || {
            pin_current_thread(cpu).expect("pin");
            available_cpus().expect("affinity")
        });
        assert_eq!(seen.join().expect("thread"), [cpu]);
        assert!(pin_current_thread(1 << 20).is_err());
    }
}
