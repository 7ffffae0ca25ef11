//! Layers with weights: shapes, MACs and parameters by hand.

use super::model::*;

#[test]
fn a_convolution_with_every_way_of_padding() {
    let conv = |node| {
        let weights = vec![weight("w", &[8, 3, 3, 3]), weight("b", &[8])];
        good(graph(vec![info("x", FLOAT, &[1, 3, 9, 9])], weights, vec![node]))
    };
    let plain = node("Conv", &["x", "w", "b"], &["y"]);
    let import = conv(plain.clone().ints("strides", &[2, 2]));
    assert_eq!(
        (last(&import), work(&import).macs.0, work(&import).params),
        (vec![1, 8, 4, 4], 16 * 8 * 27, 8 * 27 + 8)
    );
    assert_eq!(last(&conv(plain.clone().ints("pads", &[1, 0, 2, 3]))), [1, 8, 10, 10]);
    assert_eq!(last(&conv(plain.clone().ints("strides", &[2, 2]).text("auto_pad", "SAME_UPPER"))), [1, 8, 5, 5]);
    assert_eq!(last(&conv(plain.clone().ints("strides", &[2, 2]).text("auto_pad", "SAME_LOWER"))), [1, 8, 5, 5]);
    assert_eq!(last(&conv(plain.text("auto_pad", "VALID").ints("dilations", &[2, 2]))), [1, 8, 5, 5]);
}

#[test]
fn a_transposed_convolution_gives_the_extents_asked_for() {
    let layer = |node| good(graph(vec![info("x", FLOAT, &[1, 4, 5, 5])], vec![weight("w", &[4, 3, 3, 3])], vec![node]));
    let plain = node("ConvTranspose", &["x", "w"], &["y"]).ints("strides", &[2, 2]);
    assert_eq!(last(&layer(plain.clone())), [1, 3, 11, 11]);
    let import = layer(plain.clone().ints("pads", &[1, 1, 1, 1]).ints("output_padding", &[1, 1]));
    assert_eq!((last(&import), work(&import).macs.0), (vec![1, 3, 10, 10], 25 * 4 * 3 * 9));
    assert_eq!(last(&layer(plain.clone().ints("output_shape", &[10, 12]))), [1, 3, 10, 12]);
    assert_eq!(last(&layer(plain.text("auto_pad", "SAME_UPPER"))), [1, 3, 10, 10]);
}

#[test]
fn matrix_products_of_every_rank() {
    let product = |a: &[i64], b: &[i64], stored: bool| {
        let mut inputs = vec![info("a", FLOAT, a)];
        let mut weights = vec![weight("other", &[2])];
        if stored {
            weights.push(weight("b", b));
        } else {
            inputs.push(info("b", FLOAT, b));
        }
        let nodes = vec![node("MatMul", &["a", "b"], &["c"]), node("Relu", &["c"], &["y"])];
        let import = good(graph(inputs, weights, nodes));
        (ops(&import)[0], last(&import), work(&import).macs.0, work(&import).params)
    };
    assert_eq!(product(&[2, 5, 8], &[8, 3], true), ("linear", vec![2, 5, 3], 240, 24));
    assert_eq!(product(&[2, 5, 8], &[8, 3], false), ("mat_mul", vec![2, 5, 3], 240, 0));
    assert_eq!(product(&[8], &[8, 3], true), ("linear", vec![3], 24, 24));
    assert_eq!(product(&[5, 8], &[8], true), ("linear", vec![5], 40, 8));
    assert_eq!(product(&[5, 8], &[1, 1, 8, 3], true), ("linear", vec![1, 1, 5, 3], 120, 24));
    assert_eq!(product(&[2, 5, 8], &[2, 8, 3], true), ("mat_mul", vec![2, 5, 3], 240, 48));
    assert_eq!(product(&[8], &[2, 8, 3], false).1, [2, 3]);
    assert_eq!(product(&[2, 5, 8], &[8], false).1, [2, 5]);
    assert_eq!(product(&[8], &[8], false).1, Vec::<u32>::new());
}

#[test]
fn a_gemm_with_its_bias() {
    let gemm = |c: Vec<i64>| {
        let weights = vec![weight("b", &[3, 8]), weight("c", &c)];
        let nodes = vec![node("Gemm", &["a", "b", "c"], &["y"]).int("transB", 1)];
        good(graph(vec![info("a", FLOAT, &[5, 8])], weights, nodes))
    };
    assert_eq!((ops(&gemm(vec![3])), work(&gemm(vec![3])).params), (vec!["linear"], 27));
    // A matrix is no bias of a layer, but a stored operand.
    assert_eq!((ops(&gemm(vec![5, 3])), work(&gemm(vec![5, 3])).params), (vec!["linear", "add"], 24 + 15));
}

