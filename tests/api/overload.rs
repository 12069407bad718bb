//! Load shedding: requests beyond the limits get 503, others go on, and nothing is lost.

use std::time::Duration;

use crate::support::http::Reply;
use crate::support::{Server, Setup, eventually};
use serde_json::json;
use strongroom::http::Limits;

const CREATE: &str = "/v1/integrations/openai/credentials";
const HOUR: Duration = Duration::from_secs(3600);

/// Limits without a permit for requests that wait.
fn full() -> Limits {
    Limits { waiting: 0, retry_after: HOUR, ..Limits::default() }
}

fn create(key: &str) -> String {
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"}).to_string();
    let length = body.len();
    format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn is_refusal(reply: Reply) {
    let reply = reply.is(503);
    assert_eq!(reply.header("Retry-After"), Some("1"));
    assert_eq!(reply.header("Content-Type"), Some("application/problem+json"));
    assert_eq!(reply.json()["type"], "/problems/overloaded");
}

#[tokio::test]
async fn hanging_provider_leaves_permits_for_others() {
    let limits = Limits { waiting: 3, waiting_per_provider: 2, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let mut callbacks = Vec::new();
    for _ in 0..3 {
        callbacks.push(server.log_in(&server.initiate("sandbox").await).await);
    }
    server.sandbox_holds_token_answers(true);
    let (first, second) = tokio::join!(
        async { tokio::join!(server.complete("sandbox", &callbacks[0]), server.complete("sandbox", &callbacks[1])) },
        async {
            eventually("both are with the provider", async || server.token_requests() == 2).await;
            is_refusal(server.complete("sandbox", &callbacks[2]).await);
            server.get("/healthz").send().await.is(200);
            server.get("/readyz").send().await.is(200);
            assert_eq!(server.list().await, json!([]), "what waits for nobody is answered");
            server.create_api_key_credential("openai").await;
            assert_eq!(server.token_requests(), 2, "nothing was done of what was refused");
            server.sandbox_holds_token_answers(false);
        }
    )
    .0;
    first.is(200);
    second.is(200);
    server.complete("sandbox", &callbacks[2]).await.is(200);
    assert_eq!(server.list().await.as_array().unwrap().len(), 4, "and nothing was lost");
}

#[tokio::test]
async fn slow_sender_holds_no_permit() {
    let limits = Limits { waiting: 1, waiting_per_provider: 1, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let whole = create(&server.key);
    let (first, last) = whole.split_at(whole.len() - 1);
    let mut slow = server.raw().await;
    slow.send(first).await;
    for _ in 0..3 {
        server.create_api_key_credential("openai").await;
    }
    assert_eq!(slow.ask(last.to_owned()).await.status, 201, "and its turn comes when all of it is there");
}

#[tokio::test]
async fn overload_is_503_before_authentication() {
    let server = Server::with(Setup::limits(full())).await;
    for key in [server.key.as_str(), "guess", ""] {
        let mut socket = server.raw().await;
        let answer = socket.ask(create(key)).await;
        assert_eq!(answer.status, 503, "{key}");
        assert!(answer.head.contains("retry-after: 3600") && answer.head.contains("x-request-id: "), "{}", answer.head);
        assert!(answer.body.contains("/problems/overloaded"), "{}", answer.body);
    }
}
