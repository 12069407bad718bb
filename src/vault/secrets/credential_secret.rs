//! The secret of a credential. It is returned to callers or sent to a provider, and never listed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::renewal::Renewal;
use crate::clock::UnixTime;
use crate::jose::SigningKey;
use crate::kind::Kind;
use crate::policy::HostPattern;
use crate::secret::Secret;
use crate::vault::crypto::fields::{Field, FieldWriter, Fields, Value, fields};

/// Maximum number of earlier logins whose tokens are kept.
const MAX_REPLACED: usize = 16;

/// The secret of a credential. It has no `Debug` and cannot be serialized to JSON.
#[derive(Clone)]
pub enum CredentialSecret {
    /// Tokens from an OAuth 2 authorization server.
    OAuth2(Tokens),
    /// One API key.
    ApiKey(Secret),
    /// A user name and a password. The name is as secret as the password.
    UserPassword {
        /// The user name.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// Headers for requests to one host.
    HostScoped {
        /// The host to which they may be sent. It is stored in the metadata too, and bound to
        /// the sealed headers.
        host: HostPattern,
        /// The headers, by name.
        headers: BTreeMap<String, Secret>,
    },
}

impl CredentialSecret {
    /// Returns the kind of the credential.
    pub fn kind(&self) -> Kind {
        match self {
            Self::OAuth2(_) => Kind::OAuth2,
            Self::ApiKey(_) => Kind::ApiKey,
            Self::UserPassword { .. } => Kind::UserPassword,
            Self::HostScoped { .. } => Kind::HostScoped,
        }
    }

    /// Returns the access token or the API key.
    pub fn single(&self) -> Option<&Secret> {
        match self {
            Self::OAuth2(tokens) => Some(&tokens.access_token),
            Self::ApiKey(key) => Some(key),
            Self::UserPassword { .. } | Self::HostScoped { .. } => None,
        }
    }
}

/// The tokens of a token response (RFC 6749 §5.1).
#[derive(Clone)]
pub struct Tokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, if there is one.
    pub refresh_token: Option<Secret>,
    /// The token type: `Bearer`, or the provider's word.
    pub token_type: String,
    /// Lifetime of the access token when it was issued.
    pub lifetime: Option<Duration>,
    /// Expiry of the refresh token, if the provider names it.
    pub refresh_expires_at: Option<UnixTime>,
    /// Further members of the response that the entry asks to keep.
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// The source of the next access token, if that is not a refresh token.
    pub renewal: Option<Box<Renewal>>,
    /// The key to which the tokens are bound (RFC 9449), if any.
    pub dpop_key: Option<Arc<SigningKey>>,
    /// The redirect URI of the login, which some providers require at a refresh. It is absent
    /// if the login had none, or is older than this field.
    pub redirect_uri: Option<String>,
    /// The result of the discovery at an MCP server. It has a field of its own, because callers
    /// write into the others.
    pub discovery: Option<String>,
    /// The server that issued the tokens, if a caller can choose it.
    pub issued_by: Option<String>,
    /// Tokens that a reconnect replaced while a revocation would have ended the new ones too,
    /// oldest first. They are revoked with these.
    pub replaced: Option<Vec<ReplacedTokens>>,
}

/// Tokens of an earlier login at the same grant.
#[derive(Clone)]
pub struct ReplacedTokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, if there was one.
    pub refresh_token: Option<Secret>,
}

fields! {
    Tokens {
        1 access_token,
        2 refresh_token,
        3 token_type,
        4 lifetime,
        5 refresh_expires_at,
        6 metadata,
        7 renewal,
        8 dpop_key,
        9 redirect_uri,
        10 discovery,
        11 issued_by,
        12 replaced,
    }
}

fields! {
    ReplacedTokens {
        1 access_token,
        2 refresh_token,
    }
}

/// Stored under the tag of its kind.
impl Value for CredentialSecret {
    fn write(&self, to: &mut FieldWriter) {
        match self {
            Self::OAuth2(tokens) => tokens.put(1, to),
            Self::ApiKey(key) => key.put(2, to),
            Self::UserPassword { username, password } => {
                username.put(3, to);
                password.put(4, to);
            }
            Self::HostScoped { host, headers } => {
                host.put(5, to);
                headers.put(6, to);
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        if let Some(tokens) = fields.get(1)? {
            return Some(Self::OAuth2(tokens));
        }
        if let Some(key) = fields.get(2)? {
            return Some(Self::ApiKey(key));
        }
        if let Some(username) = fields.get(3)? {
            return Some(Self::UserPassword { username, password: fields.get(4)? });
        }
        Some(Self::HostScoped { host: fields.get(5)?, headers: fields.get(6)? })
    }
}

impl Tokens {
    /// Returns true if a new access token can be requested.
    pub fn can_be_renewed(&self) -> bool {
        self.refresh_token.is_some() || self.renewal.is_some()
    }

    /// Returns true if one of the tokens is a token of `other` too, as at providers that give the
    /// same one at each login.
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut refresh_tokens = self.refresh_token.iter().zip(&other.refresh_token);
        self.access_token.equals(other.access_token.expose())
            || refresh_tokens.any(|(one, other)| one.equals(other.expose()))
    }

    /// Keeps the tokens of an earlier login, to revoke them with these. Of too many, the oldest are
    /// dropped.
    pub fn keep_replaced(&mut self, old: Self) {
        let mut kept = self.replaced.take().unwrap_or_default();
        kept.extend(old.replaced.into_iter().flatten());
        kept.push(ReplacedTokens { access_token: old.access_token, refresh_token: old.refresh_token });
        kept.drain(..kept.len().saturating_sub(MAX_REPLACED));
        self.replaced = Some(kept);
    }
}
