//! Files that are cut short, hostile or wrong, and weights in files of their own.

use std::path::Path;

use super::model::*;
use crate::import::onnx::proto::{Entry, Tensor};
use crate::import::{Import, ImportError, Options};

fn external(location: &str, offset: u64) -> Tensor {
    let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
    Tensor {
        raw_data: None,
        data_location: 1,
        external_data: vec![entry("location", location.to_owned()), entry("offset", offset.to_string())],
        ..weight("w", &[8, 4])
    }
}

fn with_weights(location: &str, offset: u64, prepare: impl FnOnce(&Path)) -> Result<Import, ImportError> {
    let model = graph(
        vec![info("x", FLOAT, &[2, 8])],
        vec![external(location, offset)],
        vec![node("MatMul", &["x", "w"], &["y"])],
    );
    let (folder, path) = file(&encode(model, 17));
    prepare(folder.path());
    crate::import::onnx::read(&path, &Options::default())
}

#[test]
fn weights_in_a_file_of_their_own_stay_in_the_folder() {
    let bytes = vec![0; 160];
    let write = |folder: &Path| std::fs::write(folder.join("w.bin"), &bytes).expect("a file");
    let import = with_weights("w.bin", 32, write).expect("a graph");
    assert_eq!(work(&import).params, 32);
    let short = with_weights("w.bin", 33, write).map(|_| ()).expect_err("too short").to_string();
    assert!(short.contains("33 to 161") && short.contains("160 bytes"), "{short}");
    let missing = with_weights("other.bin", 0, write).map(|_| ()).expect_err("no file").to_string();
    assert!(missing.contains("other.bin"), "{missing}");
    for escape in ["../w.bin", "/etc/hostname", "sub/../../w.bin", "", "."] {
        let error = with_weights(escape, 0, write).map(|_| ()).expect_err(escape).to_string();
        assert!(error.contains(": w: "), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::write(elsewhere.path().join("w.bin"), vec![0; 160]).expect("a file");
    let link = |folder: &Path| {
        std::os::unix::fs::symlink(elsewhere.path().join("w.bin"), folder.join("w.bin")).expect("a link");
    };
    let error = with_weights("w.bin", 0, link).map(|_| ()).expect_err("a link").to_string();
    assert!(error.contains("leaves the model's folder"), "{error}");
}

fn small() -> Vec<u8> {
    let nodes = vec![node("Conv", &["x", "w"], &["c"]), node("Relu", &["c"], &["y"])];
    encode(graph(vec![info("x", FLOAT, &[1, 3, 8, 8])], vec![weight("w", &[4, 3, 3, 3])], nodes), 17)
}

#[test]
fn a_file_cut_short_anywhere_is_an_error_or_a_smaller_model() {
    let whole = small();
    for length in 0..whole.len() {
        let (_folder, path) = file(&whole[..length]);
        if let Err(error) = crate::import::onnx::read(&path, &Options::default()) {
            assert!(error.to_string().contains("model.onnx"), "{error}");
        }
    }
}

#[test]
fn bytes_at_random_never_panic() {
    let whole = small();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..=random() % 4 {
            let at = usize::try_from(random() % bytes.len() as u64).expect("an index");
            bytes[at] = random().to_le_bytes()[0];
        }
        let (_folder, path) = file(&bytes);
        // Either is right; neither may panic.
        drop(crate::import::onnx::read(&path, &Options::default()));
    }
}

#[test]
fn other_files_are_named() {
    for bytes in [&b"hello, this is no model"[..], &[0xff; 64], &[]] {
        let (_folder, path) = file(bytes);
        let error =
            crate::import::onnx::read(&path, &Options::default()).map(|_| ()).expect_err("no model").to_string();
        assert!(error.contains("model.onnx"), "{error}");
    }
    let error = crate::import::onnx::read(Path::new("missing.onnx"), &Options::default()).map(|_| ());
    assert!(error.expect_err("no file").to_string().contains("missing.onnx"));
}

#[test]
fn nodes_may_stand_in_any_order_but_not_in_a_circle() {
    let x = || vec![info("x", FLOAT, &[2, 3])];
    let import = good(graph(x(), vec![], vec![node("Relu", &["t"], &["y"]), node("Tanh", &["x"], &["t"])]));
    assert_eq!(ops(&import), ["tanh", "relu"]);
    let circle = vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"]), node("Tanh", &["b"], &["y"])];
    let error = bad(graph(x(), vec![], circle));
    assert!(error.contains("cycle") && (error.contains("Add_a") || error.contains("Relu_b")), "{error}");
    let error = bad(graph(x(), vec![], vec![node("Relu", &["x"], &["y"]), node("Tanh", &["x"], &["y"])]));
    assert!(error.contains("Relu_y") && error.contains("Tanh_y"), "{error}");
    let error = bad(graph(x(), vec![], vec![node("Relu", &["nothing"], &["y"])]));
    assert!(error.contains("Relu_y") && error.contains("nothing"), "{error}");
}

#[test]
fn wrong_values_name_the_node() {
    let x = || vec![info("x", FLOAT, &[1, 3, 8, 8])];
    let conv = node("Conv", &["x", "w"], &["y"]);
    let model = |node| graph(x(), vec![weight("w", &[4, 3, 3, 3])], vec![node]);
    for (node, found) in [
        (conv.clone().int("strides", 2), "of kind int, ints is wanted"),
        (conv.clone().ints("strides", &[0, 1]), "strides"),
        (conv.clone().ints("strides", &[70_000, 1]), "65535"),
        (conv.clone().ints("pads", &[-1, 0, 0, 0]), "pads"),
        (conv.clone().ints("pads", &[1]), "pads"),
        (conv.clone().int("group", 0), "group"),
        (conv.clone().int("group", 2), "6 channels"),
        (conv.clone().text("auto_pad", "SOME"), "SOME"),
        (conv.clone().ints("kernel_shape", &[5, 5]), "kernel_shape"),
        (node("Softmax", &["x"], &["y"]).int("axis", 4), "axis 4"),
        (node("Transpose", &["x"], &["y"]).ints("perm", &[0, 0, 1, 2]), "perm"),
        (node("Flatten", &["x"], &["y"]).int("axis", i64::MIN), "axis"),
    ] {
        let error = bad(model(node.clone()));
        assert!(error.contains("model.onnx") && error.contains("_y") && error.contains(found), "{error}");
    }
    for dims in [&[-3_i64][..], &[i64::MAX], &[4_000_000_000; 3]] {
        let tensor = Tensor { dims: dims.to_vec(), ..weight("w", &[1]) };
        assert!(bad(graph(x(), vec![tensor], vec![conv.clone()])).contains(": w: "));
    }
    let short = Tensor { dims: vec![4, 3, 3, 4], ..weight("w", &[4, 3, 3, 3]) };
    assert!(bad(graph(x(), vec![short], vec![conv.clone()])).contains("432 bytes"));
    let twice = vec![weight("w", &[4, 3, 3, 3]), weight("w", &[4, 3, 3, 3])];
    assert!(bad(graph(x(), twice, vec![conv.clone()])).contains("two stored tensors"));
    assert!(
        bad(graph(vec![info("x", FLOAT, &[1, 0, 8, 8])], vec![], vec![node("Relu", &["x"], &["y"])])).contains("0")
    );
    assert!(bad(graph(vec![info("x", 8, &[1])], vec![], vec![node("Relu", &["x"], &["y"])])).contains("string"));
}

#[test]
fn requests_for_much_memory_are_refused_or_left_unknown() {
    let huge = ints("s", &[60_000, 60_000]);
    let nodes =
        vec![node("ConstantOfShape", &["s"], &["c"]), node("Tile", &["c", "s"], &["t"]), node("Relu", &["x"], &["y"])];
    let import = good(graph(vec![info("x", FLOAT, &[1])], vec![huge], nodes));
    assert_eq!(ops(&import), ["relu"]);
}
