//! Live tokens: refreshed in time, once for all who ask, and never at the cost of what is stored.

use std::time::Duration;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use strongroom::sandbox::{Conduct, RefreshTokens, SandboxEndpoint};

const MINUTE: Duration = Duration::from_secs(60);

fn of(provider: &str, id: &str, rest: &str) -> String {
    format!("/v1/integrations/{provider}/credentials/{id}{rest}")
}

async fn token(server: &Server, provider: &str, id: &str) -> Reply {
    server.get(&of(provider, id, "/token")).key(&server.key).send().await
}

async fn detail(server: &Server, provider: &str, id: &str) -> Value {
    server.get(&of(provider, id, "")).key(&server.key).send().await.is(200).json()
}

async fn refresh(server: &Server, provider: &str, id: &str) -> Reply {
    server.post(&of(provider, id, "/refresh")).key(&server.key).send().await
}

#[tokio::test]
async fn fresh_token_sends_nothing_and_ending_one_refreshes() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let first = token(&server, "sandbox", &id).await.is(200);
    assert_eq!(first.header("Cache-Control"), Some("no-store"));
    let first = first.json();
    assert_eq!(first["token_type"], "Bearer");
    let sent = (&first["in"], &first["name"], &first["prefix"]);
    assert_eq!(sent, (&json!("header"), &json!("Authorization"), &json!("Bearer ")));
    assert_eq!(first["scopes"], json!(["profile"]));
    assert_eq!(first["expires_at"], server.clock.now().0 + 3_600);
    assert_eq!(server.token_requests(), 1, "the code's own");
    server.clock.advance(54 * MINUTE);
    assert_eq!(token(&server, "sandbox", &id).await.is(200).json(), first, "six minutes are more than five");
    server.clock.advance(2 * MINUTE);
    let second = token(&server, "sandbox", &id).await.is(200).json();
    assert_ne!(second["access_token"], first["access_token"]);
    assert_eq!(second["expires_at"], server.clock.now().0 + 3_600);
    assert_eq!(server.token_requests(), 2);
    assert_eq!(token(&server, "sandbox", &id).await.is(200).json(), second);
    for round in 0..5 {
        server.clock.advance(61 * MINUTE);
        assert_ne!(
            token(&server, "sandbox", &id).await.is(200).json(),
            second,
            "the rotated token serves in turn {round}"
        );
    }
}

#[tokio::test]
async fn min_ttl_is_at_most_half_of_the_tokens_life() {
    let server = Server::start().await;
    server.sandbox.adjust(|behaviour| behaviour.access_token_lifetime = Duration::from_secs(60));
    let id = server.connect("sandbox").await;
    let first = token(&server, "sandbox", &id).await.is(200).json();
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(token(&server, "sandbox", &id).await.is(200).json(), first, "half of it is left");
    server.clock.advance(Duration::from_secs(1));
    assert_ne!(token(&server, "sandbox", &id).await.is(200).json(), first);
    assert_eq!(server.token_requests(), 2);
    let with = |query: &str| server.get(&of("sandbox", &id, query)).key(&server.key).send();
    server.clock.advance(Duration::from_secs(59));
    with("/token?min_ttl=0").await.is(200);
    assert_eq!(server.token_requests(), 2, "it has a second to live, and that is enough");
    let faults = with("/token?min_ttl=soon").await.is(422).detail();
    assert_eq!(faults[0]["loc"], json!(["query", "min_ttl"]));
    with("/token?min_ttl=-1").await.is(422);
}

