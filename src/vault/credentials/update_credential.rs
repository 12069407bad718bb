//! Changing a credential by hand: another title, or another secret of the same kind, under the same id.

use std::collections::BTreeMap;

use super::credential_record::{open_secret, open_summary, retitle, rewrite, subject};
use super::metadata::CredentialMetadata;
use super::read::Credentials;
use crate::clock::UnixTime;
use crate::id::{CredentialId, UserId};
use crate::kind::Kind;
use crate::secret::Secret;
use crate::vault::error::VaultError;
use crate::vault::host_pattern::HostPattern;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::Action;

/// What is to be changed; what is absent stays.
#[derive(Clone)]
pub struct CredentialUpdate {
    /// The new title.
    pub title: Option<String>,
    /// What is new of the secret.
    pub secret: Option<SecretUpdate>,
}

/// What is new of a secret, by kind; what is absent stays.
#[derive(Clone)]
pub enum SecretUpdate {
    /// A new key ends when it says so: the end of the old one goes with it.
    ApiKey {
        /// The key.
        api_key: Option<Secret>,
        /// When it ends.
        expires_at: Option<UnixTime>,
    },
    /// Either or both.
    UserPassword {
        /// The user name.
        username: Option<Secret>,
        /// The password.
        password: Option<Secret>,
    },
    /// Either or both; the headers are replaced as a whole.
    HostScoped {
        /// Which host.
        host: Option<HostPattern>,
        /// The headers by name.
        headers: Option<BTreeMap<String, Secret>>,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum UpdateOutcome {
    /// This is the credential now.
    Done(Box<CredentialMetadata>),
    /// The user has none of that id.
    Absent,
    /// It is of this other kind, and was left as it is.
    OtherKind(Kind),
}

impl Credentials<'_> {
    /// Changes a credential, all of it or nothing.
    pub async fn update(
        self,
        user: &UserId,
        id: &CredentialId,
        amendment: CredentialUpdate,
        who: &AuditContext,
    ) -> Result<UpdateOutcome, VaultError> {
        let (user, id) = (user.clone(), *id);
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
                    retitle(txn, &old, &summary)?;
                    txn.record(Action::CredentialRetitle, subject(&summary))?;
                    return Ok(UpdateOutcome::Done(Box::new(summary)));
                };
                let mut material = open_secret(txn, &old, &before)?;
                if !secret.apply(&mut material, &mut summary) {
                    return Ok(UpdateOutcome::OtherKind(summary.kind));
                }
                rewrite(txn, &old, &before, &summary, &material)?;
                txn.record(Action::CredentialChange, subject(&summary))?;
                Ok(UpdateOutcome::Done(Box::new(summary)))
            })
            .await
    }
}

impl SecretUpdate {
    /// Changes both halves of a credential; nothing, and `false`, where it is of another kind.
    fn apply(&self, material: &mut CredentialSecret, summary: &mut CredentialMetadata) -> bool {
        match (self, material) {
            (Self::ApiKey { api_key, expires_at }, CredentialSecret::ApiKey(there)) => {
                if let Some(api_key) = api_key {
                    *there = api_key.clone();
                    summary.expires_at = None;
                }
                summary.expires_at = expires_at.or(summary.expires_at);
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
