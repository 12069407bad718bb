//! Every row of the contract's error table, as a client sees it.

use crate::support::flow::CALLBACK;
use crate::support::{Server, Setup};
use serde_json::{Value, json};
use strongroom::permission::Permission;

const INITIATE: &str = "/v1/integrations/sandbox/oauth/initiate";
const COMPLETE: &str = "/v1/integrations/sandbox/oauth/complete";
const NOBODY: &str = "0192d3f0-7c3a-7000-8000-00000000000f";

#[tokio::test]
async fn missing_key_is_401() {
    let server = Server::start().await;
    let reply = server.get("/v1/integrations/providers").send().await.is(401);
    assert_eq!(reply.detail(), "Missing authentication. Provide API key or access token.");
    assert_eq!(reply.header("WWW-Authenticate"), Some("Bearer"));
    let empty = server.get("/v1/integrations/providers").header("X-API-Key", "").send().await.is(401);
    assert_eq!(empty.detail(), reply.detail());
}

#[tokio::test]
async fn unusable_keys_get_one_answer() {
    let server = Server::start().await;
    let revoked = server.revoked_key().await;
    let expired = server.expired_key().await;
    let mut malformed = server.key.clone();
    malformed.pop();
    let unknown = "srk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let mut answers = Vec::new();
    for key in [&revoked, &expired, &malformed, &unknown, &"x".to_owned(), &"x".repeat(5000)] {
        let reply = server.get("/v1/integrations/providers").key(key).send().await.is(401);
        assert!(reply.header("WWW-Authenticate").unwrap().contains("error=\"invalid_token\""));
        let mut body = reply.json();
        body["request_id"] = Value::Null;
        answers.push(body);
    }
    assert_eq!(answers[0]["detail"], "Invalid API key");
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

#[tokio::test]
async fn both_key_headers_work_and_x_api_key_wins() {
    let server = Server::start().await;
    let path = "/v1/integrations/providers";
    for scheme in ["Bearer", "bearer", "BEARER"] {
        server.get(path).header("Authorization", &format!("{scheme} {}", server.key)).send().await.is(200);
    }
    let bearer = format!("Bearer {}", server.key);
    server.get(path).header("X-API-Key", "wrong").header("Authorization", &bearer).send().await.is(401);
    server.get(path).header("X-API-Key", "").header("Authorization", &bearer).send().await.is(200);
}

#[tokio::test]
async fn missing_permission_is_named() {
    let server = Server::start().await;
    let reader = server.key_with(&[Permission::ReadIntegrations]).await;
    let reply = server.post(INITIATE).key(&reader).json(&json!({})).send().await.is(403);
    assert_eq!(reply.detail(), "Missing required permission(s): MANAGE_INTEGRATIONS");
}

#[tokio::test]
async fn unlisted_callback_origin_is_400_with_the_list() {
    let server = Server::start().await;
    for callback in ["https://evil.example/cb", "not a url", "javascript://localhost/", "http://localhost:80@evil/", ""]
    {
        let body = json!({"callback_url": callback});
        let reply = server.post(INITIATE).key(&server.key).json(&body).send().await.is(400);
        let detail = reply.detail();
        assert!(
            detail.as_str().unwrap().starts_with("Callback URL origin is not allowed. Allowed origins: ["),
            "{detail}"
        );
        assert_eq!(reply.json()["type"], "/problems/callback-origin-not-allowed");
        assert!(reply.json()["reason"].is_string());
    }
}

#[tokio::test]
async fn initiate_checks_origin_then_provider_then_client() {
    let server = Server::start().await;
    let ask = |provider: &str, callback: &str| {
        let path = format!("/v1/integrations/{provider}/oauth/initiate");
        server.post(&path).key(&server.key).json(&json!({"callback_url": callback})).send()
    };
    ask("nowhere", "https://evil.example/").await.is(400);
    assert_eq!(ask("nowhere", CALLBACK).await.is(404).detail(), "Provider 'nowhere' not found");
    let mistyped = ask("gihub", CALLBACK).await.is(404);
    assert_eq!(
        (mistyped.detail(), &mistyped.json()["did_you_mean"]),
        (json!("Provider 'gihub' not found"), &json!("github"))
    );
    assert_eq!(ask("xxxxxxxxx", CALLBACK).await.is(404).json().get("did_you_mean"), None);
    assert_eq!(ask("smtp", CALLBACK).await.is(404).detail(), "Provider 'smtp' does not support OAuth");
    let unconfigured = ask("github", CALLBACK).await.is(501);
    assert_eq!(unconfigured.header("Content-Type"), Some("application/json"));
    assert_eq!(unconfigured.detail()["message"], "Integration with provider 'github' is not configured.");
    assert!(unconfigured.detail()["hint"].as_str().unwrap().contains("github"));
}

#[tokio::test]
async fn unusable_states_get_one_answer() {
    let server = Server::start().await;
    let complete = |key: String, path: &'static str, state: String| {
        server.post(path).key(&key).json(&json!({"code": "c", "state_token": state})).send()
    };
    let invalid = "Invalid or expired state token";

    assert_eq!(complete(server.key.clone(), COMPLETE, "nonsense".into()).await.is(400).detail(), invalid);

    let started = server.initiate("sandbox").await;
    let bob = server.key_of("bob").await;
    assert_eq!(complete(bob, COMPLETE, started.state.clone()).await.is(400).detail(), invalid);
    let elsewhere = "/v1/integrations/google/oauth/complete";
    assert_eq!(complete(server.key.clone(), elsewhere, started.state.clone()).await.is(400).detail(), invalid);

    let callback = server.log_in(&started).await;
    server.complete("sandbox", &callback).await.is(200);
    assert_eq!(server.complete("sandbox", &callback).await.is(400).detail(), invalid);

    let late = server.initiate("sandbox").await;
    let callback = server.log_in(&late).await;
    server.clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(server.complete("sandbox", &callback).await.is(400).detail(), invalid);
    assert_eq!(server.token_requests(), 1, "only the one good state reached the provider");
}

