//! Our registrations at the providers, made once from the settings: a client remembers which of its secrets works. And what
//! we publish about ourselves: our public keys, and our client-id metadata document.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Broker;
use crate::catalog::entry::{OAuth, TokenAuth};
use crate::catalog::{Catalog, Provider};
use crate::clock::Clock;
use crate::config::{Config, ProviderSettings};
use crate::id::ProviderName;
use crate::jose::SigningKey;
use crate::oauth::Client;
use crate::random::Random;
use crate::vault::{Vault, VaultError, Who};

/// Where our public keys are, under the base path.
const JWKS: &str = "/v1/oauth/jwks.json";

/// Where our client-id metadata document is, under the base path.
const CLIENT_METADATA: &str = "/v1/oauth/client.json";

/// Our client at each provider for which the configuration has an id.
pub(super) struct Clients {
    by_provider: BTreeMap<ProviderName, Client>,
    /// Every public key of ours: the vault's, the newest first, and the configuration's.
    published: Vec<Map<String, Value>>,
    /// The newest key of the vault.
    own: Option<Arc<SigningKey>>,
}

/// Our public keys (RFC 7517 §5).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JwkSet)]
pub struct PublishedKeys {
    /// Each as a JWK, without anything private.
    #[schema(value_type = Vec<Object>)]
    pub keys: Vec<Map<String, Value>>,
}

/// Who we are, at authorization servers where a client's id is the URL of this document
/// (draft-ietf-oauth-client-id-metadata-document, RFC 7591 §2).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ClientMetadata)]
pub struct ClientMetadata {
    /// The URL of this document.
    pub client_id: String,
    /// What people are asked about.
    pub client_name: &'static str,
    /// Where users are sent back to.
    pub redirect_uris: Vec<String>,
    /// What is asked for at the token endpoint.
    pub grant_types: [&'static str; 2],
    /// What is asked for at the authorization endpoint.
    pub response_types: [&'static str; 1],
    /// How we prove who we are.
    pub token_endpoint_auth_method: &'static str,
    /// With what.
    pub token_endpoint_auth_signing_alg: &'static str,
    /// Our public keys.
    pub jwks_uri: String,
}

impl Clients {
    /// `own` are the vault's keys; the first of them signs where the configuration gives a client none.
    pub(super) fn new(config: &Config, own: Vec<SigningKey>, clock: &Clock, random: Random) -> Self {
        let own: Vec<Arc<SigningKey>> = own.into_iter().map(Arc::new).collect();
        let client = |(name, settings): (&ProviderName, &ProviderSettings)| {
            let client =
                Client::new(settings.client_id.clone()?, settings.client_secrets.clone(), clock.clone(), random);
            let key = if settings.client_key_source.is_some() { settings.client_key.as_ref() } else { own.first() };
            Some((name.clone(), client.with_key(key.cloned())))
        };
        let given = config.providers.values().filter_map(|settings| settings.client_key.as_ref());
        let mut published: Vec<Map<String, Value>> = Vec::new();
        for jwk in own.iter().chain(given).map(|key| key.public_jwk()) {
            if !published.contains(&jwk) {
                published.push(jwk);
            }
        }
        let by_provider = config.providers.iter().filter_map(client).collect();
        Self { by_provider, published, own: own.first().cloned() }
    }

    /// The key that our metadata document names, where the vault has one.
    pub(super) fn own_key(&self) -> Option<Arc<SigningKey>> {
        self.own.clone()
    }

    /// Our client at the provider, where the configuration has one.
    pub(super) fn at(&self, provider: &ProviderName) -> Option<Client> {
        self.by_provider.get(provider).cloned()
    }

    /// Whether the configuration has all that the provider's way of authenticating needs, as far as the entry says which.
    pub(super) fn is_configured(&self, provider: &Provider, oauth: &OAuth) -> bool {
        self.by_provider.get(&provider.name).is_some_and(|client| oauth.discovers() || client.can(oauth.token_auth))
    }
}

/// Makes our own private key, where something of this configuration needs one and the vault has none.
///
/// # Errors
/// Where the vault cannot take it.
pub async fn prepare_signing_key(vault: &Vault, config: &Config, catalog: &Catalog) -> Result<(), VaultError> {
    let needs = |(name, settings): (&ProviderName, &ProviderSettings)| {
        let oauth = catalog.get(name.as_str()).and_then(|provider| provider.entry.oauth.as_ref());
        let by_key = oauth.is_some_and(|oauth| oauth.token_auth == TokenAuth::PrivateKeyJwt);
        by_key && settings.client_id.is_some() && settings.client_key_source.is_none()
    };
    if (has_metadata(config) || config.providers.iter().any(needs)) && vault.ensure_signing_key(&Who::system()).await? {
        tracing::info!("made a private key of our own, for providers that clients prove themselves to by one");
    }
    Ok(())
}

/// Whether the metadata document can be handed out: its URL is our client id, so it is https, and it names redirect URIs.
fn has_metadata(config: &Config) -> bool {
    config.server.public_url.scheme() == "https" && !config.oauth.redirect_uris.is_empty()
}

impl Broker {
    /// All our public keys: those that sign, and those that did.
    pub fn published_keys(&self) -> PublishedKeys {
        PublishedKeys { keys: self.0.clients.published.clone() }
    }

    /// Our client-id metadata document; `None` without an https `public_url` and `oauth.redirect_uris`, or where our own key
    /// could not be made.
    pub fn client_metadata(&self) -> Option<ClientMetadata> {
        let config = &self.0.config;
        if !has_metadata(config) || self.0.clients.published.is_empty() {
            return None;
        }
        let public = config.server.public_url.as_str().trim_end_matches('/');
        let at = |path: &str| format!("{public}{}{path}", config.server.base_path);
        Some(ClientMetadata {
            client_id: at(CLIENT_METADATA),
            client_name: "Strongroom",
            redirect_uris: config.oauth.redirect_uris.clone(),
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code"],
            token_endpoint_auth_method: "private_key_jwt",
            token_endpoint_auth_signing_alg: "ES256",
            jwks_uri: at(JWKS),
        })
    }
}