#[tokio::test]
async fn other_kinds_return_their_secret() {
    let server = Server::start().await;
    for (provider, body, secret) in [
        (
            "openai",
            json!({"type": "api_key", "api_key": "sk-1", "title": ""}),
            json!({"api_key": "sk-1", "in": "header",
            "name": "Authorization", "prefix": "Bearer ", "base_url": "https://api.openai.com/v1"}),
        ),
        (
            "smtp",
            json!({"type": "user_password", "username": "u", "password": "p", "title": ""}),
            json!({"username": "u", "password": "p", "in": null, "name": null, "prefix": null, "base_url": null}),
        ),
        (
            "http",
            json!({"type": "host_scoped", "host": "a.example", "headers": {"X-K": "v"}, "title": ""}),
            json!({"headers": {"X-K": "v"}, "in": "header", "name": null, "prefix": null, "base_url": null}),
        ),
    ] {
        let path = format!("/v1/integrations/{provider}/credentials");
        let made = server.post(&path).key(&server.key).json(&body).send().await.is(201).json();
        let id = made["id"].as_str().unwrap();
        assert_eq!(token(&server, provider, id).await.is(200).json(), secret);
        assert_eq!(detail(&server, provider, id).await["last_used_at"], server.clock.now().0);
        refresh(&server, provider, id).await.is(400);
        token(&server, "github", id).await.is(404);
        let bobs = server.key_of("bob").await;
        let stranger = server.get(&of(provider, id, "/token")).key(&bobs).send().await.is(404);
        assert_eq!(stranger.detail(), "Credentials not found");
    }
}

#[tokio::test]
async fn lists_show_the_status_of_each_credential() {
    let server = Server::start().await;
    let soon = server.clock.now().0 + 60;
    let body = json!({"type": "api_key", "api_key": "sk-1", "title": "", "expires_at": soon});
    server.post("/v1/integrations/openai/credentials").key(&server.key).json(&body).send().await.is(201);
    let id = server.connect("sandbox").await;
    let statuses = async || {
        let listed = server.list().await;
        let paged = server.get("/v1/integrations/credentials?limit=9").key(&server.key).send().await.is(200).json();
        assert_eq!(listed, paged);
        listed.as_array().unwrap().iter().map(|one| one["status"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, ["active", "active"]);
    server.clock.advance(Duration::from_secs(61));
    assert_eq!(statuses().await, ["expired", "active"], "nothing was written since the last list");
    revoke_at_the_provider(&server, &id).await;
    refresh(&server, "sandbox", &id).await.is(409);
    assert_eq!(statuses().await, ["expired", "needs_reauth"]);
}

#[tokio::test]
async fn credential_is_shown_with_its_status() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let now = server.clock.now().0;
    let shown = detail(&server, "sandbox", &id).await;
    let listed = server.list().await[0].clone();
    for (name, value) in listed.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    for (name, value) in [
        ("created_at", json!(now)),
        ("updated_at", json!(now)),
        ("expires_at", json!(now + 3_600)),
        ("last_used_at", Value::Null),
        ("status", json!("active")),
        ("last_error", Value::Null),
        ("refused_since", Value::Null),
        ("in_doubt_since", Value::Null),
        ("next_try_at", Value::Null),
        ("reauth_before", json!(now + 30 * 86_400)),
        ("may_be_stale", json!(false)),
        ("beside", Value::Null),
        ("inputs", Value::Null),
        ("exportable", json!(true)),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!(shown.as_object().unwrap().len(), 8 + 14);
    server.get(&of("github", &id, "")).key(&server.key).send().await.is(404);
}

#[tokio::test]
async fn forced_refresh_ignores_the_expiry() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let first = token(&server, "sandbox", &id).await.is(200).json();
    server.clock.advance(MINUTE);
    server.list().await; // The list is in memory now, as it was before the refresh.
    let shown = refresh(&server, "sandbox", &id).await.is(200).json();
    assert_eq!(shown["expires_at"], server.clock.now().0 + 3_600);
    assert!(!shown.to_string().contains("sandbox_access_"), "never a secret");
    assert_ne!(token(&server, "sandbox", &id).await.is(200).json(), first);
    assert_eq!(server.token_requests(), 2);
    refresh(&server, "sandbox", "nobody").await.is(404);
}

// docs/standards.md: 24.
#[tokio::test]
async fn invalid_grant_sets_needs_reauth_without_a_loop() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    server.sandbox.adjust(|behaviour| behaviour.refresh_tokens = RefreshTokens::Reusable);
    revoke_at_the_provider(&server, &id).await;
    server.clock.advance(59 * MINUTE);
    let problem = token(&server, "sandbox", &id).await.is(409);
    assert_eq!(problem.header("Content-Type"), Some("application/problem+json"));
    let problem = problem.json();
    assert_eq!(problem["type"], "/problems/needs-reauth");
    assert!(problem["cause"].as_str().unwrap().starts_with("invalid_grant"), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains(&id) && problem["credential_id"] == id.as_str());
    let asked = server.token_requests();
    for _ in 0..3 {
        token(&server, "sandbox", &id).await.is(409);
        refresh(&server, "sandbox", &id).await.is(409);
        server.clock.advance(60 * MINUTE);
    }
    server.broker.refresh_due().await.unwrap();
    assert_eq!(server.token_requests(), asked, "once refused is enough");
    let shown = detail(&server, "sandbox", &id).await;
    assert_eq!(shown["status"], "needs_reauth");
    assert!(shown["last_error"]["message"].as_str().unwrap().starts_with("invalid_grant"));
    assert!(shown["last_error"]["at"].is_i64());

    let started = server.initiate_with("sandbox", &json!({"callback_url": CALLBACK, "credential_id": id})).await;
    let callback = server.log_in(&started).await;
    server.complete("sandbox", &callback).await.is(200);
    let shown = detail(&server, "sandbox", &id).await;
    assert_eq!((&shown["status"], &shown["last_error"]), (&json!("active"), &Value::Null));
    token(&server, "sandbox", &id).await.is(200);
}

