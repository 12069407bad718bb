//! Grants that several credentials share: tokens are revoked only if no other credential depends on the grant.

use crate::id::{CredentialId, ProviderName};
use crate::kind::Kind;
use crate::vault::credentials::credential_record::open_summary;
use crate::vault::credentials::metadata::CredentialMetadata;
use crate::vault::error::VaultError;
use crate::vault::revocations::queue;
use crate::vault::secrets::credential_secret::Tokens;
use crate::vault::txn::write_txn::WriteTxn;
use std::time::Duration;

/// What deleting a credential means for the grant behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationScope {
    /// Nothing is revoked.
    Never,
    /// The tokens are revoked: at this provider that ends them alone.
    Token,
    /// The tokens are revoked unless another credential of the user hangs on the same grant: one of these providers,
    /// same client, same account, where an unknown client or account counts as the same.
    UnlessShared(Vec<ProviderName>),
}

/// Whether a credential of the user hangs on the same grant as `summary` does, as far as can be known; `except` is not
/// looked at.
pub(in crate::vault) fn is_shared(
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
            // Of a damaged one nothing is known.
            let Some(other) = row.ok().and_then(|row| open_summary(txn.keyring, &row).ok()) else { return Ok(true) };
            if may_be_same(other.client_id.as_ref(), summary.client_id.as_ref())
                && may_be_same(other.account.as_ref(), summary.account.as_ref())
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What is unknown counts as the same: revoking would kill a credential that somebody relies on.
fn may_be_same(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// Puts tokens that no credential has any use for into the revocation queue, unless revoking them would end a grant on
/// which a credential hangs: the one that was connected again meanwhile, say.
pub(in crate::vault) fn discard(
    txn: &mut WriteTxn<'_>,
    of: &CredentialMetadata,
    tokens: &Tokens,
    revocation: &RevocationScope,
    retry_for: Duration,
) -> Result<(), VaultError> {
    let revokes = match revocation {
        RevocationScope::Never => false,
        RevocationScope::Token => true,
        RevocationScope::UnlessShared(among) => !is_shared(txn, of, among, None)?,
    };
    if revokes {
        queue::enqueue(txn, of.revoked(), tokens.clone(), retry_for)?;
    }
    Ok(())
}
