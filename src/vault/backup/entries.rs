//! The plaintext of a backup: entries of `length 4 | kind 1 | body`. The contents come first, then
//! each table with its rows, then the end with the number of rows.

use std::io::{Read, Write};

use zeroize::Zeroizing;

use super::chunks::{Opener, Sealer};
use super::contents::BackupContents;
use super::error::BackupError;
use crate::clock::UnixTime;
use crate::store::{Cell, Table};
use crate::vault::crypto::encoding::{FieldWriter, Fields};

/// Maximum size of an entry, far above any row: a record has at most 8 MiB.
const LARGEST: u32 = 64 << 20;

mod kind {
    pub(super) const CONTENTS: u8 = 1;
    pub(super) const TABLE: u8 = 2;
    pub(super) const ROW: u8 = 3;
    pub(super) const END: u8 = 4;
}

mod tag {
    pub(super) const VAULT_ID: u8 = 1;
    pub(super) const CREATED_AT: u8 = 2;
    pub(super) const EPOCH: u8 = 3;
    pub(super) const SCHEMA_VERSION: u8 = 4;
    pub(super) const USERS: u8 = 5;
    pub(super) const CREDENTIALS: u8 = 6;
    pub(super) const API_KEYS: u8 = 7;
    pub(super) const AUDIT: u8 = 8;
    pub(super) const TABLE_NAME: u8 = 1;
    pub(super) const COLUMNS: u8 = 2;
}

mod cell {
    pub(super) const NULL: u8 = 0;
    pub(super) const INTEGER: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const BLOB: u8 = 3;
}

/// Writer of entries.
pub(crate) struct EntryWriter<W> {
    sealer: Sealer<W>,
    row: Zeroizing<Vec<u8>>,
    rows: u64,
}

impl<W: Write> EntryWriter<W> {
    pub(crate) fn new(sealer: Sealer<W>) -> Self {
        Self { sealer, row: Zeroizing::new(Vec::with_capacity(8 * 1024)), rows: 0 }
    }

    pub(crate) fn contents(&mut self, contents: &BackupContents) -> Result<(), BackupError> {
        let count = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
        let fields = FieldWriter::new()
            .text(tag::VAULT_ID, &contents.vault_id)
            .int(tag::CREATED_AT, Some(contents.created_at.0))
            .int(tag::EPOCH, Some(contents.epoch))
            .int(tag::SCHEMA_VERSION, Some(i64::from(contents.schema_version)))
            .int(tag::USERS, count(contents.users))
            .int(tag::CREDENTIALS, count(contents.credentials))
            .int(tag::API_KEYS, count(contents.api_keys))
            .int(tag::AUDIT, count(contents.audit));
        self.put(kind::CONTENTS, &fields.finish())
    }

    pub(crate) fn table(&mut self, table: &Table) -> Result<(), BackupError> {
        let columns = table.columns.iter().map(String::as_str);
        let fields = FieldWriter::new().text(tag::TABLE_NAME, &table.name).list(tag::COLUMNS, columns);
        self.put(kind::TABLE, &fields.finish())
    }

    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), BackupError> {
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        for value in cells {
            let (kind, bytes) = match value {
                Cell::Null => {
                    row.push(cell::NULL);
                    continue;
                }
                Cell::Integer(number) => {
                    row.push(cell::INTEGER);
                    row.extend_from_slice(&number.to_be_bytes());
                    continue;
                }
                Cell::Text(text) => (cell::TEXT, text.as_bytes()),
                Cell::Blob(bytes) => (cell::BLOB, *bytes),
            };
            row.push(kind);
            row.extend_from_slice(&length(bytes)?);
            row.extend_from_slice(bytes);
        }
        self.put(kind::ROW, &row)?;
        self.row = row;
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
    Row(Vec<Cell<'r>>),
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
            Some(kind::CONTENTS) => read_contents(&self.body).ok_or_else(strange),
            _ => Err(strange()),
        }
    }

    /// Reads the next entry.
    pub(crate) fn next(&mut self) -> Result<BackupEntry<'_>, BackupError> {
        match self.next_body()? {
            Some(kind::TABLE) => read_table(&self.body).map(BackupEntry::Table).ok_or_else(strange),
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

fn read_contents(body: &[u8]) -> Option<BackupContents> {
    let fields = Fields::read(body)?;
    let count = |tag| fields.int(tag).and_then(|count| u64::try_from(count).ok());
    Some(BackupContents {
        vault_id: fields.owned(tag::VAULT_ID)?,
        created_at: UnixTime(fields.int(tag::CREATED_AT)?),
        epoch: fields.int(tag::EPOCH)?,
        schema_version: fields.int(tag::SCHEMA_VERSION)?.try_into().ok()?,
        users: count(tag::USERS)?,
        credentials: count(tag::CREDENTIALS)?,
        api_keys: count(tag::API_KEYS)?,
        audit: count(tag::AUDIT)?,
    })
}

fn read_table(body: &[u8]) -> Option<Table> {
    let fields = Fields::read(body)?;
    let columns = fields.list(tag::COLUMNS)?.into_iter().map(str::to_owned).collect();
    Some(Table { name: fields.owned(tag::TABLE_NAME)?, columns })
}

fn read_row(mut rest: &[u8]) -> Option<Vec<Cell<'_>>> {
    let mut row = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        let (value, after) = match *kind {
            cell::NULL => (Cell::Null, after),
            cell::INTEGER => {
                let (number, after) = after.split_first_chunk::<8>()?;
                (Cell::Integer(i64::from_be_bytes(*number)), after)
            }
            cell::TEXT | cell::BLOB => {
                let (length, after) = after.split_first_chunk::<4>()?;
                let (bytes, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
                let is_text = *kind == cell::TEXT;
                (if is_text { Cell::Text(std::str::from_utf8(bytes).ok()?) } else { Cell::Blob(bytes) }, after)
            }
            _ => return None,
        };
        row.push(value);
        rest = after;
    }
    Some(row)
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
