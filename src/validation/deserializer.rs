//! A deserializer over a tree that knows paths, leaves out what is marked as faulty and adds stand-ins.

use std::cell::Cell;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer as _, Visitor};
use serde_json::{Map, Value};

use super::fault::{InputProblem, PassError, Step, Type};
use super::marks::{Format, Marks};
use super::stand_in::StandIn;

/// The member that tells the variants of a union apart.
pub(super) const TAG: &str = "type";

/// The fields of a type, in their order.
pub(super) type FieldNames = Cell<&'static [&'static str]>;

/// A value, and the default of its place.
type WithDefault<'v> = (&'v Value, Option<&'v Value>);

/// A value, and the marks on it.
#[derive(Clone, Copy)]
pub(super) struct ValueReader<'v> {
    pub(super) value: &'v Value,
    pub(super) marks: Option<&'v Marks>,
    /// Stands in for members that are left out.
    pub(super) defaults: Option<&'v Value>,
    pub(super) format: Format,
    /// The names of the fields, set by the type that is read.
    pub(super) fields: &'v FieldNames,
}

/// Reads `value` by `seed`; an error that comes from it is seen from the value above, `step` away.
pub(super) fn read_at<'de, S: DeserializeSeed<'de>>(
    seed: S,
    (value, defaults): WithDefault<'_>,
    marks: Option<&Marks>,
    format: Format,
    step: Option<Step>,
) -> Result<S::Value, PassError> {
    let fields = FieldNames::default();
    let reader = ValueReader { value, marks, defaults, format, fields: &fields };
    seed.deserialize(reader).map_err(|mut error| {
        if let InputProblem::Empty(found @ Type::Null) = &mut error.problem {
            *found = type_of(value);
        }
        error.under(step, fields.get())
    })
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

impl<'v> ValueReader<'v> {
    fn wrong<T>(&self, expected: Type) -> Result<T, PassError> {
        Err(PassError::new(InputProblem::WrongType(expected, type_of(self.value))))
    }

    fn members(&self, members: &'v Map<String, Value>, fields: &'static [&'static str]) -> Members<'v> {
        let default = |name: &str| self.defaults.and_then(|defaults| defaults.get(name));
        let known = fields.iter().filter_map(|field| Some((Step::Field(field), members.get(*field)?)));
        let others = members.iter().filter(|(name, _)| !fields.contains(&name.as_str()));
        let others = others.map(|(name, value)| (Step::Key(name.clone()), value));
        let given = known.chain(others).filter_map(|(step, value)| {
            let name = step.name()?;
            let (value, default) = if self.is_left_out(name) { (default(name)?, None) } else { (value, default(name)) };
            Some((step, (value, default)))
        });
        let mut given: Vec<_> = given.collect();
        given.reverse();
        let stand_ins = self.marks.map_or(&[][..], |marks| &marks.stand_ins);
        Members { given, stand_ins, marks: self.marks, format: self.format, value: None }
    }

    fn is_left_out(&self, name: &str) -> bool {
        self.marks.and_then(|marks| marks.below.get(name)).is_some_and(|marks| marks.left_out)
    }

    /// A whole number. A request body may also write it as a decimal string or as a float without a fraction.
    fn integer(&self) -> Result<Integer, PassError> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let failed = |problem| Err(PassError::new(problem));
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

/// Forwards to another method after a look at the type of the value.
macro_rules! typed {
    ($($method:ident: $pattern:pat => $expected:ident;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PassError> {
            match self.value {
                $pattern => self.deserialize_any(visitor),
                _ => self.wrong(Type::$expected),
            }
        }
    )+};
}

macro_rules! integers {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PassError> {
            let too_large = |_: PassError| PassError::new(InputProblem::IntegerTooLarge);
            match self.integer()? {
                Integer::Signed(number) => visitor.visit_i64(number).map_err(too_large),
                Integer::Unsigned(number) => visitor.visit_u64(number).map_err(too_large),
            }
        }
    )+};
}

impl<'de> de::Deserializer<'de> for ValueReader<'_> {
    type Error = PassError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PassError> {
        match self.value {
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

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PassError> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, PassError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PassError> {
        self.fields.set(fields);
        let Value::Object(members) = self.value else { return self.wrong(Type::Struct) };
        visitor.visit_map(self.members(members, fields))
    }

    /// A string is one of a few words. A table is a union, told apart by its tag; a variant named "" is for tables
    /// without one.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PassError> {
        match self.value {
            Value::String(word) => {
                let word: StrDeserializer<'_, PassError> = word.as_str().into_deserializer();
                de::Deserializer::deserialize_enum(word, name, words, visitor)
            }
            Value::Object(members) if self.format == Format::Json => match members.get(TAG) {
                None if words.contains(&"") => visitor.visit_enum(Variant { tag: "", reader: self }),
                None => Err(PassError::new(InputProblem::TagMissing)),
                Some(tag) => match words.iter().find(|word| tag.as_str() == Some(word)) {
                    Some(tag) => visitor.visit_enum(Variant { tag, reader: self }),
                    None => Err(PassError::new(InputProblem::TagUnknown(words))),
                },
            },
            _ if self.format == Format::Json => self.wrong(Type::Struct),
            _ => Err(PassError::new(InputProblem::UnknownWord(String::new(), words))),
        }
    }

    typed! {
        deserialize_bool: Value::Bool(_) => Boolean;
        deserialize_f32: Value::Number(_) => Float;
        deserialize_f64: Value::Number(_) => Float;
        deserialize_char: Value::String(_) => String;
        deserialize_str: Value::String(_) => String;
        deserialize_string: Value::String(_) => String;
        deserialize_seq: Value::Array(_) => List;
        deserialize_map: Value::Object(_) => Map;
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }

    serde::forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The items of a list that are not left out.
struct Items<'v> {
    list: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
    reader: ValueReader<'v>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = PassError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, PassError> {
        loop {
            let Some((index, value)) = self.list.next() else { return Ok(None) };
            let marks = self.reader.marks.and_then(|marks| marks.items.get(&index));
            if marks.is_none_or(|marks| !marks.left_out) {
                return read_at(seed, (value, None), marks, self.reader.format, Some(Step::Index(index))).map(Some);
            }
        }
    }
}

/// The members of a table that are not left out, and stand-ins for missing ones.
struct Members<'v> {
    /// In reverse order; each with its default.
    given: Vec<(Step, WithDefault<'v>)>,
    stand_ins: &'v [&'static str],
    marks: Option<&'v Marks>,
    format: Format,
    value: Option<(Step, Option<WithDefault<'v>>)>,
}

impl<'de> de::MapAccess<'de> for Members<'_> {
    type Error = PassError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, PassError> {
        let (step, value) = match (self.given.pop(), self.stand_ins) {
            (Some((step, value)), _) => (step, Some(value)),
            (None, [name, rest @ ..]) => {
                self.stand_ins = rest;
                (Step::Field(name), None)
            }
            (None, []) => return Ok(None),
        };
        let name: StrDeserializer<'_, PassError> = step.name().unwrap_or_default().into_deserializer();
        let key = seed.deserialize(name).map_err(|error| match error.problem {
            InputProblem::UnknownField(_) => error,
            _ => error.under(Some(step.clone()), &[]),
        })?;
        self.value = Some((step, value));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, PassError> {
        let (step, value) = self.value.take().expect("serde asks for a value after its key");
        match value {
            Some(value) => {
                let marks = self.marks.and_then(|marks| marks.below.get(step.name()?));
                read_at(seed, value, marks, self.format, Some(step))
            }
            None => seed.deserialize(StandIn).map_err(|error| error.under(Some(step), &[])),
        }
    }
}

/// One variant of a union; its body is the table itself, without the tag.
struct Variant<'v> {
    tag: &'static str,
    reader: ValueReader<'v>,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = PassError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), PassError> {
        let tag: StrDeserializer<'_, PassError> = self.tag.into_deserializer();
        Ok((seed.deserialize(tag)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = PassError;

    fn unit_variant(self) -> Result<(), PassError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, PassError> {
        let fields = FieldNames::default();
        let body = ValueReader { fields: &fields, ..self.reader };
        let step = (!self.tag.is_empty()).then_some(Step::Tag(self.tag));
        seed.deserialize(body).map_err(|error| error.under(step, fields.get()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, PassError> {
        self.reader.wrong(Type::Struct)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, PassError> {
        self.reader.wrong(Type::Struct)
    }
}
