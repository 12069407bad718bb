//! Our own private keys (RFC 7523), for providers to which the configuration gives none: sealed, made when first needed.

use crate::jose::SigningKey;
use crate::store::SigningKeyRow;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::open::Vault;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};

impl Vault {
    /// Our own keys, the newest first: that one signs, and the public halves of all are published.
    pub fn signing_keys(&self) -> Result<Vec<SigningKey>, VaultError> {
        self.look(|view, keyring| view.signing_keys()?.iter().map(|row| read(keyring, row)).collect())
    }

    /// Makes a key where there is none; whether it was made.
    pub async fn ensure_signing_key(&self, who: &AuditContext) -> Result<bool, VaultError> {
        if !self.signing_keys()?.is_empty() {
            return Ok(false);
        }
        let key = SigningKey::generate();
        self.change(who, move |ledger| {
            if !ledger.tx.signing_keys()?.is_empty() {
                return Ok(false);
            }
            let data_key = ledger.keyring.current_data_key().version;
            let created_at = ledger.now.0;
            let mut row =
                SigningKeyRow { id: key.id().to_owned(), created_at, revision: 1, data_key, sealed: Vec::new() };
            row.sealed = ledger.seal(&place(&row), key.pkcs8())?;
            ledger.tx.insert_signing_key(&row)?;
            ledger.added(&place(&row), &row.sealed)?;
            ledger.record(Action::SigningKeyCreate, Subject::default())?;
            Ok(true)
        })
        .await
    }
}

/// That a key opens.
pub(in crate::vault) fn check(keyring: &Keyring, row: &SigningKeyRow) -> Result<(), VaultError> {
    read(keyring, row).map(|_| ())
}

fn read(keyring: &Keyring, row: &SigningKeyRow) -> Result<SigningKey, VaultError> {
    let opened = record::open(keyring, &place(row), row.data_key, &row.sealed)?;
    SigningKey::from_pkcs8(&opened).map_err(|_| VaultError::DamagedRow {
        table: "signing_key",
        id: row.id.clone(),
        what: "what was sealed is no key",
    })
}

pub(in crate::vault) fn place(row: &SigningKeyRow) -> RecordAad<'_> {
    RecordAad {
        table: "signing_key",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        more: std::slice::from_ref(&row.created_at),
        ..RecordAad::default()
    }
}
