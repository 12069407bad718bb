//! Grants that several credentials share: tokens are revoked only if no other credential depends on
//! the grant.

use crate::id::{CredentialId, ProviderName};
use crate::kind::Kind;
use crate::store::CredentialRow;
use crate::vault::credentials::credential_record::{open_secret, open_summary, rewrite};
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::error::VaultError;
use crate::vault::revocations::queue;
use crate::vault::revocations::queued_revocation::QueuedRevocation;
use crate::vault::secrets::credential_secret::{CredentialSecret, Tokens};
use crate::vault::txn::write_txn::WriteTxn;
use std::time::Duration;

/// The effect of a deletion on the grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationScope {
    /// Nothing is revoked.
    Never,
    /// The tokens are revoked; at this provider a revocation affects these tokens only.
    Token,
    /// The tokens are revoked unless another credential of the user depends on the same grant:
    /// one of these providers, the same client, the same account. An unknown client or account
    /// counts as the same.
    UnlessShared(Vec<ProviderName>),
}

/// Returns true if another credential of the user may depend on the grant of `summary`; `except` is
/// ignored.
pub(crate) fn is_shared(
    txn: &WriteTxn<'_>,
    summary: &CredentialMetadata,
    among: &[ProviderName],
    except: Option<&CredentialId>,
) -> Result<bool, VaultError> {
    let except = except.map(ToString::to_string);
    for provider in among {
        for row in txn.tx.credentials_each(summary.user.as_str(), Some(provider.as_str()), "", None)? {
            let id = row.as_ref().map_or_else(|(id, _)| id, |row| &row.id);
            if Some(id) == except.as_ref() || row.as_ref().is_ok_and(|row| row.kind != Kind::OAuth2.name()) {
                continue;
            }
            // A damaged credential may depend on it.
            let Some(other) = row.ok().and_then(|row| open_summary(txn.keyring, &row).ok()) else { return Ok(true) };
            if may_share_grant(&other, summary) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Returns true if client and account of both may be the same.
pub(crate) fn may_share_grant(one: &CredentialMetadata, other: &CredentialMetadata) -> bool {
    may_be_same(one.client_id.as_ref(), other.client_id.as_ref())
        && may_be_same(one.account.as_ref(), other.account.as_ref())
}

/// Returns true if the values are equal or one is unknown: a revocation would break a credential in
/// use.
fn may_be_same(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// Keeps the tokens of a deleted credential with the newest one that shares their grant, to be
/// revoked with that one: the provider may end no more than the tokens that it is sent. They are
/// dropped if each of those is being refreshed, because a refresh replaces only the secret that it
/// began with.
pub(crate) fn hand_over(
    txn: &mut WriteTxn<'_>,
    of: &CredentialMetadata,
    tokens: Tokens,
    among: &[ProviderName],
) -> Result<(), VaultError> {
    let mut heir: Option<(CredentialRow, CredentialMetadata, Tokens)> = None;
    for provider in among {
        for row in txn.tx.credentials_each(of.user.as_str(), Some(provider.as_str()), "", None)? {
            let Ok(row) = row else { continue };
            let Ok(summary) = open_summary(txn.keyring, &row) else { continue };
            let is_newer = heir.as_ref().is_none_or(|(_, known, _)| known.created_at <= summary.created_at);
            if is_newer
                && may_share_grant(&summary, of)
                && summary.refreshing.in_doubt_since.is_none()
                && let Ok(CredentialSecret::OAuth2(own)) = open_secret(txn, &row, &summary)
                && own.issued_by == tokens.issued_by
            {
                heir = Some((row, summary, own));
            }
        }
    }
    let Some((row, summary, mut own)) = heir.filter(|(_, _, own)| !tokens.overlaps(own)) else { return Ok(()) };
    own.keep_replaced(tokens);
    rewrite(txn, &row, &summary, &summary, &CredentialSecret::OAuth2(own)).map(drop)
}

/// Queues tokens that no credential needs for revocation, unless a credential other than `except`
/// depends on the grant, for example after a reconnection.
pub(crate) fn discard(
    txn: &mut WriteTxn<'_>,
    (of, tokens): (&CredentialMetadata, &Tokens),
    revocation: &RevocationScope,
    except: Option<&CredentialId>,
    retry_for: Duration,
) -> Result<Option<QueuedRevocation>, VaultError> {
    let revokes = match revocation {
        RevocationScope::Never => false,
        RevocationScope::Token => true,
        RevocationScope::UnlessShared(among) => !is_shared(txn, of, among, except)?,
    };
    if revokes { Ok(Some(queue::enqueue(txn, of.revoked(), tokens.clone(), retry_for)?)) } else { Ok(None) }
}
