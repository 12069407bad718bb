//! Verification by the clock: soon after the start, and then as often as `vault.verify_every` says, the server looks whether
//! everything in the vault holds. At the start itself only the manifest is checked, so that it stays fast.

use std::time::Duration;

use crate::broker::parts::Broker;

/// How long after the start the first one is, at most.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// How many findings are logged one by one.
const LOGGED: usize = 20;

impl Broker {
    /// Verifies until it is dropped: a server spawns it and aborts it at the end.
    pub async fn verify_on_time(self) {
        let every = self.0.config.vault.verify_every;
        if every.is_zero() {
            return;
        }
        tokio::time::sleep(every.min(FIRST_AFTER)).await;
        loop {
            self.verify_once().await;
            tokio::time::sleep(every).await;
        }
    }

    async fn verify_once(&self) {
        let vault = self.vault().clone();
        match tokio::task::spawn_blocking(move || vault.verify()).await {
            Ok(Ok(found)) if found.holds() => {
                tracing::info!(
                    records = found.records,
                    api_keys = found.api_keys,
                    audit_rows = found.audit_rows,
                    "everything in the vault holds"
                );
            }
            Ok(Ok(found)) => {
                for one in found.findings.iter().take(LOGGED) {
                    tracing::error!(table = one.table, row = one.row, "{}", one.what);
                }
                let count = found.findings.len() as u64 + found.more;
                tracing::error!(count, "the vault does not hold: `strongroom vault verify` names everything");
            }
            Ok(Err(error)) => tracing::error!(%error, "the vault could not be verified"),
            Err(error) => tracing::error!(%error, "the verification of the vault ended early"),
        }
    }
}
