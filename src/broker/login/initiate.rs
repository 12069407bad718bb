//! Initiate: checks callback, provider and client, stores a pending login, and returns the URL to
//! log in at.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use super::connectable::Connectable;
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::catalog::Provider;
use crate::catalog::entry::{Mcp, OAuth};
use crate::catalog::values::Values;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName};
use crate::jose::SigningKey;
use crate::kind::Kind;
use crate::oauth::{self, AuthorizationRequest, CodeVerifier, Nonce, StateToken};
use crate::vault::{CredentialMetadata, LoginFlow, PendingAuthorization};

/// Maximum length of a login URL, in bytes. Browsers and servers accept no much longer one.
const MAX_LOGIN_URL: usize = 8 * 1024;

/// Parameters of a login.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = OAuthInitiateRequest)]
pub struct InitiateRequest {
    /// Redirect URI, sent to the provider exactly as given. Its origin must be allowed.
    pub callback_url: String,
    /// Scopes to request; empty for the provider's defaults.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes of additional tokens, by token name; empty for the entry's defaults.
    #[serde(default)]
    pub further_scopes: BTreeMap<String, Vec<String>>,
    /// Object that the client gets back at complete. It is not trusted: do not take the user from
    /// it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub state_metadata: Map<String, Value>,
    /// Values for the provider's URLs, for example a customer's subdomain.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Credential to reconnect; it keeps its id. Without it, every complete creates a new
    /// credential.
    #[serde(default)]
    pub credential_id: Option<String>,
    /// `false` if the tokens may never be given out: requests can be sent with them through the
    /// proxy only. A credential that is reconnected stays so.
    #[serde(default)]
    #[schema(required = false, nullable = false)]
    pub exportable: Option<bool>,
    /// True if the credential may change to another account.
    #[serde(default)]
    pub allow_account_change: bool,
}

/// URL for the user, and the state of the login.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = OAuthInitiateResponse)]
pub struct InitiateResponse {
    /// Authorization URL.
    pub login_url: String,
    /// The `state` of the URL. Complete accepts it once.
    pub state_token: String,
    /// Expiry of the state, in Unix seconds.
    #[schema(value_type = i64)]
    pub expires_at: UnixTime,
}

impl Broker {
    /// Starts the code flow (RFC 6749 §4.1) with PKCE (RFC 7636). The state is on disk before the
    /// URL is returned. No request is sent, except for discovery and pushed authorization requests
    /// (RFC 9126).
    pub async fn initiate(
        &self,
        caller: &Caller,
        provider: &str,
        request: InitiateRequest,
    ) -> Result<InitiateResponse, Error> {
        self.check_callback(&request.callback_url)?;
        self.require_login(caller, provider, request.credential_id.as_deref()).await?;
        self.begin(caller, provider, request, LoginFlow::External, self.0.config.oauth.state_ttl).await
    }

