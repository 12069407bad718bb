//! How a sandbox behaves: every knob that a test of a client wants to turn.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::dialect::Dialect;
use crate::catalog::entry::{RevocationEnds, TokenAuth};
use crate::random::Random;
use crate::secret::Secret;

/// What a sandbox starts with.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Who may ask for tokens; at least one.
    pub clients: Vec<SandboxClient>,
    /// How it behaves at first; [`super::Sandbox::adjust`] changes it on the way.
    pub behaviour: Behaviour,
    /// The provider whose part it plays; none for the standard's.
    pub dialect: Option<Dialect>,
}

impl SandboxOptions {
    /// One confidential client with a fresh secret, and the behaviour of [`Behaviour::default`].
    pub fn new(random: Random) -> Self {
        Self { clients: vec![SandboxClient::confidential(random)], behaviour: Behaviour::default(), dialect: None }
    }
}

/// What the server demands, and what it gives.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Whether an authorization request without a `code_challenge` is refused (RFC 7636 §4.4.1). A challenge that is
    /// sent counts in any case, and only S256 is known.
    pub pkce_required: bool,
    /// Whether `iss` is in every redirect and announced in the metadata (RFC 9207).
    pub announces_iss: bool,
    /// Where it is given, only these of the requested scopes are granted.
    pub granted_scopes: Option<Vec<String>>,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// Whether there are refresh tokens, and how they behave.
    pub refresh_tokens: RefreshTokens,
    /// How long a refresh token lives when it is not used.
    pub refresh_token_lifetime: Duration,
    /// How long an authorization code can be exchanged (RFC 6749 §4.1.2 recommends at most ten minutes).
    pub code_lifetime: Duration,
    /// How long a client waits between two questions about a login on another device (RFC 8628 §3.2); one that asks sooner is
    /// told to slow down.
    pub device_interval: Duration,
    /// How long such a login may take.
    pub device_code_lifetime: Duration,
    /// What ends when a token is revoked: everything that this user has granted to this client, as at many providers,
    /// or (RFC 7009 §2.1 at its narrowest) an access token alone, and with a refresh token what came from the same code.
    pub revocation_ends: RevocationEnds,
}

impl Default for Behaviour {
    /// As strict as a good server is: PKCE required, refresh tokens rotate, a revocation ends the whole grant. Every
    /// scope is granted.
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

/// A client that is registered at the sandbox.
#[derive(Clone, Debug)]
pub struct SandboxClient {
    /// Its `client_id`.
    pub id: String,
    /// Its secret; `None` for a public client, which then authenticates by [`TokenAuth::None`] alone.
    pub secret: Option<Secret>,
    /// The ways in which it may authenticate; the first is the one that the sandbox's catalogue entry names.
    pub token_auth: Vec<TokenAuth>,
    /// Where its users may be sent back to.
    pub redirect_uris: RedirectUris,
}

impl SandboxClient {
    /// The client `sandbox` with a fresh secret, in the header or in the body, and any redirect URI.
    pub fn confidential(random: Random) -> Self {
        Self {
            id: "sandbox".to_owned(),
            secret: Some(Secret::new(format!("sandbox-secret-{}", URL_SAFE_NO_PAD.encode(random.bytes::<24>())))),
            token_auth: vec![TokenAuth::Basic, TokenAuth::Post],
            redirect_uris: RedirectUris::Any,
        }
    }

    /// The client `sandbox-public`, which has no secret.
    pub fn public() -> Self {
        Self {
            id: "sandbox-public".to_owned(),
            secret: None,
            token_auth: vec![TokenAuth::None],
            redirect_uris: RedirectUris::Any,
        }
    }
}

/// Which redirect URIs a client may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectUris {
    /// Any absolute URI without a fragment, except of schemes that a browser runs or reads itself (`javascript:`, …).
    Any,
    /// Exactly these, compared as text (RFC 9700 §2.1).
    Exactly(Vec<String>),
}

/// How refresh tokens behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokens {
    /// There are none.
    Absent,
    /// One refresh token serves again and again.
    Lasting,
    /// Every refresh gives a new one, and the reuse of a spent one ends the grant (RFC 9700 §4.14.2).
    Rotating,
}

/// How one endpoint conducts itself: for tests of what a client does about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// It answers.
    #[default]
    Normal,
    /// Every request is answered 503, and nothing comes of it.
    Down,
    /// A request is carried out, and its answer held back until the conduct is another.
    Held,
}
