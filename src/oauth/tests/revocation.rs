//! Tests of revocation.

use super::{client, entry_of, json};
use crate::catalog::entry::Revoke;
use crate::egress::tests::hostile::{Hostile, ServerStep, hasty, patient, response};
use crate::oauth::{RevocableTokens, RevokeError, revoke};
use crate::secret::Secret;

fn way(server: &Hostile, path: &str, further: &str) -> Revoke {
    toml::from_str(&format!("url = \"http://{}{path}\"\n{further}", server.url("").authority())).unwrap()
}

/// Revokes both tokens of a grant; returns the outcome and the requests.
async fn revoked(server: &Hostile, how: &Revoke) -> (Result<(), RevokeError>, Vec<String>) {
    let (access, refresh) = (Secret::new("acc+ess"), Secret::new("refr3sh"));
    let tokens = RevocableTokens { access_token: Some(&access), refresh_token: Some(&refresh) };
    let outcome = revoke(&patient(), how, &entry_of(server, ""), &client(), &tokens).await;
    (outcome, server.seen())
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

// Requirement 29 and 30.
#[tokio::test]
async fn the_refresh_token_is_revoked_first() {
    let server = Hostile::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let (outcome, seen) = revoked(&server, &way(&server, "/revoke", "")).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert!(request.starts_with("POST /revoke HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Basic b3VyK2lkOmNsaWVudCUyRnMzY3IzdCUyQg==\r\n"), "{request}");
    }
    assert_eq!(body(&seen[0]), "token=refr3sh&token_type_hint=refresh_token");
    assert_eq!(body(&seen[1]), "token=acc%2Bess&token_type_hint=access_token");
}

