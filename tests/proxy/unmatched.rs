//! Hosts to which no credential of the key is bound: plain tunnels, and requests that are passed on
//! without a credential.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::egress::{EgressLimits, Lookup};
use strongroom::http::Limits;
use strongroom::permission::{Permission, Permissions};
use strongroom::vault::{ApiKey, ApiKeyUpdate, AuditContext, Unmatched};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::forward::{basic, connect, forward};
use crate::origin::{BEARER, Origin, SECRET, Scene, audited, response, values};
use crate::support::provider::peers;
use crate::support::raw::Answer;
use crate::support::{Server, Setup};

/// Settings with which tunnels may reach loopback addresses.
pub const TUNNELS: &str = "[proxy]\nallow_private = [\"127.0.0.0/8\"]";

/// A host without a credential, and a scene whose credential is for another host.
async fn scene_within(limits: Limits, more: &str) -> (TcpListener, Scene) {
    let origin = Origin::at("http://127.0.0.1:9".to_owned());
    let section = format!("{BEARER}\n{TUNNELS}\n{more}");
    let scene = Scene::on(origin.server_within(&section, limits).await, SECRET).await;
    allow(&scene).await;
    (TcpListener::bind("127.0.0.2:0").await.unwrap(), scene)
}

async fn scene() -> (TcpListener, Scene) {
    scene_within(Limits::default(), "").await
}

/// Lets the agent's key reach hosts without a credential.
pub async fn allow(scene: &Scene) {
    update(scene, tunnelling()).await;
}

fn tunnelling() -> ApiKeyUpdate {
    ApiKeyUpdate { unmatched: Some(Unmatched::Tunnel), ..ApiKeyUpdate::default() }
}

fn key_of(server: &Server, text: &str) -> Arc<ApiKey> {
    server.vault.api_keys().authenticate(text).unwrap().unwrap()
}

async fn update(scene: &Scene, update: ApiKeyUpdate) {
    let id = key_of(&scene.server, &scene.agent).id;
    scene.server.vault.api_keys().update(id, update, &AuditContext::command_line()).await.unwrap().unwrap();
}

async fn add_grant(scene: &Scene, mut body: Value) {
    body["key"] = json!(key_of(&scene.server, &scene.agent).id.to_string());
    let admin = scene.server.service_key_with(&[], &[Permission::Admin]).await;
    scene.server.post("/v1/grants").key(&admin).json(&body).send().await.is(201);
}

async fn ask_connect(scene: &Scene, authority: &str) -> Answer {
    forward(&scene.server).await.ask(connect(authority, &basic(&scene.agent))).await
}

fn is_refused(answer: &Answer, about: &str) {
    assert_eq!(answer.status, 403, "{about}: {answer:?}");
    assert!(answer.head.contains("strongroom-problem: /problems/destination-not-allowed"), "{about}: {answer:?}");
}

/// Opens a tunnel: the ends of the caller and of the host.
async fn tunnel(scene: &Scene, host: &TcpListener) -> (TcpStream, TcpStream) {
    let mut caller = TcpStream::connect(scene.server.forward).await.unwrap();
    let request = connect(&host.local_addr().unwrap().to_string(), &basic(&scene.agent));
    caller.write_all(request.as_bytes()).await.unwrap();
    let (there, _) = host.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(caller.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
    (caller, there)
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    let mut read = vec![0; bytes.len()];
    let reading = tokio::time::timeout(Duration::from_secs(20), to.read_exact(&mut read)).await;
    reading.expect("the bytes arrive").unwrap();
    assert_eq!(read, bytes);
}

async fn is_ended(mut stream: TcpStream) {
    let mut buffer = [0; 16];
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer)).await;
    assert!(matches!(ended.expect("the connection ends"), Ok(0) | Err(_)));
}

#[tokio::test]
async fn tunnel_passes_bytes_unchanged() {
    let (host, scene) = scene().await;
    let (mut caller, mut there) = tunnel(&scene, &host).await;
    // TLS, HTTP and any other bytes alike.
    let long = vec![7; 100_000];
    for bytes in [&b"\x16\x03\x01\x00\x00"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x00\xff", &long] {
        passes(&mut caller, &mut there, bytes).await;
        passes(&mut there, &mut caller, bytes).await;
    }
    let row = format!("CONNECT {}", host.local_addr().unwrap());
    assert_eq!(audited(&scene.server, "proxy.request"), [json!(row)]);
    assert!(audited(&scene.server, "proxy.refuse").is_empty());
}

