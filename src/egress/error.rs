//! What can go wrong on the way out, told apart by one question: may the provider have acted on the request?

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

/// Why there is no whole answer. No variant holds a URL, a header or a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The guard refused the address; nothing was sent.
    #[error("the address is refused: {0}")]
    Refused(#[from] AddressRefusal),
    /// No connection came about; nothing was sent.
    #[error("the server could not be reached: {0}")]
    NotSent(NotSent),
    /// It took too long.
    #[error("the server is too slow: {}", if *.sent { "no whole answer within the time allowed" } else { "no connection within the time allowed" })]
    TooSlow {
        /// Whether the request had been sent: then it is in doubt.
        sent: bool,
    },
    /// The answer's headers or its decoded body are over the limit.
    #[error("the answer is larger than the limit")]
    TooLarge,
    /// Something came back that is not HTTP, or a body that is not in the encoding that its header names.
    #[error("the answer is not valid HTTP")]
    Garbled,
    /// The request was sent, at least in part, and the connection broke before the answer was whole.
    #[error("the connection broke before the answer was whole")]
    InDoubt,
}

impl EgressError {
    /// Whether the provider may have acted on the request although no whole answer came: then a code or a refresh
    /// token may be spent. Garbage is an answer, and no doubt.
    pub fn in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt | Self::TooLarge | Self::TooSlow { sent: true })
    }

    /// Whether time ran out: a gateway answers 504 then, and 502 otherwise.
    pub fn timed_out(&self) -> bool {
        matches!(self, Self::TooSlow { .. })
    }

    /// Whether the same request may succeed later. What the guard refuses stays refused.
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// At which step of the connection it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The name has no address.
    #[error("its name cannot be resolved")]
    Dns,
    /// No TCP connection.
    #[error("it takes no connection")]
    Connect,
    /// The certificate is not trusted, not valid now, or not for this name.
    #[error("its certificate is not trusted (a private authority belongs in egress.ca_certificates)")]
    Certificate,
    /// The TLS handshake failed for another reason.
    #[error("the TLS handshake failed")]
    Tls,
}

/// Why the guard refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// Neither `https` nor `http`.
    #[error("only https URLs are fetched")]
    Scheme,
    /// `http` to something else than a loopback address.
    #[error("plain http is possible only to loopback addresses")]
    PlainHttp,
    /// User name or password in the URL.
    #[error("the URL has a user name or a password in it")]
    UserInfo,
    /// No host.
    #[error("the URL has no host")]
    NoHost,
    /// No address of the host is public, and none is in `egress.allow`.
    #[error("the address is not public, and egress.allow does not cover it")]
    Address,
    /// A header that frames the message.
    #[error("the request sets a header that belongs to the connection")]
    Header,
}

/// Why there is no outbound client.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// A file of `egress.ca_certificates` cannot be read.
    #[error("egress.ca_certificates: {path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of `egress.ca_certificates` has no usable certificate in it.
    #[error("egress.ca_certificates: {}: no usable PEM certificate in it", .0.display())]
    NoCertificate(PathBuf),
    /// The TLS library refused the settings.
    #[error("the outbound client cannot be set up")]
    Client,
}

/// Finds out from a failed request what happened. The error itself is dropped: it would print the whole URL.
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
    EgressError::NotSent(match cause::<rustls::Error>(error) {
        Some(rustls::Error::InvalidCertificate(_)) => NotSent::Certificate,
        Some(_) => NotSent::Tls,
        None if error.is_dns() => NotSent::Dns,
        None => NotSent::Connect,
    })
}

/// The first cause of type `T`; `io::Error` hides what it wraps from `source`, so that is looked into as well.
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
