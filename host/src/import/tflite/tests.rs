//! Real networks layer by layer against published counts; small files built here; damaged files.

mod build;

use std::collections::BTreeMap;
use std::path::PathBuf;

use derate_core::graph::{GraphView, Node, Tables};
use derate_core::shape::DataType;

use self::build::{Field, File, Operation};
use super::{parse, read};
use crate::import::{Import, ImportError, Options};

/// The folder of models and published counts, where this machine has it.
fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let data = shared.join("data");
    if !data.join("mlperf_tiny").is_dir() {
        eprintln!("skipped: no networks in {}", data.display());
        return None;
    }
    Some(data)
}

const NETWORKS: [(&str, u64); 4] = [
    ("ad01_int8", 264_192),
    ("kws_ref_model", 2_656_768),
    ("pretrainedResnet_quant", 12_501_632),
    ("vww_96_int8", 7_489_664),
];

fn network(name: &str) -> Option<Import> {
    let path = data()?.join("mlperf_tiny").join(format!("{name}.tflite"));
    Some(read(&path, &Options::default()).expect("a valid file"))
}

#[test]
fn macs_are_the_published_ones() {
    for (name, macs) in NETWORKS {
        let Some(import) = network(name) else { return };
        assert_eq!(import.unsupported, [], "{name}");
        assert_eq!(import.graph.view().total_work().expect("small").macs.0, macs, "{name}");
    }
}

