//! The device flow as an application drives it: begin, show the code, ask until the user has decided. The provider is the
//! sandbox, which is strict about the pauses.

use std::time::Duration;

use crate::support::http::{Ask, Reply};
use crate::support::process::{Installation, sandbox, sandbox_settings};
use crate::support::{Server, Setup};
use http::Method;
use serde_json::{Value, json};
use strongroom::sandbox::{Conduct, SandboxEndpoint};

const ON: &str = "[oauth]\ndevice = true";

struct Begun {
    answer: Value,
    token: String,
}

async fn server() -> Server {
    Server::with(Setup { config: ON.to_owned(), ..Setup::default() }).await
}

async fn begin(server: &Server, body: &Value) -> Begun {
    let path = "/v1/integrations/sandbox/oauth/device/initiate";
    let answer = server.post(path).key(&server.key).json(body).send().await.is(200).json();
    let token = answer["device_token"].as_str().expect("a text").to_owned();
    Begun { answer, token }
}

async fn poll(server: &Server, token: &str) -> Reply {
    let path = "/v1/integrations/sandbox/oauth/device/poll";
    server.post(path).key(&server.key).json(&json!({"device_token": token})).send().await
}

/// The user types the code and decides.
async fn decide(begun: &Begun, decision: &str) {
    let link = begun.answer["verification_uri_complete"].as_str().expect("a link");
    Ask::new(Method::GET, format!("{link}&sandbox_decision={decision}&sandbox_user=alice")).send().await.is(200);
}

#[tokio::test]
async fn device_login_connects_an_account() {
    let server = server().await;
    let begun = begin(&server, &json!({"scopes": ["read", "write"], "state_metadata": {"from": "the tv"}})).await;
    assert_eq!(begun.answer["interval"], 5);
    assert_eq!(begun.answer["expires_at"], server.clock.now().0 + 600);
    assert!(begun.answer["verification_uri"].as_str().expect("a text").ends_with("/device"));
    let page = Ask::new(Method::GET, begun.answer["verification_uri_complete"].as_str().expect("a link").to_owned());
    assert!(page.send().await.is(200).text().contains(begun.answer["user_code"].as_str().expect("a text")));

    server.clock.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &begun.token).await.is(200).json(), json!({"status": "pending", "interval": 5}));
    decide(&begun, "approve").await;
    server.clock.advance(Duration::from_secs(5));
    let connected = poll(&server, &begun.token).await.is(200).json();
    assert_eq!((&connected["type"], &connected["username"]), (&json!("oauth2"), &json!("alice")));
    assert_eq!(connected["scopes"], json!(["read", "write"]));
    assert_eq!(connected["state_metadata"], json!({"from": "the tv"}));

    // It works once, and the credential is like any other.
    server.clock.advance(Duration::from_secs(60));
    let spent = poll(&server, &begun.token).await.is(400);
    assert_eq!(spent.json()["type"], "/problems/invalid-state");
    let listed = server.get("/v1/integrations/credentials").key(&server.key).send().await.is(200).json();
    assert_eq!(listed.as_array().expect("a list").len(), 1);
    assert_eq!(listed[0]["id"], connected["credentials_id"]);
}

#[tokio::test]
async fn device_login_can_keep_its_tokens_inside() {
    let server = server().await;
    let begun = begin(&server, &json!({"exportable": false})).await;
    decide(&begun, "approve").await;
    server.clock.advance(Duration::from_secs(5));
    let id = poll(&server, &begun.token).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    assert_eq!(server.get(&path).key(&server.key).send().await.is(200).json()["exportable"], false);
    let refused = server.get(&format!("{path}/token")).key(&server.key).send().await.is(403);
    assert_eq!(refused.json()["type"], "/problems/not-exportable");
}

#[tokio::test]
async fn device_reconnect_keeps_the_id() {
    let server = server().await;
    // It is dev's; the other device logs in as alice.
    let id = server.connect("sandbox").await;
    let other = begin(&server, &json!({"credential_id": id})).await;
    decide(&other, "approve").await;
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &other.token).await.is(400).json()["type"], "/problems/account-mismatch");

    let body = json!({"credential_id": id, "allow_account_change": true, "scopes": ["more"]});
    let told = begin(&server, &body).await;
    decide(&told, "approve").await;
    server.clock.advance(Duration::from_secs(5));
    let connected = poll(&server, &told.token).await.is(200).json();
    assert_eq!((&connected["credentials_id"], &connected["username"]), (&json!(id), &json!("alice")));
    assert_eq!(connected["scopes"], json!(["more", "profile"]), "what it had is asked for again");
}

