//! Working sets, in bytes, that keep a stream in one memory level: half of a cache, several times the last cache for
//! main memory, divided among the threads that share it.
//!
//! Half, since other data, and on a shared host other machines, use the cache as well. What the sets cannot keep apart
//! is flagged (`mixed`), so that the figure of such a level is read with care.

use super::topology::Cache;

/// Working sets are whole multiples of this, in bytes: a page, hence also whole turns of either loop.
pub(super) const GRANULE_BYTES: u64 = 4096;

/// Smallest working set in memory per thread, in bytes, even where the last cache is tiny.
const MIN_MEMORY_SET_BYTES: u64 = 32 << 20;

/// A level whose bandwidth is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryLevel {
    /// Cache of this level, 1 the nearest.
    Cache(u8),
    /// Main memory.
    Dram,
}

impl std::fmt::Display for MemoryLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cache(level) => write!(f, "L{level}"),
            Self::Dram => f.write_str("DRAM"),
        }
    }
}

/// Working set, in bytes, of each thread at one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkingSets {
    pub(super) level: MemoryLevel,
    /// Set of the first thread when it runs alone.
    pub(super) single: u64,
    /// Sets of all threads when they run together.
    pub(super) all: Vec<u64>,
    /// Whether half the level is not well above the level before, so that part of the traffic stays there.
    pub(super) mixed: bool,
}

/// Working sets for threads on the CPUs `places`, for every data cache level and memory.
///
/// In a cache: half its capacity, divided by the threads that share it. Where that is not 1.5 times the share of the level
/// before, half the capacity is added to it instead (`mixed`). In memory: four times the last cache divided by the
/// threads, at least 32 MiB and at most `max_memory_set` per thread.
pub(super) fn working_sets(caches: &[Cache], places: &[usize], max_memory_set: u64) -> Vec<WorkingSets> {
    let mut levels: Vec<u8> = caches.iter().filter(|cache| cache.holds_data()).map(|cache| cache.level).collect();
    levels.sort_unstable();
    levels.dedup();

    let mut sets = Vec::new();
    // Capacity that one thread has at the level before: alone, and with all threads running.
    let mut before_single = 0;
    let mut before_all = vec![0; places.len()];
    for level in levels {
        let of = |cpu: usize| cache_of(caches, level, cpu);
        let share = |cpu: usize| {
            of(cpu).map(|cache| {
                let sharing = places.iter().filter(|place| cache.shared_by_cpus.contains(place)).count();
                cache.size_bytes / sharing.max(1) as u64
            })
        };
        // A level that some core lacks is no level of the whole CPU.
        let (Some(alone), Some(shares)) =
            (places.first().and_then(|&cpu| of(cpu)), places.iter().map(|&cpu| share(cpu)).collect::<Option<Vec<_>>>())
        else {
            continue;
        };
        let (single, mut mixed) = set_in_cache(alone.size_bytes, before_single);
        let mut all = Vec::with_capacity(shares.len());
        for (&capacity, &before) in shares.iter().zip(&before_all) {
            let (set, is_mixed) = set_in_cache(capacity, before);
            mixed |= is_mixed;
            all.push(set);
        }
        sets.push(WorkingSets { level: MemoryLevel::Cache(level), single, all, mixed });
        before_single = alone.size_bytes;
        before_all = shares;
    }

    let n_threads = places.len().max(1) as u64;
    let total = last_level_bytes(caches, places);
    let bounded = |bytes: u64| {
        bytes.max(MIN_MEMORY_SET_BYTES).min(max_memory_set).max(GRANULE_BYTES) / GRANULE_BYTES * GRANULE_BYTES
    };
    let single = bounded(4 * before_single);
    let each = bounded(4 * total / n_threads);
    sets.push(WorkingSets {
        level: MemoryLevel::Dram,
        single,
        all: vec![each; places.len()],
        mixed: single < 2 * before_single || each * n_threads < 2 * total,
    });
    sets
}

/// Data cache of `level` that `cpu` uses.
fn cache_of(caches: &[Cache], level: u8, cpu: usize) -> Option<&Cache> {
    caches.iter().find(|cache| cache.level == level && cache.holds_data() && cache.shared_by_cpus.contains(&cpu))
}

/// Capacity of all last-level caches that `places` use, in bytes.
fn last_level_bytes(caches: &[Cache], places: &[usize]) -> u64 {
    let used = |cache: &&Cache| cache.holds_data() && places.iter().any(|cpu| cache.shared_by_cpus.contains(cpu));
    let last = caches.iter().filter(used).map(|cache| cache.level).max();
    caches.iter().filter(used).filter(|cache| Some(cache.level) == last).map(|cache| cache.size_bytes).sum()
}

