//! The tables of systolic arrays and of fabrics of compute tiles: read, refused, written, given to the core.

use derate_core::mapper::systolic::{Dataflow, Systolic};
use derate_core::mapper::tile_fabric::{Engines, TileFabric};

use super::super::{HardwareFile, check};
use super::EXAMPLE;

const SYSTOLIC: &str = r#"
[systolic]
dataflow = "weight_stationary"
rows = { value = 128, basis = "spec", source = "paper" }
columns = { value = 64, basis = "spec", source = "paper" }
vector_lanes = { value = 1024, basis = "assumed", source = "one row of the array a lane", note = "per core" }
"#;

/// Behind [`SYSTOLIC`].
const HELD: &str = r#"held_tiles = { value = 2, basis = "spec", source = "paper" }
accumulators = { value = 4096, basis = "spec", source = "paper" }
"#;

const TILE_FABRIC: &str = r#"
[tile_fabric]
rows = { value = 32, basis = "assumed", source = "design study" }
columns = { value = 16, basis = "assumed", source = "design study" }
streamers = { value = 4, basis = "assumed", source = "design study" }
streamer_bytes_per_cycle = { value = 64, basis = "assumed", source = "design study" }
block_movers = { value = 63, basis = "assumed", source = "design study" }
block_mover_bytes_per_cycle = { value = 62, basis = "assumed", source = "design study" }
dma_engines = { value = 8, basis = "assumed", source = "design study" }
dma_bytes_per_cycle = { value = 61, basis = "assumed", source = "design study" }
"#;

#[test]
fn tables_become_mappers() {
    assert_eq!(HardwareFile::parse(EXAMPLE, "f.toml").unwrap().systolic, None);
    let file = HardwareFile::parse(&[EXAMPLE, SYSTOLIC, TILE_FABRIC].concat(), "f.toml").unwrap();
    assert_eq!(
        file.systolic.as_ref().unwrap().mapper(),
        Systolic {
            rows: 128,
            columns: 64,
            dataflow: Dataflow::WeightStationary,
            held_tiles: 1,
            accumulators: 0,
            vector_lanes: 1024,
        }
    );
    let more = [EXAMPLE, SYSTOLIC, HELD].concat();
    let Systolic { held_tiles, accumulators, .. } =
        HardwareFile::parse(&more, "f.toml").unwrap().systolic.unwrap().mapper();
    assert_eq!((held_tiles, accumulators), (2, 4096));
    assert_eq!(
        file.tile_fabric.as_ref().unwrap().mapper(),
        TileFabric {
            rows: 32,
            columns: 16,
            streamers: Engines { count: 4, bytes_per_cycle: 64 },
            block_movers: Engines { count: 63, bytes_per_cycle: 62 },
            dma: Engines { count: 8, bytes_per_cycle: 61 },
        }
    );
}

#[test]
fn tables_survive_writing() {
    let mut file = HardwareFile::parse(&[EXAMPLE, SYSTOLIC, HELD, TILE_FABRIC].concat(), "f.toml").unwrap();
    for dataflow in [Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary] {
        file.systolic.as_mut().unwrap().dataflow = dataflow;
        assert_eq!(HardwareFile::parse(&file.to_toml(), "f.toml").unwrap(), file);
    }
}

#[test]
fn wrong_tables_are_refused() {
    for (table, from, to, key) in [
        (SYSTOLIC, "weight_stationary", "row_stationary", "systolic.dataflow"),
        (SYSTOLIC, "value = 128", "value = 0", "systolic.rows.value"),
        (SYSTOLIC, "value = 64", "value = 64.5", "systolic.columns.value"),
        (SYSTOLIC, "vector_lanes", "vector_lines", "systolic.vector_lines"),
        (TILE_FABRIC, "value = 63", "value = -1", "tile_fabric.block_movers.value"),
        (
            TILE_FABRIC,
            "dma_engines = { value = 8, basis = \"assumed\",",
            "dma_engines = { value = 8,",
            "tile_fabric.dma_engines.basis",
        ),
    ] {
        let text = [EXAMPLE, &table.replace(from, to)].concat();
        let problems = check(&text, "f.toml");
        assert!(problems.iter().any(|problem| problem.key == key), "{key}: {problems:?}");
    }
}
