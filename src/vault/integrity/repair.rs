//! Taking what is damaged out of the vault: it opens no more, so nobody but the operator can end it, and nothing of it
//! can be revoked.
//!
//! What was counted of it cannot be told from its rows any more, so that everything is counted again. What is left is taken for
//! the whole where that can be shown: by the count alone, where the damage was in nothing that is counted; or, for a credential, by
//! an audit log that holds and reaches back to the beginning, where as many records are left as there should be, all of them
//! open, and every credential is as the log has it. Where it cannot be shown the manifest keeps saying that something is amiss, until
//! the operator takes what is left for the whole, knowingly.

use super::audit_replay::History;
use super::verify::{self, IntegrityFinding, Verification};
use crate::id::{CredentialId, UserId};
use crate::store::{ERASABLE, Erasable, StoreError, View};
use crate::vault::credentials::credential_record::{open_secret, open_summary};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::logins::pending_login;
use crate::vault::open::Vault;
use crate::vault::revocations::queue;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::manifest::Tally;
use crate::vault::txn::write_txn::Ledger;
use crate::vault::{hex, registrations, signing_keys};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamagedRemoval {
    /// It is gone.
    Done {
        /// Whether everything holds now; else more is damaged, or it cannot be shown that nothing is missing.
        holds: bool,
    },
    /// There is nothing of that id.
    Absent,
    /// It is not damaged; nothing was changed.
    Sound,
}

/// What is to become of a vault in which it cannot be shown that nothing else is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The manifest goes on saying that something is amiss.
    Doubted,
    /// What is left is the whole from now on, if all of it opens, and API keys and audit log hold.
    Accepted,
}

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The rows that it erased, and what was wrong with each.
    pub erased: Vec<IntegrityFinding>,
    /// What the audit log has otherwise than what was accepted.
    pub accepted: Vec<IntegrityFinding>,
    /// Whether everything holds now.
    pub holds: bool,
}

impl Vault {
    /// Erases every row of a credential that does not open, and takes it out of the manifest's count.
    pub async fn remove_damaged(&self, id: &CredentialId, who: &AuditContext) -> Result<DamagedRemoval, VaultError> {
        let id = *id;
        self.change_for_good(who, move |ledger| {
            let holders = ledger.tx.holders_of(&id.to_string())?;
            if holders.is_empty() {
                return Ok(DamagedRemoval::Absent);
            }
            schema_holds(ledger.tx)?;
            let (mut sound, mut damaged) = (Vec::new(), Vec::new());
            for user in holders {
                if is_sound(ledger, &user, &id)? { sound.push(user) } else { damaged.push(user) }
            }
            if damaged.is_empty() {
                return Ok(DamagedRemoval::Sound);
            }
            let was_exact = is_exact(ledger);
            for user in &damaged {
                ledger.tx.delete_credential(user, &id.to_string())?;
            }
            // Whose it is may be what was changed.
            let mut known = history(ledger)?.map_or(Vec::new(), |history| history.holders_of(&id.to_string()));
            known.retain(|user| !sound.contains(user));
            for user in if known.is_empty() { &damaged } else { &known } {
                let user: Option<UserId> = user.parse().ok();
                let subject = Subject { user: user.as_ref(), credential: Some(&id), ..Subject::default() };
                ledger.record(Action::CredentialDelete, subject)?;
            }
            let left = Left::of(ledger);
            // One that nobody stored was never counted.
            let gone = if known.is_empty() { 0 } else { RECORDS };
            if was_exact || left.is_as_told(ledger)? && ledger.lacks(gone, left.counted) {
                ledger.take_count(left.counted);
            } else if !ledger.count_is(left.counted) {
                // So that the last of several that are damaged can be shown to be the last.
                ledger.lower_count(gone);
            }
            Ok(DamagedRemoval::Done { holds: left.holds(ledger) })
        })
        .await
    }

    /// Erases what is damaged of that which ends by itself or is made anew when it is wanted: begun logins, queued revocations,
    /// our registrations and our own keys. Credentials, users and API keys stay as they are.
    pub async fn repair(&self, rest: Rest, who: &AuditContext) -> Result<Repair, VaultError> {
        let found = self.look_long(|view, keyring| {
            schema_holds(view)?;
            damaged(view, keyring)
        })?;
        if found.is_empty() && rest == Rest::Doubted {
            return Ok(Repair { erased: Vec::new(), accepted: Vec::new(), holds: self.verify()?.holds() });
        }
        self.change_for_good(who, move |ledger| {
            schema_holds(ledger.tx)?;
            let was_exact = is_exact(ledger);
            let erased = erase(ledger, &found)?;
            let left = Left::of(ledger);
            let mut accepted = Vec::new();
            if was_exact || ledger.count_is(left.counted) {
                ledger.take_count(left.counted);
            } else if rest == Rest::Accepted {
                accepted = accept(ledger, &left)?;
            }
            Ok(Repair { erased, accepted, holds: left.holds(ledger) })
        })
        .await
    }
}

/// Records of a credential: its summary and its secret.
const RECORDS: u64 = 2;

