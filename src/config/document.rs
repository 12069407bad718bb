//! A TOML file as a table, with the line of every key: every fault of its form at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::fault::{Finding, Place};

/// A table, and where each of its keys was written: `server.tls.key`, `oauth.callback_origins[1]`.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub table: Table,
    pub places: BTreeMap<String, Place>,
}

/// Reads the text of a file. What could be read comes back beside the faults.
pub(super) fn parse(text: &str, path: &Path) -> (Document, Vec<Finding>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let lines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let mut reader = Reader { lines, path, places: BTreeMap::new(), faults: Vec::new() };
    for error in errors {
        // The message alone: the parser's own display would repeat the line, and a secret may stand in it.
        let place = reader.place(error.span().unwrap_or(0..0));
        reader.faults.push(Finding::new(place, "", format!("this is not TOML: {}", error.message())));
    }
    let table = reader.table(root.get_ref(), "");
    (Document { table, places: reader.places }, reader.faults)
}

struct Reader<'t> {
    /// Where the lines of the text end.
    lines: Vec<usize>,
    path: &'t Path,
    places: BTreeMap<String, Place>,
    faults: Vec<Finding>,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place::File { path: self.path.to_owned(), line: 1 + self.lines.partition_point(|end| *end < span.start) }
    }

    fn table(&mut self, table: &DeTable<'_>, parent: &str) -> Table {
        let mut read = Table::new();
        for (name, value) in table {
            let key =
                if parent.is_empty() { name.get_ref().to_string() } else { format!("{parent}.{}", name.get_ref()) };
            let place = self.place(name.span());
            self.places.insert(key.clone(), place);
            if let Some(value) = self.value(value.get_ref(), value.span(), &key) {
                read.insert(name.get_ref().to_string(), value);
            }
        }
        read
    }

    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, key: &str) -> Option<Value> {
        Some(match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(switch) => Value::Boolean(*switch),
            // No setting takes a date of its own type; as a text it reads the same.
            DeValue::Datetime(date) => Value::String(date.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => return self.no_number(span, key),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Float(number),
                Err(_) => return self.no_number(span, key),
            },
            DeValue::Table(table) => Value::Table(self.table(table, key)),
            DeValue::Array(array) => {
                let mut list = Vec::new();
                for (index, item) in array.iter().enumerate() {
                    let key = format!("{key}[{index}]");
                    let place = self.place(item.span());
                    self.places.insert(key.clone(), place);
                    list.extend(self.value(item.get_ref(), item.span(), &key));
                }
                Value::Array(list)
            }
        })
    }

    fn no_number(&mut self, span: Range<usize>, key: &str) -> Option<Value> {
        let place = self.place(span);
        self.faults.push(Finding::new(place, key, "the number is too large"));
        None
    }
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
        let line = |key: &str| match &document.places[key] {
            Place::File { line, .. } => *line,
            other => panic!("{other}"),
        };
        assert_eq!(["server", "server.listen", "oauth.callback_origins[1]", "oauth.tls.key"].map(line), [1, 2, 7, 9]);
    }

    #[test]
    fn faults_of_form_are_all_found_and_repeat_nothing() {
        let (_, faults) = parse("a = \"hunter2\nb = hunter3\nc = 1\nc = 2\nd = 99999999999999999999\n", Path::new("f"));
        let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(faults.len() >= 4 && !text.contains("hunter"), "{text}");
        for line in ["f:1", "f:2", "f:4", "f:5"] {
            assert!(text.contains(line), "{text}");
        }
    }
}
