//! Complete: consumes the state, exchanges the code, looks up the account, and stores the tokens.
//!
//! The types fix the order: a [`PendingAuthorization`] comes out of the vault once, the exchange
//! turns it into an [`Obtained`] grant, and only that can be stored.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::additional_tokens::FurtherCredential;
use super::connectable::Connectable;
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::broker::token::schedule;
use crate::catalog::input::InputFault;
use crate::catalog::values::Values;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName};
use crate::oauth::callback::{check_issuer, read_error};
use crate::oauth::{
    self, Account, AuthorizationCode, CodeExchange, CodeVerifier, Grant, Nonce, OAuthError, StateToken,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::vault::{
    CredentialMetadata, CredentialSecret, KeptLogin, LoginFlow, LoginRefusal, LoginTerms, NewCredential, NewLogin,
    PendingAuthorization, Replacement, StoreError, Tokens, VaultError,
};

/// Wait between two attempts to store tokens that the vault could not take.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Parameters that the client received at its callback.
#[derive(Deserialize, ToSchema)]
#[schema(as = OAuthCompleteRequest)]
#[serde(remote = "Self")]
pub struct CompleteRequest {
    /// Other query parameters of the callback: `iss`, `error`, `error_description`, … Clients of
    /// AutoGPT Platform's v1 API do not send them.
    pub callback_params: Option<BTreeMap<String, String>>,
    /// Authorization code. It may be missing only if `callback_params` has an `error`.
    #[schema(value_type = String, required = false)]
    pub code: Option<Secret>,
    /// The `state` of the callback.
    #[schema(value_type = String)]
    pub state_token: Secret,
}

impl<'de> Deserialize<'de> for CompleteRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let request = Self::deserialize(deserializer)?;
        let denied = request
            .callback_params
            .as_ref()
            .is_some_and(|params| params.get("error").is_some_and(|error| !error.is_empty()));
        if request.code.is_none() && !denied {
            return Err(serde::de::Error::missing_field("code"));
        }
        Ok(request)
    }
}

impl fmt::Debug for CompleteRequest {
    /// Hides everything: a provider may put secrets into a callback.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompleteRequest").finish_non_exhaustive()
    }
}

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

impl Broker {
    /// Completes the code flow. The state is consumed before any request is sent. If two requests
    /// present the same state, exactly one succeeds, and one token request is sent. If the API key is
    /// not allowed for the result, the state stays.
    pub async fn complete(
        &self,
        caller: &Caller,
        provider: &str,
        request: CompleteRequest,
    ) -> Result<CompleteResponse, Error> {
        self.require_completion(caller, provider, (LoginFlow::External, &request.state_token))?;
        let pending = self.take(caller, provider, &request.state_token).await?;
        if pending.flow == LoginFlow::Connect {
            return Err(Error::StateNotExternal);
        }
        self.finish(caller, provider, pending, request).await
    }

    /// Continues a login whose state was consumed. A failure leaves an audit row.
    pub(in crate::broker) async fn finish(
        &self,
        caller: &Caller,
        provider: &str,
        pending: PendingAuthorization,
        request: CompleteRequest,
    ) -> Result<CompleteResponse, Error> {
        let (name, reconnect) = (pending.provider.clone(), pending.reconnect);
        // Its future is large: it holds the whole exchange.
        let finished = Box::pin(self.exchange_and_keep(caller, provider, pending, request)).await;
        if let Err(error) = &finished {
            self.record_failed_login(caller, &name, reconnect, error).await;
        }
        finished
    }

    async fn exchange_and_keep(
        &self,
        caller: &Caller,
        provider: &str,
        pending: PendingAuthorization,
        request: CompleteRequest,
    ) -> Result<CompleteResponse, Error> {
        // If the provider left the catalogue since initiate, the answer is the 501 of complete, not
        // the 404 of initiate.
        let found = pending.discovery.as_deref();
        let mut connectable = self.connectable_as(provider, found).await.map_err(|error| match error {
            Error::ServerUnusable(what) => Error::ProviderFailed(what),
            Error::ServerTooSlow(what) => Error::ProviderTooSlow(what),
            _ => Error::NotConfigured(provider.to_owned()),
        })?;
        connectable.client = connectable.client.with_dpop(pending.dpop_key.clone());
        let params = request.callback_params.as_ref();
        // Mix-up defence (RFC 9207, RFC 9700 §4.4): if the callback names an issuer, it must be the
        // one that the login started at.
        let iss = params.and_then(|params| params.get("iss")).map(String::as_str);
        let must_name = self.0.config.oauth.require_iss || params.is_some() || connectable.is_chosen();
        check_issuer(pending.issuer.as_deref(), connectable.oauth.announces_iss, must_name, iss)
            .map_err(|_| Error::StateInvalid)?;
        if let Some(denied) = params.and_then(read_error) {
            if let (true, Some(found)) = (denied.names_client(), found) {
                self.drop_registration(found, &pending.client_id).await;
            }
            return Err(Error::AuthorizationDenied(denied.to_string()));
        }
        let own_code = connectable.oauth.code_param.as_ref().and_then(|name| params?.get(name));
        let code = own_code
            .map(|code| Secret::new(code.as_str()))
            .or(request.code)
            .ok_or_else(|| Error::ExchangeRefused("the callback has no code".to_owned()))?;
        let mut values = pending.inputs.clone();
        values.extend(connectable.oauth.callbacks_values(params.unwrap_or(&BTreeMap::new())).map_err(refused)?);
        let told = connectable.oauth.callback_scope.as_ref().and_then(|name| params?.get(name)).map(String::as_str);
        let state = &request.state_token;
        let mut obtained = self.obtain(&connectable, &pending, (code, told), state, &mut values).await?;
        connectable.oauth.keep_values(&mut obtained.grant.metadata, values, params);
        self.keep(caller, &connectable, pending, obtained).await
    }

