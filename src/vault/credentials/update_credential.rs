//! Changes of a credential by the user: another title, or another secret of the same kind, under
//! the same id.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::credential_record::{open_secret, open_summary, retitle, rewrite, subject};
use super::metadata::{CredentialMetadata, Exportable};
use super::quota_check::{added_by_change, added_by_metadata, check};
use super::read::Credentials;
use crate::clock::UnixTime;
use crate::id::{CredentialId, UserId};
use crate::kind::Kind;
use crate::policy::HostPattern;
use crate::secret::Secret;
use crate::vault::approvals::store as approvals;
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
    /// `Some(false)` withdraws the permission to give the secret out; `Some(true)` only asserts it.
    pub exportable: Option<bool>,
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
        /// All values that the provider's base URL depends on.
        inputs: Option<BTreeMap<String, String>>,
    },
    /// User name, password or both.
    UserPassword {
        /// The user name.
        username: Option<Secret>,
        /// The password.
        password: Option<Secret>,
        /// All values that the provider's base URL depends on.
        inputs: Option<BTreeMap<String, String>>,
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
    /// The permission to give the secret out was withdrawn. Nothing was changed.
    NotExportable,
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
                if let Some(exportable) = amendment.exportable {
                    if exportable && !before.exportable.0 {
                        return Ok(UpdateOutcome::NotExportable);
                    }
                    summary.exportable = Exportable(exportable);
                }
                let is_withdrawn = summary.exportable != before.exportable;
                let Some(secret) = &amendment.secret else {
                    check(txn.tx, &user, quota, added_by_metadata(&before, &summary))?;
                    retitle(txn, &old, &summary)?;
                    if amendment.title.is_some() || !is_withdrawn {
                        txn.record(Action::CredentialRetitle, subject(&summary))?;
                    }
                    if is_withdrawn {
                        txn.record(Action::CredentialNoExport, subject(&summary))?;
                    }
                    return Ok(UpdateOutcome::Done(Box::new(summary)));
                };
                let old_material = open_secret(txn, &old, &before)?;
                let mut material = old_material.clone();
                if !secret.apply(&mut material, &mut summary) {
                    return Ok(UpdateOutcome::OtherKind(summary.kind));
                }
                check(txn.tx, &user, quota, added_by_change((&before, &old_material), (&summary, &material)))?;
                rewrite(txn, &old, &before, &summary, &material)?;
                // What was approved might now go to another place, or with another account.
                approvals::remove_of_credential(txn, &old.id)?;
                txn.record(Action::CredentialChange, subject(&summary))?;
                if is_withdrawn {
                    txn.record(Action::CredentialNoExport, subject(&summary))?;
                }
                Ok(UpdateOutcome::Done(Box::new(summary)))
            })
            .await
    }
}

impl SecretUpdate {
    /// Returns the new values of the base URL, to be checked.
    pub fn inputs_mut(&mut self) -> Option<&mut BTreeMap<String, String>> {
        match self {
            Self::ApiKey { inputs, .. } | Self::UserPassword { inputs, .. } => inputs.as_mut(),
            Self::HostScoped { .. } => None,
        }
    }

    /// Changes metadata and secret; returns false, and changes nothing, if the kind differs.
    fn apply(&self, material: &mut CredentialSecret, summary: &mut CredentialMetadata) -> bool {
        match (self, material) {
            (Self::ApiKey { api_key, expires_at, inputs }, CredentialSecret::ApiKey(there)) => {
                if let Some(api_key) = api_key {
                    *there = api_key.clone();
                    summary.expires_at = None;
                }
                if let Some(NewExpiry(end)) = expires_at {
                    summary.expires_at = *end;
                }
                if inputs.is_some() {
                    summary.inputs.clone_from(inputs);
                }
            }
            (
                Self::UserPassword { username, password, inputs },
                CredentialSecret::UserPassword { username: name, password: word },
            ) => {
                replace(name, username.as_ref());
                replace(word, password.as_ref());
                if inputs.is_some() {
                    summary.inputs.clone_from(inputs);
                }
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
