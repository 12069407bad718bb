//! A vault that was restored from a backup, and is not yet the one that lives: another may be at work with the same tokens.

use super::VaultError;
use super::audit::{Action, Subject};
use super::manifest::{Manifest, Restored};
use super::open::Vault;
use super::summary::Summary;
use super::who::Who;

impl Vault {
    /// Whether the vault was restored and nobody has said since that it is the one that lives.
    pub fn restored(&self) -> Result<Option<Restored>, VaultError> {
        self.look(|view, keyring| Ok(Manifest::load(view, keyring)?.restored))
    }

    /// Says that this is the vault that lives; `false` where nobody doubted it.
    pub async fn go_live(&self, who: &Who) -> Result<bool, VaultError> {
        if self.restored()?.is_none() {
            return Ok(false);
        }
        self.change(who, |ledger| {
            let (_, restored) = ledger.restored();
            if restored.take().is_none() {
                return Ok(false);
            }
            ledger.record(Action::VaultLive, Subject::default())?;
            Ok(true)
        })
        .await
    }

    /// Whether the refresh token may be used up: the vault was restored after it came, and another may have refreshed since.
    pub fn may_be_stale(&self, summary: &Summary) -> bool {
        summary.may_have_refresh_token() && summary.refreshing.restores < self.inner.restores
    }

    /// How many credentials there are of which that is so. It opens every summary.
    pub fn count_stale(&self) -> Result<u64, VaultError> {
        if self.inner.restores == 0 {
            return Ok(0);
        }
        self.look(|view, keyring| {
            let mut stale = 0;
            for (user, _) in view.users()? {
                for row in view.credentials(&user.id, None, "", None)? {
                    let summary = super::credential_record::open_summary(keyring, &row)?;
                    stale += u64::from(self.may_be_stale(&summary));
                }
            }
            Ok(stale)
        })
    }
}
