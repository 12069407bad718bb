//! Tests of the token endpoint and of revocation.

use std::time::Duration;

use serde_json::json;

use super::{VERIFIER, basic, bench, bench_with};
use crate::catalog::entry::RevocationEnds;
use crate::sandbox::{Conduct, RefreshTokens, SandboxEndpoint};

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[tokio::test]
async fn tokens_of_a_code_name_their_user() {
    let bench = bench().await;
    let reply = bench.exchange(&bench.code().await, &[]).await;
    let tokens = reply.json();
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(tokens["scope"], "read write");
    let bearer = format!("bearer {}", tokens["access_token"].as_str().unwrap());
    let account = bench.ask("GET", "/userinfo", &[("Authorization", &bearer)], "").await;
    let alice = json!({ "sub": "sandbox|alice", "preferred_username": "alice", "name": "alice (Sandbox)" });
    assert_eq!(account.json(), alice);
}

#[tokio::test]
async fn a_wrong_exchange_uses_up_the_code() {
    let bench = bench().await;
    let other = format!("{}x", &VERIFIER[..42]);
    for wrong in [
        ("code_verifier", ""),
        ("code_verifier", other.as_str()),
        ("code_verifier", "short"),
        ("redirect_uri", "http://localhost:3000/callback"),
    ] {
        let code = bench.code().await;
        assert_eq!(bench.exchange(&code, &[wrong]).await.refused(), invalid_grant(), "{wrong:?}");
        assert_eq!(bench.exchange(&code, &[]).await.refused(), invalid_grant(), "after {wrong:?}");
    }
}

#[tokio::test]
async fn reuse_of_a_code_revokes_its_grant() {
    let bench = bench().await;
    let code = bench.code().await;
    let tokens = bench.exchange(&code, &[]).await.json();
    assert!(bench.is_active(&tokens["access_token"]));
    bench.clock.advance(Duration::from_secs(120));
    assert_eq!(bench.exchange(&code, &[]).await.refused(), invalid_grant());
    assert!(!bench.is_active(&tokens["access_token"]));
    assert_eq!(bench.refresh(&tokens["refresh_token"]).await.refused(), invalid_grant());
}

#[tokio::test]
async fn a_code_expires_after_ten_minutes() {
    let bench = bench().await;
    let (early, late) = (bench.code().await, bench.code().await);
    bench.clock.advance(Duration::from_secs(599));
    assert_eq!(bench.exchange(&early, &[]).await.status, 200);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.exchange(&late, &[]).await.refused(), invalid_grant());
}

#[tokio::test]
async fn reuse_of_a_refresh_token_ends_the_grant() {
    let bench = bench().await;
    let first = bench.tokens().await;
    let second = bench.refresh(&first["refresh_token"]).await.json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let third = bench.refresh(&second["refresh_token"]).await.json();
    assert!(bench.is_active(&third["access_token"]));
    assert!(!bench.is_active(&first["refresh_token"]));
    assert_eq!(bench.refresh(&first["refresh_token"]).await.refused(), invalid_grant());
    for token in ["access_token", "refresh_token"] {
        assert!(!bench.is_active(&third[token]), "{token}");
    }
    assert_eq!(bench.refresh(&third["refresh_token"]).await.refused(), invalid_grant());
}

#[tokio::test]
async fn refresh_tokens_can_be_reusable_or_absent() {
    let bench = bench_with(|behaviour| behaviour.refresh_tokens = RefreshTokens::Reusable).await;
    let tokens = bench.tokens().await;
    for _ in 0..3 {
        let again = bench.refresh(&tokens["refresh_token"]).await;
        assert_eq!((again.status, again.json().get("refresh_token")), (200, None));
    }
    let bench = bench_with(|behaviour| behaviour.refresh_tokens = RefreshTokens::Absent).await;
    assert_eq!(bench.tokens().await.get("refresh_token"), None);
}

#[tokio::test]
async fn a_refresh_cannot_add_scopes() {
    let bench = bench().await;
    let tokens = bench.tokens().await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let asking = |scope| [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("scope", scope)];
    assert_eq!(bench.post("/token", &asking("read admin")).await.refused(), (400, "invalid_scope".into()));
    assert_eq!(bench.post("/token", &asking("read")).await.json()["scope"], "read");
}

#[tokio::test]
async fn granted_scopes_can_be_limited() {
    let bench = bench_with(|behaviour| behaviour.granted_scopes = Some(vec!["read".to_owned()])).await;
    assert_eq!(bench.tokens().await["scope"], "read");
}

