//! Tests of the reader of exported programs.
