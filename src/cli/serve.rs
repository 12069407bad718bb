//! `strongroom serve`: the server, until it is asked to stop.

use std::io;
use std::sync::Arc;

use super::application::{self, StartError};
use crate::broker::Broker;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{App, ListenError, Listener, Settings};
use crate::random::Random;
use crate::vault::{Mode, VaultError};

/// Why the server did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A part of it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address is taken or not ours, or the certificate cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// A write to the vault failed with an unknown outcome; the next start reads what is true.
    #[error("{0}; start it again: what was acknowledged is on disk")]
    Fatal(VaultError),
}

/// Serves until SIGTERM or SIGINT; answers under way are finished.
pub async fn run(config: Config) -> Result<(), ServeError> {
    let clock = Clock::system();
    let config = Arc::new(config);
    let vault = application::open_vault(&config, Mode::Server, &clock)?;
    let broker = application::broker(Arc::clone(&config), vault, clock.clone())?;
    let listener = Listener::open(&config.server).await?;
    tracing::info!(listen = %config.server.listen, vault = %config.vault.path.display(), "ready");
    until_stopped(broker, listener, clock).await
}

/// Serves on `listener`, tidying up meanwhile, until a signal comes or the vault can go on no longer.
pub(super) async fn until_stopped(broker: Broker, listener: Listener, clock: Clock) -> Result<(), ServeError> {
    let signals = signals().map_err(ServeError::Signals)?;
    let app = App::new(broker.clone(), Settings::from(&broker.config().server), clock, Random);
    let house = tokio::spawn(broker.clone().keep_house());
    let mut fatal = None;
    let stop = async {
        tokio::select! {
            () = signals => tracing::info!("stopping: answers under way are finished first"),
            error = broker.vault().fatal() => fatal = Some(error),
        }
    };
    crate::http::serve(vec![listener], app, stop).await;
    house.abort();
    match fatal {
        Some(error) => Err(ServeError::Fatal(error)),
        None => Ok(()),
    }
}

/// Resolves at the first SIGTERM or SIGINT.
fn signals() -> io::Result<impl Future<Output = ()>> {
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
