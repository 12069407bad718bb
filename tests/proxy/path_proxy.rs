//! The path proxy: what an origin receives, what a caller receives, and what is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;
use std::time::Duration;
use strongroom::http::Limits;
use strongroom::permission::Permission;
use strongroom::vault::AuditContext;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::origin::{BEARER, Origin, SECRET, Scene, audited, response, values};
use crate::support::{Server, Setup};

#[tokio::test]
async fn origin_gets_the_secret_and_the_caller_does_not() {
    let origin = Origin::start(|_| response("201 Created", "X-Origin: yes\r\n", "fine")).await;
    let scene = Scene::new(&origin, BEARER).await;
    let ask = scene.ask(Method::POST, "/things?a=1&b=%2F").key(&scene.agent);
    let reply = ask.header("X-Custom", "kept").bytes("the body").send().await.is(201);
    assert_eq!((reply.text().as_str(), reply.header("X-Origin")), ("fine", Some("yes")));
    assert!(reply.header("Strongroom-Request-Id").is_some() && reply.header("X-Request-Id").is_none());
    let request = origin.only();
    assert!(request.starts_with("POST /v1/things?a=1&b=%2F HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nthe body"), "{request}");
    assert_eq!(origin.header("Authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(origin.header("X-Custom"), ["kept"]);
    assert_eq!(origin.header("Host"), [origin.base.trim_start_matches("http://")]);
    assert!(!request.contains("srk_"), "the caller's key stays here: {request}");
    let host = origin.base.trim_start_matches("http://").to_owned();
    assert_eq!(audited(&scene.server, "proxy.request"), [json!(format!("POST {host}/v1/things"))]);
}

#[tokio::test]
async fn key_is_taken_from_where_sdks_put_it() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, "in = \"header\"\nname = \"X-Acme-Key\"").await;
    let basic = format!("Basic {}", STANDARD.encode(format!("user:{}", scene.agent)));
    for (name, value) in [
        ("X-API-Key", scene.agent.clone()),
        ("Authorization", format!("Bearer {}", scene.agent)),
        ("Authorization", format!("token {}", scene.agent)),
        ("Authorization", basic),
        ("X-Acme-Key", scene.agent.clone()),
    ] {
        scene.ask(Method::GET, "/").header(name, &value).send().await.is(200);
        let request = origin.received().pop().unwrap();
        assert_eq!(values(&request, "X-Acme-Key"), [SECRET], "{name}: {request}");
        assert!(values(&request, "Authorization").is_empty() && !request.contains("srk_"), "{request}");
    }
}

#[tokio::test]
async fn no_other_header_carries_a_key_to_the_origin() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let ask = scene.ask(Method::GET, "/").header("X-Other", "srk_wrong").header("X-API-Key", &scene.agent);
    ask.header("Authorization", "Bearer srk_wrong").send().await.is(200);
    assert!(!origin.only().contains("srk_"), "{}", origin.only());
}

#[tokio::test]
async fn callers_own_authentication_never_arrives() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let mut ask = scene.ask(Method::GET, "/").header("X-API-Key", &scene.agent);
    for (name, value) in [
        ("Authorization", "Bearer mine"),
        ("Cookie", "session=mine"),
        ("Proxy-Authorization", "Basic bWluZQ=="),
        ("Strongroom-User", "alice"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Connection", "authorization, x-api-key, x-dropped"),
        ("X-Dropped", "mine"),
    ] {
        if name != "Strongroom-User" {
            ask = ask.header(name, value);
        }
    }
    ask.send().await.is(200);
    let request = origin.only();
    assert_eq!(origin.header("Authorization"), [format!("Bearer {SECRET}")]);
    for name in ["Cookie", "Proxy-Authorization", "X-Forwarded-For", "X-Dropped", "X-API-Key", "Connection"] {
        assert!(values(&request, name).is_empty(), "{name}: {request}");
    }
    assert!(!request.contains("mine"), "{request}");
}

