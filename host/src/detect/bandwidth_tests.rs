//! Tests of the stream loops on small buffers.

use super::*;
use crate::detect::cpu::Isa;

#[test]
fn placements_move_and_stay_in_the_room() {
    // 0, 0.618, 0.236 (= 1.236 − 1) of 1000 pages.
    let pages: Vec<_> = (0..3).map(|round| placement(round, 1000 * 4096) / 4096).collect();
    assert_eq!(pages, [0, 618, 236]);
    assert_eq!(placement(1, 5000), 0);
    assert!((0..1000).all(|round| placement(round, 8192) <= 8192 && placement(round, 0) == 0));
}

/// Vectors that this CPU has, the portable loop among them.
fn vectors() -> Vec<SimdLevel> {
    let isa = Isa::of_this_cpu();
    let mut levels = vec![SimdLevel::Portable];
    levels.extend(isa.sse2.then_some(SimdLevel::Sse2));
    levels.extend(isa.avx2_fma.then_some(SimdLevel::Avx2Fma));
    levels.extend(isa.avx512f.then_some(SimdLevel::Avx512));
    levels
}

#[test]
fn every_copy_loop_copies_its_range_and_no_more() {
    for simd in vectors() {
        let mut buffer = Buffer::new(4096).expect("memory");
        let start = buffer.as_mut_ptr();
        // SAFETY: all offsets are below 4096, the smallest size of the buffer, and ranges do not overlap.
        unsafe {
            for offset in 0..1024 {
                start.add(offset).write((offset % 251) as u8);
            }
            copy(simd, start, start.add(2048), 1024);
            for offset in 0..1024 {
                assert_eq!(start.add(2048 + offset).read(), (offset % 251) as u8, "{simd:?} byte {offset}");
            }
            assert_eq!((start.add(2047).read(), start.add(3072).read()), (1, 1), "{simd:?}");
            read(simd, start, 1024);
        }
    }
}

#[test]
fn a_stream_counts_every_byte_once_and_stays_in_its_set() {
    for simd in vectors() {
        let mut buffer = Buffer::new(16 << 20).expect("memory");
        // 3 MiB: a run of 2 MiB ends inside the set, the next one wraps.
        let mut read = Stream::new(StreamKind::Read, simd, 3 << 20, 0);
        assert_eq!((read.run(&mut buffer), read.position), (2 << 20, 2 << 20));
        assert_eq!((read.run(&mut buffer), read.position), (2 << 20, 1 << 20));
        // 4 MiB copied in halves of 2 MiB, in two runs of 1 MiB loaded and 1 MiB stored.
        let start = buffer.as_mut_ptr();
        // SAFETY: the buffer has 16 MiB.
        unsafe {
            start.write_bytes(7, 2 << 20);
            start.add(4 << 20).write(9);
        }
        let mut copy = Stream::new(StreamKind::Copy, simd, 4 << 20, 0);
        assert_eq!((copy.run(&mut buffer), copy.position), (2 << 20, 1 << 20));
        assert_eq!((copy.run(&mut buffer), copy.position), (2 << 20, 2 << 20));
        // SAFETY: as above.
        let (last, beyond) = unsafe { (start.add((4 << 20) - 1).read(), start.add(4 << 20).read()) };
        assert_eq!((last, beyond), (7, 9), "{simd:?}");
    }
}
