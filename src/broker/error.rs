//! Errors of the use cases. `http` turns each into one problem.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::input::InputFault;
use crate::id::{CredentialId, ProviderName};
use crate::kind::Kind;
use crate::oauth::OAuthError;
use crate::vault::{QuotaLimit, VaultError};

/// Reason why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The callback URL is malformed, or its origin is not configured.
    #[error("Callback URL origin is not allowed. Allowed origins: {}", shown(.allowed))]
    OriginNotAllowed {
        /// The configured origins.
        allowed: Vec<String>,
        /// Reason for this URL.
        reason: String,
    },
    /// The catalogue has no entry with this name.
    #[error("Provider '{name}' not found")]
    ProviderUnknown {
        /// Name of the request.
        name: String,
        /// Provider with the most similar name, if one is similar.
        nearest: Option<ProviderName>,
    },
    /// The provider's entry has no OAuth.
    #[error("Provider '{0}' does not support OAuth")]
    NoOAuth(String),
    /// The configuration has no client for the provider.
    #[error("Integration with provider '{0}' is not configured.")]
    NotConfigured(String),
    /// Values that the provider's URLs need are missing or malformed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inputs(Vec<InputFault>),
    /// The login URL would be too long for browsers and servers.
    #[error("the login URL would be longer than 8 KiB; ask for fewer scopes")]
    LoginUrlTooLong,
    /// The state is unknown, expired, used, or belongs to another user or provider; or `iss` is
    /// wrong. Callers get one answer for all; only the log has the cause.
    #[error("Invalid or expired state token")]
    StateInvalid(StateFault),
    /// The state belongs to a flow that Strongroom started itself.
    #[error("State token was not created for external OAuth flow")]
    StateNotExternal,
    /// The provider sent the user back with an error (RFC 6749 §4.1.2.1).
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    AuthorizationDenied(String),
    /// The token endpoint refused the code, or its answer is unusable.
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    ExchangeRefused(String),
    /// The provider was unreachable or did not answer with OAuth.
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    ProviderFailed(String),
    /// The provider did not answer in time.
    #[error("OAuth2 callback failed to exchange code for tokens: {0}")]
    ProviderTooSlow(String),
    /// The token is bound to a key that never leaves Strongroom (RFC 9449).
    #[error("The access token is bound to a key that stays in Strongroom (DPoP). Send the request through the proxy.")]
    SenderConstrained,
    /// The secret is never given out.
    #[error(
        "The secret of this credential is never given out (exportable = false). Send the request through the proxy."
    )]
    NotExportable,
    /// A change would allow to give the secret out again.
    #[error("exportable can be changed from true to false only; create or connect a new credential instead")]
    StaysNotExportable,
    /// The authorization server's metadata or pushed authorization request failed.
    #[error("The provider's authorization server cannot be used: {0}")]
    ServerUnusable(String),
    /// The authorization server did not answer in time.
    #[error("The provider's authorization server cannot be used: {0}")]
    ServerTooSlow(String),
    /// The provider has no device flow, or the configuration does not allow it.
    #[error("{0}")]
    NoDeviceFlow(String),
    /// The provider refused a grant other than a code.
    #[error("{0}")]
    GrantRefused(String),
    /// The provider was unreachable or did not answer with OAuth.
    #[error("{0}")]
    GrantFailed(String),
    /// The provider did not answer in time.
    #[error("{0}")]
    GrantTooSlow(String),
    /// The provider's entry does not take credentials of this kind.
    #[error("Unsupported credential type: {kind} (provider '{provider}' accepts {takes})")]
    KindNotTaken {
        /// Kind of the secret that was sent.
        kind: Kind,
        /// Provider.
        provider: String,
        /// Kinds that it accepts.
        takes: String,
    },
    /// The provider's entry does not offer this grant.
    #[error("Unsupported credential type: {grant} (provider '{provider}' does not offer it)")]
    GrantNotOffered {
        /// `client_credentials` or `service_account`.
        grant: &'static str,
        /// Provider.
        provider: String,
    },
    /// The configured client is not lent to callers, or not for these scopes.
    #[error("{}", not_lent(.provider, .scopes.as_deref()))]
    ClientNotLent {
        /// Provider.
        provider: String,
        /// Scopes for which it is lent; `None` if it is not lent.
        scopes: Option<String>,
    },
    /// The request names a client of the caller's own without the proof that the provider requires.
    #[error("the provider requires the secret of this client")]
    OwnClientIncomplete,
    /// The API key is limited to other providers or credentials.
    #[error("{0}")]
    NotGranted(NotGranted),
    /// Members of the request have values that cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Members(Vec<MemberFault>),
    /// The API key has too many requests that wait for approval.
    #[error(
        "This API key has as many requests that wait for approval as it can have (20). A person has to decide first."
    )]
    TooManyApprovals,
    /// The body of a request that needs approval is too large.
    #[error("A request that needs approval can have a body of at most 1 MiB.")]
    ApprovalBodyTooLarge,
    /// There is no such request that needs approval, or it has ended.
    #[error("Approval not found")]
    ApprovalNotFound,
    /// A person has decided about the request already.
    #[error("This request is {0} already.")]
    ApprovalDecided(&'static str),
    /// The administrator has no such grant.
    #[error("Grant not found")]
    GrantNotFound,
    /// The user has no such credential.
    #[error("Credentials not found")]
    CredentialNotFound,
    /// The host or the inputs of the credential changed during the request.
    #[error(
        "The credential changed during this request and is for another destination now. Nothing was sent there. Send the request again."
    )]
    CredentialMoved,
    /// The credential belongs to another provider.
    #[error("Credentials do not match the specified provider")]
    CredentialOfAnotherProvider,
    /// The secret that was sent is of another kind than the credential.
    #[error("Unsupported credential type: {}", unchanged(*.0))]
    KindChanged(Kind),
    /// Only an OAuth account can be refreshed.
    #[error("Unsupported credential type: a credential of type {0} cannot be refreshed")]
    NothingToRefresh(Kind),
    /// The provider refuses the refresh token or gave none; the user must connect the account
    /// again.
    #[error("The account must be connected again: {cause}")]
    NeedsReauth {
        /// Provider.
        provider: String,
        /// Credential; it keeps its id when it is connected again.
        id: CredentialId,
        /// Reason.
        cause: String,
    },
    /// The provider gave no refresh token, and the access token has not expired.
    #[error("The provider gave no refresh token, so the access token stays as it is until it expires.")]
    NotRefreshable,
    /// The user logged in to another account than the credential's.
    #[error("The account that logged in is not the account of this credential{0}")]
    OtherAccount(&'static str),
    /// The tokens come from another server than the credential's.
    #[error(
        "The login was at another server than the one of this credential. Reconnect it at its own server, or allow the \
         change (allow_account_change)."
    )]
    OtherServer,
    /// There is no valid access token, and the refresh failed.
    #[error("Cannot refresh the access token: {what}")]
    NotRefreshed {
        /// Reason.
        what: String,
        /// True if the provider took too long.
        too_slow: bool,
        /// Time to wait before the next attempt, if known.
        retry_after: Option<Duration>,
    },
    /// The refresh task ended without a result.
    #[error("The refresh ended without a result. Try again.")]
    RefreshBroke,
    /// The certification authority of the forward proxy cannot be used.
    #[error("the certification authority of the forward proxy cannot be used; replace it with `strongroom ca renew`")]
    ProxyCa,
    /// The vault was restored from a backup and not promoted yet.
    #[error(
        "this vault was restored from a backup and revokes nothing until `strongroom vault promote` puts it into service"
    )]
    NotPromoted,
    /// Too many long lists of the user wait already.
    #[error("Too many long lists of this user are being read. Try again later, or send a limit of at most 100.")]
    TooManyLists,
    /// Logins of the user registered too many clients; more after this time.
    #[error(
        "Logins of this user registered too many clients at authorization servers (limits.registrations_per_day). Try again later."
    )]
    TooManyRegistrations(Duration),
    /// The user was removed while the request ran.
    #[error("The user was removed during this request. Nothing was stored.")]
    UserRemoved,
    /// The user has as many credentials as the configuration allows.
    #[error("The user may have at most {0}. Delete credentials, or ask the operator for a higher limit.")]
    QuotaExceeded(QuotaLimit),
    /// A vault error that several callers share.
    #[error(transparent)]
    SharedVault(Arc<VaultError>),
    /// A vault error.
    #[error(transparent)]
    Vault(VaultError),
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::UserRemoved => Self::UserRemoved,
            VaultError::QuotaExceeded(limit) => Self::QuotaExceeded(limit),
            error => Self::Vault(error),
        }
    }
}

