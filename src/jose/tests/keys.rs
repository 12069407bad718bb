//! Tests of keys, key sets and claims.

use serde_json::json;

use super::super::{
    Algorithm, ClaimError, ExpectedClaims, Header, Jwks, JwksError, KeyError, SigningKey, sign, verify,
};
use super::{NOW, RSA, every_kind, members, published, token};

#[test]
fn published_keys_verify_our_signatures() {
    let keys = every_kind();
    let all = published(&keys.iter().collect::<Vec<_>>());
    let mut used = Vec::new();
    for key in &keys {
        for &algorithm in key.algorithms() {
            let verified = verify(&token(key, algorithm, json!({"iss": "us"})), &all, &Algorithm::ALL).unwrap();
            assert_eq!((verified.algorithm, verified.claims.text("iss")), (algorithm, Ok(Some("us"))));
            used.push(algorithm);
        }
        for algorithm in Algorithm::ALL.into_iter().filter(|one| !key.algorithms().contains(one)) {
            assert!(sign(&Header::default(), &members(json!({})), key, algorithm).is_none(), "{algorithm:?}");
        }
        let again = SigningKey::from_pkcs8(key.pkcs8()).unwrap();
        assert_eq!((again.id(), again.bare_jwk()), (key.id(), key.bare_jwk()));
    }
    used.sort_unstable();
    assert_eq!(used, Algorithm::ALL);
}

#[test]
fn public_jwks_contain_nothing_private() {
    for key in every_kind() {
        let jwk = key.with_id("2026-11").public_jwk();
        assert!(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().all(|name| !jwk.contains_key(*name)), "{jwk:?}");
        assert_eq!((&jwk["kid"], &jwk["use"]), (&json!("2026-11"), &json!("sig")));
    }
    let shown = format!("{:?}", SigningKey::generate());
    assert!(shown.starts_with("SigningKey { id:") && !shown.contains("pair"), "{shown}");
}

#[test]
fn the_example_of_rfc_7515_verifies() {
    let key = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19\
                 yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let verified = verify(token, &Jwks::single(&members(key)), &[Algorithm::Es256]).unwrap();
    assert_eq!(verified.claims.required_text("iss"), Ok("joe"));
    assert_eq!(verified.claims.time("exp"), Ok(Some(1_300_819_380)));
}

#[test]
fn the_thumbprint_matches_rfc_8037() {
    // RFC 8037 A.1 and A.3, as PKCS#8 (RFC 8410 §7).
    let der = [
        &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20][..],
        &base64::Engine::decode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        )
        .unwrap(),
    ]
    .concat();
    let key = SigningKey::from_pkcs8(&der).unwrap();
    assert_eq!(key.bare_jwk()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(key.id(), key.thumbprint());
}

#[test]
fn the_error_says_how_to_convert_to_pkcs8() {
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    for text in
        ["", "hunter2", public, &RSA.replace("PRIVATE", "RSA PRIVATE"), &RSA.replace("PRIVATE", "ENCRYPTED PRIVATE")]
    {
        assert!(matches!(SigningKey::from_pem(text), Err(KeyError::NotPkcs8(_))), "{text}");
    }
    for (label, named) in [("RSA PRIVATE", "older form"), ("ENCRYPTED PRIVATE", "encrypted")] {
        let error = SigningKey::from_pem(&RSA.replace("PRIVATE", label)).err().unwrap().to_string();
        assert!(error.contains(named) && error.contains("openssl pkcs8 -topk8 -nocrypt"), "{error}");
    }
    assert!(SigningKey::from_pem(&format!("\"{}\"", RSA.replace('\n', "\\n"))).is_ok(), "it was pasted from JSON");
    assert_eq!(SigningKey::from_pkcs8(b"0").err(), Some(KeyError::Unusable));
}

