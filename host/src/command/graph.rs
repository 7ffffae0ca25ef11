//! `derate graph stats | show | memory | convert`.

mod convert;
mod count;
mod memory;
mod plot;
mod show;
mod stats;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use derate_core::fusion::{Fused, Link, Policy, Readers, fuse};
use derate_core::graph::Tables;

use super::{Outcome, detected_path, hardware_file};
use crate::cli::{Format, GraphSource, GraphVerb};
use crate::graph_buf::GraphBuf;
use crate::hardware_file::HardwareFile;
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

/// Scratch of a fusion.
#[derive(Debug)]
struct Scratch {
    readers: Vec<Readers>,
    links: Vec<Link>,
}

impl Scratch {
    fn new(graph: &GraphBuf) -> Self {
        let view = graph.view();
        Self { readers: vec![Readers::NOBODY; view.tensors().len()], links: vec![Link::FREE; view.nodes().len()] }
    }

    /// The kernels of a graph.
    fn fuse<'a>(&'a mut self, graph: &'a GraphBuf, policy: &'a Policy) -> Result<Fused<'a>> {
        Ok(fuse(graph.view(), policy, &mut self.readers, &mut self.links)?)
    }
}

/// A description: `detected`, the name of a shipped one, or a file.
fn described(hardware: &str) -> Result<HardwareFile> {
    if hardware == "detected" {
        let path = detected_path()?;
        return Ok(hardware_file(path.exists().then_some(path.as_path()))?.1);
    }
    if let Some((name, text)) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == hardware) {
        return Ok(HardwareFile::parse(text, name)?);
    }
    let path = PathBuf::from(hardware);
    if !path.exists() {
        let names = derate_hw_specs::DEVICES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        bail!("--hardware {hardware}: no such file, and no shipped description of this name; shipped are {names}");
    }
    Ok(HardwareFile::read(&path)?)
}

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
