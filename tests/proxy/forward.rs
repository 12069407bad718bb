//! The forward proxy: CONNECT and absolute form, spoken in bytes, before an origin that records
//! what it gets.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use strongroom::catalog::entry::PlaceholderPattern;
use strongroom::http::{Limits, Listener};
use strongroom::permission::Permission;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::origin::{BEARER, Origin, SECRET, Scene, audited, response, values};
use crate::support::provider::authority::Authority;
use crate::support::provider::peers;
use crate::support::raw::{Answer, Raw};
use crate::support::{Server, Setup};

pub async fn forward(server: &Server) -> Raw<TcpStream> {
    Raw::new(TcpStream::connect(server.forward).await.unwrap())
}

fn host(origin: &Origin) -> &str {
    origin.base.trim_start_matches("http://")
}

pub fn basic(key: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("alice:{key}")))
}

/// A request in absolute form.
fn absolute(url: &str, headers: &str) -> String {
    let host = url.split('/').nth(2).unwrap();
    format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")
}

pub fn connect(authority: &str, headers: &str) -> String {
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n")
}

fn is_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains(&format!("strongroom-problem: /problems/{kind}")), "{answer:?}");
}

#[tokio::test]
async fn absolute_form_is_sent_with_the_credential() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let url = format!("{}/v1/things?a=%2F", origin.base);
    let mine = "Authorization: Bearer mine\r\nauthorization: x\r\nCookie: a=mine\r\nProxy-Connection: keep-alive\r\n\
                Connection: authorization\r\nX-Forwarded-For: 10.0.0.1\r\n";
    let request = absolute(&url, &format!("{}{mine}", basic(&scene.agent)));
    let answer = forward(&scene.server).await.ask(request).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "fine"), "{answer:?}");
    let received = origin.only();
    assert!(received.starts_with("GET /v1/things?a=%2F HTTP/1.1\r\n"), "{received}");
    assert_eq!(values(&received, "Authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(values(&received, "Host"), [host(&origin)]);
    assert!(!received.contains("mine") && !received.contains("srk_") && !received.contains("10.0.0.1"), "{received}");
    assert!(values(&received, "Proxy-Authorization").is_empty() && values(&received, "Proxy-Connection").is_empty());
    let row = format!("GET {}/v1/things", host(&origin));
    assert_eq!(audited(&scene.server, "proxy.request"), [json!(row)]);
}

#[tokio::test]
async fn missing_key_is_407_and_the_connection_goes_on() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let mut raw = forward(&scene.server).await;
    let url = format!("{}/v1/", origin.base);
    for request in [
        connect(host(&origin), ""),
        absolute(&url, ""),
        absolute(&url, &basic("srk_wrong")),
        connect(host(&origin), "Proxy-Authorization: Digest x\r\n"),
        connect(host(&origin), &format!("{}{0}", basic(&scene.agent))),
        // The key of the API's own header does not count here.
        absolute(&url, &format!("X-API-Key: {}\r\n", scene.agent)),
    ] {
        let answer = raw.ask(request).await;
        is_problem(&answer, 407, "proxy-authentication-required");
        assert!(answer.head.contains("proxy-authenticate: basic realm=\"strongroom\""), "{answer:?}");
        assert!(!answer.head.contains("connection: close") && !answer.head.contains("www-authenticate"), "{answer:?}");
    }
    assert!(origin.received().is_empty());
    assert_eq!(raw.ask(absolute(&url, &format!("Proxy-Authorization: Bearer {}\r\n", scene.agent))).await.status, 200);
}

#[tokio::test]
async fn wrong_key_counts_as_a_failed_attempt() {
    let limits = Limits { failed_attempts_burst: 2, failed_attempts_per_minute: 1, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let mut raw = forward(&server).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(raw.ask(connect("a.example:443", &basic("srk_wrong"))).await.status);
    }
    assert_eq!(statuses, [407, 407, 429]);
}

