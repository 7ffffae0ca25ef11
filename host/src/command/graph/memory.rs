//! `derate graph memory`: live bytes, schedules, an arena, and what of it fits a device.
//!
//! The rule of the levels stands in [`crate::fits`].

use std::cmp::Reverse;

use anyhow::{Context, Result, bail};
use derate_core::Error;
use derate_core::graph::Tables;
use derate_core::memory::{Buffer, Lifetimes, lifetimes, schedule};
use derate_core::tensor::TensorId;
use serde::Serialize;

use super::super::hardware::find;
use super::{Outcome, has_extension, plot, read};
use crate::cli::{Format, GraphMemory};
use crate::command::{json, print_json};
use crate::export::{bytes, extents};
use crate::fits::{Level, apart, levels};
use crate::graph_buf::GraphBuf;
use crate::hardware_file::HardwareFile;
use crate::report::{Column, Table};

/// A plan of memory; the keys of `--format json`.
#[derive(Debug, Serialize)]
struct Plan {
    model: String,
    weight_bytes: u64,
    peak_activation_bytes: u64,
    scheduled_peak_bytes: u64,
    /// Size of the arena in the order of `order`.
    arena_bytes: u64,
    alignment: u32,
    /// Numbers of the ops in the order in which the arena is planned.
    order: Vec<u32>,
    tensors: Vec<Placed>,
    levels: Vec<Level>,
    /// Bytes alive while each step runs.
    live_bytes: Vec<u64>,
}

/// A tensor in the arena.
#[derive(Clone, Debug, Serialize)]
struct Placed {
    name: String,
    shape: Vec<u32>,
    data_type: &'static str,
    /// First byte in the arena.
    offset: u64,
    bytes: u64,
    /// Steps that first write and last read it.
    first_step: u32,
    last_step: u32,
    /// The tensor whose memory it shares: it is a view of it, or takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<String>,
}

pub(super) fn run(args: &GraphMemory, format: Format) -> Result<Outcome> {
    if let Some(path) = args.output.as_deref().filter(|path| !has_extension(path, "svg")) {
        bail!("--output {}: the name must end in .svg", path.display());
    }
    let hardware = args.hardware.as_deref().map(|name| find(name).map(|(_, file)| file)).transpose()?;
    let graph = read(&args.source)?.graph;
    let plan = plan(&graph, args, hardware.as_ref())?;
    if let Some(path) = &args.output {
        let title = format!("Live activations of {}", plan.model);
        let svg = plot::live(&title, &plan.live_bytes, plan.arena_bytes)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        std::fs::write(path, svg).with_context(|| path.display().to_string())?;
    }
    if json(format) {
        print_json(&plan)?;
    } else {
        print(&plan, args, hardware.as_ref());
    }
    Ok(Outcome::Done)
}

fn plan(graph: &GraphBuf, args: &GraphMemory, hardware: Option<&HardwareFile>) -> Result<Plan> {
    let view = graph.view();
    let footprint = graph.footprint()?;
    let mut buffers = vec![Buffer::EMPTY; view.tensors().len()];
    let count = view.nodes().len();
    let mut best = vec![0; count];
    let scheduled = schedule(view, &mut best, &mut vec![0; count.saturating_mul(2)], &mut buffers)?;
    let order = if args.schedule { best } else { (0..u32::try_from(count)?).collect() };
    let mut lifetimes = lifetimes(view, Some(&order), &mut buffers)?;
    let arena = lifetimes.place(args.align)?;
    let live = lifetimes.live()?.map(|live| live.map(|bytes| bytes.0)).collect::<Result<_, Error>>()?;
    let tensors = placed(graph, &lifetimes);
    let levels = hardware.map_or(Vec::new(), |hardware| levels(hardware, footprint.weights.0, arena.0));
    Ok(Plan {
        model: graph.name().to_owned(),
        weight_bytes: footprint.weights.0,
        peak_activation_bytes: footprint.peak_activations.0,
        scheduled_peak_bytes: scheduled.0,
        arena_bytes: arena.0,
        alignment: args.align,
        order,
        tensors,
        levels,
        live_bytes: live,
    })
}

/// Names of all tensors: of what computes them, or of the inputs; further outputs of an op are numbered.
fn tensor_names(graph: &GraphBuf) -> Vec<String> {
    let view = graph.view();
    let mut names = vec![String::new(); view.tensors().len()];
    let mut set = |id: TensorId, name: String| {
        if let Some(place) = names.get_mut(id.index()) {
            *place = name;
        }
    };
    for (id, name) in graph.sources() {
        set(*id, name.clone());
    }
    for (node, name) in view.nodes().iter().zip(graph.names()) {
        for (position, id) in view.outputs(node).enumerate() {
            set(id, if position == 0 { name.clone() } else { format!("{name}:{position}") });
        }
    }
    names
}

