//! Calls of the mappers of systolic arrays and of fabrics of compute tiles.

use derate_core::Error;
use derate_core::hardware::Hardware;
use derate_core::mapper::systolic::{Dataflow, Systolic};
use derate_core::mapper::tile_fabric::{
    Engines, TileFabric, column_stream_cycles, matmul_cycles, row_stream_cycles, serial_tile_cycles, transfer_cycles,
    uncached_traffic,
};
use derate_core::mapping::{Machine, Mapper};
use derate_core::nest::{ElementSizes, Homes, LoopNest, Loops, Stream};
use derate_core::shape::Precision;
use derate_core::units::{Bytes, Flops};
use derate_core::work::Gemm;

use crate::{keep, opaque};

/// Maps a nest and a stream to a device.
pub(crate) fn arrays(hardware: &Hardware<'_>) -> Result<(), Error> {
    let [profile, ..] = hardware.thermal_profiles() else { return Err(Error::NoThermalProfile) };
    let machine = Machine::new(hardware, profile, opaque(Precision::Int8))?;
    let gemm = opaque(Gemm { m: 1, n: 1, k: 1, groups: 1 });
    let nest = &opaque(LoopNest::new(Loops::Gemm(gemm), ElementSizes::all(opaque(1))));
    let (read, weights, written) = (opaque(Bytes(1)), opaque(Bytes(1)), opaque(Bytes(1)));
    let stream = &opaque(Stream { read, weights, written, flops: Flops(1), elements: 1, homes: Homes::COLD });
    let dataflow = Dataflow::WeightStationary;
    let array = Systolic { rows: 8, columns: 8, dataflow, held_tiles: 2, accumulators: 16, vector_lanes: 8 };
    let array = opaque(array);
    keep((array.cycles(gemm), array.edge_accesses(gemm)));
    keep((array.product(nest, &machine), array.stream(stream, &machine)));
    let engines = opaque(Engines { count: 1, bytes_per_cycle: 64 });
    let (streamers, block_movers, dma) = (opaque(engines), opaque(engines), opaque(engines));
    let fabric = opaque(TileFabric { rows: 8, columns: 8, streamers, block_movers, dma });
    keep((fabric.product(nest, &machine), fabric.stream(stream, &machine)));
    let (size, bytes_per_cycle) = (opaque(4), opaque(64));
    keep((
        matmul_cycles(opaque([8, 8]), opaque([1, 2, 3])),
        transfer_cycles(opaque(Bytes(1)), bytes_per_cycle),
        row_stream_cycles(opaque(1), opaque(2), size),
        column_stream_cycles(opaque(1), opaque(2), size),
        uncached_traffic(gemm, opaque([8, 8]), size),
        serial_tile_cycles(opaque([8, 8]), opaque([1, 2, 3]), size, bytes_per_cycle),
    ));
    Ok(())
}
