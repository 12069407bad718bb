//! The callback (RFC 6749 §4.1.2, RFC 9207). Anyone can have written its parameters.

use std::collections::BTreeMap;

use crate::oauth::message::error::ErrorResponse;
use crate::oauth::message::sanitize::Sanitizer;

/// The callback comes from another authorization server than the one that was asked, or does not
/// prove the opposite (RFC 9207 §2.4): possibly a mix-up attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authorization response comes from another issuer, or does not name its issuer")]
pub struct IssuerMismatch;

/// Reads the error of a failed authorization (RFC 6749 §4.1.2.1); `None` if the callback has none.
pub fn read_error(parameters: &BTreeMap<String, String>) -> Option<ErrorResponse> {
    let description = parameters.get("error_description").map(String::as_str);
    // Some callbacks carry an empty `error` beside the code.
    let error = parameters.get("error").filter(|error| !error.is_empty())?;
    Some(ErrorResponse::new(error, description, &Sanitizer::default()))
}

/// Compares `iss` of the callback with the issuer of the flow, as strings.
///
/// `announced`: the server says that it sends `iss`. `required`: then it must not be absent. This
/// holds if the caller chose the server or sent `callback_params`, or if `oauth.require_iss` is on.
/// An unknown issuer is not compared.
///
/// # Errors
/// [`IssuerMismatch`] if the two differ, or if a required `iss` is absent.
pub fn check_issuer(
    known: Option<&str>,
    announced: bool,
    required: bool,
    iss: Option<&str>,
) -> Result<(), IssuerMismatch> {
    match (known, iss) {
        (Some(known), Some(iss)) if known != iss => Err(IssuerMismatch),
        (Some(_), None) if announced && required => Err(IssuerMismatch),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Requirement 4.
    #[test]
    fn the_error_of_a_callback_is_sanitized() {
        let parameters = [("error", "access_denied"), ("error_description", "no\r\nway"), ("state", "x")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(read_error(&parameters).unwrap().to_string(), "access_denied: noway");
        assert_eq!(read_error(&BTreeMap::new()), None);
    }

    // Requirement 18.
    #[test]
    fn a_known_issuer_is_compared_exactly() {
        let ours = Some("https://honest.example");
        assert_eq!(check_issuer(ours, true, true, ours), Ok(()));
        for other in ["https://evil.example", "https://honest.example/", "https://HONEST.example", ""] {
            assert_eq!(check_issuer(ours, false, false, Some(other)), Err(IssuerMismatch), "{other}");
        }
        assert_eq!(check_issuer(None, false, true, Some("https://evil.example")), Ok(()), "nothing to compare with");
        assert_eq!(check_issuer(ours, true, true, None), Err(IssuerMismatch), "announced but absent");
        assert_eq!(check_issuer(ours, true, false, None), Ok(()), "clients of the original send only code and state");
        assert_eq!(check_issuer(ours, false, true, None), Ok(()));
    }
}
