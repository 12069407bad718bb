//! The type that a secret is always in: it prints as nothing, serialises to nothing, and is wiped when dropped.

use std::fmt;
use std::io::{self, Read};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize as _, Zeroizing};

/// A secret text: a token, a password, an API key, a client secret, a code verifier.
///
/// It has no `Serialize`, and its `Debug` says only that it is one; whoever needs the text asks with
/// [`Secret::expose`], which is easy to search for.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Compares in a time that depends on the lengths alone.
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

/// Appends to a buffer that is wiped when it is dropped; where it has to move, the place that it leaves is wiped too.
pub(crate) fn append(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let needed = buffer.len() + bytes.len();
    if needed > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// Reads what may hold a secret, and leaves nothing of it behind but what it gives: up to `most` bytes and one more, so that
/// the caller sees that there is too much.
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

    /// What nobody's memory holds by chance, and ours only as what it is written from.
    fn letter(at: usize) -> u8 {
        // SplitMix64: no run of it comes again.
        let mut mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        b'A' + u8::try_from((mixed ^ mixed >> 31) % 26).unwrap()
    }

    /// Gives it bit by bit, so that a buffer has to grow.
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

    /// In how many places of our own writable memory the first letters of it stand.
    fn copies() -> usize {
        const LENGTH: usize = 24;
        let mut piece = vec![0; 64 * 1024];
        // What is looked through is itself in this memory, and is passed over: else what was found is found again in there.
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
                // Some of what is mapped cannot be read, and another thread may have given it back.
                let Ok(length) = memory.read(&mut piece[..most]) else { break };
                let is_it = |place: usize| (1..LENGTH).all(|next| piece.get(place + next) == Some(&letter(next)));
                let first = letter(0);
                found += piece.iter().enumerate().filter(|(place, byte)| **byte == first && is_it(*place)).count();
                // Pieces overlap by less than the letters, so that none is seen twice or missed.
                at += u64::try_from(length.saturating_sub(LENGTH - 1).max(1)).unwrap();
            }
        }
        found
    }

    #[test]
    fn of_a_secret_that_was_read_and_dropped_nothing_is_left_in_memory() {
        let held = read(Dripping(0), 1 << 20).unwrap();
        assert_eq!((held.len(), held[8_999]), (Dripping::LENGTH, letter(8_999)));
        assert_eq!(copies(), 1, "where it is, and nowhere that it was");
        drop(held);
        assert_eq!(copies(), 0);
        assert_eq!(read(Dripping(0), 100).unwrap().len(), 101, "one more than may be");
    }

    #[test]
    fn a_secret_prints_as_nothing() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert!(secret.equals("hunter2") && !secret.equals("hunter3") && !secret.equals("hunter"));
    }
}
