//! Reads settings one by one as what they are, and notes every fault on the way instead of stopping at the first.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::Value;

use super::document::Document;
use super::fault::{Finding, Place};
use super::secret_source::SecretSource;
use super::settings::Listen;
use super::table::{Takes, setting};
use crate::duration;
use crate::secret::Secret;

/// The merged settings, and what is wrong with them so far.
pub(super) struct Reader {
    settings: Document,
    /// What relative paths are relative to.
    folder: PathBuf,
    pub faults: Vec<Finding>,
}

impl Reader {
    pub(super) fn new(settings: Document, folder: &Path, faults: Vec<Finding>) -> Self {
        Self { settings, folder: folder.to_owned(), faults }
    }

    /// What is written at `key`.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(None, |found: Option<&Value>, part| {
            let next = match found {
                None => self.settings.table.get(part),
                Some(value) => value.as_table().and_then(|table| table.get(part)),
            };
            next.map(Some)
        })?
    }

    /// Where `key` was written.
    pub(super) fn place(&self, key: &str) -> Place {
        self.settings.places.get(key).cloned().unwrap_or(Place::Default)
    }

    /// Whether somebody wrote the key: it is not just the default.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.value(key).is_some() && self.place(key) != Place::Default
    }

    pub(super) fn settings(&self) -> &Document {
        &self.settings
    }

    pub(super) fn fault(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key);
        self.faults.push(Finding::new(place, key, message));
    }

    fn wrong_type(&mut self, key: &str) {
        let advice = setting(key).map_or_else(String::new, |setting| setting.takes.advice());
        let found = self.value(key).map_or("nothing", Value::type_str);
        self.fault(
            key,
            format!("this is {} {found}; {advice}", if found.starts_with(['a', 'i']) { "an" } else { "a" }),
        );
    }

    /// A text, read further by `parse`, whose error says what to write. `None` after a fault, or where nothing is set.
    pub(super) fn parsed<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match self.value(key) {
            None => None,
            Some(Value::String(text)) => parse(text).map_err(|message| self.fault(key, message)).ok(),
            Some(_) => {
                self.wrong_type(key);
                None
            }
        }
    }

    /// Each text of a list, read by `parse`; a faulty one is noted with its own line and left out.
    pub(super) fn each<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.wrong_type(key);
            return Vec::new();
        };
        let results: Vec<Result<T, String>> = items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| "write a text in quotes".to_owned()).and_then(&parse))
            .collect();
        let mut read = Vec::new();
        for (index, result) in results.into_iter().enumerate() {
            match result {
                Ok(item) => read.push(item),
                Err(message) => {
                    let item = format!("{key}[{index}]");
                    let place = self.settings.places.get(&item).cloned().unwrap_or_else(|| self.place(key));
                    self.faults.push(Finding::new(place, item, message));
                }
            }
        }
        read
    }

    /// `true` or `false`.
    pub(super) fn switch(&mut self, key: &str) -> bool {
        if let Some(Value::Boolean(switch)) = self.value(key) {
            return *switch;
        }
        self.wrong_type(key);
        false
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &str, range: std::ops::RangeInclusive<i64>) -> usize {
        match self.value(key) {
            Some(Value::Integer(number)) if range.contains(number) => usize::try_from(*number).unwrap_or(usize::MAX),
            Some(Value::Integer(_)) => {
                self.fault(key, format!("out of range; write a number from {} to {}", range.start(), range.end()));
                0
            }
            _ => {
                self.wrong_type(key);
                0
            }
        }
    }

    /// A duration within `range`.
    pub(super) fn duration(&mut self, key: &str, range: std::ops::RangeInclusive<Duration>) -> Duration {
        let parse = |text: &str| match duration::parse(text)? {
            span if range.contains(&span) => Ok(span),
            _ => Err(format!(
                "out of range; write a duration from {} to {}",
                duration::show(*range.start()),
                duration::show(*range.end())
            )),
        };
        self.parsed(key, parse).unwrap_or_default()
    }

    /// A path, made absolute.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let folder = self.folder.clone();
        self.parsed(key, |text| absolute(&folder, text))
    }

    /// A list of paths, each made absolute.
    pub(super) fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        let folder = self.folder.clone();
        self.each(key, |text| absolute(&folder, text))
    }

    /// Where a server listens.
    pub(super) fn listen(&mut self, key: &str) -> Option<Listen> {
        let folder = self.folder.clone();
        self.parsed(key, |text| listen(&folder, text))
    }

    /// A list of networks.
    pub(super) fn networks(&mut self, key: &str) -> Vec<IpNet> {
        self.each(key, network)
    }

    /// Where a secret comes from. `None` after a fault, or where nothing is set.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretSource> {
        let source = secret(self.value(key)?, &self.folder);
        source.map_err(|message| self.fault(key, message)).ok()
    }

    /// Where each secret of a list comes from; a faulty one is noted and left out. A source alone is a list of one.
    pub(super) fn secrets(&mut self, key: &str) -> Vec<SecretSource> {
        let sources: Vec<_> = match self.value(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items.iter().map(|item| secret(item, &self.folder)).collect(),
            Some(one) => vec![secret(one, &self.folder)],
        };
        let mut read = Vec::new();
        for (index, source) in sources.into_iter().enumerate() {
            match source {
                Ok(source) => read.push(source),
                Err(message) => {
                    let item = format!("{key}[{index}]");
                    let place = self.settings.places.get(&item).cloned().unwrap_or_else(|| self.place(key));
                    self.faults.push(Finding::new(place, item, message));
                }
            }
        }
        read
    }
}

