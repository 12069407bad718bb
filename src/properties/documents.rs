//! Properties of fetched documents: metadata, key sets, and tokens verified with them.

use url::{Host, Url};

use crate::catalog::value::Endpoint;
use crate::jose::{self, Algorithm, Jwks};
use crate::oauth::{Metadata, ProtectedResource};
use crate::pem;
use crate::property::is_fit_to_be_shown;

const ISSUER: &str = "https://issuer.example/a";

/// Parses metadata of an authorization server (RFC 8414) or of a protected resource (RFC 9728).
pub fn metadata(bytes: &[u8]) {
    match Metadata::read(bytes, ISSUER) {
        Err(error) => is_fit_to_be_shown(&error.to_string()),
        Ok(read) => {
            assert_eq!(read.issuer, ISSUER);
            let endpoints = [
                read.authorization_endpoint,
                read.token_endpoint,
                read.jwks_uri,
                read.userinfo_endpoint,
                read.revocation_endpoint,
                read.device_authorization_endpoint,
                read.pushed_authorization_request_endpoint,
                read.registration_endpoint,
            ];
            endpoints.iter().flatten().for_each(is_endpoint);
        }
    }
    match ProtectedResource::read(bytes, &[Url::parse(ISSUER).unwrap()]) {
        Err(error) => is_fit_to_be_shown(&error.to_string()),
        Ok(read) => assert!(!read.authorization_servers.is_empty() && Url::parse(&read.resource).is_ok()),
    }
}

/// Asserts `https`, or `http` to loopback, without user info.
fn is_endpoint(endpoint: &Endpoint) {
    let url = endpoint.url();
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => panic!("{url}"),
    };
    assert!(url.scheme() == "https" || (url.scheme() == "http" && loopback), "{url}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
}

/// Parses a key set and, after the first double line end, a token. No token verifies that was made
/// without the private key.
pub fn key_set_and_token(bytes: &[u8]) {
    let at = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let (set, token) = (&bytes[..at], String::from_utf8_lossy(bytes.get(at + 2..).unwrap_or_default()));
    let read = Jwks::parse(set);
    if let Err(error) = &read {
        is_fit_to_be_shown(&error.to_string());
    }
    for keys in [read.unwrap_or_default(), Jwks::parse(PUBLISHED).unwrap()] {
        match jose::verify(&token, &keys, &Algorithm::ALL) {
            // A set in the input may have keys of its author, who can sign. No one can sign for
            // ours.
            Ok(_) => assert_ne!(set, PUBLISHED),
            Err(fault) => is_fit_to_be_shown(&fault.to_string()),
        }
    }
    let _ = jose::claimed_issuer(&token);
    // A pasted PEM key is repaired once: the result is in its form already.
    let repaired = pem::repaired(bytes);
    assert_eq!(*pem::repaired(repaired.as_bytes()), *repaired);
    is_fit_to_be_shown(pem::describe(bytes));
}

/// Keys without known private halves (the examples of RFC 7517 §A.1 and RFC 8037 §A.2).
const PUBLISHED: &[u8] = br#"{"keys":[
{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"},
{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"2"}]}"#;

/// Parses JSON: the result equals serde's, and no member occurs twice.
pub fn json(bytes: &[u8]) {
    let Some(read) = crate::json::parse(bytes) else { return };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(text).unwrap(), read);
    assert_eq!(crate::json::parse(read.to_string().as_bytes()), Some(read), "written, it is read again");
}
