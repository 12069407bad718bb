//! Reads the file, the environment and the command line into a [`Config`], or reports every fault
//! at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::document::{self, Document};
use super::environment::Environment;
use super::finding::{ConfigErrors, Finding, Location};
use super::listen::Listen;
use super::provider_settings::{EntryPatch, ProviderSettings};
use super::secret_source::{SecretReader, SecretSource};
use super::settings::{Config, EgressSettings, ServerSettings};
use super::show::shown;
use super::table::{Takes, nearest, setting};
use super::{layers, warnings};
use crate::egress::check_authorities;
use crate::id::{IssuerName, ProviderName};
use crate::jose::SigningKey;
use crate::validation::{self, Fault, Format, InputProblem};

/// The sources of the settings.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that `--config` names; `None`: the first that is found of `./strongroom.toml`,
    /// `$XDG_CONFIG_HOME/strongroom/strongroom.toml` and `/etc/strongroom/strongroom.toml`.
    pub file: Option<PathBuf>,
    /// The vault that `--vault` names, relative to the current folder.
    pub vault: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// Part of the file and of the environment that is read.
    pub part: Part,
}

/// Part of the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All settings.
    #[default]
    Whole,
    /// Those that `strongroom dev` takes: providers, callback origins and egress. All others keep
    /// their defaults. No file is searched for, and without a file the environment is not read.
    Providers,
}

impl Part {
    /// Sections and keys of [`Part::Providers`].
    const KEYS: [&str; 4] = ["providers", "catalog", "egress", "oauth.callback_origins"];

    /// Removes from both layers what this part does not have.
    fn restrict(self, file: &mut Document, variables: &mut Document, has_file: bool) {
        if self == Self::Providers {
            layers::keep(file, &Self::KEYS);
            layers::keep(variables, if has_file { &Self::KEYS } else { &[] });
        }
    }
}

/// Treatment of the clients' secrets: a short command may run without access to them.
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
        let (environment, part) = (sources.environment.clone(), sources.part);
        let input = Input { text: &text, path, folder, vault, environment, part };
        build(input, client_secrets)
    }

    /// Reads settings from a text, without an environment; relative paths are relative to `folder`.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, ConfigErrors> {
        build(Input::text(text, folder), ClientSecrets::Require)
    }
}

/// Reads a text as [`Config::from_toml`] does, but no secrets, so that the property tests and the
/// fuzz targets run no command.
#[cfg(any(test, fuzzing))]
pub(crate) fn without_secrets(text: &str, folder: &Path) -> Result<Config, ConfigErrors> {
    build(Input::text(text, folder), ClientSecrets::Leave)
}

/// Finds the file to read, and reads its text.
fn find(sources: &Sources) -> Result<Option<(PathBuf, String)>, Finding> {
    let variable = |name| sources.environment.get(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let user = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    let searched = [
        Some(PathBuf::from("strongroom.toml")),
        user.map(|folder| folder.join("strongroom/strongroom.toml")),
        Some(PathBuf::from("/etc/strongroom/strongroom.toml")),
    ];
    let candidates = match &sources.file {
        Some(named) => vec![named.clone()],
        None if sources.part == Part::Providers => Vec::new(),
        None => searched.into_iter().flatten().collect(),
    };
    for path in candidates {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error)
                if sources.file.is_none()
                    && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => {
                let message = format!("the configuration cannot be read: {error}; name another file with --config");
                return Err(Finding::new(Location::File { path, line: 1 }, "", message));
            }
        }
    }
    Ok(None)
}

/// Returns the settings of providers' entries, even if other settings are faulty, so
/// that the faults of the entries can be reported together with the others.
pub fn provider_entries(sources: &Sources) -> BTreeMap<ProviderName, EntryPatch> {
    let Ok(Some((path, text))) = find(sources) else { return BTreeMap::new() };
    let (mut file, mut variables) = (document::parse(&text, &path).0, layers::environment(&sources.environment));
    sources.part.restrict(&mut file, &mut variables, true);
    let mut layers = [file, variables];
    for layer in &mut layers {
        layers::sections_as_values(layer);
    }
    layers::merge(&mut layers).map(|mut merged| take_entries(&mut merged)).unwrap_or_default()
}

struct Input<'t> {
    text: &'t str,
    path: Option<PathBuf>,
    folder: PathBuf,
    vault: Option<PathBuf>,
    environment: Environment,
    part: Part,
}

