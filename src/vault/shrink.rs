//! Gives room that deleted rows leave in the file back to the file system, in small steps.

use std::time::Duration;

use super::error::VaultError;
use super::open::Vault;

/// Free pages of 4 KiB that stay in the file for later writes.
const KEPT: u64 = 256;

/// Pages of one step. Other writes wait for at most one step.
const STEP: u32 = 64;

/// Maximum number of steps at one time.
const STEPS: u32 = 500;

/// Pause between two steps, for other writes.
const PAUSE: Duration = Duration::from_millis(2);

impl Vault {
    /// Removes free pages from the file, except a few, and returns the number of steps.
    pub async fn shrink(&self) -> Result<u32, VaultError> {
        let store = &self.core().store;
        for step in 0..STEPS {
            if store.free_pages()? <= KEPT + u64::from(STEP) {
                return Ok(step);
            }
            store.remove_free_pages(STEP).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(STEPS)
    }
}
