//! Refresh: one transaction records the intent, one request is sent, and one transaction stores the
//! outcome before any caller sees it.

use std::sync::Arc;
use std::time::Duration;

use super::outcome::{Declined, Demand, RefreshOutcome};
use super::schedule;
use super::single_flight::Announce;
use crate::broker::caller::Caller;
use crate::broker::credentials::get::CredentialDetail;
use crate::broker::error::Error;
use crate::broker::login::connectable::Connectable;
use crate::broker::parts::Broker;
use crate::catalog::entry::GrantType;
use crate::clock::UnixTime;
use crate::egress;
use crate::kind::Kind;
use crate::oauth::{self, BuildError, Grant, OAuthError, RefreshRequest};
use crate::vault::{
    AuditContext, CredentialMetadata, CredentialStatus, RefreshEnd, RefreshFailure, RefreshStart, RefreshTerms,
    RefreshTicket, Refreshed, Renewal, RevocationScope, StoreError, Tokens, VaultError,
};

/// Wait between two attempts to store tokens that the vault could not take.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Broker {
    /// Refreshes the user's credential now, however fresh its token is. A `Retry-After` of the
    /// provider is respected; our own backoff is not.
    pub async fn refresh(&self, caller: &Caller, provider: &str, id: &str) -> Result<CredentialDetail, Error> {
        let summary = self.owned_at(caller, provider, id)?;
        if summary.kind != Kind::OAuth2 {
            return Err(Error::NothingToRefresh(summary.kind));
        }
        match self.refresh_for(&summary, Demand::Forced, &caller.who).await? {
            RefreshOutcome::Refreshed | RefreshOutcome::Overtaken | RefreshOutcome::Declined(Declined::Fresh) => {}
            other => return Err(self.not_refreshed(&self.owned_at(caller, provider, id)?, other)),
        }
        Ok(self.detail(&self.owned_at(caller, provider, id)?))
    }

    /// Refreshes the credential, or joins the refresh under way.
    pub(in crate::broker) async fn refresh_for(
        &self,
        summary: &CredentialMetadata,
        demand: Demand,
        who: &AuditContext,
    ) -> Result<RefreshOutcome, Error> {
        // Checked before anything is written: without a client there is no request to send. MCP
        // servers and credentials with their own client are checked when the secret is open.
        if !self.is_mcp(summary)
            && let Err(error) = self.refresher(summary, None).await
            && !self.may_have_own_client(summary)
        {
            return Err(error);
        }
        loop {
            let (broker, credential, who) = (self.clone(), summary.clone(), who.clone());
            // A task of its own, whose lookups count for the owner and not for those who wait.
            let owner = egress::owner(&summary.user);
            let run = |announce| {
                egress::on_behalf_of(owner, async move {
                    broker.run_refresh(&credential, demand, &who, announce).await;
                })
            };
            match self.0.single_flight.join(summary.id, run).await {
                // Another caller's refresh declined because of *that* caller's demand.
                (Some(RefreshOutcome::Declined(_)), false) => tokio::task::yield_now().await,
                (Some(outcome), _) => return Ok(outcome),
                (None, _) => return Err(Error::RefreshBroke),
            }
        }
    }

    /// Returns the provider and our client, if both are still configured.
    async fn refresher(&self, summary: &CredentialMetadata, found: Option<&str>) -> Result<Connectable<'_>, Error> {
        let provider = summary.provider.as_str();
        self.connectable_as(provider, found).await.map_err(|error| match error {
            Error::ServerUnusable(_) | Error::ServerTooSlow(_) => error,
            _ => Error::NotConfigured(provider.to_owned()),
        })
    }

    /// Returns true if the provider may issue tokens to clients other than the configured one.
    fn may_have_own_client(&self, summary: &CredentialMetadata) -> bool {
        let known = self.0.catalog.get(summary.provider.as_str()).and_then(|known| known.entry.oauth.as_ref());
        known.is_some_and(|oauth| oauth.grants.iter().any(|grant| *grant != GrantType::AuthorizationCode))
    }

    /// Runs one refresh: begin, send, end. It runs to its end even if no caller waits any more.
    async fn run_refresh(
        &self,
        summary: &CredentialMetadata,
        demand: Demand,
        who: &AuditContext,
        announce: Announce<RefreshOutcome>,
    ) {
        let outcome = match self.begin_refresh(summary, demand, who).await {
            Err(error) => RefreshOutcome::Vault(Arc::new(error)),
            Ok(RefreshStart::Gone) => RefreshOutcome::Overtaken,
            Ok(RefreshStart::Declined(reason)) => RefreshOutcome::Declined(reason),
            Ok(RefreshStart::Begun(ticket, mut tokens)) => {
                self.choose_dpop_key(&ticket.summary, &mut tokens);
                // Looked up before the request, so that nothing delays the commit after the answer.
                let overtaken = self.revocation_of(&ticket.summary).await;
                match self.exchange_refresh_token(&ticket.summary, &tokens).await {
                    Ok(grant) => {
                        let refreshed = self.refreshed(&ticket.summary, tokens, grant);
                        return self.keep_refreshed(&ticket, refreshed, overtaken, who, announce).await;
                    }
                    Err(Failed::Refused(what)) => self.note_refusal(&ticket, what, who).await,
                    Err(Failed::Otherwise(failure)) => self.note_failure(&ticket, failure, who).await,
                }
            }
        };
        announce.outcome(outcome);
    }

    async fn begin_refresh(
        &self,
        summary: &CredentialMetadata,
        demand: Demand,
        who: &AuditContext,
    ) -> Result<RefreshStart<Declined>, VaultError> {
        let clock = self.0.clock.clone();
        let client_id = match self.0.clients.at(&summary.provider) {
            _ if self.is_mcp(summary) => summary.client_id.clone(),
            client => client.map(|client| client.id),
        };
        let decline = move |summary: &CredentialMetadata, tokens: &Tokens| {
            decline(summary, tokens, demand, client_id.as_deref(), clock.now())
        };
        self.0.vault.refreshes().begin(&summary.user, &summary.id, decline, who).await
    }

    /// Sends the request.
    async fn exchange_refresh_token(&self, summary: &CredentialMetadata, tokens: &Tokens) -> Result<Grant, Failed> {
        // These were checked before the refresh began; only values that no longer fit a changed
        // entry can fail here.
        let unusable = || Failed::Otherwise(BuildError::Url.into());
        if let Some(renewal) = tokens.renewal.as_deref() {
            let configured = matches!(renewal, Renewal::ClientCredentials { own: None });
            return self.renew(summary, tokens, renewal).await.map_err(|error| match error {
                refusal if !configured && refusal.ends_service() => Failed::Refused(refusal.to_string()),
                other => Failed::Otherwise(other),
            });
        }
        let found = tokens.discovery.as_deref();
        let connectable = self.refresher(summary, found).await.map_err(|_| unusable())?;
        let entry = connectable.oauth.for_credential(&tokens.metadata).map_err(|_| unusable())?;
        let refresh_token = tokens.refresh_token.as_ref().ok_or_else(unusable)?;
        let granted = summary.scopes.as_deref().unwrap_or_default();
        let redirect_uri = tokens.redirect_uri.as_deref();
        let old = RefreshRequest { refresh_token, access_token: &tokens.access_token, granted, redirect_uri };
        let client = connectable.client.clone().with_dpop(tokens.dpop_key.clone());
        let sent = oauth::refresh(&connectable.egress, &entry, &client, &old).await;
        if let (Err(error), Some(found)) = (&sent, found)
            && error.rejects_registration()
            && let Some(anew) = self.register_again(&summary.provider, &connectable.egress, found, &client.id).await
        {
            let anew = anew.with_dpop(tokens.dpop_key.clone());
            let sent = oauth::refresh(&connectable.egress, &entry, &anew, &old).await;
            // If this is refused, the grant is lost: its tokens belong to a client that no longer
            // exists.
            return sent.map_err(|error| match error {
                OAuthError::Refused(_) => Failed::Refused(error.to_string()),
                other => Failed::Otherwise(other),
            });
        }
        sent.map_err(|error| match error {
            refusal if refusal.ends_grant(&entry) => Failed::Refused(refusal.to_string()),
            other => Failed::Otherwise(other),
        })
    }

    /// Stores the new tokens, then announces them. If the vault cannot be written now (a full
    /// disk), they are held in memory and stored later: a provider with rotation has invalidated
    /// the old ones.
    async fn keep_refreshed(
        &self,
        ticket: &RefreshTicket,
        refreshed: Refreshed,
        overtaken: RevocationScope,
        who: &AuditContext,
        announce: Announce<RefreshOutcome>,
    ) {
        let terms = RefreshTerms {
            revocation: overtaken,
            retry_for: self.0.config.vault.revoke_retry,
            quota: self.user_quota(),
        };
        let (id, provider) = (ticket.summary.id, &ticket.summary.provider);
        let mut told = false;
        loop {
            match self.0.vault.refreshes().finish(ticket, refreshed.clone(), terms.clone(), who).await {
                Ok(RefreshEnd::Stored(_)) => {
                    tracing::debug!(%provider, credential = %id, "refreshed");
                    return announce.outcome(RefreshOutcome::Refreshed);
                }
                Ok(RefreshEnd::Overtaken(queued)) => {
                    tracing::info!(%provider, credential = %id, "the credential was deleted or reconnected during a refresh; the new tokens are discarded");
                    announce.outcome(RefreshOutcome::Overtaken);
                    self.revoke_now(queued.into_iter().map(|queued| *queued).collect(), who).await;
                    return;
                }
                Ok(RefreshEnd::NoRoom(queued)) => {
                    tracing::warn!(%provider, credential = %id, "the refreshed tokens are too large for the quota of the user; they are discarded, and the user must connect the account again");
                    announce.outcome(RefreshOutcome::NeedsReauth);
                    self.revoke_now(queued.into_iter().map(|queued| *queued).collect(), who).await;
                    return;
                }
                Err(error) if error.cannot_write() && !matches!(error, VaultError::Store(StoreError::Stopped(_))) => {
                    if !told {
                        tracing::warn!(%provider, credential = %id, %error, "cannot store refreshed tokens; they stay in memory until the vault can be written");
                        announce.outcome(RefreshOutcome::Vault(Arc::new(error)));
                        told = true;
                    }
                    tokio::time::sleep(STORE_AGAIN_AFTER).await;
                }
                Err(error) => {
                    tracing::error!(%provider, credential = %id, %error, "refreshed tokens are lost: the vault rejected them");
                    return announce.outcome(RefreshOutcome::Vault(Arc::new(error)));
                }
            }
        }
    }

    /// Merges the token response into the previous tokens.
    fn refreshed(&self, summary: &CredentialMetadata, old: Tokens, grant: Grant) -> Refreshed {
        let now = self.0.clock.now();
        let mut metadata = old.metadata;
        metadata.extend(grant.metadata);
        if let Some(oauth) = self.0.catalog.get(summary.provider.as_str()).and_then(|known| known.entry.oauth.as_ref())
        {
            oauth.renew_token_values(&mut metadata);
        }
        let told = grant.refresh_expires_in.map(|lifetime| now.plus(lifetime));
        let tokens = Tokens {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token,
            token_type: grant.token_type,
            lifetime: grant.expires_in,
            refresh_expires_at: told.or(old.refresh_expires_at),
            metadata,
            renewal: old.renewal,
            dpop_key: old.dpop_key,
            redirect_uri: old.redirect_uri,
            discovery: old.discovery,
            issued_by: old.issued_by,
            replaced: old.replaced,
        };
        let expires_at = grant.expires_in.map(|lifetime| now.plus(lifetime));
        let refresh_at = schedule::refresh_at(&tokens, now, self.0.random);
        Refreshed { tokens, scopes: grant.scopes, expires_at, refresh_at }
    }

    async fn note_refusal(&self, ticket: &RefreshTicket, what: String, who: &AuditContext) -> RefreshOutcome {
        let (id, provider) = (ticket.summary.id, &ticket.summary.provider);
        tracing::warn!(%provider, credential = %id, reason = what, "the provider refused the refresh token; the user must connect the account again");
        match self.0.vault.refreshes().mark_needs_reauth(ticket, what, who).await {
            Ok(Some(_)) => RefreshOutcome::NeedsReauth,
            Ok(None) => RefreshOutcome::Overtaken,
            Err(error) => RefreshOutcome::Vault(Arc::new(error)),
        }
    }

    async fn note_failure(&self, ticket: &RefreshTicket, error: OAuthError, who: &AuditContext) -> RefreshOutcome {
        let (id, provider) = (ticket.summary.id, &ticket.summary.provider);
        let now = self.0.clock.now();
        let failures = ticket.summary.refreshing.failures;
        let (until, told_to_wait) = schedule::next_try(failures, error.retry_after(), now, self.0.random);
        let (mut what, in_doubt, refused) = (shown(&error), error.in_doubt(), error.is_unclear_refusal());
        let limit = self.0.config.oauth.unclear_refusals_after;
        let since = ticket.summary.refreshing.refused_since.filter(|since| refused && since.plus(limit) <= now);
        if let Some(since) = since {
            what = format!("{what} (refused since {since}; the account may have to be connected again)");
            tracing::error!(%provider, credential = %id, %since, reason = what, "the provider has long refused to refresh, for a reason that is not understood; connect the account again");
        }
        tracing::warn!(%provider, credential = %id, reason = what, in_doubt, failures = failures + 1, "refresh failed; it will be retried");
        let failure = RefreshFailure { what: what.clone(), next_try: until, told_to_wait, in_doubt, refused };
        match self.0.vault.refreshes().fail(ticket, failure, who).await {
            Ok(Some(_)) => {
                let too_slow = matches!(&error, OAuthError::Unreachable(error) if error.timed_out())
                    || matches!(error, OAuthError::Status { status: 504, .. });
                RefreshOutcome::Failed { what, too_slow, until }
            }
            Ok(None) => RefreshOutcome::Overtaken,
            Err(error) => RefreshOutcome::Vault(Arc::new(error)),
        }
    }

    /// Returns the error for a caller that needed this refresh.
    pub(in crate::broker) fn not_refreshed(&self, summary: &CredentialMetadata, outcome: RefreshOutcome) -> Error {
        let needs_reauth =
            |cause: String| Error::NeedsReauth { provider: summary.provider.to_string(), id: summary.id, cause };
        let wait = |until: UnixTime| {
            let seconds = self.0.clock.now().seconds_until(until);
            u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
        };
        let last_error = || summary.refreshing.last_error.as_ref().map(|error| error.what.clone());
        match outcome {
            RefreshOutcome::Failed { what, too_slow, until } => {
                Error::NotRefreshed { what, too_slow, retry_after: wait(until) }
            }
            RefreshOutcome::Declined(Declined::BackingOff { until, what }) => {
                Error::NotRefreshed { what, too_slow: false, retry_after: wait(until) }
            }
            RefreshOutcome::Vault(error) => Error::SharedVault(error),
            RefreshOutcome::NeedsReauth | RefreshOutcome::Declined(Declined::NeedsReauth) => {
                needs_reauth(last_error().unwrap_or_else(|| "the provider refused the refresh token".to_owned()))
            }
            RefreshOutcome::Declined(Declined::NoRefreshToken)
                if schedule::is_fresh(summary, self.0.clock.now(), Duration::ZERO) =>
            {
                Error::NotRefreshable
            }
            RefreshOutcome::Declined(Declined::NoRefreshToken) => {
                needs_reauth("the provider gave no refresh token".to_owned())
            }
            RefreshOutcome::Declined(Declined::NotConfigured) => Error::NotConfigured(summary.provider.to_string()),
            RefreshOutcome::Declined(Declined::OtherClient) => needs_reauth(
                "the account was connected through another OAuth client than the configured one".to_owned(),
            ),
            RefreshOutcome::Refreshed | RefreshOutcome::Overtaken | RefreshOutcome::Declined(Declined::Fresh) => {
                Error::NotRefreshed {
                    what: "the provider's new access token has already expired".to_owned(),
                    too_slow: false,
                    retry_after: None,
                }
            }
        }
    }
}

