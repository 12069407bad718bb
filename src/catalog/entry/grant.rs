//! What an authorization server gives tokens for, beside a user's login: the vocabulary of grants.

use serde::{Deserialize, Serialize};

use super::value::yes;
use crate::jose::Algorithm;

/// A grant that gives tokens for something else than a refresh token (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// A user logs in (RFC 6749 §4.1).
    AuthorizationCode,
    /// A client asks for itself (RFC 6749 §4.4).
    ClientCredentials,
    /// A service account signs an assertion (RFC 7523 §2.1).
    JwtBearer,
}

impl GrantType {
    /// The `type` under which such a credential is made.
    pub fn credential_type(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "oauth2",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "service_account",
        }
    }
}

/// How a service account's assertion is made (RFC 7523 §3).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtBearer {
    /// Whom it is for; the token endpoint where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Where the scopes stand.
    #[serde(default)]
    pub scope: AssertionScope,
    /// Whether the account names itself as `sub` where it asks for nobody else (RFC 7523 §3 wants it).
    #[serde(default = "yes")]
    pub subject_required: bool,
    /// With what it is signed; the first that the key is for where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
}

impl Default for JwtBearer {
    fn default() -> Self {
        Self { audience: None, scope: AssertionScope::default(), subject_required: true, algorithm: None }
    }
}

/// Where the scopes of an assertion's token request stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionScope {
    /// In a parameter of the request (RFC 7521 §4.1).
    #[default]
    Parameter,
    /// In a claim of the assertion.
    Claim,
}
