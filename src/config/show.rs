//! The settings for `config show`: each value with its location, secrets masked.

use serde_json::{Map, Value};
use url::Url;

use super::document::{Document, join, nearest};
use super::finding::Location;
use super::table::{SETTINGS, Takes, setting};

const MASK: &str = "********";

/// One setting and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its key.
    pub key: String,
    /// Its value; secrets in it are masked.
    pub value: toml::Value,
    /// The place where it was written.
    pub location: Location,
}

/// Returns every setting that has a value, in the order of the table, then those of the providers.
pub(super) fn shown(settings: &Document) -> Vec<Shown> {
    let mut leaves = Vec::new();
    collect(&settings.values, "", settings, &mut leaves);
    sort(&mut leaves);
    leaves
}

/// Puts values that `strongroom dev` makes itself in the place of those that were read.
pub fn show_of_dev(shown: &mut Vec<Shown>, made: Vec<(String, Value)>) {
    for (key, value) in made {
        let Ok(value) = toml::Value::try_from(&value) else { continue };
        if shown.iter().any(|one| one.key == key && one.value == value) {
            continue;
        }
        shown.retain(|one| one.key != key);
        shown.push(Shown { key, value, location: Location::Dev });
    }
    sort(shown);
}

/// Sorts the settings as the table lists them.
fn sort(leaves: &mut [Shown]) {
    let rank = |key: &str| SETTINGS.iter().position(|setting| setting.key == key).unwrap_or(SETTINGS.len());
    leaves.sort_by_cached_key(|leaf| (rank(&leaf.key), leaf.key.clone()));
}

fn collect(table: &Map<String, Value>, parent: &str, settings: &Document, leaves: &mut Vec<Shown>) {
    for (name, value) in table {
        let key = join(parent, name);
        let takes = setting(&key).map(|setting| setting.takes);
        match value {
            Value::Object(inner) if takes.is_none() => collect(inner, &key, settings, leaves),
            _ => {
                let value = match takes {
                    Some(Takes::Secret) => masked(value),
                    Some(Takes::ProxyUrl) => without_password(value),
                    Some(Takes::Secrets) => match value {
                        Value::Array(list) => Value::Array(list.iter().map(masked).collect()),
                        one => masked(one),
                    },
                    None if sounds_secret(name) => Value::from(MASK),
                    _ => value.clone(),
                };
                let location = nearest(&settings.locations, &key).cloned().unwrap_or(Location::Default);
                // JSON's null, a number that is not finite, is a fault and never shown.
                let Ok(value) = toml::Value::try_from(&value) else { continue };
                leaves.push(Shown { key, value, location });
            }
        }
    }
}

/// Masks the password of a URL. A text that is not a URL is masked as a whole.
fn without_password(value: &Value) -> Value {
    let Some(mut url) = value.as_str().and_then(|text| Url::parse(text).ok()) else { return Value::from(MASK) };
    let has_none = url.password().is_none();
    if has_none || url.set_password(Some(MASK)).is_err() {
        return if has_none { value.clone() } else { Value::from(MASK) };
    }
    Value::from(url.as_str())
}

/// Masks what may be a secret: an inline text, and a command's arguments.
fn masked(value: &Value) -> Value {
    match value {
        Value::String(word) if matches!(word.as_str(), "prompt" | "stdin") => value.clone(),
        Value::Object(table) => Value::Object(
            table
                .iter()
                .map(|(kind, value)| match value {
                    Value::Array(argv) => {
                        let program = argv.first().cloned().into_iter();
                        let hidden = argv.iter().skip(1).map(|_| Value::from(MASK));
                        (kind.clone(), Value::Array(program.chain(hidden).collect()))
                    }
                    other => (kind.clone(), other.clone()),
                })
                .collect(),
        ),
        _ => Value::from(MASK),
    }
}

/// Returns true if a key of a provider's entry (a parameter, a header) may hold a secret, by its
/// name.
fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["secret", "password", "passphrase", "authorization", "api_key", "api-key", "cookie"]
        .iter()
        .any(|word| name.contains(word))
}
