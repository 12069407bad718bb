//! The parameters of one request: each is there once, each is asked about, and none is left over.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::form::Form;
use super::Violation;
use crate::secret::Secret;

/// Parameters by the name under which they came.
pub(super) struct Sent(BTreeMap<String, Secret>);

impl Sent {
    /// Of a query or a form.
    pub(super) fn form(text: &[u8]) -> Result<Self, Violation> {
        Self::of(url::form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned())))
    }

    /// Of a JSON object of strings.
    pub(super) fn json(text: &[u8]) -> Result<Self, Violation> {
        let wrong = || Violation("the body is no JSON object of strings".to_owned());
        let Ok(Value::Object(members)) = serde_json::from_slice(text) else { return Err(wrong()) };
        let texts = members.into_iter().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            _ => Err(wrong()),
        });
        Self::of(texts.collect::<Result<Vec<_>, _>>()?)
    }

    fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Violation> {
        let mut sent = BTreeMap::new();
        for (name, value) in pairs {
            if value.is_empty() {
                return Err(Violation(format!("{name} is empty")));
            }
            if sent.insert(name.clone(), Secret::new(value)).is_some() {
                return Err(Violation(format!("{name} was sent more than once")));
            }
        }
        Ok(Self(sent))
    }

    pub(super) fn take(&mut self, name: &str) -> Result<Secret, Violation> {
        self.take_if_there(name).ok_or_else(|| Violation(format!("{name} is missing")))
    }

    pub(super) fn take_if_there(&mut self, name: &str) -> Option<Secret> {
        self.0.remove(name)
    }

    /// Takes one whose value is fixed.
    pub(super) fn take_fixed(&mut self, name: &str, value: &str) -> Result<(), Violation> {
        if self.take(name)?.expose() == value {
            return Ok(());
        }
        Err(Violation(format!("{name} is not what it must be")))
    }

    /// Takes all that the entry adds.
    pub(super) fn take_all<'p>(
        &mut self,
        fixed: impl IntoIterator<Item = (&'p String, &'p String)>,
    ) -> Result<(), Violation> {
        fixed.into_iter().try_for_each(|(name, value)| self.take_fixed(name, value))
    }

    pub(super) fn nothing_left(self) -> Result<(), Violation> {
        match self.0.into_keys().next() {
            Some(name) => Err(Violation(format!("{name} is not expected"))),
            None => Ok(()),
        }
    }
}

/// The same request under the standard's names.
pub(super) fn standard<const N: usize>(pairs: [(&str, Option<Secret>); N]) -> Form {
    Form::of(pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}
