//! Tests of the reader of TorchScript.
