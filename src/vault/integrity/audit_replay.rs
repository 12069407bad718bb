//! Replay of the audit log: derives which credentials, revisions and API keys should exist. It
//! names what is missing, put back or inserted; the manifest's sums only show that something is.

use std::collections::HashMap;

use super::findings::Verification;
use crate::store::{ApiKeyRow, View};
use crate::vault::error::VaultError;
use crate::vault::txn::audit_row::{Action, api_key_in, revisions_in};

/// A credential according to the log.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The revisions of metadata and secret, as far as the log has them.
    revisions: (Option<i64>, Option<i64>),
    deleted: bool,
}

/// An API key according to the log.
#[derive(Default)]
struct KnownKey {
    user: Option<String>,
    /// The revision of its row: the first, and one more with every change.
    revision: i64,
    revoked: bool,
    gone: bool,
}

/// The state that the log describes.
#[derive(Default)]
pub(crate) struct History {
    credentials: HashMap<(String, String), Known>,
    api_keys: HashMap<String, KnownKey>,
    /// True if the log reaches back to the creation of the vault. If not, more may exist than
    /// it describes.
    whole: bool,
}

impl History {
    /// Replays the log.
    pub(crate) fn read(view: &View<'_>) -> Result<Self, VaultError> {
        let mut history = Self::default();
        let mut first = None;
        view.walk_audit(|row| {
            first.get_or_insert(row.seq);
            history.learn(&row.action, row.user.as_deref(), row.credential.as_deref(), row.subject.as_deref());
            Ok::<_, VaultError>(())
        })?;
        history.whole = first == Some(1);
        Ok(history)
    }

    fn learn(&mut self, action: &str, user: Option<&str>, credential: Option<&str>, subject: Option<&str>) {
        if let (Some(user), Some(id)) = (user, credential) {
            if action == Action::CredentialDelete.name() {
                self.credentials.entry((user.to_owned(), id.to_owned())).or_default().deleted = true;
            } else if let Some((summary, secret)) = subject.and_then(revisions_in) {
                let known = self.credentials.entry((user.to_owned(), id.to_owned())).or_default();
                known.deleted = false;
                known.revisions = (Some(summary), secret.or(known.revisions.1));
            }
        }
        if action == Action::UserRemove.name() {
            self.api_keys.values_mut().filter(|key| key.user.as_deref() == user).for_each(|key| key.gone = true);
        }
        let Some(id) = subject.and_then(api_key_in) else { return };
        if action == Action::KeyCreate.name() {
            let key = KnownKey { user: user.map(str::to_owned), revision: 1, ..KnownKey::default() };
            self.api_keys.insert(id.to_owned(), key);
        } else if let Some(key) = self.api_keys.get_mut(id) {
            let changes = [Action::KeyUpdate, Action::GrantAdd, Action::GrantRemove, Action::KeyRevoke];
            key.revision += i64::from(changes.iter().any(|change| change.name() == action));
            key.revoked |= action == Action::KeyRevoke.name();
        }
    }

    /// Returns true if the log reaches back to the creation of the vault.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Reports every difference between log and rows; returns user and id of the missing
    /// credentials.
    pub(crate) fn compare(mut self, view: &View<'_>, report: &mut Verification) -> Vec<(String, String)> {
        let there = view.credential_revisions(|user, id, revisions| self.credential(user, id, revisions, report));
        if let Err(error) = there {
            report.error("credential", &error.into());
            return Vec::new();
        }
        let missing: Vec<_> =
            self.credentials.iter().filter(|(_, known)| !known.deleted).map(|(key, _)| key.clone()).collect();
        for (_, id) in &missing {
            report.found("credential", id, "it is missing: the audit log has it stored and never deleted");
        }
        match view.api_keys() {
            Ok(keys) => keys.iter().for_each(|key| self.api_key(key, report)),
            Err(error) => report.error("api_key", &error.into()),
        }
        for (id, key) in &self.api_keys {
            if !key.gone {
                report.found("api_key", id, "it is missing: the audit log has it made and never removed");
            }
        }
        missing
    }

    fn credential(&mut self, user: &str, id: &str, (summary, secret): (i64, Option<i64>), report: &mut Verification) {
        let Some(known) = self.credentials.remove(&(user.to_owned(), id.to_owned())) else {
            if self.whole {
                report.found("credential", id, "nobody stored it, says the audit log: it was put there");
            }
            return;
        };
        let older = |own: Option<i64>, due: Option<i64>| matches!((own, due), (Some(own), Some(due)) if own < due);
        if known.deleted {
            report.found("credential", id, "it was deleted, says the audit log, and put back");
        } else if older(Some(summary), known.revisions.0) || older(secret, known.revisions.1) {
            report.found("credential", id, "it was put back to what it was before its last change");
        }
    }

    fn api_key(&mut self, row: &ApiKeyRow, report: &mut Verification) {
        let id = &row.id;
        match self.api_keys.remove(id) {
            None if self.whole => report.found("api_key", id, "nobody made it, says the audit log: it was put there"),
            Some(known) if known.gone => report.found("api_key", id, "it was removed, and put back"),
            Some(known) if known.revoked && row.revoked_at.is_none() => {
                report.found("api_key", id, "it was revoked, and put back to what it was before");
            }
            Some(known) if row.revision < known.revision => {
                report.found("api_key", id, "it was put back to what it was before its last change");
            }
            _ => {}
        }
    }
}
