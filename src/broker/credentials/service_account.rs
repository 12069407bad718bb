//! Credentials without a user's login: a client that asks for itself, a service account. The first token is asked for at once,
//! so that what is wrong is told while somebody looks; every further one through the same single flight as a refresh.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::create::{CreateResponse, ServiceRequest};
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::login::connectable::Connectable;
use crate::broker::parts::Broker;
use crate::broker::token::schedule;
use crate::catalog::entry::{GrantType, OAuth};
use crate::jose::{KeyError, SigningKey};
use crate::oauth::{self, AssertionIssuer, BuildError, Client, Grant, OAuthError};
use crate::secret::Secret;
use crate::vault::{CredentialMetadata, CredentialSecret, NewCredential, OwnClient, Renewal, ServiceAccount, Tokens};

fn grant_type(renewal: &Renewal) -> GrantType {
    match renewal {
        Renewal::ClientCredentials { .. } => GrantType::ClientCredentials,
        Renewal::ServiceAccount(_) => GrantType::JwtBearer,
    }
}

impl Broker {
    /// Asks for the first token and keeps it, with what asks for the next ones.
    pub(in crate::broker) async fn create_service(
        &self,
        caller: &Caller,
        provider: &str,
        title: String,
        request: ServiceRequest,
    ) -> Result<CreateResponse, Error> {
        let known = self.0.catalog.get(provider).ok_or_else(|| Error::ProviderUnknown(provider.to_owned()))?;
        let wanted = grant_type(&request.renewal);
        let offers = known.entry.oauth.as_ref().is_some_and(|oauth| oauth.grants.contains(&wanted));
        if !offers {
            return Err(Error::GrantNotOffered { grant: wanted.credential_type(), provider: provider.to_owned() });
        }
        let mut connectable = self.for_service(provider, &request.renewal).await?;
        let dpop_key = bound_to(&connectable.oauth, None);
        connectable.client = connectable.client.with_dpop(dpop_key.clone());
        let inputs = connectable.oauth.callers_values(&request.inputs).map_err(Error::Inputs)?;
        let entry = connectable.oauth.with_values(&inputs).map_err(|fault| Error::Inputs(vec![fault]))?;
        let asked = self.ask_for_service(&entry, &connectable.client, &request.renewal, &request.scopes).await;
        let mut grant = asked.map_err(|error| Error::of_grant(&error))?;
        let mut values = inputs;
        if let Ok(more) = connectable.oauth.token_values(&grant.metadata) {
            values.extend(more);
        }
        connectable.oauth.keep_values(&mut grant.metadata, values, None);
        let new = self.service_credential(caller, &connectable, (title, request.renewal), (grant, dpop_key));
        let stored = self.0.vault.insert_credential(new, &caller.who).await?;
        Ok(CreateResponse { id: stored.id, provider: stored.provider, kind: stored.kind.name(), title: stored.title })
    }

    fn service_credential(
        &self,
        caller: &Caller,
        connectable: &Connectable<'_>,
        (title, renewal): (String, Renewal),
        (grant, dpop_key): (Grant, Option<Arc<SigningKey>>),
    ) -> NewCredential {
        let now = self.0.clock.now();
        let (client_id, username) = match &renewal {
            Renewal::ClientCredentials { own } => {
                let id = own.as_ref().map_or(&connectable.client.id, |own| &own.id);
                (Some(id.clone()), None)
            }
            Renewal::ServiceAccount(account) => {
                (None, Some(account.subject.as_ref().unwrap_or(&account.issuer).clone()))
            }
        };
        let tokens = Tokens {
            access_token: grant.access_token,
            // None is to be expected (RFC 6749 §4.4.3); one that comes nevertheless is not needed.
            refresh_token: None,
            token_type: grant.token_type,
            lifetime: grant.expires_in,
            refresh_expires_at: None,
            dpop_key,
            redirect_uri: None,
            metadata: grant.metadata,
            renewal: Some(Box::new(renewal)),
        };
        let refresh_at = schedule::refresh_at(&tokens, now, self.0.random);
        NewCredential {
            user: caller.user.clone(),
            provider: connectable.provider.name.clone(),
            title,
            scopes: Some(grant.scopes),
            account: username.clone(),
            username,
            client_id,
            expires_at: grant.expires_in.map(|lifetime| now.plus(lifetime)),
            material: CredentialSecret::OAuth2(tokens),
            refresh_at,
        }
    }

