//! Rows of the audit log.

use std::borrow::Cow;

use rusqlite::{Row, named_params};

use super::{StoreError, Tx, View};

/// What was done, by whom. Ids only.
pub(crate) struct AuditRow {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) action: Cow<'static, str>,
    pub(crate) result: Cow<'static, str>,
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

impl View<'_> {
    /// Gives `each` the rows whose number is above `after`, one by one, in their order.
    pub(crate) fn walk_audit<E: From<StoreError>>(
        &self,
        after: i64,
        mut each: impl FnMut(AuditRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT * FROM audit WHERE seq > ? ORDER BY seq")
            .map_err(StoreError::from)?;
        let mut rows = statement.query([after]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            each(read(row).map_err(StoreError::from)?)?;
        }
        Ok(())
    }
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

/// Reads a row whatever somebody made of it: what cannot be right is read as something that no MAC is over, so that the
/// chain names the row.
fn read(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let optional = |name: &str| -> rusqlite::Result<Option<String>> {
        let bytes = row.get_ref(name)?.as_bytes_or_null().unwrap_or(Some(b"\xff"));
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    let text = |name: &str| optional(name).map(Option::unwrap_or_default);
    Ok(AuditRow {
        seq: row.get("seq")?,
        at: row.get_ref("at")?.as_i64().unwrap_or(i64::MIN),
        action: text("action")?.into(),
        result: text("result")?.into(),
        actor: text("actor")?,
        user: optional("user")?,
        provider: optional("provider")?,
        credential: optional("credential")?,
        subject: optional("subject")?,
        address: optional("address")?,
        request_id: optional("request_id")?,
        key_version: u32::try_from(row.get_ref("key_version")?.as_i64().unwrap_or(-1)).unwrap_or(0),
        mac: row.get_ref("mac")?.as_bytes().ok().and_then(|mac| mac.try_into().ok()).unwrap_or_default(),
    })
}
