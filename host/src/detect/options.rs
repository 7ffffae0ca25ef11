//! What a detection is asked (number of samples, their length, memory in bytes) and why it can fail.

use std::io;
use std::time::Duration;

/// How long and how often to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectOptions {
    /// Samples of each series, 7 to 1000.
    pub rounds: usize,
    /// Length of one sample, 1 ms to 1 s; below 10 ms a single interruption weighs heavily.
    pub sample_time: Duration,
    /// Largest buffer of one thread, in bytes, at least 1 MiB. All buffers together never take more than a quarter of the
    /// usable memory.
    pub max_buffer_bytes: u64,
}

impl Default for DetectOptions {
    /// 15 rounds of 15 ms, at most 256 MiB per thread: about 8 s on a CPU with three cache levels.
    fn default() -> Self {
        Self { rounds: 15, sample_time: Duration::from_millis(15), max_buffer_bytes: 256 << 20 }
    }
}

impl DetectOptions {
    /// Checks every field.
    ///
    /// # Errors
    /// `Option`, naming the first field out of range.
    pub(super) fn check(&self) -> Result<(), DetectError> {
        let refuse = |option, value: String, allowed| Err(DetectError::Option { option, value, allowed });
        if !(7..=1000).contains(&self.rounds) {
            return refuse("rounds", self.rounds.to_string(), "7 to 1000");
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(1)).contains(&self.sample_time) {
            return refuse("sample_time", format!("{:?}", self.sample_time), "1 ms to 1 s");
        }
        if self.max_buffer_bytes < 1 << 20 {
            return refuse("max_buffer_bytes", self.max_buffer_bytes.to_string(), "at least 1048576 (1 MiB)");
        }
        Ok(())
    }
}

/// Why a detection failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// An option is out of range.
    #[error("option {option}: {value}, allowed: {allowed}")]
    Option {
        /// Name of the field of [`DetectOptions`].
        option: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The CPUs of this process cannot be listed, or there are none.
    #[error("cannot list the CPUs available to this process (sched_getaffinity): {0}")]
    Affinity(io::Error),
    /// A measuring thread cannot be started.
    #[error("cannot start the measuring thread of CPU {cpu}: {source}")]
    Thread {
        /// CPU it was to run on.
        cpu: usize,
        /// What the system says.
        source: io::Error,
    },
    /// A measuring thread cannot be bound to its CPU.
    #[error("cannot bind a thread to CPU {cpu} (sched_setaffinity): {source}")]
    Pin {
        /// CPU it was to run on.
        cpu: usize,
        /// What the system says.
        source: io::Error,
    },
    /// Too little memory for a thread's buffer.
    #[error("cannot allocate {bytes} bytes for the buffer of CPU {cpu}; lower max_buffer_bytes")]
    OutOfMemory {
        /// CPU whose thread needs the buffer.
        cpu: usize,
        /// Its size.
        bytes: usize,
    },
    /// A measuring thread ended early.
    #[error("a measuring thread ended before its work was done")]
    WorkerLost,
    /// The samples of a series are no rates, as when the system's clock stands still.
    #[error("{method}: the samples are not positive numbers")]
    NoRate {
        /// What was measured.
        method: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_named() {
        let default = DetectOptions::default;
        let refused = |options: DetectOptions| options.check().expect_err("out of range").to_string();
        assert_eq!(refused(DetectOptions { rounds: 6, ..default() }), "option rounds: 6, allowed: 7 to 1000");
        let long = DetectOptions { sample_time: Duration::from_secs(2), ..default() };
        assert_eq!(refused(long), "option sample_time: 2s, allowed: 1 ms to 1 s");
        assert!(refused(DetectOptions { max_buffer_bytes: 4096, ..default() }).contains("max_buffer_bytes: 4096"));
        assert!(default().check().is_ok());
    }
}
