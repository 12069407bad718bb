//! One table of threats, run through every entry point: no rule is for one of them alone.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use serde_json::{Value, json};
use strongroom::http::Limits;
use strongroom::permission::Permission;
use strongroom::vault::{ApiKeyUpdate, AuditContext, Unmatched};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::forward::{Secure, basic, connect, forward, placeholder};
use crate::mcp;
use crate::origin::{Origin, SECRET, Scene, audited, response, values};
use crate::support::Server;
use crate::support::raw::{Answer, Raw};

/// The entry of the provider: a bearer, and a variable for a command.
pub const ENTRY: &str = "in = \"header\"\nname = \"Authorization\"\nprefix = \"Bearer \"\n[providers.acme.env]\nACME_KEY = \"{placeholder}\"";

/// Headers that HTTP/2 does not have.
const OF_CONNECTION: [&str; 2] = ["Connection", "Upgrade"];

/// An entry point, and the protocol in which it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    Path,
    AbsoluteForm,
    PlainTunnel,
    TlsHttp1,
    TlsHttp2,
    Mcp,
}

pub const ENTRY_POINTS: [EntryPoint; 6] = [
    EntryPoint::Path,
    EntryPoint::AbsoluteForm,
    EntryPoint::PlainTunnel,
    EntryPoint::TlsHttp1,
    EntryPoint::TlsHttp2,
    EntryPoint::Mcp,
];

/// What a caller gets.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    /// The type of the problem, if Strongroom answers.
    pub problem: Option<String>,
    /// Head and body, as text.
    pub text: String,
}

/// A connection on which HTTP/1.1 is spoken in bytes.
pub struct Wire {
    pub raw: Raw<Box<dyn Stream>>,
    /// Beginning of the targets of requests; the path follows, but for MCP.
    base: String,
    is_mcp: bool,
    pub host: String,
    /// Headers with the key, where each request needs it.
    pub key: String,
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Wire {
    /// Returns the target of a request for `path`, below the base path `/v1` of the origin.
    pub fn target(&self, path: &str) -> String {
        if self.is_mcp { self.base.clone() } else { format!("{}{path}", self.base) }
    }
}

impl Got {
    fn is_refused(&self, status: u16, problem: &str, about: &str) {
        assert_eq!(self.problem.as_deref(), Some(format!("/problems/{problem}").as_str()), "{about}: {self:?}");
        // A refusal of a tool is a result of MCP.
        assert!(self.status == status || self.status == 0, "{about}: {self:?}");
    }
}

/// The entry points of two servers: one before an origin that speaks plain HTTP, one before TLS.
pub struct EntryPoints {
    pub origin: Origin,
    pub plain: Scene,
    pub secure: Secure,
}

impl EntryPoints {
    pub async fn open<B: Into<Vec<u8>> + 'static>(answer: fn(&str) -> B) -> Self {
        Self::within(Limits::default(), answer).await
    }

