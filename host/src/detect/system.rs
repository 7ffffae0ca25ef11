//! What surrounds the CPU: memory size and its limits, kernel, clock governor, processor quota, power limit.
//!
//! **Source**: `/proc/meminfo`; control groups version 2 (`Documentation/admin-guide/cgroup-v2.rst`) and version 1; the
//! cpufreq and powercap folders of sysfs. What is absent or unreadable is `None`, never a guess. Sizes in bytes.

use std::path::{Path, PathBuf};

use super::topology::{parse_size, read_text};

/// Version 1 writes "no limit" as the largest multiple of a page; anything from here on is no limit.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// Memory of the machine and of this process's control group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Memory of the machine, in bytes (`MemTotal`).
    pub total_bytes: Option<u64>,
    /// Memory that can be had without swapping, in bytes (`MemAvailable`), when it was read.
    pub available_bytes: Option<u64>,
    /// Smallest control-group limit on this process, in bytes; `None` if there is none.
    pub limit_bytes: Option<u64>,
}

impl Memory {
    /// Memory this process can count on, in bytes: the smaller of what is available and the limit.
    #[must_use]
    pub fn usable_bytes(&self) -> Option<u64> {
        let available = self.available_bytes.or(self.total_bytes);
        [available, self.limit_bytes].into_iter().flatten().min()
    }

    pub(super) fn read(root: &Path) -> Self {
        let meminfo = read_text(&root.join("proc/meminfo")).unwrap_or_default();
        let field = |key: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            parse_size(&line.trim().replace(" kB", "K"))
        };
        let limits = cgroup_folders(root, "memory").into_iter().filter_map(|folder| {
            let text =
                read_text(&folder.join("memory.max")).or_else(|| read_text(&folder.join("memory.limit_in_bytes")))?;
            text.parse().ok().filter(|&limit: &u64| limit < NO_LIMIT_BYTES)
        });
        Self { total_bytes: field("MemTotal"), available_bytes: field("MemAvailable"), limit_bytes: limits.min() }
    }
}

/// Kernel and limits that shape what a measurement can reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Environment {
    /// Kernel release, for example `6.12.5`.
    pub kernel: Option<String>,
    /// Clock governor of the first available CPU, for example `performance`; virtual machines rarely show it.
    pub governor: Option<String>,
    /// Processor time the control group allows, in CPUs (1.5 = one and a half); `None` if unlimited.
    pub cpu_quota_cpus: Option<f64>,
    /// Long-term package power limit (RAPL constraint 0, summed over packages), in watts.
    pub power_limit_watts: Option<f64>,
    /// Highest clock the kernel's frequency driver names for the first available CPU, in Hz.
    pub max_clock_hz: Option<f64>,
}

impl Environment {
    pub(super) fn read(root: &Path, first_cpu: usize) -> Self {
        let cpufreq = root.join(format!("sys/devices/system/cpu/cpu{first_cpu}/cpufreq"));
        let max_khz = read_text(&cpufreq.join("cpuinfo_max_freq")).and_then(|khz| khz.parse::<f64>().ok());
        Self {
            kernel: read_text(&root.join("proc/sys/kernel/osrelease")),
            governor: read_text(&cpufreq.join("scaling_governor")),
            cpu_quota_cpus: cpu_quota(root),
            power_limit_watts: power_limit(root),
            max_clock_hz: max_khz.filter(|&khz| khz > 0.0).map(|khz| khz * 1e3),
        }
    }
}

/// Smallest quota along the control groups, in CPUs: quota over period, both in µs.
fn cpu_quota(root: &Path) -> Option<f64> {
    let quotas = cgroup_folders(root, "cpu").into_iter().filter_map(|folder| {
        let (quota, period) = match read_text(&folder.join("cpu.max")) {
            // Version 2: `max 100000` or `150000 100000`.
            Some(text) => {
                let (quota, period) = text.split_once(' ')?;
                (quota.to_owned(), period.to_owned())
            }
            // Version 1: -1 means no quota.
            None => (read_text(&folder.join("cpu.cfs_quota_us"))?, read_text(&folder.join("cpu.cfs_period_us"))?),
        };
        let (quota, period): (f64, f64) = (quota.parse().ok()?, period.trim().parse().ok()?);
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    });
    quotas.min_by(f64::total_cmp)
}

