//! Everything that a use case can answer instead of what it was asked for. `http/problem.rs` turns each into one problem.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::input::InputFault;
use crate::id::CredentialId;
use crate::kind::Kind;
use crate::oauth::OAuthError;
use crate::vault::VaultError;

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The callback URL is malformed, or its origin is not configured.
    #[error("Callback URL origin is not allowed. Allowed origins: {}", shown(.allowed))]
    OriginNotAllowed {
        /// The configured origins.
        allowed: Vec<String>,
        /// What is wrong with this one.
        reason: String,
    },
    /// No entry of this name in the catalogue.
    #[error("Provider '{0}' not found")]
    ProviderUnknown(String),
    /// The provider's entry has no OAuth.
    #[error("Provider '{0}' does not support OAuth")]
    NoOAuth(String),
    /// The configuration has no client for the provider.
    #[error("Integration with provider '{0}' is not configured.")]
    NotConfigured(String),
    /// Values that the provider's URLs need are missing or malformed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inputs(Vec<InputFault>),
    /// The state is unknown, expired, used, of another user or provider, or `iss` names somebody else.
    #[error("Invalid or expired state token")]
    StateInvalid,
    /// The state belongs to a flow that Strongroom began by itself.
    #[error("State token was not created for external OAuth flow")]
    StateNotExternal,
    /// The provider sent the user back with an error (RFC 6749 §4.1.2.1).
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    AuthorizationDenied(String),
    /// The token endpoint refused the code, or its answer cannot be used.
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    ExchangeRefused(String),
    /// The provider could not be reached, or what it answered is not OAuth.
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    ProviderFailed(String),
    /// The provider did not answer in time.
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    ProviderTooSlow(String),
    /// The token is bound to a key that never leaves Strongroom (RFC 9449).
    #[error("The access token is bound to a key that stays in Strongroom (DPoP): send the request through the proxy.")]
    SenderConstrained,
    /// The authorization server cannot be asked what a login needs: about itself, or to take the request.
    #[error("The provider's authorization server cannot be used: {0}")]
    ServerUnusable(String),
    /// It did not answer in time.
    #[error("The provider's authorization server cannot be used: {0}")]
    ServerTooSlow(String),
    /// The provider has no device flow, or the configuration does not allow it.
    #[error("{0}")]
    NoDeviceFlow(String),
    /// The provider refuses a grant other than a code.
    #[error("The provider gave no tokens: {0}")]
    GrantRefused(String),
    /// The provider could not be reached for one, or what it answered is not OAuth.
    #[error("The provider gave no tokens: {0}")]
    GrantFailed(String),
    /// The provider did not answer in time.
    #[error("The provider gave no tokens: {0}")]
    GrantTooSlow(String),
    /// The provider's entry does not take credentials of this kind.
    #[error("Unsupported credential type: {kind} (provider '{provider}' takes {takes})")]
    KindNotTaken {
        /// The kind that was sent.
        kind: Kind,
        /// The provider.
        provider: String,
        /// The kinds that it takes.
        takes: String,
    },
    /// The provider's entry does not offer the grant that this credential lives by.
    #[error("Unsupported credential type: {grant} (provider '{provider}' does not offer it)")]
    GrantNotOffered {
        /// `client_credentials` or `service_account`.
        grant: &'static str,
        /// The provider.
        provider: String,
    },
    /// No such credential of this user.
    #[error("Credentials not found")]
    CredentialNotFound,
    /// The user's credential is of another provider.
    #[error("Credentials do not match the specified provider")]
    CredentialOfAnotherProvider,
    /// The credential is of another kind than the secret that was sent for it.
    #[error("Unsupported credential type: {}", unchanged(*.0))]
    KindChanged(Kind),
    /// Only an account has an access token to refresh.
    #[error("Unsupported credential type: a credential of type {0} has nothing to refresh")]
    NothingToRefresh(Kind),
    /// Only the user can mend it: the provider refuses the refresh token, or there is none.
    #[error("The account has to be connected again: {cause}")]
    NeedsReauth {
        /// The provider.
        provider: String,
        /// The credential, which keeps its id when it is connected again.
        id: CredentialId,
        /// Why.
        cause: String,
    },
    /// The account that was logged into is not the credential's.
    #[error("The account that was connected is not the one of this credential{0}")]
    OtherAccount(&'static str),
    /// There is no valid access token, and no new one could be had.
    #[error("The access token could not be refreshed: {what}")]
    NotRefreshed {
        /// Why.
        what: String,
        /// Whether the provider took too long.
        too_slow: bool,
        /// When to try again, where that is known.
        retry_after: Option<Duration>,
    },
    /// The refresh ended without saying what came of it.
    #[error("The refresh broke off")]
    RefreshBroke,
    /// The vault was restored from a backup, and nobody has said yet that it is the one that lives.
    #[error(
        "this vault was restored from a backup, and revokes nothing until `strongroom vault live` says that it lives"
    )]
    WaitsToLive,
    /// The vault, seen by several callers at one time.
    #[error(transparent)]
    SharedVault(Arc<VaultError>),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Error {
    /// Why a grant other than a code gave no tokens: whose fault it was decides what the caller is told.
    pub(super) fn of_grant(error: &OAuthError) -> Self {
        let said = error.to_string();
        match error {
            OAuthError::Refused(_) => Self::GrantRefused(said),
            OAuthError::Unreachable(error) if error.timed_out() => Self::GrantTooSlow(said),
            _ => Self::GrantFailed(said),
        }
    }
}

/// The list of origins as clients of the original read it: `['https://a.example', 'http://localhost']`.
fn shown(allowed: &[String]) -> String {
    let quoted: Vec<String> = allowed.iter().map(|origin| format!("'{origin}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// The kind of a credential never changes, and an account's tokens come from a login alone.
fn unchanged(kind: Kind) -> String {
    let again = if kind == Kind::OAuth2 { "; connect the account again with `credential_id` at initiate" } else { "" };
    format!("the credential is of type {kind}, which stays{again}")
}
