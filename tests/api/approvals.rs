//! `/v1/approvals`: who sees requests that need approval, and who decides.

use crate::support::Server;
use serde_json::{Value, json};
use strongroom::permission::Permission;
use strongroom::vault::{ApprovalAnswer, AuditContext, RequestToApprove};

/// A key of this user without ADMIN, and a request of it that waits: its id.
async fn waiting(server: &Server, key: &str, digest: u8) -> String {
    let key = server.vault.api_keys().authenticate(key).unwrap().unwrap();
    let request = RequestToApprove {
        key: key.id,
        user: "alice".parse().unwrap(),
        provider: "openai".parse().unwrap(),
        credential: "0192d3f0-7c3a-7000-8000-00000000000f".parse().unwrap(),
        grant: "0192d3f0-7c3a-7000-8000-00000000000e".parse().unwrap(),
        digest: [digest; 32],
        method: "POST".to_owned(),
        url: "https://api.openai.com/v1/x".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: b"{}".to_vec(),
        body_length: 70_002,
    };
    match server.vault.approvals().ask(request, &AuditContext::system()).await.unwrap() {
        ApprovalAnswer::Pending(id) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

fn kind(reply: &Value) -> &str {
    reply["type"].as_str().unwrap()
}

#[tokio::test]
async fn person_sees_the_request_and_decides_once() {
    let server = Server::start().await;
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    let admin = server.service_key_with(&[], &[Permission::Admin]).await;
    let (first, second) = (waiting(&server, &agent, 1).await, waiting(&server, &agent, 2).await);
    let listed = server.get("/v1/approvals").key(&admin).send().await.is(200).json();
    assert_eq!((&listed[0]["id"], &listed[1]["id"], &listed[0]["body"]), (&json!(first), &json!(second), &json!(null)));
    let one = format!("/v1/approvals/{first}");
    let shown = server.get(&one).key(&admin).send().await.is(200).json();
    assert_eq!((&shown["status"], &shown["method"], &shown["body"]), (&json!("pending"), &json!("POST"), &json!("{}")));
    assert_eq!((&shown["body_length"], &shown["body_not_shown"]), (&json!(70_002), &json!(70_000)));
    assert_eq!(shown["headers"], json!([{"name": "content-type", "value": "application/json"}]));
    assert_eq!(shown["expires_at"].as_i64().unwrap() - shown["created_at"].as_i64().unwrap(), 86_400);
    let approved = server.post(&format!("{one}/approve")).key(&admin).send().await.is(200).json();
    assert_eq!((&approved["status"], &approved["body"]), (&json!("approved"), &json!(null)));
    let again = server.post(&format!("{one}/deny")).key(&admin).send().await.is(409).json();
    assert_eq!(kind(&again), "/problems/approval-decided");
    let denied = server.post(&format!("/v1/approvals/{second}/deny")).key(&admin).send().await.is(200).json();
    assert_eq!(denied["status"], "denied");
    for id in ["x", "0192d3f0-7c3a-7000-8000-00000000000f"] {
        let absent = server.post(&format!("/v1/approvals/{id}/approve")).key(&admin).send().await.is(404).json();
        assert_eq!(kind(&absent), "/problems/approval-not-found");
    }
    let page = server.get("/v1/approvals?limit=1").key(&admin).send().await.is(200);
    assert!(page.header("link").unwrap().contains(&format!("after={first}")));
}

#[tokio::test]
async fn only_the_asking_key_and_its_administrators_see_a_request() {
    let server = Server::start().await;
    let agent = server.key_with(&[Permission::ProxyIntegrations]).await;
    let id = waiting(&server, &agent, 1).await;
    let one = format!("/v1/approvals/{id}");
    server.get(&one).key(&agent).send().await.is(200);
    server.get("/v1/approvals").key(&agent).send().await.is(403);
    server.post(&format!("{one}/approve")).key(&agent).send().await.is(403);
    let other = server.key_with(&[Permission::ProxyIntegrations]).await;
    server.get(&one).key(&other).send().await.is(403);
    let of_bob = server.service_key_with(&["bob"], &[Permission::Admin]).await;
    server.get(&one).key(&of_bob).send().await.is(404);
    server.post(&format!("{one}/approve")).key(&of_bob).send().await.is(404);
    assert_eq!(server.get("/v1/approvals").key(&of_bob).send().await.is(200).json(), json!([]));
    let limited = server.limited_key("alice", &["openai"], &[]).await;
    server.post(&format!("{one}/approve")).key(&limited).send().await.is(403);
    assert!(server.vault.approvals().get(id.parse().unwrap()).unwrap().unwrap().status.name() == "pending");
}

#[tokio::test]
async fn key_never_approves_its_own_request() {
    let server = Server::start().await;
    let agent = server.key_with(&[Permission::ProxyIntegrations, Permission::Admin]).await;
    let one = format!("/v1/approvals/{}", waiting(&server, &agent, 1).await);
    server.get(&one).key(&agent).send().await.is(200);
    for decision in ["approve", "deny"] {
        let refused = server.post(&format!("{one}/{decision}")).key(&agent).send().await.is(403).json();
        assert_eq!(kind(&refused), "/problems/not-granted");
    }
}
