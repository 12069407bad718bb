//! The endpoint `/mcp` of a running server, over TCP or a Unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use url::Url;

use crate::cli::failure::Failure;
use crate::egress::{BoxError, Egress, StreamBody};
use crate::id::UserId;
use crate::secret::Secret;

/// Time for one exchange; the server itself takes at most 50 s.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Time to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Largest response in bytes: a body of 1 MiB whose characters are all escaped fits.
const MAX_RESPONSE: usize = 16 << 20;

/// Networks in addition to public ones in which the server may be.
const PRIVATE_NETWORKS: [&str; 7] =
    ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

enum Transport {
    Tcp(Box<Egress>),
    Unix(PathBuf),
}

/// The endpoint, with the headers that authenticate.
pub(super) struct McpEndpoint {
    uri: Uri,
    transport: Transport,
    headers: HeaderMap,
}

impl McpEndpoint {
    /// The server at a URL, with its base path.
    pub(super) fn at_url(url: &Url, ca: Option<&Path>) -> Result<Self, Failure> {
        let base = url.as_str().trim_end_matches('/').trim_end_matches("/mcp");
        let not_valid = |_| Failure::configuration("the URL of the server is not valid");
        let uri = format!("{base}/mcp").parse().map_err(not_valid)?;
        let allow = PRIVATE_NETWORKS.map(|network| network.parse().expect("a network"));
        let authorities: Vec<PathBuf> = ca.map(Path::to_owned).into_iter().collect();
        let egress = Egress::new(&allow, &authorities, CONNECT_LIMIT, None);
        let egress = egress.map_err(|error| Failure::configuration(error.to_string()))?;
        Ok(Self { uri, transport: Transport::Tcp(Box::new(egress)), headers: HeaderMap::new() })
    }

    /// The server at a Unix socket.
    pub(super) fn at_socket(path: PathBuf, base_path: &str) -> Self {
        let uri = format!("http://localhost{base_path}/mcp").parse().expect("a base path is part of a URL");
        Self { uri, transport: Transport::Unix(path), headers: HeaderMap::new() }
    }

    /// Sets the API key, and the user of a service key.
    pub(super) fn authenticate(&mut self, key: &Secret, user: Option<&UserId>) -> Result<(), Failure> {
        let value = HeaderValue::from_str(key.expose().trim());
        let mut value = value.map_err(|_| Failure::configuration("STRONGROOM_API_KEY is not an API key"))?;
        value.set_sensitive(true);
        self.headers.insert("x-api-key", value);
        if let Some(user) = user {
            let value = HeaderValue::from_str(user.as_str());
            self.headers.insert("strongroom-user", value.map_err(|_| Failure::configuration("--user is not ASCII"))?);
        }
        Ok(())
    }

    /// Sends one message, with the headers that repeat parts of it. Returns the response as one
    /// line, if the message gets one. The error is a text for the client.
    pub(super) async fn post(&self, mirrored: HeaderMap, text: Bytes) -> Result<Option<String>, String> {
        let exchange = async {
            let response = self.send(mirrored, text).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_RESPONSE).collect().await;
            let body =
                body.map_err(|_| "the response of the server ended early or is too large".to_owned())?.to_bytes();
            understood(status, &body)
        };
        tokio::time::timeout(TIME_LIMIT, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("the server did not answer within {} s", TIME_LIMIT.as_secs())))
    }

    async fn send(&self, mirrored: HeaderMap, text: Bytes) -> Result<Response<Incoming>, String> {
        let body = Full::new(text).map_err(|never| -> BoxError { match never {} });
        let mut request: Request<StreamBody> = Request::new(body.boxed_unsync());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.extend(mirrored);
        *request.headers_mut() = headers;
        let failed = |cause: &dyn std::fmt::Display| {
            format!("cannot reach Strongroom at {}: {cause}. Is `strongroom serve` running?", self.uri)
        };
        match &self.transport {
            Transport::Tcp(egress) => {
                let host = self.uri.authority().map_or("", |authority| authority.as_str());
                let host = HeaderValue::from_str(host).map_err(|error| failed(&error))?;
                request.headers_mut().insert(header::HOST, host);
                egress.stream(request, false, "mcp").await.map_err(|error| failed(&error))
            }
            Transport::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| failed(&error))?;
                let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
                let (mut sender, connection) = handshake.map_err(|error| failed(&error))?;
                tokio::spawn(connection);
                request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
                *request.uri_mut() = self.uri.path().parse().map_err(|error| failed(&error))?;
                sender.send_request(request).await.map_err(|error| failed(&error))
            }
        }
    }
}

/// The members of an answer that are read here.
#[derive(Default, Deserialize)]
struct Answer {
    jsonrpc: Option<String>,
    /// Of a problem.
    detail: Option<String>,
}

/// Returns a JSON-RPC response, or the reason why the server gave none.
fn understood(status: StatusCode, body: &[u8]) -> Result<Option<String>, String> {
    if status == StatusCode::ACCEPTED {
        return Ok(None);
    }
    let text = std::str::from_utf8(body).unwrap_or_default();
    let answer: Answer = serde_json::from_str(text).unwrap_or_default();
    if answer.jsonrpc.as_deref() == Some("2.0") {
        // Line ends in JSON are only between its parts, so that a space says the same.
        return Ok(Some(text.replace(['\r', '\n'], " ")));
    }
    let detail = answer.detail.unwrap_or_else(|| "the answer is not that of an MCP server; check the URL".to_owned());
    Err(format!("the server answered {}: {detail}", status.as_u16()))
}
