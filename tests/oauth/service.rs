//! OAuth credentials without a login: client credentials (RFC 6749 §4.4) and service accounts (RFC 7523
//! §2.1), created, used, renewed and ended.

use std::time::Duration;

use crate::support::http::Reply;
use crate::support::process::{Installation, sandbox, sandbox_settings};
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom::jose::{Algorithm, Jwks, SigningKey, verify};
use strongroom::sandbox::{Conduct, SandboxEndpoint};

async fn create(server: &Server, provider: &str, body: &Value) -> Reply {
    let path = format!("/v1/integrations/{provider}/credentials");
    server.post(&path).key(&server.key).json(body).send().await
}

async fn token(server: &Server, provider: &str, id: &Value) -> Reply {
    let id = id.as_str().expect("an id");
    server.get(&format!("/v1/integrations/{provider}/credentials/{id}/token")).key(&server.key).send().await
}

async fn listed(server: &Server) -> Vec<Value> {
    let list = server.get("/v1/integrations/credentials").key(&server.key).send().await.is(200).json();
    list.as_array().expect("a list").clone()
}

#[tokio::test]
async fn client_credentials_are_renewed_once_for_all_callers() {
    let server = Server::start().await;
    let body = json!({"type": "client_credentials", "title": "the robot", "scopes": ["read"]});
    let made = create(&server, "sandbox", &body).await.is(201).json();
    assert_eq!((&made["type"], &made["title"]), (&json!("oauth2"), &json!("the robot")));
    assert_eq!(server.token_requests(), 1, "asked for at once");
    let summary = &listed(&server).await[0];
    assert_eq!((&summary["type"], &summary["scopes"]), (&json!("oauth2"), &json!(["read"])));

    let first = token(&server, "sandbox", &made["id"]).await.is(200).json();
    assert_eq!(server.token_requests(), 1, "what is fresh is not asked for again");
    server.clock.advance(Duration::from_secs(3601));
    let all = futures_util::future::join_all((0..20).map(|_| token(&server, "sandbox", &made["id"]))).await;
    assert_eq!(server.token_requests(), 2, "one request for twenty callers");
    for reply in all {
        let next = reply.is(200).json();
        assert_ne!(next["access_token"], first["access_token"]);
        assert_eq!(next["scopes"], json!(["read"]));
    }
    let path = format!("/v1/integrations/sandbox/credentials/{}/refresh", made["id"].as_str().expect("an id"));
    let forced = server.post(&path).key(&server.key).send().await.is(200).json();
    assert_eq!(forced["status"], "active");
    assert_eq!(server.token_requests(), 3);
}

#[tokio::test]
async fn outage_costs_a_client_nothing() {
    let server = Server::start().await;
    let made = create(&server, "sandbox", &json!({"type": "client_credentials", "title": ""})).await.is(201).json();
    server.clock.advance(Duration::from_secs(3601));
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Down);
    token(&server, "sandbox", &made["id"]).await.is(502);
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Normal);
    server.clock.advance(Duration::from_secs(3600));
    token(&server, "sandbox", &made["id"]).await.is(200);
}

#[tokio::test]
async fn users_own_client_needs_no_configured_client() {
    let acme = Recording::start().await;
    let entry = "grants = [\"authorization_code\", \"client_credentials\"]\n[providers.acme.oauth.revoke]\nurl = \"BASE/revoke\"";
    let server = acme.server_with(entry, "", Setup::default()).await;
    let plain = json!({"type": "client_credentials", "title": "t"});
    create(&server, "acme", &plain).await.is(501);
    let own = json!({"type": "client_credentials", "title": "t", "client_id": "mine", "client_secret": "my secret"});
    acme.says("/token", &json!({"access_token": "one", "token_type": "bearer", "expires_in": 600}));
    let made = create(&server, "acme", &own).await.is(201).json();
    assert!(!made.to_string().contains("my secret"));
    server.clock.advance(Duration::from_secs(601));
    acme.says("/token", &json!({"access_token": "two", "token_type": "bearer", "expires_in": 600}));
    assert_eq!(token(&server, "acme", &made["id"]).await.is(200).json()["access_token"], "two");
    let asked = acme.asked("/token");
    assert_eq!(asked.len(), 2);
    for asked in &asked {
        assert_eq!(asked.basic().as_deref(), Some("mine:my+secret"));
        assert_eq!(asked.form(), [("grant_type".to_owned(), "client_credentials".to_owned())]);
    }

    // The provider's own refusal ends it; a new one can be made.
    acme.answers_with("/token", "401 Unauthorized", "application/json", "{\"error\": \"invalid_client\"}");
    server.clock.advance(Duration::from_secs(601));
    assert_eq!(token(&server, "acme", &made["id"]).await.is(409).json()["type"], "/problems/needs-reauth");
    acme.says("/revoke", &json!({}));
    let path = format!("/v1/integrations/acme/credentials/{}", made["id"].as_str().expect("an id"));
    assert_eq!(server.delete(&path).key(&server.key).send().await.is(200).json()["revoked"], true);
    assert_eq!(acme.asked("/revoke")[0].basic().as_deref(), Some("mine:my+secret"));
}

