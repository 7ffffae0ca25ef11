//! Nodes that are gone before the network runs.

use super::model::*;

#[test]
fn a_chain_of_shape_arithmetic_is_folded() {
    // What exporters write for `x.view(x.size(0), -1)`.
    let stored = vec![ints("zero", &[0]), ints("minus", &[-1]), ints("at", &[0])];
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "zero"], &["n"]),
        node("Cast", &["n"], &["f"]).int("to", 1),
        node("Cast", &["f"], &["i"]).int("to", 7),
        node("Concat", &["i", "minus"], &["to"]).int("axis", 0),
        node("Reshape", &["x", "to"], &["r"]),
        node("Relu", &["r"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[2, 3, 4])], stored, nodes));
    assert_eq!((ops(&import), last(&import), import.bookkeeping), (vec!["view", "relu"], vec![2, 12], 5));
}

#[test]
fn arithmetic_on_constants_by_hand() {
    // (5 // 2) · 3 − 7 mod −4 …, each through a reshape that would fail on any other number.
    let stored = vec![
        ints("five", &[5]),
        ints("two", &[2]),
        ints("minus_four", &[-4]),
        ints("seven", &[7]),
        ints("list", &[9, 8, 3, 2]),
        ints("one", &[1]),
        ints("three", &[3]),
        ints("from", &[-1]),
        ints("to", &[-3]),
        ints("step", &[-1]),
        ints("first", &[0]),
    ];
    let nodes = vec![
        node("Div", &["five", "two"], &["half"]),
        node("Mod", &["seven", "minus_four"], &["rest"]),
        node("Neg", &["rest"], &["rest_up"]),
        node("Slice", &["list", "from", "to", "first", "step"], &["cut"]),
        node("ReduceProd", &["cut"], &["product"]).int("keepdims", 1),
        node("Equal", &["product", "half"], &["same"]),
        node("Where", &["same", "one", "product"], &["chosen"]),
        node("Concat", &["half", "rest_up", "chosen", "two"], &["shape"]).int("axis", 0),
        node("Reshape", &["x", "shape"], &["y"]),
    ];
    // half 2, rest −1 and so 1, cut [2, 3], product 6.
    let import = good(graph(vec![info("x", FLOAT, &[24])], stored, nodes));
    assert_eq!((last(&import), import.bookkeeping), (vec![2, 1, 6, 2], 8));
}

#[test]
fn ranges_tiles_expansions_and_places_are_computed() {
    let stored = vec![
        raw("zero", INT64, &[], 0_i64.to_le_bytes().to_vec()),
        raw("six", INT64, &[], 6_i64.to_le_bytes().to_vec()),
        raw("two", INT64, &[], 2_i64.to_le_bytes().to_vec()),
        ints("grid", &[3, 1]),
        ints("twice", &[1, 2]),
        ints("flat", &[-1]),
    ];
    let nodes = vec![
        node("Range", &["zero", "six", "two"], &["r"]),
        node("Reshape", &["r", "grid"], &["column"]),
        node("Tile", &["column", "twice"], &["t"]),
        node("Transpose", &["t"], &["u"]),
        node("NonZero", &["u"], &["places"]),
        node("Reshape", &["places", "flat"], &["list"]),
        node("ReduceSum", &["list"], &["sum"]).int("keepdims", 1),
        node("Expand", &["x", "sum"], &["y"]),
    ];
    // Rows 0 2 4 twice: places (0,1) (0,2) (1,1) (1,2): the sum is 8.
    let import = good(graph(vec![info("x", FLOAT, &[1])], stored, nodes));
    assert_eq!((ops(&import), last(&import)), (vec!["expand"], vec![8]));
}

#[test]
fn a_constant_branch_is_taken() {
    let branch = |op: &str| {
        let mut inner = graph(vec![], vec![], vec![node(op, &["x"], &["inner"])]);
        inner.output = vec![open("inner", FLOAT, &["?", "?"])];
        inner
    };
    let stored = vec![ints("three", &[3]), ints("one", &[1])];
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "one"], &["e"]),
        node("Equal", &["e", "three"], &["is"]),
        node("If", &["is"], &["c"]).graph("then_branch", branch("Relu")).graph("else_branch", branch("Tanh")),
        node("Neg", &["c"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[2, 3])], stored, nodes));
    assert_eq!(ops(&import), ["relu", "neg"]);
}

