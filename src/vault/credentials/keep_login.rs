//! What came of a login, kept in one transaction: the credential, and beside it one for each further token of the same answer.

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

/// What a login brought.
#[derive(Clone)]
pub struct NewLogin {
    /// The first token.
    pub first: NewCredential,
    /// The further ones, by the names that the entry has for them.
    pub further: Vec<(String, NewCredential)>,
}

/// What came of keeping it.
#[derive(Debug)]
pub enum KeptLogin {
    /// These are the credentials now.
    Kept {
        /// The one with the first token.
        first: Box<CredentialMetadata>,
        /// Those with the further ones, in their order.
        further: Vec<CredentialMetadata>,
    },
    /// One of the tokens is not of its credential's account, or nobody knows whose it is; nothing was changed.
    OtherAccount {
        /// Whether it is known whose it is.
        known: bool,
    },
}

impl Credentials<'_> {
    /// Keeps all that a login brought, or nothing. With `reconnect` the credential of that id, and those that came beside it,
    /// are replaced where they are still there (see [`Vault::replace_credential`]); everything else is new.
    pub async fn keep_login(
        self,
        login: NewLogin,
        reconnect: Option<Replacement>,
        who: &AuditContext,
    ) -> Result<KeptLogin, VaultError> {
        let fresh: Vec<CredentialId> = (0..=login.further.len()).map(|_| self.core.ids.credential()).collect();
        // A code is spent: what came of it cannot wait for room on the disk.
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
        // Deleted or damaged while the user logged in: what they have just granted is a new one.
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

/// The credentials that came beside the one that is replaced, each where the new login has its further token.
fn further_of(
    txn: &WriteTxn<'_>,
    login: &NewLogin,
    how: &Replacement,
) -> Result<Vec<Option<CredentialMetadata>>, VaultError> {
    let (user, provider) = (login.first.user.as_str(), login.first.provider.as_str());
    // Few entries have further tokens: nobody else waits for the rows to be opened.
    let rows =
        if login.further.is_empty() { Vec::new() } else { txn.tx.credentials(user, Some(provider), "", None)? };
    // One that is damaged is nobody's any more.
    let there: Vec<_> = rows.iter().filter_map(|row| open_summary(txn.keyring, row).ok()).collect();
    let of = |name: &String| {
        let beside = Some(AdditionalToken { of: how.id, name: name.clone() });
        there.iter().find(|summary| summary.beside == beside).cloned()
    };
    Ok(login.further.iter().map(|(name, _)| of(name)).collect())
}

/// The further tokens of a login that is refused go the way of the first.
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
