//! The row of an API key: found by an HMAC of the key, covered by a MAC, and counted in the
//! manifest.

use super::api_key::{ApiKey, KeyHolder};
use super::key_grants::KeyGrants;
use super::limits::KeyLimits;
use super::unmatched::Unmatched;
use crate::clock::UnixTime;
use crate::permission::Permission;
use crate::store::{ApiKeyRow, View};
use crate::vault::approvals::store as approvals;
use crate::vault::crypto::encoding::{number, text};
use crate::vault::crypto::fields::{Value, encode};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, ApiKeyKey};
use crate::vault::error::VaultError;
use crate::vault::txn::manifest::{Manifest, Tally};
use crate::vault::txn::write_txn::WriteTxn;
use std::str::FromStr;
use subtle::ConstantTimeEq;

const TABLE: &str = "api_key";

/// Deletes the API keys of a user.
pub(crate) fn remove_of(txn: &mut WriteTxn<'_>, user: &str) -> Result<(), VaultError> {
    for row in txn.tx.take_api_keys_of(user)? {
        let item = item(txn.keyring, &row)?;
        txn.manifest_mut().api_keys.remove(&item);
        approvals::remove_of_key(txn, &row.id)?;
    }
    Ok(())
}

/// Loads every row, and checks each against its MAC and all against the manifest.
pub(crate) fn load(
    view: &View<'_>,
    keyring: &Keyring,
    manifest: &Manifest,
) -> Result<Vec<(ApiKeyRow, ApiKey)>, VaultError> {
    let mut tally = Tally::default();
    let mut keys = Vec::new();
    for row in view.api_keys()? {
        let key = read(&row, keyring)?;
        tally.add(&item(keyring, &row)?);
        keys.push((row, key));
    }
    if tally == manifest.api_keys {
        Ok(keys)
    } else {
        let what = "an API key is missing, was added, or was put back to what it was before";
        Err(VaultError::DamagedRow { table: TABLE, id: "*".into(), what })
    }
}

pub(crate) fn lookup(key: &ApiKeyKey, presented: &str) -> [u8; 32] {
    keys::mac(&key.lookup, [b"strongroom api key 1".as_slice(), presented.as_bytes()])
}

pub(crate) fn row_of(
    key: &ApiKey,
    lookup: [u8; 32],
    key_version: u32,
    keyring: &Keyring,
) -> Result<ApiKeyRow, VaultError> {
    let (user, service, users) = match &key.holder {
        KeyHolder::User(user) => (Some(user.to_string()), false, String::new()),
        KeyHolder::Service { users } => (None, true, words(users)),
    };
    let mut row = ApiKeyRow {
        id: key.id.to_string(),
        lookup,
        name: key.name.clone(),
        user,
        service,
        users,
        permissions: key.permissions.iter().map(Permission::name).collect::<Vec<_>>().join(" "),
        providers: words(key.limits.providers()),
        credentials: words(key.limits.credentials()),
        grants_only: key.grants.grants_only,
        grants: encode(&key.grants.grants).to_vec(),
        tunnel_unmatched: key.unmatched == Unmatched::Tunnel,
        created_at: key.created_at.0,
        expires_at: key.expires_at.map(|at| at.0),
        revoked_at: key.revoked_at.map(|at| at.0),
        revision: 1,
        key_version,
        mac: [0; 32],
    };
    row.mac = cover_row(keyring, &row)?;
    Ok(row)
}

/// Replaces the row of a key by that of the changed key; lookup and key version stay.
pub(crate) fn rewrite(txn: &mut WriteTxn<'_>, old: &ApiKeyRow, key: &ApiKey) -> Result<(), VaultError> {
    let mut row = row_of(key, old.lookup, old.key_version, txn.keyring)?;
    row.revision = old.revision + 1;
    row.mac = cover_row(txn.keyring, &row)?;
    txn.tx.update_api_key(&row)?;
    let (before, after) = (item(txn.keyring, old)?, item(txn.keyring, &row)?);
    txn.manifest_mut().api_keys.remove(&before);
    txn.manifest_mut().api_keys.add(&after);
    Ok(())
}

