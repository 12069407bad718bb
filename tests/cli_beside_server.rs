//! Commands beside a running server: what the one changes, the other sees at once, and nothing is revoked by halves.
//!
//! The sandbox runs in this process: it needs a thread of its own while a command is waited for.

mod support;

use std::net::SocketAddr;

use http::Method;
use serde_json::json;
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::sandbox::{Conduct, Endpoint, Sandbox, SandboxOptions};
use support::http::Ask;
use support::process::{Installation, Process};

async fn sandbox() -> Sandbox {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    Sandbox::start(anywhere, Clock::system(), Random, SandboxOptions::new(Random)).await.expect("the sandbox starts")
}

/// Settings that describe the sandbox as a provider of the operator's own.
fn settings(sandbox: &Sandbox) -> String {
    let entry = sandbox.entry_toml().replace("\n[", "\n[providers.sandbox.");
    let secret = sandbox.client_secret().expect("a confidential client").expose();
    format!(
        "[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\nallow = [\"127.0.0.0/8\"]\n\
         [providers.sandbox]\nclient_id = \"{}\"\nclient_secret = \"{secret}\"\n{entry}",
        sandbox.client_id()
    )
}

/// Connects an account as an application and its user do.
async fn connect(server: &Process, key: &str) {
    let body = json!({"callback_url": "http://localhost:3000/callback"});
    let path = "/v1/integrations/sandbox/oauth/initiate";
    let started = server.ask(Method::POST, path).key(key).json(&body).send().await.is(200).json();
    let login = format!("{}&sandbox_decision=approve", started["login_url"].as_str().expect("a text"));
    let back = Ask::new(Method::GET, login).send().await.is(303);
    let back = url::Url::parse(back.header("Location").expect("a redirect")).expect("a URL");
    let code = back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let body = json!({"code": code, "state_token": started["state_token"]});
    server.ask(Method::POST, "/v1/integrations/sandbox/oauth/complete").key(key).json(&body).send().await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_user_revokes_every_account_at_its_provider() {
    let sandbox = sandbox().await;
    let installation = Installation::new(&settings(&sandbox)).await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    connect(&server, &key).await;
    connect(&server, &key).await;
    let user = installation.run(&["user", "list", "--json"]).json();
    assert_eq!(user[0]["credentials"], 2);
    assert!(sandbox.live_grants() > 0);

    let said = installation.run(&["user", "remove", "alice"]).must_succeed().stdout();
    // Both hang on one grant: deleting the first revokes nothing, deleting the last ends it.
    assert_eq!(said.matches("revoked and deleted").count(), 1, "{said}");
    assert_eq!(said.matches("deleted; nothing was to be revoked").count(), 1, "{said}");
    assert_eq!(sandbox.live_grants(), 0);
    let gone = server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await;
    assert_eq!(gone.status, 401, "the user's API keys go with the user");
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_fails_is_reported_and_left_to_the_server() {
    let sandbox = sandbox().await;
    let installation = Installation::new(&settings(&sandbox)).await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    connect(&server, &key).await;
    sandbox.conduct(Endpoint::Revoke, Conduct::Down);
    let said = installation.run(&["user", "remove", "alice"]).must_succeed().stdout();
    assert!(said.contains("the revocation failed, and the server will try it again"), "{said}");
    assert_eq!(sandbox.live_grants(), 1);
    assert_eq!(installation.run(&["user", "list", "--json"]).json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_sees_new_and_revoked_keys_at_once() {
    let installation = Installation::new("").await;
    let server = installation.serve().await;
    let create = ["key", "create", "--user", "alice", "--permission", "READ_INTEGRATIONS", "--json"];
    let made = installation.run(&create).must_succeed().json();
    let key = made["api_key"].as_str().expect("a key");
    let ask = || server.ask(Method::GET, "/v1/integrations/credentials").key(key).send();
    assert_eq!(ask().await.status, 200);
    installation.run(&["key", "revoke", made["id"].as_str().expect("an id")]).must_succeed();
    assert_eq!(ask().await.status, 401);
    let doctor = installation.run(&["doctor"]).must_succeed().stdout();
    assert!(doctor.contains("is ready"), "{doctor}");
    let second = installation.run(&["serve"]);
    assert_eq!(second.0.status.code(), Some(1));
    assert!(second.stderr().contains("another server"), "{}", second.stderr());
}
