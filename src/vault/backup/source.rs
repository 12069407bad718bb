//! Source of a backup: a file, or standard input.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::BackupError;
use crate::vault::error::VaultError;

const BUFFER: usize = 128 * 1024;

/// A backup that is read once, from its first byte to its last.
pub struct BackupSource {
    pub(crate) path: PathBuf,
    pub(crate) reader: Box<dyn Read>,
}

impl BackupSource {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path);
        let file = file.map_err(|source| VaultError::File { what: "cannot read", path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), reader: Box::new(BufReader::with_capacity(BUFFER, file)) })
    }

    /// Opens standard input.
    pub fn stdin() -> Self {
        let reader = BufReader::with_capacity(BUFFER, io::stdin());
        Self { path: PathBuf::from("standard input"), reader: Box::new(reader) }
    }
}
