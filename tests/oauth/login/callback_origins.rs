//! Callback URLs as callers send them to initiate: those that the configuration allows come back to the letter in the
//! login URL, and every other one is the 400 that lists what is allowed.

use crate::support::http::Reply;
use crate::support::{Server, Setup};
use serde_json::json;

const ORIGINS: &str = r#"
[oauth]
callback_origins = ["https://app.example.com", "https://bücher.example", "https://admin.example.com:8443", "com.example.app://callback", "https://[2001:db8::1]"]
"#;

async fn initiate(server: &Server, callback: &str) -> Reply {
    let body = json!({"callback_url": callback});
    server.post("/v1/integrations/sandbox/oauth/initiate").key(&server.key).json(&body).send().await
}

/// Starts a server, which also allows `http://localhost`.
async fn server(config: &str) -> Server {
    Server::with(Setup { config: config.to_owned(), ..Setup::default() }).await
}

#[tokio::test]
async fn allowed_callback_is_sent_verbatim() {
    let server = server(ORIGINS).await;
    for callback in [
        "https://app.example.com",
        "https://app.example.com/a/b?c=d&e=%20%2F",
        "HTTPS://APP.EXAMPLE.COM:443/",
        "https://app.example.com/../x",
        "https://app.example.com?next=https://evil.example/@x",
        "https://bücher.example/cb",
        "https://BÜCHER.example/cb",
        "https://xn--bcher-kva.example/cb",
        "https://admin.example.com:8443/cb",
        "https://[2001:db8:0::1]/cb",
        "com.example.app://callback",
        "com.example.app://callback/done?x=1",
        "http://localhost",
        "http://localhost:1/cb",
        "http://LocalHost:65535/cb",
    ] {
        let reply = initiate(&server, callback).await;
        assert_eq!(reply.status, 200, "{callback}: {}", reply.text());
        let login_url = url::Url::parse(reply.json()["login_url"].as_str().unwrap()).unwrap();
        let sent = login_url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
        assert_eq!(sent, callback);
    }
}

/// Callback URLs that none of `ORIGINS` allows.
const REFUSED: &[&str] = &[
    "https://evil.example/",
    "https://app.example.com.evil.example/",
    "https://evil.example/https://app.example.com/",
    "https://sub.app.example.com/",
    "https://app.example.com./",
    "https://app.example.com:8443/",
    "https://admin.example.com/",
    "https://аpp.example.com/",
    "http://app.example.com/",
    "https://localhost/",
    "http://localhost./",
    "http://localhost.evil.example/",
    "http://app.localhost/",
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://0.0.0.0/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://127.1/",
    "http://192.168.0.1/",
    "https://user@app.example.com/",
    "https://user:pass@app.example.com/",
    "https://@app.example.com/",
    "https://app.example.com@evil.example/",
    "http://localhost:80@evil.example/",
    "https://app.example.com/#",
    "https://app.example.com/#fragment",
    "https://evil.example#@app.example.com/",
    "https://app.example.com\\@evil.example/",
    "https:\\\\app.example.com/",
    "https://app.example.com/a b",
    " https://app.example.com/",
    "https://app.example.com/\n",
    "https://app.exa\tmple.com/",
    "https://app.example.com/\u{0}",
    "https://app.example.com/\u{7f}",
    "https://app.example.com/\u{85}",
    "https://app.example.com/\u{2028}",
    "https://app.example.com/\u{3000}",
    "javascript://localhost/%0aalert(1)",
    "javascript:alert(1)//http://localhost",
    "data:text/html,x",
    "data://localhost/x",
    "file://localhost/etc/passwd",
    "file:///etc/passwd",
    "blob:https://app.example.com/1",
    "about:blank",
    "ws://localhost/",
    "wss://app.example.com/",
    "ftp://localhost/",
    "custom://localhost/",
    "com.example.app://other",
    "com.example.app://callback:1/",
    "com.example.app:/callback",
    "com.example.app:callback",
    "com.example.app2://callback",
    "//app.example.com/",
    "/callback",
    "app.example.com/",
    "https:app.example.com/",
    "https:/app.example.com/",
    "https:///app.example.com/",
    "https://",
    "https://app.example.com:99999/",
    "https://app.example.com%2f.evil.example/",
    "http://[::1",
    "null",
    "*",
    "",
];

#[tokio::test]
async fn other_callbacks_are_400_and_not_repeated() {
    let server = server(ORIGINS).await;
    assert!(REFUSED.len() >= 60);
    for callback in REFUSED {
        let reply = initiate(&server, callback).await;
        assert_eq!(reply.status, 400, "{callback:?}: {}", reply.text());
        let problem = reply.json();
        assert_eq!(problem["type"], "/problems/callback-origin-not-allowed", "{callback:?}");
        let listed = "Callback URL origin is not allowed. Allowed origins: ['https://app.example.com', \
                      'https://xn--bcher-kva.example', 'https://admin.example.com:8443', 'com.example.app://callback', \
                      'https://[2001:db8::1]', 'http://localhost']";
        assert_eq!(problem["detail"], listed, "{callback:?}");
        assert!(problem["reason"].as_str().is_some_and(|reason| !reason.contains("evil")), "{callback:?}");
    }
}

#[tokio::test]
async fn localhost_ports_can_be_exact() {
    let server = server("[oauth]\nlocalhost_ports = \"exact\"\n").await;
    initiate(&server, "http://localhost/cb").await.is(200);
    initiate(&server, "http://localhost:3000/cb").await.is(400);
}
