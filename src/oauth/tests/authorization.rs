//! The authorization request.

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
        assert!(pairs.insert(name.to_string(), value.to_string()).is_none(), "{name} is there twice");
    }
    assert_eq!(pairs["state"], state.expose());
    if let Some(verifier) = &verifier {
        assert_eq!(pairs["code_challenge"], verifier.challenge());
        assert!(!url.as_str().contains(verifier.secret().expose()), "the verifier stays here");
    }
    (url.to_string(), pairs)
}

const PLAIN: &str = "https://provider.example/authorize";

#[test]
fn bar_1_the_url_has_all_that_rfc_6749_wants() {
    let (url, pairs) = query("", PLAIN, &["read", "write all"]);
    assert!(url.starts_with("https://provider.example/authorize?response_type=code&"), "{url}");
    assert_eq!(pairs["response_type"], "code");
    assert_eq!(pairs["client_id"], "our id&x");
    assert_eq!(pairs["redirect_uri"], REDIRECT_URI);
    assert_eq!(pairs["scope"], "read write all");
    assert!(url.contains("scope=read%20write%20all") && !url.contains('+'), "{url}");
    assert_eq!(pairs.len(), 7);
}

#[test]
fn bar_1_a_query_that_the_endpoint_has_is_kept_as_it_is_written() {
    let (url, pairs) = query("", "https://provider.example/authorize?audience=a%2Fb+c&flag&x=1", &[]);
    assert!(
        url.starts_with("https://provider.example/authorize?audience=a%2Fb+c&flag&x=1&response_type=code&"),
        "{url}"
    );
    assert_eq!(pairs["audience"], "a/b c");
}

#[test]
fn bar_1_scope_is_left_out_when_there_is_none_and_joined_as_the_provider_wants_it() {
    assert!(!query("", PLAIN, &[]).1.contains_key("scope"));
    for (separator, joined) in [(",", "a,b"), (", ", "a, b"), ("+", "a+b"), (";", "a;b")] {
        let (_, pairs) = query(&format!("scope_separator = {separator:?}"), PLAIN, &["a", "b"]);
        assert_eq!(pairs["scope"], joined);
    }
}

#[test]
fn bar_1_nothing_in_the_entry_or_in_the_endpoints_query_overrides_what_is_ours() {
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
fn a_server_whose_pages_are_told_apart_by_request_keeps_it_and_a_request_object_does_not_get_through() {
    let (_, pairs) = query("", "https://provider.example/authorize.php?request=authorize", &[]);
    assert_eq!(pairs["request"], "authorize");
    for object in ["eyJhbGciOiJub25lIn0.e30.", "a%2Eb"] {
        let (_, pairs) = query("", &format!("https://provider.example/authorize?request={object}"), &[]);
        assert!(!pairs.contains_key("request"), "{object}");
    }
}

#[test]
fn bar_13_pkce_is_off_only_where_the_entry_says_so() {
    assert_eq!(query("", PLAIN, &[]).1["code_challenge_method"], "S256");
    let (_, pairs) = query("pkce = false", PLAIN, &[]);
    assert!(!pairs.contains_key("code_challenge") && !pairs.contains_key("code_challenge_method"));
}
