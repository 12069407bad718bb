//! The MCP server: both eras, its tools, and what is refused.

use http::Method;
use serde_json::{Value, json};
use strongroom::http::{Limits, Settings};
use strongroom::permission::Permission;

use crate::origin::{BEARER, Origin, SECRET, Scene, audited, response};
use crate::support::http::{Ask, Reply};
use crate::support::{Server, Setup};

fn post(server: &Server, body: &Value) -> Ask {
    server.post("/mcp").header("Accept", "application/json, text/event-stream").json(body)
}

fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// Sends a message as a client of 2025-11-25.
async fn legacy(scene: &Scene, method: &str, params: Value) -> Reply {
    let bearer = format!("Bearer {}", scene.agent);
    post(&scene.server, &request(method, &params)).header("Authorization", &bearer).send().await
}

/// Calls a tool as a client of 2026-07-28. Returns its text as JSON, and true if it is an error.
pub async fn call(scene: &Scene, name: &str, arguments: Value) -> (Value, bool) {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    let message = request("tools/call", &json!({"name": name, "arguments": arguments, "_meta": meta}));
    let ask = post(&scene.server, &message).key(&scene.agent).header("MCP-Protocol-Version", "2026-07-28");
    let reply = ask.header("Mcp-Method", "tools/call").header("Mcp-Name", name).send().await.is(200);
    assert!(!reply.text().contains(SECRET), "{}", reply.text());
    let result = reply.json()["result"].clone();
    assert_eq!(result["resultType"], "complete", "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    (serde_json::from_str(text).unwrap(), result["isError"].as_bool().unwrap())
}

fn values(request: &str, name: &str) -> Vec<String> {
    crate::origin::values(request, name)
}

#[tokio::test]
async fn tools_send_requests_with_the_secret() {
    let origin = Origin::start(|_| response("200 OK", "X-RateLimit-Left: 4\r\nX-Other: no\r\n", "h\u{e9}")).await;
    let scene = Scene::new(&origin, BEARER).await;
    let (listed, _) = call(&scene, "list_credentials", json!({})).await;
    let [credential] = &listed["credentials"].as_array().unwrap()[..] else { panic!("{listed}") };
    let host = origin.base.trim_start_matches("http://");
    let expected = json!({"id": scene.id, "provider": "acme", "title": "t", "base_url": format!("{}/v1", origin.base),
        "hosts": [host], "status": "active"});
    assert_eq!(credential, &expected);
    let arguments =
        json!({"credential": scene.id, "path": "/user", "query": {"a": "b c"}, "headers": {"Authorization": "mine"}});
    let (got, is_error) = call(&scene, "http_get", arguments).await;
    assert!(!is_error, "{got}");
    assert_eq!((&got["status"], &got["body"], &got["truncated"]), (&json!(200), &json!("h\u{e9}"), &json!(false)));
    assert_eq!(got["headers"], json!({"content-type": "text/plain", "x-ratelimit-left": "4"}));
    let request = origin.only();
    assert!(request.starts_with("GET /v1/user?a=b%20c HTTP/1.1\r\n"), "{request}");
    assert_eq!(values(&request, "Authorization"), [format!("Bearer {SECRET}")]);
    assert!(!request.contains("srk_"), "{request}");
    let url = format!("{}/whole", origin.base);
    let (sent, _) =
        call(&scene, "http_send", json!({"credential": scene.id, "url": url, "method": "PUT", "body": "{\"a\":1}"}))
            .await;
    assert_eq!(sent["status"], 200);
    let request = origin.received().pop().unwrap();
    assert!(request.starts_with("PUT /whole HTTP/1.1\r\n") && request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    assert_eq!(values(&request, "Content-Type"), ["application/json"]);
    assert_eq!(audited(&scene.server, "proxy.request").len(), 2);
}

#[tokio::test]
async fn clients_with_a_handshake_are_served_without_a_session() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let opened =
        legacy(&scene, "initialize", json!({"protocolVersion": "2025-06-18", "capabilities": {}})).await.is(200);
    assert!(opened.header("Mcp-Session-Id").is_none());
    assert_eq!(opened.json()["result"]["protocolVersion"], "2025-06-18");
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let accepted = post(&scene.server, &ready).key(&scene.agent).header("Mcp-Session-Id", "x").send().await.is(202);
    assert!(accepted.body.is_empty());
    let tools = legacy(&scene, "tools/list", json!({})).await.is(200).json();
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 4);
    let params = json!({"name": "http_get", "arguments": {"credential": scene.id, "path": "/x"}});
    let called = legacy(&scene, "tools/call", params).await.is(200).json();
    assert_eq!(called["result"]["isError"], false, "{called}");
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let refused = scene.server.ask(method, "/mcp").key(&scene.agent).send().await.is(405);
        assert_eq!(refused.header("Allow"), Some("POST"));
    }
}

