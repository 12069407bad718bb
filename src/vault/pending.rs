//! A login that was begun and not yet completed, found again by its state token alone, once.

use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::secret::Secret;

/// What has to be remembered between the start of a login and its callback.
#[derive(Clone)]
pub struct PendingAuthorization {
    /// Who began.
    pub user: UserId,
    /// At which provider.
    pub provider: ProviderName,
    /// Through which door.
    pub flow: Flow,
    /// The API key with which it was begun.
    pub api_key_id: Option<ApiKeyId>,
    /// The OAuth client in use.
    pub client_id: String,
    /// What the provider calls back.
    pub redirect_uri: String,
    /// The code verifier (RFC 7636), where the provider takes one.
    pub code_verifier: Option<Secret>,
    /// What was asked for.
    pub scopes: Vec<String>,
    /// What the application wants back with the answer.
    pub state_metadata: serde_json::Map<String, serde_json::Value>,
    /// The authorization server's issuer, where it is known (RFC 9207).
    pub issuer: Option<String>,
    /// The credential to connect again, instead of making a new one.
    pub reconnect: Option<CredentialId>,
    /// When it was begun.
    pub created_at: UnixTime,
    /// From when on it cannot be completed.
    pub expires_at: UnixTime,
}

/// Through which door a login was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The application takes the callback and completes.
    External,
    /// Strongroom's own connect page or command takes it.
    Connect,
}