// docs/standards.md: 31.
#[tokio::test]
async fn provider_is_polled_once_per_interval() {
    let server = server().await;
    let begun = begin(&server, &json!({})).await;
    for _ in 0..3 {
        // Too early: answered without a request.
        assert_eq!(poll(&server, &begun.token).await.is(200).json()["status"], "pending");
    }
    assert_eq!(server.token_requests(), 0);
    for round in 1..=5 {
        server.clock.advance(Duration::from_secs(5));
        let all = futures_util::future::join_all((0..20).map(|_| poll(&server, &begun.token))).await;
        assert!(all.into_iter().all(|reply| reply.is(200).json()["status"] == "pending"));
        assert_eq!(server.token_requests(), round, "one of twenty was sent on");
    }
    decide(&begun, "approve").await;
    server.clock.advance(Duration::from_secs(5));
    let all = futures_util::future::join_all((0..20).map(|_| poll(&server, &begun.token))).await;
    let connected = all.iter().filter(|reply| reply.status == 200 && reply.json().get("credentials_id").is_some());
    assert_eq!(connected.count(), 1, "single use");
    assert_eq!(server.token_requests(), 6);
    let listed = server.get("/v1/integrations/credentials").key(&server.key).send().await.json();
    assert_eq!(listed.as_array().expect("a list").len(), 1);
}

// docs/standards.md: 31.
#[tokio::test]
async fn slow_down_adds_five_seconds_permanently() {
    let server = server().await;
    let begun = begin(&server, &json!({})).await;
    // The provider comes to want longer pauses than it said.
    server.sandbox.adjust(|behaviour| behaviour.device_interval = Duration::from_secs(10));
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &begun.token).await.is(200).json(), json!({"status": "slow_down", "interval": 10}));
    server.clock.advance(Duration::from_secs(9));
    let asked = server.token_requests();
    assert_eq!(poll(&server, &begun.token).await.is(200).json(), json!({"status": "pending", "interval": 10}));
    assert_eq!(server.token_requests(), asked, "nine seconds are too early now");
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(poll(&server, &begun.token).await.is(200).json(), json!({"status": "pending", "interval": 10}));
    assert_eq!(server.token_requests(), asked + 1);
    decide(&begun, "approve").await;
    server.clock.advance(Duration::from_secs(10));
    assert!(poll(&server, &begun.token).await.is(200).json()["credentials_id"].is_string());
}

// docs/standards.md: 31.
#[tokio::test]
async fn denial_and_expiry_end_the_login() {
    let server = server().await;
    let denied = begin(&server, &json!({})).await;
    decide(&denied, "deny").await;
    server.clock.advance(Duration::from_secs(5));
    let refused = poll(&server, &denied.token).await.is(400).json();
    assert_eq!(refused["type"], "/problems/authorization-denied");
    assert!(refused["detail"].as_str().expect("a text").contains("access_denied"), "{refused}");
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &denied.token).await.is(400).json()["type"], "/problems/invalid-state");

    let late = begin(&server, &json!({})).await;
    server.clock.advance(Duration::from_secs(600));
    let asked = server.token_requests();
    assert_eq!(poll(&server, &late.token).await.is(400).json()["type"], "/problems/invalid-state");
    assert_eq!(server.token_requests(), asked, "nothing is asked about an expired code");
}

#[tokio::test]
async fn outage_only_delays_the_login() {
    let server = server().await;
    let begun = begin(&server, &json!({})).await;
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Down);
    server.clock.advance(Duration::from_secs(5));
    assert_eq!(poll(&server, &begun.token).await.is(200).json(), json!({"status": "pending", "interval": 10}));
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Normal);
    decide(&begun, "approve").await;
    server.clock.advance(Duration::from_secs(10));
    assert!(poll(&server, &begun.token).await.is(200).json()["credentials_id"].is_string());
}

// docs/standards.md: 32.
#[tokio::test]
async fn device_code_never_leaves_strongroom() {
    let server = server().await;
    let begun = begin(&server, &json!({})).await;
    server.clock.advance(Duration::from_secs(5));
    let polled = poll(&server, &begun.token).await.text();
    for text in [begun.answer.to_string(), polled] {
        assert!(!text.contains("sandbox_device_") && !text.contains("device_code"), "{text}");
    }
    // The token is ours, and no state: neither opens the other's door.
    let body = json!({"code": "x", "state_token": begun.token});
    let path = "/v1/integrations/sandbox/oauth/complete";
    let refused = server.post(path).key(&server.key).json(&body).send().await.is(400);
    assert_eq!(refused.detail(), "Invalid or expired state token");
    let started = server.initiate("sandbox").await;
    poll(&server, &started.state).await.is(400);
    let callback = server.log_in(&started).await;
    server.complete("sandbox", &callback).await.is(200);
    decide(&begun, "approve").await;
    server.clock.advance(Duration::from_secs(5));
    assert!(poll(&server, &begun.token).await.is(200).json()["credentials_id"].is_string());
}