#[tokio::test]
async fn origin_form_and_unclear_hosts_are_400() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let key = basic(&scene.agent);
    let port = host(&origin).rsplit(':').next().unwrap();
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n{key}\r\n");
    let mut requests = vec![get("/v1/integrations/credentials"), get("ftp://a.example/"), get("*")];
    for spelled in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1.", "user@127.0.0.1", "127.0.0.1%00"] {
        requests.push(format!("CONNECT {spelled}:{port} HTTP/1.1\r\nHost: {}\r\n{key}\r\n", host(&origin)));
        requests.push(format!("GET http://{spelled}:{port}/v1/ HTTP/1.1\r\nHost: {}\r\n{key}\r\n", host(&origin)));
    }
    for request in requests {
        let mut raw = forward(&scene.server).await;
        raw.send(&request).await;
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.status, 400, "{request}: {answer:?}");
    }
    for path in ["/v1/a/%2e%2e/b", "/v1/a/..;x/b", "/v1/a%5c..%5cb", "/v1/a%00b", "/v1/a/%252e%252e/b"] {
        let request = absolute(&format!("{}{path}", origin.base), &key);
        is_problem(&forward(&scene.server).await.ask(request).await, 400, "path-not-canonical");
    }
    assert!(origin.received().is_empty());
}

#[tokio::test]
async fn unbound_hosts_are_refused() {
    let (origin, other) = (Origin::fine().await, Origin::fine().await);
    let scene = Scene::new(&origin, BEARER).await;
    let key = basic(&scene.agent);
    let mut raw = forward(&scene.server).await;
    let secure = format!("https://{}/v1/", host(&origin));
    for request in [
        absolute(&format!("{}/v1/", other.base), &key),
        absolute("http://127.0.0.1/v1/", &key),
        // The record says http.
        absolute(&secure, &key),
        connect(host(&other), &key),
        connect("169.254.169.254:80", &key),
        connect(&scene.server.forward.to_string(), &key),
    ] {
        is_problem(&raw.ask(&request).await, 403, "destination-not-allowed");
    }
    // The named credential is for another host.
    let named = format!("{key}Strongroom-Credential: {}\r\n", scene.id);
    is_problem(&raw.ask(absolute(&format!("{}/v1/", other.base), &named)).await, 403, "destination-not-allowed");
    assert!(origin.received().is_empty() && other.received().is_empty());
    assert_eq!(audited(&scene.server, "proxy.refuse").len(), 7, "each with its host");
    // Other permissions open nothing.
    let user = scene.server.key_with(&[Permission::UseIntegrations]).await;
    for request in [connect(host(&origin), &basic(&user)), absolute(&format!("{}/v1/", origin.base), &basic(&user))] {
        is_problem(&raw.ask(&request).await, 403, "permission-missing");
    }
}

#[tokio::test]
async fn host_header_must_name_the_destination() {
    let (origin, other) = (Origin::fine().await, Origin::fine().await);
    let scene = Scene::new(&origin, BEARER).await;
    let key = basic(&scene.agent);
    for line in [format!("GET {}/v1/ HTTP/1.1", origin.base), format!("CONNECT {} HTTP/1.1", host(&origin))] {
        let mut raw = forward(&scene.server).await;
        is_problem(&raw.ask(format!("{line}\r\nHost: {}\r\n{key}\r\n", host(&other))).await, 421, "misdirected");
        let two = format!("{line}\r\nHost: {}\r\nHost: {0}\r\n{key}\r\n", host(&origin));
        assert_eq!(raw.ask(two).await.status, 400);
    }
    assert!(origin.received().is_empty() && other.received().is_empty());
}

