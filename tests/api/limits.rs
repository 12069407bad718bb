//! Limits of what one caller can cost others: fields, lists, bodies, waiting requests and secrets.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom::http::Limits;

use crate::support::http::Reply;
use crate::support::process::Installation;
use crate::support::{EVERYDAY, Server, Setup, eventually};

const CREATE: &str = "/v1/integrations/openai/credentials";
const LIST: &str = "/v1/integrations/credentials";

fn faults(reply: Reply) -> Vec<Value> {
    let reply = reply.is(422);
    reply.detail().as_array().unwrap().iter().map(|fault| fault["loc"].clone()).collect()
}

#[tokio::test]
async fn fields_over_their_limits_are_422() {
    let server = Server::start().await;
    let text = |bytes: usize| "x".repeat(bytes);
    let post = async |path: &str, body: Value| server.post(path).key(&server.key).json(&body).send().await;

    let both = json!({"type": "api_key", "title": text(1025), "api_key": text(65_537)});
    let expected = [json!(["body", "api_key", "title"]), json!(["body", "api_key", "api_key"])];
    assert_eq!(faults(post(CREATE, both).await), expected);
    let largest = json!({"type": "api_key", "title": text(1024), "api_key": text(65_536)});
    let id = post(CREATE, largest).await.is(201).json()["id"].as_str().unwrap().to_owned();
    let path = format!("{CREATE}/{id}");
    let patched =
        server.ask(http::Method::PATCH, &path).key(&server.key).json(&json!({"title": text(1025)})).send().await;
    assert_eq!(faults(patched), [json!(["body", "title"])]);

    let headers: serde_json::Map<_, _> = (0..65).map(|number| (format!("X-{number}"), json!("v"))).collect();
    let host = json!({"type": "host_scoped", "title": "", "host": "a.example", "headers": headers});
    let path = "/v1/integrations/http/credentials";
    assert_eq!(faults(post(path, host).await), [json!(["body", "host_scoped", "headers"])]);

    let path = "/v1/integrations/sandbox/oauth/initiate";
    let inputs: serde_json::Map<_, _> = (0..33).map(|number| (format!("i{number}"), json!("v"))).collect();
    let large = json!({
        "callback_url": format!("http://localhost/{}", text(4096)),
        "scopes": vec!["x"; 1001],
        "further_scopes": {"a": vec![text(100); 200]},
        "state_metadata": {"a": text(16_384)},
        "inputs": inputs,
    });
    let expected = ["callback_url", "scopes", "further_scopes", "state_metadata", "inputs"];
    assert_eq!(faults(post(path, large).await), expected.map(|name| json!(["body", name])));
    let large = json!({"callback_url": "http://localhost/", "scopes": [text(16_385)]});
    assert_eq!(faults(post(path, large).await), [json!(["body", "scopes"])]);

    let params: serde_json::Map<_, _> = (0..65).map(|number| (format!("p{number}"), json!("v"))).collect();
    for params in [json!(params), json!({"p": text(4096)})] {
        let body = json!({"code": "c", "state_token": "s", "callback_params": params});
        let reply = post("/v1/integrations/sandbox/oauth/complete", body).await;
        assert_eq!(faults(reply), [json!(["body", "callback_params"])]);
    }
}

#[tokio::test]
async fn list_without_limit_has_a_thousand_and_a_link() {
    let server = Server::start().await;
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    for _ in 0..1001 {
        server.post(CREATE).key(&server.key).json(&body).send().await.is(201);
    }
    for path in [LIST, CREATE] {
        let first = server.get(path).key(&server.key).send().await.is(200);
        assert_eq!(first.json().as_array().unwrap().len(), 1000);
        let link = first.header("Link").unwrap();
        let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        let rest = server.get(next).key(&server.key).send().await.is(200);
        assert_eq!(rest.json().as_array().unwrap().len(), 1);
        assert_eq!(rest.header("Link"), None);
    }
    let all = server.get(&format!("{LIST}?limit=2000")).key(&server.key).send().await.is(200);
    assert_eq!((all.json().as_array().unwrap().len(), all.header("Link")), (1001, None));
}

