//! Encoding of several parts as one text for a MAC or an AEAD.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cover_separates_its_parts() {
        assert_ne!(cover([b"ab".as_slice(), b"c"]), cover([b"a".as_slice(), b"bc"]));
        assert_ne!(text(Some("")), text(None));
    }
}
