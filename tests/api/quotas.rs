//! Quotas of a user: the number of its credentials and their bytes.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use strongroom::broker::{Caller, CreateRequest, GivenSecret, NewSecret};
use strongroom::secret::Secret;
use strongroom::vault::CredentialSecret;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::{Server, Setup, eventually};

const PATH: &str = "/v1/integrations/openai/credentials";

async fn server(limits: &str) -> Server {
    Server::with(Setup { config: format!("[oauth]\ndevice = true\n[limits]\n{limits}"), ..Setup::default() }).await
}

async fn create(server: &Server, length: usize) -> Reply {
    let body = json!({"type": "api_key", "api_key": "k".repeat(length), "title": "t"});
    server.post(PATH).key(&server.key).json(&body).send().await
}

fn is_over(reply: Reply, limit: &str) {
    let said = reply.is(409).json();
    assert_eq!((&said["type"], &said["limit"]), (&json!("/problems/quota-exceeded"), &json!(limit)), "{said}");
    assert!(said["detail"].as_str().unwrap().contains(&format!("limits.{limit}")), "{said}");
}

#[tokio::test]
async fn number_of_credentials_is_bounded() {
    let server = server("credentials_per_user = 2").await;
    let first = create(&server, 9).await.is(201).json()["id"].as_str().unwrap().to_owned();
    create(&server, 9).await.is(201);
    is_over(create(&server, 9).await, "credentials_per_user");
    let post = async |path: &str, body: Value| {
        server.post(&format!("/v1/integrations/sandbox/{path}")).key(&server.key).json(&body).send().await
    };
    is_over(post("oauth/initiate", json!({"callback_url": CALLBACK})).await, "credentials_per_user");
    is_over(post("oauth/device/initiate", json!({})).await, "credentials_per_user");
    let before = server.token_requests();
    let service = json!({"type": "client_credentials", "title": "", "scopes": ["read"]});
    is_over(post("credentials", service).await, "credentials_per_user");
    assert_eq!(server.token_requests(), before, "nothing is asked of the provider");
    // Another user has a quota of its own, and the operator has none.
    let bob = server.key_of("bob").await;
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    server.post(PATH).key(&bob).json(&body).send().await.is(201);
    let given =
        GivenSecret { secret: CredentialSecret::ApiKey(Secret::new("k")), expires_at: None, inputs: BTreeMap::new() };
    let secret = NewSecret::Given(given);
    let request = CreateRequest { title: String::new(), secret, exportable: None };
    let operator = Caller::command_line("alice".parse().unwrap());
    server.broker.create(&operator, "openai", request).await.unwrap();
    // It is over the quota now, and can still change and delete what it has.
    let one = format!("{PATH}/{first}");
    server.ask(Method::PATCH, &one).key(&server.key).json(&json!({"title": "u"})).send().await.is(200);
    server.delete(&one).key(&server.key).send().await.is(200);
    is_over(create(&server, 9).await, "credentials_per_user");
    let id = server.list().await[0]["id"].as_str().unwrap().to_owned();
    server.delete(&format!("{PATH}/{id}")).key(&server.key).send().await.is(200);
    create(&server, 9).await.is(201);
}

#[tokio::test]
async fn bytes_of_credentials_are_bounded() {
    let server = server("bytes_per_user = 1").await;
    let large = 60_000;
    let mut ids = Vec::new();
    // A record is a little larger than its secret.
    for _ in 0..(1 << 20) / large {
        let reply = create(&server, large).await.is(201);
        ids.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    is_over(create(&server, large).await, "bytes_per_user");
    let small = create(&server, 9).await.is(201).json()["id"].as_str().unwrap().to_owned();
    let patch = async |id: &str, body: Value| {
        server.ask(Method::PATCH, &format!("{PATH}/{id}")).key(&server.key).json(&body).send().await
    };
    is_over(patch(&small, json!({"type": "api_key", "api_key": "k".repeat(large)})).await, "bytes_per_user");
    patch(&ids[0], json!({"type": "api_key", "api_key": "k".repeat(large - 1)})).await.is(200);
    patch(&ids[0], json!({"type": "api_key", "api_key": "short"})).await.is(200);
    patch(&small, json!({"type": "api_key", "api_key": "k".repeat(large)})).await.is(200);
}

// The room may be used up while the user logs in.
#[tokio::test]
async fn complete_over_the_quota_revokes_its_tokens() {
    let server = server("credentials_per_user = 1").await;
    let started = server.initiate("sandbox").await;
    let callback = server.log_in(&started).await;
    let stored = create(&server, 9).await.is(201).json()["id"].as_str().unwrap().to_owned();
    is_over(server.complete("sandbox", &callback).await, "credentials_per_user");
    assert_eq!(server.list().await.as_array().unwrap().len(), 1);
    eventually("no grant is left over", async || server.sandbox.live_grants() == 0).await;
    assert_eq!(server.vault.status().unwrap().revocations, 0);
    // A reconnection needs no room for another credential.
    server.delete(&format!("{PATH}/{stored}")).key(&server.key).send().await.is(200);
    let id = server.connect("sandbox").await;
    let again = server.initiate_with("sandbox", &json!({"callback_url": CALLBACK, "credential_id": id})).await;
    let callback = server.log_in(&again).await;
    assert_eq!(server.complete("sandbox", &callback).await.is(200).json()["credentials_id"], json!(id));
}

// A reconnect that needs no more room is not refused, although the quota is used up.
#[tokio::test]
async fn reconnect_works_at_a_full_quota() {
    let server = server("bytes_per_user = 1").await;
    let id = server.connect("sandbox").await;
    while create(&server, 60_000).await.status == 201 {}
    while create(&server, 9).await.status == 201 {}
    let again = server.initiate_with("sandbox", &json!({"callback_url": CALLBACK, "credential_id": id})).await;
    let callback = server.log_in(&again).await;
    assert_eq!(server.complete("sandbox", &callback).await.is(200).json()["credentials_id"], json!(id));
    let device = json!({"credential_id": id});
    let path = "/v1/integrations/sandbox/oauth/device/initiate";
    server.post(path).key(&server.key).json(&device).send().await.is(200);
}
