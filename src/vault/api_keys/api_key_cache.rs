//! Cache of the API keys, which every request reads.
//!
//! An API key is found by an HMAC under a vault key, so an attacker who can write SQL cannot create
//! one. Each row is covered by a MAC, and all rows by the sealed manifest: an edited, inserted,
//! deleted or replayed row is rejected when the table is loaded. After a commit the table is
//! compared with the sealed manifest only. A counter in plain text could be set back after a
//! revocation.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::api_key::ApiKey;
use super::api_key_record::load;
use crate::id::ApiKeyId;
use crate::store::{Cached, CheckedState, ManifestRow, View};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::manifest::{Manifest, Tally};

/// All API keys, as one manifest covers them.
pub(crate) struct KeyTable {
    manifest: ManifestRow,
    tally: Tally,
    pub(super) by_lookup: Arc<HashMap<[u8; 32], Arc<ApiKey>>>,
    pub(super) by_id: Arc<BTreeMap<ApiKeyId, Arc<ApiKey>>>,
}

/// The table that a store reader has checked since the last commit.
#[derive(Default)]
struct CheckedTable(Option<Arc<KeyTable>>);

impl Cached for CheckedTable {}

/// The API keys in memory.
#[derive(Default)]
pub(crate) struct ApiKeyCache(ArcSwapOption<KeyTable>);

impl ApiKeyCache {
    /// Returns the table in memory if nothing was committed since a reader checked it; otherwise
    /// checks it again.
    pub(crate) fn key_table(
        &self,
        core: &VaultCore,
        state: Option<&CheckedState>,
    ) -> Result<Arc<KeyTable>, VaultError> {
        let checked = core.store.cached(state, |checked: &mut CheckedTable| checked.0.clone())?;
        if let Some(table) = checked {
            return Ok(table);
        }
        // Loaded before the transaction begins, which therefore sees nothing older.
        let known = self.0.load_full();
        let table = core.read(|view, keyring| {
            let table = Self::read_key_table(view, keyring, known.as_ref())?;
            view.cached(|checked: &mut CheckedTable| checked.0 = Some(table.clone()))?;
            Ok(table)
        })?;
        self.0.store(Some(table.clone()));
        Ok(table)
    }

    /// Returns the known table if its manifest is still the one in the file. If the manifest is
    /// another one, but covers the same keys, only the manifest is opened.
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
        let (by_lookup, by_id) = if let Some(known) = known.filter(|known| known.tally == manifest.api_keys) {
            (known.by_lookup.clone(), known.by_id.clone())
        } else {
            let keys: Vec<_> =
                load(view, keyring, &manifest)?.into_iter().map(|(row, key)| (row.lookup, Arc::new(key))).collect();
            let by_id = keys.iter().map(|(_, key)| (key.id, key.clone())).collect();
            (Arc::new(keys.into_iter().collect()), Arc::new(by_id))
        };
        Ok(Arc::new(KeyTable { manifest: row, tally: manifest.api_keys, by_lookup, by_id }))
    }
}
