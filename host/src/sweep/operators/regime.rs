//! What should limit a graph on a device, by its description alone: launches, arithmetic, or the memory level that holds its data.

use derate_core::Error;
use derate_core::graph::Tables;
use derate_core::hardware::Hardware;
use derate_core::op::Op;
use derate_core::shape::Precision;

use crate::graph_buf::GraphBuf;

/// Time by the roofline below which an eager op is over before the next can be launched: dispatch takes 2 to 12 µs.
const LAUNCH_SECONDS: f64 = 5e-6;

/// Working sets from 0.7 to 1.4 of a cache are neither in it nor out of it.
const BORDER: [f64; 2] = [0.7, 1.4];

/// What should limit a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Its launches.
    Launch,
    /// The bytes that it moves.
    Memory,
    /// Its arithmetic.
    Compute,
}

/// Where a graph lies on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What should limit it.
    pub limit: Limit,
    /// Number of the memory level that holds its working set.
    pub level: usize,
    /// Name of that level.
    pub level_name: String,
    /// Parameters and peak activations, in bytes.
    pub working_set: u64,
    /// Whether the working set is about as large as a cache.
    pub border: bool,
    /// Time by the roofline of that level, in seconds.
    pub seconds: f64,
}

impl Place {
    /// `launch`, `memory L2`, `compute DRAM`.
    #[must_use]
    pub fn regime(&self) -> String {
        match self.limit {
            Limit::Launch => "launch".to_owned(),
            Limit::Memory => format!("memory {}", self.level_name),
            Limit::Compute => format!("compute {}", self.level_name),
        }
    }
}

/// Where a graph lies.
///
/// ```text
/// level      the first whose capacity is at least the working set; the last one else
/// compute    Σ over ops flops / peak
/// memory     Σ over ops compulsory bytes / bandwidth of the level
/// limit      launch where both are below 5 µs an op, else the longer
/// ```
///
/// # Errors
/// A precision in which no unit of the device works; counts that overflow.
pub fn place(graph: &GraphBuf, hardware: &Hardware<'_>, precision: Precision) -> Result<Place, Error> {
    let working_set = graph.footprint()?.total()?.0;
    let (_, peak) = hardware.fastest(precision)?;
    let levels = hardware.memory();
    let holds = levels.iter().position(|level| working_set <= level.capacity.0);
    let level = holds.unwrap_or(levels.len().saturating_sub(1));
    let caches = levels.split_last().map_or(&[][..], |(_, caches)| caches);
    let border = caches.iter().any(|cache| {
        let share = working_set as f64 / cache.capacity.0 as f64;
        (BORDER[0]..=BORDER[1]).contains(&share)
    });
    let bandwidth = levels.get(level).map_or(f64::INFINITY, |level| f64::from(level.bandwidth.get()));
    let view = graph.view();
    let (mut compute, mut memory, mut launches) = (0.0, 0.0, 0.0);
    for node in view.nodes() {
        let work = view.work(node)?;
        compute += work.flops.0 as f64 / f64::from(peak.get());
        memory += work.compulsory_traffic()?.0 as f64 / bandwidth;
        // Neither moves a byte in eager mode.
        launches += f64::from(!matches!(node.op, Op::View(_) | Op::Transpose(_)));
    }
    let seconds = f64::max(compute, memory);
    let limit = match compute > memory {
        _ if seconds < LAUNCH_SECONDS * launches => Limit::Launch,
        true => Limit::Compute,
        false => Limit::Memory,
    };
    let level_name = levels.get(level).map_or(String::new(), |level| level.name.to_owned());
    // Launches do not ask where the data lies: all of them are one regime.
    let level = if limit == Limit::Launch { 0 } else { level };
    Ok(Place { limit, level, level_name, working_set, border, seconds })
}
