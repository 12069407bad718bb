//! A queued revocation: tokens that still have to be revoked at their provider, and the sealed row
//! that keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::store::{ReadRevocation, RevocationRow};
use crate::vault::crypto::fields::{Value as _, as_json, encode, fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::Tokens;
use crate::vault::txn::write_txn::WriteTxn;

/// The id of a queued revocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

as_json!(RevocationId);

fields! {
    QueuedRevocation {
        1 id,
        2 user,
        3 provider,
        4 credential_id,
        5 client_id,
        6 tokens,
        7 attempts,
        8 last_error,
        9 not_before,
        10 give_up_at,
    }
}

/// Seals a revocation, and returns its row.
pub(crate) fn seal(txn: &WriteTxn<'_>, queued: &QueuedRevocation, revision: i64) -> Result<RevocationRow, VaultError> {
    let mut row = RevocationRow {
        id: queued.id.0.clone(),
        user: queued.user.to_string(),
        provider: queued.provider.to_string(),
        credential: queued.credential_id.to_string(),
        attempts: queued.attempts,
        not_before: queued.not_before.0,
        give_up_at: queued.give_up_at.0,
        revision,
        data_key: txn.keyring.data.current().version,
        sealed: Vec::new(),
    };
    row.sealed = txn.seal(&aad(&row), &encode(queued))?;
    Ok(row)
}

/// Opens a row that the store could read.
pub(crate) fn opened(keyring: &Keyring, row: &ReadRevocation) -> Result<QueuedRevocation, VaultError> {
    open(keyring, row.as_ref().map_err(|error| VaultError::from(error.clone()))?)
}

/// Opens a row.
pub(crate) fn open(keyring: &Keyring, row: &RevocationRow) -> Result<QueuedRevocation, VaultError> {
    let bytes = record::open(keyring, &aad(row), row.data_key, &row.sealed)?;
    QueuedRevocation::read(&bytes).ok_or_else(|| VaultError::DamagedRow {
        table: "revocation",
        id: row.id.clone(),
        what: "it cannot be understood",
    })
}

/// The associated data. The credential's id takes the field of the kind, so that the tokens are
/// bound to it.
pub(crate) fn aad(row: &RevocationRow) -> RecordAad<'_> {
    RecordAad {
        table: "revocation",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        kind: &row.credential,
        provider: &row.provider,
        user: &row.user,
        expiry: Some(row.give_up_at),
        more: [i64::from(row.attempts), row.not_before, 0],
        ..RecordAad::default()
    }
}