/// Erases the rows that are damaged still, and says what was wrong with each.
fn erase(ledger: &mut Ledger<'_>, found: &[(Erasable, Vec<u8>)]) -> Result<Vec<IntegrityFinding>, VaultError> {
    let mut erased = Vec::new();
    for (table, key) in found {
        let Some(error) = fault(*table, key, ledger.tx, ledger.keyring)? else { continue };
        if ledger.tx.erase(*table, key)? {
            let row = name(*table, key);
            ledger.record(Action::VaultRepair, Subject { row: Some((table.table(), &row)), ..Subject::default() })?;
            let what = match error {
                VaultError::DamagedRow { what, .. } => what.to_owned(),
                other => other.to_string(),
            };
            erased.push(IntegrityFinding { table: table.table().to_owned(), row, what });
        }
    }
    Ok(erased)
}

/// Takes what is left for the whole. Everything has to open, and API keys and log to hold; what the log has otherwise is told, and the log
/// hears that credentials that are missing are gone.
fn accept(ledger: &mut Ledger<'_>, left: &Left) -> Result<Vec<IntegrityFinding>, VaultError> {
    let mut others = left.report.clone();
    ledger.verify_others(&mut others);
    others.must_hold()?;
    let mut told = Verification::default();
    for (user, id) in History::read(ledger.tx)?.compare(ledger.tx, &mut told) {
        let (user, id): (Option<UserId>, Option<CredentialId>) = (user.parse().ok(), id.parse().ok());
        let subject = Subject { user: user.as_ref(), credential: id.as_ref(), ..Subject::default() };
        ledger.record(Action::CredentialDelete, subject)?;
    }
    ledger.record(Action::VaultRepair, Subject::default())?;
    ledger.take_count(left.counted);
    Ok(told.findings)
}

/// What is there after something was erased.
struct Left {
    counted: Tally,
    report: Verification,
}

impl Left {
    /// Whether everything holds: what is left, its count, the API keys and the audit log.
    fn holds(&self, ledger: &Ledger<'_>) -> bool {
        let mut report = self.report.clone();
        ledger.verify_others(&mut report);
        report.holds() && ledger.count_is(self.counted)
    }

    fn of(ledger: &Ledger<'_>) -> Self {
        let mut report = Verification::default();
        let counted = verify::records(ledger.tx, ledger.keyring, &mut report);
        Self { counted, report }
    }

    /// Whether all of it opens, and is as an audit log has it that holds from the beginning on.
    fn is_as_told(&self, ledger: &Ledger<'_>) -> Result<bool, VaultError> {
        if !self.report.holds() {
            return Ok(false);
        }
        let Some(history) = history(ledger)?.filter(History::is_whole) else { return Ok(false) };
        let mut told = Verification::default();
        history.compare(ledger.tx, &mut told);
        Ok(told.holds())
    }
}

/// Whether what is there now is what the manifest counted: then so is what is left when something is erased.
fn is_exact(ledger: &Ledger<'_>) -> bool {
    ledger.count_is(Left::of(ledger).counted)
}

/// What the audit log says; nothing where it does not hold.
fn history(ledger: &Ledger<'_>) -> Result<Option<History>, VaultError> {
    let mut report = Verification::default();
    ledger.verify_log(&mut report);
    if !report.holds() {
        return Ok(None);
    }
    match History::read(ledger.tx) {
        Err(error) if error.is_damage() => Ok(None),
        read => read.map(Some),
    }
}

/// That the schema is as it was laid out. Where a column has another name every row seems to be damaged.
fn schema_holds(view: &View<'_>) -> Result<(), VaultError> {
    let mut report = Verification::default();
    verify::schema(view, &mut report);
    report.must_hold()
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

/// The keys of all rows of these tables that do not open.
fn damaged(view: &View<'_>, keyring: &Keyring) -> Result<Vec<(Erasable, Vec<u8>)>, VaultError> {
    let mut found = Vec::new();
    for table in ERASABLE {
        for key in view.erasable_keys(table)? {
            if fault(table, &key, view, keyring)?.is_some() {
                found.push((table, key));
            }
        }
    }
    Ok(found)
}

/// What is wrong with a row that was listed; nothing where it opens. One that is listed and not found by its key is in the wrong place.
fn fault(table: Erasable, key: &[u8], view: &View<'_>, keyring: &Keyring) -> Result<Option<VaultError>, VaultError> {
    let opened = || -> Result<(), VaultError> {
        match table {
            Erasable::Pending => pending_login::check(keyring, &view.pending_at(hash(key)?)?.ok_or_else(no_key)?),
            Erasable::Revocation => queue::check(keyring, &view.revocation(text(key)?)?.ok_or_else(no_key)?),
            Erasable::Registration => {
                registrations::check(keyring, &view.registration(hash(key)?)?.ok_or_else(no_key)?)
            }
            Erasable::SigningKey => signing_keys::check(keyring, &view.signing_key(text(key)?)?.ok_or_else(no_key)?),
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

/// Ids of our own are shorter.
const LONGEST_ID: usize = 64;

/// The row as a verification names it.
fn name(table: Erasable, key: &[u8]) -> String {
    match table {
        Erasable::Pending | Erasable::Registration => hex::write(key),
        Erasable::Revocation | Erasable::SigningKey => match text(key) {
            Ok(id) if id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic()) => id.to_owned(),
            // Nobody gave it such an id but somebody who writes SQL, and his text is not to get into the log.
            _ => hex::write(&key[..key.len().min(LONGEST_ID / 2)]),
        },
    }
}
