//! Storage of the tokens of a login, at once or when the vault can be written again.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::additional_tokens::FurtherCredential;
use super::connectable::Connectable;
use crate::broker::caller::Caller;
use crate::broker::error::{Error, NotGranted, StateFault};
use crate::broker::parts::Broker;
use crate::broker::token::schedule;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName};
use crate::oauth::{Account, Grant};
use crate::random::Random;
use crate::vault::{
    CredentialMetadata, CredentialSecret, KeptLogin, LoginRefusal, LoginTerms, NewCredential, NewLogin,
    PendingAuthorization, Replacement, StoreError, Tokens, VaultError,
};

/// Wait between two attempts to store tokens that the vault could not take.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// New or reconnected credential.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OAuthCompleteResponse)]
pub struct CompleteResponse {
    /// Id of the credential.
    #[schema(value_type = String)]
    pub credentials_id: CredentialId,
    /// Provider.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// Always `oauth2`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Title.
    pub title: String,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// Name of the account at the provider; `null` if unknown.
    #[schema(required = true)]
    pub username: Option<String>,
    /// The object that the client sent at initiate.
    #[schema(value_type = Object)]
    pub state_metadata: Map<String, Value>,
    /// Requested scopes that were not granted; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
    /// Credentials of additional tokens in the same response; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_credentials: Vec<FurtherCredential>,
}

/// Tokens and the identity of their account.
pub(in crate::broker) struct Obtained {
    pub(in crate::broker) grant: Grant,
    pub(in crate::broker) identity: Account,
}

/// Credential of the first token, and those of additional tokens.
type Stored = (CredentialMetadata, Vec<CredentialMetadata>);

impl Broker {
    /// Stores a grant as a credential, and one for each additional token.
    pub(in crate::broker) async fn keep(
        &self,
        caller: &Caller,
        connectable: &Connectable<'_>,
        pending: PendingAuthorization,
        obtained: Obtained,
    ) -> Result<CompleteResponse, Error> {
        let Obtained { mut grant, identity } = obtained;
        let missing_scopes = grant.missing_scopes.clone();
        if !missing_scopes.is_empty() {
            tracing::warn!(provider = %connectable.provider.name, missing = ?missing_scopes, "the provider granted fewer scopes than requested");
        }
        let further = self.further(connectable, &mut grant).await;
        let now = self.0.clock.now();
        let title = connectable.title_for(&identity);
        let first = credential_of(&pending, connectable, (title, identity), grant, (now, self.0.random));
        let missing_further: Vec<_> = further.iter().map(|one| one.grant.missing_scopes.clone()).collect();
        let further = further.into_iter().map(|one| {
            let title = format!("{} ({})", one.title, one.name);
            (one.name, credential_of(&pending, connectable, (title, one.identity), one.grant, (now, self.0.random)))
        });
        let login = NewLogin {
            first: NewCredential { server: connectable.server.clone(), ..first },
            further: further.collect(),
        };
        let revocation = self.revocation_at(&pending.provider).await;
        let retry_for = self.0.config.vault.revoke_retry;
        let reconnect = pending.reconnect.map(|id| Replacement {
            id,
            any_account: pending.any_account,
            revocation: revocation.clone(),
            retry_for,
        });
        // The credential may be deleted during the login; a key that is limited to it creates no other.
        let only_existing = !caller.limits.credentials().is_empty();
        let terms = LoginTerms { reconnect, only_existing, begun_at: pending.begun_at, revocation, retry_for };
        let (stored, beside) = self.store(login, terms, caller).await?;
        let further = beside.into_iter().zip(missing_further);
        Ok(CompleteResponse {
            credentials_id: stored.id,
            provider: stored.provider,
            kind: stored.kind.name(),
            title: stored.title,
            scopes: stored.scopes.unwrap_or_default(),
            username: stored.username,
            state_metadata: pending.state_metadata,
            missing_scopes,
            further_credentials: further.map(|(summary, missing)| FurtherCredential::of(summary, missing)).collect(),
        })
    }