/// Reason why a state token completes no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// The user has no login with this state.
    #[error("the user has no pending login with this state: it is unknown, was used, or belongs to another user")]
    Unknown,
    /// The login has expired.
    #[error("the login has expired")]
    Expired,
    /// The login is at another provider.
    #[error("the state belongs to a login at another provider")]
    OtherProvider,
    /// The callback does not come from the issuer of the login.
    #[error("the callback's iss is missing or names another issuer than that of the login")]
    Issuer,
    /// The user was removed during the login.
    #[error("the user was removed during the login")]
    UserRemoved,
}

/// A member of a request with a value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MemberFault {
    /// Name of the member.
    pub member: &'static str,
    /// Place in the list, if the member is one.
    pub index: Option<usize>,
    /// Reason.
    pub reason: String,
}

impl MemberFault {
    /// Builds the fault of a member that is not a list.
    pub(super) fn new(member: &'static str, reason: impl Into<String>) -> Self {
        Self { member, index: None, reason: reason.into() }
    }

    /// Builds the fault of an item of a list.
    pub(super) fn item(member: &'static str, index: usize, reason: impl Into<String>) -> Self {
        Self { member, index: Some(index), reason: reason.into() }
    }
}

impl Error {
    /// Returns the error of a request with these faults, if there are any.
    pub(super) fn members(faults: Vec<MemberFault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self::Members(faults)) }
    }
}

