//! `derate tile`: tiles that fit, traffic that a walk over the tiles counts again, and what is refused.

use std::collections::HashSet;

use serde_json::Value;

use crate::common::documented::has_keys_of;
use crate::common::{Folder, number};

/// Bytes of an element of fp32.
const FP32: u64 = 4;

fn integer(json: &Value, key: &str) -> u64 {
    json[key].as_u64().unwrap_or_else(|| panic!("{key} in {json}"))
}

/// Bytes that pass to and from one level while its tiles of a product are walked one by one, and the largest sum of three tiles: an
/// operand is read where the tile is another than the one before; sums are written where another tile of the result comes, and
/// read where it was there before.
fn walked([m, n, k]: [u64; 3], said: &Value) -> (u64, u64) {
    let order: Vec<&str> = said["loop_order"].as_array().expect("loops").iter().filter_map(Value::as_str).collect();
    let extent = |dim: &str| match dim {
        "m" => m,
        "n" => n,
        "k" => k,
        other => panic!("{other}"),
    };
    let tile = |dim: &str| integer(&said["tile"], dim);
    let trips: Vec<u64> = order.iter().map(|dim| extent(dim).div_ceil(tile(dim))).collect();
    let (mut bytes, mut held) = (0, 0);
    let (mut a, mut b, mut c) = (None, None, None);
    let mut seen = HashSet::new();
    for step in 0..trips.iter().product::<u64>() {
        let mut left = step;
        let mut at = [0; 3];
        for (dim, trips) in order.iter().zip(&trips).rev() {
            let place = ["m", "n", "k"].iter().position(|known| known == dim).expect("a loop of a product");
            at[place] = left % trips;
            left /= trips;
        }
        let size = |place: usize, dim: &str| tile(dim).min(extent(dim) - at[place] * tile(dim));
        let [rows, columns, depth] = [size(0, "m"), size(1, "n"), size(2, "k")];
        held = held.max(FP32 * (rows * depth + depth * columns + rows * columns));
        if a.replace((at[0], at[2])) != Some((at[0], at[2])) {
            bytes += FP32 * rows * depth;
        }
        if b.replace((at[2], at[1])) != Some((at[2], at[1])) {
            bytes += FP32 * depth * columns;
        }
        if c.replace((at[0], at[1])) != Some((at[0], at[1])) {
            // Written when it leaves, and read if it was there before.
            let again = !seen.insert((at[0], at[1]));
            bytes += FP32 * rows * columns * if again { 2 } else { 1 };
        }
    }
    (bytes, held)
}

#[test]
fn traffic_of_a_product_is_that_of_a_walk_over_its_tiles() {
    let folder = Folder::new();
    for [m, n, k] in [[64, 48, 80], [37, 53, 41], [7, 200, 3], [1, 300, 90]] {
        for capacity in [12, 100, 1000, 4096, 20_000, 1 << 20] {
            let line = format!("tile gemm:{m}x{n}x{k} --capacity {capacity} --format json");
            let said = folder.derate(&line).exits(0).json();
            let (bytes, held) = walked([m, n, k], &said);
            assert_eq!(integer(&said, "traffic_bytes"), bytes, "{line}: {said}");
            assert!(held <= integer(&said, "footprint_bytes"), "{line}: {held} in {said}");
            assert!(integer(&said, "footprint_bytes") <= capacity, "{line}: {said}");
            // No tiling moves less than each element once, and the bound lies between that and the traffic.
            let once = FP32 * (m * k + k * n + m * n);
            let bound = integer(&said, "lower_bound_bytes");
            assert!((once..=bytes).contains(&bound), "{line}: {once} {bound} {bytes}");
            // Tilings are some of all orders.
            let any = integer(&said, "any_order_bound_bytes");
            assert!((once..=bound).contains(&any), "{line}: {once} {any} {bound}");
            assert_eq!(integer(&said, "macs"), m * n * k);
        }
    }
}

#[test]
fn traffic_by_hand_and_the_keys_that_are_documented() {
    let folder = Folder::new();
    let json = folder.derate("tile gemm:512x512x512 --capacity 64KiB --format json").exits(0).json();
    // Tiles of 103 x 128: A moves 4 times, B 5 times, C once.
    assert_eq!(integer(&json, "traffic_bytes"), (5 + 4 + 1) * 512 * 512 * 4);
    has_keys_of(&json, "`tile[]` of a kernel, and `tile`", &[]);
    // 2 m n k / √S elements, with room for 128² of them.
    let any_order = 2 * 512 * 512 * 512 / 128 * 4;
    assert!((any_order - any_order / 1000..=any_order).contains(&integer(&json, "any_order_bound_bytes")), "{json}");
    assert_eq!((json["name"].as_str(), integer(&json, "macs")), (Some("mat_mul"), 512 * 512 * 512));
    let text = folder.derate("tile gemm:512x512x512 --capacity 64KiB").exits(0).stdout;
    for said in ["mat_mul", "65536 B", "10485760", &json["lower_bound_bytes"].to_string()] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    // Everything fits: 3 x 32 x 32 bytes in, 8 x 3 x 3 x 3 of weights, 8 x 32 x 32 out.
    let conv =
        folder.derate("tile conv2d:1x3x32x32,8,k3,p1 --capacity 1MiB --dtype int8 --format json").exits(0).json();
    assert_eq!([integer(&conv, "traffic_bytes"), integer(&conv, "lower_bound_bytes")], [3072 + 216 + 8192; 2]);
}

