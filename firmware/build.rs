//! Puts `memory.x` where the linker looks for it; there is nothing to link in a build for a host.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=memory.x");
    // Set by Cargo for build scripts; `none` is a machine without an operating system.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return Ok(());
    }
    if let Some(directory) = env::var_os("OUT_DIR").map(PathBuf::from) {
        fs::copy("memory.x", directory.join("memory.x"))?;
        println!("cargo::rustc-link-search={}", directory.display());
    }
    Ok(())
}