#[tokio::test]
async fn caller_names_one_of_several_credentials() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let body = json!({"type": "api_key", "api_key": "sk-of-the-second-one", "title": "u"});
    let path = "/v1/integrations/acme/credentials";
    let second = scene.server.post(path).key(&scene.server.key).json(&body).send().await.is(201).json();
    let second = second["id"].as_str().unwrap();
    let (key, url) = (basic(&scene.agent), format!("{}/v1/", origin.base));
    let mut raw = forward(&scene.server).await;
    let several = raw.ask(absolute(&url, &key)).await;
    is_problem(&several, 409, "credential-ambiguous");
    assert!(several.body.contains(second) && several.body.contains(&scene.id), "{several:?}");
    assert_eq!(raw.ask(absolute(&url, &format!("{key}Strongroom-Credential: {second}\r\n"))).await.status, 200);
    let received = origin.only();
    assert_eq!(values(&received, "Authorization"), ["Bearer sk-of-the-second-one"]);
    assert!(values(&received, "Strongroom-Credential").is_empty());
    for (header, status) in [("x", 404), ("3f2b8c1e-0000-4000-8000-000000000000", 404)] {
        let answer = raw.ask(absolute(&url, &format!("{key}Strongroom-Credential: {header}\r\n"))).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

/// The placeholder of a credential whose entry names no shape.
pub fn placeholder(id: &str) -> String {
    PlaceholderPattern::default().fill(&id.parse().unwrap())
}

#[tokio::test]
async fn placeholder_names_one_of_several_credentials() {
    let origin = Origin::fine().await;
    let section = format!("{BEARER}\n[providers.acme.env]\nACME_KEY = \"{{placeholder}}\"");
    let scene = Scene::new(&origin, &section).await;
    let body = json!({"type": "api_key", "api_key": "sk-of-the-second-one", "title": "u"});
    let path = "/v1/integrations/acme/credentials";
    let second = scene.server.post(path).key(&scene.server.key).json(&body).send().await.is(201).json();
    let (second, key) = (placeholder(second["id"].as_str().unwrap()), basic(&scene.agent));
    let url = format!("{}/v1/", origin.base);
    let mut raw = forward(&scene.server).await;
    let answer = raw.ask(absolute(&url, &format!("{key}Authorization: token {second}\r\n"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let pair = STANDARD.encode(format!("x:{}", placeholder(&scene.id)));
    let answer = raw.ask(absolute(&url, &format!("{key}Authorization: Basic {pair}\r\n"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent: Vec<_> = origin.received().iter().map(|request| values(request, "Authorization").join(",")).collect();
    assert_eq!(sent, ["Bearer sk-of-the-second-one".to_owned(), format!("Bearer {SECRET}")]);
}

#[tokio::test]
async fn misplaced_placeholder_is_refused() {
    let origin = Origin::fine().await;
    let section = format!("{BEARER}\n[providers.acme.env]\nACME_KEY = \"{{placeholder}}\"");
    let scene = Scene::new(&origin, &section).await;
    let (mine, key) = (placeholder(&scene.id), basic(&scene.agent));
    let mut raw = forward(&scene.server).await;
    for (path, header) in [
        (format!("/v1/{mine}"), "X-A: b".to_owned()),
        (format!("/v1/?key={mine}"), "X-A: b".to_owned()),
        ("/v1/".to_owned(), format!("User-Agent: agent/{mine}")),
        ("/v1/".to_owned(), format!("Referer: https://a.example/{mine}")),
    ] {
        let request = absolute(&format!("{}{path}", origin.base), &format!("{key}{header}\r\n"));
        is_problem(&raw.ask(request).await, 403, "placeholder-misplaced");
        let name = header.split_once(": ").unwrap();
        let by_path = scene.ask(http::Method::GET, path.trim_start_matches("/v1")).key(&scene.agent);
        assert_eq!(
            by_path.header(name.0, name.1).send().await.is(403).json()["type"],
            "/problems/placeholder-misplaced"
        );
    }
    assert!(origin.received().is_empty(), "{:#?}", origin.received());
}

#[tokio::test]
async fn placeholder_in_the_path_gives_way_to_the_secret() {
    let origin = Origin::fine().await;
    let section = "in = \"path\"\nprefix = \"/bot\"\n[providers.acme.env]\nACME_KEY = \"{placeholder}\"";
    let scene = Scene::new(&origin, section).await;
    let mine = placeholder(&scene.id);
    let url = format!("{}/v1/bot{mine}/getMe?a=1", origin.base);
    let answer = forward(&scene.server).await.ask(absolute(&url, &basic(&scene.agent))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    scene.get(&format!("/bot{mine}/getMe?a=1")).await.is(200);
    scene.get("/getMe?a=1").await.is(200);
    let expected = format!("GET /v1/bot{SECRET}/getMe?a=1 HTTP/1.1");
    assert!(origin.received().iter().all(|request| request.starts_with(&expected)), "{:#?}", origin.received());
}

#[tokio::test]
async fn user_of_a_service_key_has_one_name() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let key = scene.server.service_key_with(&[], &[Permission::ProxyIntegrations]).await;
    let (user, url) = ("alice", format!("{}/v1/", origin.base));
    let basic = |name: &str| format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{key}")));
    let named = |name: &str| format!("Strongroom-User: {name}\r\n");
    let mut raw = forward(&scene.server).await;
    for (headers, answer) in [
        (basic(user), 200),
        (format!("{}{}", basic(user), named(user)), 200),
        (format!("{}{}", basic(""), named(user)), 200),
        (format!("{}{}", basic("bob"), named(user)), 400),
        (format!("{}{}", basic(user), named("bob")), 400),
        (format!("{}{}{}", basic(user), named(user), named("bob")), 400),
        (basic(""), 400),
    ] {
        assert_eq!(raw.ask(absolute(&url, &headers)).await.status, answer, "{headers}");
        let connected = forward(&scene.server).await.ask(connect(host(&origin), &headers)).await;
        assert_eq!(connected.status, answer, "{headers}");
    }
    assert_eq!(origin.received().len(), 3);
}

#[tokio::test]
async fn plain_http_in_a_tunnel_is_bound_if_the_record_says_http() {
    let (origin, other) = (Origin::fine().await, Origin::fine().await);
    let scene = Scene::new(&origin, BEARER).await;
    let mut raw = forward(&scene.server).await;
    assert_eq!(raw.ask(connect(host(&origin), &basic(&scene.agent))).await.status, 200);
    let get = |host: &str| format!("GET /v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: mine\r\n\r\n");
    let answer = raw.ask(get(host(&origin))).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "fine"));
    assert_eq!(origin.header("Authorization"), [format!("Bearer {SECRET}")]);
    is_problem(&raw.ask(get(host(&other))).await, 421, "misdirected");
    let elsewhere = format!("GET {}/v1/ HTTP/1.1\r\nHost: {}\r\n\r\n", other.base, host(&origin));
    is_problem(&raw.ask(elsewhere).await, 421, "misdirected");
    assert_eq!(raw.ask("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n").await.status, 421);
    assert_eq!(origin.received().len(), 1);
    // A revoked key ends the use of its tunnel.
    let keys = scene.server.vault.api_keys();
    let id =
        keys.list().unwrap().iter().find(|key| key.permissions.contains(Permission::ProxyIntegrations)).unwrap().id;
    keys.revoke(id, &strongroom::vault::AuditContext::command_line()).await.unwrap();
    assert_eq!(raw.ask(get(host(&origin))).await.status, 401);
    assert!(other.received().is_empty() && origin.received().len() == 1);
}

#[tokio::test]
async fn request_to_the_server_itself_is_refused() {
    let listener = Listener::tcp("127.0.0.1:0").await.unwrap();
    let origin = Origin::at(format!("http://{}", listener.address().unwrap()));
    let config = format!(
        "[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\ndisplay_name = \"Acme\"\n\
         [providers.acme.api_key]\nbase_url = \"{}\"\n{BEARER}\n",
        origin.base
    );
    let server = Server::with(Setup { config, listener: Some(listener), ..Setup::default() }).await;
    let body = json!({"type": "api_key", "api_key": SECRET, "title": "t"});
    server.post("/v1/integrations/acme/credentials").key(&server.key).json(&body).send().await.is(201);
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    let answer = forward(&server).await.ask(absolute(&format!("{}/health", origin.base), &basic(&agent))).await;
    is_problem(&answer, 502, "provider-unavailable");
}

/// A server whose provider is an origin with TLS, an agent's key, and what the origin received.
pub struct Secure {
    pub server: Server,
    pub agent: String,
    pub id: String,
    pub authority: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Secure {
    async fn start() -> Self {
        Self::answering(|_| response("200 OK", "", "fine"), BEARER, Limits::default()).await
    }

    /// An origin that answers each request with the raw response that `answer` returns. `section` is
    /// the `[api_key]` of its entry.
    pub async fn answering<B: Into<Vec<u8>>>(
        answer: impl Fn(&str) -> B + Send + Sync + 'static,
        section: &str,
        limits: Limits,
    ) -> Self {
        let certificates = Authority::new();
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let to_note = received.clone();
        let port = peers::over_tls(certificates.acceptor("localhost", 2020..2100), move |request| {
            to_note.lock().unwrap().push(request.to_owned());
            answer(request)
        });
        let authority = format!("localhost:{}", port.await);
        Self::before(authority, &certificates, received, (section, limits)).await
    }

    /// A server before an origin that the test itself serves, with a certificate of `certificates`.
    pub async fn before(
        authority: String,
        certificates: &Authority,
        received: Arc<Mutex<Vec<String>>>,
        (section, limits): (&str, Limits),
    ) -> Self {
        let config = format!(
            "[egress]\nallow = [\"127.0.0.0/8\", \"::1/128\"]\nca_certificates = [\"{}\"]\n[providers.acme]\n\
             display_name = \"Acme\"\n[providers.acme.api_key]\nbase_url = \"https://{authority}/v1\"\n{section}\n",
            certificates.file().display()
        );
        // The certificates are checked at the real time.
        let clock = Some(strongroom::clock::Clock::system());
        let server = Server::with(Setup { config, clock, ..Setup::limits(limits) }).await;
        let body = json!({"type": "api_key", "api_key": SECRET, "title": "t"});
        let made = server.post("/v1/integrations/acme/credentials").key(&server.key).json(&body);
        let id = made.send().await.is(201).json()["id"].as_str().unwrap().to_owned();
        let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
        Self { server, agent, id, authority, received }
    }

    /// Opens a tunnel, and TLS in it for this server name.
    pub async fn tunnel(&self, name: &str, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut stream = TcpStream::connect(self.server.forward).await.unwrap();
        stream.write_all(connect(&self.authority, &basic(&self.agent)).as_bytes()).await.unwrap();
        let head = peers::read_request(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(values(&head, "Content-Length").is_empty() && values(&head, "Transfer-Encoding").is_empty(), "{head}");
        let root = self.server.broker.proxy_ca().await.unwrap().certificate;
        over_tls(stream, root, name, alpn).await
    }

    pub fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

/// Begins TLS as a client that trusts this certificate.
pub async fn over_tls(
    stream: TcpStream,
    root: CertificateDer<'static>,
    name: &str,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = name.to_owned().try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn tls_in_a_tunnel_is_ended_and_bound() {
    let secure = Secure::start().await;
    let mut raw = Raw::new(secure.tunnel("localhost", &[]).await.unwrap());
    let get = |host: &str| format!("GET /v1/x HTTP/1.1\r\nHost: {host}\r\nAuthorization: mine\r\n\r\n");
    for _ in 0..2 {
        let answer = raw.ask(get(&secure.authority)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "fine"), "{answer:?}");
    }
    let received = secure.received();
    assert_eq!(received.len(), 2);
    assert_eq!(values(&received[0], "Authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(values(&received[0], "Host"), [secure.authority.as_str()]);
    for host in ["localhost", "other.example", "localhost:443", "localhost:80"] {
        is_problem(&raw.ask(get(host)).await, 421, "misdirected");
    }
    let old = Raw::new(secure.tunnel("localhost", &[]).await.unwrap()).ask("GET /v1/x HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 421, "no Host at all");
    assert_eq!(secure.received().len(), 2);
}

#[tokio::test]
async fn other_server_names_get_an_alert() {
    let secure = Secure::start().await;
    for name in ["other.example", "localhost.example"] {
        let error = secure.tunnel(name, &[]).await.unwrap_err();
        assert!(error.to_string().contains("alert"), "{error}");
    }
    // Names are compared without their case. The certificate is for the destination only.
    assert!(secure.tunnel("LOCALHOST", &[]).await.is_ok());
    let no_name = secure.tunnel("127.0.0.1", &[]).await.unwrap_err();
    assert!(no_name.to_string().contains("certificate"), "{no_name}");
    assert!(secure.received().is_empty());
}

#[tokio::test]
async fn plain_http_in_a_tunnel_to_https_is_refused() {
    let secure = Secure::start().await;
    for method in ["GET", "PUT", "POST"] {
        let mut raw = forward(&secure.server).await;
        assert_eq!(raw.ask(connect(&secure.authority, &basic(&secure.agent))).await.status, 200);
        let request = format!("{method} /v1/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", secure.authority);
        is_problem(&raw.ask(request).await, 403, "destination-not-allowed");
    }
    assert!(secure.received().is_empty());
}

#[tokio::test]
async fn every_http2_stream_must_name_the_destination() {
    let secure = Secure::start().await;
    let stream = secure.tunnel("localhost", &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let body = http_body_util::Empty::<bytes::Bytes>::new;
    let authority = secure.authority.clone();
    for (uri, host, status) in [
        (format!("https://{authority}/v1/x"), None, 200),
        (format!("https://{authority}/v1/x"), Some(authority.clone()), 200),
        (format!("https://{authority}/v1/x"), Some("other.example".to_owned()), 421),
        ("https://other.example/v1/x".to_owned(), None, 421),
        (format!("http://{authority}/v1/x"), None, 421),
        (format!("https://{authority}/v1/../x"), None, 400),
    ] {
        let mut request = http::Request::builder().uri(&uri);
        if let Some(host) = &host {
            request = request.header("Host", host);
        }
        let answer = client.send_request(request.body(body()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{uri} {host:?}");
    }
    assert_eq!(secure.received().len(), 2);
}

#[tokio::test]
async fn tls_to_a_host_without_https_credentials_gets_an_alert() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let mut raw = forward(&scene.server).await;
    assert_eq!(raw.ask(connect(host(&origin), &basic(&scene.agent))).await.status, 200);
    // A record that says it is a handshake and holds none.
    raw.try_send([0x16, 3, 1, 0, 4, 1, 0, 0, 0]).await;
    raw.end().await;
    assert!(origin.received().is_empty());
}

#[tokio::test]
async fn destinations_and_the_certificate_are_described() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let get = |what: &str| scene.server.get(&format!("/v1/proxy/{what}")).key(&scene.agent);
    let found = get("destinations").send().await.is(200).json();
    let providers = json!({ scene.id.as_str(): "acme" });
    let hosts = json!([{"host": origin.base, "credentials": [scene.id]}]);
    assert_eq!(found, json!({"destinations": hosts, "providers": providers}));
    let pem = get("ca.pem").send().await.is(200).text();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && !pem.contains("PRIVATE"), "{pem}");
    assert_eq!(pem, scene.server.broker.proxy_ca().await.unwrap().pem());
    for what in ["destinations", "ca.pem"] {
        let path = format!("/v1/proxy/{what}");
        scene.server.get(&path).key(&scene.server.key).send().await.is(403);
        let head = scene.server.ask(Method::HEAD, &path).key(&scene.agent).send().await.is(200);
        assert!(head.header("X-Request-Id").is_some() && head.header("Strongroom-Request-Id").is_none());
        let (length, whole) = (head.header("Content-Length").unwrap().to_owned(), get(what).send().await);
        assert_eq!((head.text(), length), (String::new(), whole.text().len().to_string()), "{what}");
        for method in [Method::POST, Method::DELETE, Method::OPTIONS] {
            let refused = scene.server.ask(method, &path).key(&scene.agent).send().await.is(405);
            assert_eq!(refused.header("Allow"), Some("GET, HEAD"), "{what}");
        }
    }
    assert_eq!(audited(&scene.server, "proxy_ca.create").len(), 1);
}

#[tokio::test]
async fn websocket_passes_in_a_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::at(format!("http://{}", listener.local_addr().unwrap()));
    let scene = Scene::new(&origin, BEARER).await;
    let mut raw = forward(&scene.server).await;
    assert_eq!(raw.ask(connect(host(&origin), &basic(&scene.agent))).await.status, 200);
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    raw.send(format!("GET /v1/ws HTTP/1.1\r\nHost: {}\r\n{handshake}", host(&origin))).await;
    let (mut socket, _) = listener.accept().await.unwrap();
    let request = peers::read_request(&mut socket).await;
    assert_eq!(values(&request, "Authorization"), [format!("Bearer {SECRET}")]);
    let accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";
    socket.write_all(accepted.as_bytes()).await.unwrap();
    assert_eq!(raw.answer().await.unwrap().status, 101);
    raw.send("ping").await;
    let mut ping = [0; 4];
    socket.read_exact(&mut ping).await.unwrap();
    assert_eq!(&ping, b"ping");
    drop(socket);
    assert_eq!(raw.end().await, "hello");
}
