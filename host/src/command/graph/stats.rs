//! `derate graph stats`: totals, classes, the largest ops, kernels.

use std::cmp::Reverse;

use anyhow::{Context, Result};
use derate_core::graph::Tables;
use derate_core::units::Flops;
use derate_core::work::Class;
use serde::Serialize;

use super::count::{KernelCount, Op, intensity, kernels, ops};
use super::{Outcome, read};
use crate::cli::{Format, GraphStats};
use crate::command::{json, print_json};
use crate::export::{bytes, count, extents};
use crate::import::{Import, Unsupported};
use crate::on_device::Scratch;
use crate::report::{Column, Table};

/// Everything that is counted; the keys of `--format json`.
#[derive(Debug, Serialize)]
struct Stats {
    model: String,
    macs: u64,
    flops: u64,
    params: u64,
    weight_bytes: u64,
    peak_activation_bytes: u64,
    operational_intensity: Option<f64>,
    bookkeeping: usize,
    ops: Vec<Op>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernels: Option<Vec<KernelCount>>,
    unsupported: Vec<Unsupported>,
    /// Parameters of stored tensors that no op reads.
    unread_params: u64,
}

pub(super) fn run(args: &GraphStats, format: Format) -> Result<Outcome> {
    let import = read(&args.source)?;
    let stats = stats(import, args)?;
    if json(format) {
        print_json(&stats)?;
    } else {
        print(&stats, args);
    }
    Ok(Outcome::Done)
}

fn stats(import: Import, args: &GraphStats) -> Result<Stats> {
    let Import { graph, unsupported, bookkeeping } = import;
    let view = graph.view();
    let work = view.total_work().with_context(|| graph.name().to_owned())?;
    let footprint = graph.footprint()?;
    let ops = ops(&graph)?;
    let mut scratch = Scratch::new(&graph);
    let kernels = match args.fusion {
        Some(fusion) => Some(kernels(&graph, scratch.fuse(&graph, fusion.policy())?)?),
        None => None,
    };
    let read: u64 = ops.iter().map(|op| op.params).fold(0, u64::saturating_add);
    Ok(Stats {
        model: graph.name().to_owned(),
        macs: work.macs.0,
        flops: work.flops.0,
        params: work.params,
        weight_bytes: footprint.weights.0,
        peak_activation_bytes: footprint.peak_activations.0,
        operational_intensity: intensity(Flops(work.flops.0) / view.compulsory_traffic()?),
        bookkeeping,
        ops,
        kernels,
        unsupported,
        unread_params: work.params.saturating_sub(read),
    })
}

fn print(stats: &Stats, args: &GraphStats) {
    let intensity = stats.operational_intensity.map_or("–".to_owned(), |value| format!("{value:.1}"));
    say!(
        "{}: {} MACs, {} FLOPs, {} parameters, {} of weights, {} of activations at the peak, {intensity} FLOP/B",
        stats.model,
        count(stats.macs),
        count(stats.flops),
        count(stats.params),
        bytes(stats.weight_bytes),
        bytes(stats.peak_activation_bytes)
    );
    say!("{} ops; {} nodes of bookkeeping, which take no time", stats.ops.len(), stats.bookkeeping);
    if stats.unread_params > 0 {
        say!("{} parameters are stored and read by no op", count(stats.unread_params));
    }
    if !stats.unsupported.is_empty() {
        say!("\nNOT COUNTED: {} nodes, which every number here leaves out", stats.unsupported.len());
        let mut table = Table::new([Column::Left("node"), Column::Left("op"), Column::Left("why")]);
        for node in &stats.unsupported {
            table.row([&node.name, &node.op, &node.reason].map(String::as_str));
        }
        say_part!("{}", table.text());
    }
    say!("\n{}", classes(stats).trim_end());
    if args.ops && stats.kernels.is_none() {
        say!("\nEvery op\n{}", op_table(&stats.ops, stats.ops.len(), stats.macs, |_| 0).trim_end());
    } else {
        type By = fn(&Op) -> u64;
        let lists: [(&str, By); 3] = [
            ("Most MACs", |op| op.macs),
            ("Most bytes moved", |op| op.bytes()),
            ("Most activations alive", |op| op.bytes_live),
        ];
        for (title, by) in lists.into_iter().filter(|_| args.top > 0) {
            say!("\n{title}\n{}", op_table(&stats.ops, args.top, stats.macs, by).trim_end());
        }
    }
    if let (Some(kernels), Some(fusion)) = (&stats.kernels, args.fusion) {
        print_kernels(kernels, args, fusion.policy().meaning);
    }
}

