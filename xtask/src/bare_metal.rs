//! Builds for the bare-metal target, a Cortex-M4F: which toolchain does it, and what is built.
//!
//! Where the active toolchain has the target's core library (`rustup target add`), it builds as usual. Elsewhere
//! Debian's compiler is used, which brings the library's source to build it from, with the active toolchain's linker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, Binary, Install};

/// ARMv7E-M with the single-precision floating-point unit, hard-float calling convention.
pub(crate) const TARGET: &str = "thumbv7em-none-eabihf";

/// Other processors that core builds for: it is to run on the cores of accelerators too.
pub(crate) const OTHER_TARGETS: [&str; 5] = [
    "riscv32imac-unknown-none-elf",
    "riscv64gc-unknown-none-elf",
    "aarch64-unknown-none",
    "wasm32-unknown-unknown",
    "nvptx64-nvidia-cuda",
];

/// Debian's packages with the compiler, cargo and the source of the core library.
const DEBIAN_TOOLCHAIN: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// A way to build for [`TARGET`].
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The active one, which has the target's core library.
    Active,
    /// Debian's, building the core library from source.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// Finds a toolchain, or installs Debian's.
    ///
    /// # Errors
    /// If there is none and none can or may be installed; the message says what would do.
    pub(crate) fn find(install: Install) -> Result<Self> {
        let sysroot = PathBuf::from(process::output_of(Command::new("rustc").args(["--print", "sysroot"]))?);
        if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            return Ok(Self::Active);
        }
        let advice = || format!("the toolchain lacks {TARGET} (`rustup target add {TARGET}`)");
        match debian(&sysroot) {
            Ok(toolchain) => Ok(toolchain),
            Err(error) if install == Install::Forbidden => Err(error.context(advice())),
            Err(_) => install_packages(&DEBIAN_TOOLCHAIN).and_then(|()| debian(&sysroot)).with_context(advice),
        }
    }

    /// Those of [`OTHER_TARGETS`] that it builds for.
    ///
    /// # Errors
    /// If the active toolchain does not say where it is.
    pub(crate) fn other_targets(&self) -> Result<Vec<&'static str>> {
        let Self::Active = self else { return Ok(OTHER_TARGETS.to_vec()) };
        let sysroot = PathBuf::from(process::output_of(Command::new("rustc").args(["--print", "sysroot"]))?);
        let has = |target: &&str| sysroot.join("lib/rustlib").join(target).join("lib").is_dir();
        Ok(OTHER_TARGETS.into_iter().filter(has).collect())
    }

    /// `cargo build --release` for targets, in `folder`.
    fn build(&self, folder: &Path, targets: &[&str]) -> Command {
        let targets = targets.iter().flat_map(|target| ["--target", *target]);
        let arguments: Vec<&str> = ["build", "--release"].into_iter().chain(targets).collect();
        match self {
            Self::Active => {
                let mut cargo = process::cargo(folder);
                cargo.args(arguments);
                cargo
            }
            Self::Debian { linker } => {
                let mut cargo = Command::new("/usr/bin/cargo");
                cargo.current_dir(folder).args(arguments).arg("-Zbuild-std=core");
                cargo.env("RUSTC", "/usr/bin/rustc").env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", linker);
                // Building the core library is an unstable option of a stable compiler.
                cargo.env("RUSTC_BOOTSTRAP", "1");
                // Set by the active toolchain's cargo for this program: they point to that toolchain's own parts.
                for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTDOC", "LD_LIBRARY_PATH"] {
                    cargo.env_remove(variable);
                }
                cargo
            }
        }
    }
}

/// Debian's toolchain, if all of it is there.
fn debian(sysroot: &Path) -> Result<Toolchain> {
    let packages = DEBIAN_TOOLCHAIN.join(" ");
    for path in ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/lib/rustlib/src/rust/library/Cargo.lock"] {
        if !Path::new(path).exists() {
            bail!("Debian's ({packages}) lacks {path}");
        }
    }
    let version = process::output_of(Command::new("/usr/bin/rustc").arg("--version").env_remove("LD_LIBRARY_PATH"))?;
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    if !is_at_least(&version, wanted) {
        bail!("/usr/bin/rustc is {version}, where at least {wanted} is needed ({packages})");
    }
    let linker = find_linker(sysroot).with_context(|| format!("no rust-lld in {}", sysroot.display()))?;
    Ok(Toolchain::Debian { linker })
}

