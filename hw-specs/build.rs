//! Lists the descriptions: their names and texts, by name.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=devices");
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("devices");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    // The folder is that of whoever compiles the list: checkouts that share a target directory share this file.
    let mut list = String::from("&[\n");
    for name in names {
        let path = format!("/devices/{name}.toml");
        writeln!(list, "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),")?;
    }
    list.push_str("]\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("texts.rs"), list)?;
    Ok(())
}
