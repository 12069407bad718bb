//! Callers that present an access token of an OpenID provider in place of an API key: what is taken, and every way in which
//! one is refused.

use std::time::Duration;

use crate::support::flow::{CALLBACK, Started};
use crate::support::http::Reply;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use strongroom::jose::{Algorithm, Header, SigningKey, sign, sign_with_secret};
use strongroom::secret::Secret;

const METADATA: &str = "/.well-known/oauth-authorization-server/corp";
const OPENID_METADATA: &str = "/corp/.well-known/openid-configuration";
const LIST: &str = "/v1/integrations/credentials";

/// An OpenID provider, and a server that trusts it.
struct Bench {
    idp: Recording,
    key: SigningKey,
    server: Server,
}

impl Bench {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(more: &str) -> Self {
        let idp = Recording::start().await;
        let key = SigningKey::generate().with_id("first");
        let config =
            format!("[trusted_issuers.corp]\nissuer = \"{}/corp\"\naudience = [\"strongroom\"]\n{more}\n", idp.base);
        let server = Server::with(Setup { config, ..Setup::default() }).await;
        let bench = Self { idp, key, server };
        bench.publishes(&[&bench.key]);
        bench
    }

    fn issuer(&self) -> String {
        format!("{}/corp", self.idp.base)
    }

    fn publishes(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
        self.idp.says(METADATA, &json!({"issuer": self.issuer(), "jwks_uri": format!("{}/keys", self.idp.base)}));
        self.idp.says("/keys", &json!({"keys": keys}));
    }

