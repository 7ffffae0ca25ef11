//! Lets the binary find libtorch where it was built against, so that it runs without `LD_LIBRARY_PATH`.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if env::var_os("CARGO_FEATURE_TORCH").is_none() {
        return;
    }
    match env::var("LIBTORCH") {
        Ok(folder) => {
            let lib = Path::new(&folder).join("lib");
            // Which libtorch it is, as libtorch says itself: rows and profiles carry it.
            let version = std::fs::read_to_string(Path::new(&folder).join("build-version"));
            let version = version.map_or_else(|_| "unknown".to_owned(), |version| version.trim().to_owned());
            println!("cargo:rustc-env=DERATE_LIBTORCH_VERSION={version}");
            println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
            // libtorch registers its CPU kernels in static constructors: keep it though no symbol asks for it.
            println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
        }
        Err(_) => {
            println!("cargo:rustc-env=DERATE_LIBTORCH_VERSION=unknown");
            println!("cargo:warning=LIBTORCH is not set: `cargo xtask build` fetches libtorch and sets it");
        }
    }
}
