//! The signed head: a short text with the length of the log and the MAC of its last row. It is kept
//! where an attacker with access to the vault cannot change it. The public key verifies it, and the
//! rows that were exported with it.
//!
//! It is a JWS (RFC 7515) by an Ed25519 key (RFC 8037) that is derived from the audit key.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::chain::{AuditFault, Walk};
use super::log::{AuditLog, number};
use crate::jose::{self, Algorithm, Header, Jwks, SigningKey};
use crate::store::AuditRow;
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::manifest::Manifest;

/// `typ` of the JWS, so that it is not mistaken for another token (RFC 8725 §3.11).
const TYPE: &str = "strongroom-audit-head+jwt";

/// Rows per read.
const PAGE: u32 = 1000;

/// Exported rows, as the head after them signs them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRows {
    /// Number of the first row; the last is the head's row.
    pub first: u64,
    /// Number of rows.
    pub count: u64,
    /// SHA-256, in hex, over the exported lines, each with its line feed.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    vault: String,
    row: u64,
    mac: String,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<SignedRows>,
}

/// The reason why a text is not a head of this vault's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// Not a JWS, or not one by a key of this vault.
    #[error("it is not signed by this vault: {0}")]
    Signature(jose::JwsError),
    /// A JWS of another kind, or one of another vault.
    #[error("what is signed is not a head of this vault's audit log")]
    Other,
}

/// Comparison of the log with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFit {
    /// The row exists unchanged.
    Contained,
    /// The row differs: the log was rewritten.
    Rewritten,
    /// The log is shorter: it was cut, or an older vault was put back.
    Shorter,
    /// Retention has removed the row, so it cannot be compared.
    Removed,
}

/// One exported line.
#[derive(Serialize)]
struct Line<'e> {
    #[serde(flatten)]
    row: &'e AuditRow,
    mac: String,
}

impl AuditLog<'_> {
    /// Returns the keys that sign heads, newest first. The newest is in use.
    pub fn signing_keys(self) -> Vec<SigningKey> {
        self.core.keyring().audit.all.values().rev().map(|key| SigningKey::ed25519(&key.signing)).collect()
    }

    /// Signs the current head of the log.
    pub fn signed_head(self) -> Result<String, VaultError> {
        let manifest = self.core.read(Manifest::load)?;
        self.sign_head(&manifest, None)
    }

    /// Writes every row of the log as a line of JSON, checks the chain, and returns the head
    /// that signs the lines. Rows that are written meanwhile are not included.
    pub fn export<E: From<VaultError>>(self, mut write: impl FnMut(&str) -> Result<(), E>) -> Result<String, E> {
        let manifest = self.core.read(Manifest::load)?;
        let keyring = self.core.keyring();
        let mut walk = Walk::new(&keyring, &manifest);
        let mut digest = Sha256::new();
        let (first, mut after, mut count) = (manifest.audit_base + 1, number(manifest.audit_base), 0);
        loop {
            let page = self.core.store.read(|view| Ok::<_, VaultError>(view.audit_page(after, PAGE)?))?;
            let page: Vec<_> = page.into_iter().take_while(|row| row.seq <= number(manifest.audit_length)).collect();
            let Some(last) = page.last() else { break };
            after = last.seq;
            for row in page {
                let line = line(&mut walk, &row)?;
                digest.update(&line);
                write(&line)?;
                count += 1;
            }
        }
        if let Some(cut) = walk.end() {
            return Err(damaged(cut).into());
        }
        let sha256 = hex::write(&digest.finalize());
        Ok(self.sign_head(&manifest, Some(SignedRows { first, count, sha256 }))?)
    }

    fn sign_head(self, manifest: &Manifest, rows: Option<SignedRows>) -> Result<String, VaultError> {
        let keys = self.signing_keys();
        let key = keys.first().ok_or_else(|| VaultError::DamagedKeyring("there is no key for the audit log".into()))?;
        let claims = Claims {
            vault: hex::write(&self.core.keyring().vault_id),
            row: manifest.audit_length,
            mac: hex::write(&manifest.audit_head),
            iat: self.core.clock.now().0,
            rows,
        };
        let Value::Object(claims) = json!(claims) else { unreachable!("a struct is an object") };
        let header = Header { kind: Some(TYPE), key_id: Some(key.id().to_owned()), jwk: None };
        let signed = jose::sign(&header, &claims, key, Algorithm::EdDsa);
        Ok(signed.expect("an Ed25519 key signs whatever there is").expose().to_owned())
    }

    /// Verifies the signature of a head, and checks that the log still contains its row.
    /// Returns the data about the rows that were exported with it, for comparison.
    pub fn check_head(self, head: &str) -> Result<Result<(HeadFit, Option<SignedRows>), HeadFault>, VaultError> {
        let keys: Vec<Map<String, Value>> = self.signing_keys().iter().map(SigningKey::public_jwk).collect();
        let keys = Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap_or_default();
        let verified = match jose::verify(head, &keys, &[Algorithm::EdDsa]) {
            Ok(verified) => verified,
            Err(fault) => return Ok(Err(HeadFault::Signature(fault))),
        };
        let claims = serde_json::from_value::<Claims>(Value::Object(verified.claims.0)).ok();
        let own = hex::write(&self.core.keyring().vault_id);
        let claims = claims.filter(|claims| verified.kind.as_deref() == Some(TYPE) && claims.vault == own);
        let Some(claims) = claims else { return Ok(Err(HeadFault::Other)) };
        let fit = self.core.read(|view, keyring| {
            let manifest = Manifest::load(view, keyring)?;
            let mac = match claims.row {
                row if row > manifest.audit_length => return Ok(HeadFit::Shorter),
                row if row < manifest.audit_base => return Ok(HeadFit::Removed),
                row if row == manifest.audit_base => manifest.audit_base_mac,
                row => view.audit_page(number(row) - 1, 1)?.first().map_or([0; 32], |row| row.mac),
            };
            Ok(if hex::write(&mac) == claims.mac { HeadFit::Contained } else { HeadFit::Rewritten })
        })?;
        Ok(Ok((fit, claims.rows)))
    }
}

fn line(walk: &mut Walk<'_>, row: &AuditRow) -> Result<String, VaultError> {
    if let Some(fault) = walk.step(row).into_iter().flatten().next() {
        return Err(damaged(fault));
    }
    let mac = hex::write(&row.mac);
    let mut line = serde_json::to_string(&Line { row, mac }).expect("texts and numbers alone");
    line.push('\n');
    Ok(line)
}

fn damaged(fault: AuditFault) -> VaultError {
    let (id, what) = match fault {
        AuditFault::Changed { first, .. } => (first.to_string(), "it is not as it was written"),
        AuditFault::Missing { first, .. } | AuditFault::Cut { first, .. } => (first.to_string(), "it is missing"),
        AuditFault::Extra { first, .. } => (first.to_string(), "it was added from outside"),
    };
    VaultError::DamagedRow { table: "audit", id, what }
}