#[tokio::test]
async fn bytes_behind_the_request_pass() {
    let (host, scene) = scene().await;
    let mut caller = TcpStream::connect(scene.server.forward).await.unwrap();
    let request = connect(&host.local_addr().unwrap().to_string(), &basic(&scene.agent));
    caller.write_all(format!("{request}early").as_bytes()).await.unwrap();
    let (mut there, _) = host.accept().await.unwrap();
    let mut early = [0; 5];
    there.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early");
}

#[tokio::test]
async fn end_of_one_direction_passes_on() {
    let (host, scene) = scene().await;
    for caller_ends_first in [true, false] {
        let (mut caller, mut there) = tunnel(&scene, &host).await;
        let (first, second) = if caller_ends_first { (&mut caller, &mut there) } else { (&mut there, &mut caller) };
        passes(first, second, b"the last bytes").await;
        first.shutdown().await.unwrap();
        assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0, "the end arrives");
        // The other direction goes on.
        let answer = vec![5; 3_000_000];
        let writing = async {
            second.write_all(&answer).await.unwrap();
            second.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let ((), length) = tokio::join!(writing, first.read_to_end(&mut read));
        assert_eq!((length.unwrap(), read == answer), (answer.len(), true));
    }
}

#[tokio::test]
async fn key_without_the_setting_reaches_no_other_host() {
    let (host, scene) = scene().await;
    let address = host.local_addr().unwrap();
    let refuse = ApiKeyUpdate { unmatched: Some(Unmatched::Refuse), ..ApiKeyUpdate::default() };
    update(&scene, refuse).await;
    is_refused(&ask_connect(&scene, &address.to_string()).await, "CONNECT");
    let get = format!("GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\n{}\r\n", basic(&scene.agent));
    is_refused(&forward(&scene.server).await.ask(get).await, "absolute form");
    assert!(audited(&scene.server, "proxy.request").is_empty());
    assert_eq!(audited(&scene.server, "proxy.refuse").len(), 2);
}

#[tokio::test]
async fn host_of_a_credential_is_never_a_tunnel() {
    let (host, scene) = scene().await;
    let port = host.local_addr().unwrap().port();
    let key = basic(&scene.agent);
    let other = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = other.local_addr().unwrap();
    // Another port, another scheme, and cleartext.
    is_refused(&ask_connect(&scene, &at.to_string()).await, "another port");
    is_refused(&ask_connect(&scene, "127.0.0.1:80").await, "port 80");
    for url in [format!("http://{at}/"), "https://127.0.0.1:9/".to_owned(), "https://127.0.0.2/".to_owned()] {
        let (scheme, host) = url.trim_end_matches('/').split_once("://").unwrap();
        let get = format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n{key}\r\n");
        is_refused(&forward(&scene.server).await.ask(get).await, scheme);
    }
    // A credential is named, but is for another host.
    let named = format!("{key}Strongroom-Credential: {}\r\n", scene.id);
    let get = format!("GET http://127.0.0.2:{port}/ HTTP/1.1\r\nHost: 127.0.0.2:{port}\r\n{named}\r\n");
    is_refused(&forward(&scene.server).await.ask(get).await, "named");
    // Whatever its state is: denied, expired, or of unknown host.
    let create = async |provider: &str, body: Value| {
        let path = format!("/v1/integrations/{provider}/credentials");
        scene.server.post(&path).key(&scene.server.key).json(&body).send().await.is(201);
    };
    create("zendesk", json!({"type": "api_key", "api_key": "k", "title": "t"})).await;
    is_refused(&ask_connect(&scene, "acme.zendesk.com:443").await, "destination unknown");
    create("openai", json!({"type": "api_key", "api_key": "sk-k", "title": "t", "expires_at": 1})).await;
    assert_eq!(ask_connect(&scene, "api.openai.com:443").await.status, 200, "a broken one is 409 in its own tunnel");
    add_grant(&scene, json!({"effect": "deny", "providers": ["openai"]})).await;
    is_refused(&ask_connect(&scene, "api.openai.com:443").await, "denied");
    is_refused(&ask_connect(&scene, "api.openai.com:8443").await, "denied, another port");
    // A grant alone binds a host too.
    add_grant(&scene, json!({"effect": "deny", "providers": ["github"]})).await;
    is_refused(&ask_connect(&scene, "api.github.com:443").await, "provider of a grant");
    add_grant(&scene, json!({"effect": "allow", "hosts": ["127.0.0.2:1"]})).await;
    is_refused(&ask_connect(&scene, &format!("127.0.0.2:{port}")).await, "host of a grant");
    assert!(audited(&scene.server, "proxy.request").is_empty());
}

