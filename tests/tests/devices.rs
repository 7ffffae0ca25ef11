//! Described devices: every shipped file passes the check, and is what it says it is.

use derate::hardware_file::{HardwareFile, check, json_schema};

#[test]
fn every_shipped_description_passes_the_check() {
    assert!(!derate_hw_specs::DEVICES.is_empty());
    for (name, text) in derate_hw_specs::DEVICES {
        let problems: Vec<String> = check(text, name).iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(HardwareFile::parse(text, name).expect("checked").name, *name);
    }
}

#[test]
fn the_firmwares_device_is_the_shipped_one() {
    let (name, text) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == "stm32l4r5").expect("shipped");
    let file = HardwareFile::parse(text, name).expect("valid");
    file.with_hardware(|hardware| {
        let firmware = &derate_firmware::device::CORTEX_M4F;
        assert_eq!(hardware.name(), firmware.name());
        assert_eq!(hardware.compute(), firmware.compute());
        // The bandwidth is computed there and written here: equal to a rounding.
        for (file, flash) in hardware.memory().iter().zip(firmware.memory()) {
            assert_eq!((file.name, file.capacity, file.basis), (flash.name, flash.capacity, flash.basis));
            assert_eq!((file.filling, file.holds), (flash.filling, flash.holds));
            assert!((file.bandwidth.get() / flash.bandwidth.get() - 1.0).abs() < 1e-6);
        }
        assert_eq!(hardware.memory().len(), firmware.memory().len());
        assert_eq!(hardware.thermal_profiles(), firmware.thermal_profiles());
        assert_eq!(hardware.dispatch(), firmware.dispatch());
    })
    .expect("core takes it");
}

#[test]
fn the_schema_beside_the_descriptions_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../hw-specs/hardware.schema.json");
    let committed = std::fs::read_to_string(path).expect("hw-specs/hardware.schema.json");
    assert_eq!(
        committed.trim(),
        json_schema().trim(),
        "write it anew: `derate hardware schema > hw-specs/hardware.schema.json`"
    );
}