#[tokio::test]
async fn keys_without_the_permission_are_refused() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let list = request("tools/list", &json!({}));
    let missing = post(&scene.server, &list).send().await.is(401);
    assert_eq!(missing.header("WWW-Authenticate"), Some("Bearer"));
    post(&scene.server, &list).key("srk_wrong").send().await.is(401);
    let others = [Permission::ReadIntegrations, Permission::UseIntegrations, Permission::Admin];
    let other = scene.server.key_with(&others).await;
    let denied = post(&scene.server, &list).key(&other).send().await.is(403);
    assert_eq!(denied.json()["type"], "/problems/permission-missing");
    for path in
        ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp", "/mcp//", "/mcpx"]
    {
        scene.server.get(path).key(&scene.agent).send().await.is(404);
    }
    assert!(origin.received().is_empty());
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let ask =
        |origin: &str| post(&scene.server, &request("ping", &json!({}))).key(&scene.agent).header("Origin", origin);
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://", "x", ""] {
        let refused = ask(origin).send().await.is(403);
        assert_eq!(refused.json()["type"], "/problems/origin-not-allowed", "{origin}");
    }
    for origin in ["http://localhost:6274", "http://127.0.0.1:8484"] {
        ask(origin).send().await.is(200);
    }
    let config = "[server]\npublic_url = \"https://vault.example\"\n".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    for (origin, status) in [("https://vault.example", 200), ("http://vault.example", 403), ("http://localhost:1", 403)]
    {
        let ask = post(&server, &request("ping", &json!({}))).key(&agent);
        ask.header("Origin", origin).send().await.is(status);
    }
}

#[tokio::test]
async fn refusals_are_results_with_the_problem() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let unknown = "3f2b8c1e-0000-4000-8000-000000000000";
    for (arguments, problem) in [
        (json!({"credential": unknown, "path": "/"}), "/problems/credential-not-found"),
        (json!({"credential": scene.id, "path": "/a/%2e%2e/b"}), "/problems/path-not-canonical"),
        (json!({"credential": scene.id, "path": "/a b\r\nX: y"}), "/problems/path-not-canonical"),
        (json!({"credential": scene.id, "url": "https://evil.example/"}), "/problems/destination-not-allowed"),
        (
            json!({"credential": scene.id, "path": "/", "headers": {"X-HTTP-Method-Override": "DELETE"}}),
            "/problems/method-overridden",
        ),
    ] {
        let (result, is_error) = call(&scene, "http_get", arguments).await;
        assert!(is_error && result["detail"].is_string(), "{result}");
        assert_eq!(result["type"], problem, "{result}");
    }
    let (result, _) = call(&scene, "http_send", json!({"credential": scene.id, "path": "/", "method": "TRACE"})).await;
    assert_eq!(result["type"], "/problems/method-not-allowed");
    assert!(origin.received().is_empty());
    assert_eq!(audited(&scene.server, "proxy.refuse").len(), 1, "the other host");
    assert_eq!(audited(&scene.server, "request.refuse").len(), 1, "the unknown credential");
}

#[tokio::test]
async fn another_users_credential_does_not_exist() {
    let origin = Origin::fine().await;
    let mut scene = Scene::new(&origin, BEARER).await;
    scene.agent = scene.server.service_key_with(&["bob"], &[Permission::ProxyIntegrations]).await;
    let message = request("tools/call", &json!({"name": "list_credentials"}));
    post(&scene.server, &message).key(&scene.agent).send().await.is(400);
    let ask = |message: &Value| post(&scene.server, message).key(&scene.agent).header("Strongroom-User", "bob");
    let listed = ask(&message).send().await.is(200).text();
    assert!(!listed.contains(&scene.id), "{listed}");
    let arguments = json!({"credential": scene.id, "path": "/"});
    let message = request("tools/call", &json!({"name": "http_get", "arguments": arguments}));
    let refused = ask(&message).send().await.is(200).text();
    assert!(refused.contains("credential-not-found"), "{refused}");
    assert!(origin.received().is_empty());
}

#[tokio::test]
async fn long_bodies_are_cut_and_secrets_masked() {
    let origin = Origin::start(|request| {
        let sent = values(request, "Authorization").join("");
        response("200 OK", &format!("Location: /{SECRET}\r\n"), &format!("{sent}{}", "x".repeat(1_100_000)))
    })
    .await;
    let scene = Scene::new(&origin, BEARER).await;
    let (got, _) = call(&scene, "http_get", json!({"credential": scene.id, "path": "/"})).await;
    assert_eq!((got["truncated"].as_bool(), got["body"].as_str().unwrap().len()), (Some(true), 1_048_576));
}

