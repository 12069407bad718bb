//! Rows that a vault is opened from: its identity, the slots and the wrapped keys.

use rusqlite::{Row, params};

use super::statement::{columns, read_columns};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Identity of the vault.
#[derive(Clone)]
#[cfg_attr(any(test, fuzzing), derive(Debug, PartialEq))]
pub(crate) struct VaultRow {
    pub(crate) vault_id: [u8; 16],
    pub(crate) created_at: i64,
    pub(crate) key_check: [u8; 16],
    pub(crate) keyring_mac: [u8; 32],
}

/// A slot: the root, wrapped by one master key.
#[derive(Clone)]
#[cfg_attr(any(test, fuzzing), derive(Debug, PartialEq))]
pub(crate) struct SlotRow {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) created_at: i64,
    pub(crate) memory_kib: Option<u32>,
    pub(crate) time_cost: Option<u32>,
    pub(crate) lanes: Option<u32>,
    pub(crate) salt: Option<Vec<u8>>,
    pub(crate) fingerprint: [u8; 8],
    pub(crate) wrapped_root: Vec<u8>,
    pub(crate) checksum: i64,
}

/// A wrapped key of the keyring.
#[derive(Clone)]
#[cfg_attr(any(test, fuzzing), derive(Debug, PartialEq))]
pub(crate) struct KeyRow {
    pub(crate) purpose: String,
    pub(crate) version: u32,
    pub(crate) state: String,
    pub(crate) created_at: i64,
    pub(crate) wrapped: Option<Vec<u8>>,
}

impl VaultRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns!(row; vault_id, created_at, key_check, keyring_mac)
    }
}

impl SlotRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns! {
            row; id, kind, created_at, memory_kib, time_cost, lanes, salt, fingerprint, wrapped_root, checksum
        }
    }
}

impl KeyRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        read_columns!(row; purpose, version, state, created_at, wrapped)
    }
}

impl View<'_> {
    /// Returns the identity of the vault.
    pub(crate) fn vault(&self) -> Result<VaultRow, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM vault")?;
        Ok(statement.query_row([], VaultRow::read)?)
    }

    /// Returns all slots by id.
    pub(crate) fn slots(&self) -> Result<Vec<SlotRow>, StoreError> {
        self.rows("SELECT * FROM slot ORDER BY id", [], SlotRow::read)
    }

    /// Returns all keys by purpose and version, destroyed ones included.
    pub(crate) fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.rows("SELECT * FROM key ORDER BY purpose, version", [], KeyRow::read)
    }
}

impl Tx<'_> {
    /// Replaces identity, slots and keys, or writes them for the first time.
    pub(crate) fn replace_keyring(
        &self,
        vault: &VaultRow,
        slots: &[SlotRow],
        keys: &[KeyRow],
    ) -> Result<(), StoreError> {
        self.state.data_key.set(None);
        self.connection.execute_batch("DELETE FROM vault; DELETE FROM slot; DELETE FROM key")?;
        self.insert_vault(vault)?;
        for slot in slots {
            let columns = columns! {
                slot; id, kind, created_at, memory_kib, time_cost, lanes, salt, fingerprint, wrapped_root, checksum
            };
            self.insert("slot", columns)?;
        }
        keys.iter().try_for_each(|key| self.insert("key", columns!(key; purpose, version, state, created_at, wrapped)))
    }

    fn insert_vault(&self, row: &VaultRow) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO vault (one, vault_id, created_at, key_check, keyring_mac) VALUES (1, ?, ?, ?, ?)",
            params![row.vault_id, row.created_at, row.key_check, row.keyring_mac],
        )
    }

    /// Writes a value without a meaning, to test whether the vault can be written.
    pub(crate) fn probe(&self, now: i64) -> Result<(), StoreError> {
        self.execute("UPDATE probe SET at = ?", [now])
    }

    /// Reads the version of the current data key. Until the transaction ends, only the transaction
    /// itself can change it.
    fn read_current_data_key(&self) -> Result<u32, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT version FROM key WHERE purpose = 'data' AND state = 'current'")?;
        let current = statement.query_row([], |row| row.get(0))?;
        self.state.data_key.set(Some(current));
        Ok(current)
    }

    /// Returns the data-key version in a record's header, which must be the current one. A record
    /// under another key is not written, because that key may be about to be destroyed; the caller
    /// seals again.
    pub(super) fn current_data_key(&self, record: &[u8]) -> Result<u32, StoreError> {
        self.state.sealed_bytes.set(self.state.sealed_bytes.get().saturating_add(record.len()));
        let sealed_under = record.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let current = match self.state.data_key.get() {
            Some(known) => known,
            None => self.read_current_data_key()?,
        };
        if sealed_under == Some(current) { Ok(current) } else { Err(StoreError::StaleDataKey) }
    }
}
