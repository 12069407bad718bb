//! One request: gives it an id, passes it to warp, and completes its response with the standard
//! headers and a log line.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header};
use hyper::body::{Body as _, Incoming};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use warp::Reply as _;
use warp::reply::Response;

use super::head_check;
use super::reply_body::{ProxiedBody, ReplyBody};
use super::request_body::RequestBody;
use crate::http::client_address;
use crate::http::limits::Limits;
use crate::http::problem::{self, Problem};
use crate::http::request::context::{Outcome, RequestContext};
use crate::id::RequestId;
use crate::random::Random;

type Responding = Pin<Box<dyn Future<Output = Response> + Send>>;

/// The warp service.
pub(crate) type Api = Box<dyn Fn(Request<RequestBody>, RequestContext) -> Responding + Send + Sync>;

/// A service for requests that warp does not see, because it would drop their trailers: the proxy
/// and the MCP server.
pub(crate) type DirectApi = Box<dyn Fn(Request<RequestBody>, RequestContext) -> DirectResponding + Send + Sync>;

pub(crate) type DirectResponding = Pin<Box<dyn Future<Output = DirectAnswer> + Send>>;

/// Returns true for the paths that such a service answers.
pub(crate) type DirectPaths = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// An answer of the proxy or the MCP server.
pub(crate) enum DirectAnswer {
    /// A response of our own.
    Own(Response),
    /// The response of the provider.
    Origin(http::Response<ProxiedBody>),
}

/// The services that answer the requests of a connection.
pub(crate) enum Services {
    /// The API, and the services in front of warp, each with its paths.
    Api { api: Api, direct: Vec<(DirectPaths, DirectApi)> },
    /// The forward proxy, or the requests in one of its tunnels.
    Forward(DirectApi),
}

impl Services {
    /// Returns the service in front of warp that answers this request, if there is one.
    fn direct(&self, head: &Parts) -> Option<&DirectApi> {
        match self {
            Self::Api { direct, .. } => {
                let mut direct = direct.iter();
                let (_, service) = direct.find(|(answers, _)| answers(head.uri.path()))?;
                Some(service)
            }
            Self::Forward(proxy) => Some(proxy),
        }
    }
}

/// State that all connections of a server share.
pub(crate) struct Shared {
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) limits: Limits,
    pub(crate) random: Random,
    /// Connections and requests that a graceful stop waits for.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the server is to stop gracefully.
    pub(crate) stop: CancellationToken,
    /// Cancelled when the grace period is over.
    pub(crate) cut: CancellationToken,
}

/// The requests of one connection, for hyper.
#[derive(Clone)]
pub(crate) struct RequestService(Arc<Connection>);

struct Connection {
    shared: Arc<Shared>,
    services: Arc<Services>,
    peer: Option<IpAddr>,
    tls: bool,
    requests: Arc<Requests>,
    /// True if a body was not read to its end.
    left_unread: Arc<AtomicBool>,
}

/// Counts of the requests of a connection.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Requests {
    /// Returns the number of requests so far.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns the number of requests without a response yet.
    pub(crate) fn open(&self) -> usize {
        self.begun().saturating_sub(self.ended.load(Ordering::Relaxed))
    }
}

impl RequestService {
    pub(crate) fn new(shared: Arc<Shared>, services: Arc<Services>, peer: Option<IpAddr>, tls: bool) -> Self {
        let (requests, left_unread) = (Arc::default(), Arc::default());
        Self(Arc::new(Connection { shared, services, peer, tls, requests, left_unread }))
    }

    pub(crate) fn requests(&self) -> Arc<Requests> {
        self.0.requests.clone()
    }

    /// Returns what becomes true when the body of a request is dropped before its end.
    pub(crate) fn left_unread(&self) -> Arc<AtomicBool> {
        self.0.left_unread.clone()
    }
}

impl hyper::service::Service<Request<Incoming>> for RequestService {
    type Response = http::Response<ReplyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = self.0.clone();
        let open = OpenRequest::new(connection.requests.clone());
        Box::pin(async move {
            let _open = open;
            Ok(connection.respond(request).await)
        })
    }
}

/// A request without a response. It ends when this is dropped, also if the peer resets its stream.
struct OpenRequest(Arc<Requests>);

