//! MCP servers as providers: the authorization server and our client there are discovered at each
//! login and sealed with it (MCP authorization specification of 2025-11-25; RFC 9728, 8414, 7591,
//! 8707).
//!
//! The result of a discovery is used for that login and credential only. One authorization server's
//! client is therefore never sent to another. A server that later names another authorization
//! server does not receive tokens issued before.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, json};

use super::connectable::{Connectable, undiscovered};
use crate::broker::caller::Caller;
use crate::broker::error::Error;
use crate::broker::parts::Broker;
use crate::catalog::Provider;
use crate::catalog::entry::{Mcp, OAuth, TokenAuth};
use crate::egress::Egress;
use crate::id::ProviderName;
use crate::oauth::{
    self, Client, DiscoveryError, Metadata, ProtectedResource, Registration, RegistrationError, RegistrationRequest,
    ResourceError,
};
use crate::secret::Secret;
use crate::validation::{self, Format};
use crate::vault::{
    AuditContext, ClientManagement, ClientRegistration, CredentialMetadata, QueuedRevocation, RegisteredAt, Tokens,
};

/// Maximum length of a title, in characters.
const MAX_TITLE: usize = 200;

/// Seconds before its expiry at which a registered client's secret is no longer used for new
/// logins.
const TOO_SHORT: i64 = 900;

/// Maximum number of authorization servers of one resource whose metadata are requested.
const MAX_AUTHORIZATION_SERVERS: usize = 3;

/// Result of a discovery, sealed with the login and then with the credential.
#[derive(Serialize, Deserialize)]
struct Found {
    /// URL of the server, as the caller or the entry gives it.
    server: String,
    /// True if the caller named the server.
    chosen: bool,
    #[serde(deserialize_with = "read_oauth")]
    oauth: OAuth,
    redirect_uri: String,
    client: Whose,
}

/// Our client at an authorization server.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Whose {
    /// Registered by hand; from the configuration.
    Configured,
    /// Client-id metadata document.
    Document,
    /// Registered by us (RFC 7591). It stays the credential's client when later logins use
    /// another registration.
    Registered { client_id: String, client_secret: Option<String> },
}

