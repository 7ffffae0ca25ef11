//! Described devices: every shipped file passes the check, and is what it says it is.

use derate::export::device::{device, index, module_name};
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

/// With `DERATE_BLESS=1` the constants are written instead.
#[test]
fn the_constants_are_the_descriptions() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../hw-specs/src/device");
    let parse = |(name, text): &(&str, &str)| HardwareFile::parse(text, name).expect("valid");
    let files: Vec<HardwareFile> = derate_hw_specs::DEVICES.iter().map(parse).collect();
    let mut wanted = vec![(format!("{folder}.rs"), index(files.iter()))];
    for file in &files {
        wanted.push((format!("{folder}/{}.rs", module_name(&file.name)), device(file).expect("a constant")));
    }
    let bless = std::env::var_os("DERATE_BLESS").is_some();
    for (path, text) in &wanted {
        if bless {
            std::fs::write(path, text).expect("written");
        } else {
            let found = std::fs::read_to_string(path).unwrap_or_default();
            assert!(found == *text, "{path} is not what its description says: run with DERATE_BLESS=1");
        }
    }
    // A constant without a description is left over.
    let count = std::fs::read_dir(folder).expect("a folder").count();
    assert_eq!(count, files.len() + 1, "{folder}: one file a device, and the prelude");
}

#[test]
fn a_constant_is_what_is_read_from_its_description() {
    for (name, text) in derate_hw_specs::DEVICES {
        let file = HardwareFile::parse(text, name).expect("valid");
        let constant = derate_hw_specs::device::find(name).expect("a constant");
        file.with_hardware(|hardware| assert_eq!(*hardware, constant.hardware)).expect("core takes it");
        assert_eq!(file.mapper(), constant.mapper, "{name}");
    }
    assert!(derate_hw_specs::device::find("none").is_none());
}

#[test]
fn the_schema_beside_the_descriptions_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../hw-specs/hardware.schema.json");
    if std::env::var_os("DERATE_BLESS").is_some() {
        std::fs::write(path, json_schema()).expect("written");
    }
    let committed = std::fs::read_to_string(path).expect("hw-specs/hardware.schema.json");
    let current = committed.trim() == json_schema().trim();
    assert!(current, "write it anew: `derate hardware schema > hw-specs/hardware.schema.json`");
}