impl From<MemberFault> for Error {
    fn from(fault: MemberFault) -> Self {
        Self::Members(vec![fault])
    }
}

/// Reason why the limits of an API key do not allow a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// The key is limited to other providers.
    #[error("This API key is not allowed for this provider.")]
    Provider,
    /// The key is limited to other credentials.
    #[error("This API key is not allowed for this credential.")]
    Credential,
    /// The key is limited to some credentials, and the request would create another one.
    #[error("This API key is limited to some credentials and cannot create new ones.")]
    NewCredential,
    /// The key is limited, and the request changes what other keys may do.
    #[error("This API key is limited to some providers or credentials and cannot manage grants and approvals.")]
    Administration,
    /// The request that needs approval is of another key.
    #[error("This API key has no such request, and it needs ADMIN for requests of other keys.")]
    Approval,
    /// The request is about the key itself.
    #[error("An API key cannot change its own grants, nor decide about its own requests.")]
    OwnKey,
}

impl Error {
    /// Builds the error of a grant other than a code. The status depends on who caused it.
    pub(super) fn of_grant(error: &OAuthError) -> Self {
        Self::of_request("The provider gave no tokens", error)
    }

    /// Maps a failed device authorization request (RFC 8628 §3.1).
    pub(super) fn of_device_authorization(error: &OAuthError) -> Self {
        Self::of_request("The provider's device authorization endpoint gave no codes", error)
    }

    fn of_request(failed: &str, error: &OAuthError) -> Self {
        let said = format!("{failed}: {error}");
        match error {
            OAuthError::Refused(_) => Self::GrantRefused(said),
            OAuthError::Unreachable(error) if error.timed_out() => Self::GrantTooSlow(said),
            _ => Self::GrantFailed(said),
        }
    }
}

/// Formats the origins as clients of AutoGPT Platform's v1 API expect them: `['https://a.example',
/// 'http://localhost']`.
fn shown(allowed: &[String]) -> String {
    let quoted: Vec<String> = allowed.iter().map(|origin| format!("'{origin}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Explains that callers may not use the configured client.
fn not_lent(provider: &str, scopes: Option<&str>) -> String {
    match scopes {
        None => format!(
            "The operator does not lend the OAuth client of '{provider}' (providers.{provider}.lend_client). Send client_id \
             and client_secret of your own client."
        ),
        Some("") => format!("The operator lends the OAuth client of '{provider}' without scopes. Send no scopes."),
        Some(scopes) => format!("The operator lends the OAuth client of '{provider}' for these scopes only: {scopes}"),
    }
}

/// Explains that the kind of a credential cannot change, and that an account's tokens come from a
/// login.
fn unchanged(kind: Kind) -> String {
    let again = if kind == Kind::OAuth2 { "; connect the account again with `credential_id` at initiate" } else { "" };
    format!("the credential is of type {kind}, which cannot change{again}")
}
