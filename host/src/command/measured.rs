//! Fresh measurements of a handful of networks, interleaved in one block, for verbs that compare with them.

use anyhow::Result;

use super::sweep::interrupt_flag;
use crate::graph_buf::GraphBuf;
use crate::measure::{
    Chunk, End, Plan as Schedule, Progress, Record, ReferenceLevels, ReferenceSample, Settings, Sink,
    SystemSurroundings, run as measure,
};
use crate::process_memory;
use crate::progress::Reporter;
use crate::torch::GraphExecutor;

/// Keeps the rows, forgets the samples.
struct Kept {
    records: Vec<Record>,
    reporter: Reporter,
}

impl Sink for Kept {
    type Error = std::convert::Infallible;
    fn chunk(&mut self, _chunk: &Chunk<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
    fn reference(&mut self, _sample: &ReferenceSample) -> Result<(), Self::Error> {
        Ok(())
    }
    fn row(&mut self, record: &Record) -> Result<(), Self::Error> {
        self.records.push(record.clone());
        Ok(())
    }
    fn progress(&mut self, progress: &Progress) {
        self.reporter.show(progress);
    }
}

/// Rows of all networks in one interleaved block of at least `block_time` seconds; `None` where interrupted.
pub(super) fn measure_all(networks: &[GraphBuf], block_time: f64) -> Result<Option<Vec<Record>>> {
    let settings = Settings {
        block_size: networks.len().clamp(1, 64),
        warmup_runs: 10,
        min_block_time_s: block_time,
        time_cap_s: 6.0,
        ..Settings::default()
    };
    let mut kept = Kept { records: Vec::new(), reporter: Reporter::new("networks", 0, networks.len()) };
    let todo: Vec<usize> = (0..networks.len()).collect();
    let schedule = Schedule { todo: &todo, total: todo.len(), first_block: 0, best: ReferenceLevels::default() };
    let mut executor = GraphExecutor::new(networks.to_vec(), process_memory::available() / 2)?;
    let finish =
        measure(&mut executor, &mut SystemSurroundings::new(), &mut kept, schedule, &settings, interrupt_flag()?)?;
    kept.reporter.finish();
    Ok((finish.end == End::Complete).then_some(kept.records))
}
