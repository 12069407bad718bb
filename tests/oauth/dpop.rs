//! Tokens that are bound to a key (RFC 9449), as the provider sees them: every proof, every nonce, and the key that stays.

use crate::support::Server;
use crate::support::provider::recording::{Asked, Recording};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use strongroom::jose::{Algorithm, Claims, Jwks, SigningKey, verify};

const ENTRY: &str = "dpop = true\n[providers.acme.oauth.identity]\nurl = \"BASE/me?x=1\"\nusername = \"/login\"";

fn token_answer(kind: &str) -> Value {
    json!({"access_token": "at", "token_type": kind, "expires_in": 3600, "refresh_token": "rt"})
}

/// Key and claims of the proof in the request; its signature is that key's.
fn proof(asked: &Asked) -> (Map<String, Value>, Claims) {
    let token = asked.header("dpop").unwrap();
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    let jwk = header["jwk"].as_object().unwrap().clone();
    assert_eq!(
        jwk.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        ["crv", "kty", "x", "y"].into()
    );
    let verified = verify(&token, &Jwks::single(&jwk), &[Algorithm::Es256]).unwrap();
    (jwk, verified.claims)
}

// docs/standards.md: 34, 36.
#[tokio::test]
async fn every_request_has_a_proof_by_the_credentials_key() {
    let acme = Recording::start().await;
    acme.says("/token", &token_answer("dpop"));
    acme.says("/me?x=1", &json!({"login": "alice"}));
    let server = acme.server(ENTRY).await;
    let completed = server.connect_acme(&[]).await.is(200).json();
    assert_eq!(completed["username"], "alice");
    let now = server.clock.now().0;

    let (key, at_token) = proof(&acme.asked("/token")[0]);
    assert_eq!((at_token.text("htm"), at_token.time("iat")), (Ok(Some("POST")), Ok(Some(now))));
    assert_eq!(at_token.0["htu"], format!("{}/token", acme.base));
    assert_eq!((at_token.0.get("ath"), at_token.0.get("nonce")), (None, None));

    let asked = &acme.asked("/me?x=1")[0];
    assert_eq!(asked.header("authorization").as_deref(), Some("DPoP at"));
    let (same, at_userinfo) = proof(asked);
    assert_eq!(same, key);
    assert_eq!(at_userinfo.0["htu"], format!("{}/me", acme.base), "without the query");
    assert_eq!(at_userinfo.0["ath"], URL_SAFE_NO_PAD.encode(Sha256::digest("at")));
    assert_ne!(at_userinfo.0["jti"], at_token.0["jti"]);

    let id = completed["credentials_id"].as_str().unwrap();
    let path = format!("/v1/integrations/acme/credentials/{id}");
    server.post(&format!("{path}/refresh")).key(&server.key).send().await.is(200);
    let (kept, at_refresh) = proof(&acme.asked("/token")[1]);
    assert_eq!(kept, key, "a refresh is bound to the same key");
    assert_ne!(at_refresh.0["jti"], at_token.0["jti"]);

    let refused = server.get(&format!("{path}/token")).key(&server.key).send().await.is(409);
    assert_eq!(refused.json()["type"], "/problems/sender-constrained");
    assert!(!refused.text().contains("\"at\""));

    server.connect_acme(&[]).await.is(200);
    assert_ne!(proof(&acme.asked("/token")[2]).0, key, "each credential has its own");
}

#[tokio::test]
async fn unbound_token_is_not_treated_as_bound() {
    let acme = Recording::start().await;
    for (dpop, kind, status) in
        [(true, "Bearer", 502), (true, "DPoP", 200), (false, "DPoP", 502), (false, "bearer", 200)]
    {
        acme.says("/token", &token_answer(kind));
        let server = acme.server(&format!("dpop = {dpop}")).await;
        server.connect_acme(&[]).await.is(status);
        assert_eq!(acme.asked("/token").last().unwrap().header("dpop").is_some(), dpop);
    }
}

/// Grants of a client and of a service account; what is asked for either.
const SERVICES: &str = "dpop = true\ngrants = [\"authorization_code\", \"client_credentials\", \"jwt_bearer\"]";

fn services() -> [Value; 2] {
    let pem = base64::engine::general_purpose::STANDARD.encode(SigningKey::generate().pkcs8());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    [
        json!({"type": "client_credentials", "title": "robot"}),
        json!({"type": "service_account", "title": "robot", "key": pem, "issuer": "robot@acme.example"}),
    ]
}

async fn make(server: &Server, body: &Value) -> crate::support::http::Reply {
    server.post("/v1/integrations/acme/credentials").key(&server.key).json(body).send().await
}

// docs/standards.md: 34, 36.
#[tokio::test]
async fn userless_tokens_are_bound_to_their_own_key() {
    let acme = Recording::start().await;
    let server = acme.server(SERVICES).await;
    acme.says("/token", &json!({"access_token": "at", "token_type": "DPoP", "expires_in": 3600}));
    let mut keys = Vec::new();
    for body in services() {
        let before = acme.asked("/token").len();
        let id = make(&server, &body).await.is(201).json()["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/integrations/acme/credentials/{id}");
        server.post(&format!("{path}/refresh")).key(&server.key).send().await.is(200);
        let [first, next] = &acme.asked("/token")[before..] else {
            panic!("two requests: one at once, one for the refresh")
        };
        let ((key, at_first), (kept, at_next)) = (proof(first), proof(next));
        assert_eq!(kept, key, "the next token is bound to the same key");
        assert_ne!(at_first.0["jti"], at_next.0["jti"]);
        assert_eq!(at_first.0["htu"], format!("{}/token", acme.base));
        let refused = server.get(&format!("{path}/token")).key(&server.key).send().await.is(409);
        assert_eq!(refused.json()["type"], "/problems/sender-constrained");
        assert!(!keys.contains(&key), "each credential has its own");
        keys.push(key);
    }
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn unbound_service_token_is_not_stored() {
    let acme = Recording::start().await;
    let server = acme.server(SERVICES).await;
    acme.says("/token", &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600}));
    for body in services() {
        make(&server, &body).await.is(502);
    }
    let list = server.get("/v1/integrations/credentials").key(&server.key).send().await.is(200).json();
    assert_eq!(list, json!([]));
}
