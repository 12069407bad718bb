//! Parameters of a query or a form body, which have the same encoding.

use super::error::EndpointError;
use crate::secret::Secret;

/// Parameters by name. Values may be codes, tokens and secrets, so `Debug` is not implemented.
pub(in crate::sandbox) struct Form(Vec<(String, Secret)>);

impl Form {
    /// Parses `application/x-www-form-urlencoded`; every text is valid. A parameter without a value
    /// counts as absent.
    pub(in crate::sandbox) fn parse(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text).filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name.into_owned(), Secret::new(value))).collect())
    }

    /// Returns the parameter's value; `None` if it is absent. A parameter that was sent twice is an
    /// error (RFC 6749 §3.1, §3.2).
    pub(in crate::sandbox) fn get(&self, name: &str) -> Result<Option<&str>, EndpointError> {
        let mut values = self.0.iter().filter(|(sent, _)| sent == name);
        let first = values.next().map(|(_, value)| value.expose());
        if values.next().is_some() {
            return Err(EndpointError::invalid_request("a parameter was sent more than once"));
        }
        Ok(first)
    }

    /// Returns the value of a parameter that must be present.
    pub(in crate::sandbox) fn required(&self, name: &str) -> Result<&str, EndpointError> {
        let missing = EndpointError::invalid_request("a required parameter is missing, such as state, code or token");
        self.get(name)?.ok_or(missing)
    }

    /// Returns the parameter's value if it was sent exactly once.
    pub(in crate::sandbox) fn once(&self, name: &str) -> Option<&str> {
        self.get(name).ok().flatten()
    }

    /// Returns the scopes without duplicates (RFC 6749 §3.3); `None` if there is no `scope`.
    pub(in crate::sandbox) fn scopes(&self) -> Result<Option<Vec<String>>, EndpointError> {
        let Some(text) = self.get("scope")? else { return Ok(None) };
        let mut scopes: Vec<String> = Vec::new();
        for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
            if !scope.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                return Err(EndpointError::new("invalid_scope", "a scope contains an invalid character"));
            }
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        Ok(Some(scopes))
    }

    /// Returns the requested scopes; a request without any asks for `profile`.
    pub(in crate::sandbox) fn scopes_or_default(&self) -> Result<Vec<String>, EndpointError> {
        Ok(self.scopes()?.unwrap_or_else(|| vec!["profile".to_owned()]))
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
        assert_eq!(form.get("c").unwrap_err().error, "invalid_request");
        assert_eq!(form.get("d"), Ok(Some(" +")));
    }
}
