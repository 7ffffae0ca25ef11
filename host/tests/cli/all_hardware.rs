//! `derate verify --all-hardware`: every shipped device, its times against the peak that its description gives.

use serde_json::Value;

use crate::common::documented::has_keys_of;
use crate::common::{Folder, number};

/// MACs of ResNet-18, 34, 50, 101 and 152: torchvision's models, counted by torch's `FlopCounterMode`.
const MACS: [f64; 5] = [1_814_073_344.0, 3_663_761_408.0, 4_089_184_256.0, 7_801_405_440.0, 11_513_626_624.0];

/// MACs per second of the fastest units of a shown description, at the clock of its first power mode.
fn peak(shown: &Value, precision: &str) -> f64 {
    let units = shown["compute"].as_array().expect("units");
    let described = number(&units[0], "clock_hz.value");
    let mode = shown["thermal_profile"][0]["clock_hz"]["value"].as_f64().unwrap_or(described) / described;
    let rate = |unit: &Value| {
        let rate = unit["macs_per_cycle"][precision]["value"].as_f64()?;
        Some(number(unit, "count.value") * number(unit, "clock_hz.value") * rate * mode)
    };
    units.iter().filter_map(rate).fold(0.0, f64::max)
}

#[test]
fn every_shipped_device_is_checked_and_right() {
    let folder = Folder::new();
    let json = folder.derate("verify --all-hardware --format json").exits(0).json();
    let rows = json.as_array().expect("rows");
    let listed = folder.derate("hardware list --format json").exits(0).json();
    let names = |list: &[Value], key: &str| list.iter().map(|each| each[key].clone()).collect::<Vec<_>>();
    assert_eq!(names(rows, "hardware"), names(listed.as_array().expect("a list"), "name"));
    has_keys_of(&rows[0], "`verify --all-hardware`", &[]);
    for row in rows {
        assert_eq!(row["problems"].as_array().map(Vec::len), Some(0), "{row}");
        let name = row["hardware"].as_str().expect("a name");
        let shown = folder.derate(&format!("hardware show {name} --format json")).exits(0).json();
        let peak = peak(&shown, row["precision"].as_str().expect("a precision"));
        let times: Vec<f64> = row["latency_ms"].as_array().expect("times").iter().filter_map(Value::as_f64).collect();
        assert_eq!(times.len(), MACS.len(), "{row}");
        for (ms, macs) in times.iter().zip(MACS) {
            assert!(*ms >= macs / peak * 1e3 * 0.9999, "{name}: {ms} ms for {macs} MACs at {peak} a second");
        }
        // Within a kind of block the larger network has all kernels of the smaller one, and more.
        assert!(times[0] < times[1] && times[2] < times[3] && times[3] < times[4], "{row}");
        assert!(times[0] < times[2], "{row}");
        // ResNet-34 and 50 are of different blocks: out of order only with a reason.
        let notes = row["notes"].as_array().expect("notes");
        assert_eq!(notes.len(), usize::from(times[1] >= times[2]), "{row}");
        assert!(notes.iter().all(|note| note.as_str().is_some_and(|note| note.contains("bound by"))), "{row}");
    }
}

#[test]
fn it_takes_no_device_and_no_network() {
    let folder = Folder::new();
    for option in ["--models resnet18", "--hardware two_core.toml", "--threads 2", "--max-mape 10"] {
        let name = option.split(' ').next().expect("a name");
        folder.derate(&format!("verify --all-hardware {option}")).refused(&[
            "--all-hardware",
            name,
            "cannot be used with",
        ]);
    }
}
