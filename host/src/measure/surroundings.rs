//! What the loop asks of the machine it runs on: time, CPU time (clock ticks), context switches
//! (count) and load average, behind a trait so that tests can script them.
//!
//! Sources: proc(5) for `/proc/stat` and `/proc/loadavg`; getrusage(2) with `RUSAGE_SELF`, which
//! counts all threads of the process.
//!
//! Where a source is absent, as `/proc` is outside Linux, the answer is `None`, never 0.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::disturbance::Switches;

/// CPU time of the whole machine since boot, in clock ticks (`USER_HZ`, commonly 10 ms).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// Ticks spent running anything: user, nice, system, irq and softirq.
    pub busy: u64,
    /// Ticks idle or waiting for a device.
    pub idle: u64,
    /// Ticks in which a virtual CPU wanted to run and the hypervisor ran something else.
    pub steal: u64,
}

/// Text that is not what proc(5) describes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProcError {
    /// `/proc/stat` has no line of all CPUs together.
    #[error("/proc/stat: no line starts with `cpu ` followed by the times of all CPUs")]
    NoCpuLine,
    /// A field is absent or not a count.
    #[error("{file}: field `{field}` is `{value}`; a number was expected")]
    Field {
        /// File the text came from.
        file: &'static str,
        /// Name of the field in proc(5).
        field: &'static str,
        /// What stands there, empty if nothing does.
        value: String,
    },
}

impl CpuTimes {
    /// Reads the `cpu` line of `/proc/stat`.
    ///
    /// Time of guests is part of `user` already and not counted again.
    ///
    /// # Errors
    ///
    /// [`ProcError`] if the line or one of its first eight fields is absent or not a number.
    pub fn parse(stat: &str) -> Result<Self, ProcError> {
        const NAMES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
        let mut fields = stat
            .lines()
            .find_map(|line| line.strip_prefix("cpu "))
            .ok_or(ProcError::NoCpuLine)?
            .split_ascii_whitespace();
        let mut ticks = [0_u64; NAMES.len()];
        for (tick, name) in ticks.iter_mut().zip(NAMES) {
            let text = fields.next().unwrap_or_default();
            *tick = text.parse().map_err(|_| ProcError::Field {
                file: "/proc/stat",
                field: name,
                value: text.to_owned(),
            })?;
        }
        let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks;
        let sum = |ticks: &[u64]| ticks.iter().fold(0_u64, |total, tick| total.saturating_add(*tick));
        Ok(Self { busy: sum(&[user, nice, system, irq, softirq]), idle: sum(&[idle, iowait]), steal })
    }

    /// Steal over the CPU time that was asked for, between `earlier` and this (no unit, 0 to 1).
    ///
    /// ```text
    /// Δsteal / (Δbusy + Δsteal)
    /// ```
    /// Idle time is left out (`top` counts it): on a machine of 16 CPUs, one busy thread that loses
    /// a tenth of its time would otherwise show as 0.6 %. `None` if no time passed at all, which is
    /// also what a sandbox with an empty `/proc/stat` gives.
    #[must_use]
    pub fn steal_share_since(&self, earlier: &Self) -> Option<f64> {
        // The kernel may let counters step back by a tick.
        let busy = self.busy.saturating_sub(earlier.busy);
        let idle = self.idle.saturating_sub(earlier.idle);
        let steal = self.steal.saturating_sub(earlier.steal);
        if busy == 0 && steal == 0 {
            return (idle > 0).then_some(0.0);
        }
        Some(steal as f64 / (busy as f64 + steal as f64))
    }
}

/// Load average over one minute (runnable tasks), the first field of `/proc/loadavg`.
///
/// # Errors
///
/// [`ProcError::Field`] if the field is absent or not a number.
pub fn parse_load_average(loadavg: &str) -> Result<f64, ProcError> {
    let text = loadavg.split_ascii_whitespace().next().unwrap_or_default();
    text.parse().ok().filter(|load: &f64| load.is_finite()).ok_or_else(|| ProcError::Field {
        file: "/proc/loadavg",
        field: "load average over one minute",
        value: text.to_owned(),
    })
}

