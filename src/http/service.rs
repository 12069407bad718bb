//! One request: gives it an id, looks at its head a second time, runs it in a task of its own, and ends every answer alike.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::address;
use super::problem::{self, Problem};
use super::wire::{Refusal, Watch};
use crate::id::{ApiKeyId, RequestId};
use crate::random::Random;

/// What a request knows of itself before anything in it is read. In the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) id: RequestId,
    /// The caller's address; nothing on a Unix socket without a proxy.
    pub(super) address: Option<IpAddr>,
}

/// What the log says of an answered request. In the answer's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handled {
    /// The pattern of the route, never the path.
    pub(super) route: &'static str,
    pub(super) key: Option<ApiKeyId>,
}

/// What all connections of a server share.
pub(super) struct Door {
    pub(super) routes: BoxedFilter<(Response,)>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) random: Random,
}

/// One connection's view of the door.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) door: Arc<Door>,
    pub(super) watch: Arc<Watch>,
    pub(super) peer: Option<IpAddr>,
    pub(super) tls: bool,
    /// Held until the request has run to its end.
    pub(super) busy: mpsc::Sender<Infallible>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let length = request.body().size_hint().exact();
        let facts = self.watch.request_begins(if chunked { None } else { length });
        let requests = self.clone();
        Box::pin(async move {
            let mut response = match facts.fault() {
                Some(fault) => requests.refuse(&request, fault),
                None => requests.answer(request).await,
            };
            if chunked || facts.fault().is_some() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            requests.watch.request_ends();
            Ok(response)
        })
    }
}

impl Requests {
    /// Answers a request. Whatever may change something runs in a task of its own, so that what it has begun comes to its
    /// end whether the caller waits or hangs up; a GET is answered where it is, for a task costs a hop.
    async fn answer(&self, mut request: Request<Incoming>) -> Response {
        let id = RequestId::fresh(self.door.random);
        let address = address::caller(self.peer, request.headers(), &self.door.trusted_proxies);
        let arrival = Arrival { id, address };
        request.extensions_mut().insert(arrival);
        let method = request.method().clone();
        // GET and HEAD are one thing (RFC 9110 §9.3.2); hyper leaves out the body.
        if method == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        let detached = *request.method() != Method::GET;
        let answer = self.clone().run(request, method, arrival).instrument(tracing::info_span!("request", %id));
        if detached {
            // The task catches panics itself, and nobody aborts it.
            tokio::spawn(answer).await.unwrap_or_else(|_| failed(id))
        } else {
            answer.await
        }
    }

    /// Calls the routes; a panic in there is one answer of 500, and the connection goes on.
    async fn run(self, request: Request<Incoming>, method: Method, arrival: Arrival) -> Response {
        let began = Instant::now();
        let answer = warp_call(&self.door.routes, request);
        let answered = std::panic::AssertUnwindSafe(answer).catch_unwind().await;
        let response = self.finish(answered.unwrap_or_else(|_panic| failed(arrival.id)), arrival.id);
        log(&response, &method, arrival, began);
        drop(self.busy);
        response
    }

    fn refuse(&self, request: &Request<Incoming>, fault: &str) -> Response {
        let id = RequestId::fresh(self.door.random);
        let response = Problem::new(&problem::MALFORMED_REQUEST, fault).into_response(id);
        let response = self.finish(response, id);
        let address = address::caller(self.peer, request.headers(), &self.door.trusted_proxies);
        log(&response, request.method(), Arrival { id, address }, Instant::now());
        response
    }

    /// What every answer carries.
    fn finish(&self, mut response: Response, id: RequestId) -> Response {
        let headers = response.headers_mut();
        let id = HeaderValue::from_str(&id.to_string()).expect("a UUID is ASCII");
        headers.insert("x-request-id", id);
        for (name, value) in ALWAYS {
            headers.entry(name).or_insert(value);
        }
        if self.tls {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        response
    }
}

fn failed(id: RequestId) -> Response {
    Problem::new(&problem::INTERNAL, "Internal Server Error").into_response(id)
}

/// For an API that nobody shows in a frame, and whose answers are nobody else's business.
const ALWAYS: [(header::HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

async fn warp_call(routes: &BoxedFilter<(Response,)>, request: Request<Incoming>) -> Response {
    let routes = TowerToHyperService::new(warp::service(routes.clone()));
    hyper::service::Service::call(&routes, request).await.unwrap_or_else(|never| match never {})
}

/// One line a request. Of what the caller sent there is the method, and nothing else.
fn log(response: &Response, method: &Method, arrival: Arrival, began: Instant) {
    let handled = response.extensions().get::<Handled>();
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let address = arrival.address.map(tracing::field::display);
    let key = handled.and_then(|handled| handled.key).map(tracing::field::display);
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let method = if known.contains(method) { method.as_str() } else { "OTHER" };
    tracing::info!(
        request_id = %arrival.id,
        method,
        route = handled.map_or("-", |handled| handled.route),
        status = response.status().as_u16(),
        ms,
        key,
        address,
        "answered"
    );
}

/// The answers to what never became a request: hyper's own refusals, in our shape.
pub(super) fn refusals(random: Random, peer: Option<IpAddr>) -> Refusal {
    Arc::new(move |status| {
        let (kind, detail) = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                (&problem::HEADERS_TOO_LARGE, "The request line and the headers are too large.")
            }
            StatusCode::URI_TOO_LONG => (&problem::URI_TOO_LONG, "The request's URI is too long."),
            StatusCode::REQUEST_TIMEOUT => (&problem::REQUEST_TIMEOUT, "The request's headers did not come in time."),
            _ => (&problem::MALFORMED_REQUEST, "The request is not well-formed HTTP/1.1."),
        };
        let id = RequestId::fresh(random);
        let (media_type, body) = Problem::new(kind, detail).body(id);
        let status = kind.status;
        tracing::info!(request_id = %id, status = status.as_u16(), address = peer.map(tracing::field::display), "refused");
        let length = body.len();
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nx-request-id: {id}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\
             connection: close\r\n"
        )
        .into_bytes();
        for (name, value) in ALWAYS {
            answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        answer.extend_from_slice(b"\r\n");
        answer.extend_from_slice(&body);
        answer
    })
}