    /// Starts a login. The caller has checked the redirect URI.
    pub(in crate::broker) async fn begin(
        &self,
        caller: &Caller,
        provider: &str,
        request: InitiateRequest,
        flow: LoginFlow,
        within: Duration,
    ) -> Result<InitiateResponse, Error> {
        let begun_at = Some(self.0.vault.users().now()?);
        // A reconnect may need no more room; that shows when it is stored.
        if request.credential_id.is_none() {
            self.0.vault.credentials().within(self.quota(caller)).check_room(&caller.user)?;
        }
        let (connectable, inputs, discovery) = self.to_connect(caller, provider, &request).await?;
        let reconnect = self.to_reconnect(caller, &connectable.provider.name, request.credential_id.as_deref()).await?;

        let entry = connectable.oauth.with_values(&inputs).map_err(|fault| Error::Inputs(vec![fault]))?;

        let state = StateToken::generate(self.0.random);
        let verifier = CodeVerifier::for_provider(&connectable.oauth, self.0.random);
        let asked = (request.scopes.as_slice(), &request.further_scopes);
        let (scopes, further_scopes) = requested_scopes(&connectable.oauth, asked, reconnect.as_ref());
        let nonce = entry.is_openid(&scopes).then(|| Nonce::of(&state));
        let authorization = AuthorizationRequest {
            entry: &entry,
            client_id: &connectable.client.id,
            redirect_uri: &request.callback_url,
            scopes: &scopes,
            further_scopes: &further_scopes,
            state: &state,
            verifier: verifier.as_ref(),
            nonce: nonce.as_ref(),
        };
        let created_at = self.0.clock.now();
        let (login_url, within) = self.login_url(&connectable, &entry, &authorization, within).await?;
        if login_url.as_str().len() > MAX_LOGIN_URL {
            return Err(Error::LoginUrlTooLong);
        }

        let expires_at = created_at.plus(within);
        let exportable = self.exportable_at(&connectable.provider.name, request.exportable);
        let pending = PendingAuthorization {
            user: caller.user.clone(),
            provider: connectable.provider.name.clone(),
            flow,
            api_key_id: caller.api_key(),
            client_id: connectable.client.id,
            redirect_uri: request.callback_url,
            code_verifier: verifier.as_ref().map(|verifier| verifier.secret().clone()),
            dpop_key: entry.dpop.then(|| Arc::new(SigningKey::generate())),
            scopes,
            further_scopes,
            inputs,
            discovery,
            state_metadata: request.state_metadata,
            issuer: connectable.oauth.issuer.clone(),
            reconnect: reconnect.map(|again| again.id),
            any_account: request.allow_account_change,
            exportable,
            device: None,
            begun_at,
            created_at,
            expires_at,
        };
        self.0.vault.logins().begin(state.expose(), pending, &caller.who).await?;
        Ok(InitiateResponse { login_url: login_url.into(), state_token: state.expose().to_owned(), expires_at })
    }

    /// Returns the authorization URL and its lifetime: the shorter of ours and, if the request was
    /// pushed (RFC 9126), the server's.
    async fn login_url(
        &self,
        connectable: &Connectable<'_>,
        entry: &OAuth,
        authorization: &AuthorizationRequest<'_>,
        within: Duration,
    ) -> Result<(Url, Duration), Error> {
        let unbuildable = |_| Error::NotConfigured(connectable.provider.name.to_string());
        if entry.par_url.is_none() {
            return Ok((authorization.url().map_err(unbuildable)?, within));
        }
        let pushed = Box::pin(oauth::push(&connectable.egress, entry, &connectable.client, authorization)).await;
        let failed = |error: oauth::OAuthError| {
            let what = error.to_string();
            if error.timed_out() { Error::ServerTooSlow(what) } else { Error::ServerUnusable(what) }
        };
        let pushed = pushed.map_err(failed)?;
        Ok((authorization.url_of_pushed(&pushed.request_uri).map_err(unbuildable)?, within.min(pushed.expires_in)))
    }

    /// Returns the provider, the caller's values for its URLs, and the result of the discovery at an
    /// MCP server.
    async fn to_connect(
        &self,
        caller: &Caller,
        provider: &str,
        request: &InitiateRequest,
    ) -> Result<(Connectable<'_>, Values, Option<String>), Error> {
        if let Some(known) = self.0.catalog.get(provider)
            && let Some(mcp) = &known.entry.mcp
        {
            let inputs = self.with_own_server(caller, known, mcp, request)?;
            let found = self.discover_mcp(caller, known, mcp, &inputs, &request.callback_url);
            let (connectable, discovery) = Box::pin(found).await?;
            return Ok((connectable, Values::new(), Some(discovery)));
        }
        // An entry may have grants without a user alone.
        if self.0.catalog.get(provider).is_some_and(|known| !known.entry.has_login()) {
            return Err(Error::NoOAuth(provider.to_owned()));
        }
        let connectable = self.connectable(provider).await?;
        let inputs = connectable.oauth.callers_values(&request.inputs).map_err(Error::Inputs)?;
        Ok((connectable, inputs, None))
    }

