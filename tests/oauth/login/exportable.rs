//! Tokens that are never given out: from the start of the login, and through every later one.

use http::Method;
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::flow::CALLBACK;

fn path(id: &str, rest: &str) -> String {
    format!("/v1/integrations/sandbox/credentials/{id}{rest}")
}

async fn connected(server: &Server, body: &Value) -> String {
    let started = server.initiate_with("sandbox", body).await;
    let callback = server.log_in(&started).await;
    let completed = server.complete("sandbox", &callback).await.is(200);
    assert!(!completed.text().contains("access_token"));
    completed.json()["credentials_id"].as_str().unwrap().to_owned()
}

async fn is_refused(server: &Server, id: &str) {
    let before = server.token_requests();
    let refused = server.get(&path(id, "/token?min_ttl=3600")).key(&server.key).send().await.is(403);
    assert_eq!(refused.json()["type"], "/problems/not-exportable");
    assert_eq!(server.token_requests(), before, "nothing is refreshed for a refused request");
    let shown = server.get(&path(id, "")).key(&server.key).send().await.is(200).json();
    assert_eq!((&shown["exportable"], &shown["last_used_at"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn reconnect_keeps_tokens_inside() {
    let server = Server::start().await;
    let id = connected(&server, &json!({"callback_url": CALLBACK, "exportable": false})).await;
    is_refused(&server, &id).await;
    for again in [json!({"exportable": true}), json!({}), json!({"allow_account_change": true})] {
        let mut body = json!({"callback_url": CALLBACK, "credential_id": id});
        body.as_object_mut().unwrap().extend(again.as_object().unwrap().clone());
        assert_eq!(connected(&server, &body).await, id);
        is_refused(&server, &id).await;
    }
    // They are still refreshed.
    let refreshed = server.post(&path(&id, "/refresh")).key(&server.key).send().await.is(200);
    assert!(!refreshed.text().contains("token\":\""), "{}", refreshed.text());
    is_refused(&server, &id).await;
    let other = connected(&server, &json!({"callback_url": CALLBACK})).await;
    server.get(&path(&other, "/token")).key(&server.key).send().await.is(200);
    let again = json!({"callback_url": CALLBACK, "credential_id": other, "exportable": false});
    assert_eq!(connected(&server, &again).await, other);
    server.get(&path(&other, "/token")).key(&server.key).send().await.is(403);
}

#[tokio::test]
async fn later_patch_and_service_accounts_keep_tokens_inside() {
    let server = Server::start().await;
    let id = connected(&server, &json!({"callback_url": CALLBACK})).await;
    let body = json!({"exportable": false});
    server.ask(Method::PATCH, &path(&id, "")).key(&server.key).json(&body).send().await.is(200);
    is_refused(&server, &id).await;
    let body = json!({"type": "client_credentials", "title": "", "scopes": ["read"], "exportable": false});
    let made = server.post("/v1/integrations/sandbox/credentials").key(&server.key).json(&body).send().await;
    let made = made.is(201).json()["id"].as_str().unwrap().to_owned();
    is_refused(&server, &made).await;
}