/// Sum of the packages' long-term limits, in watts; `None` unless every package's can be read.
fn power_limit(root: &Path) -> Option<f64> {
    let packages: Vec<PathBuf> = std::fs::read_dir(root.join("sys/class/powercap"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| read_text(&path.join("name")).is_some_and(|name| name.starts_with("package-")))
        // The same packages appear again under the memory-mapped interface.
        .filter(|path| !path.to_string_lossy().contains("mmio"))
        .collect();
    let limit = |path: &PathBuf| read_text(&path.join("constraint_0_power_limit_uw"))?.parse::<f64>().ok();
    let micro_watts: f64 = packages.iter().map(limit).sum::<Option<f64>>()?;
    (micro_watts > 0.0).then_some(micro_watts * 1e-6)
}

/// Folders of this process's control group for `controller` and of all its ancestors, version 2 and version 1. In a
/// container the path may not exist below the mount; then the mount itself is the group.
fn cgroup_folders(root: &Path, controller: &str) -> Vec<PathBuf> {
    let text = read_text(&root.join("proc/self/cgroup")).unwrap_or_default();
    let mount = root.join("sys/fs/cgroup");
    let mut folders = vec![mount.clone(), mount.join(controller)];
    for line in text.lines() {
        // `0::/path` (version 2) or `4:memory:/path` or `3:cpu,cpuacct:/path` (version 1).
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let bases = if controllers.is_empty() {
            vec![mount.clone(), mount.join("unified")]
        } else if controllers.split(',').any(|name| name == controller) {
            vec![mount.join(controllers), mount.join(controller)]
        } else {
            continue;
        };
        for base in bases {
            let mut folder = base;
            for step in path.split('/').filter(|step| !step.is_empty() && *step != "..") {
                folder = folder.join(step);
                folders.push(folder.clone());
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn root_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("folders");
            fs::write(path, text).expect("file");
        }
        root
    }

    #[test]
    fn version_2_limits_count_along_all_ancestors() {
        let root = root_with(&[
            ("proc/meminfo", "MemTotal:       8000 kB\nMemAvailable:   6000 kB\n"),
            ("proc/self/cgroup", "0::/outer/inner\n"),
            ("sys/fs/cgroup/outer/memory.max", "2048000\n"),
            ("sys/fs/cgroup/outer/inner/memory.max", "max\n"),
            ("sys/fs/cgroup/outer/inner/cpu.max", "150000 100000\n"),
        ]);
        let memory = Memory::read(root.path());
        // 8000 · 1024 and 6000 · 1024.
        assert_eq!(memory.total_bytes, Some(8_192_000));
        assert_eq!(memory.available_bytes, Some(6_144_000));
        assert_eq!(memory.limit_bytes, Some(2_048_000));
        assert_eq!(memory.usable_bytes(), Some(2_048_000));
        assert_eq!(Environment::read(root.path(), 0).cpu_quota_cpus, Some(1.5));
    }

    #[test]
    fn version_1_without_a_limit_and_with_one() {
        let unlimited = "9223372036854771712\n";
        let root = root_with(&[
            ("proc/self/cgroup", "4:memory:/box\n1:cpu,cpuacct:/box\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", unlimited),
            ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", unlimited),
            ("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(Memory::read(root.path()), Memory::default());
        assert_eq!(Environment::read(root.path(), 0), Environment::default());
        let limited = root.path().join("sys/fs/cgroup/memory/box/memory.limit_in_bytes");
        fs::write(limited, "1073741824\n").expect("file");
        assert_eq!(Memory::read(root.path()).usable_bytes(), Some(1 << 30));
    }

    #[test]
    fn power_governor_and_clock() {
        let root = root_with(&[
            ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
            ("sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw", "125000000\n"),
            ("sys/class/powercap/intel-rapl:1/name", "package-1\n"),
            ("sys/class/powercap/intel-rapl:1/constraint_0_power_limit_uw", "125000000\n"),
            ("sys/class/powercap/intel-rapl:0:0/name", "core\n"),
            ("sys/class/powercap/intel-rapl-mmio:0/name", "package-0\n"),
            ("sys/class/powercap/intel-rapl-mmio:0/constraint_0_power_limit_uw", "28000000\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/cpuinfo_max_freq", "4900000\n"),
            ("proc/sys/kernel/osrelease", "6.12.5\n"),
        ]);
        let got = Environment::read(root.path(), 2);
        assert_eq!(got.power_limit_watts, Some(250.0));
        assert_eq!(got.governor.as_deref(), Some("powersave"));
        assert_eq!(got.max_clock_hz, Some(4.9e9));
        assert_eq!(got.kernel.as_deref(), Some("6.12.5"));
        fs::remove_file(root.path().join("sys/class/powercap/intel-rapl:1/constraint_0_power_limit_uw"))
            .expect("remove");
        assert_eq!(Environment::read(root.path(), 2).power_limit_watts, None);
    }

    #[test]
    fn an_empty_root_gives_nothing() {
        let root = root_with(&[]);
        assert_eq!(Memory::read(root.path()).usable_bytes(), None);
        assert_eq!(Environment::read(root.path(), 0), Environment::default());
    }
}