#[test]
fn each_layer_has_the_published_counts() {
    let Some(data) = data() else { return };
    let mut table = csv::Reader::from_path(data.join("truth/mlperf_tiny_macs.csv")).expect("readable");
    let rows: Vec<BTreeMap<String, String>> = table.deserialize().map(|row| row.expect("a row")).collect();
    let mut compared = 0;
    for (network_name, _) in NETWORKS {
        let import = network(network_name).expect("there");
        let (graph, names) = (import.graph.view(), import.graph.names());
        let layer = |name: &str| names.iter().position(|n| n == name).and_then(|place| graph.nodes().get(place));
        for row in rows.iter().filter(|row| row["model"] == network_name && row["layer"] != "TOTAL") {
            let number = |column: &str| row[column].parse::<u64>().expect(column);
            let node = layer(&row["name"]).unwrap_or_else(|| panic!("{network_name}: {}", row["name"]));
            let work = graph.work(node).expect("small");
            let at = format!("{network_name}, layer {}", row["layer"]);
            assert_eq!((work.macs.0, work.params), (number("macs"), number("params")), "{at}");
            assert_eq!(extents(&row["output_shape"]), in_file_order(&graph, node), "{at}");
            // The constant of a reshape is its target shape: no bytes of the network's weights.
            if row["op"] != "RESHAPE" {
                assert_eq!(work.bytes_stored.0, number("const_bytes"), "{at}");
                let operands = if row["op"] == "ADD" { 2 } else { 1 };
                assert_eq!(work.bytes_in.0, operands * number("input_bytes"), "{at}");
                assert_eq!(work.bytes_out.0, number("output_bytes"), "{at}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, rows.iter().filter(|row| row["layer"] != "TOTAL").count());
}

fn extents(text: &str) -> Vec<u32> {
    text.split('x').map(|extent| extent.parse().expect("an extent")).collect()
}

fn in_file_order(graph: &GraphView<'_>, node: &Node) -> Vec<u32> {
    let shape = graph.output(node).expect("there").shape;
    match shape.extents() {
        &[n, c, h, w] => vec![n, h, w, c],
        other => other.to_vec(),
    }
}

#[test]
fn an_open_batch_is_bound() {
    let conv = Operation::conv(0, 1, 2);
    let file = File::new()
        .input("x", &[1, 8, 8, 3], Some(&[-1, 8, 8, 3]))
        .weights("w", &[16, 3, 3, 3])
        .computed("y", &[1, 8, 8, 16])
        .call(conv);
    let import = |batch| {
        let options = Options { batch, ..Options::default() };
        parse(&file.bytes(), "test.tflite", "test", &options).expect("valid")
    };
    // 8 · 8 outputs of 16 channels, each of 3 · 3 · 3 taps.
    for (batch, images) in [(None, 1), (Some(4), 4)] {
        let import = import(batch);
        assert_eq!(import.graph.view().total_work().expect("small").macs.0, images * 64 * 16 * 27);
        assert_eq!(import.graph.names(), ["y", "y:relu"]);
    }
}

#[test]
fn other_open_extents_are_named() {
    let file = File::new()
        .input("x", &[1, 1, 1, 3], Some(&[-1, -1, -1, 3]))
        .weights("w", &[16, 3, 3, 3])
        .computed("y", &[1, 1, 1, 16])
        .call(Operation::conv(0, 1, 2));
    let error = parse(&file.bytes(), "test.tflite", "test", &Options::default()).expect_err("open").to_string();
    assert!(error.contains("x:1, x:2"), "{error}");
    let dims = BTreeMap::from([("x:1".to_owned(), 8), ("x:2".to_owned(), 6)]);
    let import = parse(&file.bytes(), "test.tflite", "test", &Options { dims, ..Options::default() }).expect("bound");
    assert_eq!(import.graph.view().total_work().expect("small").macs.0, 48 * 16 * 27);
}

#[test]
fn what_no_op_describes_is_listed_by_its_name() {
    // 27 is SVDF.
    let file = File::new()
        .input("x", &[1, 8], None)
        .computed("s", &[1, 4])
        .computed("y", &[1, 4])
        .call(Operation::plain(27, &[0], &[1]))
        .call(Operation::plain(14, &[1], &[2]));
    let import = parse(&file.bytes(), "test.tflite", "test", &Options::default()).expect("valid");
    assert_eq!(import.unsupported.len(), 1);
    assert_eq!((import.unsupported[0].name.as_str(), import.unsupported[0].op.as_str()), ("s", "SVDF"));
    assert_eq!(import.graph.names(), ["y"]);
    let sources: Vec<&str> = import.graph.sources().iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(sources, ["x", "s"]);
}

#[test]
fn axes_and_paddings_follow_the_order_of_the_axes() {
    // An image [1, 4, 6, 2] with one row and two columns more on each side, and the mean of its rows and columns.
    let file = File::new()
        .input("x", &[1, 4, 6, 2], None)
        .numbers("p", &[0, 0, 1, 1, 2, 2, 0, 0], &[4, 2])
        .computed("padded", &[1, 6, 10, 2])
        .numbers("axes", &[1, 2], &[2])
        .computed("mean", &[1, 2])
        .call(Operation::plain(34, &[0, 1], &[2]))
        .call(Operation::plain(40, &[2, 3], &[4]));
    let import = parse(&file.bytes(), "test.tflite", "test", &Options::default()).expect("valid");
    let graph = import.graph.view();
    let shapes: Vec<Vec<u32>> =
        graph.nodes().iter().map(|node| graph.output(node).expect("there").shape.extents().to_vec()).collect();
    assert_eq!(shapes, [vec![1, 2, 6, 10], vec![1, 2]]);
    assert_eq!(graph.tensors()[0].data_type, DataType::Fp32);
}

#[test]
fn a_stored_vector_is_added_to_the_channels() {
    let file = File::new()
        .input("x", &[1, 4, 6, 3], None)
        .weights("v", &[3])
        .computed("y", &[1, 4, 6, 3])
        .call(Operation::plain(0, &[0, 1], &[2]));
    let import = parse(&file.bytes(), "test.tflite", "test", &Options::default()).expect("valid");
    let graph = import.graph.view();
    assert_eq!(graph.output(&graph.nodes()[0]).expect("there").shape.extents(), [1, 3, 4, 6]);
    assert_eq!(graph.total_work().expect("small").params, 3);
}

/// Shapes of what the ops give, and the work of all.
fn built(file: &File) -> (Vec<Vec<u32>>, derate_core::work::Work) {
    let import = parse(&file.bytes(), "test.tflite", "test", &Options::default()).expect("valid");
    assert_eq!(import.unsupported, []);
    let graph = import.graph.view();
    let shapes = graph.nodes().iter().map(|node| graph.output(node).expect("there").shape.extents().to_vec());
    (shapes.collect(), graph.total_work().expect("small"))
}

#[test]
fn an_lstm_by_hand() {
    // Twelve steps of 16 features, a state of 24: operand 0, four gates of the input, four of the state, no peepholes, four biases,
    // no projection.
    let mut file = File::new().input("x", &[2, 12, 16], None);
    let mut inputs = vec![0];
    let mut more = |file: File, shape: &[i32]| {
        inputs.push(i32::try_from(inputs.iter().filter(|&&index| index >= 0).count()).expect("few"));
        file.weights(&format!("w{}", inputs.len()), shape)
    };
    for shape in [[24, 16], [24, 24]].iter().flat_map(|shape| [shape; 4]) {
        file = more(file, shape);
    }
    inputs.extend([-1; 3]);
    let mut more = |file: File, shape: &[i32]| {
        inputs.push(i32::try_from(inputs.iter().filter(|&&index| index >= 0).count()).expect("few"));
        file.weights(&format!("b{}", inputs.len()), shape)
    };
    for _ in 0..4 {
        file = more(file, &[24]);
    }
    inputs.extend([-1; 2]);
    let file = file
        .computed("y", &[2, 12, 24])
        .call(Operation::plain(44, &inputs, &[13]).with(71, &[(10, Field::Flag(false))]));
    let (shapes, work) = built(&file);
    assert_eq!(shapes, [vec![2, 12, 24]]);
    assert_eq!(work.macs.0, 2 * 12 * 4 * 24 * (16 + 24));
    assert_eq!(work.params, 4 * 24 * (16 + 24 + 1));
}

#[test]
fn windows_by_hand() {
    // Depthwise, two results a channel, stride 2 without padding: (9 − 3) / 2 + 1 = 4.
    let depthwise = Operation::plain(4, &[0, 1], &[2])
        .with(2, &[(4, Field::Byte(1)), (6, Field::Number(2)), (8, Field::Number(2))]);
    let file =
        File::new().input("x", &[1, 9, 9, 3], None).weights("w", &[1, 3, 3, 6]).computed("y", &[1]).call(depthwise);
    let (shapes, work) = built(&file);
    assert_eq!((shapes, work.macs.0, work.params), (vec![vec![1, 6, 4, 4]], 6 * 16 * 9, 54));
    // Transposed, 9 × 9 to the 18 × 18 that the first operand states: each input of 3 channels goes to 4 · 3 · 3 results.
    let fields = [(4, Field::Byte(0)), (6, Field::Number(2)), (8, Field::Number(2)), (10, Field::Byte(3))];
    let file = File::new()
        .input("x", &[1, 9, 9, 3], None)
        .weights("w", &[4, 3, 3, 3])
        .numbers("size", &[1, 18, 18, 4], &[4])
        .computed("y", &[1])
        .call(Operation::plain(67, &[2, 1, 0], &[3]).with(49, &fields));
    let (shapes, work) = built(&file);
    assert_eq!((shapes, work.macs.0), (vec![vec![1, 4, 18, 18]; 2], 81 * 3 * 4 * 9));
}

#[test]
fn slices_and_joins_by_hand() {
    // x[:, 1:9:2, -1, :] of [2, 9, 5, 4]: the third axis goes.
    let slice = Operation::plain(45, &[0, 1, 2, 3], &[4])
        .with(32, &[(4, Field::Number(0b1001)), (6, Field::Number(0b1001)), (12, Field::Number(0b0100))]);
    // The image beside itself along its channels.
    let concat = Operation::plain(2, &[0, 0], &[5]).with(10, &[(4, Field::Number(-1))]);
    let file = File::new()
        .input("x", &[2, 9, 5, 4], None)
        .numbers("begin", &[0, 1, -1, 0], &[4])
        .numbers("end", &[0, 9, 0, 0], &[4])
        .numbers("strides", &[1, 2, 1, 1], &[4])
        .computed("part", &[2, 4, 4])
        .computed("both", &[2, 9, 5, 8])
        .call(slice)
        .call(concat);
    let (shapes, work) = built(&file);
    assert_eq!(shapes, [vec![2, 4, 4, 1], vec![2, 4, 4], vec![2, 8, 9, 5]]);
    assert_eq!(work.params, 0);
}

#[test]
fn a_batch_goes_through_arithmetic_of_shapes() {
    // SHAPE, the first of it, PACK with 12, RESHAPE.
    let file = File::new()
        .input("x", &[1, 3, 4], Some(&[-1, 3, 4]))
        .computed("shape", &[3])
        .numbers("zero", &[0], &[1])
        .numbers("one", &[1], &[1])
        .computed("first", &[])
        .numbers("rest", &[12], &[])
        .computed("target", &[2])
        .computed("y", &[1, 12])
        .call(Operation::plain(77, &[0], &[1]))
        .call(Operation::plain(45, &[1, 2, 3, 3], &[4]).with(32, &[(12, Field::Number(1))]))
        .call(Operation::plain(83, &[4, 5], &[6]).with(59, &[]))
        .call(Operation::plain(22, &[0, 6], &[7]));
    let import = parse(&file.bytes(), "test.tflite", "test", &Options { batch: Some(5), ..Options::default() });
    let import = import.expect("valid");
    let graph = import.graph.view();
    assert_eq!((import.bookkeeping, graph.nodes().len()), (3, 1));
    assert_eq!(graph.output(&graph.nodes()[0]).expect("there").shape.extents(), [5, 12]);
}

fn refused(bytes: &[u8]) -> Option<ImportError> {
    parse(bytes, "test.tflite", "test", &Options::default()).err()
}

#[test]
fn damaged_files_are_errors() {
    let whole = File::new()
        .input("x", &[1, 8, 8, 3], None)
        .weights("w", &[16, 3, 3, 3])
        .computed("y", &[1, 8, 8, 16])
        .call(Operation::conv(0, 1, 2))
        .bytes();
    assert!(refused(&whole).is_none());
    assert!(refused(b"").expect("empty").to_string().contains("no TFLite file"));
    for end in 0..whole.len() / 2 {
        assert!(refused(&whole[..end]).is_some(), "cut at {end}");
    }
    // Each byte to extremes: an error or another graph, but no panic.
    for place in 8..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] = value;
            refused(&bytes);
        }
    }
}

#[test]
fn impossible_graphs_are_errors() {
    let conv = |input: &[i32], weights: &[i32]| {
        File::new().input("x", input, None).weights("w", weights).computed("y", &[1]).call(Operation::conv(0, 1, 2))
    };
    let refused = |file: File| refused(&file.bytes()).expect("refused").to_string();
    assert!(refused(conv(&[1, 8, 8, 4], &[16, 3, 3, 3])).contains("weights of 3 channels on 4"));
    assert!(refused(conv(&[1, 8, 8], &[16, 3, 3, 3])).contains("it takes 4 axes"));
    assert!(refused(conv(&[1, -7, 8, 3], &[16, 3, 3, 3])).contains("extent -7"));
    assert!(refused(conv(&[1, i32::MAX, i32::MAX, 3], &[i32::MAX, 3, 3, 3])).contains("x (input)"));
    assert!(refused(conv(&[0, 8, 8, 3], &[16, 3, 3, 3])).contains('x'));
    let missing = File::new().input("x", &[1], None).computed("y", &[1]).call(Operation::plain(14, &[9], &[1]));
    assert!(refused(missing).contains("tensor 9, but the graph has 2"));
    let early = File::new().input("x", &[1], None).computed("y", &[1]).call(Operation::plain(14, &[1], &[1]));
    assert!(refused(early).contains("neither stored nor computed"));
    assert!(refused(File::new().input("x", &[1], None)).contains("no ops"));
}

#[test]
fn damaged_real_files_are_errors_soon() {
    let Some(data) = data() else { return };
    let whole = std::fs::read(data.join("mlperf_tiny/kws_ref_model.tflite")).expect("readable");
    // A generator of Knuth's, so that a failure can be repeated.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    for _ in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random(8) {
            // Tables stand at the beginning and the end, weights between them.
            let place = if random(2) == 0 { 8 + random(4000) } else { bytes.len() - 1 - random(20_000) };
            bytes[place] = [0, 1, 4, 0x7f, 0x80, 0xff][random(6)];
        }
        refused(&bytes);
    }
}

#[test]
fn a_file_that_stands_for_more_than_it_holds_is_refused() {
    // Ten thousand operators that are one table, which reads ten thousand tensors: a hundred million operands.
    let many = vec![0; 10_000];
    let file = File::new().input("x", &[1, 8], None).computed("y", &[1, 8]).call(Operation::plain(0, &many, &[1]));
    let error = refused(&file.repeated(10_000).bytes()).expect("refused").to_string();
    assert!(error.contains("damaged TFLite file"), "{error}");
}

#[test]
fn deep_chains_need_no_stack() {
    let mut file = File::new().input("x", &[1, 8], None);
    for place in 0..20_000 {
        file = file.computed("", &[1, 8]).call(Operation::plain(14, &[place], &[place + 1]));
    }
    let import = parse(&file.bytes(), "test.tflite", "test", &Options::default()).expect("valid");
    assert_eq!(import.graph.names().len(), 20_000);
}
