//! ChaCha20-Poly1305 (RFC 8439) by ring, as the header and the payload use it: bound to nothing beside.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

pub(super) const NONCE: usize = 12;
pub(super) const TAG: usize = 16;

/// Seals `text` in place and gives the tag.
pub(super) fn seal(key: &[u8; 32], nonce: [u8; NONCE], text: &mut [u8]) -> [u8; TAG] {
    let tag = cipher(key).seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), text);
    let tag = tag.expect("a chunk is far below the cipher's limit of 256 GiB");
    tag.as_ref().try_into().expect("a tag of Poly1305 has 16 bytes")
}

/// Opens `text` in place; `None` where it or its tag was changed, and then there is nothing in it that may be used.
pub(super) fn open(key: &[u8; 32], nonce: [u8; NONCE], text: &mut [u8], tag: [u8; TAG]) -> Option<()> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher(key).open_in_place_separate_tag(nonce, Aad::empty(), Tag::from(tag), text, 0..).ok().map(|_| ())
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes are a key"))
}
