//! A queued revocation: tokens that still have to be revoked at their provider, and the sealed row
//! that keeps them.

use std::fmt;

use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::{ReadRevocation, RevocationRow};
use crate::vault::crypto::encoding::{FieldWriter, Fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::Tokens;

/// Tags of the fields after those of the tokens (`credential_secret.rs`).
const CLIENT_ID: u8 = 40;
const LAST_ERROR: u8 = 41;

/// The id of a queued revocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RevocationId(pub(crate) String);

impl fmt::Display for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tokens that are to be revoked.
#[derive(Clone)]
pub struct QueuedRevocation {
    /// The id.
    pub id: RevocationId,
    /// The user of the deleted credential.
    pub user: UserId,
    /// The provider.
    pub provider: ProviderName,
    /// The deleted credential.
    pub credential_id: CredentialId,
    /// The OAuth client of the login, if known.
    pub client_id: Option<String>,
    /// The tokens.
    pub tokens: Tokens,
    /// Number of failed attempts.
    pub attempts: u32,
    /// The reason of the last failure, sanitized.
    pub last_error: Option<String>,
    /// Earliest time of the next attempt.
    pub not_before: UnixTime,
    /// Time at which the revocation is given up and the tokens are erased.
    pub give_up_at: UnixTime,
}

impl QueuedRevocation {
    /// Encodes the fields to seal.
    pub(crate) fn write(&self) -> Zeroizing<Vec<u8>> {
        self.tokens
            .write(FieldWriter::new())
            .optional(CLIENT_ID, self.client_id.as_deref())
            .optional(LAST_ERROR, self.last_error.as_deref())
            .finish()
    }
}

/// Checks that a queued revocation opens.
pub(crate) fn check(keyring: &Keyring, row: &RevocationRow) -> Result<(), VaultError> {
    read(keyring, row).map(|_| ())
}

pub(crate) fn opened(keyring: &Keyring, row: &ReadRevocation) -> Result<QueuedRevocation, VaultError> {
    read(keyring, row.as_ref().map_err(|error| VaultError::from(error.clone()))?)
}

pub(crate) fn read(keyring: &Keyring, row: &RevocationRow) -> Result<QueuedRevocation, VaultError> {
    let bytes = record::open(keyring, &aad(row, &more(row)), row.data_key, &row.sealed)?;
    let (user, provider, credential_id) = ids(row)?;
    let fields = Fields::read(&bytes).ok_or_else(|| damaged(row))?;
    Ok(QueuedRevocation {
        id: RevocationId(row.id.clone()),
        user,
        provider,
        credential_id,
        client_id: fields.owned(CLIENT_ID),
        tokens: Tokens::read(&fields).ok_or_else(|| damaged(row))?,
        attempts: row.attempts,
        last_error: fields.owned(LAST_ERROR),
        not_before: UnixTime(row.not_before),
        give_up_at: UnixTime(row.give_up_at),
    })
}

pub(crate) fn ids(row: &RevocationRow) -> Result<(UserId, ProviderName, CredentialId), VaultError> {
    let parsed = || Some((row.user.parse().ok()?, row.provider.parse().ok()?, row.credential.parse().ok()?));
    parsed().ok_or_else(|| damaged(row))
}

fn damaged(row: &RevocationRow) -> VaultError {
    VaultError::DamagedRow { table: "revocation", id: row.id.clone(), what: "it cannot be understood" }
}

pub(crate) fn more(row: &RevocationRow) -> [i64; 2] {
    [i64::from(row.attempts), row.not_before]
}

/// The associated data. The credential's id takes the field of the kind, so that the tokens are
/// bound to it.
pub(crate) fn aad<'a>(row: &'a RevocationRow, more: &'a [i64; 2]) -> RecordAad<'a> {
    RecordAad {
        table: "revocation",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        kind: &row.credential,
        provider: &row.provider,
        user: &row.user,
        expiry: Some(row.give_up_at),
        more,
        ..RecordAad::default()
    }
}
