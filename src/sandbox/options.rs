//! Options of a sandbox: everything that a test of a client may want to vary.

use std::time::Duration;

use crate::catalog::entry::{RevocationEnds, TokenAuth};
use crate::random::Random;
use crate::secret::Secret;

/// Options of a new sandbox.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Registered clients; at least one.
    pub clients: Vec<SandboxClient>,
    /// Initial behaviour; [`super::Sandbox::adjust`] changes it later.
    pub behaviour: Behaviour,
}

impl SandboxOptions {
    /// Returns options with one confidential client with a random secret, and the default
    /// behaviour.
    pub fn new(random: Random) -> Self {
        Self { clients: vec![SandboxClient::confidential(random)], behaviour: Behaviour::default() }
    }
}

/// Requirements of the server, and properties of what it issues.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Rejects authorization requests without a `code_challenge` (RFC 7636 §4.4.1). A challenge
    /// that is sent is always checked; only S256 is supported.
    pub pkce_required: bool,
    /// Sends `iss` in every redirect and announces it in the metadata (RFC 9207).
    pub announces_iss: bool,
    /// Grants only these of the requested scopes; all if `None`.
    pub granted_scopes: Option<Vec<String>>,
    /// Lifetime of an access token.
    pub access_token_lifetime: Duration,
    /// Handling of refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Lifetime of an unused refresh token.
    pub refresh_token_lifetime: Duration,
    /// Lifetime of an authorization code (RFC 6749 §4.1.2 recommends at most ten minutes).
    pub code_lifetime: Duration,
    /// Minimum pause between two polls for a login on another device (RFC 8628 §3.2); a client that
    /// polls sooner gets `slow_down`.
    pub device_interval: Duration,
    /// Lifetime of such a login.
    pub device_code_lifetime: Duration,
    /// Extent of a revocation. `Grant`: everything that this user has granted to this
    /// client, as at many providers. `Token`: only an access token, or all tokens of a refresh
    /// token's code (the minimum of RFC 7009 §2.1).
    pub revocation_ends: RevocationEnds,
}

impl Default for Behaviour {
    /// Strict behaviour: PKCE is required, refresh tokens rotate, a revocation ends the whole
    /// grant. Every scope is granted.
    fn default() -> Self {
        Self {
            pkce_required: true,
            announces_iss: true,
            granted_scopes: None,
            access_token_lifetime: Duration::from_secs(3600),
            refresh_tokens: RefreshTokens::Rotating,
            refresh_token_lifetime: Duration::from_secs(30 * 86_400),
            code_lifetime: Duration::from_secs(60),
            device_interval: Duration::from_secs(5),
            device_code_lifetime: Duration::from_secs(600),
            revocation_ends: RevocationEnds::Grant,
        }
    }
}

/// A client registered at the sandbox.
#[derive(Clone, Debug)]
pub struct SandboxClient {
    /// The `client_id`.
    pub id: String,
    /// The secret; `None` for a public client, which authenticates with [`TokenAuth::None`] only.
    pub secret: Option<Secret>,
    /// Allowed authentication methods; the sandbox's catalogue entry names the first.
    pub token_auth: Vec<TokenAuth>,
    /// Allowed redirect URIs.
    pub redirect_uris: RedirectUris,
}

impl SandboxClient {
    /// Returns the client `sandbox` with a random secret, accepted in the header and in the body,
    /// and with any redirect URI.
    pub fn confidential(random: Random) -> Self {
        Self {
            id: "sandbox".to_owned(),
            secret: Some(Secret::new(format!("sandbox-secret-{}", random.base64url::<24>()))),
            token_auth: vec![TokenAuth::Basic, TokenAuth::Post],
            redirect_uris: RedirectUris::Any,
        }
    }

    /// Returns the client `sandbox-public`, which has no secret.
    pub fn public() -> Self {
        Self {
            id: "sandbox-public".to_owned(),
            secret: None,
            token_auth: vec![TokenAuth::None],
            redirect_uris: RedirectUris::Any,
        }
    }
}

/// Redirect URIs that a client may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectUris {
    /// Any absolute URI without a fragment, except for schemes that the browser itself handles
    /// (`javascript:`, …).
    Any,
    /// Exactly these, compared as text (RFC 9700 §2.1).
    Exactly(Vec<String>),
}

/// Handling of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokens {
    /// There are no refresh tokens.
    Absent,
    /// A refresh token can be used many times.
    Reusable,
    /// Every refresh issues a new one; reuse of a replaced one ends the grant (RFC 9700 §4.14.2).
    Rotating,
}

/// State of one endpoint, to test a client's reaction to failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// The endpoint works.
    #[default]
    Normal,
    /// Every request is answered with 503 and has no effect.
    Down,
    /// Requests take effect, but their responses wait until the state changes.
    Held,
}
