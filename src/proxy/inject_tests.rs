//! Each place of a secret, and the whole catalogue's entries.

use http::header::CONTENT_TYPE;

use super::*;
use crate::catalog::{Catalog, Entry};

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn placement(toml: &str) -> ApiKeyPlacement {
    toml::from_str(toml).unwrap()
}

/// Builds the head of a request with an API key. The caller sends an `Authorization` of its own.
fn head(toml: &str, key: &str, target: &str) -> Result<OutboundHead, InjectError> {
    let injection = Injection::of_api_key(&placement(toml), &secret(key))?;
    let slots = AuthSlots { query: vec!["key".to_owned()], ..AuthSlots::default() };
    let destination = Destination::parse_connect("api.example.com:443").unwrap();
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer placeholder"));
    headers.append("x-version", HeaderValue::from_static("mine"));
    let base = "/v1/";
    injection.head(&slots, &destination, base, &RequestTarget::parse(target).unwrap(), headers)
}

#[test]
fn header_is_set_once_with_its_prefix() {
    let sent = head("in = 'header'\nname = 'Authorization'\nprefix = 'Bearer '", "k-1", "/v1/a?b=1").unwrap();
    assert_eq!(sent.headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer k-1"]);
    assert!(sent.headers[AUTHORIZATION].is_sensitive());
    assert_eq!(
        (sent.target.as_str(), &sent.headers[HOST]),
        ("/v1/a?b=1", &HeaderValue::from_static("api.example.com"))
    );
}

#[test]
fn header_of_the_entry_is_a_default() {
    let entry = "in = 'header'\nname = 'X-Key'\nheaders = { X-Version = 'entry', X-Other = 'entry' }";
    let sent = head(entry, "k", "/").unwrap();
    assert_eq!(
        (&sent.headers["x-version"], &sent.headers["x-other"]),
        (&"mine".parse().unwrap(), &"entry".parse().unwrap())
    );
    assert!(!sent.headers.contains_key(AUTHORIZATION), "the caller's own is removed");
}

#[test]
fn query_parameter_replaces_the_callers() {
    for (target, expected) in [
        ("/v1/a", "/v1/a?key=k%2F%26+1".replace('+', "%20")),
        ("/v1/a?x=%zz&key=mine&KEY=2&y", "/v1/a?x=%zz&y&key=k%2F%26%201".to_owned()),
        ("/v1/a?key=mine", "/v1/a?key=k%2F%26%201".to_owned()),
        ("/v1/a?", "/v1/a?key=k%2F%26%201".to_owned()),
    ] {
        assert_eq!(head("in = 'query'\nname = 'key'", "k/& 1", target).unwrap().target.as_str(), expected, "{target}");
    }
    assert_eq!(head("in = 'header'\nname = 'X'", "k", "/a?key=1").unwrap().target.as_str(), "/a");
    assert_eq!(head("in = 'header'\nname = 'X'", "k", "/a?").unwrap().target.as_str(), "/a?");
}

#[test]
fn basic_has_the_halves_of_the_entry() {
    for (entry, key, expected) in [
        ("in = 'basic'", "key", "key:"),
        ("in = 'basic'\nuser = 'api'", "key", "api:key"),
        ("in = 'basic'\nuser = ''", "key", ":key"),
        ("in = 'basic'\npassword = 'X'", "key", "key:X"),
        ("in = 'basic'\nsecrets = ['a', 'b']", "me@x.example:to:ken", "me@x.example:to:ken"),
        ("in = 'basic'\nsecrets = ['a', 'b']\nuser_suffix = '/token'", "me:t", "me/token:t"),
    ] {
        let sent = head(entry, key, "/").unwrap();
        let expected = format!("Basic {}", STANDARD.encode(expected));
        assert_eq!(sent.headers[AUTHORIZATION], expected, "{entry}");
    }
    assert_eq!(head("in = 'basic'\nsecrets = ['a', 'b']", "alone", "/").err(), Some(InjectError::Parts));
    assert_eq!(head("in = 'basic'", "a:b", "/").err(), Some(InjectError::Value));
}

#[test]
fn path_carries_the_secret_after_the_base() {
    let telegram = "in = 'path'\nprefix = '/bot'";
    for (target, expected) in [
        ("/v1/getMe", "/v1/bot12:A%2Fb/getMe"),
        ("/v1/a/b?x=1", "/v1/bot12:A%2Fb/a/b?x=1"),
        ("/v1", "/v1/bot12:A%2Fb"),
        ("/v1/", "/v1/bot12:A%2Fb"),
    ] {
        assert_eq!(head(telegram, "12:A/b", target).unwrap().target.as_str(), expected, "{target}");
    }
    for outside in ["/v2/getMe", "/v1x/getMe", "/"] {
        assert_eq!(head(telegram, "12:Ab", outside).err(), Some(InjectError::Path), "{outside}");
    }
}

#[test]
fn several_secrets_go_under_their_names() {
    let sent =
        head("in = 'header'\nprefix = 'Bearer '\nsecrets = ['Authorization', 'X-Account']", "k:a:b", "/").unwrap();
    assert_eq!(sent.headers[AUTHORIZATION], "Bearer k");
    assert_eq!(sent.headers["x-account"], "a:b");
    let sent = head("in = 'query'\nsecrets = ['key', 'token']", "k:t", "/?token=x&key=y").unwrap();
    assert_eq!(sent.target.as_str(), "/?token=x&key=k&token=t", "only the slots of the entry are removed");
    for key in ["k", "k:", ":t"] {
        assert_eq!(head("in = 'query'\nsecrets = ['key', 'token']", key, "/").err(), Some(InjectError::Parts));
    }
}

#[test]
fn value_that_no_header_can_carry_is_rejected() {
    for key in ["a\r\nX: b", "a\0b", "a\nb"] {
        assert_eq!(head("in = 'header'\nname = 'X'", key, "/").err(), Some(InjectError::Value), "{key:?}");
        assert_eq!(head("in = 'basic'\nuser = 'x'", key, "/").err(), Some(InjectError::Value), "{key:?}");
        let sent = head("in = 'query'\nname = 'key'", key, "/").unwrap();
        assert!(!sent.target.as_str().contains(char::is_control));
    }
}

#[test]
fn tokens_and_headers_are_placed() {
    let destination = Destination::parse_connect("a.example:8443").unwrap();
    let sent = |injection: Injection| {
        let target = RequestTarget::parse("/").unwrap();
        injection.head(&AuthSlots::default(), &destination, "", &target, HeaderMap::new()).unwrap()
    };
    let bearer = sent(Injection::of_access_token(None, "Bearer", &secret("t")).unwrap());
    assert_eq!(
        (&bearer.headers[AUTHORIZATION], &bearer.headers[HOST]),
        (&"Bearer t".parse().unwrap(), &"a.example:8443".parse().unwrap())
    );
    let how =
        AccessToken { place: AccessTokenPlace::Header, name: "X-Token".to_owned(), prefix: Some("T ".to_owned()) };
    assert_eq!(sent(Injection::of_access_token(Some(&how), "Bearer", &secret("t")).unwrap()).headers["x-token"], "T t");
    let how = AccessToken { place: AccessTokenPlace::Query, name: "auth".to_owned(), prefix: None };
    assert_eq!(sent(Injection::of_access_token(Some(&how), "x", &secret("t")).unwrap()).target.as_str(), "/?auth=t");
    let host_scoped = BTreeMap::from([("Cookie".to_owned(), secret("a=b")), ("X-Key".to_owned(), secret("k"))]);
    let both = sent(Injection::of_headers(&host_scoped).unwrap());
    assert_eq!((&both.headers["cookie"], &both.headers["x-key"]), (&"a=b".parse().unwrap(), &"k".parse().unwrap()));
    let proof = Injection::of_access_token(None, "DPoP", &secret("t")).unwrap();
    let proof = sent(proof.with_header(HeaderName::from_static("dpop"), HeaderValue::from_static("proof")));
    assert_eq!(
        (&proof.headers[AUTHORIZATION], &proof.headers["dpop"]),
        (&"DPoP t".parse().unwrap(), &"proof".parse().unwrap())
    );
}

#[test]
fn further_host_has_its_own_place() {
    let github = entry("github");
    let injection = Injection::at_host(&github.hosts[0], &secret("gho_1")).unwrap().unwrap();
    let expected = format!("Basic {}", STANDARD.encode("x-access-token:gho_1"));
    assert_eq!(injection.headers[0].1, expected);
    assert!(Injection::at_host(&github.hosts[1], &secret("x")).is_none(), "as at the base URL");
}

fn entry(name: &str) -> Entry {
    Catalog::build([]).unwrap().get(name).unwrap().entry.clone()
}

#[test]
fn body_is_a_form_or_an_object() {
    let injection = Injection::of_api_key(&placement("in = 'body'\nname = 'api_token'"), &secret("k&1")).unwrap();
    assert!(injection.needs_body());
    let slots = AuthSlots { members: vec!["api_token".to_owned()], ..AuthSlots::default() };
    let body = |kind: &str, body: &str| {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::try_from(kind).unwrap())]);
        injection.body(&slots, &headers, body.as_bytes()).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    };
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    assert_eq!(body(form, "a=%zz&api_token=x&API%5Ftoken=y&b").unwrap(), "a=%zz&api_token=k%261&b");
    assert_eq!(body(form, "&a=+%20&").unwrap(), "&a=+%20&&api_token=k%261");
    assert_eq!(body(form, "").unwrap(), "api_token=k%261");
    assert_eq!(body("Application/JSON", r#"{ "a":1}"#).unwrap(), r#"{"api_token":"k&1", "a":1}"#);
    assert_eq!(body("application/vnd.x+json", "{}").unwrap(), r#"{"api_token":"k&1"}"#);
    for (kind, text) in [("multipart/form-data; boundary=x", "--x"), ("text/plain", "a"), ("application/json", "[]")] {
        assert_eq!(body(kind, text), Err(InjectError::Body), "{kind}");
    }
    assert_eq!(body("application/json", r#"{"api_token":1,"api_token":2}"#), Err(InjectError::RepeatedMember));
}

#[test]
fn masked_values_are_secrets_and_pairs() {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let masks = |injection: &Injection, echo: &str| {
        let mut bytes = echo.as_bytes().to_vec();
        injection.masked_forms().mask(&mut bytes);
        text(&bytes)
    };
    let pair = placement("in = 'basic'\nsecrets = ['email', 'token']");
    let injection = Injection::of_api_key(&pair, &secret("me@mail.example:t0ken-1234")).unwrap();
    assert_eq!(masks(&injection, "me@mail.example t0ken-1234"), "me@mail.example **********");
    let encoded = STANDARD.encode("me@mail.example:t0ken-1234");
    assert!(masks(&injection, &encoded).starts_with("**********"));
    let key = placement("in = 'header'\nname = 'X'\nprefix = 'Bearer '");
    let injection = Injection::of_api_key(&key, &secret("t0ken-1234")).unwrap();
    assert_eq!(masks(&injection, "Bearer t0ken-1234"), "Bearer **********");
    let name_is_key = placement("in = 'basic'");
    let injection = Injection::of_api_key(&name_is_key, &secret("t0ken-1234")).unwrap();
    assert_eq!(masks(&injection, "t0ken-1234"), "**********");
}

#[test]
fn every_entry_of_the_catalogue_can_be_injected() {
    let catalog = Catalog::build([]).unwrap();
    let mut placed = 0;
    for provider in catalog.iter() {
        let Some(placement) = &provider.entry.api_key else { continue };
        let parts = placement.secrets.len().max(1);
        let key: Vec<String> = (0..parts).map(|i| format!("secret{i}-abcdef")).collect();
        let injection = match Injection::of_api_key(placement, &secret(&key.join(":"))) {
            Ok(injection) => injection,
            Err(error) => {
                assert!(placement.place.is_none() && error == InjectError::Unplaced, "{}", provider.name);
                continue;
            }
        };
        placed += 1;
        let slots = AuthSlots::of(&provider.entry);
        let destination = Destination::parse_connect("api.example.com:443").unwrap();
        let target = RequestTarget::parse("/base/x?y=1").unwrap();
        let sent = injection.head(&slots, &destination, "/base", &target, HeaderMap::new()).unwrap();
        // A second pass over its own output: every place is a slot, so that nothing is there twice.
        let again =
            RequestTarget::parse(if injection.path.is_some() { "/base/x?y=1" } else { sent.target.as_str() }).unwrap();
        let again = injection.head(&slots, &destination, "/base", &again, sent.headers.clone()).unwrap();
        assert_eq!((again.target, again.headers), (sent.target, sent.headers), "{}", provider.name);
    }
    assert!(placed > 600, "{placed}");
}
