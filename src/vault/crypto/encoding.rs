//! Encoding of a record's plaintext: fields of a tag (1 byte), a length (4 bytes) and a value.
//!
//! Unknown tags are skipped, so that later versions can add fields. JSON is not used because every
//! buffer must be wiped, including those that were outgrown.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::jose::SigningKey;

/// Joins parts for a MAC or an AEAD, each with its length before it, so that different lists of
/// parts differ.
pub(crate) fn cover<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut covered = Vec::with_capacity(256);
    for part in parts {
        covered.extend_from_slice(&length(part));
        covered.extend_from_slice(part);
    }
    covered
}

/// Encodes an optional number for [`cover`]: eight bytes, or none.
pub(crate) fn number(value: Option<i64>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| value.to_be_bytes().to_vec())
}

/// Encodes an optional text for [`cover`]: an empty text and an absent one differ.
pub(crate) fn text(value: Option<&str>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| [b"=", value.as_bytes()].concat())
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("a part is far below 4 GiB: requests end at 1 MiB").to_be_bytes()
}

/// Encoder of fields.
pub(crate) struct FieldWriter(Zeroizing<Vec<u8>>);

impl FieldWriter {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(512)))
    }

    pub(crate) fn bytes(mut self, tag: u8, value: &[u8]) -> Self {
        self.push(&[tag]);
        self.push(&length(value));
        self.push(value);
        self
    }

    pub(crate) fn text(self, tag: u8, value: &str) -> Self {
        self.bytes(tag, value.as_bytes())
    }

    pub(crate) fn optional(self, tag: u8, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(tag, value),
            None => self,
        }
    }

    pub(crate) fn optional_bytes(self, tag: u8, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(tag, value),
            None => self,
        }
    }

    pub(crate) fn int(self, tag: u8, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.bytes(tag, &value.to_be_bytes()),
            None => self,
        }
    }

    /// Writes a list. An empty list differs from an absent one.
    pub(crate) fn list<'a>(self, tag: u8, values: impl IntoIterator<Item = &'a str>) -> Self {
        let inner = values.into_iter().fold(Self::new(), |inner, value| inner.text(0, value));
        self.bytes(tag, &inner.0)
    }

    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Appends bytes. If the buffer must grow, a larger one replaces it and the old one is
    /// wiped.
    fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed * 2));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
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

    pub(crate) fn bytes(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// Returns every field of this tag, in order.
    pub(crate) fn all(&self, tag: u8) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(found, _)| *found == tag).map(|(_, value)| *value)
    }

    pub(crate) fn text(&self, tag: u8) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(tag)?).ok()
    }

    pub(crate) fn owned(&self, tag: u8) -> Option<String> {
        self.text(tag).map(str::to_owned)
    }

    /// Returns an optional private key; `None` if the field exists and is not a key.
    #[expect(clippy::option_option, reason = "absent and unreadable are not the same")]
    pub(crate) fn key(&self, tag: u8) -> Option<Option<Arc<SigningKey>>> {
        let Some(pkcs8) = self.bytes(tag) else { return Some(None) };
        SigningKey::from_pkcs8(pkcs8).ok().map(|key| Some(Arc::new(key)))
    }

    pub(crate) fn int(&self, tag: u8) -> Option<i64> {
        Some(i64::from_be_bytes(self.bytes(tag)?.try_into().ok()?))
    }

    pub(crate) fn list(&self, tag: u8) -> Option<Vec<&'a str>> {
        let inner = Self::read(self.bytes(tag)?)?;
        inner.0.into_iter().map(|(_, value)| std::str::from_utf8(value).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_and_a_cut_field_is_rejected() {
        let long = "x".repeat(5_000);
        let bytes = FieldWriter::new()
            .text(1, &long)
            .optional(2, None)
            .int(3, Some(-7))
            .list(4, ["a", ""])
            .list(5, [])
            .finish();
        let fields = Fields::read(&bytes).unwrap();
        assert_eq!((fields.text(1), fields.text(2), fields.int(3)), (Some(long.as_str()), None, Some(-7)));
        assert_eq!((fields.list(4), fields.list(5), fields.list(6)), (Some(vec!["a", ""]), Some(vec![]), None));
        assert!(Fields::read(&bytes[..bytes.len() - 1]).is_none());
    }

    #[test]
    fn cover_separates_its_parts() {
        assert_ne!(cover([b"ab".as_slice(), b"c"]), cover([b"a".as_slice(), b"bc"]));
        assert_ne!(text(Some("")), text(None));
    }
}
