//! Tokio runtimes for commands and servers, and the signals that end them.

use std::io;

use tokio::runtime::Runtime;

use super::failure::Failure;

/// A runtime for one short command.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))?;
    Ok(runtime.block_on(future))
}

/// A runtime for a server.
pub(super) fn multi_threaded() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))
}

/// Resolves at the first SIGTERM or SIGINT. From the moment this returns, neither ends the process by itself.
pub(super) fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
