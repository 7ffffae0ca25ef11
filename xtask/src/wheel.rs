//! The Python wheels that libtorch is taken from, each pinned by file name and SHA-256, and how they are fetched.
//!
//! libtorch is not in a package registry of its own; the wheels of `PyPI` hold the same libraries, and `pip` fetches
//! them wherever it is set up to look (a mirror, a proxy). A wheel that is present and matches its hash is not fetched
//! again, and a download gets its final name only once its hash is right, so an interrupted set-up goes on where it was.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use crate::process::{self, Install};

/// One pinned wheel, and what is taken from it.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Name of the distribution, as pip is asked for it.
    pub(crate) distribution: &'static str,
    pub(crate) version: &'static str,
    pub(crate) file: &'static str,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub(crate) sha256: &'static str,
    /// Entries taken: those that start with the first string, which is replaced by the second.
    pub(crate) takes: &'static [(&'static str, &'static str)],
}

/// Version of libtorch that the wheels give.
pub(crate) const LIBTORCH_VERSION: &str = "2.11.0";

/// The wheels. `libtorch_cpu.so` of the default wheel is linked to two CUDA libraries even where no GPU is used,
/// so these come along (7 MB unpacked); the 4 GB of CUDA kernels do not.
pub(crate) const WHEELS: [Wheel; 3] = [
    Wheel {
        distribution: "torch",
        version: LIBTORCH_VERSION,
        file: "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        takes: &[
            ("torch/include/", "include/"),
            ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
            ("torch/lib/libc10.so", "lib/libc10.so"),
            ("torch/lib/libgomp", "lib/libgomp"),
        ],
    },
    Wheel {
        distribution: "nvidia-cuda-runtime",
        version: "13.0.96",
        file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        takes: &[("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13")],
    },
    Wheel {
        distribution: "nvidia-cuda-cupti",
        version: "13.0.85",
        file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        takes: &[("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13")],
    },
];

/// Platform tags of the wheels, for pip on a machine whose own tags differ.
const PLATFORMS: [&str; 4] =
    ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];

impl Wheel {
    /// Path of the wheel in `folder`, fetched first unless a file with the right hash is there.
    ///
    /// # Errors
    /// If the wheel is not there and cannot or may not be fetched; the message says how to place it by hand.
    pub(crate) fn ensure(&self, folder: &Path, install: Install) -> Result<PathBuf> {
        let path = folder.join(self.file);
        if path.exists() {
            println!("checking {}", self.file);
            let found = sha256_of(&path)?;
            if found == self.sha256 {
                return Ok(path);
            }
            if install == Install::Forbidden {
                bail!("{} has sha256 {found}, and nothing may be fetched\n{}", path.display(), self.by_hand(folder));
            }
            println!("{} has sha256 {found}, not {}: fetching it again", path.display(), self.sha256);
        } else if install == Install::Forbidden {
            bail!("{} is not there, and nothing may be fetched\n{}", path.display(), self.by_hand(folder));
        }
        self.fetch(folder)
    }

    fn fetch(&self, folder: &Path) -> Result<PathBuf> {
        let partial = folder.join(".partial");
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot create {}: is the cache folder writable?", partial.display()))?;
        require_pip().map_err(|error| anyhow!("cannot fetch {}: {error:#}\n{}", self.file, self.by_hand(folder)))?;

        println!("fetching {} {} with pip", self.distribution, self.version);
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip"]).args(self.pip_arguments()).arg("-d").arg(&partial).arg(self.requirement());
        let tried = process::describe(&pip);
        let status = process::run(&mut pip)?;
        if !status.success() {
            bail!(
                "cannot fetch {} (is this machine online, is the disk full?)\n  tried: {tried}\n  ended with: {}\n{}",
                self.file,
                process::describe_status(status),
                self.by_hand(folder)
            );
        }

        let fetched = partial.join(self.file);
        if !fetched.is_file() {
            bail!("pip fetched another file than {}\n  tried: {tried}\n{}", self.file, self.by_hand(folder));
        }
        let found = sha256_of(&fetched)?;
        if found != self.sha256 {
            // Left in place, pip would take the wrong file for a finished download.
            fs::remove_file(&fetched).with_context(|| format!("cannot remove {}", fetched.display()))?;
            bail!("{} came with sha256 {found}\n  tried: {tried}\n{}", self.file, self.by_hand(folder));
        }
        let path = folder.join(self.file);
        fs::rename(&fetched, &path)
            .with_context(|| format!("cannot move {} to {}", fetched.display(), path.display()))?;
        Ok(path)
    }

