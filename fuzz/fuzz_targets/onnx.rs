//! Fuzz target: the importer `onnx`.

#![no_main]

derate_fuzz::target!("onnx");
