//! The only client of the sandbox, and its authentication.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::message::error::EndpointError;
use super::message::form::Form;
use crate::random::Random;
use crate::secret::Secret;

/// The `client_id`.
pub(super) const CLIENT_ID: &str = "sandbox";

/// Returns a new secret of the client. All of its characters are unreserved, so that the form
/// encoding of RFC 6749 §2.3.1 does not change them.
pub(super) fn new_secret(random: Random) -> Secret {
    Secret::new(format!("sandbox-secret-{}", random.base64url::<24>()))
}

/// Authenticates the client of a request. Its only method is `client_secret_basic`.
pub(super) fn authenticate(secret: &Secret, headers: &HeaderMap, form: &Form) -> Result<(), EndpointError> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Err(EndpointError::new("invalid_client", "the request has no client_secret_basic authentication"));
    };
    // A request must not have two authentications (RFC 6749 §2.3).
    if form.get("client_secret")?.is_some() {
        return Err(EndpointError::invalid_request("two client authentications in one request"));
    }
    let presented = header.to_str().ok().and_then(|header| header.split_once(' '));
    let own = Secret::new(STANDARD.encode(format!("{CLIENT_ID}:{}", secret.expose())));
    match presented {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") && own.equals(encoded.trim()) => Ok(()),
        _ => Err(EndpointError::new("invalid_client", "client authentication failed")),
    }
}
