//! Rows that a repair can erase in any state, by the bytes of their keys.

use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// A table of such rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Erasable {
    /// Credentials with their secrets.
    Credential,
    Pending,
    Revocation,
    Registration,
    SigningKey,
    Approval,
}

/// All of them.
pub(crate) const ERASABLE: [Erasable; 6] = [
    Erasable::Credential,
    Erasable::Pending,
    Erasable::Revocation,
    Erasable::Registration,
    Erasable::SigningKey,
    Erasable::Approval,
];

/// The key of a row, as bytes: it may be no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowKey {
    /// The user of a credential; empty for the other tables.
    pub(crate) user: Vec<u8>,
    pub(crate) id: Vec<u8>,
}

impl RowKey {
    /// Returns the user, if it is a text.
    pub(crate) fn user_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.user).ok()
    }

    /// Returns the id, if it is a text.
    pub(crate) fn id_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.id).ok()
    }
}

impl Erasable {
    /// Returns the table's name.
    pub(crate) fn name(self) -> &'static str {
        let (tables, ..) = self.tables();
        tables[tables.len() - 1]
    }

    /// Returns the tables with the rows, the referring one first, and their columns of user and id.
    fn tables(self) -> (&'static [&'static str], &'static str, &'static str) {
        match self {
            Self::Credential => (&["credential_secret", "credential"], "user", "id"),
            Self::Pending => (&["pending_authorization"], "x''", "state_hash"),
            Self::Revocation => (&["revocation"], "x''", "id"),
            Self::Registration => (&["client_registration"], "x''", "lookup"),
            Self::SigningKey => (&["signing_key"], "x''", "id"),
            Self::Approval => (&["approval"], "x''", "id"),
        }
    }
}

impl View<'_> {
    /// Returns the key of every row.
    pub(crate) fn erasable_keys(&self, table: Erasable) -> Result<Vec<RowKey>, StoreError> {
        let (tables, user, id) = table.tables();
        let select = |table| format!("SELECT CAST({user} AS BLOB), CAST({id} AS BLOB) FROM {table}");
        let sql = tables.iter().map(select).collect::<Vec<_>>().join(" UNION ");
        let mut statement = self.connection.prepare(&sql)?;
        let keys = statement.query_map([], |row| Ok(RowKey { user: row.get(0)?, id: row.get(1)? }))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Erases the rows with this key.
    pub(crate) fn erase(&self, table: Erasable, key: &RowKey) -> Result<(), StoreError> {
        let (tables, user, id) = table.tables();
        for table in tables {
            let sql = format!("DELETE FROM {table} WHERE CAST({user} AS BLOB) = ? AND CAST({id} AS BLOB) = ?");
            self.connection.prepare(&sql)?.execute([&key.user, &key.id])?;
        }
        Ok(())
    }
}