    pub async fn within<B: Into<Vec<u8>> + 'static>(limits: Limits, answer: fn(&str) -> B) -> Self {
        let origin = Origin::start(answer).await;
        let secure = Secure::answering(answer, ENTRY, limits.clone()).await;
        let plain = Scene::on(origin.server_within(ENTRY, limits).await, SECRET).await;
        Self { origin, plain, secure }
    }

    pub async fn fine() -> Self {
        Self::open(|_| response("200 OK", "", "fine")).await
    }

    pub fn is_secure(point: EntryPoint) -> bool {
        matches!(point, EntryPoint::TlsHttp1 | EntryPoint::TlsHttp2)
    }

    pub fn server(&self, point: EntryPoint) -> &Server {
        if Self::is_secure(point) { &self.secure.server } else { &self.plain.server }
    }

    pub fn agent(&self, point: EntryPoint) -> &str {
        if Self::is_secure(point) { &self.secure.agent } else { &self.plain.agent }
    }

    pub fn id(&self, point: EntryPoint) -> &str {
        if Self::is_secure(point) { &self.secure.id } else { &self.plain.id }
    }

    /// Returns the requests that the origin behind this point has received.
    pub fn received(&self, point: EntryPoint) -> Vec<String> {
        if Self::is_secure(point) { self.secure.received() } else { self.origin.received() }
    }

    /// Sends a request for `path`, below the base path `/v1`, through the entry point.
    pub async fn send(&self, point: EntryPoint, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        match point {
            EntryPoint::TlsHttp2 => self.send_http2(method, path, headers, body).await,
            EntryPoint::Mcp => self.call_tool(method, path, headers, body).await,
            _ => match self.wire(point).await {
                Ok(mut wire) => {
                    let (target, length) = (wire.target(path), body.len());
                    let lines = lines(headers) + &wire.key;
                    let head = format!(
                        "{method} {target} HTTP/1.1\r\nHost: {}\r\n{lines}Content-Length: {length}\r\n\r\n{body}",
                        wire.host
                    );
                    wire.raw.ask(head).await.into()
                }
                Err(refusal) => refusal.into(),
            },
        }
    }

    /// Opens a connection of HTTP/1.1 at the entry point; fails if its tunnel is refused.
    pub async fn wire(&self, point: EntryPoint) -> Result<Wire, Answer> {
        let plain = self.origin.base.trim_start_matches("http://").to_owned();
        let key = basic(self.agent(point));
        let server = &self.plain.server;
        let api = || async { TcpStream::connect(server.address).await.unwrap() };
        let api_key = format!("X-API-Key: {}\r\n", self.plain.agent);
        let (stream, base, host, key): (Box<dyn Stream>, _, _, _) = match point {
            EntryPoint::Path => {
                (Box::new(api().await), format!("/v1/proxy/{}", self.plain.id), server.address.to_string(), api_key)
            }
            EntryPoint::Mcp => (Box::new(api().await), "/mcp".to_owned(), server.address.to_string(), api_key),
            EntryPoint::AbsoluteForm => {
                let stream = TcpStream::connect(server.forward).await.unwrap();
                (Box::new(stream), format!("{}/v1", self.origin.base), plain, key)
            }
            EntryPoint::PlainTunnel => {
                let mut raw = forward(server).await;
                let opened = raw.ask(connect(&plain, &key)).await;
                if opened.status != 200 {
                    return Err(opened);
                }
                (Box::new(raw.into_stream()), "/v1".to_owned(), plain, String::new())
            }
            EntryPoint::TlsHttp1 | EntryPoint::TlsHttp2 => {
                let stream = self.secure.tunnel("localhost", &[]).await.unwrap();
                (Box::new(stream), "/v1".to_owned(), self.secure.authority.clone(), String::new())
            }
        };
        Ok(Wire { raw: Raw::new(stream), base, is_mcp: point == EntryPoint::Mcp, host, key })
    }

    /// Opens an HTTP/2 connection in a tunnel.
    pub async fn http2(&self) -> SendRequest<Full<Bytes>> {
        let stream = self.secure.tunnel("localhost", &[b"h2"]).await.unwrap();
        let executor = hyper_util::rt::TokioExecutor::new();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn send_http2(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let mut client = self.http2().await;
        let uri = format!("https://{}/v1{path}", self.secure.authority);
        let Ok(request) = http::Request::builder().method(method).uri(uri).body(Full::<Bytes>::from(body.to_owned()))
        else {
            // The client library does not send such a path.
            return Got { status: 400, problem: Some("/problems/path-not-canonical".to_owned()), text: String::new() };
        };
        let mut request = request;
        for (name, value) in headers.iter().filter(|(name, _)| !OF_CONNECTION.contains(name)) {
            request.headers_mut().append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let answer = client.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let problem = head.headers.get("strongroom-problem").map(|kind| kind.to_str().unwrap().to_owned());
        let text = format!("{:?}\n{}", head.headers, String::from_utf8_lossy(&body)).to_lowercase();
        Got { status: head.status.as_u16(), problem, text }
    }

    async fn call_tool(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let headers: serde_json::Map<_, _> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut arguments = json!({"credential": self.plain.id, "path": path, "headers": headers});
        let name = if method == "GET" { "http_get" } else { "http_send" };
        if method != "GET" {
            arguments["method"] = json!(method);
            arguments["body"] = json!(body);
        }
        let (result, is_error) = mcp::call(&self.plain, name, arguments).await;
        let problem = is_error.then(|| result["type"].as_str().unwrap_or_default().to_owned());
        let status = result["status"].as_u64().unwrap_or(0);
        Got { status: u16::try_from(status).unwrap(), problem, text: result.to_string() }
    }
}

fn lines(headers: &[(&str, &str)]) -> String {
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    lines.concat()
}

impl From<Answer> for Got {
    fn from(answer: Answer) -> Self {
        let line = answer.head.lines().find_map(|line| line.strip_prefix("strongroom-problem: "));
        let problem = line.map(str::to_owned);
        Self { status: answer.status, problem, text: format!("{}{}", answer.head, answer.body) }
    }
}

#[tokio::test]
async fn secret_replaces_whatever_the_caller_sends() {
    let points = EntryPoints::fine().await;
    for point in ENTRY_POINTS {
        let headers = [
            ("Authorization", "Bearer mine-1"),
            ("Cookie", "a=mine-2"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("Forwarded", "for=192.0.2.1"),
            ("Connection", "authorization, x-api-key"),
            ("X-Kept", "kept"),
        ];
        let got = points.send(point, "POST", "/a%2Fb?q=%41", &headers, "{\"a\": 1.0}").await;
        assert_eq!((got.status, &got.problem), (200, &None), "{point:?}: {got:?}");
        let sent = points.received(point).pop().unwrap();
        assert!(sent.starts_with("POST /v1/a%2Fb?q=%41 HTTP/1.1\r\n"), "{point:?}: {sent}");
        assert!(sent.ends_with("\r\n\r\n{\"a\": 1.0}"), "{point:?}: {sent}");
        assert_eq!(values(&sent, "Authorization"), [format!("Bearer {SECRET}")], "{point:?}");
        assert_eq!(values(&sent, "X-Kept"), ["kept"], "{point:?}");
        for gone in ["mine-", "192.0.2.1", "srk_", "Proxy-Authorization", "Strongroom"] {
            assert!(!sent.contains(gone), "{point:?}: {gone} in {sent}");
        }
    }
}

#[tokio::test]
async fn unclear_paths_are_refused_everywhere() {
    let points = EntryPoints::fine().await;
    for point in ENTRY_POINTS {
        for path in
            ["/a/../b", "/a/%2e%2e/b", "/a/.%2E/b", "/a/..;x/b", "/a/..%2fb", "/a%5c..%5cb", "/a%00", "/a%zz", "/%2e"]
        {
            let got = points.send(point, "GET", path, &[], "").await;
            got.is_refused(400, "path-not-canonical", &format!("{point:?} {path}"));
        }
        assert!(points.received(point).is_empty(), "{point:?}: {:#?}", points.received(point));
    }
}

#[tokio::test]
async fn echoing_methods_are_refused_everywhere() {
    let points = EntryPoints::fine().await;
    for point in ENTRY_POINTS {
        for method in ["TRACE", "TRACK"] {
            let got = points.send(point, method, "/a", &[], "").await;
            got.is_refused(405, "method-not-allowed", &format!("{point:?} {method}"));
        }
        assert!(points.received(point).is_empty(), "{point:?}");
    }
}

/// Adds a grant to the agent's key behind this point.
async fn grant(points: &EntryPoints, point: EntryPoint, mut body: Value) {
    let server = points.server(point);
    let key = server.vault.api_keys().authenticate(points.agent(point)).unwrap().unwrap().id;
    body["key"] = json!(key.to_string());
    let admin = server.service_key_with(&[], &[Permission::Admin]).await;
    server.post("/v1/grants").key(&admin).json(&body).send().await.is(201);
}

#[tokio::test]
async fn grants_hold_everywhere() {
    for point in ENTRY_POINTS {
        let points = EntryPoints::fine().await;
        grant(&points, point, json!({"effect": "allow", "methods": ["GET"], "paths": ["/v1/a/**"]})).await;
        grant(&points, point, json!({"effect": "deny", "paths": ["/v1/a/secret"]})).await;
        for (method, path) in [("POST", "/a/b"), ("GET", "/b"), ("GET", "/a/secret"), ("GET", "/a%2Fsecret")] {
            let got = points.send(point, method, path, &[], "").await;
            got.is_refused(403, "not-granted", &format!("{point:?} {method} {path}"));
        }
        let got = points.send(point, "GET", "/a/b", &[("X-HTTP-Method-Override", "DELETE")], "").await;
        got.is_refused(400, "method-overridden", &format!("{point:?}"));
        let got = points.send(point, "GET", "/a/b?_method=DELETE", &[], "").await;
        got.is_refused(400, "method-overridden", &format!("{point:?}"));
        let got = points.send(point, "GET", "/a/%62", &[], "").await;
        got.is_refused(400, "path-not-canonical", &format!("{point:?}: a longer spelling"));
        assert!(points.received(point).is_empty(), "{point:?}: {:#?}", points.received(point));
        let server = points.server(point);
        assert!(audited(server, "proxy.request").is_empty(), "{point:?}: no secret was read");
        assert!(audited(server, "proxy.refuse").len() >= 4, "{point:?}: {:?}", audited(server, "proxy.refuse"));
        assert_eq!(points.send(point, "GET", "/a/b", &[], "").await.status, 200, "{point:?}");
    }
}

/// A key that may reach other hosts without a credential is judged as any other key at the hosts of
/// its credentials.
#[tokio::test]
async fn tunnels_to_other_hosts_open_no_way_round() {
    for point in ENTRY_POINTS {
        let points = EntryPoints::fine().await;
        let server = points.server(point);
        let key = server.vault.api_keys().authenticate(points.agent(point)).unwrap().unwrap().id;
        let update = ApiKeyUpdate { unmatched: Some(Unmatched::Tunnel), ..ApiKeyUpdate::default() };
        server.vault.api_keys().update(key, update, &AuditContext::system()).await.unwrap().unwrap();
        let mine = [("Authorization", "Bearer mine")];
        assert_eq!(points.send(point, "GET", "/a", &mine, "").await.status, 200, "{point:?}");
        let sent = points.received(point).pop().unwrap();
        assert_eq!(values(&sent, "Authorization"), [format!("Bearer {SECRET}")], "{point:?}");
        grant(&points, point, json!({"effect": "allow"})).await;
        grant(&points, point, json!({"effect": "deny", "paths": ["/v1/a"]})).await;
        let got = points.send(point, "GET", "/a", &mine, "").await;
        got.is_refused(403, "not-granted", &format!("{point:?}"));
        assert_eq!(points.received(point).len(), 1, "{point:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_unapproved_anywhere() {
    for point in ENTRY_POINTS {
        let points = EntryPoints::fine().await;
        grant(&points, point, json!({"effect": "allow", "approval": "always"})).await;
        let got = points.send(point, "POST", "/a", &[], "x").await;
        got.is_refused(403, "approval-pending", &format!("{point:?}"));
        assert!(
            points.received(point).is_empty() && audited(points.server(point), "proxy.request").is_empty(),
            "{point:?}"
        );
    }
}

#[tokio::test]
async fn misplaced_placeholder_is_refused_everywhere() {
    let points = EntryPoints::fine().await;
    for point in ENTRY_POINTS {
        let (mine, before) = (placeholder(points.id(point)), points.received(point).len());
        for (path, name, value) in [
            (format!("/{mine}"), "X-A", "b".to_owned()),
            (format!("/a?x={mine}"), "X-A", "b".to_owned()),
            ("/a".to_owned(), "User-Agent", format!("agent {mine}")),
        ] {
            let got = points.send(point, "GET", &path, &[(name, &value)], "").await;
            got.is_refused(403, "placeholder-misplaced", &format!("{point:?} {path} {name}"));
        }
        assert_eq!(points.received(point).len(), before, "{point:?}");
        let bearer = format!("Bearer {mine}");
        assert_eq!(points.send(point, "GET", "/a", &[("Authorization", &bearer)], "").await.status, 200, "{point:?}");
    }
}

#[tokio::test]
async fn no_answer_reveals_the_secret_or_a_session() {
    let points = EntryPoints::open(|request| {
        let secret = values(request, "Authorization").join("").replace("Bearer ", "");
        let headers = format!(
            "X-Echo: {secret}\r\nSet-Cookie: session=1\r\nAlt-Svc: h3=\":443\"\r\nStrongroom-Problem: /problems/faked\r\n"
        );
        response("200 OK", &headers, &format!("<{secret}>"))
    })
    .await;
    for point in ENTRY_POINTS {
        let got = points.send(point, "GET", "/a", &[], "").await;
        assert_eq!((got.status, &got.problem), (200, &None), "{point:?}: {got:?}");
        for hidden in [SECRET, "session=1", "alt-svc", "faked"] {
            assert!(!got.text.contains(hidden), "{point:?}: {hidden} in {got:?}");
        }
        assert!(got.text.contains("<****"), "{point:?}: {got:?}");
    }
}

#[tokio::test]
async fn redirects_are_handed_back_everywhere() {
    let points = EntryPoints::open(|_| response("302 Found", "Location: http://evil.example/\r\n", "")).await;
    for point in ENTRY_POINTS {
        let before = points.received(point).len();
        let got = points.send(point, "GET", "/a", &[], "").await;
        assert_eq!(got.status, 302, "{point:?}: {got:?}");
        assert!(got.text.contains("evil.example"), "{point:?}: {got:?}");
        assert_eq!(points.received(point).len(), before + 1, "{point:?}");
    }
}

#[tokio::test]
async fn deleted_credential_is_sent_nowhere() {
    for point in [EntryPoint::Path, EntryPoint::AbsoluteForm, EntryPoint::PlainTunnel, EntryPoint::Mcp] {
        let points = EntryPoints::fine().await;
        let server = points.server(point);
        let path = format!("/v1/integrations/acme/credentials/{}", points.id(point));
        server.delete(&path).key(&server.key).send().await.is(200);
        let got = points.send(point, "GET", "/a", &[], "").await;
        assert!(got.problem.is_some(), "{point:?}: {got:?}");
        assert!(points.received(point).is_empty(), "{point:?}");
    }
}

#[tokio::test]
async fn revoked_key_opens_no_entry_point() {
    for point in [EntryPoint::Path, EntryPoint::AbsoluteForm, EntryPoint::PlainTunnel] {
        let points = EntryPoints::fine().await;
        let server = points.server(point);
        let key = server.vault.api_keys().authenticate(points.agent(point)).unwrap().unwrap().id;
        server.vault.api_keys().revoke(key, &AuditContext::system()).await.unwrap();
        let got = points.send(point, "GET", "/a", &[], "").await;
        let expected = if point == EntryPoint::Path { 401 } else { 407 };
        assert_eq!(got.status, expected, "{point:?}: {got:?}");
        assert!(points.received(point).is_empty(), "{point:?}");
    }
}
