//! The listener: takes connections, reads requests within limits, and hands each to its endpoint.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer::{Answer, Refusal, json_answer, sentence};
use super::dialect::{Dialect, Head};
use super::endpoint::{Conducts, Endpoint, RequestCounts};
use super::form::Form;
use super::grants::Grants;
use super::metadata;
use super::options::{Behaviour, Conduct, SandboxClient, SandboxOptions};
use crate::clock::Clock;
use crate::random::Random;

/// Connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// For a request's head to arrive, and for an idle connection to be used again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// For a request's body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A form: a code, a verifier, a redirect URI, a state; the largest of them fit many times.
const MAX_BODY: usize = 64 * 1024;

/// The server that all connections share.
pub(super) struct AuthorizationServer {
    pub(super) base_url: String,
    pub(super) clients: Vec<SandboxClient>,
    pub(super) random: Random,
    pub(super) requests: RequestCounts,
    pub(super) conducts: Conducts,
    pub(super) dialect: Option<Dialect>,
    behaviour: ArcSwap<Behaviour>,
    pub(super) clock: Clock,
    grants: Mutex<Grants>,
}

impl AuthorizationServer {
    pub(super) fn new(base_url: String, clock: Clock, random: Random, options: SandboxOptions) -> Self {
        Self {
            base_url,
            clients: options.clients,
            random,
            requests: RequestCounts::default(),
            conducts: Conducts::normal(),
            dialect: options.dialect,
            behaviour: ArcSwap::from_pointee(options.behaviour),
            clock: clock.clone(),
            grants: Mutex::new(Grants::new(clock, random)),
        }
    }

    pub(super) fn first_client(&self) -> &SandboxClient {
        &self.clients[0]
    }

    /// How it behaves at this moment.
    pub(super) fn behaviour(&self) -> Arc<Behaviour> {
        self.behaviour.load_full()
    }

    pub(super) fn adjust(&self, change: impl FnOnce(&mut Behaviour)) {
        let mut behaviour = Behaviour::clone(&self.behaviour.load());
        change(&mut behaviour);
        self.behaviour.store(Arc::new(behaviour));
    }

    /// What was asked for, granted and issued. Every call leaves it whole, so a panic elsewhere does not spoil it.
    pub(super) fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Some(dialect) = &self.dialect
            && let Some(endpoint) = dialect.endpoint(Head::of(&request), &self.clients)
        {
            return self.answer_at(endpoint, async { self.speak(dialect, endpoint, request).await }).await;
        }
        let path = request.uri().path();
        let Some(endpoint) = Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path) else {
            return sentence(StatusCode::NOT_FOUND, "There is no such page at the sandbox.");
        };
        if request.method() != endpoint.method() {
            let mut answer = sentence(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            let allowed = HeaderValue::from_str(endpoint.method().as_str()).expect("a method's name is ASCII");
            answer.headers_mut().insert(ALLOW, allowed);
            return answer;
        }
        self.answer_at(endpoint, self.carry_out(endpoint, request)).await
    }

    /// Counts the request, and answers it as the endpoint conducts itself.
    async fn answer_at(&self, endpoint: Endpoint, answer: impl Future<Output = Answer>) -> Answer {
        self.requests.add(endpoint);
        if self.conducts.of(endpoint) == Conduct::Down {
            return sentence(StatusCode::SERVICE_UNAVAILABLE, "The sandbox was told to fail here.");
        }
        let answer = answer.await;
        self.conducts.released(endpoint).await;
        answer
    }

    async fn carry_out(&self, endpoint: Endpoint, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let read = match endpoint.method() {
            Method::POST => read_form(&head.headers, body).await,
            _ => Ok(Form::parse(head.uri.query().unwrap_or_default().as_bytes())),
        };
        let form = match read {
            Ok(form) => form,
            Err(refusal) => return refusal.answer(),
        };
        match endpoint {
            Endpoint::Authorize => self.authorize(&form),
            Endpoint::Decision => self.decide(&form),
            Endpoint::Token => self.token(&head.headers, &form),
            Endpoint::DeviceAuthorization => self.begin_device(&head.headers, &form),
            Endpoint::Device => self.device(&form),
            Endpoint::DeviceDecision => self.decide_device(&form),
            Endpoint::Userinfo => self.userinfo(&head.headers),
            Endpoint::Revoke => self.revoke(&head.headers, &form),
            Endpoint::Introspect => self.introspect(&head.headers, &form),
            Endpoint::Metadata => json_answer(StatusCode::OK, &metadata::document(self)),
            Endpoint::Requests => json_answer(StatusCode::OK, &self.requests.to_json()),
        }
    }
}

/// Accepts connections until it is aborted; then every open one is cut.
pub(super) async fn accept(listener: TcpListener, server: Arc<AuthorizationServer>) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&free).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others will be closed before long.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let server = Arc::clone(&server);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let server = Arc::clone(&server);
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            // How a connection ends is its client's affair: there is nobody to tell.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
    }
}

async fn read_form(headers: &HeaderMap, body: Incoming) -> Result<Form, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::InvalidRequest("the body must be application/x-www-form-urlencoded"));
    }
    Ok(Form::parse(&read_body(body).await?))
}

/// The whole of a body, within size and time.
pub(super) async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    let whole = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    match whole {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(_)) => Err(Refusal::InvalidRequest("the body is too long, or ended early")),
        Err(_) => Err(Refusal::InvalidRequest("the body took too long to arrive")),
    }
}
