//! The pipeline: every request of every entry point goes through [`Proxy::send`], and no entry point
//! reaches the outbound client in another way.
//!
//! The order: the path is made canonical, the destination is bound to the credential, the grants of
//! the API key decide, a body that must be held is read, the grants decide again, the token is
//! refreshed if needed, the audit row is on disk, the secret is set, the request is sent, and the
//! response is filtered. A refused request reads no secret.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Response, StatusCode};
use hyper::body::Body as _;
use hyper::upgrade::OnUpgrade;

use super::bind::bind;
use super::body::{StreamedBody, hold};
use super::exchange::{Admitted, MAX_REPLAYED, Outgoing, ProxyExchange, check_place};
use super::grant_rates::GrantRates;
use super::method::{is_refused_method, method_override};
use super::placeholder::{is_misplaced, without_placeholder};
use super::prefer;
use super::refusal::{ProxyError, RefusedRequest, RefusedSend};
use super::response::filtered;
use super::share::{CallerShare, Reserve};
use super::strip::{AuthSlots, strip_headers};
use super::unmatched::PassThrough;
use super::websocket;
use crate::broker::{Actor, ApprovalState, Broker, Caller, Error};
use crate::catalog::Entry;
use crate::catalog::entry::Place;
use crate::config::ProxySettings;
use crate::egress::EgressError;
use crate::id::{ApprovalId, CredentialId, GrantId};
use crate::kind::Kind;
use crate::permits::KeyedSemaphore;
use crate::policy::{ApprovalFacts, MAX_APPROVAL_BODY, PolicyDecision, Rate, RequestFacts, Scheme};
use crate::vault::{CredentialMetadata, ProxiedRequest};

/// Largest body in which a secret is set.
const MAX_WITH_SECRET: usize = 1024 * 1024;

/// Time between two looks whether a person has decided.
const APPROVAL_POLL: Duration = Duration::from_secs(1);

/// The data path. Cheap to clone.
#[derive(Clone)]
pub struct Proxy(Arc<State>);

struct State {
    broker: Broker,
    first_byte: Duration,
    idle: Duration,
    /// Time for a body that is held to arrive.
    body_time: Duration,
    /// Rates of grants.
    rates: GrantRates,
    /// Requests and tunnels under way, by caller.
    running: Arc<KeyedSemaphore<String>>,
    /// Hosts without a credential.
    pass_through: PassThrough,
}

/// Limits of the data path.
#[derive(Clone, Copy, Debug)]
pub struct ProxyLimits {
    /// Requests and tunnels at one time of one caller.
    pub requests_per_caller: usize,
    /// Tunnels at one time to hosts without a credential.
    pub tunnels: usize,
    /// Time for a body that is held to arrive.
    pub body_time: Duration,
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
    /// The case of their names over HTTP/1.1, as hyper keeps it.
    pub extensions: Extensions,
    /// The body.
    pub body: StreamedBody,
    /// The caller's connection, if it can become a WebSocket.
    pub upgrade: Option<OnUpgrade>,
}

/// The decision of the grants that a request may be sent, perhaps after an approval.
struct Permitted {
    /// The grant that asks for an approval.
    approval: Option<GrantId>,
    /// The rates that the request is counted against.
    rates: Vec<(GrantId, Rate)>,
}

impl Proxy {
    /// Creates the data path of a broker.
    pub fn new(broker: Broker, settings: &ProxySettings, limits: ProxyLimits) -> Self {
        let rates = GrantRates::new(broker.clock());
        let running = KeyedSemaphore::new(limits.requests_per_caller);
        let (first_byte, idle) = (settings.first_byte_timeout, settings.idle_timeout);
        let pass_through = PassThrough::new(broker.clone(), (first_byte, idle), running.clone(), limits.tunnels);
        Self(Arc::new(State { broker, first_byte, idle, body_time: limits.body_time, rates, running, pass_through }))
    }

