//! Properties of the configuration's text.

use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use crate::catalog::Catalog;
use crate::config::{Config, ConfigErrors, Location, without_secrets};
use crate::property::SECRET;

/// A folder that does not exist, so that no named file is read.
const FOLDER: &str = "/no/such/folder";

/// Reads settings: they are within their bounds or every fault has a line, no secret is shown, and
/// the output of `config show` means the same when it is read again.
pub fn config(text: &str) {
    if text.contains(SECRET) {
        return;
    }
    if let Ok(config) = read(text) {
        is_within_bounds(&config);
        shown_means_the_same(&config);
    }
    let Ok(table) = toml::from_str::<Table>(text) else { return };
    hides_a_secret(&format!("{text}\nclient_secret = \"{SECRET}\"\n"));
    // The secret is also hidden if a line breaks behind it or inside it.
    hides_a_secret(&format!("{text}\nclient_secret = \"{SECRET}\"\n= 1\n"));
    hides_a_secret(&format!("{text}\nclient_secret = \"{SECRET}\n"));
    if let Some(planted) = planted(table) {
        hides_a_secret(&planted);
    }
}

fn read(text: &str) -> Result<Config, ConfigErrors> {
    let read = without_secrets(text, Path::new(FOLDER));
    let lines = text.split('\n').count();
    match &read {
        Err(errors) => have_places(errors, lines),
        Ok(config) => {
            have_places(&ConfigErrors(config.warnings.clone()), lines);
            let patches = config.providers.iter().map(|(name, provider)| (name, &provider.entry));
            if let Err(errors) = Catalog::build(patches.filter(|(_, entry)| !entry.values.is_empty())) {
                have_places(&errors, lines);
            }
        }
    }
    read
}

/// Asserts that each fault is one printable line and names a line of the file.
fn have_places(errors: &ConfigErrors, lines: usize) {
    for fault in &errors.0 {
        let shown = fault.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(!fault.message.is_empty());
        if let Location::File { path, line } = &fault.location {
            // A catalogue entry has its own lines.
            assert!(*line >= 1 && (*line <= lines || !path.starts_with(FOLDER)), "{fault}");
        }
    }
    assert!(errors.0.is_sorted());
}

fn is_within_bounds(config: &Config) {
    const DAY: Duration = Duration::from_secs(86_400);
    assert!((Duration::from_secs(1)..=DAY).contains(&config.oauth.state_ttl));
    assert!((Duration::from_secs(1)..=DAY * 365).contains(&config.oauth.unclear_refusals_after));
    assert!(config.vault.revoke_retry <= DAY * 365 && config.vault.verify_every <= DAY * 365);
    assert!(config.vault.ballast <= 1 << 30 && !config.vault.accept_rollback);
    assert!((1..=1_000_000).contains(&config.server.max_connections));
    let limits = &config.limits;
    assert!(limits.body_memory >= 1 << 20 && limits.body_memory_per_key >= 1 << 20);
    assert!(limits.credentials_per_user >= 1 && limits.bytes_per_user >= 1 << 20);
    assert!(limits.waiting >= 1 && limits.waiting_per_key >= 1 && limits.secrets_burst >= 1);
    assert!(config.server.shutdown_grace <= Duration::from_secs(3600));
    assert!(config.vault.path.is_absolute());
    let base = &config.server.base_path;
    assert!(base.is_empty() || (base.starts_with('/') && !base.ends_with('/')), "{base:?}");
    let public = &config.server.public_url;
    assert!(matches!(public.scheme(), "http" | "https") && public.username().is_empty(), "{public}");
    for issuer in config.trusted_issuers.values() {
        assert!(!issuer.audience.is_empty() && !issuer.algorithms.is_empty());
    }
}

/// Asserts that no text about valid or invalid settings contains the secret.
fn hides_a_secret(text: &str) {
    match read(text) {
        Err(errors) => assert!(!errors.to_string().contains(SECRET), "{errors}"),
        Ok(config) => {
            for shown in &config.shown {
                assert!(!shown.value.to_string().contains(SECRET), "{}", shown.key);
            }
            for warning in &config.warnings {
                assert!(!warning.to_string().contains(SECRET), "{warning}");
            }
        }
    }
}

/// Returns the settings with the secret in every place that accepts one.
fn planted(mut table: Table) -> Option<String> {
    let secret = || Value::from(SECRET);
    for (section, key) in [("vault", "master_key"), ("vault", "passphrase")] {
        if let Some(Value::Table(section)) = table.get_mut(section)
            && section.contains_key(key)
        {
            section.insert(key.to_owned(), secret());
        }
    }
    if let Some(Value::Table(providers)) = table.get_mut("providers") {
        for (_, provider) in providers.iter_mut() {
            let Some(provider) = provider.as_table_mut() else { continue };
            provider.insert("client_secret".to_owned(), secret());
            provider.insert("client_key".to_owned(), secret());
            let command = Table::from_iter([("command".to_owned(), Value::from(vec![Value::from("x"), secret()]))]);
            provider.insert("client_secrets".to_owned(), Value::from(vec![secret(), Value::from(command)]));
        }
    }
    toml::to_string(&table).ok()
}

/// Asserts that shown settings read and show the same again.
fn shown_means_the_same(config: &Config) {
    let mut table = Table::new();
    for shown in config.shown.iter().filter(|shown| shown.location != Location::Default) {
        if !put(&mut table, &shown.key, shown.value.clone()) {
            return;
        }
    }
    let Ok(text) = toml::to_string(&table) else { return };
    let again = read(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let pairs = |config: &Config| -> Vec<String> {
        config.shown.iter().map(|shown| format!("{} = {}", shown.key, shown.value)).collect()
    };
    assert_eq!(pairs(&again), pairs(config), "{text}");
}

/// Sets a key; returns false if the table has no place for it. A key with a dot in a name looks
/// like two names.
fn put(table: &mut Table, key: &str, value: Value) -> bool {
    match key.split_once('.') {
        None => !key.is_empty() && table.insert(key.to_owned(), value).is_none(),
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            inner.as_table_mut().is_some_and(|inner| put(inner, rest, value))
        }
    }
}
