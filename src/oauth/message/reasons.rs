//! The reasons in an error body: every code and text with which a provider may explain a refusal,
//! wherever it puts them.

use std::fmt;

use serde_json::{Map, Value};

use super::sanitize::plain;
use crate::catalog::entry::OAuth;

/// Maximum number of reasons of one response.
const MAX_REASONS: usize = 16;

/// Maximum length of a reason, in characters.
const MAX_TEXT: usize = 500;

/// Maximum nesting of error objects that are read.
const MAX_DEPTH: u8 = 3;

/// Members that hold a code or a text, in lower case and without `_`.
const NAMES: &[&str] = &[
    "code",
    "description",
    "detail",
    "error",
    "errorcode",
    "errordescription",
    "errormessage",
    "errormsg",
    "errorreason",
    "errorsubtype",
    "errorsummary",
    "errortype",
    "faultstring",
    "field",
    "message",
    "msg",
    "name",
    "reason",
    "resource",
    "status",
    "title",
    "type",
];

/// Members that hold further errors: objects, or lists of texts or objects.
const NESTED: &[&str] = &["detail", "details", "error", "errordetails", "errors", "fault", "response"];

/// Codes for a grant that is over, at every provider (RFC 6749 §5.2, OpenID Connect Core §3.1.2.6).
const GRANT_IS_OVER: &[&str] =
    &["invalid_grant", "interaction_required", "login_required", "consent_required", "account_selection_required"];

/// Codes with another meaning, whatever stands beside them (RFC 6749 §5.2, RFC 8628 §3.5). The entry
/// may name a text that changes the meaning.
const OTHER_MEANING: &[&str] =
    &["invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"];

/// Codes of an outage or of a server that is asked too often. They never end a grant.
const OUTAGES: &[&str] = &["temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded"];

/// Code and texts of one error response, as the provider sent them. They are compared and never
/// shown, because no secret is masked in them: a short secret may be part of a code.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::oauth) struct Reasons {
    code: String,
    texts: Vec<String>,
}

impl Reasons {
    /// Reads the reasons of an error body.
    pub(in crate::oauth) fn read(members: &Map<String, Value>) -> Self {
        let mut reasons = Self::default();
        reasons.add_members(members, MAX_DEPTH);
        reasons
    }

    /// Sets the error code.
    pub(in crate::oauth) fn with_code(self, code: &str) -> Self {
        Self { code: plain(code, MAX_TEXT), ..self }
    }

    /// Returns the error code.
    pub(in crate::oauth) fn code(&self) -> &str {
        &self.code
    }

    /// Returns true if the error code is one of these, in any letter case.
    pub(in crate::oauth) fn has_code(&self, codes: &[&str]) -> bool {
        codes.iter().any(|known| self.code.eq_ignore_ascii_case(known))
    }

    /// Returns true if the error code is one of an outage.
    pub(in crate::oauth) fn is_outage(&self) -> bool {
        is_one_of(&self.code, OUTAGES)
    }

    /// Returns the first text.
    pub(in crate::oauth) fn first(&self) -> Option<&str> {
        self.texts.first().map(String::as_str)
    }

    /// Returns true if they say that the grant is over.
    pub(in crate::oauth) fn end_grant(&self, entry: &OAuth) -> bool {
        if self.is_outage() {
            return false;
        }
        let code = self.code.as_str();
        let all = || std::iter::once(code).chain(self.texts.iter().map(String::as_str));
        let standard = is_one_of(code, GRANT_IS_OVER)
            || (!is_one_of(code, OTHER_MEANING) && all().any(|reason| is_one_of(reason, GRANT_IS_OVER)));
        let named = entry.refresh.as_ref().is_some_and(|how| {
            all().any(|reason| {
                how.refused_errors.iter().any(|code| is_code(reason, code))
                    || how.refused_messages.iter().any(|text| contains(reason, text))
            })
        });
        standard || named
    }

    fn add_members(&mut self, members: &Map<String, Value>, depth: u8) {
        for (name, value) in members {
            let name = name.replace('_', "").to_ascii_lowercase();
            if NAMES.contains(&name.as_str()) {
                self.add(value);
            }
            if NESTED.contains(&name.as_str()) {
                self.add_nested(value, depth);
            }
        }
    }

    fn add_nested(&mut self, value: &Value, depth: u8) {
        match value {
            Value::Object(members) if depth > 0 => self.add_members(members, depth - 1),
            Value::Array(list) if depth > 0 => {
                for one in list.iter().take(MAX_REASONS) {
                    self.add(one);
                    self.add_nested(one, depth - 1);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, value: &Value) {
        let text = match value {
            Value::String(text) => plain(text, MAX_TEXT),
            Value::Number(number) => number.to_string(),
            _ => return,
        };
        if !text.is_empty() && self.texts.len() < MAX_REASONS {
            self.texts.push(text);
        }
    }
}

impl fmt::Debug for Reasons {
    /// Hides everything: a provider may repeat a secret of the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reasons").finish_non_exhaustive()
    }
}

fn is_one_of(reason: &str, codes: &[&str]) -> bool {
    codes.iter().any(|code| is_code(reason, code))
}

/// Returns true if the reason is this code, in any letter case and with any separator between its
/// words, or begins with it: `invalid_grant - the token was revoked`.
fn is_code(reason: &str, code: &str) -> bool {
    let plain = |text: &str| text.replace(['_', '-', ' '], "").to_ascii_lowercase();
    let continues = |c: char| c.is_alphanumeric() || c == '_';
    let begins = || {
        let head = reason.get(..code.len()).filter(|head| head.eq_ignore_ascii_case(code));
        head.is_some() && !reason[code.len()..].starts_with(continues)
    };
    // Only a code of several words cannot be the beginning of an ordinary sentence.
    plain(reason) == plain(code) || (code.contains('_') && begins())
}

fn contains(reason: &str, text: &str) -> bool {
    reason.to_lowercase().contains(&text.to_lowercase())
}
