//! The secret half of a credential: what is handed out or sent to a provider, and never listed.

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

/// What a credential consists of. It has no `Debug`, and no way to JSON.
#[derive(Clone)]
pub enum CredentialSecret {
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

impl CredentialSecret {
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
    /// What asks for the next access token, where that is no refresh token.
    pub renewal: Option<Box<Renewal>>,
    /// The key that the tokens are bound to (RFC 9449), where they are.
    pub dpop_key: Option<Arc<SigningKey>>,
    /// The redirect URI of the login, which some providers want to see again at a refresh; absent where the login had none,
    /// or was before it was kept.
    pub redirect_uri: Option<String>,
}

/// Tags of the fields in a sealed secret; one that was ever used is not given another meaning.
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
    /// The fields to be sealed.
    pub(in crate::vault) fn write(&self) -> Zeroizing<Vec<u8>> {
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

    /// What [`CredentialSecret::write`] wrote, for a credential of that kind and host.
    pub(in crate::vault) fn read(kind: Kind, host: Option<&HostPattern>, bytes: &[u8]) -> Option<Self> {
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
    /// Whether there is something to ask for the next access token with.
    pub fn can_be_renewed(&self) -> bool {
        self.refresh_token.is_some() || self.renewal.is_some()
    }

    /// Adds the tokens' fields.
    pub(in crate::vault) fn write(&self, fields: FieldWriter) -> FieldWriter {
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

    /// Reads them back.
    pub(in crate::vault) fn read(fields: &Fields<'_>) -> Option<Self> {
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
