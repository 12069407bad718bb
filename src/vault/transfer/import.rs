//! Credentials that come from elsewhere: from another program, or from another vault. What is here already is found, so that a
//! file that is imported twice doubles nothing.

use super::transferred_credential::TransferredCredential;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::View;
use crate::vault::credentials::credential_record::{new_records, open_secret_in, open_summary, subject, summary_of};
use crate::vault::credentials::metadata::{CredentialMetadata, NewCredential};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;
use crate::vault::txn::core::VaultCore;
use crate::vault::users;

/// A credential that is to be taken in.
#[derive(Clone)]
pub struct ImportCandidate {
    summary: CredentialMetadata,
    material: CredentialSecret,
    keeps_times: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It is stored under this id.
    Stored(CredentialId),
    /// It is here already, under this id; nothing was changed.
    Known(CredentialId),
}

/// Import and export of credentials.
#[derive(Clone, Copy)]
pub struct Transfer<'v> {
    pub(in crate::vault) core: &'v VaultCore,
}

impl Transfer<'_> {
    /// A credential from another program: `origin` is what it is called there, the same each time.
    pub fn candidate(self, new: &NewCredential, origin: String) -> ImportCandidate {
        let now = self.core.clock.now();
        let summary =
            CredentialMetadata { origin: Some(origin), ..summary_of(self.core.ids.credential(), new, now, now) };
        ImportCandidate { summary, material: new.material.clone(), keeps_times: false }
    }

    /// A credential from another vault, with all that it had there; it keeps its id, unless it is given to another user.
    pub fn moved_candidate(self, moved: TransferredCredential, user: Option<&UserId>) -> ImportCandidate {
        let mut summary = moved.summary;
        if let Some(user) = user.filter(|user| **user != summary.user) {
            summary.origin.get_or_insert_with(|| origin_in_vault(&summary.id));
            summary.user = user.clone();
            summary.id = self.core.ids.credential();
        }
        ImportCandidate { summary, material: moved.material, keeps_times: true }
    }

    /// Takes a credential in, whole or not at all. With `duplicates` it comes although it is here already, under an id of its own.
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
                // Of the time since, like all that comes now; how often another vault was restored says nothing here.
                summary.refreshing.restores = txn.manifest().restores;
                users::ensure(txn, &summary.user)?;
                new_records(txn, &summary, &arrival.material)?;
                txn.record(Action::CredentialImport, subject(&summary))?;
                Ok(ImportOutcome::Stored(summary.id))
            })
            .await
    }

    /// What [`Vault::import_credential`] would do with each of these, one after the other; nothing is written.
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

    /// Credentials of a user that come after `after`, at most `limit`, whole: that they left is in the audit log, on disk, before
    /// this returns.
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

/// What a credential is called that was another user's in another vault.
fn origin_in_vault(id: &CredentialId) -> String {
    format!("strongroom:{id}")
}

/// Under which id the user has it already: one of the same name, else one that is the same. A secret is opened only where it has to
/// be compared.
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
    /// Whose it will be.
    pub fn summary(&self) -> &CredentialMetadata {
        &self.summary
    }

    /// Says which credential has the first token of the login that this one has a further token of: it may have another id
    /// here than it had elsewhere.
    pub fn came_beside(&mut self, first: CredentialId) {
        if let Some(beside) = &mut self.summary.beside {
            beside.of = first;
        }
    }

    /// Whether it has the name of one that is here: the id that it had elsewhere, or the same origin.
    fn is_called_the_same(&self, other: &CredentialMetadata) -> bool {
        let same_user = self.summary.user == other.user;
        let same_origin = self.summary.origin.is_some() && self.summary.origin == other.origin;
        same_user && (self.summary.id == other.id || same_origin)
    }

    fn can_be_compared(&self, other: &CredentialMetadata) -> bool {
        let mine = &self.summary;
        (&mine.user, &mine.provider, mine.kind) == (&other.user, &other.provider, other.kind) && mine.host == other.host
    }

    /// Whether it is one that is here: by its name, by the account, or because the secret is the same.
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
            (mine, theirs) => *mine.write() == *theirs.write(),
        }
    }
}

/// Whether both are known to be of one account, through what may be one client.
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
