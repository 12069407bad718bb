//! A TOML file as a tree of values, with the line of every key; every syntax error at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Finding, Location};

/// Values, and where each key was written: `server.tls.key`, `oauth.callback_origins[1]`.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) values: Map<String, Value>,
    pub(crate) locations: BTreeMap<String, Location>,
}

/// Reads the text of a file. What could be read comes back beside the faults.
pub(crate) fn parse(text: &str, path: &Path) -> (Document, Vec<Finding>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let lines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let mut reader = Reader { lines, path, locations: BTreeMap::new(), faults: Vec::new() };
    for error in errors {
        // The parser's own display repeats the line, which may hold a secret.
        let location = reader.location(error.span().unwrap_or(0..0));
        reader.faults.push(Finding::new(location, "", format!("this is not TOML: {}", error.message())));
    }
    let values = reader.table(root.get_ref(), "");
    (Document { values, locations: reader.locations }, reader.faults)
}

struct Reader<'t> {
    /// The offsets of the ends of lines.
    lines: Vec<usize>,
    path: &'t Path,
    locations: BTreeMap<String, Location>,
    faults: Vec<Finding>,
}

impl Reader<'_> {
    fn location(&self, span: Range<usize>) -> Location {
        Location::File { path: self.path.to_owned(), line: 1 + self.lines.partition_point(|end| *end < span.start) }
    }

    fn table(&mut self, table: &DeTable<'_>, parent: &str) -> Map<String, Value> {
        let mut read = Map::new();
        for (name, value) in table {
            let key = join(parent, name.get_ref());
            let location = self.location(name.span());
            self.locations.insert(key.clone(), location);
            if let Some(value) = self.value(value, &key) {
                read.insert(name.get_ref().to_string(), value);
            }
        }
        read
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<Value> {
        let number = match value.get_ref() {
            DeValue::String(text) => return Some(Value::from(text.as_ref())),
            DeValue::Boolean(is) => return Some(Value::from(*is)),
            // No key takes a date of its own type; as a text it reads the same.
            DeValue::Datetime(date) => return Some(Value::from(date.to_string())),
            DeValue::Table(table) => return Some(Value::Object(self.table(table, key))),
            DeValue::Array(array) => {
                let mut list = Vec::new();
                for (index, item) in array.iter().enumerate() {
                    let key = format!("{key}[{index}]");
                    let location = self.location(item.span());
                    self.locations.insert(key.clone(), location);
                    list.extend(self.value(item, &key));
                }
                return Some(Value::Array(list));
            }
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::from),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().map(Value::from),
        };
        if number.is_none() {
            let location = self.location(value.span());
            self.faults.push(Finding::new(location, key, "the number is too large"));
        }
        number
    }
}

/// Joins the keys of a table and of one of its members.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// Returns a key and the keys above it: `oauth.scopes[1]`, `oauth.scopes`, `oauth`, and the empty one.
pub(crate) fn upwards(key: &str) -> impl Iterator<Item = &str> {
    let above = |key: &&str| -> Option<usize> { (!key.is_empty()).then(|| key.rfind(['.', '[']).unwrap_or(0)) };
    std::iter::successors(Some(key), move |longer| above(longer).map(|end| &key[..end]))
}

/// Returns the location of the longest known part of `key`.
pub(crate) fn nearest<'l>(locations: &'l BTreeMap<String, Location>, key: &str) -> Option<&'l Location> {
    upwards(key).find_map(|key| locations.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_line() {
        let text =
            "[server]\nlisten = \"x\"\n\n[oauth]\ncallback_origins = [\n  \"a\",\n  \"b\",\n]\ntls = { key = 1 }\n";
        let (document, faults) = parse(text, Path::new("f.toml"));
        assert_eq!(faults, []);
        let line = |key: &str| match &document.locations[key] {
            Location::File { line, .. } => *line,
            other => panic!("{other}"),
        };
        assert_eq!(["server", "server.listen", "oauth.callback_origins[1]", "oauth.tls.key"].map(line), [1, 2, 7, 9]);
    }

    #[test]
    fn all_syntax_errors_are_found_and_repeat_no_value() {
        let (_, faults) = parse("a = \"hunter2\nb = hunter3\nc = 1\nc = 2\nd = 99999999999999999999\n", Path::new("f"));
        let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(faults.len() >= 4 && !text.contains("hunter"), "{text}");
        for line in ["f:1", "f:2", "f:4", "f:5"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
