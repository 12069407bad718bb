//! No secret in any place where it does not belong: twelve canaries go through every route and every failure at TRACE
//! level, and are looked for in every encoding in the log, the answers, the vault's files and everything beside them.

use std::collections::BTreeMap;

use crate::support::canaries::{encodings, found};
use crate::support::process::{Installation, Process};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

const API_KEY: &str = "canary-api-key-0a8fQ";
const USERNAME: &str = "canary-username-1b9gR";
const PASSWORD: &str = "canary-password-2c0hS";
const HEADER: &str = "canary-header-3d1iT";
const ACCESS: &str = "canary-access-4e2jU";
const REFRESH: &str = "canary-refresh-5f3kV";
const ID_TOKEN: &str = "canary-id-token-6g4lW";
const CODE: &str = "canary-code-7h5mX";
const CLIENT_SECRET: &str = "canary-client-secret-8i6nY";
const BAD_KEY: &str = "canary-bad-key-9j7oZ";
const BAD_BODY: &str = "canary-bad-body-0k8pA";
const QUERY: &str = "canary-query-1l9qB";
const ALL: [&str; 12] =
    [API_KEY, USERNAME, PASSWORD, HEADER, ACCESS, REFRESH, ID_TOKEN, CODE, CLIENT_SECRET, BAD_KEY, BAD_BODY, QUERY];

/// A title is not a secret, but it is sealed in the file. The search must find it in the lists.
const TITLE: &str = "planted-title-2m0rC";

#[tokio::test]
async fn canaries_appear_nowhere_and_the_control_is_found() {
    let provider = crate::support::provider::peers::fake_provider(json!({
        "access_token": ACCESS, "refresh_token": REFRESH, "id_token": ID_TOKEN, "token_type": "bearer", "expires_in": 60
    }))
    .await;
    // It returns what it received, with the secret.
    let echo = crate::support::provider::peers::answering(|request| ("200 OK", "text/plain", request.to_owned())).await;
    let installation = Installation::new(&settings(&provider, &echo)).await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let answers = every_route_and_failure(&server, &key).await;
    let log = server.log();
    assert!(log.contains("/v1/integrations/{provider}/credentials"), "requests are logged, by their pattern: {log}");
    let running = everything_in(&installation);
    assert!(server.stop().success());
    let stopped = everything_in(&installation);

    let mut places: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    places.insert("log".to_owned(), log.into_bytes());
    places.insert("answers".to_owned(), answers);
    places.extend(running.into_iter().map(|(name, bytes)| (format!("{name} (running)"), bytes)));
    places.extend(stopped);
    let mut secrets = ALL.to_vec();
    secrets.push(&key);
    for (place, bytes) in &places {
        assert_eq!(found(bytes, &secrets), Vec::<String>::new(), "in {place}");
        let planted = found(bytes, &[TITLE]);
        if place == "answers" {
            assert_eq!(planted.len(), 1, "the search must find what is there");
        } else {
            assert_eq!(planted, Vec::<String>::new(), "in {place}");
        }
    }
    assert!(places.keys().any(|name| name.ends_with("-wal (running)")), "{:?}", places.keys());
}

#[test]
fn search_finds_a_secret_in_every_encoding() {
    for encoding in encodings(ACCESS) {
        let leak = format!("something {encoding} else");
        assert_eq!(found(leak.as_bytes(), &ALL), [ACCESS]);
    }
    // In the middle of an encoded text, as after a user name in Basic.
    for before in ["", "u", "us", "user:"] {
        let pair = STANDARD.encode(format!("{before}{ACCESS}:after"));
        assert_eq!(found(pair.as_bytes(), &ALL), [ACCESS], "{before}");
    }
}

fn settings(provider: &str, echo: &str) -> String {
    format!(
        "[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\nallow = [\"127.0.0.0/8\"]\n\
         [providers.fake]\ndisplay_name = \"Fake\"\nclient_id = \"c\"\nclient_secret = \"{CLIENT_SECRET}\"\n\
         [providers.fake.oauth]\nauthorize_url = \"{provider}/authorize\"\ntoken_url = \"{provider}/token\"\n\
         api_base_url = \"{echo}\"\n\
         [providers.fake.oauth.identity]\nurl = \"{provider}/nothing-here\"\nusername = \"/name\"\n\
         [providers.fake.oauth.revoke]\nurl = \"{provider}/nothing-here\"\n"
    )
}

