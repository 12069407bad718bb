//! Who does something, for the audit row that is written in the same transaction.

use std::net::IpAddr;

use crate::id::{ApiKeyId, IssuerName, RequestId};

/// Who asked, from where, in which request. Ids only: nothing in it is secret.
#[derive(Clone, Debug)]
pub struct AuditContext {
    /// Who acts.
    pub actor: Actor,
    /// The caller's address, where there is one.
    pub address: Option<IpAddr>,
    /// The request's id, where there is one.
    pub request_id: Option<RequestId>,
}

/// The one who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A program that presented this API key.
    ApiKey(ApiKeyId),
    /// A program that presented an access token of this issuer; the row's user is the one that the token names.
    AccessToken(IssuerName),
    /// A person at the command line of this machine.
    CommandLine,
    /// Strongroom itself: clean-up, retries.
    System,
}

impl AuditContext {
    /// A person at the command line.
    pub fn command_line() -> Self {
        Self { actor: Actor::CommandLine, address: None, request_id: None }
    }

    /// Strongroom itself.
    pub fn system() -> Self {
        Self { actor: Actor::System, address: None, request_id: None }
    }
}

impl std::fmt::Display for Actor {
    /// As it stands in the audit log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ApiKey(id) => write!(f, "key:{id}"),
            Self::AccessToken(issuer) => write!(f, "token:{issuer}"),
            Self::CommandLine => f.write_str("command-line"),
            Self::System => f.write_str("system"),
        }
    }
}
