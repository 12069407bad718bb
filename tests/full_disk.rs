//! A vault that cannot write: 503, the cause in the log alone, and nothing lost.

mod support;

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::sandbox::{Conduct, Endpoint, Sandbox, SandboxOptions};
use support::flow::{CALLBACK, acme_like};
use support::http::{Ask, Reply};
use support::process::{Installation, Process};

async fn create(server: &Process, key: &str, bytes: usize) -> Reply {
    let body = json!({"type": "api_key", "api_key": "k".repeat(bytes), "title": "t"});
    server.ask(Method::POST, "/v1/integrations/openai/credentials").key(key).json(&body).send().await
}

/// Creates credentials of that size until one is refused; gives their ids and the refusal.
async fn fill(server: &Process, key: &str, bytes: usize) -> (Vec<String>, Reply) {
    let mut acknowledged = Vec::new();
    loop {
        let reply = create(server, key, bytes).await;
        if reply.status != 201 {
            return (acknowledged, reply.is(503));
        }
        acknowledged.push(reply.json()["id"].as_str().expect("an id").to_owned());
        assert!(acknowledged.len() < 1000, "the disk never fills");
    }
}

async fn listed(server: &Process, key: &str) -> BTreeSet<String> {
    let list = server.ask(Method::GET, "/v1/integrations/credentials").key(key).send().await.is(200).json();
    list.as_array().expect("a list").iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn on_a_full_disk_the_answer_is_503_and_what_was_acknowledged_is_there() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let Some(server) = installation.serve_on_a_small_disk(4096).await else {
        assert!(!support::in_ci(), "CI has to be able to mount a small disk (unshare): nothing is skipped there");
        return eprintln!("skipped: no disk can be mounted here");
    };
    let (large, _) = fill(&server, &key, 60_000).await;
    let (small, refused) = fill(&server, &key, 1).await;
    let mut acknowledged: BTreeSet<String> = large.into_iter().chain(small).collect();
    assert_eq!(refused.json()["type"], "/problems/vault-unavailable");
    assert!(
        !refused.text().contains("disk") && server.log().contains("the disk that holds the vault is full"),
        "{}\n{}",
        refused.text(),
        server.log()
    );
    // A good probe counts for a second.
    let not_ready = async || server.ask(Method::GET, "/readyz").send().await.status == 503;
    support::eventually("the server says that it is not ready", not_ready).await;
    assert_eq!(listed(&server, &key).await, acknowledged);

    server.remove(&installation.path("disk/ballast"));
    let made = create(&server, &key, 60_000).await.is(201).json();
    acknowledged.insert(made["id"].as_str().expect("an id").to_owned());
    assert_eq!(listed(&server, &key).await, acknowledged);
}

/// The provider has rotated and answered, and there is no room for what it said: it is kept in memory, and stored as soon as
/// there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshed_tokens_that_the_disk_has_no_room_for_are_not_lost() {
    let loopback = ([127, 0, 0, 1], 0).into();
    let provider =
        Sandbox::start(loopback, Clock::system(), Random, SandboxOptions::new(Random)).await.expect("it starts");
    let installation = Installation::new(&acme_like(&provider, provider.base_url(), "")).await;
    let key = installation.key("alice");
    let Some(server) = installation.serve_on_a_small_disk(4096).await else {
        assert!(!support::in_ci(), "CI has to be able to mount a small disk (unshare): nothing is skipped there");
        return eprintln!("skipped: no disk can be mounted here");
    };
    let id = connect_acme(&server, &key).await;
    let path = |rest: &str| format!("/v1/integrations/acme/credentials/{id}{rest}");
    let before = server.ask(Method::GET, &path("/token")).key(&key).send().await.is(200).json();

    let asked = provider.requests(Endpoint::Token);
    provider.conduct(Endpoint::Token, Conduct::Held);
    let refresh = tokio::spawn(server.ask(Method::POST, &path("/refresh")).key(&key).send());
    support::eventually("the provider has rotated", async || provider.requests(Endpoint::Token) > asked).await;
    fill(&server, &key, 60_000).await;
    fill(&server, &key, 1).await;
    provider.conduct(Endpoint::Token, Conduct::Normal);
    let refused = refresh.await.expect("no panic").is(503);
    assert_eq!(refused.json()["type"], "/problems/vault-unavailable");
    server.ask(Method::POST, &path("/refresh")).key(&key).send().await.is(503);
    assert_eq!(provider.requests(Endpoint::Token), asked + 1, "nothing is sent that could not be stored");

    server.remove(&installation.path("disk/ballast"));
    let fresh = async || {
        let reply = server.ask(Method::GET, &path("/token")).key(&key).send().await;
        reply.status == 200 && reply.json()["access_token"] != before["access_token"]
    };
    support::eventually("the tokens are stored", fresh).await;
    server.ask(Method::POST, &path("/refresh")).key(&key).send().await.is(200);
    assert_eq!(provider.live_grants(), 1);
}

/// An account of the sandbox, connected by both halves of the code flow.
async fn connect_acme(server: &Process, key: &str) -> String {
    let post = |path: &str, body: serde_json::Value| {
        server.ask(Method::POST, &format!("/v1/integrations/acme/oauth/{path}")).key(key).json(&body).send()
    };
    let started = post("initiate", json!({"callback_url": CALLBACK})).await.is(200).json();
    let url = format!("{}&sandbox_decision=approve", started["login_url"].as_str().expect("a URL"));
    let redirect = Ask::new(Method::GET, url).send().await.is(303);
    let target = url::Url::parse(redirect.header("Location").expect("a redirect")).expect("a URL");
    let code = target.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let completed = post("complete", json!({"code": code, "state_token": started["state_token"]})).await.is(200).json();
    completed["credentials_id"].as_str().expect("an id").to_owned()
}
