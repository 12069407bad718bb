//! A request that a person approves, and the sealed row that keeps it.

use crate::clock::UnixTime;
use crate::id::{ApiKeyId, ApprovalId, CredentialId, GrantId, ProviderName, UserId};
use crate::store::{ApprovalRow, ReadApproval};
use crate::vault::crypto::fields::{Value as _, encode, fields};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::keys;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::hex;
use crate::vault::txn::write_txn::WriteTxn;

/// The state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalStatus {
    /// No person has decided.
    Pending,
    /// It may be sent once.
    Approved,
    /// It must not be sent.
    Denied,
}

impl ApprovalStatus {
    const ALL: [Self; 3] = [Self::Pending, Self::Approved, Self::Denied];

    /// Returns the name in the API and in the vault.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A request as the person sees it, and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestToApprove {
    /// The API key that sent it.
    pub key: ApiKeyId,
    /// The user for whom it was sent.
    pub user: UserId,
    /// The provider.
    pub provider: ProviderName,
    /// The credential.
    pub credential: CredentialId,
    /// The grant that asks for approval.
    pub grant: GrantId,
    /// The digest over everything that is approved.
    pub digest: [u8; 32],
    /// The method.
    pub method: String,
    /// The canonical URL.
    pub url: String,
    /// Names and values of the headers that the approval covers.
    pub headers: Vec<(String, String)>,
    /// The first bytes of the body; empty when a person has decided.
    pub body: Vec<u8>,
    /// The length of the whole body.
    pub body_length: u64,
}

/// A stored request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// The id.
    pub id: ApprovalId,
    /// The request.
    pub request: RequestToApprove,
    /// The state.
    pub status: ApprovalStatus,
    /// Time of the first attempt.
    pub created_at: UnixTime,
    /// Time from which on it counts as absent.
    pub expires_at: UnixTime,
}

fields! {
    RequestToApprove {
        1 key,
        2 user,
        3 provider,
        4 credential,
        5 grant,
        6 digest,
        7 method,
        8 url,
        9 headers,
        10 body,
        11 body_length,
    }
}

/// Seals a request, and returns its row.
pub(super) fn seal(txn: &WriteTxn<'_>, approval: &ApprovalRequest, revision: i64) -> Result<ApprovalRow, VaultError> {
    let mut row = ApprovalRow {
        id: approval.id.to_string(),
        key: approval.request.key.to_string(),
        credential: approval.request.credential.to_string(),
        lookup: lookup(txn.keyring, &approval.request.digest),
        status: approval.status.name().to_owned(),
        created_at: approval.created_at.0,
        expires_at: approval.expires_at.0,
        revision,
        data_key: txn.keyring.data.current().version,
        sealed: Vec::new(),
    };
    row.sealed = txn.seal(&aad(&row), &encode(&approval.request))?;
    Ok(row)
}

/// Returns the keyed hash under which a request is found. It changes with the root key.
pub(super) fn lookup(keyring: &Keyring, digest: &[u8; 32]) -> String {
    let parts: [&[u8]; 3] = [b"strongroom approval lookup 1", &keyring.vault_id, digest];
    hex::write(&keys::mac(&keyring.root.index, parts))
}

/// Opens a row that may not even be readable.
pub(super) fn opened(keyring: &Keyring, row: &ReadApproval) -> Result<ApprovalRequest, VaultError> {
    open(keyring, row.as_ref().map_err(|error| VaultError::from(error.clone()))?)
}

/// Opens a row.
pub(crate) fn open(keyring: &Keyring, row: &ApprovalRow) -> Result<ApprovalRequest, VaultError> {
    let bytes = record::open(keyring, &aad(row), row.data_key, &row.sealed)?;
    let read = || {
        Some(ApprovalRequest {
            id: row.id.parse().ok()?,
            request: RequestToApprove::read(&bytes)?,
            status: ApprovalStatus::from_name(&row.status)?,
            created_at: UnixTime(row.created_at),
            expires_at: UnixTime(row.expires_at),
        })
    };
    let what = "it cannot be understood";
    read().ok_or_else(|| VaultError::DamagedRow { table: "approval", id: row.id.clone(), what })
}

/// The associated data. Key, credential and lookup take the fields of user, kind and provider.
pub(crate) fn aad(row: &ApprovalRow) -> RecordAad<'_> {
    RecordAad {
        table: "approval",
        column: "sealed",
        row: &row.id,
        revision: row.revision,
        kind: &row.credential,
        provider: &row.lookup,
        user: &row.key,
        status: &row.status,
        expiry: Some(row.expires_at),
        more: [row.created_at, 0, 0],
        ..RecordAad::default()
    }
}
