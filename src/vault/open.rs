//! An open vault: creation, opening, and the handles for what is in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::id::IdMaker;
use crate::random::Random;
use crate::store::{CheckedState, Lock, Store, StoreError, Tx, WritePriority};
use crate::vault::api_keys::api_key_cache::ApiKeyCache;
use crate::vault::api_keys::store::ApiKeys;
use crate::vault::approvals::store::Approvals;
use crate::vault::audit::log::AuditLog;
use crate::vault::backup::write::Backups;
use crate::vault::credentials::read::Credentials;
use crate::vault::credentials::refresh::Refreshes;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keyring_rows::KeyringRows;
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;
use crate::vault::integrity::rollback;
use crate::vault::integrity::verify::Integrity;
use crate::vault::logins::store::Logins;
use crate::vault::proxy_ca::ProxyCas;
use crate::vault::registrations::Registrations;
use crate::vault::revocations::queue::Revocations;
use crate::vault::rotation::data_key::Rotation;
use crate::vault::rotation::key_slots::KeySlots;
use crate::vault::signing_keys::SigningKeys;
use crate::vault::standby::Standby;
use crate::vault::status::{self, VaultStatus};
use crate::vault::transfer::import::Transfer;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::epoch_file::EpochFile;
use crate::vault::txn::epoch_writer::EpochWriter;
use crate::vault::txn::manifest::{Manifest, SealedRows};
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::users::Users;

/// Time for which a successful write probe is reused. Readiness needs no API key, and each probe
/// costs a sync.
const PROBE_LIFETIME: Duration = Duration::from_secs(1);

/// An open vault. Clones share it; it closes with the last clone.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    core: VaultCore,
    api_key_cache: ApiKeyCache,
    probed: Mutex<Option<Instant>>,
}

/// The kind of process that opens the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The one server: takes the lock file.
    Server,
    /// A short command, which may run beside a server. The server detects its commits.
    Command,
}

/// Options for opening a vault.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The kind of process.
    pub mode: OpenMode,
    /// Bytes of disk space held back beside the vault, for writes that must succeed on a full disk.
    pub ballast: u64,
    /// The file outside the vault that records its newest epoch.
    pub epoch_file: Option<PathBuf>,
    /// Continue although the vault is older than the epoch file says.
    pub accept_rollback: bool,
}

impl From<OpenMode> for OpenOptions {
    /// Options without ballast and without an epoch file.
    fn from(mode: OpenMode) -> Self {
        Self { mode, ballast: 0, epoch_file: None, accept_rollback: false }
    }
}

