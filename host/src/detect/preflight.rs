//! Checks before a measurement: is the machine quiet, and are the thread settings those of a quiet measurement?
//!
//! Looks at load average and stolen time (in per cent of all CPU time), clock governor, processor quota, and at the
//! environment variables of OpenMP runtimes. Threads of OpenMP wait by spinning: on a busy machine the spinning
//! threads take the CPU from the one that works, and a network of 12 ms has been seen to take 1.3 s.
//!
//! **Source**: `proc(5)` for `/proc/loadavg` and `/proc/stat`; OpenMP 5.2, chapter 21 "Environment Variables";
//! the `KMP_*` variables of the LLVM and Intel runtimes. It warns and changes nothing.

use std::path::Path;
use std::time::Duration;

use super::os::available_cpus;
use super::system::Environment;
use super::topology::read_text;

/// Stolen time, in per cent, from which a warning is given; clock ticks resolve about 1 % on two CPUs.
const STEAL_WARNING_PERCENT: f64 = 2.0;

/// Window over which stolen time is observed.
const STEAL_WINDOW: Duration = Duration::from_millis(500);

/// One warning: what was looked at, what was found, what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// What was looked at, for example `load average` or `OMP_WAIT_POLICY`.
    pub what: &'static str,
    /// What was found, with its unit.
    pub value: String,
    /// What to do about it, as a sentence.
    pub advice: String,
}

/// CPU time of all CPUs together since boot, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuTicks {
    total: u64,
    steal: u64,
}

impl CpuTicks {
    pub(super) fn read(root: &Path) -> Option<Self> {
        Self::parse(&read_text(&root.join("proc/stat"))?)
    }

    /// First line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().take(8).map(|n| n.parse().ok()).collect::<Option<_>>()?;
        Some(Self { total: ticks.iter().sum(), steal: *ticks.get(7)? })
    }

    /// Share of CPU time stolen by the hypervisor between `earlier` and now, in per cent; `None` if no tick has passed.
    pub(super) fn steal_percent_since(self, earlier: Self) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|&total| total > 0)?;
        let steal = self.steal.saturating_sub(earlier.steal);
        Some(100.0 * steal as f64 / total as f64)
    }
}

/// Warnings about this machine and this process's environment; empty if all is well. Takes half a second.
#[must_use]
pub fn preflight() -> Vec<Preflight> {
    let root = Path::new("/");
    let cpus = available_cpus().unwrap_or_default();
    let before = CpuTicks::read(root);
    std::thread::sleep(STEAL_WINDOW);
    let after = CpuTicks::read(root);
    let steal = before.zip(after).and_then(|(before, after)| after.steal_percent_since(before));
    let environment = Environment::read(root, cpus.first().copied().unwrap_or(0));
    let mut warnings = machine_warnings(root, cpus.len(), &environment, steal);
    // Spinning threads are right on a quiet machine: they harm only where something else wants the CPU.
    let busy = warnings.iter().any(|warning| ["load average", "stolen time"].contains(&warning.what));
    let threads = thread_warnings(&|name| std::env::var(name).ok(), cpus.len());
    warnings.extend(threads.into_iter().filter(|warning| busy || warning.what != "OMP_WAIT_POLICY"));
    if cfg!(debug_assertions) {
        warnings.push(Preflight {
            what: "build",
            value: "without optimisation".to_owned(),
            advice: "Build with --release: the measuring code itself is slow in a debug build.".to_owned(),
        });
    }
    warnings
}

/// Warnings about load, governor, quota and stolen time, for a process that may use `n_cpus`.
fn machine_warnings(root: &Path, n_cpus: usize, environment: &Environment, steal: Option<f64>) -> Vec<Preflight> {
    let mut warnings = Vec::new();
    let load = read_text(&root.join("proc/loadavg")).and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    if let Some(load) = load.filter(|&load| load > 0.25 * n_cpus.max(1) as f64) {
        warnings.push(Preflight {
            what: "load average",
            value: format!("{load:.2} over the last minute on {n_cpus} CPUs"),
            advice: "Stop other work, or wait: times will be longer and scatter more.".to_owned(),
        });
    }
    if let Some(steal) = steal.filter(|&steal| steal >= STEAL_WARNING_PERCENT) {
        warnings.push(Preflight {
            what: "stolen time",
            value: format!("{steal:.1} % of CPU time"),
            advice: "Other virtual machines take this one's CPUs; measure at a quieter time or on a dedicated host."
                .to_owned(),
        });
    }
    if let Some(governor) = environment.governor.as_ref().filter(|name| *name != "performance") {
        warnings.push(Preflight {
            what: "clock governor",
            value: governor.clone(),
            advice: "Set it to `performance` (cpupower frequency-set -g performance), or the clock follows the load."
                .to_owned(),
        });
    }
    if let Some(quota) = environment.cpu_quota_cpus.filter(|&quota| quota < n_cpus as f64) {
        warnings.push(Preflight {
            what: "processor quota",
            value: format!("{quota:.2} of {n_cpus} CPUs"),
            advice: "Lift the container's CPU limit or bind it to whole CPUs: a quota stops all threads in mid-run."
                .to_owned(),
        });
    }
    warnings
}

