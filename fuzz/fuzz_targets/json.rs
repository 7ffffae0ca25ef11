//! Fuzz target: the importer `json`.

#![no_main]

derate_fuzz::target!("json");
