//! Complete: consumes the state, exchanges the code, and looks up the account.
//!
//! The types fix the order: a [`PendingAuthorization`] comes out of the vault once, the exchange
//! turns it into an [`Obtained`] grant, and only that can be stored.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::connectable::Connectable;
use super::keep::{CompleteResponse, Obtained};
use crate::broker::caller::Caller;
use crate::broker::error::{Error, StateFault};
use crate::broker::parts::Broker;
use crate::catalog::input::InputFault;
use crate::catalog::values::Values;
use crate::id::ProviderName;
use crate::oauth::callback::{check_issuer, read_error};
use crate::oauth::{
    self, Account, AuthorizationCode, CodeExchange, CodeVerifier, Grant, Nonce, OAuthError, StateToken,
};
use crate::secret::Secret;
use crate::vault::{LoginFlow, PendingAuthorization};

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
        self.require_completion(caller, provider, (LoginFlow::External, &request.state_token)).await?;
        let pending = self.take(caller, provider, &request.state_token).await?;
        if pending.flow == LoginFlow::Connect {
            let error = Error::StateNotExternal;
            self.record_failed_login(caller, &pending.provider, pending.reconnect, &error).await;
            return Err(error);
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
            .map_err(|_| Error::StateInvalid(StateFault::Issuer))?;
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
        let mut grant = self.obtain(&connectable, &pending, (code, told), &values).await?;
        let identity = match self.whose(&connectable, &grant, Some(state), &mut values).await {
            Ok(identity) => identity,
            Err(error) => {
                self.discard(caller, &connectable, &pending, grant, values).await;
                return Err(error);
            }
        };
        connectable.oauth.keep_values(&mut grant.metadata, values, params);
        self.keep(caller, &connectable, pending, Obtained { grant, identity }).await
    }

    /// Consumes the state and returns its pending login.
    pub(in crate::broker) async fn take(
        &self,
        caller: &Caller,
        provider: &str,
        state: &Secret,
    ) -> Result<PendingAuthorization, Error> {
        let provider: ProviderName = provider.parse().map_err(|_| Error::StateInvalid(StateFault::Unknown))?;
        let logins = self.0.vault.logins();
        let taken = logins.take(LoginFlow::External, state.expose(), &caller.user, &provider, &caller.who).await?;
        match taken {
            Some(pending) => Ok(pending),
            None => Err(self.missed_login(caller, &provider, (LoginFlow::External, state)).await),
        }
    }

    async fn obtain(
        &self,
        connectable: &Connectable<'_>,
        pending: &PendingAuthorization,
        (code, told): (Secret, Option<&str>),
        values: &Values,
    ) -> Result<Grant, Error> {
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
        exchanged.map_err(|error| exchange_error(&error))
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
