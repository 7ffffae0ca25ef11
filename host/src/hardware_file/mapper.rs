//! The mapper of a device: which table of a description says its geometry, and its value as core takes it.

use derate_core::mapper::{Any, Roofline};

use super::entries::HardwareFile;

impl HardwareFile {
    /// The mapper of the device: that of the table it has, `[cpu]`, `[gpu]`, …; without one, the plain roofline.
    #[must_use]
    pub fn mapper(&self) -> Any {
        let of = [
            self.cpu.as_ref().map(|entry| Any::Cpu(entry.mapper())),
            self.gpu.as_ref().map(|entry| Any::Gpu(entry.mapper())),
            self.systolic.as_ref().map(|entry| Any::Systolic(entry.mapper())),
            self.tile_fabric.as_ref().map(|entry| Any::TileFabric(entry.mapper())),
            self.npu.as_ref().map(|entry| Any::Npu(entry.npu())),
            self.dpu.as_ref().map(|entry| Any::Dpu(entry.dpu())),
            self.cgra.as_ref().map(|entry| Any::Cgra(entry.cgra())),
            self.mcu.as_ref().map(|entry| Any::Mcu(entry.mapper())),
        ];
        of.into_iter().flatten().next().unwrap_or(Any::Roofline(Roofline))
    }

    /// The mapper's type, and an expression of its value: as `Debug` writes it, which is Rust where all fields are public.
    pub(crate) fn mapper_expression(&self) -> (&'static str, String) {
        match self.mapper() {
            Any::Cpu(mapper) => ("Cpu", format!("{mapper:?}")),
            Any::Gpu(mapper) => ("Gpu", format!("{mapper:?}")),
            Any::Systolic(mapper) => ("Systolic", format!("{mapper:?}")),
            Any::TileFabric(mapper) => ("TileFabric", format!("{mapper:?}")),
            Any::Npu(mapper) => ("Npu", format!("{mapper:?}")),
            Any::Dpu(mapper) => ("Dpu", format!("{mapper:?}")),
            Any::Cgra(mapper) => ("Cgra", format!("{mapper:?}")),
            Any::Mcu(mapper) => ("Mcu", format!("{mapper:?}")),
            Any::Roofline(mapper) => ("Roofline", format!("{mapper:?}")),
        }
    }
}
