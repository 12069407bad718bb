//! The rows from which a vault is opened: its identity, the slots and the wrapped keys.

use rusqlite::{Row, params};

use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// The vault's identity.
#[derive(Clone)]
#[cfg_attr(any(test, fuzzing), derive(Debug, PartialEq))]
pub(crate) struct VaultRow {
    pub(crate) vault_id: [u8; 16],
    pub(crate) created_at: i64,
    pub(crate) key_check: [u8; 16],
    pub(crate) keyring_mac: [u8; 32],
}

/// What one master key opens.
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

/// One wrapped key.
#[derive(Clone)]
#[cfg_attr(any(test, fuzzing), derive(Debug, PartialEq))]
pub(crate) struct KeyRow {
    pub(crate) purpose: String,
    pub(crate) version: u32,
    pub(crate) state: String,
    pub(crate) created_at: i64,
    pub(crate) wrapped: Option<Vec<u8>>,
}

impl SlotRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            created_at: row.get("created_at")?,
            memory_kib: row.get("memory_kib")?,
            time_cost: row.get("time_cost")?,
            lanes: row.get("lanes")?,
            salt: row.get("salt")?,
            fingerprint: row.get("fingerprint")?,
            wrapped_root: row.get("wrapped_root")?,
            checksum: row.get("checksum")?,
        })
    }
}

impl View<'_> {
    /// The vault's one row.
    pub(crate) fn vault(&self) -> Result<VaultRow, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM vault")?;
        Ok(statement.query_row([], |row| {
            Ok(VaultRow {
                vault_id: row.get("vault_id")?,
                created_at: row.get("created_at")?,
                key_check: row.get("key_check")?,
                keyring_mac: row.get("keyring_mac")?,
            })
        })?)
    }

    /// Every slot, by id.
    pub(crate) fn slots(&self) -> Result<Vec<SlotRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM slot ORDER BY id")?;
        Ok(statement.query_map([], SlotRow::read)?.collect::<Result<_, _>>()?)
    }

    /// Every key, destroyed ones included, by purpose and version.
    pub(crate) fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM key ORDER BY purpose, version")?;
        let rows = statement.query_map([], |row| {
            Ok(KeyRow {
                purpose: row.get("purpose")?,
                version: row.get("version")?,
                state: row.get("state")?,
                created_at: row.get("created_at")?,
                wrapped: row.get("wrapped")?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Writes identity, slots and keys over all that is there, or for the first time.
    pub(crate) fn replace_keyring(
        &self,
        vault: &VaultRow,
        slots: &[SlotRow],
        keys: &[KeyRow],
    ) -> Result<(), StoreError> {
        self.state.data_key.set(None);
        self.connection.execute_batch("DELETE FROM vault; DELETE FROM slot; DELETE FROM key")?;
        self.insert_vault(vault)?;
        slots.iter().try_for_each(|slot| self.insert_slot(slot))?;
        keys.iter().try_for_each(|key| self.insert_key(key))
    }

    fn insert_vault(&self, row: &VaultRow) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO vault (one, vault_id, created_at, key_check, keyring_mac) VALUES (1, ?, ?, ?, ?)",
            params![row.vault_id, row.created_at, row.key_check, row.keyring_mac],
        )?;
        Ok(())
    }

    fn insert_slot(&self, row: &SlotRow) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO slot (id, kind, created_at, memory_kib, time_cost, lanes, salt, fingerprint, wrapped_root, checksum)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                row.id, row.kind, row.created_at, row.memory_kib, row.time_cost, row.lanes, row.salt, row.fingerprint,
                row.wrapped_root, row.checksum
            ],
        )?;
        Ok(())
    }

    fn insert_key(&self, row: &KeyRow) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO key (purpose, version, state, created_at, wrapped) VALUES (?, ?, ?, ?, ?)",
            params![row.purpose, row.version, row.state, row.created_at, row.wrapped],
        )?;
        Ok(())
    }

    /// Writes a value without a meaning, to find out whether the vault can be written.
    pub(crate) fn probe(&self, now: i64) -> Result<(), StoreError> {
        self.connection.prepare_cached("INSERT OR REPLACE INTO probe (one, at) VALUES (1, ?)")?.execute([now])?;
        Ok(())
    }

    /// As it stands in the keyring now; only this transaction itself can change that before it ends.
    fn read_current_data_key(&self) -> Result<u32, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT version FROM key WHERE purpose = 'data' AND state = 'current'")?;
        let current = statement.query_row([], |row| row.get(0))?;
        self.state.data_key.set(Some(current));
        Ok(current)
    }

    /// The data-key version in a record's header, where it is the keyring's current one. A record sealed under any
    /// other is not written: the key may be on its way out, and the caller seals again.
    pub(super) fn current_data_key(&self, record: &[u8]) -> Result<u32, StoreError> {
        let sealed_under = record.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let current = match self.state.data_key.get() {
            Some(known) => known,
            None => self.read_current_data_key()?,
        };
        if sealed_under == Some(current) { Ok(current) } else { Err(StoreError::StaleDataKey) }
    }
}