impl Vault {
    /// Creates a vault at `path`, never over an existing file, and opens it in
    /// [`OpenMode::Server`].
    pub fn create(path: &Path, master: &MasterKey, clock: Clock, random: Random) -> Result<Self, VaultError> {
        let (now, who) = (clock.now(), AuditContext::command_line());
        let mut made = None;
        let fill = |tx: &Tx<'_>| {
            let keyring = Keyring::create(tx, master, now, random)?;
            Manifest::default().leave(tx, &keyring, random);
            let mut txn = WriteTxn::open(tx, &keyring, &who, now, random)?;
            txn.record(Action::VaultCreate, Subject::default())?;
            txn.close();
            made = Some(keyring);
            Ok::<_, VaultError>(())
        };
        let store = Store::create(path, fill)?;
        let keyring = made.ok_or_else(|| VaultError::DamagedKeyring("it was not created".into()))?;
        Ok(Self::assemble(Self::build_core(store, keyring, clock, random, 0)))
    }

    /// Opens the vault at `path`. Checks the master key, the keyring's MAC, the manifest's seal,
    /// and the epoch against the epoch file.
    pub fn open(
        path: &Path,
        master: &MasterKey,
        how: impl Into<OpenOptions>,
        clock: Clock,
        random: Random,
    ) -> Result<Self, VaultError> {
        let OpenOptions { mode, ballast, epoch_file, accept_rollback } = how.into();
        let lock = if mode == OpenMode::Server { Lock::Server } else { Lock::None };
        let store = Store::open(path, lock, ballast)?;
        // The epoch file is read before the vault: a commit between the two reads leaves the vault
        // ahead, which is fine.
        let epoch_file = epoch_file.map(EpochFile::at);
        let known = epoch_file.as_ref().map(EpochFile::read).transpose()?;
        let (keyring, manifest) = store.read(|view| {
            let keyring = Keyring::open(view, master)?;
            let manifest = Manifest::load(view, &keyring)?;
            Ok::<_, VaultError>((keyring, manifest))
        })?;
        let mut core = Self::build_core(store, keyring, clock, random, manifest.restores);
        if let (Some(file), Some(known)) = (epoch_file, known) {
            rollback::check(&core, &file, &known, &manifest, accept_rollback)?;
            core.epoch_writer = Some(EpochWriter::start(file)?);
        }
        Ok(Self::assemble(core))
    }

    /// Names the master keys that open the vault at `path`, for a message. It needs no key, so
    /// nothing of it is authenticated.
    pub fn names_of_slots(path: &Path) -> Result<Vec<String>, VaultError> {
        let store = Store::open(path, Lock::None, 0)?;
        store.read(|view| Ok(KeyringRows::read(view)?.name_slots()))
    }

    fn build_core(store: Store, keyring: Keyring, clock: Clock, random: Random, restores: u32) -> VaultCore {
        let (keyring, ids) = (ArcSwap::from_pointee(keyring), IdMaker::new(clock.clone()));
        VaultCore { store, keyring, clock, random, ids, restores, epoch_writer: None }
    }

    fn assemble(core: VaultCore) -> Self {
        let inner = Inner { core, api_key_cache: ApiKeyCache::default(), probed: Mutex::new(None) };
        Self { inner: Arc::new(inner) }
    }

    /// Checks for commits by other processes, once for the reads of a request.
    pub(crate) fn check(&self) -> Result<CheckedState, VaultError> {
        Ok(self.inner.core.store.check()?)
    }

    /// The stored credentials.
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials { core: &self.inner.core, state: None, quota: None }
    }

    /// The refreshes of OAuth credentials.
    pub fn refreshes(&self) -> Refreshes<'_> {
        Refreshes { core: &self.inner.core }
    }

    /// The pending logins.
    pub fn logins(&self) -> Logins<'_> {
        Logins { core: &self.inner.core }
    }

    /// The API keys.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys { core: &self.inner.core, cache: &self.inner.api_key_cache, state: None }
    }

    /// The users.
    pub fn users(&self) -> Users<'_> {
        Users { core: &self.inner.core }
    }

    /// The revocation queue.
    pub fn revocations(&self) -> Revocations<'_> {
        Revocations { core: &self.inner.core }
    }

    /// The requests that a person approves.
    pub fn approvals(&self) -> Approvals<'_> {
        Approvals { core: &self.inner.core }
    }

    /// The client registrations.
    pub fn registrations(&self) -> Registrations<'_> {
        Registrations { core: &self.inner.core }
    }

    /// The vault's own private keys.
    pub fn signing_keys(&self) -> SigningKeys<'_> {
        SigningKeys { core: &self.inner.core }
    }

    /// The certification authority of the forward proxy.
    pub fn proxy_cas(&self) -> ProxyCas<'_> {
        ProxyCas { core: &self.inner.core }
    }

    /// The audit log.
    pub fn audit(&self) -> AuditLog<'_> {
        AuditLog { core: &self.inner.core }
    }

    /// Backups.
    pub fn backups(&self) -> Backups<'_> {
        Backups { core: &self.inner.core }
    }

    /// Import and export of credentials.
    pub fn transfer(&self) -> Transfer<'_> {
        Transfer { core: &self.inner.core }
    }

    /// The key slots.
    pub fn key_slots(&self) -> KeySlots<'_> {
        KeySlots { core: &self.inner.core }
    }

    /// Rotation of the data key.
    pub fn rotation(&self) -> Rotation<'_> {
        Rotation { core: &self.inner.core }
    }

    /// Verification and repair.
    pub fn integrity(&self) -> Integrity<'_> {
        Integrity { core: &self.inner.core }
    }

    /// The standby mark of a restored vault.
    pub fn standby(&self) -> Standby<'_> {
        Standby { core: &self.inner.core }
    }

    /// Returns the state of all sealed records and API keys, to find out if one was changed.
    pub fn sealed_rows(&self) -> Result<SealedRows, VaultError> {
        self.inner.core.read(|view, keyring| Ok(Manifest::load(view, keyring)?.sealed_rows()))
    }

    /// Collects the status. It counts rows, so it is for people and not for every request.
    pub fn status(&self) -> Result<VaultStatus, VaultError> {
        status::status(&self.inner.core)
    }

    /// Returns true if the configured ballast is held back beside the vault; if not, the disk is
    /// full.
    pub fn holds_ballast(&self) -> bool {
        self.inner.core.store.holds_ballast()
    }

    /// Checks that the vault's files are at their paths, and that the vault can write now: writes a
    /// row without meaning, at most once a second.
    pub async fn writable(&self) -> Result<(), VaultError> {
        let lately = |probed: &Option<Instant>| probed.is_some_and(|at| at.elapsed() < PROBE_LIFETIME);
        self.inner.core.store.check_files_in_place()?;
        if lately(&self.inner.probed.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let now = self.inner.core.clock.now();
        self.inner.core.store.write(WritePriority::Normal, move |tx| Ok::<_, VaultError>(tx.probe(now.0)?)).await?;
        *self.inner.probed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }

    /// Resolves when a commit failed with an unknown outcome, or when the vault's files were moved or
    /// replaced. The vault then takes no more writes,
    /// and the server has to stop.
    pub async fn fatal(&self) -> VaultError {
        VaultError::Store(StoreError::Stopped(self.inner.core.store.fatal().await))
    }

    pub(super) fn core(&self) -> &VaultCore {
        &self.inner.core
    }
}
