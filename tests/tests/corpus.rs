//! The corpus of the fuzz targets, replayed: no input makes an importer panic, break a law of graphs, or take long; hostile ones
//! are errors, in little time and memory. Large hostile files are made here.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use derate::process_memory;

#[allow(unreachable_pub, reason = "public for the fuzz targets, which share the file")]
#[path = "../../fuzz/src/check.rs"]
mod check;

use check::{TARGETS, Verdict};

/// No input of this size takes a second of the processor; a debug build on a busy machine gets five.
const MOST_TIME: Duration = Duration::from_secs(5);

/// The same for files of many megabytes: little in a build that is optimised, much in one that is not.
const MOST_TIME_LARGE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });

/// Most memory by which a process grows while it reads a hostile file, in bytes.
const MOST_MEMORY: u64 = 500_000_000;

/// Environment variable with the file that this process reads as a child of the test: `TARGET:PATH`.
const FILE: &str = "DERATE_CORPUS_FILE";

/// Begins the line in which a child tells what it found.
const RESULT: &str = "corpus result: ";

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// Inputs of a target, in order.
fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = corpus().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Time that this thread has spent on a processor: what other processes take does not count. Linux tells it in nanoseconds
/// (kernel documentation, sched-stats); elsewhere it is 0, and no time is checked.
fn on_processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn is_hostile(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("hostile"))
}

/// Replays the corpus of one target.
fn replay(target: &str) {
    let paths = inputs(target);
    assert!(paths.len() >= 5, "{target}: only {} inputs", paths.len());
    let mut read = 0;
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Said before, so that it stands last where the process ends.
        eprint!("{target}/{name}: ");
        let bytes = fs::read(path).expect("a file");
        let started = on_processor();
        let verdict = check::check(target, &bytes);
        let taken = on_processor().saturating_sub(started);
        match &verdict {
            Verdict::Refused(error) => eprintln!("{:.3} s, refused: {error}", taken.as_secs_f64()),
            Verdict::Read { ops, unsupported } => {
                read += usize::from(*ops > 0);
                eprintln!("{:.3} s, {ops} ops, {unsupported} unsupported", taken.as_secs_f64());
            }
        }
        assert!(taken < MOST_TIME, "{}: {taken:?}", path.display());
        if !is_hostile(path) && !name.starts_with("found") {
            assert!(matches!(verdict, Verdict::Read { .. }), "{}: {verdict:?}", path.display());
        }
    }
    assert!(read > 0, "{target}: no input is read, so that nothing is checked");
}

#[test]
fn onnx() {
    replay("onnx");
}

#[test]
fn pt2() {
    replay("pt2");
}

#[test]
fn torchscript() {
    replay("torchscript");
}

#[test]
fn tflite() {
    replay("tflite");
}

#[test]
fn json() {
    replay("json");
}

#[test]
fn node_list() {
    replay("node_list");
}

#[test]
fn inline() {
    replay("inline");
}

#[test]
fn every_folder_of_the_corpus_is_replayed() {
    let entries = fs::read_dir(corpus()).expect("the corpus");
    let mut folders: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    folders.sort();
    let mut targets = TARGETS.map(|(target, _)| target);
    targets.sort_unstable();
    assert_eq!(folders, targets);
}

/// Hostile inputs that must be errors: what is cut, cyclic, of wrong types or too large. Others may be read in part, with what
/// cannot be counted in the list of unsupported nodes.
const MUST_FAIL: [(&str, &[&str]); 7] = [
    (
        "onnx",
        &["cut_half", "cut_one", "empty", "length", "cycle", "itself", "dims", "rank", "nesting", "escape", "absolute"],
    ),
    ("pt2", &["cut", "empty", "types", "nesting", "order", "cycle", "sizes", "no_model"]),
    (
        "torchscript",
        &["cut", "empty", "indent", "nesting", "loop", "recursion", "pickle_length", "pickle_stack", "pickle_memo"],
    ),
    ("tflite", &["cut_half", "header", "root", "empty", "identifier", "cycle", "indices", "dims", "negative"]),
    (
        "json",
        &["cut", "empty", "types", "version", "nesting", "objects", "itself", "forward", "extents", "rank", "growth"],
    ),
    ("node_list", &["cut", "cycle", "types", "nodes", "extents", "large"]),
    ("inline", &["empty", "zero", "large", "overflow", "unknown", "letters"]),
];

#[test]
fn hostile_files_are_errors() {
    for (target, names) in MUST_FAIL {
        for name in names {
            let prefix = format!("hostile_{name}.");
            let mut paths = inputs(target);
            paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)));
            let [path] = paths.as_slice() else { panic!("{target}: {prefix}*: {paths:?}") };
            let verdict = check::check(target, &fs::read(path).expect("a file"));
            assert!(matches!(verdict, Verdict::Refused(_)), "{}: {verdict:?}", path.display());
        }
    }
}

/// The child of [`large_hostile_files_take_little_memory`]; a test of its own, so that the test binary can be started for it.
#[test]
fn child() {
    let Ok(file) = std::env::var(FILE) else { return };
    let (target, path) = file.split_once(':').expect("TARGET:PATH");
    let bytes = fs::read(path).expect("the parent wrote it");
    process_memory::forget_peak();
    let before = process_memory::resident();
    let started = on_processor();
    let verdict = check::check(target, &bytes);
    let taken = on_processor().saturating_sub(started).as_millis();
    let grown = process_memory::peak().saturating_sub(before);
    let (word, text) = match verdict {
        Verdict::Refused(error) => ("refused", error),
        Verdict::Read { ops, .. } => ("read", format!("{ops} ops")),
    };
    let text: String = text.chars().take(300).collect();
    println!("\n{RESULT}{word} {taken} {grown} {text:?}");
}

