//! Rows of the audit log.

use rusqlite::named_params;

use super::{StoreError, Tx};

/// What was done, by whom. Ids only.
pub(crate) struct AuditRow {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) action: &'static str,
    pub(crate) result: &'static str,
    pub(crate) actor: String,
    pub(crate) user: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) credential: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) key_version: u32,
    pub(crate) mac: [u8; 32],
}

impl Tx<'_> {
    /// Appends a row; a number that is there already is an error.
    pub(crate) fn append_audit(&self, row: &AuditRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO audit (seq, at, action, result, actor, user, provider, credential, subject, address,
                     request_id, key_version, mac)
                 VALUES (:seq, :at, :action, :result, :actor, :user, :provider, :credential, :subject, :address,
                     :request_id, :key_version, :mac)",
            )?
            .execute(named_params! {
                ":seq": row.seq, ":at": row.at, ":action": row.action, ":result": row.result, ":actor": row.actor,
                ":user": row.user, ":provider": row.provider, ":credential": row.credential, ":subject": row.subject,
                ":address": row.address, ":request_id": row.request_id, ":key_version": row.key_version,
                ":mac": row.mac,
            })?;
        Ok(())
    }
}