#[test]
fn shared_weights_count_once() {
    // The same matrix for an embedding, and transposed for the scores; a bias of its own stays apart.
    let weights = vec![weight("table", &[50, 8]), weight("bias", &[50])];
    let nodes = vec![
        node("Gather", &["table", "ids"], &["e"]),
        node("Transpose", &["table"], &["t"]),
        node("MatMul", &["e", "t"], &["s"]),
        node("Add", &["s", "bias"], &["y"]),
    ];
    let import = good(graph(vec![info("ids", INT64, &[2, 4])], weights, nodes));
    assert_eq!(ops(&import), ["embedding", "linear", "add"]);
    assert_eq!((work(&import).params, work(&import).macs.0, import.bookkeeping), (450, 8 * 8 * 50, 1));
    // Two convolutions with one kernel but two biases.
    let weights = vec![weight("w", &[4, 4, 1, 1]), weight("b1", &[4]), weight("b2", &[4])];
    let nodes = vec![node("Conv", &["x", "w", "b1"], &["c"]), node("Conv", &["c", "w", "b2"], &["y"])];
    let import = good(graph(vec![info("x", FLOAT, &[1, 4, 2, 2])], weights, nodes));
    assert_eq!((ops(&import), work(&import).params), (vec!["conv2d", "view", "conv2d", "add"], 16 + 8));
}

#[test]
fn recurrent_layers_in_the_layout_of_onnx() {
    let weights = vec![weight("w", &[2, 32, 6]), weight("r", &[2, 32, 8]), weight("b", &[2, 64])];
    let nodes = vec![
        node("LSTM", &["x", "w", "r", "b"], &["all", "h", "c"])
            .int("hidden_size", 8)
            .text("direction", "bidirectional"),
        node("Transpose", &["all"], &["t"]).ints("perm", &[0, 2, 1, 3]),
        node("Reshape", &["t", "s"], &["y"]),
    ];
    let weights = [weights, vec![ints("s", &[0, 0, -1])]].concat();
    let import = good(graph(vec![info("x", FLOAT, &[7, 3, 6])], weights, nodes));
    assert_eq!(last(&import), [7, 3, 16]);
    assert_eq!(work(&import).params, 2 * 32 * (6 + 8 + 2));
    assert_eq!(work(&import).macs.0, 7 * 3 * 2 * 32 * 14);
}

#[test]
fn normalisations_and_their_vectors() {
    let vectors = |names: &[&str]| names.iter().map(|name| weight(name, &[6])).collect::<Vec<_>>();
    let nodes = vec![
        node("BatchNormalization", &["x", "s", "b", "m", "v"], &["a"]),
        node("InstanceNormalization", &["a", "s2", "b2"], &["c"]),
        node("GroupNormalization", &["c", "s3", "b3"], &["d"]).int("num_groups", 3),
        node("LRN", &["d"], &["e"]).int("size", 5),
        node("LpNormalization", &["e"], &["f"]).int("axis", 1),
        node("LayerNormalization", &["f", "s4"], &["y"]),
    ];
    let weights = vectors(&["s", "b", "m", "v", "s2", "b2", "s3", "b3", "s4"]);
    let import = good(graph(vec![info("x", FLOAT, &[2, 6, 4, 6])], weights, nodes));
    let expected = ["batch_norm", "group_norm", "group_norm", "local_response_norm", "reduce_l2", "div", "layer_norm"];
    assert_eq!((ops(&import), work(&import).params), (expected.to_vec(), 12 + 12 + 12 + 6));
}

/// Up to opset 20 a group normalisation has a factor for each group, which core cannot say: it is listed, its factors are not lost.
#[test]
fn factors_of_groups_are_listed() {
    let nodes = vec![node("GroupNormalization", &["x", "s", "b"], &["y"]).int("num_groups", 3)];
    let weights = vec![weight("s", &[3]), weight("b", &[3])];
    let import = good(graph(vec![info("x", FLOAT, &[2, 6, 4, 4])], weights, nodes));
    let listed: Vec<&str> = import.unsupported.iter().map(|node| node.op.as_str()).collect();
    assert_eq!(listed, ["GroupNormalization"]);
}

