//! Bandwidth of each cache level and of memory, in bytes per second: the read and copy loops that stream through the
//! working sets of [`super::working_set`].
//!
//! A read counts the bytes loaded; a copy counts the bytes loaded plus the bytes stored, not the line that a store
//! first fetches (as in the STREAM benchmark, where a copy of n bytes moves 2 n). Every thread has a buffer of its own,
//! so threads compete for a shared level and never share a line. Loops use the widest vectors and are assembly on
//! x86-64; what surrounds them still costs a build without optimisation about 15 % in the first-level cache.

use super::cpu::SimdLevel;
use super::os::Buffer;
use super::sampling::Work;
use super::working_set::GRANULE_BYTES;

/// Traffic between two looks at the time: 2 to 200 µs at 1 TB/s to 10 GB/s.
const BYTES_PER_RUN: usize = 2 << 20;

/// What a stream does with its working set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    /// Loads it all.
    Read,
    /// Copies one half to the other.
    Copy,
}

/// Repeated stream through `set_bytes` of the buffer; its unit of work is one byte moved.
///
/// Where the set lies in the buffer changes with `round`: which physical pages a set has decides how well a cache holds
/// it, by a factor of 1.6 in one second-level cache, and one placement for all samples would measure its own luck.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    kind: StreamKind,
    simd: SimdLevel,
    set_bytes: u64,
    round: usize,
    /// Where the next slice starts, as an offset into the set (of a copy: into its source half).
    position: usize,
}

impl Stream {
    /// A stream with the vectors `simd`, which must be those of this CPU.
    pub(super) fn new(kind: StreamKind, simd: SimdLevel, set_bytes: u64, round: usize) -> Self {
        Self { kind, simd, set_bytes, round, position: 0 }
    }

    /// Kernel and instruction set, for the `method` text.
    pub(super) fn method(kind: StreamKind, simd: SimdLevel) -> String {
        let vectors = match simd {
            SimdLevel::Avx512 => "512-bit loads",
            SimdLevel::Avx2Fma => "256-bit loads",
            SimdLevel::Sse2 => "128-bit loads",
            SimdLevel::Portable => "compiled loop",
        };
        match kind {
            StreamKind::Read => format!("read stream, {vectors}"),
            StreamKind::Copy => format!("copy stream, {vectors} and ordinary stores, loads + stores counted"),
        }
    }
}

impl Work for Stream {
    fn run(&mut self, buffer: &mut Buffer) -> u64 {
        let set = usize::try_from(self.set_bytes).unwrap_or(usize::MAX).min(buffer.len());
        let place = placement(self.round, buffer.len() - set);
        // SAFETY: the placement is at most the buffer's length less the set's.
        let start = unsafe { buffer.as_mut_ptr().add(place) };
        // A copy moves each byte of its half twice, out and in, so the whole set either way.
        let half = match self.kind {
            StreamKind::Read => set,
            StreamKind::Copy => set / 2 / TURN_BYTES * TURN_BYTES,
        };
        let traffic_per_byte = if self.kind == StreamKind::Copy { 2 } else { 1 };
        let mut moved = 0;
        while moved < BYTES_PER_RUN {
            if self.position >= half {
                self.position = 0;
            }
            let slice = (half - self.position).min((BYTES_PER_RUN - moved) / traffic_per_byte).max(TURN_BYTES);
            let slice = slice / TURN_BYTES * TURN_BYTES;
            // SAFETY: position and slice are whole turns and end inside `half`, which lies inside the set and so inside the
            // buffer; for a copy the second half begins at `half` and has as many bytes, so the two ranges do not overlap.
            // The vectors are those of this CPU by the contract of `new`.
            unsafe {
                let from = start.add(self.position);
                match self.kind {
                    StreamKind::Read => read(self.simd, from, slice),
                    StreamKind::Copy => copy(self.simd, from, from.add(half), slice),
                }
            }
            self.position += slice;
            moved += slice * traffic_per_byte;
        }
        moved as u64
    }
}

/// Offset of a set in the buffer, a multiple of a page up to `room`: multiples of the golden ratio, modulo 1, spread
/// evenly over the room after any number of rounds.
fn placement(round: usize, room: usize) -> usize {
    let fraction = (round as f64 * 0.618_033_988_75).fract();
    let page = GRANULE_BYTES as usize;
    ((fraction * room as f64) as usize).min(room) / page * page
}

/// Bytes of one turn of the loops, whatever the vectors.
const TURN_BYTES: usize = 512;

