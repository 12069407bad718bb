//! Live token: a secret that is usable now. A token with too little life left is refreshed first.
//! The audit row is on disk before the secret is returned.

use std::collections::BTreeMap;
use std::time::Duration;

use super::outcome::{Declined, Demand, RefreshOutcome};
use super::schedule;
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::clock::UnixTime;
use crate::id::CredentialId;
use crate::kind::Kind;
use crate::secret::Secret;
use crate::vault::{CredentialMetadata, CredentialSecret, CredentialStatus, SecretUse};

/// Default minimum remaining life of a token.
pub const DEFAULT_MIN_TTL: Duration = Duration::from_secs(300);

/// A secret that is usable now. It has no `Debug`, because it is the secret.
pub enum LiveSecret {
    /// OAuth access token.
    Token {
        /// Access token.
        access_token: Secret,
        /// `Bearer`, or the provider's word.
        token_type: String,
        /// Expiry, if known.
        expires_at: Option<UnixTime>,
        /// Granted scopes.
        scopes: Vec<String>,
    },
    /// API key.
    ApiKey(Secret),
    /// User name and password.
    UserPassword {
        /// User name.
        username: Secret,
        /// Password.
        password: Secret,
    },
    /// Headers by name.
    Headers(BTreeMap<String, Secret>),
}

impl Broker {
    /// Returns the secret of the user's credential. An access token with less than `min_ttl` left
    /// is refreshed first. If the provider cannot be reached, a token that has not expired is
    /// returned.
    pub async fn token(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
        min_ttl: Duration,
    ) -> Result<LiveSecret, Error> {
        // A token bound to a DPoP key (RFC 9449) is useless without the key, which stays here.
        let oauth = self.0.catalog.get(provider).and_then(|provider| provider.entry.oauth.as_ref());
        if oauth.is_some_and(|oauth| oauth.dpop) && self.owned_at(caller, provider, id)?.kind == Kind::OAuth2 {
            return Err(Error::SenderConstrained);
        }
        let (summary, material) = self.live_secret(caller, provider, id, min_ttl, SecretUse::Given).await?;
        given(summary, material)
    }

    /// Returns the secret of the user's credential for this use, as [`Self::token`] does.
    pub(in crate::broker) async fn live_secret(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
        min_ttl: Duration,
        purpose: SecretUse,
    ) -> Result<(CredentialMetadata, CredentialSecret), Error> {
        caller.require_provider(provider)?;
        let id: CredentialId = id.parse().map_err(|_| Error::CredentialNotFound)?;
        let clock = self.0.clock.clone();
        let is_live = move |summary: &CredentialMetadata| {
            summary.kind != Kind::OAuth2
                || summary.status != CredentialStatus::NeedsReauth
                    && schedule::is_fresh(summary, clock.now(), at_least(summary, min_ttl))
        };
        let summary = match self.read_if(caller, provider, id, purpose.clone(), is_live).await? {
            (summary, Some(material)) => return Ok((summary, material)),
            (summary, None) => summary,
        };
        // A refresh would only find the same.
        if summary.status == CredentialStatus::NeedsReauth {
            return Err(self.not_refreshed(&summary, RefreshOutcome::NeedsReauth));
        }
        let demand = Demand::TimeToLive(at_least(&summary, min_ttl));
        let outcome = Box::pin(self.refresh_for(&summary, demand, &caller.who)).await;
        let refused =
            matches!(outcome, Ok(RefreshOutcome::NeedsReauth | RefreshOutcome::Declined(Declined::NeedsReauth)));
        let clock = self.0.clock.clone();
        let still_valid =
            move |summary: &CredentialMetadata| !refused && schedule::is_fresh(summary, clock.now(), Duration::ZERO);
        match self.read_if(caller, provider, id, purpose, still_valid).await? {
            (summary, Some(material)) => Ok((summary, material)),
            (summary, None) => Err(self.not_refreshed(&summary, outcome?)),
        }
    }

    /// Returns true if [`Self::token`] would send a request to the provider now.
    pub fn token_sends(&self, caller: &Caller, provider: &str, id: &str, min_ttl: Duration) -> bool {
        self.owned_at(caller, provider, id).is_ok_and(|summary| {
            summary.kind == Kind::OAuth2
                && summary.status != CredentialStatus::NeedsReauth
                && !schedule::is_fresh(&summary, self.0.clock.now(), at_least(&summary, min_ttl))
        })
    }

    /// Returns the metadata of the user's credential, and its secret if `is_live` accepts it. One
    /// transaction reads both and writes the audit row.
    async fn read_if(
        &self,
        caller: &Caller,
        provider: &str,
        id: CredentialId,
        purpose: SecretUse,
        is_live: impl Fn(&CredentialMetadata) -> bool + Send + Sync + 'static,
    ) -> Result<(CredentialMetadata, Option<CredentialSecret>), Error> {
        let (of, limits) = (provider.to_owned(), caller.limits.clone());
        let wanted = move |summary: &CredentialMetadata| {
            summary.provider.as_str() == of && limits.allow(&summary.provider, &summary.id) && is_live(summary)
        };
        let read = self.0.vault.credentials().read_secret_if(&caller.user, &id, &caller.who, purpose, wanted).await?;
        let (summary, material) = read.ok_or(Error::CredentialNotFound)?;
        caller.require_credential(&summary)?;
        if summary.provider.as_str() == provider {
            Ok((summary, material))
        } else {
            Err(Error::CredentialOfAnotherProvider)
        }
    }
}

/// Returns the minimum remaining life to require: none if the token cannot be renewed.
fn at_least(summary: &CredentialMetadata, min_ttl: Duration) -> Duration {
    if summary.refreshing.possible == Some(false) { Duration::ZERO } else { min_ttl }
}

fn given(summary: CredentialMetadata, material: CredentialSecret) -> Result<LiveSecret, Error> {
    Ok(match material {
        CredentialSecret::OAuth2(tokens) if tokens.dpop_key.is_some() => return Err(Error::SenderConstrained),
        CredentialSecret::OAuth2(tokens) => LiveSecret::Token {
            access_token: tokens.access_token,
            token_type: tokens.token_type,
            expires_at: summary.expires_at,
            scopes: summary.scopes.unwrap_or_default(),
        },
        CredentialSecret::ApiKey(key) => LiveSecret::ApiKey(key),
        CredentialSecret::UserPassword { username, password } => LiveSecret::UserPassword { username, password },
        CredentialSecret::HostScoped { headers, .. } => LiveSecret::Headers(headers),
    })
}
