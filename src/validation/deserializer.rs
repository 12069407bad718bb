//! A deserializer over a tree that records every fault with its path and reads on.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer as _, Visitor};
use serde_json::{Map, Value, json};

use super::fault::{Found, InputProblem, ReadError, Step, Type};
use super::member_limits;

/// Returns the values of which one stands in for a missing member, so that the rest is read too:
/// most required members are texts, and most types that are made from a text take a URL.
fn stand_ins() -> [Value; 10] {
    const URL: &str = "https://missing.invalid/";
    const ID: &str = "00000000-0000-7000-8000-000000000000";
    // A member that only a check of its table requires may take null alone. "allow" stands in for the
    // effect of a grant, and "GET" for a method.
    [
        json!(URL),
        json!("/"),
        json!(ID),
        json!("allow"),
        json!("GET"),
        Value::Null,
        json!([URL]),
        json!({ "missing": URL }),
        json!(1),
        json!(false),
    ]
}

/// The member that tells the variants of a union apart.
pub(super) const TAG: &str = "type";

/// The format that the input came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Settings and entries: numbers are numbers.
    Toml,
    /// Request bodies: whole numbers may be decimal strings, and unions have the tag `type`.
    Json,
}

/// A value to read.
#[derive(Clone, Copy)]
pub(super) struct InputValue<'v> {
    pub(super) value: &'v Value,
    /// Stands in for faulty members.
    pub(super) defaults: Option<&'v Value>,
    pub(super) format: Format,
}

/// A member that the next attempt to read its table does not read again.
struct Patch {
    name: String,
    /// The faults of the member.
    found: Found,
    /// The table requires the member, so a stand-in takes its place.
    stand_in: bool,
}

/// What the attempts to read one value have shown.
#[derive(Default)]
struct Attempts {
    patches: Vec<Patch>,
    /// The faults of the members that are given.
    all_given: Found,
}

impl Attempts {
    /// Patches the member because of which an attempt failed, for the next attempt. Returns all
    /// faults if none follows, because nothing can stand in for the member.
    fn patch(&mut self, input: InputValue<'_>, error: ReadError, mut found: Found) -> Option<Found> {
        match error {
            ReadError::Faulty(name, found) => self.patches.push(Patch { name, found, stand_in: false }),
            ReadError::Missing(name) => {
                match self.patches.iter_mut().find(|patch| patch.name == name) {
                    Some(patch) if patch.stand_in => return Some(found),
                    Some(patch) => patch.stand_in = true,
                    None => {
                        let missing = input.missing(name, &found);
                        found.append(missing.clone(), None);
                        self.patches.push(Patch { name: name.to_owned(), found: missing, stand_in: true });
                    }
                }
                // serde looks for missing members when it has read the others.
                self.all_given = found;
            }
            ReadError::NoStandIn => return Some(std::mem::take(&mut self.all_given)),
            error => {
                found.record(error, type_of(input.value));
                return Some(found);
            }
        }
        None
    }
}

