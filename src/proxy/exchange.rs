//! The exchange with the provider: the secret is read and set, the request sent, and sent again if
//! the provider rejects the token.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use url::Url;

use super::bind::Bound;
use super::body::{NotedBody, Progress, StreamedBody};
use super::inject::{Injection, OutboundHead};
use super::mask::MaskedForms;
use super::refusal::{InjectError, ProxyError};
use super::response::is_scope_error;
use super::strip::AuthSlots;
use super::websocket;
use crate::broker::{Broker, Caller, CredentialBase, SecretToSend};
use crate::catalog::Entry;
use crate::egress::{Egress, EgressError};
use crate::kind::Kind;
use crate::policy::RequestTarget;
use crate::secret::Secret;
use crate::vault::{CredentialMetadata, CredentialSecret, ProxiedRequest};

/// Largest body that is held so that it can be sent again after a refresh.
pub(super) const MAX_REPLAYED: usize = 64 * 1024;

/// A request that may be sent.
pub(super) struct Admitted<'e> {
    pub(super) egress: Egress,
    /// The base at which the credential was bound.
    pub(super) base: CredentialBase,
    pub(super) entry: Option<&'e Entry>,
    pub(super) slots: AuthSlots,
    pub(super) bound: Bound,
    pub(super) target: RequestTarget,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) extensions: Extensions,
    /// True if the caller's connection can become a WebSocket.
    pub(super) can_upgrade: bool,
}

/// The sending of one request.
pub(super) struct ProxyExchange<'r> {
    pub(super) broker: &'r Broker,
    /// Time to the first byte of the response.
    pub(super) first_byte: Duration,
    pub(super) caller: &'r Caller,
    pub(super) summary: &'r CredentialMetadata,
    pub(super) admitted: &'r Admitted<'r>,
}

impl ProxyExchange<'_> {
    /// Sends the request, and once more after a refresh if the provider rejects the token.
    pub(super) async fn send(
        &self,
        body: Outgoing,
        facts: ProxiedRequest,
    ) -> Result<(Response<Incoming>, Arc<MaskedForms>), ProxyError> {
        let Self { broker, caller, summary, admitted, .. } = *self;
        let base = &admitted.base;
        let mut secret = broker.secret_to_send(caller, summary, base, facts.clone()).await?;
        let replayed = match &body {
            Outgoing::Held(whole) if whole.len() <= MAX_REPLAYED => Some(whole.clone()),
            Outgoing::Held(_) | Outgoing::Streamed(_) => None,
        };
        let mut next = Some(body);
        let (mut renewed, mut proved) = (false, false);
        loop {
            let injection = injection(admitted, &secret.material)?;
            let forms = Arc::new(injection.masked_forms());
            let body = next.take().or_else(|| replayed.clone().map(Outgoing::Held)).ok_or(ProxyError::Body)?;
            let (response, wants_nonce) = self.attempt(&injection, &secret, body).await?;
            if response.status() == StatusCode::UNAUTHORIZED && replayed.is_some() {
                if wants_nonce && !proved {
                    proved = true;
                    continue;
                }
                if !renewed
                    && !is_scope_error(response.headers())
                    && broker.renew_rejected(caller, summary, &secret).await
                {
                    renewed = true;
                    secret = broker.secret_to_send(caller, summary, base, facts.clone()).await?;
                    continue;
                }
            }
            return Ok((response, forms));
        }
    }

    async fn attempt(
        &self,
        injection: &Injection,
        secret: &SecretToSend,
        body: Outgoing,
    ) -> Result<(Response<Incoming>, bool), ProxyError> {
        let Admitted { egress, slots, bound, target, method, headers, extensions, can_upgrade, .. } = self.admitted;
        let mut head = injection.head(slots, &bound.destination, &bound.base_path, target, headers.clone())?;
        let uri = bound.uri(&head.target)?;
        let url = Url::parse(&uri.to_string()).map_err(|_| ProxyError::NotBound(bound.destination.authority()))?;
        if let Some((name, value)) = secret.proof(method, &url).map_err(ProxyError::Proof)? {
            head.headers.insert(name, value);
        }
        if head.is_websocket && *can_upgrade {
            websocket::ask(&mut head.headers);
        }
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let progress = Progress::begin();
        let body = outgoing(body, &mut head, injection, slots, progress.clone())?;
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = head.headers;
        *request.extensions_mut() = extensions.clone();
        let pool = self.summary.id.to_string();
        let sending = egress.stream(request, bound.is_chosen, &pool);
        let response = tokio::select! {
            response = sending => match response {
                Err(_) if progress.has_failed() => return Err(ProxyError::Body),
                response => response?,
            },
            () = progress.stalls_for(self.first_byte) => return Err(EgressError::TooSlow { sent: true }.into()),
        };
        let wants_nonce = secret.keep_nonce(&url, response.status(), response.headers());
        Ok((response, wants_nonce))
    }
}

