//! Background refresh: ahead of their end, tokens are refreshed that nobody is asking for at the moment.
//!
//! What is due is asked of the vault, so a restart forgets nothing. A provider that fails several times in a row is left
//! alone until the next pass: an outage costs it a handful of requests, and no credential anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::outcome::{Declined, Demand, Outcome};
use super::schedule;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;
use crate::vault::{AuditContext, CredentialStatus, VaultError};

/// How often it is looked what is due.
const EVERY: Duration = Duration::from_secs(15);

/// How many of one provider are looked at in one pass.
const PER_PASS: u32 = 1_000;

/// At how many providers at one time.
const PROVIDERS: usize = 8;

/// How many at one provider at one time.
const PER_PROVIDER: usize = 4;

/// After how many failures in a row a provider is left alone until the next pass.
const ENOUGH_FAILURES: u32 = 5;

impl Broker {
    /// Refreshes ahead until it is dropped, where `oauth.background_refresh` is on: a server spawns it and aborts it at the
    /// end. A refresh that is under way then is a task of its own.
    pub async fn refresh_ahead(self) {
        if !self.0.config.oauth.background_refresh {
            return;
        }
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.refresh_due().await {
                Ok(0) => {}
                Ok(refreshed) => tracing::info!(refreshed, "tokens are refreshed ahead of their end"),
                Err(error) => tracing::warn!(%error, "what is due could not be read; the next pass tries again"),
            }
        }
    }

    /// One pass over what is due now; gives how many were refreshed. None in a vault that was restored and does not live yet:
    /// another may be refreshing with the same tokens, and the provider would end their grants.
    pub async fn refresh_due(&self) -> Result<usize, Error> {
        if self.waits_to_live()?.is_some() {
            return Ok(0);
        }
        let due = self.0.vault.due_refreshes(self.0.clock.now(), PER_PASS)?;
        let mut by_provider: BTreeMap<ProviderName, Vec<(UserId, CredentialId)>> = BTreeMap::new();
        for (user, id, provider) in due {
            by_provider.entry(provider).or_default().push((user, id));
        }
        let passes = stream::iter(by_provider).map(|(provider, due)| self.refresh_due_at(provider, due));
        Ok(passes.buffer_unordered(PROVIDERS).fold(0, |sum, refreshed| async move { sum + refreshed }).await)
    }

    async fn refresh_due_at(&self, provider: ProviderName, due: Vec<(UserId, CredentialId)>) -> usize {
        let (mut refreshed, many) = (0, due.len());
        // Those that are under way are waited for; what has not begun then does not begin.
        let in_a_row = AtomicU32::new(0);
        let fails = || in_a_row.load(Ordering::Relaxed) >= ENOUGH_FAILURES;
        let try_one = async |(user, id): (UserId, CredentialId)| {
            if fails() { Ok(None) } else { self.refresh_one(&user, &id).await }
        };
        let mut tries = std::pin::pin!(stream::iter(due).map(try_one).buffer_unordered(PER_PROVIDER));
        while let Some(outcome) = tries.next().await {
            match outcome {
                Ok(Some(Outcome::Refreshed)) => {
                    refreshed += 1;
                    in_a_row.store(0, Ordering::Relaxed);
                }
                Ok(Some(Outcome::Failed { .. })) => drop(in_a_row.fetch_add(1, Ordering::Relaxed)),
                Ok(_) => {}
                Err(error) => {
                    in_a_row.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%provider, %error, "a credential could not be refreshed ahead of its end");
                }
            }
        }
        if fails() {
            tracing::warn!(%provider, due = many, "the provider fails; what is due there waits for the next pass");
        }
        refreshed
    }

    /// Refreshes one, and sees to it that it does not come up again before it is due again.
    async fn refresh_one(&self, user: &UserId, id: &CredentialId) -> Result<Option<Outcome>, Error> {
        let Some(summary) = self.0.vault.credential(user, id)? else { return Ok(None) };
        if summary.kind != Kind::OAuth2 || summary.status == CredentialStatus::NeedsReauth {
            self.look_again(user, id, None).await?;
            return Ok(None);
        }
        let outcome = match self.refresh_for(&summary, Demand::Ahead, &AuditContext::system()).await {
            // Without a client here nothing can be refreshed; a later configuration may have one.
            Err(Error::NotConfigured(_)) => Outcome::Declined(Declined::OtherClient),
            other => other?,
        };
        if let Outcome::Declined(reason) = &outcome {
            let now = self.0.clock.now();
            let again = match reason {
                Declined::Fresh => schedule::look_again_at(&summary).map(|at| at.max(now.plus(EVERY))),
                Declined::BackingOff { until, .. } => Some(*until),
                Declined::OtherClient | Declined::NotConfigured => Some(now.plus(LATER)),
                Declined::NoRefreshToken | Declined::NeedsReauth => None,
            };
            self.look_again(user, id, again).await?;
        }
        Ok(Some(outcome))
    }

    async fn look_again(&self, user: &UserId, id: &CredentialId, at: Option<UnixTime>) -> Result<(), VaultError> {
        self.0.vault.schedule_refresh(user, id, at).await
    }
}

/// When it is looked again whether the configuration has the credential's client.
const LATER: Duration = Duration::from_secs(3_600);
