//! Fuzz target: the importer `torchscript`.

#![no_main]

derate_fuzz::target!("torchscript");
