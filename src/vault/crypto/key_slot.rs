//! Key slots: each wraps the root key of the vault for one master key.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::encoding::{cover, number};
use super::keys::{self, Key};
use super::master_key::MasterKey;
use crate::clock::UnixTime;
use crate::random::Random;
use crate::secret::Secret;
use crate::store::SlotRow;
use crate::vault::error::VaultError;
use crate::vault::hex;

/// Cost of Argon2id (RFC 9106) in a new slot.
pub(crate) const DEFAULT: Argon2Cost = Argon2Cost { memory_kib: 64 * 1024, time: 3, lanes: 4 };
/// Lower bound of the cost. A slot with less is rejected.
const FLOOR: Argon2Cost = Argon2Cost { memory_kib: 19 * 1024, time: 2, lanes: 1 };
/// Upper bound of the cost: a manipulated slot must not exhaust the machine's memory.
const CEILING: Argon2Cost = Argon2Cost { memory_kib: 1024 * 1024, time: 10, lanes: 64 };

#[derive(Clone, Copy)]
pub(crate) struct Argon2Cost {
    pub(crate) memory_kib: u32,
    pub(crate) time: u32,
    pub(crate) lanes: u32,
}

impl Argon2Cost {
    /// Returns true if the cost is within both bounds.
    pub(crate) fn is_within_bounds(self) -> bool {
        (FLOOR.memory_kib..=CEILING.memory_kib).contains(&self.memory_kib)
            && (FLOOR.time..=CEILING.time).contains(&self.time)
            && (FLOOR.lanes..=CEILING.lanes).contains(&self.lanes)
    }

    pub(crate) fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.time, self.lanes, Some(32))
    }
}

/// Result of trying a master key on a slot.
pub(crate) enum Tried {
    /// The root key.
    Opened(Key),
    /// The slot belongs to another master key.
    Other,
    /// The slot belongs to this master key but does not open, or its checksum is wrong.
    Damaged,
}

/// Creates a slot in which `master` opens `root`.
pub(crate) fn make(
    id: i64,
    master: &MasterKey,
    root: &Key,
    vault_id: &[u8; 16],
    now: UnixTime,
    random: Random,
) -> Result<SlotRow, VaultError> {
    let (kind, cost, salt) = match master {
        MasterKey::Key(_) => ("key", None, None),
        MasterKey::Passphrase(_) => ("passphrase", Some(DEFAULT), Some(random.bytes::<16>().to_vec())),
    };
    let mut row = SlotRow {
        id,
        kind: kind.into(),
        created_at: now.0,
        memory_kib: cost.map(|cost| cost.memory_kib),
        time_cost: cost.map(|cost| cost.time),
        lanes: cost.map(|cost| cost.lanes),
        salt,
        fingerprint: [0; 8],
        wrapped_root: Vec::new(),
        checksum: 0,
    };
    let key = slot_key(&row, master)?.ok_or_else(|| VaultError::DamagedKeyring("a new slot of another kind".into()))?;
    lock(&mut row, &key, root, vault_id, random);
    Ok(row)
}

/// Wraps the root key into a slot whose other fields are set, under the key that the slot's kind
/// derives from a master key.
pub(crate) fn lock(row: &mut SlotRow, key: &Key, root: &Key, vault_id: &[u8; 16], random: Random) {
    row.fingerprint = keys::fingerprint(key);
    row.wrapped_root = keys::wrap(&wrapping_key(key, vault_id), &associated_data(row, vault_id), root, random);
    row.checksum = checksum(row, vault_id);
}

/// Tries `master` on a slot.
pub(crate) fn attempt(row: &SlotRow, master: &MasterKey, vault_id: &[u8; 16]) -> Result<Tried, VaultError> {
    match slot_key(row, master)? {
        Some(key) => Ok(attempt_with(row, &key, vault_id)),
        None if checksum(row, vault_id) == row.checksum => Ok(Tried::Other),
        None => Ok(Tried::Damaged),
    }
}

/// Tries the key that the slot's kind derives from a master key.
pub(crate) fn attempt_with(row: &SlotRow, key: &Key, vault_id: &[u8; 16]) -> Tried {
    let covered = associated_data(row, vault_id);
    match keys::unwrap(&wrapping_key(key, vault_id), &covered, &row.wrapped_root) {
        Some(root) => Tried::Opened(root),
        None if checksum(row, vault_id) != row.checksum || keys::fingerprint(key) == row.fingerprint => Tried::Damaged,
        None => Tried::Other,
    }
}