#[tokio::test]
async fn guard_judges_the_dialled_address() {
    let lookup: Lookup = Arc::new(|name| {
        Box::pin(async move {
            Ok(vec![if name == "private.example" { [10, 0, 0, 1].into() } else { [169, 254, 169, 254].into() }])
        })
    });
    let egress = (EgressLimits::default(), Some(lookup));
    // What the operator allows for providers is not for hosts that callers name.
    let config = "[egress]\nallow = [\"10.0.0.0/8\"]\n[proxy]\nallow_private = [\"127.0.0.0/8\"]".to_owned();
    let server = Server::with(Setup { config, egress, ..Setup::default() }).await;
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    let scene = Scene { server, id: String::new(), agent };
    update(&scene, tunnelling()).await;
    let (api, own) = (scene.server.address, scene.server.forward);
    for authority in [
        "169.254.169.254:80",
        "10.0.0.1:443",
        "0.0.0.0:80",
        "[::ffff:10.0.0.1]:443",
        "[64:ff9b::a00:1]:443",
        "[fd00::1]:443",
        "private.example:443",
        "metadata.example:80",
        &api.to_string(),
        &own.to_string(),
    ] {
        is_refused(&ask_connect(&scene, authority).await, authority);
        let get = format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n{}\r\n", basic(&scene.agent));
        is_refused(&forward(&scene.server).await.ask(get).await, authority);
    }
    let nobody = ask_connect(&scene, "127.1.2.3:1").await;
    assert_eq!(nobody.status, 502, "allowed, but nobody listens: {nobody:?}");
}

#[tokio::test]
async fn tunnel_ends_with_the_right_to_it() {
    let none = ApiKeyUpdate::default;
    for change in ["revoke", "unmatched", "permission", "expiry", "credential", "grant"] {
        let (host, scene) = scene().await;
        let end = scene.server.clock.now().plus(Duration::from_secs(100));
        update(&scene, ApiKeyUpdate { expires_at: Some(Some(end)), ..none() }).await;
        let (mut caller, mut there) = tunnel(&scene, &host).await;
        passes(&mut caller, &mut there, b"ping").await;
        match change {
            "revoke" => {
                let id = key_of(&scene.server, &scene.agent).id;
                scene.server.vault.api_keys().revoke(id, &AuditContext::command_line()).await.unwrap();
            }
            "unmatched" => update(&scene, ApiKeyUpdate { unmatched: Some(Unmatched::Refuse), ..none() }).await,
            "permission" => {
                let permissions = Some(Permissions::from_iter([Permission::ReadIntegrations]));
                update(&scene, ApiKeyUpdate { permissions, ..none() }).await;
                let permissions = Some(Permissions::from_iter([Permission::ProxyIntegrations]));
                update(&scene, ApiKeyUpdate { permissions, ..none() }).await;
                let key = key_of(&scene.server, &scene.agent);
                assert_eq!(key.unmatched, Unmatched::Refuse, "it does not come back with the permission");
            }
            "expiry" => scene.server.clock.advance(Duration::from_secs(100)),
            "credential" => {
                let body = json!({"type": "host_scoped", "host": "127.0.0.2", "headers": {"A": "b"}, "title": "t"});
                let path = "/v1/integrations/http/credentials";
                scene.server.post(path).key(&scene.server.key).json(&body).send().await.is(201);
            }
            _ => add_grant(&scene, json!({"effect": "deny", "hosts": ["http://127.0.0.2"]})).await,
        }
        is_ended(caller).await;
        is_ended(there).await;
    }
}