#[tokio::test]
async fn only_keys_with_the_permission_send_requests() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let others = [Permission::ReadIntegrations, Permission::UseIntegrations, Permission::ManageIntegrations];
    let other = scene.server.key_with(&others).await;
    let denied = scene.ask(Method::GET, "/").key(&other).send().await.is(403);
    assert_eq!(denied.detail(), "Missing required permission(s): PROXY_INTEGRATIONS");
    assert_eq!(denied.header("Strongroom-Problem"), Some("/problems/permission-missing"));
    assert_eq!(denied.json()["message"], denied.detail(), "SDKs show this member of an error alone");
    let anonymous = scene.ask(Method::GET, "/").send().await.is(401);
    assert_eq!(anonymous.header("WWW-Authenticate"), Some("Bearer"));
    scene.ask(Method::GET, "/").key("srk_wrong").send().await.is(401);
    let bob = scene.server.key_of("bob").await;
    scene.ask(Method::GET, "/").key(&bob).send().await.is(403);
    // The agent's key opens nothing else.
    let token = format!("/v1/integrations/acme/credentials/{}/token", scene.id);
    scene.server.get(&token).key(&scene.agent).send().await.is(403);
    assert!(origin.received().is_empty());
}

#[tokio::test]
async fn slash_at_the_end_changes_nothing() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    for path in ["/v1/proxy/destinations", "/v1/proxy/ca.pem"] {
        let plain = scene.server.get(path).key(&scene.agent).send().await.is(200);
        let slash = scene.server.get(&format!("{path}/")).key(&scene.agent).send().await.is(200);
        assert_eq!(slash.text(), plain.text());
    }
    let message = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for path in ["/mcp", "/mcp/"] {
        let answer = scene.server.post(path).key(&scene.agent).json(&message).send().await;
        assert_eq!(answer.is(200).json()["id"], 1, "{path}");
    }
}

#[tokio::test]
async fn every_problem_names_its_type_in_a_header() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let other = scene.server.key_with(&[Permission::ReadIntegrations]).await;
    for (method, path, key, status, kind) in [
        (Method::GET, "/v1/proxy/destinations", "srk_wrong", 401, "invalid-api-key"),
        (Method::GET, "/v1/proxy/ca.pem", other.as_str(), 403, "permission-missing"),
        (Method::POST, "/v1/proxy/destinations", scene.agent.as_str(), 405, "method-not-allowed"),
        (Method::GET, "/v1/proxy", scene.agent.as_str(), 404, "not-found"),
        (Method::GET, "/v1/grants?limit=x", scene.agent.as_str(), 403, "permission-missing"),
    ] {
        let answer = scene.server.ask(method, path).key(key).send().await.is(status);
        assert_eq!(answer.header("Strongroom-Problem"), Some(format!("/problems/{kind}").as_str()), "{path}");
        assert_eq!(answer.json()["type"], format!("/problems/{kind}"), "{path}");
    }
}

#[tokio::test]
async fn unclear_paths_are_refused() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    for path in
        ["/a/%2e%2e/b", "/a/.%2e/b", "/a/%252e%252e/b", "/a/..;x/b", "/a%5c..%5cb", "/a%00b", "/a%zz", "/a%2f..%2fb"]
    {
        let request = format!(
            "GET /v1/proxy/{}{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
            scene.id, scene.agent
        );
        let mut raw = scene.server.raw().await;
        raw.send(request.as_bytes()).await;
        let answer = raw.end().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(answer.contains("strongroom-problem: /problems/path-not-canonical"), "{path}: {answer}");
    }
    assert!(origin.received().is_empty());
    scene.get("/a%2Fb;c=1/d").await.is(200);
    assert!(origin.only().starts_with("GET /v1/a%2Fb;c=1/d HTTP/1.1\r\n"), "{}", origin.only());
}

#[tokio::test]
async fn other_hosts_are_refused() {
    let (origin, other) = (Origin::fine().await, Origin::fine().await);
    let scene = Scene::new(&origin, BEARER).await;
    let host = |origin: &Origin| origin.base.trim_start_matches("http://").to_owned();
    let at = |authority: &str| scene.server.get(&format!("/v1/proxy/{}@{authority}/x", scene.id)).key(&scene.agent);
    let refused = at(&host(&other)).send().await.is(403).json();
    assert_eq!(refused["type"], "/problems/destination-not-allowed");
    at("user@evil.example").send().await.is(400);
    at("127.0.0.1").send().await.is(403);
    assert!(other.received().is_empty() && origin.received().is_empty());
    // The whole path is the caller's if it names the host.
    at(&host(&origin)).send().await.is(200);
    assert!(origin.only().starts_with("GET /x HTTP/1.1\r\n"));
    assert_eq!(audited(&scene.server, "proxy.refuse").len(), 2);
}

