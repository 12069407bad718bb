//! Tests of the authorization endpoint.

use super::{Reply, bench, challenge};
use crate::sandbox::SandboxEndpoint;

/// Returns the error in a redirect.
fn redirect_error(reply: &Reply) -> String {
    let query = reply.redirect();
    assert!(!query.contains_key("code"));
    query["error"].clone()
}

#[tokio::test]
async fn approval_redirects_with_code_state_and_issuer() {
    let bench = bench().await;
    let query = bench.authorize(&[("sandbox_decision", "approve")]).await.redirect();
    assert_eq!(query["tenant"], "7", "the redirect URI's own query stays");
    assert_eq!(query["state"], "s t&te");
    assert_eq!(query["iss"], bench.sandbox.base_url());
    assert!(query["code"].len() > 40 && !query.contains_key("error"));
}

#[tokio::test]
async fn denial_redirects_with_access_denied() {
    let bench = bench().await;
    let query = bench.authorize(&[("sandbox_decision", "deny")]).await.redirect();
    assert_eq!(query["error"], "access_denied");
    assert_eq!(query["state"], "s t&te");
    assert!(!query.contains_key("code"));
}

#[tokio::test]
async fn an_invalid_client_or_redirect_uri_is_not_followed() {
    let bench = bench().await;
    for change in [
        ("client_id", "somebody"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "/relative"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "data:text/html,x"),
        ("redirect_uri", "https://app.example/cb#fragment"),
    ] {
        let reply = bench.authorize(&[change, ("sandbox_decision", "approve")]).await;
        assert_eq!(reply.status, 400, "{change:?}");
        assert!(!reply.headers.contains_key("location"), "{change:?}");
        assert!(reply.body.contains("Sandbox: invalid request"));
    }
}

#[tokio::test]
async fn invalid_requests_redirect_with_an_error() {
    let bench = bench().await;
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("state", ""), "invalid_request"),
        (("scope", "a\"b"), "invalid_scope"),
        (("scope", "ümlaut"), "invalid_scope"),
    ] {
        let reply = bench.authorize(&[change, ("sandbox_decision", "approve")]).await;
        assert_eq!(redirect_error(&reply), error, "{change:?}");
    }
}

#[tokio::test]
async fn pkce_is_required() {
    let bench = bench().await;
    let without = [("code_challenge", ""), ("code_challenge_method", ""), ("sandbox_decision", "approve")];
    assert_eq!(redirect_error(&bench.authorize(&without).await), "invalid_request");
    let stripped = bench.exchange(&bench.code().await, &[("code_verifier", "")]).await;
    assert_eq!(stripped.refused(), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_repeated_parameter_is_rejected() {
    let bench = bench().await;
    let client = bench.sandbox.client_id();
    let right = format!(
        "response_type=code&client_id={client}&redirect_uri=http://localhost:3000/callback?tenant%3D7&state=x\
         &code_challenge={}&code_challenge_method=S256",
        challenge()
    );
    let twice = |extra: &str| format!("/authorize?{right}&{extra}");
    assert_eq!(bench.ask("GET", &format!("/authorize?{right}"), &[], "").await.status, 200);
    assert_eq!(redirect_error(&bench.ask("GET", &twice("scope=a&scope=b"), &[], "").await), "invalid_request");
    assert_eq!(redirect_error(&bench.ask("GET", &twice("state=y"), &[], "").await), "invalid_request");
    assert_eq!(bench.ask("GET", &twice("redirect_uri=http://localhost/"), &[], "").await.status, 400);
}

#[tokio::test]
async fn requests_are_counted_per_endpoint() {
    let bench = bench().await;
    bench.tokens().await;
    bench.exchange("nonsense", &[]).await;
    assert_eq!(bench.sandbox.requests(SandboxEndpoint::Authorize), 1);
    assert_eq!(bench.sandbox.requests(SandboxEndpoint::Token), 2);
    assert_eq!(bench.sandbox.requests(SandboxEndpoint::Revoke), 0);
}

#[tokio::test]
async fn unknown_paths_and_methods_differ() {
    let bench = bench().await;
    assert_eq!(bench.ask("GET", "/nowhere", &[], "").await.status, 404);
    let reply = bench.ask("GET", "/token", &[], "").await;
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, "POST"));
}
