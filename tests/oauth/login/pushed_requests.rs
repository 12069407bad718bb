//! Pushed authorization requests (RFC 9126): what the server gets, what the browser gets, and what goes wrong.

use std::collections::BTreeMap;

use crate::support::flow::CALLBACK;
use crate::support::provider::recording::Recording;
use crate::support::{Server, Setup};
use serde_json::json;

const REFERENCE: &str = "urn:ietf:params:oauth:request_uri:a b";

fn query(url: &str) -> BTreeMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

async fn refused(server: &Server, status: u16) -> String {
    let body = json!({"callback_url": CALLBACK});
    server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&body).send().await.is(status).text()
}

// docs/standards.md: 33.
#[tokio::test]
async fn pushed_login_url_has_only_client_id_and_reference() {
    let acme = Recording::start().await;
    let reference = REFERENCE.replace(' ', "%20");
    acme.answers_with(
        "/par",
        "201 Created",
        "application/json",
        json!({"request_uri": reference, "expires_in": 60}).to_string(),
    );
    let server = acme.server("par_url = \"BASE/par\"\nauthorize_params = { prompt = \"consent\" }").await;
    let body = json!({"callback_url": CALLBACK, "scopes": ["a", "b"]});
    let started = server.initiate_with("acme", &body).await;
    let expected = [("client_id", "my id"), ("request_uri", &reference)];
    assert_eq!(query(&started.login_url), expected.map(|(name, value)| (name.into(), value.into())).into());

    let pushed = acme.asked("/par").pop().unwrap();
    assert_eq!(pushed.basic().as_deref(), Some("my+id:s%2Bc%2Fr"), "authenticated as at the token endpoint");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "my id"),
        ("redirect_uri", CALLBACK),
        ("scope", "a b"),
        ("state", &started.state),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ] {
        assert_eq!(pushed.param(name).as_deref(), Some(value));
    }
    assert_eq!(pushed.param("code_challenge").unwrap().len(), 43);
    assert_eq!(started.expires_at, server.clock.now().0 + 60, "the earlier of the two ends");
    server.complete_acme(&server.key, &started.state).await.is(200);
}

// docs/standards.md: 33.
#[tokio::test]
async fn state_expires_at_the_earlier_of_both_times() {
    let acme = Recording::start().await;
    acme.says("/par", &json!({"request_uri": "urn:x", "expires_in": 86_400}));
    let server = acme.server("par_url = \"BASE/par\"").await;
    let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
    assert_eq!(started.expires_at, server.clock.now().0 + 600);
}

// docs/standards.md: 33.
#[tokio::test]
async fn pushing_is_used_if_required_and_not_if_offered() {
    let acme = Recording::start().await;
    acme.says("/par", &json!({"request_uri": "urn:x", "expires_in": 60}));
    let config = format!(
        "[providers.acme]\ndisplay_name = \"Acme\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
         [providers.acme.oauth]\nissuer = \"{}\"\n",
        acme.base
    );
    for (requires, asks, pushes) in [(true, "", true), (false, "", false), (false, "par = true", true)] {
        let base = &acme.base;
        let metadata = json!({
            "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
            "pushed_authorization_request_endpoint": format!("{base}/par"),
            "require_pushed_authorization_requests": requires,
        });
        acme.says("/.well-known/oauth-authorization-server", &metadata);
        let server = Server::with(Setup { config: format!("{config}{asks}"), ..Setup::default() }).await;
        let started = server.initiate_with("acme", &json!({"callback_url": CALLBACK})).await;
        assert_eq!(query(&started.login_url).contains_key("request_uri"), pushes, "{requires} {asks}");
    }
}

#[tokio::test]
async fn refused_push_starts_no_login_and_says_why() {
    let acme = Recording::start().await;
    let server = acme.server("par_url = \"BASE/par\"").await;
    for (status, body, said) in [
        (
            "400 Bad Request",
            r#"{"error":"invalid_request","error_description":"no s+c/r here"}"#,
            "invalid_request: no [masked] here",
        ),
        ("201 Created", r#"{"expires_in":60}"#, "'request_uri' is malformed"),
        ("201 Created", r#"{"request_uri":"urn:x","expires_in":0}"#, "'expires_in' is malformed"),
        ("201 Created", r#"{"request_uri":"urn:x\r\nx","expires_in":60}"#, "'request_uri' is malformed"),
        ("200 OK", "<html>", "'request_uri' is malformed"),
        ("302 Found", "", "status 302"),
        ("503 Service Unavailable", "", "status 503"),
    ] {
        acme.answers_with("/par", status, "application/json", body);
        let told = refused(&server, 502).await;
        assert!(told.contains("/problems/provider-unavailable") && told.contains(said), "{told}");
    }
    acme.answers_with("/par", "504 Gateway Timeout", "text/plain", "");
    refused(&server, 504).await;
}
