//! `derate`: built without libtorch it starts at once, and leaves what measures to `derate-torch` beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    derate::command::main()
}
