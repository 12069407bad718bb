//! An API key without its text, and the users that it may act for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::key_grants::KeyGrants;
use super::limits::KeyLimits;
use super::unmatched::Unmatched;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, UserId, is_user_pattern};
use crate::permission::{Permission, Permissions};

/// A key that a program presents. The text of the key is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The id, which may be shown and logged.
    pub id: ApiKeyId,
    /// The name, chosen by the operator.
    pub name: Option<String>,
    /// The holder.
    pub holder: KeyHolder,
    /// The permissions.
    pub permissions: Permissions,
    /// The providers and credentials to which the permissions are limited.
    pub limits: Arc<KeyLimits>,
    /// The grants.
    pub grants: Arc<KeyGrants>,
    /// The treatment of hosts to which none of its credentials is bound.
    pub unmatched: Unmatched,
    /// Time of creation.
    pub created_at: UnixTime,
    /// Time from which it is rejected; `None`: never.
    pub expires_at: Option<UnixTime>,
    /// Time of revocation; `None` if it is not revoked.
    pub revoked_at: Option<UnixTime>,
}

impl ApiKey {
    /// Returns true if it is neither revoked nor expired at `now`.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Returns true if the key is limited to its grants, and could obtain secrets past them.
    pub(super) fn evades_grants(&self) -> bool {
        self.grants.grants_only && self.permissions.contains(Permission::UseIntegrations)
    }
}

/// The holder of an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyHolder {
    /// One user.
    User(UserId),
    /// A service, which names the user in each request.
    Service {
        /// The users that it may name; if empty, all.
        users: Vec<UserPattern>,
    },
}

impl KeyHolder {
    /// Returns the user, if it is one.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Service { .. } => None,
        }
    }

    /// Returns true if a key of this holder may act for `user`.
    pub fn acts_for(&self, user: &UserId) -> bool {
        match self {
            Self::User(own) => own == user,
            Self::Service { users } => users.is_empty() || users.iter().any(|pattern| pattern.matches(user)),
        }
    }
}

/// A new API key.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The name, chosen by the operator.
    pub name: Option<String>,
    /// The holder.
    pub holder: KeyHolder,
    /// The permissions.
    pub permissions: Permissions,
    /// The providers and credentials to which the permissions are limited.
    pub limits: KeyLimits,
    /// The treatment of hosts to which none of its credentials is bound.
    pub unmatched: Unmatched,
    /// Time from which it is rejected; `None`: never.
    pub expires_at: Option<UnixTime>,
}

/// A pattern for user ids, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPattern(String);

/// A text that is not a valid pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user pattern has 1 to 255 visible ASCII characters without spaces; * stands for any text")]
pub struct UserPatternError;

impl UserPattern {
    /// Returns the pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the pattern covers the whole of `user`'s id.
    pub fn matches(&self, user: &UserId) -> bool {
        covers(self.0.as_bytes(), user.as_str().as_bytes())
    }
}

/// Matches greedily, with one backtracking point: time is at most the product of the lengths.
fn covers(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            p = after;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

impl FromStr for UserPattern {
    type Err = UserPatternError;

    fn from_str(text: &str) -> Result<Self, UserPatternError> {
        if is_user_pattern(text) { Ok(Self(text.to_owned())) } else { Err(UserPatternError) }
    }
}

impl fmt::Display for UserPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_matches_any_text() {
        let covered = |pattern: &str, user: &str| {
            pattern.parse::<UserPattern>().unwrap().matches(&user.parse::<UserId>().unwrap())
        };
        assert!(covered("team-a-*", "team-a-1") && covered("team-a-*", "team-a-") && covered("*", "x"));
        assert!(covered("*@a.org", "me@a.org") && covered("a*b*c", "a-b-b-c") && covered("alice", "alice"));
        assert!(!covered("team-a-*", "team-b-1") && !covered("alice", "alice2") && !covered("a*b", "a-b-c"));
        assert!(!covered("Team-*", "team-a"), "ids differ in case");
        assert!(covered("a/b+*", "a/b+c=") && covered("-*", "-x") && !covered("a?c", "abc") && !covered("a.c", "abc"));
        for bad in ["", "a b", "ü", &"x".repeat(256)] {
            assert!(bad.parse::<UserPattern>().is_err());
        }
    }

    #[test]
    fn holder_acts_for_its_own_users_only() {
        let [alice, bob] = ["alice", "bob"].map(|id| id.parse::<UserId>().unwrap());
        assert!(KeyHolder::User(alice.clone()).acts_for(&alice) && !KeyHolder::User(alice.clone()).acts_for(&bob));
        assert!(KeyHolder::Service { users: vec![] }.acts_for(&bob));
        assert!(!KeyHolder::Service { users: vec!["al*".parse().unwrap()] }.acts_for(&bob));
    }
}