#[tokio::test]
async fn listed_host_of_http_needs_no_scheme() {
    let (origin, other) = (Origin::fine().await, Origin::fine().await);
    let scene = Scene::new(&origin, &format!("{BEARER}\n[[providers.acme.hosts]]\nhost = \"{}\"", other.base)).await;
    let authority = other.base.trim_start_matches("http://");
    let path = format!("/v1/proxy/{}@{authority}/x", scene.id);
    scene.server.get(&path).key(&scene.agent).send().await.is(200);
    assert_eq!(other.header("Authorization"), [format!("Bearer {SECRET}")]);
    assert!(origin.received().is_empty());
}

#[tokio::test]
async fn methods_that_echo_or_tunnel_are_refused() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    for method in ["TRACE", "TRACK"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let refused = scene.ask(method, "/").key(&scene.agent).send().await.is(405);
        assert_eq!(refused.header("Allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    assert!(origin.received().is_empty());
    let head = scene.ask(Method::HEAD, "/").key(&scene.agent).send().await.is(200);
    assert!(head.body.is_empty() && origin.only().starts_with("HEAD /v1/ "), "{}", origin.only());
}

#[tokio::test]
async fn redirects_pass_and_cookies_do_not() {
    let headers = "Location: https://evil.example/\r\nSet-Cookie: session=1\r\nAlt-Svc: h3=\":443\"\r\n\
                   Strongroom-Problem: /problems/faked\r\n";
    let origin = Origin::start(move |_| response("302 Found", headers, "")).await;
    let scene = Scene::new(&origin, BEARER).await;
    let reply = scene.get("/").await.is(302);
    assert_eq!(reply.header("Location"), Some("https://evil.example/"));
    assert!(reply.header("Set-Cookie").is_none() && reply.header("Alt-Svc").is_none());
    assert!(reply.header("Strongroom-Problem").is_none(), "only answers of our own have one");
    assert_eq!(origin.received().len(), 1);
}

#[tokio::test]
async fn secret_in_an_answer_is_masked() {
    let echo = |request: &str| {
        let sent = values(request, "Authorization").join("");
        let body = format!("{{\"error\":\"bad key {sent}\"}}");
        response("400 Bad Request", &format!("X-Echo: {sent}\r\n"), &body)
    };
    let origin = Origin::start(echo).await;
    let scene = Scene::new(&origin, BEARER).await;
    let reply = scene.get("/").await.is(400);
    let stars = "*".repeat(SECRET.len());
    assert_eq!(reply.text(), format!("{{\"error\":\"bad key Bearer {stars}\"}}"));
    assert_eq!(reply.header("X-Echo"), Some(format!("Bearer {stars}").as_str()));
    assert_eq!(values(&origin.only(), "Accept-Encoding"), ["identity"]);
}

#[tokio::test]
async fn secret_goes_where_the_entry_says() {
    for (section, secret, line, name, value) in [
        ("in = \"query\"\nname = \"key\"", "se cret/+1", "GET /v1/x?a=1&key=se%20cret%2F%2B1 ", "", ""),
        ("in = \"basic\"", "the-key", "GET /v1/x?a=1 ", "Authorization", "Basic dGhlLWtleTo="),
        ("in = \"path\"\nprefix = \"/bot\"", "123:abc", "GET /v1/bot123:abc/x?a=1 ", "", ""),
        (
            "in = \"header\"\nname = \"X-Key\"\nheaders = { X-Version = \"2\" }",
            "k1",
            "GET /v1/x?a=1 ",
            "X-Version",
            "2",
        ),
    ] {
        let origin = Origin::fine().await;
        let scene = Scene::with_key(&origin, section, secret).await;
        scene.get("/x?a=1").await.is(200);
        let request = origin.only();
        assert!(request.starts_with(line), "{section}: {request}");
        if !name.is_empty() {
            assert_eq!(values(&request, name), [value], "{request}");
        }
    }
    let origin = Origin::fine().await;
    let scene = Scene::with_key(&origin, "in = \"body\"\nname = \"token\"", "se\"cret").await;
    let ask = scene.ask(Method::POST, "/x").key(&scene.agent).json(&json!({"a": 1.50, "token": "mine"}));
    ask.send().await.is(200);
    assert!(origin.only().ends_with(r#"{"a":1.5,"token":"se\"cret"}"#), "{}", origin.only());
    let form = scene.ask(Method::POST, "/x").key(&scene.agent).bytes("not a form").send().await.is(400).json();
    assert_eq!(form["type"], "/problems/no-place-for-secret");
}

/// A server whose provider `http` may be in private networks, and a credential for this origin.
async fn host_scoped(origin: &Origin) -> (Server, String, String) {
    let config =
        "[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.http]\nallow_private = [\"127.0.0.0/8\"]\n".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let headers = json!({"X-A": "one-secret", "X-B": "two"});
    let body = json!({"type": "host_scoped", "host": origin.base, "headers": headers, "title": "t"});
    let path = "/v1/integrations/http/credentials";
    let made = server.post(path).key(&server.key).json(&body).send().await.is(201).json();
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    (server, made["id"].as_str().unwrap().to_owned(), agent)
}

#[tokio::test]
async fn host_scoped_headers_go_to_hosts_of_the_pattern() {
    let origin = Origin::fine().await;
    let (server, id, agent) = host_scoped(&origin).await;
    let path = format!("/v1/proxy/{id}");
    server.get(&format!("{path}/x")).key(&agent).header("X-A", "mine").send().await.is(200);
    assert_eq!((origin.header("X-A"), origin.header("X-B")), (vec!["one-secret".into()], vec!["two".into()]));
    server.get(&format!("{path}@127.0.0.2:1/x")).key(&agent).send().await.is(403);
}

/// Sends the head of a request with a body of 3 bytes, and waits until the server reads the body.
async fn begun(server: &Server, id: &str, agent: &str) -> TcpStream {
    let mut caller = TcpStream::connect(server.address).await.unwrap();
    let more = "Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close";
    let head = format!("POST /v1/proxy/{id}/x HTTP/1.1\r\nHost: x\r\nX-API-Key: {agent}\r\n{more}\r\n\r\n");
    caller.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    caller.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    caller
}

/// Sends the body, and returns the response.
async fn ended(mut caller: TcpStream) -> String {
    caller.write_all(b"abc").await.unwrap();
    let mut response = String::new();
    caller.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn new_secret_does_not_go_to_the_old_host() {
    let origin = Origin::fine().await;
    let (server, id, agent) = host_scoped(&origin).await;
    let caller = begun(&server, &id, &agent).await;
    let change = json!({"type": "host_scoped", "host": "https://other.example", "headers": {"X-A": "for-the-other"}});
    let path = format!("/v1/integrations/http/credentials/{id}");
    server.ask(Method::PATCH, &path).key(&server.key).json(&change).send().await.is(200);
    let response = ended(caller).await;
    assert!(response.starts_with("HTTP/1.1 409 ") && response.contains("/problems/credential-changed"), "{response}");
    assert!(origin.received().is_empty(), "{:#?}", origin.received());
}

#[tokio::test]
async fn key_revoked_during_the_body_sends_nothing() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let caller = begun(&scene.server, &scene.id, &scene.agent).await;
    let key = scene.server.vault.api_keys().authenticate(&scene.agent).unwrap().unwrap().id;
    scene.server.vault.api_keys().revoke(key, &AuditContext::system()).await.unwrap();
    let response = ended(caller).await;
    assert!(response.starts_with("HTTP/1.1 403 ") && response.contains("/problems/not-granted"), "{response}");
    assert!(origin.received().is_empty(), "{:#?}", origin.received());
}

#[tokio::test]
async fn held_body_must_arrive_in_time() {
    let origin = Origin::fine().await;
    let limits = Limits { body_time: Duration::from_millis(1), ..Limits::default() };
    let scene = Scene::on(origin.server_within(BEARER, limits).await, SECRET).await;
    let mut caller = begun(&scene.server, &scene.id, &scene.agent).await;
    let mut response = String::new();
    caller.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 408 ") && response.contains("/problems/request-timeout"), "{response}");
    assert!(origin.received().is_empty());
}