/// A body to send.
pub(super) enum Outgoing {
    Held(Bytes),
    Streamed(StreamedBody),
}

/// Returns the body that is sent. One that carries a secret has another length.
fn outgoing(
    body: Outgoing,
    head: &mut OutboundHead,
    injection: &Injection,
    slots: &AuthSlots,
    progress: Progress,
) -> Result<StreamedBody, ProxyError> {
    Ok(match body {
        Outgoing::Held(whole) if injection.needs_body() => {
            let filled = injection.body(slots, &head.headers, &whole)?;
            head.headers.insert(CONTENT_LENGTH, filled.len().into());
            Full::new(Bytes::from_owner(filled)).map_err(|never| match never {}).boxed_unsync()
        }
        Outgoing::Held(whole) => Full::new(whole).map_err(|never| match never {}).boxed_unsync(),
        // The place of a secret is known before the body is held.
        Outgoing::Streamed(_) if injection.needs_body() => return Err(ProxyError::Body),
        Outgoing::Streamed(body) => NotedBody::new(body, progress).boxed_unsync(),
    })
}

/// Places the secret as the entry says.
fn injection(admitted: &Admitted<'_>, secret: &CredentialSecret) -> Result<Injection, ProxyError> {
    let Admitted { entry, bound, target, .. } = admitted;
    let host = entry.and_then(|entry| {
        let segments = target.path.readings().first()?;
        entry.hosts.iter().find(|host| host.covers(&bound.destination, segments))
    });
    if let (Some(host), Some(single)) = (host, secret.single())
        && let Some(injection) = Injection::at_host(host, single)
    {
        return Ok(injection?);
    }
    Ok(match secret {
        CredentialSecret::OAuth2(tokens) => {
            let how = entry.and_then(|entry| entry.oauth.as_ref()).and_then(|oauth| oauth.access_token.as_ref());
            Injection::of_access_token(how, &tokens.token_type, &tokens.access_token)?
        }
        CredentialSecret::ApiKey(key) => {
            let placement = entry.and_then(|entry| entry.api_key.as_ref()).ok_or(InjectError::Unplaced)?;
            Injection::of_api_key(placement, key)?
        }
        CredentialSecret::UserPassword { username, password } => {
            let placement = entry.and_then(|entry| entry.user_password.as_ref()).ok_or(InjectError::Unplaced)?;
            Injection::of_user_password(placement, username, password)?
        }
        CredentialSecret::HostScoped { headers, .. } => Injection::of_headers(headers)?,
    })
}

/// Checks that the request has a place for a secret of this kind, with one that is made up.
pub(super) fn check_place(admitted: &Admitted<'_>, kind: Kind, whole: &[u8]) -> Result<(), ProxyError> {
    let made_up = || Secret::new("x");
    let secret = match kind {
        Kind::ApiKey => CredentialSecret::ApiKey(made_up()),
        Kind::UserPassword => CredentialSecret::UserPassword { username: made_up(), password: made_up() },
        Kind::OAuth2 | Kind::HostScoped => return Ok(()),
    };
    let Admitted { slots, bound, target, headers, .. } = admitted;
    let fill = || {
        let injection = injection(admitted, &secret)?;
        let head = injection.head(slots, &bound.destination, &bound.base_path, target, headers.clone())?;
        if injection.needs_body() {
            injection.body(slots, &head.headers, whole)?;
        }
        Ok(())
    };
    match fill() {
        // The real one may have what this one lacks.
        Err(ProxyError::Injection(InjectError::Parts | InjectError::Value)) => Ok(()),
        filled => filled,
    }
}
