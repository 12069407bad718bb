//! The row of the manifest.

use rusqlite::{OptionalExtension, params};

use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// The sealed manifest.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ManifestRow {
    pub(crate) epoch: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

impl View<'_> {
    /// Returns the manifest.
    pub(crate) fn manifest(&self) -> Result<Option<ManifestRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT epoch, data_key, sealed FROM manifest")?;
        let manifest = statement
            .query_row([], |row| Ok(ManifestRow { epoch: row.get(0)?, data_key: row.get(1)?, sealed: row.get(2)? }));
        Ok(manifest.optional()?)
    }
}

impl Tx<'_> {
    /// Writes the manifest, in place of the one before.
    pub(crate) fn write_manifest(&self, row: &ManifestRow) -> Result<(), StoreError> {
        let data_key = self.current_data_key(&row.sealed)?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO manifest (one, epoch, data_key, sealed) VALUES (1, ?, ?, ?)")?
            .execute(params![row.epoch, data_key, row.sealed])?;
        Ok(())
    }
}
