//! Parameters of a request: each name once, ours before the entry's (RFC 6749 §3.1, §3.2).

use std::collections::BTreeMap;

use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::catalog::entry::{OAuth, is_protected_param};

/// Parameters in the order in which they were set. Values are wiped when dropped.
#[derive(Clone, Default)]
pub(in crate::oauth) struct Parameters(Vec<(String, Zeroizing<String>)>);

impl Parameters {
    /// Sets a parameter unless its name is set already.
    pub(in crate::oauth) fn set(&mut self, name: &str, value: &str) {
        if !self.0.iter().any(|(known, _)| known == name) {
            self.0.push((name.to_owned(), Zeroizing::new(value.to_owned())));
        }
    }

    /// Adds the entry's own parameters, except names that belong to the protocol.
    pub(in crate::oauth) fn add(&mut self, params: &BTreeMap<String, String>) {
        for (name, value) in params.iter().filter(|(name, _)| !is_protected_param(name)) {
            self.set(name, value);
        }
    }

    /// Sets the requested scopes (RFC 6749 §3.3), and those of further tokens under the entry's
    /// names for them.
    pub(in crate::oauth) fn set_scopes(
        &mut self,
        entry: &OAuth,
        scopes: &[String],
        further: &BTreeMap<String, Vec<String>>,
    ) {
        if !scopes.is_empty() {
            self.set("scope", &scopes.join(entry.scope_separator.as_str()));
        }
        for (name, scopes) in further {
            let param = entry.further_tokens.get(name).and_then(|token| token.scope_param.as_ref());
            if let Some(param) = param {
                self.set(param, &scopes.join(entry.scope_separator.as_str()));
            }
        }
    }

    /// Renames parameters to the provider's names. If the new name exists already, the renamed one
    /// replaces it.
    pub(in crate::oauth) fn rename(&mut self, names: &BTreeMap<String, String>) {
        for (name, other) in names {
            let Some(at) = self.0.iter().position(|(known, _)| known == name) else { continue };
            let (_, value) = self.0.remove(at);
            self.0.retain(|(known, _)| known != other);
            self.0.insert(at.min(self.0.len()), (other.clone(), value));
        }
    }

    /// Encodes as `application/x-www-form-urlencoded`.
    pub(in crate::oauth) fn form(&self) -> Zeroizing<Vec<u8>> {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(1024));
        form.extend_pairs(self.iter());
        Zeroizing::new(form.finish().into_bytes())
    }

    /// Encodes as a JSON object of strings.
    pub(in crate::oauth) fn json(&self) -> Zeroizing<Vec<u8>> {
        let object: BTreeMap<&str, &str> = self.iter().collect();
        Zeroizing::new(serde_json::to_vec(&object).expect("a map of strings is always JSON"))
    }

    /// Iterates over names and values.
    pub(in crate::oauth) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Requirement 2.
    #[test]
    fn a_name_occurs_once_and_ours_wins() {
        let mut parameters = Parameters::default();
        parameters.set("grant_type", "authorization_code");
        parameters.set("grant_type", "password");
        parameters.set("audience", "ours");
        let further = [("grant_type", "x"), ("audience", "theirs"), ("client_secret", "y"), ("resource", "a b")];
        parameters.add(&further.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(*parameters.form(), b"grant_type=authorization_code&audience=ours&resource=a+b");
        assert_eq!(*parameters.json(), br#"{"audience":"ours","grant_type":"authorization_code","resource":"a b"}"#);
    }
}
