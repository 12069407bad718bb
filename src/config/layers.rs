//! The layers that settings come in, the later over the earlier: defaults, file, environment, command line.

use std::path::Path;

use figment::Figment;
use figment::providers::Serialized;
use toml::{Table, Value};

use super::document::Document;
use super::environment::Environment;
use super::fault::{Finding, Place};
use super::table::{SETTINGS, Takes, setting};

const PREFIX: &str = "STRONGROOM_";

/// Lays the layers over each other: what is in force, and where each key of it was written.
pub(super) fn merge(layers: Vec<Document>) -> Result<Document, Finding> {
    let mut merged = Document::default();
    let mut tables: Vec<Table> = Vec::new();
    for layer in layers {
        // A setting is replaced whole: `{ env = … }` over `{ file = … }` must not become both.
        for key in settings_in(&layer.table, "") {
            for table in &mut tables {
                remove(table, &key);
            }
            merged.places.retain(|written, _| !is_within(written, &key));
        }
        merged.places.extend(layer.places);
        tables.push(layer.table);
    }
    let figment = tables.into_iter().fold(Figment::new(), |figment, table| figment.merge(Serialized::defaults(table)));
    merged.table =
        figment.extract().map_err(|error| Finding::new(Place::Default, "", format!("cannot be merged: {error}")))?;
    Ok(merged)
}

/// The defaults of the table of settings.
pub(super) fn defaults() -> Document {
    let mut document = Document::default();
    for setting in SETTINGS {
        if let Some(default) = setting.default {
            let value = inline(default).expect("a test reads every default");
            insert(&mut document.table, setting.key, value);
            document.places.insert(setting.key.to_owned(), Place::Default);
        }
    }
    document
}

/// What the environment sets: `STRONGROOM_SECTION__KEY`. Variables without `__` are not settings.
pub(super) fn environment(environment: &Environment) -> Document {
    let mut document = Document::default();
    for (name, text) in environment.beginning_with(PREFIX) {
        let rest = &name[PREFIX.len()..];
        if !rest.contains("__") {
            continue;
        }
        let key = rest.to_lowercase().replace("__", ".");
        insert(&mut document.table, &key, read_variable(&key, &name, &text));
        document.places.insert(key, Place::Variable(name));
    }
    document
}

/// What the command line sets: `--vault FILE`.
pub(super) fn command_line(vault: Option<&Path>) -> Document {
    let mut document = Document::default();
    if let Some(path) = vault {
        insert(&mut document.table, "vault.path", Value::String(path.to_string_lossy().into_owned()));
        document.places.insert("vault.path".to_owned(), Place::Option("--vault"));
    }
    document
}

/// Reads a variable as what its setting takes; the checks come later, and name the variable.
fn read_variable(key: &str, name: &str, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match setting(key).map(|setting| setting.takes) {
        // A secret that stands in the variable stays there until it is needed.
        Some(Takes::Secret) => match source_in(text) {
            Some(source) => source,
            None if key == "vault.passphrase" && matches!(text, "prompt" | "stdin") => as_text(),
            None => Value::Table(Table::from_iter([("env".to_owned(), Value::String(name.to_owned()))])),
        },
        // A list of sources; anything else is one secret, which stays in its variable.
        Some(Takes::Secrets) => match inline(text) {
            Some(list @ Value::Array(_)) => list,
            _ => source_in(text).unwrap_or_else(|| {
                Value::Table(Table::from_iter([("env".to_owned(), Value::String(name.to_owned()))]))
            }),
        },
        Some(Takes::Switch) => text.parse().map_or_else(|_| as_text(), Value::Boolean),
        Some(Takes::Number) => text.parse().map_or_else(|_| as_text(), Value::Integer),
        Some(Takes::List) => match inline(text) {
            Some(list @ Value::Array(_)) => list,
            _ => {
                Value::Array(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect())
            }
        },
        Some(Takes::Text | Takes::Word(_) | Takes::Duration | Takes::Path) => as_text(),
        // A provider's entry: the catalogue knows what its keys take, so TOML decides, but for numbers.
        None => match inline(text) {
            Some(value @ (Value::Boolean(_) | Value::Array(_) | Value::Table(_))) => value,
            _ => as_text(),
        },
    }
}

/// A source such as `{ file = "…" }`; a secret that happens to begin with a brace is none.
fn source_in(text: &str) -> Option<Value> {
    match inline(text) {
        Some(Value::Table(table))
            if table.len() == 1
                && table.keys().all(|k| matches!(k.as_str(), "file" | "env" | "credential" | "command")) =>
        {
            Some(Value::Table(table))
        }
        _ => None,
    }
}

/// Reads one TOML value.
pub(super) fn inline(text: &str) -> Option<Value> {
    text.parse().ok()
}

/// The keys of the settings that the table sets.
fn settings_in(table: &Table, parent: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in table {
        let key = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        if setting(&key).is_some() {
            keys.push(key);
        } else if let Value::Table(inner) = value {
            keys.extend(settings_in(inner, &key));
        }
    }
    keys
}

/// Whether `written` is `key` or a part of it.
fn is_within(written: &str, key: &str) -> bool {
    written.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn remove(table: &mut Table, key: &str) {
    match key.split_once('.') {
        None => {
            table.remove(key);
        }
        Some((section, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                remove(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_environment(variables: &[(&str, &str)]) -> Table {
        environment(&Environment::given(variables.iter().copied())).table
    }

    #[test]
    fn every_default_is_toml() {
        for setting in SETTINGS {
            assert!(setting.default.is_none_or(|text| inline(text).is_some()), "{}", setting.key);
        }
    }

    #[test]
    fn variables_are_read_as_what_their_setting_takes() {
        let table = of_environment(&[
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
        let expected: Table = toml::from_str(
            "[server]\nlisten = \"8484\"\nmax_connections = 7\n[oauth]\nrequire_iss = true\n\
             callback_origins = [\"https://a.example\", \"https://b.example\"]\n[egress]\nallow = [\"10.0.0.0/8\"]\n\
             [vault]\nmaster_key = { env = \"STRONGROOM_VAULT__MASTER_KEY\" }\n\
             [providers.github]\nclient_secret = { file = \"x\" }\n\
             [providers.acme]\ndisplay_name = \"42\"\n[providers.acme.oauth]\npkce = false\n",
        )
        .unwrap();
        assert_eq!(table, expected);
    }

    #[test]
    fn a_later_layer_replaces_a_setting_whole_and_leaves_the_others() {
        let (file, _) = super::super::document::parse(
            "[vault]\nmaster_key = { file = \"a\" }\npath = \"p\"\n[providers.x.oauth]\na = 1\nb = 1\n",
            Path::new("f"),
        );
        let variables = Environment::given([
            ("STRONGROOM_VAULT__MASTER_KEY", "{ command = [\"c\"] }"),
            ("STRONGROOM_PROVIDERS__X__OAUTH__B", "true"),
        ]);
        let merged = merge(vec![defaults(), file, environment(&variables)]).unwrap();
        assert_eq!(merged.table["vault"]["master_key"], inline("{ command = [\"c\"] }").unwrap());
        assert_eq!(merged.table["vault"]["path"].as_str(), Some("p"));
        assert_eq!(merged.table["providers"]["x"]["oauth"], inline("{ a = 1, b = true }").unwrap());
        assert_eq!(merged.places["vault.master_key"], Place::Variable("STRONGROOM_VAULT__MASTER_KEY".into()));
        assert_eq!(merged.places["vault.path"], Place::File { path: "f".into(), line: 3 });
        assert_eq!(merged.places["server.listen"], Place::Default);
    }
}
