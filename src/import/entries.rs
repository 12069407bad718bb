//! Splits a file into its entries: JSON objects in a list, in a member of an object, one per line,
//! or one after the other. Text between them that is not JSON is an entry too, with its error.

use serde_json::Value;

use super::document::SecretDocument;
use super::item::{FileError, Item, ItemError};
use crate::json;

/// Maximum number of items of one import.
const MAX_ITEMS: usize = 100_000;

/// Maximum number of JSON values of one import. A value takes far more memory than its text.
pub(super) const MAX_VALUES: usize = 1_000_000;

/// Maximum nesting of lists and objects in an entry.
const MAX_DEPTH: usize = 64;

/// Record separator of JSON text sequences (RFC 7464).
const SEPARATOR: u8 = 0x1e;

/// Items and JSON values that an import may still read; all its files share them.
pub struct Allowance {
    items: usize,
    values: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { items: MAX_ITEMS, values: MAX_VALUES }
    }
}

impl Allowance {
    /// Takes the values of a JSON text, before anything is built from it.
    pub(super) fn take_values(&mut self, values: usize) -> Result<(), FileError> {
        self.values = self.values.checked_sub(values).ok_or(FileError::Values(MAX_VALUES))?;
        Ok(())
    }
}

/// Collects the items of a file.
pub(super) struct Collector<'a> {
    allowance: &'a mut Allowance,
    /// Number of entries.
    number: usize,
    items: Vec<Item>,
    is_of_the_form: bool,
}

impl<'a> Collector<'a> {
    pub(super) fn new(allowance: &'a mut Allowance) -> Self {
        Self { allowance, number: 0, items: Vec::new(), is_of_the_form: false }
    }

    /// Adds the items of an entry, or the reason why it has none. `line` is the line at which it
    /// begins, if known.
    pub(super) fn add(
        &mut self,
        line: Option<usize>,
        entry: Result<impl IntoIterator<Item = Item>, ItemError>,
    ) -> Result<(), FileError> {
        self.number += 1;
        let before = self.items.len();
        match entry {
            // Each item is counted as it comes: one entry may have any number of them.
            Ok(items) => {
                self.is_of_the_form = true;
                let items = items.into_iter().take(self.allowance.items + 1);
                self.items.extend(items.map(|item| Item { number: self.number, line, ..item }));
            }
            Err(why) => {
                self.is_of_the_form |= matches!(why, ItemError::ErrorAnswer(_));
                self.items.push(bad(self.number, line, why));
            }
        }
        let added = self.items.len() - before;
        self.allowance.items = self.allowance.items.checked_sub(added).ok_or(FileError::Items(MAX_ITEMS))?;
        Ok(())
    }

    /// Adds the entries of a text: `read` returns the items of one, or `None` if it has another
    /// form. The entries may be in the member `list` of an object.
    pub(super) fn add_json<I: IntoIterator<Item = Item>>(
        &mut self,
        bytes: &[u8],
        list: &str,
        read: impl Fn(&Value) -> Option<I>,
    ) -> Result<(), FileError> {
        let read = |value: &Value| read(value).ok_or_else(|| foreign(value));
        let mut splitter = Splitter { bytes, at: 0, line: 1, lists: None };
        while let Some((line, part)) = splitter.next_part() {
            let document = match part {
                Part::Other { until } => {
                    let why = ItemError::NotJson { until: (until > line).then_some(until) };
                    self.add(Some(line), Err::<I, _>(why))?;
                    continue;
                }
                Part::Object { text, values } => {
                    self.allowance.take_values(values)?;
                    SecretDocument::parse(text)
                }
            };
            match document.as_ref().map(SecretDocument::value) {
                None => self.add(Some(line), Err::<I, _>(ItemError::NotJson { until: None }))?,
                Some(value) => match value.get(list) {
                    Some(Value::Array(members)) => {
                        self.is_of_the_form |= members.is_empty();
                        members.iter().try_for_each(|member| self.add(None, read(member)))?;
                    }
                    _ => self.add(Some(line), read(value))?,
                },
            }
        }
        self.is_of_the_form |= self.number == 0 && splitter.lists == Some(0);
        let ends_well = self.items.last().is_none_or(|last| !matches!(last.found, Err(ItemError::NotJson { .. })));
        if ends_well && splitter.lists.is_some_and(|open| open > 0) {
            self.add(Some(splitter.line), Err::<I, _>(ItemError::NotJson { until: None }))?;
        }
        Ok(())
    }

    /// Returns the items, or `form` if no entry has the right form.
    pub(super) fn finish(self, form: FileError) -> Result<Vec<Item>, FileError> {
        if self.is_of_the_form { Ok(self.items) } else { Err(form) }
    }
}

/// Creates the item of an entry that is not one.
fn bad(number: usize, line: Option<usize>, why: ItemError) -> Item {
    let name = match line {
        Some(line) => format!("item {number}, line {line}"),
        None => format!("item {number}"),
    };
    Item { number, line, ..Item::new(name.clone(), &name, None, "").with(Err(why)) }
}

