//! The log as it is read by people: verified as a whole, and looked through.

use serde::Serialize;

use super::chain::{AuditFault, is_linked, verify};
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::store::{AuditQuery, AuditRow};
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::denied_request::DeniedRequest;
use crate::vault::txn::manifest::Manifest;

/// What a walk along the whole log gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditVerdict {
    /// How many rows are as they were written.
    pub sound: u64,
    /// The number of the first row that should be there; earlier ones were removed by retention.
    pub first: u64,
    /// The number of the last row that was ever written.
    pub last: u64,
}

/// Which rows are wanted; what is empty lets everything through.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Rows with a greater number.
    pub after: u64,
    /// Not before this time.
    pub since: Option<UnixTime>,
    /// Not after this time.
    pub until: Option<UnixTime>,
    /// The action; `*` stands for any text: `credential.*`.
    pub action: Option<String>,
    /// `ok`, `failed` or `denied`.
    pub result: Option<String>,
    /// Who acted, as the log has it: `key:ID`, `token:ISSUER`, `command-line`, `system`.
    pub actor: Option<String>,
    /// Whose credentials.
    pub user: Option<UserId>,
    /// Of which provider.
    pub provider: Option<ProviderName>,
    /// Which one.
    pub credential: Option<CredentialId>,
    /// What this API key did, and what was done to it.
    pub key: Option<ApiKeyId>,
    /// The newest so many; all where nothing is said.
    pub limit: Option<u32>,
}

/// One row of the log: ids, never values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its number.
    pub row: i64,
    /// When.
    pub at: UnixTime,
    /// What was done.
    pub action: String,
    /// `ok`, `failed` or `denied`.
    pub result: String,
    /// By whom.
    pub actor: String,
    /// Whose credentials it is about.
    pub user: Option<String>,
    /// Of which provider.
    pub provider: Option<String>,
    /// Which one.
    pub credential: Option<String>,
    /// What else it was done to.
    pub subject: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Whether the row is as it was written. The log as a whole is another question: see [`Vault::verify_audit`].
    #[serde(skip)]
    pub sound: bool,
}

/// The audit log of a vault.
#[derive(Clone, Copy)]
pub struct AuditLog<'v> {
    pub(in crate::vault) core: &'v VaultCore,
}

impl AuditLog<'_> {
    /// Walks the whole audit log, in bounded memory, and tells `report` everything that does not hold.
    pub fn verify(self, report: &mut dyn FnMut(AuditFault)) -> Result<AuditVerdict, VaultError> {
        let keyring = self.core.keyring();
        self.core.store.read(|view| {
            let manifest = Manifest::load(view, &keyring)?;
            let sound = verify(view, &keyring, &manifest, report)?;
            Ok(AuditVerdict { sound, first: manifest.audit_base + 1, last: manifest.audit_length })
        })
    }

    /// The rows that are wanted, the oldest first, and the number of the last row there is.
    pub fn find(self, filter: &AuditFilter) -> Result<(Vec<AuditEntry>, u64), VaultError> {
        let found = self.find_once(filter)?;
        // Another process may have made a new key for the log meanwhile.
        if found.0.iter().any(|entry| !entry.sound) && self.core.reload_keyring()? {
            return self.find_once(filter);
        }
        Ok(found)
    }

    /// Records a request that an authenticated caller was denied.
    pub async fn record_denied(self, denied: DeniedRequest, who: &AuditContext) -> Result<(), VaultError> {
        self.core
            .write(who, move |txn| {
                let subject = Subject {
                    user: denied.user.as_ref(),
                    provider: denied.provider.as_ref(),
                    credential: denied.credential.as_ref(),
                    refusal: Some(&denied),
                    ..Subject::default()
                };
                txn.record(Action::RequestRefuse, subject)
            })
            .await
    }

    fn find_once(self, filter: &AuditFilter) -> Result<(Vec<AuditEntry>, u64), VaultError> {
        let query = query(filter);
        self.core.read(|view, keyring| {
            let manifest = Manifest::load(view, keyring)?;
            let entries = view.find_audit(&query)?.into_iter().map(|(row, before)| {
                let first = row.seq.checked_sub(1).and_then(|before| u64::try_from(before).ok());
                let before = if first == Some(manifest.audit_base) { Some(manifest.audit_base_mac) } else { before };
                let sound = before.is_some_and(|before| is_linked(keyring, &before, &row));
                entry(row, sound)
            });
            Ok((entries.collect(), manifest.audit_length))
        })
    }
}

fn query(filter: &AuditFilter) -> AuditQuery {
    AuditQuery {
        after: i64::try_from(filter.after).unwrap_or(i64::MAX),
        since: filter.since.map(|at| at.0),
        until: filter.until.map(|at| at.0),
        action: filter.action.clone(),
        result: filter.result.clone(),
        actor: filter.actor.clone(),
        user: filter.user.as_ref().map(ToString::to_string),
        provider: filter.provider.as_ref().map(ToString::to_string),
        credential: filter.credential.as_ref().map(ToString::to_string),
        party: filter.key.as_ref().map(|id| format!("key:{id}")),
        limit: filter.limit,
    }
}

pub(in crate::vault) fn entry(row: AuditRow, sound: bool) -> AuditEntry {
    AuditEntry {
        row: row.seq,
        at: UnixTime(row.at),
        action: row.action.into_owned(),
        result: row.result.into_owned(),
        actor: row.actor,
        user: row.user,
        provider: row.provider,
        credential: row.credential,
        subject: row.subject,
        address: row.address,
        request_id: row.request_id,
        sound,
    }
}
