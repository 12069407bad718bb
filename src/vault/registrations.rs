//! Client registrations (RFC 7591): one for each issuer and redirect URI, sealed.

use std::collections::{BTreeSet, HashSet};

use crate::clock::UnixTime;
use crate::id::ProviderName;
use crate::secret::Secret;
use crate::store::{PendingRow, RegistrationRow, RevocationRow, View};
use crate::vault::credentials::credential_record::open_summary;
use crate::vault::crypto::fields::{Value as _, encode, fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, Key};
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::logins::pending_login;
use crate::vault::revocations::queued_revocation;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// Registrations deleted in one transaction.
const BATCH: usize = 500;

/// A client that Strongroom registered at an authorization server.
#[derive(Clone, Debug)]
pub struct ClientRegistration {
    /// The client id.
    pub client_id: String,
    /// The client secret; a public client has none.
    pub client_secret: Option<Secret>,
    /// Expiry of the secret; `None`: never.
    pub secret_expires_at: Option<UnixTime>,
    /// The authentication method, in the catalogue's vocabulary.
    pub token_auth: String,
    /// The whole redirect URI that was registered.
    pub redirect_uri: Option<String>,
    /// Access to the registration itself; absent if the server offers none.
    pub management: Option<ClientManagement>,
}

/// Access to a registration at the authorization server (RFC 7592).
#[derive(Clone, Debug)]
pub struct ClientManagement {
    /// The provider that the client was registered for. Its rules bind requests to `uri`.
    pub provider: ProviderName,
    /// The client configuration endpoint (`registration_client_uri`).
    pub uri: String,
    /// The registration access token.
    pub access_token: Secret,
}

/// Registrations that were deleted from the vault.
#[derive(Default)]
pub struct DroppedRegistrations {
    /// Their number.
    pub count: usize,
    /// Access to those whose client nothing needs, so that the servers can delete them too.
    pub deletable: Vec<ClientManagement>,
}

/// The place of a registration. It is never used for another issuer (RFC 7591 §5), nor for another
/// origin or path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegisteredAt {
    /// The authorization server.
    pub issuer: String,
    /// Origin and path of the redirect URI: callers choose its query, and must not collect
    /// registrations by it.
    pub redirect_uri: String,
}

/// The client registrations of a vault (RFC 7591).
#[derive(Clone, Copy)]
pub struct Registrations<'v> {
    pub(crate) core: &'v VaultCore,
}

