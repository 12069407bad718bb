//! Signed tokens in compact form (RFC 7515 §7.1): base64url of header, claims and signature, joined
//! by dots.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Map, Value, json};

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::jwks::Jwks;
use super::signing::SigningKey;
use crate::json;
use crate::secret::Secret;

/// Maximum length of a token, in bytes; several times what fits into a request's head.
const MAX_TOKEN: usize = 64 * 1024;

/// Header members beside `alg`.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// `typ`: `JWT`, `dpop+jwt`, …
    pub kind: Option<&'static str>,
    /// `kid`: id of the signing key.
    pub key_id: Option<String>,
    /// `jwk`: the public key itself (RFC 9449 §4.2).
    pub jwk: Option<Map<String, Value>>,
}

/// Signs the claims with our key. The token is a secret, because anyone can use it until it
/// expires. `None` if the key cannot sign with `algorithm`.
pub fn sign(header: &Header, claims: &Map<String, Value>, key: &SigningKey, algorithm: Algorithm) -> Option<Secret> {
    let message = message(header, algorithm.name(), claims);
    let signature = key.signature(algorithm, message.as_bytes())?;
    Some(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// Signs the claims with a shared secret (HS256, RFC 7518 §3.2), for `client_secret_jwt` (OpenID
/// Connect Core §9). Tokens signed like this are never verified here.
pub fn sign_with_secret(header: &Header, claims: &Map<String, Value>, secret: &Secret) -> Secret {
    let message = message(header, "HS256", claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, message.as_bytes());
    Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)))
}

fn message(header: &Header, algorithm: &str, claims: &Map<String, Value>) -> String {
    let mut members = Map::new();
    members.insert("alg".to_owned(), json!(algorithm));
    members.extend(header.kind.map(|kind| ("typ".to_owned(), json!(kind))));
    members.extend(header.key_id.as_ref().map(|id| ("kid".to_owned(), json!(id))));
    members.extend(header.jwk.as_ref().map(|jwk| ("jwk".to_owned(), json!(jwk))));
    let part = |members: &Map<String, Value>| URL_SAFE_NO_PAD.encode(json!(members).to_string());
    format!("{}.{}", part(&members), part(claims))
}

/// Reason why a token is rejected. Contains nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three parts of base64url with JSON in the first two, a member occurs twice, or too
    /// long.
    #[error("the token is not a JWT")]
    Form,
    /// `crit` requires an extension (RFC 7515 §4.1.11), and none is supported.
    #[error("the token requires an unsupported extension (crit)")]
    Critical,
    /// `none`, a symmetric or unknown algorithm, or one that is not allowed here.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// The key set has no such key. The issuer may have a new one.
    #[error("the issuer does not publish the token's key")]
    UnknownKey,
    /// The signature does not match the key.
    #[error("the token's signature is wrong")]
    Signature,
}

/// A token with a valid signature. Its claims are not checked yet.
#[derive(Clone, Debug)]
pub struct Verified {
    /// `typ`, in lower case and without the prefix `application/` (RFC 8725 §3.11).
    pub kind: Option<String>,
    /// Algorithm of the signature.
    pub algorithm: Algorithm,
    /// The unchecked claims.
    pub claims: Claims,
}

/// Verifies the signature of `token` with the published `keys`. `allowed` must come from the
/// configuration, never from the token.
///
/// # Errors
/// See [`JwsError`]. After [`JwsError::UnknownKey`] the caller may fetch the keys again,
/// rate-limited.
pub fn verify(token: &str, keys: &Jwks, allowed: &[Algorithm]) -> Result<Verified, JwsError> {
    let (header, claims, signature) = parts(token).ok_or(JwsError::Form)?;
    let read = |part: &str| json::parse_object(&URL_SAFE_NO_PAD.decode(part).ok()?);
    let members = read(header).ok_or(JwsError::Form)?;
    if members.contains_key("crit") {
        return Err(JwsError::Critical);
    }
    let text = |name: &str| members.get(name).map(|value| value.as_str().ok_or(JwsError::Form)).transpose();
    let name = text("alg")?.ok_or(JwsError::Form)?;
    let algorithm = Algorithm::from_name(name).filter(|algorithm| allowed.contains(algorithm));
    let algorithm = algorithm.ok_or(JwsError::Algorithm)?;
    let candidates = keys.candidates(text("kid")?, algorithm);
    if candidates.is_empty() {
        return Err(JwsError::UnknownKey);
    }
    let signed = &token[..header.len() + 1 + claims.len()];
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwsError::Form)?;
    if !candidates.iter().any(|key| key.verifies(algorithm, signed.as_bytes(), &signature)) {
        return Err(JwsError::Signature);
    }
    let kind = text("typ")?.map(str::to_ascii_lowercase);
    let kind = kind.map(|kind| kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned));
    Ok(Verified { kind, algorithm, claims: Claims(read(claims).ok_or(JwsError::Form)?) })
}

/// Returns `iss` of an unverified token, to select the issuer whose keys verify it.
pub fn claimed_issuer(token: &str) -> Option<String> {
    let (_, claims, _) = parts(token)?;
    let claims = json::parse(&URL_SAFE_NO_PAD.decode(claims).ok()?)?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

fn parts(token: &str) -> Option<(&str, &str, &str)> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = token.split('.');
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}
