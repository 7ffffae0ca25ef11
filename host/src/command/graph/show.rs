//! `derate graph show`: the graph as DOT or SVG, coloured by what bounds its kernels.

use anyhow::{Context, Result, bail};
use derate_core::Error;
use derate_core::estimate::{OpEstimate, Target, kernel_estimates};
use derate_core::fusion::Fused;

use super::super::hardware::find;
use super::{Outcome, deliver, has_extension, read};
use crate::cli::{Fusion, GraphShow};
use crate::export::drawing::{Content, Drawing};
use crate::export::{dot, svg};
use crate::graph_buf::GraphBuf;
use crate::hardware_file::HardwareFile;
use crate::on_device::Scratch;

pub(super) fn run(args: &GraphShow) -> Result<Outcome> {
    let output = args.output.as_deref();
    if let Some(path) = output.filter(|path| !has_extension(path, "dot") && !has_extension(path, "svg")) {
        bail!("--output {}: the name must end in .dot or .svg", path.display());
    }
    let import = read(&args.source)?;
    let drawing = drawing(&import.graph, args.fusion, args.hardware.as_deref())?;
    let text = match output {
        Some(path) if has_extension(path, "svg") => svg::write(&drawing).with_context(|| path.display().to_string())?,
        _ => dot::write(&drawing),
    };
    deliver(output, &text)?;
    Ok(Outcome::Done)
}

/// Boxes and arrows of a graph; without a policy each op is a kernel of its own.
pub(super) fn drawing(graph: &GraphBuf, fusion: Option<Fusion>, hardware: Option<&str>) -> Result<Drawing> {
    let mut scratch = Scratch::new(graph);
    let fused = scratch.fuse(graph, fusion.unwrap_or(Fusion::Eager).policy())?;
    let content = Content { graph, fused, estimates: None, levels: &[] };
    let Some(hardware) = hardware else { return Ok(Drawing::new(&content)?) };
    let file = find(hardware)?.1;
    let estimates = estimates(&file, fused).with_context(|| format!("{} on {}", graph.name(), file.name))?;
    let levels: Vec<&str> = file.memory.iter().map(|level| level.name.as_str()).collect();
    let mut drawing = Drawing::new(&Content { estimates: Some(&estimates), levels: &levels, ..content })?;
    drawing.title = format!("{} on {}", drawing.title, file.name);
    Ok(drawing)
}

/// The time of each kernel by the description alone.
fn estimates(file: &HardwareFile, fused: Fused<'_>) -> Result<Vec<OpEstimate>> {
    let parts = file.parts()?;
    let hardware = parts.hardware()?;
    let target = Target::new(&hardware)?;
    let estimates = kernel_estimates(fused, &target)?.collect::<Result<_, Error>>();
    Ok(estimates?)
}
