//! The log: for people on a terminal, JSON lines elsewhere. What is in a line is chosen field by field where it is
//! written; nothing here ever sees a query, a body or a header.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// What is logged where `RUST_LOG` says nothing.
pub const DEFAULT_FILTER: &str = "info";

/// Begins to log to stderr: pretty where that is a terminal, JSON otherwise. `filter` is the text of `RUST_LOG`; a
/// directive in it that makes no sense is left out. Whatever it asks for, libraries that would write a request's bytes
/// stay at `info`. A panic becomes one line with its place and without its message, which might hold anything.
pub fn init(filter: Option<&str>) -> Result<(), TryInitError> {
    let filter = NOISY.iter().fold(EnvFilter::new(filter.unwrap_or(DEFAULT_FILTER)), |filter, library| {
        filter.add_directive(format!("{library}=info").parse().expect("a crate's name and a level make a directive"))
    });
    let registry = tracing_subscriber::registry().with(filter);
    if std::io::stderr().is_terminal() {
        registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init()?;
    } else {
        registry
            .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
            .try_init()?;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(place, "a bug: the program panicked; please report the place");
    }));
    Ok(())
}

/// Libraries that log headers, paths or bytes below `info`.
const NOISY: [&str; 6] = ["hyper", "hyper_util", "warp", "reqwest", "rustls", "h2"];
