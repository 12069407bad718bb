//! The parameters of one request. Each occurs once, each is taken, and none may be left over.

use std::collections::BTreeMap;

use serde_json::Value;

use super::violation::{Violation, require};

/// Parameters by the names under which they were sent.
pub(super) struct Sent(BTreeMap<String, String>);

impl Sent {
    /// Reads a query or a form.
    pub(super) fn form(text: &[u8]) -> Result<Self, Violation> {
        Self::of(url::form_urlencoded::parse(text).into_owned())
    }

    /// Reads a JSON object of strings.
    pub(super) fn json(text: &[u8]) -> Result<Self, Violation> {
        let object: Result<BTreeMap<String, String>, _> = serde_json::from_slice(text);
        Self::of(object.map_err(|_| Violation("the body is not a JSON object of strings".to_owned()))?)
    }

    fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Violation> {
        let mut sent = BTreeMap::new();
        for (name, value) in pairs {
            require(!value.is_empty(), &format!("{name} is empty"))?;
            require(!sent.contains_key(&name), &format!("{name} was sent more than once"))?;
            sent.insert(name, value);
        }
        Ok(Self(sent))
    }

    pub(super) fn take(&mut self, name: &str) -> Result<String, Violation> {
        self.take_optional(name).ok_or_else(|| Violation(format!("{name} is missing")))
    }

    pub(super) fn take_optional(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a parameter with a fixed value.
    pub(super) fn take_fixed(&mut self, name: &str, value: &str) -> Result<(), Violation> {
        require(self.take(name)? == value, &format!("{name} has another value"))
    }

    /// Takes all parameters that the entry adds.
    pub(super) fn take_all<'p>(
        &mut self,
        fixed: impl IntoIterator<Item = (&'p String, &'p String)>,
    ) -> Result<(), Violation> {
        fixed.into_iter().try_for_each(|(name, value)| self.take_fixed(name, value))
    }

    /// Fails if a parameter is left.
    pub(super) fn finish(self) -> Result<(), Violation> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(Violation(format!("{name} is not expected"))))
    }
}

/// Returns true if the two texts are equal JSON values.
pub(super) fn is_same_json(one: &[u8], other: &[u8]) -> bool {
    let value = |text| serde_json::from_slice::<Value>(text).ok();
    value(one).is_some() && value(one) == value(other)
}
