//! JWT assertions (RFC 7523 §3): a client's authentication, and a service account's grant.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::jose::{self, Algorithm, Header, SigningKey};
use crate::oauth::message::error::BuildError;
use crate::random::Random;
use crate::secret::Secret;

/// Value of `client_assertion_type` (RFC 7523 §2.2).
pub(in crate::oauth) const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Header of an assertion that is signed with a client secret.
pub(super) const SECRET_HEADER: Header = Header { kind: Some("JWT"), key_id: None, jwk: None };

/// The parties of an assertion.
pub(in crate::oauth) struct Parties<'a> {
    pub(in crate::oauth) issuer: &'a str,
    pub(in crate::oauth) subject: Option<&'a str>,
    /// One audience: of several, each could replay the assertion at the others.
    pub(in crate::oauth) audience: &'a str,
}

/// Returns the claims of a new assertion that is valid once, for `lifetime` from now.
pub(in crate::oauth) fn claims(
    parties: &Parties<'_>,
    lifetime: Duration,
    clock: &Clock,
    random: Random,
) -> Map<String, Value> {
    let now = clock.now();
    let members = [
        ("iss", Some(json!(parties.issuer))),
        ("sub", parties.subject.map(|subject| json!(subject))),
        ("aud", Some(json!(parties.audience))),
        ("jti", Some(json!(random.base64url::<16>()))),
        ("iat", Some(json!(now.0))),
        ("exp", Some(json!(now.plus(lifetime).0))),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Signs an assertion with `algorithm`, or with the key's first algorithm if `None`.
///
/// # Errors
/// [`BuildError::ClientKey`] if the key cannot sign with that algorithm.
pub(in crate::oauth) fn sign(
    claims: &Map<String, Value>,
    key: &SigningKey,
    algorithm: Option<Algorithm>,
) -> Result<Secret, BuildError> {
    let header = Header { kind: Some("JWT"), key_id: Some(key.id().to_owned()), jwk: None };
    let algorithm = algorithm.or_else(|| key.algorithms().first().copied()).ok_or(BuildError::ClientKey)?;
    jose::sign(&header, claims, key, algorithm).ok_or(BuildError::ClientKey)
}
