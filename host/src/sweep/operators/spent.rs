//! Time that earlier parts of a sweep have taken, from its journal, so that a resumed sweep has the rest of its budget. In seconds.

use std::collections::HashMap;

use crate::measure::Entry;

/// Pauses longer than this lie between two parts of a sweep, in milliseconds.
const PAUSE_MS: u64 = 30_000;

/// Seconds by precision and threads, the last two parts of a row's key.
///
/// The time from each line to the next belongs to the configuration that the later one names, or else to the one that was named last.
#[must_use]
pub fn spent(entries: &[Entry]) -> HashMap<String, f64> {
    let mut spent: HashMap<String, f64> = HashMap::new();
    let mut last: Option<u64> = None;
    let mut current: Option<String> = None;
    // Time that no configuration was named for yet.
    let mut waiting = 0_u64;
    for entry in entries {
        let (key, at) = match entry {
            Entry::Chunk { key, at_unix_ms, .. } | Entry::Row { key, at_unix_ms, .. } => (Some(key), *at_unix_ms),
            Entry::Reference { at_unix_ms, .. } => (None, *at_unix_ms),
        };
        let gap = last.map_or(0, |last| at.saturating_sub(last));
        waiting += if gap > PAUSE_MS { 0 } else { gap };
        last = Some(at);
        if let Some(key) = key {
            current = Some(pass(key));
        }
        if let Some(current) = &current {
            *spent.entry(current.clone()).or_default() += std::mem::take(&mut waiting) as f64 / 1e3;
        }
    }
    spent
}

/// The last two parts of a key.
fn pass(key: &str) -> String {
    let mut parts: Vec<&str> = key.rsplitn(3, ' ').take(2).collect();
    parts.reverse();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Reference;

    #[test]
    fn time_between_lines_is_added_up_and_pauses_are_not() {
        let chunk = |key: &str, at_unix_ms| Entry::Chunk {
            key: key.to_owned(),
            block: 0,
            round: 0,
            runs: 1,
            samples_ns: vec![1],
            at_unix_ms,
        };
        let reference = |at_unix_ms| Entry::Reference {
            which: Reference::ComputeBound,
            block: 0,
            round: 0,
            sample_ns: 1,
            at_unix_ms,
        };
        let row = |key: &str, at_unix_ms| Entry::Row { key: key.to_owned(), block: 0, at_unix_ms };
        let entries = [
            reference(1_000),
            reference(1_200),
            chunk("op:relu:1x2 warm fp32 t2", 1_500),
            row("op:relu:1x2 warm fp32 t2", 2_000),
            // Killed, and resumed an hour later.
            reference(3_602_000),
            chunk("op:relu:1x4 cold fp32 t2", 3_602_700),
            chunk("op:relu:1x4 cold bf16 t1", 3_603_000),
            reference(3_603_100),
        ];
        let spent = spent(&entries);
        assert!((spent["fp32 t2"] - (1.0 + 0.7)).abs() < 1e-9, "{spent:?}");
        assert!((spent["bf16 t1"] - 0.4).abs() < 1e-9, "{spent:?}");
    }
}
