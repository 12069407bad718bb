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
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, Key};
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::error::VaultError;
use crate::vault::hex;

const MAGIC: &[u8; 18] = b"strongroom backup\n";
/// Format 1 is that of the versions before the first release.
const FORMAT: u16 = 2;
const UNRELEASED_FORMAT: u16 = 1;
/// Maximum size of the fields, far above that of all slots.
const LARGEST: u32 = 1 << 20;

/// Tags of the fields. A tag is never reused with another meaning.
mod tag {
    pub(super) const VAULT_ID: u8 = 1;
    pub(super) const MADE_AT: u8 = 2;
    pub(super) const SALT: u8 = 3;
    pub(super) const VAULT_CREATED_AT: u8 = 4;
    pub(super) const KEY_CHECK: u8 = 5;
    pub(super) const SLOT: u8 = 6;
}

/// Tags of the fields of a slot.
mod slot_tag {
    pub(super) const ID: u8 = 1;
    pub(super) const KIND: u8 = 2;
    pub(super) const CREATED_AT: u8 = 3;
    pub(super) const MEMORY_KIB: u8 = 4;
    pub(super) const TIME_COST: u8 = 5;
    pub(super) const LANES: u8 = 6;
    pub(super) const SALT: u8 = 7;
    pub(super) const FINGERPRINT: u8 = 8;
    pub(super) const WRAPPED_ROOT: u8 = 9;
    pub(super) const CHECKSUM: u8 = 10;
}

/// The plain-text part of a backup.
pub struct BackupHead {
    vault: VaultRow,
    made_at: UnixTime,
    salt: [u8; 32],
    slots: Vec<SlotRow>,
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
            chunks: keys::derive_salted(backup_key, salt, "backup: chunks"),
            head: keys::derive_salted(backup_key, salt, "backup: head"),
        }
    }
}

impl BackupHead {
    pub(crate) fn new(vault: VaultRow, slots: Vec<SlotRow>, made_at: UnixTime, random: Random) -> Self {
        Self { vault, made_at, salt: random.bytes(), slots }
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
    pub(crate) fn write(
        &self,
        out: &mut Summed<impl Write>,
        keyring: &Keyring,
    ) -> Result<(BackupKeys, [u8; 32]), BackupError> {
        let fields = self.slots.iter().fold(
            FieldWriter::new()
                .bytes(tag::VAULT_ID, &self.vault.vault_id)
                .int(tag::MADE_AT, Some(self.made_at.0))
                .bytes(tag::SALT, &self.salt)
                .int(tag::VAULT_CREATED_AT, Some(self.vault.created_at))
                .bytes(tag::KEY_CHECK, &self.vault.key_check),
            |fields, slot| fields.bytes(tag::SLOT, &write_slot(slot).finish()),
        );
        let fields = fields.finish();
        let length = u32::try_from(fields.len()).expect("a vault has a handful of slots");
        let head = [MAGIC.as_slice(), &FORMAT.to_be_bytes(), &length.to_be_bytes(), &fields].concat();
        let keys = BackupKeys::new(keyring.backup_key(), &self.salt);
        let mac = keys::mac(&keys.head, [head.as_slice()]);
        out.write_all(&head).and_then(|()| out.write_all(&mac)).map_err(BackupError::writing)?;
        Ok((keys, mac))
    }

    /// Reads the head, opens it with a master key, and authenticates it.
    pub(crate) fn read(
        from: &mut impl Read,
        path: &Path,
        master: &MasterKey,
    ) -> Result<(Self, BackupKeys, [u8; 32]), BackupError> {
        let (head, bytes) = Self::read_unproved(from, path)?;
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

    fn read_unproved(from: &mut impl Read, path: &Path) -> Result<(Self, Vec<u8>), BackupError> {
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
        if found == UNRELEASED_FORMAT {
            return Err(BackupError::Unreleased(path.to_owned()));
        }
        let [.., a, b, c, d] = start;
        let length = u32::from_be_bytes([a, b, c, d]);
        if found == 0 || length > LARGEST {
            return Err(BackupError::Damaged("its head has a length that none can have"));
        }
        let mut fields = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        from.read_exact(&mut fields).map_err(BackupError::reading)?;
        let head = Self::parse(&fields).ok_or(BackupError::Damaged("its head cannot be understood"))?;
        Ok((head, [start.as_slice(), &fields].concat()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        let slots: Option<Vec<SlotRow>> = fields.all(tag::SLOT).map(read_slot).collect();
        let vault = VaultRow {
            vault_id: fields.bytes(tag::VAULT_ID)?.try_into().ok()?,
            created_at: fields.int(tag::VAULT_CREATED_AT)?,
            key_check: fields.bytes(tag::KEY_CHECK)?.try_into().ok()?,
            // The keyring's MAC is in the sealed rows; it is not needed here.
            keyring_mac: [0; 32],
        };
        let made_at = UnixTime(fields.int(tag::MADE_AT)?);
        Some(Self { vault, made_at, salt: fields.bytes(tag::SALT)?.try_into().ok()?, slots: slots? })
    }
}

/// Reads the head of a file, if it is a backup. Nothing of it is authenticated.
pub fn head_of(path: &Path) -> Option<BackupHead> {
    let mut file = File::open(path).ok()?;
    BackupHead::read_unproved(&mut file, path).ok().map(|(head, _)| head)
}

pub(crate) fn write_slot(slot: &SlotRow) -> FieldWriter {
    FieldWriter::new()
        .int(slot_tag::ID, Some(slot.id))
        .text(slot_tag::KIND, &slot.kind)
        .int(slot_tag::CREATED_AT, Some(slot.created_at))
        .int(slot_tag::MEMORY_KIB, slot.memory_kib.map(i64::from))
        .int(slot_tag::TIME_COST, slot.time_cost.map(i64::from))
        .int(slot_tag::LANES, slot.lanes.map(i64::from))
        .optional_bytes(slot_tag::SALT, slot.salt.as_deref())
        .bytes(slot_tag::FINGERPRINT, &slot.fingerprint)
        .bytes(slot_tag::WRAPPED_ROOT, &slot.wrapped_root)
        .int(slot_tag::CHECKSUM, Some(slot.checksum))
}

pub(crate) fn read_slot(bytes: &[u8]) -> Option<SlotRow> {
    let fields = Fields::read(bytes)?;
    let small = |tag| fields.int(tag).and_then(|number| u32::try_from(number).ok());
    Some(SlotRow {
        id: fields.int(slot_tag::ID)?,
        kind: fields.owned(slot_tag::KIND)?,
        created_at: fields.int(slot_tag::CREATED_AT)?,
        memory_kib: small(slot_tag::MEMORY_KIB),
        time_cost: small(slot_tag::TIME_COST),
        lanes: small(slot_tag::LANES),
        salt: fields.bytes(slot_tag::SALT).map(<[u8]>::to_vec),
        fingerprint: fields.bytes(slot_tag::FINGERPRINT)?.try_into().ok()?,
        wrapped_root: fields.bytes(slot_tag::WRAPPED_ROOT)?.to_vec(),
        checksum: fields.int(slot_tag::CHECKSUM)?,
    })
}
