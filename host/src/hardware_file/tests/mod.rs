//! Tests on the example of the format: 2 cores of 4.1 GHz, 31.2 fp32 MACs a cycle, 96 KiB of L1, 24 GiB of DRAM.

mod checks;
mod edits;
mod files;
mod mapper_cpu_gpu;
mod mapper_npu;
mod mapper_systolic;
mod mutations;
mod reads;

/// The file of the module's documentation.
pub(super) const EXAMPLE: &str = include_str!("../example.toml");

/// The example with one part replaced, which stands in it once.
pub(super) fn changed(from: &str, to: &str) -> String {
    assert_eq!(EXAMPLE.matches(from).count(), 1, "`{from}` must stand in the example once");
    EXAMPLE.replace(from, to)
}
