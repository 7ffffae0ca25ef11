//! Fuzz target: the importer `pt2`.

#![no_main]

derate_fuzz::target!("pt2");
