//! Sanitizing of texts that a provider sends: no control characters, limited in length, and every
//! secret of the request masked.

use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::visible::visible;

/// Maximum length of a passed-on `error`, in characters.
const MAX_ERROR: usize = 100;

/// Maximum length of a passed-on `error_description`, in characters.
const MAX_DESCRIPTION: usize = 500;

/// Minimum length of a secret that is masked, in bytes. A shorter one occurs in ordinary words, and
/// masking would show where.
const MIN_MASKED: usize = 4;

/// Minimum length of a token that [`contains_token`] looks for, in bytes. A shorter one may well
/// be an ordinary word or part of one.
const MIN_TOKEN: usize = 16;

/// Error codes of the registry "OAuth Extensions Error" of IANA, and those of RFC 6749, 7009, 7591
/// and 8628.
const REGISTERED: [&str; 37] = [
    "access_denied",
    "account_selection_required",
    "authorization_pending",
    "consent_required",
    "expired_token",
    "insufficient_scope",
    "insufficient_user_authentication",
    "interaction_required",
    "invalid_authorization_details",
    "invalid_client",
    "invalid_client_metadata",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_software_statement",
    "invalid_target",
    "invalid_token",
    "login_required",
    "need_info",
    "registration_not_supported",
    "request_denied",
    "request_not_supported",
    "request_submitted",
    "request_uri_not_supported",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unapproved_software_statement",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "use_dpop_nonce",
];

/// Shown in place of a code that is not registered.
const UNREGISTERED: &str = "an error without a registered code";

/// Returns the error code if it is registered. A text in its place may be anything that the server
/// could read.
fn registered_code(code: &str) -> &str {
    if REGISTERED.contains(&code) { code } else { UNREGISTERED }
}

/// Masks the secrets of one request in the texts of its response.
#[derive(Default)]
pub(in crate::oauth) struct Sanitizer {
    secrets: Vec<Zeroizing<String>>,
    codes_only: bool,
}

impl Sanitizer {
    /// Passes on nothing but registered error codes of a server that a caller chose: its texts may
    /// come from a network that the caller cannot reach.
    pub(in crate::oauth) fn for_server(chosen: bool) -> Self {
        Self { codes_only: chosen, ..Self::default() }
    }

    /// Masks `secret` from now on, both plain and form-encoded, unless it is very short.
    pub(in crate::oauth) fn mask(&mut self, secret: &str) {
        for form in [visible(secret).collect(), byte_serialize(secret.as_bytes()).collect()] {
            let form: String = form;
            if form.len() >= MIN_MASKED && !self.secrets.iter().any(|known| **known == form) {
                self.secrets.push(Zeroizing::new(form));
            }
        }
        // The longest first: one secret may be the beginning of another.
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// Sanitizes an error code for people; returns `error` if nothing remains of it.
    pub(in crate::oauth) fn error(&self, text: &str) -> String {
        if self.codes_only {
            return registered_code(text).to_owned();
        }
        self.sanitize(text, MAX_ERROR).unwrap_or_else(|| "error".to_owned())
    }

    /// Sanitizes a description; returns `None` if nothing remains of it, or if only
    /// codes are passed on.
    pub(in crate::oauth) fn description(&self, text: &str) -> Option<String> {
        if self.codes_only { None } else { self.sanitize(text, MAX_DESCRIPTION) }
    }

    fn sanitize(&self, text: &str, limit: usize) -> Option<String> {
        let mut clean: String = visible(text).collect();
        // Mask before cutting, so that the end cannot show half of a secret.
        for secret in &self.secrets {
            clean = clean.replace(secret.as_str(), "[masked]");
        }
        Some(cut(clean.trim(), limit)).filter(|text| !text.is_empty())
    }
}

/// Returns the visible characters of `text`, limited in length. Secrets are not masked.
pub(in crate::oauth) fn plain(text: &str, limit: usize) -> String {
    let clean: String = visible(text).collect();
    cut(clean.trim(), limit)
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns true if `text` contains the token. A hostile provider could name an account or a scope
/// after it, and both are shown in lists.
pub(in crate::oauth) fn contains_token(text: &str, token: &Secret) -> bool {
    let token = token.expose();
    token.len() >= MIN_TOKEN && text.contains(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Requirement 10.
    #[test]
    fn secrets_of_the_request_are_masked() {
        let mut sanitizer = Sanitizer::default();
        sanitizer.mask("s3cr3t");
        sanitizer.mask("s3cr3t/with more");
        let said = "code s3cr3t, s3c\u{0}r3t, s3cr3t%2Fwith+more and s3cr3t/with more";
        assert_eq!(sanitizer.description(said).unwrap(), "code [masked], [masked], [masked] and [masked]");
        let at_the_end = format!("{}s3cr3t", "x".repeat(497));
        assert!(!sanitizer.description(&at_the_end).unwrap().contains("s3c"), "no half of a secret at the cut");
    }

    #[test]
    fn a_chosen_server_passes_on_registered_codes_only() {
        let sanitizer = Sanitizer::for_server(true);
        assert_eq!(sanitizer.error("invalid_grant"), "invalid_grant");
        assert_eq!(sanitizer.error("db password: hunter2"), UNREGISTERED);
        assert_eq!(sanitizer.description("hunter2"), None);
    }

    // Requirement 4.
    #[test]
    fn control_characters_go_and_length_is_limited() {
        let sanitizer = Sanitizer::default();
        assert_eq!(sanitizer.description("a\r\nSet-Cookie: x\u{1b}[31m\u{202e}b\u{0}").unwrap(), "aSet-Cookie: x[31mb");
        assert_eq!(sanitizer.description(&"é".repeat(10_000)).unwrap().chars().count(), MAX_DESCRIPTION + 1);
        assert_eq!(sanitizer.error(&"e".repeat(10_000)).chars().count(), MAX_ERROR + 1);
        assert_eq!(sanitizer.description(" \u{0}\n "), None);
        assert_eq!(sanitizer.error("\u{0}"), "error");
    }
}
