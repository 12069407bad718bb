//! Client authentication beyond a secret in the request: assertions (RFC 7523), and several
//! secrets in order.

use crate::support::provider::recording::{Asked, Recording};
use crate::support::{Server, Setup};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use strongroom::clock::Clock;
use strongroom::jose::{Algorithm, Claims, Jwks, SigningKey, verify};
use strongroom::random::Random;
use strongroom::sandbox::{Sandbox, SandboxEndpoint};

/// A private key in PEM, and its public half.
fn key() -> (String, Map<String, Value>) {
    let key = SigningKey::generate();
    let lines = base64::engine::general_purpose::STANDARD.encode(key.pkcs8());
    (format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n"), key.public_jwk())
}

fn client_with(pem: &str, further: &str) -> String {
    format!("client_id = \"my id\"\nclient_key = \"\"\"{pem}\"\"\"\n{further}")
}

/// Header and claims of the assertion in the request; its signature was good.
fn assertion(asked: &Asked, jwk: &Map<String, Value>) -> (Value, Claims) {
    let kind = asked.param("client_assertion_type").unwrap();
    assert_eq!(kind, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let token = asked.param("client_assertion").unwrap();
    let verified = verify(&token, &Jwks::single(jwk), &[Algorithm::Es256]).unwrap();
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    (serde_json::from_slice(&header).unwrap(), verified.claims)
}

// docs/standards.md: 37.
#[tokio::test]
async fn assertion_is_for_the_issuer_for_a_minute_and_once() {
    let acme = Recording::start().await;
    let (pem, mut jwk) = key();
    let entry = "issuer = \"https://acme.example\"\ntoken_auth = \"private_key_jwt\"";
    let client = client_with(&pem, "client_key_id = \"2026-11\"");
    let server = acme.server_with(entry, &client, Setup::default()).await;
    server.connect_acme(&[]).await.is(200);
    server.connect_acme(&[]).await.is(200);

    jwk.insert("kid".to_owned(), json!("2026-11"));
    let mut ids = Vec::new();
    for asked in acme.asked("/token") {
        let (header, claims) = assertion(&asked, &jwk);
        assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &json!("2026-11")));
        assert_eq!((claims.text("iss"), claims.text("sub")), (Ok(Some("my id")), Ok(Some("my id"))));
        assert_eq!(claims.0["aud"], "https://acme.example", "one text");
        let now = server.clock.now().0;
        assert_eq!((claims.time("iat"), claims.time("exp")), (Ok(Some(now)), Ok(Some(now + 60))));
        assert_eq!((asked.header("authorization"), asked.param("client_secret")), (None, None));
        ids.push(claims.required_text("jti").unwrap().to_owned());
    }
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

// docs/standards.md: 37.
#[tokio::test]
async fn assertion_audience_is_the_token_endpoint_if_declared() {
    let acme = Recording::start().await;
    let (pem, jwk) = key();
    let entry = "token_url = \"BASE/token\"\ntoken_auth = \"private_key_jwt\"\ntoken_auth_audience = \"token_url\"";
    let server = acme.server_with(entry, &client_with(&pem, ""), Setup::default()).await;
    server.connect_acme(&[]).await.is(200);
    let (header, claims) = assertion(&acme.asked("/token")[0], &jwk);
    assert_eq!(claims.0["aud"], format!("{}/token", acme.base));
    assert_eq!(header["kid"], jwk["kid"], "the thumbprint, where nothing else is said");
}

#[tokio::test]
async fn client_secret_can_sign_instead_of_being_sent() {
    let acme = Recording::start().await;
    let entry = "issuer = \"https://acme.example\"\ntoken_auth = \"client_secret_jwt\"";
    let server = acme.server(entry).await;
    server.connect_acme(&[]).await.is(200);
    let asked = &acme.asked("/token")[0];
    let token = asked.param("client_assertion").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s+c/r");
    ring::hmac::verify(&key, message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    assert!(!asked.body.contains("s%2Bc") && asked.param("client_secret").is_none() && asked.basic().is_none());
}

#[tokio::test]
async fn revocation_has_its_own_assertion() {
    let acme = Recording::start().await;
    acme.says("/revoke", &json!({}));
    let (pem, jwk) = key();
    let entry = "issuer = \"https://acme.example\"\ntoken_auth = \"private_key_jwt\"\n\
                 [providers.acme.oauth.revoke]\nurl = \"BASE/revoke\"";
    let server = acme.server_with(entry, &client_with(&pem, ""), Setup::default()).await;
    let completed = server.connect_acme(&[]).await.is(200);
    assert_eq!(server.delete_acme(&completed).await, json!(true));
    let (_, at_token) = assertion(&acme.asked("/token")[0], &jwk);
    let (_, at_revoke) = assertion(&acme.asked("/revoke")[0], &jwk);
    assert_ne!(at_token.0["jti"], at_revoke.0["jti"]);
}

#[tokio::test]
async fn client_without_its_key_is_not_configured() {
    let acme = Recording::start().await;
    let entry = "issuer = \"https://acme.example\"\ntoken_auth = \"client_secret_jwt\"";
    let server = acme.server_with(entry, "client_id = \"c\"", Setup::default()).await;
    let body = json!({"callback_url": crate::support::flow::CALLBACK});
    server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&body).send().await.is(501);
}

/// A sandbox, and a server whose provider `acme` it is, with these secrets; `SECRET` among them is the right one.
async fn with_secrets(secrets: &str) -> (Sandbox, Server) {
    let clock = Clock::manual(strongroom::clock::UnixTime(1_800_000_000));
    let sandbox = Sandbox::start(clock, Random).await.unwrap();
    let entry = sandbox.entry_toml().replace("[oauth", "[providers.acme.oauth").replace("[api", "[providers.acme.api");
    let secrets = secrets.replace("SECRET", sandbox.client_secret().expose());
    let config = format!("[providers.acme]\nclient_id = \"sandbox\"\n{secrets}\n{entry}");
    let server = Server::with(Setup { config, ..Setup::default() }).await;
    (sandbox, server)
}

// docs/standards.md: 58.
#[tokio::test]
async fn next_secret_is_tried_after_invalid_client() {
    let (sandbox, server) =
        with_secrets("client_secret = \"old\"\nclient_secrets = [\"older\", \"SECRET\", \"not needed\"]").await;
    let id = server.connect("acme").await;
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 3);
    server.connect("acme").await;
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 4, "the one that worked comes first");
    let path = format!("/v1/integrations/acme/credentials/{id}");
    server.delete(&path).key(&server.key).send().await.is(200);
}

