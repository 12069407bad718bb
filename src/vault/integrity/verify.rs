//! Verification: every record is opened, everything is counted again and held against the manifest, and what does not hold
//! is named. It reads one moment of the vault, beside a server, and changes nothing.

use super::audit_replay::History;
use super::walk::{Cursor, Seen, TABLES, Visited, walk};
use crate::store::View;
use crate::vault::api_keys::api_key_record;
use crate::vault::audit::chain;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::{Manifest, Tally};

/// Rows that are read at a time.
const BATCH: u32 = 500;

/// Findings that are named one by one; more are counted.
const MOST_NAMED: usize = 1_000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Sealed records that were opened.
    pub records: u64,
    /// API keys whose rows were held against their MACs.
    pub api_keys: u64,
    /// Audit rows that were held against the chain.
    pub audit_rows: u64,
    /// What does not hold; empty where everything does.
    pub findings: Vec<IntegrityFinding>,
    /// Findings beyond those that are named.
    pub more: u64,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrityFinding {
    /// In which table; `*` for the file as a whole.
    pub table: String,
    /// Which row, by its id, never a value from it; `*` for the table as a whole.
    pub row: String,
    /// What does not hold.
    pub what: String,
}

impl Verification {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }

    /// That everything holds; else the first thing that does not, as an error.
    pub(in crate::vault) fn must_hold(&self) -> Result<(), VaultError> {
        match self.findings.first() {
            None => Ok(()),
            Some(IntegrityFinding { table, row, what }) => {
                let count = self.findings.len() as u64 + self.more;
                Err(VaultError::DoesNotHold { first: format!("table {table}, row {row}: {what}"), count })
            }
        }
    }

    /// Notes something that does not hold.
    pub(in crate::vault) fn found(&mut self, table: &str, row: &str, what: impl Into<String>) {
        if self.findings.len() < MOST_NAMED {
            self.findings.push(IntegrityFinding { table: table.to_owned(), row: row.to_owned(), what: what.into() });
        } else {
            self.more += 1;
        }
    }

    /// Notes an error that has a place, or ends the table.
    pub(in crate::vault) fn error(&mut self, table: &str, error: &VaultError) {
        match error {
            VaultError::DamagedRow { table, id, what } => self.found(table, id, *what),
            other => self.found(table, "*", other.to_string()),
        }
    }
}

/// Verification and repair of a whole vault.
#[derive(Clone, Copy)]
pub struct Integrity<'v> {
    pub(in crate::vault) core: &'v VaultCore,
}

impl Integrity<'_> {
    /// Looks at everything that there is, once.
    ///
    /// # Errors
    /// Where the keyring or the manifest cannot be read: then nothing can be said about the rest.
    pub fn verify(self) -> Result<Verification, VaultError> {
        let mut report = self.core.snapshot(verify)?;
        if self.core.store.is_kept_from_writing() {
            report.found("*", "*", "the file's header says that nothing may be written: it was damaged");
        }
        Ok(report)
    }
}

/// The same of one moment.
pub(in crate::vault) fn verify(view: &View<'_>, keyring: &Keyring) -> Result<Verification, VaultError> {
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
    Ok(report)
}

/// Names what is not in the schema as it was laid out.
pub(in crate::vault) fn schema(view: &View<'_>, report: &mut Verification) {
    match view.schema_faults() {
        Ok(faults) => faults.iter().for_each(|(name, what)| report.found("sqlite_schema", name, *what)),
        Err(error) => report.error("sqlite_schema", &error.into()),
    }
}

/// Walks the audit log, names what does not hold, and says how many rows do.
pub(in crate::vault) fn log(view: &View<'_>, keyring: &Keyring, manifest: &Manifest, report: &mut Verification) -> u64 {
    let walked = chain::verify(view, keyring, manifest, &mut |fault| {
        report.found("audit", &fault.row(), fault.to_string());
    });
    walked.unwrap_or_else(|error| {
        report.error("audit", &error);
        0
    })
}

/// Holds every row against its MAC, and counts all of them as the manifest does.
pub(in crate::vault) fn api_keys(view: &View<'_>, keyring: &Keyring, report: &mut Verification) -> Tally {
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
pub(in crate::vault) fn records(view: &View<'_>, keyring: &Keyring, report: &mut Verification) -> Tally {
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
                    report.error(table.name(), &error);
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
    // A record that does not open counts all the same, so that one damage is not told twice. One whose data key nobody
    // has cannot be counted.
    if let Ok(item) = record::item(keyring, &record.place, record.sealed) {
        tally.add(&item);
    }
}

/// Secrets of no credential.
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

/// Why the sums are not those of the manifest, as far as the audit log tells; at least that they are not.
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
            let how = if there < due { "some are missing" } else { "some were put there by somebody else" };
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
