//! The plaintext of a backup: entries of `length 4 | kind 1 | body`. The contents come first, then
//! each table with its rows, then the end with the number of rows. The cells of a row are fields,
//! whose tags are the types.

use std::io::{Read, Write};

use serde::Serialize;
use zeroize::Zeroizing;

use super::chunks::{Opener, Sealer};
use super::error::BackupError;
use crate::clock::UnixTime;
use crate::store::{Table, ValueRef};
use crate::vault::crypto::fields::{Field, FieldWriter, Fields, Value, encode, fields};

/// Maximum size of an entry, far above any row: a record has at most 8 MiB.
const LARGEST: u32 = 64 << 20;

mod kind {
    pub(super) const CONTENTS: u8 = 1;
    pub(super) const TABLE: u8 = 2;
    pub(super) const ROW: u8 = 3;
    pub(super) const END: u8 = 4;
}

mod cell {
    pub(super) const NULL: u8 = 0;
    pub(super) const INTEGER: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const BLOB: u8 = 3;
}

/// The content of a backup in numbers; nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupContents {
    /// The vault's id, in hex.
    pub vault_id: String,
    /// Time of the backup.
    pub created_at: UnixTime,
    /// The vault's epoch.
    pub epoch: i64,
    /// The schema's version.
    pub schema_version: u32,
    /// Number of users.
    pub users: u64,
    /// Number of credentials.
    pub credentials: u64,
    /// Number of API keys.
    pub api_keys: u64,
    /// Number of audit rows.
    #[serde(rename = "audit_rows")]
    pub audit: u64,
}

fields! {
    BackupContents {
        1 vault_id,
        2 created_at,
        3 epoch,
        4 schema_version,
        5 users,
        6 credentials,
        7 api_keys,
        8 audit,
    }
}

fields! {
    Table {
        1 name,
        2 columns,
    }
}

/// Writer of entries.
pub(crate) struct EntryWriter<W> {
    sealer: Sealer<W>,
    rows: u64,
}

impl<W: Write> EntryWriter<W> {
    pub(crate) fn new(sealer: Sealer<W>) -> Self {
        Self { sealer, rows: 0 }
    }

    pub(crate) fn contents(&mut self, contents: &BackupContents) -> Result<(), BackupError> {
        self.put(kind::CONTENTS, &encode(contents))
    }

    pub(crate) fn table(&mut self, table: &Table) -> Result<(), BackupError> {
        self.put(kind::TABLE, &encode(table))
    }

    pub(crate) fn row(&mut self, values: &[ValueRef<'_>]) -> Result<(), BackupError> {
        let mut row = FieldWriter::new();
        for value in values {
            match value {
                ValueRef::Null => row.field(cell::NULL, |_| ()),
                ValueRef::Integer(number) => number.put(cell::INTEGER, &mut row),
                ValueRef::Text(text) => row.field(cell::TEXT, |to| to.bytes(text)),
                ValueRef::Blob(bytes) => row.field(cell::BLOB, |to| to.bytes(bytes)),
                ValueRef::Real(_) => {
                    return Err(BackupError::Damaged("the vault has a value of a type that it never has"));
                }
            }
        }
        self.put(kind::ROW, &row.finish())?;
        self.rows += 1;
        Ok(())
    }

    /// Writes the last entry, ends the file, and returns the output.
    pub(crate) fn finish(mut self) -> Result<W, BackupError> {
        let rows = self.rows.to_be_bytes();
        self.put(kind::END, &rows)?;
        self.sealer.finish().map_err(BackupError::writing)
    }

    fn put(&mut self, kind: u8, body: &[u8]) -> Result<(), BackupError> {
        let length = length(body)?;
        let put = |sealer: &mut Sealer<W>| {
            sealer.put(&length)?;
            sealer.put(&[kind])?;
            sealer.put(body)
        };
        put(&mut self.sealer).map_err(BackupError::writing)
    }
}

fn length(bytes: &[u8]) -> Result<[u8; 4], BackupError> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= LARGEST);
    length.map(u32::to_be_bytes).ok_or(BackupError::Damaged("the vault has a row that is larger than any can be"))
}

