//! The API keys in memory: read by every request, and good as long as the sealed manifest says so.
//!
//! What a program presents is found by an HMAC of it under a vault key, so that whoever can write SQL still cannot
//! mint one. Each row is covered by a MAC, and all of them by the manifest: an edited, inserted, deleted or replayed
//! row is refused when the table is loaded. Whether the table is still right is seen from whether anybody committed since
//! (`memory.rs`), and then asked of the manifest, and of nothing in the clear: a counter could be set back after a
//! revocation.

use std::collections::HashMap;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::api_key::{ApiKey, KeyHolder, NewApiKey, UserPattern};
use crate::clock::UnixTime;
use crate::id::ApiKeyId;
use crate::permission::{Permission, Permissions};
use crate::secret::Secret;
use crate::store::{ApiKeyRow, Cached, ManifestRow, View};
use crate::vault::crypto::encoding::{number, text};
use crate::vault::crypto::key_encoding;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, ApiKeyKey};
use crate::vault::error::VaultError;
use crate::vault::integrity::verify::Verification;
use crate::vault::open::Vault;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::manifest::{Manifest, Tally};

const PREFIX: &str = "srk_";
const TABLE: &str = "api_key";

/// All API keys, as one manifest covers them.
pub(in crate::vault) struct KeyTable {
    manifest: ManifestRow,
    tally: Tally,
    by_lookup: Arc<HashMap<[u8; 32], Arc<ApiKey>>>,
}

/// The table that a reader of the store has checked since the last commit.
#[derive(Default)]
struct CheckedTable(Option<Arc<KeyTable>>);

impl Cached for CheckedTable {}

impl Vault {
    /// The API key that `presented` is, if it is a live one. Unknown, malformed, revoked and expired are all `None`,
    /// after the same work.
    pub fn authenticate(&self, presented: &str) -> Result<Option<Arc<ApiKey>>, VaultError> {
        let table = self.key_table()?;
        let keyring = self.keyring();
        // A malformed key is hashed all the same, as a well-formed one that nobody has.
        let well_formed = key_encoding::read(PREFIX, presented).is_ok();
        let hashed = if well_formed { presented } else { "srk_0000000000000000000000000000000000000000000000000" };
        let mut found = None;
        for key in keyring.api_key_keys() {
            let lookup = lookup(key, hashed);
            let candidate = table.by_lookup.get_key_value(&lookup);
            let stored = candidate.map_or(&[0; 32], |(stored, _)| stored);
            if bool::from(stored.ct_eq(&lookup)) && well_formed {
                found = candidate.map(|(_, key)| key.clone());
            }
        }
        let now = self.inner.clock.now();
        Ok(found.filter(|key| key.is_live(now)))
    }

    /// Makes an API key. Its text is given here and never again.
    pub async fn create_api_key(&self, new: NewApiKey, who: &AuditContext) -> Result<(ApiKey, Secret), VaultError> {
        let secret = key_encoding::write(PREFIX, &self.inner.random.bytes());
        let key = ApiKey {
            id: self.inner.ids.api_key(),
            name: new.name,
            holder: new.holder,
            permissions: new.permissions,
            created_at: self.inner.clock.now(),
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let (made, text) = (key.clone(), secret.clone());
        let stored = self.change(who, move |ledger| {
            let (version, key) = ledger.keyring.current_api_key_key();
            let row = row_of(&made, lookup(key, text.expose()), version, ledger.keyring)?;
            if let KeyHolder::User(user) = &made.holder {
                crate::vault::users::ensure(ledger, user)?;
            }
            ledger.tx.insert_api_key(&row)?;
            let item = item(ledger.keyring, &row)?;
            ledger.api_keys().add(&item);
            let user = if let KeyHolder::User(user) = &made.holder { Some(user) } else { None };
            ledger.record(Action::KeyCreate, Subject { user, api_key: Some(&made.id), ..Subject::default() })
        });
        stored.await?;
        Ok((key, secret))
    }

    /// Every API key, oldest first, revoked and expired ones too.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, VaultError> {
        self.look(|view, keyring| {
            let manifest = Manifest::load(view, keyring)?;
            Ok(load(view, keyring, &manifest)?.into_iter().map(|(_, key)| key).collect())
        })
    }

