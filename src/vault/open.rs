//! A vault, made or opened, and held against what is known of it outside.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::clock::Clock;
use crate::id::IdMaker;
use crate::random::Random;
use crate::store::{Lock, Store, Tx, WritePriority};
use crate::vault::api_keys::api_key_cache::KeyTable;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;
use crate::vault::logins::pending_login::Room;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::epoch_file::{EpochFile, Known};
use crate::vault::txn::epoch_writer::Keeper;
use crate::vault::txn::manifest::Manifest;
use crate::vault::txn::write_txn::Ledger;

/// For how long a probe that succeeded is believed: readiness is asked without an API key, and each probe is a sync.
const PROBE_HOLDS: Duration = Duration::from_secs(1);

/// An open vault. Clones share it; it closes with the last.
#[derive(Clone)]
pub struct Vault {
    pub(in crate::vault) inner: Arc<Inner>,
}

pub(in crate::vault) struct Inner {
    pub(in crate::vault) store: Store,
    pub(in crate::vault) keyring: ArcSwap<Keyring>,
    pub(in crate::vault) clock: Clock,
    pub(in crate::vault) random: Random,
    pub(in crate::vault) ids: IdMaker,
    pub(in crate::vault) api_keys: ArcSwapOption<KeyTable>,
    pub(in crate::vault) room_for_logins: Arc<Room>,
    probed: Mutex<Option<Instant>>,
    /// How often the vault was restored. While it is open that does not change.
    pub(in crate::vault) restores: u32,
    pub(in crate::vault) epoch_keeper: Option<Keeper>,
}

/// Who opens the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The one server: takes the lock file.
    Server,
    /// A short command, which works beside a server; the server notices what it changed.
    Command,
}

/// How a vault is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Who opens it.
    pub mode: OpenMode,
    /// How many bytes are held back beside it, for what must be written even where the disk is full.
    pub ballast: u64,
    /// The file outside it that knows its epoch.
    pub epoch_file: Option<PathBuf>,
    /// Whether to go on where the vault is older than that file says.
    pub accept_rollback: bool,
}

impl From<OpenMode> for OpenOptions {
    /// With nothing held back, and nothing known outside.
    fn from(mode: OpenMode) -> Self {
        Self { mode, ballast: 0, epoch_file: None, accept_rollback: false }
    }
}

