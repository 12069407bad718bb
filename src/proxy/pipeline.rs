//! The pipeline: every request of every entry point goes through [`Proxy::send`], and no entry point
//! reaches the outbound client in another way.
//!
//! The order: the path is made canonical, the destination is bound to the credential, the grants of
//! the API key decide, the token is refreshed if needed, the audit row is on disk, the secret is set,
//! the request is sent, and the response is filtered. A refused request reads no secret.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use url::Url;

use super::bind::{Bound, bind};
use super::body::{NotedBody, Progress, StreamedBody, hold};
use super::error::InjectError;
use super::grant_rates::GrantRates;
use super::inject::{Injection, OutboundHead};
use super::mask::MaskedForms;
use super::method::{is_refused_method, method_override};
use super::refusal::{ProxyError, RefusedRequest, RefusedSend};
use super::response::{filtered, is_scope_error};
use super::share::{CallerShare, Reserve};
use super::strip::{AuthSlots, strip_headers};
use super::websocket;
use crate::broker::{Actor, ApprovalState, Broker, Caller, Error, SecretToSend};
use crate::catalog::Entry;
use crate::config::ProxySettings;
use crate::egress::{Egress, EgressError};
use crate::id::{CredentialId, GrantId};
use crate::permits::KeyedSemaphore;
use crate::policy::{
    ApprovalFacts, Explanation, KeyRules, MAX_APPROVAL_BODY, PolicyDecision, RequestFacts, RequestTarget, Scheme,
};
use crate::vault::{CredentialMetadata, CredentialSecret, ProxiedRequest};

/// Largest body that is held so that it can be sent again after a refresh.
const MAX_REPLAYED: usize = 64 * 1024;

/// Largest body in which a secret is set.
const MAX_WITH_SECRET: usize = 1024 * 1024;

/// The data path. Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<State>);

struct State {
    broker: Broker,
    first_byte: Duration,
    idle: Duration,
    /// Rates of grants.
    rates: GrantRates,
    /// Requests under way, by caller.
    running: Arc<KeyedSemaphore<String>>,
}

/// A request for the pipeline, without the caller's authentication at Strongroom.
pub struct ProxyRequest {
    /// The authenticated caller.
    pub caller: Caller,
    /// Its part of the server.
    pub share: CallerShare,
    /// The credential to send it with.
    pub credential: CredentialId,
    /// The authority at which the caller wants to send it; `None`: that of the base URL.
    pub authority: Option<String>,
    /// The scheme there, if the caller names it: then it must be that of the credential too.
    pub scheme: Option<Scheme>,
    /// The method.
    pub method: Method,
    /// Path and query, below the base URL's path if there is no authority.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: StreamedBody,
    /// The caller's connection, if it can become a WebSocket.
    pub upgrade: Option<OnUpgrade>,
}

/// A request that may be sent.
struct Admitted<'e> {
    egress: Egress,
    entry: Option<&'e Entry>,
    slots: AuthSlots,
    bound: Bound,
    target: RequestTarget,
    method: Method,
    headers: HeaderMap,
    /// True if the caller's connection can become a WebSocket.
    can_upgrade: bool,
}

impl Proxy {
    /// Creates the data path of a broker.
    pub fn new(broker: Broker, settings: &ProxySettings, requests_per_key: usize) -> Self {
        let rates = GrantRates::new(broker.clock());
        let running = KeyedSemaphore::new(requests_per_key);
        Self(Arc::new(State {
            broker,
            first_byte: settings.first_byte_timeout,
            idle: settings.idle_timeout,
            rates,
            running,
        }))
    }

    /// Sends a request with a credential, and returns the response of the provider.
    ///
    /// # Errors
    /// The reason for which the request was refused, or has no response. An error status of the
    /// provider is `Ok`.
    pub async fn send(&self, asked: ProxyRequest) -> Result<Response<StreamedBody>, RefusedSend> {
        let broker = &self.0.broker;
        let mut request = RefusedRequest { credential: Some(asked.credential), ..RefusedRequest::default() };
        let summary = match broker.credential_to_send(&asked.caller, &asked.credential) {
            Ok(summary) => summary,
            Err(error) => return Err(RefusedSend { error: error.into(), request }),
        };
        request.provider = Some(summary.provider.clone());
        let method = asked.method.to_string();
        let sent = self.send_with(&summary, asked, &mut request.proxied).await;
        sent.map_err(|error| {
            let host = if let ProxyError::NotBound(host) = &error { host.clone() } else { String::new() };
            request.proxied.get_or_insert(ProxiedRequest { method, host, path: String::new(), grant: None });
            RefusedSend { error, request }
        })
    }

