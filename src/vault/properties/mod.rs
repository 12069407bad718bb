//! Properties of sealed bytes under any change by an attacker: nothing opens that we did not seal, what
//! opens is what was sealed, and what cannot be opened is one clear error. `crate::properties`
//! passes these on to the property tests and the fuzz targets.
//!
//! They know the keys, as a search for a wrong plaintext needs them: without them a change of
//! anything inside is refused by the first tag that covers it, and nothing behind is ever reached.
//! No key is stretched here (Argon2id) however often they run.

#![allow(clippy::unwrap_used, reason = "a property that does not hold panics")]

mod keyring;
mod record;
#[cfg(test)]
mod seeds;
mod slot;

pub(crate) use keyring::keyring;
pub(crate) use record::record;
pub(crate) use slot::slot;

use zeroize::Zeroizing;

use crate::store::VaultRow;
use crate::vault::VaultError;
use crate::vault::backup::property::{BackupSubject, SIZES};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{Key, Root};
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::txn::epoch_file;

/// The id of the vault whose things these are, and its root: those of `Keyring::for_tests`.
const VAULT_ID: [u8; 16] = [9; 16];
const ROOT: [u8; 32] = [7; 32];
/// Its master key.
const MASTER: [u8; 32] = [5; 32];

fn key(bytes: [u8; 32]) -> Key {
    Zeroizing::new(bytes)
}

/// Asserts that an error is about the keyring or the master key, and that its text may be shown.
fn is_refusal_of_keys(error: &VaultError) {
    assert!(matches!(error, VaultError::DamagedKeyring(_) | VaultError::WrongKey { .. }), "{error}");
    crate::property::is_fit_to_be_shown(&error.to_string());
}

thread_local! {
    static SUBJECT: (BackupSubject, [Vec<u8>; 2]) = {
        let subject = subject();
        let good = SIZES.map(|large| subject.backup(large));
        (subject, good)
    };
    static KEYRING: Keyring = Keyring::for_tests();
}

/// A backup: see `backup/property.rs`.
pub(crate) fn backup(bytes: &[u8]) {
    SUBJECT.with(|(subject, good)| subject.holds(bytes, good));
}

/// An epoch file: see `epoch/file.rs`.
pub(crate) fn epoch_file(bytes: &[u8]) {
    KEYRING.with(|keyring| epoch_file::holds(bytes, keyring));
}

fn subject() -> BackupSubject {
    let check = *Root::new(&key(ROOT), &VAULT_ID).check;
    BackupSubject {
        master: MasterKey::Key(key(MASTER)),
        keyring: Keyring::for_tests(),
        vault: VaultRow { vault_id: VAULT_ID, created_at: 1, key_check: check, keyring_mac: [0; 32] },
        slots: slot::good()[..1].to_vec(),
    }
}