/// Returns true if a new slot would be harder to guess.
pub(crate) fn is_weak(row: &SlotRow) -> bool {
    let less = |own: Option<u32>, wanted: u32| own.is_some_and(|own| own < wanted);
    less(row.memory_kib, DEFAULT.memory_kib) || less(row.time_cost, DEFAULT.time)
}

/// Encodes every field of the slot for the MAC over the keyring.
pub(crate) fn covered(row: &SlotRow, vault_id: &[u8; 16]) -> Vec<u8> {
    let checksum = row.checksum.to_be_bytes();
    cover([associated_data(row, vault_id).as_slice(), &row.fingerprint, &row.wrapped_root, &checksum])
}

/// Describes the slot's master key in a message.
pub(crate) fn describe(row: &SlotRow) -> String {
    format!("{} {} (slot {})", row.kind, hex::write(&row.fingerprint), row.id)
}

/// Derives the slot's key from a master key; `None` if the master key is of the other kind.
fn slot_key(row: &SlotRow, master: &MasterKey) -> Result<Option<Key>, VaultError> {
    match (row.kind.as_str(), master) {
        ("key", MasterKey::Key(key)) => Ok(Some(key.clone())),
        ("passphrase", MasterKey::Passphrase(passphrase)) => {
            let (cost, salt) = parameters(row)?;
            stretch_at(cost, salt, passphrase).map(Some)
        }
        _ => Ok(None),
    }
}

/// Returns cost and salt of a passphrase slot, if they are within bounds.
pub(crate) fn parameters(row: &SlotRow) -> Result<(Argon2Cost, &[u8]), VaultError> {
    let damaged = |what: &str| VaultError::DamagedKeyring(format!("slot {}: {what}", row.id));
    let (Some(memory_kib), Some(time), Some(lanes), Some(salt)) =
        (row.memory_kib, row.time_cost, row.lanes, row.salt.as_deref())
    else {
        return Err(damaged("it lacks the parameters for its passphrase"));
    };
    let cost = Argon2Cost { memory_kib, time, lanes };
    if !cost.is_within_bounds() || salt.len() != 16 {
        return Err(damaged("its parameters for Argon2id are out of bounds"));
    }
    Ok((cost, salt))
}

/// Runs Argon2id on a passphrase, at a cost that is within bounds.
pub(crate) fn stretch_at(cost: Argon2Cost, salt: &[u8], passphrase: &Secret) -> Result<Key, VaultError> {
    let failed = |error: argon2::Error| VaultError::Passphrase(error.to_string());
    let params = cost.params().map_err(failed)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), salt, key.as_mut())
        .map_err(failed)?;
    Ok(key)
}

fn wrapping_key(key: &Key, vault_id: &[u8; 16]) -> Key {
    keys::derive(key, vault_id, "slot")
}

fn associated_data(row: &SlotRow, vault_id: &[u8; 16]) -> Vec<u8> {
    let cost = [row.memory_kib, row.time_cost, row.lanes].map(|value| number(value.map(i64::from)));
    let [memory, time, lanes] = &cost;
    let (id, created_at) = (row.id.to_be_bytes(), row.created_at.to_be_bytes());
    let salt = row.salt.as_deref().unwrap_or_default();
    cover([b"strongroom slot 1".as_slice(), vault_id, &id, row.kind.as_bytes(), &created_at, memory, time, lanes, salt])
}

fn checksum(row: &SlotRow, vault_id: &[u8; 16]) -> i64 {
    let bytes = cover([associated_data(row, vault_id).as_slice(), &row.fingerprint, &row.wrapped_root]);
    i64::from(crc32fast::hash(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argon2_out_of_bounds_is_refused_before_it_is_run() {
        let master = MasterKey::Passphrase(Secret::new("correct horse"));
        let good = make(1, &master, &Zeroizing::new([1; 32]), &[2; 16], UnixTime(0), Random).unwrap();
        for change in [
            |row: &mut SlotRow| row.memory_kib = Some(8),
            |row: &mut SlotRow| row.memory_kib = Some(2 * 1024 * 1024),
            |row: &mut SlotRow| row.time_cost = Some(1),
            |row: &mut SlotRow| row.time_cost = Some(11),
            |row: &mut SlotRow| row.lanes = Some(0),
            |row: &mut SlotRow| row.lanes = None,
            |row: &mut SlotRow| row.salt = Some(vec![0; 8]),
        ] {
            let mut row = good.clone();
            change(&mut row);
            assert!(matches!(attempt(&row, &master, &[2; 16]), Err(VaultError::DamagedKeyring(_))));
        }
    }
}