    fn requirement(&self) -> String {
        format!("{}=={}", self.distribution, self.version)
    }

    fn pip_arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"];
        for platform in PLATFORMS {
            arguments.extend(["--platform", platform]);
        }
        // The wheel itself is kept; a second copy of 530 MB in pip's cache would serve no one.
        arguments.extend(["--no-cache-dir", "--disable-pip-version-check"]);
        arguments
    }

    fn by_hand(&self, folder: &Path) -> String {
        format!(
            "By hand: fetch that wheel of {} ({}) elsewhere, place it at\n  {}\n(sha256 {}), and run the command again.",
            self.distribution,
            self.version,
            folder.join(self.file).display(),
            self.sha256
        )
    }
}

fn require_pip() -> Result<()> {
    if !process::is_there("python3") {
        bail!("python3 is not found; on Debian or Ubuntu: apt-get install python3 python3-pip");
    }
    process::output_of(Command::new("python3").args(["-m", "pip", "--version"]))
        .context("python3 has no pip; on Debian or Ubuntu: apt-get install python3-pip")?;
    Ok(())
}

/// SHA-256 of a file, in lower-case hexadecimal.
fn sha256_of(path: &Path) -> Result<String> {
    let reading = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n_bytes = file.read(&mut buffer).with_context(reading)?;
        if n_bytes == 0 {
            break;
        }
        hasher.update(&buffer[..n_bytes]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_well_formed() {
        for wheel in &WHEELS {
            assert_eq!(wheel.sha256.len(), 64, "{}", wheel.file);
            assert!(wheel.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{}", wheel.file);
            // PEP 427: {distribution}-{version}-{python tag}-{abi tag}-{platform tags}.whl
            let stem = wheel.file.strip_suffix(".whl").expect("a wheel");
            let parts: Vec<&str> = stem.split('-').collect();
            assert_eq!(parts.len(), 5, "{}", wheel.file);
            assert_eq!(parts[0], wheel.distribution.replace('-', "_"));
            assert_eq!(parts[1], wheel.version);
            assert!(parts[4].split('.').any(|tag| PLATFORMS.contains(&tag)), "{}", wheel.file);
            assert!(!wheel.takes.is_empty());
        }
    }

    #[test]
    fn sha256_of_abc_is_the_published_one() {
        // FIPS 180-2, appendix B.1: SHA-256("abc").
        let folder = scratch("sha256");
        let path = folder.join("abc");
        fs::write(&path, "abc").expect("writes");
        let sum = sha256_of(&path).expect("reads");
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        fs::remove_dir_all(folder).expect("removes");
    }

    #[test]
    fn without_fetching_a_wrong_or_missing_wheel_is_an_error_that_helps() {
        let folder = scratch("wrong-wheel");
        let wheel = &WHEELS[1];
        let missing = wheel.ensure(&folder, Install::Forbidden).expect_err("not there").to_string();
        assert!(missing.contains("is not there") && missing.contains(wheel.sha256), "{missing}");

        fs::write(folder.join(wheel.file), "abc").expect("writes");
        let wrong = wheel.ensure(&folder, Install::Forbidden).expect_err("wrong hash").to_string();
        assert!(wrong.contains("ba7816bf") && wrong.contains(wheel.sha256), "{wrong}");
        fs::remove_dir_all(folder).expect("removes");
    }

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("creates");
        folder
    }
}
