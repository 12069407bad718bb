//! Inputs: values that a provider's URLs depend on, such as a customer's subdomain, the data centre
//! in the callback, or the instance in the token response.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};

/// The maximal length of a value, in bytes.
const LONGEST: usize = 253;

/// One input: its source, and its legal values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The source of the value.
    #[serde(default)]
    pub from: InputFrom,
    /// Its name at the source, if it is not the input's own name; for a token response also a JSON
    /// pointer.
    pub member: Option<String>,
    /// A pattern that the whole value matches.
    pub pattern: Option<Pattern>,
    /// The hosts that it can be: a name, or `*.name` for one label before it. `https://` before a
    /// host is removed. Only an input with this list can be a whole host.
    pub hosts: Option<Vec<String>>,
    /// The value if none is given.
    pub default: Option<String>,
    /// A legal value, shown in the response to a missing or malformed one (422).
    pub example: String,
}

/// The source of an input's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFrom {
    /// The caller, at initiate.
    #[default]
    Caller,
    /// The provider, in the parameters of the callback.
    Callback,
    /// The provider, in the token response.
    Token,
}

/// The reason for rejecting a value. The value is in no message: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputFault {
    /// It was not given.
    #[error("'{name}' is missing; for example \"{example}\"")]
    Missing {
        /// The input.
        name: String,
        /// A good value.
        example: String,
    },
    /// It does not match the entry's description.
    #[error("'{name}' is malformed; for example \"{example}\"")]
    Malformed {
        /// The input.
        name: String,
        /// A good value.
        example: String,
    },
    /// The entry has no such input.
    #[error("'{name}' is not an input here; {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The inputs, each with a good value.
        known: String,
    },
    /// With the values in it, the URL is invalid.
    #[error("the values make no URL")]
    Unusable,
}

impl InputFault {
    pub(super) fn malformed(name: &str, input: &Input) -> Self {
        Self::Malformed { name: name.to_owned(), example: input.example.clone() }
    }

    pub(super) fn missing(name: &str, input: &Input) -> Self {
        Self::Missing { name: name.to_owned(), example: input.example.clone() }
    }

    pub(super) fn unknown(name: &str, inputs: &BTreeMap<String, Input>) -> Self {
        let each: Vec<String> =
            inputs.iter().map(|(name, input)| format!("'{name}', for example \"{}\"", input.example)).collect();
        let known = match &each[..] {
            [] => "the provider's base URL has none".to_owned(),
            each => format!("there is {}", each.join("; ")),
        };
        Self::Unknown { name: name.to_owned(), known }
    }

    /// Returns the name of the faulty input, if there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Missing { name, .. } | Self::Malformed { name, .. } | Self::Unknown { name, .. } => Some(name),
            Self::Unusable => None,
        }
    }
}

impl Input {
    /// Returns the value in the form that is kept, if it is legal. A provider may send a URL that
    /// has only a host (`https://accounts.zoho.eu`).
    pub fn taken(&self, value: &str) -> Option<String> {
        let fits = !value.is_empty() && value.len() <= LONGEST && !value.chars().any(char::is_control);
        let matches = fits && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(value));
        match &self.hosts {
            _ if !matches => None,
            Some(_) => self.listed_host(value),
            None => Some(value.to_owned()),
        }
    }

    /// Returns the value as a host in lower case, if the list has it.
    pub(super) fn listed_host(&self, value: &str) -> Option<String> {
        let bare = value.strip_prefix("https://").map_or(value, |host| host.strip_suffix('/').unwrap_or(host));
        let host = bare.to_ascii_lowercase();
        let listed = |pattern: &String| match pattern.strip_prefix("*.") {
            Some(domain) => host
                .strip_suffix(domain)
                .and_then(|start| start.strip_suffix('.'))
                .is_some_and(|start| label(start).is_some()),
            None => *pattern == host,
        };
        // The list was checked with the entry. A value that is not a host name is rejected even if
        // it is listed.
        let is_name = host.split('.').all(|part| label(part).is_some());
        (is_name && self.hosts.as_ref()?.iter().any(listed)).then_some(host)
    }
}

/// Returns the value in lower case if it is one label of a host name (RFC 1123 §2.1).
pub(in crate::catalog) fn label(value: &str) -> Option<String> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let good =
        (1..=63).contains(&value.len()) && value.bytes().all(legal) && !value.starts_with('-') && !value.ends_with('-');
    good.then(|| value.to_ascii_lowercase())
}

/// A regular expression that the whole of a value matches.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Pattern {
    text: String,
    #[serde(skip)]
    whole: regex_lite::Regex,
}

impl Pattern {
    /// Returns the expression as the entry has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the whole of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let whole = regex_lite::RegexBuilder::new(&format!(r"\A(?:{text})\z")).size_limit(1 << 16).build();
        let whole = whole.map_err(|error| de::Error::custom(format!("not a pattern: {error}")))?;
        Ok(Self { text, whole })
    }
}