#[test]
fn unusable_keys_are_skipped_invalid_sets_rejected() {
    let good = SigningKey::generate().public_jwk();
    let changed = |name: &str, value| {
        let mut jwk = good.clone();
        jwk.insert(name.to_owned(), value);
        jwk
    };
    let unusable = [
        changed("use", json!("enc")),
        changed("key_ops", json!(["sign"])),
        changed("alg", json!("RS256")),
        changed("alg", json!("HS256")),
        changed("alg", json!("none")),
        changed("crv", json!("P-384")),
        changed("crv", json!("secp256k1")),
        changed("kty", json!("DSA")),
        changed("kid", json!("k".repeat(1025))),
        changed("x", json!("AAAA")),
        changed("x", json!("not base64url!")),
        changed("d", json!("private")),
        members(json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"})),
        members(json!({})),
    ];
    for jwk in unusable {
        let set = Jwks::parse(json!({"keys": [jwk.clone()]}).to_string().as_bytes()).unwrap();
        assert!(set.is_empty(), "{jwk:?}");
    }
    let fine = json!({"keys": ["no key", 7, good, changed("key_ops", json!(["verify"])), changed("unknown", json!({}))], "more": 1});
    assert!(!Jwks::parse(fine.to_string().as_bytes()).unwrap().is_empty());
    for name in ["use", "key_ops", "kid", "alg", "x5u", "x5c", "d"] {
        for value in [json!(""), json!(null), json!(7), json!([]), json!({})] {
            let set = json!({"keys": [changed(name, value)]}).to_string();
            assert!(!Jwks::parse(set.as_bytes()).unwrap().is_empty(), "it counts as absent: {set}");
        }
    }
    for (text, fault) in [
        ("", JwksError::NotJson),
        (r#"{"keys":[],"keys":[]}"#, JwksError::NotJson),
        ("[]", JwksError::NoKeys),
        (r#"{"keys":{}}"#, JwksError::NoKeys),
        (&json!({"keys": vec![json!({}); 101]}).to_string(), JwksError::TooMany),
    ] {
        assert_eq!(Jwks::parse(text.as_bytes()).err(), Some(fault), "{text}");
    }
}

#[test]
fn issuer_audience_and_time_are_checked() {
    let expected = ExpectedClaims { issuer: "https://as.example", audience: "us", now: NOW };
    let whole =
        json!({"iss": "https://as.example", "aud": ["them", "us"], "exp": NOW.0 + 1, "iat": NOW.0, "nbf": NOW.0});
    let outcome = |name: &str, value: serde_json::Value| {
        let mut claims = members(whole.clone());
        claims.remove(name);
        claims.extend((!value.is_null()).then(|| (name.to_owned(), value)));
        expected.check(&super::super::Claims(claims)).err()
    };
    assert_eq!(outcome("aud", json!("us")), None);
    assert_eq!(outcome("exp", json!(NOW.0 - 59)), None, "clocks may differ by a minute");
    assert_eq!(outcome("nbf", json!(1_800_000_059.5)), None);
    assert_eq!(outcome("iat", json!(null)), None);
    for (name, value, fault) in [
        ("iss", json!("https://as.example/"), ClaimError::Issuer),
        ("iss", json!(null), ClaimError::Missing("iss")),
        ("iss", json!(["https://as.example"]), ClaimError::Malformed("iss")),
        ("aud", json!("US"), ClaimError::Audience),
        ("aud", json!(["them"]), ClaimError::Audience),
        ("aud", json!([]), ClaimError::Malformed("aud")),
        ("aud", json!({"us": 1}), ClaimError::Malformed("aud")),
        ("aud", json!(null), ClaimError::Missing("aud")),
        ("exp", json!(NOW.0 - 60), ClaimError::Expired),
        ("exp", json!(null), ClaimError::Missing("exp")),
        ("exp", json!("2000000000"), ClaimError::Malformed("exp")),
        ("exp", json!(1e300), ClaimError::Malformed("exp")),
        ("nbf", json!(NOW.0 + 61), ClaimError::NotYet),
        ("iat", json!(NOW.0 + 61), ClaimError::NotYet),
    ] {
        assert_eq!(outcome(name, value.clone()), Some(fault), "{name} = {value}");
    }
}
