//! The secret half of a credential: what is handed out or sent to a provider, and never listed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::host_pattern::HostPattern;
use crate::clock::UnixTime;
use crate::kind::Kind;
use crate::secret::Secret;

/// What a credential consists of. It has no `Debug`, and no way to JSON.
#[derive(Clone)]
pub enum Material {
    /// Tokens from an OAuth 2 authorization server.
    OAuth2(Tokens),
    /// One API key.
    ApiKey(Secret),
    /// A user name and a password; the name is kept as secretly as the password.
    UserPassword {
        /// The user name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// Headers for requests to one host.
    HostScoped {
        /// Where they may be sent. It is kept with the summary, and sealed with the headers as their condition.
        host: HostPattern,
        /// Name and value of each.
        headers: BTreeMap<String, Secret>,
    },
}

impl Material {
    /// Which kind of credential this makes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::OAuth2(_) => Kind::OAuth2,
            Self::ApiKey(_) => Kind::ApiKey,
            Self::UserPassword { .. } => Kind::UserPassword,
            Self::HostScoped { .. } => Kind::HostScoped,
        }
    }
}

/// What a token endpoint gave (RFC 6749 §5.1).
#[derive(Clone)]
pub struct Tokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, where one was given.
    pub refresh_token: Option<Secret>,
    /// `Bearer`, or what the provider called it.
    pub token_type: String,
    /// For how long the access token was given, counted from when it came.
    pub lifetime: Option<Duration>,
    /// When the refresh token ends, where the provider says so.
    pub refresh_expires_at: Option<UnixTime>,
    /// Further members of the answer that the provider's entry asks to keep.
    pub metadata: BTreeMap<String, serde_json::Value>,
}
