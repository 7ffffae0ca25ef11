//! Importers: files and short descriptions to graphs. Each format is a module of its own; all build through `build::Builder`.
//!
//! Nothing is counted silently as zero: a node that no op of core describes is listed in [`Import::unsupported`], and what it
//! computes enters the graph as an input.

mod aten;
pub(crate) mod build;
pub mod inline;
pub mod json;
pub mod node_list;
pub mod onnx;
pub mod pt2;
mod python;
pub mod tflite;
mod torch_archive;
pub mod torchscript;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use derate_core::shape::DataType;

use crate::graph_buf::GraphBuf;

/// What a file or description held.
#[derive(Clone, Debug)]
pub struct Import {
    /// The network.
    pub graph: GraphBuf,
    /// Nodes that could not be counted.
    pub unsupported: Vec<Unsupported>,
    /// Nodes that take no time and hold no memory: shape arithmetic, constants, assertions, identities.
    pub bookkeeping: usize,
}

/// A node that could not be counted, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unsupported {
    /// Name of the node in the file.
    pub name: String,
    /// Its op type, as the file calls it.
    pub op: String,
    /// What is missing.
    pub reason: String,
}

/// Values that a file or a description leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Extent of the outermost axis of every input where the file leaves it open.
    pub batch: Option<u32>,
    /// Extents of named dimensions.
    pub dims: BTreeMap<String, u32>,
    /// Shape of each input in order, where the file has none (`--input 1x3x224x224`).
    pub inputs: Vec<Vec<u32>>,
    /// Data type of the tensors of a description, which names none; files say their own.
    pub data_type: DataType,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch: None, dims: BTreeMap::new(), inputs: Vec::new(), data_type: DataType::Fp32 }
    }
}

/// A file or description that is no graph.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}{message}", at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default())]
pub struct ImportError {
    /// The file or description.
    pub file: String,
    /// The node, tensor or key, where it is known.
    pub at: Option<String>,
    /// What is wrong, with the value and what is allowed.
    pub message: String,
}

/// What reads a format.
type Reader = fn(&Path, &Options) -> Result<Import, ImportError>;

/// A file format: what it is called, how its files end, how they begin, what reads them.
struct Format {
    name: &'static str,
    extensions: &'static [&'static str],
    /// Whether a file that begins with these bytes is of this format.
    begins: fn(&[u8]) -> bool,
    read: Reader,
    /// Whether shapes of inputs can be given.
    takes_inputs: bool,
}

/// The formats. Where the end of a file's name tells nothing, the first whose beginning fits is taken.
const FORMATS: &[Format] = &[
    Format {
        name: "ONNX",
        extensions: &["onnx"],
        // The version of the format stands first: field 1, a number.
        begins: |bytes| bytes.first() == Some(&0x08),
        read: onnx::read,
        takes_inputs: false,
    },
    Format {
        name: "torch.export archive",
        extensions: &["pt2"],
        begins: |_| false,
        read: pt2::read,
        takes_inputs: true,
    },
    Format {
        name: "TorchScript",
        extensions: &["pt", "pth", "ts", "torchscript"],
        // A zip archive.
        begins: |bytes| bytes.starts_with(b"PK\x03\x04"),
        read: torchscript::read,
        takes_inputs: true,
    },
    Format {
        name: "TFLite",
        extensions: &["tflite", "lite"],
        begins: |bytes| bytes.get(4..8) == Some(tflite::IDENTIFIER),
        read: tflite::read,
        takes_inputs: false,
    },
    Format {
        name: "JSON",
        extensions: &["json"],
        begins: |bytes| bytes.trim_ascii_start().first() == Some(&b'{'),
        read: json::read,
        takes_inputs: false,
    },
];

/// Bytes of a file that tell its format.
const BEGINNING: u64 = 64;

