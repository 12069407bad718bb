//! The secret of a credential. It is returned to callers or sent to a provider, and never listed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::renewal::Renewal;
use crate::clock::UnixTime;
use crate::jose::SigningKey;
use crate::kind::Kind;
use crate::secret::Secret;
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::host_pattern::HostPattern;

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
        /// The host to which they may be sent. It is stored in the metadata, and bound to
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
}

/// Tags of the fields in a sealed secret. A tag is never reused with another meaning.
mod tag {
    pub(super) const ACCESS_TOKEN: u8 = 1;
    pub(super) const REFRESH_TOKEN: u8 = 2;
    pub(super) const TOKEN_TYPE: u8 = 3;
    pub(super) const LIFETIME: u8 = 4;
    pub(super) const REFRESH_EXPIRES_AT: u8 = 5;
    pub(super) const METADATA: u8 = 6;
    pub(super) const DPOP_KEY: u8 = 7;
    pub(super) const REDIRECT_URI: u8 = 8;
    pub(super) const API_KEY: u8 = 10;
    pub(super) const USERNAME: u8 = 11;
    pub(super) const PASSWORD: u8 = 12;
    pub(super) const HEADER_NAMES: u8 = 13;
    pub(super) const HEADER_VALUES: u8 = 14;
}

impl CredentialSecret {
    /// Encodes the fields to seal.
    pub(crate) fn write(&self) -> Zeroizing<Vec<u8>> {
        let fields = FieldWriter::new();
        match self {
            Self::OAuth2(tokens) => tokens.write(fields),
            Self::ApiKey(key) => fields.text(tag::API_KEY, key.expose()),
            Self::UserPassword { username, password } => {
                fields.text(tag::USERNAME, username.expose()).text(tag::PASSWORD, password.expose())
            }
            Self::HostScoped { headers, .. } => fields
                .list(tag::HEADER_NAMES, headers.keys().map(String::as_str))
                .list(tag::HEADER_VALUES, headers.values().map(Secret::expose)),
        }
        .finish()
    }

    /// Reads the output of [`CredentialSecret::write`], for a credential of this kind and host.
    pub(crate) fn read(kind: Kind, host: Option<&HostPattern>, bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        let secret = |tag| fields.text(tag).map(Secret::new);
        Some(match kind {
            Kind::OAuth2 => Self::OAuth2(Tokens::read(&fields)?),
            Kind::ApiKey => Self::ApiKey(secret(tag::API_KEY)?),
            Kind::UserPassword => {
                Self::UserPassword { username: secret(tag::USERNAME)?, password: secret(tag::PASSWORD)? }
            }
            Kind::HostScoped => {
                let names = fields.list(tag::HEADER_NAMES)?.into_iter().map(str::to_owned);
                let values = fields.list(tag::HEADER_VALUES)?.into_iter().map(Secret::new);
                Self::HostScoped { host: host?.clone(), headers: names.zip(values).collect() }
            }
        })
    }
}

impl Tokens {
    /// Returns true if a new access token can be requested.
    pub fn can_be_renewed(&self) -> bool {
        self.refresh_token.is_some() || self.renewal.is_some()
    }

    /// Adds the fields of the tokens.
    pub(crate) fn write(&self, fields: FieldWriter) -> FieldWriter {
        let metadata = Zeroizing::new(serde_json::json!(self.metadata).to_string());
        let fields = fields
            .text(tag::ACCESS_TOKEN, self.access_token.expose())
            .optional(tag::REFRESH_TOKEN, self.refresh_token.as_ref().map(Secret::expose))
            .text(tag::TOKEN_TYPE, &self.token_type)
            .int(tag::LIFETIME, self.lifetime.map(|life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX)))
            .int(tag::REFRESH_EXPIRES_AT, self.refresh_expires_at.map(|at| at.0))
            .text(tag::METADATA, &metadata)
            .optional_bytes(tag::DPOP_KEY, self.dpop_key.as_ref().map(|key| key.pkcs8()))
            .optional(tag::REDIRECT_URI, self.redirect_uri.as_deref());
        match &self.renewal {
            Some(renewal) => renewal.write(fields),
            None => fields,
        }
    }

    /// Reads the fields of the tokens.
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        Some(Self {
            access_token: Secret::new(fields.text(tag::ACCESS_TOKEN)?),
            refresh_token: fields.text(tag::REFRESH_TOKEN).map(Secret::new),
            token_type: fields.owned(tag::TOKEN_TYPE)?,
            lifetime: fields.int(tag::LIFETIME).map(|life| Duration::from_secs(life.unsigned_abs())),
            refresh_expires_at: fields.int(tag::REFRESH_EXPIRES_AT).map(UnixTime),
            metadata: serde_json::from_str(fields.text(tag::METADATA)?).ok()?,
            renewal: Renewal::read(fields).ok()?.map(Box::new),
            dpop_key: fields.key(tag::DPOP_KEY)?,
            redirect_uri: fields.owned(tag::REDIRECT_URI),
        })
    }
}