/// Every tensor that is not stored with the weights.
fn placed(graph: &GraphBuf, lifetimes: &Lifetimes<'_>) -> Vec<Placed> {
    let names = tensor_names(graph);
    let sources = graph.sources().iter().map(|(id, _)| *id);
    let outputs = graph.view().nodes().iter().flat_map(|node| graph.view().outputs(node));
    let mut ids: Vec<TensorId> = sources.chain(outputs).collect();
    ids.sort_unstable();
    let name = |id: TensorId| names.get(id.index()).cloned().unwrap_or_default();
    let place = |id: TensorId| {
        let tensor = graph.view().tensors().get(id.index()).filter(|tensor| !tensor.kind.is_stored())?;
        let placement = lifetimes.placement(id)?;
        Some(Placed {
            name: name(id),
            shape: tensor.shape.extents().to_vec(),
            data_type: tensor.data_type.name(),
            offset: placement.offset.0,
            bytes: placement.bytes.0,
            first_step: placement.first,
            last_step: placement.last,
            shares: (placement.root != id).then(|| name(placement.root)),
        })
    };
    ids.into_iter().filter_map(place).collect()
}

/// Tensors of the table that people read.
const LARGEST: usize = 10;

fn print(plan: &Plan, args: &GraphMemory, hardware: Option<&HardwareFile>) {
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 };
    let total = plan.weight_bytes.saturating_add(plan.arena_bytes);
    let saved = plan.peak_activation_bytes.saturating_sub(plan.scheduled_peak_bytes);
    let bound = if args.schedule { plan.scheduled_peak_bytes } else { plan.peak_activation_bytes };
    say!("{}", plan.model);
    say!("  weights                        {:>10}", bytes(plan.weight_bytes));
    say!("  peak of live activations       {:>10}  in the file's order", bytes(plan.peak_activation_bytes));
    say!(
        "  peak in the best order found   {:>10}  {:.1} % less",
        bytes(plan.scheduled_peak_bytes),
        percent(saved, plan.peak_activation_bytes)
    );
    say!(
        "  arena, {} order, align {:<5} {:>10}  {:.1} % above the peak, below which none can be",
        if args.schedule { "best" } else { "file" },
        plan.alignment,
        bytes(plan.arena_bytes),
        percent(plan.arena_bytes.saturating_sub(bound), bound)
    );
    say!("  weights and arena              {:>10}", bytes(total));
    if let Some(hardware) = hardware {
        say!("\n{}: {}", hardware.name, rule(hardware));
        for level in &plan.levels {
            let verdict = if level.fits {
                "fits".to_owned()
            } else {
                format!("does not fit: {} missing", bytes(level.missing_bytes))
            };
            let (needed, capacity) = (bytes(level.needed_bytes), bytes(level.capacity_bytes));
            say!("  {:<8} {capacity:>10}  {}, {needed}: {verdict}", level.name, level.holds);
        }
    }
    say!("\nBytes alive while each step runs\n{}", plot::text(&plan.live_bytes));
    let mut sorted: Vec<&Placed> = plan.tensors.iter().filter(|tensor| tensor.shares.is_none()).collect();
    sorted.sort_by_key(|tensor| Reverse(tensor.bytes));
    let shown = sorted.len().min(LARGEST);
    say!("The {shown} largest of {} tensors (`--format json` has all)", plan.tensors.len());
    let mut table = Table::new([
        Column::Left("tensor"),
        Column::Left("shape"),
        Column::Right("bytes"),
        Column::Right("offset"),
        Column::Right("first step"),
        Column::Right("last step"),
    ]);
    for tensor in sorted.into_iter().take(LARGEST) {
        table.row([
            tensor.name.clone(),
            format!("{} {}", extents(&tensor.shape), tensor.data_type),
            tensor.bytes.to_string(),
            tensor.offset.to_string(),
            tensor.first_step.to_string(),
            tensor.last_step.to_string(),
        ]);
    }
    say_part!("{}", table.text());
}

/// The rule of the levels, in words.
fn rule(hardware: &HardwareFile) -> &'static str {
    if apart(hardware) {
        "weights must fit the memory that is theirs, the arena of activations the largest of the others"
    } else {
        "weights and arena together against each level"
    }
}
