//! Resident memory of this process, in bytes, from `/proc/self/status` (Linux, proc(5)); 0 where there is none.

use std::fs;

/// Bytes resident now (`VmRSS`).
#[must_use]
pub fn resident() -> u64 {
    status("VmRSS:")
}

/// Most bytes resident at any time since the start or the last [`forget_peak`] (`VmHWM`).
#[must_use]
pub fn peak() -> u64 {
    status("VmHWM:")
}

/// Sets the peak back to what is resident now; where the kernel does not allow it, the peak stays.
pub fn forget_peak() {
    // proc(5): writing 5 to clear_refs resets the peak resident set size. A failure leaves an upper bound.
    fs::write("/proc/self/clear_refs", "5").ok();
}

/// Bytes that may still be allocated: the least of the system's available memory and the room in the cgroup.
#[must_use]
pub fn available() -> u64 {
    let system = fs::read_to_string("/proc/meminfo").map_or(u64::MAX, |text| kibibytes(&text, "MemAvailable:"));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map_or(u64::MAX, |(limit, current)| limit.saturating_sub(current));
    system.min(group)
}

fn status(key: &str) -> u64 {
    fs::read_to_string("/proc/self/status").map_or(0, |text| kibibytes(&text, key))
}

fn kibibytes(text: &str, key: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_taken_shows() {
        // Tests beside this one free memory of the same process at any moment: one try of several must see the block.
        let seen = (0..20).any(|_| {
            let before = resident();
            let block = vec![1_u8; 64 << 20];
            let grown = resident() >= before + (60 << 20);
            drop(block);
            grown && peak() >= before + (60 << 20)
        });
        assert!(seen);
    }

    #[test]
    fn a_line_of_the_status_is_read_in_bytes() {
        assert_eq!(kibibytes("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n", "VmRSS:"), 12 * 1024);
    }
}