impl Broker {
    /// Discovers how to connect an account at the MCP server that the caller or the entry names.
    /// Returns the provider for this login, and the result to seal with it.
    pub(in crate::broker) async fn discover_mcp<'b>(
        &'b self,
        caller: &Caller,
        provider: &'b Provider,
        mcp: &Mcp,
        inputs: &BTreeMap<String, String>,
        redirect_uri: &str,
    ) -> Result<(Connectable<'b>, String), Error> {
        let url = mcp.server(inputs).map_err(|fault| Error::Inputs(vec![fault]))?;
        let chosen = mcp.server_url.is_none();
        let egress = self.mcp_egress(provider, chosen);
        let settings = self.0.config.providers.get(&provider.name);
        let (assumes_s256, accepts_legacy) = settings.map_or((false, false), |one| (one.assume_s256, one.legacy));
        let found = ProtectedResource::find(&egress, &url).await;
        let is_legacy = accepts_legacy && found.as_ref().is_err_and(ResourceError::is_absent);
        let resource = if is_legacy {
            ProtectedResource::of_legacy_server(&url)
        } else {
            found.map_err(|error| match unusable(&error) {
                Error::ServerUnusable(why) if error.is_absent() => Error::ServerUnusable(format!(
                    "{why}; providers.{}.legacy = true accepts a server of MCP's revision 2025-03-26",
                    provider.name
                )),
                other => other,
            })?
        };
        let metadata = metadata_of(&egress, mcp, &resource, is_legacy).await?;
        check_s256(&metadata.code_challenge_methods_supported, assumes_s256, &provider.name)?;
        let (whose, client, token_auth) =
            self.mcp_client((caller, &egress), provider, mcp, &resource, &metadata, redirect_uri).await?;
        let base = entry(mcp, &resource, &metadata, token_auth).map_err(|error| undiscovered(&error))?;
        let oauth = oauth::resolve(&base, &metadata, &client).map_err(|error| undiscovered(&error))?;
        // MCP defines no identity endpoint.
        let oauth = OAuth { identity: None, ..oauth };
        let server = url.url().to_string();
        let found = Found { server, chosen, oauth, redirect_uri: redirect_uri.to_owned(), client: whose };
        let kept = serde_json::to_string(&found).map_err(|error| Error::ServerUnusable(error.to_string()))?;
        Ok((found.connectable(provider, client, egress), kept))
    }

    /// Returns the provider as it was discovered for a login or a credential.
    pub(in crate::broker) fn found_mcp<'b>(
        &'b self,
        provider: &'b Provider,
        kept: &str,
    ) -> Result<Connectable<'b>, Error> {
        let not_configured = || Error::NotConfigured(provider.name.to_string());
        let found: Found = serde_json::from_str(kept).map_err(|_| not_configured())?;
        let client = match &found.client {
            Whose::Configured => self.0.clients.at(&provider.name),
            Whose::Document => self.document_client(),
            Whose::Registered { client_id, client_secret } => {
                Some(self.client(client_id, client_secret.as_deref().map(Secret::new)))
            }
        };
        let client = client.ok_or_else(not_configured)?;
        let egress = self.mcp_egress(provider, found.chosen);
        Ok(found.connectable(provider, client, egress))
    }

    /// Returns the egress client for an MCP server. If a caller chose it, every URL in its documents
    /// is the caller's too.
    fn mcp_egress(&self, provider: &Provider, chosen: bool) -> Egress {
        self.0.egress.of_provider(provider.name.as_str()).at_chosen_server(chosen)
    }

    /// Returns true if the credential's provider is an MCP server.
    pub(in crate::broker) fn is_mcp(&self, summary: &CredentialMetadata) -> bool {
        self.0.catalog.get(summary.provider.as_str()).is_some_and(|provider| provider.entry.mcp.is_some())
    }

    /// Returns true if the tokens belong to an MCP server without a revocation endpoint.
    pub(in crate::broker) fn has_no_revocation(queued: &QueuedRevocation) -> bool {
        let kept = queued.tokens.discovery.as_deref();
        let found = kept.and_then(|kept| serde_json::from_str::<Found>(kept).ok());
        found.is_some_and(|found| found.oauth.revoke.is_none())
    }

    /// Returns the registration that these tokens were issued to.
    pub(in crate::broker) fn registered_at(tokens: &Tokens) -> Option<RegisteredAt> {
        let found: Found = serde_json::from_str(tokens.discovery.as_deref()?).ok()?;
        found.is_registered().then(|| found.place())
    }

    /// Registers a new client if the authorization server has deleted ours. Returns `None` if ours
    /// was not registered by us, or the registration fails.
    pub(in crate::broker) async fn register_again(
        &self,
        provider: &ProviderName,
        egress: &Egress,
        kept: &str,
        dead: &str,
    ) -> Option<Client> {
        let found: Found = serde_json::from_str(kept).ok().filter(Found::is_registered)?;
        let issuer = found.oauth.issuer.clone()?;
        let metadata = Metadata::fetch(egress, &issuer).await.ok()?;
        let registered = self
            .register((provider, egress), &metadata, &found.redirect_uri, &found.oauth.default_scopes)
            .await
            .ok()?;
        let kept = self
            .0
            .vault
            .registrations()
            .put(&found.place(), registered, Some(dead), &AuditContext::system())
            .await
            .ok()?;
        Some(self.registered(&kept))
    }

    /// Ends the use of our registration for new logins, because the authorization server rejects
    /// the client.
    pub(in crate::broker) async fn drop_registration(&self, kept: &str, client_id: &str) {
        let Ok(found) = serde_json::from_str::<Found>(kept) else { return };
        if found.is_registered() && self.0.rejected_clients.reject(found.place()) {
            let dropped = self.0.vault.registrations().remove(&found.place(), client_id, &AuditContext::system()).await;
            if let Err(error) = dropped {
                tracing::warn!(%error, "cannot drop a client that the authorization server rejects");
            }
        }
    }

    /// Records that the authorization server accepted the client of this login.
    pub(in crate::broker) fn keep_registration(&self, kept: &str) {
        if let Ok(found) = serde_json::from_str::<Found>(kept) {
            self.0.rejected_clients.accept(&found.place());
        }
    }

    /// Chooses our client at this authorization server, in the order of the specification:
    /// configured, metadata document, dynamic registration.
    async fn mcp_client(
        &self,
        (caller, egress): (&Caller, &Egress),
        provider: &Provider,
        mcp: &Mcp,
        resource: &ProtectedResource,
        metadata: &Metadata,
        redirect_uri: &str,
    ) -> Result<(Whose, Client, TokenAuth), Error> {
        if mcp.issuer.as_deref().is_some_and(|issuer| oauth::is_same_issuer(issuer, &metadata.issuer)) {
            let client = self.0.clients.at(&provider.name);
            let client = client.ok_or_else(|| Error::NotConfigured(provider.name.to_string()))?;
            return Ok((Whose::Configured, client, TokenAuth::default()));
        }
        let listed = self.0.config.oauth.redirect_uris.iter().any(|uri| uri == redirect_uri);
        if metadata.client_id_metadata_document_supported
            && listed
            && let Some(client) = self.document_client()
        {
            return Ok((Whose::Document, client, TokenAuth::PrivateKeyJwt));
        }
        let at = place(&metadata.issuer, redirect_uri);
        let known = self.0.vault.registrations().get(&at)?;
        let ends = |known: &ClientRegistration| {
            let now = self.0.clock.now();
            known.secret_expires_at.is_some_and(|at| now.seconds_until(at) < TOO_SHORT)
        };
        let registration = match known {
            Some(known) if !ends(&known) && known.redirect_uri.as_deref() == Some(redirect_uri) => known,
            known => {
                self.0.registrations.check(caller.user.as_str()).map_err(Error::TooManyRegistrations)?;
                let new = self.register((&provider.name, egress), metadata, redirect_uri, &resource.scopes).await?;
                let dead = known.map(|known| known.client_id);
                self.0.vault.registrations().put(&at, new, dead.as_deref(), &caller.who).await?
            }
        };
        let (way, client) = (way_of(&registration.token_auth), self.registered(&registration));
        let client_secret = registration.client_secret.map(|secret| secret.expose().to_owned());
        Ok((Whose::Registered { client_id: registration.client_id, client_secret }, client, way))
    }

    async fn register(
        &self,
        (provider, egress): (&ProviderName, &Egress),
        metadata: &Metadata,
        redirect_uri: &str,
        scopes: &[String],
    ) -> Result<ClientRegistration, Error> {
        let unable = |what: &str| Error::ServerUnusable(what.to_owned());
        let endpoint = metadata.registration_endpoint.as_ref().ok_or_else(|| {
            unable("the authorization server has no registration endpoint: register a client there and set client_id and mcp.issuer")
        })?;
        let announced = &metadata.token_endpoint_auth_methods_supported;
        let token_auth = oauth::preferred_auth(announced)
            .ok_or_else(|| unable("the authorization server offers no supported client authentication method"))?;
        let request = RegistrationRequest { client_name: "Strongroom", redirect_uri, token_auth, announced, scopes };
        let registered = oauth::register(egress, endpoint, &request).await;
        let registered = registered.map(|new| registration(new, provider, redirect_uri));
        registered.map_err(|error| match error {
            RegistrationError::Unreachable(failed) if failed.timed_out() => Error::ServerTooSlow(error.to_string()),
            _ => Error::ServerUnusable(error.to_string()),
        })
    }

    fn registered(&self, known: &ClientRegistration) -> Client {
        self.client(&known.client_id, known.client_secret.clone())
    }

    fn client(&self, id: &str, secret: Option<Secret>) -> Client {
        Client::new(id, secret.into_iter().collect(), self.0.clock.clone(), self.0.random)
    }

    fn document_client(&self) -> Option<Client> {
        let document = self.client_metadata()?;
        let client = Client::new(document.client_id, Vec::new(), self.0.clock.clone(), self.0.random);
        Some(client.with_key(Some(self.0.clients.own.clone()?)))
    }
}