#[tokio::test]
async fn the_entry_shapes_the_revocation() {
    let server = Hostile::saying("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
    let how = way(
        &server,
        "/applications/{client_id}/grant",
        r#"
        method = "DELETE"
        auth = "basic"
        body = "json"
        token_param = "access_token"
        tokens = ["access"]
        hint = false
        params = { why = "x" }
        headers = { "X-Version" = "2" }
        "#,
    );
    let (outcome, seen) = revoked(&server, &how).await;
    assert_eq!((outcome, seen.len()), (Ok(()), 1));
    assert!(seen[0].starts_with("DELETE /applications/our%20id/grant HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].contains("x-version: 2\r\n"), "{}", seen[0]);
    assert_eq!(body(&seen[0]), r#"{"access_token":"acc+ess","why":"x"}"#);
}

#[tokio::test]
async fn first_only_sends_one_token() {
    let server = Hostile::saying(json("{}")).await;
    let how = way(&server, "/r", "auth = \"none\"\nhint = false\nfirst_only = true\ntoken_param = \"{kind}\"");
    let (outcome, seen) = revoked(&server, &how).await;
    assert_eq!((outcome, seen.len()), (Ok(()), 1));
    assert_eq!(body(&seen[0]), "refresh_token=refr3sh");
    let access = Secret::new("acc+ess");
    let tokens = RevocableTokens { access_token: Some(&access), refresh_token: None };
    assert_eq!(revoke(&patient(), &how, &entry_of(&server, ""), &client(), &tokens).await, Ok(()));
    assert_eq!(body(&server.seen()[1]), "access_token=acc%2Bess");
}

#[tokio::test]
async fn each_revocation_has_one_authentication() {
    for (auth, header, parameters) in [
        ("client", Some("Basic "), ""),
        ("post", None, "&client_id=our+id&client_secret=client%2Fs3cr3t%2B"),
        ("bearer", Some("Bearer acc+ess"), ""),
        ("none", None, ""),
    ] {
        let server = Hostile::saying(json("{}")).await;
        let (outcome, seen) =
            revoked(&server, &way(&server, "/r", &format!("auth = {auth:?}\ntokens = [\"refresh\"]"))).await;
        assert_eq!(outcome, Ok(()), "{auth}");
        let sent = seen[0].lines().find_map(|line| line.strip_prefix("authorization: "));
        assert_eq!(sent.is_some(), header.is_some(), "{auth}");
        assert!(sent.unwrap_or("").starts_with(header.unwrap_or("")), "{auth}");
        assert_eq!(body(&seen[0]), format!("token=refr3sh&token_type_hint=refresh_token{parameters}"), "{auth}");
    }
    let server = Hostile::saying(json("{}")).await;
    let (_, seen) =
        revoked(&server, &way(&server, "/r", "auth = \"bearer\"\nbody = \"none\"\ntokens = [\"access\"]")).await;
    assert_eq!(body(&seen[0]), "");
    assert!(!seen[0].lines().next().unwrap().contains("acc"), "no token in a URL (requirement 10)");
}

// Requirement 29.
#[tokio::test]
async fn an_unknown_token_counts_as_revoked() {
    for bytes in [
        response("200 OK", "text/html", "<html>thanks</html>"),
        json(r#"{"ok":true,"revoked":true}"#),
        json(r#"{"ok":false,"error":"token_revoked"}"#),
        response("400 No", "application/json", r#"{"error":"invalid_token"}"#),
        response("401 No", "application/json", r#"{"error":{"code":"token_expired"}}"#),
    ] {
        let server = Hostile::saying(bytes.as_str()).await;
        assert_eq!(revoked(&server, &way(&server, "/r", "")).await.0, Ok(()), "{bytes}");
    }
}

#[tokio::test]
async fn the_entrys_gone_errors_count_as_revoked() {
    for (further, bytes) in [
        ("gone_statuses = [404]", response("404 No", "application/json", r#"{"message":"Not Found"}"#)),
        (r#"gone_errors = ["no_such_grant"]"#, response("422 No", "application/json", r#"{"error":"no_such_grant"}"#)),
    ] {
        let server = Hostile::saying(bytes.as_str()).await;
        assert_eq!(revoked(&server, &way(&server, "/r", further)).await.0, Ok(()), "{bytes}");
        assert!(revoked(&server, &way(&server, "/r", "")).await.0.is_err(), "{bytes}");
    }
}

#[tokio::test]
async fn failures_tell_if_they_are_temporary() {
    for (bytes, status, error, passing) in [
        (json(r#"{"ok":false,"error":"not_allowed"}"#), 200, Some("not_allowed"), false),
        (json(r#"{"ok":false}"#), 200, Some("the response is not ok"), false),
        (
            response("400 No", "application/json", r#"{"error":"invalid_request refr3sh"}"#),
            400,
            Some("invalid_request [masked]"),
            false,
        ),
        (response("401 No", "application/json", r#"{"error":"invalid_client"}"#), 401, Some("invalid_client"), false),
        (response("404 No", "text/html", "gone"), 404, None, false),
        (response("302 Login", "text/html", ""), 302, None, false),
        (response("429 Slow", "text/html", ""), 429, None, true),
        (response("503 Later", "text/html", ""), 503, None, true),
        (response("503 Later", "application/json", r#"{"error":"invalid_token"}"#), 503, Some("invalid_token"), true),
    ] {
        let server = Hostile::saying(bytes).await;
        let failure = revoked(&server, &way(&server, "/r", "")).await.0.unwrap_err();
        let client = error == Some("invalid_client");
        assert_eq!(failure, RevokeError::Refused { status, error: error.map(str::to_owned), client });
        assert_eq!(failure.is_temporary(), passing, "{failure}");
        assert!(!failure.to_string().contains("refr3sh"));
    }
}

#[tokio::test]
async fn every_sent_token_must_be_revoked() {
    let (good, later) = (json("{}"), response("503 Later", "text/html", ""));
    let not_this_kind = response("400 No", "application/json", r#"{"error":"unsupported_token_type"}"#);
    let refused = response("403 No", "text/html", "");
    let failed = |status| Err(RevokeError::Refused { status, error: None, client: false });
    for (responses, expected) in [
        ([&good, &later], failed(503)),
        ([&later, &good], failed(503)),
        ([&refused, &later], failed(503)),
        ([&good, &refused], failed(403)),
        ([&good, &not_this_kind], Ok(())),
        ([&not_this_kind, &good], Ok(())),
    ] {
        let server = Hostile::saying_in_turn(&responses.map(Clone::clone)).await;
        let (outcome, seen) = revoked(&server, &way(&server, "/r", "")).await;
        assert_eq!(outcome, expected);
        assert_eq!(seen.len(), 2, "the second token is sent too");
    }
    let server = Hostile::saying(not_this_kind.as_str()).await;
    assert!(revoked(&server, &way(&server, "/r", "")).await.0.is_err(), "nothing was revoked");
    let server = Hostile::saying_in_turn(&[good, response("401 No", "text/html", "")]).await;
    assert_eq!(
        revoked(&server, &way(&server, "/r", "auth = \"bearer\"")).await.0,
        Ok(()),
        "the bearer ended with the grant"
    );
}

#[tokio::test]
async fn without_token_or_server_nothing_is_confirmed() {
    let server = Hostile::new(vec![ServerStep::Hang]).await;
    let how = way(&server, "/r", "tokens = [\"refresh\"]");
    let access = Secret::new("acc+ess");
    let tokens = RevocableTokens { access_token: Some(&access), refresh_token: None };
    let outcome = revoke(&hasty(), &how, &entry_of(&server, ""), &client(), &tokens).await;
    assert_eq!(outcome, Err(RevokeError::NoToken));
    assert!(server.seen().is_empty());
    let how = way(&server, "/r", "");
    let failure = revoke(&hasty(), &how, &entry_of(&server, ""), &client(), &tokens).await.unwrap_err();
    assert!(matches!(failure, RevokeError::Unreachable(_)) && failure.is_temporary());
}