    /// Revokes an API key from this moment on; `false` where there is none of that id, or it was revoked before.
    pub async fn revoke_api_key(&self, id: ApiKeyId, who: &AuditContext) -> Result<bool, VaultError> {
        self.change_for_good(who, move |ledger| {
            let Some(row) = ledger.tx.api_key(&id.to_string())? else { return Ok(false) };
            let mut key = read(&row, ledger.keyring)?;
            if key.revoked_at.is_some() {
                return Ok(false);
            }
            key.revoked_at = Some(ledger.now);
            let mut changed = ApiKeyRow { revoked_at: Some(ledger.now.0), revision: row.revision + 1, ..row.clone() };
            changed.mac = cover_row(ledger.keyring, &changed)?;
            ledger.tx.revoke_api_key(&changed)?;
            let (before, after) = (item(ledger.keyring, &row)?, item(ledger.keyring, &changed)?);
            ledger.api_keys().remove(&before);
            ledger.api_keys().add(&after);
            ledger.record(Action::KeyRevoke, Subject { api_key: Some(&id), ..Subject::default() })?;
            Ok(true)
        })
        .await
    }

    /// Returns the table in memory if nothing was committed since a reader checked it; otherwise checks it again.
    fn key_table(&self) -> Result<Arc<KeyTable>, VaultError> {
        let checked = self.inner.store.cached(|checked: &mut CheckedTable| checked.0.clone())?;
        if let Some(table) = checked {
            return Ok(table);
        }
        // Loaded before the transaction begins, which therefore sees nothing older.
        let known = self.inner.api_keys.load_full();
        let table = self.look(|view, keyring| {
            let table = Self::read_key_table(view, keyring, known.as_ref())?;
            view.cached(|checked: &mut CheckedTable| checked.0 = Some(table.clone()))?;
            Ok(table)
        })?;
        self.inner.api_keys.store(Some(table.clone()));
        Ok(table)
    }

    /// Returns the known table if its manifest is still the one in the file. If the manifest is another one, but covers the same
    /// keys, only the manifest is opened.
    fn read_key_table(
        view: &View<'_>,
        keyring: &Keyring,
        known: Option<&Arc<KeyTable>>,
    ) -> Result<Arc<KeyTable>, VaultError> {
        let row = view.manifest()?.ok_or_else(Manifest::missing)?;
        if let Some(known) = known.filter(|known| known.manifest == row) {
            return Ok(known.clone());
        }
        let manifest = Manifest::open(Some(&row), keyring)?;
        if known.is_some_and(|known| row.epoch < known.manifest.epoch) {
            let what = "it was put back to what it was before";
            return Err(VaultError::DamagedRow { table: "manifest", id: "1".into(), what });
        }
        let by_lookup = match known.filter(|known| known.tally == manifest.api_keys) {
            Some(known) => known.by_lookup.clone(),
            None => {
                let keys = load(view, keyring, &manifest)?.into_iter();
                Arc::new(keys.map(|(row, key)| (row.lookup, Arc::new(key))).collect())
            }
        };
        Ok(Arc::new(KeyTable { manifest: row, tally: manifest.api_keys, by_lookup }))
    }
}

/// Takes the API keys of a user out of the vault.
pub(in crate::vault) fn remove_of(
    ledger: &mut crate::vault::txn::write_txn::Ledger<'_>,
    user: &str,
) -> Result<(), VaultError> {
    for row in ledger.tx.take_api_keys_of(user)? {
        let item = item(ledger.keyring, &row)?;
        ledger.api_keys().remove(&item);
    }
    Ok(())
}

