//! Live token: a secret that is usable now. A token with too little life left is refreshed first.
//! The audit row is on disk before the secret is returned.

use std::collections::BTreeMap;
use std::time::Duration;

use super::outcome::{Declined, Demand, RefreshOutcome};
use super::schedule;
use crate::broker::caller::Caller;
use crate::broker::credentials::base_url::CredentialBase;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::broker::providers::Placement;
use crate::clock::UnixTime;
use crate::id::{CredentialId, UserId};
use crate::kind::Kind;
use crate::secret::Secret;
use crate::vault::{AuditContext, CredentialMetadata, CredentialSecret, CredentialStatus, SecretUse};

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

/// A secret, and the request that carries it. It has no `Debug`, because it holds the secret.
pub struct UsableSecret {
    /// Secret.
    pub secret: LiveSecret,
    /// Place of the secret in a request.
    pub placement: Placement,
    /// Base URL of the API with the credential's own values, if it is known.
    pub base_url: Option<String>,
}

impl Broker {
    /// Returns the secret of the user's credential. An access token with less than `min_ttl` left
    /// is refreshed first. If the provider cannot be reached, a token that has not expired is
    /// returned. The secret of a credential that is not exportable is not read.
    pub async fn token(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
        min_ttl: Duration,
    ) -> Result<UsableSecret, Error> {
        // A token bound to a DPoP key (RFC 9449) is useless without the key, which stays here.
        let oauth = self.0.catalog.get(provider).and_then(|provider| provider.entry.oauth.as_ref());
        if oauth.is_some_and(|oauth| oauth.dpop) && self.owned_at(caller, provider, id)?.kind == Kind::OAuth2 {
            return Err(Error::SenderConstrained);
        }
        let (summary, material) = self.live_secret(caller, provider, id, min_ttl, SecretUse::Given).await?;
        self.usable(summary, material)
    }

    /// Returns the secret of a credential of one user or of any, for the local operator.
    pub async fn token_for_operator(
        &self,
        user: Option<UserId>,
        id: CredentialId,
        min_ttl: Duration,
    ) -> Result<UsableSecret, Error> {
        for user in self.admin(AuditContext::command_line()).one_or_all_users(user)? {
            if let Some(found) = self.0.vault.credentials().get(&user, &id)? {
                let caller = Caller::command_line(user);
                return self.token(&caller, found.provider.as_str(), &id.to_string(), min_ttl).await;
            }
        }
        Err(Error::CredentialNotFound)
    }

    fn usable(&self, summary: CredentialMetadata, material: CredentialSecret) -> Result<UsableSecret, Error> {
        let entry = self.0.catalog.get(summary.provider.as_str()).map(|provider| &provider.entry);
        let (placement, metadata) = match &material {
            CredentialSecret::OAuth2(tokens) => {
                let oauth = entry.and_then(|entry| entry.oauth.as_ref());
                (Placement::of_token(oauth, &tokens.token_type), Some(&tokens.metadata))
            }
            _ => (entry.map(|entry| Placement::of_secret(entry, summary.kind)).unwrap_or_default(), None),
        };
        let base_url = match self.base_url(&summary, metadata) {
            Ok(CredentialBase::Url(url)) => Some(url.into()),
            Ok(CredentialBase::Hosts(_)) | Err(_) => None,
        };
        Ok(UsableSecret { secret: given(summary, material)?, placement, base_url })
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
                && self.is_exportable(&summary)
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
        let (of, limits, broker) = (provider.to_owned(), caller.limits.clone(), self.clone());
        let is_given = matches!(purpose, SecretUse::Given);
        let wanted = move |summary: &CredentialMetadata| {
            summary.provider.as_str() == of
                && limits.allow(&summary.provider, &summary.id)
                && (!is_given || broker.is_exportable(summary))
                && is_live(summary)
        };
        let read = self.0.vault.credentials().read_secret_if(&caller.user, &id, &caller.who, purpose, wanted).await?;
        let (summary, material) = read.ok_or(Error::CredentialNotFound)?;
        caller.require_credential(&summary)?;
        if summary.provider.as_str() != provider {
            return Err(Error::CredentialOfAnotherProvider);
        }
        if is_given && !self.is_exportable(&summary) {
            return Err(Error::NotExportable);
        }
        Ok((summary, material))
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
