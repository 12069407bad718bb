//! The values of an entry's inputs: read from the caller, the callback and the token response,
//! checked each time, and filled into the entry's URLs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::input::{InputFault, InputFrom};
use super::oauth::OAuth;
use super::template::Template;

/// Checked values by the name of their input.
pub type Values = BTreeMap<String, String>;

/// The name of the inputs' values in a credential's metadata.
const INPUTS: &str = "inputs";
/// The name of the kept callback parameters there.
const CALLBACK: &str = "callback";
/// The maximal length of a callback parameter that is kept, in bytes.
const LONGEST_KEPT: usize = 2048;

/// Reserved names in a credential's metadata. No member of a token response is kept under them.
pub(in crate::catalog) const RESERVED: [&str; 2] = [INPUTS, CALLBACK];

/// Returns the values of the URLs in a credential's metadata.
pub(super) fn kept_values(metadata: &BTreeMap<String, Value>) -> Values {
    let kept = metadata.get(INPUTS).and_then(Value::as_object);
    let values =
        kept.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    values.collect()
}

impl OAuth {
    /// Returns the values that the caller gives, or their defaults.
    ///
    /// # Errors
    /// Every input that is missing or malformed. Values without an input are ignored, as unknown
    /// fields are.
    pub fn callers_values(&self, given: &BTreeMap<String, String>) -> Result<Values, Vec<InputFault>> {
        self.values_from(InputFrom::Caller, |name| given.get(name).map(String::as_str))
    }

    /// Returns the values in the callback. An attacker may have written them, so they are checked
    /// before anything is sent.
    ///
    /// # Errors
    /// For the first one that is missing or malformed.
    pub fn callbacks_values(&self, parameters: &BTreeMap<String, String>) -> Result<Values, InputFault> {
        let values = self.values_from(InputFrom::Callback, |name| parameters.get(name).map(String::as_str));
        values.map_err(|mut faults| faults.swap_remove(0))
    }

    /// Returns the values in the kept members of the token response.
    ///
    /// # Errors
    /// For the first one that is missing or malformed.
    pub fn token_values(&self, kept: &BTreeMap<String, Value>) -> Result<Values, InputFault> {
        let values = self.values_from(InputFrom::Token, |name| kept.get(name).and_then(Value::as_str));
        values.map_err(|mut faults| faults.swap_remove(0))
    }

    /// Reads the inputs of one source, each by its name there.
    fn values_from<'v>(
        &self,
        from: InputFrom,
        given: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Values, Vec<InputFault>> {
        let (mut values, mut faults) = (Values::new(), Vec::new());
        for (name, input) in self.inputs.iter().filter(|(_, input)| input.from == from) {
            let value = given(input.member.as_ref().unwrap_or(name)).or(input.default.as_deref());
            match value.map(|value| input.taken(value)) {
                Some(Some(value)) => drop(values.insert(name.clone(), value)),
                Some(None) => faults.push(InputFault::malformed(name, input)),
                None => faults.push(InputFault::missing(name, input)),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    /// Returns the entry with these values in its URLs. Each value is checked again, because the
    /// entry may have changed. If one is missing, the URL stays a template, to which nothing can be
    /// sent.
    ///
    /// # Errors
    /// The first value that is not legal in its place.
    pub fn with_values(&self, values: &Values) -> Result<Cow<'_, Self>, InputFault> {
        if self.inputs.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut known = BTreeMap::new();
        for (name, value) in values {
            let Some(input) = self.inputs.get(name) else { continue };
            let value = input.taken(value).ok_or_else(|| InputFault::malformed(name, input))?;
            known.insert(name.as_str(), (input, value));
        }
        let fill = |template: &mut Template| {
            let filled = template.fill(|name| known.get(name).map(|(input, value)| (*input, value.as_str())))?;
            *template = filled;
            Ok::<_, InputFault>(())
        };
        let mut entry = self.clone();
        entry.templates_mut().into_iter().try_for_each(fill)?;
        Ok(Cow::Owned(entry))
    }

    /// Returns the entry with the values of a credential's metadata.
    ///
    /// # Errors
    /// See [`OAuth::with_values`].
    pub fn for_credential(&self, metadata: &BTreeMap<String, Value>) -> Result<Cow<'_, Self>, InputFault> {
        self.with_values(&kept_values(metadata))
    }

    /// Adds the values of the URLs, and the kept callback parameters, to a credential's metadata.
    pub fn keep_values(
        &self,
        metadata: &mut BTreeMap<String, Value>,
        values: Values,
        callback: Option<&BTreeMap<String, String>>,
    ) {
        let fits = |text: &String| text.len() <= LONGEST_KEPT && !text.chars().any(char::is_control);
        let kept: serde_json::Map<String, Value> = (self.callback_metadata.iter())
            .filter_map(|name| Some((name.clone(), callback?.get(name).filter(|text| fits(text))?.clone().into())))
            .collect();
        if !kept.is_empty() {
            metadata.insert(CALLBACK.to_owned(), Value::Object(kept));
        }
        if !values.is_empty() {
            let values = values.into_iter().map(|(name, value)| (name, value.into())).collect();
            metadata.insert(INPUTS.to_owned(), Value::Object(values));
        }
    }

    /// Updates the values that the newest token response gives. Values that are absent or malformed
    /// there stay as they were.
    pub fn renew_token_values(&self, metadata: &mut BTreeMap<String, Value>) {
        let Ok(newest) = self.token_values(metadata) else { return };
        if newest.is_empty() {
            return;
        }
        let kept = metadata.entry(INPUTS.to_owned()).or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Value::Object(kept) = kept {
            kept.extend(newest.into_iter().map(|(name, value)| (name, value.into())));
        }
    }

    fn templates_mut(&mut self) -> Vec<&mut Template> {
        let mut templates = vec![&mut self.authorize_url, &mut self.token_url];
        templates.extend(&mut self.par_url);
        templates.extend(&mut self.refresh_url);
        templates.extend(&mut self.device_authorization_url);
        templates.extend(&mut self.api_base_url);
        templates.extend(self.long_lived.as_mut().map(|how| &mut how.url));
        templates.extend(self.introspect.as_mut().map(|how| &mut how.url));
        templates.extend(self.identity.as_mut().map(|identity| &mut identity.url));
        templates.extend(self.revoke.as_mut().map(|revoke| &mut revoke.url));
        templates
    }
}
