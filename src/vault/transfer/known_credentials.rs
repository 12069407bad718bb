//! Index of the credentials that an import can meet, so that each item is looked up in constant
//! time. An index of hashes alone decides nothing: a credential that it names is opened and compared.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use super::import_candidate::ImportCandidate;
use crate::id::{CredentialId, UserId};
use crate::store::{CredentialRow, View};
use crate::vault::credentials::credential_record::{open_secret_in, open_summary};
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::crypto::fields::encode;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::manifest::Manifest;

/// Rows of the audit log that are read at once.
const AUDIT_PAGE: u32 = 1_000;

/// The credentials of the users of an import, by the hashes of what makes two of them the same.
#[derive(Default)]
pub(crate) struct KnownCredentials {
    hasher: RandomState,
    /// Users whose credentials are in the index.
    users: HashSet<UserId>,
    by_hash: HashMap<u64, Vec<(UserId, CredentialId)>>,
    /// Number of audit rows up to which the index is complete.
    audited: u64,
}

impl KnownCredentials {
    /// Returns the id of the existing credential: one with the same name, else one with the same
    /// content.
    pub(crate) fn find(
        &mut self,
        view: &View<'_>,
        keyring: &Keyring,
        manifest: &Manifest,
        candidate: &ImportCandidate,
    ) -> Result<Option<CredentialId>, VaultError> {
        self.follow(view, keyring, manifest)?;
        if self.users.insert(candidate.summary.user.clone()) {
            for row in view.credentials(candidate.summary.user.as_str(), None, "", None)? {
                self.read(view, keyring, &row)?;
            }
        }
        for hash in self.hashes(&candidate.summary, &candidate.material) {
            for (user, id) in self.by_hash.get(&hash).into_iter().flatten() {
                // Since it was indexed, it may have been changed or deleted.
                let Some(row) = view.credential(user.as_str(), &id.to_string())? else { continue };
                let summary = open_summary(keyring, &row)?;
                if candidate.is_called_the_same(&summary)
                    || candidate.is_the_same(&summary, &open_secret_in(view, keyring, &row, &summary)?)
                {
                    return Ok(Some(*id));
                }
            }
        }
        Ok(None)
    }

    /// Returns the id of one of the candidates that count as stored and is the same.
    pub(crate) fn find_among(
        &self,
        stored: &HashMap<CredentialId, &ImportCandidate>,
        candidate: &ImportCandidate,
    ) -> Option<CredentialId> {
        let hashes = self.hashes(&candidate.summary, &candidate.material);
        let ids = hashes.iter().filter_map(|hash| self.by_hash.get(hash)).flatten().map(|(_, id)| id);
        let same = |other: &&&ImportCandidate| candidate.is_the_same(&other.summary, &other.material);
        ids.filter_map(|id| stored.get(id)).find(same).map(|other| other.summary.id)
    }

    /// Adds a credential.
    pub(crate) fn add(&mut self, summary: &CredentialMetadata, material: &CredentialSecret) {
        for hash in self.hashes(summary, material) {
            self.by_hash.entry(hash).or_default().push((summary.user.clone(), summary.id));
        }
    }

    /// Marks the audit log as read, after a row that this import wrote.
    pub(crate) fn wrote(&mut self, manifest: &Manifest) {
        self.audited = manifest.audit_length;
    }

    /// Reads what other processes and requests have changed since the last call. Every change of a
    /// credential has its audit row.
    fn follow(&mut self, view: &View<'_>, keyring: &Keyring, manifest: &Manifest) -> Result<(), VaultError> {
        if self.users.is_empty() {
            self.audited = manifest.audit_length;
        }
        if self.audited > manifest.audit_length {
            // A write of this import was undone.
            *self = Self { audited: manifest.audit_length, ..Self::default() };
        }
        while self.audited < manifest.audit_length {
            let after = i64::try_from(self.audited).unwrap_or(i64::MAX);
            let rows = view.audit_page(after, AUDIT_PAGE)?;
            for audit in &rows {
                let user = audit.user.as_deref().filter(|user| self.users.iter().any(|known| known.as_str() == *user));
                if let (Some(user), Some(id)) = (user, &audit.credential)
                    && let Some(row) = view.credential(user, id)?
                {
                    self.read(view, keyring, &row)?;
                }
            }
            self.audited = match rows.last() {
                Some(last) => u64::try_from(last.seq).unwrap_or(manifest.audit_length),
                None => manifest.audit_length,
            };
        }
        Ok(())
    }

    fn read(&mut self, view: &View<'_>, keyring: &Keyring, row: &CredentialRow) -> Result<(), VaultError> {
        let summary = open_summary(keyring, row)?;
        let material = open_secret_in(view, keyring, row, &summary)?;
        self.add(&summary, &material);
        Ok(())
    }

    /// Returns the hashes by which a credential is found: of its names, then of its content.
    fn hashes(&self, summary: &CredentialMetadata, material: &CredentialSecret) -> Vec<u64> {
        let user = summary.user.as_str();
        let host = summary.host.as_ref().map(ToString::to_string);
        let named = |value: &str| self.hasher.hash_one((user, value));
        let content =
            |value: &[u8]| self.hasher.hash_one((user, summary.provider.as_str(), summary.kind.name(), &host, value));
        let mut hashes = vec![named(&summary.id.to_string())];
        hashes.extend(summary.origin.as_deref().map(named));
        match material {
            CredentialSecret::OAuth2(tokens) => {
                hashes.extend(summary.account.as_ref().map(|account| content(&encode(account))));
                let secrets = std::iter::once(&tokens.access_token).chain(&tokens.refresh_token);
                hashes.extend(secrets.map(|secret| content(secret.expose().as_bytes())));
            }
            other => hashes.push(content(&encode(other))),
        }
        hashes
    }
}
