//! Connections to an origin: none is shared by two credentials.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use strongroom::http::Limits;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::entry_points::{ENTRY, ENTRY_POINTS, EntryPoint, EntryPoints};
use crate::forward::Secure;
use crate::origin::{Origin, Scene, response, values};
use crate::support::Server;
use crate::support::provider::authority::Authority;
use crate::support::provider::peers;

/// The secrets that the origin knows, and what it calls them.
const SECRETS: [(&str, &str); 2] = [("sk-live-0123456789abcdef", "the first"), ("sk-of-the-second-one", "the second")];

/// The callers of each connection, as the origin names them.
type Connections = Arc<Mutex<Vec<Vec<&'static str>>>>;

/// Starts an origin that takes the first caller on a connection for the sender of all its requests. It speaks
/// HTTP/2 if it has TLS. Returns its port.
async fn origin_of_connections(tls: Option<TlsAcceptor>, connections: &Connections) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, connections) = (tls.clone(), connections.clone());
            let number = {
                let mut all = connections.lock().unwrap();
                all.push(Vec::new());
                all.len() - 1
            };
            let first = Arc::new(OnceLock::new());
            let service = service_fn(move |request: Request<Incoming>| {
                let sent = request.headers()["authorization"].to_str().unwrap().to_owned();
                let name = SECRETS.iter().find(|(secret, _)| sent.ends_with(secret)).unwrap().1;
                connections.lock().unwrap()[number].push(name);
                let first = *first.get_or_init(|| name);
                async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(first.as_bytes())))) }
            });
            tokio::spawn(async move {
                if let Some(tls) = tls {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    http2.serve_connection(TokioIo::new(stream), service).await.ok();
                } else {
                    let http1 = hyper::server::conn::http1::Builder::new();
                    http1.serve_connection(TokioIo::new(stream), service).await.ok();
                }
            });
        }
    });
    port
}

/// Starts an origin with TLS that ends each connection after one answer, and takes a session that is resumed for the
/// same sender. Returns its port. `resumed` counts the resumed sessions.
async fn origin_of_sessions(tls: TlsAcceptor, sessions: &Connections, resumed: &Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sessions, resumed) = (sessions.clone(), resumed.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let new = {
                let mut all = sessions.lock().unwrap();
                all.push(Vec::new());
                u64::try_from(all.len() - 1).unwrap()
            };
            let accepting = tls.accept_with(stream, |tls| {
                // The first session of a chain; if this one is resumed, its ticket has another number.
                tls.set_resumption_data(&new.to_be_bytes());
            });
            let Ok(mut stream) = accepting.await else { continue };
            let ticket =
                stream.get_ref().1.received_resumption_data().map(|data| u64::from_be_bytes(data.try_into().unwrap()));
            resumed.fetch_add(usize::from(ticket.is_some()), Ordering::SeqCst);
            let request = peers::read_request(&mut stream).await;
            let sent = values(&request, "Authorization").join("");
            let name = SECRETS.iter().find(|(secret, _)| sent.ends_with(secret)).unwrap().1;
            let first = {
                let mut all = sessions.lock().unwrap();
                let before = ticket.and_then(|number| all[usize::try_from(number).unwrap()].first().copied());
                all[usize::try_from(new).unwrap()].extend(before.into_iter().chain([name]));
                before.unwrap_or(name)
            };
            stream.write_all(response("200 OK", "", first).as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
    });
    port
}

