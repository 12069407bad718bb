//! The row of the manifest.

use rusqlite::{Row, params};

use super::statement::read_columns;
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// The sealed manifest.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ManifestRow {
    pub(crate) epoch: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

impl ManifestRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns!(row; epoch, data_key, sealed)
    }
}

impl View<'_> {
    /// Returns the manifest.
    pub(crate) fn manifest(&self) -> Result<Option<ManifestRow>, StoreError> {
        self.row("SELECT epoch, data_key, sealed FROM manifest", [], ManifestRow::read)
    }
}

impl Tx<'_> {
    /// Writes the manifest, in place of the one before.
    pub(crate) fn write_manifest(&self, row: &ManifestRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.execute(
            "INSERT OR REPLACE INTO manifest (one, epoch, data_key, sealed) VALUES (1, ?, ?, ?)",
            params![row.epoch, data_key, row.sealed],
        )
    }
}
