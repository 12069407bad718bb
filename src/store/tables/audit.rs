//! Rows of the audit log.

use std::borrow::Cow;

use rusqlite::{Row, named_params};
use serde::Serialize;

use super::statement::columns;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::store::engine::{Tx, View};
use crate::store::error::StoreError;

/// One row of the audit log: ids, never values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// The number.
    #[serde(rename = "row")]
    pub seq: i64,
    /// The time, in Unix seconds.
    pub at: i64,
    /// The action.
    pub action: Cow<'static, str>,
    /// `ok`, `failed` or `denied`.
    pub result: Cow<'static, str>,
    /// The actor.
    pub actor: String,
    /// The user.
    pub user: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The credential.
    pub credential: Option<String>,
    /// Any other object.
    pub subject: Option<String>,
    /// The address of the caller.
    pub address: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Version of the key of the MAC.
    #[serde(skip)]
    pub(crate) key_version: u32,
    /// The MAC over this row and the row before.
    #[serde(skip)]
    pub(crate) mac: [u8; 32],
}

/// A row, and the MAC of the row before it if there is one.
pub(crate) type FoundAudit = (AuditRow, Option<[u8; 32]>);

/// A filter for rows; an empty field matches every row.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Earliest time.
    pub since: Option<UnixTime>,
    /// Latest time.
    pub until: Option<UnixTime>,
    /// The action, as a pattern of SQLite's GLOB: `*` stands for any text, as in `credential.*`.
    pub action: Option<String>,
    /// `ok`, `failed` or `denied`.
    pub result: Option<String>,
    /// The actor as the log stores it: `key:ID`, `token:ISSUER`, `command-line`, `system`.
    pub actor: Option<String>,
    /// The user.
    pub user: Option<UserId>,
    /// The provider.
    pub provider: Option<ProviderName>,
    /// The credential.
    pub credential: Option<CredentialId>,
    /// An API key, as actor or as object.
    pub key: Option<ApiKeyId>,
    /// The number of newest rows to return; `None`: all.
    pub limit: Option<u32>,
}

impl View<'_> {
    /// Returns the rows that match, oldest first.
    pub(crate) fn find_audit(&self, filter: &AuditFilter) -> Result<Vec<FoundAudit>, StoreError> {
        let mut rows = self.rows(
            "SELECT *, (SELECT mac FROM audit AS earlier WHERE earlier.seq = audit.seq - 1) AS before FROM audit
             WHERE (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
                 AND (:action IS NULL OR action GLOB :action) AND (:result IS NULL OR result = :result)
                 AND (:actor IS NULL OR actor = :actor) AND (:user IS NULL OR user = :user)
                 AND (:provider IS NULL OR provider = :provider) AND (:credential IS NULL OR credential = :credential)
                 AND (:party IS NULL OR :party IN (actor, subject) OR substr(subject, 1, length(:party) + 1) = :party || ' ')
             ORDER BY seq DESC LIMIT :limit",
            named_params! {
                ":since": filter.since.map(|at| at.0), ":until": filter.until.map(|at| at.0),
                ":action": filter.action, ":result": filter.result, ":actor": filter.actor,
                ":user": filter.user.as_ref().map(UserId::as_str),
                ":provider": filter.provider.as_ref().map(ProviderName::as_str),
                ":credential": filter.credential.map(|id| id.to_string()),
                ":party": filter.key.map(|id| format!("key:{id}")), ":limit": filter.limit.map_or(-1, i64::from),
            },
            |row| {
                let before = row.get_ref("before")?.as_bytes_or_null().ok().flatten();
                Ok((read(row)?, before.and_then(|mac| mac.try_into().ok())))
            },
        )?;
        rows.reverse();
        Ok(rows)
    }

    /// Returns up to `limit` rows after the number `after`, in order.
    pub(crate) fn audit_page(&self, after: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.rows("SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit), read)
    }

    /// Calls `each` with every row, in order.
    pub(crate) fn walk_audit<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(AuditRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement =
            self.connection.prepare_cached("SELECT * FROM audit ORDER BY seq").map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            each(read(row).map_err(StoreError::from)?)?;
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Returns true if a row after the number `after` records the removal of the user.
    pub(crate) fn has_removal(&self, user: &str, after: i64) -> Result<bool, StoreError> {
        // The action is a literal, so that the partial index is used.
        let sql = "SELECT 1 FROM audit WHERE action = 'user.remove' AND user = ? AND seq > ? LIMIT 1";
        Ok(self.row(sql, (user, after), |_| Ok(()))?.is_some())
    }

    /// Returns true if a row records the use of an approval, with this subject.
    pub(crate) fn has_approval_use(&self, subject: &str) -> Result<bool, StoreError> {
        // The action is a literal, so that the partial index is used.
        let sql = "SELECT 1 FROM audit WHERE action = 'approval.use' AND subject = ? LIMIT 1";
        Ok(self.row(sql, [subject], |_| Ok(()))?.is_some())
    }

    /// Deletes the rows up to this number.
    pub(crate) fn delete_audit_through(&self, seq: i64) -> Result<(), StoreError> {
        self.execute("DELETE FROM audit WHERE seq <= ?", [seq])
    }

    /// Appends a row. An existing number is an error.
    pub(crate) fn append_audit(&self, row: &AuditRow) -> Result<(), StoreError> {
        let columns = columns! {
            row; seq, at, action, result, actor, user, provider, credential, subject, address, request_id, key_version,
            mac
        };
        self.insert("audit", columns)
    }
}

/// Reads a row even if it was changed. A value of a wrong type is read as one that no MAC covers,
/// so that the chain names the row.
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
