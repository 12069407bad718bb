//! Tests of signing and verification, with examples of the RFCs and with known attacks.

mod attacks;
mod keys;

use serde_json::{Map, Value, json};

use super::{Algorithm, Header, Jwks, SigningKey, sign};
use crate::clock::UnixTime;

/// Keys for tests only, made with `openssl genpkey`.
const RSA: &str = include_str!("rsa.pem");
const P384: &str = include_str!("p384.pem");
const ED25519: &str = include_str!("ed25519.pem");

const NOW: UnixTime = UnixTime(1_800_000_000);

fn every_kind() -> [SigningKey; 4] {
    let read = |pem| SigningKey::from_pem(pem).unwrap();
    [SigningKey::generate(), read(RSA), read(P384), read(ED25519)]
}

fn published(keys: &[&SigningKey]) -> Jwks {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    Jwks::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn members(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("an object") };
    members
}

fn token(key: &SigningKey, algorithm: Algorithm, claims: Value) -> String {
    let header = Header { key_id: Some(key.id().to_owned()), ..Header::default() };
    sign(&header, &members(claims), key, algorithm).unwrap().expose().to_owned()
}
