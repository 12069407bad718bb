//! `strongroom serve`: runs the server until it is stopped.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use crate::broker::{Broker, Installation, OpenMode, VaultAdmin};
use crate::cli::context::{Context, open};
use crate::cli::failure::Failure;
use crate::cli::runtime;
use crate::clock::Clock;
use crate::config::{ClientSecrets, Environment};
use crate::http::{App, CallbackPage, Listener, Settings};
use crate::logging::{self, Log};
use crate::random::Random;

/// Pause after a panic of a background task.
const AFTER_A_PANIC: Duration = Duration::from_secs(60);

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
        let installation = context.installation(ClientSecrets::Require)?;
        for warning in &installation.config().warnings {
            tracing::warn!(place = %warning.location, key = warning.key, "{}", warning.message);
        }
        for exposure in installation.exposures().iter().filter(|one| !one.by_everyone) {
            tracing::warn!(fix = exposure.fix(), "{}", exposure.message());
        }
        runtime::multi_threaded()?.block_on(serve(installation, self.promote))
    }
}

/// Starts logging to standard error, filtered by `RUST_LOG`, while the returned value lives.
pub(in crate::cli) fn begin_log() -> Option<Log> {
    // It fails if logging was started before, or if no thread can be started.
    logging::init(Environment::of_process().get("RUST_LOG").as_deref()).ok()
}

/// Serves until SIGTERM or SIGINT; requests under way are completed. `promote` puts a restored vault
/// into service.
async fn serve(installation: Installation, promote: bool) -> Result<(), Failure> {
    let (admin, _) = open(&installation, OpenMode::Server)?;
    if promote && admin.promote().await? {
        tracing::info!("this vault was restored from a backup and is now in service");
    }
    tell_of_restore(&admin)?;
    let broker = installation.server_broker(&admin).await?;
    let config = installation.config();
    let listener = Listener::open(&config.server.listen, config.server.tls.as_ref()).await?;
    let mut listeners = Vec::new();
    if let Some(listen) = &config.proxy.listen {
        let forward = Listener::open(listen, config.proxy.tls.as_ref()).await?.for_forward_proxy();
        let place = forward.address().map_or_else(|| listen.to_string(), |address| address.to_string());
        tracing::info!(listen = place, "the forward proxy is on");
        listeners.push(forward);
    }
    let signals = runtime::signals()?;
    let place = listener.address().map_or_else(|| config.server.listen.to_string(), |address| address.to_string());
    tracing::info!(listen = place, vault = %config.vault.path.display(), "ready");
    listeners.push(listener);
    until_stopped(broker, listeners, None, signals).await
}

/// Logs at each start that a restored vault is not in service yet.
fn tell_of_restore(admin: &VaultAdmin) -> Result<(), Failure> {
    if let Some(restored) = admin.unpromoted_restore()? {
        tracing::warn!(
            restored_at = %restored.at,
            backup_at = %restored.backup_at,
            "this vault was restored from a backup and is not in service: it refreshes, revokes and backs up nothing on its own until `strongroom vault promote`"
        );
    }
    Ok(())
}

/// Serves on `listeners` and runs the background tasks, until a signal comes or the vault fails.
/// `callback_page` is there if the server shows logins at their callback, as `dev` does.
pub(in crate::cli) async fn until_stopped(
    broker: Broker,
    listeners: Vec<Listener>,
    callback_page: Option<CallbackPage>,
    signals: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let settings = Settings { callback_page, ..Settings::from(broker.config()) };
    let app = App::new(broker.clone(), settings, Clock::system(), Random);
    let tasks = [
        spawn("housekeeping", &broker, Broker::run_housekeeping),
        spawn("background refresh", &broker, Broker::run_background_refresh),
        spawn("scheduled backup", &broker, Broker::run_scheduled_backups),
        spawn("scheduled verification", &broker, Broker::run_scheduled_verification),
    ];
    let mut fatal = None;
    let stop = async {
        tokio::select! {
            () = signals => tracing::info!("stopping; requests under way are completed first"),
            error = broker.fatal() => {
                tracing::error!(%error, "stopping");
                fatal = Some(error);
            }
        }
    };
    crate::http::serve(listeners, app, stop).await;
    tasks.iter().for_each(JoinHandle::abort);
    match fatal {
        // A write failed with an unknown outcome, or the vault's files were moved. The next start
        // reads the true state.
        Some(error) => Err(Failure::new(format!("{error}; restart the server: every acknowledged write is on disk"))),
        None => Ok(()),
    }
}

/// Spawns a background task that runs until it is aborted.
fn spawn<F>(what: &'static str, broker: &Broker, work: fn(Broker) -> F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let broker = broker.clone();
    tokio::spawn(restarted(what, AFTER_A_PANIC, move || work(broker.clone())))
}

/// Restarts a background task that panicked: the server must go on in spite of our bug.
async fn restarted<F: Future<Output = ()>>(what: &str, pause: Duration, begin: impl Fn() -> F) {
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
        restarted("the test", Duration::ZERO, work).await;
        assert_eq!(begun.get(), 3);
    }
}
