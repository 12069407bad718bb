//! Tests of the catalogue entry and the metadata.

use super::{bench, bench_with};
use crate::catalog::entry::{Entry, RevocationEnds, TokenAuth};
use crate::kind::Kind;
use crate::sandbox::RefreshTokens;

#[tokio::test]
async fn the_entry_is_valid_in_the_catalogue() {
    let bench = bench().await;
    let entry: Entry = toml::from_str(&bench.sandbox.entry_toml()).unwrap();
    assert!(entry.takes(Kind::OAuth2) && entry.takes(Kind::ApiKey));
    let oauth = entry.oauth.unwrap();
    assert_eq!(oauth.token_url.as_str(), format!("{}/token", bench.sandbox.base_url()));
    assert_eq!(oauth.issuer.as_deref(), Some(bench.sandbox.base_url()));
    assert_eq!(oauth.token_auth, TokenAuth::Basic);
    assert!(oauth.pkce && oauth.announces_iss && oauth.refresh.unwrap().rotates);
    assert_eq!(oauth.revoke.unwrap().ends, RevocationEnds::Grant);
}

#[tokio::test]
async fn the_entry_follows_the_behaviour() {
    let bench = bench_with(|behaviour| {
        behaviour.refresh_tokens = RefreshTokens::Reusable;
        behaviour.revocation_ends = RevocationEnds::Token;
    })
    .await;
    let oauth = toml::from_str::<Entry>(&bench.sandbox.entry_toml()).unwrap().oauth.unwrap();
    assert!(!oauth.refresh.unwrap().rotates);
    assert_eq!(oauth.revoke.unwrap().ends, RevocationEnds::Token);
}

#[tokio::test]
async fn the_metadata_name_issuer_and_authentication() {
    let bench = bench().await;
    let metadata = bench.ask("GET", "/.well-known/oauth-authorization-server", &[], "").await.json();
    assert_eq!(metadata["issuer"], bench.sandbox.base_url());
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], serde_json::json!(["client_secret_basic"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
}

#[tokio::test]
async fn it_listens_on_loopback_and_stops_when_dropped() {
    let bench = bench().await;
    let address = bench.sandbox.base_url().strip_prefix("http://").unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"));
    drop(bench);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