/// The user takes the permission back at the provider.
async fn revoke_at_the_provider(server: &Server, id: &str) {
    let live = token(server, "sandbox", id).await.is(200).json()["access_token"].as_str().unwrap().to_owned();
    let client = format!("{}:{}", server.sandbox.client_id(), server.sandbox.client_secret().expose());
    let basic = format!("Basic {}", STANDARD.encode(client));
    let ask = crate::support::http::Ask::new(Method::POST, format!("{}/revoke", server.sandbox.base_url()));
    let ask = ask.header("Content-Type", "application/x-www-form-urlencoded").header("Authorization", &basic);
    ask.bytes(format!("token={live}")).send().await.is(200);
}

// docs/standards.md: 24.
#[tokio::test]
async fn valid_token_is_served_during_an_outage() {
    let server = Server::start().await;
    let id = server.connect("sandbox").await;
    let first = token(&server, "sandbox", &id).await.is(200).json();
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Down);
    server.clock.advance(57 * MINUTE);
    assert_eq!(token(&server, "sandbox", &id).await.is(200).json(), first);
    let asked = server.token_requests();
    for _ in 0..10 {
        assert_eq!(token(&server, "sandbox", &id).await.is(200).json(), first);
    }
    assert_eq!(server.token_requests(), asked, "it backs off");
    let shown = detail(&server, "sandbox", &id).await;
    assert_eq!((&shown["status"], &shown["in_doubt_since"]), (&json!("active"), &Value::Null));
    assert_eq!(shown["last_error"]["message"], "the provider answered with status 503");
    assert!(shown["next_try_at"].as_i64().unwrap() > server.clock.now().0);
    server.clock.advance(4 * MINUTE);
    let failed = token(&server, "sandbox", &id).await.is(502);
    assert_eq!(failed.json()["type"], "/problems/provider-unavailable");
    assert!(failed.header("Retry-After").unwrap().parse::<u64>().unwrap() > 0);
    token(&server, "sandbox", &id).await.is(502);
    assert_eq!(server.token_requests(), asked + 1);
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Normal);
    assert_eq!(token(&server, "sandbox", &id).await.is(502).status, 502, "our own guess holds for those who only ask");
    refresh(&server, "sandbox", &id).await.is(200);
    assert_eq!(detail(&server, "sandbox", &id).await["last_error"], Value::Null);
}