impl<'t> Input<'t> {
    fn text(text: &'t str, folder: &Path) -> Self {
        let none: [(String, String); 0] = [];
        let (path, folder) = (Some(folder.join("strongroom.toml")), folder.to_owned());
        Self { text, path, folder, vault: None, environment: Environment::given(none), part: Part::Whole }
    }
}

fn build(input: Input<'_>, client_secrets: ClientSecrets) -> Result<Config, ConfigErrors> {
    let (mut file, syntax) = document::parse(input.text, input.path.as_deref().unwrap_or(Path::new("")));
    let (mut variables, options) =
        (layers::environment(&input.environment), layers::command_line(input.vault.as_deref()));
    input.part.restrict(&mut file, &mut variables, input.path.is_some());
    let mut layers = [layers::defaults(), file, variables, options];
    let mut faults: Vec<Finding> = layers.iter_mut().flat_map(layers::sections_as_values).collect();
    let mut merged = layers::merge(&mut layers).map_err(|fault| ConfigErrors(vec![fault]))?;
    let [defaults, ..] = layers;
    let shown = shown(&merged);
    let mut entries = take_entries(&mut merged);
    let Document { values, locations } = merged;
    let location = |key: &str| document::nearest(&locations, key).cloned().unwrap_or(Location::Default);

    let (mut values, defaults) = (Value::Object(values), Value::Object(defaults.values));
    let (config, found) = validation::read_over::<Config>(&values, Some(&defaults), Format::Toml);
    validation::wipe(&mut values);
    faults.extend(found.iter().map(|fault| Finding::new(location(&fault.key()), fault.key(), message(fault))));
    let Some(mut config) = config else { return Err(ConfigErrors(in_order(syntax, faults))) };
    faults.extend(finish(&mut config, &location));
    config.resolve(&input.folder);
    config.secrets = SecretReader::new(input.environment, variables_with_secrets(&config));
    let mut unread = read_client_secrets(&mut config.providers, &config.secrets, client_secrets, &location);
    unread.extend(read_proxy_password(&mut config, client_secrets, &location));
    unread.extend(unusable_authorities(&config, client_secrets, &location));
    if client_secrets == ClientSecrets::Require {
        faults.extend(unread);
    } else {
        config.warnings = unread;
    }
    let faults = in_order(syntax, faults);
    if !faults.is_empty() {
        return Err(ConfigErrors(faults));
    }
    for (name, provider) in &mut config.providers {
        provider.entry = entries.remove(name).unwrap_or_default();
    }
    config.file = input.path;
    config.shown = shown;
    let inadvisable = warnings::of(&config, location);
    config.warnings.extend(inadvisable);
    config.warnings.sort();
    Ok(config)
}

/// The keys of `[providers.NAME]` that do not belong to the provider's entry.
const CLIENT_KEYS: [&str; 13] = [
    "enabled",
    "exportable",
    "client_id",
    "client_secret",
    "client_secrets",
    "client_key",
    "client_key_id",
    "lend_client",
    "lend_scopes",
    "allow_private",
    "ca",
    "assume_s256",
    "legacy",
];

/// Takes the parts of `[providers.NAME]` that belong to the catalogue out of the settings. A key
/// that resembles one of ours stays: it is mistyped.
fn take_entries(settings: &mut Document) -> BTreeMap<ProviderName, EntryPatch> {
    let mut entries = BTreeMap::new();
    let Some(Value::Object(providers)) = settings.values.get_mut("providers") else { return entries };
    for (name, provider) in providers {
        let (Ok(parsed), Value::Object(provider)) = (name.parse::<ProviderName>(), provider) else { continue };
        // Of a short key, every other short one is only two letters away.
        let is_similar = |key: &str, ours: &str| ours.len() > 4 && strsim::damerau_levenshtein(key, ours) <= 2;
        let ours = |key: &str| CLIENT_KEYS.iter().any(|ours| key == *ours || is_similar(key, ours));
        let (client, values) = std::mem::take(provider).into_iter().partition(|(key, _)| ours(key));
        *provider = client;
        let section = format!("providers.{name}");
        let within = |key: &str| key.strip_prefix(&section)?.strip_prefix('.').map(str::to_owned);
        let mut locations: BTreeMap<String, Location> =
            settings.locations.iter().filter_map(|(key, at)| Some((within(key)?, at.clone()))).collect();
        // A section that begins with a sub-section ([providers.acme.oauth]) has no line of its own.
        let first = settings.locations.get(&section).or_else(|| locations.values().min()).cloned();
        locations.extend(first.map(|location| (String::new(), location)));
        entries.insert(parsed, EntryPatch { values, locations });
    }
    entries
}

