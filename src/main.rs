//! The program `strongroom`: reads the command line, runs the command, turns a failure into an exit code.

#[cfg(feature = "weakened-sync-for-proof")]
compile_error!("with this feature a power cut takes what was acknowledged: it is for the example that a test runs");

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
