//! The type of all secrets: not printable, not serializable, and wiped when dropped.

use std::fmt;
use std::io::{self, Read};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize as _, Zeroizing};

/// The byte order mark.
const MARK: char = '\u{feff}';

/// A secret text: a token, a password, an API key, a client secret, a code verifier.
///
/// It does not implement `Serialize`, and its `Debug` shows nothing. Code that needs the text calls
/// [`Secret::expose`], which is easy to search for.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Wraps a text that was typed, pasted or read, without the byte order mark and the line ends
    /// around it. Returns `None` if the rest is blank.
    pub fn trimmed(text: &str) -> Option<Self> {
        let text = text.trim_matches([MARK, '\r', '\n']);
        (!text.trim().is_empty()).then(|| Self::new(text))
    }

    /// Returns the text. Reviews should look at every call.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns true if the text is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Compares in a time that depends on the lengths only.
    pub fn equals(&self, other: &str) -> bool {
        self.expose().as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Decodes the content of a file or the output of a program: UTF-8, or UTF-16 with the byte order
/// mark that some editors and shells write. The mark is dropped.
pub(crate) fn decode(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let unit = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            return Some(Zeroizing::new(text.trim_start_matches(MARK).to_owned()));
        }
    };
    // A unit of two bytes has at most three in UTF-8, so the buffer does not grow.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    let (units, rest) = bytes[2..].as_chunks::<2>();
    for c in char::decode_utf16(units.iter().map(|pair| unit(*pair))) {
        text.push(c.ok()?);
    }
    rest.is_empty().then_some(text)
}

/// Appends to a buffer that is wiped when dropped. If the buffer has to move, its old memory is
/// wiped too.
pub(crate) fn append(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let needed = buffer.len() + bytes.len();
    if needed > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// Reads text that may contain a secret, and wipes all intermediate buffers. Reads up to `most`
/// bytes plus one, so that the caller can detect a longer input.
pub(crate) fn read(mut from: impl Read, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (mut all, mut piece) = (Zeroizing::new(Vec::with_capacity(4 * 1024)), Zeroizing::new([0; 4 * 1024]));
    while all.len() <= most {
        let room = piece.len().min((most - all.len()).saturating_add(1));
        match from.read(&mut piece[..room]) {
            Ok(0) => break,
            Ok(length) => append(&mut all, &piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.zeroize();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom};

    use super::*;

    /// A sequence that no other memory contains by chance.
    fn letter(at: usize) -> u8 {
        // SplitMix64: its output does not repeat.
        let mut mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        b'A' + u8::try_from((mixed ^ mixed >> 31) % 26).unwrap()
    }

    /// Returns the bytes in small pieces, so that the buffer has to grow.
    struct Dripping(usize);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(Self::LENGTH - self.0).min(31);
            for byte in &mut buffer[..length] {
                *byte = letter(self.0);
                self.0 += 1;
            }
            Ok(length)
        }
    }

    impl Dripping {
        const LENGTH: usize = 9_000;
    }

    /// Counts the places in our own writable memory that contain the first bytes of the sequence.
    fn copies() -> usize {
        const LENGTH: usize = 24;
        let mut piece = vec![0; 64 * 1024];
        // Skip the search buffer, which is itself in this memory.
        let begin = u64::try_from(piece.as_ptr().addr()).unwrap();
        let own = begin..begin + u64::try_from(piece.len()).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut found = 0;
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let [mut at, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            while at + 24 < end {
                if own.contains(&at) {
                    at = own.end;
                    continue;
                }
                let until_own = usize::try_from(own.start.saturating_sub(at)).unwrap();
                let most = if until_own == 0 { piece.len() } else { piece.len().min(until_own) };
                piece.fill(0);
                memory.seek(SeekFrom::Start(at)).unwrap();
                // Some mappings cannot be read, or another thread has just released them.
                let Ok(length) = memory.read(&mut piece[..most]) else { break };
                let is_it = |place: usize| (1..LENGTH).all(|next| piece.get(place + next) == Some(&letter(next)));
                let first = letter(0);
                found += piece.iter().enumerate().filter(|(place, byte)| **byte == first && is_it(*place)).count();
                // Pieces overlap by less than the length searched for, so that nothing is counted
                // twice or missed.
                at += u64::try_from(length.saturating_sub(LENGTH - 1).max(1)).unwrap();
            }
        }
        found
    }

    #[test]
    fn a_dropped_secret_leaves_no_copy_in_memory() {
        let held = read(Dripping(0), 1 << 20).unwrap();
        assert_eq!((held.len(), held[8_999]), (Dripping::LENGTH, letter(8_999)));
        assert_eq!(copies(), 1, "one copy while it is alive");
        drop(held);
        assert_eq!(copies(), 0);
        assert_eq!(read(Dripping(0), 100).unwrap().len(), 101, "one more than the limit");
    }

    #[test]
    fn marks_and_line_ends_are_dropped() {
        for text in ["k y", "\u{feff}k y", "k y\r\n", "\n\nk y\n\n", "\u{feff}\r\nk y\n"] {
            assert!(Secret::trimmed(text).unwrap().equals("k y"), "{text:?}");
        }
        for blank in ["", " ", "\n", "\u{feff}", "\u{feff} \t\r\n", "\u{a0}"] {
            assert!(Secret::trimmed(blank).is_none(), "{blank:?}");
        }
        assert!(Secret::trimmed(" k ").unwrap().equals(" k "), "blanks may belong to a password");
    }

    #[test]
    fn text_with_a_byte_order_mark_is_decoded() {
        let decoded = |bytes: &[u8]| decode(bytes).map(|text| text.to_string());
        for bytes in [&b"k\xc3\xa9"[..], b"\xef\xbb\xbfk\xc3\xa9", b"\xff\xfek\0\xe9\0", b"\xfe\xff\0k\0\xe9"] {
            assert_eq!(decoded(bytes).as_deref(), Some("k\u{e9}"), "{bytes:?}");
        }
        for bytes in [&b"k\xe9"[..], b"\xff\xfek", b"\xff\xfe\0\xd8"] {
            assert_eq!(decoded(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert!(secret.equals("hunter2") && !secret.equals("hunter3") && !secret.equals("hunter"));
    }
}
