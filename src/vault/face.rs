//! Signatures whose bodies follow.
#![allow(unused_variables, clippy::unused_async, clippy::needless_pass_by_value)]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{Clock, UnixTime};
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::random::Random;
use crate::secret::Secret;

/// An open vault. Clones share it.
#[derive(Clone)]
pub struct Vault {
    _inner: Arc<()>,
}

/// Who opens the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The one server: takes the lock file.
    Server,
    /// A short command, which works beside a server.
    Command,
}

/// What is in a vault, as far as it may be shown.
#[derive(Clone, Debug)]
pub struct VaultStatus {
    /// The schema's version.
    pub schema_version: u32,
    /// The vault's id, in hex.
    pub vault_id: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// What opens it, for example `key 1f2e3d4c5b6a7988`.
    pub slots: Vec<String>,
    /// The version of the data key that seals new records.
    pub data_key_version: u32,
    /// How many users there are.
    pub users: u64,
    /// How many credentials there are.
    pub credentials: u64,
    /// How many API keys there are, revoked ones included.
    pub api_keys: u64,
    /// How many logins were begun and not completed.
    pub pending: u64,
    /// How many revocations are still to be done.
    pub revocations: u64,
    /// How many audit rows there are.
    pub audit: u64,
    /// What is not as it should be with the modes and owners of the file and its folder.
    pub warnings: Vec<String>,
}

impl Vault {
    /// Makes a new vault at `path` and opens it as a server would not: without the lock.
    pub fn create(path: &Path, master: &MasterKey, clock: Clock, random: Random) -> Result<Self, VaultError> {
        unimplemented!()
    }
    /// Opens the vault at `path`.
    pub fn open(path: &Path, master: &MasterKey, mode: Mode, clock: Clock, random: Random) -> Result<Self, VaultError> {
        unimplemented!()
    }
    /// What is in the vault.
    pub fn status(&self) -> Result<VaultStatus, VaultError> {
        unimplemented!()
    }
    /// Whether the vault can write at this moment.
    pub async fn writable(&self) -> Result<(), VaultError> {
        unimplemented!()
    }
    /// Resolves when a write failed with an unknown outcome: the server has to stop then.
    pub async fn fatal(&self) -> VaultError {
        unimplemented!()
    }
    /// The key that `presented` is, if it is a live one; unknown, malformed, revoked and expired are all `None`.
    pub fn authenticate(&self, presented: &str) -> Result<Option<Arc<ApiKey>>, VaultError> {
        unimplemented!()
    }
    /// Makes an API key; its text is shown this once.
    pub async fn create_api_key(&self, new: NewApiKey, who: &Who) -> Result<(ApiKey, Secret), VaultError> {
        unimplemented!()
    }
    /// Every API key, oldest first.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, VaultError> {
        unimplemented!()
    }
    /// Revokes a key; `false` where there is no such live key.
    pub async fn revoke_api_key(&self, id: ApiKeyId, who: &Who) -> Result<bool, VaultError> {
        unimplemented!()
    }
    /// Adds a user; `false` where it is there already.
    pub async fn add_user(&self, user: &UserId, who: &Who) -> Result<bool, VaultError> {
        unimplemented!()
    }
    /// Every user, by id.
    pub fn users(&self) -> Result<Vec<User>, VaultError> {
        unimplemented!()
    }
    /// Whether the user is known.
    pub fn has_user(&self, user: &UserId) -> Result<bool, VaultError> {
        unimplemented!()
    }
    /// Erases a user without credentials, with its API keys and begun logins; `false` where it is unknown.
    pub async fn remove_user(&self, user: &UserId, who: &Who) -> Result<bool, VaultError> {
        unimplemented!()
    }
    /// Stores a credential; the user comes into being with the first.
    pub async fn insert_credential(&self, new: NewCredential, who: &Who) -> Result<Summary, VaultError> {
        unimplemented!()
    }
    /// Gives a credential a new secret and what goes with it; `None` where there is none of that user, provider and kind.
    pub async fn replace_credential(
        &self,
        id: &CredentialId,
        new: NewCredential,
        who: &Who,
    ) -> Result<Option<Summary>, VaultError> {
        unimplemented!()
    }
    /// Gives a credential a new title; the secret is not touched.
    pub async fn retitle_credential(
        &self,
        user: &UserId,
        id: &CredentialId,
        title: &str,
        who: &Who,
    ) -> Result<Option<Summary>, VaultError> {
        unimplemented!()
    }
    /// One credential without its secret.
    pub fn credential(&self, user: &UserId, id: &CredentialId) -> Result<Option<Summary>, VaultError> {
        unimplemented!()
    }
    /// A user's credentials without their secrets, oldest first.
    pub fn list(&self, user: &UserId, provider: Option<&ProviderName>, page: Page) -> Result<Vec<Summary>, VaultError> {
        unimplemented!()
    }
    /// A credential with its secret; the audit row is on disk before this returns.
    pub async fn material(
        &self,
        user: &UserId,
        id: &CredentialId,
        who: &Who,
    ) -> Result<Option<(Summary, Material)>, VaultError> {
        unimplemented!()
    }
    /// Erases a credential and, in the same transaction, queues its tokens for revocation where `revocation` says so;
    /// `retry_for` is how long the queue may keep them.
    pub async fn delete_credential(
        &self,
        user: &UserId,
        id: &CredentialId,
        revocation: Revocation,
        retry_for: Duration,
        who: &Who,
    ) -> Result<Option<Deleted>, VaultError> {
        unimplemented!()
    }
    /// Takes a revocation out of the queue: it was done, or refused for good.
    pub async fn finish_revocation(&self, id: &RevocationId, who: &Who) -> Result<(), VaultError> {
        unimplemented!()
    }
    /// Puts a revocation off until `not_before` and counts the attempt.
    pub async fn postpone_revocation(&self, id: &RevocationId, not_before: UnixTime) -> Result<(), VaultError> {
        unimplemented!()
    }
    /// Revocations that are due at `now`.
    pub fn due_revocations(&self, now: UnixTime, limit: u32) -> Result<Vec<QueuedRevocation>, VaultError> {
        unimplemented!()
    }
    /// Erases the revocations that are to be given up at `now`, and says how many.
    pub async fn drop_expired_revocations(&self, now: UnixTime) -> Result<u64, VaultError> {
        unimplemented!()
    }
    /// Remembers a begun login under a keyed hash of its state token.
    pub async fn put_pending(&self, state: &str, pending: PendingAuthorization, who: &Who) -> Result<(), VaultError> {
        unimplemented!()
    }
    /// Takes a begun login out, once, for its own user and provider and before it expires.
    pub async fn take_pending(
        &self,
        state: &str,
        user: &UserId,
        provider: &ProviderName,
        who: &Who,
    ) -> Result<Option<PendingAuthorization>, VaultError> {
        unimplemented!()
    }
    /// Erases the logins that expired by `now`, and says how many.
    pub async fn purge_pending(&self, now: UnixTime) -> Result<u64, VaultError> {
        unimplemented!()
    }
}
