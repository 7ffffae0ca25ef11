//! `derate tile`: the tiles of a network's products for memories of given sizes, and the bytes that must move.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use derate_core::Error;
use derate_core::graph::Tables;
use derate_core::nest::{LoopNest, Task};
use derate_core::shape::Precision;
use derate_core::tile::{Buffer, MAX_LEVELS, any_order_bound, tile};
use derate_core::units::Bytes;
use serde::Serialize;

use super::{Outcome, json, print_json};
use crate::cli::{Format, Tile};
use crate::on_device::TileSaid;
use crate::report::Table;
use crate::report::table::Column::{Left, Right};

/// Most bytes of a capacity.
const MOST: u64 = 1 << 53;

/// A product and its tiles: the keys of `--format json`. Of several products an array.
#[derive(Debug, Serialize)]
struct Said {
    /// Name of the op.
    name: String,
    /// MACs of the product.
    macs: u64,
    /// The outermost level, whose traffic the device's memory sees.
    #[serde(flatten)]
    outermost: TileSaid,
    /// All levels, from the innermost on.
    levels: Vec<TileSaid>,
}

pub(super) fn run(args: &Tile, format: Format) -> Result<Outcome> {
    if args.capacities.len() > MAX_LEVELS {
        bail!("--capacity is given {} times; {MAX_LEVELS} levels are the most", args.capacities.len());
    }
    if let Some((first, second)) = args.capacities.iter().zip(args.capacities.iter().skip(1)).find(|(a, b)| a >= b) {
        bail!("--capacity {second} after {first}: levels go from the smallest, the innermost, to the largest");
    }
    let buffers: Vec<Buffer> = args
        .capacities
        .iter()
        .map(|&bytes| Buffer { capacity: Bytes(bytes), double_buffered: args.double_buffered })
        .collect();
    let graph = args.network.read(args.dtype)?.graph;
    let view = graph.view();
    let (mut seen, mut all) = (HashSet::<LoopNest>::new(), Vec::new());
    for (node, name) in view.nodes().iter().zip(graph.names()) {
        // Tilings look at sizes of elements alone: the precision is that of the task's arithmetic, which nobody asks for here.
        let task = Task::op(view, node, view.work(node)?, Precision::Fp32)?;
        for nest in &task.nests {
            if !seen.insert(*nest) {
                continue;
            }
            let tiling = match tile(nest, &buffers) {
                Ok(tiling) => tiling,
                Err(Error::Infeasible { level }) => bail!(too_small(name, nest, &buffers, level)),
                Err(error) => return Err(error).with_context(|| format!("{name} of {}", graph.name())),
            };
            let levels = buffers.iter().zip(&tiling.levels).map(|(buffer, level)| -> Result<_, Error> {
                let said = TileSaid::new(format!("{} B", buffer.capacity.0), level)?;
                let any_order_bound_bytes = Some(any_order_bound(nest, buffer.capacity)?.0);
                Ok(TileSaid { any_order_bound_bytes, ..said })
            });
            let levels: Vec<TileSaid> = levels.collect::<Result<_, _>>()?;
            let outermost = levels.last().cloned().context("a tiling has a level")?;
            all.push(Said { name: name.clone(), macs: nest.macs()?.0, outermost, levels });
        }
    }
    match (json(format), all.as_slice()) {
        (_, []) => bail!("{}: it has no product to tile", args.network.source),
        (true, [one]) => print_json(one)?,
        (true, _) => print_json(&all)?,
        (false, _) => say_part!("{}", table(&all).text()),
    }
    Ok(Outcome::Done)
}

/// What is said of a level that holds not even the smallest tile of a product: which one, and what it must hold at least.
fn too_small(name: &str, nest: &LoopNest, buffers: &[Buffer], level: u8) -> String {
    let Some(buffer) = buffers.get(usize::from(level)) else {
        return format!("{name}: no tile fits level {level}");
    };
    let fits = |bytes: u64| tile(nest, &[Buffer { capacity: Bytes(bytes), ..*buffer }]).is_ok();
    // What holds a tile holds it with more room too: the least is found by halves.
    let (mut below, mut above) = (buffer.capacity.0, MOST);
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        *(if fits(middle) { &mut above } else { &mut below }) = middle;
    }
    let doubled = if buffer.double_buffered { ", what is streamed twice" } else { "" };
    format!(
        "--capacity {}: {name} has no tile that small; the smallest takes {above} bytes{doubled}",
        buffer.capacity.0
    )
}

fn table(all: &[Said]) -> Table<'static> {
    let mut table = Table::new([
        Left("product"),
        Left("level"),
        Left("loops, outermost first"),
        Left("stationary"),
        Right("footprint"),
        Right("traffic"),
        Right("lower bound"),
        Right("ratio"),
        Right("in any order"),
    ]);
    for said in all {
        for level in said.levels.iter().rev() {
            let loops =
                level.loop_order.iter().map(|dim| format!("{dim} {}", level.tile.get(dim).copied().unwrap_or(0)));
            table.row([
                said.name.clone(),
                level.level.clone(),
                loops.collect::<Vec<_>>().join(", "),
                level.stationary.to_owned(),
                level.footprint_bytes.to_string(),
                level.traffic_bytes.to_string(),
                level.lower_bound_bytes.to_string(),
                format!("{:.3}", level.traffic_bytes as f64 / level.lower_bound_bytes.max(1) as f64),
                level.any_order_bound_bytes.map_or_else(String::new, |bytes| bytes.to_string()),
            ]);
        }
    }
    table
}
