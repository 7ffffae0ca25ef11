//! What must hold for every input of an importer: it is refused with an error, or it gives a graph that can be counted, fused and
//! written as JSON and read back. Used by the fuzz targets, and by the test that replays their corpus.
//!
//! An input of the targets that read archives is a zip file where it begins as one. Any other is a list of entries that a zip is
//! made of: a line `== NAME`, then what the entry holds. A changed byte of a zip ends in a wrong checksum; a changed byte of such
//! a list reaches the reader.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use derate::graph_buf::GraphBuf;
use derate::import::{self, Import, ImportError, Options};
use derate_core::fusion::{Link, POLICIES, Readers, fuse};
use derate_core::graph::Tables;

/// The targets: the importers by name, each with the end that the names of its files have.
pub const TARGETS: [(&str, &str); 7] = [
    ("onnx", "onnx"),
    ("pt2", "pt2"),
    ("torchscript", "pt"),
    ("tflite", "tflite"),
    ("json", "json"),
    ("node_list", "json"),
    ("inline", "txt"),
];

/// Longest text that the JSON importer reads, in bytes: a longer one of ours is not read back.
const MOST_JSON: usize = 8 << 20;

/// What an importer made of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is an error, which says this.
    Refused(String),
    /// It is a graph.
    Read {
        /// Ops of the graph.
        ops: usize,
        /// Nodes that could not be counted.
        unsupported: usize,
    },
}

/// Values for what a file leaves open: the same for all, so that an input always gives the same.
fn options(target: &str) -> Options {
    // Files of TorchScript do not say the shapes of their inputs.
    let inputs = if target == "torchscript" { vec![vec![1, 3, 8, 8]] } else { Vec::new() };
    Options { batch: Some(1), inputs, ..Options::default() }
}

/// Gives the bytes to an importer and checks what comes out.
///
/// # Panics
/// Where the importer panics, or the graph breaks a law; that is the finding. For a target that does not exist, and where the
/// temporary folder cannot be written.
#[must_use]
pub fn check(target: &str, bytes: &[u8]) -> Verdict {
    match read(target, bytes) {
        Ok(read) => {
            laws(&read.graph);
            Verdict::Read { ops: read.graph.view().nodes().len(), unsupported: read.unsupported.len() }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!error.message.trim().is_empty(), "an error without a message");
            // A panic in a thread of the reader. Messages may quote the input, so the whole of it counts.
            assert_ne!(error.message, "the reader stopped", "{text}");
            Verdict::Refused(text)
        }
    }
}

fn read(target: &str, bytes: &[u8]) -> Result<Import, ImportError> {
    let reader = match target {
        "onnx" => import::onnx::read,
        "pt2" => import::pt2::read,
        "torchscript" => import::torchscript::read,
        "tflite" => import::tflite::read,
        "json" | "node_list" => import::json::read,
        "inline" => {
            let text = String::from_utf8_lossy(bytes);
            let none = || ImportError { file: text.to_string(), at: None, message: "no description".to_owned() };
            return import::inline::read(&text, &options(target)).unwrap_or_else(|| Err(none()));
        }
        other => panic!("no target is called {other}"),
    };
    let packed;
    let bytes = if matches!(target, "pt2" | "torchscript") && !bytes.starts_with(b"PK") {
        packed = zip(&entries(bytes));
        packed.as_slice()
    } else {
        bytes
    };
    let (_, end) = TARGETS.iter().find(|(name, _)| *name == target).expect("the targets are those above");
    let file = InFolder::new(&format!("input.{end}"), bytes);
    reader(&file.path, &options(target))
}

/// The entries of a list: name and content; what stands before the first name is left out.
fn entries(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    const MARK: &[u8] = b"== ";
    let begins = |at: usize| bytes[at..].starts_with(MARK) && (at == 0 || bytes[at - 1] == b'\n');
    let starts: Vec<usize> = (0..bytes.len()).filter(|&at| begins(at)).collect();
    let ends = starts.iter().skip(1).map(|&next| next - 1).chain([bytes.len()]);
    let entry = |(&start, end): (&usize, usize)| {
        let entry = &bytes[(start + MARK.len()).min(end)..end];
        let line = entry.iter().position(|&byte| byte == b'\n').unwrap_or(entry.len());
        (&entry[..line], entry.get(line + 1..).unwrap_or_default())
    };
    starts.iter().zip(ends).map(entry).collect()
}

