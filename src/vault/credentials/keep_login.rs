//! Storage of a completed login in one transaction: the credential, and one for each additional
//! token.

use std::time::Duration;

use super::credential_record::{open_summary, summary_of};
use super::metadata::{AdditionalToken, CredentialMetadata, Exportable, NewCredential};
use super::quota::{Quota, QuotaLimit};
use super::quota_check::{added_by, check};
use super::read::Credentials;
use super::shared_grant::{RevocationScope, discard};
use super::store::{ReplaceOutcome, Replacement, insert, replace};
use crate::id::CredentialId;
use crate::vault::error::VaultError;
use crate::vault::revocations::queued_revocation::QueuedRevocation;
use crate::vault::secrets::credential_secret::CredentialSecret;
use crate::vault::txn::audit_context::AuditContext;
use crate::vault::txn::write_txn::WriteTxn;
use crate::vault::users::{self, LogPosition};

/// The credentials of a completed login.
#[derive(Clone)]
pub struct NewLogin {
    /// The credential with the first token.
    pub first: NewCredential,
    /// The credentials with additional tokens, by the names that the entry gives them.
    pub further: Vec<(String, NewCredential)>,
}

/// The circumstances of a login.
#[derive(Clone)]
pub struct LoginTerms {
    /// The credential to replace; `None` for a new one.
    pub reconnect: Option<Replacement>,
    /// True if the login may create no credential, because its API key is limited to existing ones.
    pub only_existing: bool,
    /// End of the audit log when the login began.
    pub begun_at: Option<LogPosition>,
    /// The effect of a revocation at this provider, for tokens that are not stored.
    pub revocation: RevocationScope,
    /// Time for which the queue may keep such tokens.
    pub retry_for: Duration,
}

/// The result of storing a login.
pub enum KeptLogin {
    /// The credentials are stored.
    Kept {
        /// The one with the first token.
        first: Box<CredentialMetadata>,
        /// The credentials with additional tokens, in their order.
        further: Vec<CredentialMetadata>,
    },
    /// Nothing was stored.
    Refused {
        /// The reason.
        reason: LoginRefusal,
        /// The queued revocations of the new tokens.
        revocations: Vec<QueuedRevocation>,
    },
}

/// The reason why a login is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefusal {
    /// One of the tokens belongs to another account than its credential, or its account is
    /// unknown.
    OtherAccount {
        /// True if the account is known.
        known: bool,
    },
    /// The tokens were issued by another server than the credential's.
    OtherServer,
    /// The user was removed after the login began.
    UserRemoved,
    /// A credential of the login no longer exists, and the login may not create one.
    Absent,
    /// The user would exceed this limit.
    OverQuota(QuotaLimit),
}

impl Credentials<'_> {
    /// Stores all credentials of a login, or none. With `terms.reconnect` the credential with that
    /// id, and those with its additional tokens, are replaced if they still exist (see
    /// [`Credentials::replace`]); the others are new. If it stores none, it queues the tokens for
    /// revocation.
    pub async fn keep_login(
        self,
        login: NewLogin,
        terms: LoginTerms,
        who: &AuditContext,
    ) -> Result<KeptLogin, VaultError> {
        let fresh: Vec<CredentialId> = (0..=login.further.len()).map(|_| self.core.ids.credential()).collect();
        // The code is used up, so its tokens must be stored even on a full disk.
        let quota = self.quota;
        self.core.write_critical(who, move |txn| keep(txn, &login, (&terms, quota), &fresh)).await
    }

    /// Queues tokens of a login that is not stored for revocation, as `revocation` says; the queue
    /// keeps them for `retry_for`.
    pub async fn discard(
        self,
        tokens: Vec<NewCredential>,
        revocation: RevocationScope,
        retry_for: Duration,
        who: &AuditContext,
    ) -> Result<Vec<QueuedRevocation>, VaultError> {
        let id = self.core.ids.credential();
        let queue = move |txn: &mut WriteTxn<'_>| {
            let queued = tokens.iter().map(|new| discard_new(txn, new, (&revocation, retry_for), id));
            Ok(queued.collect::<Result<Vec<_>, VaultError>>()?.into_iter().flatten().collect())
        };
        self.core.write_critical(who, queue).await
    }
}

