//! Repair: erases the rows that do not open, and computes the manifest again from those that are left.
//!
//! Users, API keys and the audit log cannot be repaired. If one of them does not hold, nothing is changed.

use std::path::PathBuf;

use super::audit_replay::History;
use super::findings::{IntegrityFinding, Verification};
use super::verify::{self, Integrity};
use crate::id::{CredentialId, UserId};
use crate::store::{ERASABLE, Erasable, RowKey, StoreError};
use crate::vault::approvals::approval;
use crate::vault::credentials::credential_record::{open_secret, open_summary};
use crate::vault::error::VaultError;
use crate::vault::logins::pending_login;
use crate::vault::revocations::queued_revocation;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::manifest::Tally;
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::{hex, proxy_ca, registrations, signing_keys};

/// Damaged rows of a table up to which it is repaired even if they are more than half of it.
const FEW: usize = 3;

/// Sealed records of a credential: its metadata and its secret.
const RECORDS: u64 = 2;

/// Maximum number of users whose usage is named.
const BATCH: u32 = 500;

/// Longest text that is shown as the id of a row.
const MAX_ID_LENGTH: usize = 64;

/// Rows that a repair erases, and what the manifest misses in addition to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Rows that do not open, each with the reason.
    pub damaged: Vec<IntegrityFinding>,
    /// Further rows that the manifest misses; empty if it misses nothing.
    pub rest: Vec<IntegrityFinding>,
}

impl Repair {
    /// Returns true if there is nothing to repair.
    pub fn is_empty(&self) -> bool {
        self.damaged.is_empty() && self.rest.is_empty()
    }
}

impl Integrity<'_> {
    /// Returns what a repair would do, and changes nothing.
    ///
    /// # Errors
    /// [`VaultError::DoesNotHold`] if something is damaged that cannot be repaired, or more than half of a table.
    pub async fn plan_repair(self, who: &AuditContext) -> Result<Repair, VaultError> {
        self.core.write(who, |txn| txn.tx.undone(|| attempt(txn).map(|attempt| attempt.repair))).await
    }

    /// Carries out a planned repair. The caller has agreed to all of it, the rest included.
    ///
    /// # Errors
    /// As [`Integrity::plan_repair`]; [`VaultError::Contended`] if the vault was changed since the plan was made.
    pub async fn repair(self, plan: &Repair, who: &AuditContext) -> Result<(), VaultError> {
        let plan = plan.clone();
        self.core
            .write_durable(who, move |txn| {
                let found = attempt(txn)?;
                if found.repair.damaged != plan.damaged || (plan.rest.is_empty() && !found.repair.rest.is_empty()) {
                    return Err(VaultError::Contended);
                }
                for (user, id) in &found.credentials {
                    let (user, id): (Option<UserId>, Option<CredentialId>) = (user.parse().ok(), id.parse().ok());
                    let subject = Subject { user: user.as_ref(), credential: id.as_ref(), ..Subject::default() };
                    txn.record(Action::CredentialDelete, subject)?;
                }
                txn.record(Action::VaultRepair, Subject::default())?;
                txn.manifest_mut().records = found.left;
                Ok(())
            })
            .await
    }
}

impl Integrity<'_> {
    /// Copies the vault's file beside itself, damaged rows included, and returns the path of the copy.
    pub fn copy_before_repair(self) -> Result<PathBuf, VaultError> {
        let now = self.core.clock.now().to_string().replace(['-', ':'], "");
        Ok(self.core.store.copy_beside(&format!(".before-repair-{now}"))?)
    }
}

/// A repair as it was carried out in a transaction, without its audit rows.
struct Attempt {
    repair: Repair,
    /// User and id of the credentials that are gone, as the audit log knows them.
    credentials: Vec<(String, String)>,
    left: Tally,
}

/// A row that was erased.
struct Erased {
    table: Erasable,
    key: RowKey,
    finding: IntegrityFinding,
}

fn attempt(txn: &WriteTxn<'_>) -> Result<Attempt, VaultError> {
    let mut report = Verification::default();
    verify::schema(txn.tx, &mut report);
    if verify::api_keys(txn.tx, txn.keyring, &mut report) != txn.manifest().api_keys {
        report.found("api_key", "*", "they are not those that the manifest knows");
    }
    verify::log(txn.tx, txn.keyring, txn.manifest(), &mut report);
    report.must_hold()?;
    let before = verify::records(txn.tx, txn.keyring, &mut Verification::default());
    let erased = erase(txn)?;
    let miscounted = txn.tx.wrong_usage(BATCH)?;
    txn.tx.recount_usage()?;
    let mut report = Verification::default();
    let left = verify::records(txn.tx, txn.keyring, &mut report);
    report.must_hold()?;
    let (rest, mut credentials) = rest(txn, &erased, left)?;
    // If the damage was in nothing that is counted, or in rows that were never counted, then nothing else is missing.
    let is_exact = txn.manifest().records == before || txn.manifest().records == left;
    for one in erased.iter().filter(|one| one.table == Erasable::Credential) {
        let (user, id) = (one.key.user_text(), one.key.id_text());
        if !credentials.iter().any(|(_, known)| known.as_bytes() == one.key.id) && user.is_some() && id.is_some() {
            credentials.extend(user.zip(id).map(|(user, id)| (user.to_owned(), id.to_owned())));
        }
    }
    let mut damaged: Vec<_> = erased.into_iter().map(|one| one.finding).collect();
    let rest = if is_exact { Vec::new() } else { rest };
    // Otherwise it follows from the rows that are erased or missing.
    if damaged.is_empty() && rest.is_empty() {
        let finding = |row| IntegrityFinding { table: "usage".into(), row, what: "it is not what the user has".into() };
        damaged.extend(miscounted.into_iter().map(finding));
    }
    Ok(Attempt { repair: Repair { damaged, rest }, credentials, left })
}

