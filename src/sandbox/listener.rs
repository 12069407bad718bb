//! The listener: accepts connections, reads requests within limits, and calls the endpoint's
//! method.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::endpoint::SandboxEndpoint;
use super::message::error::EndpointError;
use super::message::form::Form;
use super::message::reply::{Reply, json_reply, text_reply};
use super::options::Conduct;
use super::state::authorization_server::AuthorizationServer;

/// Maximum number of connections; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// Time limit for a request's head, and for an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a body, in bytes; the largest forms are far smaller.
const MAX_BODY: usize = 64 * 1024;

/// Accepts connections until the task is aborted; then every open one is closed.
pub(super) async fn accept(listener: TcpListener, server: Arc<AuthorizationServer>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of file descriptors. Other connections will free some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let server = Arc::clone(&server);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let server = Arc::clone(&server);
                async move { Ok::<_, Infallible>(server.respond(request).await) }
            });
            // The client decides how its connection ends, so the result is of no use.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(permit);
        });
    }
}

impl AuthorizationServer {
    async fn respond(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path();
        let Some(endpoint) = SandboxEndpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path) else {
            return text_reply(StatusCode::NOT_FOUND, "The sandbox has no such page.");
        };
        if request.method() != endpoint.method() {
            let mut reply = text_reply(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            let allowed = HeaderValue::from_str(endpoint.method().as_str()).expect("a method's name is ASCII");
            reply.headers_mut().insert(ALLOW, allowed);
            return reply;
        }
        self.requests.add(endpoint);
        if self.conducts.of(endpoint) == Conduct::Down {
            return text_reply(StatusCode::SERVICE_UNAVAILABLE, "This endpoint is set to fail.");
        }
        let reply = self.handle(endpoint, request).await;
        self.conducts.released(endpoint).await;
        reply
    }

    async fn handle(&self, endpoint: SandboxEndpoint, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let form = match endpoint.method() {
            Method::POST => read_form(&head.headers, body).await,
            _ => Ok(Form::parse(head.uri.query().unwrap_or_default().as_bytes())),
        };
        let form = match form {
            Ok(form) => form,
            Err(error) => return error.reply(),
        };
        match endpoint {
            SandboxEndpoint::Authorize => self.authorize(&form),
            SandboxEndpoint::Decision => self.decide(&form),
            SandboxEndpoint::Token => self.token(&head.headers, &form),
            SandboxEndpoint::DeviceAuthorization => self.begin_device(&head.headers, &form),
            SandboxEndpoint::Device => self.device(&form),
            SandboxEndpoint::DeviceDecision => self.decide_device(&form),
            SandboxEndpoint::Userinfo => self.userinfo(&head.headers),
            SandboxEndpoint::Revoke => self.revoke(&head.headers, &form),
            SandboxEndpoint::Introspect => self.introspect(&head.headers, &form),
            SandboxEndpoint::Metadata => json_reply(StatusCode::OK, &self.metadata()),
            SandboxEndpoint::Requests => json_reply(StatusCode::OK, &self.requests.to_json()),
        }
    }
}

async fn read_form(headers: &HeaderMap, body: Incoming) -> Result<Form, EndpointError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(EndpointError::InvalidRequest("the body must be application/x-www-form-urlencoded"));
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(Form::parse(&collected.to_bytes())),
        Ok(Err(_)) => Err(EndpointError::InvalidRequest("the body is too long, or ended early")),
        Err(_) => Err(EndpointError::InvalidRequest("the body took too long to arrive")),
    }
}
