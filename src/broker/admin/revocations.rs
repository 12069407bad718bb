//! Revocation queue: retries revocations that the provider did not confirm, with backoff, until
//! `vault.revoke_retry` is over. Administrators can list the queue with the last error of each
//! entry.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::caller::Administrator;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::broker::vault_admin::VaultAdmin;
use crate::clock::UnixTime;
use crate::egress;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::oauth::{self, RevocableTokens};
use crate::secret::Secret;
use crate::vault::{
    AuditContext, CredentialPage, GivenUp, QueuedRevocation, RetryBounds, RevocationId, RevocationScope, VaultError,
};

/// Wait after the first failure; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// Maximum wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

/// Maximum attempts per provider in one pass.
const PER_PASS: u32 = 50;

/// Concurrent requests per provider.
const AT_ONE_PROVIDER: usize = 4;

/// Concurrent requests per provider if an operator or a caller waits for them.
const AT_ONE_PROVIDER_NOW: usize = 16;

/// Maximum time for which they wait.
const NOW: Duration = Duration::from_secs(60);

/// Providers contacted concurrently. One that hangs takes one of these places and does not delay
/// the others.
const PROVIDERS_AT_ONCE: usize = 16;

/// A revocation that the provider did not confirm yet. It contains no token.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WaitingRevocation {
    /// Id of the revocation.
    pub id: String,
    /// User that owned the credential.
    #[schema(value_type = String)]
    pub user: UserId,
    /// Provider that issued the tokens.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// Id of the deleted credential.
    #[schema(value_type = String)]
    pub credential_id: CredentialId,
    /// Number of failed attempts.
    pub attempts: u32,
    /// Error of the last attempt; `null` if none failed yet.
    #[schema(required = true)]
    pub last_error: Option<String>,
    /// Time of the next attempt, in Unix seconds.
    #[schema(value_type = i64)]
    pub next_attempt_at: UnixTime,
    /// Time at which the revocation is given up and its tokens are erased, in Unix seconds.
    #[schema(value_type = i64)]
    pub give_up_at: UnixTime,
}

impl From<QueuedRevocation> for WaitingRevocation {
    fn from(queued: QueuedRevocation) -> Self {
        Self {
            id: queued.id.to_string(),
            user: queued.user,
            provider: queued.provider,
            credential_id: queued.credential_id,
            attempts: queued.attempts,
            last_error: queued.last_error,
            next_attempt_at: queued.not_before,
            give_up_at: queued.give_up_at,
        }
    }
}

/// One page of the queue.
#[derive(Debug)]
pub struct RevocationList {
    /// Entries in the order in which the credentials were connected.
    pub revocations: Vec<WaitingRevocation>,
    /// Last credential id of this page if more follow: the next value of `after`.
    pub next_after: Option<CredentialId>,
    /// Errors of entries that cannot be read; they are missing from `revocations`.
    pub damaged: Vec<VaultError>,
}

impl VaultAdmin {
    /// Lists the queued revocations of the users that the administrator may act for, within the
    /// limits of its key.
    pub fn revocations(
        &self,
        administrator: &Administrator,
        page: CredentialPage,
    ) -> Result<RevocationList, VaultError> {
        let covers = |user: &UserId, provider: &ProviderName, credential: &CredentialId| {
            administrator.holder.acts_for(user) && administrator.limits.allow(provider, credential)
        };
        let queue = self.vault.revocations().list(covers, page.after, page.limit)?;
        let next_after = queue.waiting.last().filter(|_| queue.more).map(|last| last.credential_id);
        let revocations = queue.waiting.into_iter().map(WaitingRevocation::from).collect();
        Ok(RevocationList { revocations, next_after, damaged: queue.damaged })
    }
}

impl Broker {
    /// Lists the queued revocations of the users that the administrator may act for.
    pub fn revocations(&self, administrator: &Administrator, page: CredentialPage) -> Result<RevocationList, Error> {
        Ok(self.admin(administrator.who.clone()).revocations(administrator, page)?)
    }