/// An entry after the first.
pub(crate) enum BackupEntry<'r> {
    Table(Table),
    Row(Vec<ValueRef<'r>>),
    /// All rows were read, and the file ends here.
    End,
}

/// Reader of entries.
pub(crate) struct EntryReader<R> {
    opener: Opener<R>,
    body: Zeroizing<Vec<u8>>,
    rows: u64,
}

impl<R: Read> EntryReader<R> {
    pub(crate) fn new(opener: Opener<R>) -> Self {
        Self { opener, body: Zeroizing::new(Vec::with_capacity(8 * 1024)), rows: 0 }
    }

    /// Reads the first entry.
    pub(crate) fn contents(&mut self) -> Result<BackupContents, BackupError> {
        match self.next_body()? {
            Some(kind::CONTENTS) => BackupContents::read(&self.body).ok_or_else(strange),
            _ => Err(strange()),
        }
    }

    /// Reads the next entry.
    pub(crate) fn next(&mut self) -> Result<BackupEntry<'_>, BackupError> {
        match self.next_body()? {
            Some(kind::TABLE) => Table::read(&self.body).map(BackupEntry::Table).ok_or_else(strange),
            Some(kind::ROW) => {
                self.rows += 1;
                read_row(&self.body).map(BackupEntry::Row).ok_or_else(strange)
            }
            Some(kind::END) if self.body.as_slice() == self.rows.to_be_bytes() => {
                if self.opener.take(&mut [0])? {
                    Err(strange())
                } else {
                    Ok(BackupEntry::End)
                }
            }
            _ => Err(strange()),
        }
    }

    fn next_body(&mut self) -> Result<Option<u8>, BackupError> {
        let mut start = [0; 5];
        if !self.opener.take(&mut start)? {
            return Ok(None);
        }
        let [a, b, c, d, kind] = start;
        let length = u32::from_be_bytes([a, b, c, d]);
        if length > LARGEST {
            return Err(strange());
        }
        self.body.clear();
        self.opener.append(&mut self.body, usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(Some(kind))
    }
}

fn strange() -> BackupError {
    BackupError::Damaged("what is in it cannot be understood")
}

fn read_row(body: &[u8]) -> Option<Vec<ValueRef<'_>>> {
    let read = |(kind, value)| {
        Some(match kind {
            cell::NULL => ValueRef::Null,
            cell::INTEGER => ValueRef::Integer(i64::read(value)?),
            cell::TEXT => ValueRef::Text(value),
            cell::BLOB => ValueRef::Blob(value),
            _ => return None,
        })
    };
    Fields::read(body)?.into_values().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::chunks::Summed;
    use super::*;
    use crate::vault::crypto::keys::Key;

    #[test]
    fn claimed_length_allocates_no_memory() {
        let (key, head) = (Key::new([7; 32]), [0; 32]);
        let mut sealer = Sealer::new(Summed::new(Vec::new()), &key, head);
        sealer.put(&LARGEST.to_be_bytes()).unwrap();
        sealer.put(&[kind::ROW, 1, 2, 3]).unwrap();
        let file = sealer.finish().unwrap();
        let mut entries = EntryReader::new(Opener::new(Summed::new(file.as_slice()), &key, head));
        assert!(matches!(entries.next(), Err(BackupError::Damaged("its last entry is cut off"))));
        assert!(entries.body.capacity() < 1 << 20, "{} bytes", entries.body.capacity());
    }

    #[test]
    fn rejected_chunk_returns_no_bytes_later() {
        let (key, head) = (Key::new([7; 32]), [0; 32]);
        let mut sealer = Sealer::new(Summed::new(Vec::new()), &key, head);
        sealer.put(b"sealed").unwrap();
        let mut file = sealer.finish().unwrap();
        file[4] ^= 1;
        let mut opener = Opener::new(Summed::new(file.as_slice()), &key, head);
        let mut wanted = [0; 6];
        assert!(opener.take(&mut wanted).is_err() && !matches!(opener.take(&mut wanted), Ok(true)));
        assert_eq!(wanted, [0; 6]);
    }
}
