//! Checks of a quota, before anything is written.

use super::credential_record::{size_of, summary_of};
use super::metadata::{CredentialMetadata, NewCredential};
use super::quota::{Quota, QuotaLimit};
use crate::id::{CredentialId, UserId};
use crate::store::{Usage, View, bytes};
use crate::vault::crypto::fields::encode;
use crate::vault::crypto::record;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::write_txn::WriteTxn;

/// Fails if the user would exceed the quota by this change. A change that adds nothing never does.
pub(crate) fn check(view: &View<'_>, user: &UserId, quota: Option<Quota>, change: Usage) -> Result<(), VaultError> {
    let Some(quota) = quota else { return Ok(()) };
    let usage = view.usage(user.as_str())?;
    let exceeds = |has: i64, more: i64, most: u64| more > 0 && has + more > i64::try_from(most).unwrap_or(i64::MAX);
    if exceeds(usage.credentials, change.credentials, quota.credentials) {
        return Err(VaultError::QuotaExceeded(QuotaLimit::Credentials(quota.credentials)));
    }
    if exceeds(usage.credential_bytes, change.credential_bytes, quota.bytes) {
        return Err(VaultError::QuotaExceeded(QuotaLimit::Bytes(quota.bytes)));
    }
    Ok(())
}

/// Returns what a credential adds: all of it, or what it has more than the one that it replaces.
pub(crate) fn added_by(
    txn: &WriteTxn<'_>,
    new: &NewCredential,
    (id, replaces): (CredentialId, bool),
) -> Result<Usage, VaultError> {
    let size = bytes(size_of(&summary_of(id, new, txn.now, txn.now), &new.material));
    if !replaces {
        return Ok(Usage::of_credentials(1, size));
    }
    let (user, id) = (new.user.as_str(), id.to_string());
    Ok(match (txn.tx.credential(user, &id)?, txn.tx.secret(user, &id)?) {
        (Some(row), Some(secret)) => Usage::of_credentials(0, size - bytes(row.summary.len() + secret.secret.len())),
        _ => Usage::of_credentials(1, size),
    })
}

/// Returns what a change of the metadata adds.
pub(crate) fn added_by_metadata(old: &CredentialMetadata, new: &CredentialMetadata) -> Usage {
    let size = |metadata: &CredentialMetadata| bytes(record::sealed_len(encode(metadata).len()));
    Usage::of_credentials(0, size(new) - size(old))
}

/// Returns what a change of metadata and secret adds.
pub(crate) fn added_by_change(
    (old, old_secret): (&CredentialMetadata, &CredentialSecret),
    (new, new_secret): (&CredentialMetadata, &CredentialSecret),
) -> Usage {
    Usage::of_credentials(0, bytes(size_of(new, new_secret)) - bytes(size_of(old, old_secret)))
}