// docs/standards.md: 58.
#[tokio::test]
async fn refused_secrets_are_reported_without_their_values() {
    let (sandbox, server) = with_secrets("client_secrets = [\"wr0ng-one\", \"wr0ng-two\"]").await;
    let started = server.initiate("acme").await;
    let callback = server.log_in(&started).await;
    let refused = server.complete("acme", &callback).await.is(400);
    assert!(refused.json()["detail"].as_str().unwrap().contains("invalid_client"));
    assert!(!refused.text().contains("wr0ng"));
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 2);
}

// docs/standards.md: 58.
#[tokio::test]
async fn other_refusals_never_send_a_code_twice() {
    let acme = Recording::start().await;
    let client = "client_id = \"c\"\nclient_secrets = [\"one\", \"two\"]";
    let server = acme.server_with("", client, Setup::default()).await;
    for (status, body) in [
        ("400 Bad Request", r#"{"error":"invalid_grant"}"#),
        ("401 Unauthorized", r#"{"error":"unauthorized_client"}"#),
        ("401 Unauthorized", "nothing that can be read"),
        ("503 Service Unavailable", r#"{"error":"invalid_client"}"#),
    ] {
        let before = acme.asked("/token").len();
        acme.answers_with("/token", status, "application/json", body);
        assert_ne!(server.connect_acme(&[]).await.status, 200);
        assert_eq!(acme.asked("/token").len(), before + 1, "{status} {body}");
    }
}