#[test]
fn einsum_is_a_contraction() {
    let sum = |equation: &str, a: &[i64], b: &[i64]| {
        let inputs = vec![info("a", FLOAT, a), info("b", FLOAT, b)];
        let import = good(graph(inputs, vec![], vec![node("Einsum", &["a", "b"], &["y"]).text("equation", equation)]));
        (ops(&import), last(&import), work(&import).macs.0)
    };
    assert_eq!(sum("bhid,bhjd->bhij", &[2, 3, 4, 5], &[2, 3, 6, 5]), (vec!["contraction"], vec![2, 3, 4, 6], 720));
    assert_eq!(sum("...ij, jk -> ...ik", &[2, 4, 5], &[5, 3]), (vec!["contraction"], vec![2, 4, 3], 120));
    assert_eq!(sum("ij,jk", &[4, 5], &[5, 3]).1, [4, 3]);
    assert_eq!(sum("ijx,jk->ki", &[4, 5, 2], &[5, 3]), (vec!["reduce_sum", "contraction"], vec![3, 4], 60));
}

#[test]
fn elementwise_ops_and_their_scalars() {
    let constants =
        vec![floats("two", &[2.0]), floats("zero", &[0.0]), floats("six", &[6.0]), weight("slope", &[4, 1, 1])];
    let nodes = vec![
        node("Pow", &["x", "two"], &["a"]),
        node("Mul", &["two", "a"], &["b"]),
        node("Clip", &["b", "zero", "six"], &["c"]),
        node("PRelu", &["c", "slope"], &["d"]),
        node("Greater", &["d", "x"], &["e"]),
        node("Where", &["e", "d", "x"], &["f"]),
        node("Softmax", &["f"], &["g"]).int("axis", 1),
        node("ReduceMean", &["g"], &["h"]).ints("axes", &[2, 3]).int("keepdims", 0),
        node("HardSwish", &["h"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[1, 4, 2, 2])], constants, nodes));
    let expected = ["square", "mul", "relu6", "prelu", "compare", "where", "softmax", "reduce_mean", "hardswish"];
    assert_eq!((ops(&import), last(&import), work(&import).params), (expected.to_vec(), vec![1, 4], 4));
}

#[test]
fn one_learned_number_is_told_from_a_written_one_by_its_name() {
    let params = |name: &str, op: &str, other: &str| {
        let stored = vec![floats(name, &[0.07]), weight(other, &[4, 4])];
        let nodes = vec![
            node("MatMul", &["x", other], &["a"]),
            node("Exp", &[name], &["factor"]),
            node(op, &["a", "factor"], &["b"]),
            node(op, &["b", name], &["y"]),
        ];
        let import = good(graph(vec![info("x", FLOAT, &[2, 4])], stored, nodes));
        work(&import).params - 16
    };
    for op in ["Mul", "Div", "Add"] {
        assert_eq!(params("head.scale", op, "onnx::MatMul_7"), 1, "{op}");
        assert_eq!(params("temperature", op, "head.weight"), 1, "{op}");
        for written in ["onnx::Mul_12", "/head/Constant_output_0", "val_3", "12", "scalar_tensor_default"] {
            assert_eq!(params(written, op, "head.weight"), 0, "{op} {written}");
        }
        assert_eq!(params("temperature", op, "w"), 0, "{op}: no module is named");
    }
}

#[test]
fn pooling_rounds_as_it_is_told() {
    let pool = |node| last(&good(graph(vec![info("x", FLOAT, &[1, 4, 8, 8])], vec![], vec![node])));
    let plain = node("MaxPool", &["x"], &["y"]).ints("kernel_shape", &[3, 3]).ints("strides", &[2, 2]);
    assert_eq!(pool(plain.clone()), [1, 4, 3, 3]);
    assert_eq!(pool(plain.clone().int("ceil_mode", 1)), [1, 4, 4, 4]);
    assert_eq!(pool(plain.text("auto_pad", "SAME_UPPER")), [1, 4, 4, 4]);
    assert_eq!(pool(node("GlobalAveragePool", &["x"], &["y"])), [1, 4, 1, 1]);
}

#[test]
fn a_group_norm_written_as_an_instance_norm_has_its_own_vectors_only() {
    let stored = vec![
        floats("ones", &[1.0, 1.0, 1.0]),
        floats("zeros", &[0.0, 0.0, 0.0]),
        ints("groups", &[0, 3, -1]),
        ints("image", &[2, 6, 4, 4]),
        weight("w", &[6, 1, 1]),
        weight("b", &[6, 1, 1]),
    ];
    let nodes = vec![
        node("Reshape", &["x", "groups"], &["g"]),
        node("InstanceNormalization", &["g", "ones", "zeros"], &["n"]),
        node("Reshape", &["n", "image"], &["i"]),
        node("Mul", &["i", "w"], &["m"]),
        node("Add", &["m", "b"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[2, 6, 4, 4])], stored, nodes));
    assert_eq!((ops(&import), work(&import).params), (vec!["view", "group_norm", "view", "mul", "add"], 12));
}
