//! The master key: what opens a vault, and is never in it.

use zeroize::Zeroizing;

use super::key_encoding;
use crate::random::Random;
use crate::secret::Secret;

const PREFIX: &str = "srm_";

/// What opens a vault.
#[derive(Clone)]
pub enum MasterKey {
    /// 32 random bytes.
    Key(Zeroizing<[u8; 32]>),
    /// A text that a person chose; Argon2id makes a key of it.
    Passphrase(Secret),
}

/// A text that holds no master key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// It does not begin as a master key does.
    #[error("this is not a master key of Strongroom: it would begin with srm_ and have 53 characters")]
    Form,
    /// A character was lost or changed.
    #[error("this master key has a mistake in it: its checksum does not hold")]
    Checksum,
}

impl MasterKey {
    /// A fresh key of 32 random bytes.
    pub fn generate(random: Random) -> Self {
        Self::Key(Zeroizing::new(random.bytes()))
    }

    /// The text for a key file, with a line's end: `srm_`, the key in base 62, a checksum. `None` for a passphrase.
    pub fn to_file_text(&self) -> Option<Secret> {
        match self {
            Self::Key(key) => {
                let text = key_encoding::write(PREFIX, key);
                // With room for all of it: a text that has to move leaves a copy behind.
                let mut line = String::with_capacity(text.expose().len() + 1);
                line.extend([text.expose(), "\n"]);
                Some(Secret::new(line))
            }
            Self::Passphrase(_) => None,
        }
    }

    /// Reads what [`MasterKey::to_file_text`] wrote; white space around it does not matter.
    pub fn parse_file_text(text: &str) -> Result<Self, MasterKeyError> {
        match key_encoding::read(PREFIX, text.trim()) {
            Ok(key) => Ok(Self::Key(key)),
            Err(key_encoding::Fault::Form) => Err(MasterKeyError::Form),
            Err(key_encoding::Fault::Checksum) => Err(MasterKeyError::Checksum),
        }
    }

    /// What tells this key from others and opens nothing: 16 hex digits. A passphrase has none outside its slot,
    /// for that would help to guess it.
    pub fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Key(key) => Some(crate::vault::hex::write(&super::keys::fingerprint(key))),
            Self::Passphrase(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_reads_back_and_a_typo_in_it_is_found() {
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