/// Returns the reason for an entry of another form. Programs answer `{"error": …}` in place of an
/// item that they do not have.
fn foreign(value: &Value) -> ItemError {
    let error = match value.get("error") {
        Some(Value::Object(members)) => members.get("code").or_else(|| members.get("type")),
        other => other,
    };
    match error {
        Some(code) => ItemError::error_answer(code.as_str().unwrap_or_default()),
        None => ItemError::Foreign,
    }
}

/// A part of a file.
enum Part<'b> {
    /// Text between matching braces, with the number of its values.
    Object { text: &'b [u8], values: usize },
    /// Lines of another kind, with the number of the last one.
    Other { until: usize },
}

struct Splitter<'b> {
    bytes: &'b [u8],
    at: usize,
    line: usize,
    /// Number of lists that have begun and not ended; `None` before the first one.
    lists: Option<usize>,
}

impl<'b> Splitter<'b> {
    /// Returns the next part with its line. The brackets and commas of lists are skipped, so a
    /// broken item does not take its whole list along.
    fn next_part(&mut self) -> Option<(usize, Part<'b>)> {
        loop {
            match &self.bytes[self.at..] {
                [] => return None,
                [0xef, 0xbb, 0xbf, ..] => self.at += 3,
                [b'[', ..] => (self.lists, self.at) = (Some(self.lists.unwrap_or(0) + 1), self.at + 1),
                [b']', ..] => (self.lists, self.at) = (self.lists.map(|open| open.saturating_sub(1)), self.at + 1),
                [b',' | SEPARATOR, ..] => self.at += 1,
                [byte, ..] if byte.is_ascii_whitespace() => self.skip_to(self.at + 1),
                _ => break,
            }
        }
        let (rest, line) = (&self.bytes[self.at..], self.line);
        if let Some((length, values)) = measure_object(rest) {
            self.skip_to(self.at + length);
            return Some((line, Part::Object { text: &rest[..length], values }));
        }
        // A list may have other values between its objects.
        let end = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'\n')).unwrap_or(rest.len());
        if rest[0] != b'{' && json::parse(&rest[..end]).is_some() {
            self.at += end;
            return Some((line, Part::Other { until: line }));
        }
        // An object that spans several lines is not followed by a line that begins an object,
        // except for the object's own members.
        loop {
            let end = self.bytes[self.at..].iter().position(|byte| *byte == b'\n');
            let until = self.line;
            self.skip_to(end.map_or(self.bytes.len(), |end| self.at + end + 1));
            let next = self.bytes[self.at..].iter().find(|byte| !byte.is_ascii_whitespace());
            if matches!(next, None | Some(b'{' | b'[')) {
                return Some((line, Part::Other { until }));
            }
        }
    }

    fn skip_to(&mut self, at: usize) {
        self.line += self.bytes[self.at..at].split(|byte| *byte == b'\n').count() - 1;
        self.at = at;
    }
}

