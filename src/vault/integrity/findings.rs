//! The findings of a verification.

use serde::Serialize;

use crate::vault::error::VaultError;

/// Maximum number of named findings; further ones are only counted.
const MOST_NAMED: usize = 1_000;

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Number of opened records.
    pub records: u64,
    /// Number of API keys whose MACs were checked.
    pub api_keys: u64,
    /// Number of audit rows that are as they were written.
    pub audit_rows: u64,
    /// The findings; empty if everything holds.
    pub findings: Vec<IntegrityFinding>,
    /// Number of findings that are not named.
    pub more: u64,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IntegrityFinding {
    /// The table; `*` for the whole file.
    pub table: String,
    /// The row's id, never a value from it; `*` for the whole table.
    pub row: String,
    /// The fault.
    pub what: String,
}

impl Verification {
    /// Returns true if there is no finding.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns the first finding as an error, if there is one.
    pub(crate) fn must_hold(&self) -> Result<(), VaultError> {
        match self.findings.first() {
            None => Ok(()),
            Some(IntegrityFinding { table, row, what }) => {
                let count = self.findings.len() as u64 + self.more;
                Err(VaultError::DoesNotHold { first: format!("table {table}, row {row}: {what}"), count })
            }
        }
    }

    /// Adds a finding.
    pub(crate) fn found(&mut self, table: &str, row: &str, what: impl Into<String>) {
        if self.findings.len() < MOST_NAMED {
            self.findings.push(IntegrityFinding { table: table.to_owned(), row: row.to_owned(), what: what.into() });
        } else {
            self.more += 1;
        }
    }

    /// Adds an error as a finding.
    pub(crate) fn error(&mut self, table: &str, error: &VaultError) {
        match error {
            VaultError::DamagedRow { table, id, what } => self.found(table, id, *what),
            other => self.found(table, "*", other.to_string()),
        }
    }
}
