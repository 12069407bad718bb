//! From a file, the environment and the command line to a [`Config`], or to every fault at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Value;

use super::backup::backup;
use super::document::{self, Document};
use super::environment::Environment;
use super::fault::{ConfigErrors, Finding, Place};
use super::reader::Reader;
use super::secret_source::{SecretReader, SecretSource};
use super::settings::{Config, EntryPatch, ProviderSettings, Unlock, VaultSettings};
use super::show::shown;
use super::trusted_issuers::trusted_issuers;
use super::unknown::unknown_keys;
use super::{layers, sections, warnings};
use crate::id::ProviderName;
use crate::jose::SigningKey;

/// Where the settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that `--config` names; `None`: the first that is found of `./strongroom.toml`,
    /// `$XDG_CONFIG_HOME/strongroom/strongroom.toml` and `/etc/strongroom/strongroom.toml`.
    pub file: Option<PathBuf>,
    /// The vault that `--vault` names, relative to the current folder.
    pub vault: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
}

/// What is to be done about the clients' secrets: a short command may run where they cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSecrets {
    /// They are not needed.
    Leave,
    /// Those that can be read are read; each other one is a warning.
    Try,
    /// Each one that cannot be read is a fault.
    Require,
}

impl Config {
    /// Reads the settings. Every fault is reported at once.
    pub fn load(sources: &Sources, client_secrets: ClientSecrets) -> Result<Self, ConfigErrors> {
        let current = std::path::absolute(".").unwrap_or_else(|_| PathBuf::from("."));
        let vault = sources.vault.as_ref().map(|path| current.join(path));
        let (path, text) = match find(sources) {
            Ok(Some((path, text))) => (Some(path), text),
            Ok(None) => (None, String::new()),
            Err(fault) => return Err(ConfigErrors(vec![fault])),
        };
        let folder =
            path.as_deref().and_then(Path::parent).map_or_else(|| current.clone(), |folder| current.join(folder));
        let input = Input { text: &text, path, folder, vault, environment: sources.environment.clone() };
        build(input, client_secrets)
    }

    /// Reads settings from a text, without an environment; relative paths are relative to `folder`.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, ConfigErrors> {
        let none: [(String, String); 0] = [];
        let input = Input {
            text,
            path: Some(folder.join("strongroom.toml")),
            folder: folder.to_owned(),
            vault: None,
            environment: Environment::given(none),
        };
        build(input, ClientSecrets::Require)
    }
}

/// For the property tests and the fuzz targets: reads a text as [`Config::from_toml`] does, and no secret; so nothing is run.
#[cfg(any(test, fuzzing))]
pub(crate) fn without_secrets(text: &str, folder: &Path) -> Result<Config, ConfigErrors> {
    let none: [(String, String); 0] = [];
    let (path, folder) = (Some(folder.join("strongroom.toml")), folder.to_owned());
    let environment = Environment::given(none);
    build(Input { text, path, folder, vault: None, environment }, ClientSecrets::Leave)
}

