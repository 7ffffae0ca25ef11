//! Fuzz target: the importer `tflite`.

#![no_main]

derate_fuzz::target!("tflite");