impl Vault {
    /// Makes a new vault at `path`, never over an existing file, and opens it in [`OpenMode::Server`].
    pub fn create(path: &Path, master: &MasterKey, clock: Clock, random: Random) -> Result<Self, VaultError> {
        let (now, who) = (clock.now(), AuditContext::command_line());
        let mut made = None;
        let fill = |tx: &Tx<'_>| {
            let keyring = Keyring::create(tx, master, now, random)?;
            Manifest::default().leave(tx, &keyring, random);
            let mut ledger = Ledger::open(tx, &keyring, &who, now, random)?;
            ledger.record(Action::VaultCreate, Subject::default())?;
            ledger.close();
            made = Some(keyring);
            Ok::<_, VaultError>(())
        };
        let store = Store::create(path, fill)?;
        let keyring = made.ok_or_else(|| VaultError::DamagedKeyring("it was not made".into()))?;
        Ok(Self { inner: Arc::new(Self::parts(store, keyring, clock, random, 0)) })
    }

    /// Opens the vault at `path`: master key, keyring, and the manifest's seal and epoch are checked, the latter also
    /// against what is known of it outside.
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
        let epoch_file = epoch_file.map(EpochFile::at);
        let known = epoch_file.as_ref().map(EpochFile::read).transpose()?;
        let (keyring, manifest) = store.read(|view| {
            let keyring = Keyring::open(view, master)?;
            let manifest = Manifest::load(view, &keyring)?;
            Ok::<_, VaultError>((keyring, manifest))
        })?;
        let mut inner = Self::parts(store, keyring, clock, random, manifest.restores);
        if let (Some(file), Some(known)) = (epoch_file, known) {
            inner.hold_against(&file, &known, &manifest, accept_rollback)?;
            inner.epoch_keeper = Some(Keeper::start(file)?);
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    fn parts(store: Store, keyring: Keyring, clock: Clock, random: Random, restores: u32) -> Inner {
        Inner {
            store,
            keyring: ArcSwap::from_pointee(keyring),
            ids: IdMaker::new(clock.clone()),
            clock,
            random,
            api_keys: ArcSwapOption::empty(),
            room_for_logins: Arc::default(),
            probed: Mutex::new(None),
            restores,
            epoch_keeper: None,
        }
    }

    /// Whether the vault can write at this moment: writes something that means nothing, at most once a second.
    pub async fn writable(&self) -> Result<(), VaultError> {
        let lately = |probed: &Option<Instant>| probed.is_some_and(|at| at.elapsed() < PROBE_HOLDS);
        if lately(&self.inner.probed.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let now = self.inner.clock.now();
        self.inner.store.write(WritePriority::Normal, move |tx| Ok::<_, VaultError>(tx.probe(now.0)?)).await?;
        *self.inner.probed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }

    /// Resolves when a commit failed with an unknown outcome: no write is taken any more, and the server has to stop.
    pub async fn fatal(&self) -> VaultError {
        VaultError::Stopped(self.inner.store.fatal().await)
    }
}

impl Inner {
    /// Holds the vault's epoch against what is known outside it, and brings the file up to date. The first time, the vault
    /// remembers that there is one: a file that is gone later is no first time.
    fn hold_against(
        &self,
        file: &EpochFile,
        known: &Known,
        manifest: &Manifest,
        accept: bool,
    ) -> Result<(), VaultError> {
        let keyring = self.keyring.load_full();
        let (found, path) = (manifest.epoch, || file.path().to_owned());
        let epoch = match file.believe(known, &keyring)? {
            Some(known) if known > found && accept => self.accept_rollback(known)?,
            Some(known) if known > found => {
                return Err(VaultError::Rollback { found, known, epoch_file: path() });
            }
            None if manifest.epoch_file && accept => self.accept_rollback(found)?,
            None if manifest.epoch_file => return Err(VaultError::NoEpochFile(path())),
            _ => found,
        };
        file.write(epoch, &keyring)?;
        if manifest.epoch_file {
            return Ok(());
        }
        // After the file, so that a kill in between leaves the one without the other that does no harm.
        match self.remember_epoch_file() {
            Ok(epoch) => file.write(epoch, &keyring),
            // There is another first time.
            Err(error) if error.cannot_write() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn remember_epoch_file(&self) -> Result<i64, VaultError> {
        self.change_now(|ledger| {
            *ledger.epoch_file() = true;
            Ok(())
        })
    }

    /// Goes on with an older copy, whose next epoch is behind all that were: the newer copy is an older one from now on.
    fn accept_rollback(&self, known: i64) -> Result<i64, VaultError> {
        self.change_now(move |ledger| {
            ledger.leap_to(known);
            ledger.record(Action::VaultRollback, Subject::default())
        })
    }

    /// Changes something while the vault is being opened; its epoch after that.
    fn change_now(
        &self,
        work: impl Fn(&mut Ledger<'_>) -> Result<(), VaultError> + Send + 'static,
    ) -> Result<i64, VaultError> {
        let (keyring, now, random) = (self.keyring.load_full(), self.clock.now(), self.random);
        self.store.write_now(WritePriority::Critical, move |tx| {
            let who = AuditContext::command_line();
            let mut ledger = Ledger::open(tx, &keyring, &who, now, random)?;
            work(&mut ledger)?;
            let epoch = ledger.next_epoch();
            ledger.close();
            epoch.ok_or(VaultError::Contended)
        })
    }
}