    /// The provider with the client that asks: the user's own, where there is one; none is needed for a service account.
    pub(in crate::broker) async fn for_service(
        &self,
        provider: &str,
        renewal: &Renewal,
    ) -> Result<Connectable<'_>, Error> {
        let (clock, random) = (self.0.clock.clone(), self.0.random);
        match renewal {
            Renewal::ClientCredentials { own: None } => self.connectable(provider).await,
            Renewal::ClientCredentials { own: Some(OwnClient { id, secret }) } => {
                let client = Client::new(id.clone(), secret.iter().cloned().collect(), clock, random);
                self.connectable_by(provider, client).await
            }
            Renewal::ServiceAccount(_) => self.connectable_by(provider, Client::anonymous(clock, random)).await,
        }
    }

    async fn ask_for_service(
        &self,
        entry: &OAuth,
        client: &Client,
        renewal: &Renewal,
        scopes: &[String],
    ) -> Result<Grant, OAuthError> {
        match renewal {
            Renewal::ClientCredentials { .. } => oauth::client_credentials(&self.0.egress, entry, client, scopes).await,
            Renewal::ServiceAccount(account) => {
                let key = signing_key(account).ok_or(BuildError::ClientKey)?;
                let issuer = AssertionIssuer {
                    issuer: &account.issuer,
                    subject: account.subject.as_deref(),
                    key: &key,
                    clock: &self.0.clock,
                    random: self.0.random,
                };
                oauth::jwt_bearer(&self.0.egress, entry, client, &issuer, scopes).await
            }
        }
    }

    /// Asks for the next token of a credential that was made so.
    pub(in crate::broker) async fn renew(
        &self,
        summary: &CredentialMetadata,
        tokens: &Tokens,
        renewal: &Renewal,
    ) -> Result<Grant, OAuthError> {
        let unusable = || OAuthError::from(BuildError::Url);
        let connectable = self.for_service(summary.provider.as_str(), renewal).await.map_err(|_| unusable())?;
        let entry: Cow<'_, OAuth> = connectable.oauth.for_credential(&tokens.metadata).map_err(|_| unusable())?;
        let scopes = summary.scopes.as_deref().unwrap_or_default();
        let client = connectable.client.with_dpop(tokens.dpop_key.clone());
        self.ask_for_service(&entry, &client, renewal, scopes).await
    }

    /// What the next token of such a credential is to be bound to. It is another token than the one before it, and nothing
    /// holds it to that one's key: where the entry came to say `dpop`, or no longer says it, this is where it shows.
    pub(in crate::broker) fn bind_anew(&self, summary: &CredentialMetadata, tokens: &mut Tokens) {
        let known = self.0.catalog.get(summary.provider.as_str()).and_then(|known| known.entry.oauth.as_ref());
        if let (Some(entry), true) = (known, tokens.renewal.is_some()) {
            tokens.dpop_key = bound_to(entry, tokens.dpop_key.take());
        }
    }
}

/// The key that tokens are bound to (RFC 9449), where the entry says that they are: the one that is there, or a fresh one.
fn bound_to(entry: &OAuth, there: Option<Arc<SigningKey>>) -> Option<Arc<SigningKey>> {
    entry.dpop.then(|| there.unwrap_or_else(|| Arc::new(SigningKey::generate())))
}

/// Why a service account's key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceFault {
    /// It is no key file.
    #[error("neither a PEM text nor an object with `private_key` and `client_email`")]
    Form,
    /// A PEM text does not say whose it is.
    #[error("a bare key does not say whose it is; name the issuer")]
    NoIssuer,
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A service account from its key: a PEM text, or the JSON object that Google gives (its `token_uri` is not looked at: where
/// to ask, the catalogue says). Also as the text of that object.
pub fn service_account(
    key: &Value,
    issuer: Option<String>,
    subject: Option<String>,
) -> Result<ServiceAccount, ServiceFault> {
    let parsed: Value;
    let key = match key {
        Value::String(text) if text.trim_start().starts_with('{') => {
            parsed = serde_json::from_str(text).map_err(|_| ServiceFault::Form)?;
            &parsed
        }
        other => other,
    };
    let member = |name: &str| key.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let pem = key.as_str().or_else(|| member("private_key")).ok_or(ServiceFault::Form)?;
    SigningKey::from_pem(pem)?;
    let issuer = issuer.or_else(|| member("client_email").map(str::to_owned)).ok_or(ServiceFault::NoIssuer)?;
    let key_id = member("private_key_id").map(str::to_owned);
    Ok(ServiceAccount { key: Secret::new(pem), key_id, issuer, subject })
}

/// The account's key, under the id that the provider knows it by.
pub(in crate::broker) fn signing_key(account: &ServiceAccount) -> Option<SigningKey> {
    let key = SigningKey::from_pem(account.key.expose()).ok()?;
    Some(match &account.key_id {
        Some(id) => key.with_id(id.clone()),
        None => key,
    })
}
