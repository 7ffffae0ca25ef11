//! `derate`: parse, run, print the error, exit with its code.

use std::process::ExitCode;

use clap::Parser;
use derate::cli::Cli;
use derate::command::{self, Outcome};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match command::run(&cli) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {}", described(&error));
            Outcome::BadInput.into()
        }
    }
}

/// The error and its causes, each said once: many name their cause already.
fn described(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}
