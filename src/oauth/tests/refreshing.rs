//! Tests of the refresh: request, result and failures.

use std::time::Duration;

use super::{client, entry_of, json, only_request, texts};
use crate::catalog::Catalog;
use crate::catalog::entry::OAuth;
use crate::clock::Clock;
use crate::egress::tests::hostile::{Hostile, ServerStep, hasty, patient, response};
use crate::egress::{Egress, EgressError};
use crate::oauth::message::error::client_error;
use crate::oauth::message::sanitize::Sanitizer;
use crate::oauth::{Client, Grant, OAuthError, RefreshRequest, RetryAfter, RevocableTokens, refresh, revoke};
use crate::random::Random;
use crate::secret::Secret;

const OLD: &str = "the-0ld/refresh=token";
const OLD_ACCESS: &str = "the-0ld/access=token";

/// Returns true if the body of a 400 says that the grant is over.
fn is_dead_grant(body: &str, entry: &OAuth) -> bool {
    let members = crate::json::parse_object(body.as_bytes()).expect("an object");
    client_error(&members, &Sanitizer::default()).is_some_and(|error| error.ends_grant(entry))
}

async fn refresh_at(egress: &Egress, server: &Hostile, further: &str) -> Result<Grant, OAuthError> {
    refresh_by(egress, &entry_of(server, further), &texts(&["read", "write"])).await
}

async fn refresh_by(egress: &Egress, entry: &OAuth, granted: &[String]) -> Result<Grant, OAuthError> {
    let (refresh_token, access_token) = (Secret::new(OLD), Secret::new(OLD_ACCESS));
    let redirect_uri = Some("https://app.example/callback?a=1");
    let old = RefreshRequest { refresh_token: &refresh_token, access_token: &access_token, granted, redirect_uri };
    refresh(egress, entry, &client(), &old).await
}

