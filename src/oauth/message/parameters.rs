//! The parameters of a request: each once, ours before the entry's (RFC 6749 §3.1, §3.2).

use std::collections::BTreeMap;

use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::catalog::entry::is_protected_param;

/// The parameters in the order in which they were set; the values are wiped when dropped.
#[derive(Clone, Default)]
pub(in crate::oauth) struct Parameters(Vec<(String, Zeroizing<String>)>);

impl Parameters {
    /// Sets one, where it is not set already: what was set first stays.
    pub(in crate::oauth) fn set(&mut self, name: &str, value: &str) {
        if !self.0.iter().any(|(there, _)| there == name) {
            self.0.push((name.to_owned(), Zeroizing::new(value.to_owned())));
        }
    }

    /// Adds what the provider's entry wants besides.
    pub(in crate::oauth) fn add(&mut self, further: &BTreeMap<String, String>) {
        for (name, value) in further.iter().filter(|(name, _)| !is_protected_param(name)) {
            self.set(name, value);
        }
    }

    /// Calls parameters what this provider calls them; where the new name is there already, the protocol's own one stays.
    pub(in crate::oauth) fn rename(&mut self, names: &BTreeMap<String, String>) {
        for (name, other) in names {
            let Some(at) = self.0.iter().position(|(there, _)| there == name) else { continue };
            let (_, value) = self.0.remove(at);
            self.0.retain(|(there, _)| there != other);
            self.0.insert(at.min(self.0.len()), (other.clone(), value));
        }
    }

    /// As `application/x-www-form-urlencoded`.
    pub(in crate::oauth) fn form(&self) -> Zeroizing<Vec<u8>> {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(1024));
        for (name, value) in &self.0 {
            form.append_pair(name, value);
        }
        Zeroizing::new(form.finish().into_bytes())
    }

    /// As a JSON object of strings.
    pub(in crate::oauth) fn json(&self) -> Zeroizing<Vec<u8>> {
        let object: BTreeMap<&str, &str> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Zeroizing::new(serde_json::to_vec(&object).expect("a map of strings is always JSON"))
    }

    /// Name and value of each.
    pub(in crate::oauth) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_2_no_parameter_is_there_twice_and_none_of_ours_is_overridden() {
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
