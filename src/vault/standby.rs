//! Standby: a vault that was restored from a backup may not use its tokens on its own until the
//! operator promotes it, because another vault may use the same tokens.

use crate::store::View;
use crate::vault::credentials::credential_record::open_summary;
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::{Manifest, RestoreMark};

/// Rows per read.
const BATCH: u32 = 500;

/// The standby mark of a restored vault.
#[derive(Clone, Copy)]
pub struct Standby<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Standby<'_> {
    /// Returns the restore that the operator has not promoted yet.
    pub fn mark(self) -> Result<Option<RestoreMark>, VaultError> {
        self.core.read(|view, keyring| Ok(Manifest::load(view, keyring)?.restored))
    }

    /// Promotes the vault; returns false if it has no standby mark.
    pub async fn promote(self, who: &AuditContext) -> Result<bool, VaultError> {
        self.core
            .write(who, |txn| {
                if txn.manifest().restored.is_none() {
                    return Ok(false);
                }
                txn.manifest_mut().restored = None;
                txn.record(Action::VaultPromote, Subject::default())?;
                Ok(true)
            })
            .await
    }

    /// Returns true if the refresh token may be used up: it is older than the last restore, and
    /// the other vault may have refreshed since.
    pub fn may_be_stale(self, summary: &CredentialMetadata) -> bool {
        summary.may_have_refresh_token() && summary.refreshing.restores < self.core.restores
    }

    /// Counts the credentials for which [`Self::may_be_stale`] holds. It opens the metadata of
    /// all credentials.
    pub fn count_stale(self) -> Result<u64, VaultError> {
        if self.core.restores == 0 {
            return Ok(0);
        }
        self.core.read(|view, keyring| count(view, keyring, |summary| self.may_be_stale(summary)))
    }
}

/// Counts the credentials that match. It opens the metadata of all credentials, a batch at a time.
pub(crate) fn count(
    view: &View<'_>,
    keyring: &Keyring,
    holds: impl Fn(&CredentialMetadata) -> bool,
) -> Result<u64, VaultError> {
    let mut counted = 0;
    for (user, _) in view.users()? {
        let mut after = String::new();
        loop {
            let rows = view.credentials(&user.id, None, &after, Some(BATCH))?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.id);
            for row in &rows {
                counted += u64::from(holds(&open_summary(keyring, row)?));
            }
        }
    }
    Ok(counted)
}
