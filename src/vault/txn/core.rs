//! The core of an open vault: store, keyring, clock and randomness, with the read and write
//! transactions on them.
//!
//! Every operation uses the keyring in memory. If another process has changed the keyring
//! meanwhile, the operation reloads it and runs again.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::audit_context::AuditContext;
use super::epoch_writer::EpochWriter;
use super::write_txn::WriteTxn;
use crate::clock::Clock;
use crate::id::IdMaker;
use crate::random::Random;
use crate::store::{Store, Tx, View, WritePriority};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keyring_rows::KeyringRows;
use crate::vault::crypto::keys::Root;
use crate::vault::error::VaultError;

/// Attempts of one operation if the keyring keeps changing.
const ATTEMPTS: usize = 4;

/// State that all handles of a vault share.
pub(crate) struct VaultCore {
    pub(crate) store: Store,
    pub(crate) keyring: ArcSwap<Keyring>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) ids: IdMaker,
    /// Number of times that the vault was restored from a backup. It cannot change while the vault
    /// is open.
    pub(crate) restores: u32,
    pub(crate) epoch_writer: Option<EpochWriter>,
}

impl VaultCore {
    /// Runs `read` in one read transaction.
    pub(crate) fn read<T>(&self, read: impl Fn(&View<'_>, &Keyring) -> Result<T, VaultError>) -> Result<T, VaultError> {
        self.with_keyring(|keyring| self.store.read(|view| read(view, keyring)))
    }

    /// Runs a long `read` in one read transaction on its own connection, so that it blocks no
    /// reader of the pool.
    pub(crate) fn snapshot<T>(
        &self,
        read: impl Fn(&View<'_>, &Keyring) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.with_keyring(|keyring| self.store.snapshot(|view| read(view, keyring)))
    }

    fn with_keyring<T>(&self, read: impl Fn(&Keyring) -> Result<T, VaultError>) -> Result<T, VaultError> {
        let mut keyring = self.keyring();
        for _ in 1..ATTEMPTS {
            match read(&keyring) {
                // A record that does not open may have been sealed by another process under a newer
                // key.
                Err(error) if error.is_damage() => match self.newer_than(&keyring)? {
                    Some(newer) => keyring = newer,
                    None => return Err(error),
                },
                result => return result,
            }
        }
        read(&keyring)
    }

    /// Runs `work` as one job of the writer, with its audit rows and the manifest in the same
    /// transaction, and returns when all of it is on disk. `work` may run more than once; only the
    /// last run counts. On a full disk the job is refused.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        who: &AuditContext,
        work: impl Fn(&mut WriteTxn<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        self.write_with(WritePriority::Normal, false, who, work).await
    }

    /// Like [`Self::write`], but on a full disk the ballast is released for the job.
    pub(crate) async fn write_critical<T: Send + 'static>(
        &self,
        who: &AuditContext,
        work: impl Fn(&mut WriteTxn<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        self.write_with(WritePriority::Critical, false, who, work).await
    }

    /// Like [`Self::write_critical`], and the epoch file is on disk too when this returns. For
    /// deletions and revocations: an attacker must not undo them by putting back an older copy of
    /// the vault.
    pub(crate) async fn write_durable<T: Send + 'static>(
        &self,
        who: &AuditContext,
        work: impl Fn(&mut WriteTxn<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        self.write_with(WritePriority::Critical, true, who, work).await
    }

    /// Like [`Self::write`], with an explicit priority. If `is_durable`, the epoch file is on disk too
    /// when this returns.
    pub(crate) async fn write_with<T: Send + 'static>(
        &self,
        priority: WritePriority,
        is_durable: bool,
        who: &AuditContext,
        work: impl Fn(&mut WriteTxn<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        let job = move |mut txn: WriteTxn<'_>| Ok((work(&mut txn)?, txn.close()));
        let (done, epoch) = self.commit(priority, who, job).await?;
        self.note_epoch(epoch, is_durable).await;
        Ok(done)
    }

    /// Tells the epoch file, if there is one, about a commit that changed something.
    async fn note_epoch(&self, epoch: Option<i64>, is_durable: bool) {
        if let (Some(writer), Some(epoch)) = (&self.epoch_writer, epoch) {
            writer.note(epoch, self.keyring(), is_durable).await;
        }
    }

    /// Runs `job` as one job of the writer. If another process has changed the keyring, reloads it and
    /// runs `job` again.
    async fn commit<T: Send + 'static>(
        &self,
        priority: WritePriority,
        who: &AuditContext,
        job: impl Fn(WriteTxn<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        let job = Arc::new(job);
        for _ in 0..ATTEMPTS {
            let (job, who, keyring) = (job.clone(), who.clone(), self.keyring());
            let used = keyring.clone();
            let (now, random) = (self.clock.now(), self.random);
            let run = move |tx: &Tx<'_>| job(WriteTxn::open(tx, &keyring, &who, now, random)?);
            match self.store.write(priority, run).await {
                Err(error @ (VaultError::Contended | VaultError::DamagedRow { .. })) => {
                    if self.newer_than(&used)?.is_none() {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
        Err(VaultError::Contended)
    }

    /// Changes something while the vault is being opened, and returns the new epoch.
    pub(crate) fn write_now(
        &self,
        work: impl Fn(&mut WriteTxn<'_>) -> Result<(), VaultError> + Send + 'static,
    ) -> Result<i64, VaultError> {
        let (keyring, now, random) = (self.keyring(), self.clock.now(), self.random);
        self.store.write_now(WritePriority::Critical, move |tx| {
            let who = AuditContext::command_line();
            let mut txn = WriteTxn::open(tx, &keyring, &who, now, random)?;
            work(&mut txn)?;
            txn.close().ok_or(VaultError::Contended)
        })
    }

    /// Changes the keyring in a job of its own. `edit` changes the rows, and returns the root whose
    /// MAC covers them afterwards. If `edit` records nothing, nothing is written.
    pub(crate) async fn change_keyring<T: Send + 'static>(
        &self,
        who: &AuditContext,
        edit: impl Fn(&mut WriteTxn<'_>, &mut KeyringRows) -> Result<(T, Root), VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        let job = move |mut txn: WriteTxn<'_>| {
            let mut rows = KeyringRows::read(txn.tx)?;
            txn.keyring.is_of(&rows)?;
            let (done, root) = edit(&mut txn, &mut rows)?;
            if !txn.is_changed() {
                return Ok((done, None, None));
            }
            rows.cover(&root);
            rows.write(txn.tx)?;
            let changed = Keyring::assemble(root, &rows)?;
            let epoch = txn.close_under(&changed);
            Ok((done, Some(changed), epoch))
        };
        let (done, changed, epoch) = self.commit(WritePriority::Normal, who, job).await?;
        if let Some(changed) = changed {
            self.keyring.store(Arc::new(changed));
        }
        // A removed master key must not open an older copy of the vault.
        self.note_epoch(epoch, true).await;
        Ok(done)
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        self.keyring.load_full()
    }

    /// Reloads the keyring if another process changed it, and returns true if so.
    pub(crate) fn reload_keyring(&self) -> Result<bool, VaultError> {
        Ok(self.newer_than(&self.keyring())?.is_some())
    }

    /// Returns the current keyring if it is not `used`: another process changed it, and this or
    /// another thread has loaded the change.
    fn newer_than(&self, used: &Arc<Keyring>) -> Result<Option<Arc<Keyring>>, VaultError> {
        let known = self.keyring();
        if !Arc::ptr_eq(&known, used) {
            return Ok(Some(known));
        }
        let changed = self.store.read(|view| known.read_again(view))?;
        Ok(changed.map(|changed| {
            let changed = Arc::new(changed);
            self.keyring.store(changed.clone());
            changed
        }))
    }
}
