//! Credentials without a user login: client credentials and service accounts. The first token is
//! requested at once, so that an error is seen at creation. Later tokens use the same single-flight
//! refresh.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::create::{CreateResponse, ServiceRequest};
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::login::connectable::Connectable;
use crate::broker::parts::Broker;
use crate::broker::token::schedule;
use crate::catalog::Provider;
use crate::catalog::entry::{GrantType, OAuth};
use crate::egress::Egress;
use crate::id::ProviderName;
use crate::jose::SigningKey;
use crate::oauth::{self, AssertionIssuer, BuildError, Client, Grant, OAuthError};
use crate::secret::Secret;
use crate::vault::{
    CredentialMetadata, CredentialSecret, Exportable, NewCredential, OwnClient, Renewal, ServiceAccount, Tokens,
};

fn grant_type(renewal: &Renewal) -> GrantType {
    match renewal {
        Renewal::ClientCredentials { .. } => GrantType::ClientCredentials,
        Renewal::ServiceAccount(_) => GrantType::JwtBearer,
    }
}

/// Returns true if the configured client requests the tokens, not one of the user's own.
fn uses_our_client(renewal: &Renewal) -> bool {
    matches!(renewal, Renewal::ClientCredentials { own: None })
}

impl Broker {
    /// Requests the first token and stores it with the data needed to request more.
    pub(in crate::broker) async fn create_service(
        &self,
        caller: &Caller,
        provider: &str,
        (title, exportable): (String, Exportable),
        request: ServiceRequest,
    ) -> Result<CreateResponse, Error> {
        let known = self.0.catalog.get(provider).ok_or_else(|| self.unknown_provider(provider))?;
        let wanted = grant_type(&request.renewal);
        let offered = known.entry.oauth.as_ref().filter(|oauth| oauth.grants.contains(&wanted));
        let Some(oauth) = offered else {
            return Err(Error::GrantNotOffered { grant: wanted.credential_type(), provider: provider.to_owned() });
        };
        let begun_at = Some(self.0.vault.users().now()?);
        self.0.vault.credentials().within(self.quota(caller)).check_room(&caller.user)?;
        let scopes = match &request.renewal {
            // Not the scopes that are always sent: those ask for a refresh token or an identity.
            Renewal::ClientCredentials { .. } if request.scopes.is_empty() => oauth.default_scopes.clone(),
            _ => request.scopes,
        };
        let scopes = self.scopes_to_lend(known, &request.renewal, scopes)?;
        let connectable = self.for_service(provider, &request.renewal).await;
        let mut connectable = connectable.map_err(|error| match error {
            Error::NotConfigured(_) if !uses_our_client(&request.renewal) => Error::OwnClientIncomplete,
            error => error,
        })?;
        let dpop_key = bound_to(&connectable.oauth, None);
        connectable.client = connectable.client.with_dpop(dpop_key.clone());
        let inputs = connectable.oauth.callers_values(&request.inputs).map_err(Error::Inputs)?;
        let entry = connectable.oauth.with_values(&inputs).map_err(|fault| Error::Inputs(vec![fault]))?;
        let asked =
            self.ask_for_service((&connectable.egress, &entry, &connectable.client), &request.renewal, &scopes).await;
        let mut grant = asked.map_err(|error| Error::of_grant(&error))?;
        let mut values = inputs;
        if let Ok(more) = connectable.oauth.token_values(&grant.metadata) {
            values.extend(more);
        }
        connectable.oauth.keep_values(&mut grant.metadata, values, None);
        let new = self.service_credential(caller, &connectable, (title, request.renewal), (grant, dpop_key));
        let new = NewCredential { exportable, ..new };
        let credentials = self.0.vault.credentials().within(self.quota(caller));
        let stored = credentials.insert_since(new.clone(), begun_at, &caller.who).await;
        if stored.is_err() {
            self.discard_credentials(caller, &connectable.provider.name, vec![new]).await;
        }
        let stored = stored?;
        Ok(CreateResponse::of(&stored))
    }

    /// Returns the scopes to request. The configured client acts for its operator, so callers use it
    /// only if the operator lends it, and for the lent scopes only.
    fn scopes_to_lend(
        &self,
        provider: &Provider,
        renewal: &Renewal,
        wanted: Vec<String>,
    ) -> Result<Vec<String>, Error> {
        // Without a client, nothing is lent: the provider is not configured.
        if !uses_our_client(renewal) || self.0.clients.at(&provider.name).is_none() {
            return Ok(wanted);
        }
        let lent = self
            .lent_scopes(provider.name.as_str())
            .ok_or_else(|| Error::ClientNotLent { provider: provider.name.to_string(), scopes: None })?;
        if wanted.iter().all(|scope| lent.contains(scope)) {
            return Ok(if wanted.is_empty() { lent.to_vec() } else { wanted });
        }
        Err(Error::ClientNotLent { provider: provider.name.to_string(), scopes: Some(lent.join(" ")) })
    }

