//! The signed head: a short text that says how long the log is and what its last row's MAC is, to be kept where nobody
//! who has the vault can change it. Whoever has the public key can check it, and the rows that were exported with it.
//!
//! It is a JWS (RFC 7515) by an Ed25519 key (RFC 8037), which is derived from the keyring's key for the log.

use super::log::AuditLog;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::chain::{AuditFault, Walk};
use super::log::{AuditEntry, entry};
use crate::jose::{self, Algorithm, Header, Jwks, SigningKey};
use crate::store::AuditRow;
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::manifest::Manifest;

/// `typ` of the JWS, so that nobody takes it for another kind of token (RFC 8725 §3.11).
const TYPE: &str = "strongroom-audit-head+jwt";

/// Rows that are read at one time.
const PAGE: u32 = 1000;

/// Rows that were exported, as the head that follows them signs them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRows {
    /// The number of the first; the last is the head's row.
    pub first: u64,
    /// How many there are.
    pub count: u64,
    /// SHA-256, in hex, over the lines as they were written, each with its line feed.
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

/// Why a text is no head of this vault's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// Not a JWS, or not one by a key of this vault.
    #[error("it is not signed by this vault: {0}")]
    Signature(jose::JwsError),
    /// A JWS of another kind, or one of another vault.
    #[error("what is signed is not a head of this vault's audit log")]
    Other,
}

/// How today's log stands to a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFit {
    /// The row is there, as it was.
    Contained,
    /// The row is another one: the log was written anew.
    Rewritten,
    /// The log is shorter than it was: it was cut, or an older vault was put back.
    Shorter,
    /// Retention has removed the row, so that nothing can be said.
    Removed,
}

/// One exported line.
#[derive(Serialize)]
struct Line<'e> {
    #[serde(flatten)]
    entry: &'e AuditEntry,
    mac: String,
}

impl AuditLog<'_> {
    /// The public halves of the keys that sign heads, the newest first, which is the one in use.
    pub fn signing_keys(self) -> Vec<SigningKey> {
        self.core.keyring().audit_signing_keys().map(|seed| SigningKey::ed25519(seed)).collect()
    }

    /// The signed head of the log as it is now.
    pub fn signed_head(self) -> Result<String, VaultError> {
        let manifest = self.core.read(Manifest::load)?;
        self.sign_head(&manifest, None)
    }

    /// Writes every row of the log as a line of JSON, checking the chain on the way, and gives the head that signs them.
    /// What is written meanwhile is not in it.
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
                let line = line(&mut walk, row)?;
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
            vault: hex::write(self.core.keyring().vault_id()),
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

    /// Checks the signature of a head, and whether today's log still contains its row. What was exported with it comes
    /// back, to be compared.
    pub fn check_head(self, head: &str) -> Result<Result<(HeadFit, Option<SignedRows>), HeadFault>, VaultError> {
        let keys: Vec<Map<String, Value>> = self.signing_keys().iter().map(SigningKey::public_jwk).collect();
        let keys = Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap_or_default();
        let verified = match jose::verify(head, &keys, &[Algorithm::EdDsa]) {
            Ok(verified) => verified,
            Err(fault) => return Ok(Err(HeadFault::Signature(fault))),
        };
        let claims = serde_json::from_value::<Claims>(Value::Object(verified.claims.0)).ok();
        let own = hex::write(self.core.keyring().vault_id());
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

fn line(walk: &mut Walk<'_>, row: AuditRow) -> Result<String, VaultError> {
    if let Some(fault) = walk.step(&row).into_iter().flatten().next() {
        return Err(damaged(fault));
    }
    let mac = hex::write(&row.mac);
    let mut line = serde_json::to_string(&Line { entry: &entry(row, true), mac }).expect("texts and numbers alone");
    line.push('\n');
    Ok(line)
}

fn damaged(fault: AuditFault) -> VaultError {
    let (id, what) = match fault {
        AuditFault::Changed { first, .. } => (first.to_string(), "it is not as it was written"),
        AuditFault::Missing { first, .. } | AuditFault::Cut { first, .. } => (first.to_string(), "it is missing"),
        AuditFault::Extra { first, .. } => (first.to_string(), "it was put in by somebody else"),
    };
    VaultError::DamagedRow { table: "audit", id, what }
}

fn number(row: u64) -> i64 {
    i64::try_from(row).expect("no log reaches 2^63 rows")
}
