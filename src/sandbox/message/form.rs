//! Parameters of a query or a form body, which have the same encoding.

use super::error::EndpointError;
use crate::secret::Secret;

/// Parameters by name. Values may be codes, tokens and secrets, so `Debug` is not implemented.
pub(in crate::sandbox) struct Form(Vec<(String, Secret)>);

/// A parameter that was sent twice, which RFC 6749 §3.1 and §3.2 forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct RepeatedParam;

impl Form {
    /// Parses `application/x-www-form-urlencoded`; every text is valid. A parameter without a value
    /// counts as absent.
    pub(in crate::sandbox) fn parse(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text).filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name.into_owned(), Secret::new(value))).collect())
    }

    /// Returns the parameter's value; `None` if it is absent.
    pub(in crate::sandbox) fn get(&self, name: &str) -> Result<Option<&str>, RepeatedParam> {
        let mut values = self.0.iter().filter(|(sent, _)| sent == name);
        let first = values.next().map(|(_, value)| value.expose());
        if values.next().is_some() { Err(RepeatedParam) } else { Ok(first) }
    }

    /// Returns the parameter's value, as [`Self::get`], with the error response of a repeated one.
    pub(in crate::sandbox) fn optional(&self, name: &str) -> Result<Option<&str>, EndpointError> {
        self.get(name).map_err(|RepeatedParam| EndpointError::InvalidRequest("a parameter was sent more than once"))
    }

    /// Returns the value of a parameter that must be present.
    pub(in crate::sandbox) fn required(&self, name: &str) -> Result<&str, EndpointError> {
        let missing = "a parameter is missing: code, redirect_uri or a token";
        self.optional(name)?.ok_or(EndpointError::InvalidRequest(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_occurs_once_or_not_at_all() {
        let form = Form::parse(b"a=1%202&b=&c=x&c=x&d=+%2B");
        assert_eq!(form.get("a"), Ok(Some("1 2")));
        assert_eq!(form.get("b"), Ok(None));
        assert_eq!(form.get("c"), Err(RepeatedParam));
        assert_eq!(form.get("d"), Ok(Some(" +")));
    }
}
