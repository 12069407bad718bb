//! ID tokens (OpenID Connect Core §3.1.3.7): who logged in, said by the authorization server under its signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::issuer_keys::{IssuerKeys, Unverified};
use crate::clock::UnixTime;
use crate::jose::{Algorithm, ClaimFault, Claims, Expected, Verified};
use crate::oauth::authorization::state::StateToken;
use crate::secret::Secret;

/// The longest `sub` (OpenID Connect Core §2), in characters.
const LONGEST_SUBJECT: usize = 255;

/// What binds an ID token to the login that asked for it (OpenID Connect Core §15.5.2): made from the flow's state, so that
/// it is as fresh, and needs no place of its own. The state cannot be told from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// The nonce of the flow with this state.
    pub fn of(state: &StateToken) -> Self {
        let digest = Sha256::new().chain_update("strongroom nonce 1 ").chain_update(state.expose()).finalize();
        Self(URL_SAFE_NO_PAD.encode(digest))
    }

    /// The text of the parameter.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an ID token has to be, to be this login's.
#[derive(Clone, Copy, Debug)]
pub struct Awaited<'a> {
    /// Who was asked.
    pub issuer: &'a str,
    /// Our client id there.
    pub client_id: &'a str,
    /// What the authorization request carried.
    pub nonce: &'a Nonce,
    /// The access token that came with it.
    pub access_token: &'a Secret,
    /// Now.
    pub now: UnixTime,
}

/// Why an ID token says nothing that can be believed. Nothing of it is in here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Its signature, or the keys for it.
    #[error("the ID token cannot be verified: {0}")]
    Unverified(#[from] Unverified),
    /// It is another's, for another, or over.
    #[error("the ID token is not valid: {0}")]
    Claim(#[from] ClaimFault),
    /// It is for several parties and does not say that it was issued to us (`azp`).
    #[error("the ID token was issued to another client")]
    AnotherClient,
    /// It belongs to another login: somebody may have put it in place of ours.
    #[error("the ID token belongs to another login (nonce)")]
    AnotherLogin,
    /// It does not belong to the access token that came with it.
    #[error("the ID token belongs to another access token (at_hash)")]
    AnotherToken,
}

/// Checks an ID token and gives its claims.
///
/// # Errors
/// See [`IdTokenError`]: nothing of such a token may be used.
pub async fn check(keys: &IssuerKeys, token: &Secret, awaited: &Awaited<'_>) -> Result<Claims, IdTokenError> {
    let verified = keys.verify(token.expose(), &Algorithm::ALL).await?;
    let Verified { algorithm, claims, .. } = verified;
    Expected { issuer: awaited.issuer, audience: awaited.client_id, now: awaited.now }.check(&claims)?;
    claims.time("iat")?.ok_or(ClaimFault::Missing("iat"))?;
    let subject = claims.required_text("sub")?;
    if subject.is_empty() || subject.chars().count() > LONGEST_SUBJECT {
        return Err(ClaimFault::Malformed("sub").into());
    }
    match claims.text("azp")? {
        Some(party) if party == awaited.client_id => {}
        None if claims.audience()?.len() == 1 => {}
        _ => return Err(IdTokenError::AnotherClient),
    }
    if claims.text("nonce")? != Some(awaited.nonce.as_str()) {
        return Err(IdTokenError::AnotherLogin);
    }
    let hash = || {
        let digest = algorithm.digest(awaited.access_token.expose().as_bytes());
        URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2])
    };
    if claims.text("at_hash")?.is_some_and(|given| given != hash()) {
        return Err(IdTokenError::AnotherToken);
    }
    Ok(claims)
}

/// Whether an answer of the userinfo endpoint is about the account of the ID token: nothing of another's may be used
/// (OpenID Connect Core §5.3.2).
pub(in crate::oauth) fn same_account(userinfo: &Value, id_token: &Claims) -> bool {
    let subject = userinfo.get("sub").and_then(Value::as_str);
    subject.is_some() && subject == id_token.0.get("sub").and_then(Value::as_str)
}
