//! Cores, hardware threads and caches that this process may use: which CPUs share a core, and size, line and sharing
//! of each cache.
//!
//! **Source**: `/sys/devices/system/cpu/cpu*/{topology,cache}` as described in the Linux kernel's
//! `Documentation/ABI/stable/sysfs-devices-system-cpu`; where the cache folder is missing (some hypervisors and
//! containers), CPUID leaf 4 (Intel) or 0x8000001D (AMD). Every function takes the folder that stands for `/`.

use std::collections::BTreeMap;
use std::path::Path;

/// Highest CPU number accepted in a list, a guard against absurd ranges (Linux allows 8192 CPUs at most).
const MAX_CPU: usize = 65_535;

/// Cores and hardware threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// CPUs (hardware threads) available to this process, ascending.
    pub cpus: Vec<usize>,
    /// Physical cores, each with its available CPUs; ordered by their first CPU. On a virtual machine these are
    /// the cores that the hypervisor shows.
    pub cores: Vec<Vec<usize>>,
    /// Whether any core has more than one hardware thread, available to this process or not.
    pub smt: bool,
    /// Available CPUs that are efficiency cores of a hybrid CPU; empty on a uniform one.
    pub efficiency_cpus: Vec<usize>,
}

/// What a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheKind {
    /// Data only.
    Data,
    /// Instructions only.
    Instruction,
    /// Both.
    Unified,
}

/// One cache, as one or more CPUs share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Level: 1 is nearest the core.
    pub level: u8,
    /// What it holds.
    pub kind: CacheKind,
    /// Capacity, in bytes.
    pub size_bytes: u64,
    /// Line size, in bytes, where known.
    pub line_bytes: Option<u32>,
    /// All CPUs that share it, also those not available to this process.
    pub shared_by_cpus: Vec<usize>,
}

impl Cache {
    /// Whether loads and stores go through it.
    #[must_use]
    pub fn holds_data(&self) -> bool {
        self.kind != CacheKind::Instruction
    }
}

impl Topology {
    /// Groups `cpus` into cores; a CPU about which sysfs says nothing counts as a core of its own.
    pub(super) fn read(root: &Path, cpus: &[usize]) -> Self {
        let mut cores: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut smt = false;
        for &cpu in cpus {
            let folder = cpu_folder(root, cpu).join("topology");
            let siblings = ["core_cpus_list", "thread_siblings_list"]
                .iter()
                .find_map(|name| parse_cpu_list(&read_text(&folder.join(name))?))
                .filter(|list| list.contains(&cpu))
                .unwrap_or_else(|| vec![cpu]);
            smt |= siblings.len() > 1;
            cores.entry(siblings.first().copied().unwrap_or(cpu)).or_default().push(cpu);
        }
        // Intel's hybrid CPUs register one performance-monitoring unit for each kind of core.
        let efficiency_cpus = read_text(&root.join("sys/devices/cpu_atom/cpus"))
            .and_then(|text| parse_cpu_list(&text))
            .unwrap_or_default()
            .into_iter()
            .filter(|cpu| cpus.contains(cpu))
            .collect();
        let mut cores: Vec<Vec<usize>> = cores.into_values().collect();
        cores.sort_by_key(|core| core.first().copied());
        Self { cpus: cpus.to_vec(), cores, smt, efficiency_cpus }
    }

    /// First available CPU of each core: where one thread per core is pinned.
    pub(super) fn first_cpus(&self) -> Vec<usize> {
        self.cores.iter().filter_map(|core| core.first().copied()).collect()
    }
}

/// Caches of `cpus`, each instance once, ordered by level, kind and first CPU. Entries that cannot be read are left
/// out, with a line in `notes` that names file and value.
pub(super) fn read_caches(root: &Path, cpus: &[usize], notes: &mut Vec<String>) -> Vec<Cache> {
    let mut caches: Vec<Cache> = Vec::new();
    for &cpu in cpus {
        for index in 0..16 {
            let folder = cpu_folder(root, cpu).join(format!("cache/index{index}"));
            if !folder.is_dir() {
                break;
            }
            match read_cache(&folder, cpu) {
                Ok(cache) if caches.contains(&cache) => {}
                Ok(cache) => caches.push(cache),
                Err(problem) => notes.push(problem),
            }
        }
    }
    if !caches.iter().any(Cache::holds_data) {
        caches = caches_from_cpuid(cpus);
        notes.push(if caches.is_empty() {
            "no cache sizes: neither sysfs nor CPUID gives them; only memory bandwidth is measured".to_owned()
        } else {
            "cache sizes are from CPUID, since sysfs has none; which CPUs share a cache is inferred".to_owned()
        });
    }
    caches.sort_by(|a, b| (a.level, a.kind, &a.shared_by_cpus).cmp(&(b.level, b.kind, &b.shared_by_cpus)));
    caches
}