// Requirement 10.
#[tokio::test]
async fn old_tokens_are_masked_in_errors() {
    let said = format!(r#"{{"error":"invalid_grant","error_description":"{OLD} and {OLD_ACCESS} are too old"}}"#);
    let server = Hostile::saying(response("400 Bad Request", "application/json", &said)).await;
    let error = refresh_at(&patient(), &server, "").await.unwrap_err().to_string();
    assert!(error.contains("[masked] and [masked] are too old"), "{error}");
}

async fn refreshed(response: &str, further: &str) -> Result<Grant, OAuthError> {
    refresh_at(&patient(), &Hostile::saying(response).await, further).await
}

// Requirement 8.
#[tokio::test]
async fn a_refresh_requests_no_scopes() {
    let server = Hostile::saying(json(r#"{"access_token":"a","token_type":"bearer"}"#)).await;
    refresh_at(&patient(), &server, "").await.unwrap();
    let (head, body) = only_request(&server);
    assert!(head.starts_with("POST /token "), "{head}");
    assert_eq!(body, "grant_type=refresh_token&refresh_token=the-0ld%2Frefresh%3Dtoken");
}

#[tokio::test]
async fn the_redirect_uri_is_repeated_only_by_the_entry() {
    let server = Hostile::saying(json(r#"{"access_token":"a","token_type":"bearer"}"#)).await;
    let entry = "token_auth = \"none\"\nrefresh = { redirect_uri = true }\nrename = { redirect_uri = \"return_to\" }";
    refresh_at(&patient(), &server, entry).await.unwrap();
    let sent = "grant_type=refresh_token&refresh_token=the-0ld%2Frefresh%3Dtoken\
                &return_to=https%3A%2F%2Fapp.example%2Fcallback%3Fa%3D1&client_id=our+id";
    assert_eq!(only_request(&server).1, sent);
}

#[tokio::test]
async fn the_entry_shapes_the_refresh_request() {
    let server = Hostile::saying(json(r#"{"access_token":"a","token_type":"bearer"}"#)).await;
    let base = server.url("");
    let entry = format!(
        "refresh_url = \"{}renew\"\ntoken_auth = \"post\"\ntoken_params = {{ audience = \"code\", both = \"yes\" }}\n\
         refresh_params = {{ audience = \"refresh\", refresh_token = \"forged\" }}\n\
         rename = {{ client_id = \"client_key\", refresh_token = \"renewal\" }}",
        base.as_str()
    );
    refresh_at(&patient(), &server, &entry).await.unwrap();
    let (head, body) = only_request(&server);
    assert!(head.starts_with("POST /renew "), "{head}");
    assert_eq!(
        body,
        "grant_type=refresh_token&renewal=the-0ld%2Frefresh%3Dtoken&client_key=our+id&client_secret=client%2Fs3cr3t%2B\
         &audience=refresh&both=yes"
    );
}

// Requirement 7.
#[tokio::test]
async fn missing_members_keep_their_old_values() {
    for silent in ["", r#","refresh_token":"","scope":"""#, r#","refresh_token":null,"scope":null"#] {
        let grant =
            refreshed(&json(&format!(r#"{{"access_token":"a","token_type":"bearer"{silent}}}"#)), "").await.unwrap();
        assert_eq!(grant.refresh_token.unwrap().expose(), OLD, "{silent}");
        assert_eq!(grant.scopes, texts(&["read", "write"]), "{silent}");
        assert!(grant.missing_scopes.is_empty() && grant.expires_in.is_none());
    }
    let said = r#"{"access_token":"a","token_type":"bearer","refresh_token":"new","scope":"read","expires_in":"60"}"#;
    let grant = refreshed(&json(said), "").await.unwrap();
    assert_eq!(grant.refresh_token.unwrap().expose(), "new");
    assert_eq!(grant.scopes, texts(&["read"]));
    assert_eq!(grant.missing_scopes, texts(&["write"]));
    assert_eq!(grant.expires_in, Some(Duration::from_secs(60)));
}

// Requirement 24.
#[tokio::test]
async fn only_a_refusal_of_the_provider_ends_a_grant() {
    let refused = r#"{"error":"invalid_grant","error_description":"revoked the-0ld/refresh=token"}"#;
    for status in ["400 Bad Request", "401 Unauthorized", "200 OK"] {
        let error = refreshed(&response(status, "application/json", refused), "").await.unwrap_err();
        assert!(error.ends_grant(&super::entry("")), "{status}");
        assert_eq!(error.to_string(), "invalid_grant: revoked [masked]", "{status}");
    }
    let own_word = response("200 OK", "application/json", r#"{"error":"bad_refresh_token"}"#);
    let named = "[refresh]\nrefused_errors = [\"bad_refresh_token\"]";
    for (entry, ends) in [("", false), (named, true)] {
        let error = refreshed(&own_word, entry).await.unwrap_err();
        assert_eq!(error.ends_grant(&super::entry(entry)), ends);
    }
    for other in [
        response("400 Bad Request", "application/json", r#"{"error":"invalid_client"}"#),
        response("400 Bad Request", "application/json", r#"{"error":"temporarily_unavailable"}"#),
        response("400 Bad Request", "text/html", "invalid_grant"),
        response("429 Slow", "application/json", refused),
        response("500 Oops", "application/json", refused),
        response("503 Later", "application/json", refused),
        response("200 OK", "text/html", "<html>maintenance</html>"),
        response("200 OK", "application/json", r#"{"ok":false}"#),
        json("{}"),
    ] {
        let error = refreshed(&other, "").await.unwrap_err();
        assert!(!error.ends_grant(&super::entry("")) && !error.in_doubt(), "{other}");
    }
}

/// Returns the error of a refresh that this response refuses, and true if it ends the grant.
async fn refusal(response: &str, further: &str) -> (OAuthError, bool) {
    let error = refreshed(response, further).await.unwrap_err();
    let ends = error.ends_grant(&super::entry(further));
    (error, ends)
}

#[tokio::test]
async fn a_dead_grant_is_known_in_every_form() {
    for body in [
        r#"{"error":"INVALID_GRANT"}"#,
        r#"{"error":"Invalid_Grant","error_description":"Token has been expired or revoked."}"#,
        r#"{"error":"invalid grant"}"#,
        r#"{"error":"invalid_grant: the token was revoked"}"#,
        r#"{"errors":["invalid_grant - The provided authorization grant is invalid"]}"#,
        r#"{"errors":[{"errorType":"invalid_grant","message":"Refresh token invalid"}],"success":false}"#,
        r#"{"errors":{"code":"invalid_grant"}}"#,
        r#"{"error":{"code":"invalid_grant","message":"gone"}}"#,
        r#"{"error":{"code":400,"status":"INVALID_GRANT","message":"gone"}}"#,
        r#"{"error":{"code":400,"errors":[{"reason":"invalid_grant"}]}}"#,
        r#"{"error":{"error":"invalid_grant"}}"#,
        r#"{"error":[{"code":"invalid_grant"}]}"#,
        r#"{"code":400,"message":"invalid_grant"}"#,
        r#"{"errorCode":"invalid_grant"}"#,
        r#"{"fault":{"faultstring":"x","detail":{"errorcode":"invalid_grant"}}}"#,
        r#"{"error":"interaction_required","suberror":"consent_required"}"#,
        r#"{"error":"login_required"}"#,
        r#"{"error":"Consent_Required"}"#,
        r#"{"error":"invalid_grant","error":"invalid_grant"}"#,
        r#"{"error":"invalid_grant","error_description":"half a pair \ud83d"}"#,
    ] {
        for status in ["400 Bad Request", "401 Unauthorized", "403 Forbidden"] {
            let (error, ends) = refusal(&response(status, "application/json", body), "").await;
            assert!(ends && !error.in_doubt(), "{status} {body}: {error}");
        }
    }
    let mut latin = b"HTTP/1.1 400 No\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n".to_vec();
    latin.extend(b"{\"error\":\"invalid_grant\",\"error_description\":\"Jeton r\xe9voqu\xe9\"}");
    let server = Hostile::new(vec![ServerStep::Say(latin)]).await;
    let error = refresh_at(&patient(), &server, "").await.unwrap_err();
    assert!(error.ends_grant(&super::entry("")) && error.to_string() == "invalid_grant: Jeton révoqué", "{error}");
}

/// Secrets that occur inside a code: the code is compared as it was sent.
#[tokio::test]
async fn a_secret_inside_a_code_hides_no_dead_grant() {
    let bodies =
        [r#"{"error":"invalid_grant"}"#, r#"{"errors":["invalid_grant - gone"]}"#, r#"[{"error":"invalid_grant"}]"#];
    for secret in ["g", "_", "ant", "grant", "invalid", "invalid_grant"] {
        for body in bodies {
            let server = Hostile::saying(response("400 Bad Request", "application/json", body)).await;
            let ours = Client::new("our id", vec![Secret::new(secret)], Clock::system(), Random);
            let (refresh_token, access_token) = (Secret::new(secret), Secret::new(secret));
            let old = RefreshRequest {
                refresh_token: &refresh_token,
                access_token: &access_token,
                granted: &[],
                redirect_uri: None,
            };
            let error = refresh(&patient(), &entry_of(&server, ""), &ours, &old).await.unwrap_err();
            assert!(error.ends_grant(&super::entry("")), "{secret} {body}: {error}");
            assert!(secret.len() < 4 || !error.to_string().contains(secret), "{secret} {body}: {error}");
            assert!(secret.len() >= 4 || !error.to_string().contains("masked"), "{secret} {body}: {error}");
            assert!(secret.len() < 4 || !format!("{error:?}").contains(secret), "{secret} {body}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_inside_a_code_hides_no_rejected_client() {
    let body = r#"{"error":"invalid_client"}"#;
    let says = response("401 Unauthorized", "application/json", body);
    let server = Hostile::saying(says).await;
    let ours = || Client::new("our id", ["client", "other"].map(Secret::new).to_vec(), Clock::system(), Random);
    let token = Secret::new("the-token");
    let old = RefreshRequest { refresh_token: &token, access_token: &token, granted: &[], redirect_uri: None };
    let error = refresh(&patient(), &entry_of(&server, ""), &ours(), &old).await.unwrap_err();
    assert!(error.rejects_client() && error.rejects_registration() && error.ends_service(), "{error}");
    assert_eq!(server.seen().len(), 2, "the second secret is tried");
    let how = toml::from_str(&format!("url = \"{}\"", server.url("/revoke").as_str())).unwrap();
    let tokens = RevocableTokens { access_token: None, refresh_token: Some(&token) };
    revoke(&patient(), &how, &entry_of(&server, ""), &ours(), &tokens).await.unwrap_err();
    assert_eq!(server.seen().len(), 4, "the second secret is tried");
}

/// The texts of a server that a caller chose are compared too, but never shown.
#[test]
fn a_chosen_servers_dead_grant_is_known() {
    let body = br#"{"errors":["invalid_grant - db password: hunter2"]}"#;
    let error = client_error(&crate::json::parse_object(body).unwrap(), &Sanitizer::for_server(true)).unwrap();
    assert!(error.ends_grant(&super::entry("")), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn the_first_object_of_a_list_is_an_error_body() {
    for (status, body, ends) in [
        ("400 Bad Request", r#"[{"error":"invalid_grant","error_description":"gone"}]"#, true),
        ("200 OK", r#"[{"error":"invalid_grant","error_description":"gone"}]"#, true),
        ("400 Bad Request", r#"["x",{"error":"invalid_grant","error_description":"gone"}]"#, true),
        ("400 Bad Request", "[]", false),
        ("500 Oops", r#"[{"error":"invalid_grant"}]"#, false),
        ("200 OK", r#"[{"access_token":"a","token_type":"bearer"}]"#, false),
    ] {
        let (error, said) = refusal(&response(status, "application/json", body), "").await;
        assert_eq!(said, ends, "{status} {body}: {error}");
        assert!(!ends || error.to_string() == "invalid_grant: gone", "{error}");
    }
}

#[tokio::test]
async fn a_dead_grant_is_known_in_the_providers_own_words() {
    let jira = r#"{"error":"unauthorized_client","error_description":"refresh_token is invalid"}"#;
    let hubspot = r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token"}"#;
    let bare = r#"{"status":"BAD_REFRESH_TOKEN"}"#;
    let strava = r#"{"message":"Bad Request","errors":[{"resource":"RefreshToken","field":"x","code":"invalid"}]}"#;
    let meta = r#"{"error":{"message":"gone","type":"OAuthException","code":190,"error_subcode":460}}"#;
    let message = "[refresh]\nrefused_messages = [\"Refresh_Token is invalid\"]";
    let code = |code: &str| format!("[refresh]\nrefused_errors = [\"{code}\"]");
    for (body, entry) in [
        (jira, message.to_owned()),
        (hubspot, code("bad_refresh_token")),
        (bare, code("BAD_REFRESH_TOKEN")),
        (strava, code("RefreshToken")),
        (meta, code("190")),
    ] {
        for status in ["400 Bad Request", "403 Forbidden"] {
            let (error, ends) = refusal(&response(status, "application/json", body), &entry).await;
            assert!(ends, "{body}: {error}");
            let (error, ends) = refusal(&response(status, "application/json", body), "").await;
            assert!(!ends && error.is_unclear_refusal(), "{body}: {error}");
        }
        for status in ["429 Slow", "500 Oops", "503 Later", "408 Timeout"] {
            let (error, ends) = refusal(&response(status, "application/json", body), &entry).await;
            assert!(!ends && !error.is_unclear_refusal(), "{status} {body}: {error}");
        }
    }
    let told = r#"{"code":4001,"message":"the refresh token has expired"}"#;
    assert!(refusal(&json(told), "[refresh]\nrefused_errors = [\"4001\"]").await.1, "with a 200");
    let by_status = "[refresh]\nrefused_statuses = [403]";
    assert!(refusal(&response("403 Forbidden", "application/json", "{}"), by_status).await.1);
    assert!(refusal(&response("403 Forbidden", "", ""), by_status).await.1);
    for other in [
        response("403 Forbidden", "text/html", "<html>blocked by a firewall</html>"),
        response("401 Unauthorized", "application/json", "{}"),
        response("503 Later", "application/json", "{}"),
    ] {
        assert!(!refusal(&other, by_status).await.1, "{other}");
    }
}

#[tokio::test]
async fn other_refusals_end_no_grant() {
    for body in [
        r#"{"error":"invalid_client","error_description":"invalid_grant"}"#,
        r#"{"error":"unauthorized_client","message":"invalid_grant"}"#,
        r#"{"error":"temporarily_unavailable","error_description":"invalid_grant"}"#,
        r#"{"error":"invalid_grant_type"}"#,
        r#"{"error":"Invalid grant type"}"#,
        r#"{"message":"the grant is not an invalid_grant"}"#,
        r#"{"errors":[]}"#,
        r#"{"errors":["rate limited"]}"#,
        r#"{"status":400}"#,
        r#"{"access_token":"a","note":"invalid_grant"}"#,
    ] {
        let (error, ends) = refusal(&response("400 Bad Request", "application/json", body), "").await;
        assert!(!ends, "{body}: {error}");
    }
}

// Requirement 25.
#[tokio::test]
async fn an_incomplete_response_is_in_doubt() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"access_token\":";
    for steps in [vec![ServerStep::Hang], vec![ServerStep::Reset], vec![ServerStep::Say(cut.into())], vec![]] {
        let error = refresh_at(&hasty(), &Hostile::new(steps).await, "").await.unwrap_err();
        assert!(error.in_doubt() && !error.ends_grant(&super::entry("")), "{error}");
    }
    let gone = Hostile::new(vec![]).await;
    let entry = entry_of(&gone, "");
    drop(gone);
    // The port closes when the runtime drops the task.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = refresh_by(&patient(), &entry, &[]).await.unwrap_err();
    assert!(matches!(error, OAuthError::Unreachable(EgressError::NotSent(_))) && !error.in_doubt(), "{error}");
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    for status in ["429 Slow", "503 Later"] {
        let bytes = format!("HTTP/1.1 {status}\r\nRetry-After: 17\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let error = refreshed(&bytes, "").await.unwrap_err();
        assert_eq!(error.retry_after(), Some(RetryAfter::Wait(Duration::from_secs(17))), "{status}");
    }
}

#[tokio::test]
async fn access_tokens_can_be_refreshed_by_get() {
    let server = Hostile::saying(json(r#"{"access_token":"fresh","token_type":"bearer","expires_in":60}"#)).await;
    let entry =
        "refresh = { with = \"access_token\", method = \"GET\", grant_type = \"acme_refresh\", auth = \"none\" }";
    let grant = refresh_at(&patient(), &server, entry).await.unwrap();
    let (head, body) = only_request(&server);
    let query = "grant_type=acme_refresh&access_token=the-0ld%2Frefresh%3Dtoken&client_id=our+id";
    assert!(head.starts_with(&format!("GET /token?{query} ")), "{head}");
    assert!(body.is_empty() && !head.to_lowercase().contains("authorization"), "{head}");
    assert_eq!((grant.access_token.expose(), grant.refresh_token.unwrap().expose()), ("fresh", "fresh"));
}

// Requirement 10.
#[tokio::test]
async fn errors_contain_nothing_of_a_query() {
    let entry = "token_auth = \"post\"\nrefresh = { with = \"access_token\", method = \"GET\" }";
    let said =
        format!(r#"{{"error":"invalid_request","error_description":"what is {OLD} or {}?"}}"#, super::CLIENT_SECRET);
    for (egress, server) in [
        (patient(), Hostile::saying(response("400 Bad Request", "application/json", &said)).await),
        (patient(), Hostile::saying(response("302 Found", "text/plain", "")).await),
        (hasty(), Hostile::saying("").await),
    ] {
        let error = refresh_at(&egress, &server, entry).await.unwrap_err();
        let told = format!("{error} {error:?}");
        for secret in [OLD, "the-0ld", super::CLIENT_SECRET, "client%2Fs3cr3t"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[test]
fn entries_know_their_providers_words_for_a_dead_grant() {
    let atlassian = r#"{"error":"unauthorized_client","error_description":"refresh_token is invalid"}"#;
    let meta = r#"{"error":{"message":"Session has expired","type":"OAuthException","code":190}}"#;
    let catalog = Catalog::build([]).unwrap_or_else(|faults| panic!("{faults}"));
    let oauth = |name: &str| catalog.get(name).and_then(|known| known.entry.oauth.clone()).expect(name);
    for (names, body) in [
        (&["atlassian", "jira", "confluence", "jira_service_management"][..], atlassian),
        (&["hubspot"], r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or invalid refresh token"}"#),
        (&["strava"], r#"{"message":"Bad Request","errors":[{"resource":"RefreshToken","code":"invalid"}]}"#),
        (&["instagram", "threads"], meta),
        (&["twitch"], r#"{"error":"Bad Request","status":400,"message":"Invalid refresh token"}"#),
        (&["zoho_crm", "zoho_mail"], r#"{"error":"invalid_code"}"#),
        (&["slack"], r#"{"ok":false,"error":"invalid_refresh_token"}"#),
        (&["github"], r#"{"error":"bad_refresh_token"}"#),
        (&["feishu", "lark"], r#"{"code":20037,"error_description":"expired"}"#),
        (&["square"], r#"{"message":"Invalid refresh token","type":"service.not_authorized"}"#),
        (&["fitbit"], r#"{"errors":[{"errorType":"invalid_grant","message":"Refresh token invalid"}]}"#),
    ] {
        for name in names {
            assert!(is_dead_grant(body, &oauth(name)), "{name}: {body}");
            for other in [r#"{"error":"invalid_client"}"#, r#"{"error":"unauthorized_client"}"#, r#"{"message":"x"}"#] {
                assert!(!is_dead_grant(other, &oauth(name)), "{name}: {other}");
            }
        }
    }
}
