//! Whether a network fits a device: weights and activations against its memory levels.
//!
//! On a device that keeps them apart (levels that hold weights alone, such as flash) weights must fit those levels, and activations
//! the largest of the others. On any other device each level is asked whether it holds both together.

use derate_core::hardware::Holds;
use serde::Serialize;

use crate::hardware_file::{DeviceKind, HardwareFile, MemoryEntry};

/// A memory level, and whether it holds what it must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// Its capacity.
    pub capacity_bytes: u64,
    /// What it is asked to hold.
    pub holds: &'static str,
    /// Bytes of that.
    pub needed_bytes: u64,
    /// Whether it does.
    pub fits: bool,
    /// By how much it does not.
    pub missing_bytes: u64,
}

/// Whether weights and activations lie in different memories.
#[must_use]
pub fn apart(hardware: &HardwareFile) -> bool {
    let said = hardware.memory.iter().any(|level| level.holds == Holds::Weights);
    said || hardware.kind == DeviceKind::Mcu && hardware.memory.len() > 1
}

/// What each level must hold, and whether it does.
#[must_use]
pub fn levels(hardware: &HardwareFile, weights: u64, activations: u64) -> Vec<Level> {
    let both = weights.saturating_add(activations);
    let apart = apart(hardware);
    let said = hardware.memory.iter().any(|level| level.holds == Holds::Weights);
    let last = hardware.memory.len().saturating_sub(1);
    let for_weights = |index: usize, level: &MemoryEntry| {
        if said { level.holds == Holds::Weights } else { index == last }
    };
    let entries = || hardware.memory.iter().enumerate();
    let largest = |wanted: bool| {
        entries()
            .filter(|(index, level)| for_weights(*index, level) == wanted)
            .max_by_key(|(_, level)| level.capacity_bytes.value)
            .map(|(index, _)| index)
    };
    let (weights_in, activations_in) = (largest(true), largest(false));
    let level = |(index, level): (usize, &MemoryEntry)| {
        let (holds, needed_bytes) = if !apart {
            ("weights and activations", both)
        } else if Some(index) == weights_in {
            ("weights", weights)
        } else if Some(index) == activations_in {
            ("activations", activations)
        } else {
            return None;
        };
        let capacity_bytes = level.capacity_bytes.value;
        Some(Level {
            name: level.name.clone(),
            capacity_bytes,
            holds,
            needed_bytes,
            fits: needed_bytes <= capacity_bytes,
            missing_bytes: needed_bytes.saturating_sub(capacity_bytes),
        })
    };
    entries().filter_map(level).collect()
}

/// Whether the network fits the device at all: where weights and activations lie apart, both do; else the largest level holds both.
#[must_use]
pub fn fits(hardware: &HardwareFile, weights: u64, activations: u64) -> bool {
    let levels = levels(hardware, weights, activations);
    if apart(hardware) { levels.iter().all(|level| level.fits) } else { levels.last().is_some_and(|level| level.fits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(text: &str) -> HardwareFile {
        HardwareFile::parse(text, "device.toml").expect("a description")
    }

    #[test]
    fn a_microcontroller_keeps_weights_and_activations_apart() {
        let (_, text) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == "stm32l4r5").expect("shipped");
        let got = levels(&device(text), 2_097_153, 655_360);
        let said: Vec<_> =
            got.iter().map(|level| (level.name.as_str(), level.holds, level.fits, level.missing_bytes)).collect();
        assert_eq!(said, [("SRAM", "activations", true, 0), ("flash", "weights", false, 1)]);
        assert!(!fits(&device(text), 2_097_153, 655_360) && fits(&device(text), 2_097_152, 655_360));
        assert!(!fits(&device(text), 1, 655_361));
    }

    #[test]
    fn each_level_of_a_processor_is_asked_for_both() {
        let file = device(include_str!("../tests/fixtures/two_core.toml"));
        let first = file.memory[0].capacity_bytes.value;
        let got = levels(&file, first, 7);
        assert_eq!(got.len(), file.memory.len());
        assert_eq!((got[0].fits, got[0].missing_bytes, got[0].needed_bytes), (false, 7, first + 7));
        assert!(got.last().expect("a level").fits && fits(&file, first, 7));
    }
}