#[tokio::test]
async fn token_lifetimes_follow_the_options() {
    let bench = bench_with(|behaviour| behaviour.access_token_lifetime = Duration::from_secs(5)).await;
    let tokens = bench.tokens().await;
    assert_eq!(tokens["expires_in"], 5);
    bench.clock.advance(Duration::from_secs(5));
    assert!(!bench.is_active(&tokens["access_token"]));
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let reply = bench.ask("GET", "/userinfo", &[("Authorization", &bearer)], "").await;
    assert_eq!((reply.status, reply.headers["www-authenticate"].as_str()), (401, r#"Bearer error="invalid_token""#));
}

#[tokio::test]
async fn a_revocation_ends_the_users_grants_to_the_client() {
    let bench = bench().await;
    let (revoked, other) = (bench.tokens().await, bench.tokens().await);
    let bob = bench.authorize(&[("sandbox_decision", "approve"), ("sandbox_user", "bob")]).await.redirect();
    let bob = bench.exchange(&bob["code"], &[]).await.json();
    assert_eq!(bench.sandbox.live_grants(), 3);
    assert_eq!(bench.revoke(&revoked["access_token"]).await.status, 200);
    for token in ["access_token", "refresh_token"] {
        assert!(!bench.is_active(&revoked[token]) && !bench.is_active(&other[token]), "{token}");
        assert!(bench.is_active(&bob[token]), "{token}");
    }
    assert_eq!(bench.sandbox.live_grants(), 1);
    let again = bench.tokens().await;
    assert!(bench.is_active(&again["access_token"]), "a later grant is not affected");
}

#[tokio::test]
async fn a_revocation_can_end_one_token_only() {
    let bench = bench_with(|behaviour| behaviour.revocation_ends = RevocationEnds::Token).await;
    let (revoked, other) = (bench.tokens().await, bench.tokens().await);
    assert_eq!(bench.revoke(&revoked["refresh_token"]).await.status, 200);
    for token in ["access_token", "refresh_token"] {
        assert!(!bench.is_active(&revoked[token]), "{token}");
        assert!(bench.is_active(&other[token]), "{token}");
    }
    assert_eq!(bench.revoke(&other["access_token"]).await.status, 200);
    assert!(!bench.is_active(&other["access_token"]) && bench.is_active(&other["refresh_token"]));
}

#[tokio::test]
async fn revoking_an_unknown_token_succeeds() {
    let bench = bench().await;
    assert_eq!(bench.revoke(&json!("unknown")).await.status, 200, "RFC 7009 §2.2");
    assert_eq!(bench.post("/revoke", &[]).await.refused(), (400, "invalid_request".into()));
}

#[tokio::test]
async fn an_endpoint_can_fail_or_hold_its_responses() {
    let bench = bench().await;
    let tokens = bench.tokens().await;
    bench.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    assert_eq!(bench.revoke(&tokens["refresh_token"]).await.status, 503);
    assert_eq!(bench.sandbox.live_grants(), 1);
    bench.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Held);
    let held = tokio::time::timeout(Duration::from_millis(100), bench.revoke(&tokens["refresh_token"])).await;
    assert!(held.is_err(), "no response");
    assert_eq!(bench.sandbox.live_grants(), 0, "but the request took effect");
    let again = async { bench.revoke(&tokens["refresh_token"]).await.status };
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bench.sandbox.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
    };
    assert_eq!(tokio::join!(again, release).0, 200);
}

#[tokio::test]
async fn behaviour_can_change_while_it_runs() {
    let bench = bench().await;
    bench.sandbox.adjust(|behaviour| behaviour.granted_scopes = Some(vec!["write".to_owned()]));
    assert_eq!(bench.tokens().await["scope"], "write");
    bench.sandbox.adjust(|behaviour| behaviour.granted_scopes = None);
    assert_eq!(bench.tokens().await["scope"], "read write");
}

#[tokio::test]
async fn the_client_authenticates_by_its_header() {
    let bench = bench().await;
    let (id, secret) = (bench.sandbox.client_id(), bench.sandbox.client_secret().expose());
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let (right, wrong, other) = (basic(id, secret), basic(id, "wrong"), basic("somebody", secret));
    let revoke = async |headers: &[(&str, &str)], body: &str| bench.ask("POST", "/revoke", headers, body).await;

    assert_eq!(revoke(&[form, ("Authorization", &right)], "token=x").await.status, 200);
    for refused in [
        revoke(&[form, ("Authorization", &wrong)], "token=x").await,
        revoke(&[form, ("Authorization", &other)], "token=x").await,
        revoke(&[form, ("Authorization", "Bearer x")], "token=x").await,
        revoke(&[form], &format!("token=x&client_id={id}&client_secret={secret}")).await,
        revoke(&[form], "token=x").await,
    ] {
        assert_eq!(refused.refused(), (401, "invalid_client".to_owned()));
        assert!(refused.headers["www-authenticate"].starts_with("Basic"));
    }
    let both = format!("token=x&client_id={id}&client_secret={secret}");
    let twice = revoke(&[form, ("Authorization", &right)], &both).await;
    assert_eq!(twice.refused(), (400, "invalid_request".to_owned()));
    let json = revoke(&[("Content-Type", "application/json"), ("Authorization", &right)], "{}").await;
    assert_eq!(json.refused(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn unknown_grants_and_missing_parameters_are_errors() {
    let bench = bench().await;
    let ask = async |form: &[(&str, &str)]| bench.post("/token", form).await.refused().1;
    assert_eq!(ask(&[("grant_type", "password")]).await, "unsupported_grant_type");
    assert_eq!(ask(&[]).await, "invalid_request");
    assert_eq!(ask(&[("grant_type", "authorization_code")]).await, "invalid_request");
    assert_eq!(ask(&[("grant_type", "refresh_token"), ("refresh_token", "x")]).await, "invalid_grant");
}

#[tokio::test]
async fn a_body_over_64_kib_is_rejected() {
    let bench = bench().await;
    let fits = "x".repeat(60 * 1024);
    assert_eq!(bench.post("/token", &[("grant_type", &fits)]).await.refused().1, "unsupported_grant_type");
    let too_long = "x".repeat(80 * 1024);
    assert_eq!(bench.post("/token", &[("grant_type", &too_long)]).await.refused().1, "invalid_request");
}
