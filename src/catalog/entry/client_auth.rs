//! Authentication of our client at an authorization server.

use serde::{Deserialize, Serialize};

/// Client authentication at the token endpoint (RFC 6749 §2.3.1, OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAuth {
    /// `client_secret_basic`: id and secret form-urlencoded, then base64 in the `Authorization`
    /// header.
    #[default]
    Basic,
    /// `client_secret_basic` without the form-urlencoding, for servers that do not decode it.
    BasicRaw,
    /// `basic`, and `client_id` in the body too, for servers that look up the client there (RFC 6749 §3.2.1).
    BasicWithId,
    /// `client_secret_post`: `client_id` and `client_secret` in the body.
    Post,
    /// A public client: `client_id` in the body, and no secret.
    None,
    /// An assertion signed with our private key (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// An assertion signed with the client secret.
    ClientSecretJwt,
}

impl TokenAuth {
    /// Returns true if the client authenticates by an assertion.
    pub fn is_assertion(self) -> bool {
        matches!(self, Self::PrivateKeyJwt | Self::ClientSecretJwt)
    }

    /// Returns the registered name (RFC 7591 §2), if there is one.
    pub fn method_name(self) -> Option<&'static str> {
        match self {
            Self::Basic | Self::BasicWithId => Some("client_secret_basic"),
            Self::BasicRaw => None,
            Self::Post => Some("client_secret_post"),
            Self::None => Some("none"),
            Self::PrivateKeyJwt => Some("private_key_jwt"),
            Self::ClientSecretJwt => Some("client_secret_jwt"),
        }
    }

    /// Returns true if the client secret is needed.
    pub fn needs_secret(self) -> bool {
        !matches!(self, Self::None | Self::PrivateKeyJwt)
    }
}

/// The audience of a client assertion (`aud`, RFC 7523 §3): one text, never a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionAudience {
    /// The issuer.
    #[default]
    Issuer,
    /// The token endpoint's URL.
    TokenUrl,
}
