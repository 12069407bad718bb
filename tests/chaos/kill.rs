//! kill -9 in a loop while credentials are created: every acknowledged one is there, and opens.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::process::{Installation, Process};
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_9() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let mut acknowledged = BTreeSet::new();
    for cycle in 0..crate::support::campaign(3, 20, 300) {
        let server = installation.serve().await;
        assert_missing(&server, &key, &acknowledged, cycle).await;
        acknowledged.extend(create_until_killed(server, &key, cycle).await);
    }
    let server = installation.serve().await;
    assert_missing(&server, &key, &acknowledged, u32::MAX).await;
    assert!(acknowledged.len() > 3, "the loop has to get some through to show anything");
    assert!(server.stop().success());
    installation.run(&["doctor"]).must_succeed();
}

/// Creates from four tasks, and kills the server in the middle of it; gives the ids that were acknowledged.
async fn create_until_killed(server: Process, key: &str, cycle: u32) -> BTreeSet<String> {
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let mut creators = Vec::new();
    for _ in 0..4 {
        let (url, key, acknowledged) = (server.url.clone(), key.to_owned(), Arc::clone(&acknowledged));
        creators.push(tokio::spawn(async move {
            let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
            loop {
                let ask =
                    crate::support::http::Ask::new(Method::POST, format!("{url}/v1/integrations/openai/credentials"));
                let Ok(reply) = ask.key(&key).json(&body).try_send().await else { return };
                let id = reply.is(201).json()["id"].as_str().unwrap().to_owned();
                acknowledged.lock().unwrap().insert(id);
            }
        }));
    }
    crate::support::eventually("a few are acknowledged", async || acknowledged.lock().unwrap().len() > 3).await;
    tokio::time::sleep(Duration::from_millis(u64::from(cycle % 7) * 5)).await;
    server.kill();
    for creator in creators {
        creator.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap();
    acknowledged.clone()
}

/// A list opens every summary; that none is missing is the promise. (One that was stored and not acknowledged may be there.)
async fn assert_missing(server: &Process, key: &str, acknowledged: &BTreeSet<String>, cycle: u32) {
    let listed = server.listed(key).await;
    let missing: Vec<_> = acknowledged.difference(&listed).collect();
    assert!(missing.is_empty(), "cycle {cycle}: {missing:?}");
}