impl InputValue<'_> {
    /// Reads the value, with all faults in it; the value is `None` if nothing can stand in for
    /// them.
    ///
    /// serde stops at the first member that is faulty or missing. The table is then read again
    /// without it, so a table is read at most twice as often as it has known members.
    // Compiled for each type: inlined into each table that has a member of the type, the copies
    // would take half a megabyte of the binary.
    #[inline(never)]
    pub(super) fn read<'de, T: Deserialize<'de>>(self) -> (Option<T>, Found) {
        let mut attempts = Attempts::default();
        loop {
            let found = RefCell::default();
            let result = T::deserialize(ValueReader { input: self, patches: &attempts.patches, found: &found });
            let found = found.into_inner();
            match result {
                Ok(value) => return (Some(value), found),
                Err(error) => {
                    if let Some(found) = attempts.patch(self, error, found) {
                        return (None, found);
                    }
                }
            }
        }
    }

    /// Reads a value that stands in for one that is missing.
    #[inline(never)]
    fn read_stand_in<'de, T: Deserialize<'de>>(self) -> Option<T> {
        stand_ins().iter().find_map(|value| InputValue { value, defaults: None, ..self }.read().0)
    }

    /// Returns the fault of a missing member; a mistyped one is a fault already.
    fn missing(self, name: &'static str, found: &Found) -> Found {
        let mut missing = Found::default();
        if !found.has_mistyped(name) {
            // A required member that is null is there, and has the wrong type.
            let is_null = self.value.get(name).is_some_and(Value::is_null);
            let null = InputProblem::WrongType(Type::String, Type::Null);
            missing.add(Step::Field(name), if is_null { null } else { InputProblem::Missing });
        }
        missing
    }

    fn wrong<T>(&self, expected: Type) -> Result<T, ReadError> {
        Err(ReadError::Value(InputProblem::WrongType(expected, type_of(self.value))))
    }

    /// A whole number. A request body may also write it as a decimal string or as a float without a
    /// fraction.
    fn integer(&self) -> Result<Integer, ReadError> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let failed = |problem| Err(ReadError::Value(problem));
        match self.value {
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), ..) => Ok(Integer::Signed(number)),
                (_, Some(number), _) => Ok(Integer::Unsigned(number)),
                _ if self.format == Format::Toml => self.wrong(Type::Integer),
                (.., Some(float)) if float.fract() != 0.0 => failed(InputProblem::Fraction),
                #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
                (.., Some(float)) if float.abs() <= EXACT => Ok(Integer::Signed(float as i64)),
                _ => failed(InputProblem::IntegerTooLarge),
            },
            Value::String(text) if self.format == Format::Json => match decimal(text) {
                Some(number) => Ok(Integer::Signed(number)),
                None => failed(InputProblem::NotAnInteger),
            },
            _ => self.wrong(Type::Integer),
        }
    }
}

enum Integer {
    Signed(i64),
    Unsigned(u64),
}

/// The whole number that a text is in decimal; `12.0` is one.
pub fn decimal(text: &str) -> Option<i64> {
    let text = text.trim();
    let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let zeros = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    if zeros { integer.parse().ok() } else { None }
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Boolean,
        Value::Number(number) if number.is_f64() => Type::Float,
        Value::Number(_) => Type::Integer,
        Value::String(_) => Type::String,
        Value::Array(_) => Type::List,
        Value::Object(_) => Type::Map,
    }
}

/// One attempt to read a value.
#[derive(Clone, Copy)]
struct ValueReader<'v> {
    input: InputValue<'v>,
    patches: &'v [Patch],
    found: &'v RefCell<Found>,
}

impl<'v> ValueReader<'v> {
    fn members(self, members: &'v Map<String, Value>, fields: &'static [&'static str]) -> Members<'v> {
        let given = |name: &str| members.contains_key(name) || self.patch(name).is_some();
        let known = fields.iter().filter(|field| given(field)).map(|field| Step::Field(field));
        let others = members.keys().filter(|name| !fields.contains(&name.as_str()));
        let steps: Vec<Step> = known.chain(others.map(|name| Step::Key(name.clone()))).collect();
        Members { reader: self, table: members, steps: steps.into_iter(), step: None }
    }

    fn patch(&self, name: &str) -> Option<&'v Patch> {
        self.patches.iter().find(|patch| patch.name == name)
    }

    fn default(&self, name: &str) -> Option<&'v Value> {
        self.input.defaults?.get(name)
    }

    /// Reads what is one step below.
    fn read_below<'de, T: Deserialize<'de>>(&self, step: &Step, input: InputValue<'v>) -> Option<T> {
        let (value, found) = input.read();
        self.found.borrow_mut().append(found, Some(step));
        value
    }
}

/// Forwards to another method after a look at the type of the value.
macro_rules! typed {
    ($($method:ident: $pattern:pat => $expected:ident;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.input.value {
                $pattern => self.deserialize_any(visitor),
                _ => self.input.wrong(Type::$expected),
            }
        }
    )+};
}

