//! Status: the content of the vault, the keys that open it, its backups, and what is due.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::broker::admin::scheduled_backup::{BackupStatus, backup_status};
use crate::broker::credentials::get::CredentialDetail;
use crate::broker::credentials::list_all::UserCredential;
use crate::broker::installation::Installation;
use crate::broker::vault_admin::VaultAdmin;
use crate::clock::UnixTime;
use crate::id::ProviderName;
use crate::kind::Kind;
use crate::vault::{RestoreMark, VaultError, VaultStatus};

/// Age in seconds at which a data key should be rotated: one year.
const OLD_KEY: i64 = 365 * 86_400;

/// Status of the vault.
#[derive(Debug, Serialize)]
pub struct VaultReport {
    /// Content and keys.
    #[serde(flatten)]
    pub vault: VaultStatus,
    /// State of the scheduled backups; `None` if none are configured.
    pub backups: Option<BackupStatus>,
    /// The restore that this vault comes from, until it is promoted.
    pub unpromoted_restore: Option<RestoreMark>,
    /// Number of credentials whose refresh tokens may have been used since the backup.
    pub may_be_stale: u64,
    /// Number of credentials that need re-authorization, by provider.
    pub needs_reauth: BTreeMap<ProviderName, u64>,
    /// Number of credentials whose provider has long refused to refresh for a reason that is not
    /// understood, by provider.
    pub refused: BTreeMap<ProviderName, u64>,
    /// Providers of stored credentials that the settings do not cover.
    pub unconfigured: BTreeMap<ProviderName, UnconfiguredProvider>,
    /// Tasks that are due, each with its command.
    pub due: Vec<String>,
}

/// A provider of stored credentials that the settings do not cover.
#[derive(Debug, Serialize)]
pub struct UnconfiguredProvider {
    /// Number of the credentials.
    pub credentials: u64,
    /// The part that does not work.
    pub reason: &'static str,
    /// The setting that helps.
    pub fix: String,
}

impl VaultAdmin {
    /// Collects the status of this installation's vault.
    pub fn status(&self, installation: &Installation) -> Result<VaultReport, VaultError> {
        let (vault, now) = (self.vault.status()?, self.clock.now());
        let (credentials, _) = self.credentials(None, None)?;
        let limit = self.config.oauth.unclear_refusals_after;
        Ok(VaultReport {
            due: due(&vault, now),
            needs_reauth: count(&credentials, |one| one.summary.status == "needs_reauth"),
            refused: count(&credentials, |one| one.refused_since.is_some_and(|since| since.plus(limit) <= now)),
            unconfigured: unconfigured(installation, &credentials),
            vault,
            backups: backup_status(&self.config.backup, &self.vault, now),
            unpromoted_restore: self.unpromoted_restore()?,
            may_be_stale: self.vault.standby().count_stale()?,
        })
    }

    /// Checks that the vault can be written now.
    pub async fn writable(&self) -> Result<(), VaultError> {
        self.vault.writable().await
    }

    /// Returns true if the space that is reserved for a full disk is there.
    pub fn holds_ballast(&self) -> bool {
        self.vault.holds_ballast()
    }

    /// Returns the restore that this vault comes from, if it was not promoted since.
    pub fn unpromoted_restore(&self) -> Result<Option<RestoreMark>, VaultError> {
        self.vault.standby().mark()
    }

    /// Puts a restored vault into service: background refresh, revocation queue and scheduled
    /// backups start again. Returns false if it is in service already.
    pub async fn promote(&self) -> Result<bool, VaultError> {
        self.vault.standby().promote(&self.who).await
    }
}

/// Counts the credentials that `applies` to, by provider.
fn count(credentials: &[UserCredential], applies: impl Fn(&CredentialDetail) -> bool) -> BTreeMap<ProviderName, u64> {
    let mut counts = BTreeMap::new();
    for one in credentials.iter().map(|one| &one.credential).filter(|one| applies(one)) {
        *counts.entry(one.summary.provider.clone()).or_default() += 1;
    }
    counts
}

/// Finds the providers of stored credentials that the settings do not cover.
fn unconfigured(
    installation: &Installation,
    credentials: &[UserCredential],
) -> BTreeMap<ProviderName, UnconfiguredProvider> {
    let mut found = BTreeMap::new();
    for summary in credentials.iter().map(|one| &one.credential.summary) {
        let (reason, fix) = match installation.provider(summary.provider.as_str()) {
            Err(unknown) => match unknown.fix() {
                Some(fix) => ("the configuration switches it off", fix),
                None => {
                    ("the catalogue has no such provider", format!("describe it in [providers.{}]", summary.provider))
                }
            },
            // Strongroom registers its own clients at MCP servers.
            Ok(known) if known.entry.mcp.is_some() || summary.kind != Kind::OAuth2.name() => continue,
            Ok(known) => match installation.missing(known) {
                Some(fix) => ("its client is not configured, so tokens are neither refreshed nor revoked", fix),
                None => continue,
            },
        };
        let first = || UnconfiguredProvider { credentials: 0, reason, fix };
        found.entry(summary.provider.clone()).or_insert_with(first).credentials += 1;
    }
    found
}

fn due(status: &VaultStatus, now: UnixTime) -> Vec<String> {
    let mut due = Vec::new();
    if let Some(left) = status.rotation_left {
        due.push(format!(
            "a rotation is incomplete, {left} records use an old data key: run `strongroom vault rotate`"
        ));
    }
    let current = status.keys.iter().find(|key| key.purpose == "data" && key.version == status.data_key_version);
    if let Some(days) = current.map(|key| key.created_at.seconds_until(now)).filter(|age| *age > OLD_KEY) {
        due.push(format!("the data key is {} days old: run `strongroom vault rotate`", days / 86_400));
    }
    for slot in status.slots.iter().filter(|slot| slot.is_weak) {
        due.push(format!(
            "slot {} uses weaker passphrase hashing than a new one: add its passphrase again (`strongroom vault slot add`), then remove it",
            slot.id
        ));
    }
    due
}
