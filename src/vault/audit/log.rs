//! The log as it is read by people: verified as a whole, and looked through.

use super::{AuditFault, verify};
use crate::vault::VaultError;
use crate::vault::manifest::Manifest;
use crate::vault::open::Vault;

/// What a walk along the whole log gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditVerdict {
    /// How many rows are as they were written.
    pub sound: u64,
    /// The number of the first row that should be there; earlier ones were removed by retention.
    pub first: u64,
    /// The number of the last row that was ever written.
    pub last: u64,
}

impl Vault {
    /// Walks the whole audit log, in bounded memory, and tells `report` everything that does not hold.
    pub fn verify_audit(&self, report: &mut dyn FnMut(AuditFault)) -> Result<AuditVerdict, VaultError> {
        let keyring = self.keyring();
        self.inner.store.read(|view| {
            let manifest = Manifest::load(view, &keyring)?;
            let sound = verify(view, &keyring, &manifest, report)?;
            Ok(AuditVerdict { sound, first: manifest.audit_base + 1, last: manifest.audit_length })
        })
    }
}