#[test]
fn levels_go_from_the_innermost_on_and_the_outermost_speaks_for_all() {
    let folder = Folder::new();
    let json = folder
        .derate("tile gemm:256x256x256 --capacity 4KiB --capacity 64KiB --double-buffered --format json")
        .exits(0)
        .json();
    let levels = json["levels"].as_array().expect("levels");
    let names: Vec<&str> = levels.iter().filter_map(|level| level["level"].as_str()).collect();
    assert_eq!(names, ["4096 B", "65536 B"]);
    for key in ["level", "tile", "loop_order", "stationary", "traffic_bytes", "lower_bound_bytes", "footprint_bytes"] {
        assert_eq!(json[key], levels[1][key], "{key}");
    }
    for dim in ["m", "n", "k"] {
        assert!(integer(&levels[0]["tile"], dim) <= integer(&levels[1]["tile"], dim), "{dim}: {json}");
    }
    assert!(integer(&levels[0], "traffic_bytes") >= integer(&levels[1], "traffic_bytes"), "{json}");
    for (level, capacity) in levels.iter().zip([4096, 65_536]) {
        assert!(integer(level, "footprint_bytes") <= capacity, "{level}");
        // What is streamed takes room twice: more than the tiles themselves.
        let [m, n, k] = ["m", "n", "k"].map(|dim| integer(&level["tile"], dim));
        assert!(integer(level, "footprint_bytes") > FP32 * (m * k + k * n + m * n), "{level}");
    }
}

#[test]
fn several_products_are_an_array_in_which_equal_ones_stand_once() {
    let folder = Folder::new();
    let json = folder.derate("tile mlp:64-[64,64]-10@8 --capacity 4KiB --format json").exits(0).json();
    let names: Vec<&str> = json.as_array().expect("an array").iter().filter_map(|each| each["name"].as_str()).collect();
    // The second layer is the product of the first.
    assert_eq!(names, ["linear0", "linear2"]);
    assert!((number(&json[1], "macs") - 8.0 * 64.0 * 10.0).abs() < 0.5);
}

#[test]
fn what_cannot_be_tiled_is_refused_with_what_can() {
    let folder = Folder::new();
    let allowed = "a number of bytes from 1 to 2^53";
    for capacity in ["0", "-1", "ten", "0.5B", "1e30"] {
        folder.derate(&format!("tile gemm:8x8x8 --capacity={capacity}")).refused(&["--capacity", capacity, allowed]);
    }
    folder.derate("tile gemm:8x8x8").refused(&["--capacity"]);
    // One element of each operand, of four bytes; those that are streamed twice.
    folder.derate("tile gemm:8x8x8 --capacity 11").refused(&["--capacity 11", "mat_mul", "takes 12 bytes"]);
    folder.derate("tile gemm:8x8x8 --capacity 12").exits(0);
    folder.derate("tile gemm:8x8x8 --capacity 19 --double-buffered").refused(&["19", "takes 20 bytes", "twice"]);
    // All nine taps: 36 bytes of input and of weights, 4 of the result. The level that is too small is named.
    folder.derate("tile conv2d:1x1x9x9,1,k3 --capacity 75 --capacity 80").refused(&["--capacity 75", "takes 76 bytes"]);
    folder.derate("tile gemm:8x8x8 --capacity 64KiB --capacity 1KiB").refused(&["1024 after 65536", "the smallest"]);
    let seven =
        "--capacity 100 --capacity 200 --capacity 300 --capacity 400 --capacity 500 --capacity 600 --capacity 700";
    folder.derate(&format!("tile gemm:8x8x8 {seven}")).refused(&["7 times", "6 levels are the most"]);
    folder.derate("tile gemm:8x8x8 --capacity 1KiB --dtype int4").refused(&["int4", "fp64, fp32, bf16, fp16, int8"]);
    folder.derate("tile gemm:8x8 --capacity 1KiB").refused(&["gemm:8x8", "MxNxK"]);
    folder.derate("tile gemm:8x8x8 --capacity 1KiB --format csv").refused(&["csv", "text, json"]);
    folder.write("act.json", r#"{"format": "derate-graph", "version": 1, "tensors": [{"name": "x", "kind": "input", "shape": [4], "data_type": "fp32"}], "ops": [{"name": "act", "op": "relu", "operands": ["x"]}]}"#);
    folder.derate("tile act.json --capacity 1KiB").refused(&["act.json", "no product"]);
}
