//! Connecting an account again: the id stays, the scopes add up, and another account is rejected.

use crate::support::Server;
use crate::support::flow::{CALLBACK, Callback};
use crate::support::http::{Ask, Reply};
use http::Method;
use serde_json::{Value, json};
use strongroom::catalog::entry::RevocationEnds;
use strongroom::sandbox::{Conduct, Sandbox, SandboxEndpoint};

fn path(id: &str, rest: &str) -> String {
    format!("/v1/integrations/sandbox/credentials/{id}{rest}")
}

async fn shown(server: &Server, id: &str) -> Value {
    server.get(&path(id, "")).key(&server.key).send().await.is(200).json()
}

/// The whole login of `account`, with this body at initiate.
async fn connect_as(server: &Server, account: &str, body: Value) -> Reply {
    let started = server.initiate_with("sandbox", &body).await;
    let url = format!("{}&sandbox_decision=approve&sandbox_user={account}", started.login_url);
    let redirect = Ask::new(Method::GET, url).send().await.is(303);
    let target = url::Url::parse(redirect.header("Location").unwrap()).unwrap();
    let mut params: std::collections::BTreeMap<String, String> = target.query_pairs().into_owned().collect();
    let code = params.remove("code").unwrap();
    let callback = Callback { code, state: params.remove("state").unwrap(), params };
    server.complete("sandbox", &callback).await
}

async fn connected_as(server: &Server, account: &str, scopes: &[&str]) -> String {
    let body = json!({"callback_url": CALLBACK, "scopes": scopes});
    let completed = connect_as(server, account, body).await.is(200).json();
    completed["credentials_id"].as_str().unwrap().to_owned()
}

fn again(id: &str, scopes: &[&str]) -> Value {
    json!({"callback_url": CALLBACK, "credential_id": id, "scopes": scopes})
}

#[tokio::test]
async fn reconnect_adds_scopes_and_keeps_id_and_title() {
    let server = Server::start().await;
    let id = connected_as(&server, "ann", &["profile", "read"]).await;
    server.ask(Method::PATCH, &path(&id, "")).key(&server.key).json(&json!({"title": "Ann's"})).send().await.is(200);
    let started = server.initiate_with("sandbox", &again(&id, &["write", "read"])).await;
    assert!(started.login_url.contains("scope=write%20read%20profile"), "{}", started.login_url);
    let completed = connect_as(&server, "ann", again(&id, &["write"])).await.is(200).json();
    assert_eq!((&completed["credentials_id"], &completed["title"]), (&json!(id), &json!("Ann's")));
    assert_eq!(completed["scopes"], json!(["write", "profile", "read"]));
    assert_eq!(server.list().await.as_array().unwrap().len(), 1);
    server.post(&path(&id, "/refresh")).key(&server.key).send().await.is(200);
}

#[tokio::test]
async fn other_account_is_rejected_and_its_tokens_revoked() {
    let server = Server::start().await;
    let id = connected_as(&server, "ann", &[]).await;
    let before = shown(&server, &id).await;
    assert_eq!(server.sandbox.live_grants(), 1);
    let refused = connect_as(&server, "bob", again(&id, &[])).await.is(400);
    assert_eq!(refused.json()["type"], "/problems/account-mismatch");
    assert_eq!(shown(&server, &id).await, before);
    assert_eq!(server.sandbox.live_grants(), 1, "Bob's has ended, Ann's has not");
    assert_eq!(server.vault.status().unwrap().revocations, 0);
    server.post(&path(&id, "/refresh")).key(&server.key).send().await.is(200);

    let told = json!({"callback_url": CALLBACK, "credential_id": id, "allow_account_change": true});
    let completed = connect_as(&server, "bob", told).await.is(200).json();
    assert_eq!((&completed["credentials_id"], &completed["username"]), (&json!(id), &json!("bob")));
    let started = json!({"callback_url": CALLBACK, "allow_account_change": "yes"});
    let wrong = server.post("/v1/integrations/sandbox/oauth/initiate").key(&server.key).json(&started).send().await;
    assert_eq!(wrong.is(422).detail()[0]["type"], "bool_type");
}

#[tokio::test]
async fn rejected_login_never_ends_a_grant_in_use() {
    let server = Server::start().await;
    let anns = connected_as(&server, "ann", &[]).await;
    let bobs = connected_as(&server, "bob", &[]).await;
    connect_as(&server, "bob", again(&anns, &[])).await.is(400);
    // The account is the same, but unknown: a revocation would end Ann's own grant.
    server.sandbox.conduct(SandboxEndpoint::Userinfo, Conduct::Down);
    let unknown = connect_as(&server, "ann", again(&anns, &[])).await.is(400);
    assert_eq!(unknown.json()["type"], "/problems/account-mismatch");
    server.sandbox.conduct(SandboxEndpoint::Userinfo, Conduct::Normal);
    server.clock.advance(std::time::Duration::from_secs(120));
    assert_eq!(server.broker.retry_revocations().await.unwrap(), 0);
    for id in [&anns, &bobs] {
        server.post(&path(id, "/refresh")).key(&server.key).send().await.is(200);
    }
}

