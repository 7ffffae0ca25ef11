//! Importers of PyTorch's files against PyTorch's own counts, and against files that are not what they should be.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use derate::import::{Import, ImportError, Options, pt2, torchscript};
use derate_core::graph::Tables;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

type Tested = Result<(), Box<dyn std::error::Error>>;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

fn read(path: &Path, options: &Options) -> Result<Import, ImportError> {
    if path.extension().is_some_and(|extension| extension == "pt2") {
        pt2::read(path, options)
    } else {
        torchscript::read(path, options)
    }
}

/// Parameters and MACs of an import, after making sure that nothing was left out.
fn counts(import: &Import) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    assert_eq!(import.unsupported, []);
    let work = import.graph.view().total_work()?;
    Ok((work.params, work.macs.0))
}

#[derive(serde::Deserialize)]
struct Expected {
    files: Vec<String>,
    inputs: Vec<Vec<u32>>,
    params: u64,
    macs: u64,
}

#[test]
fn samples_count_as_in_pytorch() -> Tested {
    let text = std::fs::read_to_string(samples().join("counts.json"))?;
    let expected: std::collections::BTreeMap<String, Expected> = serde_json::from_str(&text)?;
    assert_eq!(expected.len(), 6);
    for network in expected.values() {
        for file in &network.files {
            let options = Options { inputs: network.inputs.clone(), ..Options::default() };
            let import = read(&samples().join(file), &options)?;
            assert_eq!(counts(&import)?, (network.params, network.macs), "{file}");
        }
    }
    Ok(())
}

#[test]
fn an_open_batch_is_bound_or_named() -> Tested {
    let path = samples().join("mlp_any_batch.pt2");
    let error = pt2::read(&path, &Options::default()).err().ok_or("the batch is open")?.to_string();
    assert!(error.contains("axis 0 of input") && error.contains("--dim"), "{error}");
    let batch = pt2::read(&path, &Options { batch: Some(7), ..Options::default() })?;
    assert_eq!(counts(&batch)?, (344, 7 * 320));
    let inputs = pt2::read(&path, &Options { inputs: vec![vec![9, 12]], ..Options::default() })?;
    assert_eq!(counts(&inputs)?, (344, 9 * 320));
    Ok(())
}

#[test]
fn torchscript_needs_shapes_of_inputs() -> Tested {
    let path = samples().join("mlp_traced.pt");
    let error = torchscript::read(&path, &Options::default()).err().ok_or("no shape is given")?.to_string();
    assert!(error.contains("--input 1x3x224x224"), "{error}");
    let options = Options { inputs: vec![vec![3, 13]], ..Options::default() };
    // 13 features do not fit a layer of 12, and with it nothing can be counted.
    let error = torchscript::read(&path, &options).err().ok_or("13 features fit")?.to_string();
    assert!(error.contains("linear") && error.contains("does --input give the right shapes?"), "{error}");
    Ok(())
}

/// An archive of these entries, compressed.
fn archive(folder: &Path, name: &str, entries: &[(&str, &[u8])]) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let path = folder.join(name);
    let mut zip = ZipWriter::new(File::create(&path)?);
    for (entry, data) in entries {
        zip.start_file(*entry, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))?;
        zip.write_all(data)?;
    }
    zip.finish()?;
    Ok(path)
}

fn model_json() -> Result<String, Box<dyn std::error::Error>> {
    let mut zip = ZipArchive::new(File::open(samples().join("mlp.pt2"))?)?;
    let text = std::io::read_to_string(zip.by_name("mlp/models/model.json")?)?;
    Ok(text)
}

#[test]
fn the_layout_before_2_8_is_read() -> Tested {
    let folder = tempfile::tempdir()?;
    let text = model_json()?;
    let path = archive(folder.path(), "old.pt2", &[("serialized_exported_program.json", text.as_bytes())])?;
    assert_eq!(counts(&pt2::read(&path, &Options::default())?)?, (344, 960));
    Ok(())
}

#[test]
fn an_unknown_op_is_listed_and_its_output_is_an_input() -> Tested {
    let folder = tempfile::tempdir()?;
    let text = model_json()?.replace("torch.ops.aten.gelu.default", "torch.ops.mine.gelu.default");
    let path = archive(folder.path(), "x.pt2", &[("x/models/model.json", text.as_bytes())])?;
    let import = pt2::read(&path, &Options::default())?;
    let [unsupported] = import.unsupported.as_slice() else { return Err("one node is unknown".into()) };
    assert_eq!((unsupported.name.as_str(), unsupported.op.as_str()), ("gelu", "torch.ops.mine.gelu.default"));
    let work = import.graph.view().total_work()?;
    assert_eq!((work.params, work.macs.0), (344, 960));
    Ok(())
}

/// Reading gives an error, soon, and with little memory; whoever panics or hangs fails here.
fn refused(path: &Path, options: &Options, expected: &str) {
    let start = std::time::Instant::now();
    let error = read(path, options).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains(expected), "{}: {error:?} does not say {expected:?}", path.display());
    // Far above what any machine needs: it only tells an end from none.
    assert!(start.elapsed().as_secs() < 60, "{}", path.display());
}

