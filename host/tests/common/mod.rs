//! What the tests of the command line share: a folder of their own, the program run in it, and a device with round numbers.

#[allow(dead_code, reason = "of several test programs, one looks into it")]
pub(crate) mod documented;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// 2 × 4 GHz × 32 MAC a cycle = 512 GFLOP/s in fp32, twice that in bf16; three caches and a DRAM of 30 GB/s.
pub(crate) const TWO_CORE: &str = include_str!("../fixtures/two_core.toml");

/// The columns that people's scripts read, byte for byte.
pub(crate) const COLUMNS: &str = "model,input_dim,hidden_dims,output_dim,batch_size,device,precision,\
    empirical_time_ms,empirical_time_std_ms,empirical_memory_mb,empirical_throughput,\
    analytical_time_ms,analytical_memory_mb,analytical_flops,analytical_ai,analytical_bottleneck,\
    time_error_pct,memory_error_pct";

/// A folder in which the program runs; removed when it goes out of scope.
pub(crate) struct Folder(TempDir);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    /// A folder that holds nothing but `two_core.toml`.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("two_core.toml", TWO_CORE);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("within the folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names of all files and folders directly in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> = entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The program with this folder as its working folder and its cache in it, so that no description of the user is found.
    pub(crate) fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_derate"));
        command.args(arguments.iter().map(AsRef::as_ref)).current_dir(self.0.path());
        // Waiting threads that spin would make tests that run side by side a hundred times slower.
        command.env("DERATE_CACHE", self.path("cache")).env("OMP_WAIT_POLICY", "PASSIVE");
        command
    }

    /// Runs the program with the arguments of a line, separated by blanks.
    pub(crate) fn derate(&self, line: &str) -> Ran {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        Ran::of(self.command(&arguments).output().expect("the program starts"))
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The run, if it ended with this code; otherwise the test fails and shows what was said.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Refused: exit code 2, nothing on standard output, all of these on standard error.
    #[track_caller]
    pub(crate) fn refused(self, said: &[&str]) {
        let ran = self.exits(2);
        assert_eq!(ran.stdout, "", "a refusal has no result");
        for said in said {
            assert!(ran.stderr.contains(said), "{said:?} is not in {:?}", ran.stderr);
        }
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// The number at a path of keys such as `error.before.mape_pct`.
#[track_caller]
pub(crate) fn number(json: &Value, path: &str) -> f64 {
    let found = path.split('.').fold(json, |json, key| &json[key]);
    found.as_f64().unwrap_or_else(|| panic!("`{path}` is {found}"))
}

/// A profile of the device with round numbers, as a calibration would leave it: round coefficients, factors of 0.55 and 0.65.
pub(crate) fn profile() -> Value {
    use derate::profile::{DatasetId, FORMAT, PrecisionFit, Profile};
    use derate_core::calibration::{Calibration, Coefficients, Hull, Intervals, MODEL_VERSION, Protocol, Runtime};
    use derate_core::shape::Precision;
    let fit = PrecisionFit {
        precision: Precision::Fp32,
        rows: 40,
        efficiency_factor: 0.55,
        memory_bottleneck_factor: 0.65,
        two_factors_held_out_mape_pct: 12.5,
        calibration: Calibration {
            model_version: MODEL_VERSION,
            runtime: Runtime::EagerCpu,
            protocol: Protocol::WholeRun,
            threads: 2,
            coefficients: Coefficients {
                conv_throughput: 2e11,
                linear_throughput: 1e11,
                direct_throughput: 1e11,
                depthwise_throughput: 5e10,
                cache_bandwidth: 1e11,
                memory_bandwidth: 3e10,
                cache_capacity: 3e7,
                dispatch: 2e-6,
                library_dispatch: 2e-5,
                ..Coefficients::NEUTRAL
            },
            hulls: [Hull { flops: [0.0, 1e12], bytes: [0.0, 1e12] }; 14],
            // e^(2 · 0.05) = 1.105.
            intervals: Some(Intervals { ops: [[[-0.1, 0.1]; 3]; 5], common: 0.05, own: 0.0, quantile: 2.0 }),
        },
        held_out_mape_pct: 8.0,
        mac_only_s_per_mac: 1e-11,
        roofline_flops_per_s: 1e11,
        roofline_bytes_per_s: 1e10,
    };
    let profile = Profile {
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        date: "2026-01-01T00:00:00Z".to_owned(),
        hardware: "two-core".to_owned(),
        clock_hz: 4e9,
        runtime: "unspecified".to_owned(),
        device: "cpu".to_owned(),
        threads: 2,
        statistic: derate::calibrate::Statistic::EmpiricalTime,
        dataset: DatasetId { files: vec!["sweep.csv".to_owned()], sha256: "ab".repeat(32), rows: 40 },
        fits: vec![fit],
    };
    serde_json::to_value(profile).expect("a JSON document")
}
