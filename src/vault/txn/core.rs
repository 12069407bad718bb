//! The two ways in which everything is done with an open vault: looking, and changing. Both use the keyring that is in
//! memory, and begin again where another process has changed it meanwhile.

use std::sync::Arc;

use super::audit_context::AuditContext;
use super::write_txn::Ledger;
use crate::store::{Tx, View, WritePriority};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keyring_rows::KeyringRows;
use crate::vault::crypto::keys::Root;
use crate::vault::error::VaultError;
use crate::vault::open::Vault;

/// How often something is begun at most, because the keyring changed meanwhile.
const ATTEMPTS: usize = 4;

impl Vault {
    /// Reads something of one moment; again where it does not open and the keyring turns out to have changed.
    pub(in crate::vault) fn look<T>(
        &self,
        read: impl Fn(&View<'_>, &Keyring) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.with_keyring(|keyring| self.inner.store.read(|view| read(view, keyring)))
    }

    /// Reads something of one moment that takes long, on a connection of its own.
    pub(in crate::vault) fn look_long<T>(
        &self,
        read: impl Fn(&View<'_>, &Keyring) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.with_keyring(|keyring| self.inner.store.snapshot(|view| read(view, keyring)))
    }

    fn with_keyring<T>(&self, read: impl Fn(&Keyring) -> Result<T, VaultError>) -> Result<T, VaultError> {
        let mut keyring = self.keyring();
        for _ in 1..ATTEMPTS {
            match read(&keyring) {
                Err(error) if error.is_damage() => match self.newer_than(&keyring)? {
                    Some(newer) => keyring = newer,
                    None => return Err(error),
                },
                result => return result,
            }
        }
        read(&keyring)
    }

    /// Changes something: `work` is one job of the writer, with audit row and manifest in it, and the
    /// answer comes when all of it is on disk. It may be run more than once, and only the last run counts. On a full disk it
    /// is refused, and can wait.
    pub(in crate::vault) async fn change<T: Send + 'static>(
        &self,
        who: &AuditContext,
        work: impl Fn(&mut Ledger<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        self.change_worth(WritePriority::Normal, who, work).await
    }

    /// The same for what cannot wait: on a full disk the ballast is given up for it.
    pub(in crate::vault) async fn must_change<T: Send + 'static>(
        &self,
        who: &AuditContext,
        work: impl Fn(&mut Ledger<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        self.change_worth(WritePriority::Critical, who, work).await
    }

    /// The same for what nobody is to undo by putting an older copy of the vault in its place: a deletion, a revocation.
    /// What is known of the vault outside it is on disk too when this returns.
    pub(in crate::vault) async fn change_for_good<T: Send + 'static>(
        &self,
        who: &AuditContext,
        work: impl Fn(&mut Ledger<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        let (done, epoch) = self.commit(WritePriority::Critical, who, work).await?;
        self.keep_epoch(epoch, true).await;
        Ok(done)
    }

    /// The same, for those that only sometimes can wait.
    pub(in crate::vault) async fn change_worth<T: Send + 'static>(
        &self,
        priority: WritePriority,
        who: &AuditContext,
        work: impl Fn(&mut Ledger<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        let (done, epoch) = self.commit(priority, who, work).await?;
        self.keep_epoch(epoch, false).await;
        Ok(done)
    }

    /// Tells the file outside, if there is one, of a commit that changed something.
    async fn keep_epoch(&self, epoch: Option<i64>, is_final: bool) {
        if let (Some(keeper), Some(epoch)) = (&self.inner.epoch_keeper, epoch) {
            keeper.note(epoch, self.keyring(), is_final).await;
        }
    }

    /// Does it, and says the vault's new epoch where something was changed.
    async fn commit<T: Send + 'static>(
        &self,
        priority: WritePriority,
        who: &AuditContext,
        work: impl Fn(&mut Ledger<'_>) -> Result<T, VaultError> + Send + Sync + 'static,
    ) -> Result<(T, Option<i64>), VaultError> {
        let work = Arc::new(work);
        for _ in 0..ATTEMPTS {
            let (work, who, keyring) = (work.clone(), who.clone(), self.keyring());
            let used = keyring.clone();
            let (now, random) = (self.inner.clock.now(), self.inner.random);
            let job = move |tx: &Tx<'_>| {
                let mut ledger = Ledger::open(tx, &keyring, &who, now, random)?;
                let done = work(&mut ledger)?;
                let epoch = ledger.next_epoch();
                ledger.close();
                Ok((done, epoch))
            };
            match self.inner.store.write(priority, job).await {
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

    /// Changes the keyring: `edit` works on its rows, and gives with its result the root that they are to be covered under.
    /// Where it records nothing, nothing is written.
    pub(in crate::vault) async fn change_keyring<T: Send + 'static>(
        &self,
        who: &AuditContext,
        edit: impl Fn(&mut Ledger<'_>, &mut KeyringRows) -> Result<(T, Root), VaultError> + Send + Sync + 'static,
    ) -> Result<T, VaultError> {
        let edit = Arc::new(edit);
        for _ in 0..ATTEMPTS {
            let (edit, who, keyring) = (edit.clone(), who.clone(), self.keyring());
            let used = keyring.clone();
            let (now, random) = (self.inner.clock.now(), self.inner.random);
            let job = move |tx: &Tx<'_>| {
                let mut rows = KeyringRows::read(tx)?;
                keyring.is_of(&rows)?;
                let mut ledger = Ledger::open(tx, &keyring, &who, now, random)?;
                let (done, root) = edit(&mut ledger, &mut rows)?;
                if !ledger.is_changed() {
                    return Ok((done, None, None));
                }
                rows.cover(&root);
                rows.write(tx)?;
                let changed = Keyring::assemble(root, &rows)?;
                let epoch = ledger.next_epoch();
                ledger.close_under(&changed);
                Ok((done, Some(changed), epoch))
            };
            match self.inner.store.write(WritePriority::Normal, job).await {
                Ok((done, changed, epoch)) => {
                    if let Some(changed) = changed {
                        self.inner.keyring.store(Arc::new(changed));
                    }
                    // A master key that opens no more is not to open an older copy.
                    self.keep_epoch(epoch, true).await;
                    return Ok(done);
                }
                Err(error @ (VaultError::Contended | VaultError::DamagedRow { .. })) => {
                    if self.newer_than(&used)?.is_none() {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Contended)
    }

    pub(in crate::vault) fn keyring(&self) -> Arc<Keyring> {
        self.inner.keyring.load_full()
    }

    /// Whether another process changed the keyring; what it wrote is in use then.
    pub(in crate::vault) fn read_keyring_again(&self) -> Result<bool, VaultError> {
        Ok(self.newer_than(&self.keyring())?.is_some())
    }

    /// The keyring of this moment, where it is another than the one that was used: another process changed it, and this or
    /// another thread of this process has seen it.
    fn newer_than(&self, used: &Arc<Keyring>) -> Result<Option<Arc<Keyring>>, VaultError> {
        let known = self.keyring();
        if !Arc::ptr_eq(&known, used) {
            return Ok(Some(known));
        }
        let changed = self.inner.store.read(|view| known.read_again(view))?;
        Ok(changed.map(|changed| {
            let changed = Arc::new(changed);
            self.inner.keyring.store(changed.clone());
            changed
        }))
    }
}