/// Warnings about the variables of OpenMP runtimes, for a process that may use `n_cpus`.
fn thread_warnings(variable: &dyn Fn(&str) -> Option<String>, n_cpus: usize) -> Vec<Preflight> {
    let mut warnings = Vec::new();
    for what in ["OMP_NUM_THREADS", "MKL_NUM_THREADS"] {
        let Some(value) = variable(what) else { continue };
        // A list gives one number for each nesting level; the first is the outermost.
        let n_threads = value.split(',').next().and_then(|first| first.trim().parse::<usize>().ok());
        let advice = match n_threads.filter(|&n_threads| n_threads > 0) {
            None => format!("Set it to a number from 1 to {n_cpus}, or unset it."),
            Some(n_threads) if n_threads > n_cpus => {
                format!("Lower it to {n_cpus}: threads beyond the available CPUs wait for each other.")
            }
            Some(n_threads) if n_threads < n_cpus => {
                format!("Times will be those of {n_threads} of {n_cpus} CPUs; unset it if that is not meant.")
            }
            Some(_) => continue,
        };
        warnings.push(Preflight { what, value, advice });
    }
    let passive = variable("OMP_WAIT_POLICY").is_some_and(|policy| policy.trim().eq_ignore_ascii_case("passive"));
    let spins_no_time = |name: &str| variable(name).is_some_and(|value| value.trim() == "0");
    if n_cpus > 1 && !passive && !spins_no_time("KMP_BLOCKTIME") && !spins_no_time("GOMP_SPINCOUNT") {
        warnings.push(Preflight {
            what: "OMP_WAIT_POLICY",
            value: variable("OMP_WAIT_POLICY").unwrap_or_else(|| "not set".to_owned()),
            advice:
                "Set OMP_WAIT_POLICY=PASSIVE before the program starts: waiting threads spin, and on a busy machine \
                     that can lengthen a run a hundredfold."
                    .to_owned(),
        });
    }
    for what in ["KMP_AFFINITY", "GOMP_CPU_AFFINITY"] {
        let Some(value) = variable(what) else { continue };
        warnings.push(Preflight {
            what,
            value,
            advice: "Threads are bound to chosen CPUs; make sure that they are the ones meant to be measured."
                .to_owned(),
        });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(warnings: &[Preflight]) -> Vec<&'static str> {
        warnings.iter().map(|warning| warning.what).collect()
    }

    #[test]
    fn stolen_time_between_two_readings() {
        let ticks = |text| CpuTicks::parse(text).expect("valid");
        let before = ticks("cpu  100 0 50 800 10 0 5 35 7 0\ncpu0 1 1 1 1 1 1 1 1\n");
        assert_eq!(before, CpuTicks { total: 1000, steal: 35 });
        let after = ticks("cpu  150 0 50 840 10 0 5 45 7 0\n");
        // 10 of 100 ticks.
        assert_eq!(after.steal_percent_since(before), Some(10.0));
        assert_eq!(after.steal_percent_since(after), None);
        // Kernels before 2.6.11 have no such column.
        for bad in ["", "cpu 1 2 3", "cpu  1 2 3 4 5 6 7 x"] {
            assert_eq!(CpuTicks::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_quiet_machine_with_passive_threads_has_no_warnings() {
        let root = tempfile::tempdir().expect("folder");
        std::fs::create_dir(root.path().join("proc")).expect("folder");
        std::fs::write(root.path().join("proc/loadavg"), "0.40 0.21 0.14 1/80 999\n").expect("file");
        let environment = Environment { governor: Some("performance".to_owned()), ..Environment::default() };
        assert_eq!(machine_warnings(root.path(), 2, &environment, Some(1.9)), []);
        let passive = |name: &str| (name == "OMP_WAIT_POLICY").then(|| "passive".to_owned());
        assert_eq!(thread_warnings(&passive, 2), []);
    }

    #[test]
    fn a_busy_machine_has_one_warning_for_each_cause() {
        let root = tempfile::tempdir().expect("folder");
        std::fs::create_dir(root.path().join("proc")).expect("folder");
        std::fs::write(root.path().join("proc/loadavg"), "0.60 0.21 0.14 1/80 999\n").expect("file");
        let environment =
            Environment { governor: Some("powersave".to_owned()), cpu_quota_cpus: Some(1.5), ..Environment::default() };
        let got = machine_warnings(root.path(), 2, &environment, Some(2.0));
        assert_eq!(whats(&got), ["load average", "stolen time", "clock governor", "processor quota"]);
        assert_eq!(got[3].value, "1.50 of 2 CPUs");
    }

    #[test]
    fn thread_settings() {
        let with = |settings: &'static [(&str, &str)]| {
            let variable =
                move |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            whats(&thread_warnings(&variable, 4))
        };
        assert_eq!(with(&[]), ["OMP_WAIT_POLICY"]);
        assert_eq!(with(&[("OMP_WAIT_POLICY", "ACTIVE"), ("OMP_NUM_THREADS", "4")]), ["OMP_WAIT_POLICY"]);
        assert_eq!(with(&[("KMP_BLOCKTIME", "0"), ("OMP_NUM_THREADS", "8")]), ["OMP_NUM_THREADS"]);
        assert_eq!(with(&[("GOMP_SPINCOUNT", "0"), ("OMP_NUM_THREADS", "4,2")]), Vec::<&str>::new());
        assert_eq!(with(&[("KMP_BLOCKTIME", "0"), ("OMP_NUM_THREADS", "many")]), ["OMP_NUM_THREADS"]);
        assert_eq!(with(&[("KMP_BLOCKTIME", "0"), ("KMP_AFFINITY", "compact")]), ["KMP_AFFINITY"]);
    }
}
