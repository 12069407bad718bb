//! The program `strongroom`: parses the command line, runs the command, and maps errors to exit
//! codes.

use std::process::ExitCode;

use clap::Parser as _;
use strongroom::cli::{self, Cli};

fn main() -> ExitCode {
    cli::harden();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
