//! Public data about our OAuth client: its public keys and its client-id metadata document.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::parts::Broker;
use crate::catalog::Catalog;
use crate::catalog::entry::TokenAuth;
use crate::config::{Config, ProviderSettings};
use crate::id::ProviderName;
use crate::vault::{AuditContext, Vault, VaultError};

/// Where our public keys are, under the base path.
const JWKS: &str = "/v1/oauth/jwks.json";

/// Where our client-id metadata document is, under the base path.
const CLIENT_METADATA: &str = "/v1/oauth/client.json";

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
    if (has_metadata(config) || config.providers.iter().any(needs))
        && vault.ensure_signing_key(&AuditContext::system()).await?
    {
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