/// A zip file of these entries, stored as they are (PKWARE APPNOTE, 4.3).
fn zip(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let name = &name[..name.len().min(1000)];
        let offset = length(&file);
        let mut common = Vec::new();
        // Version, flags, method, time and date.
        for number in [20_u16, 0, 0, 0, 0x21] {
            common.extend(number.to_le_bytes());
        }
        for number in [checksum(content), length(content), length(content)] {
            common.extend(number.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).expect("cut above").to_le_bytes());
        common.extend([0, 0]);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name);
        file.extend(*content);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        // Comment, disk, attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name);
    }
    let start = length(&file);
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend([length(&directory).to_le_bytes(), start.to_le_bytes()].concat());
    file.extend([0, 0]);
    file
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("an input of a fuzzer is small")
}

/// CRC-32 of IEEE 802.3, as a zip file holds it.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _: u32| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

/// Laws of every graph, whoever built it.
fn laws(graph: &GraphBuf) {
    let view = graph.view();
    assert_eq!(view.nodes().len(), graph.names().len(), "each op has a name");
    let total = view.total_work();
    let footprint = graph.footprint();
    if let (Ok(total), Ok(footprint)) = (&total, &footprint) {
        assert_eq!(total.bytes_stored, footprint.weights, "what is stored is counted once");
    }
    for policy in POLICIES {
        let mut readers = vec![Readers::NOBODY; view.tensors().len()];
        let mut links = vec![Link::FREE; view.nodes().len()];
        let fused = fuse(view, policy, &mut readers, &mut links).expect("scratch for every tensor and node");
        let mut in_kernels = 0;
        let mut macs = Some(0_u64);
        for kernel in fused.kernels() {
            in_kernels += kernel.nodes().count();
            macs = macs.zip(kernel.work().ok()).and_then(|(sum, work)| sum.checked_add(work.macs.0));
        }
        assert_eq!(in_kernels, view.nodes().len(), "each op is in one kernel");
        if let (Ok(total), Some(macs)) = (&total, macs) {
            assert_eq!(total.macs.0, macs, "fusion adds no MAC and loses none");
        }
    }
    if !view.nodes().is_empty() {
        round_trip(graph);
    }
}

/// What is written as JSON is read back as the same graph, and written again as the same text.
fn round_trip(graph: &GraphBuf) {
    let text = import::json::write(graph);
    if text.len() > MOST_JSON {
        return;
    }
    let back = match import::json::read_text(&text, "written.json", "written", &Options::default()) {
        Ok(back) => back,
        Err(error) => panic!("what was written cannot be read: {error}\n{}", beginning(&text)),
    };
    let (before, after) = (graph.view(), back.graph.view());
    assert_eq!(before.tensors(), after.tensors(), "tensors after JSON\n{}", beginning(&text));
    assert_eq!(before.nodes(), after.nodes(), "ops after JSON\n{}", beginning(&text));
    for (one, other) in before.nodes().iter().zip(after.nodes()) {
        assert_eq!(before.operands(one).ids(), after.operands(other).ids(), "operands after JSON");
    }
    assert_eq!(before.total_work(), after.total_work(), "work after JSON");
    assert_eq!(text, import::json::write(&back.graph), "text after JSON");
}

/// As much of a text as a message can hold.
fn beginning(text: &str) -> String {
    text.chars().take(4000).collect()
}

/// A file in a folder of its own, which goes with it.
struct InFolder {
    folder: PathBuf,
    path: PathBuf,
}

impl InFolder {
    fn new(name: &str, bytes: &[u8]) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // In memory where there is such a place with room: millions of files are written. In a container it may hold 64 MiB.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = |base: &Path| base.join(format!("derate-fuzz-{}-{number}", std::process::id()));
        let in_memory = Path::new("/dev/shm");
        if let Some(written) = in_memory.is_dir().then(|| Self::written(folder(in_memory), name, bytes).ok()).flatten()
        {
            return written;
        }
        let on_disk = folder(&std::env::temp_dir());
        Self::written(on_disk.clone(), name, bytes).unwrap_or_else(|error| panic!("{}: {error}", on_disk.display()))
    }

    /// Writes the file; a folder that was begun goes with the error.
    fn written(folder: PathBuf, name: &str, bytes: &[u8]) -> std::io::Result<Self> {
        let written = Self { path: folder.join(name), folder };
        fs::create_dir_all(&written.folder)?;
        fs::write(&written.path, bytes)?;
        Ok(written)
    }
}

impl Drop for InFolder {
    fn drop(&mut self) {
        // What stays is a file in a temporary folder.
        fs::remove_dir_all(&self.folder).ok();
    }
}