fn classes(stats: &Stats) -> String {
    let mut table = Table::new([
        Column::Left("class"),
        Column::Right("ops"),
        Column::Right("MACs"),
        Column::Right("share"),
        Column::Right("FLOPs"),
        Column::Right("params"),
        Column::Right("moved"),
    ]);
    for class in Class::ALL {
        let of_class: Vec<&Op> = stats.ops.iter().filter(|op| op.class == class).collect();
        let sum = |value: fn(&Op) -> u64| of_class.iter().map(|op| value(op)).fold(0, u64::saturating_add);
        if !of_class.is_empty() {
            table.row([
                class.name().to_owned(),
                of_class.len().to_string(),
                count(sum(|op| op.macs)),
                share(sum(|op| op.macs), stats.macs),
                count(sum(|op| op.flops)),
                count(sum(|op| op.params)),
                bytes(sum(Op::bytes)),
            ]);
        }
    }
    table.text()
}

/// The ops that are largest by something, the largest first; of equals the earlier.
fn op_table(ops: &[Op], top: usize, macs: u64, by: fn(&Op) -> u64) -> String {
    let mut sorted: Vec<&Op> = ops.iter().collect();
    sorted.sort_by_key(|op| Reverse(by(op)));
    let mut table = Table::new([
        Column::Left("name"),
        Column::Left("op"),
        Column::Left("output"),
        Column::Right("MACs"),
        Column::Right("share"),
        Column::Right("params"),
        Column::Right("moved"),
        Column::Right("alive"),
        Column::Right("FLOP/B"),
    ]);
    for op in sorted.into_iter().take(top) {
        table.row([
            op.name.clone(),
            op.op.to_owned(),
            format!("{} {}", extents(&op.output_shape), op.data_type),
            count(op.macs),
            share(op.macs, macs),
            count(op.params),
            bytes(op.bytes()),
            bytes(op.bytes_live),
            op.operational_intensity.map_or(String::new(), |value| format!("{value:.2}")),
        ]);
    }
    table.text()
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "0.0 %".to_owned() } else { format!("{:.1} %", part as f64 / whole as f64 * 100.0) }
}

fn print_kernels(kernels: &[KernelCount], args: &GraphStats, meaning: &str) {
    let sum = |value: fn(&KernelCount) -> u64| kernels.iter().map(value).fold(0, u64::saturating_add);
    let (before, after) = (sum(|kernel| kernel.bytes_unfused), sum(KernelCount::bytes));
    let saved = share(before.saturating_sub(after), before);
    say!("\n{} kernels on {meaning}: {} moved, {} op by op ({saved} less)", kernels.len(), bytes(after), bytes(before));
    let mut rules: Vec<_> = Vec::new();
    for rule in kernels.iter().filter_map(|kernel| kernel.why) {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    for rule in rules {
        let of_rule = || kernels.iter().filter(|kernel| kernel.why == Some(rule));
        let ops: usize = of_rule().map(|kernel| kernel.ops.len()).sum();
        say!("  {}: {} kernels of {ops} ops: {}", rule.name, of_rule().count(), rule.reason);
    }
    let mut sorted: Vec<&KernelCount> = kernels.iter().collect();
    let shown = if args.ops { kernels.len() } else { args.top };
    if !args.ops {
        sorted.sort_by_key(|kernel| Reverse(kernel.bytes_unfused.saturating_sub(kernel.bytes())));
        say!("\nKernels that save most");
    } else {
        say!("\nEvery kernel");
    }
    let mut table = Table::new([
        Column::Left("name"),
        Column::Left("rule"),
        Column::Right("MACs"),
        Column::Right("op by op"),
        Column::Right("moved"),
        Column::Left("ops"),
    ]);
    for kernel in sorted.into_iter().take(shown) {
        table.row([
            kernel.name.clone(),
            kernel.rule.unwrap_or("–").to_owned(),
            count(kernel.macs),
            bytes(kernel.bytes_unfused),
            bytes(kernel.bytes()),
            kernel.ops.join(", "),
        ]);
    }
    say_part!("{}", table.text());
}
