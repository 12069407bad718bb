//! Verification: opens every record, counts everything again, compares the result with the
//! manifest, and names every fault. It reads one snapshot beside a running server, and changes
//! nothing.

use super::audit_replay::History;
use super::findings::Verification;
use super::walk::{Cursor, Seen, TABLES, Visited, walk};
use crate::store::View;
use crate::vault::api_keys::api_key_record;
use crate::vault::audit::chain;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::{Manifest, Tally};

/// Rows per read.
const BATCH: u32 = 500;

/// Verification and repair of a whole vault.
#[derive(Clone, Copy)]
pub struct Integrity<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Integrity<'_> {
    /// Verifies the whole vault once.
    ///
    /// # Errors
    /// If the keyring or the manifest cannot be read, because the rest cannot be judged then.
    pub fn verify(self) -> Result<Verification, VaultError> {
        let mut report = self.core.snapshot(verify)?;
        if self.core.store.is_kept_from_writing() {
            report.found("*", "*", "the file's header says that nothing may be written: it was damaged");
        }
        Ok(report)
    }
}

/// Verifies one snapshot.
pub(crate) fn verify(view: &View<'_>, keyring: &Keyring) -> Result<Verification, VaultError> {
    let mut report = Verification::default();
    match view.integrity() {
        Ok(faults) => faults.iter().for_each(|fault| report.found("*", "*", fault)),
        Err(error) => report.error("*", &error.into()),
    }
    schema(view, &mut report);
    let manifest = Manifest::load(view, keyring)?;
    let counted = records(view, keyring, &mut report);
    let keys = api_keys(view, keyring, &mut report);
    report.audit_rows = log(view, keyring, &manifest, &mut report);
    if counted != manifest.records || keys != manifest.api_keys {
        explain(view, (counted, &manifest.records), (keys, &manifest.api_keys), &mut report);
    }
    // Rows that are missing or were added would be reported a second time.
    if report.findings.is_empty() {
        usage(view, &mut report);
    }
    Ok(report)
}

/// Reports users whose records were not counted for their quotas.
fn usage(view: &View<'_>, report: &mut Verification) {
    match view.wrong_usage(BATCH) {
        Ok(users) => users.iter().for_each(|user| report.found("usage", user, "it is not what the user has")),
        Err(error) => report.error("usage", &error.into()),
    }
}

/// Reports differences from the expected schema.
pub(crate) fn schema(view: &View<'_>, report: &mut Verification) {
    match view.schema_faults() {
        Ok(faults) => faults.iter().for_each(|(name, what)| report.found("sqlite_schema", name, *what)),
        Err(error) => report.error("sqlite_schema", &error.into()),
    }
}

/// Verifies the audit log, and returns the number of sound rows.
pub(crate) fn log(view: &View<'_>, keyring: &Keyring, manifest: &Manifest, report: &mut Verification) -> u64 {
    let walked = chain::verify(view, keyring, manifest, &mut |fault| {
        report.found("audit", &fault.row(), fault.to_string());
    });
    walked.unwrap_or_else(|error| {
        report.error("audit", &error);
        0
    })
}

/// Checks the MAC of every API key, and counts them as the manifest does.
pub(crate) fn api_keys(view: &View<'_>, keyring: &Keyring, report: &mut Verification) -> Tally {
    let mut tally = Tally::default();
    let rows = match view.api_keys() {
        Ok(rows) => rows,
        Err(error) => {
            report.error("api_key", &error.into());
            return tally;
        }
    };
    for row in rows {
        report.api_keys += 1;
        if let Err(error) = api_key_record::read(&row, keyring) {
            report.error("api_key", &error);
        }
        if let Ok(item) = api_key_record::item(keyring, &row) {
            tally.add(&item);
        }
    }
    tally
}

/// Opens every sealed record, and counts it as the manifest does.
pub(crate) fn records(view: &View<'_>, keyring: &Keyring, report: &mut Verification) -> Tally {
    let mut tally = Tally::default();
    for table in TABLES {
        let mut after: Option<Cursor> = None;
        loop {
            let walked = walk(table, view, keyring, after.as_ref(), (None, BATCH), &mut |seen| {
                match seen {
                    Seen::Record(record) => one(keyring, &record, &mut tally, report),
                    Seen::NoSecret { id } => report.found("credential_secret", id, "the secret is missing"),
                }
                Ok(())
            });
            match walked {
                Ok(None) => break,
                Ok(next) => after = next,
                Err(error) => {
                    report.error("*", &error);
                    break;
                }
            }
        }
    }
    strays(view, keyring, &mut tally, report);
    tally
}

fn one(keyring: &Keyring, record: &Visited<'_>, tally: &mut Tally, report: &mut Verification) {
    report.records += 1;
    if let Err(error) = &record.opened {
        report.error(record.place.table, error);
    }
    // A record that does not open is counted too, so that one fault is not reported twice.
    // Without its data key it cannot be counted.
    if let Ok(item) = record::item(keyring, &record.place, record.sealed) {
        tally.add(&item);
    }
}

/// Reports secrets without a credential.
fn strays(view: &View<'_>, keyring: &Keyring, tally: &mut Tally, report: &mut Verification) {
    match view.stray_secrets(BATCH) {
        Ok(strays) => {
            for (user, id, secret) in strays {
                let table = "credential_secret";
                report.found(table, &id, "it belongs to no credential");
                let revision = secret.revision;
                let place =
                    RecordAad { table, column: "secret", row: &id, revision, user: &user, ..RecordAad::default() };
                if let Ok(item) = record::item(keyring, &place, &secret.secret) {
                    tally.add(&item);
                }
            }
        }
        Err(error) => report.error("credential_secret", &error.into()),
    }
}

/// Explains a difference from the manifest by the audit log, or at least reports it.
fn explain(
    view: &View<'_>,
    (records, of_manifest): (Tally, &Tally),
    (keys, keys_of_manifest): (Tally, &Tally),
    report: &mut Verification,
) {
    let named = report.findings.len();
    match History::read(view) {
        Ok(history) => drop(history.compare(view, report)),
        Err(error) => report.error("audit", &error),
    }
    let explained = report.findings.len() > named;
    for (what, table, counted, expected) in
        [("records", "*", records, of_manifest), ("API keys", "api_key", keys, keys_of_manifest)]
    {
        if counted.count != expected.count {
            let (there, due) = (counted.count, expected.count);
            let how = if there < due { "some are missing" } else { "some were added from outside" };
            report.found(table, "*", format!("there are {there} {what}, and the manifest knows of {due}: {how}"));
        } else if counted.sum != expected.sum && (!explained || table != "*") {
            report.found(
                table,
                "*",
                format!("the {what} are not those that the manifest knows: one was changed, or put back to what it was before"),
            );
        }
    }
}
