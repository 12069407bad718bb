//! Grant types of an authorization server.

use serde::{Deserialize, Serialize};

use super::value::yes;
use crate::jose::Algorithm;

/// A grant type (RFC 6749 §1.3) other than a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// A user logs in (RFC 6749 §4.1).
    AuthorizationCode,
    /// A client acts for itself (RFC 6749 §4.4).
    ClientCredentials,
    /// A service account signs an assertion (RFC 7523 §2.1).
    JwtBearer,
}

impl GrantType {
    /// Returns the `type` of a create request for such a credential.
    pub fn credential_type(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "oauth2",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "service_account",
        }
    }
}

/// The assertion of a service account (RFC 7523 §3).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtBearer {
    /// The audience. Without it, the token endpoint.
    pub audience: Option<String>,
    /// The place of the scopes.
    #[serde(default)]
    pub scope: AssertionScope,
    /// The account names itself as `sub` if it acts for no other user (RFC 7523 §3).
    #[serde(default = "yes")]
    pub subject_required: bool,
    /// The signature algorithm. Without it, the first one that the key supports.
    pub algorithm: Option<Algorithm>,
}

impl Default for JwtBearer {
    fn default() -> Self {
        Self { audience: None, scope: AssertionScope::default(), subject_required: true, algorithm: None }
    }
}

/// The place of the scopes in the token request of an assertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionScope {
    /// In a parameter of the request (RFC 7521 §4.1).
    #[default]
    Parameter,
    /// In a claim of the assertion.
    Claim,
}
