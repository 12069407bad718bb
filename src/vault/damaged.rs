//! Taking a damaged credential out of the vault: it opens no more, so nobody but the operator can end it, and nothing of it
//! can be revoked.

use super::VaultError;
use super::audit::{Action, Subject};
use super::credential_record::{open_secret, open_summary};
use super::ledger::Ledger;
use super::open::Vault;
use super::verify::{self, Verification};
use super::who::Who;
use crate::id::{CredentialId, UserId};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamagedRemoval {
    /// It is gone.
    Done {
        /// Whether the manifest holds for what is left; else more is damaged than this credential.
        holds: bool,
    },
    /// There is nothing of that id.
    Absent,
    /// It is not damaged; nothing was changed.
    Sound,
}

impl Vault {
    /// Erases every row of a credential that does not open, and takes it out of the manifest's count.
    ///
    /// What was counted of it cannot be told from its rows any more. So everything else is counted again: where as many records
    /// are left as there should be, their sum is the manifest's from now on. Where not, more is missing or was added than
    /// this credential explains, and the manifest keeps saying so.
    pub async fn remove_damaged(&self, id: &CredentialId, who: &Who) -> Result<DamagedRemoval, VaultError> {
        let id = *id;
        self.change_for_good(who, move |ledger| {
            let holders = ledger.tx.holders_of(&id.to_string())?;
            if holders.is_empty() {
                return Ok(DamagedRemoval::Absent);
            }
            for user in &holders {
                if is_sound(ledger, user, &id)? {
                    return Ok(DamagedRemoval::Sound);
                }
            }
            for user in &holders {
                ledger.tx.delete_credential(user, &id.to_string())?;
            }
            let left = verify::records(ledger.tx, ledger.keyring, &mut Verification::default());
            let holds = ledger.is_without_two(left);
            let user: Option<UserId> = holders.first().and_then(|user| user.parse().ok());
            let subject = Subject { user: user.as_ref(), credential: Some(&id), ..Subject::default() };
            ledger.record(Action::CredentialDelete, subject)?;
            Ok(DamagedRemoval::Done { holds })
        })
        .await
    }
}

/// Whether both records of it open. What cannot be read for another reason (the disk failed) is not known to be damaged.
fn is_sound(ledger: &Ledger<'_>, user: &str, id: &CredentialId) -> Result<bool, VaultError> {
    let opened = || -> Result<bool, VaultError> {
        let Some(row) = ledger.tx.credential(user, &id.to_string())? else { return Ok(false) };
        let summary = open_summary(ledger.keyring, &row)?;
        open_secret(ledger, &row, &summary).map(|_| true)
    };
    match opened() {
        Err(error) if error.is_damage() => Ok(false),
        other => other,
    }
}
