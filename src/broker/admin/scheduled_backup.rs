//! Backups by the clock: when the newest is older than `backup.every` another is written, and those that are too many are
//! removed after it.
//!
//! What there is stands in the folder: the name of a backup has the vault's id and its time, so a restart changes nothing.
//! Nothing is removed that is not a backup of this very vault.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::age;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::config::BackupSettings;
use crate::vault::{
    AuditContext, BackupError, BackupStop, Existing, MadeBackup, RestoreMark, Vault, VaultError, head_of,
    remove_abandoned,
};

/// How often it is looked whether one is due.
const EVERY: Duration = Duration::from_secs(30);

/// How long after a failure the next is tried.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// What the names end in.
const PLAIN: &str = ".backup";
const ENCRYPTED: &str = ".backup.age";

/// How `[backup]` stands with the files that are there.
#[derive(Clone, Debug)]
pub struct BackupStatus {
    /// The folder.
    pub directory: PathBuf,
    /// When the newest backup of this vault was made; `None` where there is none.
    pub newest: Option<UnixTime>,
    /// How many there are.
    pub kept: usize,
    /// When the next is due.
    pub due_at: UnixTime,
}

/// The name of a backup that is made at `at`.
pub fn backup_name(vault: &Vault, at: UnixTime, encrypted: bool) -> String {
    let time = at.to_string().replace(['-', ':'], "");
    format!("{}{time}{}", vault.backup_prefix(), if encrypted { ENCRYPTED } else { PLAIN })
}

/// What there is of this vault's backups, and when the next is due; `None` where none are configured.
pub fn backup_status(settings: &BackupSettings, vault: &Vault, now: UnixTime) -> Option<BackupStatus> {
    let directory = settings.directory.clone()?;
    let found = find(&directory, &vault.backup_prefix());
    // One that is from the future was made by a clock that was wrong: it keeps nobody from making another.
    let newest = found.iter().map(|(at, _)| *at).filter(|at| *at <= now).max();
    let due_at = newest.map_or(now, |newest| newest.plus(settings.every));
    Some(BackupStatus { directory, newest, kept: found.len(), due_at })
}

impl Broker {
    /// Backs up by the clock until it is dropped, where `backup.directory` is set: a server spawns it and aborts it at the end.
    pub async fn back_up_on_time(self) {
        if self.0.config.backup.directory.is_none() {
            return;
        }
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut not_before = UnixTime(i64::MIN);
        loop {
            ticks.tick().await;
            let now = self.0.clock.now();
            if now < not_before && not_before <= now.plus(AGAIN_AFTER) {
                continue;
            }
            match self.back_up_if_due().await {
                Ok(None) => {}
                Ok(Some(made)) => {
                    tracing::info!(file = %made.path.display(), bytes = made.bytes, epoch = made.contents.epoch, "a backup is written");
                }
                Err(error) => {
                    not_before = now.plus(AGAIN_AFTER);
                    tracing::error!(%error, "no backup could be written; it is tried again in five minutes");
                }
            }
        }
    }

    /// Writes a backup if one is due, and removes those that are too many then. A vault that was restored and does not live yet
    /// writes none: the folder may be that of the vault that does.
    pub async fn back_up_if_due(&self) -> Result<Option<MadeBackup>, BackupError> {
        let (settings, vault) = (self.0.config.backup.clone(), self.0.vault.clone());
        let now = self.0.clock.now();
        let stop = StopOnDrop(BackupStop::default());
        let (asked, writer) = (stop.0.clone(), vault.clone());
        let work = move || -> Result<Option<MadeBackup>, BackupError> {
            let Some(status) = backup_status(&settings, &writer, now).filter(|status| status.due_at <= now) else {
                return Ok(None);
            };
            if writer.restored()?.is_some() {
                return Ok(None);
            }
            remove_abandoned(&status.directory, &writer.backup_prefix());
            let name = backup_name(&writer, now, !settings.age_recipients.is_empty());
            let target = status.directory.join(name);
            let made = writer.back_up(&target, Existing::Keep, &settings.age_recipients, &asked)?;
            thin_out(&status.directory, &writer.backup_prefix(), settings.keep, (&made.path, now));
            Ok(Some(made))
        };
        let made = tokio::task::spawn_blocking(work).await.map_err(|_| BackupError::GivenUp)??;
        if made.is_some()
            && let Err(error) = vault.note_backup(&AuditContext::system()).await
        {
            tracing::warn!(%error, "the backup is not in the audit log");
        }
        Ok(made)
    }

    /// Whether the vault was restored from a backup, and nobody has said yet that it is the one that lives: then nothing goes to a
    /// provider but what somebody asks for.
    pub(in crate::broker) fn waits_to_live(&self) -> Result<Option<RestoreMark>, VaultError> {
        self.0.vault.restored()
    }
}

/// A server that stops does not wait for a backup to end.
struct StopOnDrop(BackupStop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Removes the oldest beyond `keep`; the one just made stays whatever the clock said. Those from the future go first: a clock
/// that was ahead dated them, and they would displace every right one.
fn thin_out(directory: &Path, prefix: &str, keep: usize, (made, now): (&Path, UnixTime)) {
    let mut others: Vec<_> = find(directory, prefix).into_iter().filter(|(_, path)| path != made).collect();
    others.sort_by(|one, other| (one.0 <= now, one).cmp(&(other.0 <= now, other)));
    let too_many = (others.len() + 1).saturating_sub(keep);
    for (_, path) in others.into_iter().take(too_many) {
        match std::fs::remove_file(&path) {
            Ok(()) => tracing::info!(file = %path.display(), "an old backup is removed"),
            Err(error) => tracing::warn!(file = %path.display(), %error, "an old backup could not be removed"),
        }
    }
}

/// The backups of this vault in a folder, with their times. What has another name, or is something else under such a name, is
/// not one.
fn find(directory: &Path, prefix: &str) -> Vec<(UnixTime, PathBuf)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let backup = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let rest = name.strip_prefix(prefix)?;
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let (time, is_one) = match (rest.strip_suffix(ENCRYPTED), rest.strip_suffix(PLAIN)) {
            (Some(time), _) => (time, is_file && is_encrypted(&path)),
            (None, Some(time)) => (time, is_file && is_of(&path, prefix)),
            (None, None) => return None,
        };
        let time: jiff::Timestamp = time.parse().ok()?;
        is_one.then_some((UnixTime(time.as_second()), path))
    };
    entries.filter_map(backup).collect()
}

fn is_of(path: &Path, prefix: &str) -> bool {
    head_of(path).is_some_and(|head| prefix.contains(&head.vault_id()))
}

/// Whose it is only its name says: that is what encryption is for.
fn is_encrypted(path: &Path) -> bool {
    use std::io::Read as _;

    let mut start = [0; age::INTRODUCTION.len()];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == age::INTRODUCTION.as_bytes()
}
