//! `derate hardware compare`: devices side by side, and their rooflines in one drawing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use derate_core::shape::Precision;
use serde::Serialize;

use super::{Outcome, find, json, print_json};
use crate::cli::Format;
use crate::export::bytes;
use crate::hardware_file::HardwareFile;
use crate::report::Table;
use crate::report::roofs::{self, Roof};
use crate::report::table::Column::{Left, Right};

/// A device: the keys of `--format json`.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    /// Peak throughput of all units in GFLOP/s, at the clocks of the description, by precision.
    peak_gflops: BTreeMap<&'static str, f64>,
    /// Bytes of the largest memory inside the last one.
    on_chip_bytes: u64,
    /// Bytes of the last memory.
    memory_bytes: u64,
    /// Its bandwidth in GB/s.
    bandwidth_gb_per_s: f64,
    /// Sustained power of each mode in watts, where it is stated.
    tdp_watts: BTreeMap<String, Option<f64>>,
}

pub(super) fn run(
    names: &[String],
    precision: Option<Precision>,
    output: Option<&Path>,
    format: Format,
) -> Result<Outcome> {
    if let Some(path) = output.filter(|path| path.extension().is_none_or(|extension| extension != "svg")) {
        bail!("--output {}: the name must end in .svg", path.display());
    }
    let all = names.iter().any(|name| name == "all").then(|| derate_hw_specs::DEVICES.iter().map(|(name, _)| *name));
    let names: Vec<&str> = match all {
        Some(all) => all.collect(),
        None => names.iter().map(String::as_str).collect(),
    };
    let mut files: Vec<HardwareFile> = Vec::new();
    for name in names {
        let file = find(name)?.1;
        if files.iter().all(|other| other.name != file.name) {
            files.push(file);
        }
    }
    let rows = files.iter().map(row).collect::<Result<Vec<_>>>()?;
    if let Some(path) = output {
        let asked = precision.map_or("any precision", Precision::name);
        let mut roofs: Vec<Roof> = Vec::new();
        for file in &files {
            match roof(file, precision)? {
                Some(roof) => roofs.push(roof),
                None => eprintln!("warning: {} does not work in {asked}: left out of {}", file.name, path.display()),
            }
        }
        if roofs.is_empty() {
            bail!("--precision {asked}: none of these devices works in it");
        }
        let svg = roofs::svg("Rooflines at the clocks of the descriptions", &roofs)?;
        std::fs::write(path, svg).with_context(|| path.display().to_string())?;
    }
    if json(format) {
        print_json(&rows)?;
    } else {
        say_part!("{}", table(&rows).text());
        if let Some(path) = output {
            say!("\n{}", path.display());
        }
    }
    Ok(Outcome::Done)
}

fn row(file: &HardwareFile) -> Result<Row> {
    let peak_gflops = file.with_hardware(|hardware| {
        let peak =
            |precision: Precision| Some((precision.name(), f64::from(hardware.fastest(precision).ok()?.1.get()) / 1e9));
        Precision::ALL.into_iter().filter_map(peak).collect()
    })?;
    let (last, inner) = file.memory.split_last().context("a description has a memory level")?;
    Ok(Row {
        name: file.name.clone(),
        kind: file.kind.name(),
        peak_gflops,
        on_chip_bytes: inner.iter().map(|level| level.capacity_bytes.value).max().unwrap_or(0),
        memory_bytes: last.capacity_bytes.value,
        bandwidth_gb_per_s: last.bandwidth_bytes_per_s.value / 1e9,
        tdp_watts: file
            .thermal_profile
            .iter()
            .map(|profile| (profile.name.clone(), profile.tdp_watts.as_ref().map(|watts| watts.value)))
            .collect(),
    })
}

fn roof(file: &HardwareFile, precision: Option<Precision>) -> Result<Option<Roof>> {
    let bandwidth = file.memory.last().map_or(0.0, |level| level.bandwidth_bytes_per_s.value);
    let usual = [Precision::Fp32, Precision::Fp16, Precision::Bf16, Precision::Int8, Precision::Fp64];
    let wanted = precision.map_or(usual.to_vec(), |precision| vec![precision]);
    Ok(file.with_hardware(|hardware| {
        let found = wanted.into_iter().find_map(|precision| Some((precision, hardware.fastest(precision).ok()?.1)));
        found.map(|(precision, peak)| Roof {
            label: format!("{} {}", file.name, precision.name()),
            peak: f64::from(peak.get()),
            bandwidth,
        })
    })?)
}

fn table(rows: &[Row]) -> Table<'static> {
    const SHOWN: [&str; 5] = ["fp64", "fp32", "bf16", "fp16", "int8"];
    let mut table = Table::new([
        Left("device"),
        Left("kind"),
        Right("fp64 GFLOP/s"),
        Right("fp32"),
        Right("bf16"),
        Right("fp16"),
        Right("int8"),
        Right("on chip"),
        Right("memory"),
        Right("GB/s"),
        Right("FLOP/B"),
        Left("W"),
    ]);
    let number = |value: f64| match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    };
    for row in rows {
        let mut cells = vec![row.name.clone(), row.kind.to_owned()];
        cells.extend(
            SHOWN.map(|precision| row.peak_gflops.get(precision).copied().map_or_else(|| "–".to_owned(), number)),
        );
        let peak = row.peak_gflops.values().copied().fold(0.0, f64::max);
        let watts = row.tdp_watts.values().flatten().map(|watts| format!("{watts}"));
        cells.extend([
            bytes(row.on_chip_bytes),
            bytes(row.memory_bytes),
            number(row.bandwidth_gb_per_s),
            number(peak / row.bandwidth_gb_per_s),
            watts.collect::<Vec<_>>().join(" "),
        ]);
        table.row(cells);
    }
    table
}