/// Erases every row that does not open.
fn erase(txn: &WriteTxn<'_>) -> Result<Vec<Erased>, VaultError> {
    let mut erased = Vec::new();
    for table in ERASABLE {
        let keys = txn.tx.erasable_keys(table)?;
        let rows = keys.len();
        let mut damaged = Vec::new();
        for key in keys {
            if let Some(error) = fault(table, &key, txn)? {
                let what = match error {
                    VaultError::DamagedRow { what, .. } => what.to_owned(),
                    other => other.to_string(),
                };
                let finding = IntegrityFinding { table: table.name().to_owned(), row: name(table, &key), what };
                damaged.push(Erased { table, key, finding });
            }
        }
        if damaged.len() > FEW && damaged.len() * 2 > rows {
            let first =
                format!("table {}: {} of {rows} rows do not open, too many to repair", table.name(), damaged.len());
            return Err(VaultError::DoesNotHold { first, count: damaged.len() as u64 });
        }
        for one in damaged {
            txn.tx.erase(table, &one.key)?;
            erased.push(one);
        }
    }
    Ok(erased)
}

/// User and id of each credential that the audit log names and the vault does not hold.
type MissingCredentials = Vec<(String, String)>;

/// Returns what the manifest misses in addition to the erased rows, as far as its count and the audit log show it; and the
/// credentials that are missing by the audit log.
fn rest(
    txn: &WriteTxn<'_>,
    erased: &[Erased],
    left: Tally,
) -> Result<(Vec<IntegrityFinding>, MissingCredentials), VaultError> {
    let history = History::read(txn.tx)?;
    let is_whole = history.is_whole();
    let mut report = Verification::default();
    let missing = history.compare(txn.tx, &mut report);
    let is_erased =
        |id: &str| erased.iter().any(|one| one.table == Erasable::Credential && one.key.id == id.as_bytes());
    let known: Vec<&str> = missing.iter().map(|(_, id)| id.as_str()).filter(|id| is_erased(id)).collect();
    let mut rest = report.findings;
    rest.retain(|finding| !known.contains(&finding.row.as_str()));
    // Only for credentials the audit log says which were there. The count of the other tables is not known apart.
    let are_credentials = erased.iter().all(|one| one.table == Erasable::Credential);
    let due = txn.manifest().records.count;
    if !is_whole || !are_credentials || left.count + RECORDS * known.len() as u64 != due {
        let what = format!("the manifest counts {due} records, and {} are left without the erased rows", left.count);
        rest.insert(0, IntegrityFinding { table: "*".to_owned(), row: "*".to_owned(), what });
    }
    Ok((rest, missing))
}

/// Returns the reason why a row does not open; `None` if it opens.
fn fault(table: Erasable, key: &RowKey, txn: &WriteTxn<'_>) -> Result<Option<VaultError>, VaultError> {
    let (view, keyring) = (txn.tx, txn.keyring);
    let opened = || -> Result<(), VaultError> {
        let (id, hash) = (|| key.id_text().ok_or_else(no_key), || key.id.as_slice().try_into().map_err(|_| no_key()));
        match table {
            Erasable::Credential => {
                let user = key.user_text().ok_or_else(no_key)?;
                let row = view.credential(user, id()?)?.ok_or_else(no_key)?;
                let summary = open_summary(keyring, &row)?;
                open_secret(txn, &row, &summary).map(|_| ())
            }
            Erasable::Pending => {
                pending_login::open(keyring, &view.pending_at(hash()?)?.ok_or_else(no_key)?).map(|_| ())
            }
            Erasable::Revocation => {
                queued_revocation::open(keyring, &view.revocation(id()?)?.ok_or_else(no_key)?).map(|_| ())
            }
            Erasable::Registration => {
                registrations::open(keyring, &view.registration(hash()?)?.ok_or_else(no_key)?).map(|_| ())
            }
            Erasable::SigningKey => {
                let row = view.signing_key(id()?)?.ok_or_else(no_key)?;
                if row.id == signing_keys::PROXY_CA {
                    proxy_ca::open(keyring, &row).map(|_| ())
                } else {
                    signing_keys::open(keyring, &row).map(|_| ())
                }
            }
            Erasable::Approval => approval::open(keyring, &view.approval(id()?)?.ok_or_else(no_key)?).map(|_| ()),
        }
    };
    match opened() {
        Err(error) if error.is_damage() => Ok(Some(error)),
        other => other.map(|()| None),
    }
}

fn no_key() -> VaultError {
    StoreError::Corrupt("a key that is never written".to_owned()).into()
}

/// Returns the name of a row, as a verification gives it.
fn name(table: Erasable, key: &RowKey) -> String {
    match (table, key.id_text()) {
        (Erasable::Pending | Erasable::Registration, _) => hex::write(&key.id),
        (_, Some(id)) if id.len() <= MAX_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_graphic()) => id.to_owned(),
        // Strongroom gives no such id. The text of an attacker must not get into the log.
        _ => hex::write(&key.id[..key.id.len().min(MAX_ID_LENGTH / 2)]),
    }
}
