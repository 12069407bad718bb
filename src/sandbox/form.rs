//! The parameters of a request: of a query or of a form body, which are written alike.

use crate::secret::Secret;

/// Parameters by name. Their values may be codes, tokens and secrets, so there is no `Debug` that shows them.
pub(super) struct Form(Vec<(String, Secret)>);

/// A parameter that was sent twice, which RFC 6749 §3.1 and §3.2 forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated;

impl Form {
    /// Reads `application/x-www-form-urlencoded`; every text is one. A parameter without a value counts as left out.
    pub(super) fn parse(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text).filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name.into_owned(), Secret::new(value))).collect())
    }

    /// Of parameters that were read already.
    pub(super) fn of(parameters: Vec<(String, Secret)>) -> Self {
        Self(parameters)
    }

    /// The value of the parameter; `None` where it was not sent.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(sent, _)| sent == name);
        let first = values.next().map(|(_, value)| value.expose());
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_or_not_at_all() {
        let form = Form::parse(b"a=1%202&b=&c=x&c=x&d=+%2B");
        assert_eq!(form.get("a"), Ok(Some("1 2")));
        assert_eq!(form.get("b"), Ok(None));
        assert_eq!(form.get("c"), Err(Repeated));
        assert_eq!(form.get("d"), Ok(Some(" +")));
    }
}
