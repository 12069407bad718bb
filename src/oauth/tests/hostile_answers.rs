//! Tests of hostile responses to a token request: each gives one clear error and no grant.

use super::{exchange_with, exchanged, json};
use crate::egress::EgressError;
use crate::egress::tests::hostile::{Hostile, ServerStep, hasty, patient, response};
use crate::oauth::{InvalidResponse, OAuthError};

use InvalidResponse::{Form, Malformed, NoAccessToken};
use OAuthError::{Invalid as Unread, Unreachable};

fn status(status: u16) -> OAuthError {
    OAuthError::Status { status, retry_after: None, page: true }
}

/// A status with a JSON object that does not explain it.
fn unexplained(status: u16) -> OAuthError {
    OAuthError::Status { status, retry_after: None, page: false }
}

#[tokio::test]
async fn invalid_responses_give_one_clear_error() {
    let html = "<!doctype html><html><body>access_token=tok&token_type=bearer</body></html>";
    let with = |members: &str| json(&format!(r#"{{"token_type":"bearer",{members}}}"#));
    let good = r#"{"access_token":"tok","token_type":"bearer"}"#;
    let megabyte = "x".repeat(1_000_000);
    let cases: Vec<(String, OAuthError)> = vec![
        (response("200 OK", "text/html", html), Unread(Form)),
        (response("200 OK", "application/json", html), Unread(Form)),
        (response("200 OK", "application/json", ""), Unread(Form)),
        (response("200 OK", "", ""), Unread(Form)),
        ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned(), Unread(Form)),
        (json(&format!("[{good}]")), Unread(Form)),
        (json(r#""tok""#), Unread(Form)),
        (json("null"), Unread(Form)),
        (json("12"), Unread(Form)),
        (json(&format!("{good}{good}")), Unread(Form)),
        (json(&good[..good.len() - 1]), Unread(Form)),
        (json(&format!("{}{}", "{\"a\":".repeat(5_000), "}".repeat(5_000))), Unread(Form)),
        (with(r#""access_token":"a","access_token":"b""#), Unread(Malformed("access_token"))),
        (with(r#""access_token":"a","refresh_token":"b","refresh_token":"c""#), Unread(Malformed("refresh_token"))),
        (
            response("200 OK", "text/plain", "access_token=a&token_type=bearer&access_token=b"),
            Unread(Malformed("access_token")),
        ),
        (response("200 OK", "text/plain", "token_type=bearer"), Unread(NoAccessToken)),
        (with(r#""access_token":"a\r\nSet-Cookie: x=y""#), Unread(Malformed("access_token"))),
        (with(r#""access_token":"a\u0000b""#), Unread(Malformed("access_token"))),
        (with(r#""access_token":"a b""#), Unread(Malformed("access_token"))),
        (with(r#""access_token":"tök""#), Unread(Malformed("access_token"))),
        (with(r#""access_token":1"#), Unread(Malformed("access_token"))),
        (with(r#""access_token":{"a":"b"}"#), Unread(Malformed("access_token"))),
        (with(r#""access_token":["a"]"#), Unread(Malformed("access_token"))),
        (with(&format!(r#""access_token":"{megabyte}""#)), Unread(Malformed("access_token"))),
        (with(r#""access_token":"a","refresh_token":"b\n""#), Unread(Malformed("refresh_token"))),
        (with(r#""access_token":"a","refresh_token":false"#), Unread(Malformed("refresh_token"))),
        (response("500 Oops", "application/json", good), unexplained(500)),
        (response("503 Later", "application/json", r#"{"error":"temporarily_unavailable"}"#), unexplained(503)),
        (response("429 Slow", "application/json", r#"{"error":"slow_down"}"#), unexplained(429)),
        (response("401 No", "text/html", html), status(401)),
        (response("400 No", "application/json", good), unexplained(400)),
        (response("304 Same", "application/json", good), unexplained(304)),
    ];
    for (bytes, expected) in cases {
        let error = exchanged(&bytes, "").await.expect_err(&bytes[..bytes.len().min(200)]);
        assert_eq!(error, expected, "{}", &bytes[..bytes.len().min(200)]);
        assert!(!error.in_doubt(), "a complete response leaves no doubt");
    }
}

#[tokio::test]
async fn a_missing_token_path_is_an_error() {
    for body in [r#"{"access_token":"top","token_type":"bearer"}"#, r#"{"a":"x"}"#, r#"{"a":[]}"#, r#"{"a":{}}"#] {
        let error = exchanged(&json(body), "token_path = \"/a\"").await.unwrap_err();
        assert_eq!(error, Unread(NoAccessToken), "{body}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed_with_the_code() {
    let trap = Hostile::saying(json("{}")).await;
    for line in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let location = trap.url("/token");
        let redirect =
            format!("HTTP/1.1 {line}\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let error = exchanged(&redirect, "").await.unwrap_err();
        assert_eq!(error, unexplained(line[..3].parse().unwrap()));
    }
    assert!(trap.seen().is_empty());
}

#[tokio::test]
async fn an_incomplete_response_leaves_the_code_in_doubt() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n".to_vec();
    let slow = EgressError::TooSlow { sent: true };
    for (steps, egress, expected) in [
        (vec![ServerStep::Hang], hasty(), slow),
        (vec![ServerStep::Say(head.clone()), ServerStep::Hang], hasty(), slow),
        (vec![ServerStep::Say(head.clone()), ServerStep::Drip(b" ".to_vec())], hasty(), slow),
        (vec![ServerStep::Say(head.clone())], patient(), EgressError::InDoubt),
        (vec![ServerStep::Reset], patient(), EgressError::InDoubt),
        (vec![], patient(), EgressError::InDoubt),
        (
            vec![ServerStep::Say(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), ServerStep::Repeat(vec![b' '; 16_384])],
            patient(),
            EgressError::TooLarge,
        ),
    ] {
        let server = Hostile::new(steps).await;
        let error = exchange_with(&egress, &server, "").await.unwrap_err();
        assert_eq!(error, Unreachable(expected));
        assert!(error.in_doubt());
        assert!(server.seen().len() <= 1, "a code is sent once");
    }
}