#[tokio::test]
async fn other_user_and_other_provider_find_nothing() {
    let server = server().await;
    let begun = begin(&server, &json!({})).await;
    server.clock.advance(Duration::from_secs(5));
    let other = server.key_of("mallory").await;
    let body = json!({"device_token": begun.token});
    let path = "/v1/integrations/sandbox/oauth/device/poll";
    server.post(path).key(&other).json(&body).send().await.is(400);
    let elsewhere = "/v1/integrations/github/oauth/device/poll";
    server.post(elsewhere).key(&server.key).json(&body).send().await.is(400);
    assert_eq!(server.token_requests(), 0);
}

#[tokio::test]
async fn device_login_is_off_by_default() {
    let off = Server::start().await;
    let path = "/v1/integrations/sandbox/oauth/device/initiate";
    let refused = off.post(path).key(&off.key).json(&json!({})).send().await.is(404).json();
    assert_eq!(refused["type"], "/problems/device-flow-not-offered");
    assert!(refused["detail"].as_str().expect("a text").contains("oauth.device"), "{refused}");

    let on = server().await;
    let ask = |provider: &str| {
        let path = format!("/v1/integrations/{provider}/oauth/device/initiate");
        on.post(&path).key(&on.key).json(&json!({})).send()
    };
    assert_eq!(ask("nobody").await.is(404).json()["type"], "/problems/provider-not-found");
    assert_eq!(ask("smtp").await.is(404).json()["type"], "/problems/oauth-not-supported");
    assert_eq!(ask("notion").await.is(404).json()["type"], "/problems/device-flow-not-offered");
    ask("github").await.is(501);
    on.sandbox.conduct(SandboxEndpoint::DeviceAuthorization, Conduct::Down);
    assert_eq!(ask("sandbox").await.is(502).json()["type"], "/problems/provider-unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_uses_the_device_flow() {
    let sandbox = sandbox().await;
    sandbox.adjust(|behaviour| behaviour.device_interval = Duration::from_secs(1));
    let installation = Installation::new(&sandbox_settings(&sandbox)).await;
    installation.run(&["user", "add", "alice"]).must_succeed();

    let mut running = installation.start(&["connect", "sandbox", "--device", "--scope", "read"], &[]);
    let link = running.says("Or open ").trim_start_matches("Or open ").to_owned();
    Ask::new(Method::GET, format!("{link}&sandbox_decision=approve")).send().await.is(200);
    let (code, stdout, stderr) = running.end();
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("Scopes: read."), "{stderr}");
    assert_eq!(installation.run(&["credential", "list", "--json"]).json()[0]["id"], stdout.trim());

    let mut running = installation.start(&["connect", "sandbox", "--device"], &[]);
    let link = running.says("Or open ").trim_start_matches("Or open ").to_owned();
    Ask::new(Method::GET, format!("{link}&sandbox_decision=deny")).send().await.is(200);
    let (code, _, stderr) = running.end();
    assert_eq!(code, 1);
    assert!(stderr.contains("sandbox denied the login: access_denied"), "{stderr}");

    let mut running = installation.start(&["connect", "sandbox", "--device"], &[]);
    running.says("Or open ");
    running.says("Waiting");
    running.signal("INT");
    assert_eq!(running.end().0, 1);
    assert_eq!(installation.rows("pending_authorization"), 0);
    let refused = installation.run(&["connect", "smtp", "--device"]);
    assert_eq!(refused.0.status.code(), Some(1));
}

#[tokio::test]
async fn failed_initiate_names_the_device_endpoint() {
    let server = server().await;
    server.sandbox.conduct(SandboxEndpoint::DeviceAuthorization, Conduct::Down);
    let path = "/v1/integrations/sandbox/oauth/device/initiate";
    let failed = server.post(path).key(&server.key).json(&json!({})).send().await.is(502);
    let detail = failed.detail().as_str().expect("a text").to_owned();
    assert!(detail.contains("device authorization endpoint") && !detail.contains("tokens"), "{detail}");
}
