//! The head of a backup: the vault's identity, and the key slots that open it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use subtle::ConstantTimeEq;

use super::chunks::Summed;
use super::error::BackupError;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::store::{SlotRow, VaultRow};
use crate::vault::crypto::fields::{Value as _, encode, fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, Key};
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;
use crate::vault::hex;

const MAGIC: &[u8; 18] = b"strongroom backup\n";
const FORMAT: u16 = 2;
/// Maximum size of the fields, far above that of all slots.
const LARGEST: u32 = 1 << 20;

/// The plain-text part of a backup.
pub struct BackupHead {
    vault: VaultRow,
    made_at: UnixTime,
    salt: [u8; 32],
    slots: Vec<SlotRow>,
}

fields! {
    BackupHead {
        1 vault,
        2 made_at,
        3 salt,
        4 slots,
    }
}

fields! {
    VaultRow {
        1 vault_id,
        2 created_at,
        3 key_check,
        4 keyring_mac,
    }
}

fields! {
    SlotRow {
        1 id,
        2 kind,
        3 created_at,
        4 memory_kib,
        5 time_cost,
        6 lanes,
        7 salt,
        8 fingerprint,
        9 wrapped_root,
        10 checksum,
    }
}

/// The keys of one backup.
pub(crate) struct BackupKeys {
    /// Seals the chunks.
    pub(crate) chunks: Key,
    /// Authenticates the head.
    head: Key,
}

impl BackupKeys {
    fn new(backup_key: &Key, salt: &[u8; 32]) -> Self {
        Self {
            chunks: keys::derive(backup_key, salt, "backup: chunks"),
            head: keys::derive(backup_key, salt, "backup: head"),
        }
    }
}

impl BackupHead {
    pub(crate) fn new(vault: &VaultRow, slots: Vec<SlotRow>, made_at: UnixTime, random: Random) -> Self {
        // The keyring's MAC is in the sealed rows; the head does not show it.
        Self { vault: VaultRow { keyring_mac: [0; 32], ..*vault }, made_at, salt: random.bytes(), slots }
    }

    /// Returns the vault's id, in hex.
    pub fn vault_id(&self) -> String {
        hex::write(&self.vault.vault_id)
    }

    /// Returns the time of the backup.
    pub fn made_at(&self) -> UnixTime {
        self.made_at
    }

    /// Writes the head. Returns the keys, and the MAC to which the chunks are bound.
    pub(crate) fn begin(
        &self,
        out: &mut Summed<impl Write>,
        keyring: &Keyring,
    ) -> Result<(BackupKeys, [u8; 32]), BackupError> {
        let fields = encode(self);
        let length = u32::try_from(fields.len()).expect("a vault has a handful of slots");
        let head = [MAGIC.as_slice(), &FORMAT.to_be_bytes(), &length.to_be_bytes(), &fields].concat();
        let keys = BackupKeys::new(&keyring.root.backup, &self.salt);
        let mac = keys::mac(&keys.head, [head.as_slice()]);
        out.write_all(&head).and_then(|()| out.write_all(&mac)).map_err(BackupError::writing)?;
        Ok((keys, mac))
    }

    /// Reads the head, opens it with a master key, and authenticates it.
    pub(crate) fn open(
        from: &mut impl Read,
        path: &Path,
        master: &MasterKey,
    ) -> Result<(Self, BackupKeys, [u8; 32]), BackupError> {
        let (head, bytes) = Self::read_unauthenticated(from, path)?;
        let mut mac = [0; 32];
        from.read_exact(&mut mac).map_err(BackupError::reading)?;
        let key = Keyring::backup_key_by(&head.vault, &head.slots, master).map_err(|error| match error {
            VaultError::DamagedKeyring(_) => BackupError::Damaged("the slots in its head are not as they were written"),
            other => other.into(),
        })?;
        let keys = BackupKeys::new(&key, &head.salt);
        if !bool::from(keys::mac(&keys.head, [bytes.as_slice()]).ct_eq(&mac)) {
            return Err(BackupError::Damaged("its head is not as it was written"));
        }
        Ok((head, keys, mac))
    }

    fn read_unauthenticated(from: &mut impl Read, path: &Path) -> Result<(Self, Vec<u8>), BackupError> {
        let mut start = [0; MAGIC.len() + 6];
        from.read_exact(&mut start).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => BackupError::NotABackup(path.to_owned()),
            _ => BackupError::reading(error),
        })?;
        if !start.starts_with(MAGIC) {
            return Err(BackupError::NotABackup(path.to_owned()));
        }
        let found = u16::from_be_bytes([start[MAGIC.len()], start[MAGIC.len() + 1]]);
        if found > FORMAT {
            return Err(BackupError::NewerFormat { found, known: FORMAT });
        }
        let [.., a, b, c, d] = start;
        let length = u32::from_be_bytes([a, b, c, d]);
        if found < FORMAT || length > LARGEST {
            return Err(BackupError::Damaged("its head has a format or a length that none can have"));
        }
        let mut fields = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        from.read_exact(&mut fields).map_err(BackupError::reading)?;
        let head = Self::read(&fields).ok_or(BackupError::Damaged("its head cannot be understood"))?;
        Ok((head, [start.as_slice(), &fields].concat()))
    }
}

/// Returns true if the file begins as a backup does, or is empty.
pub fn is_backup(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
    read.is_ok() && (start.is_empty() || start == MAGIC)
}

/// Reads the head of a file, if it is a backup. Nothing of it is authenticated.
pub fn head_of(path: &Path) -> Option<BackupHead> {
    let mut file = File::open(path).ok()?;
    BackupHead::read_unauthenticated(&mut file, path).ok().map(|(head, _)| head)
}
