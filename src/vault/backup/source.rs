//! Where a backup is read from: a file, as it is or encrypted with age.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::BackupError;
use crate::age::{self, Identity};

/// Much at a time: reading is what takes longest.
const BUFFER: usize = 128 * 1024;

/// A file that is to be read from its beginning to its end.
pub struct BackupSource {
    pub(in crate::vault) path: PathBuf,
    pub(in crate::vault) reader: Box<dyn Read>,
}

impl BackupSource {
    /// Opens the file. One that is encrypted with age is decrypted while it is read, with the first of these identities that
    /// it was encrypted to.
    pub fn open(path: &Path, identities: &[Identity]) -> Result<Self, BackupError> {
        let failed = |source| BackupError::File { what: "cannot read", path: path.to_owned(), source };
        let mut reader = BufReader::with_capacity(BUFFER, File::open(path).map_err(failed)?);
        let is_age = reader.fill_buf().map_err(failed)?.starts_with(age::INTRODUCTION.as_bytes());
        let reader: Box<dyn Read> = match is_age {
            false => Box::new(reader),
            true if identities.is_empty() => return Err(BackupError::NeedsIdentity(path.to_owned())),
            true => Box::new(age::Decryptor::new(reader, identities)?),
        };
        Ok(Self { path: path.to_owned(), reader })
    }
}