    /// Consumes the state and returns its pending login.
    pub(in crate::broker) async fn take(
        &self,
        caller: &Caller,
        provider: &str,
        state: &Secret,
    ) -> Result<PendingAuthorization, Error> {
        let provider: ProviderName = provider.parse().map_err(|_| Error::StateInvalid)?;
        let logins = self.0.vault.logins();
        let taken = logins.take(LoginFlow::External, state.expose(), &caller.user, &provider, &caller.who).await?;
        taken.ok_or(Error::StateInvalid)
    }

    async fn obtain(
        &self,
        connectable: &Connectable<'_>,
        pending: &PendingAuthorization,
        (code, told): (Secret, Option<&str>),
        state: &Secret,
        values: &mut Values,
    ) -> Result<Obtained, Error> {
        let (egress, client) = (&connectable.egress, &connectable.client);
        let entry = connectable.oauth.with_values(values).map_err(refused)?;
        let verifier = pending.code_verifier.clone().map(CodeVerifier::stored);
        let exchange = CodeExchange {
            code: &AuthorizationCode::new(code.expose()),
            redirect_uri: &pending.redirect_uri,
            verifier: verifier.as_ref(),
            requested: &pending.scopes,
            told,
            requested_further: &pending.further_scopes,
        };
        let exchanged = oauth::exchange(egress, &entry, client, &exchange).await;
        if let Some(found) = pending.discovery.as_deref() {
            match &exchanged {
                // The code was issued to a client that the server has deleted. The next login
                // registers again.
                Err(error) if error.rejects_registration() => self.drop_registration(found, &client.id).await,
                Err(_) => {}
                Ok(_) => self.keep_registration(found),
            }
        }
        let grant = exchanged.map_err(|error| exchange_error(&error))?;
        let identity = self.whose(connectable, &grant, Some(state), values).await?;
        Ok(Obtained { grant, identity })
    }

    /// Looks up whose account it is. If the grant has an ID token with the nonce of `state`, its
    /// claims are used.
    pub(in crate::broker) async fn whose(
        &self,
        connectable: &Connectable<'_>,
        grant: &Grant,
        state: Option<&Secret>,
        values: &mut Values,
    ) -> Result<Account, Error> {
        let (egress, client) = (&connectable.egress, &connectable.client);
        let entry = connectable.oauth.with_values(values).map_err(refused)?;
        let entry = match connectable.oauth.token_values(&grant.metadata) {
            Ok(more) => {
                values.extend(more);
                connectable.oauth.with_values(values).map_err(refused)?
            }
            Err(fault) => {
                tracing::warn!(provider = %connectable.provider.name, %fault, "the token response lacks values that the provider's URLs need");
                entry
            }
        };
        let claims = match state.and_then(|state| StateToken::parse(state.expose())) {
            Some(state) => self.id_token(connectable, grant, &Nonce::of(&state)).await?,
            None => None,
        };
        let identified = match &claims {
            Some(claims) => oauth::identify_by_id_token(egress, &entry, client, grant, claims).await,
            None => oauth::identify(egress, &entry, client, grant).await,
        };
        Ok(match identified {
            Ok(identity) => identity,
            Err(error) => {
                tracing::warn!(provider = %connectable.provider.name, %error, "cannot look up the account");
                Account::default()
            }
        })
    }

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
        let terms = LoginTerms { reconnect, begun_at: pending.begun_at, revocation, retry_for };
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
                    LoginRefusal::UserRemoved => Error::StateInvalid,
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

/// Credential of the first token, and those of additional tokens.
type Stored = (CredentialMetadata, Vec<CredentialMetadata>);

/// Builds the credential of one grant.
fn credential_of(
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
        account: identity.account,
        client_id: Some(pending.client_id.clone()),
        expires_at: grant.expires_in.map(|lifetime| now.plus(lifetime)),
        refresh_at: schedule::refresh_at(&tokens, now, random),
        material: CredentialSecret::OAuth2(tokens),
    }
}

/// The callback brought a value that does not fit this provider. No request is sent.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn refused(fault: InputFault) -> Error {
    Error::ExchangeRefused(format!("the callback's {fault}"))
}

/// Maps to 400 if the provider refused the request, 502 if the provider failed, 504 if it was too
/// slow.
fn exchange_error(error: &OAuthError) -> Error {
    let message = error.to_string();
    match error {
        OAuthError::Refused(_) => Error::ExchangeRefused(message),
        OAuthError::Unreachable(error) if error.timed_out() => Error::ProviderTooSlow(message),
        OAuthError::Unreachable(_) | OAuthError::Status { .. } | OAuthError::Invalid(_) | OAuthError::Build(_) => {
            Error::ProviderFailed(message)
        }
    }
}
