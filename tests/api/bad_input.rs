//! Forty kinds of bad input: each gets the promised status, none is repeated to the caller, and nothing changes.

use crate::support::Server;
use serde_json::json;

const CREATE: &str = "/v1/integrations/openai/credentials";
const INITIATE: &str = "/v1/integrations/sandbox/oauth/initiate";

#[tokio::test]
async fn bad_bodies_are_rejected_and_store_nothing() {
    let server = Server::start().await;
    for (what, body, status) in bodies() {
        let reply =
            server.post(CREATE).key(&server.key).header("Content-Type", "application/json").bytes(body).send().await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert!(!reply.text().contains("CANARY"), "{what} is repeated: {}", reply.text());
    }
    assert_eq!(server.list().await, json!([]), "nothing of it was stored");
    server.get("/readyz").send().await.is(200);
}

fn bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    let good =
        |extra: &str| format!("{{\"type\":\"api_key\",\"api_key\":\"CANARY\",\"title\":\"t\"{extra}}}").into_bytes();
    let deep = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat().into_bytes();
    let mut huge = good("");
    huge.splice(1..1, format!("\"pad\":\"{}\",", "x".repeat(2 << 20)).into_bytes());
    let mut cut = good("");
    cut.truncate(20);
    vec![
        ("nothing", Vec::new(), 422),
        ("a space", b" ".to_vec(), 422),
        ("a cut body", cut, 422),
        ("trailing bytes", [good(""), b"CANARY".to_vec()].concat(), 422),
        ("two documents", [good(""), good("")].concat(), 422),
        ("deep lists", deep("[", "]"), 422),
        ("deep objects", deep("{\"a\":", "}"), 422),
        ("deep and never closed", "[".repeat(500_000).into_bytes(), 422),
        ("huge", huge, 413),
        ("null", b"null".to_vec(), 422),
        ("true", b"true".to_vec(), 422),
        ("a number", b"1e999".to_vec(), 422),
        ("a string", b"\"CANARY\"".to_vec(), 422),
        ("a list", b"[{\"type\":\"api_key\"}]".to_vec(), 422),
        ("not UTF-8", b"{\"type\":\"api_key\",\"api_key\":\"\xff\xfe\",\"title\":\"t\"}".to_vec(), 422),
        ("a lone high surrogate", br#"{"type":"api_key","api_key":"\ud800","title":"t"}"#.to_vec(), 422),
        ("a lone low surrogate", br#"{"type":"api_key","api_key":"k","title":"\udc00"}"#.to_vec(), 422),
        ("a broken escape", br#"{"type":"api_key","api_key":"\x","title":"t"}"#.to_vec(), 422),
        ("a raw newline in a string", b"{\"type\":\"api_key\",\"api_key\":\"a\nb\",\"title\":\"t\"}".to_vec(), 422),
        ("single quotes", b"{'type':'api_key'}".to_vec(), 422),
        ("a comment", b"{/* CANARY */}".to_vec(), 422),
        ("NaN", b"{\"type\":NaN}".to_vec(), 422),
        ("a byte order mark", [b"\xef\xbb\xbf".to_vec(), b"CANARY".to_vec()].concat(), 422),
        ("UTF-16", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect(), 422),
        ("a form", b"type=api_key&api_key=CANARY".to_vec(), 422),
        ("no type", br#"{"api_key":"CANARY","title":"t"}"#.to_vec(), 422),
        ("an unknown type", br#"{"type":"CANARY"}"#.to_vec(), 422),
        ("a type that is a number", br#"{"type":1}"#.to_vec(), 422),
        ("oauth2 by hand", br#"{"type":"oauth2","access_token":"CANARY","title":"t"}"#.to_vec(), 422),
        ("an empty key", br#"{"type":"api_key","api_key":"","title":"t"}"#.to_vec(), 422),
        ("a key that is a list", br#"{"type":"api_key","api_key":["CANARY"],"title":"t"}"#.to_vec(), 422),
        ("a title that is null", br#"{"type":"api_key","api_key":"CANARY","title":null}"#.to_vec(), 422),
        ("an expiry that is a word", good(",\"expires_at\":\"CANARY\""), 422),
        ("an expiry with a fraction", good(",\"expires_at\":1.5"), 422),
        ("an expiry beyond 64 bits", good(",\"expires_at\":99999999999999999999999"), 422),
        ("an expiry that is a list", good(",\"expires_at\":[]"), 422),
        ("an empty password", br#"{"type":"user_password","username":"u","password":"","title":"t"}"#.to_vec(), 422),
        (
            "headers that are a list",
            br#"{"type":"host_scoped","host":"a.example","headers":[],"title":"t"}"#.to_vec(),
            422,
        ),
        (
            "a header that is a number",
            br#"{"type":"host_scoped","host":"a.example","headers":{"A":1},"title":"t"}"#.to_vec(),
            422,
        ),
        (
            "CR/LF in a header",
            br#"{"type":"host_scoped","host":"a.example","headers":{"A":"b\r\nC: d"},"title":"t"}"#.to_vec(),
            422,
        ),
        (
            "a host with a space",
            br#"{"type":"host_scoped","host":"a b","headers":{"A":"b"},"title":"t"}"#.to_vec(),
            422,
        ),
        (
            "a host that is a path",
            br#"{"type":"host_scoped","host":"../x","headers":{"A":"b"},"title":"t"}"#.to_vec(),
            422,
        ),
    ]
}

#[tokio::test]
async fn unusual_but_valid_bodies_are_accepted() {
    let server = Server::start().await;
    let bodies = [
        ("unknown fields", r#"{"type":"api_key","api_key":"k","title":"t","more":[1,2,{}]}"#),
        ("a key given twice: the last counts", r#"{"type":"api_key","api_key":"k","title":"first","title":"second"}"#),
        ("NUL in a title", r#"{"type":"api_key","api_key":"k","title":"a\u0000b"}"#),
        ("a pair of surrogates", r#"{"type":"api_key","api_key":"k","title":"\ud83d\ude00"}"#),
        ("white space around", " \n{\"type\":\"api_key\",\"api_key\":\"k\",\"title\":\"t\"}\t "),
    ];
    for (what, body) in bodies {
        let reply = server.post(CREATE).key(&server.key).bytes(body).send().await;
        assert_eq!(reply.status, 201, "{what}: {}", reply.text());
    }
    let titles = server.list().await;
    assert_eq!(titles[1]["title"], "second");
    assert_eq!(titles[2]["title"], "a\0b");
    assert_eq!(titles[3]["title"], "😀");
}

#[tokio::test]
async fn json_is_recognised_by_its_content_type() {
    let server = Server::start().await;
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"}).to_string();
    let send = |content_type: Option<&str>| {
        let ask = server.post(CREATE).key(&server.key).bytes(body.clone());
        match content_type {
            Some(content_type) => ask.header("Content-Type", content_type),
            None => ask,
        }
        .send()
    };
    for good in [None, Some("application/json"), Some("Application/JSON; charset=utf-8"), Some("application/x+json")] {
        send(good).await.is(201);
    }
    for bad in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "x"] {
        send(Some(bad)).await.is(422);
    }
}

#[tokio::test]
async fn odd_paths_and_headers_do_no_harm() {
    let server = Server::start().await;
    let key = &server.key;
    let list = |provider: &str| server.get(&format!("/v1/integrations/{provider}/credentials")).key(key).send();
    for provider in ["%00", "%2e%2e", "%F0%9F%98%80", "a%2Fb", "%ff", &"x".repeat(4000)] {
        let reply = list(provider).await;
        assert!([200, 404].contains(&reply.status), "{provider}: {}", reply.status);
    }
    assert_eq!(list("git%68ub").await.is(200).json(), json!([]));
    server.get("/v1/integrations/providers/").key(key).send().await.is(200);
    server.get("/v1//integrations/providers").key(key).send().await.is(404);
    let initiate = |provider: &str| {
        let body = json!({"callback_url": crate::support::flow::CALLBACK});
        server.post(&format!("/v1/integrations/{provider}/oauth/initiate")).key(key).json(&body).send()
    };
    assert_eq!(initiate("%3Cscript%3E").await.is(404).detail(), "Provider '<script>' not found");
    initiate(&"y".repeat(3000)).await.is(404);
    server.post(INITIATE).header("X-API-Key", &"z".repeat(10_000)).bytes("{}").send().await.is(401);
    server.post(INITIATE).header("Authorization", "Basic dTpw").bytes("{}").send().await.is(401);
}