    /// Returns the inputs of a login at an MCP server. A reconnect that names no server is one at the
    /// credential's own.
    fn with_own_server<'r>(
        &self,
        caller: &Caller,
        provider: &Provider,
        mcp: &Mcp,
        request: &'r InitiateRequest,
    ) -> Result<Cow<'r, BTreeMap<String, String>>, Error> {
        let named = mcp.server_url.is_some() || request.inputs.contains_key(Mcp::INPUT);
        let Some(id) = request.credential_id.as_deref().filter(|_| !named) else {
            return Ok(Cow::Borrowed(&request.inputs));
        };
        let own = self.owned_account(caller, &provider.name, id)?.server;
        let server = own.into_iter().map(|url| (Mcp::INPUT.to_owned(), url));
        Ok(Cow::Owned(request.inputs.clone().into_iter().chain(server).collect()))
    }

    /// Returns the user's own OAuth credential of this provider.
    fn owned_account(&self, caller: &Caller, provider: &ProviderName, id: &str) -> Result<CredentialMetadata, Error> {
        let summary = self.owned(caller, id)?;
        if summary.provider != *provider || summary.kind != Kind::OAuth2 {
            return Err(Error::CredentialOfAnotherProvider);
        }
        Ok(summary)
    }

    fn check_callback(&self, callback_url: &str) -> Result<(), Error> {
        let origins = &self.0.config.oauth.callback_origins;
        match origins.check(callback_url) {
            Ok(_) => Ok(()),
            Err(fault) => Err(Error::OriginNotAllowed { allowed: origins.list(), reason: fault.to_string() }),
        }
    }

    /// Returns the credential that keeps its id, if the request names one. It must be the user's
    /// own OAuth credential of this provider. Credentials of one login are reconnected together,
    /// because the provider issues their tokens together.
    pub(in crate::broker) async fn to_reconnect(
        &self,
        caller: &Caller,
        provider: &ProviderName,
        id: Option<&str>,
    ) -> Result<Option<Reconnect>, Error> {
        let Some(id) = id else { return Ok(None) };
        let summary = self.owned_account(caller, provider, id)?;
        let known = self.0.catalog.get(provider.as_str()).and_then(|known| known.entry.oauth.as_ref());
        let alone = summary.beside.is_none() && known.is_none_or(|oauth| oauth.further_tokens.is_empty());
        if alone {
            let scopes = summary.scopes.unwrap_or_default();
            return Ok(Some(Reconnect { id: summary.id, scopes, further_scopes: BTreeMap::new() }));
        }
        let first = summary.beside.as_ref().map_or(summary.id, |beside| beside.of);
        let mut again = Reconnect { id: first, scopes: Vec::new(), further_scopes: BTreeMap::new() };
        for one in self.of_one_login(&caller.user, provider, first).await? {
            let scopes = one.scopes.unwrap_or_default();
            match one.beside {
                Some(beside) if beside.of == first => drop(again.further_scopes.insert(beside.name, scopes)),
                _ if one.id == first => again.scopes = scopes,
                _ => {}
            }
        }
        Ok(Some(again))
    }
}

/// A credential to reconnect, with its current scopes.
pub(in crate::broker) struct Reconnect {
    /// Credential of the login's first token; it may be deleted.
    pub(in crate::broker) id: CredentialId,
    /// Scopes of the first token.
    pub(in crate::broker) scopes: Vec<String>,
    /// Scopes of the additional tokens, by token name.
    pub(in crate::broker) further_scopes: BTreeMap<String, Vec<String>>,
}

/// Scopes of the first token, and of additional tokens by token name.
type AllScopes = (Vec<String>, BTreeMap<String, Vec<String>>);

/// Returns the scopes to request: those of the caller or the defaults, and those that the
/// credential to reconnect already has.
pub(in crate::broker) fn requested_scopes(
    entry: &OAuth,
    (wanted, further_wanted): (&[String], &BTreeMap<String, Vec<String>>),
    reconnect: Option<&Reconnect>,
) -> AllScopes {
    let mut scopes = entry.scopes_for(wanted);
    let mut further_scopes = entry.further_scopes_for(further_wanted);
    if let Some(again) = reconnect {
        add_scopes(&mut scopes, entry, &again.scopes);
        for (name, held) in &again.further_scopes {
            add_scopes(further_scopes.entry(name.clone()).or_default(), entry, held);
        }
    }
    (scopes, further_scopes)
}

/// Adds the scopes that a credential already has, unless the provider always grants fixed scopes.
fn add_scopes(scopes: &mut Vec<String>, entry: &OAuth, held: &[String]) {
    if entry.fixed_scopes {
        return;
    }
    for scope in held {
        if !scopes.iter().any(|there| entry.same_scope(there, scope)) {
            scopes.push(scope.clone());
        }
    }
}