/// What the loop asks of the machine it runs on. `None` where the machine does not tell.
pub trait Surroundings {
    /// Time since some fixed moment; never steps back.
    fn now(&mut self) -> Duration;
    /// Wall-clock time in milliseconds since 1970-01-01 UTC.
    fn unix_ms(&mut self) -> u64;
    /// CPU time of the whole machine.
    fn cpu_times(&mut self) -> Option<CpuTimes>;
    /// Context switches of this process so far.
    fn switches(&mut self) -> Option<Switches>;
    /// Load average over one minute.
    fn load_average(&mut self) -> Option<f64>;
    /// CPUs this process may use, at least 1.
    fn cpus(&mut self) -> usize;
}

/// The machine itself.
#[derive(Clone, Copy, Debug)]
pub struct SystemSurroundings {
    start: Instant,
}

impl SystemSurroundings {
    /// Surroundings whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemSurroundings {
    fn default() -> Self {
        Self::new()
    }
}

impl Surroundings for SystemSurroundings {
    fn now(&mut self) -> Duration {
        self.start.elapsed()
    }

    fn unix_ms(&mut self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
    }

    fn cpu_times(&mut self) -> Option<CpuTimes> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        CpuTimes::parse(&text).ok()
    }

    fn switches(&mut self) -> Option<Switches> {
        // SAFETY: `rusage` is a plain C struct of integers, for which all zeros is a valid value.
        let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
        // SAFETY: `usage` is a valid, exclusively borrowed `rusage`, which the call only fills in.
        let status = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
        (status == 0).then(|| Switches {
            voluntary: u64::try_from(usage.ru_nvcsw).unwrap_or(0),
            involuntary: u64::try_from(usage.ru_nivcsw).unwrap_or(0),
        })
    }

    fn load_average(&mut self) -> Option<f64> {
        let text = std::fs::read_to_string("/proc/loadavg").ok()?;
        parse_load_average(&text).ok()
    }

    fn cpus(&mut self) -> usize {
        std::thread::available_parallelism().map_or(1, |cpus| cpus.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 20 30 4000 50 6 7 80 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1 2\n";

    #[test]
    fn cpu_line_by_hand() {
        // busy 100+20+30+6+7, idle 4000+50; guest (90, 10) is inside user and nice.
        let want = CpuTimes { busy: 163, idle: 4_050, steal: 80 };
        assert_eq!(CpuTimes::parse(STAT), Ok(want));
    }

    #[test]
    fn bad_stat_text_names_the_field() {
        assert_eq!(CpuTimes::parse("cpu0 1 2 3"), Err(ProcError::NoCpuLine));
        let short = CpuTimes::parse("cpu  1 2 3 4\n").unwrap_err().to_string();
        assert_eq!(short, "/proc/stat: field `iowait` is ``; a number was expected");
        let wrong = CpuTimes::parse("cpu  1 2 x 4 5 6 7 8\n").unwrap_err();
        assert!(wrong.to_string().contains("field `system` is `x`"));
        assert_eq!(parse_load_average("0.38 0.26 0.17 1/84 8506\n"), Ok(0.38));
        assert!(parse_load_average("").is_err());
        assert!(parse_load_average("nan 1 2").is_err());
    }

    #[test]
    fn steal_is_a_share_of_the_time_asked_for() {
        let at = |busy, idle, steal| CpuTimes { busy, idle, steal };
        let before = at(1_000, 9_000, 10);
        // 30 / (570 + 30) = 5 %, whatever the idle time.
        let share = at(1_570, 99_000, 40).steal_share_since(&before).unwrap();
        assert!((share - 0.05).abs() < 1e-12);
        assert_eq!(at(1_000, 9_001, 10).steal_share_since(&before), Some(0.0));
        assert_eq!(before.steal_share_since(&before), None);
        // A counter that steps back counts as no time.
        assert_eq!(at(990, 9_100, 9).steal_share_since(&before), Some(0.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_itself_answers() {
        let mut machine = SystemSurroundings::new();
        let before = machine.now();
        let switches = machine.switches().expect("getrusage");
        std::thread::sleep(Duration::from_millis(2));
        let after = machine.switches().expect("getrusage");
        assert!(after.since(&switches).voluntary >= 1, "sleeping gives the CPU up");
        assert!(machine.now() - before >= Duration::from_millis(2));
        assert!(machine.cpus() >= 1);
        // 2020-01-01 in milliseconds.
        assert!(machine.unix_ms() > 1_577_836_800_000);
    }
}
