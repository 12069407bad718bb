//! The compact form (RFC 7515 §7.1): header, claims and signature, each in base64url, with points between them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Map, Value, json};

use super::{Algorithm, Claims, Jwks, SigningKey};
use crate::json;
use crate::secret::Secret;

/// The longest token that is read, in bytes: what a header of a request has room for, several times over.
const LONGEST: usize = 64 * 1024;

/// What stands in the header besides the algorithm.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// `typ`: `JWT`, `dpop+jwt`, …
    pub kind: Option<&'static str>,
    /// `kid`: which of our published keys it is.
    pub key_id: Option<String>,
    /// `jwk`: the public key itself (RFC 9449 §4.2).
    pub jwk: Option<Map<String, Value>>,
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not one for this algorithm.
    #[error("the key cannot sign with this algorithm")]
    Algorithm,
    /// The primitive failed.
    #[error("the signature could not be made")]
    Failed,
}

/// Signs the claims with our key. The token is a secret: whoever has it can use it until it ends.
///
/// # Errors
/// Where the key is not one for `algorithm`.
pub fn sign(
    header: &Header,
    claims: &Map<String, Value>,
    key: &SigningKey,
    algorithm: Algorithm,
) -> Result<Secret, SignError> {
    let message = message(header, algorithm.name(), claims);
    let signature = key.signature(algorithm, message.as_bytes())?;
    Ok(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// Signs the claims with a secret that both sides know (HS256, RFC 7518 §3.2), as `client_secret_jwt` does (OpenID Connect
/// Core §9). Nothing here verifies by a secret.
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

/// Why a token is not what it says. Nothing of the token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three parts of base64url, not JSON in the first two, a member twice, or endless.
    #[error("the token is no JWT")]
    Form,
    /// `crit` names something that has to be understood and is not (RFC 7515 §4.1.11).
    #[error("the token's header asks for an extension that is not known")]
    Critical,
    /// `none`, a symmetric algorithm, an unknown one, or one that is not allowed here.
    #[error("the token is signed by an algorithm that is not allowed")]
    Algorithm,
    /// The key set has no such key; it may be a new one.
    #[error("the token is signed by a key that its issuer does not publish")]
    UnknownKey,
    /// The key is there, and the signature is not its.
    #[error("the token's signature is wrong")]
    Signature,
}

/// A token whose signature was good. Of its claims nothing was looked at yet.
#[derive(Clone, Debug)]
pub struct Verified {
    /// `typ`, in lower case and without `application/` before it (RFC 8725 §3.11).
    pub kind: Option<String>,
    /// What it is signed with.
    pub algorithm: Algorithm,
    /// What it says.
    pub claims: Claims,
}

/// Checks the signature of `token` against the published `keys`; `allowed` is never empty and never comes from the token.
///
/// # Errors
/// See [`JwsError`]; after [`JwsError::UnknownKey`] it is worth fetching the keys again, rate-limited.
pub fn verify(token: &str, keys: &Jwks, allowed: &[Algorithm]) -> Result<Verified, JwsError> {
    let (header, claims, signature) = parts(token).ok_or(JwsError::Form)?;
    let read = |part: &str| match json::parse(&URL_SAFE_NO_PAD.decode(part).ok()?) {
        Some(Value::Object(members)) => Some(members),
        _ => None,
    };
    let members = read(header).ok_or(JwsError::Form)?;
    if members.contains_key("crit") {
        return Err(JwsError::Critical);
    }
    let text = |name: &str| members.get(name).map(|value| value.as_str().ok_or(JwsError::Form)).transpose();
    let name = text("alg")?.ok_or(JwsError::Form)?;
    let algorithm = name.parse().ok().filter(|algorithm| allowed.contains(algorithm)).ok_or(JwsError::Algorithm)?;
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

/// Who a token claims to be of, before anything in it is believed: which issuer's keys to verify it with.
pub fn claimed_issuer(token: &str) -> Option<String> {
    let (_, claims, _) = parts(token)?;
    let claims = json::parse(&URL_SAFE_NO_PAD.decode(claims).ok()?)?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

fn parts(token: &str) -> Option<(&str, &str, &str)> {
    if token.len() > LONGEST {
        return None;
    }
    let mut parts = token.split('.');
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}