impl Registrations<'_> {
    /// Returns the registration of this place.
    pub fn get(self, at: &RegisteredAt) -> Result<Option<ClientRegistration>, VaultError> {
        self.core.read(|view, keyring| find(view, keyring, at)?.map(|row| Ok(open(keyring, &row)?.1)).transpose())
    }

    /// Stores a registration, and returns the valid one: if another process registered
    /// meanwhile, it is that one, so that all use one client. `replaced` is the id of the
    /// client that is replaced.
    pub async fn put(
        self,
        at: &RegisteredAt,
        new: ClientRegistration,
        replaced: Option<&str>,
        who: &AuditContext,
    ) -> Result<ClientRegistration, VaultError> {
        let (at, replaced) = (at.clone(), replaced.map(str::to_owned));
        self.core
            .write(who, move |txn| {
                let old = find(txn.tx, txn.keyring, &at)?;
                if let Some(old) = &old {
                    let (_, known) = open(txn.keyring, old)?;
                    if replaced.as_deref() != Some(known.client_id.as_str()) {
                        return Ok(known);
                    }
                }
                let mut row = RegistrationRow {
                    lookup: lookup(&txn.keyring.root.index, txn.keyring, &at),
                    created_at: txn.now.0,
                    revision: old.as_ref().map_or(1, |old| old.revision + 1),
                    data_key: txn.keyring.data.current().version,
                    sealed: Vec::new(),
                };
                let id = hex::write(&row.lookup);
                row.sealed = txn.seal(&aad(&row, &id), &encode(&(at.clone(), new.clone())))?;
                if let Some(old) = &old {
                    txn.removed(&aad(old, &hex::write(&old.lookup)), &old.sealed)?;
                    txn.tx.delete_registration(&old.lookup)?;
                }
                txn.tx.insert_sealed(&row)?;
                txn.added(&aad(&row, &id), &row.sealed)?;
                txn.record(Action::ClientRegister, Subject::default())?;
                Ok(new.clone())
            })
            .await
    }

    /// Deletes the registration of this place if it is that of this client. The client stays at the
    /// authorization server, and with the credentials that were connected through it.
    pub async fn remove(self, at: &RegisteredAt, client_id: &str, who: &AuditContext) -> Result<(), VaultError> {
        let (at, client_id) = (at.clone(), client_id.to_owned());
        self.core
            .write(who, move |txn| match find(txn.tx, txn.keyring, &at)? {
                Some(row) if open(txn.keyring, &row)?.1.client_id == client_id => delete(txn, &row),
                _ => Ok(()),
            })
            .await
    }

    /// Deletes the registrations that were made by `before` and that no credential, pending login or
    /// queued revocation refers to; with `among` only those of these clients. `provider` returns true
    /// if logins at a provider may use a registration.
    pub async fn remove_unused(
        self,
        before: UnixTime,
        among: Option<&BTreeSet<String>>,
        provider: impl Fn(&str) -> bool,
        who: &AuditContext,
    ) -> Result<DroppedRegistrations, VaultError> {
        let unused = self.core.snapshot(|view, keyring| {
            let mut unused = Vec::new();
            for row in view.sealed_rows::<RegistrationRow>(None, None, u32::MAX)? {
                let client_id = open(keyring, &row)?.1.client_id;
                if row.created_at <= before.0 && among.is_none_or(|among| among.contains(&client_id)) {
                    unused.push((row.lookup, client_id));
                }
            }
            if !unused.is_empty() {
                let used = clients_in_use(view, keyring, &provider)?;
                unused.retain(|(_, client_id)| !used.contains(client_id));
            }
            Ok(unused)
        })?;
        let mut dropped = DroppedRegistrations::default();
        for batch in unused.chunks(BATCH) {
            let batch = batch.to_vec();
            let write = move |txn: &mut WriteTxn<'_>| {
                let mut dropped = DroppedRegistrations::default();
                for (lookup, client_id) in &batch {
                    let Some(row) = txn.tx.registration(lookup)? else { continue };
                    let (_, client) = open(txn.keyring, &row)?;
                    // A login that began meanwhile has the client's data itself.
                    if client.client_id == *client_id {
                        delete(txn, &row)?;
                        dropped.count += 1;
                        dropped.deletable.extend(client.management);
                    }
                }
                Ok(dropped)
            };
            let mut more = self.core.write(who, write).await?;
            dropped.count += more.count;
            dropped.deletable.append(&mut more.deletable);
        }
        Ok(dropped)
    }

    /// Deletes all registrations. `provider` as in [`Self::remove_unused`].
    pub async fn remove_all(
        self,
        provider: impl Fn(&str) -> bool,
        who: &AuditContext,
    ) -> Result<DroppedRegistrations, VaultError> {
        let used = self.core.snapshot(|view, keyring| clients_in_use(view, keyring, &provider))?;
        self.core
            .write(who, move |txn| {
                let mut dropped = DroppedRegistrations::default();
                for row in txn.tx.sealed_rows::<RegistrationRow>(None, None, u32::MAX)? {
                    // A damaged one stays for a repair.
                    let Ok((_, client)) = open(txn.keyring, &row) else { continue };
                    delete(txn, &row)?;
                    dropped.count += 1;
                    dropped.deletable.extend(client.management.filter(|_| !used.contains(&client.client_id)));
                }
                Ok(dropped)
            })
            .await
    }
}