#[test]
fn large_hostile_files_take_little_memory() {
    let folder = std::env::temp_dir().join(format!("derate-hostile-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let mut failed = String::new();
    for (name, target, bytes) in large() {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Err(problem) = read_in_child(target, &path) {
            // All are tried, so that one run tells everything.
            writeln!(failed, "{name}: {problem}").expect("a text");
        }
        // One at a time: a folder in memory may be small.
        fs::remove_file(&path).ok();
    }
    fs::remove_dir_all(&folder).ok();
    assert!(failed.is_empty(), "{failed}");
}

/// Reads a file in a process of its own: an error, below the limits of time and memory.
fn read_in_child(target: &str, path: &Path) -> Result<(), String> {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["child", "--exact", "--nocapture"]).env(FILE, format!("{target}:{}", path.display()));
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let result = stdout.lines().find_map(|line| line.strip_prefix(RESULT)).ok_or_else(|| {
        format!("the process ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
    })?;
    eprintln!("{target}/{}: {result}", path.file_name().unwrap_or_default().to_string_lossy());
    let mut words = result.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (verdict, taken, grown) = (word(), word().parse().unwrap_or(u64::MAX), word().parse().unwrap_or(u64::MAX));
    let fits = verdict == "refused" && Duration::from_millis(taken) < MOST_TIME_LARGE && grown < MOST_MEMORY;
    if fits { Ok(()) } else { Err(format!("verdict, ms, bytes: {result}")) }
}

/// Files that are small, or compress well, and ask for much.
fn large() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let json = |begin: &str, item: &str, bytes: usize, end: &str| {
        let items = vec![item; bytes / (item.len() + 1)];
        [begin, &items.join(","), end].concat().into_bytes()
    };
    let graph = r#"{"format":"derate-graph","version":1,"tensors":["#;
    let nodes = r#"{"graph_module":{"signature":{"input_specs":[]},"graph":{"outputs":[],"tensor_values":{},"inputs":[],"nodes":["#;
    // 63 MiB: just below what the readers take as text.
    let text = 63 << 20;
    let program = "m/models/model.json";
    vec![
        ("numbers.json", "json", json(graph, "0", 8_000_000, "]}")),
        ("lists.json", "json", json(graph, "[]", 8_000_000, "]}")),
        ("objects.json", "json", json(graph, r#"{"":0}"#, 8_000_000, "]}")),
        ("spaces.json", "json", vec![b' '; 200 << 20]),
        ("nodes.json", "node_list", json(r#"{"nodes":["#, r#"{"":0}"#, 8_000_000, "]}")),
        ("nodes.onnx", "onnx", model(&[0x0a, 0x00].repeat(10_000_000))),
        ("values.onnx", "onnx", model(&[0x6a, 0x00].repeat(10_000_000))),
        ("names.onnx", "onnx", model(&message(1, &[0x0a, 0x00].repeat(10_000_000)))),
        ("tail.onnx", "onnx", model(&message(2, &vec![b'a'; 100_000_000]))),
        ("zeros.onnx", "onnx", vec![0; 100_000_000]),
        ("zeros.tflite", "tflite", [&[8, 0, 0, 0], &b"TFL3"[..], &vec![0; 100_000_000]].concat()),
        ("bomb.pt2", "pt2", deflated(program, |writer| zeros(writer, 1 << 30))),
        ("bomb.pt", "torchscript", deflated("a/data.pkl", |writer| zeros(writer, 1 << 30))),
        ("inputs.pt2", "pt2", {
            let node = r#"{"target":"","inputs":[],"outputs":[]}"#;
            let text = json(nodes, node, text, "]}}}");
            deflated(program, |writer| writer.write_all(&text))
        }),
        ("unknown.pt2", "pt2", {
            let text = json(r#"{"graph_module":{"unknown":["#, r#"{"":[]}"#, text, "]}}");
            deflated(program, |writer| writer.write_all(&text))
        }),
        ("opcodes.pt", "torchscript", {
            let text = [&b"\x80\x02"[..], &b"]".repeat(text)].concat();
            deflated("a/data.pkl", |writer| writer.write_all(&text))
        }),
    ]
}

/// A model with this graph, of opset 17.
fn model(graph: &[u8]) -> Vec<u8> {
    [message(7, graph), message(8, &[0x10, 17])].concat()
}

/// A field of a protobuf message that is bytes or a message.
fn message(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![(field << 3) | 2];
    let mut rest = content.len();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    [&bytes, content].concat()
}

/// A zip file with one compressed entry; beside it what makes a folder of `TorchScript`.
fn deflated(
    name: &str,
    content: impl FnOnce(&mut zip::ZipWriter<std::io::Cursor<Vec<u8>>>) -> std::io::Result<()>,
) -> Vec<u8> {
    let options = zip::write::SimpleFileOptions::default().compression_level(Some(1));
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("a/code/__torch__.py", options).expect("an entry");
    writer.start_file(name, options).expect("an entry");
    content(&mut writer).expect("memory");
    writer.finish().expect("memory").into_inner()
}

fn zeros(writer: &mut impl std::io::Write, bytes: usize) -> std::io::Result<()> {
    let block = vec![0; 1 << 20];
    for _ in 0..bytes / block.len() {
        writer.write_all(&block)?;
    }
    Ok(())
}