/// The message of a fault, with what the table of settings knows of the key.
fn message(fault: &Fault) -> String {
    let key = fault.key();
    let takes = setting(key.trim_end_matches(|c: char| c == '[' || c == ']' || c.is_ascii_digit()))
        .map(|setting| setting.takes);
    match (&fault.problem, takes) {
        (InputProblem::UnknownField(_), _) => format!("unknown key; the nearest known one is {}", nearest(&key)),
        (InputProblem::WrongType(_, found), Some(takes)) if key.ends_with(']') => {
            format!("this is {found}; write {}", if takes == Takes::List { "a text in quotes" } else { "a secret" })
        }
        (InputProblem::WrongType(_, found), Some(takes)) => format!("this is {found}; {}", takes.advice()),
        (InputProblem::UnknownWord(..), Some(takes @ Takes::Word(_))) => takes.advice(),
        _ => fault.message(),
    }
}

/// Combines settings that depend on each other, and checks them against each other.
fn finish(config: &mut Config, location: &impl Fn(&str) -> Location) -> Vec<Finding> {
    let mut faults = Vec::new();
    let mut fault = |key: &str, message: String| faults.push(Finding::new(location(key), key, message));
    if let Some(passphrase) = config.vault.passphrase.take() {
        // A variable is over the file, so that a vault can be opened with another of its slots.
        let (key, phrase) = (location("vault.master_key"), location("vault.passphrase"));
        let is_variable = |at: &Location| matches!(at, Location::Variable(_));
        if is_variable(&phrase) || !is_variable(&key) {
            config.vault.unlock = passphrase;
        }
        if key != Location::Default && is_variable(&key) == is_variable(&phrase) {
            let message = "the vault is opened by vault.master_key or by vault.passphrase; take one of them out";
            fault("vault.passphrase", message.to_owned());
        }
    }
    if let Some(message) = wrong_password(&config.egress) {
        fault("egress.proxy_password", message.to_owned());
    }
    if let (Some(proxy), Some(host)) = (config.egress.proxy.take(), config.server.public_url.host_str()) {
        let port = config.server.public_url.port_or_known_default().unwrap_or_default();
        config.egress.proxy = Some(proxy.not_to(host, port));
    }
    if let Some(message) = doubled_path(&config.server) {
        fault("server.public_url", message);
    }
    let proxy = &config.proxy;
    if proxy.tls.is_none() && !proxy.allow_plaintext && proxy.listen.as_ref().is_some_and(Listen::is_open) {
        let message = "API keys would cross the network in plain text; set proxy.tls, listen on a loopback address, or \
                       set proxy.allow_plaintext = true";
        fault("proxy.listen", message.to_owned());
    }
    let oauth = &mut config.oauth;
    oauth.callback_origins.localhost_ports = oauth.localhost_ports;
    for (at, uri) in oauth.redirect_uris.iter().enumerate() {
        if let Err(refused) = oauth.callback_origins.check(uri) {
            fault(&format!("oauth.redirect_uris[{at}]"), format!("no login may return there: {refused}"));
        }
    }
    for (name, provider) in &config.providers {
        if provider.lend_client && provider.lend_scopes.is_none() {
            let message = format!(
                "providers.{name}.lend_scopes is missing: list the scopes that callers may request with this client, or \
                 write [] if they may request none"
            );
            fault(&format!("providers.{name}.lend_client"), message);
        }
    }
    let mut seen: BTreeMap<&str, &IssuerName> = BTreeMap::new();
    for (name, issuer) in &config.trusted_issuers {
        if let Some(first) = seen.insert(&issuer.iss, name) {
            let message = format!("this is the issuer of trusted_issuers.{first}; write one section for both");
            fault(&format!("trusted_issuers.{name}.issuer"), message);
        }
    }
    faults
}