#[test]
fn weights_in_another_form_stay_what_they_are() {
    // One projection cut in three, as attention has it; and a table that goes through a function.
    let stored = vec![weight("qkv", &[12, 4]), weight("table", &[6, 4]), ints("ids", &[1, 3]), weight("g", &[4, 4])];
    let nodes = vec![
        node("Split", &["qkv"], &["q", "k", "v"]).int("axis", 0),
        node("Transpose", &["q"], &["qt"]),
        node("Transpose", &["v"], &["vt"]),
        node("Transpose", &["k"], &["kt"]),
        node("MatMul", &["x", "qt"], &["a"]),
        node("MatMul", &["a", "vt"], &["b"]),
        node("MatMul", &["b", "kt"], &["c"]),
        node("Gather", &["table", "ids"], &["e"]),
        node("Add", &["c", "e"], &["d"]),
        node("Exp", &["g"], &["ge"]),
        node("MatMul", &["d", "ge"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[2, 4])], stored, nodes));
    assert_eq!(ops(&import), ["linear", "linear", "linear", "embedding", "add", "linear"]);
    assert_eq!(work(&import).params, 48 + 24 + 16);
}

#[test]
fn layout_ops_and_what_they_give() {
    let stored = vec![
        ints("pads", &[0, 0, 1, 1, 0, 0, 2, 2]),
        floats("scales", &[1.0, 1.0, 2.0, 2.0]),
        ints("starts", &[1]),
        ints("ends", &[1000]),
        ints("axis", &[3]),
        ints("cut", &[0, 0, -1, 0, 0, 0, 0, 0]),
    ];
    let nodes = vec![
        node("Pad", &["x", "pads"], &["p"]),
        node("Resize", &["p", "", "scales"], &["r"]).text("mode", "linear"),
        node("Slice", &["r", "starts", "ends", "axis"], &["s"]),
        node("Split", &["s"], &["left", ""]).int("axis", 1),
        node("Concat", &["left", "left"], &["c"]).int("axis", 1),
        node("DepthToSpace", &["c"], &["d"]).int("blocksize", 2),
        node("Pad", &["d", "cut"], &["e"]),
        node("Flatten", &["e"], &["y"]).int("axis", 2),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[1, 4, 5, 5])], stored, nodes));
    let expected = ["pad", "resize_linear", "slice", "slice", "concat", "copy", "slice", "view"];
    assert_eq!((ops(&import), last(&import)), (expected.to_vec(), vec![1, 31 * 30]));
}

#[test]
fn a_bias_with_replaced_elements_is_still_learned() {
    let stored = vec![
        weight("bias", &[20]),
        raw("at", INT64, &[2, 1], [3_i64, 4].iter().flat_map(|at| at.to_le_bytes()).collect()),
        floats("zeros", &[0.0, 0.0]),
    ];
    let nodes = vec![node("ScatterND", &["bias", "at", "zeros"], &["b"]), node("Add", &["x", "b"], &["y"])];
    let import = good(graph(vec![info("x", FLOAT, &[2, 20])], stored, nodes));
    assert_eq!((ops(&import), work(&import).params), (vec!["add"], 20));
}

#[test]
fn the_shape_of_a_scalar_is_an_empty_list() {
    let nodes = vec![
        node("ConstantOfShape", &["none"], &["c"]),
        node("Add", &["c", "one"], &["count"]),
        node("Cast", &["count"], &["n"]).int("to", 7),
        node("Unsqueeze", &["n", "axis"], &["shape"]),
        node("Expand", &["x", "shape"], &["e"]),
        node("Relu", &["e"], &["y"]),
    ];
    let stored = vec![ints("none", &[]), raw("one", FLOAT, &[], 5_f32.to_le_bytes().to_vec()), ints("axis", &[0])];
    let import = good(graph(vec![info("x", FLOAT, &[1])], stored, nodes));
    assert_eq!((ops(&import), last(&import), import.unsupported.len()), (vec!["expand", "relu"], vec![5], 0));
}
