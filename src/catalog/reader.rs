//! Reads an entry from its table and finds every fault in it, each with its key: serde alone stops at the first one and
//! does not say where.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use toml::{Table, Value};

use super::entry::Entry;
use super::entry::template::DISCOVERED;
use super::text::join;

/// Stands in for a required key that is missing, so that the rest is read too; every required key takes it. What was
/// read with it is looked at for further faults and then thrown away.
const STAND_IN: &str = "https://missing.invalid/";

/// How unlike a known name may be to what was written, and still be what was meant.
const SIMILAR: f64 = 0.75;

/// What is wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// The key from the top of the entry: `oauth.default_scopes[1]`; empty for the entry as a whole.
    pub(super) key: String,
    /// What is wrong, and what to write instead.
    pub(super) message: String,
}

impl Misfit {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// The entry, and every fault in it; with faults, the entry is what could be read besides them, if anything.
pub(super) fn read(table: Table) -> (Option<Entry>, Vec<Misfit>) {
    read_as(Value::Table(left_to_discovery(table)))
}

fn read_as<T: for<'de> Deserialize<'de>>(mut table: Value) -> (Option<T>, Vec<Misfit>) {
    let mut misfits: Vec<Misfit> = Vec::new();
    let (mut told, mut stood_in): (Vec<String>, Vec<String>) = Default::default();
    // Each turn takes one faulty key out or puts one stand-in in, and what took no stand-in gets no second one: so it ends.
    loop {
        let fault = match T::deserialize(Reader { value: &table, key: String::new() }) {
            Ok(entry) => return (Some(entry), misfits),
            Err(fault) => fault,
        };
        let key = fault.key();
        let missing = matches!(fault.what, What::Missing(_));
        if stood_in.contains(&key) {
            let What::NoWord { known: [word, ..], .. } = fault.what else { return (None, misfits) };
            if !replace(&mut table, &key, word) {
                return (None, misfits);
            }
            stood_in.retain(|there| *there != key);
            continue;
        }
        if !(missing && told.contains(&key)) {
            // That a key is missing is no second fault where it is there and faulty, or there and mistyped.
            told.extend([Some(key.clone()), fault.meant()].into_iter().flatten());
            misfits.push(Misfit::new(key.clone(), fault.message()));
        }
        let mended = if missing { put(&mut table, &key) } else { remove(&mut table, &key) };
        if !mended {
            return (None, misfits);
        }
        stood_in.extend(Some(key).filter(|_| missing));
    }
}

/// Writes into the entry what discovery is to find: where there is an issuer, the endpoints that are not given.
fn left_to_discovery(mut table: Table) -> Table {
    let Some(Value::Table(oauth)) = table.get_mut("oauth") else { return table };
    if oauth.contains_key("issuer") {
        for name in ["authorize_url", "token_url"] {
            oauth.entry(name).or_insert_with(|| DISCOVERED.into());
        }
    }
    if let Some(Value::Table(identity)) = oauth.get_mut("identity")
        && identity.get("from_id_token") == Some(&Value::Boolean(true))
    {
        identity.entry("url").or_insert_with(|| DISCOVERED.into());
    }
    table
}

/// The table that holds `key`, and the key's last name.
fn holder<'t, 'k>(table: &'t mut Value, key: &'k str) -> Option<(&'t mut Table, &'k str)> {
    let table = table.as_table_mut()?;
    // An item of a list is not taken out alone: the others would move.
    let key = key.split('[').next().unwrap_or(key);
    match key.split_once('.') {
        // A name may itself have dots in it.
        Some(_) if table.contains_key(key) => Some((table, key)),
        Some((name, rest)) => holder(table.get_mut(name)?, rest),
        None => Some((table, key)),
    }
}

fn remove(table: &mut Value, key: &str) -> bool {
    holder(table, key).is_some_and(|(table, name)| table.remove(name).is_some())
}

fn put(table: &mut Value, key: &str) -> bool {
    holder(table, key).is_some_and(|(table, name)| table.insert(name.to_owned(), STAND_IN.into()).is_none())
}

/// Another stand-in, for a key that takes no text but one of its words.
fn replace(table: &mut Value, key: &str, word: &str) -> bool {
    holder(table, key).is_some_and(|(table, name)| table.insert(name.to_owned(), word.into()).is_some())
}

/// The name among `known` that `written` was most likely meant to be.
pub(super) fn nearest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let rated =
        known.map(|name| (strsim::jaro_winkler(written, name), name)).filter(|(likeness, _)| *likeness > SIMILAR);
    rated.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// A value of a table, and its key from the top.
struct Reader<'v> {
    value: &'v Value,
    key: String,
}

/// Why a value could not be read. Where the value is becomes known on the way up, from the reader.
#[derive(Debug)]
struct Fault {
    at: Option<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A key that the table has and the vocabulary has not.
    Unknown { name: String, known: &'static [&'static str] },
    /// A key that the table lacks.
    Missing(&'static str),
    /// A text that is none of the key's words.
    NoWord { word: String, known: &'static [&'static str] },
    /// A value that is not what the key wants.
    Wrong(String),
}

impl Fault {
    fn under(mut self, key: &str) -> Self {
        self.at.get_or_insert_with(|| key.to_owned());
        self
    }