/// The network that a file or a description holds: a description where it begins as one ([`inline`]), a file else, whose format
/// follows from the end of its name, or from its first bytes.
///
/// # Errors
/// [`ImportError`] for a file of no known format, and what the reader of its format refuses.
pub fn import(source: &str, options: &Options) -> Result<Import, ImportError> {
    match inline::read(source, options) {
        Some(import) => import,
        None => {
            let format = format(source)?;
            if !options.inputs.is_empty() && !format.takes_inputs {
                let message = format!(
                    "shapes of inputs are given, but {} holds them: --batch and --dim change them",
                    format.name
                );
                return Err(ImportError { file: source.to_owned(), at: None, message });
            }
            (format.read)(Path::new(source), options)
        }
    }
}

/// The format of a file.
fn format(file: &str) -> Result<&'static Format, ImportError> {
    let error = |message: String| ImportError { file: file.to_owned(), at: None, message };
    // Before it is opened: opening a pipe waits for who writes to it.
    if std::fs::metadata(file).is_ok_and(|kind| !kind.is_file()) {
        return Err(error("a folder, pipe or device; a file is wanted".to_owned()));
    }
    let extension = Path::new(file).extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
    let ends = |format: &&Format| extension.as_deref().is_some_and(|end| format.extensions.contains(&end));
    if let Some(format) = FORMATS.iter().find(ends) {
        return Ok(format);
    }
    let mut beginning = Vec::new();
    let opened =
        File::open(file).map_err(|cause| error(format!("{cause}; and it is no description: {}", inline::FORMS)))?;
    opened.take(BEGINNING).read_to_end(&mut beginning).map_err(|cause| error(format!("cannot be read: {cause}")))?;
    FORMATS.iter().find(|format| (format.begins)(&beginning)).ok_or_else(|| {
        let known = FORMATS.iter().map(|format| format!("{} (.{})", format.name, format.extensions.join(", .")));
        let known: Vec<String> = known.collect();
        error(format!("neither its name nor its first bytes tell a format; known are {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAPH: &str = r#"{"format": "derate-graph", "version": 1,
        "tensors": [{"name": "x", "kind": "input", "shape": [1, 8], "data_type": "fp32"}],
        "ops": [{"name": "y", "op": "relu", "operands": ["x"]}]}"#;

    #[test]
    fn the_end_of_a_name_or_the_first_bytes_tell_the_format() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("written");
            path.display().to_string()
        };
        let options = Options::default();
        for name in ["graph.json", "graph.JSON", "graph", "graph.txt"] {
            let import = import(&put(name, GRAPH), &options).expect("a graph");
            assert_eq!(import.graph.names(), ["y"], "{name}");
        }
        // The name decides: what it promises must hold.
        let error = |name: &str, content: &str| import(&put(name, content), &options).expect_err("refused").to_string();
        assert!(error("a.tflite", GRAPH).contains("no TFLite file"));
        assert!(error("b.json", "TFL3").contains("is no JSON"));
        assert!(error("c.bin", "\u{18}\0\0\0TFL3").contains("damaged TFLite file"));
        assert!(error("d.bin", "hello").contains("known are"));
        assert!(error("e.tflite", "").contains("cannot be read") || error("e.tflite", "").contains("no TFLite file"));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for end in ["onnx", "pt2", "pt", "tflite", "json", "folder"] {
            let path = folder.path().join(format!("network.{end}"));
            std::fs::create_dir(&path).expect("made");
            let error = import(&path.display().to_string(), &Options::default()).expect_err("refused").to_string();
            assert!(error.contains("a file is wanted"), "{error}");
        }
    }

    #[test]
    fn a_description_needs_no_file() {
        let options = Options { data_type: DataType::Int8, ..Options::default() };
        assert_eq!(import("gemm:2x3x4", &options).expect("valid").graph.names(), ["mat_mul"]);
        let error = import("no/such/file", &options).expect_err("missing").to_string();
        assert!(error.starts_with("no/such/file: ") && error.contains("gemm:"), "{error}");
        assert!(import("no/such/file.json", &options).expect_err("missing").to_string().contains("cannot be opened"));
    }
}
