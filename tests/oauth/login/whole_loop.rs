//! The mission, end to end: connect an account at a real authorization server, list it, delete it, see the token dead.

use crate::support::Server;
use crate::support::flow::CALLBACK;
use serde_json::{Value, json};

#[tokio::test]
async fn account_is_connected_listed_and_revoked() {
    let server = Server::start().await;
    let started = server.initiate("sandbox").await;
    assert!(started.login_url.contains(&format!("state={}", started.state)));
    assert!(started.login_url.contains("code_challenge_method=S256"));
    assert_eq!(started.expires_at, server.clock.now().0 + 600);

    let callback = server.log_in(&started).await;
    let completed = server.complete("sandbox", &callback).await.is(200).json();
    let id = completed["credentials_id"].as_str().unwrap().to_owned();
    assert_eq!(completed["provider"], "sandbox");
    assert_eq!(completed["type"], "oauth2");
    assert_eq!(completed["state_metadata"], json!({"from": "the test"}));
    assert!(completed["username"].is_string() && completed["scopes"].is_array());
    assert!(completed.get("missing_scopes").is_none());

    let listed = server.get("/v1/integrations/credentials").key(&server.key).send().await.is(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let fields: Vec<&String> = listed[0].as_object().unwrap().keys().collect();
    let mut expected = ["host", "id", "is_managed", "provider", "scopes", "status", "title", "type", "username"];
    expected.sort_unstable();
    let mut sorted: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(listed[0]["id"], id.as_str());
    assert_eq!(listed[0]["host"], Value::Null);
    assert_eq!(listed[0]["is_managed"], false);
    assert_eq!(listed[0]["status"], "active");

    assert_eq!(server.sandbox.live_grants(), 1);
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    let deleted = server.delete(&path).key(&server.key).send().await.is(200).json();
    assert_eq!(deleted, json!({"deleted": true, "credentials_id": id, "revoked": true}));
    assert_eq!(server.sandbox.live_grants(), 0);
    assert_eq!(server.list().await, json!([]));
}

#[tokio::test]
async fn grant_of_another_credential_is_not_revoked() {
    let server = Server::start().await;
    let first = server.connect("sandbox").await;
    let second = server.connect("sandbox").await;
    assert_ne!(first, second, "every complete makes a new credential");
    let delete =
        |id: &str| server.delete(&format!("/v1/integrations/sandbox/credentials/{id}")).key(&server.key).send();
    assert_eq!(delete(&first).await.is(200).json()["revoked"], Value::Null);
    assert_eq!(delete(&second).await.is(200).json()["revoked"], true);
}

#[tokio::test]
async fn failed_revocation_deletes_and_is_retried() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    server.sandbox_fails_revocations(true);
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    assert_eq!(server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"], false);
    assert_eq!(server.list().await, json!([]));
    server.sandbox_fails_revocations(false);
    server.clock.advance(std::time::Duration::from_secs(31));
    assert_eq!(server.broker.retry_revocations().await.unwrap(), 1);
    assert_eq!(server.sandbox.live_grants(), 0);
    assert_eq!(server.broker.retry_revocations().await.unwrap(), 0, "a confirmed revocation leaves the queue");
}

#[tokio::test]
async fn reconnected_credential_keeps_its_id() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let body = json!({"callback_url": CALLBACK, "credential_id": id});
    let started = server.initiate_with("sandbox", &body).await;
    let callback = server.log_in(&started).await;
    let completed = server.complete("sandbox", &callback).await.is(200).json();
    assert_eq!(completed["credentials_id"], id.as_str());
    assert_eq!(server.list().await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn missing_scopes_are_named() {
    let server = Server::start().await;
    server.sandbox_grants_only(&["profile"]);
    let body = json!({"callback_url": CALLBACK, "scopes": ["profile", "write"]});
    let started = server.initiate_with("sandbox", &body).await;
    let callback = server.log_in(&started).await;
    let completed = server.complete("sandbox", &callback).await.is(200).json();
    assert_eq!(completed["scopes"], json!(["profile"]));
    assert_eq!(completed["missing_scopes"], json!(["write"]));
}

#[tokio::test]
async fn two_completes_of_one_state_send_one_token_request() {
    let server = Server::start().await;
    for _ in 0..20 {
        let started = server.initiate("sandbox").await;
        let callback = server.log_in(&started).await;
        let before = server.token_requests();
        let (a, b) = tokio::join!(server.complete("sandbox", &callback), server.complete("sandbox", &callback));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        assert_eq!(server.token_requests() - before, 1);
    }
}

#[tokio::test]
async fn hung_up_caller_leaves_nothing_half_done() {
    let server = Server::start().await;
    let started = server.initiate("sandbox").await;
    let callback = server.log_in(&started).await;
    server.sandbox_holds_token_answers(true);
    let hung_up = tokio::time::timeout(std::time::Duration::from_millis(300), server.complete("sandbox", &callback));
    assert!(hung_up.await.is_err(), "the caller gave up while the provider was still thinking");
    server.sandbox_holds_token_answers(false);
    crate::support::eventually("the credential is stored all the same", async || {
        server.list().await.as_array().unwrap().len() == 1
    })
    .await;
}

#[tokio::test]
async fn wrong_iss_consumes_the_state_and_sends_nothing() {
    let server = Server::start().await;
    let started = server.initiate("sandbox").await;
    let mut callback = server.log_in(&started).await;
    callback.params.insert("iss".into(), "https://honest.example".into());
    let reply = server.complete("sandbox", &callback).await.is(400);
    assert_eq!(reply.detail(), "Invalid or expired state token");
    callback.params.clear();
    server.complete("sandbox", &callback).await.is(400);
    assert_eq!(server.token_requests(), 0);
}

#[tokio::test]
async fn announced_iss_may_be_absent_without_callback_params() {
    let server = Server::start().await;
    let started = server.initiate("sandbox").await;
    let mut callback = server.log_in(&started).await;
    callback.params.remove("iss");
    callback.params.insert("session".into(), "x".into());
    server.complete("sandbox", &callback).await.is(400);

    let started = server.initiate("sandbox").await;
    let callback = server.log_in(&started).await;
    let body = json!({"code": callback.code, "state_token": callback.state});
    server.post("/v1/integrations/sandbox/oauth/complete").key(&server.key).json(&body).send().await.is(200);
}

#[tokio::test]
async fn other_kinds_are_listed_without_their_secrets() {
    let server = Server::start().await;
    let bodies = [
        ("openai", json!({"type": "api_key", "api_key": "sk-1", "title": "key", "expires_at": "1900000000"})),
        ("smtp", json!({"type": "user_password", "username": "me@x", "password": "pw", "title": ""})),
        ("http", json!({"type": "host_scoped", "host": "*.Example.com:8443", "headers": {"X-K": "v"}, "title": "h"})),
        ("github", json!({"type": "api_key", "api_key": "ghp_1", "title": "pat", "expires_at": 1_900_000_000.0})),
    ];
    for (provider, body) in &bodies {
        let path = format!("/v1/integrations/{provider}/credentials");
        let created = server.post(&path).key(&server.key).json(body).send().await.is(201).json();
        assert_eq!(created["provider"], *provider);
        assert_eq!(created["type"], body["type"]);
        assert_eq!(created["title"], body["title"]);
        assert_eq!(created.as_object().unwrap().len(), 4);
    }
    let listed = server.list().await;
    let providers: Vec<&str> = listed.as_array().unwrap().iter().map(|c| c["provider"].as_str().unwrap()).collect();
    assert_eq!(providers, ["openai", "smtp", "http", "github"], "oldest first");
    assert_eq!(listed[2]["host"], "*.Example.com:8443", "shown exactly as given");
    for credential in listed.as_array().unwrap() {
        assert_eq!((&credential["scopes"], &credential["username"]), (&Value::Null, &Value::Null));
    }
    assert!(!listed.to_string().contains("me@x"));
    let one = server.get("/v1/integrations/smtp/credentials").key(&server.key).send().await.is(200).json();
    assert_eq!(one.as_array().unwrap().len(), 1);
    let none = server.get("/v1/integrations/nowhere/credentials").key(&server.key).send().await.is(200).json();
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn lists_are_paged() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(server.create_api_key_credential("openai").await);
    }
    let (mut path, mut seen) = ("/v1/integrations/credentials?limit=2".to_owned(), Vec::new());
    loop {
        let page = server.get(&path).key(&server.key).send().await.is(200);
        seen.extend(page.json().as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()));
        let Some(link) = page.header("Link") else { break };
        let target = link.split(['<', '>']).nth(1).unwrap();
        assert!(link.ends_with("rel=\"next\""));
        path = target.strip_prefix(&server.url).unwrap_or(target).to_owned();
    }
    assert_eq!(seen, ids);
    server.get("/v1/integrations/credentials?limit=0").key(&server.key).send().await.is(422);
    server.get("/v1/integrations/credentials?limit=x").key(&server.key).send().await.is(422);
}

#[tokio::test]
async fn providers_are_sorted_and_complete() {
    let server = Server::start().await;
    let list = server.get("/v1/integrations/providers").key(&server.key).send().await.is(200).json();
    let list = list.as_array().unwrap();
    let names: Vec<&str> = list.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"sandbox") && names.len() > 60, "{names:?}");
    for provider in list {
        let kinds = ["supports_oauth", "supports_api_key", "supports_user_password", "supports_host_scoped"];
        assert!(kinds.iter().all(|kind| provider[kind].is_boolean()), "{provider}");
        // That those which clients of the original know take API keys is held in src/catalog/entries_tests.rs.
        assert!(kinds.iter().any(|kind| provider[kind] == true), "{provider}");
        assert!(provider["default_scopes"].is_array());
    }
}