    /// Retries what is due once and gives up what was tried for longer than `vault.revoke_retry`.
    /// Returns the number of confirmed revocations.
    pub async fn retry_revocations(&self) -> Result<usize, Error> {
        if self.unpromoted_restore()?.is_some() {
            return Ok(0);
        }
        let now = self.0.clock.now();
        let time = self.0.config.vault.revoke_retry;
        let bounds = RetryBounds { time, tries: tries_within(time) };
        match self.0.vault.revocations().drop_expired(now, bounds).await {
            Ok(given_up) => {
                for one in given_up {
                    match one {
                        Ok(GivenUp { provider, credential_id }) => {
                            tracing::warn!(%provider, credential = %credential_id, "gave up a revocation that the provider never confirmed; revoke the token at the provider");
                        }
                        Err(error) => {
                            tracing::error!(%error, "cannot read a queued revocation; revoke the token at the provider");
                        }
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "cannot erase revocations that were given up"),
        }
        self.try_revocations(now, PER_PASS, &AuditContext::system()).await
    }

    /// Retries the whole queue once, due or not. Returns the number of confirmed revocations.
    pub async fn retry_all_revocations(&self, who: &AuditContext) -> Result<usize, Error> {
        if self.unpromoted_restore()?.is_some() {
            return Err(Error::NotPromoted);
        }
        self.try_revocations(UnixTime(i64::MAX), u32::MAX, who).await
    }

    async fn try_revocations(&self, due: UnixTime, of_each: u32, who: &AuditContext) -> Result<usize, Error> {
        let queued = self.0.vault.revocations().due(self.0.clock.now(), due, of_each)?.into_iter();
        let readable = queued.filter_map(|queued| {
            queued
                .inspect_err(|error| {
                    tracing::error!(%error, "cannot read a queued revocation; revoke the token at the provider");
                })
                .ok()
        });
        let lanes = by_provider(readable);
        let lanes = stream::iter(lanes.into_values().map(|lane| self.clone().revoke_each(lane, who.clone())));
        Ok(lanes.buffer_unordered(PROVIDERS_AT_ONCE).collect::<Vec<usize>>().await.into_iter().sum())
    }

    /// Sends revocations that were just queued, a few at a time for each provider, for at most
    /// [`NOW`]. Returns each outcome: true if the provider confirmed, `None` if there was nothing
    /// to revoke. One without an outcome stays in the queue.
    pub(in crate::broker) async fn revoke_now(
        &self,
        queued: Vec<QueuedRevocation>,
        who: &AuditContext,
    ) -> HashMap<RevocationId, Option<bool>> {
        let outcomes = Mutex::new(HashMap::new());
        let all = stream::iter(by_provider(queued)).for_each_concurrent(PROVIDERS_AT_ONCE, async |(provider, lane)| {
            let revokes = self.revocation_at(&provider).await != RevocationScope::Never;
            let each = stream::iter(lane).for_each_concurrent(AT_ONE_PROVIDER_NOW, async |queued| {
                let id = queued.id.clone();
                let outcome = if revokes && !Self::has_no_revocation(&queued) {
                    Some(self.revoke(queued, who).await)
                } else {
                    if let Err(error) = self.0.vault.revocations().finish(&id, who).await {
                        tracing::error!(%provider, %error, "cannot remove a revocation from the queue");
                    }
                    None
                };
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(id, outcome);
            });
            each.await;
        });
        // The queue has what is not sent in this time.
        let _ = tokio::time::timeout(NOW, Box::pin(all)).await;
        outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the revocations of one provider, a few at a time. Returns the number of confirmed
    /// ones.
    async fn revoke_each(self, lane: Vec<QueuedRevocation>, who: AuditContext) -> usize {
        let sent = lane.into_iter().map(|queued| {
            let (broker, who) = (self.clone(), who.clone());
            async move { broker.revoke(queued, &who).await }
        });
        let outcomes: Vec<bool> = stream::iter(sent).buffer_unordered(AT_ONE_PROVIDER).collect().await;
        outcomes.into_iter().filter(|confirmed| *confirmed).count()
    }

    /// Sends one revocation and records the outcome. Returns true if the provider confirmed.
    pub(in crate::broker) async fn revoke(&self, queued: QueuedRevocation, who: &AuditContext) -> bool {
        let provider = &queued.provider;
        let owner = egress::owner(&queued.user);
        let outcome = egress::on_behalf_of(owner, self.send_revocation(&queued)).await;
        let recorded = match &outcome {
            Ok(()) => self.0.vault.revocations().finish(&queued.id, who).await,
            Err(reason) => {
                tracing::warn!(%provider, %reason, attempts = queued.attempts + 1, "revocation failed; it will be retried");
                self.postpone(&queued, reason).await
            }
        };
        if let Err(error) = recorded {
            tracing::error!(%provider, %error, credential = %queued.credential_id, "cannot record the outcome of a revocation");
        }
        outcome.is_ok()
    }

    async fn send_revocation(&self, queued: &QueuedRevocation) -> Result<(), String> {
        if self.unpromoted_restore().map_err(|error| error.to_string())?.is_some() {
            return Err(Error::NotPromoted.to_string());
        }
        let provider = queued.provider.as_str();
        let connectable = match queued.tokens.renewal.as_deref() {
            Some(renewal) => self.for_service(provider, renewal).await,
            None => self.connectable_as(provider, queued.tokens.discovery.as_deref()).await,
        };
        let connectable = connectable.map_err(|error| error.to_string())?;
        if queued.client_id.as_ref().is_some_and(|id| *id != connectable.client.id) {
            return Err("the tokens were issued to another client than the configured one".to_owned());
        }
        let entry = connectable.oauth.for_credential(&queued.tokens.metadata).map_err(|fault| fault.to_string())?;
        let revoke = entry.revoke.as_ref();
        let revoke = revoke.ok_or("the provider's entry no longer has a revocation endpoint")?;
        let send = async |access_token, refresh_token: &Option<Secret>| {
            let tokens = RevocableTokens { access_token: Some(access_token), refresh_token: refresh_token.as_ref() };
            oauth::revoke(&connectable.egress, revoke, &entry, &connectable.client, &tokens).await
        };
        let tokens = &queued.tokens;
        send(&tokens.access_token, &tokens.refresh_token).await.map_err(|error| error.to_string())?;
        for earlier in tokens.replaced.iter().flatten() {
            match send(&earlier.access_token, &earlier.refresh_token).await {
                Err(error) if error.is_temporary() => return Err(error.to_string()),
                // A provider that ended the whole grant may refuse to end a part of it again.
                _ => {}
            }
        }
        Ok(())
    }

    async fn postpone(&self, queued: &QueuedRevocation, reason: &str) -> Result<(), VaultError> {
        let next = self.0.clock.now().plus(wait_after(queued.attempts));
        self.0.vault.revocations().postpone(&queued.id, next, reason).await
    }
}

fn by_provider(queued: impl IntoIterator<Item = QueuedRevocation>) -> BTreeMap<ProviderName, Vec<QueuedRevocation>> {
    let mut lanes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for queued in queued {
        lanes.entry(queued.provider.clone()).or_default().push(queued);
    }
    lanes
}

/// Returns the wait after a failure that follows `failures` others.
fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT)
}

/// Returns the number of attempts, with their waits, that fit into `time`.
fn tries_within(time: Duration) -> u32 {
    let (mut tries, mut passed) = (0, Duration::ZERO);
    while passed < time {
        passed += wait_after(tries);
        tries += 1;
    }
    tries
}