/// Checks the row's MAC and parses the row.
pub(crate) fn read(row: &ApiKeyRow, keyring: &Keyring) -> Result<ApiKey, VaultError> {
    if !bool::from(cover_row(keyring, row)?.ct_eq(&row.mac)) {
        return Err(damaged(row, "the API key was changed"));
    }
    let parsed = || -> Option<ApiKey> {
        let (providers, credentials) = (parse_words(&row.providers)?, parse_words(&row.credentials)?);
        let permissions: Vec<Permission> = parse_words(&row.permissions)?;
        Some(ApiKey {
            id: row.id.parse().ok()?,
            name: row.name.clone(),
            holder: match &row.user {
                Some(user) if !row.service => KeyHolder::User(user.parse().ok()?),
                None if row.service => KeyHolder::Service { users: parse_words(&row.users)? },
                _ => return None,
            },
            permissions: permissions.into_iter().collect(),
            limits: KeyLimits::new(providers, credentials).ok()?.into(),
            grants: KeyGrants { grants_only: row.grants_only, grants: Value::read(&row.grants)? }.into(),
            unmatched: if row.tunnel_unmatched { Unmatched::Tunnel } else { Unmatched::Refuse },
            created_at: UnixTime(row.created_at),
            expires_at: row.expires_at.map(UnixTime),
            revoked_at: row.revoked_at.map(UnixTime),
        })
    };
    parsed().ok_or_else(|| damaged(row, "the API key cannot be understood"))
}

/// Joins items with spaces; none of them contains one.
fn words<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn parse_words<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.split_ascii_whitespace().map(|word| word.parse().ok()).collect()
}

pub(crate) fn cover_row(keyring: &Keyring, row: &ApiKeyRow) -> Result<[u8; 32], VaultError> {
    let key = key_of(keyring, row)?;
    let [service, grants_only, tunnels] =
        [row.service, row.grants_only, row.tunnel_unmatched].map(|flag| [u8::from(flag)]);
    let version = row.key_version.to_be_bytes();
    let numbers = [Some(row.created_at), row.expires_at, row.revoked_at, Some(row.revision)].map(number);
    let (name, user) = (text(row.name.as_deref()), text(row.user.as_deref()));
    let fixed: [&[u8]; 15] = [
        b"strongroom api key row 1",
        &keyring.vault_id,
        row.id.as_bytes(),
        &row.lookup,
        &name,
        &user,
        &service,
        row.users.as_bytes(),
        row.permissions.as_bytes(),
        row.providers.as_bytes(),
        row.credentials.as_bytes(),
        &grants_only,
        &row.grants,
        &tunnels,
        &version,
    ];
    Ok(keys::mac(&key.row, fixed.into_iter().chain(numbers.iter().map(Vec::as_slice))))
}

pub(crate) fn item(keyring: &Keyring, row: &ApiKeyRow) -> Result<[u8; 32], VaultError> {
    let revision = row.revision.to_be_bytes();
    let parts: [&[u8]; 4] = [TABLE.as_bytes(), row.id.as_bytes(), &revision, &row.mac];
    Ok(keys::mac(&key_of(keyring, row)?.manifest, parts))
}

fn key_of<'k>(keyring: &'k Keyring, row: &ApiKeyRow) -> Result<&'k ApiKeyKey, VaultError> {
    keyring
        .api_key
        .all
        .get(&row.key_version)
        .ok_or_else(|| damaged(row, "it names a key that the keyring does not have"))
}

fn damaged(row: &ApiKeyRow, what: &'static str) -> VaultError {
    VaultError::DamagedRow { table: TABLE, id: row.id.clone(), what }
}
