//! The revocation queue: what is deleted here and not yet confirmed there is tried again, backing off, until its time is up.

use std::time::Duration;

use super::{Broker, Error};
use crate::oauth::{self, Revocable};
use crate::vault::{QueuedRevocation, VaultError, Who};

/// The first wait after a failure; it doubles with every further one.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

/// How many are tried in one pass.
const PER_PASS: u32 = 100;

impl Broker {
    /// Tries what is due once, and drops what has been tried for longer than `vault.revoke_retry`.
    /// Gives how many the providers confirmed.
    pub async fn retry_revocations(&self) -> Result<usize, Error> {
        let who = Who::system();
        let now = self.0.clock.now();
        match self.0.vault.drop_expired_revocations(now).await {
            Ok(0) => {}
            Ok(dropped) => {
                tracing::warn!(
                    dropped,
                    "revocations that no provider confirmed in time are given up; revoke them by hand"
                );
            }
            Err(error) => tracing::warn!(%error, "revocations to be given up could not be erased"),
        }
        let mut confirmed = 0;
        for queued in self.0.vault.due_revocations(now, PER_PASS)? {
            match queued {
                Ok(queued) => confirmed += usize::from(self.revoke(queued, &who).await),
                Err(error) => tracing::error!(%error, "a queued revocation cannot be read; revoke it by hand"),
            }
        }
        Ok(confirmed)
    }

    /// Sends one revocation and records what came of it: whether the provider confirmed.
    pub(super) async fn revoke(&self, queued: QueuedRevocation, who: &Who) -> bool {
        let provider = &queued.provider;
        let outcome = self.send_revocation(&queued).await;
        let recorded = match &outcome {
            Ok(()) => self.0.vault.finish_revocation(&queued.id, who).await,
            Err(reason) => {
                tracing::warn!(%provider, %reason, attempts = queued.attempts + 1, "a revocation failed and will be tried again");
                self.postpone(&queued).await
            }
        };
        if let Err(error) = recorded {
            tracing::error!(%provider, %error, credential = %queued.credential_id, "what came of a revocation could not be recorded");
        }
        outcome.is_ok()
    }

    async fn send_revocation(&self, queued: &QueuedRevocation) -> Result<(), String> {
        let connectable = self.connectable(queued.provider.as_str()).map_err(|error| error.to_string())?;
        if queued.client_id.as_ref().is_some_and(|id| *id != connectable.client.id) {
            return Err("the tokens belong to another client than the configured one".to_owned());
        }
        let entry = connectable.oauth.for_credential(&queued.tokens.metadata).map_err(|fault| fault.to_string())?;
        let revoke = entry.revoke.as_ref();
        let revoke = revoke.ok_or("the provider's entry has no revocation any more")?;
        let tokens = Revocable {
            access_token: Some(&queued.tokens.access_token),
            refresh_token: queued.tokens.refresh_token.as_ref(),
        };
        let sent = oauth::revoke(&self.0.egress, revoke, &entry, &connectable.client, &tokens).await;
        sent.map_err(|error| error.to_string())
    }

    async fn postpone(&self, queued: &QueuedRevocation) -> Result<(), VaultError> {
        let wait = FIRST_WAIT.saturating_mul(1 << queued.attempts.min(16)).min(LONGEST_WAIT);
        self.0.vault.postpone_revocation(&queued.id, self.0.clock.now().plus(wait)).await
    }
}
