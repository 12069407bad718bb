//! Renewal of an access token without a refresh token: the stored client or service account
//! requests a new one (RFC 6749 §4.4.3, RFC 7523 §2.1). It is sealed with the tokens.

use crate::secret::Secret;
use crate::vault::crypto::encoding::{FieldWriter, Fields};

/// Tags of the fields, among those of a sealed secret. A tag is never reused with another meaning.
mod tag {
    pub(super) const RENEWAL: u8 = 20;
    pub(super) const CLIENT_ID: u8 = 21;
    pub(super) const CLIENT_SECRET: u8 = 22;
    pub(super) const KEY: u8 = 23;
    pub(super) const KEY_ID: u8 = 24;
    pub(super) const ISSUER: u8 = 25;
    pub(super) const SUBJECT: u8 = 26;
}

const CLIENT_CREDENTIALS: &str = "client_credentials";
const SERVICE_ACCOUNT: &str = "service_account";

/// The source of the next access token. It has no `Debug`, because it contains secrets.
#[derive(Clone)]
pub enum Renewal {
    /// The client credentials grant (RFC 6749 §4.4).
    ClientCredentials {
        /// The user's own client; `None` for the configured one.
        own: Option<OwnClient>,
    },
    /// A service account: an assertion signed with its key (RFC 7523 §2.1).
    ServiceAccount(ServiceAccount),
}

/// A client that the user registered at the provider.
#[derive(Clone)]
pub struct OwnClient {
    /// The client id.
    pub id: String,
    /// The client secret; a public client has none.
    pub secret: Option<Secret>,
}

/// The account that signs assertions.
#[derive(Clone)]
pub struct ServiceAccount {
    /// The private key: PKCS#8 in PEM.
    pub key: Secret,
    /// The id of the key at the provider.
    pub key_id: Option<String>,
    /// The issuer of assertions: the account's name, or a client id.
    pub issuer: String,
    /// The subject of assertions; `None` for the issuer.
    pub subject: Option<String>,
}

impl Renewal {
    /// Adds the fields.
    pub(crate) fn write(&self, fields: FieldWriter) -> FieldWriter {
        match self {
            Self::ClientCredentials { own } => {
                let secret = own.as_ref().and_then(|own| own.secret.as_ref());
                fields
                    .text(tag::RENEWAL, CLIENT_CREDENTIALS)
                    .optional(tag::CLIENT_ID, own.as_ref().map(|own| own.id.as_str()))
                    .optional(tag::CLIENT_SECRET, secret.map(Secret::expose))
            }
            Self::ServiceAccount(account) => fields
                .text(tag::RENEWAL, SERVICE_ACCOUNT)
                .text(tag::KEY, account.key.expose())
                .optional(tag::KEY_ID, account.key_id.as_deref())
                .text(tag::ISSUER, &account.issuer)
                .optional(tag::SUBJECT, account.subject.as_deref()),
        }
    }

    /// Reads the fields; `None` if there are none.
    ///
    /// # Errors
    /// If the fields are malformed.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Option<Self>, ()> {
        let secret = |tag| fields.text(tag).map(Secret::new);
        Ok(match fields.text(tag::RENEWAL) {
            None => None,
            Some(CLIENT_CREDENTIALS) => Some(Self::ClientCredentials {
                own: fields.owned(tag::CLIENT_ID).map(|id| OwnClient { id, secret: secret(tag::CLIENT_SECRET) }),
            }),
            Some(SERVICE_ACCOUNT) => Some(Self::ServiceAccount(ServiceAccount {
                key: secret(tag::KEY).ok_or(())?,
                key_id: fields.owned(tag::KEY_ID),
                issuer: fields.owned(tag::ISSUER).ok_or(())?,
                subject: fields.owned(tag::SUBJECT),
            })),
            Some(_) => return Err(()),
        })
    }
}
