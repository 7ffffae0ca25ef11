//! The quickstart: builds `derate` and takes this machine's CPU from detection to a verified calibration.
//!
//! Times are wall-clock seconds. The errors printed at the end are read from the calibration's own report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::binary::{self, Profile};
use crate::process;

/// Exit code of `derate sweep` when it finished, but had to skip some configurations.
const DONE_WITH_SKIPPED_ROWS: i32 = 3;

/// One call of the `derate` binary.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    headline: &'static str,
    arguments: Vec<String>,
    /// Exit codes after which the quickstart goes on.
    accepted: &'static [i32],
}

/// Runs the quickstart, writing into `output` (`results/quickstart` in the repository if none), and returns the exit
/// code of the first step that failed.
///
/// # Errors
/// If the build fails, a step cannot be started, or the calibration's report cannot be read.
pub(crate) fn run(root: &Path, output: Option<&Path>) -> Result<ExitCode> {
    // The default stays relative, and the steps run in the repository: reports then name short paths.
    let folder = match output {
        Some(folder) => {
            std::path::absolute(folder).with_context(|| format!("cannot tell where {} is", folder.display()))?
        }
        None => PathBuf::from("results/quickstart"),
    };
    let on_disk = root.join(&folder);
    fs::create_dir_all(&on_disk).with_context(|| format!("cannot create {}", on_disk.display()))?;

    let started = Instant::now();
    println!("== build derate with libtorch");
    let derate = binary::build(root, Profile::Release)?;
    let build_time = started.elapsed();
    println!("-- {}\n", seconds(build_time));

    let started = Instant::now();
    for step in plan(&folder) {
        println!("== {}", step.headline);
        println!("derate {}", step.arguments.join(" "));
        let step_started = Instant::now();
        let status = process::run(Command::new(&derate).args(&step.arguments).current_dir(root))?;
        println!("-- {}\n", seconds(step_started.elapsed()));
        if !status.code().is_some_and(|code| step.accepted.contains(&code)) {
            eprintln!("error: `derate {}` ended with {}", step.arguments.join(" "), process::describe_status(status));
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            return Ok(ExitCode::from(code));
        }
    }
    let steps_time = started.elapsed();

    let summary = on_disk.join("calibration_report.json");
    let text = fs::read_to_string(&summary).with_context(|| format!("cannot read {}", summary.display()))?;
    let errors = parse_errors(&text).with_context(|| summary.display().to_string())?;
    println!("build                {}", seconds(build_time));
    println!("detect … verify      {}", seconds(steps_time));
    println!("error before         {:.1} % MAPE", errors.before_pct);
    println!("error after          {:.1} % MAPE of the profile, held out", errors.after_held_out_pct);
    println!("                     {:.1} % MAPE of the two applied factors, held out", errors.two_factors_held_out_pct);
    let verdict = on_disk.join("verify.json");
    let text = fs::read_to_string(&verdict).with_context(|| format!("cannot read {}", verdict.display()))?;
    let verdict: Value = serde_json::from_str(&text).with_context(|| verdict.display().to_string())?;
    for (what, key) in [("MLPs never measured", "mlp_mape_pct"), ("kinds never measured", "others_mape_pct")] {
        if let Some(error) = verdict[key].as_f64() {
            println!("{what:<20} {error:.1} % MAPE");
        }
    }
    println!("report               {}", folder.join("calibration_report.md").display());
    Ok(ExitCode::SUCCESS)
}

/// The calls of `derate`, with `folder` for every file.
fn plan(folder: &Path) -> Vec<Step> {
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let hardware = file("this-cpu.toml");
    let sweep = file("mlp_sweep_quick_cpu.csv");
    let report = file("calibration_report.md");
    let profile = file("calibration_report.profile.json");
    let verification = file("verify.md");

    let step = |headline, arguments: &[&str]| Step {
        headline,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        accepted: &[0],
    };
    vec![
        step("detect the hardware", &["hardware", "detect", "--output", &hardware]),
        Step {
            accepted: &[0, DONE_WITH_SKIPPED_ROWS],
            ..step(
                "sweep",
                &["sweep", "mlp", "--quick", "--device", "cpu", "--hardware", &hardware, "--output", &sweep],
            )
        },
        step("calibrate", &["calibrate", "--input", &sweep, "--hardware", &hardware, "--output", &report]),
        step("apply the calibration", &["apply", &profile, "--hardware", &hardware]),
        step("verify", &["verify", "--profile", &profile, "--hardware", &hardware, "--output", &verification]),
    ]
}

/// Mean absolute percentage errors of the estimates, in percent.
#[derive(Debug, PartialEq)]
struct Errors {
    before_pct: f64,
    after_held_out_pct: f64,
    two_factors_held_out_pct: f64,
}

fn parse_errors(text: &str) -> Result<Errors> {
    let report: Value = serde_json::from_str(text).context("not JSON")?;
    let number = |key: &str| {
        let value = report.pointer(key).unwrap_or(&Value::Null);
        value.as_f64().with_context(|| format!("key {key} is {value}, where a number was expected"))
    };
    Ok(Errors {
        before_pct: number("/error/before/mape_pct")?,
        after_held_out_pct: number("/error/after_held_out/mape_pct")?,
        two_factors_held_out_pct: number("/precisions/0/factors/held_out_mape_pct")?,
    })
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hand_their_files_to_the_next() {
        let steps = plan(Path::new("out"));
        let lines: Vec<String> = steps.iter().map(|step| step.arguments.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "hardware detect --output out/this-cpu.toml",
                "sweep mlp --quick --device cpu --hardware out/this-cpu.toml --output out/mlp_sweep_quick_cpu.csv",
                "calibrate --input out/mlp_sweep_quick_cpu.csv --hardware out/this-cpu.toml --output out/calibration_report.md",
                "apply out/calibration_report.profile.json --hardware out/this-cpu.toml",
                "verify --profile out/calibration_report.profile.json --hardware out/this-cpu.toml --output out/verify.md",
            ]
        );
    }

    #[test]
    fn only_the_sweep_may_skip_rows() {
        let may_skip: Vec<bool> = plan(Path::new("out")).iter().map(|step| step.accepted.contains(&3)).collect();
        assert_eq!(may_skip, [false, true, false, false, false]);
    }

    #[test]
    fn errors_are_read_from_the_report() {
        let text = r#"{"error": {"before": {"mape_pct": 41.5}, "after_held_out": {"mape_pct": 7, "r2": 0.99}},
            "precisions": [{"factors": {"held_out_mape_pct": 19.5}}]}"#;
        let errors = Errors { before_pct: 41.5, after_held_out_pct: 7.0, two_factors_held_out_pct: 19.5 };
        assert_eq!(parse_errors(text).expect("parses"), errors);
    }

    #[test]
    fn missing_key_is_named() {
        let error = parse_errors(r#"{"error": {"before": {"mape_pct": 41.5}}}"#).expect_err("a key is missing");
        assert!(error.to_string().contains("key /error/after_held_out/mape_pct is null"), "{error}");
    }
}