#[tokio::test]
async fn refused_client_is_reported_and_not_stored() {
    let server = Server::start().await;
    let wrong =
        json!({"type": "client_credentials", "title": "t", "client_id": "sandbox", "client_secret": "guessed-s3cret"});
    let refused = create(&server, "sandbox", &wrong).await.is(400).json();
    assert_eq!(refused["type"], "/problems/grant-refused");
    assert!(refused["detail"].as_str().expect("a text").contains("invalid_client"), "{refused}");
    assert!(!refused.to_string().contains("guessed-s3cret"));
    server.sandbox.conduct(SandboxEndpoint::Token, Conduct::Down);
    create(&server, "sandbox", &json!({"type": "client_credentials", "title": "t"})).await.is(502);
    assert!(listed(&server).await.is_empty());

    let notion = create(&server, "notion", &json!({"type": "client_credentials", "title": "t"})).await.is(400);
    let expected = "Unsupported credential type: client_credentials (provider 'notion' does not offer it)";
    assert_eq!(notion.detail(), expected);
    create(&server, "nobody", &json!({"type": "client_credentials", "title": "t"})).await.is(404);
    let secret_alone = json!({"type": "client_credentials", "title": "t", "client_secret": "s"});
    let faults = create(&server, "sandbox", &secret_alone).await.is(422).detail();
    assert_eq!(faults[0]["loc"], json!(["body", "client_credentials", "client_id"]));
}

#[tokio::test]
async fn own_client_without_the_needed_secret_is_a_fault() {
    let acme = Recording::start().await;
    acme.says("/token", &json!({"access_token": "one", "token_type": "bearer", "expires_in": 600}));
    let body = json!({"type": "client_credentials", "title": "t", "client_id": "mine"});
    for (auth, status) in [("basic", 422), ("post", 422), ("none", 201)] {
        let entry = format!("grants = [\"authorization_code\", \"client_credentials\"]\ntoken_auth = \"{auth}\"");
        let server = acme.server(&entry).await;
        let reply = create(&server, "acme", &body).await.is(status);
        if status == 422 {
            let fault = &reply.detail()[0];
            assert_eq!(
                (&fault["type"], &fault["loc"]),
                (&json!("missing"), &json!(["body", "client_credentials", "client_secret"]))
            );
        }
    }
    // Without a client of the caller's own, the operator has to configure one.
    let entry = "grants = [\"authorization_code\", \"client_credentials\"]";
    let server = acme.server_with(entry, "", Setup::default()).await;
    create(&server, "acme", &json!({"type": "client_credentials", "title": "t"})).await.is(501);
}

// Isolation: the configured client acts for its operator, so a caller gets its tokens only if it is lent.
#[tokio::test]
async fn configured_client_is_lent_only_if_the_operator_says_so() {
    let acme = Recording::start().await;
    acme.says("/token", &json!({"access_token": "one", "token_type": "bearer", "expires_in": 600}));
    let entry = "grants = [\"authorization_code\", \"client_credentials\"]";
    let client = "client_id = \"c\"\nclient_secret = \"s\"\n";
    let ask = async |lent: &str, scopes: Value| {
        let server = acme.server_with(entry, &format!("{client}{lent}"), Setup::default()).await;
        let body = json!({"type": "client_credentials", "title": "t", "scopes": scopes});
        create(&server, "acme", &body).await
    };
    for (lent, scopes) in [
        ("", json!([])),
        ("lend_scopes = [\"read\"]", json!(["read"])),
        ("lend_client = true\nlend_scopes = []", json!(["admin"])),
        ("lend_client = true\nlend_scopes = [\"read\"]", json!(["read", "admin"])),
    ] {
        let refused = ask(lent, scopes.clone()).await.is(403).json();
        assert_eq!(refused["type"], "/problems/client-not-lent", "{lent} {scopes}");
    }
    assert!(acme.asked("/token").is_empty(), "nothing is sent");
    let lent = "lend_client = true\nlend_scopes = [\"read\", \"list\"]";
    for (scopes, sent) in [(json!(["read"]), "read"), (json!([]), "read list")] {
        ask(lent, scopes).await.is(201);
        assert_eq!(acme.asked("/token").last().unwrap().param("scope").as_deref(), Some(sent));
    }
}

fn pem(key: &SigningKey) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(key.pkcs8()))
}

const ACCOUNTS: &str = "grants = [\"authorization_code\", \"jwt_bearer\"]\n\
                        jwt_bearer = { audience = \"https://acme.example/token\", scope = \"claim\", subject_required = false }";