/// Working set in a cache of which one thread has `capacity`, `before` being its capacity one level nearer.
fn set_in_cache(capacity: u64, before: u64) -> (u64, bool) {
    let mixed = capacity < 3 * before;
    let set = if mixed { before + capacity / 2 } else { capacity / 2 };
    ((set / GRANULE_BYTES).max(1) * GRANULE_BYTES, mixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::topology::CacheKind;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn cache(level: u8, kind: CacheKind, size_bytes: u64, shared_by_cpus: &[usize]) -> Cache {
        Cache { level, kind, size_bytes, line_bytes: Some(64), shared_by_cpus: shared_by_cpus.to_vec() }
    }

    /// Two cores: 48 KiB and 1 MiB each, 32 MiB together.
    fn two_cores() -> Vec<Cache> {
        let mut caches = vec![cache(1, CacheKind::Instruction, 32 * KIB, &[0])];
        for cpu in [0, 1] {
            caches.push(cache(1, CacheKind::Data, 48 * KIB, &[cpu]));
            caches.push(cache(2, CacheKind::Unified, MIB, &[cpu]));
        }
        caches.push(cache(3, CacheKind::Unified, 32 * MIB, &[0, 1]));
        caches
    }

    fn sizes(sets: &[WorkingSets]) -> Vec<(MemoryLevel, u64, Vec<u64>, bool)> {
        sets.iter()
            .map(|set| (set.level, set.single / KIB, set.all.iter().map(|b| b / KIB).collect(), set.mixed))
            .collect()
    }

    #[test]
    fn half_of_each_level_and_four_times_the_last() {
        let got = sizes(&working_sets(&two_cores(), &[0, 1], 256 * MIB));
        // Level 3: half of 32 MiB alone, a quarter each; memory: 4 · 32 MiB alone, 64 MiB each.
        let expected = [
            (MemoryLevel::Cache(1), 24, vec![24, 24], false),
            (MemoryLevel::Cache(2), 512, vec![512, 512], false),
            (MemoryLevel::Cache(3), 16 * KIB, vec![8 * KIB, 8 * KIB], false),
            (MemoryLevel::Dram, 128 * KIB, vec![64 * KIB, 64 * KIB], false),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn a_share_no_larger_than_the_level_before_is_mixed() {
        // 2 MiB of level 2 per core, 4 MiB of level 3 for both: 2 MiB each, less than 3 · 2 MiB.
        let mut caches = two_cores();
        for cache in &mut caches {
            match cache.level {
                2 => cache.size_bytes = 2 * MIB,
                3 => cache.size_bytes = 4 * MIB,
                _ => {}
            }
        }
        let got = sizes(&working_sets(&caches, &[0, 1], 256 * MIB));
        // 2 MiB + 4 / 2 MiB alone; 2 MiB + 2 / 2 MiB each. Memory: the 32 MiB minimum.
        assert_eq!(got[2], (MemoryLevel::Cache(3), 4 * KIB, vec![3 * KIB, 3 * KIB], true));
        assert_eq!(got[3], (MemoryLevel::Dram, 32 * KIB, vec![32 * KIB, 32 * KIB], false));
    }

    #[test]
    fn a_memory_bound_below_the_cache_is_flagged() {
        let got = sizes(&working_sets(&two_cores(), &[0, 1], 16 * MIB));
        assert_eq!(got[3], (MemoryLevel::Dram, 16 * KIB, vec![16 * KIB, 16 * KIB], true));
    }

    #[test]
    fn a_level_that_some_core_lacks_is_left_out() {
        let mut caches = two_cores();
        caches.retain(|cache| !(cache.level == 2 && cache.shared_by_cpus == [1]));
        let levels: Vec<_> = working_sets(&caches, &[0, 1], MIB).iter().map(|set| set.level).collect();
        assert_eq!(levels, [MemoryLevel::Cache(1), MemoryLevel::Cache(3), MemoryLevel::Dram]);
        assert_eq!(working_sets(&[], &[0], 64 * MIB).len(), 1);
    }

    #[test]
    fn levels_read_as_people_write_them() {
        assert_eq!((MemoryLevel::Cache(2).to_string(), MemoryLevel::Dram.to_string()), ("L2".into(), "DRAM".into()));
    }
}
