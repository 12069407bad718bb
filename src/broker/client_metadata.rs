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

/// Path of the public keys, under the base path.
const JWKS: &str = "/v1/oauth/jwks.json";

/// Path of the client-id metadata document, under the base path.
const CLIENT_METADATA: &str = "/v1/oauth/client.json";

/// Our public keys (RFC 7517 §5).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JwkSet)]
pub struct PublishedKeys {
    /// One JWK per key, without private members.
    #[schema(value_type = Vec<Object>)]
    pub keys: Vec<Map<String, Value>>,
}

/// Client-id metadata document, for authorization servers that accept its URL as a client id
/// (draft-ietf-oauth-client-id-metadata-document, RFC 7591 §2).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ClientMetadata)]
pub struct ClientMetadata {
    /// URL of this document.
    pub client_id: String,
    /// Name shown to users.
    pub client_name: &'static str,
    /// Redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Grants used at the token endpoint.
    pub grant_types: [&'static str; 2],
    /// Response types used at the authorization endpoint.
    pub response_types: [&'static str; 1],
    /// Client authentication method.
    pub token_endpoint_auth_method: &'static str,
    /// Signature algorithm of the client assertion.
    pub token_endpoint_auth_signing_alg: &'static str,
    /// URL of the public keys.
    pub jwks_uri: String,
}

/// Generates a signing key if this configuration needs one and the vault has none.
///
/// # Errors
/// Fails if the vault cannot store the key.
pub async fn prepare_signing_key(vault: &Vault, config: &Config, catalog: &Catalog) -> Result<(), VaultError> {
    let needs = |(name, settings): (&ProviderName, &ProviderSettings)| {
        let oauth = catalog.get(name.as_str()).and_then(|provider| provider.entry.oauth.as_ref());
        let by_key = oauth.is_some_and(|oauth| oauth.token_auth == TokenAuth::PrivateKeyJwt);
        by_key && settings.client_id.is_some() && settings.client_key_source.is_none()
    };
    if (has_metadata(config) || config.providers.iter().any(needs))
        && vault.signing_keys().ensure(&AuditContext::system()).await?
    {
        tracing::info!("generated a signing key for private_key_jwt");
    }
    Ok(())
}

/// Returns true if the metadata document can be served: its URL is the client id, so it must be
/// https, and it must name redirect URIs.
fn has_metadata(config: &Config) -> bool {
    config.server.public_url.scheme() == "https" && !config.oauth.redirect_uris.is_empty()
}

impl Broker {
    /// Returns all public keys, including those that no longer sign.
    pub fn published_keys(&self) -> PublishedKeys {
        PublishedKeys { keys: self.0.clients.published.clone() }
    }

    /// Returns the client-id metadata document; `None` if `public_url` is not https,
    /// `oauth.redirect_uris` is empty, or there is no signing key.
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
