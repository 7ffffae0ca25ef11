//! Open dimensions, declared shapes, opsets, inputs that stand for weights, unsupported nodes.

use derate_core::graph::Tables;
use derate_core::tensor::TensorKind;

use super::model::*;
use crate::import::Options;

#[test]
fn open_dimensions_are_bound_or_named() {
    let model = || {
        let inputs = vec![open("ids", INT64, &["batch", "length"]), open("mask", FLOAT, &["batch", "length", "?"])];
        let nodes = vec![
            node("Cast", &["ids"], &["f"]).int("to", 1),
            node("Unsqueeze", &["f", "last"], &["u"]),
            node("Mul", &["u", "mask"], &["y"]),
        ];
        graph(inputs, vec![ints("last", &[2])], nodes)
    };
    let error = read(model()).map(|_| ()).expect_err("open dimensions").to_string();
    for name in ["\"batch\"", "\"length\"", "\"mask[2]\"", "--batch N", "--dim"] {
        assert!(error.contains(name), "{error}");
    }
    let mut options = Options { batch: Some(3), ..Options::default() };
    options.dims.insert("length".to_owned(), 7);
    options.dims.insert("mask[2]".to_owned(), 5);
    let import = read_as(model(), 17, &options).expect("a graph");
    assert_eq!(last(&import), [3, 7, 5]);
    options.dims.insert("lenght".to_owned(), 7);
    let error = read_as(model(), 17, &options).map(|_| ()).expect_err("no such dimension").to_string();
    assert!(error.contains("lenght") && error.contains("\"length\""), "{error}");
}

#[test]
fn a_contradiction_of_declared_shapes_names_both() {
    let mut model = graph(vec![info("x", FLOAT, &[2, 3])], vec![], vec![node("Relu", &["x"], &["y"])]);
    model.output = vec![info("y", FLOAT, &[2, 4])];
    let error = bad(model.clone());
    assert!(error.contains("Relu_y") && error.contains("[2, 3]") && error.contains("[2, 4]"), "{error}");
    model.output = vec![open("y", FLOAT, &["2", "n"])];
    good(model);
}

#[test]
fn opsets_have_a_range() {
    let model = || graph(vec![info("x", FLOAT, &[2, 3])], vec![], vec![node("Relu", &["x"], &["y"])]);
    for opset in [11, 21] {
        read_as(model(), opset, &Options::default()).expect("a graph");
    }
    for opset in [10, 22] {
        let error = read_as(model(), opset, &Options::default()).map(|_| ()).expect_err("an opset").to_string();
        assert!(error.contains(&opset.to_string()) && error.contains("11 to 21"), "{error}");
    }
}

#[test]
fn older_opsets_take_axes_from_attributes_and_flatten_softmax() {
    let nodes = vec![
        node("Unsqueeze", &["x"], &["u"]).ints("axes", &[0]),
        node("Softmax", &["u"], &["s"]).int("axis", 1),
        node("Squeeze", &["s"], &["y"]).ints("axes", &[0]),
    ];
    let import = read_as(graph(vec![info("x", FLOAT, &[4, 3, 2])], vec![], nodes), 11, &Options::default());
    let import = import.expect("a graph");
    assert_eq!((ops(&import), last(&import)), (vec!["view", "view", "softmax", "view", "view"], vec![4, 3, 2]));
}

#[test]
fn inputs_stand_for_weights_only_in_a_file_without_weights() {
    let inputs = || {
        vec![
            info("x", FLOAT, &[1, 3, 8, 8]),
            info("token", FLOAT, &[1, 4, 1, 1]),
            info("w", FLOAT, &[4, 3, 3, 3]),
            info("input_mask", FLOAT, &[1, 1, 6, 6]),
            info("m", FLOAT, &[6, 5]),
        ]
    };
    let nodes = || {
        vec![
            node("Conv", &["x", "w"], &["c"]),
            node("Add", &["c", "token"], &["t"]),
            node("Mul", &["t", "input_mask"], &["k"]),
            node("MatMul", &["k", "m"], &["y"]),
        ]
    };
    let kinds = |import: &crate::import::Import, kind: TensorKind| {
        let view = import.graph.view();
        let of_kind = import.graph.sources().iter().filter(|(id, _)| view.tensors()[id.index()].kind == kind);
        of_kind.map(|(_, name)| name.clone()).collect::<Vec<_>>()
    };
    let import = good(graph(inputs(), vec![], nodes()));
    assert_eq!(kinds(&import, TensorKind::Input), ["x", "input_mask"]);
    assert_eq!(kinds(&import, TensorKind::Parameter), ["token"]);
    assert_eq!((ops(&import), work(&import).params), (vec!["conv2d", "add", "mul", "linear"], 108 + 4 + 30));
    // With the kernel stored, all others are given at each run.
    let mut rest = inputs();
    rest.remove(2);
    let import = good(graph(rest, vec![weight("w", &[4, 3, 3, 3])], nodes()));
    assert_eq!(kinds(&import, TensorKind::Input), ["x", "token", "input_mask", "m"]);
    assert_eq!((ops(&import)[3], work(&import).params), ("mat_mul", 108));
}

#[test]
fn weights_are_known_by_their_names_where_no_layer_tells() {
    let inputs = |name: &str| vec![info("x", FLOAT, &[2, 4]), info("bias", FLOAT, &[6]), info(name, FLOAT, &[4, 6])];
    let nodes = |name: &str| vec![node("MatMul", &["x", name], &["z"]), node("Add", &["z", "bias"], &["y"])];
    let import = good(graph(inputs("fc.weight"), vec![], nodes("fc.weight")));
    assert_eq!((ops(&import), work(&import).params), (vec!["linear", "add"], 24 + 6));
    let import = good(graph(inputs("other"), vec![], nodes("other")));
    assert_eq!((ops(&import), work(&import).params), (vec!["mat_mul", "add"], 0));
}

