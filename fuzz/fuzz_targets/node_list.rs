//! Fuzz target: the importer `node_list`.

#![no_main]

derate_fuzz::target!("node_list");