#[tokio::test]
async fn failed_exchange_shows_the_providers_words() {
    let server = Server::start().await;
    let started = server.initiate("sandbox").await;
    let body = json!({"code": "no-such-code", "state_token": started.state});
    let reply = server.post(COMPLETE).key(&server.key).json(&body).send().await.is(400);
    let detail = reply.detail().as_str().unwrap().to_owned();
    assert!(detail.starts_with("OAuth2 callback failed to exchange code for tokens: invalid_grant"), "{detail}");
    assert!(!detail.contains("no-such-code"));
}

#[tokio::test]
async fn callback_error_consumes_the_state_and_sends_nothing() {
    let server = Server::start().await;
    let started = server.initiate("sandbox").await;
    let iss = server.sandbox.base_url();
    let params = json!({"error": "access_denied", "error_description": "The user\r\nsaid no", "iss": iss});
    let body = json!({"state_token": started.state, "callback_params": params});
    let reply = server.post(COMPLETE).key(&server.key).json(&body).send().await.is(400);
    assert_eq!(reply.json()["type"], "/problems/authorization-denied");
    let detail = reply.detail().as_str().unwrap().to_owned();
    assert!(detail.contains("access_denied: The user"), "{detail}");
    assert!(!detail.contains(['\r', '\n']));
    server.post(COMPLETE).key(&server.key).json(&body).send().await.is(400);
    assert_eq!(server.token_requests(), 0);
}

#[tokio::test]
async fn code_may_be_missing_only_with_a_callback_error() {
    let server = Server::start().await;
    for body in [json!({"state_token": "s"}), json!({"state_token": "s", "callback_params": {"iss": "x"}})] {
        let reply = server.post(COMPLETE).key(&server.key).json(&body).send().await.is(422);
        assert_eq!(reply.detail()[0]["loc"], json!(["body", "code"]));
        assert_eq!(reply.detail()[0]["type"], "missing");
    }
}

