//! The tables of processor cores and of multiprocessors: read, refused, written, given to the core.

use derate_core::mapper::{cpu::Cpu, gpu::Gpu};
use derate_core::units::{Bytes, Seconds};

use super::super::{HardwareFile, check};
use super::EXAMPLE;

const CPU: &str = r#"
[cpu]
vector_bytes = { value = 64, basis = "spec", source = "manual" }
fma_ports = { value = 2, basis = "measured", source = "peak" }
fma_latency_cycles = { value = 4, basis = "assumed", source = "most cores", note = "5 on older ones" }
vector_registers = { value = 32, basis = "spec", source = "manual" }
"#;

const GPU: &str = r#"
[gpu]
matrix_m = { value = 16, basis = "spec", source = "manual" }
matrix_n = { value = 8, basis = "spec", source = "manual" }
matrix_k = { value = 15, basis = "spec", source = "manual" }
threads_per_multiprocessor = { value = 2048, basis = "spec", source = "manual" }
registers_bytes = { value = 262_144, basis = "spec", source = "manual" }
launch_s = { value = 3e-6, basis = "assumed", source = "typical" }
"#;

#[test]
fn tables_become_mappers() {
    let without = HardwareFile::parse(EXAMPLE, "f.toml").unwrap();
    assert_eq!((without.cpu, without.gpu), (None, None));
    let file = HardwareFile::parse(&[EXAMPLE, CPU, GPU].concat(), "f.toml").unwrap();
    assert_eq!(
        file.cpu.as_ref().unwrap().mapper(),
        Cpu { vector_bytes: 64, fma_ports: 2, fma_latency_cycles: 4, vector_registers: 32 }
    );
    assert_eq!(
        file.gpu.as_ref().unwrap().mapper(),
        Gpu { matrix: [16, 8, 15], threads: 2048, registers: Bytes(1 << 18), launch: Seconds(3e-6) }
    );
}

#[test]
fn tables_survive_writing() {
    for tables in [CPU.to_owned(), GPU.to_owned(), [CPU, GPU].concat()] {
        let file = HardwareFile::parse(&[EXAMPLE, &tables].concat(), "f.toml").unwrap();
        assert_eq!(HardwareFile::parse(&file.to_toml(), "f.toml").unwrap(), file);
    }
}

#[test]
fn wrong_tables_are_refused() {
    for (table, from, to, key) in [
        (CPU, "value = 64", "value = 0", "cpu.vector_bytes.value"),
        (CPU, "value = 32", "value = 257", "cpu.vector_registers.value"),
        (CPU, "fma_ports", "fma_port", "cpu.fma_port"),
        (CPU, "value = 2,", "value = 1.5,", "cpu.fma_ports.value"),
        (GPU, "value = 262_144", "value = -1", "gpu.registers_bytes.value"),
        (GPU, "value = 3e-6", "value = -3e-6", "gpu.launch_s.value"),
        (GPU, "value = 8, basis = \"spec\",", "value = 8,", "gpu.matrix_n.basis"),
    ] {
        let text = [EXAMPLE, &table.replace(from, to)].concat();
        let problems = check(&text, "f.toml");
        assert!(problems.iter().any(|problem| problem.key == key), "{key}: {problems:?}");
    }
}
