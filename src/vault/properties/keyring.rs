//! The keyring: a change of anything in it that was not made under the root is refused, and no
//! change that was made loses a key that is not to be destroyed.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{MASTER, ROOT, VAULT_ID, is_refusal_of_keys, key};
use crate::clock::UnixTime;
use crate::property::Script;
use crate::random::Random;
use crate::store::{KeyRow, SlotRow};
use crate::vault::crypto::key_slot;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keyring_rows::{KeyringRows, purpose};
use crate::vault::crypto::keys::{Key, Root};
use crate::vault::crypto::master_key::MasterKey;

/// Every key that is not destroyed.
type Keys = BTreeMap<(&'static str, u32), [u8; 32]>;

thread_local! {
    static FRESH: KeyringRows = {
        let root = key(ROOT);
        let slot = key_slot::make(1, &MasterKey::Key(key(MASTER)), &root, &VAULT_ID, UnixTime(1), Random).unwrap();
        KeyringRows::fresh(VAULT_ID, &root, slot, UnixTime(1), Random).unwrap()
    };
}

/// A few changes that the vault makes, then any change by an attacker to the rows.
pub(crate) fn keyring(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (mut rows, mut root_key) = (FRESH.with(KeyringRows::clone), key(ROOT));
    for _ in 0..script.byte() % 6 {
        change(&mut rows, &mut root_key, &mut script);
    }
    let root = Root::new(&root_key, &VAULT_ID);
    let written = rows.clone();
    assert!(Keyring::assemble(root.clone(), &written).is_ok());
    while !script.is_over() {
        tamper(&mut rows, &mut script);
    }
    let is_untouched = without_empty_salts(&rows) == without_empty_salts(&written);
    match Keyring::assemble(root, &rows) {
        Ok(_) => assert!(is_untouched, "what was changed without the root is taken"),
        Err(error) => {
            assert!(!is_untouched, "{error}");
            is_refusal_of_keys(&error);
        }
    }
    match rows.find_root(&MasterKey::Key(key(MASTER))) {
        Ok((found, _)) => assert_eq!(*found, *root_key, "a wrong root"),
        Err(error) => {
            assert!(!is_untouched, "{error}");
            is_refusal_of_keys(&error);
        }
    }
}

/// A change that is made under the root: no key is lost or becomes another one, but for those that
/// are to be destroyed.
fn change(rows: &mut KeyringRows, root_key: &mut Key, script: &mut Script<'_>) {
    let mut root = Root::new(root_key, &VAULT_ID);
    let mut expected = keys_in(rows, &root);
    let purpose = script.one_of(&purpose::ALL);
    match script.byte() % 4 {
        0 => {
            let version = rows.add_key(&root, purpose, UnixTime(2), Random).unwrap();
            assert!(!expected.contains_key(&(purpose, version)), "no version comes twice");
            let (all, current) = rows.unwrapped(&root, purpose).unwrap();
            assert_eq!(current, version);
            expected.extend(all.iter().filter(|(it, _)| *it == version).map(|(it, key)| ((purpose, *it), **key)));
        }
        1 => {
            for version in rows.destroy_retired(purpose) {
                assert!(expected.remove(&(purpose, version)).is_some());
            }
            assert!(!rows.has_retired(purpose));
        }
        2 => {
            *root_key = Zeroizing::new(Random.bytes());
            let new = Root::new(root_key, &VAULT_ID);
            rows.rewrap(&root, &new, Random).unwrap();
            let master = MasterKey::Key(key(MASTER));
            rows.slots = vec![
                key_slot::make(rows.next_slot().unwrap(), &master, root_key, &VAULT_ID, UnixTime(3), Random).unwrap(),
            ];
            root = new;
        }
        _ => {
            let another = MasterKey::Key(Zeroizing::new([script.byte(); 32]));
            let made =
                key_slot::make(rows.next_slot().unwrap(), &another, root_key, &VAULT_ID, UnixTime(4), Random).unwrap();
            rows.slots.push(made);
        }
    }
    rows.cover(&root);
    assert_eq!(keys_in(rows, &root), expected);
}

fn keys_in(rows: &KeyringRows, root: &Root) -> Keys {
    let of = |purpose| rows.unwrapped(root, purpose).unwrap().0.into_iter().map(move |(it, key)| ((purpose, it), *key));
    purpose::ALL.into_iter().flat_map(of).collect()
}

/// An attacker with a SQL shell.
fn tamper(rows: &mut KeyringRows, script: &mut Script<'_>) {
    let (slot, other_slot) = (script.below(rows.slots.len()), script.below(rows.slots.len()));
    let (one, other) = (script.below(rows.keys.len()), script.below(rows.keys.len()));
    match script.byte() % 12 {
        0 => script.edit_array(&mut rows.vault.vault_id),
        1 => script.edit_array(&mut rows.vault.key_check),
        2 => script.edit_array(&mut rows.vault.keyring_mac),
        3 => rows.vault.created_at = script.number(),
        4 if !rows.slots.is_empty() => drop(rows.slots.remove(slot)),
        5 if !rows.slots.is_empty() => rows.slots.push(rows.slots[slot].clone()),
        6 if !rows.keys.is_empty() => drop(rows.keys.remove(one)),
        7 if !rows.keys.is_empty() => rows.keys.push(rows.keys[one].clone()),
        8 if !rows.keys.is_empty() => rows.keys.swap(one, other),
        9 if !rows.slots.is_empty() => {
            rows.slots[slot].wrapped_root = rows.slots[other_slot].wrapped_root.clone();
        }
        10 => rows.slots.get_mut(slot).into_iter().for_each(|slot| tamper_slot(slot, script)),
        _ => rows.keys.get_mut(one).into_iter().for_each(|key| tamper_key(key, script)),
    }
}

pub(super) fn tamper_slot(slot: &mut SlotRow, script: &mut Script<'_>) {
    let small = |script: &mut Script<'_>| script.perhaps().and_then(|number| u32::try_from(number).ok());
    match script.byte() % 11 {
        0 => slot.id = script.number(),
        1 => slot.kind = script.one_of(&["key", "passphrase", "", "Key"]).to_owned(),
        2 => slot.created_at = script.number(),
        3 => slot.memory_kib = small(script),
        4 => slot.time_cost = small(script),
        5 => slot.lanes = small(script),
        6 => slot.salt = (script.byte() > 31).then(|| script.piece().to_vec()),
        7 => script.edit_array(&mut slot.fingerprint),
        8 => slot.checksum = script.number(),
        _ => script.edit(&mut slot.wrapped_root),
    }
}

fn tamper_key(row: &mut KeyRow, script: &mut Script<'_>) {
    match script.byte() % 7 {
        0 => row.purpose = script.one_of(&["data", "audit", "api_key", ""]).to_owned(),
        1 => row.version = u32::try_from(script.number() & 0xffff_ffff).unwrap(),
        2 => row.state = script.one_of(&["current", "retired", "destroyed", ""]).to_owned(),
        3 => row.created_at = script.number(),
        4 => row.wrapped = None,
        _ => script.edit(row.wrapped.get_or_insert_default()),
    }
}

/// Of a salt, none and an empty one are covered alike: no slot that has either opens with a
/// passphrase.
fn without_empty_salts(rows: &KeyringRows) -> KeyringRows {
    let mut rows = rows.clone();
    rows.slots.iter_mut().for_each(|slot| slot.salt = slot.salt.take().filter(|salt| !salt.is_empty()));
    rows
}
