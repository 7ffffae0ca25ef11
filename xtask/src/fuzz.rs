//! `cargo xtask fuzz`: builds the fuzz targets of the importers, runs each for some time, and says what was found.
//!
//! The targets are in `fuzz/`, their seeds in `fuzz/corpus/`, which the tests replay. What a run adds to a corpus stays below the
//! target folder; what breaks a target is written to `fuzz/artifacts/`.

mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process::{self, Install};

/// Limits of each run: memory in MiB, seconds for one input, bytes of one input. The sanitizer and the counting of coverage make
/// an importer ten to twenty times slower; the second that an input may take as users run it is five seconds here.
const LIMITS: [&str; 3] = ["-rss_limit_mb=500", "-timeout=5", "-max_len=65536"];

/// For the address sanitizer: freed memory that it keeps counts as used, and would fill the limit by itself; nothing here leaks.
const ASAN_OPTIONS: &str = "quarantine_size_mb=16:detect_leaks=0";

/// What to fuzz, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Seconds for each target.
    pub(crate) seconds: u32,
    /// One target; else all.
    pub(crate) target: Option<String>,
    /// Targets that run at the same time.
    pub(crate) jobs: usize,
    /// A folder for binaries and corpora, instead of a run.
    pub(crate) output: Option<PathBuf>,
    /// Whether cargo-fuzz may be installed.
    pub(crate) install: Install,
}

/// A target that is built.
#[derive(Debug, Clone)]
struct Target {
    name: String,
    binary: PathBuf,
    corpus: PathBuf,
}

/// Builds the targets, and runs them or leaves them in a folder. Fails where something was found.
///
/// # Errors
/// If cargo-fuzz is missing and cannot or may not be installed, if the build fails, or if a folder cannot be written.
pub(crate) fn verb(root: &Path, plan: &Plan) -> Result<ExitCode> {
    let names = names(root, plan.target.as_deref())?;
    let folder = target_folder(root);
    require_cargo_fuzz(plan.install)?;
    let targets = build(root, &folder, &names)?;
    match &plan.output {
        Some(output) => {
            pack(&targets, output)?;
            println!("{}: run.sh runs them ({} targets)", output.display(), targets.len());
            Ok(ExitCode::SUCCESS)
        }
        None => run::all(root, &folder, &targets, plan),
    }
}

/// The targets: files of `fuzz/fuzz_targets/`, or the one that is wanted.
fn names(root: &Path, wanted: Option<&str>) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    match wanted {
        None => Ok(names),
        Some(wanted) if names.iter().any(|name| name == wanted) => Ok(vec![wanted.to_owned()]),
        Some(wanted) => bail!("no target is called {wanted}; there are {}", names.join(", ")),
    }
}

/// Where the targets are built: their flags are their own, and would rebuild everything else.
fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder)).join("fuzz")
}

fn require_cargo_fuzz(install: Install) -> Result<()> {
    let found = || process::output_of(process::cargo(Path::new(".")).args(["fuzz", "--version"])).is_ok();
    if found() {
        return Ok(());
    }
    let advice = "`cargo install cargo-fuzz --locked` installs it";
    if install == Install::Forbidden {
        bail!("cargo-fuzz is not installed; {advice}");
    }
    println!("cargo-fuzz is not installed: installing it from crates.io");
    let status = process::run(process::cargo(Path::new(".")).args(["install", "cargo-fuzz", "--locked"]))?;
    if status.success() && found() { Ok(()) } else { bail!("cargo-fuzz could not be installed; {advice}") }
}

fn build(root: &Path, folder: &Path, names: &[String]) -> Result<Vec<Target>> {
    let host = host()?;
    let sanitizer = if has_sanitizer(&host)? { "address" } else { "none" };
    if sanitizer == "none" {
        println!("the toolchain has no address sanitizer: built without it, with checks of overflow and of assertions");
    }
    let mut targets = Vec::new();
    for name in names {
        let mut cargo = process::cargo(root);
        cargo.args(["fuzz", "build", "--fuzz-dir", "fuzz", "--debug-assertions", "--sanitizer", sanitizer]);
        cargo.args(["--target", &host, "--target-dir"]).arg(folder).arg(name);
        // Sanitizers and coverage are unstable options of a stable compiler; a nightly one does not mind.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        let status = process::run(&mut cargo)?;
        if !status.success() {
            bail!("`{}` ended with {}", process::describe(&cargo), process::describe_status(status));
        }
        let binary = folder.join(&host).join("release").join(name);
        if !binary.is_file() {
            bail!("{} was not built", binary.display());
        }
        targets.push(Target { name: name.clone(), binary, corpus: root.join("fuzz/corpus").join(name) });
    }
    Ok(targets)
}

/// The target triple of the compiler itself.
fn host() -> Result<String> {
    let version = process::output_of(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

/// Whether the toolchain brings the run-time library of the address sanitizer.
fn has_sanitizer(host: &str) -> Result<bool> {
    let sysroot = PathBuf::from(process::output_of(Command::new("rustc").args(["--print", "sysroot"]))?);
    let Ok(entries) = fs::read_dir(sysroot.join("lib/rustlib").join(host).join("lib")) else { return Ok(false) };
    Ok(entries.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().contains("_rt.asan.")))
}

/// Leaves a binary without symbols for a debugger, the corpora, and a script that runs them, in a folder. All binaries hold the
/// code of all targets: one is enough.
fn pack(targets: &[Target], output: &Path) -> Result<()> {
    for target in targets {
        let corpus = output.join("corpus").join(&target.name);
        fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        for entry in fs::read_dir(&target.corpus).with_context(|| target.corpus.display().to_string())? {
            let path = entry?.path();
            fs::copy(&path, corpus.join(path.file_name().unwrap_or_default()))
                .with_context(|| path.display().to_string())?;
        }
    }
    let binary = output.join("importers");
    let Some(target) = targets.first() else { bail!("there is no target") };
    fs::copy(&target.binary, &binary).with_context(|| binary.display().to_string())?;
    // Without `strip` it is larger, and runs as well.
    if !process::run(Command::new("strip").arg(&binary)).is_ok_and(|status| status.success()) {
        println!("{}: not stripped", binary.display());
    }
    let script = output.join("run.sh");
    fs::write(&script, run_script(targets)).with_context(|| script.display().to_string())
}

fn run_script(targets: &[Target]) -> String {
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    include_str!("fuzz/run.sh")
        .replace("@TARGETS@", &names.join(" "))
        .replace("@LIMITS@", &LIMITS.join(" "))
        .replace("@ASAN_OPTIONS@", ASAN_OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_target_is_named_beside_the_known() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(names(&root, Some("onnx")).expect("there is one"), ["onnx"]);
        let error = names(&root, Some("onx")).expect_err("there is none").to_string();
        assert!(error.contains("onx; there are") && error.contains("tflite"), "{error}");
    }

    #[test]
    fn every_target_is_a_binary_of_the_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("the package");
        for name in names(&root, None).expect("targets") {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        }
    }

    #[test]
    fn the_script_is_complete() {
        let target = Target { name: "onnx".to_owned(), binary: PathBuf::new(), corpus: PathBuf::new() };
        let script = run_script(&[target]);
        assert!(script.contains("for target in onnx;") && script.contains("-timeout=5"), "{script}");
        assert!(!script.contains("@TARGETS@") && !script.contains("@LIMITS@"), "{script}");
    }
}
