//! The layers of the settings, the later over the earlier: defaults, file, environment, command
//! line. figment merges them, and its tags say which layer each value comes from.

use std::path::Path;

use figment::value::{Dict, Map as Profiles, Value as Tagged};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::{Map, Value, json};

use super::document::Document;
use super::environment::Environment;
use super::finding::{Finding, Location};
use super::table::{SETTINGS, Takes, is_section, setting};

const PREFIX: &str = "STRONGROOM_";

/// One layer, as figment takes it.
struct Layer<'d>(usize, &'d Document);

impl Provider for Layer<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.to_string())
    }

    fn data(&self) -> Result<Profiles<Profile, Dict>, figment::Error> {
        let values = Tagged::serialize(&self.1.values)?;
        Ok(Profile::Default.collect(values.into_dict().unwrap_or_default()))
    }
}

/// Lays the layers over each other: the values in force, and where each of them was written.
pub(super) fn merge(layers: &mut [Document]) -> Result<Document, Finding> {
    replace_secrets(layers);
    let providers = layers.iter().enumerate().map(|(at, document)| Layer(at, document));
    let figment = providers.fold(Figment::new(), Figment::merge);
    // figment's own message would show the value.
    let cannot = || Finding::new(Location::Default, "", "the layers of the settings cannot be merged");
    let mut profiles = figment.data().map_err(|_| cannot())?;
    let tagged = Tagged::from(profiles.remove(&Profile::Default).unwrap_or_default());
    let Ok(Value::Object(values)) = serde_json::to_value(&tagged) else { return Err(cannot()) };
    let mut merged = Document { values, ..Document::default() };
    for (at, layer) in layers.iter().enumerate() {
        let layer_of = |key: &str| Some(&figment.get_metadata(tagged.find_ref(key)?.tag())?.name);
        let is_in_force = |key: &str| {
            let setting = key.split('[').next().unwrap_or(key);
            layer_of(setting).is_some_and(|name| **name == at.to_string())
        };
        let written = layer.locations.iter().filter(|(key, _)| is_in_force(key));
        merged.locations.extend(written.map(|(key, location)| (key.clone(), location.clone())));
    }
    Ok(merged)
}

/// Takes each secret that a layer has out of the layers below it: figment joins tables, and
/// `{ env = … }` over `{ file = … }` must not become both.
fn replace_secrets(layers: &mut [Document]) {
    let is_secret =
        |key: &&String| setting(key).is_some_and(|setting| matches!(setting.takes, Takes::Secret | Takes::Secrets));
    for at in 1..layers.len() {
        let (below, above) = layers.split_at_mut(at);
        for key in above[0].locations.keys().filter(is_secret) {
            for layer in &mut *below {
                remove(&mut layer.values, key);
            }
        }
    }
}

fn remove(values: &mut Map<String, Value>, key: &str) {
    match key.split_once('.') {
        None => drop(values.remove(key)),
        Some((section, rest)) => {
            if let Some(Value::Object(inner)) = values.get_mut(section) {
                remove(inner, rest);
            }
        }
    }
}

