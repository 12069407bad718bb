//! Text form of 32 secret bytes, for people and secret scanners: a prefix, 43 characters of base
//! 62, and 6 characters of a CRC-32 over everything before them.

use zeroize::Zeroizing;

use crate::secret::Secret;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of a key: 62^43 is the first power that exceeds 2^256.
const KEY_DIGITS: usize = 43;
/// Digits of the checksum: 62^6 exceeds 2^32.
const CHECK_DIGITS: usize = 6;

/// A text that is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Wrong prefix, length or alphabet.
    #[error("this is not a master key of Strongroom: it must begin with srm_ and have 53 characters")]
    Form,
    /// The right form with a wrong checksum.
    #[error("this master key has a typing error: its checksum is wrong")]
    Checksum,
}

/// Writes `bytes` after `prefix`.
pub(crate) fn write(prefix: &str, bytes: &[u8; 32]) -> Secret {
    let mut text = String::with_capacity(prefix.len() + KEY_DIGITS + CHECK_DIGITS);
    text.push_str(prefix);
    let digits = Zeroizing::new(key_digits(bytes));
    text.extend(digits.iter().map(|digit| char::from(ALPHABET[usize::from(*digit)])));
    let check = check_text(&text);
    text.push_str(&check);
    Secret::new(text)
}

/// Reads the text that [`write`] made.
pub(crate) fn read(prefix: &str, text: &str) -> Result<Zeroizing<[u8; 32]>, MasterKeyError> {
    let body = text.strip_prefix(prefix).ok_or(MasterKeyError::Form)?;
    if body.len() != KEY_DIGITS + CHECK_DIGITS || !body.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Err(MasterKeyError::Form);
    }
    let (covered, check) = text.split_at(text.len() - CHECK_DIGITS);
    if check_text(covered) != check {
        return Err(MasterKeyError::Checksum);
    }
    number(&body.as_bytes()[..KEY_DIGITS]).ok_or(MasterKeyError::Form)
}

/// Converts digits to a number of 256 bits, ten digits at a time, which fit one word. `None` if it
/// is larger.
fn number(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    const AT_ONCE: usize = 10;
    const LOW: u128 = u64::MAX as u128;
    let mut words = Zeroizing::new([0u128; 4]); // the lowest first
    for some in digits.chunks(AT_ONCE) {
        let (mut carry, mut scale) = (0, 1);
        for digit in some {
            (carry, scale) = (carry * 62 + value(*digit)?, scale * 62);
        }
        for word in words.iter_mut() {
            let wide = *word * scale + carry;
            (*word, carry) = (wide & LOW, wide >> 64);
        }
        if carry != 0 {
            return None;
        }
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (place, word) in bytes.rchunks_mut(8).zip(words.iter()) {
        place.copy_from_slice(&word.to_be_bytes()[8..]);
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u128> {
    let value = match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'Z' => digit - b'A' + 10,
        b'a'..=b'z' => digit - b'a' + 36,
        _ => return None,
    };
    Some(value.into())
}

fn key_digits(bytes: &[u8; 32]) -> [u8; KEY_DIGITS] {
    let mut rest = Zeroizing::new(*bytes);
    let mut digits = [0; KEY_DIGITS];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in rest.iter_mut() {
            let value = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("the remainder is below 62, so the quotient fits a byte");
            remainder = value % 62;
        }
        *digit = u8::try_from(remainder).expect("below 62");
    }
    digits
}

fn check_text(covered: &str) -> String {
    let mut rest = crc32fast::hash(covered.as_bytes());
    let mut text = [b'0'; CHECK_DIGITS];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[usize::try_from(rest % 62).expect("below 62")];
        rest /= 62;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back_from_text_of_fixed_length() {
        let mut keys = vec![[0u8; 32], [0xff; 32]];
        keys.extend((0..50).map(|_| crate::random::Random.bytes()));
        for key in keys {
            let text = write("srk_", &key);
            assert_eq!(text.expose().len(), 53);
            assert_eq!(*read("srk_", text.expose()).unwrap(), key);
        }
    }

    #[test]
    fn changed_character_fails_the_checksum() {
        let text = write("srk_", &[7; 32]);
        for i in 4..53 {
            let mut changed = text.expose().as_bytes().to_vec();
            changed[i] = if changed[i] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(read("srk_", &changed).err(), Some(MasterKeyError::Checksum), "place {i}");
        }
    }

    #[test]
    fn a_number_beyond_256_bits_is_refused() {
        let covered = format!("srk_{}", "z".repeat(KEY_DIGITS));
        let text = format!("{covered}{}", check_text(&covered));
        assert_eq!(read("srk_", &text).err(), Some(MasterKeyError::Form));
    }
}