macro_rules! integers {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            let too_large = |_: ReadError| ReadError::Value(InputProblem::IntegerTooLarge);
            match self.input.integer()? {
                Integer::Signed(number) => visitor.visit_i64(number).map_err(too_large),
                Integer::Unsigned(number) => visitor.visit_u64(number).map_err(too_large),
            }
        }
    )+};
}

impl<'de> de::Deserializer<'de> for ValueReader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.input.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is) => visitor.visit_bool(*is),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => visitor.visit_i64(number),
                (_, Some(number)) => visitor.visit_u64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(list) => visitor.visit_seq(Items { list: list.iter().enumerate(), reader: self }),
            Value::Object(members) => visitor.visit_map(self.members(members, &[])),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.input.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let Value::Object(members) = self.input.value else { return self.input.wrong(Type::Struct) };
        visitor.visit_map(self.members(members, fields))
    }

    /// A string is one of a few words. A table is a union, told apart by its tag; a variant named
    /// "" is for tables without one.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.input.value {
            Value::String(word) => {
                let word: StrDeserializer<'_, ReadError> = word.as_str().into_deserializer();
                de::Deserializer::deserialize_enum(word, name, words, visitor)
            }
            Value::Object(members) if self.input.format == Format::Json => match members.get(TAG) {
                None if words.contains(&"") => visitor.visit_enum(Variant { tag: "", reader: self }),
                None => Err(ReadError::Value(InputProblem::TagMissing(words))),
                Some(tag) => match words.iter().find(|word| tag.as_str() == Some(word)) {
                    Some(tag) => visitor.visit_enum(Variant { tag, reader: self }),
                    None => Err(ReadError::Value(InputProblem::TagUnknown(words))),
                },
            },
            _ => Err(ReadError::Value(InputProblem::UnknownWord(String::new(), words))),
        }
    }

    typed! {
        deserialize_bool: Value::Bool(_) => Boolean;
        deserialize_f64: Value::Number(_) => Float;
        deserialize_str: Value::String(_) => String;
        deserialize_string: Value::String(_) => String;
        deserialize_seq: Value::Array(_) => List;
        deserialize_map: Value::Object(_) => Map;
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }

    serde::forward_to_deserialize_any! {
        f32 char i128 u128 bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The items of a list. A faulty one is recorded and skipped.
struct Items<'v> {
    list: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
    reader: ValueReader<'v>,
}

impl<'v> Items<'v> {
    fn next(&mut self) -> Option<(Step, InputValue<'v>)> {
        let (index, value) = self.list.next()?;
        Some((Step::Index(index), InputValue { value, defaults: None, format: self.reader.input.format }))
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, ReadError> {
        while let Some((step, input)) = self.next() {
            if let Some(item) = self.reader.read_below(&step, input) {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some((_, input)) = self.next() else { return Ok(None) };
        seed.deserialize(ValueReader { input, ..self.reader }).map(Some)
    }
}

/// The members of a table: first the known ones in the order of the type's fields, or their
/// patches.
struct Members<'v> {
    reader: ValueReader<'v>,
    table: &'v Map<String, Value>,
    steps: std::vec::IntoIter<Step>,
    /// The member whose name was read.
    step: Option<Step>,
}

/// The source of the value of a member.
enum Source<'v> {
    /// Any value that the type takes: the member is missing or faulty.
    StandIn,
    /// The default, because the member is faulty.
    Default(InputValue<'v>),
    /// The member itself.
    Given(InputValue<'v>),
    /// None: the member of a request body exceeds its limit.
    Exceeded(InputProblem),
}

/// Returns the error of a member that gives no value.
fn faulty(step: &Step, found: Found) -> ReadError {
    let mut below = Found::default();
    below.append(found, Some(step));
    ReadError::Faulty(step.name().to_owned(), below)
}

impl<'v> Members<'v> {
    /// Returns the step to the next member that is to be read, and records the faults of patched
    /// members.
    fn next(&mut self) -> Option<Step> {
        loop {
            let step = self.steps.next()?;
            let Some(patch) = self.reader.patch(step.name()) else { return Some(step) };
            self.reader.found.borrow_mut().append(patch.found.clone(), None);
            if patch.stand_in || self.reader.default(step.name()).is_some() {
                return Some(step);
            }
        }
    }

    fn input(&self, name: &str) -> InputValue<'v> {
        let defaults = self.reader.default(name);
        InputValue { value: &self.table[name], defaults, format: self.reader.input.format }
    }

    /// Returns the source of the value of a member.
    fn source(&self, step: &Step) -> Source<'v> {
        let name = step.name();
        match (self.reader.patch(name), self.reader.default(name)) {
            (Some(Patch { stand_in: true, .. }), _) | (Some(_), None) => Source::StandIn,
            (Some(_), Some(value)) => Source::Default(InputValue { value, defaults: None, ..self.reader.input }),
            (None, _) => self.exceeded(step).map_or_else(|| Source::Given(self.input(name)), Source::Exceeded),
        }
    }

    /// Returns the limit that a member of a request body exceeds.
    fn exceeded(&self, step: &Step) -> Option<InputProblem> {
        match step {
            Step::Field(name) if self.reader.input.format == Format::Json => {
                member_limits::exceeded(name, &self.table[*name])
            }
            _ => None,
        }
    }
}

impl<'de> de::MapAccess<'de> for Members<'_> {
    type Error = ReadError;

