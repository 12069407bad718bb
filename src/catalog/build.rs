//! Parses and checks entries: the embedded ones with the configuration's changes over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::check;
use super::entry::Entry;
use super::entry::template::DISCOVERED;
use super::entry_fault::EntryFault;
use super::provider::Provider;
use crate::config::document::join;
use crate::config::{ConfigErrors, EntryPatch, Finding, Location};
use crate::id::ProviderName;
use crate::validation::{self, Format};

type Providers = BTreeMap<ProviderName, Provider>;

type Patches<'p> = BTreeMap<&'p ProviderName, &'p EntryPatch>;

/// Reads every entry of `embedded` (name, path, text) with the configuration's `patches` over them, and those that the
/// patches alone describe.
#[cfg(test)]
pub(super) fn build(embedded: &[(&str, &str, &str)], patches: &Patches<'_>) -> Result<Providers, ConfigErrors> {
    read(embedded, patches, |_| true)
}

/// Reads the entries that the configuration changes or adds. The other embedded entries stay unread, so
/// that start-up does not wait for them.
pub(super) fn changed(embedded: &[(&str, &str, &str)], patches: &Patches<'_>) -> Result<Providers, ConfigErrors> {
    read(embedded, patches, |patch| patch.is_some_and(|patch| !patch.values.is_empty()))
}

/// Reads an embedded entry.
pub(super) fn embedded((name, path, text): (&str, &str, &str)) -> Provider {
    let name: ProviderName = name.parse().expect("a test reads every embedded entry");
    let entry = Source { path: Path::new(path), text }.read(&name, None).expect("a test reads every embedded entry");
    Provider { name, entry }
}

fn read(
    embedded: &[(&str, &str, &str)],
    patches: &Patches<'_>,
    wanted: impl Fn(Option<&EntryPatch>) -> bool,
) -> Result<Providers, ConfigErrors> {
    let (mut providers, mut faults) = (BTreeMap::new(), Vec::new());
    let mut take = |name: ProviderName, read: Result<Entry, Vec<Finding>>| match read {
        Ok(entry) => drop(providers.insert(name.clone(), Provider { name, entry })),
        Err(found) => faults.extend(found),
    };
    let mut unread = patches.clone();
    let mut misnamed = Vec::new();
    for &(name, path, text) in embedded {
        let source = Source { path: Path::new(path), text };
        match name.parse::<ProviderName>() {
            Ok(name) => {
                let patch = unread.remove(&name);
                if !wanted(patch) {
                    continue;
                }
                let read = source.read(&name, patch);
                take(name, read);
            }
            Err(error) => {
                let message = format!("{error}; the file's name is the provider's");
                misnamed.push(Finding::new(source.whole(), "", message));
            }
        }
    }
    for (name, patch) in unread {
        take(name.clone(), stands_alone(name, patch, embedded));
    }
    faults.extend(misnamed);
    if faults.is_empty() { Ok(providers) } else { Err(ConfigErrors(sorted(faults))) }
}

fn sorted(mut faults: Vec<Finding>) -> Vec<Finding> {
    faults.sort();
    faults
}

/// The file of an embedded entry.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn read(self, name: &ProviderName, patch: Option<&EntryPatch>) -> Result<Entry, Vec<Finding>> {
        let mut embedded = EntryPatch::parse(self.path, self.text).map_err(|fault| vec![fault])?;
        if let Some(patch) = patch {
            merge(&mut embedded.values, &patch.values);
        }
        entry(embedded.values).map_err(|faults| {
            faults.into_iter().map(|fault| locate(fault, name, Some(&embedded.locations), patch)).collect()
        })
    }

    fn whole(self) -> Location {
        Location::File { path: PathBuf::from(self.path), line: 1 }
    }
}

/// Reads an entry that the configuration alone describes.
fn stands_alone(
    name: &ProviderName,
    patch: &EntryPatch,
    embedded: &[(&str, &str, &str)],
) -> Result<Entry, Vec<Finding>> {
    if patch.values.is_empty() {
        let near = validation::nearest(name.as_str(), embedded.iter().map(|(name, ..)| *name));
        let meant = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        let message = format!("the catalogue has no such provider, and nothing here describes one{meant}");
        return Err(vec![Finding::new(patch.location(""), format!("providers.{name}"), message)]);
    }
    entry(patch.values.clone())
        .map_err(|faults| faults.into_iter().map(|fault| locate(fault, name, None, Some(patch))).collect())
}

/// Reads and checks one entry, or returns every fault of it by key.
fn entry(mut values: Map<String, Value>) -> Result<Entry, Vec<EntryFault>> {
    leave_to_discovery(&mut values);
    let (entry, found) = validation::read::<Entry>(&Value::Object(values), Format::Toml);
    let mut faults: Vec<_> = found.iter().map(|fault| EntryFault::new(fault.key(), fault.message())).collect();
    if let Some(entry) = &entry {
        // A consequence of a value that could not be read is not a fault of its own.
        let follows = |key: &str| faults.iter().any(|fault: &EntryFault| fault.key.starts_with(key));
        let further: Vec<_> = check::check(entry).into_iter().filter(|fault| !follows(&fault.key)).collect();
        faults.extend(further);
    }
    match entry {
        Some(entry) if faults.is_empty() => Ok(entry),
        _ => Err(faults),
    }
}

/// Marks absent endpoints of an entry with an issuer as left to discovery.
fn leave_to_discovery(values: &mut Map<String, Value>) {
    let Some(Value::Object(oauth)) = values.get_mut("oauth") else { return };
    if oauth.contains_key("issuer") {
        for name in ["authorize_url", "token_url"] {
            oauth.entry(name).or_insert_with(|| DISCOVERED.into());
        }
    }
    if let Some(Value::Object(identity)) = oauth.get_mut("identity")
        && identity.get("from_id_token") == Some(&Value::Bool(true))
    {
        identity.entry("url").or_insert_with(|| DISCOVERED.into());
    }
}

/// Lays `over` over `values`, key by key; lists and single values are replaced as a whole.
fn merge(values: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            _ => drop(values.insert(key.clone(), value.clone())),
        }
    }
}

/// Finds the location of a fault: that of the longest part of its key that is in the configuration or in
/// the embedded file.
fn locate(
    fault: EntryFault,
    name: &ProviderName,
    embedded: Option<&BTreeMap<String, Location>>,
    patch: Option<&EntryPatch>,
) -> Finding {
    let mut key = fault.key.as_str();
    while !key.is_empty() {
        if let Some(location) = patch.and_then(|patch| patch.locations.get(key)) {
            return Finding::new(location.clone(), join(&format!("providers.{name}"), &fault.key), fault.message);
        }
        if let Some(location) = embedded.and_then(|embedded| embedded.get(key)) {
            return Finding::new(location.clone(), fault.key, fault.message);
        }
        key = key.rfind(['.', '[']).map_or("", |end| &key[..end]);
    }
    match (embedded, patch) {
        (Some(embedded), _) => {
            Finding::new(embedded.get("").cloned().unwrap_or(Location::Default), fault.key, fault.message)
        }
        (None, patch) => {
            let location = patch.map_or(Location::Default, |patch| patch.location(""));
            Finding::new(location, join(&format!("providers.{name}"), &fault.key), fault.message)
        }
    }
}
