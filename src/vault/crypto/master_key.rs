//! The master key: opens a vault, and is never stored in it.

use zeroize::Zeroizing;

use super::key_encoding::{self, MasterKeyError};
use crate::random::Random;
use crate::secret::Secret;

const PREFIX: &str = "srm_";

/// A master key.
#[derive(Clone)]
pub enum MasterKey {
    /// 32 random bytes.
    Key(Zeroizing<[u8; 32]>),
    /// A passphrase, from which Argon2id derives a key.
    Passphrase(Secret),
}

impl MasterKey {
    /// Generates a key of 32 random bytes.
    pub fn generate(random: Random) -> Self {
        Self::Key(Zeroizing::new(random.bytes()))
    }

    /// Returns the content of a key file: `srm_`, the key in base 62, a checksum and a line
    /// feed. `None` for a passphrase.
    pub fn to_file_text(&self) -> Option<Secret> {
        let Self::Key(key) = self else { return None };
        let text = key_encoding::write(PREFIX, key);
        // The whole capacity at once: a String that grows leaves a copy of the secret behind.
        let mut line = String::with_capacity(text.expose().len() + 1);
        line.extend([text.expose(), "\n"]);
        Some(Secret::new(line))
    }

    /// Parses the text of [`MasterKey::to_file_text`]; surrounding white space is ignored.
    pub fn parse_file_text(text: &str) -> Result<Self, MasterKeyError> {
        key_encoding::read(PREFIX, text.trim()).map(Self::Key)
    }

    /// Returns 16 hex digits that identify this key and open nothing. A passphrase has no
    /// fingerprint outside its slot, because a fingerprint would help to guess it.
    pub fn fingerprint(&self) -> Option<String> {
        let Self::Key(key) = self else { return None };
        Some(crate::vault::hex::write(&super::keys::fingerprint(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_file_reads_back_and_a_typo_is_rejected() {
        let key = MasterKey::generate(Random);
        let text = key.to_file_text().unwrap();
        let again = MasterKey::parse_file_text(text.expose()).unwrap();
        assert_eq!(again.fingerprint(), key.fingerprint());
        let mut typo = text.expose().to_owned();
        let replacement = if &typo[10..11] == "x" { "y" } else { "x" };
        typo.replace_range(10..11, replacement);
        assert_eq!(MasterKey::parse_file_text(&typo).err(), Some(MasterKeyError::Checksum));
        for bad in ["", "srm_", "hunter2", &text.expose()[1..]] {
            assert_eq!(MasterKey::parse_file_text(bad).err(), Some(MasterKeyError::Form));
        }
    }
}
