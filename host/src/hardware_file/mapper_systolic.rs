//! The geometry of systolic arrays and of fabrics of compute tiles: the tables `[systolic]` and `[tile_fabric]`, and
//! what the core's mappers make of them.

use derate_core::mapper::systolic::{Dataflow, Systolic};
use derate_core::mapper::tile_fabric::{Engines, TileFabric};
use serde::{Deserialize, Serialize};

use super::entries::Number;

/// Systolic arrays, as many as the compute unit counts: `[systolic]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystolicEntry {
    /// Which operand stays in an array.
    pub dataflow: Dataflow,
    /// Rows of an array.
    pub rows: Number<u32>,
    /// Columns of an array.
    pub columns: Number<u32>,
    /// Tiles of the operand that stays for which an array has room; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_tiles: Option<Number<u32>>,
    /// Partial sums of each column that an array keeps; none where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulators: Option<Number<u32>>,
    /// Elements a cycle of the vector unit beside each array.
    pub vector_lanes: Number<u32>,
}

impl SystolicEntry {
    /// The core's mapper of these arrays.
    #[must_use]
    pub fn mapper(&self) -> Systolic {
        let Self { dataflow, rows, columns, held_tiles, accumulators, vector_lanes } = self;
        Systolic {
            rows: rows.value,
            columns: columns.value,
            dataflow: *dataflow,
            held_tiles: held_tiles.as_ref().map_or(1, |number| number.value),
            accumulators: accumulators.as_ref().map_or(0, |number| number.value),
            vector_lanes: vector_lanes.value,
        }
    }

    /// The name of its dataflow in files.
    pub(super) const fn dataflow_name(&self) -> &'static str {
        match self.dataflow {
            Dataflow::OutputStationary => "output_stationary",
            Dataflow::WeightStationary => "weight_stationary",
            Dataflow::InputStationary => "input_stationary",
        }
    }

    /// Its numbers by their keys, in the order of the format.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&'static str, &Number<u32>)> {
        let Self { dataflow: _, rows, columns, held_tiles, accumulators, vector_lanes } = self;
        let all = [
            ("rows", Some(rows)),
            ("columns", Some(columns)),
            ("held_tiles", held_tiles.as_ref()),
            ("accumulators", accumulators.as_ref()),
            ("vector_lanes", Some(vector_lanes)),
        ];
        all.into_iter().filter_map(|(key, number)| Some((key, number?)))
    }
}

/// Compute tiles, each type of them a compute unit, with the engines that bring their operands: `[tile_fabric]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TileFabricEntry {
    /// Rows of processing elements of a tile.
    pub rows: Number<u32>,
    /// Columns of processing elements of a tile.
    pub columns: Number<u32>,
    /// Streamers of one compute tile, between its L2 and its array.
    pub streamers: Number<u32>,
    /// Bytes that one of them moves in a cycle.
    pub streamer_bytes_per_cycle: Number<u32>,
    /// Block movers of the device, between L3 and L2.
    pub block_movers: Number<u32>,
    /// Bytes that one of them moves in a cycle.
    pub block_mover_bytes_per_cycle: Number<u32>,
    /// DMA engines of the device, between the last memory level and L3.
    pub dma_engines: Number<u32>,
    /// Bytes that one of them moves in a cycle.
    pub dma_bytes_per_cycle: Number<u32>,
}

impl TileFabricEntry {
    /// The core's mapper of these tiles.
    #[must_use]
    pub fn mapper(&self) -> TileFabric {
        let engines = |count: u32, bytes_per_cycle: u32| Engines { count, bytes_per_cycle };
        TileFabric {
            rows: self.rows.value,
            columns: self.columns.value,
            streamers: engines(self.streamers.value, self.streamer_bytes_per_cycle.value),
            block_movers: engines(self.block_movers.value, self.block_mover_bytes_per_cycle.value),
            dma: engines(self.dma_engines.value, self.dma_bytes_per_cycle.value),
        }
    }

    /// Its numbers by their keys, in the order of the format.
    pub(super) const fn numbers(&self) -> [(&'static str, &Number<u32>); 8] {
        let Self {
            rows,
            columns,
            streamers,
            streamer_bytes_per_cycle,
            block_movers,
            block_mover_bytes_per_cycle,
            dma_engines,
            dma_bytes_per_cycle,
        } = self;
        [
            ("rows", rows),
            ("columns", columns),
            ("streamers", streamers),
            ("streamer_bytes_per_cycle", streamer_bytes_per_cycle),
            ("block_movers", block_movers),
            ("block_mover_bytes_per_cycle", block_mover_bytes_per_cycle),
            ("dma_engines", dma_engines),
            ("dma_bytes_per_cycle", dma_bytes_per_cycle),
        ]
    }
}
