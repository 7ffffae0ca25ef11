//! Tidiness: rules of the house that no compiler knows, read from the sources themselves.
//!
//! Layers of core, length of files, what core may use, its dependencies, no paths of a machine, and that the no-panic
//! proof calls every public function.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use derate_tests::source::{code, files, public_functions, without_tests};

/// Modules of core, lowest first; those in one row may use each other.
const LAYERS: [&[&str]; 17] = [
    &["units", "error"],
    &["shape"],
    &["tensor"],
    &["work"],
    &["op"],
    &["graph"],
    &["fusion"],
    &["memory"],
    &["hardware"],
    &["residency"],
    &["roofline"],
    &["nest"],
    &["tile"],
    &["mapping"],
    &["mapper"],
    &["calibration"],
    &["estimate"],
];

/// Lines beyond which a file no longer explains itself.
const LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Rust files below a folder of the repository, with their code: no comments, no tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let files = files(&root().join(folder), "rs");
    assert!(!files.is_empty(), "no sources in {folder}");
    files.into_iter().map(|path| (path.clone(), without_tests(&code(&read(&path))))).collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

#[test]
fn core_is_layered() {
    let mut modules = BTreeSet::new();
    for (path, code) in sources("core/src") {
        // `op/conv.rs` is of the module `op`.
        let relative = path.strip_prefix(root().join("core/src")).expect("below core").with_extension("");
        let module = relative.iter().next().and_then(|name| name.to_str()).expect("a name");
        if module == "lib" {
            continue;
        }
        let own = layer(module).unwrap_or_else(|| panic!("{}: module {module} has no layer", path.display()));
        modules.insert(module.to_owned());
        for used in code.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // Macros and items of `lib.rs` have no layer.
            if let Some(other) = layer(&used) {
                assert!(other <= own, "{}: {module} uses {used}, a later layer", path.display());
            }
        }
    }
    assert_eq!(modules.len(), LAYERS.concat().len(), "a layer without a module: {modules:?}");
}

#[test]
fn core_uses_neither_std_nor_alloc_nor_unsafe() {
    for (path, code) in sources("core/src") {
        for word in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
            assert!(!["std", "alloc", "unsafe"].contains(&word), "{}: {word}", path.display());
        }
    }
    assert!(read(&root().join("core/src/lib.rs")).contains("#![no_std]\n#![forbid(unsafe_code)]"));
}

#[test]
fn core_depends_on_four_crates_at_most() {
    let manifest = read(&root().join("core/Cargo.toml"));
    let mut in_dependencies = false;
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies") && !line.contains("dev-dependencies");
            assert!(line == "[dependencies]" || !in_dependencies, "core/Cargo.toml: {line}");
        } else if in_dependencies {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            assert!(["heapless", "libm", "serde", "defmt"].contains(&name), "core/Cargo.toml: {line}");
            assert!(
                ["heapless", "libm"].contains(&name) || line.contains("optional = true"),
                "core/Cargo.toml: {line}"
            );
        }
    }
}

#[test]
fn files_explain_themselves() {
    for folder in ["core/src", "core/benches", "hw-specs/src", "host/src", "xtask/src", "firmware/src", "fuzz", "tests"]
    {
        for path in files(&root().join(folder), "rs") {
            let lines = read(&path).lines().count();
            assert!(lines <= LINES, "{}: {lines} lines, {LINES} at most", path.display());
        }
    }
}

#[test]
fn files_say_what_they_hold() {
    for folder in ["core/src", "core/benches", "hw-specs/src", "host/src", "xtask/src", "firmware/src", "fuzz", "tests"]
    {
        for path in files(&root().join(folder), "rs") {
            let first = read(&path).lines().next().unwrap_or_default().to_owned();
            assert!(
                first.starts_with("//!") || first.starts_with("#![doc"),
                "{}: starts with {first:?}",
                path.display()
            );
        }
    }
}

#[test]
fn no_path_of_a_machine() {
    // Put together here, so that this file does not hold them.
    let prefixes = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat()];
    for path in files(&root(), "") {
        // What is not text has no words.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            for prefix in &prefixes {
                assert!(!line.contains(prefix.as_str()), "{}:{number}: {prefix}: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_no_panic_proof_calls_every_public_function() {
    let proof: String = sources("tests/no-panic/src").into_iter().map(|(_, code)| code).collect();
    let mut missing = Vec::new();
    let mut count = 0;
    for (path, code) in sources("core/src") {
        for function in public_functions(&code) {
            count += 1;
            if !function.called_in(&proof) {
                missing.push(format!("{}: {}", path.display(), function.name()));
            }
        }
    }
    assert!(missing.is_empty(), "not called in tests/no-panic: {missing:#?}");
    assert!(count > 50, "only {count} public functions found: the reader of sources is blind");
}
