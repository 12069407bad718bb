//! Audit log: find rows, verify, export and prune.

use std::time::Duration;

use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::jose::SigningKey;
use crate::vault::{
    AuditContext, AuditEntry, AuditFault, AuditFilter, AuditVerdict, HeadFault, HeadFit, SignedRows, VaultError,
};

impl Broker {
    /// Returns the rows that match the filter, and the number of the last row of the log.
    pub fn audit_rows(&self, filter: &AuditFilter) -> Result<(Vec<AuditEntry>, u64), Error> {
        Ok(self.0.vault.audit().find(filter)?)
    }

    /// Verifies the log and calls `report` for each fault.
    pub fn verify_audit(&self, report: &mut dyn FnMut(AuditFault)) -> Result<AuditVerdict, Error> {
        Ok(self.0.vault.audit().verify(report)?)
    }

    /// Checks that the log contains what a signed head was made of.
    pub fn check_audit_head(&self, head: &str) -> Result<Result<(HeadFit, Option<SignedRows>), HeadFault>, Error> {
        Ok(self.0.vault.audit().check_head(head)?)
    }

    /// Writes each row as a line of JSON and returns the signed head over them.
    ///
    /// # Errors
    /// Returns the error of `write`, or that of the vault.
    pub fn export_audit<E: From<VaultError>>(&self, write: impl FnMut(&str) -> Result<(), E>) -> Result<String, E> {
        self.0.vault.audit().export(write)
    }

    /// Returns a signed head of the log.
    pub fn audit_head(&self) -> Result<String, Error> {
        Ok(self.0.vault.audit().signed_head()?)
    }

    /// Returns the public keys that verify signed heads, newest first.
    pub fn audit_keys(&self) -> Vec<SigningKey> {
        self.0.vault.audit().signing_keys()
    }

    /// Removes the rows that are older than `retention`. Returns their number and the time before which they were
    /// written.
    pub async fn prune_audit_older_than(
        &self,
        retention: Duration,
        who: &AuditContext,
    ) -> Result<(u64, UnixTime), Error> {
        let (before, mut removed) = (self.0.clock.now().minus(retention), 0);
        loop {
            match self.0.vault.audit().prune(before, who).await? {
                0 => return Ok((removed, before)),
                rows => removed += rows,
            }
        }
    }
}
