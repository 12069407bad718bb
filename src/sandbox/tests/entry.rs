//! Tests of the catalogue entry and the metadata.

use super::{bench, bench_with};
use crate::catalog::entry::{Entry, RevocationEnds, TokenAuth};
use crate::kind::Kind;
use crate::sandbox::{RefreshTokens, SandboxClient, SandboxEndpoint};

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
async fn entry_and_metadata_follow_the_options() {
    let bench = bench_with(|options| {
        options.clients = vec![SandboxClient::public()];
        options.behaviour.announces_iss = false;
        options.behaviour.refresh_tokens = RefreshTokens::Reusable;
    })
    .await;
    let oauth = toml::from_str::<Entry>(&bench.sandbox.entry_toml()).unwrap().oauth.unwrap();
    assert_eq!(oauth.token_auth, TokenAuth::None);
    assert!(!oauth.announces_iss && !oauth.refresh.unwrap().rotates);
    let metadata = bench.ask("GET", SandboxEndpoint::Metadata.path(), &[], "").await.json();
    assert_eq!(metadata["issuer"], bench.sandbox.base_url());
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], serde_json::json!(["none"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], false);
}

#[tokio::test]
async fn it_listens_on_loopback_and_stops_when_dropped() {
    use super::{Clock, Random, Sandbox, SandboxOptions, UnixTime};
    let clock = Clock::manual(UnixTime(0));
    let everywhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Sandbox::start(everywhere, clock.clone(), Random, SandboxOptions::new(Random)).await;
    assert_eq!(refused.err().unwrap().kind(), std::io::ErrorKind::InvalidInput);

    let bench = bench().await;
    let address = bench.sandbox.base_url().strip_prefix("http://").unwrap().to_owned();
    drop(bench);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
