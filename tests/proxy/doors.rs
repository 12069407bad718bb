//! One table of threats, run through every entry point: no rule is for one of them alone.

use http::{HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use strongroom::permission::Permission;
use strongroom::vault::AuditContext;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::forward::{Secure, basic, connect, forward, placeholder};
use crate::mcp;
use crate::origin::{Origin, SECRET, Scene, audited, response, values};
use crate::support::Server;
use crate::support::raw::{Answer, Raw};

/// The entry of the provider: a bearer, and a variable for a command.
const ENTRY: &str = "in = \"header\"\nname = \"Authorization\"\nprefix = \"Bearer \"\n[providers.acme.env]\nACME_KEY = \"{placeholder}\"";

/// An entry point, and the protocol in which it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Path,
    AbsoluteForm,
    PlainTunnel,
    TlsHttp1,
    TlsHttp2,
    Mcp,
}

const DOORS: [Door; 6] = [Door::Path, Door::AbsoluteForm, Door::PlainTunnel, Door::TlsHttp1, Door::TlsHttp2, Door::Mcp];

/// What a caller gets.
#[derive(Debug)]
struct Got {
    status: u16,
    /// The type of the problem, if Strongroom answers.
    problem: Option<String>,
    /// Head and body, as text.
    text: String,
}

impl Got {
    fn is_refused(&self, status: u16, problem: &str, about: &str) {
        assert_eq!(self.problem.as_deref(), Some(format!("/problems/{problem}").as_str()), "{about}: {self:?}");
        // A refusal of a tool is a result of MCP.
        assert!(self.status == status || self.status == 0, "{about}: {self:?}");
    }
}

/// The entry points of two servers: one before an origin that speaks plain HTTP, one before TLS.
struct Doors {
    origin: Origin,
    plain: Scene,
    secure: Secure,
}

impl Doors {
    async fn open(answer: fn(&str) -> String) -> Self {
        let (origin, secure) = (Origin::start(answer).await, Secure::answering(answer, ENTRY).await);
        let plain = Scene::new(&origin, ENTRY).await;
        Self { origin, plain, secure }
    }

    async fn fine() -> Self {
        Self::open(|_| response("200 OK", "", "fine")).await
    }

    fn is_secure(door: Door) -> bool {
        matches!(door, Door::TlsHttp1 | Door::TlsHttp2)
    }

    fn server(&self, door: Door) -> &Server {
        if Self::is_secure(door) { &self.secure.server } else { &self.plain.server }
    }

    fn agent(&self, door: Door) -> &str {
        if Self::is_secure(door) { &self.secure.agent } else { &self.plain.agent }
    }

    fn id(&self, door: Door) -> &str {
        if Self::is_secure(door) { &self.secure.id } else { &self.plain.id }
    }

    /// Returns the requests that the origin behind this door has received.
    fn received(&self, door: Door) -> Vec<String> {
        if Self::is_secure(door) { self.secure.received() } else { self.origin.received() }
    }

    /// Sends a request for `path`, below the base path `/v1`, through the entry point.
    async fn send(&self, door: Door, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let plain = self.origin.base.trim_start_matches("http://");
        let key = basic(self.agent(door));
        match door {
            Door::Path => {
                let lines = lines(headers) + &format!("X-API-Key: {}\r\n", self.plain.agent);
                let target = format!("/v1/proxy/{}{path}", self.plain.id);
                let stream = tokio::net::TcpStream::connect(self.plain.server.address).await.unwrap();
                ask(Raw::new(stream), method, &target, "x", &lines, body).await
            }
            Door::AbsoluteForm => {
                let target = format!("{}/v1{path}", self.origin.base);
                ask(forward(&self.plain.server).await, method, &target, plain, &(lines(headers) + &key), body).await
            }
            Door::PlainTunnel => {
                let mut raw = forward(&self.plain.server).await;
                let opened = raw.ask(connect(plain, &key)).await;
                if opened.status != 200 {
                    return opened.into();
                }
                ask(raw, method, &format!("/v1{path}"), plain, &lines(headers), body).await
            }
            Door::TlsHttp1 => {
                let raw = Raw::new(self.secure.tunnel("localhost", &[]).await.unwrap());
                ask(raw, method, &format!("/v1{path}"), &self.secure.authority, &lines(headers), body).await
            }
            Door::TlsHttp2 => self.send_http2(method, path, headers, body).await,
            Door::Mcp => self.call_tool(method, path, headers, body).await,
        }
    }