#[tokio::test]
async fn largest_body_of_the_schema_is_sent() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let listed = legacy(&scene, "tools/list", json!({})).await.json();
    let bound = listed["result"]["tools"][2]["inputSchema"]["properties"]["body"]["maxLength"].as_u64().unwrap();
    let bound = usize::try_from(bound).unwrap();
    let send = async |body: &str| {
        // The longest spelling of a character: two escaped surrogates.
        let body = body.replace('\u{1f511}', "\\ud83d\\udd11");
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"http_send","arguments":{{"credential":"{}","path":"/","method":"POST","body":"{body}"}}}}}}"#,
            scene.id
        );
        scene
            .server
            .post("/mcp")
            .key(&scene.agent)
            .header("Content-Type", "application/json")
            .bytes(message)
            .send()
            .await
    };
    let key = "\u{1f511}".repeat(bound);
    let answer = send(&key).await.is(200).json();
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    assert!(origin.only().ends_with(&format!("\r\n\r\n{key}")));
    let refused = send(&format!("{key}x")).await.is(200).text();
    assert!(refused.contains(&format!("more than {bound} characters")), "{refused}");
    let refused = send(&"x".repeat(8 << 20)).await.is(413).json();
    assert_eq!(refused["limit"], 8 << 20);
    assert_eq!(origin.received().len(), 1);
}

#[tokio::test]
async fn approval_is_awaited_over_mcp() {
    let origin = Origin::fine().await;
    let scene = Scene::new(&origin, BEARER).await;
    let admin = scene.server.service_key_with(&[], &[Permission::Admin]).await;
    let agent = scene.server.vault.api_keys().authenticate(&scene.agent).unwrap().unwrap().id;
    let grant = json!({"key": agent.to_string(), "effect": "allow", "approval": "always"});
    scene.server.post("/v1/grants").key(&admin).json(&grant).send().await.is(201);
    let arguments = json!({"credential": scene.id, "path": "/x", "method": "POST", "body": "{}"});
    let (pending, is_error) = call(&scene, "http_send", arguments.clone()).await;
    assert!(is_error && pending["type"] == "/problems/approval-pending", "{pending}");
    let id = &pending["approval_id"];
    let status = async || call(&scene, "approval_status", json!({"approval_id": id})).await;
    let (asked, is_error) = status().await;
    assert!(!is_error && asked["status"] == "pending" && asked["approval_id"] == *id, "{asked}");
    assert_eq!((&asked["method"], &asked["credential"]), (&json!("POST"), &json!(scene.id)));
    let path = format!("/v1/approvals/{}/approve", id.as_str().unwrap());
    scene.server.post(&path).key(&admin).send().await.is(200);
    assert_eq!(status().await.0["status"], "approved");
    assert_eq!(call(&scene, "http_send", arguments).await.0["status"], 200);
    assert!(origin.only().contains(SECRET));
    // A used approval, one that does not exist, and that of another key have the same answer.
    let other =
        Scene { agent: scene.server.key_with(&[Permission::ProxyIntegrations, Permission::Admin]).await, ..scene };
    for id in [id.as_str().unwrap(), "3f2b8c1e-0000-4000-8000-000000000000", "x"] {
        let (refused, is_error) = call(&other, "approval_status", json!({"approval_id": id})).await;
        assert!(is_error && refused["type"] == "/problems/not-granted", "{refused}");
    }
    assert_eq!(audited(&other.server, "request.refuse").len(), 3);
}

#[tokio::test]
async fn slow_provider_is_a_result_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::at(format!("http://{}", listener.local_addr().unwrap()));
    let config = format!(
        "[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\ndisplay_name = \"Acme\"\nget_writes = true\n\
         [providers.acme.api_key]\nbase_url = \"{}/v1\"\n{BEARER}\n",
        origin.base
    );
    let limits = Limits { mcp_time: std::time::Duration::from_millis(300), ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let server = Server::with(Setup { config, settings, ..Setup::default() }).await;
    let scene = Scene::on(server, SECRET).await;
    let (result, is_error) =
        call(&scene, "http_send", json!({"credential": scene.id, "path": "/", "method": "GET"})).await;
    assert!(is_error && result["type"] == "/problems/provider-timeout", "{result}");
    assert!(result["detail"].as_str().unwrap().contains("may have been carried out"), "{result}");
    // The entry says that a GET can write.
    let (result, is_error) = call(&scene, "http_get", json!({"credential": scene.id, "path": "/"})).await;
    assert!(is_error && result["detail"].as_str().unwrap().contains("http_send"), "{result}");
}

#[tokio::test]
async fn server_is_below_the_base_path() {
    let settings = Settings { base_path: "/external-api".to_owned(), ..Settings::default() };
    let server = Server::with(Setup { settings, ..Setup::default() }).await;
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    let ask = |path: &str| server.post(path).key(&agent).json(&request("ping", &json!({})));
    ask("/external-api/mcp").send().await.is(200);
    ask("/mcp").send().await.is(404);
}