impl Found {
    /// Returns the provider of this login. Its title names the server, unless the entry fixes one.
    fn connectable(self, provider: &Provider, client: Client, egress: Egress) -> Connectable<'_> {
        let is_fixed = provider.entry.mcp.as_ref().is_some_and(|mcp| mcp.server_url.is_some());
        let shown = self.server.split_once("://").map_or(self.server.as_str(), |(_, rest)| rest.trim_end_matches('/'));
        let title = if is_fixed { &provider.entry.display_name } else { shown };
        let title = title.chars().take(MAX_TITLE).collect();
        Connectable { provider, title, oauth: Cow::Owned(self.oauth), client, egress, server: Some(self.server) }
    }

    fn is_registered(&self) -> bool {
        matches!(self.client, Whose::Registered { .. })
    }

    fn place(&self) -> RegisteredAt {
        place(self.oauth.issuer.as_deref().unwrap_or_default(), &self.redirect_uri)
    }
}

/// Returns the place of a registration at this issuer, for this redirect URI.
fn place(issuer: &str, redirect_uri: &str) -> RegisteredAt {
    let origin_and_path = redirect_uri.split(['?', '#']).next().unwrap_or_default();
    RegisteredAt { issuer: issuer.to_owned(), redirect_uri: origin_and_path.to_owned() }
}

fn registration(new: Registration, provider: &ProviderName, redirect_uri: &str) -> ClientRegistration {
    ClientRegistration {
        client_id: new.client_id,
        client_secret: new.client_secret,
        secret_expires_at: new.secret_expires_at,
        token_auth: new.token_auth.method_name().unwrap_or("none").to_owned(),
        redirect_uri: Some(redirect_uri.to_owned()),
        management: new.management.map(|(uri, access_token)| ClientManagement {
            provider: provider.clone(),
            uri,
            access_token,
        }),
    }
}

