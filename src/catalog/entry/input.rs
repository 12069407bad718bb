//! A value from outside that a provider's URLs depend on: a customer's subdomain, the data centre that the callback
//! names, the instance that the token answer names.

use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest value that is taken, in bytes.
const LONGEST: usize = 253;

/// One value: who gives it, and what it can be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Who gives it.
    #[serde(default)]
    pub from: InputFrom,
    /// What it is called there, where that is not the input's own name; for a token answer also a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What the whole of it matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// The hosts that it can be: a name, or `*.name` for one label before it; `https://` before a host is taken off. Only with
    /// this list is it a whole host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// What it is where nobody gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// A good value, for whoever has to give one; the answer to a missing or malformed one (422) shows it.
    pub example: String,
}

/// Who gives the value of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFrom {
    /// Who calls us, at initiate.
    #[default]
    Caller,
    /// The provider, in the parameters of the callback.
    Callback,
    /// The provider, in the token answer.
    Token,
}

/// Why a value is not taken. The value itself is in no message: somebody may have put a secret there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputFault {
    /// Nobody gave it.
    #[error("'{name}' is missing; for example \"{example}\"")]
    Missing {
        /// The input.
        name: String,
        /// A good value.
        example: String,
    },
    /// It is not what the entry describes.
    #[error("'{name}' is malformed; for example \"{example}\"")]
    Malformed {
        /// The input.
        name: String,
        /// A good value.
        example: String,
    },
    /// With the values in it, the URL is none.
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

    /// The input that is at fault, where one is.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Missing { name, .. } | Self::Malformed { name, .. } => Some(name),
            Self::Unusable => None,
        }
    }
}

impl Input {
    /// The value in the one form that is kept, where the entry takes it. What a provider sends may be a URL with
    /// nothing but a host in it (`https://accounts.zoho.eu`).
    pub fn taken(&self, value: &str) -> Option<String> {
        let fits = !value.is_empty() && value.len() <= LONGEST && !value.chars().any(char::is_control);
        let matches = fits && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(value));
        match &self.hosts {
            _ if !matches => None,
            Some(_) => self.listed_host(value),
            None => Some(value.to_owned()),
        }
    }

    /// The host that the value is, in lower case, where the list has it.
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
        // The list was checked when the entry was; what is no host's name is none whoever lists it.
        let is_name = host.split('.').all(|part| label(part).is_some());
        (is_name && self.hosts.as_ref()?.iter().any(listed)).then_some(host)
    }
}

/// One label of a host's name (RFC 1123 §2.1), in lower case.
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
    /// The expression as the entry has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether all of `value` matches.
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