    /// Returns the scopes for which callers may use the configured client; `None` if it is not lent.
    fn lent_scopes(&self, provider: &str) -> Option<&[String]> {
        let name: ProviderName = provider.parse().ok()?;
        self.0.config.providers.get(&name)?.lent_scopes()
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
            // RFC 6749 §4.4.3: a refresh token should not be issued, and it would not be needed.
            refresh_token: None,
            token_type: grant.token_type,
            lifetime: grant.expires_in,
            refresh_expires_at: None,
            dpop_key,
            redirect_uri: None,
            discovery: None,
            issued_by: None,
            replaced: None,
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
            server: None,
            inputs: None,
            client_id,
            expires_at: grant.expires_in.map(|lifetime| now.plus(lifetime)),
            material: CredentialSecret::OAuth2(tokens),
            refresh_at,
            exportable: Exportable(true),
        }
    }

    /// Returns the provider with the client that requests tokens: the user's own client if there is
    /// one. A service account needs no client.
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
        (egress, entry, client): (&Egress, &OAuth, &Client),
        renewal: &Renewal,
        scopes: &[String],
    ) -> Result<Grant, OAuthError> {
        match renewal {
            Renewal::ClientCredentials { .. } => oauth::client_credentials(egress, entry, client, scopes).await,
            Renewal::ServiceAccount(account) => {
                let key = signing_key(account).ok_or(BuildError::ClientKey)?;
                let issuer = AssertionIssuer {
                    issuer: &account.issuer,
                    subject: account.subject.as_deref(),
                    key: &key,
                    clock: &self.0.clock,
                    random: self.0.random,
                };
                oauth::jwt_bearer(egress, entry, client, &issuer, scopes).await
            }
        }
    }

    /// Requests the next token of such a credential.
    pub(in crate::broker) async fn renew(
        &self,
        summary: &CredentialMetadata,
        tokens: &Tokens,
        renewal: &Renewal,
    ) -> Result<Grant, OAuthError> {
        let unusable = || OAuthError::from(BuildError::Url);
        let provider = summary.provider.as_str();
        if uses_our_client(renewal) && self.lent_scopes(provider).is_none() {
            return Err(BuildError::ClientNotLent.into());
        }
        let connectable = self.for_service(provider, renewal).await.map_err(|_| unusable())?;
        let entry: Cow<'_, OAuth> = connectable.oauth.for_credential(&tokens.metadata).map_err(|_| unusable())?;
        let scopes = summary.scopes.as_deref().unwrap_or_default();
        let client = connectable.client.with_dpop(tokens.dpop_key.clone());
        self.ask_for_service((&connectable.egress, &entry, &client), renewal, scopes).await
    }

    /// Chooses the DPoP key of the next token. It is a new token, so it need not keep the old key:
    /// a change of the entry's `dpop` setting takes effect here.
    pub(in crate::broker) fn choose_dpop_key(&self, summary: &CredentialMetadata, tokens: &mut Tokens) {
        let known = self.0.catalog.get(summary.provider.as_str()).and_then(|known| known.entry.oauth.as_ref());
        if let (Some(entry), true) = (known, tokens.renewal.is_some()) {
            tokens.dpop_key = bound_to(entry, tokens.dpop_key.take());
        }
    }
}

/// Returns the key that tokens are bound to (RFC 9449) if the entry requires it: the existing key,
/// or a new one.
fn bound_to(entry: &OAuth, there: Option<Arc<SigningKey>>) -> Option<Arc<SigningKey>> {
    entry.dpop.then(|| there.unwrap_or_else(|| Arc::new(SigningKey::generate())))
}

/// Builds a service account from its key: a PEM text, or Google's JSON object as a value or as
/// text. `token_uri` is ignored: the catalogue says where to send requests.
pub fn service_account(key: &Value, issuer: Option<String>, subject: Option<String>) -> Result<ServiceAccount, String> {
    const FORM: &str = "the key must be a PEM text or an object with `private_key` and `client_email`";
    let parsed: Value;
    let key = match key {
        Value::String(text) if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') => {
            parsed = crate::json::parse(text.as_bytes()).ok_or(FORM)?;
            &parsed
        }
        other => other,
    };
    let member = |name: &str| key.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let pem = key.as_str().or_else(|| member("private_key")).ok_or(FORM)?;
    SigningKey::from_pem(pem).map_err(|error| error.to_string())?;
    let issuer = issuer
        .or_else(|| member("client_email").map(str::to_owned))
        .ok_or("a PEM key has no issuer; give the issuer as well")?;
    let key_id = member("private_key_id").map(str::to_owned);
    Ok(ServiceAccount { key: Secret::new(pem), key_id, issuer, subject })
}

/// Returns the account's key with the key id that the provider knows.
pub(in crate::broker) fn signing_key(account: &ServiceAccount) -> Option<SigningKey> {
    let key = SigningKey::from_pem(account.key.expose()).ok()?;
    Some(match &account.key_id {
        Some(id) => key.with_id(id.clone()),
        None => key,
    })
}
