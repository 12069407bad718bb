//! The listener: accepts connections, reads requests, and calls the endpoint's method.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::endpoint::{Conduct, SandboxEndpoint};
use super::endpoints::page;
use super::message::error::EndpointError;
use super::message::form::Form;
use super::message::reply::{Reply, error_reply, json_reply, text_reply};
use super::state::authorization_server::AuthorizationServer;

/// Maximum size of a body, in bytes; the largest forms are far smaller.
const MAX_BODY: usize = 64 * 1024;

/// Accepts connections until the task is aborted; then every open one is closed.
pub(super) async fn accept(listener: TcpListener, server: Arc<AuthorizationServer>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of file descriptors. Other connections will free some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let server = Arc::clone(&server);
        connections.spawn(async move {
            let server = &server;
            let service = service_fn(|request| async move { Ok::<_, Infallible>(server.respond(request).await) });
            // The client decides how its connection ends, so the result is of no use.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl AuthorizationServer {
    async fn respond(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path();
        let Some(endpoint) = SandboxEndpoint::ALL.into_iter().find(|endpoint| endpoint.route().1 == path) else {
            return text_reply(StatusCode::NOT_FOUND, "The sandbox has no such page.");
        };
        let (method, _) = endpoint.route();
        if request.method() != method {
            let mut reply = text_reply(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            let allowed = HeaderValue::from_str(method.as_str()).expect("a method's name is ASCII");
            reply.headers_mut().insert(ALLOW, allowed);
            return reply;
        }
        self.endpoints.change(endpoint, |state| state.requests += 1);
        if self.endpoints.of(endpoint).conduct == Conduct::Down {
            return text_reply(StatusCode::SERVICE_UNAVAILABLE, "This endpoint is set to fail.");
        }
        let reply = self.handle(endpoint, request).await;
        self.endpoints.released(endpoint).await;
        reply
    }

    async fn handle(&self, endpoint: SandboxEndpoint, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let form = match head.method {
            Method::POST => read_form(&head.headers, body).await,
            _ => Ok(Form::parse(head.uri.query().unwrap_or_default().as_bytes())),
        };
        let form = match form {
            Ok(form) => form,
            Err(error) => return error_reply(error),
        };
        let page = |result: Result<Reply, &str>| result.unwrap_or_else(|why| page::error(why, self.random));
        let json = |result: Result<Value, EndpointError>| match result {
            Ok(document) => json_reply(StatusCode::OK, &document),
            Err(error) => error_reply(error),
        };
        match endpoint {
            SandboxEndpoint::Authorize => page(self.authorize(&form)),
            SandboxEndpoint::Decision => page(self.decide(&form)),
            SandboxEndpoint::Token => json(self.token(&head.headers, &form)),
            SandboxEndpoint::DeviceAuthorization => json(self.begin_device(&head.headers, &form)),
            SandboxEndpoint::Device => page(self.device(&form)),
            SandboxEndpoint::DeviceDecision => page(self.decide_device(&form)),
            SandboxEndpoint::Userinfo => self.userinfo(&head.headers),
            SandboxEndpoint::Revoke => json(self.revoke(&head.headers, &form)),
            SandboxEndpoint::Metadata => json(Ok(self.metadata())),
        }
    }
}

async fn read_form(headers: &HeaderMap, body: Incoming) -> Result<Form, EndpointError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(EndpointError::invalid_request("the body must be application/x-www-form-urlencoded"));
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(Form::parse(&collected.to_bytes())),
        Err(_) => Err(EndpointError::invalid_request("the body is too long, or ended early")),
    }
}
