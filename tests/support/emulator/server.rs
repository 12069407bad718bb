//! The listener and the dispatch of requests.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::rules::{Endpoint, RequestHead};
use super::violation::Violation;
use super::{Provider, Refusal};

/// Accepts connections until the task is aborted.
pub(super) async fn accept(listener: TcpListener, provider: Arc<Provider>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, _) = listener.accept().await.expect("a connection");
        let provider = Arc::clone(&provider);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let provider = Arc::clone(&provider);
                async move { Ok::<_, Infallible>(provider.respond(request).await) }
            });
            // The client decides how its connection ends.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Provider {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let head = RequestHead { method: &parts.method, path, query, headers: &parts.headers };
        let Some(endpoint) = self.rules.endpoint(head, &self.clients.ids) else {
            return self.json(StatusCode::NOT_FOUND, &json!({ "error": "not found" }));
        };
        if endpoint == Endpoint::Authorize {
            return match self.authorize(head.query) {
                Ok(to) => redirect(to.as_str()),
                Err(violation) => self.refuse(violation),
            };
        }
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return self.refuse(Violation(error.to_string())),
        };
        let outcome = match endpoint {
            Endpoint::Token if !self.rules.is_revocation(&body) => match self.issue(head, &body) {
                Ok(Err(refusal)) => return self.refuse_in_own_words(&refusal),
                Ok(Ok(tokens)) => Ok(tokens),
                Err(violation) => Err(violation),
            },
            Endpoint::Introspect => self.introspect(head, &body),
            Endpoint::Token | Endpoint::Revoke => self.revoke(head, &body),
            Endpoint::Identity | Endpoint::Authorize => self.identify(head, &body),
        };
        match outcome {
            Ok(value) => self.json(StatusCode::OK, &value),
            Err(violation) => self.refuse(violation),
        }
    }

    fn refuse_in_own_words(&self, refusal: &Refusal) -> Response<Full<Bytes>> {
        let status = StatusCode::from_u16(refusal.status).expect("a status");
        if let Some(body) = &refusal.body {
            return self.json(status, body);
        }
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    }

    fn refuse(&self, Violation(why): Violation) -> Response<Full<Bytes>> {
        self.json(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request", "error_description": why }))
    }

    /// Returns a JSON response with the provider's own time, which absolute times are relative to.
    fn json(&self, status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
        *response.status_mut() = status;
        let time = jiff::Timestamp::from_second(self.now.0).expect("a time");
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("a date");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(DATE, HeaderValue::from_str(&date).expect("a date is ASCII"));
        response
    }
}

fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(to).expect("a URL is ASCII"));
    response
}
