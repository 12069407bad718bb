//! Recipients and identities as they are written: `age1…` and `AGE-SECRET-KEY-1…` (bech32).

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";

/// What is wrong with a file, a recipient or an identity of age.
#[derive(Debug, thiserror::Error)]
pub enum AgeError {
    /// The text is no recipient.
    #[error("this is no recipient of age: one begins with age1 and has 62 characters")]
    Recipient,
    /// It is the secret half.
    #[error("this is the secret half of a key: a recipient begins with age1, and age-keygen -y gives it")]
    SecretAsRecipient,
    /// The file of the identity cannot be read.
    #[error("the identity {path} cannot be read: {kind}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// The file has no identity in it, or one of another kind.
    #[error("{0} is no identity of age: write what age-keygen made, AGE-SECRET-KEY-1… on a line of its own")]
    Identity(PathBuf),
    /// None of the identities is one that the file was encrypted to.
    #[error("the file is encrypted to somebody else than this identity")]
    OtherRecipient,
    /// The header of the file.
    #[error("the file's age header is damaged, or of a kind that is not known")]
    Header,
}

/// Whom a file is encrypted to; nothing of it is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(pub(super) [u8; 32]);

impl FromStr for Recipient {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        if text.to_ascii_lowercase().starts_with(IDENTITY) {
            return Err(AgeError::SecretAsRecipient);
        }
        decode(text, RECIPIENT).filter(|_| text.starts_with(RECIPIENT)).map(|key| Self(*key)).ok_or(AgeError::Recipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32>(Hrp::parse_unchecked(RECIPIENT), &self.0);
        f.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// What decrypts. It has no `Debug`: it is the secret.
pub struct Identity(pub(super) StaticSecret);

impl Identity {
    /// Reads the identities of a file as age-keygen writes it: one on a line, comments after `#`.
    pub fn read_file(path: &Path) -> Result<Vec<Self>, AgeError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| AgeError::Unreadable { path: path.to_owned(), kind: error.kind() })?;
        let text = Zeroizing::new(text);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities: Option<Vec<Self>> = lines.map(Self::parse).collect();
        identities.filter(|found| !found.is_empty()).ok_or_else(|| AgeError::Identity(path.to_owned()))
    }

    /// Who can encrypt to it.
    pub fn recipient(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0).to_bytes())
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        decode(line, IDENTITY).map(|key| Self(StaticSecret::from(*key)))
    }
}

fn decode(text: &str, kind: &str) -> Option<Zeroizing<[u8; 32]>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if checked.hrp().to_lowercase() != kind {
        return None;
    }
    let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(checked.byte_iter().collect());
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}