/// Bodies of create requests, good and bad, with their provider.
fn bodies() -> [(&'static str, Value); 8] {
    [
        ("openai", json!({"type": "api_key", "api_key": API_KEY, "title": TITLE})),
        ("smtp", json!({"type": "user_password", "username": USERNAME, "password": PASSWORD, "title": "t"})),
        ("http", json!({"type": "host_scoped", "host": "example.com", "headers": {"X-K": HEADER}, "title": "t"})),
        ("openai", json!({"type": "user_password", "username": USERNAME, "password": PASSWORD, "title": "t"})),
        ("nowhere", json!({"type": "api_key", "api_key": API_KEY, "title": "t"})),
        ("openai", json!({"type": "api_key", "api_key": {"wrong": BAD_BODY}, "title": 3})),
        ("openai", json!({"type": BAD_BODY})),
        (
            "http",
            json!({"type": "host_scoped", "host": format!("{BAD_BODY} x"), "headers": {"a": [BAD_BODY]}, "title": "t"}),
        ),
    ]
}

/// All responses, one after the other, without the one that may hold a secret: the state token goes
/// to the client.
async fn every_route_and_failure(server: &Process, key: &str) -> Vec<u8> {
    let mut answers = Vec::new();
    let mut say = async |method: Method, path: &str, key: &str, body: Option<Value>| -> Value {
        let mut ask = server.ask(method, path).key(key);
        if let Some(body) = body {
            ask = ask.json(&body);
        }
        let reply = ask.send().await;
        answers.extend_from_slice(&reply.body);
        serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
    };
    let base = "/v1/integrations";
    let mut ids = Vec::new();
    for (provider, body) in bodies() {
        let made = say(Method::POST, &format!("{base}/{provider}/credentials"), key, Some(body)).await;
        ids.extend(made["id"].as_str().map(|id| (provider, id.to_owned())));
    }
    for code in [CODE, CODE] {
        let callback = json!({"callback_url": "http://localhost:1/cb"});
        let path = format!("{base}/fake/oauth/initiate");
        let started = server.ask(Method::POST, &path).key(key).json(&callback).send().await.is(200).json();
        let body = json!({"code": code, "state_token": started["state_token"], "callback_params": {"x": QUERY}});
        let done = say(Method::POST, &format!("{base}/fake/oauth/complete"), key, Some(body.clone())).await;
        ids.extend(done["credentials_id"].as_str().map(|id| ("fake", id.to_owned())));
        say(Method::POST, &format!("{base}/fake/oauth/complete"), key, Some(body)).await;
    }
    assert_eq!(ids.len(), 5, "three kinds and two connected accounts");
    for (provider, id) in &ids {
        let path = format!("{base}/{provider}/credentials/{id}");
        // The response that holds a secret on purpose.
        let live = server.ask(Method::GET, &format!("{path}/token?x={QUERY}")).key(key).send().await.is(200);
        assert!([API_KEY, PASSWORD, HEADER, ACCESS].iter().any(|secret| live.text().contains(secret)), "{provider}");
        // Sent with the secret, or refused; the provider repeats everything.
        if ["fake", "smtp"].contains(provider) {
            let proxied = server.ask(Method::GET, &format!("/v1/proxy/{id}/x?x={QUERY}")).key(key).send().await;
            assert_eq!(proxied.status == 200, *provider == "fake", "{provider}: {}", proxied.text());
            assert!(found(&proxied.body, &[PASSWORD, ACCESS]).is_empty(), "{}", proxied.text());
        }
        say(Method::GET, &path, key, None).await;
        say(Method::GET, &format!("{path}/token?min_ttl={QUERY}"), key, None).await;
        say(Method::POST, &format!("{path}/refresh"), key, None).await;
        for body in [json!({"password": PASSWORD}), json!({"api_key": [BAD_BODY]}), json!({"title": "t"})] {
            say(Method::PATCH, &path, key, Some(body)).await;
        }
    }
    let denied = json!({"state_token": BAD_BODY, "callback_params": {"error": "access_denied"}});
    say(Method::POST, &format!("{base}/fake/oauth/complete"), key, Some(denied)).await;
    for path in ["/providers", "/credentials", "/fake/credentials", &format!("/credentials?limit=1&q={QUERY}")] {
        say(Method::GET, &format!("{base}{path}"), key, None).await;
    }
    for path in [
        format!("{base}/providers?key={QUERY}"),
        format!("/{QUERY}/nothing"),
        format!("{base}/credentials?limit={QUERY}"),
    ] {
        let reply = server.ask(Method::GET, &path).header("Authorization", &format!("Bearer {BAD_KEY}")).send().await;
        answers.extend_from_slice(&reply.body);
    }
    let mut say_again = async |method: Method, path: String| {
        let reply = server.ask(method, &path).key(key).send().await;
        answers.extend_from_slice(&reply.body);
    };
    for (provider, id) in &ids {
        say_again(Method::DELETE, format!("{base}/{provider}/credentials/{id}")).await;
        say_again(Method::DELETE, format!("{base}/{provider}/credentials/{id}")).await;
    }
    say_again(Method::GET, "/openapi.json".to_owned()).await;
    say_again(Method::GET, "/readyz".to_owned()).await;
    answers
}

/// Every file of the installation but the two that hold secrets by design: the configuration and the master key.
fn everything_in(installation: &Installation) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(installation.folder.path()).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| name != "strongroom.toml" && name != "strongroom.key")
        .map(|(name, path)| (name, std::fs::read(path).unwrap_or_default()))
        .collect()
}
