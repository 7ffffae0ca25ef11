//! Weight-free files of eight networks against published counts.

use std::path::PathBuf;

use super::model::work;
use crate::import::Options;

#[test]
fn macs_and_parameters_of_eight_networks_are_exact() {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let folder = shared.join("data/onnx");
    let Ok(mut table) = csv::Reader::from_path(folder.join("zoo.csv")) else {
        eprintln!("skipped: no zoo.csv in {}", folder.display());
        return;
    };
    let mut count = 0;
    for row in table.deserialize::<std::collections::HashMap<String, String>>() {
        let row = row.expect("a row");
        let import = crate::import::onnx::read(&folder.join(&row["file"]), &Options::default());
        let import = import.unwrap_or_else(|error| panic!("{error}"));
        let found = work(&import);
        assert_eq!(found.macs.0.to_string(), row["macs_onnx"], "{}", row["file"]);
        assert_eq!(found.params.to_string(), row["params_onnx"], "{}", row["file"]);
        assert_eq!(import.unsupported, [], "{}", row["file"]);
        count += 1;
    }
    assert_eq!(count, 8);
}
