//! Memory in bytes: resident in this process, from `/proc/self/status` (Linux, proc(5)), and still to be had, from
//! `/proc/meminfo` and the control group (version 2). Where there is no such file: 0 resident, and no limit.

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

/// Bytes that may still be allocated: the least of the system's available memory and the room in the cgroup; `u64::MAX` where
/// neither is told.
#[must_use]
pub fn available() -> u64 {
    let read = |path: &str| fs::read_to_string(path).ok();
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let system = read("/proc/meminfo").and_then(|text| kibibytes(&text, "MemAvailable:"));
    let limit = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    let group =
        limit.map(|(limit, current)| room(limit, current, &read("/sys/fs/cgroup/memory.stat").unwrap_or_default()));
    system.into_iter().chain(group).min().unwrap_or(u64::MAX)
}

/// Bytes below the limit of a control group. Pages of files that nobody uses count as taken, and go when memory is needed.
fn room(limit: u64, current: u64, stat: &str) -> u64 {
    let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok());
    limit.saturating_sub(current.saturating_sub(cache.unwrap_or(0)))
}

fn status(key: &str) -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| kibibytes(&text, key)).unwrap_or(0)
}

/// The number behind a key, in bytes; `None` where the key is missing.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
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
        let text = "VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n";
        assert_eq!((kibibytes(text, "VmRSS:"), kibibytes(text, "VmHWM:")), (Some(12 * 1024), None));
    }

    #[test]
    fn the_page_cache_of_a_control_group_is_room() {
        let stat = "anon 300\nactive_file 50\ninactive_file 400\n";
        assert_eq!((room(1000, 800, stat), room(1000, 800, ""), room(1000, 1200, "")), (600, 200, 0));
    }
}
