//! What the provider sends the user's browser back with (RFC 6749 §4.1.2, RFC 9207): anybody can have written it.

use std::collections::BTreeMap;
use std::fmt;

use crate::oauth::message::sanitize::Cleaner;

/// The authorization was denied, or failed at the provider (RFC 6749 §4.1.2.1); both texts are cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The error code, `access_denied` say.
    pub error: String,
    /// What the provider says about it.
    pub description: Option<String>,
}

impl Denied {
    /// Reads it from the callback's parameters; `None` where there is no `error` in them.
    pub fn read(parameters: &BTreeMap<String, String>) -> Option<Self> {
        let cleaner = Cleaner::default();
        let error = cleaner.error(parameters.get("error")?);
        let description = parameters.get("error_description").and_then(|text| cleaner.description(text));
        Some(Self { error, description })
    }
}

impl fmt::Display for Denied {
    /// `<error>: <description>`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(f, &self.error, self.description.as_deref())
    }
}

pub(in crate::oauth) fn shown(f: &mut fmt::Formatter<'_>, error: &str, description: Option<&str>) -> fmt::Result {
    match description {
        Some(description) => write!(f, "{error}: {description}"),
        None => f.write_str(error),
    }
}

/// The answer is another server's than the one that was asked (RFC 9207 §2.4): a mix-up attack, or none that can be
/// told from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the authorization response comes from another issuer, or does not say from which")]
pub struct WrongIssuer;

/// Compares `iss` of the callback with the issuer that was kept with the flow, as strings and to the letter.
///
/// `announced`: the server says that it sends `iss`. `required`: then it may not be missing either, which holds wherever
/// the caller chose the server, sent `callback_params`, or `oauth.require_iss` is on. Where the issuer is unknown there
/// is nothing to compare with.
pub fn check_issuer(
    known: Option<&str>,
    announced: bool,
    required: bool,
    iss: Option<&str>,
) -> Result<(), WrongIssuer> {
    match (known, iss) {
        (Some(known), Some(iss)) if known != iss => Err(WrongIssuer),
        (Some(_), None) if announced && required => Err(WrongIssuer),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_4_a_callback_error_is_carried_on_cleaned() {
        let parameters = [("error", "access_denied"), ("error_description", "no\r\nway"), ("state", "x")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(Denied::read(&parameters).unwrap().to_string(), "access_denied: noway");
        assert_eq!(Denied::read(&BTreeMap::new()), None);
    }

    #[test]
    fn bar_18_an_issuer_is_compared_to_the_letter_where_it_is_known() {
        let ours = Some("https://honest.example");
        assert_eq!(check_issuer(ours, true, true, ours), Ok(()));
        for other in ["https://evil.example", "https://honest.example/", "https://HONEST.example", ""] {
            assert_eq!(check_issuer(ours, false, false, Some(other)), Err(WrongIssuer), "{other}");
        }
        assert_eq!(check_issuer(None, false, true, Some("https://evil.example")), Ok(()), "nothing to compare with");
        assert_eq!(check_issuer(ours, true, true, None), Err(WrongIssuer), "announced, and absent");
        assert_eq!(
            check_issuer(ours, true, false, None),
            Ok(()),
            "a client of the original sends code and state alone"
        );
        assert_eq!(check_issuer(ours, false, true, None), Ok(()));
    }
}
