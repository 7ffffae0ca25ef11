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
            println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
            // libtorch registers its CPU kernels in static constructors: keep it though no symbol asks for it.
            println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
        }
        Err(_) => {
            println!("cargo:warning=LIBTORCH is not set: `cargo xtask build` fetches libtorch and sets it");
        }
    }
}
