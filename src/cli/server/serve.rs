//! `strongroom serve`: runs the server until it is stopped.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::cli::bootstrap;
use crate::cli::bootstrap::StartError;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::runtime;
use crate::clock::Clock;
use crate::config::{ClientSecrets, Config, Environment};
use crate::http::{App, ListenError, Listener, Settings};
use crate::logging::{self, Log};
use crate::random::Random;
use crate::vault::{AuditContext, OpenMode, Vault, VaultError};

/// Pause after a panic of a background task.
const AFTER_A_PANIC: Duration = Duration::from_secs(60);

/// Reason why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Setting up the vault or the broker failed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address cannot be bound, or the certificate cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Signal handlers cannot be installed.
    #[error("cannot install signal handlers: {0}")]
    Signals(io::Error),
    /// A write to the vault failed with an unknown outcome. The next start reads the true state.
    #[error("{0}; restart the server: every acknowledged write is on disk")]
    Fatal(VaultError),
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Start(error) => error.into(),
            ServeError::Listen(error) => error.into(),
            ServeError::Signals(_) | ServeError::Fatal(_) => Self::new(error.to_string()),
        }
    }
}

/// Run the server
#[derive(Debug, Args)]
pub(in crate::cli) struct Serve {
    /// Put this restored vault into service: background refresh, revocation queue and scheduled
    /// backups start again
    #[arg(long)]
    promote: bool,
}

impl Serve {
    pub(in crate::cli) fn run(self, context: &Context) -> Result<(), Failure> {
        let _log = begin_log();
        let (config, _) = context.settings(ClientSecrets::Require)?;
        for warning in &config.warnings {
            tracing::warn!(place = %warning.location, key = warning.key, "{}", warning.message);
        }
        Ok(runtime::multi_threaded()?.block_on(run(config, self.promote))?)
    }
}

/// Starts logging to standard error, filtered by `RUST_LOG`, while the returned value lives.
pub(in crate::cli) fn begin_log() -> Option<Log> {
    // It fails if logging was started before, or if no thread can be started.
    logging::init(Environment::of_process().get("RUST_LOG").as_deref()).ok()
}

/// Serves until SIGTERM or SIGINT; requests under way are completed. `promote` puts a restored vault
/// into service.
pub(crate) async fn run(config: Config, promote: bool) -> Result<(), ServeError> {
    let clock = Clock::system();
    let config = Arc::new(config);
    let vault = bootstrap::open_vault(&config, OpenMode::Server, &clock)?;
    if promote && vault.standby().promote(&AuditContext::command_line()).await.map_err(StartError::from)? {
        tracing::info!("this vault was restored from a backup and is now in service");
    }
    tell_of_restore(&vault)?;
    let broker = bootstrap::server_broker(Arc::clone(&config), vault, clock.clone()).await?;
    let listener = Listener::open(&config.server).await?;
    let signals = runtime::signals().map_err(ServeError::Signals)?;
    let place = listener.address().map_or_else(|| config.server.listen.to_string(), |address| address.to_string());
    tracing::info!(listen = place, vault = %config.vault.path.display(), "ready");
    until_stopped(broker, listener, clock, signals).await
}

/// Logs at each start that a restored vault is not in service yet.
fn tell_of_restore(vault: &Vault) -> Result<(), ServeError> {
    if let Some(restored) = vault.standby().mark().map_err(StartError::from)? {
        tracing::warn!(
            restored_at = %restored.at,
            backup_at = %restored.backup_at,
            "this vault was restored from a backup and is not in service: it refreshes, revokes and backs up nothing on its own until `strongroom vault promote`"
        );
    }
    Ok(())
}

/// Serves on `listener` and runs the background tasks, until a signal comes or the vault fails.
pub(in crate::cli) async fn until_stopped(
    broker: Broker,
    listener: Listener,
    clock: Clock,
    signals: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let app = App::new(broker.clone(), Settings::from(&broker.config().server), clock, Random);
    let house = going_on("housekeeping", &broker, Broker::run_housekeeping);
    let ahead = going_on("background refresh", &broker, Broker::run_background_refresh);
    let backups = going_on("scheduled backup", &broker, Broker::run_scheduled_backups);
    let verification = going_on("scheduled verification", &broker, Broker::run_scheduled_verification);
    let mut fatal = None;
    let stop = async {
        tokio::select! {
            () = signals => tracing::info!("stopping; requests under way are completed first"),
            error = broker.vault().fatal() => fatal = Some(error),
        }
    };
    crate::http::serve(vec![listener], app, stop).await;
    house.abort();
    ahead.abort();
    backups.abort();
    verification.abort();
    match fatal {
        Some(error) => Err(ServeError::Fatal(error)),
        None => Ok(()),
    }
}

/// Spawns a background task that runs until it is aborted.
fn going_on<F>(what: &'static str, broker: &Broker, work: fn(Broker) -> F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let broker = broker.clone();
    tokio::spawn(begun_again(what, AFTER_A_PANIC, move || work(broker.clone())))
}

/// Restarts a background task that panicked: the server must go on in spite of our bug.
async fn begun_again<F: Future<Output = ()>>(what: &str, pause: Duration, begin: impl Fn() -> F) {
    while AssertUnwindSafe(async { begin().await }).catch_unwind().await.is_err() {
        tracing::error!("{what} panicked and restarts in {} s", pause.as_secs());
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn background_task_restarts_after_a_panic() {
        let begun = Cell::new(0);
        let work = || async {
            begun.set(begun.get() + 1);
            assert!(begun.get() > 2, "a fault of ours");
        };
        begun_again("the test", Duration::ZERO, work).await;
        assert_eq!(begun.get(), 3);
    }
}
