//! What came of a check, and how many tests passed, failed or were skipped, read from the output of `cargo test`.
//!
//! A test that lacks its tool passes after printing a line `skipped: NAME: REASON`; here it counts as skipped.

use std::fmt;
use std::ops::AddAssign;

/// Number of checks that passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// What came of one check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// With what was wrong.
    Failed(String),
    /// With what is missing.
    Skipped(String),
    /// A test runner, which counts for itself.
    Counted(Counts),
}

impl Outcome {
    pub(crate) fn counts(&self) -> Counts {
        match self {
            Self::Passed => Counts { passed: 1, ..Counts::default() },
            Self::Failed(_) => Counts { failed: 1, ..Counts::default() },
            Self::Skipped(_) => Counts { skipped: 1, ..Counts::default() },
            Self::Counted(counts) => *counts,
        }
    }
}

/// Reads the output of `cargo test -- --show-output` line by line.
#[derive(Debug, Default)]
pub(crate) struct TestOutput {
    counts: Counts,
    part: Part,
    /// Tests of the binary being read that passed, but said that they were skipped.
    n_skipped: u64,
}

/// Where in a test binary's output the reader is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Elsewhere,
    /// After the heading `successes:` or `failures:`, outside the output of a test.
    List { passed: bool },
    /// In the output of a test, where a line of the runner's may be the test's own.
    Test { passed: bool, said_skipped: bool },
}

impl TestOutput {
    pub(crate) fn line(&mut self, line: &str) {
        match (self.part, line) {
            (_, "successes:") => self.part = Part::List { passed: true },
            (_, "failures:") => self.part = Part::List { passed: false },
            (Part::List { passed } | Part::Test { passed, .. }, line) if is_test_heading(line) => {
                self.part = Part::Test { passed, said_skipped: false };
            }
            (Part::Test { passed: true, said_skipped: false }, line) if line.starts_with("skipped: ") => {
                self.n_skipped += 1;
                self.part = Part::Test { passed: true, said_skipped: true };
            }
            (Part::Test { .. }, _) => {}
            (_, line) => {
                if let Some(result) = parse_result(line) {
                    // The runner counts a test that skips itself as passed.
                    let n_skipped = std::mem::take(&mut self.n_skipped).min(result.passed);
                    self.counts +=
                        Counts { passed: result.passed - n_skipped, skipped: result.skipped + n_skipped, ..result };
                    self.part = Part::Elsewhere;
                }
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }
}

/// `---- NAME stdout ----`.
fn is_test_heading(line: &str) -> bool {
    line.starts_with("---- ") && line.ends_with(" stdout ----")
}

/// Counts in a line `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn parse_result(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count =
        |word: &str| numbers.split("; ").find_map(|part| part.strip_suffix(word)?.trim_end().parse::<u64>().ok());
    Some(Counts { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Counts {
        let mut reader = TestOutput::default();
        output.lines().for_each(|line| reader.line(line));
        reader.counts()
    }

    #[test]
    fn result_lines_are_summed() {
        // 3 + 10 passed, 0 + 2 failed, 1 + 0 ignored.
        let output = "running 4 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            running 12 tests\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.20s\n";
        assert_eq!(read(output), Counts { passed: 13, failed: 2, skipped: 1 });
    }

    #[test]
    fn test_that_says_skipped_is_not_passed() {
        // Of 3 that passed, `onnx` skipped itself (in two lines: one test all the same): 2 passed, 1 skipped.
        let output = "test onnx ... ok\n\n\
            successes:\n\n\
            ---- laws stdout ----\nratio 0.5\n\n\
            ---- onnx stdout ----\nskipped: onnx: python3 has no torch\nskipped: onnx: again\n\n\
            successes:\n    laws\n    onnx\n    other\n\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            running 1 test\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(read(output), Counts { passed: 3, failed: 0, skipped: 1 });
    }

    #[test]
    fn failed_test_that_says_skipped_is_failed() {
        let output = "successes:\n\nsuccesses:\n    a\n\nfailures:\n\n\
            ---- b stdout ----\nskipped: b: half of it\nthread 'b' panicked\n\n\
            failures:\n    b\n\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(read(output), Counts { passed: 1, failed: 1, skipped: 0 });
    }

    #[test]
    fn result_line_printed_by_a_test_is_not_counted() {
        let output = "successes:\n\n---- a stdout ----\n\
            test result: ok. 50 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\n\
            successes:\n    a\n\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(read(output), Counts { passed: 1, failed: 0, skipped: 0 });
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(read("skipped: outside of any test\ntest result: odd\n"), Counts::default());
    }

    #[test]
    fn counts_are_printed_as_the_closing_line() {
        let mut counts = Outcome::Counted(Counts { passed: 7, failed: 0, skipped: 1 }).counts();
        counts += Outcome::Passed.counts();
        counts += Outcome::Failed(String::new()).counts();
        counts += Outcome::Skipped(String::new()).counts();
        assert_eq!(counts.to_string(), "8 passed, 1 failed, 2 skipped");
    }
}
