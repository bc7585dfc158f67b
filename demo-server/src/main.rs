//! The `demo-server` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    demo_server::cli::run()
}