/// Describes a password of the egress proxy that cannot be used.
fn wrong_password(egress: &EgressSettings) -> Option<&'static str> {
    egress.proxy_password.as_ref()?;
    match &egress.proxy {
        None => Some("there is no egress.proxy"),
        Some(proxy) if proxy.has_password() => Some("egress.proxy has a password already; take one of them out"),
        Some(proxy) if !proxy.has_user() => Some("egress.proxy has no user; write \"http://user@host:port\""),
        Some(_) => None,
    }
}

/// Describes a `public_url` that has a part of the path that Strongroom adds to it.
fn doubled_path(server: &ServerSettings) -> Option<String> {
    let path = server.public_url.path().trim_end_matches('/');
    let added = [server.base_path.as_str(), "/v1/integrations"];
    let added = added.into_iter().find(|added| !added.is_empty() && path.ends_with(added))?;
    let setting = if added == server.base_path { "server.base_path" } else { "the path of the API" };
    Some(format!("it ends with {added}, and {setting} is added to it again: write it without {added}"))
}

/// The variables that hold secrets: no command that is run inherits them.
fn variables_with_secrets(config: &Config) -> BTreeSet<String> {
    let variable = |(_, source): (String, &SecretSource)| match source {
        SecretSource::Variable(name) => Some(name.clone()),
        _ => None,
    };
    config.secret_sources().into_iter().filter_map(variable).collect()
}

/// Reads the secrets of the clients, unless they are to be left; returns a finding for each that
/// cannot be read.
fn read_client_secrets(
    providers: &mut BTreeMap<ProviderName, ProviderSettings>,
    secrets: &SecretReader,
    wanted: ClientSecrets,
    location: &impl Fn(&str) -> Location,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if wanted == ClientSecrets::Leave {
        return findings;
    }
    for (name, provider) in providers {
        let mut note = |key: &str, message: String| {
            let key = format!("providers.{name}.{key}");
            findings.push(Finding::new(location(&key), key, message));
        };
        let mut read_secrets = Vec::new();
        for (key, source) in provider.client_secret_sources() {
            match secrets.read(source) {
                Ok(secret) => read_secrets.push(secret),
                Err(fault) => note(&key, fault.to_string()),
            }
        }
        provider.client_secrets = read_secrets;
        let Some(source) = &provider.client_key_source else { continue };
        let read = secrets.read(source).map_err(|fault| fault.to_string());
        let key = read.and_then(|pem| SigningKey::from_pem(pem.expose()).map_err(|fault| format!("{source}: {fault}")));
        match key {
            Ok(key) => {
                let id = provider.client_key_id.clone().unwrap_or_else(|| key.id().to_owned());
                provider.client_key = Some(Arc::new(key.with_id(id)));
            }
            Err(message) => note("client_key", message),
        }
    }
    findings
}

/// Reads the password of the egress proxy, like the secrets of the clients.
fn read_proxy_password(
    config: &mut Config,
    wanted: ClientSecrets,
    location: &impl Fn(&str) -> Location,
) -> Option<Finding> {
    let source = config.egress.proxy_password.as_ref().filter(|_| wanted != ClientSecrets::Leave)?;
    let key = "egress.proxy_password";
    match config.secrets.read(source) {
        Ok(password) => {
            config.egress.proxy = config.egress.proxy.take().map(|proxy| proxy.with_password(password));
            None
        }
        Err(fault) => Some(Finding::new(location(key), key, fault.to_string())),
    }
}

/// Returns a finding for each file with certification authorities that is unusable, unless the
/// command sends no requests.
fn unusable_authorities(config: &Config, wanted: ClientSecrets, location: &impl Fn(&str) -> Location) -> Vec<Finding> {
    let sends = wanted != ClientSecrets::Leave;
    let files = config.authorities().filter(|_| sends);
    let check = |(key, path): (String, &PathBuf)| {
        let fault = check_authorities(path).err()?;
        Some(Finding::new(location(&key), key, fault.to_string()))
    };
    files.filter_map(check).collect()
}

/// Sorts the faults by file and line, each once. A line that is not TOML has no other faults.
fn in_order(syntax: Vec<Finding>, others: Vec<Finding>) -> Vec<Finding> {
    let broken: BTreeSet<Location> = syntax.iter().map(|fault| fault.location.clone()).collect();
    let mut faults = syntax;
    faults.extend(others.into_iter().filter(|fault| !broken.contains(&fault.location)));
    faults.sort();
    faults.dedup();
    faults
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
