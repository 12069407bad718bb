//! Tokio runtimes for commands and servers, and the signals that stop them.

use std::io::{self, IsTerminal as _};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;

/// Runs a future on a runtime for one short command.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(future))
}

/// Builds the runtime of a server.
pub(super) fn multi_threaded() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))
}

/// Signals that end a process by default and that other servers use, for example to read their
/// settings again.
const IGNORED: [(rustix::process::Signal, &str); 3] = [
    (rustix::process::Signal::HUP, "SIGHUP"),
    (rustix::process::Signal::USR1, "SIGUSR1"),
    (rustix::process::Signal::USR2, "SIGUSR2"),
];

/// Returns a future that resolves at the first SIGTERM or SIGINT. From now on neither signal ends
/// the process at once, and SIGHUP, SIGUSR1 and SIGUSR2 only add a line to the log. The SIGHUP of a
/// closed terminal resolves it too.
pub(super) fn signals() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot install signal handlers: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let has_terminal = io::stdin().is_terminal() && is_terminal_open();
    let mut ignored = Vec::new();
    for (kind, name) in IGNORED {
        ignored.push((signal(SignalKind::from_raw(kind.as_raw())).map_err(failed)?, name));
    }
    Ok(async move {
        let ignored = ignored.iter_mut().map(|(signal, name)| ignore(signal, name, has_terminal));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = futures_util::future::select_all(ignored.map(Box::pin)) => {}
        }
    })
}

/// Returns true if the process has a controlling terminal.
fn is_terminal_open() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Logs each of these signals, and continues. Returns if the terminal of the process was closed.
async fn ignore(signal: &mut Signal, name: &str, has_terminal: bool) {
    while signal.recv().await.is_some() {
        if has_terminal && !is_terminal_open() {
            return;
        }
        tracing::warn!("{name} is ignored; restart the server to apply changed settings");
    }
}
