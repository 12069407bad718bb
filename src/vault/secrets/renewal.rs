//! Renewal of an access token without a refresh token: the stored client or service account
//! requests a new one (RFC 6749 §4.4.3, RFC 7523 §2.1). It is sealed with the tokens.

use crate::secret::Secret;
use crate::vault::crypto::fields::{Field, FieldWriter, Fields, Value, fields};

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

fields! {
    OwnClient {
        1 id,
        2 secret,
    }
}

fields! {
    ServiceAccount {
        1 key,
        2 key_id,
        3 issuer,
        4 subject,
    }
}

impl Value for Box<Renewal> {
    fn write(&self, to: &mut FieldWriter) {
        match self.as_ref() {
            Renewal::ClientCredentials { own } => own.put(1, to),
            Renewal::ServiceAccount(account) => account.put(2, to),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        Some(Self::new(match fields.get(2)? {
            Some(account) => Renewal::ServiceAccount(account),
            None => Renewal::ClientCredentials { own: fields.get(1)? },
        }))
    }
}
