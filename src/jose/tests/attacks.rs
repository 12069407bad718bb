//! Tests of known attacks (RFC 8725 §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use super::super::{Algorithm, Header, Jwks, JwsError, SigningKey, sign, sign_with_secret, verify};
use super::{RSA, members, published, token};
use crate::secret::Secret;

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Replaces the header of a token and keeps its signature.
fn with_header(token: &str, header: &Value) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", encoded(header))
}

// Requirement 48.
#[test]
fn the_algorithm_none_is_rejected() {
    let key = SigningKey::generate();
    let good = token(&key, Algorithm::Es256, json!({"iss": "us"}));
    let claims = good.split('.').nth(1).unwrap();
    for name in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", good.split('.').nth(2).unwrap()] {
            let forged = format!("{}.{claims}.{signature}", encoded(&json!({"alg": name})));
            assert_eq!(
                verify(&forged, &published(&[&key]), &Algorithm::ALL).err(),
                Some(JwsError::Algorithm),
                "{name}"
            );
        }
    }
}

// Requirement 48.
#[test]
fn a_public_key_is_not_used_as_a_secret() {
    let key = SigningKey::from_pem(RSA).unwrap();
    let n = URL_SAFE_NO_PAD.decode(key.bare_jwk()["n"].as_str().unwrap()).unwrap();
    let jwk = json!(key.public_jwk()).to_string();
    for public in [n.as_slice(), jwk.as_bytes(), b""] {
        let message =
            format!("{}.{}", encoded(&json!({"alg": "HS256", "kid": key.id()})), encoded(&json!({"iss": "us"})));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public), message.as_bytes());
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(verify(&forged, &published(&[&key]), &Algorithm::ALL).err(), Some(JwsError::Algorithm));
    }
    let with_secret = sign_with_secret(&Header::default(), &members(json!({})), &Secret::new("s"));
    assert_eq!(verify(with_secret.expose(), &published(&[&key]), &Algorithm::ALL).err(), Some(JwsError::Algorithm));
}

#[test]
fn the_algorithm_must_be_allowed_and_fit_the_key() {
    let key = SigningKey::from_pem(RSA).unwrap();
    let good = token(&key, Algorithm::Rs256, json!({}));
    assert_eq!(verify(&good, &published(&[&key]), &[Algorithm::Ps256]).err(), Some(JwsError::Algorithm));
    assert_eq!(verify(&good, &published(&[&key]), &[]).err(), Some(JwsError::Algorithm));
    let mut jwk = key.public_jwk();
    jwk.insert("alg".to_owned(), json!("PS256"));
    assert_eq!(verify(&good, &Jwks::single(&jwk), &Algorithm::ALL).err(), Some(JwsError::UnknownKey));
    for algorithm in [Algorithm::Ps256, Algorithm::Rs384, Algorithm::Rs512] {
        let forged = with_header(&good, &json!({"alg": algorithm.name(), "kid": key.id()}));
        assert_eq!(verify(&forged, &published(&[&key]), &Algorithm::ALL).err(), Some(JwsError::Signature));
    }
}

// Requirement 49.
#[test]
fn an_unknown_key_differs_from_a_wrong_signature() {
    let (ours, theirs) = (SigningKey::generate(), SigningKey::generate());
    let forged = token(&theirs, Algorithm::Es256, json!({}));
    assert_eq!(verify(&forged, &published(&[&ours]), &Algorithm::ALL).err(), Some(JwsError::UnknownKey));
    let renamed = theirs.with_id(ours.id());
    let forged = token(&renamed, Algorithm::Es256, json!({}));
    assert_eq!(verify(&forged, &published(&[&ours]), &Algorithm::ALL).err(), Some(JwsError::Signature));
}

#[test]
fn without_kid_there_must_be_one_key() {
    let (one, other) = (SigningKey::generate(), SigningKey::generate());
    let unnamed = sign(&Header::default(), &members(json!({})), &one, Algorithm::Es256).unwrap();
    let rsa = SigningKey::from_pem(RSA).unwrap();
    assert!(verify(unnamed.expose(), &published(&[&one, &rsa]), &Algorithm::ALL).is_ok());
    let both = published(&[&one, &other]);
    assert_eq!(verify(unnamed.expose(), &both, &Algorithm::ALL).err(), Some(JwsError::UnknownKey));
}

#[test]
fn a_key_inside_the_token_is_ignored() {
    let (ours, theirs) = (SigningKey::generate(), SigningKey::generate());
    let header = Header { jwk: Some(theirs.bare_jwk()), key_id: Some(theirs.id().to_owned()), kind: None };
    let forged = sign(&header, &members(json!({})), &theirs, Algorithm::Es256).unwrap();
    assert_eq!(verify(forged.expose(), &published(&[&ours]), &Algorithm::ALL).err(), Some(JwsError::UnknownKey));
}

#[test]
fn every_change_of_a_token_is_rejected() {
    let key = SigningKey::generate();
    let keys = published(&[&key]);
    let good = token(&key, Algorithm::Es256, json!({"iss": "us", "n": 1}));
    assert!(verify(&good, &keys, &Algorithm::ALL).is_ok());
    for i in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verify(&changed, &keys, &Algorithm::ALL).is_err(), "character {i}");
        assert!(verify(&good[..i], &keys, &Algorithm::ALL).is_err(), "cut at {i}");
    }
}

#[test]
fn malformed_tokens_are_rejected() {
    let key = SigningKey::generate();
    let keys = published(&[&key]);
    let good = token(&key, Algorithm::Es256, json!({}));
    let twice = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"ES256"}"#));
    let (endless, nested) = ("a".repeat(65_537), format!("{good}.{good}"));
    let malformed =
        ["", "..", "a.b", &endless, &nested, &format!("{good}="), &format!(" {good}"), &twice, "e30.e30.AA"];
    for text in malformed {
        assert_eq!(verify(text, &keys, &Algorithm::ALL).err(), Some(JwsError::Form), "{text:.80}");
    }
    let critical = with_header(&good, &json!({"alg": "ES256", "crit": ["b64"], "b64": false}));
    assert_eq!(verify(&critical, &keys, &Algorithm::ALL).err(), Some(JwsError::Critical));
}

#[test]
fn typ_has_no_case_and_no_prefix() {
    let key = SigningKey::generate();
    for (said, read) in [(Some("application/AT+JWT"), Some("at+jwt")), (Some("JWT"), Some("jwt")), (None, None)] {
        let header = Header { kind: said, ..Header::default() };
        let made = sign(&header, &members(json!({})), &key, Algorithm::Es256).unwrap();
        assert_eq!(verify(made.expose(), &published(&[&key]), &Algorithm::ALL).unwrap().kind.as_deref(), read);
    }
}
