//! ID tokens (OpenID Connect Core §3.1.3.7): the authorization server's signed statement of who
//! logged in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::issuer_keys::{IssuerKeys, VerifyError};
use crate::clock::UnixTime;
use crate::jose::{Algorithm, ClaimError, Claims, ExpectedClaims, Verified};
use crate::oauth::authorization::state::Nonce;
use crate::secret::Secret;

/// Maximum length of `sub` (OpenID Connect Core §2), in characters.
const MAX_SUBJECT: usize = 255;

/// Values that an ID token of this login must have.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedIdToken<'a> {
    /// The issuer that was asked.
    pub issuer: &'a str,
    /// Our client id there.
    pub client_id: &'a str,
    /// Nonce of the authorization request.
    pub nonce: &'a Nonce,
    /// Access token of the same response.
    pub access_token: &'a Secret,
    /// The current time.
    pub now: UnixTime,
}

/// Reason why an ID token is rejected. Contains nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// The signature is invalid, or the keys are missing.
    #[error("the ID token cannot be verified: {0}")]
    Unverified(#[from] VerifyError),
    /// A claim is missing or wrong.
    #[error("the ID token is not valid: {0}")]
    Claim(#[from] ClaimError),
    /// The token has several audiences and its `azp` does not name us.
    #[error("the ID token was issued to another client")]
    AnotherClient,
    /// The token belongs to another login: an attacker may have replaced it.
    #[error("the ID token belongs to another login (nonce)")]
    AnotherLogin,
    /// The token belongs to another access token.
    #[error("the ID token belongs to another access token (at_hash)")]
    AnotherToken,
}

/// Checks an ID token and returns its claims.
///
/// # Errors
/// See [`IdTokenError`]; nothing of such a token may be used.
pub async fn check(keys: &IssuerKeys, token: &Secret, expected: &ExpectedIdToken<'_>) -> Result<Claims, IdTokenError> {
    let verified = keys.verify(token.expose(), &Algorithm::ALL).await?;
    let Verified { algorithm, claims, .. } = verified;
    ExpectedClaims { issuer: expected.issuer, audience: expected.client_id, now: expected.now }.check(&claims)?;
    claims.time("iat")?.ok_or(ClaimError::Missing("iat"))?;
    let subject = claims.required_text("sub")?;
    if subject.is_empty() || subject.chars().count() > MAX_SUBJECT {
        return Err(ClaimError::Malformed("sub").into());
    }
    match claims.text("azp")? {
        Some(party) if party == expected.client_id => {}
        None if claims.audience()?.len() == 1 => {}
        _ => return Err(IdTokenError::AnotherClient),
    }
    if claims.text("nonce")? != Some(expected.nonce.as_str()) {
        return Err(IdTokenError::AnotherLogin);
    }
    // `at_hash` is the first half of the access token's digest (§3.1.3.6).
    let hash = || {
        let digest = algorithm.digest(expected.access_token.expose().as_bytes());
        URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2])
    };
    if claims.text("at_hash")?.is_some_and(|sent| sent != hash()) {
        return Err(IdTokenError::AnotherToken);
    }
    Ok(claims)
}

/// Returns true if a userinfo response describes the account of the ID token (OpenID Connect Core
/// §5.3.2).
pub(super) fn is_same_account(userinfo: &Value, id_token: &Claims) -> bool {
    let subject = userinfo.get("sub").and_then(Value::as_str);
    subject.is_some() && subject == id_token.0.get("sub").and_then(Value::as_str)
}