/// The server of `acme`, which ends one token at each revocation; its entry says that it ends `ends`.
async fn ending_single_tokens(ends: &str) -> (Sandbox, Server) {
    let clock = strongroom::clock::Clock::manual(strongroom::clock::UnixTime(1_800_000_000));
    let provider = Sandbox::start(clock, strongroom::random::Random).await.unwrap();
    provider.adjust(|behaviour| behaviour.revocation_ends = RevocationEnds::Token);
    let config = crate::support::flow::acme_like(&provider, provider.base_url(), "");
    let config = config.replace("ends = \"token\"", ends);
    assert!(config.contains(ends), "{config}");
    let server = Server::with(crate::support::Setup { config, ..crate::support::Setup::default() }).await;
    (provider, server)
}

async fn reconnect(server: &Server, id: &str) {
    let started = server.initiate_with("acme", &again(id, &[])).await;
    let callback = server.log_in(&started).await;
    server.complete("acme", &callback).await.is(200);
}

#[tokio::test]
async fn delete_revokes_replaced_tokens_too() {
    let (provider, server) = ending_single_tokens("ends = \"grant\"").await;
    let path = |id: &str| format!("/v1/integrations/acme/credentials/{id}");
    let id = server.connect("acme").await;
    reconnect(&server, &id).await;
    server.post(&format!("{}/refresh", path(&id))).key(&server.key).send().await.is(200);
    reconnect(&server, &id).await;
    assert_eq!(provider.live_grants(), 3, "a revocation could end the new grant");
    assert_eq!(server.vault.status().unwrap().revocations, 0);
    assert_eq!(server.delete(&path(&id)).key(&server.key).send().await.is(200).json()["revoked"], true);
    assert_eq!(provider.live_grants(), 0);

    // Unconfirmed for one of them is unconfirmed.
    let id = server.connect("acme").await;
    reconnect(&server, &id).await;
    provider.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    assert_eq!(server.delete(&path(&id)).key(&server.key).send().await.is(200).json()["revoked"], false);
    provider.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
    server.clock.advance(std::time::Duration::from_secs(120));
    assert_eq!(server.broker.retry_revocations().await.unwrap(), 1);
    assert_eq!(provider.live_grants(), 0);
}

/// Clients of AutoGPT Platform's v1 API reconnect by a new credential, and delete the old one.
#[tokio::test]
async fn last_credential_of_a_grant_revokes_the_tokens_of_all() {
    let (provider, server) = ending_single_tokens("ends = \"grant\"").await;
    let path = |id: &str| format!("/v1/integrations/acme/credentials/{id}");
    let delete =
        async |id: &str| server.delete(&path(id)).key(&server.key).send().await.is(200).json()["revoked"].clone();
    let [first, second, third] =
        [server.connect("acme").await, server.connect("acme").await, server.connect("acme").await];
    assert_eq!((delete(&first).await, delete(&second).await), (Value::Null, Value::Null));
    assert_eq!(provider.live_grants(), 3, "a revocation could end the third");
    server.post(&format!("{}/refresh", path(&third))).key(&server.key).send().await.is(200);
    assert_eq!((delete(&third).await, provider.live_grants()), (json!(true), 0));

    let removed = server.connect("acme").await;
    reconnect(&server, &removed).await;
    server.connect("acme").await;
    assert_eq!(provider.live_grants(), 3);
    assert!(server.broker.remove_user(&"alice".parse().unwrap(), |_, _| {}).await.unwrap());
    assert_eq!(provider.live_grants(), 0);
    assert_eq!(server.vault.integrity().verify().unwrap().findings, []);
}

#[tokio::test]
async fn change_of_account_ends_the_old_grant() {
    let server = Server::start().await;
    let id = connected_as(&server, "ann", &[]).await;
    let other = connected_as(&server, "eve", &[]).await;
    let change = |account: &'static str, id: &str| {
        let body = json!({"callback_url": CALLBACK, "credential_id": id, "allow_account_change": true});
        connect_as(&server, account, body)
    };
    change("bob", &id).await.is(200);
    server.clock.advance(std::time::Duration::from_secs(120));
    assert_eq!(server.broker.retry_revocations().await.unwrap(), 1, "nothing needs Ann's grant");
    // Eve's grant has a second user.
    let second = connected_as(&server, "eve", &[]).await;
    change("bob", &other).await.is(200);
    assert_eq!(server.vault.status().unwrap().revocations, 0);
    for id in [&id, &other, &second] {
        server.post(&path(id, "/refresh")).key(&server.key).send().await.is(200);
    }
}

#[tokio::test]
async fn reconnect_revokes_old_tokens_if_revoked_singly() {
    let (provider, server) = ending_single_tokens("ends = \"token\"").await;
    let id = server.connect("acme").await;
    reconnect(&server, &id).await;
    assert_eq!(provider.live_grants(), 2);
    server.clock.advance(std::time::Duration::from_secs(120));
    assert_eq!(server.broker.retry_revocations().await.unwrap(), 1);
    assert_eq!(provider.live_grants(), 1);
    let refreshed = format!("/v1/integrations/acme/credentials/{id}/refresh");
    server.post(&refreshed).key(&server.key).send().await.is(200);
}