/// Reason why there is no new token.
enum Failed {
    /// The provider refuses for good; the user must connect the account again.
    Refused(String),
    /// Any other error.
    Otherwise(OAuthError),
}

/// Returns the reason to send no request, if there is one at this moment.
fn decline(
    summary: &CredentialMetadata,
    tokens: &Tokens,
    demand: Demand,
    client_id: Option<&str>,
    now: UnixTime,
) -> Option<Declined> {
    let refreshing = &summary.refreshing;
    if summary.status == CredentialStatus::NeedsReauth {
        return Some(Declined::NeedsReauth);
    }
    let enough = match demand {
        Demand::TimeToLive(min_ttl) => schedule::is_fresh(summary, now, min_ttl),
        Demand::Ahead => !schedule::is_due(summary, now),
        Demand::Forced => false,
    };
    if enough {
        return Some(Declined::Fresh);
    }
    if !tokens.can_be_renewed() {
        return Some(Declined::NoRefreshToken);
    }
    let own = matches!(
        tokens.renewal.as_deref(),
        Some(Renewal::ClientCredentials { own: Some(_) } | Renewal::ServiceAccount(_))
    );
    if !own && client_id.is_none() && summary.client_id.is_some() {
        return Some(Declined::NotConfigured);
    }
    if !own && summary.client_id.as_deref().is_some_and(|id| Some(id) != client_id) {
        return Some(Declined::OtherClient);
    }
    let holds = refreshing.told_to_wait || !matches!(demand, Demand::Forced);
    let until = refreshing.next_try.filter(|until| holds && schedule::is_to_come(*until, now))?;
    let what = refreshing.last_error.as_ref().map_or_else(String::new, |error| error.what.clone());
    Some(Declined::BackingOff { until, what })
}

/// Formats the error, with advice if the configuration is wrong.
fn shown(error: &OAuthError) -> String {
    match error {
        OAuthError::Refused(response) if response.names_client() => {
            format!("{error} (check client_id and client_secret of this provider)")
        }
        _ => error.to_string(),
    }
}
