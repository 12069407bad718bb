//! Tests of the authorization request.

use std::collections::BTreeMap;

use super::{REDIRECT_URI, entry, texts};
use crate::oauth::{AuthorizationRequest, CodeVerifier, StateToken};
use crate::random::Random;

fn query(further: &str, authorize_url: &str, scopes: &[&str]) -> (String, BTreeMap<String, String>) {
    let mut entry = entry(further);
    entry.authorize_url = crate::catalog::template::Template::parse(authorize_url).unwrap();
    let (state, verifier) = (StateToken::generate(Random), CodeVerifier::for_provider(&entry, Random));
    let further_scopes = entry.further_scopes_for(&std::collections::BTreeMap::new());
    let request = AuthorizationRequest {
        further_scopes: &further_scopes,
        entry: &entry,
        client_id: "our id&x",
        redirect_uri: REDIRECT_URI,
        scopes: &texts(scopes),
        state: &state,
        nonce: None,
        verifier: verifier.as_ref(),
    };
    let url = request.url().unwrap();
    assert_eq!(url.fragment(), None);
    let mut pairs = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        assert!(pairs.insert(name.to_string(), value.to_string()).is_none(), "{name} occurs twice");
    }
    assert_eq!(pairs["state"], state.expose());
    if let Some(verifier) = &verifier {
        assert_eq!(pairs["code_challenge"], verifier.challenge());
        assert!(!url.as_str().contains(verifier.secret().expose()), "the verifier is not sent");
    }
    (url.to_string(), pairs)
}

const PLAIN: &str = "https://provider.example/authorize";

// Requirement 1.
#[test]
fn the_url_has_all_parameters_of_rfc_6749() {
    let (url, pairs) = query("", PLAIN, &["read", "write all"]);
    assert!(url.starts_with("https://provider.example/authorize?response_type=code&"), "{url}");
    assert_eq!(pairs["response_type"], "code");
    assert_eq!(pairs["client_id"], "our id&x");
    assert_eq!(pairs["redirect_uri"], REDIRECT_URI);
    assert_eq!(pairs["scope"], "read write all");
    assert!(url.contains("scope=read%20write%20all") && !url.contains('+'), "{url}");
    assert_eq!(pairs.len(), 7);
}

// Requirement 1.
#[test]
fn the_endpoints_own_query_stays_unchanged() {
    let (url, pairs) = query("", "https://provider.example/authorize?audience=a%2Fb+c&flag&x=1", &[]);
    assert!(
        url.starts_with("https://provider.example/authorize?audience=a%2Fb+c&flag&x=1&response_type=code&"),
        "{url}"
    );
    assert_eq!(pairs["audience"], "a/b c");
}

// Requirement 1.
#[test]
fn scopes_use_the_providers_separator() {
    assert!(!query("", PLAIN, &[]).1.contains_key("scope"));
    for (separator, joined) in [(",", "a,b"), (", ", "a, b"), ("+", "a+b"), (";", "a;b")] {
        let (_, pairs) = query(&format!("scope_separator = {separator:?}"), PLAIN, &["a", "b"]);
        assert_eq!(pairs["scope"], joined);
    }
}

// Requirement 1.
#[test]
fn protocol_parameters_cannot_be_overridden() {
    let stolen = "https://evil.example";
    let params = format!(
        r#"authorize_params = {{ access_type = "offline", redirect_uri = "{stolen}", state = "{stolen}", client_id = "{stolen}", code_challenge = "{stolen}", code_challenge_method = "plain", response_type = "token", request_uri = "{stolen}", request = "{stolen}", scope = "{stolen}" }}"#
    );
    let endpoint =
        format!("{PLAIN}?st%61te={stolen}&redirect_uri={stolen}&response_type=token&scope={stolen}&request={stolen}");
    let (url, pairs) = query(&params, &endpoint, &["read"]);
    assert!(!url.contains("evil"), "{url}");
    assert_eq!(pairs["access_type"], "offline");
    assert_eq!((pairs["response_type"].as_str(), pairs["code_challenge_method"].as_str()), ("code", "S256"));
}

#[test]
fn a_request_object_in_the_url_is_dropped() {
    let (_, pairs) = query("", "https://provider.example/authorize.php?request=authorize", &[]);
    assert_eq!(pairs["request"], "authorize");
    for object in ["eyJhbGciOiJub25lIn0.e30.", "a%2Eb"] {
        let (_, pairs) = query("", &format!("https://provider.example/authorize?request={object}"), &[]);
        assert!(!pairs.contains_key("request"), "{object}");
    }
}

// Requirement 13.
#[test]
fn pkce_is_off_only_by_the_entry() {
    assert_eq!(query("", PLAIN, &[]).1["code_challenge_method"], "S256");
    let (_, pairs) = query("pkce = false", PLAIN, &[]);
    assert!(!pairs.contains_key("code_challenge") && !pairs.contains_key("code_challenge_method"));
}
