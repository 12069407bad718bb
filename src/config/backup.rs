//! `[backup]`: where, how often and for whom the server writes backups.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Scheduled backups, and what those by hand go by.
#[derive(Clone, Debug, Default)]
pub struct BackupSettings {
    /// The folder that backups are written to; `None`: the server writes none by itself.
    pub directory: Option<PathBuf>,
    /// How old the newest may get.
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
}

pub(super) fn backup(r: &mut Reader) -> BackupSettings {
    BackupSettings {
        directory: r.path("backup.directory"),
        every: r.duration("backup.every", MINUTE..=YEAR),
        keep: r.number("backup.keep", 1..=10_000),
    }
}