/// The file that is to be read, and its text.
fn find(sources: &Sources) -> Result<Option<(PathBuf, String)>, Finding> {
    if let Some(path) = &sources.file {
        return match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some((path.clone(), text))),
            Err(error) => Err(unreadable(path, &error)),
        };
    }
    let environment = &sources.environment;
    let home =
        || environment.get("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".config"));
    let user = environment.get("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from).or_else(home);
    let candidates = [
        Some(PathBuf::from("strongroom.toml")),
        user.map(|folder| folder.join("strongroom/strongroom.toml")),
        Some(PathBuf::from("/etc/strongroom/strongroom.toml")),
    ];
    for path in candidates.into_iter().flatten() {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Ok(None)
}

fn unreadable(path: &Path, error: &io::Error) -> Finding {
    let place = Place::File { path: path.to_owned(), line: 1 };
    Finding::new(place, "", format!("the configuration cannot be read: {error}; name another file with --config"))
}

/// What the settings say about providers' entries, even where something else in them is wrong: so that the faults of
/// the entries can be told together with the others.
pub fn provider_entries(sources: &Sources) -> BTreeMap<ProviderName, EntryPatch> {
    let Ok(Some((path, text))) = find(sources) else { return BTreeMap::new() };
    let (mut file, _) = document::parse(&text, &path);
    let mut variables = layers::environment(&sources.environment);
    misnamed_providers(&mut file);
    misnamed_providers(&mut variables);
    let Ok(merged) = layers::merge(vec![file, variables]) else { return BTreeMap::new() };
    let mut reader = Reader::new(merged, Path::new(""), Vec::new());
    sections::providers(&mut reader).into_iter().map(|(name, provider)| (name, provider.entry)).collect()
}

struct Input<'t> {
    text: &'t str,
    path: Option<PathBuf>,
    folder: PathBuf,
    vault: Option<PathBuf>,
    environment: Environment,
}

fn build(input: Input<'_>, client_secrets: ClientSecrets) -> Result<Config, ConfigErrors> {
    let (mut file, syntax) = document::parse(input.text, input.path.as_deref().unwrap_or(Path::new("")));
    let mut variables = layers::environment(&input.environment);
    let mut faults: Vec<Finding> = Vec::new();
    for layer in [&mut file, &mut variables] {
        faults.extend(misnamed_providers(layer));
        faults.extend(unknown_keys(layer));
    }
    let stack = vec![layers::defaults(), file, variables, layers::command_line(input.vault.as_deref())];
    let merged = layers::merge(stack).map_err(|fault| ConfigErrors(vec![fault]))?;

    let mut reader = Reader::new(merged, &input.folder, faults);
    let (server, vault) = (sections::server(&mut reader), sections::vault(&mut reader));
    let audit = sections::audit(&mut reader);
    let (oauth, egress) = (sections::oauth(&mut reader), sections::egress(&mut reader));
    let backup = backup(&mut reader);
    let mut providers = sections::providers(&mut reader);
    let trusted_issuers = trusted_issuers(&mut reader);
    let mut warnings = Vec::new();
    let secrets = SecretReader::new(input.environment, variables_with_secrets(vault.as_ref(), &providers));
    read_client_secrets(&mut providers, &secrets, client_secrets, &mut reader, &mut warnings);

    let shown = shown(reader.settings());
    let faults = in_order(syntax, std::mem::take(&mut reader.faults));
    let (Some(server), Some(vault), Some(oauth), true) = (server, vault, oauth, faults.is_empty()) else {
        return Err(ConfigErrors(faults));
    };
    let file = input.path;
    let mut config = Config {
        server,
        vault,
        backup,
        audit,
        oauth,
        egress,
        providers,
        trusted_issuers,
        file,
        warnings,
        secrets,
        shown,
    };
    let found = warnings::of(&config, &reader);
    config.warnings.extend(found);
    config.warnings.sort();
    Ok(config)
}

/// Takes providers out whose name is none.
fn misnamed_providers(layer: &mut Document) -> Vec<Finding> {
    let Some(Value::Table(providers)) = layer.table.get_mut("providers") else { return Vec::new() };
    let misnamed: Vec<String> =
        providers.keys().filter(|name| name.parse::<ProviderName>().is_err()).cloned().collect();
    let mut faults = Vec::new();
    for name in misnamed {
        providers.remove(&name);
        let key = format!("providers.{name}");
        let place = layer.places.get(&key).cloned().unwrap_or(Place::Default);
        faults.push(Finding::new(place, key, crate::id::IdError::ProviderName.to_string()));
    }
    faults
}

/// The variables that hold secrets: no command that is run inherits them.
fn variables_with_secrets(
    vault: Option<&VaultSettings>,
    providers: &BTreeMap<ProviderName, ProviderSettings>,
) -> BTreeSet<String> {
    let unlock = match vault.map(|vault| &vault.unlock) {
        Some(Unlock::MasterKey(source) | Unlock::Passphrase(source)) => Some(source),
        _ => None,
    };
    let clients = providers.values().flat_map(|provider| provider.secret_sources().map(|(_, source)| source));
    let names = unlock.into_iter().chain(clients).filter_map(|source| match source {
        SecretSource::Variable(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

fn read_client_secrets(
    providers: &mut BTreeMap<ProviderName, ProviderSettings>,
    secrets: &SecretReader,
    wanted: ClientSecrets,
    reader: &mut Reader,
    warnings: &mut Vec<Finding>,
) {
    if wanted == ClientSecrets::Leave {
        return;
    }
    let mut amiss = |key: String, message: String| {
        if wanted == ClientSecrets::Require {
            reader.fault(&key, message);
        } else {
            warnings.push(Finding::new(reader.place(&key), key, message));
        }
    };
    for (name, provider) in providers {
        for (key, source) in &provider.client_secret_sources {
            match secrets.read(source) {
                Ok(secret) => provider.client_secrets.push(secret),
                Err(fault) => amiss(format!("providers.{name}.{key}"), fault.to_string()),
            }
        }
        let Some(source) = &provider.client_key_source else { continue };
        let read = secrets.read(source).map_err(|fault| fault.to_string());
        let key = read.and_then(|pem| SigningKey::from_pem(pem.expose()).map_err(|fault| format!("{source}: {fault}")));
        match key {
            Ok(key) => {
                let id = provider.client_key_id.clone().unwrap_or_else(|| key.id().to_owned());
                provider.client_key = Some(Arc::new(key.with_id(id)));
            }
            Err(message) => amiss(format!("providers.{name}.client_key"), message),
        }
    }
}

/// The faults in the order of the file, each once. Where a line is no TOML, that says it all.
fn in_order(syntax: Vec<Finding>, others: Vec<Finding>) -> Vec<Finding> {
    let broken: BTreeSet<Place> = syntax.iter().map(|fault| fault.place.clone()).collect();
    let mut faults = syntax;
    faults.extend(others.into_iter().filter(|fault| !broken.contains(&fault.place)));
    faults.sort();
    faults.dedup();
    faults
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
