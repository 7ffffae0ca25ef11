//! Memory in bytes: resident in this process, from `/proc/self/status` (Linux, proc(5)), and still to be had, from
//! `/proc/meminfo` and the control groups (versions 1 and 2, cgroups(7)). Where there is no such file: 0 resident, and no limit.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Bytes that may still be allocated: the least of the system's available memory and the room in each control group that this process
/// is in; `u64::MAX` where neither is told.
#[must_use]
pub fn available() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let number = |path: &Path| read(path)?.trim().parse::<u64>().ok();
    let system = read(Path::new("/proc/meminfo")).and_then(|text| kibibytes(&text, "MemAvailable:"));
    let groups = groups(&read(Path::new("/proc/self/cgroup")).unwrap_or_default());
    let rooms = groups.into_iter().filter_map(|(folder, version)| {
        let [limit, current, cache] = match version {
            Version::One => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
            Version::Two => ["memory.max", "memory.current", "inactive_file"],
        };
        let (limit, current) = number(&folder.join(limit)).zip(number(&folder.join(current)))?;
        Some(room(limit, current, cache, &read(&folder.join("memory.stat")).unwrap_or_default()))
    });
    system.into_iter().chain(rooms).min().unwrap_or(u64::MAX)
}

/// Version of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Folders of the control groups that may limit memory, from `/proc/self/cgroup`: the process's own and all that hold it, since each
/// limits all below it. Within a container the own path may be that outside; the outermost folder is then its own.
fn groups(text: &str) -> Vec<(PathBuf, Version)> {
    let mut all = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (root, version) = match controllers {
            "" => ("/sys/fs/cgroup", Version::Two),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", Version::One)
            }
            _ => continue,
        };
        let own: PathBuf = Path::new(root).join(path.trim_start_matches('/')).components().collect();
        all.extend(own.ancestors().take_while(|folder| folder.starts_with(root)).map(|it| (it.to_owned(), version)));
    }
    all
}

/// Bytes below the limit of a control group. Pages of files that nobody uses count as taken, and go when memory is needed.
fn room(limit: u64, current: u64, cache: &str, stat: &str) -> u64 {
    let cache = stat.lines().find_map(|line| line.strip_prefix(cache)?.strip_prefix(' ')?.trim().parse::<u64>().ok());
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
        let stat = "anon 300\nactive_file 50\ninactive_file 400\ntotal_inactive_file 500\n";
        let room = |limit, current, stat| room(limit, current, "inactive_file", stat);
        assert_eq!((room(1000, 800, stat), room(1000, 800, ""), room(1000, 1200, "")), (600, 200, 0));
        assert_eq!(super::room(1000, 800, "total_inactive_file", stat), 700);
    }

    #[test]
    fn groups_of_both_versions_and_those_that_hold_them_are_found() {
        let folders = |text: &str| -> Vec<(String, Version)> {
            groups(text).into_iter().map(|(folder, version)| (folder.display().to_string(), version)).collect()
        };
        let two = |path: &str| (path.to_owned(), Version::Two);
        let one = |path: &str| (path.to_owned(), Version::One);
        assert_eq!(
            folders("0::/user.slice/job"),
            [two("/sys/fs/cgroup/user.slice/job"), two("/sys/fs/cgroup/user.slice"), two("/sys/fs/cgroup")]
        );
        // Both at once, as hybrid systems have them.
        assert_eq!(
            folders("8:pids:/\n4:cpu,memory:/docker/ab\n0::/\nnonsense\n"),
            [
                one("/sys/fs/cgroup/memory/docker/ab"),
                one("/sys/fs/cgroup/memory/docker"),
                one("/sys/fs/cgroup/memory"),
                two("/sys/fs/cgroup"),
            ]
        );
        assert!(available() > 0);
    }
}
