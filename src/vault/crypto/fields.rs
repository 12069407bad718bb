//! Encoding of what is sealed: fields of a tag (1 byte), a length (4 bytes) and a value. A table
//! ([`fields!`](crate::vault::crypto::fields::fields)) gives each field of a type its tag.
//!
//! Unknown tags are skipped, so that later versions can add fields. The traits are not serde's: a
//! type that holds a secret has no `Serialize`, and every buffer must be wiped, including those that
//! were outgrown.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, GrantId, ProviderName, UserId};
use crate::jose::SigningKey;
use crate::kind::Kind;
use crate::policy::{HostPattern, MethodRule, PathPattern, Rate};
use crate::secret::{self, Secret};

/// A value that can be the content of a field.
pub(crate) trait Value: Sized {
    /// Appends the value.
    fn write(&self, to: &mut FieldWriter);
    /// Reads the value; `None` if the bytes are malformed.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// A value that has a field, or an optional one that may have none.
pub(crate) trait Field: Sized {
    /// Appends the field, if there is a value.
    fn put(&self, tag: u8, to: &mut FieldWriter);
    /// Reads the field; `None` if it is malformed, or missing and required.
    fn get(tag: u8, from: &Fields<'_>) -> Option<Self>;
}

impl<T: Value> Field for T {
    fn put(&self, tag: u8, to: &mut FieldWriter) {
        to.field(tag, |to| self.write(to));
    }

    fn get(tag: u8, from: &Fields<'_>) -> Option<Self> {
        T::read(from.bytes(tag)?)
    }
}

impl<T: Value> Field for Option<T> {
    fn put(&self, tag: u8, to: &mut FieldWriter) {
        if let Some(value) = self {
            value.put(tag, to);
        }
    }

    fn get(tag: u8, from: &Fields<'_>) -> Option<Self> {
        from.bytes(tag).map_or(Some(None), |bytes| T::read(bytes).map(Some))
    }
}

/// Encodes a value.
pub(crate) fn encode(value: &impl Value) -> Zeroizing<Vec<u8>> {
    let mut to = FieldWriter::new();
    value.write(&mut to);
    to.finish()
}

/// Encoder of fields. If its buffer has to grow, the old one is wiped.
pub(crate) struct FieldWriter(Zeroizing<Vec<u8>>);

impl FieldWriter {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(512)))
    }

    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Appends a field with the value that `write` appends.
    pub(crate) fn field(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        self.bytes(&[tag, 0, 0, 0, 0]);
        let start = self.0.len();
        write(self);
        let length = u32::try_from(self.0.len() - start).expect("a value is far below 4 GiB: requests end at 1 MiB");
        self.0[start - 4..start].copy_from_slice(&length.to_be_bytes());
    }

    /// Appends bytes of a value.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        secret::append(&mut self.0, bytes);
    }
}

impl Write for FieldWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decoded fields, borrowed from the plaintext.
pub(crate) struct Fields<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Fields<'a> {
    /// Splits a plaintext into fields; `None` if the lengths do not add up.
    pub(crate) fn read(mut rest: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while let Some((tag, after)) = rest.split_first() {
            let (length, after) = after.split_first_chunk::<4>()?;
            let (value, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            fields.push((*tag, value));
            rest = after;
        }
        Some(Self(fields))
    }

    /// Returns the tag and the value of each field.
    pub(crate) fn into_values(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        self.0.into_iter()
    }

    /// Reads the field of this tag.
    pub(crate) fn get<T: Field>(&self, tag: u8) -> Option<T> {
        T::get(tag, self)
    }

    fn bytes(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }
}

/// Implements [`Value`] by a table of the type's fields with their tags. A tag is never reused with
/// another meaning.
macro_rules! fields {
    ($type:ty { $($tag:literal $field:ident,)+ }) => {
        impl $crate::vault::crypto::fields::Value for $type {
            fn write(&self, to: &mut $crate::vault::crypto::fields::FieldWriter) {
                $($crate::vault::crypto::fields::Field::put(&self.$field, $tag, to);)+
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                let fields = $crate::vault::crypto::fields::Fields::read(bytes)?;
                Some(Self { $($field: fields.get($tag)?,)+ })
            }
        }
    };
}

