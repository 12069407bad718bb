//! Tests of the identity request.

use super::{client, entry_of, exchanged, json, only_request};
use crate::egress::EgressError;
use crate::egress::tests::hostile::{Hostile, ServerStep, hasty, patient, response};
use crate::oauth::{Account, Grant, IdentityError, identify};

async fn grant() -> Grant {
    exchanged(&json(r#"{"access_token":"acc3ss","token_type":"bearer"}"#), "").await.unwrap()
}

async fn identified(server: &Hostile, further: &str) -> Result<Account, IdentityError> {
    let entry = entry_of(server, &format!("[identity]\nurl = \"{}\"\n{further}", server.url("/me?x=1")));
    identify(&patient(), &entry, &client(), &grant().await).await
}

#[tokio::test]
async fn the_token_is_sent_in_the_header_only() {
    let server = Hostile::saying(json(r#"{"login":"octo\u0000cat","id":583231,"org":{"name":"  Cats "}}"#)).await;
    let identity =
        identified(&server, "username = \"/login\"\naccount = \"/id\"\ntitle = \"/org/name\"").await.unwrap();
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(identity, Account { username: name("octocat"), title: name("Cats"), account: name("583231") });
    let (head, body) = only_request(&server);
    assert!(head.starts_with("GET /me?x=1 HTTP/1.1\r\n") && body.is_empty(), "{head}");
    assert!(head.contains("authorization: Bearer acc3ss"), "{head}");
    assert_eq!(head.matches("acc3ss").count(), 1);
}

#[tokio::test]
async fn the_entry_shapes_the_identity_request() {
    let server = Hostile::saying(json(r#"{"data":{"viewer":{"name":"Ada"}}}"#)).await;
    let further = r#"
        method = "POST"
        body = '{"query":"{ viewer { name } }"}'
        username = "/data/viewer/name"
        headers = { "Client-Id" = "{client_id}", "Accept" = "application/vnd.x" }
    "#;
    assert_eq!(identified(&server, further).await.unwrap().username.unwrap(), "Ada");
    let (head, body) = only_request(&server);
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post ") && head.contains("content-type: application/json\r\n"), "{head}");
    assert!(head.contains("client-id: our id\r\n") && head.contains("accept: application/vnd.x\r\n"), "{head}");
    assert_eq!(body, r#"{"query":"{ viewer { name } }"}"#);
}

#[tokio::test]
async fn unusable_names_are_dropped() {
    for value in ["null", "true", "1.5", "{}", "[]", "\"\"", "\" \\u0007 \"", &format!("\"{}\"", "x".repeat(513))] {
        let server = Hostile::saying(json(&format!(r#"{{"login":{value}}}"#))).await;
        assert_eq!(identified(&server, "username = \"/login\"").await.unwrap(), Account::default(), "{value}");
    }
}

#[tokio::test]
async fn a_failed_lookup_is_an_error_with_a_reason() {
    for (bytes, expected) in [
        (response("401 No", "application/json", r#"{"login":"x"}"#), IdentityError::Status(401)),
        (response("302 F", "application/json", r#"{"login":"x"}"#), IdentityError::Status(302)),
        (response("200 OK", "text/html", "<html>"), IdentityError::NotJson),
        (json(r#"{"login":"a","login":"b"}"#), IdentityError::NotJson),
        (String::new(), IdentityError::Unreachable(EgressError::InDoubt)),
    ] {
        let server = Hostile::saying(bytes).await;
        assert_eq!(identified(&server, "username = \"/login\"").await, Err(expected));
    }
    let server = Hostile::new(vec![ServerStep::Hang]).await;
    let entry = entry_of(&server, &format!("[identity]\nurl = \"{}\"", server.url("/me")));
    let slow = IdentityError::Unreachable(EgressError::TooSlow { sent: true });
    assert_eq!(identify(&hasty(), &entry, &client(), &grant().await).await, Err(slow));
}

#[tokio::test]
async fn without_an_identity_section_nothing_is_sent() {
    let server = Hostile::saying(json("{}")).await;
    let identity = identify(&patient(), &entry_of(&server, ""), &client(), &grant().await).await;
    assert_eq!(identity, Ok(Account::default()));
    assert!(server.seen().is_empty());
}
