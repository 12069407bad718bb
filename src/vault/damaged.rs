//! Taking what is damaged out of the vault: it opens no more, so nobody but the operator can end it, and nothing of it
//! can be revoked.
//!
//! What was counted of it cannot be told from its rows any more. So everything else is counted again: where as many records are
//! left as there should be, and every credential is as the audit log has it, their sum is the manifest's from now on. Where not,
//! more is missing, was added or was put back than what was damaged, and the manifest keeps saying so.

use super::VaultError;
use super::audit::{Action, Subject};
use super::credential_record::{open_secret, open_summary};
use super::hex;
use super::history::History;
use super::keyring::Keyring;
use super::ledger::Ledger;
use super::open::Vault;
use super::verify::{self, Damage, Verification};
use super::who::Who;
use super::{pending, registration, revocation, signing_key};
use crate::id::{CredentialId, UserId};
use crate::store::{ERASABLE, Erasable, StoreError, View};

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

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The rows that it erased, and what was wrong with each.
    pub erased: Vec<Damage>,
    /// Whether the manifest holds for what is left; else more is damaged than these.
    pub holds: bool,
}

/// The key of a row of a table, and what is wrong with the row.
type Damaged = (Erasable, Vec<u8>, VaultError);

impl Vault {
    /// Erases every row of a credential that does not open, and takes it out of the manifest's count.
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
            // Whose it is may be what was changed.
            let mut users = History::read(ledger.tx)?.holders_of(&id.to_string());
            if users.is_empty() {
                users.extend(holders.into_iter().take(1));
            }
            for user in users {
                let user: Option<UserId> = user.parse().ok();
                let subject = Subject { user: user.as_ref(), credential: Some(&id), ..Subject::default() };
                ledger.record(Action::CredentialDelete, subject)?;
            }
            Ok(DamagedRemoval::Done { holds: count_again(ledger, 2)? })
        })
        .await
    }

    /// Erases what is damaged of that which ends by itself or is made anew when it is wanted: begun logins, queued revocations,
    /// our registrations and our own keys. Credentials, users and API keys stay as they are.
    pub async fn repair(&self, who: &Who) -> Result<Repair, VaultError> {
        let found: Vec<_> = self.look_long(damaged)?.into_iter().map(|(table, key, _)| (table, key)).collect();
        if found.is_empty() {
            return Ok(Repair { erased: Vec::new(), holds: self.verify()?.holds() });
        }
        self.change_for_good(who, move |ledger| {
            let mut erased = Vec::new();
            for (table, key) in &found {
                // Only what is damaged still.
                let Some(error) = fault(*table, key, ledger.tx, ledger.keyring)? else { continue };
                if ledger.tx.erase(*table, key)? {
                    let row = name(*table, key);
                    ledger.record(
                        Action::VaultRepair,
                        Subject { row: Some((table.table(), &row)), ..Subject::default() },
                    )?;
                    let what = match error {
                        VaultError::DamagedRow { what, .. } => what.to_owned(),
                        other => other.to_string(),
                    };
                    erased.push(Damage { table: table.table().to_owned(), row, what });
                }
            }
            let holds = count_again(ledger, erased.len() as u64)?;
            Ok(Repair { erased, holds })
        })
        .await
    }
}

/// Counts everything again after so many records were erased of which nobody knows how they were counted; whether the manifest
/// holds from now on.
fn count_again(ledger: &mut Ledger<'_>, erased: u64) -> Result<bool, VaultError> {
    let counted = verify::records(ledger.tx, ledger.keyring, &mut Verification::default());
    // A credential that was put back opens, and only the log tells.
    let mut told = Verification::default();
    History::read(ledger.tx)?.compare(ledger.tx, &mut told);
    Ok(told.holds() && ledger.is_without(erased, counted))
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

/// Every row of these tables that does not open.
fn damaged(view: &View<'_>, keyring: &Keyring) -> Result<Vec<Damaged>, VaultError> {
    let mut found = Vec::new();
    for table in ERASABLE {
        for key in view.erasable_keys(table)? {
            if let Some(error) = fault(table, &key, view, keyring)? {
                found.push((table, key, error));
            }
        }
    }
    Ok(found)
}

/// What is wrong with a row; nothing where it opens, or is not there any more.
fn fault(table: Erasable, key: &[u8], view: &View<'_>, keyring: &Keyring) -> Result<Option<VaultError>, VaultError> {
    let opened = || -> Result<(), VaultError> {
        match table {
            Erasable::Pending => pending::check(keyring, view.pending_at(hash(key)?)?),
            Erasable::Revocation => revocation::check(keyring, view.revocation(text(key)?)?),
            Erasable::Registration => registration::check(keyring, view.registration(hash(key)?)?),
            Erasable::SigningKey => signing_key::check(keyring, view.signing_key(text(key)?)?),
        }
    };
    match opened() {
        Err(error) if error.is_damage() => Ok(Some(error)),
        other => other.map(|()| None),
    }
}

fn text(key: &[u8]) -> Result<&str, VaultError> {
    std::str::from_utf8(key).map_err(|_| no_key())
}

fn hash(key: &[u8]) -> Result<&[u8; 32], VaultError> {
    key.try_into().map_err(|_| no_key())
}

fn no_key() -> VaultError {
    StoreError::Corrupt("a key that is never written".to_owned()).into()
}

/// The row as a verification names it.
fn name(table: Erasable, key: &[u8]) -> String {
    match table {
        Erasable::Pending | Erasable::Registration => hex::write(key),
        Erasable::Revocation | Erasable::SigningKey => String::from_utf8_lossy(key).into_owned(),
    }
}
