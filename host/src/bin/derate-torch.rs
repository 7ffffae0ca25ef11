//! `derate-torch`: the program with libtorch, which `derate` starts for the verbs that measure.

use std::process::ExitCode;

fn main() -> ExitCode {
    derate::command::main()
}
