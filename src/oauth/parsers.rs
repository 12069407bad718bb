//! Parsers of untrusted input that are private to this module, for `crate::properties`.

use super::message::sanitize::Sanitizer;
use super::message::scope;
use super::token::{Grant, response};
use crate::catalog::entry::OAuth;
use crate::egress::EgressResponse;
use crate::oauth::OAuthError;

/// Reads the response to a token request for the scopes `requested` that carried `secret`.
pub(crate) fn token_response(
    response: &EgressResponse,
    entry: &OAuth,
    requested: &[String],
    secret: &str,
) -> Result<Grant, OAuthError> {
    let mut sanitizer = Sanitizer::default();
    sanitizer.mask(secret);
    response::read(response, entry, requested, &sanitizer)
}

/// Reads the `scope` member of a token response; `None` if it is malformed.
pub(crate) fn granted_scopes(member: &serde_json::Value, entry: &OAuth) -> Option<Vec<String>> {
    scope::granted(Some(member), entry, &[]).ok().flatten()
}