#[tokio::test]
async fn service_account_signs_an_assertion_per_token() {
    let acme = Recording::start().await;
    let server = acme.server_with(ACCOUNTS, "", Setup::default()).await;
    let key = SigningKey::generate();
    let file = json!({
        "type": "service_account", "client_email": "robot@acme.example", "private_key_id": "k1",
        "private_key": pem(&key), "token_uri": "https://evil.example/token",
    });
    let body = json!({"type": "service_account", "title": "robot", "key": file, "scopes": ["a", "b"], "subject": "boss@acme.example"});
    acme.says("/token", &json!({"access_token": "one", "token_type": "Bearer", "expires_in": 3600}));
    let made = create(&server, "acme", &body).await.is(201).json();
    assert_eq!(made["type"], "oauth2");
    let summary = &listed(&server).await[0];
    assert_eq!((&summary["username"], &summary["scopes"]), (&json!("boss@acme.example"), &json!(["a", "b"])));
    server.clock.advance(Duration::from_secs(3601));
    acme.says("/token", &json!({"access_token": "two", "token_type": "Bearer", "expires_in": 3600}));
    assert_eq!(token(&server, "acme", &made["id"]).await.is(200).json()["access_token"], "two");

    let mut jwk = key.public_jwk();
    jwk.insert("kid".to_owned(), json!("k1"));
    let mut ids = Vec::new();
    for asked in acme.asked("/token") {
        let names: Vec<String> = asked.form().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["grant_type", "assertion"], "nobody authenticates beside the assertion");
        assert_eq!(asked.header("authorization"), None);
        let assertion = asked.param("assertion").expect("an assertion");
        let claims =
            verify(&assertion, &Jwks::single(&jwk), &[Algorithm::Es256]).expect("the account's own key").claims;
        assert_eq!(claims.0["iss"], "robot@acme.example");
        assert_eq!(claims.0["sub"], "boss@acme.example");
        assert_eq!(claims.0["aud"], "https://acme.example/token", "one text, and the entry's, not the key file's");
        assert_eq!(claims.0["scope"], "a b");
        let life = claims.0["exp"].as_i64().expect("a time") - claims.0["iat"].as_i64().expect("a time");
        assert!((1..=300).contains(&life), "{life}");
        ids.push(claims.0["jti"].clone());
    }
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1], "each works once");

    acme.answers_with("/token", "400 Bad Request", "application/json", "{\"error\": \"invalid_grant\"}");
    server.clock.advance(Duration::from_secs(3601));
    token(&server, "acme", &made["id"]).await.is(409);
}

#[tokio::test]
async fn invalid_service_key_is_reported_and_not_repeated() {
    let acme = Recording::start().await;
    let server = acme.server_with(ACCOUNTS, "", Setup::default()).await;
    let key = pem(&SigningKey::generate());
    for (wrong, words) in [
        (json!("no key"), "PKCS#8"),
        (json!({"client_email": "x"}), "private_key"),
        (json!(key), "issuer"),
        (json!(7), "private_key"),
    ] {
        let body = json!({"type": "service_account", "title": "t", "key": wrong});
        let refused = create(&server, "acme", &body).await.is(422);
        assert_eq!(refused.detail()[0]["loc"], json!(["body", "service_account", "key"]));
        assert!(refused.detail()[0]["msg"].as_str().expect("a text").contains(words), "{}", refused.text());
        assert!(!refused.text().contains("MIG"), "nothing of the key: {}", refused.text());
    }
    let named = json!({"type": "service_account", "title": "t", "key": key, "issuer": "robot"});
    create(&server, "acme", &named).await.is(201);
    let assertion = acme.asked("/token")[0].param("assertion").expect("an assertion");
    assert_eq!(strongroom::jose::claimed_issuer(&assertion).as_deref(), Some("robot"));
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_creates_one_and_the_server_renews_it() {
    let sandbox = sandbox().await;
    let installation = Installation::new(&sandbox_settings(&sandbox)).await;
    let key = installation.key("alice");
    let made = installation.run(&[
        "credential",
        "add",
        "sandbox",
        "--user",
        "alice",
        "--grant",
        "client_credentials",
        "--scope",
        "read",
        "--json",
    ]);
    let id = made.must_succeed().json()["id"].as_str().expect("an id").to_owned();
    let server = installation.serve().await;
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    let before = server.ask(http::Method::GET, &format!("{path}/token")).key(&key).send().await.is(200).json();
    server.ask(http::Method::POST, &format!("{path}/refresh")).key(&key).send().await.is(200);
    let after = server.ask(http::Method::GET, &format!("{path}/token")).key(&key).send().await.is(200).json();
    assert_ne!(before["access_token"], after["access_token"]);
    let refused =
        installation.run(&["credential", "add", "notion", "--user", "alice", "--grant", "client_credentials"]);
    assert_eq!(refused.0.status.code(), Some(1), "{}", refused.stderr());
}

#[tokio::test]
async fn client_credentials_ask_for_the_default_scopes() {
    let acme = Recording::start().await;
    let entry = "grants = [\"authorization_code\", \"client_credentials\"]\ndefault_scopes = [\"read\", \"list\"]\n\
                 always_scopes = [\"offline_access\"]";
    let server = acme.server(entry).await;
    let own = json!({"type": "client_credentials", "title": "t", "client_id": "mine", "client_secret": "s"});
    create(&server, "acme", &own).await.is(201);
    let mut asked = own.clone();
    asked["scopes"] = json!(["write"]);
    create(&server, "acme", &asked).await.is(201);
    let scopes: Vec<_> = acme.asked("/token").iter().map(|asked| asked.param("scope").unwrap()).collect();
    assert_eq!(scopes, ["read list", "write"]);
}
