//! The program `strongroom`: reads the command line, runs the command, turns a failure into an exit code.

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