fn secret(value: &Value, folder: &Path) -> Result<SecretSource, String> {
    match value {
        Value::String(text) if text.is_empty() => Err("the secret is empty".to_owned()),
        Value::String(text) => Ok(SecretSource::Inline(Secret::new(text.clone()))),
        Value::Table(table) => match table.iter().collect::<Vec<_>>()[..] {
            [(kind, value)] => source(kind, value, folder),
            _ => Err(format!("give one source; {}", Takes::Secret.advice())),
        },
        _ => Err(Takes::Secret.advice()),
    }
}

fn source(kind: &str, value: &Value, folder: &Path) -> Result<SecretSource, String> {
    let text = || match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("write {{ {kind} = \"…\" }}")),
    };
    match kind {
        "file" => absolute(folder, &text()?).map(SecretSource::File),
        "env" => text().map(SecretSource::Variable),
        "credential" => text().map(SecretSource::Credential),
        "command" => {
            let argv: Option<Vec<String>> =
                value.as_array().and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
            argv.filter(|argv| argv.first().is_some_and(|program| !program.is_empty()))
                .map(SecretSource::Command)
                .ok_or_else(|| "write { command = [\"program\", \"argument\"] }; no shell is involved".to_owned())
        }
        other => {
            let nearest = ["file", "env", "credential", "command"]
                .into_iter()
                .min_by_key(|known| strsim::damerau_levenshtein(other, known))
                .unwrap_or("file");
            Err(format!("unknown source '{other}'; the nearest known one is {nearest}: {}", Takes::Secret.advice()))
        }
    }
}

fn absolute(folder: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("this is no path; write one in quotes".to_owned());
    }
    Ok(folder.join(text))
}

/// `host:port`, or `unix:/path`.
fn listen(folder: &Path, text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return absolute(folder, path).map(Listen::Unix);
    }
    let tcp = || {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().ok().map(|_| address)?,
            None if host.is_empty() || host.contains([':', '/', '@']) || host.contains(char::is_whitespace) => {
                return None;
            }
            None => host,
        };
        let digits = !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
        Some(Listen::Tcp { host: host.to_owned(), port: digits.then(|| port.parse().ok())?? })
    };
    tcp().ok_or_else(|| {
        format!("'{text}' is no address to listen on; write \"127.0.0.1:8484\", \"[::1]:8484\" or \"unix:/path\"")
    })
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    match text.parse::<IpNet>().ok().or_else(one) {
        Some(network) if network.addr() == network.network() => Ok(network),
        Some(network) => Err(format!("'{text}' has bits beyond its prefix; write \"{}\"", network.trunc())),
        None => Err(format!("'{text}' is not a network; write for example \"10.0.0.0/8\" or \"fd00::/8\"")),
    }
}