/// Keeps only these sections and keys of a layer.
pub(super) fn keep(layer: &mut Document, keys: &[&str]) {
    let mut kept = Map::new();
    for key in keys {
        if let Some(value) = value_at(&layer.values, key) {
            insert(&mut kept, key, value.clone());
        }
    }
    layer.values = kept;
    let is_of = |key: &str, kept: &str| {
        key.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    layer.locations.retain(|key, _| keys.iter().any(|kept| is_of(key, kept)));
}

/// The defaults of the table of settings.
pub(super) fn defaults() -> Document {
    let mut document = Document::default();
    for setting in SETTINGS {
        if let Some(value) = setting.default.and_then(inline) {
            insert(&mut document.values, setting.key, value);
            document.locations.insert(setting.key.to_owned(), Location::Default);
        }
    }
    document
}

/// The environment's settings: `STRONGROOM_SECTION__KEY`. Variables without `__` are not settings.
pub(super) fn environment(environment: &Environment) -> Document {
    let mut document = Document::default();
    for (name, text) in environment.beginning_with(PREFIX) {
        let rest = &name[PREFIX.len()..];
        if rest.contains("__") {
            let key = rest.to_lowercase().replace("__", ".");
            insert(&mut document.values, &key, read_variable(&key, &name, &text));
            document.locations.insert(key, Location::Variable(name));
        }
    }
    document
}

/// The command line's setting: `--vault FILE`.
pub(super) fn command_line(vault: Option<&Path>) -> Document {
    let mut document = Document::default();
    if let Some(path) = vault {
        insert(&mut document.values, "vault.path", Value::from(path.to_string_lossy()));
        document.locations.insert("vault.path".to_owned(), Location::Option("--vault"));
    }
    document
}

/// Takes out of a layer what would replace a whole section: a section that is written as a value.
pub(super) fn sections_as_values(layer: &mut Document) -> Vec<Finding> {
    let mut found = Vec::new();
    for (key, location) in &layer.locations {
        if is_section(key) && value_at(&layer.values, key).is_some_and(|value| !value.is_object()) {
            remove(&mut layer.values, key);
            let message = format!("this is a section; write [{key}] and its settings below");
            found.push(Finding::new(location.clone(), key, message));
        }
    }
    found
}

fn value_at<'v>(values: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    let mut names = key.split('.');
    let first = values.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// Reads a variable as what its setting takes. The checks come later and name the variable.
fn read_variable(key: &str, name: &str, text: &str) -> Value {
    let as_text = || Value::from(text);
    // A secret in a variable stays there until it is needed.
    let in_variable = || json!({ "env": name });
    let list = || inline(text).filter(Value::is_array);
    match setting(key).map(|setting| setting.takes) {
        Some(Takes::Secret) if key == "vault.passphrase" && matches!(text, "prompt" | "stdin") => as_text(),
        Some(Takes::Secret) => source_in(text).unwrap_or_else(in_variable),
        Some(Takes::Secrets) => list().unwrap_or_else(|| json!([source_in(text).unwrap_or_else(in_variable)])),
        Some(Takes::Switch) => text.parse().map_or_else(|_| as_text(), Value::Bool),
        Some(Takes::Number) => text.parse::<i64>().map_or_else(|_| as_text(), Value::from),
        Some(Takes::List) => list().unwrap_or_else(|| {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
        }),
        Some(Takes::ProxyUrl | Takes::Text | Takes::Word(_) | Takes::Duration | Takes::Path) => as_text(),
        // The catalogue knows the types of an entry's keys. TOML decides here, except about
        // numbers: a client id of digits is a text.
        None => inline(text)
            .filter(|value| value.is_boolean() || value.is_array() || value.is_object())
            .unwrap_or_else(as_text),
    }
}

/// A source such as `{ file = "…" }`; a secret that happens to begin with a brace is not one.
fn source_in(text: &str) -> Option<Value> {
    let value = inline(text)?;
    let source = value.as_object().filter(|table| table.len() == 1)?;
    source.keys().all(|kind| ["file", "env", "credential", "command"].contains(&kind.as_str())).then_some(value)
}

/// Reads one TOML value.
pub(super) fn inline(text: &str) -> Option<Value> {
    let (mut document, faults) = super::document::parse(&format!("value = {text}"), Path::new(""));
    document.values.remove("value").filter(|_| faults.is_empty() && document.values.is_empty())
}

fn insert(values: &mut Map<String, Value>, key: &str, value: Value) {
    let Some((section, rest)) = key.split_once('.') else {
        values.insert(key.to_owned(), value);
        return;
    };
    let inner = values.entry(section).or_insert_with(|| json!({}));
    if !inner.is_object() {
        *inner = json!({});
    }
    if let Value::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_toml() {
        for setting in SETTINGS {
            assert!(setting.default.is_none_or(|text| inline(text).is_some()), "{}", setting.key);
        }
    }

    #[test]
    fn variables_are_read_by_the_type_of_their_setting() {
        let variables = Environment::given([
            ("STRONGROOM_SERVER__LISTEN", "8484"),
            ("STRONGROOM_SERVER__MAX_CONNECTIONS", "7"),
            ("STRONGROOM_OAUTH__REQUIRE_ISS", "true"),
            ("STRONGROOM_OAUTH__CALLBACK_ORIGINS", "https://a.example, https://b.example"),
            ("STRONGROOM_EGRESS__ALLOW", "[\"10.0.0.0/8\"]"),
            ("STRONGROOM_VAULT__MASTER_KEY", "hunter2"),
            ("STRONGROOM_PROVIDERS__GITHUB__CLIENT_SECRET", "{ file = \"x\" }"),
            ("STRONGROOM_PROVIDERS__ACME__OAUTH__PKCE", "false"),
            ("STRONGROOM_PROVIDERS__ACME__DISPLAY_NAME", "42"),
            ("STRONGROOM_PORT", "tcp://10.0.0.1:80"),
        ]);
        let expected = json!({
            "server": {"listen": "8484", "max_connections": 7},
            "oauth": {"require_iss": true, "callback_origins": ["https://a.example", "https://b.example"]},
            "egress": {"allow": ["10.0.0.0/8"]},
            "vault": {"master_key": {"env": "STRONGROOM_VAULT__MASTER_KEY"}},
            "providers": {
                "github": {"client_secret": {"file": "x"}},
                "acme": {"display_name": "42", "oauth": {"pkce": false}},
            },
        });
        assert_eq!(Value::Object(environment(&variables).values), expected);
    }

    #[test]
    fn a_later_layer_replaces_a_setting_whole() {
        let (file, _) = super::super::document::parse(
            "[vault]\nmaster_key = { file = \"a\" }\npath = \"p\"\n[providers.x.oauth]\na = 1\nb = 1\n",
            Path::new("f"),
        );
        let variables = Environment::given([
            ("STRONGROOM_VAULT__MASTER_KEY", "{ command = [\"c\"] }"),
            ("STRONGROOM_PROVIDERS__X__OAUTH__B", "true"),
        ]);
        let merged = merge(&mut [defaults(), file, environment(&variables)]).unwrap();
        assert_eq!(merged.values["vault"]["master_key"], json!({"command": ["c"]}));
        assert_eq!(merged.values["vault"]["path"], json!("p"));
        assert_eq!(merged.values["providers"]["x"]["oauth"], json!({"a": 1, "b": true}));
        let location = |key: &str| &merged.locations[key];
        assert_eq!(*location("vault.master_key"), Location::Variable("STRONGROOM_VAULT__MASTER_KEY".into()));
        assert_eq!(*location("vault.path"), Location::File { path: "f".into(), line: 3 });
        assert_eq!(*location("server.listen"), Location::Default);
        assert!(!merged.locations.contains_key("vault.master_key.file"));
    }

    #[test]
    fn a_section_written_as_a_value_is_a_fault() {
        let (mut file, _) = super::super::document::parse("server = 1\noauth.x = 1\nproviders.x = 2\n", Path::new("f"));
        let keys: Vec<_> = sections_as_values(&mut file).into_iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["providers.x", "server"]);
        assert_eq!(Value::Object(file.values), json!({"oauth": {"x": 1}, "providers": {}}));
    }
}
