//! How a record's plaintext is laid out: fields of one tag byte, a length of four bytes and the value.
//!
//! A field that is not known is passed over, so that later versions can add some. Every buffer is wiped, those that
//! were outgrown too, which is why this is not JSON.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::jose::SigningKey;

/// Appends length-prefixed parts to what a MAC or an AEAD is to cover, so that no two lists of parts read the same.
pub(in crate::vault) fn cover<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut covered = Vec::with_capacity(256);
    for part in parts {
        covered.extend_from_slice(&length(part));
        covered.extend_from_slice(part);
    }
    covered
}

/// A number that may be absent, for [`cover`]: eight bytes, or none.
pub(in crate::vault) fn number(value: Option<i64>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| value.to_be_bytes().to_vec())
}

/// A text that may be absent, for [`cover`]: an empty one and none are not the same.
pub(in crate::vault) fn text(value: Option<&str>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| [b"=", value.as_bytes()].concat())
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("a part is far below 4 GiB: requests end at 1 MiB").to_be_bytes()
}

/// Writes fields.
pub(in crate::vault) struct FieldWriter(Zeroizing<Vec<u8>>);

impl FieldWriter {
    pub(in crate::vault) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(512)))
    }

    pub(in crate::vault) fn bytes(mut self, tag: u8, value: &[u8]) -> Self {
        self.push(&[tag]);
        self.push(&length(value));
        self.push(value);
        self
    }

    pub(in crate::vault) fn text(self, tag: u8, value: &str) -> Self {
        self.bytes(tag, value.as_bytes())
    }

    pub(in crate::vault) fn optional(self, tag: u8, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(tag, value),
            None => self,
        }
    }

    pub(in crate::vault) fn optional_bytes(self, tag: u8, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(tag, value),
            None => self,
        }
    }

    pub(in crate::vault) fn int(self, tag: u8, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.bytes(tag, &value.to_be_bytes()),
            None => self,
        }
    }

    /// A list, which may be empty and is there all the same.
    pub(in crate::vault) fn list<'a>(self, tag: u8, values: impl IntoIterator<Item = &'a str>) -> Self {
        let inner = values.into_iter().fold(Self::new(), |inner, value| inner.text(0, value));
        self.bytes(tag, &inner.0)
    }

    pub(in crate::vault) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Grows by moving to a larger buffer, which wipes the old one.
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

/// Fields that were read; they point into the plaintext.
pub(in crate::vault) struct Fields<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Fields<'a> {
    /// Splits a plaintext; `None` where its lengths do not add up.
    pub(in crate::vault) fn read(mut rest: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while let Some((tag, after)) = rest.split_first() {
            let (length, after) = after.split_first_chunk::<4>()?;
            let (value, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            fields.push((*tag, value));
            rest = after;
        }
        Some(Self(fields))
    }

    pub(in crate::vault) fn bytes(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// Every field of this tag, in order.
    pub(in crate::vault) fn all(&self, tag: u8) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(found, _)| *found == tag).map(|(_, value)| *value)
    }

    pub(in crate::vault) fn text(&self, tag: u8) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(tag)?).ok()
    }

    pub(in crate::vault) fn owned(&self, tag: u8) -> Option<String> {
        self.text(tag).map(str::to_owned)
    }

    /// A private key that may be absent; `None` where it is there and is none.
    #[expect(clippy::option_option, reason = "absent and unreadable are not the same")]
    pub(in crate::vault) fn key(&self, tag: u8) -> Option<Option<Arc<SigningKey>>> {
        let Some(pkcs8) = self.bytes(tag) else { return Some(None) };
        SigningKey::from_pkcs8(pkcs8).ok().map(|key| Some(Arc::new(key)))
    }

    pub(in crate::vault) fn int(&self, tag: u8) -> Option<i64> {
        Some(i64::from_be_bytes(self.bytes(tag)?.try_into().ok()?))
    }

    pub(in crate::vault) fn list(&self, tag: u8) -> Option<Vec<&'a str>> {
        let inner = Self::read(self.bytes(tag)?)?;
        inner.0.into_iter().map(|(_, value)| std::str::from_utf8(value).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_and_a_cut_one_is_refused() {
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
    fn parts_that_are_split_elsewhere_are_not_covered_alike() {
        assert_ne!(cover([b"ab".as_slice(), b"c"]), cover([b"a".as_slice(), b"bc"]));
        assert_ne!(text(Some("")), text(None));
    }
}
