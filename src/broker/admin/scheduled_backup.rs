//! Scheduled backups: writes a backup when the newest is older than `backup.every`, then removes
//! the oldest beyond `backup.keep`.
//!
//! The folder itself is the state: a backup's name contains the vault id and the time, so a restart
//! changes nothing. Only backups of this vault are ever removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::config::BackupSettings;
use crate::vault::{
    AuditContext, BackupError, BackupStop, Existing, MadeBackup, RestoreMark, Vault, VaultError, head_of,
    remove_abandoned,
};

/// Time between two checks.
const EVERY: Duration = Duration::from_secs(30);

/// Wait after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// End of a backup's name.
const SUFFIX: &str = ".backup";

/// State of the scheduled backups, read from the folder.
#[derive(Clone, Debug, Serialize)]
pub struct BackupStatus {
    /// Folder of the backups.
    pub directory: PathBuf,
    /// Time of the newest backup of this vault; `None` if there is none.
    pub newest: Option<UnixTime>,
    /// Number of backups in the folder.
    pub kept: usize,
    /// Time at which the next backup is due.
    pub due_at: UnixTime,
    /// True if the next backup is due.
    pub due: bool,
}

/// Returns the file name of a backup made at `at`.
pub fn backup_name(vault: &Vault, at: UnixTime) -> String {
    let time = at.to_string().replace(['-', ':'], "");
    format!("{}{time}{SUFFIX}", vault.backups().file_prefix())
}

/// Returns the state of the scheduled backups; `None` if none are configured.
pub fn backup_status(settings: &BackupSettings, vault: &Vault, now: UnixTime) -> Option<BackupStatus> {
    let directory = settings.directory.clone()?;
    let found = find(&directory, &vault.backups().file_prefix());
    // A wrong clock can date a backup in the future. It must not delay the next one.
    let newest = found.iter().map(|(at, _)| *at).filter(|at| *at <= now).max();
    let due_at = newest.map_or(now, |newest| newest.plus(settings.every));
    Some(BackupStatus { directory, newest, kept: found.len(), due_at, due: due_at <= now })
}

impl Broker {
    /// Runs until the task is aborted, if `backup.directory` is set.
    pub async fn run_scheduled_backups(self) {
        if self.0.config.backup.directory.is_none() {
            return;
        }
        loop {
            let wait = match self.back_up_if_due().await {
                Ok(None) => EVERY,
                Ok(Some(made)) => {
                    tracing::info!(file = %made.path.display(), bytes = made.bytes, epoch = made.contents.epoch, "backup written");
                    EVERY
                }
                Err(error) => {
                    tracing::error!(%error, "scheduled backup failed; the next attempt is in five minutes");
                    AGAIN_AFTER
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Writes a backup if one is due, then removes the oldest. A restored vault that was not
    /// promoted writes none: the folder may belong to the original vault.
    pub async fn back_up_if_due(&self) -> Result<Option<MadeBackup>, BackupError> {
        let (settings, vault) = (self.0.config.backup.clone(), self.0.vault.clone());
        let now = self.0.clock.now();
        let stop = StopOnDrop(BackupStop::default());
        let (asked, writer) = (stop.0.clone(), vault.clone());
        let work = move || -> Result<Option<MadeBackup>, BackupError> {
            let Some(status) = backup_status(&settings, &writer, now).filter(|status| status.due) else {
                return Ok(None);
            };
            if writer.standby().mark()?.is_some() {
                return Ok(None);
            }
            remove_abandoned(&status.directory, &writer.backups().file_prefix());
            let target = status.directory.join(backup_name(&writer, now));
            let made = writer.backups().write(&target, Existing::Keep, &asked)?;
            thin_out(&status.directory, &writer.backups().file_prefix(), settings.keep, (&made.path, now));
            Ok(Some(made))
        };
        let made = tokio::task::spawn_blocking(work).await.map_err(|_| BackupError::GivenUp)??;
        if made.is_some()
            && let Err(error) = vault.backups().record(&AuditContext::system()).await
        {
            tracing::warn!(%error, "cannot record the backup in the audit log");
        }
        Ok(made)
    }

    /// Returns the restore that this vault comes from, if it was not promoted since. Such a vault
    /// sends no request unless a caller asks for it.
    pub(in crate::broker) fn unpromoted_restore(&self) -> Result<Option<RestoreMark>, VaultError> {
        self.0.vault.standby().mark()
    }
}

/// Stops a running backup when the server stops.
struct StopOnDrop(BackupStop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Removes the oldest beyond `keep`, but never the one just made. Backups dated in the future go
/// first: a wrong clock dated them, and they would displace correct ones.
fn thin_out(directory: &Path, prefix: &str, keep: usize, (made, now): (&Path, UnixTime)) {
    let mut others: Vec<_> = find(directory, prefix).into_iter().filter(|(_, path)| path != made).collect();
    others.sort_by(|one, other| (one.0 <= now, one).cmp(&(other.0 <= now, other)));
    let too_many = (others.len() + 1).saturating_sub(keep);
    for (_, path) in others.into_iter().take(too_many) {
        match std::fs::remove_file(&path) {
            Ok(()) => tracing::info!(file = %path.display(), "removed an old backup"),
            Err(error) => tracing::warn!(file = %path.display(), %error, "cannot remove an old backup"),
        }
    }
}

/// Returns the backups of this vault in a folder, with their times. Files with other names or other
/// contents are ignored.
fn find(directory: &Path, prefix: &str) -> Vec<(UnixTime, PathBuf)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let backup = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let time: jiff::Timestamp = name.strip_prefix(prefix)?.strip_suffix(SUFFIX)?.parse().ok()?;
        let path = entry.path();
        let is_one = entry.file_type().is_ok_and(|kind| kind.is_file()) && is_of(&path, prefix);
        is_one.then_some((UnixTime(time.as_second()), path))
    };
    entries.filter_map(backup).collect()
}

fn is_of(path: &Path, prefix: &str) -> bool {
    head_of(path).is_some_and(|head| prefix.contains(&head.vault_id()))
}
