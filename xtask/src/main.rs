//! `cargo xtask <verb>`: the repository's commands, each of which runs other programs and reports on them.
//!
//! Fetches libtorch, builds `derate` with it, runs the quickstart and runs every check of the workspace.
//! It computes nothing about models or hardware: that is the work of `derate-core` and `derate`.

mod bare_metal;
mod binary;
mod counts;
mod fuzz;
mod ladder;
mod libtorch;
mod process;
mod qemu;
mod quickstart;
mod unpack;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::process::Install;

/// Commands of the derate repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make libtorch available in the cache folder (`DERATE_CACHE`, else ~/.cache/derate)
    Setup {
        /// Fetch nothing: only check and unpack what is already there
        #[arg(long)]
        no_install: bool,
    },
    /// Set up libtorch and build the `derate` binary with it
    Build {
        /// Build without optimisation
        #[arg(long)]
        debug: bool,
    },
    /// Build, then detect, sweep, calibrate, apply and verify on this machine's CPU
    Quickstart {
        /// Folder for the results [default: results/quickstart in the repository]
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Run every check of the workspace and count them
    Test {
        /// Fetch and install nothing: what lacks its tool is skipped
        #[arg(long)]
        no_install: bool,
        /// Leave out everything that needs libtorch
        #[arg(long)]
        no_torch: bool,
    },
    /// Build the firmware, or run it under QEMU and compare its output
    Firmware {
        #[arg(value_enum, default_value_t = FirmwareAction::Qemu)]
        action: FirmwareAction,
        /// Install neither a toolchain nor QEMU
        #[arg(long)]
        no_install: bool,
        /// Write what each binary prints to its .out file, instead of comparing (qemu only)
        #[arg(long)]
        bless: bool,
    },
    /// Fuzz the importers: build the targets of fuzz/, run each, say what was found; exit code 1 where something was
    Fuzz {
        /// Seconds for each target
        #[arg(long, value_name = "N", default_value_t = 600)]
        seconds: u32,
        /// Only this target [default: all]
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
        /// Targets that run at the same time
        #[arg(long, value_name = "N", default_value_t = 1)]
        jobs: usize,
        /// Run nothing: leave binaries, corpora and a script that runs them in the folder of --output
        #[arg(long, requires = "output")]
        build_only: bool,
        /// Folder for what --build-only leaves
        #[arg(long, value_name = "DIR", requires = "build_only")]
        output: Option<PathBuf>,
        /// Do not install cargo-fuzz
        #[arg(long)]
        no_install: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FirmwareAction {
    /// Build the binaries and print their paths
    Build,
    /// Build, run each binary under QEMU, compare its output to the .out file beside its source
    Qemu,
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    let root = repository_root();
    match verb {
        Verb::Setup { no_install } => {
            let libtorch = libtorch::setup(Install::unless(no_install))?;
            println!("libtorch: {}", libtorch.root.display());
            Ok(ExitCode::SUCCESS)
        }
        Verb::Build { debug } => {
            let profile = if debug { binary::Profile::Debug } else { binary::Profile::Release };
            println!("{}", binary::build(&root, profile)?.display());
            Ok(ExitCode::SUCCESS)
        }
        Verb::Quickstart { output } => quickstart::run(&root, output.as_deref()),
        Verb::Test { no_install, no_torch } => {
            let torch = if no_torch { ladder::Torch::LeftOut } else { ladder::Torch::Wanted };
            Ok(ladder::run(&root, Install::unless(no_install), torch))
        }
        Verb::Fuzz { seconds, target, jobs, build_only: _, output, no_install } => {
            fuzz::verb(&root, &fuzz::Plan { seconds, target, jobs, output, install: Install::unless(no_install) })
        }
        Verb::Firmware { action, no_install, bless } => {
            let install = Install::unless(no_install);
            match action {
                FirmwareAction::Build => {
                    let toolchain = bare_metal::Toolchain::find(install)?;
                    for binary in bare_metal::build_firmware(&root, &toolchain)? {
                        println!("{}: {}", binary.name, binary.executable.display());
                    }
                    Ok(ExitCode::SUCCESS)
                }
                FirmwareAction::Qemu => {
                    let expected = if bless { qemu::Expected::Write } else { qemu::Expected::Compare };
                    qemu::firmware_verb(&root, install, expected)
                }
            }
        }
    }
}

/// The folder that holds the workspace's Cargo.toml.
fn repository_root() -> PathBuf {
    // Cargo sets the variable at run time too; it is right even if the checkout moved after the build.
    let xtask =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn root_holds_the_workspace() {
        assert!(repository_root().join("xtask/Cargo.toml").is_file());
    }
}
