//! The queue of tokens that are still to be revoked at their providers; the credentials are gone already.

use super::material::Tokens;
use super::summary::Summary;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};

/// What deleting a credential means for the grant behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Nothing is revoked.
    Never,
    /// The tokens are revoked: at this provider that ends them alone.
    Token,
    /// The tokens are revoked unless another credential of the user hangs on the same grant: same provider, same
    /// client, same account, where an unknown client or account counts as the same.
    UnlessShared,
}

/// What deleting did.
pub struct Deleted {
    /// The credential, as it was.
    pub summary: Summary,
    /// What is to be revoked now; it is in the queue already, so that a crash does not lose it.
    pub revocation: Option<QueuedRevocation>,
}

/// The id of a row in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RevocationId(pub(super) String);

/// Tokens that are to be revoked.
#[derive(Clone)]
pub struct QueuedRevocation {
    /// The row.
    pub id: RevocationId,
    /// Whose credential it was.
    pub user: UserId,
    /// At which provider.
    pub provider: ProviderName,
    /// Which credential it was.
    pub credential_id: CredentialId,
    /// The OAuth client through which it was connected, where that is known.
    pub client_id: Option<String>,
    /// The tokens.
    pub tokens: Tokens,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When to try next.
    pub not_before: UnixTime,
    /// When to give up; the tokens are erased then.
    pub give_up_at: UnixTime,
}
