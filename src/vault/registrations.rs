//! Client registrations (RFC 7591): one for each issuer and redirect URI, sealed.

use crate::clock::UnixTime;
use crate::secret::Secret;
use crate::store::{RegistrationRow, View};
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys::{self, Key};
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;
use crate::vault::txn::write_txn::WriteTxn;

/// Tags of the fields in a sealed registration. A tag is never reused with another meaning.
mod tag {
    pub(super) const CLIENT_ID: u8 = 1;
    pub(super) const CLIENT_SECRET: u8 = 2;
    pub(super) const SECRET_EXPIRES_AT: u8 = 3;
    pub(super) const TOKEN_AUTH: u8 = 4;
    pub(super) const ISSUER: u8 = 5;
    pub(super) const REDIRECT_URI: u8 = 6;
}

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
}

/// The place of a registration. It is never used for another issuer (RFC 7591 §5), nor for another
/// redirect URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredAt {
    /// The authorization server.
    pub issuer: String,
    /// The redirect URI.
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
        self.core.read(|view, keyring| find(view, keyring, at)?.map(|row| open(keyring, &row)).transpose())
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
                    let known = open(txn.keyring, old)?;
                    if replaced.as_deref() != Some(known.client_id.as_str()) {
                        return Ok(known);
                    }
                }
                let mut row = RegistrationRow {
                    lookup: lookup(&txn.keyring.root().index, txn.keyring, &at),
                    created_at: txn.now.0,
                    revision: old.as_ref().map_or(1, |old| old.revision + 1),
                    data_key: txn.keyring.current_data_key().version,
                    sealed: Vec::new(),
                };
                let id = hex::write(&row.lookup);
                row.sealed = txn.seal(&aad(&row, &id), &new.write(&at))?;
                if let Some(old) = &old {
                    txn.removed(&aad(old, &hex::write(&old.lookup)), &old.sealed)?;
                    txn.tx.delete_registration(&old.lookup)?;
                }
                txn.tx.put_registration(&row)?;
                txn.added(&aad(&row, &id), &row.sealed)?;
                txn.record(Action::ClientRegister, Subject::default())?;
                Ok(new.clone())
            })
            .await
    }
}

impl ClientRegistration {
    /// Encodes the fields to seal, including the place, of which the row has only a hash.
    pub(crate) fn write(&self, at: &RegisteredAt) -> zeroize::Zeroizing<Vec<u8>> {
        FieldWriter::new()
            .text(tag::CLIENT_ID, &self.client_id)
            .optional(tag::CLIENT_SECRET, self.client_secret.as_ref().map(Secret::expose))
            .int(tag::SECRET_EXPIRES_AT, self.secret_expires_at.map(|at| at.0))
            .text(tag::TOKEN_AUTH, &self.token_auth)
            .text(tag::ISSUER, &at.issuer)
            .text(tag::REDIRECT_URI, &at.redirect_uri)
            .finish()
    }

    /// Reads the fields.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes)?;
        Some(Self {
            client_id: fields.owned(tag::CLIENT_ID)?,
            client_secret: fields.text(tag::CLIENT_SECRET).map(Secret::new),
            secret_expires_at: fields.int(tag::SECRET_EXPIRES_AT).map(UnixTime),
            token_auth: fields.owned(tag::TOKEN_AUTH)?,
        })
    }
}

fn open(keyring: &Keyring, row: &RegistrationRow) -> Result<ClientRegistration, VaultError> {
    let id = hex::write(&row.lookup);
    let bytes = record::open(keyring, &aad(row, &id), row.data_key, &row.sealed)?;
    ClientRegistration::read(&bytes).ok_or(VaultError::DamagedRow {
        table: "client_registration",
        id,
        what: "it cannot be understood",
    })
}

/// Checks that a registration opens.
pub(crate) fn check(keyring: &Keyring, row: &RegistrationRow) -> Result<(), VaultError> {
    open(keyring, row).map(|_| ())
}

/// Finds the row of this place.
fn find(view: &View<'_>, keyring: &Keyring, at: &RegisteredAt) -> Result<Option<RegistrationRow>, VaultError> {
    for key in keyring.index_keys() {
        if let Some(row) = view.registration(&lookup(key, keyring, at))? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Moves every registration to a new index key, because the root changes. The place is sealed in
/// the record; the few records of an early version without it are deleted, and registered again
/// when needed.
pub(crate) fn move_all(txn: &mut WriteTxn<'_>, index: &Key) -> Result<(), VaultError> {
    for old in txn.tx.registrations_after(None, None, u32::MAX)? {
        let id = hex::write(&old.lookup);
        let bytes = record::open(txn.keyring, &aad(&old, &id), old.data_key, &old.sealed)?;
        txn.removed(&aad(&old, &id), &old.sealed)?;
        txn.tx.delete_registration(&old.lookup)?;
        let fields = Fields::read(&bytes);
        let belongs = |fields: &Fields<'_>| Some((fields.owned(tag::ISSUER)?, fields.owned(tag::REDIRECT_URI)?));
        let Some((issuer, redirect_uri)) = fields.as_ref().and_then(belongs) else { continue };
        let at = RegisteredAt { issuer, redirect_uri };
        let row = RegistrationRow { lookup: lookup(index, txn.keyring, &at), ..old };
        let id = hex::write(&row.lookup);
        let row = RegistrationRow { sealed: record::seal(txn.keyring, &aad(&row, &id), &bytes, txn.random)?, ..row };
        txn.tx.put_registration(&row)?;
        txn.added(&aad(&row, &id), &row.sealed)?;
    }
    Ok(())
}

fn lookup(key: &Key, keyring: &Keyring, at: &RegisteredAt) -> [u8; 32] {
    let parts =
        [b"strongroom registration 1".as_slice(), keyring.vault_id(), at.issuer.as_bytes(), at.redirect_uri.as_bytes()];
    keys::mac(key, parts)
}

pub(crate) fn aad<'a>(row: &'a RegistrationRow, id: &'a str) -> RecordAad<'a> {
    RecordAad {
        table: "client_registration",
        column: "sealed",
        row: id,
        revision: row.revision,
        more: std::slice::from_ref(&row.created_at),
        ..RecordAad::default()
    }
}