#[tokio::test]
async fn request_to_another_host_is_passed_on_without_a_credential() {
    let (host, scene) = scene().await;
    let address = host.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = host.accept().await.unwrap();
        let request = peers::read_request(&mut stream).await;
        let headers = "Set-Cookie: a=b\r\nStrongroom-Problem: x\r\nProxy-Authenticate: Basic\r\n";
        stream.write_all(response("201 Created", headers, "made").as_bytes()).await.unwrap();
        request
    });
    let mine = "Authorization: Bearer mine\r\nCookie: c=mine\r\nProxy-Connection: keep-alive\r\nX-Gone: 1\r\n\
                Strongroom-Other: x\r\nConnection: X-Gone, keep-alive\r\nTE: trailers\r\nX-Forwarded-For: 10.0.0.1\r\n";
    let head = format!("POST http://{address}/a/b?q=%2F HTTP/1.1\r\nHost: {address}\r\n{}{mine}", basic(&scene.agent));
    let answer = forward(&scene.server).await.ask(format!("{head}Content-Length: 4\r\n\r\nbody")).await;
    assert_eq!((answer.status, answer.body.as_str()), (201, "made"), "{answer:?}");
    assert!(answer.head.contains("set-cookie: a=b") && answer.head.contains("strongroom-request-id"), "{answer:?}");
    assert!(!answer.head.contains("strongroom-problem") && !answer.head.contains("proxy-"), "{answer:?}");
    let sent = answering.await.unwrap();
    assert!(sent.starts_with("POST /a/b?q=%2F HTTP/1.1\r\n") && sent.ends_with("\r\n\r\nbody"), "{sent}");
    assert_eq!(values(&sent, "Host"), [address.to_string()]);
    assert_eq!(values(&sent, "Authorization"), ["Bearer mine"]);
    assert_eq!(values(&sent, "Cookie"), ["c=mine"]);
    assert_eq!(values(&sent, "X-Forwarded-For"), ["10.0.0.1"]);
    for gone in ["Proxy-Authorization", "Proxy-Connection", "Strongroom-Other", "X-Gone", "Connection"] {
        assert!(values(&sent, gone).is_empty(), "{gone}: {sent}");
    }
    assert!(!sent.contains(SECRET) && !sent.contains("srk_"), "{sent}");
    assert_eq!(audited(&scene.server, "proxy.request"), [json!(format!("POST {address}/a/b"))]);
    let trace = format!("TRACE http://{address}/ HTTP/1.1\r\nHost: {address}\r\n{}\r\n", basic(&scene.agent));
    assert_eq!(forward(&scene.server).await.ask(trace).await.status, 405);
}

#[tokio::test]
async fn tunnels_are_counted_by_key_and_in_all() {
    for (limits, status) in [
        (Limits { proxied_per_key: 2, ..Limits::default() }, 429),
        (Limits { connections: 4, ..Limits::default() }, 503),
    ] {
        let (host, scene) = scene_within(limits, "").await;
        let authority = host.local_addr().unwrap().to_string();
        let (first, _second) = (tunnel(&scene, &host).await, tunnel(&scene, &host).await);
        let answer = ask_connect(&scene, &authority).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.head.contains("retry-after: ") && answer.body.contains("tunnels"), "{answer:?}");
        assert_eq!(audited(&scene.server, "proxy.request").len(), 2, "the third has no row");
        drop(first);
        let opened = async {
            while ask_connect(&scene, &authority).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), opened).await.expect("its place is free again");
    }
}

#[tokio::test]
async fn idle_tunnel_ends() {
    let (host, scene) = scene_within(Limits::default(), "idle_timeout = \"1s\"").await;
    let (mut caller, mut there) = tunnel(&scene, &host).await;
    passes(&mut caller, &mut there, b"ping").await;
    is_ended(caller).await;
    is_ended(there).await;
}

#[tokio::test]
async fn idle_tunnel_does_not_delay_a_stop() {
    let (host, mut scene) = scene().await;
    let (mut caller, mut there) = tunnel(&scene, &host).await;
    passes(&mut caller, &mut there, b"ping").await;
    tokio::time::timeout(Duration::from_secs(10), scene.server.stop()).await.expect("it stops early").unwrap();
    is_ended(caller).await;
    is_ended(there).await;
}

#[tokio::test]
async fn tunnels_need_the_permission_to_send() {
    let (_, scene) = scene().await;
    let server = &scene.server;
    let key = key_of(server, &server.key);
    let refused = server.vault.api_keys().update(key.id, tunnelling(), &AuditContext::command_line()).await.unwrap();
    assert!(refused.unwrap_err().to_string().contains("PROXY_INTEGRATIONS"));
}
