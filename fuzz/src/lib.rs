//! Fuzzing of the importers: what the targets in `fuzz_targets/` share.

pub mod check;

use std::sync::LazyLock;

/// Environment variable with the name of a target that a binary is in place of its own: all hold the same code, and one is enough
/// to take to another machine.
static TARGET: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("DERATE_FUZZ_TARGET").ok());

/// Gives an input to the target of this name.
pub fn run(target: &str, bytes: &[u8]) {
    // What is found ends the process; whether an input is refused or read is the same to the fuzzer.
    let _ = check::check(TARGET.as_deref().unwrap_or(target), bytes);
}

/// A fuzz target: gives each input to the importer of this name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            $crate::run($name, bytes);
        });
    };
}