    async fn send_with(
        &self,
        summary: &CredentialMetadata,
        asked: ProxyRequest,
        facts: &mut Option<ProxiedRequest>,
    ) -> Result<Response<StreamedBody>, ProxyError> {
        let ProxyRequest { caller, share, authority, scheme, method, target, headers, body, upgrade, .. } = asked;
        let broker = &self.0.broker;
        let place = self.0.running.try_acquire(share.name.clone()).ok_or(ProxyError::TooMany)?;
        if is_refused_method(&method) {
            return Err(ProxyError::Method(method.to_string()));
        }
        let entry = broker.entry(summary.provider.as_str());
        let (egress, base_is_chosen) = broker.egress_of(summary);
        let base = broker.base_to_send(summary)??;
        let (bound, target) =
            bind(base, base_is_chosen, entry, authority.as_deref().map(|authority| (authority, scheme)), &target)?;
        let mut known = ProxiedRequest {
            method: method.to_string(),
            host: bound.destination.authority(),
            path: target.path.as_str().to_owned(),
            grant: None,
        };
        let request = RequestFacts {
            provider: &summary.provider,
            credential: summary.id,
            destination: &bound.destination,
            method: &method,
            path: &target.path,
        };
        let (rules, now) = (broker.key_rules(&caller)?, broker.clock().now());
        let rules = KeyRules { grants_only: rules.grants_only, grants: &rules.grants };
        let decision = rules.decide(&request, now);
        known.grant = decision.rule().map(|grant| grant.id);
        *facts = Some(known.clone());
        self.check_decision(&decision, &rules.explain(&request, now), summary)?;
        if rules.have_paths() && target.path.is_rewritten() {
            return Err(ProxyError::Spelling);
        }
        if let (true, Some(name)) = (rules.have_methods(), method_override(&headers, target.query.as_deref())) {
            return Err(ProxyError::MethodOverride(name));
        }
        let slots = entry.map(AuthSlots::of).unwrap_or_default();
        let can_upgrade = upgrade.is_some();
        let admitted = Admitted { egress, entry, slots, bound, target, method, headers, can_upgrade };
        let body = match &decision {
            PolicyDecision::NeedsApproval { rule, .. } => {
                self.approved(&caller, summary, &admitted, rule.id, (body, &share.reserve)).await?
            }
            _ => body,
        };
        let (response, forms) = self.exchange(&caller, summary, &admitted, (body, &share.reserve), known).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(filtered(response, forms, self.0.idle, place));
        }
        let Some(upgrade) = upgrade.filter(|_| websocket::is_accepted(&admitted.headers, response.headers())) else {
            return Err(EgressError::Garbled.into());
        };
        let (broker, id) = (broker.clone(), summary.id);
        Ok(websocket::join(upgrade, response, &forms, place, move || broker.may_go_on(&caller, &id)))
    }

    /// Refuses what no grant allows, and counts the request against the rates of its grants.
    fn check_decision(
        &self,
        decision: &PolicyDecision<'_>,
        explanation: &Explanation<'_>,
        summary: &CredentialMetadata,
    ) -> Result<(), ProxyError> {
        if decision.is_denied() {
            return Err(ProxyError::Denied(explanation.to_string()));
        }
        for (grant, rate) in decision.rates() {
            let counted = self.0.rates.check(&format!("{grant} {}", summary.id), rate);
            counted.map_err(|wait| ProxyError::Rate(grant.to_string(), wait))?;
        }
        Ok(())
    }

    /// Takes the approval of a person for this very request, or asks for it. Returns the body.
    async fn approved(
        &self,
        caller: &Caller,
        summary: &CredentialMetadata,
        admitted: &Admitted<'_>,
        grant: GrantId,
        (body, reserve): (StreamedBody, &Reserve),
    ) -> Result<StreamedBody, ProxyError> {
        let Actor::ApiKey(key) = caller.who.actor else {
            return Err(ProxyError::Denied("only an API key can ask for an approval".to_owned()));
        };
        let whole = hold(body, MAX_APPROVAL_BODY, reserve).await?;
        let whole = whole.ok_or(ProxyError::Broker(Error::ApprovalBodyTooLarge))?;
        let Admitted { slots, bound, target, method, headers, .. } = admitted;
        let mut headers = headers.clone();
        strip_headers(&mut headers, slots);
        let url = format!("{}{}", bound.destination, target.to_text());
        let (credential, headers) = (summary.id, &headers);
        let facts = ApprovalFacts { key, credential, method, url: &url, headers, body: &whole };
        match self.0.broker.approval_for(caller, &summary.provider, grant, &facts).await? {
            ApprovalState::Approved(_) => Ok(Full::new(whole).map_err(|never| match never {}).boxed_unsync()),
            ApprovalState::Pending { id, retry_after } => Err(ProxyError::ApprovalPending(id, retry_after)),
            ApprovalState::Denied(id) => Err(ProxyError::ApprovalDenied(id)),
        }
    }

    /// Sends the request, and once more after a refresh if the provider rejects the token.
    async fn exchange(
        &self,
        caller: &Caller,
        summary: &CredentialMetadata,
        admitted: &Admitted<'_>,
        (body, reserve): (StreamedBody, &Reserve),
        facts: ProxiedRequest,
    ) -> Result<(Response<Incoming>, Arc<MaskedForms>), ProxyError> {
        let broker = &self.0.broker;
        let mut secret = broker.secret_to_send(caller, summary, facts.clone()).await?;
        let is_short = body.size_hint().upper().is_some_and(|most| most <= MAX_REPLAYED as u64);
        let needs_body = injection(admitted, &secret)?.needs_body();
        let (held, mut streamed) = if is_short || needs_body {
            let held = hold(body, MAX_WITH_SECRET, reserve).await?;
            (Some(held.ok_or(ProxyError::BodyTooLarge)?), None)
        } else {
            (None, Some(body))
        };
        let (mut renewed, mut proved) = (false, false);
        loop {
            let injection = injection(admitted, &secret)?;
            let forms = Arc::new(injection.masked_forms());
            let body = match (&held, streamed.take()) {
                (Some(held), _) => Outgoing::Held(held.clone()),
                (None, Some(body)) => Outgoing::Streamed(body),
                (None, None) => return Err(ProxyError::Body),
            };
            let (response, wants_nonce) = self.attempt(summary, admitted, &injection, &secret, body).await?;
            let can_replay = held.as_ref().is_some_and(|held| held.len() <= MAX_REPLAYED);
            if response.status() == StatusCode::UNAUTHORIZED && can_replay {
                if wants_nonce && !proved {
                    proved = true;
                    continue;
                }
                if !renewed
                    && !is_scope_error(response.headers())
                    && broker.renew_rejected(caller, summary, &secret).await
                {
                    renewed = true;
                    secret = broker.secret_to_send(caller, summary, facts.clone()).await?;
                    continue;
                }
            }
            return Ok((response, forms));
        }
    }

    async fn attempt(
        &self,
        summary: &CredentialMetadata,
        admitted: &Admitted<'_>,
        injection: &Injection,
        secret: &SecretToSend,
        body: Outgoing,
    ) -> Result<(Response<Incoming>, bool), ProxyError> {
        let Admitted { egress, slots, bound, target, method, headers, can_upgrade, .. } = admitted;
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
        let pool = summary.id.to_string();
        let sending = egress.stream(request, bound.is_chosen, &pool);
        let response = tokio::select! {
            response = sending => response?,
            () = progress.stalls_for(self.0.first_byte) => return Err(EgressError::TooSlow { sent: true }.into()),
        };
        let wants_nonce = secret.keep_nonce(&url, response.status(), response.headers());
        Ok((response, wants_nonce))
    }
}

/// A body to send.
enum Outgoing {
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
        Outgoing::Streamed(body) => NotedBody::new(body, progress).boxed_unsync(),
    })
}

/// Places the secret as the entry says.
fn injection(admitted: &Admitted<'_>, secret: &SecretToSend) -> Result<Injection, ProxyError> {
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
    Ok(match &secret.material {
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