#[test]
fn files_that_are_no_networks_are_refused() -> Tested {
    let folder = tempfile::tempdir()?;
    let options = Options { inputs: vec![vec![1, 12]], ..Options::default() };
    for extension in ["pt2", "pt"] {
        let path = folder.path().join(format!("missing.{extension}"));
        refused(&path, &options, "missing");
        let path = folder.path().join(format!("text.{extension}"));
        std::fs::write(&path, "no archive")?;
        refused(&path, &options, "zip");
        refused(&archive(folder.path(), &format!("empty.{extension}"), &[("a", b"")])?, &options, "torch");
    }
    let whole = std::fs::read(samples().join("mlp.pt2"))?;
    for keep in [0, 100, whole.len() / 2, whole.len() - 10] {
        let path = folder.path().join("cut.pt2");
        std::fs::write(&path, whole.get(..keep).unwrap_or(&[]))?;
        refused(&path, &options, "zip");
    }
    let deep = format!("{{\"graph_module\": {}", "[".repeat(100_000));
    let read_before = model_json()?
        .replace(r#""arg": {"as_tensor": {"name": "linear"}}"#, r#""arg": {"as_tensor": {"name": "never"}}"#);
    let texts: [(&str, &[u8], &str); 5] = [
        ("deep", deep.as_bytes(), "no exported program"),
        ("type", b"[1, 2]", "no exported program"),
        ("short", b"{\"graph_module\": {}}", "missing field"),
        ("letters", &[0xff, 0xfe, 0xfd], "UTF-8"),
        ("order", read_before.as_bytes(), "read before"),
    ];
    for (name, text, expected) in texts {
        let path = archive(folder.path(), &format!("{name}.pt2"), &[("m/models/model.json", text)])?;
        refused(&path, &options, expected);
    }
    // 65 MiB of spaces are 65 kB compressed.
    let bomb = vec![b' '; 65 << 20];
    refused(&archive(folder.path(), "bomb.pt2", &[("m/models/model.json", &bomb)])?, &options, "more than 64 MiB");
    Ok(())
}

/// A pickle of one module `__torch__.M` without attributes.
const MODULE: &[u8] = b"\x80\x02c__torch__\nM\n)\x81}b.";

fn script(folder: &Path, name: &str, forward: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let code = format!("class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n{forward}");
    archive(folder, name, &[("m/data.pkl", MODULE), ("m/code/__torch__.py", code.as_bytes())])
}

#[test]
fn code_that_does_not_end_is_refused() -> Tested {
    let folder = tempfile::tempdir()?;
    let options = Options { inputs: vec![vec![1, 12]], ..Options::default() };
    let nested = format!("    return {}x{}\n", "(".repeat(5000), ")".repeat(5000));
    let sources = [
        ("endless", "    while True:\n      pass\n    return x\n", "does not end"),
        ("range", "    for i in range(9223372036854775807):\n      pass\n    return x\n", "does not end"),
        ("recursion", "    return (self).forward(x, )\n", "calls within each other"),
        ("doubling", "    a = [1]\n    while True:\n      a = torch.add(a, a)\n    return x\n", "items"),
        ("words", "    a = \"{}{}\"\n    while True:\n      a = torch.format(a, a, a)\n    return x\n", "items"),
        ("cycle", "    a = annotate(List[int], [])\n    b = torch.append(a, a)\n    return a\n", "no ops"),
        ("nested", nested.as_str(), "levels"),
        ("syntax", "    return x +\n", "line 4"),
        ("raises", "    ops.prim.RaiseException(\"too small\", \"E\")\n    return x\n", "too small"),
    ];
    for (name, source, expected) in sources {
        refused(&script(folder.path(), &format!("{name}.pt"), source)?, &options, expected);
    }
    Ok(())
}

#[test]
fn what_depends_on_values_is_listed() -> Tested {
    let folder = tempfile::tempdir()?;
    let options = Options { inputs: vec![vec![1, 12]], ..Options::default() };
    let source = "    y = torch.relu(x)\n    if bool(torch.gt(torch.sum(y), 0)):\n      z = torch.neg(y)\n    else:\n      z = y\n    return z\n";
    let import = torchscript::read(&script(folder.path(), "if.pt", source)?, &options)?;
    let [unsupported] = import.unsupported.as_slice() else { return Err("the condition is unknown".into()) };
    assert_eq!((unsupported.name.as_str(), unsupported.op.as_str()), ("forward", "if"));
    assert_eq!(import.graph.view().nodes().len(), 3);
    Ok(())
}

#[test]
fn pickles_that_are_cut_or_crooked_are_refused() -> Tested {
    let folder = tempfile::tempdir()?;
    let options = Options { inputs: vec![vec![1, 12]], ..Options::default() };
    let long = [b"\x80\x02".as_slice(), &b"]".repeat(3_000_000)].concat();
    let deep = [b"\x80\x02)".as_slice(), &[0x85].repeat(1_000_000), b"."].concat();
    let pickles: [(&str, &[u8], &str); 6] = [
        ("cut", b"\x80\x02c__torch__\nM\n)", "too early"),
        ("stack", b"\x80\x02t.", "no mark"),
        ("memo", b"\x80\x02h\x07.", "memo 7"),
        ("code", b"\x80\x02\xff.", "0xff"),
        ("long", &long, "values"),
        ("deep", &deep, "no module"),
    ];
    for (name, pickle, expected) in pickles {
        let path = archive(folder.path(), &format!("{name}.pt"), &[("m/data.pkl", pickle), ("m/code/a.py", b"")])?;
        refused(&path, &options, expected);
    }
    Ok(())
}