    /// Reads a name. One that the type does not take is recorded and skipped.
    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>, ReadError> {
        while let Some(step) = self.next() {
            match K::deserialize(text(step.name())) {
                Ok(key) => {
                    self.step = Some(step);
                    return Ok(Some(key));
                }
                Err(ReadError::Value(problem)) => self.reader.found.borrow_mut().add(step, problem),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        self.step = self.next();
        self.step.as_ref().map(|step| seed.deserialize(text(step.name()))).transpose()
    }

    #[inline(never)]
    fn next_value<T: Deserialize<'de>>(&mut self) -> Result<T, ReadError> {
        let step = self.step.take().expect("serde asks for a value after its name");
        match self.source(&step) {
            Source::StandIn => self.reader.input.read_stand_in().ok_or(ReadError::NoStandIn),
            Source::Default(input) => input.read().0.ok_or(ReadError::Recorded),
            Source::Given(input) => match input.read() {
                (Some(value), found) => {
                    self.reader.found.borrow_mut().append(found, Some(&step));
                    Ok(value)
                }
                (None, found) => Err(faulty(&step, found)),
            },
            Source::Exceeded(problem) => Err(faulty(&step, Found::of(problem))),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let step = self.step.take().expect("serde asks for a value after its name");
        seed.deserialize(ValueReader { input: self.input(step.name()), ..self.reader })
    }

    /// Reads an entry of a map. A faulty one is recorded and skipped.
    fn next_entry<K: Deserialize<'de>, T: Deserialize<'de>>(&mut self) -> Result<Option<(K, T)>, ReadError> {
        while let Some(key) = self.next_key()? {
            let step = self.step.take().expect("the name was read");
            let input = self.input(step.name());
            if let Some(value) = self.reader.read_below(&step, input) {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }
}

fn text(text: &str) -> StrDeserializer<'_, ReadError> {
    text.into_deserializer()
}

/// One variant of a union; its body is the table itself, without the tag.
struct Variant<'v> {
    tag: &'static str,
    reader: ValueReader<'v>,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        Ok((seed.deserialize(text(self.tag))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Ok(())
    }

    fn newtype_variant<T: Deserialize<'de>>(self) -> Result<T, ReadError> {
        let (value, found) = self.reader.input.read();
        let step = (!self.tag.is_empty()).then_some(Step::Tag(self.tag));
        self.reader.found.borrow_mut().append(found, step.as_ref());
        value.ok_or(ReadError::Recorded)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ReadError> {
        self.reader.input.wrong(Type::Struct)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, ReadError> {
        self.reader.input.wrong(Type::Struct)
    }
}
