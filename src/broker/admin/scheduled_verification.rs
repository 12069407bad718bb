//! Scheduled verification: checks the whole vault soon after the start and then every
//! `vault.verify_every`. The start itself checks only the manifest, so that it stays fast.

use std::time::Duration;

use crate::broker::parts::Broker;

/// Maximum time between the start and the first verification.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Findings that are logged one by one.
const LOGGED: usize = 20;

impl Broker {
    /// Runs until the task is aborted.
    pub async fn run_scheduled_verification(self) {
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
        let vault = self.0.vault.clone();
        match tokio::task::spawn_blocking(move || vault.integrity().verify()).await {
            Ok(Ok(found)) if found.holds() => {
                tracing::info!(
                    records = found.records,
                    api_keys = found.api_keys,
                    audit_rows = found.audit_rows,
                    "vault verification passed"
                );
            }
            Ok(Ok(found)) => {
                for one in found.findings.iter().take(LOGGED) {
                    tracing::error!(table = one.table, row = one.row, "{}", one.what);
                }
                let count = found.findings.len() as u64 + found.more;
                tracing::error!(count, "vault verification failed; `strongroom vault verify` lists every finding");
            }
            Ok(Err(error)) => tracing::error!(%error, "cannot verify the vault"),
            Err(error) => tracing::error!(%error, "the verification task ended early"),
        }
    }
}
