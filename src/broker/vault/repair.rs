//! Verify and repair.

use std::path::PathBuf;

use crate::broker::vault_admin::VaultAdmin;
use crate::vault::{Repair, VaultError, Verification};

impl VaultAdmin {
    /// Opens every record, recounts everything, and reports what is damaged, missing or unexpected.
    /// It works beside a running server and changes nothing.
    pub fn verify(&self) -> Result<Verification, VaultError> {
        self.vault.integrity().verify()
    }

    /// Returns what a repair would erase, and changes nothing.
    pub async fn plan_repair(&self) -> Result<Repair, VaultError> {
        self.vault.integrity().plan_repair(&self.who).await
    }

    /// Copies the vault beside itself, then carries out the plan. The caller has agreed to all of
    /// it. Calls `copied` with the path of the copy before anything is erased.
    pub async fn repair(&self, plan: &Repair, copied: impl FnOnce(&PathBuf)) -> Result<PathBuf, VaultError> {
        let copy = self.vault.integrity().copy_before_repair()?;
        copied(&copy);
        self.vault.integrity().repair(plan, &self.who).await?;
        Ok(copy)
    }
}
