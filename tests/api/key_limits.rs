//! Keys that are limited to providers and credentials: at every route that names one.

use std::collections::BTreeSet;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::{Server, Setup, eventually};
use http::Method;
use serde_json::{Value, json};

/// Providers and credentials of a key.
type Limits<'l> = (&'l [&'l str], &'l [&'l str]);

const NOT_GRANTED: &str = "/problems/not-granted";

/// The requests about one credential; the last one deletes it.
fn requests(provider: &str, id: &str) -> Vec<(Method, String, Value)> {
    let path = format!("/v1/integrations/{provider}/credentials/{id}");
    vec![
        (Method::GET, path.clone(), json!(null)),
        (Method::PATCH, path.clone(), json!({"title": "new"})),
        (Method::POST, format!("{path}/refresh"), json!({})),
        (Method::GET, format!("{path}/token"), json!(null)),
        (Method::DELETE, path, json!(null)),
    ]
}

async fn send(server: &Server, key: &str, (method, path, body): &(Method, String, Value)) -> Reply {
    let ask = server.ask(method.clone(), path).key(key);
    if body.is_null() { ask.send().await } else { ask.json(body).send().await }
}

async fn ids(server: &Server, key: &str, path: &str) -> Vec<String> {
    let list = server.get(path).key(key).send().await.is(200).json();
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn problem(reply: &Reply) -> String {
    reply.json()["type"].as_str().unwrap_or_default().to_owned()
}

const ALL: &str = "/v1/integrations/credentials";

#[tokio::test]
async fn every_request_about_a_credential_obeys_the_limits() {
    let server = Server::start().await;
    let github = server.create_api_key_credential("github").await;
    let [first, second] =
        [server.create_api_key_credential("openai").await, server.create_api_key_credential("openai").await];
    let unknown = "0192d3f0-7c3a-7000-8000-00000000000f";
    let of_openai = server.limited_key("alice", &["openai"], &[]).await;
    let of_first = server.limited_key("alice", &[], &[&first]).await;
    let of_both = server.limited_key("alice", &["github"], &[&first]).await;
    for (key, provider, id, status, kind) in [
        (&of_openai, "github", github.as_str(), 403, NOT_GRANTED),
        // The same answer for an id that does not exist: the key learns nothing about foreign ids.
        (&of_openai, "github", unknown, 403, NOT_GRANTED),
        (&of_openai, "openai", github.as_str(), 404, "/problems/credential-not-found"),
        (&of_openai, "openai", unknown, 404, "/problems/credential-not-found"),
        (&of_first, "openai", second.as_str(), 403, NOT_GRANTED),
        (&of_first, "github", github.as_str(), 403, NOT_GRANTED),
        (&of_first, "openai", unknown, 404, "/problems/credential-not-found"),
        (&of_both, "openai", first.as_str(), 403, NOT_GRANTED),
        (&of_both, "github", github.as_str(), 403, NOT_GRANTED),
    ] {
        for request in requests(provider, id) {
            let reply = send(&server, key, &request).await.is(status);
            assert_eq!(problem(&reply), kind, "{} {}", request.0, request.1);
        }
    }
    assert_eq!(server.list().await.as_array().unwrap().len(), 3, "nothing was deleted");
    for (key, id) in [(&of_openai, &second), (&of_first, &first)] {
        for request in requests("openai", id) {
            let refresh = request.1.ends_with("/refresh");
            send(&server, key, &request).await.is(if refresh { 400 } else { 200 });
        }
    }
    let refused = server
        .vault
        .audit()
        .find(&strongroom::vault::AuditFilter { action: Some("request.refuse".into()), ..Default::default() });
    let subject = refused.unwrap()[0].row.subject.clone().unwrap();
    assert!(subject.starts_with("refused:not-granted GET "), "{subject}");
}

#[tokio::test]
async fn lists_show_what_the_key_may_see() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for number in 0..12 {
        let provider = ["github", "openai", "anthropic"][number % 3];
        made.push((provider, server.create_api_key_credential(provider).await));
    }
    let of = |names: &[&str]| -> Vec<String> {
        made.iter().filter(|(name, _)| names.contains(name)).map(|(_, id)| id.clone()).collect()
    };
    let two = server.limited_key("alice", &["openai", "anthropic"], &[]).await;
    let few = server.limited_key("alice", &["openai"], &[&made[1].1, &made[4].1, &made[0].1]).await;
    let wide = server.limited_key("alice", &[], &[]).await;
    // Warms the cache of rendered lists with the list of the key without limits.
    assert_eq!(ids(&server, &wide, ALL).await.len(), 12);
    assert_eq!(ids(&server, &two, ALL).await, of(&["openai", "anthropic"]));
    assert_eq!(ids(&server, &few, ALL).await, [made[1].1.clone(), made[4].1.clone()]);
    assert_eq!(ids(&server, &wide, ALL).await.len(), 12);
    for (key, provider, expected) in [
        (&two, "github", vec![]),
        (&two, "openai", of(&["openai"])),
        (&two, "nothing", vec![]),
        (&two, "NO NAME", vec![]),
        (&few, "openai", vec![made[1].1.clone(), made[4].1.clone()]),
        (&few, "github", vec![]),
    ] {
        let path = format!("/v1/integrations/{}/credentials", provider.replace(' ', "%20"));
        assert_eq!(ids(&server, key, &path).await, expected, "{provider}");
    }
    // Pages of three: full ones, and a link exactly while more follow.
    let (mut path, mut seen) = (format!("{ALL}?limit=3"), Vec::new());
    for _ in 0..5 {
        let page = server.get(&path).key(&two).send().await.is(200);
        let list = page.json();
        seen.extend(list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(link) = page.header("Link") else { break };
        assert_eq!(list.as_array().unwrap().len(), 3, "a page before the last one is full");
        path = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    assert_eq!(seen, of(&["openai", "anthropic"]));
    let exact = server.get(&format!("{ALL}?limit=8")).key(&two).send().await.is(200);
    assert_eq!((exact.json().as_array().unwrap().len(), exact.header("Link")), (8, None));
}

#[tokio::test]
async fn logins_and_creations_obey_the_limits() {
    let config = "[oauth]\ndevice = true\n".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let [own, other] = [server.connect("sandbox").await, server.connect("sandbox").await];
    let of_openai = server.limited_key("alice", &["openai"], &[]).await;
    let of_sandbox = server.limited_key("alice", &["sandbox"], &[]).await;
    let of_own = server.limited_key("alice", &[], &[&own]).await;
    let initiate = async |key: &str, provider: &str, more: Value| {
        let mut body = json!({"callback_url": CALLBACK});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post(&format!("/v1/integrations/{provider}/oauth/initiate")).key(key).json(&body).send().await
    };
    let device = async |key: &str, body: Value| {
        server.post("/v1/integrations/sandbox/oauth/device/initiate").key(key).json(&body).send().await
    };
    let create = async |key: &str, provider: &str| {
        let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
        server.post(&format!("/v1/integrations/{provider}/credentials")).key(key).json(&body).send().await
    };
    for reply in [
        initiate(&of_openai, "sandbox", json!({})).await,
        initiate(&of_openai, "sandbox", json!({"credential_id": own})).await,
        initiate(&of_own, "sandbox", json!({})).await,
        initiate(&of_own, "sandbox", json!({"credential_id": other})).await,
        device(&of_openai, json!({})).await,
        device(&of_own, json!({})).await,
        device(&of_own, json!({"credential_id": other})).await,
        create(&of_openai, "github").await,
        create(&of_own, "openai").await,
    ] {
        assert_eq!(problem(&reply.is(403)), NOT_GRANTED);
    }
    initiate(&of_openai, "nothing", json!({})).await.is(404);
    create(&of_openai, "openai").await.is(201);
    device(&of_own, json!({"credential_id": own})).await.is(200);
    assert_eq!(initiate(&of_own, "sandbox", json!({"credential_id": "x"})).await.is(404).json()["status"], 404);

    // A login of a key without limits cannot be completed by one with limits, and stays.
    let complete = async |key: &str, callback: &crate::support::flow::Callback| {
        let body = json!({"code": callback.code, "state_token": callback.state, "callback_params": callback.params});
        server.post("/v1/integrations/sandbox/oauth/complete").key(key).json(&body).send().await
    };
    let started = server.initiate("sandbox").await;
    let callback = server.log_in(&started).await;
    for key in [&of_openai, &of_own] {
        assert_eq!(problem(&complete(key, &callback).await.is(403)), NOT_GRANTED);
    }
    complete(&of_sandbox, &callback).await.is(200);

    let started = server.initiate_with("sandbox", &json!({"callback_url": CALLBACK, "credential_id": own})).await;
    let callback = server.log_in(&started).await;
    let done = complete(&of_own, &callback).await.is(200).json();
    assert_eq!(done["credentials_id"], json!(own));
    assert_eq!(problem(&complete(&of_own, &callback).await.is(400)), "/problems/invalid-state");
    let server = &server;
    let started = server.initiate_with("sandbox", &json!({"callback_url": CALLBACK, "credential_id": own})).await;
    let callback = server.log_in(&started).await;
    server.delete(&format!("/v1/integrations/sandbox/credentials/{own}")).key(&server.key).send().await.is(200);
    complete(&of_own, &callback).await.is(404);
    assert!(!ids(server, &server.key, ALL).await.is_empty());
}

/// The credential is deleted after the state was consumed: the key may not create another one.
#[tokio::test(flavor = "multi_thread")]
async fn credential_deleted_during_its_reconnect_stays_deleted() {
    let server = Server::start().await;
    let own = server.connect("sandbox").await;
    let of_own = server.limited_key("alice", &[], &[&own]).await;
    let started = server.initiate_with("sandbox", &json!({"callback_url": CALLBACK, "credential_id": own})).await;
    let callback = server.log_in(&started).await;
    let body = json!({"code": callback.code, "state_token": callback.state, "callback_params": callback.params});
    server.sandbox_holds_token_answers(true);
    let complete = server.post("/v1/integrations/sandbox/oauth/complete").key(&of_own).json(&body).send();
    let delete = async {
        eventually("the token endpoint is asked", async || server.token_requests() == 2).await;
        server.delete(&format!("/v1/integrations/sandbox/credentials/{own}")).key(&server.key).send().await.is(200);
        server.sandbox_holds_token_answers(false);
    };
    let (reply, ()) = futures_util::join!(complete, delete);
    assert_eq!(problem(&reply.is(403)), NOT_GRANTED);
    assert_eq!(ids(&server, &server.key, ALL).await, Vec::<String>::new());
    eventually("what the provider gave is revoked", async || server.sandbox.live_grants() == 0).await;
    let failed = strongroom::vault::AuditFilter { action: Some("login.fail".into()), ..Default::default() };
    let failed = server.vault.audit().find(&failed).unwrap();
    assert_eq!(failed[0].row.subject.as_deref(), Some("failed:not-granted"));
}

#[tokio::test]
async fn device_login_is_completed_within_the_limits() {
    let config = "[oauth]\ndevice = true\n".to_owned();
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let of_openai = server.limited_key("alice", &["openai"], &[]).await;
    let of_other = server.limited_key("alice", &[], &["0192d3f0-7c3a-7000-8000-00000000000f"]).await;
    let path = "/v1/integrations/sandbox/oauth/device";
    let begun = server.post(&format!("{path}/initiate")).key(&server.key).json(&json!({})).send().await.is(200).json();
    for key in [&of_openai, &of_other] {
        let body = json!({"device_token": begun["device_token"]});
        let refused = server.post(&format!("{path}/poll")).key(key).json(&body).send().await.is(403);
        assert_eq!(problem(&refused), NOT_GRANTED);
    }
}

#[tokio::test]
async fn queued_revocations_are_shown_within_the_limits() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    server.sandbox_fails_revocations(true);
    server.delete(&format!("/v1/integrations/sandbox/credentials/{id}")).key(&server.key).send().await.is(200);
    let cases: [(&[&str], &[&str], usize); 3] =
        [(&[], &[], 1), (&["sandbox"], &[id.as_str()], 1), (&["openai"], &[], 0)];
    for (providers, credentials, count) in cases {
        let key = server.limited_key("alice", providers, credentials).await;
        let list = server.get("/v1/revocations").key(&key).send().await.is(200).json();
        assert_eq!(list.as_array().unwrap().len(), count, "{providers:?} {credentials:?}");
    }
}

/// Each key in a chain has one limit more than the key before it, or a shorter list.
#[tokio::test]
async fn a_narrower_key_never_gets_more() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for provider in ["github", "openai", "anthropic", "openai"] {
        made.push((provider, server.create_api_key_credential(provider).await));
    }
    let [a, b, c, d] = [0, 1, 2, 3].map(|index| made[index].1.as_str());
    let chains: [&[Limits<'_>]; 3] = [
        &[(&[], &[]), (&["github", "openai"], &[]), (&["openai"], &[]), (&["openai"], &[b, c]), (&["openai"], &[b])],
        &[(&[], &[]), (&[], &[a, b, d]), (&[], &[a, d]), (&["github"], &[a, d]), (&["github"], &[d])],
        &[(&[], &[]), (&["smtp"], &[]), (&["smtp"], &[a])],
    ];
    for chain in chains {
        let mut before: Option<(BTreeSet<String>, BTreeSet<String>)> = None;
        for (providers, credentials) in chain {
            let key = server.limited_key("alice", providers, credentials).await;
            let seen: BTreeSet<String> = ids(&server, &key, ALL).await.into_iter().collect();
            let mut allowed = BTreeSet::new();
            for (provider, id) in &made {
                for request in requests(provider, id).into_iter().filter(|request| request.0 != Method::DELETE) {
                    if send(&server, &key, &request).await.status == 200 {
                        allowed.insert(format!("{} {}", request.0, request.1));
                    }
                }
                assert_eq!(seen.contains(id), allowed.iter().any(|one| one.contains(id)), "lists and reads agree");
            }
            if let Some((seen_before, allowed_before)) = &before {
                assert!(
                    seen.is_subset(seen_before) && allowed.is_subset(allowed_before),
                    "{providers:?} {credentials:?}"
                );
            }
            before = Some((seen, allowed));
        }
    }
}
