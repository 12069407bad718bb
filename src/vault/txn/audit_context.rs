//! The actor of an operation, for the audit row that is written in the same transaction.

use std::fmt;
use std::net::IpAddr;

use crate::id::{ApiKeyId, ApprovalId, CredentialId, GrantId, IssuerName, ProviderName, RequestId, UserId};

/// Actor, address and request of an operation. Only ids: nothing in it is secret.
#[derive(Clone, Debug)]
pub struct AuditContext {
    /// The actor.
    pub actor: Actor,
    /// The caller's address, if known.
    pub address: Option<IpAddr>,
    /// The request's id, if there is one.
    pub request_id: Option<RequestId>,
}

/// The actor of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A program that presented this API key.
    ApiKey(ApiKeyId),
    /// A program that presented an access token of this issuer. The audit row's user is the one
    /// that the token names.
    AccessToken(IssuerName),
    /// The operator at the command line of this machine.
    CommandLine,
    /// Strongroom, for clean-up and retries.
    System,
}

impl AuditContext {
    /// The context of the operator at the command line.
    pub fn command_line() -> Self {
        Self { actor: Actor::CommandLine, address: None, request_id: None }
    }

    /// The context of Strongroom's own operations.
    pub fn system() -> Self {
        Self { actor: Actor::System, address: None, request_id: None }
    }
}

impl fmt::Display for Actor {
    /// Writes the actor as the audit log stores it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(id) => write!(f, "key:{id}"),
            Self::AccessToken(issuer) => write!(f, "token:{issuer}"),
            Self::CommandLine => f.write_str("command-line"),
            Self::System => f.write_str("system"),
        }
    }
}

/// A request that an authenticated caller was denied: ids, and fixed words.
#[derive(Clone, Debug)]
pub struct DeniedRequest {
    /// The user named in the request.
    pub user: Option<UserId>,
    /// The provider.
    pub provider: Option<ProviderName>,
    /// The credential.
    pub credential: Option<CredentialId>,
    /// The reason, in one word: `permission-missing`.
    pub reason: &'static str,
    /// Method and pattern of the route, not its path.
    pub route: (String, &'static str),
    /// The request to the provider, if the proxy refused it.
    pub proxied: Option<ProxiedRequest>,
    /// Number of earlier denials of this caller without a row of their own.
    pub not_recorded: u64,
}

/// Maximum length, in bytes, of a path in the audit log.
const MAX_PATH: usize = 256;

/// A request that is sent with a credential. The query is left out, because it may hold secrets.
#[derive(Clone, Debug)]
pub struct ProxiedRequest {
    /// The method.
    pub method: String,
    /// The host, with the port if it is not the scheme's own.
    pub host: String,
    /// The canonical path.
    pub path: String,
    /// The grant that decided, if one did.
    pub grant: Option<GrantId>,
    /// The approval of a person that let it through, that it waits for, or that was denied.
    pub approval: Option<ApprovalId>,
}

impl fmt::Display for ProxiedRequest {
    /// Writes the subject of the audit row: `GET api.example.com/v1/user grant:ID approval:ID`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.get(..MAX_PATH).unwrap_or(&self.path);
        write!(f, "{} {}{path}", self.method, self.host)?;
        if path.len() < self.path.len() {
            f.write_str("…")?;
        }
        self.grant.map_or(Ok(()), |grant| write!(f, " grant:{grant}"))?;
        self.approval.map_or(Ok(()), |approval| write!(f, " approval:{approval}"))
    }
}

impl fmt::Display for DeniedRequest {
    /// Writes the subject of the audit row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proxied {
            Some(request) => write!(f, "refused:{} {request}", self.reason)?,
            None => write!(f, "refused:{} {} {}", self.reason, self.route.0, self.route.1)?,
        }
        if self.not_recorded > 0 {
            write!(f, " ({} before it not recorded)", self.not_recorded)?;
        }
        Ok(())
    }
}
