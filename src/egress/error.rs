//! Errors of outbound requests. The main question is whether the provider may have acted on the
//! request.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

/// Reason why no complete response arrived. No variant contains a URL, a header or a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The guard rejected the request; nothing was sent.
    #[error("the request is not allowed: {0}")]
    Refused(#[from] AddressRefusal),
    /// The connection failed; nothing was sent.
    #[error("the server could not be reached: {0}")]
    NotSent(NotSent),
    /// The time limit was exceeded.
    #[error("the server is too slow: {}", if *.sent { "no complete response in time" } else { "no connection in time" })]
    TooSlow {
        /// True if the request had been sent, so that its effect is in doubt.
        sent: bool,
    },
    /// The response's headers or decoded body exceed the limit.
    #[error("the response is larger than the limit")]
    TooLarge,
    /// The response is not HTTP, or its body is not in the encoding that the header names.
    #[error("the response is not valid HTTP")]
    Garbled,
    /// The request was sent, at least in part, and the connection broke before the end of the
    /// response.
    #[error("the connection broke before the response was complete")]
    InDoubt,
}

impl EgressError {
    /// Returns true if the provider may have acted on the request although no complete response
    /// arrived: a code or refresh token may be spent. An invalid response is no reason for
    /// doubt.
    pub fn in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt | Self::TooLarge | Self::TooSlow { sent: true })
    }

    /// Returns true if the time limit was exceeded.
    pub fn timed_out(&self) -> bool {
        matches!(self, Self::TooSlow { .. })
    }

    /// Returns true if the same request may succeed later. A rejection by the guard is
    /// permanent.
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// Step at which the connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The name has no address.
    #[error("its name cannot be resolved")]
    Dns,
    /// The TCP connection failed.
    #[error("it does not accept connections")]
    Connect,
    /// The certificate is not trusted, not valid now, or not for this name.
    #[error("its certificate is not trusted; add a private authority to egress.ca_certificates or ca of the provider")]
    Certificate,
    /// The TLS handshake failed for another reason.
    #[error("the TLS handshake failed")]
    Tls,
    /// The egress proxy opened no connection.
    #[error("{0}")]
    Proxy(TunnelError),
}

/// Reason why the egress proxy opened no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    /// The TCP connection failed.
    #[error("the proxy of egress.proxy does not accept connections")]
    Unreachable,
    /// The proxy refused.
    #[error("the proxy of egress.proxy answered CONNECT with status {0}{advice}", advice = advice(*.0))]
    Status(u16),
    /// The proxy refused with a status that is not known, or its answer is not HTTP.
    #[error("the proxy of egress.proxy refused CONNECT")]
    Refused,
    /// The connection ended within the exchange.
    #[error("the proxy of egress.proxy closed the connection")]
    Broken,
    /// The answer is not HTTP, or its head is too large.
    #[error("the proxy of egress.proxy gave an invalid answer to CONNECT")]
    Invalid,
}

fn advice(status: u16) -> &'static str {
    if status == 407 { "; check the user in egress.proxy, and egress.proxy_password" } else { "" }
}

/// Reason why the guard rejected a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// The scheme is neither `https` nor `http`.
    #[error("only https URLs are allowed")]
    Scheme,
    /// The scheme is `http` and the host is not a loopback address.
    #[error("plain http is allowed to loopback addresses only")]
    PlainHttp,
    /// The URL contains a user name or password.
    #[error("the URL contains a user name or a password")]
    UserInfo,
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// No address of the host is public or in `egress.allow`.
    #[error("the address is not public, and egress.allow does not cover it")]
    Address,
    /// No address of a host that a caller chose is public or in the provider's `allow_private`.
    #[error("the address is not public, and allow_private of this provider does not cover it")]
    ChosenAddress,
    /// No address of a host without a credential is public or in `proxy.allow_private`.
    #[error("the address is not public, and proxy.allow_private does not cover it")]
    UnmatchedAddress,
    /// The address is one at which this server listens.
    #[error("the request would come back to this server")]
    Loop,
    /// A header would change the framing of the message.
    #[error("the request sets a header that belongs to the connection")]
    Header,
}