/// Every row, each held against its MAC and all against the manifest.
fn load(view: &View<'_>, keyring: &Keyring, manifest: &Manifest) -> Result<Vec<(ApiKeyRow, ApiKey)>, VaultError> {
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

/// Holds every row against its MAC, and counts all of them as the manifest does.
pub(in crate::vault) fn recount(view: &View<'_>, keyring: &Keyring, report: &mut Verification) -> Tally {
    let mut tally = Tally::default();
    let rows = match view.api_keys() {
        Ok(rows) => rows,
        Err(error) => {
            report.error(TABLE, &error.into());
            return tally;
        }
    };
    for row in rows {
        report.api_keys += 1;
        if let Err(error) = read(&row, keyring) {
            report.error(TABLE, &error);
        }
        if let Ok(item) = item(keyring, &row) {
            tally.add(&item);
        }
    }
    tally
}

fn lookup(key: &ApiKeyKey, presented: &str) -> [u8; 32] {
    keys::mac(&key.lookup, [b"strongroom api key 1".as_slice(), presented.as_bytes()])
}

fn row_of(key: &ApiKey, lookup: [u8; 32], key_version: u32, keyring: &Keyring) -> Result<ApiKeyRow, VaultError> {
    let (user, service, users) = match &key.holder {
        KeyHolder::User(user) => (Some(user.to_string()), false, String::new()),
        KeyHolder::Service { users } => {
            (None, true, users.iter().map(UserPattern::as_str).collect::<Vec<_>>().join(" "))
        }
    };
    let mut row = ApiKeyRow {
        id: key.id.to_string(),
        lookup,
        name: key.name.clone(),
        user,
        service,
        users,
        permissions: key.permissions.iter().map(Permission::name).collect::<Vec<_>>().join(" "),
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

/// Checks the row's MAC and reads it.
fn read(row: &ApiKeyRow, keyring: &Keyring) -> Result<ApiKey, VaultError> {
    if !bool::from(cover_row(keyring, row)?.ct_eq(&row.mac)) {
        return Err(damaged(row, "the API key was changed"));
    }
    let parsed = || -> Option<ApiKey> {
        let users =
            row.users.split_ascii_whitespace().map(|text| text.parse().ok()).collect::<Option<Vec<UserPattern>>>()?;
        let permissions = row.permissions.split_ascii_whitespace().map(|name| name.parse().ok());
        Some(ApiKey {
            id: row.id.parse().ok()?,
            name: row.name.clone(),
            holder: match &row.user {
                Some(user) if !row.service => KeyHolder::User(user.parse().ok()?),
                None if row.service => KeyHolder::Service { users },
                _ => return None,
            },
            permissions: permissions.collect::<Option<Permissions>>()?,
            created_at: UnixTime(row.created_at),
            expires_at: row.expires_at.map(UnixTime),
            revoked_at: row.revoked_at.map(UnixTime),
        })
    };
    parsed().ok_or_else(|| damaged(row, "the API key cannot be understood"))
}

fn cover_row(keyring: &Keyring, row: &ApiKeyRow) -> Result<[u8; 32], VaultError> {
    let key = key_of(keyring, row)?;
    let (service, version) = ([u8::from(row.service)], row.key_version.to_be_bytes());
    let numbers = [Some(row.created_at), row.expires_at, row.revoked_at, Some(row.revision)].map(number);
    let (name, user) = (text(row.name.as_deref()), text(row.user.as_deref()));
    let fixed: [&[u8]; 10] = [
        b"strongroom api key row 1",
        keyring.vault_id(),
        row.id.as_bytes(),
        &row.lookup,
        &name,
        &user,
        &service,
        row.users.as_bytes(),
        row.permissions.as_bytes(),
        &version,
    ];
    Ok(keys::mac(&key.row, fixed.into_iter().chain(numbers.iter().map(Vec::as_slice))))
}

fn item(keyring: &Keyring, row: &ApiKeyRow) -> Result<[u8; 32], VaultError> {
    let revision = row.revision.to_be_bytes();
    let parts: [&[u8]; 4] = [TABLE.as_bytes(), row.id.as_bytes(), &revision, &row.mac];
    Ok(keys::mac(&key_of(keyring, row)?.manifest, parts))
}

fn key_of<'k>(keyring: &'k Keyring, row: &ApiKeyRow) -> Result<&'k ApiKeyKey, VaultError> {
    keyring.api_key_key(row.key_version).ok_or_else(|| damaged(row, "it names a key that the keyring does not have"))
}

fn damaged(row: &ApiKeyRow, what: &'static str) -> VaultError {
    VaultError::DamagedRow { table: TABLE, id: row.id.clone(), what }
}