/// Defines a loop over `n_turns` turns of 512 bytes from `from` (and to `to`), `i` being the vector's number.
#[cfg(target_arch = "x86_64")]
macro_rules! stream_loop {
    ($(#[$doc:meta])* $name:ident, $turn_bytes:literal, $vectors:literal, [$($line:expr),*], $($end:literal)?) => {
        $(#[$doc])*
        unsafe fn $name(from: *const u8, to: *mut u8, bytes: usize) {
            // SAFETY: the caller vouches for the ranges and the instruction set; all vector registers are declared
            // clobbered and the stack is not touched.
            unsafe {
                core::arch::asm!(
                    "2:",
                    $(concat!(".irp i,", $vectors), $line, ".endr",)*
                    concat!("add rsi, ", $turn_bytes),
                    concat!("add rdi, ", $turn_bytes),
                    "dec rcx",
                    "jnz 2b",
                    $($end,)?
                    inout("rsi") from => _,
                    inout("rdi") to => _,
                    inout("rcx") (bytes / $turn_bytes).max(1) => _,
                    clobber_abi("C"),
                    options(nostack),
                );
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
stream_loop!(
    /// Sums `bytes` bytes in 64-byte vectors.
    read_avx512, 512, "0,1,2,3,4,5,6,7", ["vpaddq zmm\\i, zmm\\i, [rsi + 64*\\i]"], "vzeroupper"
);
#[cfg(target_arch = "x86_64")]
stream_loop!(
    /// Copies `bytes` bytes in 64-byte vectors.
    copy_avx512, 512, "0,1,2,3,4,5,6,7",
    ["vmovdqu64 zmm\\i, [rsi + 64*\\i]", "vmovdqu64 [rdi + 64*\\i], zmm\\i"], "vzeroupper"
);
#[cfg(target_arch = "x86_64")]
stream_loop!(
    /// Sums `bytes` bytes in 32-byte vectors.
    read_avx2, 256, "0,1,2,3,4,5,6,7", ["vpaddq ymm\\i, ymm\\i, [rsi + 32*\\i]"], "vzeroupper"
);
#[cfg(target_arch = "x86_64")]
stream_loop!(
    /// Copies `bytes` bytes in 32-byte vectors.
    copy_avx2, 256, "0,1,2,3,4,5,6,7",
    ["vmovdqu ymm\\i, [rsi + 32*\\i]", "vmovdqu [rdi + 32*\\i], ymm\\i"], "vzeroupper"
);
#[cfg(target_arch = "x86_64")]
stream_loop!(
    /// Sums `bytes` bytes in 16-byte vectors; `from` is aligned to 16 bytes.
    read_sse2, 128, "0,1,2,3,4,5,6,7", ["paddq xmm\\i, [rsi + 16*\\i]"],
);
#[cfg(target_arch = "x86_64")]
stream_loop!(
    /// Copies `bytes` bytes in 16-byte vectors; both ends are aligned to 16 bytes.
    copy_sse2, 128, "0,1,2,3,4,5,6,7", ["movdqa xmm\\i, [rsi + 16*\\i]", "movdqa [rdi + 16*\\i], xmm\\i"],
);

/// Loads `bytes` bytes, whole turns, from `from`.
///
/// # Safety
/// The range is readable, initialised and aligned to 16 bytes; the CPU has the vectors `simd`.
unsafe fn read(simd: SimdLevel, from: *const u8, bytes: usize) {
    // SAFETY: the caller's contract is that of each loop; a read leaves `to` alone.
    unsafe {
        match simd {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 => read_avx512(from, std::ptr::null_mut(), bytes),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2Fma => read_avx2(from, std::ptr::null_mut(), bytes),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Sse2 => read_sse2(from, std::ptr::null_mut(), bytes),
            _ => {
                let words = std::slice::from_raw_parts(from.cast::<u64>(), bytes / size_of::<u64>());
                let mut sums = [0_u64; 16];
                for turn in words.chunks_exact(16) {
                    for (sum, word) in sums.iter_mut().zip(turn) {
                        *sum = sum.wrapping_add(*word);
                    }
                }
                std::hint::black_box(sums);
            }
        }
    }
}

/// Copies `bytes` bytes, whole turns, from `from` to `to`.
///
/// # Safety
/// Both ranges are valid, initialised, apart from each other and aligned to 16 bytes; the CPU has the vectors `simd`.
unsafe fn copy(simd: SimdLevel, from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's contract is that of each loop.
    unsafe {
        match simd {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 => copy_avx512(from, to, bytes),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2Fma => copy_avx2(from, to, bytes),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Sse2 => copy_sse2(from, to, bytes),
            _ => {
                std::ptr::copy_nonoverlapping(from, to, bytes);
                std::hint::black_box(to);
            }
        }
    }
}

#[cfg(test)]
#[path = "bandwidth_tests.rs"]
mod tests;