#[tokio::test]
async fn unreachable_or_unreadable_provider_is_502() {
    for (what, base) in [
        ("closed port", crate::support::provider::peers::closed_port().await),
        ("html", crate::support::provider::peers::html_server().await),
    ] {
        let server = Server::with_provider("broken", &base).await;
        let started = server.initiate("broken").await;
        let body = json!({"code": "c", "state_token": started.state});
        let path = "/v1/integrations/broken/oauth/complete";
        let reply = server.post(path).key(&server.key).json(&body).send().await.is(502);
        let detail = reply.detail().as_str().unwrap().to_owned();
        assert!(detail.starts_with("OAuth2 callback failed to exchange code for tokens: "), "{what}: {detail}");
        server.post(path).key(&server.key).json(&body).send().await.is(400);
    }
}

#[tokio::test]
async fn bad_body_lists_every_fault_and_no_value() {
    let server = Server::start().await;
    let body = json!({"scopes": "s3cret-canary", "state_metadata": ["s3cret-canary"]});
    let reply = server.post(INITIATE).key(&server.key).json(&body).send().await.is(422);
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    let faults: Vec<(Value, Value)> =
        reply.detail().as_array().unwrap().iter().map(|fault| (fault["type"].clone(), fault["loc"].clone())).collect();
    assert_eq!(
        faults,
        [
            (json!("missing"), json!(["body", "callback_url"])),
            (json!("list_type"), json!(["body", "scopes"])),
            (json!("dict_type"), json!(["body", "state_metadata"])),
        ]
    );
    assert!(!reply.text().contains("s3cret-canary"));
    let reply = server.post(INITIATE).key(&server.key).bytes("{\"callback_url\": s3cret-canary").send().await.is(422);
    assert_eq!(reply.detail()[0]["type"], "json_invalid");
    assert!(!reply.text().contains("s3cret-canary"));
}

#[tokio::test]
async fn type_selects_the_kind_of_a_new_credential() {
    let server = Server::start().await;
    let path = "/v1/integrations/openai/credentials";
    let fault =
        async |body: Value| server.post(path).key(&server.key).json(&body).send().await.is(422).detail()[0].clone();
    assert_eq!(fault(json!({"title": "t"})).await["type"], "union_tag_not_found");
    assert_eq!(fault(json!({"type": "oauth2"})).await["type"], "union_tag_invalid");
    let missing = fault(json!({"type": "api_key", "api_key": "k"})).await;
    assert_eq!((&missing["type"], &missing["loc"]), (&json!("missing"), &json!(["body", "api_key", "title"])));
    let empty = fault(json!({"type": "api_key", "api_key": "", "title": ""})).await;
    assert_eq!(empty["loc"], json!(["body", "api_key", "api_key"]));
    let bad_host = json!({"type": "host_scoped", "host": "a b", "headers": {"A": "b"}, "title": "t"});
    assert_eq!(fault(bad_host).await["loc"], json!(["body", "host_scoped", "host"]));
    let expiry = json!({"type": "api_key", "api_key": "k", "title": "t", "expires_at": "soon"});
    let expiry = fault(expiry).await;
    assert_eq!((&expiry["type"], &expiry["loc"]), (&json!("int_parsing"), &json!(["body", "api_key", "expires_at"])));
}

#[tokio::test]
async fn unsupported_kind_is_400_after_the_provider_check() {
    let server = Server::start().await;
    let create = |provider: &str, body: Value| {
        server.post(&format!("/v1/integrations/{provider}/credentials")).key(&server.key).json(&body).send()
    };
    let password = json!({"type": "user_password", "username": "u", "password": "p", "title": "t"});
    let reply = create("openai", password.clone()).await.is(400);
    assert!(reply.detail().as_str().unwrap().starts_with("Unsupported credential type: "));
    assert_eq!(create("nowhere", password.clone()).await.is(404).detail(), "Provider 'nowhere' not found");
    assert_eq!(create("OpenAI", password).await.is(404).json()["did_you_mean"], "openai");
    create("nowhere", json!({})).await.is(422);
}