/// Returns the length of the object at the beginning of the text, by its braces, and the number of
/// its values.
pub(super) fn measure_object(text: &[u8]) -> Option<(usize, usize)> {
    let (mut depth, mut values, mut in_string, mut escaped) = (0_usize, 1, false, false);
    if text.first() != Some(&b'{') {
        return None;
    }
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            // A text without an end ends with its line.
            b'\n' if in_string => return None,
            _ if in_string => {}
            b'{' | b'[' => (depth, values) = (depth + 1, values + 1),
            b'}' | b']' => depth -= 1,
            b',' => values += 1,
            _ => {}
        }
        match depth {
            0 => return Some((at + 1, values)),
            1..=MAX_DEPTH => {}
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: FileError = FileError::Form("here");

    /// Returns the ids of the items of a file, or the reasons of bad entries.
    fn read(bytes: &[u8]) -> Result<Vec<String>, FileError> {
        let (mut allowance, item) =
            (Allowance::default(), |value: &Value| Some(Item::new("o".into(), value.get("id")?.as_str()?, None, "")));
        let mut collector = Collector::new(&mut allowance);
        collector.add_json(bytes, "list", |value| item(value).map(Some))?;
        let items = collector.finish(FORM)?;
        let reason = |item: &Item| item.found.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let is_bad = |item: &Item| reason(item) != ItemError::NeverConnected.to_string();
        Ok(items
            .iter()
            .map(|item| if is_bad(item) { format!("{}: {}", item.id, reason(item)) } else { item.id.clone() })
            .collect())
    }

    #[test]
    fn entries_come_one_after_the_other() {
        for text in [
            r#"[{"id":"a"},{"id":"b"}]"#,
            "[\n {\n  \"id\": \"a\"\n },\n {\n  \"id\": \"b\"\n }\n]\n",
            r#"{"list":[{"id":"a"},{"id":"b"}],"page":1}"#,
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
            "{\"id\":\"a\"}\r\n\r\n  {\"id\":\"b\"}\r\n",
            r#"{"id":"a"}{"id":"b"}"#,
            "{\n \"id\": \"a\"\n}\n{\n \"id\": \"b\"\n}",
            "[{\"id\":\"a\"}]\n[{\"id\":\"b\"}]",
            "{\"list\":[{\"id\":\"a\"}]}{\"list\":[{\"id\":\"b\"}]}",
            "\u{1e}{\"id\":\"a\"}\n\u{1e}{\"id\":\"b\"}\n",
            "{\"id\":\"a\"}\u{feff}{\"id\":\"b\"}",
        ] {
            assert_eq!(read(text.as_bytes()), Ok(vec!["a".to_owned(), "b".to_owned()]), "{text}");
        }
        assert_eq!(read(b"[]"), Ok(Vec::new()));
        assert_eq!(read(b"{\"list\":[]}"), Ok(Vec::new()));
        for text in ["", "[", "x", "12", "<html></html>", "{}", "null", "{\"list\":5}"] {
            assert_eq!(read(text.as_bytes()), Err(FORM), "{text}");
        }
    }

    #[test]
    fn bad_line_is_named_and_the_others_come() {
        let bad = "it is not JSON, or a member occurs twice";
        for (text, wrong) in [
            (
                "{\"id\":\"a\"}\n{\"error\":{\"code\":\"not_found\"}}\n{\"id\":\"b\"}",
                "item 2, line 2: the other program answered with an error: not_found",
            ),
            (
                "{\"id\":\"a\"}\n{\"error\":\"No such <thing>\"}\n{\"id\":\"b\"}",
                "item 2, line 2: the other program answered with an error",
            ),
            (
                "{\"id\":\"a\"}\n{\"other\":1}\n{\"id\":\"b\"}",
                "item 2, line 2: it has not the form of the other program's items",
            ),
            ("{\"id\":\"a\"}\n<html><body>502</body></html>\n{\"id\":\"b\"}", &format!("item 2, line 2: {bad}")),
            (
                "{\"id\":\"a\"}\n\n<html>\n<h1>502</h1>\n</html>\n{\"id\":\"b\"}",
                &format!("item 2, line 3: {bad} (up to line 5)"),
            ),
            ("{\"id\":\"a\"}\n{\"id\":\"x\n{\"id\":\"b\"}", &format!("item 2, line 2: {bad}")),
            ("{\"id\":\"a\"}\n{\"id\":\n{\"id\":\"b\"}", &format!("item 2, line 2: {bad}")),
            ("{\"id\":\"a\"}\n{\"id\":\"x\",\"id\":\"y\"}\n{\"id\":\"b\"}", &format!("item 2, line 2: {bad}")),
            ("[{\"id\":\"a\"},null,{\"id\":\"b\"}]", &format!("item 2, line 1: {bad}")),
            ("[{\"id\":\"a\"},\"x\", {\"id\":\"b\"}]", &format!("item 2, line 1: {bad}")),
            ("[\n {\"id\":\"a\"},\n {\"id\":x},\n {\"id\":\"b\"}\n]", &format!("item 2, line 3: {bad}")),
            ("[\n {\"id\":\"a\"},\n {\"id\":\"b\"},\n {\"id\":\"cu", &format!("item 3, line 4: {bad}")),
            ("[{\"id\":\"a\"},\n{\"id\":\"b\"},\n", &format!("item 3, line 3: {bad}")),
            (
                "{\"list\":[{\"id\":\"a\"},7,{\"id\":\"b\"}]}",
                "item 2: it has not the form of the other program's items",
            ),
        ] {
            let mut read = read(text.as_bytes()).unwrap();
            let others = read.extract_if(.., |id| id.len() == 1).collect::<Vec<_>>();
            assert_eq!((others, read), (vec!["a".to_owned(), "b".to_owned()], vec![wrong.to_owned()]), "{text}");
        }
        let mut text = b"{\"id\":\"a\"}\n{\"id\":\"\xff\"}\n".to_vec();
        text.extend(format!("{}\n", "{\"a\":".repeat(65) + "1" + &"}".repeat(65)).bytes());
        text.extend(b"{\"id\":\"b\"}");
        let read = read(&text).unwrap();
        assert_eq!(read[1..3], [format!("item 2, line 2: {bad}"), format!("item 3, line 3: {bad}")]);
        assert_eq!((read[0].as_str(), read[3].as_str()), ("a", "b"));
    }

    #[test]
    fn items_and_values_are_bounded() {
        let many = "{}\n".repeat(MAX_ITEMS + 1);
        assert_eq!(read(many.as_bytes()), Err(FileError::Items(MAX_ITEMS)));
        let list = format!("{{\"list\":[{}{{}}]}}", "{},".repeat(MAX_ITEMS));
        assert_eq!(read(list.as_bytes()), Err(FileError::Items(MAX_ITEMS)));
        let values = format!("{{\"id\":\"a\",\"x\":[{}0]}}", "0,".repeat(MAX_VALUES));
        assert_eq!(read(values.as_bytes()), Err(FileError::Values(MAX_VALUES)));
        let commas = format!("{{\"id\":\"a\",\"x\":\"{}\"}}", ",".repeat(MAX_VALUES));
        assert_eq!(read(commas.as_bytes()), Ok(vec!["a".to_owned()]));
    }
}
