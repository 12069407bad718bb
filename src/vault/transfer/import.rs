//! Import of credentials from another program or another vault. Existing credentials are detected,
//! so that importing a file twice creates no duplicates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::import_candidate::ImportCandidate;
use super::known_credentials::KnownCredentials;
use super::transferred_credential::TransferredCredential;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::vault::credentials::credential_record::{new_records, open_secret_in, open_summary, subject, summary_of};
use crate::vault::credentials::metadata::{CredentialMetadata, NewCredential};
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::Manifest;
use crate::vault::users::{self, LogPosition, Users};

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It is stored with this id.
    Stored(CredentialId),
    /// It already exists with this id; nothing was changed.
    Known(CredentialId),
}

/// Import and export of credentials.
#[derive(Clone, Copy)]
pub struct Transfer<'v> {
    pub(crate) core: &'v VaultCore,
}

impl<'v> Transfer<'v> {
    /// A credential from another program. `origin` is its name there, the same at each import.
    pub fn candidate(self, new: &NewCredential, origin: String) -> ImportCandidate {
        let now = self.core.clock.now();
        let summary =
            CredentialMetadata { origin: Some(origin), ..summary_of(self.core.ids.credential(), new, now, now) };
        ImportCandidate { summary, material: new.material.clone(), keeps_times: false }
    }

    /// A credential from another vault, with all its data. It keeps its id unless it is given
    /// to another user.
    pub fn moved_candidate(self, moved: TransferredCredential, user: Option<&UserId>) -> ImportCandidate {
        let mut summary = moved.summary;
        if let Some(user) = user.filter(|user| **user != summary.user) {
            summary.origin.get_or_insert_with(|| origin_in_vault(&summary.id));
            summary.user = user.clone();
            summary.id = self.core.ids.credential();
        }
        ImportCandidate { summary, material: moved.material, keeps_times: true }
    }

    /// Begins an import. With `duplicates` an existing credential is imported again with a new id. A
    /// user that is removed during the import gets no further credentials.
    pub fn importer(self, duplicates: bool) -> Importer<'v> {
        // If the vault cannot be read now, the first import reports it.
        let begun_at = Users { core: self.core }.now().ok();
        Importer { core: self.core, duplicates, begun_at, known: Arc::default() }
    }

    /// Returns what [`Importer::import`] would do with these credentials one after the other;
    /// nothing is written.
    pub fn rehearse(self, candidates: &[ImportCandidate], duplicates: bool) -> Result<Vec<ImportOutcome>, VaultError> {
        self.core.read(|view, keyring| {
            let manifest = Manifest::load(view, keyring)?;
            let mut known = KnownCredentials::default();
            let mut stored = HashMap::new();
            candidates
                .iter()
                .map(|candidate| {
                    let outcome = match known.find(view, keyring, &manifest, candidate)? {
                        Some(id) => Some(id),
                        None => known.find_among(&stored, candidate),
                    };
                    Ok(match outcome {
                        Some(id) if !duplicates => ImportOutcome::Known(id),
                        _ => {
                            known.add(&candidate.summary, &candidate.material);
                            stored.insert(candidate.summary.id, candidate);
                            ImportOutcome::Stored(candidate.summary.id)
                        }
                    })
                })
                .collect()
        })
    }

    /// Exports up to `limit` credentials of a user after `after`. The audit rows are on disk
    /// before this returns. Secrets of credentials that `may_leave` rejects are not read.
    pub async fn export(
        self,
        user: &UserId,
        provider: Option<&ProviderName>,
        (after, limit): (Option<CredentialId>, u32),
        who: &AuditContext,
        may_leave: impl Fn(&CredentialMetadata) -> bool + Send + Sync + 'static,
    ) -> Result<ExportedPage, VaultError> {
        let (user, provider) = (user.clone(), provider.cloned());
        let after = after.map_or_else(String::new, |id| id.to_string());
        self.core
            .write(who, move |txn| {
                let provider = provider.as_ref().map(ProviderName::as_str);
                let rows = txn.tx.credentials(user.as_str(), provider, &after, Some(limit))?;
                let mut page = ExportedPage { credentials: Vec::with_capacity(rows.len()), left_out: 0, last: None };
                for row in &rows {
                    let summary = open_summary(txn.keyring, row)?;
                    page.last = Some(summary.id);
                    if !may_leave(&summary) {
                        page.left_out += 1;
                        continue;
                    }
                    let material = open_secret_in(txn.tx, txn.keyring, row, &summary)?;
                    txn.record(Action::CredentialExport, subject(&summary))?;
                    page.credentials.push(TransferredCredential { summary, material, registration: None });
                }
                Ok(page)
            })
            .await
    }
}

/// A page of an export.
pub struct ExportedPage {
    /// The credentials with their secrets.
    pub credentials: Vec<TransferredCredential>,
    /// Number of credentials that may not leave the vault.
    pub left_out: usize,
    /// The last credential of the page, exported or not; `None` if there are no more.
    pub last: Option<CredentialId>,
}

/// An import of several credentials, one after the other.
pub struct Importer<'v> {
    core: &'v VaultCore,
    duplicates: bool,
    begun_at: Option<LogPosition>,
    known: Arc<Mutex<KnownCredentials>>,
}

impl Importer<'_> {
    /// Imports a whole credential or nothing.
    pub async fn import(&self, candidate: ImportCandidate, who: &AuditContext) -> Result<ImportOutcome, VaultError> {
        let (another, duplicates, known) = (self.core.ids.credential(), self.duplicates, self.known.clone());
        let begun_at = self.begun_at;
        let outcome = self
            .core
            .write(who, move |txn| {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                let mut summary = candidate.summary.clone();
                if users::was_removed(txn, &summary.user, begun_at)? {
                    return Err(VaultError::UserRemoved);
                }
                match known.find(txn.tx, txn.keyring, txn.manifest(), &candidate)? {
                    Some(id) if !duplicates => return Ok(ImportOutcome::Known(id)),
                    Some(_) => summary.id = another,
                    None => {}
                }
                if !candidate.keeps_times {
                    (summary.created_at, summary.updated_at) = (txn.now, txn.now);
                }
                // The counter of the other vault's restores means nothing here.
                summary.refreshing.restores = txn.manifest().restores;
                users::ensure(txn, &summary.user)?;
                new_records(txn, &summary, &candidate.material)?;
                txn.record(Action::CredentialImport, subject(&summary))?;
                known.add(&summary, &candidate.material);
                known.wrote(txn.manifest());
                Ok(ImportOutcome::Stored(summary.id))
            })
            .await;
        if outcome.is_err() {
            // The index may name a credential that was not stored.
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = KnownCredentials::default();
        }
        outcome
    }
}

/// The origin of a credential that belonged to another user in another vault.
fn origin_in_vault(id: &CredentialId) -> String {
    format!("strongroom:{id}")
}
