//! Token: a secret to use right now. An access token that has too little life left is refreshed first; a read is in the
//! audit log, on disk, before anybody sees the secret.

use std::collections::BTreeMap;
use std::time::Duration;

use super::refresh::{Declined, Demand, Outcome};
use super::{Broker, Caller, Error, schedule};
use crate::clock::UnixTime;
use crate::kind::Kind;
use crate::secret::Secret;
use crate::vault::{Material, Status, Summary};

/// How much life a token has at least, where the caller does not say.
pub const DEFAULT_MIN_TTL: Duration = Duration::from_secs(300);

/// A secret that can be used now. It has no `Debug`: it is the secret.
pub enum LiveSecret {
    /// Of an OAuth credential.
    Token {
        /// The access token.
        access_token: Secret,
        /// How it is used: `Bearer`, or the provider's word.
        token_type: String,
        /// When it ends, where that is known.
        expires_at: Option<UnixTime>,
        /// What was granted.
        scopes: Vec<String>,
    },
    /// An API key.
    ApiKey(Secret),
    /// A user name and its password.
    UserPassword {
        /// The user name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// Headers, by name.
    Headers(BTreeMap<String, Secret>),
}

impl Broker {
    /// The secret of the user's credential. An access token is refreshed first where it has less than `min_ttl` left; while
    /// the provider cannot be reached, one that has not ended is given all the same.
    pub async fn token(
        &self,
        caller: &Caller,
        provider: &str,
        id: &str,
        min_ttl: Duration,
    ) -> Result<LiveSecret, Error> {
        let summary = self.owned_at(caller, provider, id)?;
        if summary.kind != Kind::OAuth2 {
            return self.hand_out(caller, &summary).await;
        }
        // What is bound to a key is of no use without the key, which stays here (RFC 9449).
        let oauth = self.0.catalog.get(provider).and_then(|provider| provider.entry.oauth.as_ref());
        if oauth.is_some_and(|oauth| oauth.dpop) {
            return Err(Error::SenderConstrained);
        }
        // Known without a refresh, and a refresh would only find the same.
        if summary.status == Status::NeedsReauth {
            return Err(self.not_refreshed(&summary, Outcome::NeedsReauth));
        }
        let min_ttl = if summary.refreshing.possible == Some(false) { Duration::ZERO } else { min_ttl };
        if schedule::is_fresh(&summary, self.0.clock.now(), min_ttl) {
            return self.hand_out(caller, &summary).await;
        }
        let outcome = self.refresh_for(&summary, Demand::TimeToLive(min_ttl), &caller.who).await;
        let summary = self.owned_at(caller, provider, id)?;
        let refused = matches!(outcome, Ok(Outcome::NeedsReauth | Outcome::Declined(Declined::NeedsReauth)));
        let still_valid = schedule::is_fresh(&summary, self.0.clock.now(), Duration::ZERO);
        if still_valid && !refused {
            return self.hand_out(caller, &summary).await;
        }
        Err(self.not_refreshed(&summary, outcome?))
    }

    async fn hand_out(&self, caller: &Caller, summary: &Summary) -> Result<LiveSecret, Error> {
        let read = self.0.vault.material(&caller.user, &summary.id, &caller.who).await?;
        let (summary, material) = read.ok_or(Error::CredentialNotFound)?;
        Ok(match material {
            Material::OAuth2(tokens) if tokens.dpop_key.is_some() => return Err(Error::SenderConstrained),
            Material::OAuth2(tokens) => LiveSecret::Token {
                access_token: tokens.access_token,
                token_type: tokens.token_type,
                expires_at: summary.expires_at,
                scopes: summary.scopes.unwrap_or_default(),
            },
            Material::ApiKey(key) => LiveSecret::ApiKey(key),
            Material::UserPassword { username, password } => LiveSecret::UserPassword { username, password },
            Material::HostScoped { headers, .. } => LiveSecret::Headers(headers),
        })
    }
}
