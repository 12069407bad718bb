//! The parsers of this module that nobody outside it calls, for `crate::properties`.

use super::message::sanitize::Cleaner;
use super::message::scope;
use super::token::{Grant, TokenError, response};
use crate::catalog::entry::OAuth;
use crate::egress::Answer;

/// Reads a token answer to a request for the scopes `requested`, in which `secret` was sent.
pub(crate) fn token_answer(
    answer: &Answer,
    entry: &OAuth,
    requested: &[String],
    secret: &str,
) -> Result<Grant, TokenError> {
    let mut cleaner = Cleaner::default();
    cleaner.hide(secret);
    response::read(answer, entry, requested, &cleaner)
}

/// Reads the `scope` member of a token answer; `None` where it is malformed.
pub(crate) fn granted_scopes(member: &serde_json::Value, entry: &OAuth) -> Option<Vec<String>> {
    scope::granted(Some(member), entry).ok().flatten()
}
