//! Storage of a completed login in one transaction: the credential, and one for each additional
//! token.

use super::credential_record::open_summary;
use super::metadata::{AdditionalToken, CredentialMetadata, NewCredential};
use super::read::Credentials;
use super::shared_grant::discard;
use super::store::{ReplaceOutcome, Replacement, insert, replace};
use crate::id::CredentialId;
use crate::vault::error::VaultError;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::write_txn::WriteTxn;

/// The credentials of a completed login.
#[derive(Clone)]
pub struct NewLogin {
    /// The credential with the first token.
    pub first: NewCredential,
    /// The credentials with additional tokens, by the names that the entry gives them.
    pub further: Vec<(String, NewCredential)>,
}

/// The result of storing a login.
#[derive(Debug)]
pub enum KeptLogin {
    /// The credentials are stored.
    Kept {
        /// The one with the first token.
        first: Box<CredentialMetadata>,
        /// The credentials with additional tokens, in their order.
        further: Vec<CredentialMetadata>,
    },
    /// One of the tokens belongs to another account than its credential, or its account is
    /// unknown. Nothing was changed.
    OtherAccount {
        /// True if the account is known.
        known: bool,
    },
}

impl Credentials<'_> {
    /// Stores all credentials of a login, or none. With `reconnect` the credential with that
    /// id, and those with its additional tokens, are replaced if they still exist (see
    /// [`Credentials::replace`]); the others are new.
    pub async fn keep_login(
        self,
        login: NewLogin,
        reconnect: Option<Replacement>,
        who: &AuditContext,
    ) -> Result<KeptLogin, VaultError> {
        let fresh: Vec<CredentialId> = (0..=login.further.len()).map(|_| self.core.ids.credential()).collect();
        // The code is used up, so its tokens must be stored even on a full disk.
        self.core.write_critical(who, move |txn| keep(txn, &login, reconnect.as_ref(), &fresh)).await
    }
}

fn keep(
    txn: &mut WriteTxn<'_>,
    login: &NewLogin,
    reconnect: Option<&Replacement>,
    fresh: &[CredentialId],
) -> Result<KeptLogin, VaultError> {
    let old = match reconnect {
        Some(how) => further_of(txn, login, how)?,
        None => login.further.iter().map(|_| None).collect(),
    };
    if let Some(how) = reconnect {
        let strange = login
            .further
            .iter()
            .zip(&old)
            .find(|((_, new), old)| old.as_ref().is_some_and(|old| how.refuses(old, new.account.as_deref())));
        if let Some(((_, new), _)) = strange {
            let known = new.account.is_some();
            give_up(txn, &login.first, how)?;
            return refused(txn, login, how, known);
        }
    }
    let first = match reconnect.map(|how| replace(txn, how, login.first.clone(), None)).transpose()? {
        Some(ReplaceOutcome::Done(first)) => first,
        Some(ReplaceOutcome::OtherAccount { known }) => {
            let Some(how) = reconnect else { return Ok(KeptLogin::OtherAccount { known }) };
            return refused(txn, login, how, known);
        }
        // Deleted or damaged during the login: the new grant becomes a new credential.
        Some(ReplaceOutcome::Absent) | None => Box::new(insert(txn, fresh[0], &login.first, None)?),
    };
    let mut further = Vec::with_capacity(login.further.len());
    for (((name, new), old), id) in login.further.iter().zip(old).zip(&fresh[1..]) {
        let beside = Some(AdditionalToken { of: first.id, name: name.clone() });
        let again = reconnect.zip(old).map(|(how, old)| Replacement { id: old.id, ..how.clone() });
        let replaced = again.map(|how| replace(txn, &how, new.clone(), beside.clone())).transpose()?;
        further.push(match replaced {
            Some(ReplaceOutcome::Done(summary)) => *summary,
            _ => insert(txn, *id, new, beside)?,
        });
    }
    Ok(KeptLogin::Kept { first, further })
}

/// Returns the existing credentials of the additional tokens, each at the position of its new
/// token.
fn further_of(
    txn: &WriteTxn<'_>,
    login: &NewLogin,
    how: &Replacement,
) -> Result<Vec<Option<CredentialMetadata>>, VaultError> {
    let (user, provider) = (login.first.user.as_str(), login.first.provider.as_str());
    // Few entries have additional tokens; other logins skip the opening of all rows.
    let rows =
        if login.further.is_empty() { Vec::new() } else { txn.tx.credentials(user, Some(provider), "", None)? };
    // A damaged credential cannot be replaced.
    let there: Vec<_> = rows.iter().filter_map(|row| open_summary(txn.keyring, row).ok()).collect();
    let of = |name: &String| {
        let beside = Some(AdditionalToken { of: how.id, name: name.clone() });
        there.iter().find(|summary| summary.beside == beside).cloned()
    };
    Ok(login.further.iter().map(|(name, _)| of(name)).collect())
}

/// Discards the additional tokens of a login that is rejected, like the first.
fn refused(txn: &mut WriteTxn<'_>, login: &NewLogin, how: &Replacement, known: bool) -> Result<KeptLogin, VaultError> {
    for (_, new) in &login.further {
        give_up(txn, new, how)?;
    }
    Ok(KeptLogin::OtherAccount { known })
}

fn give_up(txn: &mut WriteTxn<'_>, new: &NewCredential, how: &Replacement) -> Result<(), VaultError> {
    let CredentialSecret::OAuth2(tokens) = &new.material else { return Ok(()) };
    let of = super::credential_record::summary_of(how.id, new, txn.now, txn.now);
    discard(txn, &of, tokens, &how.revocation, how.retry_for)
}
