//! An entry as text: TOML, and on which line each of its keys stands.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::{EntryPatch, Finding, Place};

/// Reads the text of an entry, for example of a provider that is described at run time. `path` is where it came from,
/// for people. What the keys say is looked at when the catalogue is built.
///
/// # Errors
/// Where the text is no TOML, with the line.
pub fn read(path: &Path, text: &str) -> Result<EntryPatch, Finding> {
    let table = table(path, text)?;
    Ok(EntryPatch { table, places: places(path, text) })
}

/// The text as a table.
pub(super) fn table(path: &Path, text: &str) -> Result<toml::Table, Finding> {
    text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let place = Place::File { path: path.to_owned(), line: Lines::of(text).at(offset) };
        Finding::new(place, "", error.message())
    })
}

/// Where each key stands: `oauth.default_scopes[1]` → the line. The empty key is the text as a whole.
pub(super) fn places(path: &Path, text: &str) -> BTreeMap<String, Place> {
    let mut walk = Walk { path, lines: Lines::of(text), found: BTreeMap::new() };
    walk.add(String::new(), 0);
    if let Ok(table) = DeTable::parse(text) {
        walk.through("", table.get_ref());
    }
    walk.found
}

/// The key `name` of the table at `above`.
pub(super) fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

/// A walk through a text's tables.
struct Walk<'a> {
    path: &'a Path,
    lines: Lines,
    found: BTreeMap<String, Place>,
}

impl Walk<'_> {
    fn add(&mut self, key: String, offset: usize) {
        let line = self.lines.at(offset);
        self.found.insert(key, Place::File { path: self.path.to_owned(), line });
    }

    fn through(&mut self, above: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = join(above, name.get_ref());
            self.add(key.clone(), name.span().start);
            self.inside(&key, value);
        }
    }

    fn inside(&mut self, key: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.through(key, table),
            DeValue::Array(list) => {
                for (i, item) in list.iter().enumerate() {
                    let key = format!("{key}[{i}]");
                    self.add(key.clone(), item.span().start);
                    self.inside(&key, item);
                }
            }
            _ => {}
        }
    }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(i, _)| i).collect())
    }

    /// The line, counted from 1, on which the byte at `offset` stands.
    fn at(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }
}
