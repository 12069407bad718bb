//! Import of credentials from another program or another vault. Existing credentials are detected,
//! so that importing a file twice creates no duplicates.

use super::transferred_credential::TransferredCredential;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::View;
use crate::vault::credentials::credential_record::{new_records, open_secret_in, open_summary, subject, summary_of};
use crate::vault::credentials::metadata::{CredentialMetadata, NewCredential};
use crate::vault::crypto::fields::encode;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::core::VaultCore;
use crate::vault::users;

/// A credential to import.
#[derive(Clone)]
pub struct ImportCandidate {
    summary: CredentialMetadata,
    material: CredentialSecret,
    keeps_times: bool,
}

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

impl Transfer<'_> {
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

    /// Imports a whole credential or nothing. With `duplicates` an existing credential is
    /// imported again with a new id.
    pub async fn import(
        self,
        arrival: ImportCandidate,
        duplicates: bool,
        who: &AuditContext,
    ) -> Result<ImportOutcome, VaultError> {
        let another = self.core.ids.credential();
        self.core
            .write(who, move |txn| {
                let mut summary = arrival.summary.clone();
                match known(txn.tx, txn.keyring, &arrival)? {
                    Some(id) if !duplicates => return Ok(ImportOutcome::Known(id)),
                    Some(_) => summary.id = another,
                    None => {}
                }
                if !arrival.keeps_times {
                    (summary.created_at, summary.updated_at) = (txn.now, txn.now);
                }
                // The counter of the other vault's restores means nothing here.
                summary.refreshing.restores = txn.manifest().restores;
                users::ensure(txn, &summary.user)?;
                new_records(txn, &summary, &arrival.material)?;
                txn.record(Action::CredentialImport, subject(&summary))?;
                Ok(ImportOutcome::Stored(summary.id))
            })
            .await
    }

    /// Returns what [`Transfer::import`] would do with these credentials one after the other;
    /// nothing is written.
    pub fn rehearse(self, arrivals: &[ImportCandidate], duplicates: bool) -> Result<Vec<ImportOutcome>, VaultError> {
        self.core.read(|view, keyring| {
            let mut stored: Vec<&ImportCandidate> = Vec::new();
            let mut outcomes = Vec::with_capacity(arrivals.len());
            for arrival in arrivals {
                let before = || stored.iter().find(|other| arrival.is_the_same(&other.summary, &other.material));
                let known = match known(view, keyring, arrival)? {
                    Some(id) => Some(id),
                    None => before().map(|other| other.summary.id),
                };
                outcomes.push(match known {
                    Some(id) if !duplicates => ImportOutcome::Known(id),
                    _ => {
                        stored.push(arrival);
                        ImportOutcome::Stored(arrival.summary.id)
                    }
                });
            }
            Ok(outcomes)
        })
    }

    /// Exports up to `limit` credentials of a user after `after`. The audit rows are on disk
    /// before this returns.
    pub async fn export(
        self,
        user: &UserId,
        provider: Option<&ProviderName>,
        after: Option<CredentialId>,
        limit: u32,
        who: &AuditContext,
    ) -> Result<Vec<TransferredCredential>, VaultError> {
        let (user, provider) = (user.clone(), provider.cloned());
        let after = after.map_or_else(String::new, |id| id.to_string());
        self.core
            .write(who, move |txn| {
                let provider = provider.as_ref().map(ProviderName::as_str);
                let rows = txn.tx.credentials(user.as_str(), provider, &after, Some(limit))?;
                let mut left = Vec::with_capacity(rows.len());
                for row in &rows {
                    let summary = open_summary(txn.keyring, row)?;
                    let material = open_secret_in(txn.tx, txn.keyring, row, &summary)?;
                    txn.record(Action::CredentialExport, subject(&summary))?;
                    left.push(TransferredCredential { summary, material, registration: None });
                }
                Ok(left)
            })
            .await
    }
}

/// The origin of a credential that belonged to another user in another vault.
fn origin_in_vault(id: &CredentialId) -> String {
    format!("strongroom:{id}")
}

/// Returns the id of the existing credential: one with the same name, or one with the same content.
/// A secret is opened only if it has to be compared.
fn known(view: &View<'_>, keyring: &Keyring, arrival: &ImportCandidate) -> Result<Option<CredentialId>, VaultError> {
    let rows = view.credentials(arrival.summary.user.as_str(), None, "", None)?;
    let summaries = rows.iter().map(|row| open_summary(keyring, row)).collect::<Result<Vec<_>, _>>()?;
    if let Some(namesake) = summaries.iter().find(|summary| arrival.is_called_the_same(summary)) {
        return Ok(Some(namesake.id));
    }
    for (row, summary) in rows.iter().zip(&summaries).filter(|(_, summary)| arrival.can_be_compared(summary)) {
        if arrival.is_the_same(summary, &open_secret_in(view, keyring, row, summary)?) {
            return Ok(Some(summary.id));
        }
    }
    Ok(None)
}

impl ImportCandidate {
    /// The metadata of the candidate.
    pub fn summary(&self) -> &CredentialMetadata {
        &self.summary
    }

    /// Sets the credential with the first token of the same login, whose id may differ from the
    /// other vault.
    pub fn came_beside(&mut self, first: CredentialId) {
        if let Some(beside) = &mut self.summary.beside {
            beside.of = first;
        }
    }

    /// Returns true if the other has the same id or origin.
    fn is_called_the_same(&self, other: &CredentialMetadata) -> bool {
        let same_user = self.summary.user == other.user;
        let same_origin = self.summary.origin.is_some() && self.summary.origin == other.origin;
        same_user && (self.summary.id == other.id || same_origin)
    }

    fn can_be_compared(&self, other: &CredentialMetadata) -> bool {
        let mine = &self.summary;
        (&mine.user, &mine.provider, mine.kind) == (&other.user, &other.provider, other.kind) && mine.host == other.host
    }

    /// Returns true if the other is the same: by name, by account, or by secret.
    fn is_the_same(&self, other: &CredentialMetadata, material: &CredentialSecret) -> bool {
        if self.is_called_the_same(other) {
            return true;
        }
        if !self.can_be_compared(other) {
            return false;
        }
        match (&self.material, material) {
            (CredentialSecret::OAuth2(mine), CredentialSecret::OAuth2(theirs)) => {
                is_same_account(&self.summary, other) || share_a_token(mine, theirs)
            }
            (mine, theirs) => *encode(mine) == *encode(theirs),
        }
    }
}

/// Returns true if both belong to one known account, through what may be one client.
fn is_same_account(one: &CredentialMetadata, other: &CredentialMetadata) -> bool {
    let may_be_one_client = one.client_id.is_none() || other.client_id.is_none() || one.client_id == other.client_id;
    one.account.is_some() && one.account == other.account && may_be_one_client
}

fn share_a_token(one: &Tokens, other: &Tokens) -> bool {
    let same_refresh = match (&one.refresh_token, &other.refresh_token) {
        (Some(one), Some(other)) => one.equals(other.expose()),
        _ => false,
    };
    same_refresh || one.access_token.equals(other.access_token.expose())
}
