//! One request: gives it an id, looks at its head a second time, runs it in a task of its own, and ends every answer alike.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use ipnet::IpNet;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use warp::reply::Response;

use super::address;
use super::conn_state::Watch;
use super::timeout_stream::Refusal;
use crate::http::problem::{self, Problem};
use crate::id::{ApiKeyId, RequestId};
use crate::random::Random;

/// What a request knows of itself before anything in it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) id: RequestId,
    /// The caller's address; nothing on a Unix socket without a proxy.
    pub(crate) address: Option<IpAddr>,
    /// When the connection was told to come back, where that is still to come.
    pub(crate) not_before: Option<Instant>,
}

/// An answer, and what the log says of it.
pub(crate) struct Answered {
    pub(crate) response: Response,
    /// The pattern of the route, never the path.
    pub(crate) route: Option<&'static str>,
    pub(crate) key: Option<ApiKeyId>,
    /// Whether nothing was done of the request, because there is too much to do.
    pub(crate) refused: bool,
}

impl Answered {
    /// The answer of no route.
    pub(crate) fn bare(response: Response) -> Self {
        Self { response, route: None, key: None, refused: false }
    }
}

type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// What all connections of a server share.
pub(crate) struct Door {
    /// The table of routes.
    pub(crate) routes: Box<dyn Fn(Parts, Incoming, Arrival) -> Answering + Send + Sync>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// How long who was refused for want of room is let wait.
    pub(crate) come_back: Duration,
    pub(crate) random: Random,
}

/// One connection's view of the door.
#[derive(Clone)]
pub(crate) struct Requests(pub(crate) Arc<Connection>);

/// What the requests of one connection share.
pub(crate) struct Connection {
    door: Arc<Door>,
    watch: Arc<Watch>,
    peer: Option<IpAddr>,
    tls: bool,
    /// When it was told to come back. Only where the connection is one party's: behind a proxy, or on the Unix socket, somebody
    /// else may ask next.
    not_before: Option<Mutex<Option<Instant>>>,
    /// Held until the last request has run to its end.
    _busy: mpsc::Sender<Infallible>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
            let length = body.size_hint().exact();
            let facts = connection.watch.request_begins(if chunked { None } else { length });
            let mut response = connection.clone().answer(head, body, facts.fault()).await;
            if chunked || facts.fault().is_some() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            connection.watch.request_ends();
            Ok(response)
        })
    }
}

impl Connection {
    pub(crate) fn new(
        door: Arc<Door>,
        watch: Arc<Watch>,
        peer: Option<IpAddr>,
        tls: bool,
        busy: mpsc::Sender<Infallible>,
    ) -> Self {
        let own = peer.is_some_and(|peer| !address::is_trusted(peer, &door.trusted_proxies));
        Self { door, watch, peer, tls, not_before: own.then(Mutex::default), _busy: busy }
    }

    /// Answers a request, unless its head has a `fault`. Whatever may change something runs in a task of its own, so that what
    /// it has begun comes to its end whether the caller waits or hangs up; a GET is answered where it is, for a task costs a hop.
    async fn answer(self: Arc<Self>, head: Parts, body: Incoming, fault: Option<&'static str>) -> Response {
        let began = Instant::now();
        let address = address::caller(self.peer, &head.headers, &self.door.trusted_proxies);
        let not_before = self.not_before().filter(|when| *when > began);
        let arrival = Arrival { id: RequestId::fresh(self.door.random), address, not_before };
        let detached = head.method != Method::GET && head.method != Method::HEAD;
        let answer = self.run(head, body, fault, arrival, began);
        let answer = answer.instrument(tracing::info_span!("request", id = %arrival.id));
        if detached {
            // The task catches panics itself, and nobody aborts it.
            tokio::spawn(answer).await.unwrap_or_else(|_| failed(arrival.id))
        } else {
            answer.await
        }
    }

    /// Asks the routes; a panic in there is one answer of 500, and the connection goes on.
    async fn run(
        self: Arc<Self>,
        head: Parts,
        body: Incoming,
        fault: Option<&'static str>,
        arrival: Arrival,
        began: Instant,
    ) -> Response {
        let method = head.method.clone();
        let mut answered = if let Some(fault) = fault {
            Answered::bare(Problem::new(&problem::MALFORMED_REQUEST, fault).into_response(arrival.id))
        } else {
            let answer = (self.door.routes)(head, body, arrival);
            let answered = std::panic::AssertUnwindSafe(answer).catch_unwind().await;
            answered.unwrap_or_else(|_panic| Answered::bare(failed(arrival.id)))
        };
        if answered.refused {
            self.come_back(Instant::now() + self.door.come_back);
        }
        let id = arrival.id.text();
        self.finish(&mut answered.response, id.as_str());
        log(&answered, &method, arrival, id.as_str(), began);
        answered.response
    }

    fn not_before(&self) -> Option<Instant> {
        *self.not_before.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn come_back(&self, when: Instant) {
        if let Some(not_before) = &self.not_before {
            *not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(when);
        }
    }

    /// What every answer carries.
    fn finish(&self, response: &mut Response, id: &str) {
        let headers = response.headers_mut();
        let id = HeaderValue::from_str(id).expect("a UUID is ASCII");
        headers.insert("x-request-id", id);
        for (name, value) in ALWAYS {
            headers.entry(name).or_insert(value);
        }
        if self.tls {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
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

/// One line a request. Of what the caller sent there is the method, and nothing else.
fn log(answered: &Answered, method: &Method, arrival: Arrival, id: &str, began: Instant) {
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let address = arrival.address.map(tracing::field::display);
    let key = answered.key.map(tracing::field::display);
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let method = if known.contains(method) { method.as_str() } else { "OTHER" };
    tracing::info!(
        request_id = %id,
        method,
        route = answered.route.unwrap_or("-"),
        status = answered.response.status().as_u16(),
        ms,
        key,
        address,
        "answered"
    );
}

/// The answers to what never became a request: hyper's own refusals, in our shape.
pub(crate) fn refusals(random: Random, peer: Option<IpAddr>) -> Refusal {
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
