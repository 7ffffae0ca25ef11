//! Sweeps that do not come to their end at once: killed, interrupted, or started twice at the same time.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::BRIEF;
use crate::common::{Folder, Ran};
use crate::table::Table;

/// 24 networks, smallest first: three blocks of eight.
const SPEC: &str = "input_dim = [32, 64, 128]\nhidden = [\n\
    { hidden_dims = [64], output_dim = 8 },\n{ hidden_dims = [128, 64], output_dim = 8 },\n]\nbatch_size = [1, 2, 4, 8]\n";

/// The plan by hand, in its order.
fn plan() -> Vec<String> {
    let mut networks = Vec::new();
    for input in [32, 64, 128] {
        for hidden in ["[64]", "[128, 64]"] {
            networks.extend([1, 2, 4, 8].map(|batch| format!("{input}-{hidden}-8@{batch}")));
        }
    }
    networks
}

fn line() -> String {
    format!("{BRIEF} --spec spec.toml")
}

/// Starts the sweep as a shell does: as the leader of a process group of its own.
fn start(folder: &Folder) -> Child {
    let arguments: Vec<String> = line().split(' ').map(str::to_owned).collect();
    let mut command = folder.command(&arguments);
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

/// Complete lines of the CSV; half a line and a file that is not there yet count as none.
fn complete_lines(folder: &Folder) -> String {
    let text = std::fs::read_to_string(folder.path("sweep.csv")).unwrap_or_default();
    text.rfind('\n').map_or(String::new(), |end| text[..=end].to_owned())
}

fn n_rows(folder: &Folder) -> usize {
    complete_lines(folder).lines().count().saturating_sub(1)
}

/// Waits until the sweep has this many rows, has ended, or the time is over.
fn wait(folder: &Folder, child: &mut Child, rows: usize, limit: Duration) {
    let start = Instant::now();
    while start.elapsed() < limit && n_rows(folder) < rows && child.try_wait().expect("its status").is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All rows of the plan, once each, in its order, each with time and memory.
#[track_caller]
fn is_complete(folder: &Folder) {
    let rows = Table::read(&folder.path("sweep.csv"));
    assert_eq!(rows.networks(), plan());
    for column in ["empirical_time_ms", "p10_ms", "empirical_memory_mb"] {
        assert!(rows.numbers(column).iter().all(|&value| value > 0.0), "{column}: {:?}", rows.column(column));
    }
    assert_eq!(folder.names(), ["spec.toml", "sweep.csv", "sweep.csv.journal", "two_core.toml"]);
}

/// The same moments each time: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

#[test]
fn a_sweep_killed_five_times_has_each_configuration_once() {
    let folder = Folder::new();
    folder.write("spec.toml", SPEC);
    let mut moments = Moments(24);
    let mut seen = String::new();
    for kill in 0..5 {
        let before = n_rows(&folder);
        let mut child = start(&folder);
        // Up to three seconds, or four more rows: five kills then leave something to do on the fastest machine.
        let limit = Duration::from_millis(moments.below(3_000));
        wait(&folder, &mut child, before + 1 + moments.below(4) as usize, limit);
        assert_eq!(child.try_wait().expect("its status"), None, "ended before kill {kill}");
        child.kill().expect("SIGKILL");
        child.wait().expect("its status");
        let complete = complete_lines(&folder);
        assert!(complete.starts_with(&seen), "a complete row was lost:\n{seen}\n{complete}");
        seen = complete;
        // A kill hardly ever meets the inside of a write, so half a line is added once.
        if kill == 2 && !seen.is_empty() {
            for name in ["sweep.csv", "sweep.csv.journal"] {
                let mut file = OpenOptions::new().append(true).open(folder.path(name)).expect("a file");
                file.write_all(b"mlp_1layer,32,\"[6").expect("half a line");
            }
        }
    }
    let before = n_rows(&folder);
    let ran = folder.derate(&line()).exits(0);
    assert!(
        before < 24 && ran.stdout.starts_with(&format!("sweep.csv: {} rows written", 24 - before)),
        "{}",
        ran.stdout
    );
    if before > 0 {
        assert!(ran.stderr.contains(&format!("resuming sweep.csv: {before} of 24 rows are there")), "{}", ran.stderr);
    }
    assert!(folder.read("sweep.csv").starts_with(&seen));
    is_complete(&folder);
}

#[test]
fn control_c_keeps_whole_rows_and_says_how_to_go_on() {
    let folder = Folder::new();
    folder.write("spec.toml", SPEC);
    let mut child = start(&folder);
    wait(&folder, &mut child, 1, Duration::from_secs(60));
    // The files are this sweep's alone until it ends.
    folder.derate(&line()).refused(&["in use by another process"]);

    // A terminal signals the whole group: the process that measures memory too.
    let group = i32::try_from(child.id()).expect("a process id");
    // SAFETY: kill(2) touches no memory; the group is that of a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(-group, libc::SIGINT) }, 0);
    let ran = Ran::of(child.wait_with_output().expect("its output")).exits(130);
    assert!(ran.stderr.contains("interrupted: the rows so far are kept; the same command resumes"), "{}", ran.stderr);
    let text = folder.read("sweep.csv");
    let kept = n_rows(&folder);
    assert!(text.ends_with('\n') && (1..24).contains(&kept), "{kept} rows");
    assert!(ran.stdout.starts_with(&format!("sweep.csv: {kept} rows written")), "{}", ran.stdout);

    let json = folder.derate(&format!("{} --format json", line())).exits(0).json();
    for (key, value) in [("configurations", 24), ("resumed", kept), ("rows", 24 - kept)] {
        assert_eq!(json[key], value, "{key}");
    }
    assert!(folder.read("sweep.csv").starts_with(&text));
    is_complete(&folder);
}
