//! From texts to the catalogue: each embedded entry with the configuration's changes over it, read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::check;
use super::entry::Entry;
use super::provider::Provider;
use super::reader::{self, Misfit};
use super::text::{self, join};
use crate::config::{ConfigErrors, EntryPatch, Finding, Place};
use crate::id::ProviderName;

type Providers = BTreeMap<ProviderName, Provider>;

type Patches<'p> = BTreeMap<&'p ProviderName, &'p EntryPatch>;

/// Reads every entry of `embedded` (name, path, text) with the configuration's `patches` over them, and those that the
/// patches alone describe.
#[cfg(test)]
pub(super) fn build(embedded: &[(&str, &str, &str)], patches: &Patches<'_>) -> Result<Providers, ConfigErrors> {
    read(embedded, patches, |_| true)
}

/// Reads what the configuration changes or adds, and leaves the other embedded entries unread: start-up is not to wait for
/// what nobody asks for.
pub(super) fn changed(embedded: &[(&str, &str, &str)], patches: &Patches<'_>) -> Result<Providers, ConfigErrors> {
    read(embedded, patches, |patch| patch.is_some_and(|patch| !patch.table.is_empty()))
}

/// An embedded entry as it is.
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
        let mut table = text::table(self.path, self.text).map_err(|fault| vec![fault])?;
        if let Some(patch) = patch {
            merge(&mut table, &patch.table);
        }
        // The lines are looked up only where something is wrong: start-up is not to wait for them.
        entry(table).map_err(|misfits| {
            let places = text::places(self.path, self.text);
            misfits.into_iter().map(|misfit| locate(misfit, name, &places, patch)).collect()
        })
    }

    fn whole(self) -> Place {
        Place::File { path: PathBuf::from(self.path), line: 1 }
    }
}

/// An entry that the configuration alone describes.
fn stands_alone(
    name: &ProviderName,
    patch: &EntryPatch,
    embedded: &[(&str, &str, &str)],
) -> Result<Entry, Vec<Finding>> {
    if patch.table.is_empty() {
        let near = reader::nearest(name.as_str(), embedded.iter().map(|(name, ..)| *name));
        let meant = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        let message = format!("the catalogue has no such provider, and nothing here describes one{meant}");
        return Err(vec![Finding::new(patch.place(""), format!("providers.{name}"), message)]);
    }
    entry(patch.table.clone()).map_err(|misfits| {
        misfits.into_iter().map(|misfit| locate(misfit, name, &BTreeMap::new(), Some(patch))).collect()
    })
}

/// Reads and checks one entry; what is wrong, by key.
fn entry(table: toml::Table) -> Result<Entry, Vec<Misfit>> {
    let (entry, mut misfits) = reader::read(table);
    if let Some(entry) = &entry {
        // What could not be read was left out, and what lacks it is no second fault.
        let follows = |key: &str| misfits.iter().any(|misfit: &Misfit| misfit.key.starts_with(key));
        let further: Vec<_> = check::check(entry).into_iter().filter(|misfit| !follows(&misfit.key)).collect();
        misfits.extend(further);
    }
    match entry {
        Some(entry) if misfits.is_empty() => Ok(entry),
        _ => Err(misfits),
    }
}

/// Lays `over` over `table`, key by key; lists and single values are replaced as a whole.
fn merge(table: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

/// Where the misfit was written: the longest part of its key that stands in the configuration or in the embedded file.
fn locate(
    misfit: Misfit,
    name: &ProviderName,
    embedded: &BTreeMap<String, Place>,
    patch: Option<&EntryPatch>,
) -> Finding {
    let mut key = misfit.key.as_str();
    loop {
        if let Some(place) =
            patch.and_then(|patch| patch.places.get(key)).filter(|_| !key.is_empty() || embedded.is_empty())
        {
            return Finding::new(place.clone(), join(&format!("providers.{name}"), &misfit.key), misfit.message);
        }
        if let Some(place) = embedded.get(key) {
            return Finding::new(place.clone(), misfit.key, misfit.message);
        }
        match key.rfind(['.', '[']) {
            Some(end) => key = &key[..end],
            None if key.is_empty() => return Finding::new(Place::Default, misfit.key, misfit.message),
            None => key = "",
        }
    }
}