#[tokio::test]
async fn page_of_a_list_ends_at_4_mib() {
    let server = Server::start().await;
    // A control character is six bytes of JSON.
    let title = "\u{1}".repeat(1024);
    let body = json!({"type": "api_key", "api_key": "k", "title": title});
    for _ in 0..800 {
        server.post(CREATE).key(&server.key).json(&body).send().await.is(201);
    }
    let (mut path, mut listed, mut pages) = (LIST.to_owned(), 0, 0);
    loop {
        let page = server.get(&path).key(&server.key).send().await.is(200);
        assert!(page.text().len() <= 4 << 20, "{}", page.text().len());
        (listed, pages) = (listed + page.json().as_array().unwrap().len(), pages + 1);
        let Some(link) = page.header("Link") else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!((listed, pages), (800, 2));
}

/// The head of a create whose body announces so many bytes and does not come.
fn announced(key: &str, bytes: usize) -> String {
    format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {bytes}\r\n\r\n")
}

#[tokio::test]
async fn bodies_have_a_budget_and_each_key_a_share() {
    const MIB: usize = 1 << 20;
    let limits = Limits { body_memory: 3 * MIB, body_memory_per_key: 2 * MIB, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let other = server.key_of("bob").await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut socket = server.raw().await;
        socket.send(announced(&server.key, MIB)).await;
        slow.push(socket);
    }
    eventually("the key's share is used up", async || {
        let mut socket = server.raw().await;
        socket.send([announced(&server.key, 3).as_str(), "{}\n"].concat()).await;
        let answer = socket.answer().await.unwrap();
        let is_refused = answer.status == 429 && answer.head.contains("retry-after: ");
        is_refused && answer.body.contains("/problems/rate-limited")
    })
    .await;
    server.get(LIST).key(&server.key).send().await.is(200);
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    server.post(CREATE).key(&other).json(&body).send().await.is(201);
    let mut socket = server.raw().await;
    socket.send(announced(&other, MIB)).await;
    slow.push(socket);
    let third = server.key_of("carol").await;
    eventually("the budget is used up", async || {
        let reply = server.post(CREATE).key(&third).json(&body).send().await;
        reply.status == 503 && reply.json()["type"] == "/problems/overloaded" && reply.header("Retry-After").is_some()
    })
    .await;
    drop(slow);
    eventually("the bodies that ended are given back", async || {
        server.post(CREATE).key(&server.key).json(&body).send().await.status == 201
    })
    .await;
}

#[tokio::test]
async fn chunked_body_takes_its_share_as_it_grows() {
    let limits = Limits { body_memory_per_key: 128 * 1024, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, " ".repeat(60_000));
    let head =
        format!("POST {CREATE} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n", server.key);
    let mut socket = server.raw().await;
    assert_eq!(socket.ask([&head, chunk.as_str(), "0\r\n\r\n"].concat()).await.status, 422);
    let mut socket = server.raw().await;
    assert_eq!(socket.ask([&head, &chunk, &chunk, &chunk, "0\r\n\r\n"].concat()).await.status, 429);
}

#[tokio::test]
async fn one_key_takes_a_part_of_the_waiting_places() {
    let limits = Limits { waiting: 8, waiting_per_provider: 6, waiting_per_key: 2, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let mut callbacks = Vec::new();
    for _ in 0..2 {
        callbacks.push(server.log_in(&server.initiate("sandbox").await).await);
    }
    let other = server.key_with(&EVERYDAY).await;
    server.sandbox_holds_token_answers(true);
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    let (replies, ()) = tokio::join!(
        async { tokio::join!(server.complete("sandbox", &callbacks[0]), server.complete("sandbox", &callbacks[1])) },
        async {
            eventually("both are with the provider", async || server.token_requests() == 2).await;
            let refused = server.post(CREATE).key(&server.key).json(&body).send().await.is(429);
            assert_eq!(refused.json()["type"], "/problems/rate-limited");
            assert_eq!(refused.header("Retry-After"), Some("1"));
            server.post(CREATE).key(&other).json(&body).send().await.is(201);
            server.sandbox_holds_token_answers(false);
        }
    );
    replies.0.is(200);
    replies.1.is(200);
}

#[tokio::test]
async fn reads_and_deletes_that_send_nothing_pass_a_provider_that_hangs() {
    let limits = Limits { waiting: 8, waiting_per_provider: 1, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let id = server.connect("sandbox").await;
    server.clock.advance(Duration::from_secs(50 * 60));
    let callback = server.log_in(&server.initiate("sandbox").await).await;
    let path = "/v1/integrations/sandbox/credentials";
    server.sandbox_holds_token_answers(true);
    let (reply, ()) = tokio::join!(server.complete("sandbox", &callback), async {
        eventually("one is with the provider", async || server.token_requests() == 2).await;
        server.get(&format!("{path}/{id}/token")).key(&server.key).send().await.is(200);
        let title = json!({"title": "new"});
        let change = server.ask(http::Method::PATCH, &format!("{path}/{id}"));
        change.key(&server.key).json(&title).send().await.is(200);
        let refreshed = format!("{path}/{id}/token?min_ttl=1800");
        server.get(&refreshed).key(&server.key).send().await.is(503);
        server.delete(&format!("{path}/{id}")).key(&server.key).send().await.is(503);
        server.delete(&format!("{path}/00000000-0000-7000-8000-000000000000")).key(&server.key).send().await.is(404);
        server.sandbox_holds_token_answers(false);
    });
    reply.is(200);
}

#[tokio::test]
async fn secrets_are_limited_by_key_and_user() {
    let limits = Limits { secrets_burst: 3, secrets_per_second: 1, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let id = server.create_api_key_credential("openai").await;
    let path = format!("{CREATE}/{id}/token");
    for _ in 0..3 {
        server.get(&path).key(&server.key).send().await.is(200);
    }
    let refused = server.get(&path).key(&server.key).send().await.is(429);
    assert_eq!(refused.json()["type"], "/problems/rate-limited");
    assert_eq!(refused.header("Retry-After"), Some("1"));
    server.get(LIST).key(&server.key).send().await.is(200);
    let service = server.service_key(&[]).await;
    let ask = async |user: &str| server.get(&path).key(&service).header("Strongroom-User", user).send().await.status;
    for _ in 0..3 {
        assert_eq!((ask("alice").await, ask("bob").await), (200, 404));
    }
    assert_eq!((ask("alice").await, ask("bob").await, ask("carol").await), (429, 429, 404));
    server.clock.advance(Duration::from_secs(1));
    server.get(&path).key(&server.key).send().await.is(200);
}

#[tokio::test]
async fn expires_at_may_be_null_in_a_patch() {
    let server = Server::start().await;
    let body = json!({"type": "api_key", "api_key": "k", "title": "t", "expires_at": 1_900_000_000});
    let id = server.post(CREATE).key(&server.key).json(&body).send().await.is(201).json()["id"].clone();
    let path = format!("{CREATE}/{}", id.as_str().unwrap());
    let change = async |body: Value| {
        server.ask(http::Method::PATCH, &path).key(&server.key).json(&body).send().await.is(200).json()["expires_at"]
            .clone()
    };
    assert_eq!(change(json!({"title": "new"})).await, 1_900_000_000);
    assert_eq!(change(json!({"expires_at": null})).await, Value::Null);
    assert_eq!(change(json!({"api_key": "k2", "expires_at": 1_950_000_000})).await, 1_950_000_000);
    assert_eq!(change(json!({"api_key": "k3", "expires_at": null})).await, Value::Null);
}

#[tokio::test]
async fn empty_error_beside_a_code_is_no_denial() {
    let server = Server::start().await;
    let mut callback = server.log_in(&server.initiate("sandbox").await).await;
    callback.params.insert("error".to_owned(), String::new());
    server.complete("sandbox", &callback).await.is(200);
    let body = json!({"state_token": "s", "callback_params": {"error": ""}});
    let reply = server.post("/v1/integrations/sandbox/oauth/complete").key(&server.key).json(&body).send().await;
    assert_eq!(faults(reply), [json!(["body", "code"])]);
}

/// A pipe holds 64 KiB. The lines of these requests are several times as much.
#[tokio::test]
async fn stderr_that_nobody_reads_blocks_no_request_and_no_stop() {
    let installation = Installation::new("").await;
    let (mut process, _unread) = installation.launch_with_a_pipe(&[("RUST_LOG", "trace".as_ref())]);
    process.ready().await.unwrap();
    let ask = async || {
        let reply = process.ask(http::Method::GET, "/readyz").send();
        tokio::time::timeout(Duration::from_secs(5), reply).await.expect("an answer although the log is full").is(200);
    };
    for _ in 0..2000 {
        ask().await;
    }
    let stopped = tokio::task::spawn_blocking(|| process.stop());
    let status = tokio::time::timeout(Duration::from_secs(10), stopped).await.expect("it stops").unwrap();
    assert!(status.success(), "{status}");
}
