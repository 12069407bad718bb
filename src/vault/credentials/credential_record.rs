//! The two sealed records of a credential, metadata and secret: sealed, opened, rewritten and
//! erased.

use super::metadata::{CredentialMetadata, CredentialStatus, NewCredential};
use super::refresh_state::RefreshState;
use crate::clock::UnixTime;
use crate::id::CredentialId;
use crate::policy::HostPattern;
use crate::store::{CredentialRow, SecretRow, View};
use crate::vault::approvals::store as approvals;
use crate::vault::crypto::fields::{Value, encode};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::crypto::record::{self, RecordAad};
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_row::Subject;
use crate::vault::txn::write_txn::WriteTxn;

/// The object of an audit row about a credential.
pub(crate) fn subject(summary: &CredentialMetadata) -> Subject<'_> {
    Subject {
        user: Some(&summary.user),
        provider: Some(&summary.provider),
        credential: Some(&summary.id),
        ..Subject::default()
    }
}

/// Opens the metadata of a row.
pub(crate) fn open_summary(keyring: &Keyring, row: &CredentialRow) -> Result<CredentialMetadata, VaultError> {
    let bytes = record::open(keyring, &metadata_aad(row), row.data_key, &row.summary)?;
    let sealed = CredentialMetadata::read(&bytes)
        .ok_or_else(|| damaged("credential", row, "the summary cannot be understood"))?;
    // These two columns are written without sealing the record again.
    let refreshing = RefreshState { refresh_at: row.refresh_at.map(UnixTime), ..sealed.refreshing };
    Ok(CredentialMetadata { last_used_at: row.last_used_at.map(UnixTime), refreshing, ..sealed })
}

/// Opens the secret that belongs to the metadata.
pub(crate) fn open_secret(
    txn: &WriteTxn<'_>,
    row: &CredentialRow,
    summary: &CredentialMetadata,
) -> Result<CredentialSecret, VaultError> {
    open_secret_in(txn.tx, txn.keyring, row, summary)
}

/// Opens the secret in a read transaction.
pub(crate) fn open_secret_in(
    view: &View<'_>,
    keyring: &Keyring,
    row: &CredentialRow,
    summary: &CredentialMetadata,
) -> Result<CredentialSecret, VaultError> {
    let secret = secret_of(view, row)?;
    let place = secret_aad(row, summary.host.as_ref());
    let bytes = record::open(keyring, &place, secret.data_key, &secret.secret)?;
    CredentialSecret::read(&bytes)
        .filter(|secret| secret.kind() == summary.kind)
        .ok_or_else(|| damaged("credential_secret", row, "the secret cannot be understood"))
}

/// Erases both records of a credential.
pub(crate) fn erase(txn: &mut WriteTxn<'_>, row: &CredentialRow, host: Option<&HostPattern>) -> Result<(), VaultError> {
    let secret = secret_of(txn.tx, row)?;
    txn.removed(&metadata_aad(row), &row.summary)?;
    txn.removed(&secret_aad(row, host), &secret.secret)?;
    txn.tx.delete_credential(row, &secret)?;
    approvals::remove_of_credential(txn, &row.id)
}

/// Reads the secret's row. Its revision must be the one in the metadata's row; an older one was put
/// back.
fn secret_of(view: &View<'_>, row: &CredentialRow) -> Result<SecretRow, VaultError> {
    let secret = view.secret(&row.user, &row.id)?;
    let secret = secret.ok_or_else(|| damaged("credential_secret", row, "the secret is missing"))?;
    if secret.revision == row.secret_revision {
        Ok(secret)
    } else {
        Err(damaged("credential_secret", row, "the secret is of another revision than the summary"))
    }
}

/// Returns the metadata of a new, active, unused credential.
pub(crate) fn summary_of(
    id: CredentialId,
    new: &NewCredential,
    created_at: UnixTime,
    updated_at: UnixTime,
) -> CredentialMetadata {
    let host = if let CredentialSecret::HostScoped { host, .. } = &new.material { Some(host.clone()) } else { None };
    CredentialMetadata {
        id,
        user: new.user.clone(),
        provider: new.provider.clone(),
        kind: new.material.kind(),
        title: new.title.clone(),
        scopes: new.scopes.clone(),
        username: new.username.clone(),
        host,
        server: new.server.clone(),
        inputs: new.inputs.clone(),
        account: new.account.clone(),
        client_id: new.client_id.clone(),
        created_at,
        updated_at,
        expires_at: new.expires_at,
        last_used_at: None,
        status: CredentialStatus::Active,
        refreshing: RefreshState::fresh(&new.material, new.refresh_at),
        origin: None,
        beside: None,
        exportable: new.exportable,
    }
}