    /// Claims of a valid token, with changes. A null removes a claim.
    fn claims(&self, changes: &Value) -> Map<String, Value> {
        let now = self.server.clock.now().0;
        let mut claims = json!({
            "iss": self.issuer(), "aud": "strongroom", "sub": "ann", "exp": now + 600, "iat": now,
            "scope": "READ_INTEGRATIONS MANAGE_INTEGRATIONS",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let Value::Object(mut claims) = claims else { unreachable!("an object was written") };
        claims.retain(|_, value| !value.is_null());
        claims
    }

    fn token_by(&self, key: &SigningKey, kind: &'static str, changes: &Value) -> String {
        let header = Header { kind: Some(kind), key_id: Some(key.id().to_owned()), jwk: None };
        sign(&header, &self.claims(changes), key, Algorithm::Es256).unwrap().expose().to_owned()
    }

    fn token(&self, changes: &Value) -> String {
        self.token_by(&self.key, "at+jwt", changes)
    }

    async fn list(&self, token: &str) -> Reply {
        self.server.get(LIST).header("Authorization", &format!("Bearer {token}")).send().await
    }
}

#[tokio::test]
async fn access_token_acts_for_its_user() {
    let bench = Bench::new().await;
    let token = bench.token(&json!({}));
    let bearer = format!("bearer {token}");
    let body = json!({"type": "api_key", "api_key": "k", "title": "of ann"});
    let create = bench.server.post("/v1/integrations/openai/credentials").header("Authorization", &bearer).json(&body);
    create.send().await.is(201);
    let anns = bench.server.key_of("ann").await;
    let listed = bench.server.get(LIST).key(&anns).send().await.is(200).json();
    assert_eq!(listed[0]["title"], "of ann");
    assert_eq!(bench.list(&token).await.is(200).json(), listed);
    assert_eq!(bench.server.list().await, json!([]), "alice has nothing");

    let refused = bench.server.delete("/v1/integrations/openai/credentials/x").header("Authorization", &bearer);
    assert_eq!(refused.send().await.is(403).detail(), "Missing required permission(s): DELETE_INTEGRATIONS");
    let for_bob = bench.server.get(LIST).header("Authorization", &bearer).header("Strongroom-User", "bob");
    for_bob.send().await.is(403);
    assert_eq!((bench.idp.asked(METADATA).len(), bench.idp.asked("/keys").len()), (1, 1), "the keys are fetched once");
}

#[tokio::test]
async fn login_may_be_completed_by_any_proof_of_its_user() {
    let bench = Bench::new().await;
    let bearer = format!("Bearer {}", bench.token(&json!({})));
    let begin = bench.server.post("/v1/integrations/sandbox/oauth/initiate").header("Authorization", &bearer);
    let started = begin.json(&json!({"callback_url": CALLBACK})).send().await.is(200).json();
    let text = |name: &str| started[name].as_str().unwrap().to_owned();
    let started = Started { login_url: text("login_url"), state: text("state_token"), expires_at: 0 };
    let callback = bench.server.log_in(&started).await;
    let body = json!({"code": callback.code, "state_token": callback.state});
    let complete =
        |key: String| bench.server.post("/v1/integrations/sandbox/oauth/complete").key(&key).json(&body).send();
    complete(bench.server.key.clone()).await.is(400);
    complete(bench.server.key_of("ann").await).await.is(200);
}

#[tokio::test]
async fn other_tokens_are_answered_like_unknown_keys() {
    let bench = Bench::new().await;
    let now = bench.server.clock.now().0;
    let unknown = bench.server.get(LIST).key("srk_unknown").send().await.is(401);
    let stranger = SigningKey::generate().with_id("first");
    let public = json!(bench.key.public_jwk()).to_string();
    let header = Header { kind: Some("at+jwt"), key_id: Some("first".into()), jwk: None };
    let with_public_key =
        sign_with_secret(&header, &bench.claims(&json!({})), &Secret::new(public)).expose().to_owned();
    let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = encoded(json!(bench.claims(&json!({}))));
    let good = bench.token(&json!({}));
    let own_key = Header { kind: Some("at+jwt"), key_id: None, jwk: Some(stranger.bare_jwk()) };
    let own_key = sign(&own_key, &bench.claims(&json!({})), &stranger, Algorithm::Es256).unwrap().expose().to_owned();
    let tokens = [
        ("another issuer", bench.token(&json!({"iss": "https://evil.example"}))),
        ("an issuer that differs by a slash", bench.token(&json!({"iss": format!("{}/", bench.issuer())}))),
        ("another audience", bench.token(&json!({"aud": "others"}))),
        ("no audience", bench.token(&json!({"aud": null}))),
        ("expired", bench.token(&json!({"exp": now - 61}))),
        ("without an end", bench.token(&json!({"exp": null}))),
        ("not yet valid", bench.token(&json!({"nbf": now + 61}))),
        ("of nobody", bench.token(&json!({"sub": null}))),
        ("of a user id that cannot be", bench.token(&json!({"sub": "a b"}))),
        ("an ID token", bench.token_by(&bench.key, "JWT", &json!({"nonce": "n", "at_hash": "h"}))),
        ("signed by a stranger under our kid", bench.token_by(&stranger, "at+jwt", &json!({}))),
        ("signed by the key in its own header", own_key),
        ("HMAC with the public key", with_public_key),
        ("alg none", format!("{}.{payload}.", encoded(json!({"alg": "none", "typ": "at+jwt"})))),
        ("without its signature", good.rsplit_once('.').unwrap().0.to_owned() + "."),
        ("with other claims", {
            let (head, signature) = (good.split('.').next().unwrap(), good.rsplit('.').next().unwrap());
            format!("{head}.{}.{signature}", encoded(json!(bench.claims(&json!({"sub": "bob"})))))
        }),
        ("two parts", format!("{payload}.{payload}")),
        ("four parts", format!("{good}.x")),
    ];
    for (what, token) in tokens {
        let reply = bench.list(&token).await.is(401);
        assert_eq!(reply.header("WWW-Authenticate"), unknown.header("WWW-Authenticate"), "{what}");
        let (mut said, mut expected) = (reply.json(), unknown.json());
        said["request_id"].take();
        expected["request_id"].take();
        assert_eq!(said, expected, "{what}");
    }
    bench.list(&good).await.is(200);
    bench.server.get(LIST).key(&good).send().await.is(401);
}

#[tokio::test]
async fn configuration_maps_claims_to_permissions() {
    let more = "access_token_claim = \"token_use=access\"\nuser_claim = \"oid\"\nuser_prefix = \"corp|\"\n\
                permissions_claim = \"roles\"\nclaim_permissions = [\"reader=READ_INTEGRATIONS\"]";
    let bench = Bench::with(more).await;
    let claims = |roles: Value| json!({"token_use": "access", "oid": "7", "roles": roles});
    let token = |claims: &Value| bench.token_by(&bench.key, "JWT", claims);
    bench.list(&token(&claims(json!(["reader"])))).await.is(200);
    bench.list(&token(&claims(json!(["READ_INTEGRATIONS"])))).await.is(200);
    bench.list(&token(&claims(json!(["writer"])))).await.is(403);
    bench.list(&token(&json!({"token_use": "id", "oid": "7", "roles": ["reader"]}))).await.is(401);
    bench.list(&bench.token(&json!({"oid": "7", "roles": ["reader"]}))).await.is(401);
}

// docs/standards.md: 49.
#[tokio::test]
async fn unknown_key_is_fetched_at_most_once_a_minute() {
    let bench = Bench::new().await;
    bench.list(&bench.token(&json!({}))).await.is(200);
    let second = SigningKey::generate().with_id("second");
    bench.publishes(&[&bench.key, &second]);
    bench.server.clock.advance(Duration::from_secs(61));
    bench.list(&bench.token_by(&second, "at+jwt", &json!({}))).await.is(200);
    assert_eq!(bench.idp.asked("/keys").len(), 2);

    let unknown = SigningKey::generate().with_id("unknown");
    for _ in 0..20 {
        bench.list(&bench.token_by(&unknown, "at+jwt", &json!({}))).await.is(401);
    }
    assert_eq!(bench.idp.asked("/keys").len(), 2, "within a minute nothing is fetched again");
    bench.list(&bench.token(&json!({}))).await.is(200);
    bench.server.clock.advance(Duration::from_secs(60));
    for _ in 0..3 {
        bench.list(&bench.token_by(&unknown, "at+jwt", &json!({}))).await.is(401);
    }
    assert_eq!(bench.idp.asked("/keys").len(), 3);
}

#[tokio::test]
async fn old_keys_are_refetched_and_serve_during_an_outage() {
    let bench = Bench::new().await;
    bench.list(&bench.token(&json!({}))).await.is(200);
    bench.idp.answers_with(METADATA, "503 Service Unavailable", "text/plain", "later");
    bench.server.clock.advance(Duration::from_secs(3600));
    bench.list(&bench.token(&json!({}))).await.is(200);
    crate::support::eventually("the keys are asked for again", async || bench.idp.asked(METADATA).len() == 2).await;
    bench.list(&bench.token(&json!({}))).await.is(200);

    let second = SigningKey::generate().with_id("second");
    bench.publishes(&[&second]);
    bench.server.clock.advance(Duration::from_secs(61));
    crate::support::eventually("the new keys are there, and the old one is gone", async || {
        bench.list(&bench.token(&json!({}))).await.status == 401
    })
    .await;
    bench.list(&bench.token_by(&second, "at+jwt", &json!({}))).await.is(200);
}

// docs/standards.md: 26.
#[tokio::test]
async fn metadata_must_be_of_the_issuer() {
    let bench = Bench::new().await;
    let (issuer, keys) = (bench.issuer(), format!("{}/keys", bench.idp.base));
    let good = json!({"issuer": issuer, "jwks_uri": keys}).to_string();
    let ask = async || {
        bench.server.clock.advance(Duration::from_secs(61));
        bench.list(&bench.token(&json!({}))).await.status
    };
    let elsewhere = json!({"issuer": bench.idp.base, "jwks_uri": keys}).to_string();
    let no_keys = json!({"issuer": issuer}).to_string();
    let plain = json!({"issuer": issuer, "jwks_uri": "http://keys.example/"}).to_string();
    let twice = format!("{{\"issuer\":\"{issuer}\",\"jwks_uri\":\"{keys}\",\"issuer\":\"{issuer}\"}}");
    for (status, document) in [
        ("200 OK", elsewhere.as_str()),
        ("200 OK", &no_keys),
        ("200 OK", &plain),
        ("200 OK", &twice),
        ("200 OK", "<html>"),
        ("200 OK", "[]"),
        ("302 Found", &good),
    ] {
        bench.idp.answers_with(METADATA, status, "application/json", document);
        assert_eq!(ask().await, 401, "{status} {document}");
    }
    bench.idp.answers_with(METADATA, "404 Not Found", "text/plain", "no");
    assert_eq!(ask().await, 401);
    bench.idp.answers_with(OPENID_METADATA, "200 OK", "application/json", &good);
    assert_eq!(ask().await, 200);
}
