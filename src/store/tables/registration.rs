//! Rows of client registrations (RFC 7591).

use super::statement::{SealedRow as _, sealed_row};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// Our client at one authorization server, for one redirect URI.
#[derive(Clone)]
pub(crate) struct RegistrationRow {
    pub(crate) lookup: [u8; 32],
    pub(crate) created_at: i64,
    pub(crate) revision: i64,
    pub(crate) data_key: u32,
    pub(crate) sealed: Vec<u8>,
}

sealed_row!(RegistrationRow, "client_registration" by "lookup"; lookup, created_at, revision, data_key, sealed);

impl View<'_> {
    /// Returns the registration with this keyed hash.
    pub(crate) fn registration(&self, lookup: &[u8; 32]) -> Result<Option<RegistrationRow>, StoreError> {
        self.row("SELECT * FROM client_registration WHERE lookup = ?", [lookup], RegistrationRow::read)
    }
}

impl Tx<'_> {
    /// Deletes the registration with this hash.
    pub(crate) fn delete_registration(&self, lookup: &[u8; 32]) -> Result<(), StoreError> {
        self.execute("DELETE FROM client_registration WHERE lookup = ?", [lookup])
    }
}
