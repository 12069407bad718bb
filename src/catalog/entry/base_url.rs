//! The base URL of a provider's API, with the values of its inputs filled in.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::Entry;
use super::input::{Input, InputFault};
use super::template::Template;
use super::values::{Values, kept_values};
use crate::kind::Kind;

/// The base URL to which secrets of one kind are sent, and the inputs that it depends on.
#[derive(Clone, Copy, Debug)]
pub struct BaseUrl<'e> {
    /// The URL; it may have inputs in braces.
    pub template: &'e Template,
    /// The inputs by name.
    pub inputs: &'e BTreeMap<String, Input>,
}

impl Entry {
    /// Returns the base URL of the API for credentials of this kind, if the entry has one.
    pub fn base_url(&self, kind: Kind) -> Option<BaseUrl<'_>> {
        let (template, inputs) = match kind {
            Kind::OAuth2 => self.oauth.as_ref().map(|oauth| (oauth.api_base_url.as_ref(), &oauth.inputs)),
            Kind::ApiKey => self.api_key.as_ref().map(|key| (key.base_url.as_ref(), &key.inputs)),
            Kind::UserPassword => self.user_password.as_ref().map(|word| (word.base_url.as_ref(), &word.inputs)),
            Kind::HostScoped => None,
        }?;
        Some(BaseUrl { template: template?, inputs })
    }
}

impl Entry {
    /// Checks values that a caller gives for the base URL of a stored secret. Returns each in the
    /// form that is kept. Values may be missing: the secret can be stored and read without them.
    ///
    /// # Errors
    /// Every value that is malformed, or that is not an input of this entry.
    pub fn accepted_inputs(&self, kind: Kind, given: &Values) -> Result<Values, Vec<InputFault>> {
        let none = BTreeMap::new();
        let inputs = self.base_url(kind).map_or(&none, |base| base.inputs);
        let (mut values, mut faults) = (Values::new(), Vec::new());
        for (name, value) in given {
            match inputs.get(name).map(|input| (input, input.taken(value))) {
                Some((_, Some(value))) => drop(values.insert(name.clone(), value)),
                Some((input, None)) => faults.push(InputFault::malformed(name, input)),
                None => faults.push(InputFault::unknown(name, inputs)),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }
}

impl BaseUrl<'_> {
    /// Returns the URL if it depends on no value.
    pub fn fixed(&self) -> Option<&Url> {
        self.template.url()
    }

    /// Returns the URL with these values. Each value is checked again, because the entry may have
    /// changed. An input without a value has its default.
    ///
    /// # Errors
    /// Every value that is missing or illegal in its place.
    pub fn filled(&self, values: &Values) -> Result<Url, Vec<InputFault>> {
        let (mut known, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, input) in self.template.names().filter_map(|(name, _)| self.inputs.get_key_value(name)) {
            let value = values.get(name).or(input.default.as_ref());
            match value.map(|value| input.taken(value)) {
                Some(Some(value)) => drop(known.insert(name.as_str(), (input, value))),
                Some(None) => faults.push(InputFault::malformed(name, input)),
                None => faults.push(InputFault::missing(name, input)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let filled = self.template.fill(|name| known.get(name).map(|(input, value)| (*input, value.as_str())));
        let filled = filled.map_err(|fault| vec![fault])?;
        filled.url().cloned().ok_or_else(|| vec![InputFault::Unusable])
    }

    /// Returns the URL with the values that are kept in the metadata of an OAuth credential's
    /// tokens.
    ///
    /// # Errors
    /// See [`BaseUrl::filled`].
    pub fn filled_from(&self, metadata: &BTreeMap<String, Value>) -> Result<Url, Vec<InputFault>> {
        self.filled(&kept_values(metadata))
    }
}