fn keep(
    txn: &mut WriteTxn<'_>,
    login: &NewLogin,
    (terms, quota): (&LoginTerms, Option<Quota>),
    fresh: &[CredentialId],
) -> Result<KeptLogin, VaultError> {
    if users::was_removed(txn, &login.first.user, terms.begun_at)? {
        let revocations = give_up(txn, login, terms, fresh[0])?;
        return Ok(KeptLogin::Refused { reason: LoginRefusal::UserRemoved, revocations });
    }
    let reconnect = terms.reconnect.as_ref();
    let old = match reconnect {
        Some(how) => further_of(txn, login, how)?,
        None => login.further.iter().map(|_| None).collect(),
    };
    if terms.only_existing && (reconnect.is_none() || old.iter().any(Option::is_none)) {
        let revocations = give_up(txn, login, terms, fresh[0])?;
        return Ok(KeptLogin::Refused { reason: LoginRefusal::Absent, revocations });
    }
    if let Some(how) = reconnect {
        let strange = login
            .further
            .iter()
            .zip(&old)
            .find(|((_, new), old)| old.as_ref().is_some_and(|old| how.refuses(old, new.account.as_deref())));
        if let Some(((_, new), _)) = strange {
            let known = new.account.is_some();
            let revocations = give_up(txn, login, terms, how.id)?;
            return Ok(KeptLogin::Refused { reason: LoginRefusal::OtherAccount { known }, revocations });
        }
    }
    if let Some(limit) = exceeded(txn, login, (reconnect, &old), (quota, fresh[0]))? {
        let revocations = give_up(txn, login, terms, fresh[0])?;
        return Ok(KeptLogin::Refused { reason: LoginRefusal::OverQuota(limit), revocations });
    }
    let first = match reconnect.map(|how| replace(txn, how, login.first.clone(), None)).transpose()? {
        Some(ReplaceOutcome::Done(first)) => first,
        Some(ReplaceOutcome::OtherAccount { known, revocation }) => {
            let reason = LoginRefusal::OtherAccount { known };
            return refused(txn, login, terms, fresh[0], (reason, revocation));
        }
        Some(ReplaceOutcome::OtherServer(revocation)) => {
            return refused(txn, login, terms, fresh[0], (LoginRefusal::OtherServer, revocation));
        }
        Some(ReplaceOutcome::Absent) if terms.only_existing => {
            let revocations = give_up(txn, login, terms, fresh[0])?;
            return Ok(KeptLogin::Refused { reason: LoginRefusal::Absent, revocations });
        }
        // Deleted or damaged during the login: the new grant becomes a new credential.
        Some(ReplaceOutcome::Absent) | None => Box::new(insert(txn, fresh[0], &login.first, None)?),
    };
    let mut further = Vec::with_capacity(login.further.len());
    for (((name, new), old), id) in login.further.iter().zip(old).zip(&fresh[1..]) {
        let beside = Some(AdditionalToken { of: first.id, name: name.clone() });
        // A token that comes with one that is not exportable is not exportable either.
        let exportable = Exportable(first.exportable.0 && new.exportable.0);
        let new = NewCredential { exportable, ..new.clone() };
        let again = reconnect.zip(old).map(|(how, old)| Replacement { id: old.id, ..how.clone() });
        let replaced = again.map(|how| replace(txn, &how, new.clone(), beside.clone())).transpose()?;
        further.push(if let Some(ReplaceOutcome::Done(summary)) = replaced {
            *summary
        } else {
            insert(txn, *id, &new, beside)?
        });
    }
    Ok(KeptLogin::Kept { first, further })
}

/// Gives up the additional tokens of a login whose first token was refused and queued.
fn refused(
    txn: &mut WriteTxn<'_>,
    login: &NewLogin,
    terms: &LoginTerms,
    id: CredentialId,
    (reason, first): (LoginRefusal, Option<Box<QueuedRevocation>>),
) -> Result<KeptLogin, VaultError> {
    let mut revocations: Vec<_> = first.into_iter().map(|queued| *queued).collect();
    for (_, new) in &login.further {
        revocations.extend(discard_new(txn, new, (&terms.revocation, terms.retry_for), id)?);
    }
    Ok(KeptLogin::Refused { reason, revocations })
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

/// Returns the limit that the user would exceed with all credentials of the login.
fn exceeded(
    txn: &WriteTxn<'_>,
    login: &NewLogin,
    (reconnect, old): (Option<&Replacement>, &[Option<CredentialMetadata>]),
    (quota, fresh): (Option<Quota>, CredentialId),
) -> Result<Option<QuotaLimit>, VaultError> {
    if quota.is_none() {
        return Ok(None);
    }
    let id = reconnect.map_or(fresh, |how| how.id);
    let mut change = added_by(txn, &login.first, (id, reconnect.is_some()))?;
    for ((_, new), old) in login.further.iter().zip(old) {
        let one = added_by(txn, new, (old.as_ref().map_or(fresh, |old| old.id), old.is_some()))?;
        change.credentials += one.credentials;
        change.credential_bytes += one.credential_bytes;
    }
    match check(txn.tx, &login.first.user, quota, change) {
        Err(VaultError::QuotaExceeded(limit)) => Ok(Some(limit)),
        other => other.map(|()| None),
    }
}

/// Queues all tokens of a login that is not stored for revocation, as those of the credential `id`.
fn give_up(
    txn: &mut WriteTxn<'_>,
    login: &NewLogin,
    terms: &LoginTerms,
    id: CredentialId,
) -> Result<Vec<QueuedRevocation>, VaultError> {
    let mut queued = Vec::new();
    for new in std::iter::once(&login.first).chain(login.further.iter().map(|(_, new)| new)) {
        queued.extend(discard_new(txn, new, (&terms.revocation, terms.retry_for), id)?);
    }
    Ok(queued)
}

fn discard_new(
    txn: &mut WriteTxn<'_>,
    new: &NewCredential,
    (revocation, retry_for): (&RevocationScope, Duration),
    id: CredentialId,
) -> Result<Option<QueuedRevocation>, VaultError> {
    let CredentialSecret::OAuth2(tokens) = &new.material else { return Ok(None) };
    discard(txn, (&summary_of(id, new, txn.now, txn.now), tokens), revocation, None, retry_for)
}
