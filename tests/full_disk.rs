//! A vault that cannot write: 503, the cause in the log alone, and nothing lost.

mod support;

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use support::http::Reply;
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