impl OpenRequest {
    fn new(requests: Arc<Requests>) -> Self {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        Self(requests)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Responds to a request. If it may change state it runs in a task of its own, so that it runs
    /// to its end although the caller hangs up. A GET runs in place, because a task costs time.
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> http::Response<ReplyBody> {
        let began = Instant::now();
        let (head, body) = request.into_parts();
        let context = RequestContext {
            id: RequestId::fresh(self.shared.random),
            address: self.caller(&head.headers),
            tls: self.tls,
            version: head.version,
            body_length: body.size_hint().exact(),
        };
        if let Some(service) = self.services.direct(&head) {
            let span = tracing::info_span!("request", id = %context.id);
            return self.respond_directly(service, (head, body), context, began).instrument(span).await;
        }
        let changes_state = head.method != Method::GET && head.method != Method::HEAD;
        let tasks = self.shared.tasks.clone();
        let run = self.run(head, body, context, began).instrument(tracing::info_span!("request", id = %context.id));
        if changes_state {
            // Nothing aborts the task, and it catches the panics of handlers.
            tasks.spawn(run).await.unwrap_or_else(|_panic| internal_error()).map(ReplyBody::Api)
        } else {
            run.await.map(ReplyBody::Api)
        }
    }

    /// Returns the address of the caller. What a client sends through the forward proxy says
    /// nothing about its own address.
    fn caller(&self, headers: &HeaderMap) -> Option<IpAddr> {
        match &*self.services {
            Services::Api { .. } => client_address::caller(self.peer, headers, &self.shared.trusted_proxies),
            Services::Forward(_) => self.peer.map(|peer| peer.to_canonical()),
        }
    }

    /// Passes a request to a service in front of warp. It ends when the caller hangs up.
    async fn respond_directly(
        &self,
        service: &DirectApi,
        (head, body): (Parts, Incoming),
        context: RequestContext,
        began: Instant,
    ) -> http::Response<ReplyBody> {
        let method = head.method.clone();
        let expects_continue = head.headers.contains_key(header::EXPECT);
        let (lent, unread) = RequestBody::lend(body, &self.left_unread);
        let refused = head_check::problem(&head);
        let is_refused = refused.is_some();
        let answer = if let Some(problem) = refused {
            drop(lent);
            DirectAnswer::Own(problem.into_response())
        } else {
            let responding = AssertUnwindSafe(service(Request::from_parts(head, lent), context)).catch_unwind();
            responding.await.unwrap_or_else(|_panic| DirectAnswer::Own(internal_error()))
        };
        let id = context.id.to_string();
        match answer {
            DirectAnswer::Own(mut response) => {
                let all_read =
                    expects_continue || unread.is_empty() || Box::pin(unread.discard(&self.shared.limits)).await;
                if context.version < Version::HTTP_2 && (is_refused || !all_read) {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                if let Some(problem) = response.extensions_mut().get_mut::<Problem>() {
                    problem.repeat_detail();
                }
                Problem::render(&mut response, context.id);
                let outcome = response.extensions_mut().remove::<Outcome>();
                if method == Method::HEAD {
                    empty_body(&mut response);
                }
                add_headers(&mut response, &context, &id);
                log(response.status(), outcome.as_ref(), &method, &context, &id, began);
                response.map(ReplyBody::Api)
            }
            DirectAnswer::Origin(mut response) => {
                let outcome = response.extensions_mut().remove::<Outcome>();
                let value = HeaderValue::from_str(&id).expect("a UUID is ASCII");
                response.headers_mut().insert("strongroom-request-id", value);
                log(response.status(), outcome.as_ref(), &method, &context, &id, began);
                response.map(ReplyBody::Proxied)
            }
        }
    }

    async fn run(
        self: Arc<Self>,
        mut head: Parts,
        body: Incoming,
        context: RequestContext,
        began: Instant,
    ) -> Response {
        let method = head.method.clone();
        if method == Method::HEAD {
            head.method = Method::GET;
        }
        let limits = &self.shared.limits;
        let (lent, unread) = RequestBody::lend(body, &self.left_unread);
        // A caller that waits for 100 Continue has not sent its body, and must not be asked for it.
        let expects_continue = head.headers.contains_key(header::EXPECT);
        let refused = head_check::problem(&head);
        let is_refused = refused.is_some();
        let mut response = match (refused, &*self.services) {
            (Some(problem), _) => {
                drop(lent);
                problem.into_response()
            }
            (None, Services::Api { api, .. }) => {
                let responding = AssertUnwindSafe(api(Request::from_parts(head, lent), context)).catch_unwind().await;
                responding.unwrap_or_else(|_panic| internal_error())
            }
            (None, Services::Forward(_)) => internal_error(),
        };
        // Boxed, because few requests have an unread body.
        let all_read = expects_continue || unread.is_empty() || Box::pin(unread.discard(limits)).await;
        if context.version < Version::HTTP_2 && (is_refused || !all_read) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Problem::render(&mut response, context.id);
        let outcome = response.extensions_mut().remove::<Outcome>();
        if method == Method::HEAD {
            empty_body(&mut response);
        }
        let id = context.id.to_string();
        add_headers(&mut response, &context, &id);
        log(response.status(), outcome.as_ref(), &method, &context, &id, began);
        response
    }
}

/// Adds the headers that every response carries.
fn add_headers(response: &mut Response, context: &RequestContext, id: &str) {
    let headers = response.headers_mut();
    headers.insert("x-request-id", HeaderValue::from_str(id).expect("a UUID is ASCII"));
    for (name, value) in STANDARD_HEADERS {
        headers.entry(name).or_insert(value);
    }
    if context.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

fn internal_error() -> Response {
    Problem::new(&problem::INTERNAL, "Internal Server Error").into_response()
}

/// Removes the body but keeps its length, as the response to HEAD wants it (RFC 9110 §9.3.2).
fn empty_body(response: &mut Response) {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    *response.body_mut() = Response::default().into_body();
}

/// Headers for an API that is never shown in a frame and whose responses are never cached.
const STANDARD_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// Writes one line for a request. Of the caller's text it holds nothing but a known method and
/// provider, and the error code of a callback.
fn log(
    status: http::StatusCode,
    outcome: Option<&Outcome>,
    method: &Method,
    context: &RequestContext,
    id: &str,
    began: Instant,
) {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    tracing::info!(
        request_id = id,
        method = if known.contains(method) { method.as_str() } else { "OTHER" },
        route = outcome.map_or("-", |outcome| outcome.pattern),
        status = status.as_u16(),
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        key = outcome.and_then(|outcome| outcome.api_key).map(tracing::field::display),
        provider = outcome.and_then(|outcome| outcome.provider.as_ref()).map(tracing::field::display),
        cause = outcome.and_then(|outcome| outcome.cause.as_deref()),
        address = context.address.map(tracing::field::display),
        "answered"
    );
}
