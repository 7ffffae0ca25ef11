//! A mapper of your own, put through the laws that every mapper obeys: `cargo run -p derate-tests --example own_mapper`.
//!
//! The device is a dot-product engine: each unit sums eight products a cycle, and starts a new sum only when the last is complete.

use derate_core::Error;
use derate_core::mapper::roofline::passing;
use derate_core::mapping::{Loss, Lost, Machine, Mapper, Mapping};
use derate_core::nest::{LoopNest, Loops, Stream, Traffic};
use derate_core::units::Cycles;
use derate_tests::mapper_laws::{Excused, check, device};
use proptest::prelude::*;

/// Units of so many lanes.
#[derive(Clone, Copy, Debug)]
struct DotEngine {
    lanes: u64,
}

impl Mapper for DotEngine {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        // Sums, and the length of each.
        let (sums, length) = match nest.loops {
            Loops::Gemm(gemm) => (gemm.groups * gemm.m * gemm.n, gemm.k),
            Loops::Conv(conv) => {
                let positions = conv.output.iter().product::<u64>();
                (conv.batch * conv.groups * conv.c_out * positions, conv.c_in * conv.kernel.iter().product::<u64>())
            }
            Loops::Attention(attention) => (attention.groups * attention.m * attention.n, attention.d + attention.d_v),
        };
        let units = u64::from(machine.unit.count);
        let cycles = sums.div_ceil(units) * length.div_ceil(self.lanes);
        let mut mapping = Mapping::idle();
        mapping.compute_cycles = Cycles(cycles);
        mapping.utilization = machine.least_cycles(nest.macs()?) / cycles as f32;
        mapping.losses.push(Lost { loss: Loss::EdgeTiles, left: mapping.utilization }).ok();
        // A large first memory: every operand passes once.
        mapping.traffic = passing(machine, nest.homes, Traffic::compulsory(nest)?, nest.weighted)?;
        Ok(mapping)
    }

    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let mut mapping = Mapping::idle();
        let bytes = Traffic { a: stream.read, b: stream.weights, c: stream.written };
        mapping.traffic = passing(machine, stream.homes, bytes, true)?;
        Ok(mapping)
    }
}

fn main() {
    // The engine's own rate, and a first memory of 256 MiB: nothing is ever moved twice.
    let devices = device().prop_map(|mut device| {
        device.macs_per_cycle = 8.0;
        device.levels = vec![(1 << 28, device.levels[0].1), (1 << 34, device.levels[1].1)];
        device.private = 0;
        (device, DotEngine { lanes: 8 })
    });
    check(devices, 2000, Excused::Nothing);
    println!("2000 kernels on 2000 devices: every law holds");
}