/// Reason why a file with certification authorities is unusable.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityFileError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file has no usable certificate.
    #[error("{}: the file has no usable PEM certificate", .0.display())]
    NoCertificate(PathBuf),
}

/// Reason why the egress client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// A file with certification authorities is unusable.
    #[error("{key}: {source}")]
    Authorities {
        /// The setting that names the file.
        key: String,
        /// The cause.
        source: AuthorityFileError,
    },
    /// The TLS library refused the settings.
    #[error("the egress client could not be set up (TLS settings)")]
    Client,
}

/// Classifies a failed request. The error itself is dropped, because its text contains the URL.
pub(super) fn classify(error: &reqwest::Error) -> EgressError {
    if let Some(refusal) = cause::<AddressRefusal>(error) {
        return EgressError::Refused(*refusal);
    }
    if error.is_connect() {
        return not_sent(error);
    }
    if error.is_builder() {
        return EgressError::Refused(AddressRefusal::NoHost);
    }
    match cause::<hyper::Error>(error) {
        Some(hyper) if hyper.is_parse_too_large() => EgressError::TooLarge,
        Some(hyper) if hyper.is_parse() => EgressError::Garbled,
        None if error.is_decode() => EgressError::Garbled,
        _ => EgressError::InDoubt,
    }
}

fn not_sent(error: &reqwest::Error) -> EgressError {
    if error.is_timeout() {
        return EgressError::TooSlow { sent: false };
    }
    if let Some(failure) = failed_tunnel(error) {
        return EgressError::NotSent(NotSent::Proxy(failure));
    }
    EgressError::NotSent(match cause::<rustls::Error>(error) {
        Some(rustls::Error::InvalidCertificate(_)) => NotSent::Certificate,
        Some(_) => NotSent::Tls,
        None if error.is_dns() => NotSent::Dns,
        None => NotSent::Connect,
    })
}

/// Recognises the failure of reqwest's tunnel by its text: its type is private to hyper-util, and has
/// no status but 407. The tests hold the texts.
fn failed_tunnel(error: &reqwest::Error) -> Option<TunnelError> {
    let mut next = Some(error as &(dyn StdError + 'static));
    while let Some(error) = next {
        if let Some(said) = error.to_string().strip_prefix("tunnel error: ") {
            return Some(match said {
                "proxy authorization required" => TunnelError::Status(407),
                "failed to create underlying connection" => TunnelError::Unreachable,
                "unexpected end of file" | "io error establishing tunnel" => TunnelError::Broken,
                "proxy response headers too long" => TunnelError::Invalid,
                _ => TunnelError::Refused,
            });
        }
        next = error.source();
    }
    None
}

/// Classifies a failed streaming request.
pub(super) fn classify_streaming(error: &hyper_util::client::legacy::Error) -> EgressError {
    if !error.is_connect() {
        return match cause::<hyper::Error>(error) {
            Some(hyper) if hyper.is_parse_too_large() => EgressError::TooLarge,
            Some(hyper) if hyper.is_parse() => EgressError::Garbled,
            _ => EgressError::InDoubt,
        };
    }
    classify_dial(error)
}

/// Classifies a failure to connect.
pub(super) fn classify_dial(error: &(dyn StdError + 'static)) -> EgressError {
    if let Some(refusal) = cause::<AddressRefusal>(error) {
        return EgressError::Refused(*refusal);
    }
    if cause::<tokio::time::error::Elapsed>(error).is_some() {
        return EgressError::TooSlow { sent: false };
    }
    if let Some(failure) = cause::<TunnelError>(error) {
        return EgressError::NotSent(NotSent::Proxy(*failure));
    }
    EgressError::NotSent(match cause::<rustls::Error>(error) {
        Some(rustls::Error::InvalidCertificate(_)) => NotSent::Certificate,
        Some(_) => NotSent::Tls,
        None if cause::<NameUnknown>(error).is_some() => NotSent::Dns,
        None => NotSent::Connect,
    })
}

/// A name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved")]
pub(super) struct NameUnknown;

/// Returns the first cause of type `T`. `io::Error` does not return what it wraps as its `source`,
/// so that is searched too.
fn cause<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
