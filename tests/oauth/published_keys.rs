//! Public keys and the client-id metadata document of Strongroom. Neither needs an API key.

use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use base64::Engine as _;
use serde_json::{Value, json};
use strongroom::http::Settings;
use strongroom::jose::{Algorithm, Jwks, SigningKey, verify};

const BY_KEY: &str = "issuer = \"https://acme.example\"\ntoken_auth = \"private_key_jwt\"";

async fn keys(server: &Server) -> Value {
    server.get("/v1/oauth/jwks.json").send().await.is(200).json()
}

// docs/standards.md: 37.
#[tokio::test]
async fn generated_signing_key_is_published() {
    let acme = Recording::start().await;
    let server = acme.server_with(BY_KEY, "client_id = \"my id\"", Setup::default()).await;
    server.connect_acme(&[]).await.is(200);
    let published = keys(&server).await;
    let jwks = Jwks::parse(published.to_string().as_bytes()).unwrap();
    let assertion = acme.asked("/token")[0].param("client_assertion").unwrap();
    let verified = verify(&assertion, &jwks, &[Algorithm::Es256]).unwrap();
    assert_eq!(verified.claims.text("sub"), Ok(Some("my id")));
    assert!(!published.to_string().contains("\"d\""));

    let again = Setup { vault: Some(server.vault.clone()), ..Setup::default() };
    let later = acme.server_with(BY_KEY, "client_id = \"my id\"", again).await;
    assert_eq!(keys(&later).await, published, "the key is the vault's, and stays");
}

#[tokio::test]
async fn configured_key_is_published_and_unneeded_is_not() {
    let acme = Recording::start().await;
    assert_eq!(keys(&acme.server("").await).await, json!({"keys": []}));

    let key = SigningKey::generate();
    let lines = base64::engine::general_purpose::STANDARD.encode(key.pkcs8());
    let client = format!(
        "client_id = \"c\"\nclient_key_id = \"k1\"\n\
         client_key = \"\"\"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n\"\"\""
    );
    let server = acme.server_with(BY_KEY, &client, Setup::default()).await;
    assert_eq!(keys(&server).await, json!({"keys": [key.with_id("k1").public_jwk()]}));
}

#[tokio::test]
async fn client_metadata_names_itself_and_its_keys() {
    let config = "[server]\nbase_path = \"/api\"\npublic_url = \"https://vault.example/here\"\n\
                  [oauth]\ncallback_origins = [\"https://app.example\"]\n\
                  redirect_uris = [\"https://app.example/oauth/acme\"]\n";
    let settings = Settings { base_path: "/api".to_owned(), ..Settings::default() };
    let server = Server::with(Setup { config: config.to_owned(), settings, ..Setup::default() }).await;
    for path in ["/v1/oauth/client.json", "/api/v1/oauth/client.json"] {
        let document = server.get(path).send().await.is(200).json();
        assert_eq!(document["client_id"], "https://vault.example/here/api/v1/oauth/client.json");
        assert_eq!(document["jwks_uri"], "https://vault.example/here/api/v1/oauth/jwks.json");
        assert_eq!(document["redirect_uris"], json!(["https://app.example/oauth/acme"]));
        assert_eq!(document["token_endpoint_auth_method"], "private_key_jwt");
        assert!(document.get("client_secret").is_none());
    }
    assert_eq!(keys(&server).await["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn client_metadata_needs_https_and_redirect_uris() {
    let uris = "[oauth]\ncallback_origins = [\"https://app.example\"]\nredirect_uris = [\"https://app.example/cb\"]\n";
    for config in [uris, "[server]\npublic_url = \"https://vault.example\"\n"] {
        let server = Server::with(Setup { config: config.to_owned(), ..Setup::default() }).await;
        let absent = server.get("/v1/oauth/client.json").send().await.is(404).json();
        assert_eq!(absent["type"], "/problems/not-found");
    }
}
