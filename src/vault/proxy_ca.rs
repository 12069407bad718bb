//! The certification authority of the forward proxy: its private key with its certificate, sealed in
//! the table of the signing keys.

use zeroize::Zeroizing;

use crate::store::SigningKeyRow;
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record;
use crate::vault::error::VaultError;
use crate::vault::signing_keys::{PROXY_CA, aad};
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::audit_row::{Action, Subject};
use crate::vault::txn::core::VaultCore;

/// A certification authority. It has no `Debug`, because its key is a secret.
#[derive(Clone)]
pub struct SealedCa {
    /// Private key in PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
    /// Certificate in DER.
    pub certificate: Vec<u8>,
}

/// The certification authority of a vault.
#[derive(Clone, Copy)]
pub struct ProxyCas<'v> {
    pub(crate) core: &'v VaultCore,
}

impl ProxyCas<'_> {
    /// Returns the authority, if there is one.
    pub fn current(self) -> Result<Option<SealedCa>, VaultError> {
        self.core.read(|view, keyring| view.signing_key(PROXY_CA)?.map(|row| open(keyring, &row)).transpose())
    }

    /// Keeps an authority, and returns the valid one: without `replaces` it is one that another
    /// process created meanwhile.
    pub async fn keep(self, new: SealedCa, replaces: bool, who: &AuditContext) -> Result<SealedCa, VaultError> {
        self.core
            .write(who, move |txn| {
                let old = txn.tx.signing_key(PROXY_CA)?;
                if let (Some(row), false) = (&old, replaces) {
                    return open(txn.keyring, row);
                }
                let mut row = SigningKeyRow {
                    id: PROXY_CA.to_owned(),
                    created_at: txn.now.0,
                    revision: old.as_ref().map_or(1, |old| old.revision + 1),
                    data_key: txn.keyring.data.current().version,
                    sealed: Vec::new(),
                };
                row.sealed = txn.seal(&aad(&row), &encode(&new))?;
                if let Some(old) = &old {
                    txn.removed(&aad(old), &old.sealed)?;
                    txn.tx.delete_signing_key(&old.id)?;
                }
                txn.tx.insert_sealed(&row)?;
                txn.added(&aad(&row), &row.sealed)?;
                txn.record(Action::ProxyCaCreate, Subject::default())?;
                Ok(new.clone())
            })
            .await
    }
}

/// Length of the key in two bytes, the key, the certificate.
fn encode(ca: &SealedCa) -> Zeroizing<Vec<u8>> {
    let length = u16::try_from(ca.key.len()).expect("a P-256 key has about 140 bytes");
    Zeroizing::new([&length.to_be_bytes(), ca.key.as_slice(), &ca.certificate].concat())
}

/// Opens an authority.
pub(crate) fn open(keyring: &Keyring, row: &SigningKeyRow) -> Result<SealedCa, VaultError> {
    let opened = record::open(keyring, &aad(row), row.data_key, &row.sealed)?;
    let parts = opened.split_first_chunk::<2>().and_then(|(length, rest)| {
        let (key, certificate) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        Some(SealedCa { key: Zeroizing::new(key.to_vec()), certificate: certificate.to_vec() })
    });
    parts.ok_or_else(|| VaultError::DamagedRow {
        table: "signing_key",
        id: row.id.clone(),
        what: "what was sealed is no key with its certificate",
    })
}
