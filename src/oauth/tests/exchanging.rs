//! Tests of the token request and of the responses of honest servers.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{CLIENT_SECRET, CODE, REDIRECT_URI, exchange_told, exchange_with, exchanged, json, only_request, texts};
use crate::egress::tests::hostile::{Hostile, patient, response};
use crate::oauth::{BuildError, Grant, InvalidResponse, OAuthError};

const GOOD: &str = r#"{"access_token":"tok","token_type":"bearer"}"#;

fn form(body: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
        assert!(pairs.insert(name.to_string(), value.to_string()).is_none(), "{name} occurs twice");
    }
    pairs
}

/// Returns the request to a provider with this entry: head in lower case, and body.
async fn sent(further: &str) -> (String, String) {
    let server = Hostile::saying(json(GOOD)).await;
    exchange_with(&patient(), &server, further).await.unwrap();
    only_request(&server)
}

async fn granted(members: &str, further: &str) -> Grant {
    let body = format!(r#"{{"access_token":"tok","token_type":"bearer"{members}}}"#);
    exchanged(&json(&body), further).await.unwrap()
}

// Requirement 2.
#[tokio::test]
async fn the_token_request_is_one_form_encoded_post() {
    let (head, body) = sent("").await;
    assert!(head.starts_with("POST /token HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert!(head.contains("accept: application/json\r\n"), "{head}");
    let pairs = form(&body);
    assert_eq!(pairs["grant_type"], "authorization_code");
    assert_eq!((pairs["code"].as_str(), pairs["redirect_uri"].as_str()), (CODE, REDIRECT_URI));
    assert_eq!(pairs["code_verifier"].len(), 43, "confidential clients use PKCE too (requirement 14)");
    assert_eq!(pairs.len(), 4);
}

// Requirement 2.
#[tokio::test]
async fn the_entry_adds_parameters_and_headers() {
    let (head, body) = sent(
        r#"
        token_params = { audience = "api", code = "x", grant_type = "password", client_secret = "y", client_id = "z" }
        token_headers = { "Accept" = "application/vnd.x+json", "X-Version" = "3" }
        "#,
    )
    .await;
    let head = head.to_ascii_lowercase();
    assert!(head.contains("accept: application/vnd.x+json\r\n") && head.contains("x-version: 3"), "{head}");
    let pairs = form(&body);
    assert_eq!((pairs["audience"].as_str(), pairs["code"].as_str(), pairs.len()), ("api", CODE, 5));
}

// Requirement 3.
#[tokio::test]
async fn each_request_has_one_authentication() {
    let basic = |head: &str| {
        let value = head.lines().find_map(|line| line.strip_prefix("authorization: Basic "))?;
        Some(String::from_utf8(STANDARD.decode(value).unwrap()).unwrap())
    };
    for (way, header, members) in [
        ("basic", Some("our+id:client%2Fs3cr3t%2B".to_owned()), 4),
        ("basic_raw", Some(format!("our id:{CLIENT_SECRET}")), 4),
        ("post", None, 6),
        ("none", None, 5),
    ] {
        let (head, body) = sent(&format!("token_auth = {way:?}")).await;
        assert_eq!(basic(&head), header, "{way}");
        let pairs = form(&body);
        assert_eq!(pairs.len(), members, "{way}");
        assert_eq!(pairs.get("client_id").map(String::as_str), header.is_none().then_some("our id"), "{way}");
        assert_eq!(pairs.get("client_secret").map(String::as_str), (way == "post").then_some(CLIENT_SECRET), "{way}");
    }
}

// Requirement 3.
#[tokio::test]
async fn an_entrys_header_cannot_authenticate() {
    let server = Hostile::saying(json(GOOD)).await;
    let error =
        exchange_with(&patient(), &server, r#"token_headers = { authorization = "Basic x" }"#).await.unwrap_err();
    assert_eq!(error, OAuthError::Build(BuildError::Header("authorization".to_owned())));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_json_provider_gets_json() {
    let (head, body) = sent("token_body = \"json\"").await;
    assert!(head.to_ascii_lowercase().contains("content-type: application/json\r\n"), "{head}");
    let pairs: BTreeMap<String, String> = serde_json::from_str(&body).unwrap();
    assert_eq!((pairs["grant_type"].as_str(), pairs["code"].as_str()), ("authorization_code", CODE));
    assert_eq!((pairs["redirect_uri"].as_str(), pairs.len()), (REDIRECT_URI, 4));
}

// Requirement 5.
#[tokio::test]
async fn unknown_members_and_token_type_case_are_ignored() {
    for word in ["bearer", "Bearer", "BEARER", "bEaReR"] {
        let body = format!(r#"{{"access_token":"tok","token_type":"{word}","x":{{"y":[1]}},"refresh_token":null}}"#);
        let grant = exchanged(&json(&body), "").await.unwrap();
        assert_eq!((grant.access_token.expose(), grant.token_type.as_str()), ("tok", "Bearer"));
        assert!(grant.refresh_token.is_none());
    }
}

// Requirement 5.
#[tokio::test]
async fn an_unknown_token_type_needs_the_entrys() {
    for member in
        ["", r#","token_type":"bot""#, r#","token_type":"mac""#, r#","token_type":1"#, r#","token_type":null"#]
    {
        let body = json(&format!(r#"{{"access_token":"tok"{member}}}"#));
        let error = exchanged(&body, "").await.unwrap_err();
        assert_eq!(error, OAuthError::Invalid(InvalidResponse::TokenType), "{member}");
        assert_eq!(exchanged(&body, "token_type = \"bearer\"").await.unwrap().token_type, "Bearer", "{member}");
    }
}

// Requirement 6.
#[tokio::test]
async fn granted_scopes_default_to_the_requested_ones() {
    let grant = granted("", "").await;
    assert_eq!((grant.scopes, grant.missing_scopes), (texts(&["read", "write"]), vec![]));
    for scope in [r#""read,more""#, r#""more read""#, r#"["read","more"]"#] {
        let grant = granted(&format!(r#","scope":{scope}"#), "").await;
        assert_eq!(grant.missing_scopes, texts(&["write"]), "{scope}");
        assert_eq!(grant.scopes.len(), 2);
    }
    let grant = granted(r#","scope":"""#, "").await;
    assert_eq!((grant.scopes, grant.missing_scopes), (vec![], texts(&["read", "write"])));
}

#[tokio::test]
async fn scopes_told_in_the_callback_count() {
    let server = Hostile::saying(json(GOOD).as_str()).await;
    let grant = exchange_told(&patient(), &server, "scope_separator = \",\"", Some("read,more")).await.unwrap();
    assert_eq!((grant.scopes, grant.missing_scopes), (texts(&["read", "more"]), texts(&["write"])));
}

// Requirement 9.
#[tokio::test]
async fn lifetimes_are_numbers_or_numeric_strings() {
    for (member, seconds) in [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("3600.9", Some(3600)),
        ("\" 60 \"", Some(60)),
        ("0", None),
        ("-1", None),
        ("\"0\"", None),
        ("\"soon\"", None),
        ("null", None),
        ("true", None),
        ("{}", None),
        ("\"inf\"", None),
        ("\"NaN\"", None),
        ("1e300", Some(3_153_600_000)),
        ("99999999999999999999", Some(3_153_600_000)),
    ] {
        let member = format!(r#","expires_in":{member}"#);
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(granted(&member, "").await.expires_in, expected, "{member}");
        let default = granted(&member, "expires_in = \"8h\"").await.expires_in;
        assert_eq!(default, expected.or(Some(Duration::from_secs(28_800))), "{member}");
    }
    assert_eq!(granted("", "expires_in = \"never\"").await.expires_in, None);
}

#[tokio::test]
async fn form_encoded_and_mislabelled_responses_are_read() {
    let body = "access_token=tok%2B1&token_type=bearer&scope=read%2Cwrite&expires_in=60&refresh_token=";
    for kind in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        "text/plain",
        "text/html",
        "",
    ] {
        let grant = exchanged(&response("200 OK", kind, body), "").await.unwrap();
        assert_eq!((grant.access_token.expose(), grant.scopes.len()), ("tok+1", 2), "{kind}");
        assert_eq!(grant.expires_in, Some(Duration::from_secs(60)));
        assert!(grant.refresh_token.is_none());
    }
    for kind in [
        "application/json; charset=UTF-8",
        "application/vnd.x+json",
        "text/html",
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
    ] {
        let grant = exchanged(&response("201 Created", kind, &format!("\u{feff} \n{GOOD}\n")), "").await.unwrap();
        assert_eq!(grant.access_token.expose(), "tok", "{kind}");
    }
}

#[tokio::test]
async fn tokens_may_be_nested() {
    let body = r#"{"ok":true,"team":{"id":"T1"},"instance_url":"https://x","gone":null,
        "authed_user":{"access_token":"user-token","scope":"a,b","token_type":"user","id":"U1"}}"#;
    let further = r#"
        scope_separator = ","
        token_path = "/authed_user"
        token_type = "bearer"
        token_metadata = ["instance_url", "id", "/team/id", "absent", "gone"]
        [identity]
        url = "https://provider.example/token"
        from_token_answer = true
        username = "/authed_user/id"
        account = "/team/id"
    "#;
    let grant = exchanged(&json(body), further).await.unwrap();
    assert_eq!((grant.access_token.expose(), grant.scopes), ("user-token", texts(&["a", "b"])));
    let kept = serde_json::to_string(&grant.metadata).unwrap();
    assert_eq!(kept, r#"{"/team/id":"T1","id":"U1","instance_url":"https://x"}"#);
    let identity = grant.identity.unwrap();
    assert_eq!((identity.username.unwrap(), identity.account.unwrap()), ("U1".to_owned(), "T1".to_owned()));
}

// Requirement 11.
#[tokio::test]
async fn an_error_with_status_200_is_a_failure() {
    for (body, shown) in [
        (r#"{"error":"bad_verification_code","error_description":"expired"}"#, "bad_verification_code: expired"),
        (r#"{"access_token":"tok","token_type":"bearer","error":"x"}"#, "x"),
        (r#"{"ok":false,"error":"invalid_code"}"#, "invalid_code"),
        (r#"{"ok":false,"access_token":"tok","token_type":"bearer"}"#, "the response is not ok"),
        (r#"{"error":{"code":190,"message":"no"},"access_token":"tok"}"#, "190: no"),
    ] {
        let error = exchanged(&json(body), "").await.unwrap_err();
        assert!(matches!(error, OAuthError::Refused(_)), "{body}");
        assert_eq!(error.to_string(), shown);
    }
    let nested = exchanged(&json(r#"{"a":{"error":"nested"}}"#), "token_path = \"/a\"").await.unwrap_err();
    assert_eq!(nested.to_string(), "nested");
    for body in ["{}", r#"{"access_token":""}"#, r#"{"access_token":null}"#, r#"{"error":null}"#, r#"{"ok":true}"#] {
        let error = exchanged(&json(body), "").await.unwrap_err();
        assert_eq!(error, OAuthError::Invalid(InvalidResponse::NoAccessToken), "{body}");
    }
    for (member, further) in [(r#","error":"""#, ""), (r#","error":null,"ok":true"#, ""), (r#","error":0"#, "")] {
        assert_eq!(granted(member, further).await.access_token.expose(), "tok", "an empty error does not count");
    }
}

#[tokio::test]
async fn a_4xx_is_a_refusal_in_any_words() {
    for (body, shown) in [
        (r#"{"error":"invalid_grant","error_description":"The code\nis spent"}"#, "invalid_grant: The codeis spent"),
        (r#"{"error":"invalid_grant"}"#, "invalid_grant"),
        (r#"{"status":"BAD_AUTH_CODE","message":"unknown auth code"}"#, "BAD_AUTH_CODE: unknown auth code"),
        (r#"{"code":50035,"message":"Invalid Form Body"}"#, "50035: Invalid Form Body"),
        (r#"{"message":"Bad credentials"}"#, "refused: Bad credentials"),
        ("error=bad_code&error_description=no+such+code", "bad_code: no such code"),
    ] {
        let error = exchanged(&response("400 Bad Request", "text/plain", body), "").await.unwrap_err();
        assert!(matches!(error, OAuthError::Refused(_)), "{body}");
        assert_eq!(error.to_string(), shown);
    }
}

// Requirement 10.
#[tokio::test]
async fn errors_contain_no_secrets_of_the_request() {
    let basic = STANDARD.encode("our+id:client%2Fs3cr3t%2B");
    let body = serde_json::json!({
        "error": format!("e {CODE}"),
        "error_description": format!("{CODE} {CLIENT_SECRET} {basic} client%2Fs3cr3t%2B \r\n\u{1b}[2J"),
    });
    let error = exchanged(&response("400 Bad Request", "application/json", &body.to_string()), "").await.unwrap_err();
    assert_eq!(error.to_string(), "e [masked]: [masked] [masked] [masked] [masked] [2J");
    for shown in [format!("{error:?}"), error.to_string()] {
        assert!(!shown.contains("s3cr3t") && !shown.contains("c0de"), "{shown}");
    }
}

// Requirement 9.
#[tokio::test]
async fn the_entry_sets_the_unit_of_lifetimes() {
    let dated = "200 OK\r\nDate: Tue, 24 Nov 2026 05:00:00 GMT";
    for (status, member, entry, seconds) in [
        ("200 OK", r#""expires_in":3600000"#, "expires_in_unit = \"milliseconds\"", Some(3600)),
        ("200 OK", r#""expires":"7200""#, "expires_in_member = \"expires\"", Some(7200)),
        ("200 OK", r#""expires_in":7200"#, "expires_in_member = \"expires\"", None),
        (dated, r#""expires_in":1795500000"#, "expires_in_unit = \"unix_seconds\"", Some(3600)),
        (dated, r#""expires_in":1795500000000"#, "expires_in_unit = \"unix_milliseconds\"", Some(3600)),
        (dated, r#""expires_in":1795400000"#, "expires_in_unit = \"unix_seconds\"", None),
        ("200 OK", r#""expires_in":1795500000"#, "expires_in_unit = \"unix_seconds\"", None),
    ] {
        let body = format!(r#"{{"access_token":"at","token_type":"bearer",{member}}}"#);
        let grant = exchanged(&response(status, "application/json", &body), entry).await;
        let told = grant.map(|grant| grant.expires_in.map(|span| span.as_secs()));
        assert_eq!(told, Ok(seconds), "{member} {entry}");
    }
}

#[tokio::test]
async fn dates_and_refresh_token_lifetimes_are_read() {
    let response = |members: &str| {
        let body = format!(r#"{{"access_token":"a","token_type":"bearer",{members}}}"#);
        super::json(&body).replacen("\r\n", "\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n", 1)
    };
    let entry = "expires_in_unit = \"date\"\nexpires_in_member = \"expires_at\"\n\
                 refresh = { lifetime_member = \"rt_expires\", lifetime = \"1d\" }";
    for (members, end, refresh_end) in [
        (r#""expires_at":"2026-11-24T12:30:00Z","rt_expires":90"#, Some(1800), 90),
        (r#""expires_at":"2026-11-24T14:30:00.000+02:00","rt_expires":"90""#, Some(1800), 90),
        (r#""expires_at":"2026-11-24T11:59:59Z""#, None, 86_400),
        (r#""expires_at":"tomorrow","rt_expires":-1"#, None, 86_400),
        (r#""expires_at":1800,"rt_expires":{}"#, None, 86_400),
    ] {
        let grant = super::exchanged(&response(members), entry).await.unwrap();
        assert_eq!(grant.expires_in.map(|lifetime| lifetime.as_secs()), end, "{members}");
        assert_eq!(grant.refresh_expires_in.map(|lifetime| lifetime.as_secs()), Some(refresh_end), "{members}");
    }
}

#[tokio::test]
async fn fresh_tokens_outlive_a_malformed_profile() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n".to_vec();
    for further in [
        &b"\"name\":\"Jos\xe9\""[..],
        br#""name":"half a pair \ud83d""#,
        br#""name":"first","name":"second""#,
        br#""user":{"id":1,"id":2}"#,
        b"\"name\":\"a\ttab\"",
        br#""scope":{}"#,
        br#""scope":7"#,
        br#""scope":[1]"#,
        br#""scope":"read","scope":"write""#,
        br#""id_token":{},"expires_in":{},"scope":null"#,
        br#""expires_in":60,"expires_in":61"#,
    ] {
        let good = br#"{"access_token":"tok","token_type":"bearer","refresh_token":"ref","#;
        let said = [&head[..], good, further, b"}"].concat();
        let server = Hostile::new(vec![crate::egress::tests::hostile::ServerStep::Say(said)]).await;
        let name = String::from_utf8_lossy(further);
        let grant = exchange_with(&patient(), &server, "").await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(grant.refresh_token.unwrap().expose(), "ref", "{name}");
        assert_eq!(grant.scopes, texts(&["read", "write"]), "{name}");
    }
}
