//! Rows of API keys.

use rusqlite::{Row, named_params};

use super::statement::columns;
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// An API key without its secret part.
#[derive(Clone)]
pub(crate) struct ApiKeyRow {
    pub(crate) id: String,
    pub(crate) lookup: [u8; 32],
    pub(crate) name: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) service: bool,
    pub(crate) users: String,
    pub(crate) permissions: String,
    pub(crate) providers: String,
    pub(crate) credentials: String,
    pub(crate) grants_only: bool,
    pub(crate) grants: Vec<u8>,
    pub(crate) tunnel_unmatched: bool,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) revision: i64,
    pub(crate) key_version: u32,
    pub(crate) mac: [u8; 32],
}

impl ApiKeyRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            lookup: row.get("lookup")?,
            name: row.get("name")?,
            user: row.get("user")?,
            service: yes_or_no(row, "service")?,
            users: row.get("users")?,
            permissions: row.get("permissions")?,
            providers: row.get("providers")?,
            credentials: row.get("credentials")?,
            grants_only: yes_or_no(row, "grants_only")?,
            grants: row.get("grants")?,
            tunnel_unmatched: yes_or_no(row, "tunnel_unmatched")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
            revision: row.get("revision")?,
            key_version: row.get("key_version")?,
            mac: row.get("mac")?,
        })
    }
}

/// Reads a flag. SQLite would take any other number for true, and the MAC covers only the flag.
fn yes_or_no(row: &Row<'_>, column: &str) -> rusqlite::Result<bool> {
    match row.get(column)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(rusqlite::Error::IntegralValueOutOfRange(row.as_ref().column_index(column)?, other)),
    }
}

impl View<'_> {
    /// Returns all API keys, oldest first.
    pub(crate) fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        self.rows("SELECT * FROM api_key ORDER BY id", [], ApiKeyRow::read)
    }

    /// Returns true if the API key exists, valid or not.
    pub(crate) fn has_api_key(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.row("SELECT 1 FROM api_key WHERE id = ?", [id], |_| Ok(()))?.is_some())
    }

    /// Returns one API key.
    pub(crate) fn api_key(&self, id: &str) -> Result<Option<ApiKeyRow>, StoreError> {
        self.row("SELECT * FROM api_key WHERE id = ?", [id], ApiKeyRow::read)
    }
}

impl Tx<'_> {
    /// Inserts an API key.
    pub(crate) fn insert_api_key(&self, row: &ApiKeyRow) -> Result<(), StoreError> {
        let columns = columns! {
            row; id, lookup, name, user, service, users, permissions, providers, credentials, grants_only, grants,
            tunnel_unmatched, created_at, expires_at, revoked_at, revision, key_version, mac
        };
        self.insert("api_key", columns)
    }

    /// Replaces what can change in an API key.
    pub(crate) fn update_api_key(&self, row: &ApiKeyRow) -> Result<(), StoreError> {
        self.execute(
            "UPDATE api_key SET name = :name, users = :users, permissions = :permissions, providers = :providers,
                 credentials = :credentials, grants_only = :grants_only, grants = :grants, tunnel_unmatched = :tunnel_unmatched,
                 expires_at = :expires_at, revoked_at = :revoked_at, revision = :revision, mac = :mac
             WHERE id = :id",
            named_params! {
                ":id": row.id, ":name": row.name, ":users": row.users, ":permissions": row.permissions,
                ":providers": row.providers, ":credentials": row.credentials, ":grants_only": row.grants_only, ":grants": row.grants,
                ":tunnel_unmatched": row.tunnel_unmatched,
                ":expires_at": row.expires_at, ":revoked_at": row.revoked_at, ":revision": row.revision, ":mac": row.mac,
            },
        )
    }

    /// Deletes all API keys of a user and returns them.
    pub(crate) fn take_api_keys_of(&self, user: &str) -> Result<Vec<ApiKeyRow>, StoreError> {
        self.rows("DELETE FROM api_key WHERE user = ? RETURNING *", [user], ApiKeyRow::read)
    }
}
