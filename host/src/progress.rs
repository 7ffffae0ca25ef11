//! Progress of a measurement on standard error: a bar with the time left on a terminal, a plain line every ten seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::measure::Progress;

/// Time between two plain lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Shows how far a measurement is.
#[derive(Debug)]
pub struct Reporter {
    bar: Option<ProgressBar>,
    /// When a plain line was last printed, where there is no terminal.
    said: Option<Instant>,
    what: &'static str,
}

impl Reporter {
    /// A reporter that counts `what`, of which `done` of `total` are there.
    #[must_use]
    pub fn new(what: &'static str, done: usize, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total as u64).with_style(style);
            bar.set_position(done as u64);
            bar
        });
        Self { bar, said: None, what }
    }

    /// Shows a new state.
    pub fn show(&mut self, progress: &Progress) {
        let left = HumanDuration(Duration::from_secs(progress.seconds_left.max(0.0) as u64));
        let what = self.what;
        match &self.bar {
            Some(bar) => {
                bar.set_position(progress.done as u64);
                bar.set_message(format!("{what}, {left} left"));
            }
            None if self.said.is_none_or(|at| at.elapsed() > PAUSE) => {
                self.said = Some(Instant::now());
                // A closed standard error is no reason to stop measuring.
                writeln!(std::io::stderr(), "{}/{} {what}, {left} left", progress.done, progress.total).ok();
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
