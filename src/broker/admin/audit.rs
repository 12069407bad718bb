//! Audit log: find rows, verify, export and prune.

use std::time::Duration;

use crate::broker::parts::Broker;
use crate::broker::vault_admin::VaultAdmin;
use crate::clock::UnixTime;
use crate::jose::SigningKey;
use crate::vault::{
    AuditContext, AuditEntry, AuditFault, AuditFilter, AuditVerdict, DeniedRequest, HeadFault, HeadFit, SignedRows,
    VaultError,
};

impl Broker {
    /// Records a denied request. A provider that the catalogue does not have is left out, because
    /// the caller chose its text.
    pub async fn record_denied(&self, mut denied: DeniedRequest, who: &AuditContext) -> Result<(), VaultError> {
        denied.provider = denied.provider.filter(|name| self.0.catalog.get(name.as_str()).is_some());
        self.0.vault.audit().record_denied(denied, who).await
    }
}

impl VaultAdmin {
    /// Returns the rows that match the filter, and the number of the last row of the log.
    pub fn audit_rows(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, VaultError> {
        self.vault.audit().find(filter)
    }

    /// Verifies the log and calls `report` for each fault.
    pub fn verify_audit(&self, report: &mut dyn FnMut(AuditFault)) -> Result<AuditVerdict, VaultError> {
        self.vault.audit().verify(report)
    }

    /// Checks that the log contains what a signed head was made of.
    pub fn check_audit_head(&self, head: &str) -> Result<Result<(HeadFit, Option<SignedRows>), HeadFault>, VaultError> {
        self.vault.audit().check_head(head)
    }

    /// Writes each row as a line of JSON and returns the signed head over them.
    ///
    /// # Errors
    /// Returns the error of `write`, or that of the vault.
    pub fn export_audit<E: From<VaultError>>(&self, write: impl FnMut(&str) -> Result<(), E>) -> Result<String, E> {
        self.vault.audit().export(write)
    }

    /// Returns a signed head of the log.
    pub fn audit_head(&self) -> Result<String, VaultError> {
        self.vault.audit().signed_head()
    }

    /// Returns the public keys that verify signed heads, newest first.
    pub fn audit_keys(&self) -> Vec<SigningKey> {
        self.vault.audit().signing_keys()
    }

    /// Removes the rows that are older than `retention`. Returns their number and the time before which they were
    /// written.
    pub async fn prune_audit(&self, retention: Duration) -> Result<(u64, UnixTime), VaultError> {
        let (before, mut removed) = (self.clock.now().minus(retention), 0);
        loop {
            match self.vault.audit().prune(before, &self.who).await? {
                0 => return Ok((removed, before)),
                rows => removed += rows,
            }
        }
    }
}