    fn key(&self) -> String {
        let at = self.at.as_deref().unwrap_or_default();
        match &self.what {
            What::Unknown { name, .. } => join(at, name),
            What::Missing(name) => join(at, name),
            What::Wrong(_) | What::NoWord { .. } => at.to_owned(),
        }
    }

    /// The known key that an unknown one was most likely meant to be.
    fn meant(&self) -> Option<String> {
        let What::Unknown { name, known } = &self.what else { return None };
        Some(join(self.at.as_deref().unwrap_or_default(), nearest(name, known.iter().copied())?))
    }

    fn message(&self) -> String {
        match &self.what {
            What::Unknown { name, known } => format!("unknown key; {}", instead(name, known)),
            What::Missing(_) => "is missing".to_owned(),
            What::NoWord { word, known } => format!("'{word}' is not a word for it; {}", instead(word, known)),
            What::Wrong(message) => message.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key(), self.message())
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { at: None, what: What::Wrong(message.to_string()) }
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self { at: None, what: What::Unknown { name: name.to_owned(), known } }
    }

    fn missing_field(name: &'static str) -> Self {
        Self { at: None, what: What::Missing(name) }
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self { at: None, what: What::NoWord { word: word.to_owned(), known } }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("this is {}, and must be {expected}", name_of(found)))
    }
}

/// The kind of value that was found, without the value.
fn name_of(found: de::Unexpected<'_>) -> &'static str {
    match found {
        de::Unexpected::Bool(_) => "true or false",
        de::Unexpected::Signed(_) | de::Unexpected::Unsigned(_) => "a whole number",
        de::Unexpected::Float(_) => "a number",
        de::Unexpected::Str(_) => "a string",
        de::Unexpected::Seq => "a list",
        de::Unexpected::Map => "a table",
        _ => "something else",
    }
}

/// What may be written in place of `written`.
fn instead(written: &str, known: &[&str]) -> String {
    match nearest(written, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None if known.is_empty() => "there is none here".to_owned(),
        None => format!("there are {}", known.join(", ")),
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let key = self.key;
        let read = match self.value {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(is) => visitor.visit_bool(*is),
            Value::Datetime(time) => visitor.visit_string(time.to_string()),
            Value::Array(list) => visitor.visit_seq(Items { list: list.iter().enumerate(), key: &key }),
            Value::Table(table) => visitor.visit_map(Members { table: table.iter(), value: None, key: &key }),
        };
        read.map_err(|fault| fault.under(&key))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let read = match self.value {
            Value::String(word) => {
                de::Deserializer::deserialize_enum(word.as_str().into_deserializer(), name, words, visitor)
            }
            _ => Err(de::Error::custom(format!("must be one of {}", words.join(", ")))),
        };
        read.map_err(|fault: Fault| fault.under(&self.key))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The items of the list at `key`.
struct Items<'v, 'k> {
    list: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
    key: &'k str,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((i, value)) = self.list.next() else { return Ok(None) };
        read_at(seed, value, &format!("{}[{i}]", self.key)).map(Some)
    }
}

/// The members of the table at `key`.
struct Members<'v, 'k> {
    table: toml::map::Iter<'v, String, Value>,
    value: Option<(&'v String, &'v Value)>,
    key: &'k str,
}

impl<'de> de::MapAccess<'de> for Members<'_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((name, value)) = self.table.next() else { return Ok(None) };
        self.value = Some((name, value));
        seed.deserialize(IntoDeserializer::<Fault>::into_deserializer(name.as_str())).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.value.take().expect("serde asks for a value after its key");
        read_at(seed, value, &join(self.key, name))
    }
}

/// Reads the value at `key`. What a type says of a well-formed value that it does not take comes from outside of the
/// [`Reader`], so here is where the key of it is known.
fn read_at<'de, T: DeserializeSeed<'de>>(seed: T, value: &Value, key: &str) -> Result<T::Value, Fault> {
    seed.deserialize(Reader { value, key: key.to_owned() }).map_err(|fault| fault.under(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::entry::TokenAuth;

    #[derive(Debug, Deserialize)]
    struct Demanding {
        #[expect(dead_code, reason = "what is read here is whether it ends")]
        way: TokenAuth,
        #[expect(dead_code, reason = "the same")]
        sure: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    struct Sure {
        #[expect(dead_code, reason = "what is read here is whether it ends")]
        sure: bool,
    }

    fn told<T: for<'de> Deserialize<'de>>(text: &str) -> (bool, Vec<String>) {
        let (read, misfits) = read_as::<T>(Value::Table(text.parse().unwrap()));
        (read.is_some(), misfits.into_iter().map(|misfit| format!("{}: {}", misfit.key, misfit.message)).collect())
    }

    #[test]
    fn a_missing_word_is_told_once_and_the_rest_is_read_all_the_same() {
        let sure = "sure: this is a string, and must be a boolean".to_owned();
        assert_eq!(told::<Demanding>("sure = \"yes\""), (true, vec![sure, "way: is missing".to_owned()]));
        let wrong = "way: 'bearer' is not a word for it; there are basic, basic_raw, post, none, private_key_jwt, client_secret_jwt";
        assert_eq!(told::<Demanding>("way = \"bearer\"\nsure = true"), (true, vec![wrong.to_owned()]));
    }

    #[test]
    fn a_missing_key_that_nothing_can_stand_in_for_is_told_and_ends_the_reading() {
        assert_eq!(told::<Sure>(""), (false, vec!["sure: is missing".to_owned()]));
    }
}