fn delete(txn: &mut WriteTxn<'_>, row: &RegistrationRow) -> Result<(), VaultError> {
    txn.removed(&aad(row, &hex::write(&row.lookup)), &row.sealed)?;
    txn.tx.delete_registration(&row.lookup)?;
    txn.record(Action::ClientForget, Subject::default())
}

fields! {
    ClientRegistration {
        1 client_id,
        2 client_secret,
        3 secret_expires_at,
        4 token_auth,
        5 redirect_uri,
        6 management,
    }
}

fields! {
    ClientManagement {
        1 provider,
        2 uri,
        3 access_token,
    }
}

fields! {
    RegisteredAt {
        1 issuer,
        2 redirect_uri,
    }
}

/// The content of a record. The row has only a hash of the place.
type Registered = (RegisteredAt, ClientRegistration);

/// Opens a registration.
pub(crate) fn open(keyring: &Keyring, row: &RegistrationRow) -> Result<Registered, VaultError> {
    let id = hex::write(&row.lookup);
    let bytes = record::open(keyring, &aad(row, &id), row.data_key, &row.sealed)?;
    Registered::read(&bytes).ok_or(VaultError::DamagedRow {
        table: "client_registration",
        id,
        what: "it cannot be understood",
    })
}

/// Returns the ids of the clients that credentials, pending logins and queued revocations at these
/// providers refer to. A damaged one refers to none.
fn clients_in_use(
    view: &View<'_>,
    keyring: &Keyring,
    provider: impl Fn(&str) -> bool,
) -> Result<HashSet<String>, VaultError> {
    let mut used = HashSet::new();
    view.walk_credentials(&mut |row| {
        if provider(&row.provider) {
            used.extend(open_summary(keyring, row).ok().and_then(|summary| summary.client_id));
        }
    })?;
    for row in view.sealed_rows::<PendingRow>(None, None, u32::MAX)? {
        if provider(&row.provider) {
            used.extend(pending_login::open(keyring, &row).ok().map(|pending| pending.client_id));
        }
    }
    for row in view.sealed_rows::<RevocationRow>(None, None, u32::MAX)? {
        if provider(&row.provider) {
            used.extend(queued_revocation::open(keyring, &row).ok().and_then(|queued| queued.client_id));
        }
    }
    Ok(used)
}

/// Finds the row of this place.
fn find(view: &View<'_>, keyring: &Keyring, at: &RegisteredAt) -> Result<Option<RegistrationRow>, VaultError> {
    Ok(view.registration(&lookup(&keyring.root.index, keyring, at))?)
}

/// Moves every registration to a new index key, because the root changes.
pub(crate) fn move_all(txn: &mut WriteTxn<'_>, index: &Key) -> Result<(), VaultError> {
    for old in txn.tx.sealed_rows::<RegistrationRow>(None, None, u32::MAX)? {
        let registered = open(txn.keyring, &old)?;
        txn.removed(&aad(&old, &hex::write(&old.lookup)), &old.sealed)?;
        txn.tx.delete_registration(&old.lookup)?;
        let data_key = txn.keyring.data.current().version;
        let row = RegistrationRow { lookup: lookup(index, txn.keyring, &registered.0), data_key, ..old };
        let id = hex::write(&row.lookup);
        let row = RegistrationRow { sealed: txn.seal(&aad(&row, &id), &encode(&registered))?, ..row };
        txn.tx.insert_sealed(&row)?;
        txn.added(&aad(&row, &id), &row.sealed)?;
    }
    Ok(())
}

fn lookup(key: &Key, keyring: &Keyring, at: &RegisteredAt) -> [u8; 32] {
    let parts =
        [b"strongroom registration 1".as_slice(), &keyring.vault_id, at.issuer.as_bytes(), at.redirect_uri.as_bytes()];
    keys::mac(key, parts)
}

pub(crate) fn aad<'a>(row: &'a RegistrationRow, id: &'a str) -> RecordAad<'a> {
    RecordAad {
        table: "client_registration",
        column: "sealed",
        row: id,
        revision: row.revision,
        more: [row.created_at, 0, 0],
        ..RecordAad::default()
    }
}
