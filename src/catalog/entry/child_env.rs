//! Variables that `strongroom run` gives to a command: the URL of the path proxy in the place of the
//! provider's own, and a placeholder in the place of a secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::id::CredentialId;

/// Characters of a placeholder.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Number of varying characters. Fewer could be the same for two credentials.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=128;

/// The shape of a provider's secrets: a fixed text and a number of letters and digits, as in
/// `ghp_{36}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceholderPattern {
    before: String,
    length: usize,
    after: String,
}

impl PlaceholderPattern {
    /// Returns the placeholder of a credential. It is always the same one, and is not a secret.
    pub fn fill(&self, credential: &CredentialId) -> String {
        let digests = (0_u8..).map(|block| Sha256::digest(format!("strongroom placeholder {credential} {block}")));
        let bytes = digests.flat_map(|digest| digest.to_vec()).take(self.length);
        let varying: String = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])).collect();
        format!("{}{varying}{}", self.before, self.after)
    }
}

impl Default for PlaceholderPattern {
    fn default() -> Self {
        Self { before: "strongroom_".to_owned(), length: 32, after: String::new() }
    }
}

impl FromStr for PlaceholderPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (before, rest) = text.split_once('{')?;
            let (length, after) = rest.split_once('}')?;
            let is_fixed = |part: &str| part.bytes().all(|c| c.is_ascii_graphic() && c != b'{' && c != b'}');
            let length = length.parse().ok().filter(|length| LENGTHS.contains(length))?;
            (is_fixed(before) && is_fixed(after)).then(|| (before.to_owned(), length, after.to_owned()))
        };
        let (before, length, after) = parts().ok_or(
            "not a placeholder: a text with the number of letters and digits in braces, 16 to 128, as in 'ghp_{36}'",
        )?;
        Ok(Self { before, length, after })
    }
}

impl fmt::Display for PlaceholderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{{}}}{}", self.before, self.length, self.after)
    }
}

/// The value of a variable, with `{proxy}` and `{placeholder}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableTemplate(String);

impl VariableTemplate {
    /// Returns the value: `proxy` is the URL that stands for the credential's base URL.
    pub fn fill(&self, proxy: &str, placeholder: &str) -> String {
        self.0.replace("{proxy}", proxy).replace("{placeholder}", placeholder)
    }
}

impl FromStr for VariableTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fixed = text.replace("{proxy}", "").replace("{placeholder}", "");
        if fixed.len() == text.len() || fixed.contains(['{', '}']) {
            return Err("not a value of a variable: it has {proxy} or {placeholder} in it, and no other braces".into());
        }
        if !fixed.bytes().all(|c| c.is_ascii_graphic()) {
            return Err("not a value of a variable: visible ASCII characters without spaces".into());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for VariableTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PlaceholderPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlaceholderPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for VariableTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VariableTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_has_the_shape_and_is_stable() {
        let pattern: PlaceholderPattern = "ghp_{36}".parse().unwrap();
        let id = |text: &str| text.parse().unwrap();
        let (one, other) = (id("3f2b8c1e-0000-4000-8000-000000000000"), id("3f2b8c1e-0000-4000-8000-000000000001"));
        let placeholder = pattern.fill(&one);
        assert_eq!(placeholder.len(), 40);
        assert!(placeholder.starts_with("ghp_") && placeholder[4..].bytes().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(placeholder, pattern.fill(&one));
        assert_ne!(placeholder, pattern.fill(&other));
        assert_eq!("a{128}b".parse::<PlaceholderPattern>().unwrap().fill(&one).len(), 130);
        assert_eq!(pattern.to_string(), "ghp_{36}");
        for text in ["ghp_", "ghp_{8}", "ghp_{200}", "{}", "{x}", "a{16}{16}", "a b{16}", "a}{16}"] {
            assert!(text.parse::<PlaceholderPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn variable_is_filled() {
        let value = |text: &str| text.parse::<VariableTemplate>().map(|value| value.fill("http://p/x", "ghp_1"));
        assert_eq!(value("{proxy}@a.example/v1").unwrap(), "http://p/x@a.example/v1");
        assert_eq!(value("{placeholder}").unwrap(), "ghp_1");
        for text in ["", "fixed", "{proxy} x", "{prxy}", "{proxy}{x}", "{placeholder}\n"] {
            assert!(value(text).is_err(), "{text}");
        }
    }
}
