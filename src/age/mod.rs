//! Files that are encrypted to recipients (age-encryption.org/v1), by X25519 alone: a machine can write backups that it
//! cannot read.
//!
//! The crate `age` would bring eighty packages with it, a translation system among them; this is the part of its format
//! that a backup needs, held against files which that crate and Go's `age` wrote, and read by them.

mod cipher;
mod header;
mod keys;
#[cfg(any(test, fuzzing))]
mod property;
mod stream;

use std::io::{self, BufRead, Read, Write};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

pub use header::INTRODUCTION;
pub use keys::{AgeError, Identity, Recipient};
#[cfg(any(test, fuzzing))]
pub(crate) use property::opens_what_was_encrypted;
#[cfg(test)]
pub(crate) use property::{ENCRYPTED, encrypted};

use crate::random::Random;
use header::FileKey;
use stream::{Opener, Sealer};

/// Encrypts what is written to it; [`Encryptor::finish`] has to be called at the end, or the file is cut off.
pub struct Encryptor<W: Write>(Sealer<W>);

impl<W: Write> Encryptor<W> {
    /// Writes the header, from which each of the recipients finds the key of the file.
    pub fn new(mut out: W, recipients: &[Recipient], random: Random) -> io::Result<Self> {
        let file_key: FileKey = Zeroizing::new(random.bytes());
        header::write(&mut out, &file_key, recipients, random)?;
        let nonce: [u8; 16] = random.bytes();
        out.write_all(&nonce)?;
        Ok(Self(Sealer::new(out, &payload_key(&file_key, &nonce))))
    }

    /// Ends the file, and gives back what was written to.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decrypts while it is read. Every byte that it gives was authenticated; a file that was changed or cut off is an error of
/// the kind [`io::ErrorKind::InvalidData`], and what came before it was right.
pub struct Decryptor<R: Read>(Opener<R>);

impl<R: BufRead> Decryptor<R> {
    /// Reads the header, and finds the key of the file with the first identity that it was encrypted to.
    ///
    /// # Errors
    /// [`AgeError::OtherRecipient`] where it was encrypted to none of them; [`AgeError::Header`] where the header was changed
    /// or cannot be understood.
    pub fn new(mut from: R, identities: &[Identity]) -> Result<Self, AgeError> {
        let file_key = header::read(&mut from, identities)?;
        let mut nonce = [0; 16];
        from.read_exact(&mut nonce).map_err(|_| AgeError::Header)?;
        Ok(Self(Opener::new(from, &payload_key(&file_key, &nonce))))
    }
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

fn payload_key(file_key: &FileKey, nonce: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    derive(Some(nonce), file_key.as_slice(), b"payload")
}

fn derive(salt: Option<&[u8]>, key: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::new(salt, key);
    hkdf.expand(info, derived.as_mut()).expect("32 bytes are within HKDF's limit of 255 hashes");
    derived
}

#[cfg(test)]
mod tests;
