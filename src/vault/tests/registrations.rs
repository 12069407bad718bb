//! Clients that registered themselves.

use super::*;
use crate::secret::Secret;

pub(super) fn at(issuer: &str) -> RegisteredAt {
    RegisteredAt { issuer: issuer.to_owned(), redirect_uri: "https://app.example/callback".to_owned() }
}

pub(super) fn client(id: &str) -> ClientRegistration {
    ClientRegistration {
        client_id: id.to_owned(),
        client_secret: Some(Secret::new("the registered secret")),
        secret_expires_at: Some(UnixTime(2_000_000_000)),
        token_auth: "basic".to_owned(),
        redirect_uri: Some("https://app.example/callback".to_owned()),
        management: None,
    }
}

#[tokio::test]
// Requirement 38.
async fn registration_belongs_to_issuer_and_redirect_uri() {
    let bench = Bench::new();
    let here = at("https://as.example");
    assert!(bench.vault.registrations().get(&here).unwrap().is_none());
    bench.vault.registrations().put(&here, client("one"), None, &AuditContext::system()).await.unwrap();
    let kept = bench.vault.registrations().get(&here).unwrap().unwrap();
    assert_eq!((kept.client_id.as_str(), kept.token_auth.as_str()), ("one", "basic"));
    assert_eq!(kept.client_secret.unwrap().expose(), "the registered secret");
    assert_eq!(kept.secret_expires_at, Some(UnixTime(2_000_000_000)));
    for elsewhere in [
        at("https://as.example/"),
        at("https://evil.example"),
        RegisteredAt { redirect_uri: "https://app.example/other".to_owned(), ..here.clone() },
    ] {
        assert!(bench.vault.registrations().get(&elsewhere).unwrap().is_none(), "{elsewhere:?}");
    }
    assert_eq!(bench.audited("client.register"), 1);
    bench.assert_manifest_holds();
    for file in ["v.db", "v.db-wal"] {
        let bytes = std::fs::read(bench.path().with_file_name(file)).unwrap();
        for secret in ["the registered secret", "as.example"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in {file}");
        }
    }
}

#[tokio::test]
async fn concurrent_registrations_use_the_first_one() {
    let bench = Bench::new();
    let here = at("https://as.example");
    let put = async |id: &str, replaced: Option<&str>| {
        bench.vault.registrations().put(&here, client(id), replaced, &AuditContext::system()).await.unwrap().client_id
    };
    assert_eq!(put("one", None).await, "one");
    assert_eq!(put("two", None).await, "one");
    assert_eq!(put("three", Some("one")).await, "three");
    assert_eq!(put("four", Some("one")).await, "three", "it was replaced already");
    assert_eq!(bench.vault.registrations().get(&here).unwrap().unwrap().client_id, "three");
    bench.assert_manifest_holds();
}