    async fn send_http2(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let stream = self.secure.tunnel("localhost", &[b"h2"]).await.unwrap();
        let executor = hyper_util::rt::TokioExecutor::new();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        let uri = format!("https://{}/v1{path}", self.secure.authority);
        let Ok(request) =
            http::Request::builder().method(method).uri(uri).body(Full::<bytes::Bytes>::from(body.to_owned()))
        else {
            // The client library does not send such a path.
            return Got { status: 400, problem: Some("/problems/path-not-canonical".to_owned()), text: String::new() };
        };
        let mut request = request;
        for (name, value) in headers.iter().filter(|(name, _)| *name != "Connection") {
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

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut raw: Raw<S>,
    method: &str,
    target: &str,
    host: &str,
    lines: &str,
    body: &str,
) -> Got {
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: {length}\r\n\r\n{body}");
    raw.ask(head).await.into()
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
    let doors = Doors::fine().await;
    for door in DOORS {
        let headers = [
            ("Authorization", "Bearer mine-1"),
            ("Cookie", "a=mine-2"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("Forwarded", "for=192.0.2.1"),
            ("Connection", "authorization, x-api-key"),
            ("X-Kept", "kept"),
        ];
        let got = doors.send(door, "POST", "/a%2Fb?q=%41", &headers, "{\"a\": 1.0}").await;
        assert_eq!((got.status, &got.problem), (200, &None), "{door:?}: {got:?}");
        let sent = doors.received(door).pop().unwrap();
        assert!(sent.starts_with("POST /v1/a%2Fb?q=%41 HTTP/1.1\r\n"), "{door:?}: {sent}");
        assert!(sent.ends_with("\r\n\r\n{\"a\": 1.0}"), "{door:?}: {sent}");
        assert_eq!(values(&sent, "Authorization"), [format!("Bearer {SECRET}")], "{door:?}");
        assert_eq!(values(&sent, "X-Kept"), ["kept"], "{door:?}");
        for gone in ["mine-", "192.0.2.1", "srk_", "Proxy-Authorization", "Strongroom"] {
            assert!(!sent.contains(gone), "{door:?}: {gone} in {sent}");
        }
    }
}

#[tokio::test]
async fn unclear_paths_are_refused_at_every_door() {
    let doors = Doors::fine().await;
    for door in DOORS {
        for path in
            ["/a/../b", "/a/%2e%2e/b", "/a/.%2E/b", "/a/..;x/b", "/a/..%2fb", "/a%5c..%5cb", "/a%00", "/a%zz", "/%2e"]
        {
            let got = doors.send(door, "GET", path, &[], "").await;
            got.is_refused(400, "path-not-canonical", &format!("{door:?} {path}"));
        }
        assert!(doors.received(door).is_empty(), "{door:?}: {:#?}", doors.received(door));
    }
}

#[tokio::test]
async fn echoing_methods_are_refused_at_every_door() {
    let doors = Doors::fine().await;
    for door in DOORS {
        for method in ["TRACE", "TRACK"] {
            let got = doors.send(door, method, "/a", &[], "").await;
            got.is_refused(405, "method-not-allowed", &format!("{door:?} {method}"));
        }
        assert!(doors.received(door).is_empty(), "{door:?}");
    }
}

/// Adds a grant to the agent's key behind this door.
async fn grant(doors: &Doors, door: Door, mut body: Value) {
    let server = doors.server(door);
    let key = server.vault.api_keys().authenticate(doors.agent(door)).unwrap().unwrap().id;
    body["key"] = json!(key.to_string());
    let admin = server.service_key_with(&[], &[Permission::Admin]).await;
    server.post("/v1/grants").key(&admin).json(&body).send().await.is(201);
}

#[tokio::test]
async fn grants_hold_at_every_door() {
    for door in DOORS {
        let doors = Doors::fine().await;
        grant(&doors, door, json!({"effect": "allow", "methods": ["GET"], "paths": ["/v1/a/**"]})).await;
        grant(&doors, door, json!({"effect": "deny", "paths": ["/v1/a/secret"]})).await;
        for (method, path) in [("POST", "/a/b"), ("GET", "/b"), ("GET", "/a/secret"), ("GET", "/a%2Fsecret")] {
            let got = doors.send(door, method, path, &[], "").await;
            got.is_refused(403, "not-granted", &format!("{door:?} {method} {path}"));
        }
        let got = doors.send(door, "GET", "/a/b", &[("X-HTTP-Method-Override", "DELETE")], "").await;
        got.is_refused(400, "method-overridden", &format!("{door:?}"));
        let got = doors.send(door, "GET", "/a/b?_method=DELETE", &[], "").await;
        got.is_refused(400, "method-overridden", &format!("{door:?}"));
        let got = doors.send(door, "GET", "/a/%62", &[], "").await;
        got.is_refused(400, "path-not-canonical", &format!("{door:?}: a longer spelling"));
        assert!(doors.received(door).is_empty(), "{door:?}: {:#?}", doors.received(door));
        let server = doors.server(door);
        assert!(audited(server, "proxy.request").is_empty(), "{door:?}: no secret was read");
        assert!(audited(server, "proxy.refuse").len() >= 4, "{door:?}: {:?}", audited(server, "proxy.refuse"));
        assert_eq!(doors.send(door, "GET", "/a/b", &[], "").await.status, 200, "{door:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_unapproved_at_any_door() {
    for door in DOORS {
        let doors = Doors::fine().await;
        grant(&doors, door, json!({"effect": "allow", "approval": "always"})).await;
        let got = doors.send(door, "POST", "/a", &[], "x").await;
        got.is_refused(403, "approval-pending", &format!("{door:?}"));
        assert!(doors.received(door).is_empty() && audited(doors.server(door), "proxy.request").is_empty(), "{door:?}");
    }
}

#[tokio::test]
async fn misplaced_placeholder_is_refused_at_every_door() {
    let doors = Doors::fine().await;
    for door in DOORS {
        let (mine, before) = (placeholder(doors.id(door)), doors.received(door).len());
        for (path, name, value) in [
            (format!("/{mine}"), "X-A", "b".to_owned()),
            (format!("/a?x={mine}"), "X-A", "b".to_owned()),
            ("/a".to_owned(), "User-Agent", format!("agent {mine}")),
        ] {
            let got = doors.send(door, "GET", &path, &[(name, &value)], "").await;
            got.is_refused(403, "placeholder-misplaced", &format!("{door:?} {path} {name}"));
        }
        assert_eq!(doors.received(door).len(), before, "{door:?}");
        let bearer = format!("Bearer {mine}");
        assert_eq!(doors.send(door, "GET", "/a", &[("Authorization", &bearer)], "").await.status, 200, "{door:?}");
    }
}

#[tokio::test]
async fn no_answer_reveals_the_secret_or_a_session() {
    let doors = Doors::open(|request| {
        let secret = values(request, "Authorization").join("").replace("Bearer ", "");
        let headers = format!(
            "X-Echo: {secret}\r\nSet-Cookie: session=1\r\nAlt-Svc: h3=\":443\"\r\nStrongroom-Problem: /problems/faked\r\n"
        );
        response("200 OK", &headers, &format!("<{secret}>"))
    })
    .await;
    for door in DOORS {
        let got = doors.send(door, "GET", "/a", &[], "").await;
        assert_eq!((got.status, &got.problem), (200, &None), "{door:?}: {got:?}");
        for hidden in [SECRET, "session=1", "alt-svc", "faked"] {
            assert!(!got.text.contains(hidden), "{door:?}: {hidden} in {got:?}");
        }
        assert!(got.text.contains("<****"), "{door:?}: {got:?}");
    }
}

#[tokio::test]
async fn redirects_are_handed_back_at_every_door() {
    let doors = Doors::open(|_| response("302 Found", "Location: http://evil.example/\r\n", "")).await;
    for door in DOORS {
        let before = doors.received(door).len();
        let got = doors.send(door, "GET", "/a", &[], "").await;
        assert_eq!(got.status, 302, "{door:?}: {got:?}");
        assert!(got.text.contains("evil.example"), "{door:?}: {got:?}");
        assert_eq!(doors.received(door).len(), before + 1, "{door:?}");
    }
}

#[tokio::test]
async fn deleted_credential_is_sent_nowhere() {
    for door in [Door::Path, Door::AbsoluteForm, Door::PlainTunnel, Door::Mcp] {
        let doors = Doors::fine().await;
        let server = doors.server(door);
        let path = format!("/v1/integrations/acme/credentials/{}", doors.id(door));
        server.delete(&path).key(&server.key).send().await.is(200);
        let got = doors.send(door, "GET", "/a", &[], "").await;
        assert!(got.problem.is_some(), "{door:?}: {got:?}");
        assert!(doors.received(door).is_empty(), "{door:?}");
    }
}

#[tokio::test]
async fn revoked_key_opens_no_door() {
    for door in [Door::Path, Door::AbsoluteForm, Door::PlainTunnel] {
        let doors = Doors::fine().await;
        let server = doors.server(door);
        let key = server.vault.api_keys().authenticate(doors.agent(door)).unwrap().unwrap().id;
        server.vault.api_keys().revoke(key, &AuditContext::system()).await.unwrap();
        let got = doors.send(door, "GET", "/a", &[], "").await;
        let expected = if door == Door::Path { 401 } else { 407 };
        assert_eq!(got.status, expected, "{door:?}: {got:?}");
        assert!(doors.received(door).is_empty(), "{door:?}");
    }
}
