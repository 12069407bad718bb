//! Strongroom with `synchronous=NORMAL`, which loses what it acknowledged: for tests/chaos/power_cut.rs, which has to find that out.
//!
//! It is an example of the crate, so that nothing installs or packages it, and the program itself is not compiled with the
//! feature that this needs (src/main.rs).
#![allow(clippy::print_stderr, reason = "whoever starts this has to see what it is")]

use std::process::ExitCode;

use clap::Parser as _;
use strongroom::cli::{self, Cli};

fn main() -> ExitCode {
    eprintln!(
        "THIS IS NO STRONGROOM TO USE: it syncs as synchronous=NORMAL does, and a power cut takes what it acknowledged"
    );
    cli::harden();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
