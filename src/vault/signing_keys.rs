//! The vault's own private keys (RFC 7523), for providers without a configured key: sealed, created
//! when first needed.

use crate::jose::SigningKey;
use crate::store::SigningKeyRow;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;

/// Id of the row with the authority of the forward proxy. The ids of signing keys are longer.
pub(crate) const PROXY_CA: &str = "proxy-ca";

/// The vault's own private keys.
#[derive(Clone, Copy)]
pub struct SigningKeys<'v> {
    pub(crate) core: &'v VaultCore,
}

impl SigningKeys<'_> {
    /// Returns the keys, newest first. The newest signs, and the public keys of all are
    /// published.
    pub fn list(self) -> Result<Vec<SigningKey>, VaultError> {
        self.core.read(|view, keyring| {
            let rows = view.signing_keys()?;
            rows.iter().filter(|row| row.id != PROXY_CA).map(|row| open(keyring, row)).collect()
        })
    }

    /// Creates a key if the vault has no key yet, and returns true if so.
    pub async fn ensure(self, who: &AuditContext) -> Result<bool, VaultError> {
        if !self.list()?.is_empty() {
            return Ok(false);
        }
        let key = SigningKey::generate();
        self.core
            .write(who, move |txn| {
                if txn.tx.signing_keys()?.iter().any(|row| row.id != PROXY_CA) {
                    return Ok(false);
                }
                let data_key = txn.keyring.data.current().version;
                let created_at = txn.now.0;
                let mut row =
                    SigningKeyRow { id: key.id().to_owned(), created_at, revision: 1, data_key, sealed: Vec::new() };
                row.sealed = txn.seal(&aad(&row), key.pkcs8())?;
                txn.tx.insert_sealed(&row)?;
                txn.added(&aad(&row), &row.sealed)?;
                txn.record(Action::SigningKeyCreate, Subject::default())?;
                Ok(true)
            })
            .await
    }
}

/// Opens a key.
pub(crate) fn open(keyring: &Keyring, row: &SigningKeyRow) -> Result<SigningKey, VaultError> {
    let opened = record::open(keyring, &aad(row), row.data_key, &row.sealed)?;
    SigningKey::from_pkcs8(&opened).map_err(|_| VaultError::DamagedRow {
        table: "signing_key",
        id: row.id.clone(),
        what: "what was sealed is no key",
    })
}

pub(crate) fn aad(row: &SigningKeyRow) -> RecordAad<'_> {
    RecordAad {
        table: "signing_key",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        more: [row.created_at, 0, 0],
        ..RecordAad::default()
    }
}