/// Returns the sealed bytes of both records.
pub(crate) fn size_of(summary: &CredentialMetadata, material: &CredentialSecret) -> usize {
    record::sealed_len(encode(summary).len()) + record::sealed_len(encode(material).len())
}

/// Adds both records of a credential.
pub(crate) fn new_records(
    txn: &mut WriteTxn<'_>,
    summary: &CredentialMetadata,
    material: &CredentialSecret,
) -> Result<(), VaultError> {
    let (row, secret) = seal_both(txn, summary, material, (1, 1))?;
    txn.tx.insert_credential(&row, &secret)?;
    txn.added(&metadata_aad(&row), &row.summary)?;
    txn.added(&secret_aad(&row, summary.host.as_ref()), &secret.secret)
}

/// Rewrites both records, each with its next revision, because status, marker and expiry are bound
/// to both. Returns the new row.
pub(crate) fn rewrite(
    txn: &mut WriteTxn<'_>,
    old: &CredentialRow,
    before: &CredentialMetadata,
    summary: &CredentialMetadata,
    material: &CredentialSecret,
) -> Result<CredentialRow, VaultError> {
    let old_secret = secret_of(txn.tx, old)?;
    let revisions = (old.revision + 1, old.secret_revision + 1);
    let (row, secret) = seal_both(txn, summary, material, revisions)?;
    txn.removed(&metadata_aad(old), &old.summary)?;
    txn.removed(&secret_aad(old, before.host.as_ref()), &old_secret.secret)?;
    txn.tx.update_credential(&row, old.summary.len())?;
    txn.tx.update_secret(&row.user, &row.id, &secret, old_secret.secret.len())?;
    txn.added(&metadata_aad(&row), &row.summary)?;
    txn.added(&secret_aad(&row, summary.host.as_ref()), &secret.secret)?;
    Ok(row)
}

/// Writes a new title. The secret is not rewritten, so nothing that is bound to it may change.
pub(crate) fn retitle(
    txn: &mut WriteTxn<'_>,
    old: &CredentialRow,
    summary: &CredentialMetadata,
) -> Result<(), VaultError> {
    let mut row = CredentialRow { updated_at: summary.updated_at.0, revision: old.revision + 1, ..old.clone() };
    row.summary = txn.seal(&metadata_aad(&row), &encode(summary))?;
    txn.removed(&metadata_aad(old), &old.summary)?;
    txn.tx.update_credential(&row, old.summary.len())?;
    txn.added(&metadata_aad(&row), &row.summary)
}

/// Seals metadata and secret with the given revisions.
fn seal_both(
    txn: &WriteTxn<'_>,
    summary: &CredentialMetadata,
    material: &CredentialSecret,
    (revision, secret_revision): (i64, i64),
) -> Result<(CredentialRow, SecretRow), VaultError> {
    let data_key = txn.keyring.data.current().version;
    let mut row = CredentialRow {
        user: summary.user.to_string(),
        id: summary.id.to_string(),
        provider: summary.provider.to_string(),
        kind: summary.kind.name().to_owned(),
        status: summary.status.name().to_owned(),
        in_doubt: summary.refreshing.in_doubt_since.map(|at| at.0),
        created_at: summary.created_at.0,
        updated_at: summary.updated_at.0,
        expires_at: summary.expires_at.map(|at| at.0),
        last_used_at: summary.last_used_at.map(|at| at.0),
        refresh_at: summary.refreshing.refresh_at.map(|at| at.0),
        revision,
        secret_revision,
        data_key,
        summary: Vec::new(),
    };
    row.summary = txn.seal(&metadata_aad(&row), &encode(summary))?;
    let secret = txn.seal(&secret_aad(&row, summary.host.as_ref()), &encode(material))?;
    Ok((row, SecretRow { revision: secret_revision, data_key, secret }))
}

pub(crate) fn metadata_aad(row: &CredentialRow) -> RecordAad<'_> {
    RecordAad {
        table: "credential",
        column: "summary",
        row: &row.id,
        revision: row.revision,
        kind: &row.kind,
        provider: &row.provider,
        user: &row.user,
        status: &row.status,
        in_doubt: row.in_doubt,
        expiry: row.expires_at,
        host: None,
        more: [row.created_at, row.updated_at, row.secret_revision],
    }
}

pub(crate) fn secret_aad<'a>(row: &'a CredentialRow, host: Option<&'a HostPattern>) -> RecordAad<'a> {
    RecordAad {
        table: "credential_secret",
        column: "secret",
        revision: row.secret_revision,
        host,
        more: [0; 3],
        ..metadata_aad(row)
    }
}

fn damaged(table: &'static str, row: &CredentialRow, what: &'static str) -> VaultError {
    VaultError::DamagedRow { table, id: row.id.clone(), what }
}
