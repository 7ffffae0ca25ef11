//! `derate graph stats | show | memory | convert`.

mod convert;
mod count;
mod memory;
mod plot;
mod show;
mod stats;

use std::path::Path;

use anyhow::{Context, Result};

use super::Outcome;
use crate::cli::{Format, GraphSource, GraphVerb};
use crate::import::Import;

pub(super) fn run(verb: &GraphVerb, format: Format) -> Result<Outcome> {
    match verb {
        GraphVerb::Stats(args) => stats::run(args, format),
        GraphVerb::Show(args) => show::run(args),
        GraphVerb::Memory(args) => memory::run(args, format),
        GraphVerb::Convert(args) => convert::run(args),
    }
}

/// Reads the network, and says on standard error what of it is not counted.
fn read(source: &GraphSource) -> Result<Import> {
    let import = source.network.read(source.precision.data_type())?;
    if !import.unsupported.is_empty() {
        let count = import.unsupported.len();
        eprintln!("warning: {count} nodes of {} are not counted: every number leaves them out", source.network.source);
        for node in import.unsupported.iter().take(SHOWN) {
            eprintln!("warning:   {} ({}): {}", node.name, node.op, node.reason);
        }
        if count > SHOWN {
            eprintln!("warning:   and {} more: `derate graph stats` lists all", count - SHOWN);
        }
    }
    Ok(import)
}

/// Nodes that are not counted and named in a warning.
const SHOWN: usize = 5;

/// Writes a result to a file, or prints it.
fn deliver(output: Option<&Path>, text: &str) -> Result<()> {
    match output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
            say!("{}", path.display());
        }
        None => say_part!("{text}"),
    }
    Ok(())
}

/// Whether the name of a file ends so.
fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