    /// Returns the way to hosts without a credential.
    pub fn pass_through(&self) -> &PassThrough {
        &self.0.pass_through
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
            let path = String::new();
            request.proxied.get_or_insert(ProxiedRequest { method, host, path, grant: None, approval: None });
            RefusedSend { error, request }
        })
    }

    async fn send_with(
        &self,
        summary: &CredentialMetadata,
        asked: ProxyRequest,
        facts: &mut Option<ProxiedRequest>,
    ) -> Result<Response<StreamedBody>, ProxyError> {
        let ProxyRequest {
            caller, share, authority, scheme, method, target, headers, extensions, body, upgrade, ..
        } = asked;
        let broker = &self.0.broker;
        let place = self.0.running.try_acquire(share.name.clone()).ok_or(ProxyError::TooMany)?;
        if is_refused_method(&method) {
            return Err(ProxyError::Method(method.to_string()));
        }
        let entry = broker.entry(summary.provider.as_str());
        let (egress, base_is_chosen) = broker.egress_of(summary);
        let base = broker.base_to_send(summary)??;
        let placeholder = entry.and_then(|entry| entry.placeholder_of(&summary.id));
        let stripped = placeholder.as_deref().zip(entry).and_then(|(placeholder, entry)| {
            without_placeholder(placeholder, entry, &base, authority.is_some(), &target)
        });
        let target = stripped.unwrap_or(target);
        let place_there = authority.as_deref().map(|authority| (authority, scheme));
        let (bound, target) = bind(base.clone(), base_is_chosen, entry, place_there, &target)?;
        let slots = entry.map(AuthSlots::of).unwrap_or_default();
        let can_upgrade = upgrade.is_some();
        let admitted = Admitted { egress, base, entry, slots, bound, target, method, headers, extensions, can_upgrade };
        let permitted = self.judge(&caller, summary, &admitted, facts)?;
        let there = admitted.target.to_text();
        if placeholder.is_some_and(|text| is_misplaced(&text, &there, &admitted.headers, &admitted.slots)) {
            return Err(ProxyError::PlaceholderMisplaced);
        }
        let body = if permitted.approval.is_some() || is_held(&body, summary.kind, entry) {
            let whole = self.held(body, permitted.approval.is_some(), &share.reserve).await?;
            let wait = Instant::now() + prefer::wait(&admitted.headers);
            loop {
                // The body, or the person, took its time: the API key and its grants as they are now.
                let permitted = self.judge(&caller, summary, &admitted, facts)?;
                let approved = match permitted.approval {
                    Some(grant) => self.approved(&caller, summary, &admitted, (grant, &whole), facts).await,
                    None => Ok(()),
                };
                match approved {
                    Err(ProxyError::ApprovalPending(id, _)) if Instant::now() < wait => {
                        self.decided(id, wait).await;
                    }
                    approved => {
                        approved?;
                        self.count(&permitted, summary.id)?;
                        break Outgoing::Held(whole);
                    }
                }
            }
        } else {
            self.count(&permitted, summary.id)?;
            Outgoing::Streamed(body)
        };
        let known = facts.clone().unwrap_or_else(|| known(&admitted));
        let exchange =
            ProxyExchange { broker, first_byte: self.0.first_byte, caller: &caller, summary, admitted: &admitted };
        let (response, forms) = exchange.send(body, known).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(filtered(response, forms, self.0.idle, place));
        }
        let Some(upgrade) = upgrade.filter(|_| websocket::is_accepted(&admitted.headers, response.headers())) else {
            return Err(EgressError::Garbled.into());
        };
        let goes_on = self.connection_check(caller, summary, &admitted);
        Ok(websocket::join(upgrade, response, &forms, place, goes_on))
    }

    /// Decides by the API key and its grants as they are now. `facts` are set for the audit log.
    fn judge(
        &self,
        caller: &Caller,
        summary: &CredentialMetadata,
        admitted: &Admitted<'_>,
        facts: &mut Option<ProxiedRequest>,
    ) -> Result<Permitted, ProxyError> {
        let broker = &self.0.broker;
        let Admitted { bound, target, method, headers, .. } = admitted;
        let request = RequestFacts {
            provider: &summary.provider,
            credential: summary.id,
            destination: &bound.destination,
            method,
            path: &target.path,
        };
        let (rules, now) = (broker.key_rules(caller, Some(summary))?, broker.clock().now());
        let rules = rules.rules();
        let decision = rules.decide(&request, now);
        *facts = Some(ProxiedRequest { grant: decision.rule().map(|grant| grant.id), ..known(admitted) });
        if decision.is_denied() {
            return Err(ProxyError::Denied(rules.explain(&request, now).to_string()));
        }
        if rules.have_paths() && target.path.is_rewritten() {
            return Err(ProxyError::Spelling);
        }
        if let (true, Some(name)) = (rules.have_methods(), method_override(headers, target.query.as_deref())) {
            return Err(ProxyError::MethodOverride(name));
        }
        let approval = match &decision {
            PolicyDecision::NeedsApproval { rule, .. } => Some(rule.id),
            _ => None,
        };
        Ok(Permitted { approval, rates: decision.rates().collect() })
    }

    /// Counts a request against the rates of its grants.
    fn count(&self, permitted: &Permitted, credential: CredentialId) -> Result<(), ProxyError> {
        for (grant, rate) in &permitted.rates {
            let counted = self.0.rates.check(&format!("{grant} {credential}"), *rate);
            counted.map_err(|wait| ProxyError::Rate(grant.to_string(), wait))?;
        }
        Ok(())
    }

    /// Reads a whole body within its time.
    async fn held(&self, body: StreamedBody, needs_approval: bool, reserve: &Reserve) -> Result<Bytes, ProxyError> {
        let (most, too_large) = if needs_approval {
            (MAX_APPROVAL_BODY, ProxyError::Broker(Error::ApprovalBodyTooLarge))
        } else {
            (MAX_WITH_SECRET, ProxyError::BodyTooLarge)
        };
        let whole = tokio::time::timeout(self.0.body_time, hold(body, most, reserve)).await;
        whole.map_err(|_| ProxyError::BodyTooSlow)??.ok_or(too_large)
    }

    /// Takes the approval of a person for this very request, or asks for it. A request that would
    /// fail whatever the secret is uses up no approval.
    async fn approved(
        &self,
        caller: &Caller,
        summary: &CredentialMetadata,
        admitted: &Admitted<'_>,
        (grant, whole): (GrantId, &[u8]),
        facts: &mut Option<ProxiedRequest>,
    ) -> Result<(), ProxyError> {
        let Actor::ApiKey(key) = caller.who.actor else {
            return Err(ProxyError::Denied("only an API key can ask for an approval".to_owned()));
        };
        self.0.broker.require_connected(summary)?;
        check_place(admitted, summary.kind, whole)?;
        let Admitted { slots, bound, target, method, headers, .. } = admitted;
        let mut headers = headers.clone();
        strip_headers(&mut headers, slots);
        let url = format!("{}{}", bound.destination, target.to_text());
        let (credential, headers) = (summary.id, &headers);
        let request = ApprovalFacts { key, credential, method, url: &url, headers, body: whole };
        let state = self.0.broker.approval_for(caller, &summary.provider, grant, &request).await?;
        if let Some(facts) = facts {
            facts.approval = Some(state.id());
        }
        match state {
            ApprovalState::Approved(_) => Ok(()),
            ApprovalState::Pending { id, retry_after } => Err(ProxyError::ApprovalPending(id, retry_after)),
            ApprovalState::Denied(id) => Err(ProxyError::ApprovalDenied(id)),
        }
    }

    /// Waits until a person has decided, or until this time.
    async fn decided(&self, id: ApprovalId, end: Instant) {
        while Instant::now() < end && self.0.broker.is_pending(id) {
            tokio::time::sleep(APPROVAL_POLL).await;
        }
    }

    /// Returns a function that is true while the API key, its grants and the credential allow a
    /// connection that is open.
    fn connection_check(
        &self,
        caller: Caller,
        summary: &CredentialMetadata,
        admitted: &Admitted<'_>,
    ) -> impl Fn() -> bool + Send + Sync + use<> {
        let broker = self.0.broker.clone();
        let (id, base, destination) = (summary.id, admitted.base.clone(), admitted.bound.destination.clone());
        let (method, path) = (admitted.method.clone(), admitted.target.path.clone());
        move || {
            let Ok(summary) = broker.credential_to_send(&caller, &id) else { return false };
            let is_there = matches!(broker.base_to_send(&summary), Ok(Ok(found)) if found == base);
            let Ok(rules) = broker.key_rules(&caller, Some(&summary)) else { return false };
            let (rules, now) = (rules.rules(), broker.clock().now());
            let request = RequestFacts {
                provider: &summary.provider,
                credential: id,
                destination: &destination,
                method: &method,
                path: &path,
            };
            is_there && !caller.has_ended(now) && !rules.decide(&request, now).is_denied()
        }
    }
}

/// Returns the request for the audit log, without the grant that decides.
fn known(admitted: &Admitted<'_>) -> ProxiedRequest {
    ProxiedRequest {
        method: admitted.method.to_string(),
        host: admitted.bound.destination.authority(),
        path: admitted.target.path.as_str().to_owned(),
        grant: None,
        approval: None,
    }
}

/// Returns true if a body is held: it is short enough to be sent again, or the secret is set in it.
fn is_held(body: &StreamedBody, kind: Kind, entry: Option<&Entry>) -> bool {
    let is_short = body.size_hint().upper().is_some_and(|most| most <= MAX_REPLAYED as u64);
    let api_key = entry.and_then(|entry| entry.api_key.as_ref()).filter(|_| kind == Kind::ApiKey);
    is_short || api_key.is_some_and(|key| key.place == Some(Place::Body))
}