/// Fetches the metadata of the authorization server at which our configured client is registered,
/// or else of the first one in the resource's order whose metadata can be had.
async fn metadata_of(
    egress: &Egress,
    mcp: &Mcp,
    resource: &ProtectedResource,
    is_legacy: bool,
) -> Result<Metadata, Error> {
    let servers = &resource.authorization_servers;
    let is_ours = |one: &&String| mcp.issuer.as_ref().is_some_and(|issuer| oauth::is_same_issuer(one, issuer));
    let candidates = match servers.iter().find(is_ours) {
        Some(ours) => std::slice::from_ref(ours),
        None => &servers[..servers.len().min(MAX_AUTHORIZATION_SERVERS)],
    };
    let mut failed = unusable(&ResourceError::NoAuthorizationServer);
    for (position, issuer) in candidates.iter().enumerate() {
        let fetched = match Metadata::fetch(egress, issuer).await {
            Err(error) if is_legacy && error.is_absent() => Metadata::of_legacy_server(issuer),
            fetched => fetched,
        };
        let error = match fetched {
            Ok(metadata) => return Ok(metadata),
            Err(error) => undiscovered(&error),
        };
        // A server that is too slow has used up the time of this request.
        let is_slow = matches!(error, Error::ServerTooSlow(_));
        if position == 0 || is_slow {
            failed = error;
        }
        if is_slow {
            break;
        }
    }
    Err(failed)
}

fn way_of(name: &str) -> TokenAuth {
    let ways = [TokenAuth::BasicWithId, TokenAuth::Post];
    ways.into_iter().find(|way| way.method_name() == Some(name)).unwrap_or(TokenAuth::None)
}

/// Builds the OAuth entry that discovery then completes. Every request names the resource (RFC 8707
/// §2), so that the tokens are valid only there.
fn entry(
    mcp: &Mcp,
    resource: &ProtectedResource,
    metadata: &Metadata,
    token_auth: TokenAuth,
) -> Result<OAuth, DiscoveryError> {
    let mut default_scopes =
        if mcp.default_scopes.is_empty() { resource.scopes.clone() } else { mcp.default_scopes.clone() };
    // Requests a refresh token if the server knows this scope (OpenID Connect Core §11).
    let offline = "offline_access";
    if metadata.scopes_supported.iter().any(|scope| scope == offline)
        && !default_scopes.iter().any(|scope| scope == offline)
    {
        default_scopes.push(offline.to_owned());
    }
    let indicator = json!({ "resource": resource.resource });
    let entry = json!({
        "issuer": metadata.issuer,
        "authorize_url": metadata.authorization_endpoint.as_ref().ok_or(DiscoveryError::Missing("authorization_endpoint"))?,
        "token_url": metadata.token_endpoint.as_ref().ok_or(DiscoveryError::Missing("token_endpoint"))?,
        "token_auth": token_auth,
        "default_scopes": default_scopes,
        "authorize_params": indicator,
        "token_params": indicator,
        "refresh_params": indicator,
        "identity": null,
    });
    // A URL with a brace would be read as a template; no server has one.
    read_oauth(entry).map_err(|_| DiscoveryError::Missing("authorization_endpoint"))
}

/// Reads an OAuth entry as the catalogue does. Compiled for another deserializer too, the many types
/// of an entry would take 300 KB more of the binary.
fn read_oauth<'de, D: Deserializer<'de>>(from: D) -> Result<OAuth, D::Error> {
    match validation::read(&Value::deserialize(from)?, Format::Toml) {
        (Some(oauth), faults) if faults.is_empty() => Ok(oauth),
        _ => Err(de::Error::custom("not an OAuth entry")),
    }
}

/// Checks that the server supports PKCE with S256. A server that announces other methods only does
/// not, whatever the operator assumes.
fn check_s256(announced: &[String], is_assumed: bool, provider: &ProviderName) -> Result<(), Error> {
    if announced.iter().any(|method| method == "S256") || (announced.is_empty() && is_assumed) {
        return Ok(());
    }
    let advice = if announced.is_empty() {
        format!(
            ". If it supports S256 nevertheless, as Entra ID and Cognito do, the operator can set \
             providers.{provider}.assume_s256 = true"
        )
    } else {
        String::new()
    };
    Err(Error::ServerUnusable(format!(
        "the authorization server does not announce PKCE with S256, which Strongroom requires{advice}"
    )))
}

fn unusable(error: &ResourceError) -> Error {
    match error {
        ResourceError::Unreachable(failed) if failed.timed_out() => Error::ServerTooSlow(error.to_string()),
        _ => Error::ServerUnusable(error.to_string()),
    }
}
