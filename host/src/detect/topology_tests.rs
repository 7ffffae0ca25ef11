//! Tests of the topology reader on made-up sysfs folders: uniform, hybrid, and what hypervisors leave out.

use super::*;
use std::fs;

/// Writes `text` to `path` below `root`, making the folders.
fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("has a parent")).expect("folders");
    fs::write(path, text).expect("file");
}

/// Writes one `index*` folder: level, type, size, sharing.
fn write_cache(root: &Path, cpu: usize, index: usize, entry: [&str; 4]) {
    for (key, value) in ["level", "type", "size", "shared_cpu_list"].iter().zip(entry) {
        write(root, &format!("sys/devices/system/cpu/cpu{cpu}/cache/index{index}/{key}"), &format!("{value}\n"));
    }
    write(root, &format!("sys/devices/system/cpu/cpu{cpu}/cache/index{index}/coherency_line_size"), "64\n");
}

fn write_siblings(root: &Path, cpu: usize, name: &str, list: &str) {
    write(root, &format!("sys/devices/system/cpu/cpu{cpu}/topology/{name}"), list);
}

#[test]
fn cpu_lists() {
    assert_eq!(parse_cpu_list("0-1,4\n"), Some(vec![0, 1, 4]));
    assert_eq!(parse_cpu_list("7"), Some(vec![7]));
    assert_eq!(parse_cpu_list("4,0-2,1"), Some(vec![0, 1, 2, 4]));
    assert_eq!(parse_cpu_list("0-6:2/3"), Some(vec![0, 1, 3, 4, 6]));
    for bad in ["", "a", "3-1", "0-", "0,,1", "0-4294967295", "0-3:1/0", "0-3:1"] {
        assert_eq!(parse_cpu_list(bad), None, "{bad}");
    }
}

#[test]
fn sizes() {
    assert_eq!(parse_size("48K"), Some(49_152));
    assert_eq!(parse_size("32768K"), Some(33_554_432));
    assert_eq!(parse_size("32M"), Some(33_554_432));
    assert_eq!(parse_size("1G"), Some(1_073_741_824));
    assert_eq!(parse_size("65536"), Some(65_536));
    for bad in ["", "K", "-1K", "1.5M", "48KB", "48µ", "18446744073709551615K"] {
        assert_eq!(parse_size(bad), None, "{bad}");
    }
}

#[test]
fn two_cores_with_two_threads_each_of_which_three_are_available() {
    let root = tempfile::tempdir().expect("folder");
    // Linux numbers the second threads after all the first ones: 0 and 2 share a core, 1 and 3 the other.
    for (cpu, list) in [(0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")] {
        write_siblings(root.path(), cpu, "thread_siblings_list", list);
    }
    let got = Topology::read(root.path(), &[0, 2, 3]);
    assert_eq!(got.cores, [vec![0, 2], vec![3]]);
    assert_eq!(got.first_cpus(), [0, 3]);
    assert!(got.smt && got.efficiency_cpus.is_empty());
}

#[test]
fn without_topology_every_cpu_is_a_core() {
    let root = tempfile::tempdir().expect("folder");
    // A list that leaves its own CPU out says nothing about it.
    write_siblings(root.path(), 1, "core_cpus_list", "5-6");
    let got = Topology::read(root.path(), &[0, 1]);
    assert_eq!(got.cores, [vec![0], vec![1]]);
    assert!(!got.smt);
}

#[test]
fn hybrid_cores_keep_their_own_caches() {
    let root = tempfile::tempdir().expect("folder");
    let root = root.path();
    write(root, "sys/devices/cpu_core/cpus", "0-1\n");
    write(root, "sys/devices/cpu_atom/cpus", "2-3\n");
    for cpu in [0, 1] {
        write_siblings(root, cpu, "core_cpus_list", "0-1");
        write_cache(root, cpu, 0, ["1", "Data", "48K", "0-1"]);
        write_cache(root, cpu, 1, ["3", "Unified", "12M", "0-3"]);
    }
    for (cpu, own) in [(2, "2"), (3, "3")] {
        write_siblings(root, cpu, "core_cpus_list", own);
        write_cache(root, cpu, 0, ["1", "Data", "32K", own]);
        write_cache(root, cpu, 1, ["3", "Unified", "12M", "0-3"]);
    }
    let topology = Topology::read(root, &[0, 1, 2, 3]);
    assert_eq!(topology.cores, [vec![0, 1], vec![2], vec![3]]);
    assert_eq!(topology.efficiency_cpus, [2, 3]);

    let mut notes = Vec::new();
    let caches = read_caches(root, &topology.cpus, &mut notes);
    let seen: Vec<_> = caches.iter().map(|c| (c.level, c.size_bytes >> 10, c.shared_by_cpus.len())).collect();
    assert_eq!(seen, [(1, 48, 2), (1, 32, 1), (1, 32, 1), (3, 12_288, 4)]);
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(caches[0].line_bytes, Some(64));
}

#[test]
fn a_malformed_entry_is_left_out_and_named() {
    let root = tempfile::tempdir().expect("folder");
    let root = root.path();
    write_cache(root, 0, 0, ["1", "Data", "48K", "0"]);
    write_cache(root, 0, 1, ["2", "Unified", "0K", "0"]);
    write_cache(root, 0, 2, ["3", "Victim", "32M", "0-1"]);
    // A virtual machine that lists another machine's CPUs: the cache counts as this CPU's own.
    write_cache(root, 0, 3, ["4", "Unified", "64M", "8-9"]);
    let mut notes = Vec::new();
    let caches = read_caches(root, &[0], &mut notes);
    assert_eq!(caches.len(), 2);
    assert_eq!((caches[1].level, &caches[1].shared_by_cpus[..]), (4, &[0][..]));
    assert_eq!(notes.len(), 2);
    assert!(notes[0].contains("index1/size") && notes[0].contains("`0K`"), "{}", notes[0]);
    assert!(notes[1].contains("`Victim`, expected Data"), "{}", notes[1]);
}

#[test]
fn a_missing_cache_folder_falls_back_to_cpuid() {
    let root = tempfile::tempdir().expect("folder");
    let mut notes = Vec::new();
    let caches = read_caches(root.path(), &[0, 1], &mut notes);
    assert_eq!(notes.len(), 1);
    assert_eq!(caches.is_empty(), notes[0].starts_with("no cache sizes"));
    assert!(caches.iter().all(|cache| cache.size_bytes > 0 && !cache.shared_by_cpus.is_empty()));
}
