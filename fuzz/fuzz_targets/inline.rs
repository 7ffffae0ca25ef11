//! Fuzz target: the importer `inline`.

#![no_main]

derate_fuzz::target!("inline");