/// Implements [`Value`] for types that are stored as JSON; none of them holds a secret.
macro_rules! as_json {
    ($($type:ty),+) => {
        $(impl $crate::vault::crypto::fields::Value for $type {
            fn write(&self, to: &mut $crate::vault::crypto::fields::FieldWriter) {
                serde_json::to_writer(to, self).expect("the type is JSON, and the buffer takes everything");
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                serde_json::from_slice(bytes).ok()
            }
        })+
    };
}

/// Implements [`Value`] for types that are stored as they are displayed.
macro_rules! as_text {
    ($($type:ty),+) => {
        $(impl Value for $type {
            fn write(&self, to: &mut FieldWriter) {
                write!(to, "{self}").expect("the buffer takes everything");
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                std::str::from_utf8(bytes).ok()?.parse().ok()
            }
        })+
    };
}

pub(crate) use {as_json, fields};

as_text!(String, UserId, ProviderName, CredentialId, ApiKeyId, GrantId, HostPattern, MethodRule, PathPattern, Rate);
as_json!(bool, u32, u64, i64, UnixTime, serde_json::Value, serde_json::Map<String, serde_json::Value>);

impl Value for Kind {
    fn write(&self, to: &mut FieldWriter) {
        to.bytes(self.name().as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_name(std::str::from_utf8(bytes).ok()?)
    }
}

impl Value for Secret {
    fn write(&self, to: &mut FieldWriter) {
        to.bytes(self.expose().as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::new)
    }
}

/// Stored in whole seconds.
impl Value for Duration {
    fn write(&self, to: &mut FieldWriter) {
        self.as_secs().write(to);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        u64::read(bytes).map(Self::from_secs)
    }
}

impl<const N: usize> Value for [u8; N] {
    fn write(&self, to: &mut FieldWriter) {
        to.bytes(self);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Value for Vec<u8> {
    fn write(&self, to: &mut FieldWriter) {
        to.bytes(self);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl Value for Arc<SigningKey> {
    fn write(&self, to: &mut FieldWriter) {
        to.bytes(self.pkcs8());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        SigningKey::from_pkcs8(bytes).ok().map(Self::new)
    }
}

impl<T: Value> Value for Vec<T> {
    fn write(&self, to: &mut FieldWriter) {
        for value in self {
            value.put(0, to);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Fields::read(bytes)?.into_values().map(|(_, value)| T::read(value)).collect()
    }
}

impl<A: Value, B: Value> Value for (A, B) {
    fn write(&self, to: &mut FieldWriter) {
        self.0.put(0, to);
        self.1.put(1, to);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        Some((fields.get(0)?, fields.get(1)?))
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    fn write(&self, to: &mut FieldWriter) {
        for (key, value) in self {
            to.field(0, |to| {
                key.put(0, to);
                value.put(1, to);
            });
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Vec::<(String, T)>::read(bytes).map(|pairs| pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        long: String,
        absent: Option<String>,
        number: Option<i64>,
        list: Option<Vec<String>>,
        empty: Option<Vec<String>>,
        map: BTreeMap<String, Vec<String>>,
    }

    fields! {
        Sample {
            1 long,
            2 absent,
            3 number,
            4 list,
            5 empty,
            6 map,
        }
    }

    #[test]
    fn fields_read_back_and_a_cut_field_is_rejected() {
        let sample = Sample {
            long: "x".repeat(5_000),
            absent: None,
            number: Some(-7),
            list: Some(vec!["a".into(), String::new()]),
            empty: Some(Vec::new()),
            map: BTreeMap::from([("a".into(), vec!["b".into()])]),
        };
        let bytes = encode(&sample);
        assert_eq!(Sample::read(&bytes), Some(sample));
        assert_eq!(Sample::read(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Sample::read(&[bytes.as_slice(), &[99, 0, 0, 0, 1, 7]].concat()), Sample::read(&bytes), "unknown");
        assert_eq!(Sample::read(&[]), None, "a required field is missing");
        assert_eq!(Option::<i64>::get(1, &Fields::read(&[1, 0, 0, 0, 1, b'x']).unwrap()), None, "malformed");
    }
}