#[tokio::test]
async fn retry_after_also_delays_a_forced_refresh() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    acme.says(
        "/token",
        &json!({"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 3600}),
    );
    let id = server.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    acme.answers_with("/token", "429 Too Many Requests\r\nRetry-After: 120", "text/plain", "slow down");
    let failed = refresh(&server, "acme", &id).await.is(502);
    assert_eq!(failed.header("Retry-After"), Some("120"));
    let asked = acme.asked("/token").len();
    server.clock.advance(MINUTE);
    assert_eq!(refresh(&server, "acme", &id).await.is(502).header("Retry-After"), Some("60"));
    assert_eq!(acme.asked("/token").len(), asked);
    server.clock.advance(MINUTE);
    acme.says("/token", &json!({"access_token": "b", "token_type": "bearer"}));
    refresh(&server, "acme", &id).await.is(200);
    let last = acme.asked("/token").pop().unwrap();
    assert_eq!((last.param("refresh_token").as_deref(), last.param("scope")), (Some("r"), None));
}

#[tokio::test]
async fn unreadable_token_response_changes_nothing() {
    let acme = Recording::start().await;
    let server = acme.server("token_metadata = [\"team\"]").await;
    let good = json!({"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 3600, "team": "T",
        "scope": "read"});
    acme.says("/token", &good);
    let id = server.connect_acme(&["read"]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    let before = token(&server, "acme", &id).await.is(200).json();
    for (status, kind, body) in [
        ("200 OK", "text/html", "<html>maintenance</html>"),
        ("200 OK", "application/json", ""),
        ("200 OK", "application/json", "[]"),
        ("200 OK", "application/json", r#"{"error":"temporarily_unavailable"}"#),
        ("200 OK", "application/json", r#"{"ok":false,"error":"ratelimited"}"#),
        ("200 OK", "application/json", r#"{"access_token":"b\r\nX: y","token_type":"bearer"}"#),
        ("200 OK", "application/json", r#"{"access_token":"","token_type":"bearer","refresh_token":"x"}"#),
        ("400 Bad Request", "application/json", r#"{"error":"invalid_client"}"#),
        ("400 Bad Request", "application/json", r#"{"error":"invalid_scope"}"#),
        ("403 Forbidden", "text/html", "blocked"),
        ("302 Found\r\nLocation: https://elsewhere.example/", "text/plain", ""),
        ("500 Internal Server Error", "application/json", r#"{"error":"invalid_grant"}"#),
        ("504 Gateway Timeout", "text/plain", "invalid_grant"),
    ] {
        acme.answers_with("/token", status, kind, body);
        let failed = refresh(&server, "acme", &id).await;
        assert!(matches!(failed.status, 502 | 504), "{status} {body}: {}", failed.text());
        let shown = detail(&server, "acme", &id).await;
        assert_eq!((&shown["status"], &shown["in_doubt_since"]), (&json!("active"), &Value::Null), "{status} {body}");
        assert_eq!(token(&server, "acme", &id).await.is(200).json(), before, "{status} {body}");
    }
    acme.says("/token", &json!({"access_token": "b", "token_type": "bearer", "expires_in": "60"}));
    refresh(&server, "acme", &id).await.is(200);
    let after = token(&server, "acme", &id).await.is(200).json();
    assert_eq!((&after["access_token"], &after["scopes"]), (&json!("b"), &json!(["read"])));
    assert_eq!(
        acme.asked("/token").pop().unwrap().param("refresh_token").as_deref(),
        Some("r"),
        "the one that there was"
    );
}

#[tokio::test]
async fn patch_changes_title_or_secret_and_keeps_the_id() {
    let server = Server::start().await;
    let id = server.create_api_key_credential("openai").await;
    let patch = |provider: &str, id: &str, body: Value| {
        server.ask(Method::PATCH, &of(provider, id, "")).key(&server.key).json(&body).send()
    };
    server.clock.advance(MINUTE);
    let shown =
        patch("openai", &id, json!({"title": "new", "api_key": "k2", "expires_at": "1900000000"})).await.is(200);
    assert_eq!((&shown.json()["id"], &shown.json()["title"]), (&json!(id), &json!("new")));
    assert_eq!(shown.json()["expires_at"], 1_900_000_000);
    assert_eq!(shown.json()["updated_at"], server.clock.now().0);
    assert_eq!(token(&server, "openai", &id).await.is(200).json()["api_key"], "k2");
    for (body, status) in [
        (json!({}), 422),
        (json!({"title": 1}), 422),
        (json!({"title": "lost?", "api_key": ""}), 422),
        (json!({"title": "lost?", "password": "p"}), 400),
        (json!({"type": "user_password", "title": "lost?", "api_key": "k"}), 400),
    ] {
        assert_eq!(patch("openai", &id, body.clone()).await.status, status, "{body}");
    }
    assert_eq!(token(&server, "openai", &id).await.is(200).json()["api_key"], "k2");
    patch("github", &id, json!({"title": "x"})).await.is(404);

    let account = server.connect("sandbox").await;
    let before = token(&server, "sandbox", &account).await.is(200).json();
    assert_eq!(patch("sandbox", &account, json!({"title": "mine"})).await.is(200).json()["title"], "mine");
    let refused = patch("sandbox", &account, json!({"api_key": "x"})).await.is(400);
    assert_eq!(refused.json()["type"], "/problems/credential-type-not-supported");
    assert_eq!(token(&server, "sandbox", &account).await.is(200).json(), before);
}

#[tokio::test]
async fn changed_client_costs_nothing() {
    let acme = Recording::start().await;
    let first = acme.server("").await;
    let answer = json!({"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 3600});
    acme.says("/token", &answer);
    let id = first.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    let asked = acme.asked("/token").len();
    for (client, ended, problem) in
        [("client_id = \"another\"\nclient_secret = \"s\"", 409, "/problems/needs-reauth"), ("", 501, "")]
    {
        let setup = Setup { vault: Some(first.vault.clone()), ..Setup::default() };
        let server = acme.server_with("", client, setup).await;
        assert_eq!(token(&server, "acme", &id).await.is(200).json()["access_token"], "a", "it has not ended");
        server.clock.advance(61 * MINUTE);
        let refused = token(&server, "acme", &id).await.is(ended);
        assert_eq!(refused.json()["type"].as_str().unwrap_or_default(), problem);
        refresh(&server, "acme", &id).await.is(ended);
        server.broker.refresh_due().await.unwrap();
        assert_eq!(detail(&server, "acme", &id).await["status"], "active");
    }
    assert_eq!(acme.asked("/token").len(), asked, "nothing was sent");
    first.clock.advance(61 * MINUTE);
    assert_eq!(token(&first, "acme", &id).await.is(200).json()["access_token"], "a");
    assert_eq!(acme.asked("/token").len(), asked + 1, "with the old id it works as before");
}

#[tokio::test]
async fn url_inputs_survive_refreshes() {
    let acme = Recording::start().await;
    let oauth = "token_url = \"BASE/token\"\nrefresh_url = \"BASE/{region}/renew\"\ncallback_metadata = [\"shop\"]\n\
                 [providers.acme.oauth.inputs.region]\npattern = \"[a-z]+\"\nexample = \"eu\"";
    let server = acme.server(oauth).await;
    acme.says("/token", &json!({"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 60}));
    acme.says("/eu/renew", &json!({"access_token": "b", "refresh_token": "r2", "token_type": "bearer"}));
    let body = json!({"callback_url": CALLBACK, "inputs": {"region": "eu"}});
    let started = server.initiate_with("acme", &body).await;
    let id = server.complete_acme(&server.key, &started.state).await.is(200).json()["credentials_id"].clone();
    let id = id.as_str().unwrap();
    for token in ["r", "r2"] {
        refresh(&server, "acme", id).await.is(200);
        assert_eq!(acme.asked("/eu/renew").pop().unwrap().param("refresh_token").as_deref(), Some(token));
    }
    assert_eq!(acme.asked("/token").len(), 1);
}

#[tokio::test]
async fn unrefreshable_token_is_served_until_it_expires() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    acme.says("/token", &json!({"access_token": "a", "token_type": "bearer", "expires_in": 600}));
    let id = server.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    server.clock.advance(Duration::from_secs(599));
    assert_eq!(token(&server, "acme", &id).await.is(200).json()["access_token"], "a");
    assert_eq!(refresh(&server, "acme", &id).await.is(409).json()["cause"], "the provider gave no refresh token");
    assert_eq!(detail(&server, "acme", &id).await["status"], "active");
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(token(&server, "acme", &id).await.is(409).json()["type"], "/problems/needs-reauth");
    assert_eq!(refresh(&server, "acme", &id).await.is(409).json()["cause"], "the provider gave no refresh token");
    assert_eq!(detail(&server, "acme", &id).await["status"], "needs_reauth");
    assert_eq!(acme.asked("/token").len(), 1);
}

#[tokio::test]
async fn newest_redirect_uri_goes_with_every_refresh() {
    let acme = Recording::start().await;
    acme.says("/token", &json!({"access_token": "at", "token_type": "bearer", "refresh_token": "rt"}));
    let server = acme.server("refresh = { redirect_uri = true }").await;
    let id = server.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        refresh(&server, "acme", &id).await.is(200);
        assert_eq!(acme.asked("/token").last().unwrap().param("redirect_uri").as_deref(), Some(CALLBACK));
    }
    let elsewhere = format!("{CALLBACK}?again=1");
    let body = json!({"callback_url": elsewhere, "credential_id": id, "allow_account_change": true});
    let state = server.initiate_with("acme", &body).await.state;
    server.complete_acme(&server.key, &state).await.is(200);
    refresh(&server, "acme", &id).await.is(200);
    assert_eq!(acme.asked("/token").last().unwrap().param("redirect_uri"), Some(elsewhere));
}

#[tokio::test]
async fn active_token_without_refresh_token_is_not_refreshable() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    acme.says("/token", &json!({"access_token": "at", "token_type": "bearer", "expires_in": 3600}));
    let id = server.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/integrations/acme/credentials/{id}");
    let refresh = async || server.post(&format!("{path}/refresh")).key(&server.key).send().await.is(409).json();
    assert_eq!(refresh().await["type"], "/problems/not-refreshable");
    let shown = server.get(&path).key(&server.key).send().await.is(200).json();
    assert_eq!(shown["status"], "active");
    server.clock.advance(std::time::Duration::from_secs(3601));
    assert_eq!(refresh().await["type"], "/problems/needs-reauth");
}

#[tokio::test]
async fn dead_grant_in_the_providers_words_sets_needs_reauth() {
    let acme = Recording::start().await;
    let server = acme.server("refresh = { refused_messages = [\"refresh_token is invalid\"] }").await;
    acme.says("/token", &json!({"access_token": "at", "token_type": "bearer", "refresh_token": "rt"}));
    let id = server.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    let said = r#"{"error":"unauthorized_client","error_description":"refresh_token is invalid"}"#;
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        acme.answers_with("/token", status, "application/json", said);
        refresh(&server, "acme", &id).await.is(502);
        assert_eq!(detail(&server, "acme", &id).await["status"], "active", "{status}");
        server.clock.advance(Duration::from_secs(3_600));
    }
    acme.answers_with("/token", "403 Forbidden", "text/html", "<html>refresh_token is invalid</html>");
    refresh(&server, "acme", &id).await.is(502);
    acme.answers_with("/token", "403 Forbidden", "application/json", said);
    refresh(&server, "acme", &id).await.is(409);
    assert_eq!(detail(&server, "acme", &id).await["status"], "needs_reauth");
}

#[tokio::test]
async fn unclear_refusals_are_told_after_seven_days() {
    let acme = Recording::start().await;
    let server = acme.server("").await;
    acme.says("/token", &json!({"access_token": "at", "token_type": "bearer", "refresh_token": "rt"}));
    let id = server.connect_acme(&[]).await.is(200).json()["credentials_id"].as_str().unwrap().to_owned();
    acme.answers_with("/token", "400 Bad Request", "application/json", r#"{"error":"acme_says_no"}"#);
    let last_error = async || {
        refresh(&server, "acme", &id).await.is(502);
        let shown = detail(&server, "acme", &id).await;
        assert_eq!(shown["status"], "active");
        shown["last_error"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(last_error().await, "acme_says_no");
    server.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    assert_eq!(last_error().await, "acme_says_no");
    server.clock.advance(Duration::from_secs(1));
    let told = last_error().await;
    assert!(told.starts_with("acme_says_no (refused since ") && told.contains("connected again"), "{told}");
    acme.says("/token", &json!({"access_token": "at2", "token_type": "bearer", "refresh_token": "rt2"}));
    refresh(&server, "acme", &id).await.is(200);
    acme.answers_with("/token", "400 Bad Request", "application/json", r#"{"error":"acme_says_no"}"#);
    assert_eq!(last_error().await, "acme_says_no", "a success ends the count");
}
