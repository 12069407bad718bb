//! The assertion with which a client proves who it is (RFC 7523 §2.2 and §3, OpenID Connect Core §9): `private_key_jwt` and
//! `client_secret_jwt`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::client::Client;
use crate::catalog::entry::{AssertionAudience, OAuth, TokenAuth};
use crate::jose::{self, Header};
use crate::oauth::message::request::Unbuildable;
use crate::secret::Secret;

/// The value of `client_assertion_type`.
pub(in crate::oauth) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good: for its one request, and two clocks that are a little apart.
const LIFETIME: Duration = Duration::from_secs(60);

/// A fresh assertion: good once and for a minute, for this authorization server alone.
pub(in crate::oauth) fn make(client: &Client, way: TokenAuth, entry: &OAuth) -> Result<Secret, Unbuildable> {
    let claims = claims(client, entry)?;
    let mut header = Header { kind: Some("JWT"), ..Header::default() };
    if way == TokenAuth::ClientSecretJwt {
        return Ok(jose::sign_with_secret(&header, &claims, client.required_secret()?));
    }
    let key = client.required_key()?;
    header.key_id = Some(key.id().to_owned());
    let algorithm = entry.token_auth_alg.or_else(|| key.algorithms().first().copied()).ok_or(Unbuildable::ClientKey)?;
    jose::sign(&header, &claims, key, algorithm).map_err(|_| Unbuildable::ClientKey)
}

/// `aud` is one text: a list of several lets one server replay it at another.
fn claims(client: &Client, entry: &OAuth) -> Result<Map<String, Value>, Unbuildable> {
    let audience = match entry.token_auth_audience {
        AssertionAudience::Issuer => entry.issuer.clone().ok_or(Unbuildable::NoIssuer)?,
        AssertionAudience::TokenUrl => entry.token_url.url().ok_or(Unbuildable::Url)?.to_string(),
    };
    let now = client.clock.now();
    let members = [
        ("iss", json!(client.id)),
        ("sub", json!(client.id)),
        ("aud", json!(audience)),
        ("jti", json!(URL_SAFE_NO_PAD.encode(client.random.bytes::<16>()))),
        ("iat", json!(now.0)),
        ("exp", json!(now.plus(LIFETIME).0)),
    ];
    Ok(members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
}
