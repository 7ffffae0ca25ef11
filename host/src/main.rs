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
            eprintln!("error: {error:#}");
            Outcome::BadInput.into()
        }
    }
}
