//! The geometry of processor cores and of multiprocessors: the tables `[cpu]` and `[gpu]`, and what the core's mappers make of
//! them.

use derate_core::mapper::{cpu::Cpu, gpu::Gpu};
use derate_core::units::{Bytes, Seconds};
use serde::{Deserialize, Serialize};

use super::entries::Number;
use super::keys::{Fields, Node, Range, U32, U63, required};

/// The keys of `[cpu]`.
pub(super) const CPU: Fields = Fields {
    keys: &[
        required("vector_bytes", Node::Number(U32), "Bytes of a vector register: 64 with AVX-512, 16 with NEON."),
        required(
            "fma_ports",
            Node::Number(U32),
            "Multiply-adds of whole vectors that a core starts in a cycle; it loads as many.",
        ),
        required(
            "fma_latency_cycles",
            Node::Number(U32),
            "Cycles from the start of a multiply-add until its sum can be added to.",
        ),
        required("vector_registers", Node::Number(Range::Integer(256)), "Vector registers that a program names."),
    ],
    by_precision: None,
};

/// The keys of `[gpu]`.
pub(super) const GPU: Fields = Fields {
    keys: &[
        required("matrix_m", Node::Number(U32), "Rows of a matrix instruction; 1 where the units have none."),
        required("matrix_n", Node::Number(U32), "Columns of a matrix instruction; 1 where the units have none."),
        required("matrix_k", Node::Number(U32), "Products that it adds to each sum; 1 where the units have none."),
        required("threads_per_multiprocessor", Node::Number(U32), "Threads that a multiprocessor holds at once."),
        required("registers_bytes", Node::Number(U63), "Bytes of the registers of a multiprocessor."),
        required(
            "launch_s",
            Node::Number(Range::NotNegative),
            "Time from the launch of a kernel until its first instruction, beside the runtime's dispatch, in seconds.",
        ),
    ],
    by_precision: None,
};

/// The vector unit of a core: `[cpu]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuEntry {
    /// Bytes of a vector register.
    pub vector_bytes: Number<u32>,
    /// Multiply-adds of whole vectors that a core starts in a cycle.
    pub fma_ports: Number<u32>,
    /// Cycles from the start of a multiply-add until its sum can be added to.
    pub fma_latency_cycles: Number<u32>,
    /// Vector registers, 1 to 256.
    pub vector_registers: Number<u32>,
}

impl CpuEntry {
    /// The core's mapper of these cores.
    #[must_use]
    pub const fn mapper(&self) -> Cpu {
        let Self { vector_bytes, fma_ports, fma_latency_cycles, vector_registers } = self;
        Cpu {
            vector_bytes: vector_bytes.value,
            fma_ports: fma_ports.value,
            fma_latency_cycles: fma_latency_cycles.value,
            vector_registers: vector_registers.value,
        }
    }

    /// Its numbers by their keys, in the order of the format.
    pub(super) const fn numbers(&self) -> [(&'static str, &Number<u32>); 4] {
        let Self { vector_bytes, fma_ports, fma_latency_cycles, vector_registers } = self;
        [
            ("vector_bytes", vector_bytes),
            ("fma_ports", fma_ports),
            ("fma_latency_cycles", fma_latency_cycles),
            ("vector_registers", vector_registers),
        ]
    }
}

/// A multiprocessor, and what it takes to start a kernel: `[gpu]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuEntry {
    /// Rows of a matrix instruction.
    pub matrix_m: Number<u32>,
    /// Columns of a matrix instruction.
    pub matrix_n: Number<u32>,
    /// Products that a matrix instruction adds to each sum.
    pub matrix_k: Number<u32>,
    /// Threads that a multiprocessor holds at once.
    pub threads_per_multiprocessor: Number<u32>,
    /// Bytes of the registers of a multiprocessor.
    pub registers_bytes: Number<u64>,
    /// Seconds from the launch of a kernel until its first instruction, beside the runtime's dispatch.
    pub launch_s: Number,
}

impl GpuEntry {
    /// The core's mapper of these multiprocessors.
    #[must_use]
    pub const fn mapper(&self) -> Gpu {
        Gpu {
            matrix: [self.matrix_m.value, self.matrix_n.value, self.matrix_k.value],
            threads: self.threads_per_multiprocessor.value,
            registers: Bytes(self.registers_bytes.value),
            launch: Seconds(self.launch_s.value as f32),
        }
    }

    /// Its 32-bit integers by their keys, in the order of the format.
    pub(super) const fn numbers(&self) -> [(&'static str, &Number<u32>); 4] {
        let Self { matrix_m, matrix_n, matrix_k, threads_per_multiprocessor, registers_bytes: _, launch_s: _ } = self;
        [
            ("matrix_m", matrix_m),
            ("matrix_n", matrix_n),
            ("matrix_k", matrix_k),
            ("threads_per_multiprocessor", threads_per_multiprocessor),
        ]
    }
}