/// One `index*` folder; the error is a sentence for the user.
fn read_cache(folder: &Path, cpu: usize) -> Result<Cache, String> {
    let read = |key: &str| read_text(&folder.join(key)).unwrap_or_default();
    let refuse = |key: &str, allowed: &str| {
        format!("{}: `{}`, expected {allowed}; cache left out", folder.join(key).display(), read(key))
    };
    let level = read("level").parse().ok().filter(|level| (1..=8).contains(level));
    let level = level.ok_or_else(|| refuse("level", "1 to 8"))?;
    let kind = match read("type").as_str() {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        "Unified" => CacheKind::Unified,
        _ => return Err(refuse("type", "Data, Instruction or Unified")),
    };
    let size_bytes = parse_size(&read("size")).filter(|&size| size > 0);
    let size_bytes = size_bytes.ok_or_else(|| refuse("size", "a positive size such as 48K or 32M"))?;
    let shared_by_cpus = parse_cpu_list(&read("shared_cpu_list")).filter(|list| list.contains(&cpu));
    Ok(Cache {
        level,
        kind,
        size_bytes,
        line_bytes: read("coherency_line_size").parse().ok().filter(|&line| line > 0),
        shared_by_cpus: shared_by_cpus.unwrap_or_else(|| vec![cpu]),
    })
}

/// Caches of the CPU this runs on, repeated for all `cpus`, assuming that CPUs which share a cache are numbered
/// one after the other.
#[cfg(target_arch = "x86_64")]
fn caches_from_cpuid(cpus: &[usize]) -> Vec<Cache> {
    use raw_cpuid::CacheType;
    let mut caches: Vec<Cache> = Vec::new();
    for entry in raw_cpuid::CpuId::new().get_cache_parameters().into_iter().flatten() {
        let kind = match entry.cache_type() {
            CacheType::Data => CacheKind::Data,
            CacheType::Instruction => CacheKind::Instruction,
            CacheType::Unified => CacheKind::Unified,
            CacheType::Null | CacheType::Reserved => continue,
        };
        let size =
            entry.associativity() * entry.physical_line_partitions() * entry.coherency_line_size() * entry.sets();
        let sharing = entry.max_cores_for_cache().max(1);
        for &cpu in cpus {
            let group = cpu / sharing;
            let cache = Cache {
                level: entry.level(),
                kind,
                size_bytes: size as u64,
                line_bytes: u32::try_from(entry.coherency_line_size()).ok(),
                shared_by_cpus: cpus.iter().copied().filter(|other| other / sharing == group).collect(),
            };
            if size > 0 && !caches.contains(&cache) {
                caches.push(cache);
            }
        }
    }
    caches
}

/// No CPUID on this architecture.
#[cfg(not(target_arch = "x86_64"))]
fn caches_from_cpuid(_cpus: &[usize]) -> Vec<Cache> {
    Vec::new()
}

fn cpu_folder(root: &Path, cpu: usize) -> std::path::PathBuf {
    root.join(format!("sys/devices/system/cpu/cpu{cpu}"))
}

/// Text of a file without surrounding white space; `None` if it cannot be read or is empty.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// CPUs of a kernel list such as `0-1,4` or `0-6:2/3` (from 0 to 6, of each 3 the first 2), ascending; `None` if malformed.
///
/// **Source**: Linux kernel, `Documentation/admin-guide/kernel-parameters.rst`, "cpu lists".
pub(super) fn parse_cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (range, used, group) = match part.split_once(':') {
            None => (part, 1, 1),
            Some((range, pattern)) => {
                let (used, group) = pattern.split_once('/')?;
                (range, used.trim().parse().ok()?, group.trim().parse().ok().filter(|&group| group > 0)?)
            }
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > MAX_CPU {
            return None;
        }
        cpus.extend((first..=last).filter(|cpu| (cpu - first) % group < used));
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

/// Bytes of a size such as `48K`, `1024K`, `32M`, `1G` or `65536` (K = 1024); `None` if malformed.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'K' | 'k') => (&text[..at], 1 << 10),
        (at, 'M' | 'm') => (&text[..at], 1 << 20),
        (at, 'G' | 'g') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