#[tokio::test]
async fn absent_or_foreign_credential_is_404() {
    let server = Server::start().await;
    let mine = server.create_api_key_credential("openai").await;
    let bob = server.key_of("bob").await;
    let delete = |key: &str, provider: &str, id: &str| {
        server.delete(&format!("/v1/integrations/{provider}/credentials/{id}")).key(key).send()
    };
    assert_eq!(delete(&server.key, "openai", NOBODY).await.is(404).detail(), "Credentials not found");
    assert_eq!(delete(&server.key, "openai", "x").await.is(404).detail(), "Credentials not found");
    assert_eq!(delete(&server.key, "openai", &mine.to_uppercase()).await.is(404).detail(), "Credentials not found");
    assert_eq!(delete(&bob, "openai", &mine).await.is(404).detail(), "Credentials not found");
    let other = delete(&server.key, "groq", &mine).await.is(404);
    assert_eq!(other.detail(), "Credentials do not match the specified provider");
    delete(&server.key, "openai", &mine).await.is(200);
    delete(&server.key, "openai", &mine).await.is(404);
}

#[tokio::test]
async fn oversized_body_is_413_with_the_limit() {
    let server = Server::start().await;
    let big = json!({"type": "api_key", "api_key": "k".repeat(1 << 20), "title": "t"});
    let reply = server.post("/v1/integrations/openai/credentials").key(&server.key).json(&big).send().await.is(413);
    assert!(reply.detail().as_str().unwrap().contains("1048576"), "{}", reply.text());
}

#[tokio::test]
async fn wrong_method_is_405_and_wrong_path_404() {
    let server = Server::start().await;
    let wrong = server.ask(http::Method::PUT, "/v1/integrations/providers").key(&server.key).send().await.is(405);
    assert_eq!(wrong.detail(), "Method Not Allowed");
    assert_eq!(wrong.header("Allow"), Some("GET, HEAD"));
    let both =
        server.ask(http::Method::PUT, "/v1/integrations/github/credentials").key(&server.key).send().await.is(405);
    assert_eq!(both.header("Allow"), Some("GET, HEAD, POST"));
    assert_eq!(server.get("/v1/integrations/nothing/here/at/all").send().await.is(404).detail(), "Not Found");
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let server = Server::start().await;
    for path in ["/healthz", "/nowhere", "/v1/integrations/providers", "/openapi.json"] {
        let reply = server.get(path).send().await;
        let id = reply.header("X-Request-Id").unwrap_or_else(|| panic!("{path} has no X-Request-Id")).to_owned();
        if reply.status >= 400 {
            assert_eq!(reply.json()["request_id"], id);
            assert_eq!(reply.header("Content-Type"), Some("application/problem+json"));
        }
    }
    for (path, kept) in [("credentials", "no-store"), ("providers", "private, no-cache")] {
        let reply = server.get(&format!("/v1/integrations/{path}")).key(&server.key).send().await.is(200);
        assert_eq!(reply.header("Cache-Control"), Some(kept), "{path}");
    }
}

// Isolation: `catalog.only` and `providers.NAME.enabled` switch providers off.
#[tokio::test]
async fn switched_off_provider_is_unknown() {
    let described = "authorize_url = \"https://acme.example/a\"\ntoken_url = \"https://acme.example/t\"\n";
    let mut config = "[catalog]\nonly = [\"github\"]\n".to_owned();
    for (name, further) in [("acme", ""), ("off", "enabled = false\n")] {
        let entry = format!("[providers.{name}]\ndisplay_name = \"A\"\n{further}[providers.{name}.oauth]\n{described}");
        config.push_str(&entry);
    }
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    let listed = server.get("/v1/integrations/providers").key(&server.key).send().await.is(200).json();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["acme", "github", "sandbox"], "those of the list, and those described in full");
    for name in ["off", "google"] {
        let path = format!("/v1/integrations/{name}/oauth/initiate");
        let body = json!({"callback_url": CALLBACK});
        let unknown = server.post(&path).key(&server.key).json(&body).send().await.is(404);
        assert_eq!(unknown.detail(), format!("Provider '{name}' not found"));
    }
}
