//! Changes of a credential by the user: another title, or another secret of the same kind, under
//! the same id.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::credential_record::{open_secret, open_summary, retitle, rewrite, subject};
use super::metadata::CredentialMetadata;
use super::quota_check::{added_by_change, added_by_metadata, check};
use super::read::Credentials;
use crate::clock::UnixTime;
use crate::id::{CredentialId, UserId};
use crate::kind::Kind;
use crate::policy::HostPattern;
use crate::secret::Secret;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;

/// The changes; an absent field stays as it is.
#[derive(Clone)]
pub struct CredentialUpdate {
    /// The new title.
    pub title: Option<String>,
    /// The changes of the secret.
    pub secret: Option<SecretUpdate>,
}

/// A new expiry; `None` if no end is known.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct NewExpiry(pub Option<UnixTime>);

/// The changes of a secret, by kind; an absent field stays as it is.
#[derive(Clone)]
pub enum SecretUpdate {
    /// A new key has its own expiry: the old expiry is removed.
    ApiKey {
        /// The key.
        api_key: Option<Secret>,
        /// The expiry.
        expires_at: Option<NewExpiry>,
    },
    /// User name, password or both.
    UserPassword {
        /// The user name.
        username: Option<Secret>,
        /// The password.
        password: Option<Secret>,
    },
    /// Host, headers or both. The headers are replaced as a whole.
    HostScoped {
        /// The host.
        host: Option<HostPattern>,
        /// The headers by name.
        headers: Option<BTreeMap<String, Secret>>,
    },
}

/// The result of a change.
#[derive(Debug)]
pub enum UpdateOutcome {
    /// The new metadata.
    Done(Box<CredentialMetadata>),
    /// The user has no credential with that id.
    Absent,
    /// The credential is of this other kind and was not changed.
    OtherKind(Kind),
}

impl Credentials<'_> {
    /// Applies all changes, or none.
    pub async fn update(
        self,
        user: &UserId,
        id: &CredentialId,
        amendment: CredentialUpdate,
        who: &AuditContext,
    ) -> Result<UpdateOutcome, VaultError> {
        let (user, id, quota) = (user.clone(), *id, self.quota);
        self.core
            .write(who, move |txn| {
                let Some(old) = txn.tx.credential(user.as_str(), &id.to_string())? else {
                    return Ok(UpdateOutcome::Absent);
                };
                let before = open_summary(txn.keyring, &old)?;
                let mut summary = CredentialMetadata { updated_at: txn.now, ..before.clone() };
                if let Some(title) = &amendment.title {
                    summary.title.clone_from(title);
                }
                let Some(secret) = &amendment.secret else {
                    check(txn.tx, &user, quota, added_by_metadata(&before, &summary))?;
                    retitle(txn, &old, &summary)?;
                    txn.record(Action::CredentialRetitle, subject(&summary))?;
                    return Ok(UpdateOutcome::Done(Box::new(summary)));
                };
                let old_material = open_secret(txn, &old, &before)?;
                let mut material = old_material.clone();
                if !secret.apply(&mut material, &mut summary) {
                    return Ok(UpdateOutcome::OtherKind(summary.kind));
                }
                check(txn.tx, &user, quota, added_by_change((&before, &old_material), (&summary, &material)))?;
                rewrite(txn, &old, &before, &summary, &material)?;
                txn.record(Action::CredentialChange, subject(&summary))?;
                Ok(UpdateOutcome::Done(Box::new(summary)))
            })
            .await
    }
}

impl SecretUpdate {
    /// Changes metadata and secret; returns false, and changes nothing, if the kind differs.
    fn apply(&self, material: &mut CredentialSecret, summary: &mut CredentialMetadata) -> bool {
        match (self, material) {
            (Self::ApiKey { api_key, expires_at }, CredentialSecret::ApiKey(there)) => {
                if let Some(api_key) = api_key {
                    *there = api_key.clone();
                    summary.expires_at = None;
                }
                if let Some(NewExpiry(end)) = expires_at {
                    summary.expires_at = *end;
                }
            }
            (
                Self::UserPassword { username, password },
                CredentialSecret::UserPassword { username: name, password: word },
            ) => {
                replace(name, username.as_ref());
                replace(word, password.as_ref());
            }
            (Self::HostScoped { host, headers }, CredentialSecret::HostScoped { host: there, headers: sent }) => {
                replace(there, host.as_ref());
                replace(sent, headers.as_ref());
                summary.host = Some(there.clone());
            }
            _ => return false,
        }
        true
    }
}

fn replace<T: Clone>(there: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        there.clone_from(new);
    }
}
