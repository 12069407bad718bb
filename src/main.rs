//! The program `strongroom`: parses the command line, runs the command, and maps errors to exit
//! codes.

use std::process::ExitCode;

use strongroom::cli::{self, Cli};

fn main() -> ExitCode {
    cli::harden();
    match Cli::parse_or_exit().run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
