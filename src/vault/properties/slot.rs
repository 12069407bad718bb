//! A slot: it gives the root that was wrapped into it, or none; and what it asks of Argon2id is
//! bounded before it is paid.

use zeroize::Zeroizing;

use super::keyring::tamper_slot;
use super::{MASTER, ROOT, VAULT_ID, key};
use crate::clock::UnixTime;
use crate::property::Script;
use crate::random::Random;
use crate::secret::Secret;
use crate::store::SlotRow;
use crate::vault::crypto::fields::{Value as _, encode};
use crate::vault::crypto::key_slot::{self, Tried};
use crate::vault::crypto::keys::Key;
use crate::vault::crypto::master_key::MasterKey;
use crate::vault::{VaultError, hex};

/// Stands for the output of Argon2id on a slot's passphrase; Argon2id is not run.
const STRETCHED: [u8; 32] = [3; 32];

thread_local! {
    static GOOD: [SlotRow; 2] = good();
}

/// The first byte says what the rest is: a slot as the head of a backup has it, or what is done to
/// a good one.
pub(crate) fn slot(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    if script.byte().is_multiple_of(2) {
        let Some(row) = SlotRow::read(script.rest()) else { return };
        opens_to_the_root_or_not_at_all(&row);
        let written = encode(&row);
        assert_eq!(SlotRow::read(&written).as_ref(), Some(&row), "written, it is read again");
    } else {
        let written = GOOD.with(|good| script.one_of(&[&good[0], &good[1]]).clone());
        let mut row = written.clone();
        while !script.is_over() {
            tamper_slot(&mut row, &mut script);
        }
        let opened = opens_to_the_root_or_not_at_all(&row);
        // The fingerprint and the checksum say what is wrong, and open nothing.
        let sealed = SlotRow { fingerprint: written.fingerprint, checksum: written.checksum, ..row };
        assert!(opened == (sealed == written) || is_alike_without_salt(&sealed, &written), "{sealed:?}");
    }
}

/// Returns true if the slot opened with the key that belongs to its kind.
fn opens_to_the_root_or_not_at_all(row: &SlotRow) -> bool {
    let is_the_root = |tried: Tried| match tried {
        Tried::Opened(root) => {
            assert_eq!(*root, ROOT, "a wrong root");
            true
        }
        Tried::Other | Tried::Damaged => false,
    };
    let by_key = is_the_root(key_slot::attempt(row, &MasterKey::Key(key(MASTER)), &VAULT_ID).unwrap());
    assert!(!by_key || row.kind == "key");
    let by_passphrase = row.kind == "passphrase"
        && is_bounded(row)
        && is_the_root(key_slot::attempt_with(row, &key(STRETCHED), &VAULT_ID));
    assert_eq!(key_slot::describe(row), format!("{} {} (slot {})", row.kind, hex::write(&row.fingerprint), row.id));
    let _ = key_slot::is_weak(row);
    by_key || by_passphrase
}

/// Parameters that are out of bounds are refused before anything is derived; the others Argon2id
/// takes.
fn is_bounded(row: &SlotRow) -> bool {
    match key_slot::parameters(row) {
        Ok((cost, salt)) => {
            assert!((19 * 1024..=1024 * 1024).contains(&cost.memory_kib), "KiB: {}", cost.memory_kib);
            assert!((2..=10).contains(&cost.time) && (1..=64).contains(&cost.lanes), "{} {}", cost.time, cost.lanes);
            assert!(salt.len() == 16 && cost.params().is_ok());
            true
        }
        Err(error) => {
            assert!(matches!(error, VaultError::DamagedKeyring(_)), "{error}");
            let refused = key_slot::attempt(row, &MasterKey::Passphrase(Secret::new("correct horse")), &VAULT_ID);
            assert!(matches!(refused, Err(VaultError::DamagedKeyring(_))), "it was tried all the same");
            false
        }
    }
}

/// Of a salt, none and an empty one are covered alike.
fn is_alike_without_salt(one: &SlotRow, other: &SlotRow) -> bool {
    let is_empty = |row: &SlotRow| row.salt.as_deref().is_none_or(<[u8]>::is_empty);
    is_empty(one) && is_empty(other) && SlotRow { salt: other.salt.clone(), ..one.clone() } == *other
}

/// One for a key, and one for a passphrase.
pub(super) fn good() -> [SlotRow; 2] {
    let root: Key = Zeroizing::new(ROOT);
    let for_key = key_slot::make(1, &MasterKey::Key(key(MASTER)), &root, &VAULT_ID, UnixTime(1), Random).unwrap();
    let mut for_passphrase = SlotRow {
        id: 2,
        kind: "passphrase".into(),
        memory_kib: Some(key_slot::DEFAULT.memory_kib),
        time_cost: Some(key_slot::DEFAULT.time),
        lanes: Some(key_slot::DEFAULT.lanes),
        salt: Some(vec![8; 16]),
        ..for_key.clone()
    };
    key_slot::lock(&mut for_passphrase, &key(STRETCHED), &root, &VAULT_ID, Random);
    [for_key, for_passphrase]
}