/// A server with TLS and HTTP/2.
fn http2(acceptor: &TlsAcceptor) -> TlsAcceptor {
    let mut config = rustls::ServerConfig::clone(acceptor.config());
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Stores the second secret. Returns a key for each credential alone, with its id.
async fn two_keys(server: &Server, first: &str) -> [(String, String); 2] {
    let body = json!({"type": "api_key", "api_key": SECRETS[1].0, "title": "u"});
    let path = "/v1/integrations/acme/credentials";
    let made = server.post(path).key(&server.key).json(&body).send().await.is(201).json();
    let second = made["id"].as_str().unwrap();
    let key = async |id| (server.limited_key("alice", &[], &[id]).await, id.to_owned());
    [key(first).await, key(second).await]
}

struct TwoCallers {
    points: EntryPoints,
    /// Key and id at the plain server, and at the one with TLS.
    plain: [(String, String); 2],
    secure: [(String, String); 2],
    connections: Connections,
}

impl TwoCallers {
    async fn new() -> Self {
        let (connections, certificates) = (Connections::default(), Authority::new());
        let tls = http2(&certificates.acceptor("localhost", 2020..2100));
        let port = origin_of_connections(Some(tls), &connections).await;
        Self::before(port, &certificates, connections).await
    }

    /// The callers of a server before an origin with TLS.
    async fn before(secure: u16, certificates: &Authority, connections: Connections) -> Self {
        let origin = format!("http://127.0.0.1:{}", origin_of_connections(None, &connections).await);
        let authority = format!("localhost:{secure}");
        let origin = Origin::at(origin);
        let plain = Scene::new(&origin, ENTRY).await;
        let secure = Secure::before(authority, certificates, Arc::default(), (ENTRY, Limits::default())).await;
        let keys = (two_keys(&plain.server, &plain.id).await, two_keys(&secure.server, &secure.id).await);
        Self { points: EntryPoints { origin, plain, secure }, plain: keys.0, secure: keys.1, connections }
    }

    fn become_caller(&mut self, number: usize) {
        (self.points.plain.agent, self.points.plain.id) = self.plain[number].clone();
        (self.points.secure.agent, self.points.secure.id) = self.secure[number].clone();
    }

    fn is_separate(&self, about: &str) {
        let connections = self.connections.lock().unwrap();
        let is_mixed = |names: &&Vec<&str>| names.iter().any(|name| *name != names[0]);
        assert_eq!(connections.iter().find(is_mixed), None, "{about}");
    }
}

#[tokio::test]
async fn no_connection_is_shared_by_two_credentials() {
    let mut callers = TwoCallers::new().await;
    for point in ENTRY_POINTS {
        for _ in 0..4 {
            for (number, (_, name)) in SECRETS.into_iter().enumerate() {
                callers.become_caller(number);
                let got = callers.points.send(point, "GET", "/a", &[], "").await;
                assert!(got.status == 200 && got.text.contains(name), "{point:?} {name}: {got:?}");
            }
        }
        callers.is_separate(&format!("{point:?}"));
    }
    let connections = callers.connections.lock().unwrap();
    let requests: usize = connections.iter().map(Vec::len).sum();
    assert_eq!(requests, ENTRY_POINTS.len() * 8);
    assert!(connections.len() < requests, "connections are used again: {connections:?}");
}

#[tokio::test]
async fn no_tls_session_is_shared_by_two_credentials() {
    let (sessions, certificates, resumed) = (Connections::default(), Authority::new(), Arc::default());
    let port = origin_of_sessions(certificates.acceptor("localhost", 2020..2100), &sessions, &resumed).await;
    let mut callers = TwoCallers::before(port, &certificates, sessions).await;
    for point in [EntryPoint::TlsHttp1, EntryPoint::TlsHttp2] {
        for _ in 0..3 {
            for (number, (_, name)) in SECRETS.into_iter().enumerate() {
                callers.become_caller(number);
                let got = callers.points.send(point, "GET", "/a", &[], "").await;
                assert!(got.status == 200 && got.text.contains(name), "{point:?} {name}: {got:?}");
            }
        }
        callers.is_separate(&format!("{point:?}"));
    }
    assert!(resumed.load(Ordering::SeqCst) > 0, "sessions are resumed");
}

#[tokio::test]
async fn one_client_connection_serves_two_keys() {
    let mut callers = TwoCallers::new().await;
    for point in [EntryPoint::Path, EntryPoint::AbsoluteForm, EntryPoint::Mcp] {
        let mut wires = Vec::new();
        for number in 0..SECRETS.len() {
            callers.become_caller(number);
            wires.push((callers.points.wire(point).await.unwrap(), callers.plain[number].1.clone()));
        }
        for _ in 0..4 {
            for (number, (_, name)) in SECRETS.into_iter().enumerate() {
                let (wire, id) = &wires[number];
                let (target, host, key) = (wire.target("/a"), wire.host.clone(), wire.key.clone());
                let request = if point == EntryPoint::Mcp {
                    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                        "params": {"name": "http_get", "arguments": {"credential": id, "path": "/a"}}});
                    let (body, kinds) = (call.to_string(), "Accept: application/json, text/event-stream\r\n");
                    let length = body.len();
                    format!(
                        "POST {target} HTTP/1.1\r\nHost: {host}\r\n{key}{kinds}Content-Type: application/json\r\n\
                         Content-Length: {length}\r\n\r\n{body}"
                    )
                } else {
                    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{key}\r\n")
                };
                let answer = wires[0].0.raw.ask(request).await;
                assert!(answer.status == 200 && answer.body.contains(name), "{point:?} {name}: {answer:?}");
            }
        }
        callers.is_separate(&format!("{point:?}"));
    }
}

#[tokio::test]
async fn own_answers_are_not_cached_anywhere() {
    let points = EntryPoints::fine().await;
    for point in ENTRY_POINTS.into_iter().filter(|point| *point != EntryPoint::Mcp) {
        let got = points.send(point, "TRACE", "/a", &[], "").await;
        assert_eq!(got.status, 405, "{point:?}: {got:?}");
        assert!(got.text.replace('"', "").contains("cache-control: no-store"), "{point:?}: {got:?}");
        // The headers of an origin are its own.
        let got = points.send(point, "GET", "/a", &[], "").await;
        assert!(got.status == 200 && !got.text.contains("cache-control"), "{point:?}: {got:?}");
    }
}