    /// Stores the tokens. If the vault cannot be written now (a full disk), they are held in memory
    /// and stored later: the code is spent, so they cannot be requested again.
    async fn store(&self, login: NewLogin, terms: LoginTerms, caller: &Caller) -> Result<Stored, Error> {
        match self.store_once(login.clone(), terms.clone(), caller).await {
            Err(Error::Vault(error)) if error.cannot_write() => {
                tracing::warn!(provider = %login.first.provider, %error, "cannot store tokens; they stay in memory until the vault can be written");
                let (broker, caller) = (self.clone(), caller.clone());
                tokio::spawn(async move { broker.store_when_possible(login, terms, caller).await });
                Err(error.into())
            }
            other => other,
        }
    }

    async fn store_once(&self, login: NewLogin, terms: LoginTerms, caller: &Caller) -> Result<Stored, Error> {
        let credentials = self.0.vault.credentials().within(self.quota(caller));
        match credentials.keep_login(login, terms, &caller.who).await? {
            KeptLogin::Kept { first, further } => Ok((*first, further)),
            KeptLogin::Refused { reason, revocations } => {
                self.revoke_now(revocations, &caller.who).await;
                Err(match reason {
                    LoginRefusal::OtherAccount { known: true } => Error::OtherAccount(""),
                    LoginRefusal::OtherAccount { known: false } => {
                        Error::OtherAccount(", or its identity could not be determined")
                    }
                    // Its pending login would have been deleted with it.
                    LoginRefusal::UserRemoved => Error::StateInvalid(StateFault::UserRemoved),
                    LoginRefusal::OtherServer => Error::OtherServer,
                    LoginRefusal::Absent => Error::NotGranted(NotGranted::NewCredential),
                    LoginRefusal::OverQuota(limit) => Error::QuotaExceeded(limit),
                })
            }
        }
    }

    async fn store_when_possible(&self, login: NewLogin, terms: LoginTerms, caller: Caller) {
        loop {
            tokio::time::sleep(STORE_AGAIN_AFTER).await;
            match self.store_once(login.clone(), terms.clone(), &caller).await {
                Ok((stored, _)) => {
                    return tracing::info!(credential = %stored.id, "stored tokens that were held in memory");
                }
                Err(Error::Vault(error))
                    if error.cannot_write() && !matches!(error, VaultError::Store(StoreError::Stopped(_))) => {}
                Err(error) => return tracing::error!(%error, "tokens held in memory are lost: the vault rejected them"),
            }
        }
    }
}

/// Builds the credential of one grant.
pub(super) fn credential_of(
    pending: &PendingAuthorization,
    connectable: &Connectable<'_>,
    (title, identity): (String, Account),
    grant: Grant,
    (now, random): (UnixTime, Random),
) -> NewCredential {
    let tokens = Tokens {
        access_token: grant.access_token,
        refresh_token: grant.refresh_token,
        token_type: grant.token_type,
        lifetime: grant.expires_in,
        refresh_expires_at: grant.refresh_expires_in.map(|lifetime| now.plus(lifetime)),
        issued_by: connectable.issued_by(&grant.metadata),
        replaced: None,
        discovery: pending.discovery.clone(),
        metadata: grant.metadata,
        renewal: None,
        dpop_key: pending.dpop_key.clone(),
        redirect_uri: Some(&pending.redirect_uri).filter(|uri| !uri.is_empty()).cloned(),
    };
    NewCredential {
        user: pending.user.clone(),
        provider: pending.provider.clone(),
        title,
        scopes: Some(grant.scopes),
        username: identity.username,
        server: None,
        inputs: None,
        account: identity.account,
        client_id: Some(pending.client_id.clone()),
        expires_at: grant.expires_in.map(|lifetime| now.plus(lifetime)),
        refresh_at: schedule::refresh_at(&tokens, now, random),
        material: CredentialSecret::OAuth2(tokens),
        exportable: pending.exportable,
    }
}