/// The linker that a rustup toolchain brings, `lib/rustlib/HOST/bin/rust-lld`.
fn find_linker(sysroot: &Path) -> Option<PathBuf> {
    fs::read_dir(sysroot.join("lib/rustlib"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/rust-lld")))
        .find(|path| path.is_file())
}

/// Whether `rustc 1.96.0 (...)` is `1.95` or later.
fn is_at_least(version_line: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    let found = version_line.split_whitespace().nth(1).map(numbers).unwrap_or_default();
    found >= numbers(wanted)
}

/// Installs Debian packages, as root or through a sudo that asks for no password.
///
/// # Errors
/// If this is no Debian system, there is no right to install, or apt-get fails.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    let by_hand = || format!("by hand, on Debian: apt-get update && apt-get install {}", packages.join(" "));
    if !process::is_there("apt-get") {
        bail!("apt-get is not found; {}", by_hand());
    }
    let is_root = process::output_of(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    if !is_root && process::output_of(Command::new("sudo").args(["-n", "true"])).is_err() {
        bail!("neither root nor sudo without a password; {}", by_hand());
    }
    let install: Vec<&str> = ["install", "-y", "--no-install-recommends"].iter().chain(packages).copied().collect();
    for arguments in [&["update"][..], &install] {
        let mut apt = Command::new(if is_root { "env" } else { "sudo" });
        if !is_root {
            apt.args(["-n", "env"]);
        }
        apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
        let status = process::run(&mut apt)?;
        if !status.success() {
            bail!("`{}` ended with {}", process::describe(&apt), process::describe_status(status));
        }
    }
    Ok(())
}

/// Builds the core library of the workspace for these targets.
///
/// # Errors
/// If the build fails.
pub(crate) fn build_core(root: &Path, toolchain: &Toolchain, targets: &[&str]) -> Result<()> {
    let mut cargo = toolchain.build(root, targets);
    cargo.args(["--package", "derate-core"]);
    let status = process::run(&mut cargo)?;
    if !status.success() {
        bail!("`{}` ended with {}", process::describe(&cargo), process::describe_status(status));
    }
    Ok(())
}

/// Builds the firmware's binaries.
///
/// # Errors
/// If the build fails or makes no binary.
pub(crate) fn build_firmware(root: &Path, toolchain: &Toolchain) -> Result<Vec<Binary>> {
    let folder = root.join("firmware");
    if !folder.join("Cargo.toml").is_file() {
        bail!("{} is missing", folder.join("Cargo.toml").display());
    }
    let binaries = process::build_binaries(&mut toolchain.build(&folder, &[TARGET]))?;
    if binaries.is_empty() {
        bail!("{} builds no binary", folder.display());
    }
    Ok(binaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_at_least("rustc 1.95.0 (59807616e 2026-04-14)", "1.95"));
        assert!(is_at_least("rustc 1.100.0 (built from a source tarball)", "1.95"));
        assert!(!is_at_least("rustc 1.63.0 (4b91a6ea7 2022-08-08)", "1.95"));
        assert!(!is_at_least("", "1.95"));
    }

    #[test]
    fn debian_toolchain_builds_its_core_library_with_the_given_linker() {
        let toolchain = Toolchain::Debian { linker: PathBuf::from("/l/rust-lld") };
        let cargo = toolchain.build(Path::new("/r"), &[TARGET]);
        assert_eq!(
            process::describe(&cargo),
            "/usr/bin/cargo build --release --target thumbv7em-none-eabihf -Zbuild-std=core"
        );
        let variable = cargo.get_envs().find(|(name, _)| *name == "CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER");
        assert_eq!(variable.and_then(|(_, value)| value), Some("/l/rust-lld".as_ref()));
    }

    #[test]
    fn active_toolchain_builds_without_unstable_options() {
        let cargo = Toolchain::Active.build(Path::new("/r"), &[TARGET]);
        assert!(process::describe(&cargo).ends_with(" build --release --target thumbv7em-none-eabihf"));
        assert_eq!(cargo.get_envs().count(), 0);
    }
}