#[test]
fn an_absent_weight_whose_shape_is_read_or_elements_replaced_is_one() {
    let inputs = vec![
        info("x", FLOAT, &[1, 4, 6]),
        info("fc.weight", FLOAT, &[6, 4]),
        info("p.bias", FLOAT, &[4]),
        info("q.bias", FLOAT, &[4]),
    ];
    let nodes = vec![
        node("Transpose", &["fc.weight"], &["w"]).ints("perm", &[1, 0]),
        node("Transpose", &["w"], &["v"]).ints("perm", &[1, 0]),
        node("MatMul", &["x", "v"], &["z"]),
        node("Shape", &["p.bias"], &["s"]),
        node("Slice", &["p.bias", "start", "s"], &["p"]),
        node("Add", &["z", "p"], &["a"]),
        node("ScatterND", &["q.bias", "at", "zero"], &["q"]),
        node("Add", &["a", "q"], &["y"]),
    ];
    let at = raw("at", INT64, &[1, 1], 1_i64.to_le_bytes().to_vec());
    let import = good(graph(inputs, vec![ints("start", &[0]), at, floats("zero", &[0.0])], nodes));
    assert_eq!(work(&import).params, 24 + 4 + 4, "{:?}", ops(&import));
}

#[test]
fn a_roll_by_nothing_joins_an_empty_part_and_the_whole() {
    let nowhere = raw("nowhere", INT64, &[0, 1], Vec::new());
    let stored = vec![ints("zero", &[0]), ints("end", &[i64::MAX]), ints("axis", &[1]), nowhere];
    let nodes = vec![
        node("Slice", &["x", "zero", "end", "axis"], &["whole"]),
        node("Slice", &["x", "zero", "zero", "axis"], &["none"]),
        node("Concat", &["whole", "none"], &["c"]).int("axis", 1),
        node("Slice", &["c", "zero", "zero", "zero"], &["rows"]),
        node("ScatterND", &["c", "nowhere", "rows"], &["r"]),
        node("Relu", &["r"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[2, 5])], stored, nodes));
    assert_eq!((ops(&import), last(&import), import.unsupported.len()), (vec!["relu"], vec![2, 5], 0));
}

#[test]
fn what_is_computed_from_frequencies_is_no_parameter() {
    let stored = vec![weight("rope.inv_freq", &[1, 4]), ints("places", &[0, 1, 2])];
    let nodes = vec![
        node("Cast", &["places"], &["t"]).int("to", 1),
        node("Unsqueeze", &["t"], &["u"]).ints("axes", &[1]),
        node("Mul", &["u", "rope.inv_freq"], &["f"]),
        node("Concat", &["f", "f"], &["e"]).int("axis", 1),
        node("Cos", &["e"], &["c"]),
        node("Mul", &["x", "c"], &["y"]),
    ];
    let import = read_as(graph(vec![info("x", FLOAT, &[2, 3, 8])], stored, nodes), 11, &Options::default());
    assert_eq!(work(&import.expect("a graph")).params, 0);
}

#[test]
fn what_no_op_describes_is_listed_and_its_result_declared_or_unknown() {
    let mut model = graph(
        vec![info("x", FLOAT, &[1, 2, 8, 8]), info("grid", FLOAT, &[1, 4, 4, 2])],
        vec![],
        vec![
            node("GridSample", &["x", "grid"], &["s"]),
            node("Relu", &["s"], &["r"]),
            node("Mystery", &["x"], &["m"]).domain("example.org"),
            node("Relu", &["m"], &["y"]),
        ],
    );
    model.value_info = vec![info("s", FLOAT, &[1, 2, 4, 4])];
    let import = good(model);
    assert_eq!((ops(&import), last(&import)), (vec!["relu"], vec![1, 2, 4, 4]));
    let listed: Vec<&str> = import.unsupported.iter().map(|node| node.op.as_str()).collect();
    assert_eq!(listed, ["GridSample", "Mystery", "Relu"]);
    assert!(import.unsupported[1].reason.contains("example.org"), "{:?}", import.unsupported);
    assert!(import.unsupported[2].reason.contains("its input m is not known"), "{:?}", import.unsupported);
}

#[test]
fn a_table_of_masks_or_waves_is_no_parameter() {
    let wave = |row: f32, at: f32| row * (0.1 + at);
    let waves = (0..4).flat_map(|row| {
        (0..4).flat_map(move |at| {
            let angle = wave(row as f32, at as f32);
            [angle.sin().to_le_bytes(), angle.cos().to_le_bytes()]
        })
    });
    let mask: Vec<u8> = (0..32).flat_map(|at| if at % 3 == 0 { -1e4_f32 } else { 0.0 }.to_le_bytes()).collect();
    let stored = vec![
        raw("pe", FLOAT, &[4, 8], waves.flatten().collect()),
        raw("m", FLOAT, &[4, 8], mask),
        weight("p", &[4, 8]),
    ];
    let nodes =
        vec![node("Add", &["x", "pe"], &["a"]), node("Add", &["a", "m"], &["b"]), node("Add", &["b", "p"], &["y"])];
    let import = good(graph(vec![info("x", FLOAT, &[2, 4, 8])], stored, nodes));
    assert_eq!((work(&import).params, work(&import).bytes_stored.0), (32, 3 * 32 * 4));
}
