//! Reasons for which the proxy refuses a request, or has no answer for it.

use std::time::Duration;

use crate::broker::{Error, NoBaseUrl};
use crate::egress::{AddressRefusal, EgressError};
use crate::id::{ApprovalId, CredentialId, ProviderName};
use crate::oauth::BuildError;
use crate::policy::{DestinationError, PathError};
use crate::vault::ProxiedRequest;

/// A reason for which the proxy did not pass a request on, or has no response. No message contains
/// a secret.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The path has no clear meaning.
    #[error("{0}")]
    Path(#[from] PathError),
    /// The destination has no clear meaning.
    #[error("{0}")]
    Destination(#[from] DestinationError),
    /// The method is never passed on.
    #[error("the proxy does not pass on {0}")]
    Method(String),
    /// The key has grants with methods, and the request overrides its method.
    #[error("this API key has grants for methods, so a request must not override its method ({0})")]
    MethodOverride(&'static str),
    /// The path is not in its canonical spelling, and the key has grants with paths.
    #[error(
        "this API key has grants for paths, so a path must be in its shortest spelling: escape only what must be escaped, and write no empty segment"
    )]
    Spelling,
    /// The credential is for several hosts, and the request names none.
    #[error("this credential is for {0}: name the host, as in /v1/proxy/ID@HOST/PATH")]
    HostNeeded(String),
    /// A proof for a bound token cannot be made.
    #[error("the proof for the token cannot be made: {0}")]
    Proof(BuildError),
    /// The credential is not for this destination.
    #[error("this credential is not for {0}")]
    NotBound(String),
    /// No credential is bound to the destination, and the key does not tunnel to it.
    #[error(
        "no credential that this API key may use is for {0}, and the key may not reach this host without one \
         (key update --unmatched tunnel; a host of a credential or of a grant is never a tunnel)"
    )]
    NoCredential(String),
    /// A host without a credential has no address that may be dialled.
    #[error("this host cannot be reached without a credential: {0}")]
    NoAddress(AddressRefusal),
    /// The destination of the credential is not known.
    #[error("{0}")]
    NoBase(#[from] NoBaseUrl),
    /// The placeholder of the credential is where the provider takes no secret.
    #[error(
        "the placeholder of the credential is in a part of the request where this provider takes no secret; it would be \
         sent as it is"
    )]
    PlaceholderMisplaced,
    /// No grant of the API key allows the request, or one denies it.
    #[error("{0}")]
    Denied(String),
    /// A person has to approve the request first; it can be sent again after this time.
    #[error("a person has to approve this request (approval {0}); send it again, unchanged, once it is approved")]
    ApprovalPending(ApprovalId, Duration),
    /// A person denied the request.
    #[error("a person denied this request (approval {0})")]
    ApprovalDenied(ApprovalId),
    /// A grant's rate is used up.
    #[error("the rate of a grant is used up ({0})")]
    Rate(String, Duration),
    /// The secret cannot be set in the request.
    #[error("{0}")]
    Injection(#[from] InjectError),
    /// The body must be held to set the secret in it, and is too large.
    #[error("this provider takes its secret in the body, which may have 1 MiB at most")]
    BodyTooLarge,
    /// Too many requests of the API key are under way.
    #[error("too many requests and tunnels of this API key are under way (limits.proxied_per_key); try again later")]
    TooMany,
    /// Too many tunnels are open.
    #[error(
        "too many tunnels to hosts without a credential are open (half of server.max_connections); try again later"
    )]
    TooManyTunnels,
    /// The bodies that are held have no room for another one.
    #[error("the bodies of this API key, or of all of them, are too large together; try again later")]
    NoMemory,
    /// A body that must be held did not arrive in time.
    #[error("the body of the request took too long to arrive")]
    BodyTooSlow,
    /// The body of the caller ended early, or its chunks are malformed.
    #[error("the body of the request ended early or is malformed")]
    Body,
    /// The credential cannot be used.
    #[error("{0}")]
    Broker(#[from] Error),
    /// The provider did not answer.
    #[error("{0}")]
    Egress(#[from] EgressError),
}

/// A refusal, with the facts of the request for the audit log.
pub struct RefusedSend {
    /// The reason.
    pub error: ProxyError,
    /// The request.
    pub request: RefusedRequest,
}

/// Facts of a refused request, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct RefusedRequest {
    /// The provider of the credential.
    pub provider: Option<ProviderName>,
    /// The credential.
    pub credential: Option<CredentialId>,
    /// The request to the provider.
    pub proxied: Option<ProxiedRequest>,
}

/// The reason why a secret cannot be set in a request. No message contains a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The entry does not say where the secret goes.
    #[error("the catalogue does not say how this provider takes its secret")]
    Unplaced,
    /// The entry needs several secrets, joined by colons, and the credential has fewer.
    #[error("this provider needs several secrets, joined by colons; update the credential")]
    Parts,
    /// The secret has a character that a header cannot carry.
    #[error("the secret contains a character that a header cannot carry; update the credential")]
    Value,
    /// The request does not go to a path below that of the base URL.
    #[error("this provider takes its secret in the path, right after the base URL's path; send a path below it")]
    Path,
    /// The secret goes into the body, and the body is neither a JSON object nor a form.
    #[error("this provider takes its secret in the body; send a JSON object or a form, with its Content-Type")]
    Body,
    /// The body names the member of the secret more than once.
    #[error("the body has the member of the secret more than once")]
    RepeatedMember,
}
