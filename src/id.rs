//! Identifiers. Each type holds valid values only, so raw strings end at the edge of the program.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::clock::Clock;
use crate::random::Random;

/// Reason why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a provider's name.
    #[error("a provider name has 1 to 64 characters from a–z, 0–9, '_' and '-', the first a letter or a digit")]
    ProviderName,
    /// Not a name for a trusted issuer.
    #[error("an issuer name has 1 to 64 characters from a–z, 0–9, '_' and '-', the first a letter or a digit")]
    IssuerName,
    /// Not a user id.
    #[error("a user id has 1 to 255 visible ASCII characters, without spaces and *")]
    UserId,
    /// Not a credential id.
    #[error("a credential id is a lower-case UUID")]
    CredentialId,
    /// Not an API key's id.
    #[error("an API key id is a lower-case UUID (see `strongroom key list`)")]
    ApiKeyId,
    /// Not an approval's id.
    #[error("an approval id is a lower-case UUID (see `strongroom approval list`)")]
    ApprovalId,
    /// Not a grant's id.
    #[error("a grant id is a lower-case UUID (see `strongroom grant list`)")]
    GrantId,
}

/// The name of a provider in the catalogue: `github`, `google`, `smtp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ProviderName(String);

impl ProviderName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProviderName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(IdError::ProviderName) }
    }
}

fn is_name(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    starts_well && text.len() <= 64 && text.bytes().all(legal)
}

/// The configuration's name of an OpenID provider whose access tokens callers may present. Cheap to
/// clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct IssuerName(std::sync::Arc<str>);

impl FromStr for IssuerName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_name(text) { Ok(Self(text.into())) } else { Err(IdError::IssuerName) }
    }
}

/// The user whom credentials belong to: an opaque id that the application chooses. Every `sub` of
/// OpenID Connect (Core §2) in visible ASCII fits, except one with `*`, which is for patterns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserId(String);

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_user_pattern(text) && !text.contains('*') { Ok(Self(text.to_owned())) } else { Err(IdError::UserId) }
    }
}

/// Maximum length of a user id, in characters: that of `sub` (OpenID Connect Core §2).
pub const MAX_USER_ID: usize = 255;

/// Returns true if `text` is a user id, or a pattern for user ids, in which `*` stands for any text.
pub fn is_user_pattern(text: &str) -> bool {
    (1..=MAX_USER_ID).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic())
}

/// The id of a stored credential: a UUID of version 7 (RFC 9562), so that ids sort by creation
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialId(Uuid);

/// The id of an API key, which is not the key itself: a UUID of version 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiKeyId(Uuid);

/// The id of a grant, which says what a key may do: a UUID of version 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantId(Uuid);

/// The id of a request that a person approves: a UUID of version 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApprovalId(Uuid);

/// The id of a request, in `X-Request-Id` and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Generates an id. Each thread fetches random bytes for several ids at once; they are no
    /// secrets.
    pub fn fresh(random: Random) -> Self {
        thread_local! {
            static AHEAD: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
        }
        let bytes = AHEAD.with_borrow_mut(|ahead| {
            ahead.pop().unwrap_or_else(|| {
                let bytes: [u8; 512] = random.bytes();
                let (several, _) = bytes.as_chunks();
                ahead.extend_from_slice(&several[1..]);
                several[0]
            })
        });
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// Generates time-ordered identifiers: ids of one generator sort in creation order, even within a
/// millisecond.
#[derive(Debug)]
pub struct IdMaker {
    clock: Clock,
    order: std::sync::Mutex<ContextV7>,
}

impl IdMaker {
    /// Creates a generator that takes the time from `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, order: std::sync::Mutex::new(ContextV7::new()) }
    }

    /// Generates a credential id.
    pub fn credential(&self) -> CredentialId {
        CredentialId(self.fresh())
    }

    /// Generates an id for an API key.
    pub fn api_key(&self) -> ApiKeyId {
        ApiKeyId(self.fresh())
    }

    /// Generates an id for an approval.
    pub fn approval(&self) -> ApprovalId {
        ApprovalId(self.fresh())
    }

    /// Generates an id for a grant.
    pub fn grant(&self) -> GrantId {
        GrantId(self.fresh())
    }

    fn fresh(&self) -> Uuid {
        let millis = u64::try_from(self.clock.now_millis()).unwrap_or(0);
        let nanos = u32::try_from(millis % 1000 * 1_000_000).expect("less than 10^9");
        let order = self.order.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Uuid::new_v7(Timestamp::from_unix(&*order, millis / 1000, nanos))
    }
}

/// Parses a UUID in its only accepted form: lower case, with hyphens.
fn lower_case_uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(id)
}

macro_rules! uuid_id {
    ($name:ident, $error:expr) => {
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                lower_case_uuid(text).map(Self).ok_or($error)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }
    };
}

macro_rules! parsed_from_string {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
    )+};
}

macro_rules! shown_as_inner {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

uuid_id!(CredentialId, IdError::CredentialId);
uuid_id!(ApiKeyId, IdError::ApiKeyId);
uuid_id!(GrantId, IdError::GrantId);
uuid_id!(ApprovalId, IdError::ApprovalId);
parsed_from_string!(ProviderName, IssuerName, UserId, CredentialId, ApiKeyId, GrantId, ApprovalId);
shown_as_inner!(ProviderName, IssuerName, UserId, CredentialId, ApiKeyId, GrantId, ApprovalId, RequestId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn credential_ids_are_lower_case_uuids() {
        let id = "0192d3f0-7c3a-7000-8000-00000000000f";
        assert_eq!(id.parse::<CredentialId>().unwrap().to_string(), id);
        for bad in ["", "x", &id.to_uppercase(), &id.replace('-', ""), &format!("{{{id}}}"), &format!("urn:uuid:{id}")]
        {
            assert_eq!(bad.parse::<CredentialId>(), Err(IdError::CredentialId), "{bad}");
        }
    }

    #[test]
    fn names_have_a_fixed_alphabet() {
        let visible: String = ('!'..='~').filter(|c| *c != '*').collect();
        for good in ["auth0|64.A_b-c@x:1", "-x", "a/b", "a+b/c==", &visible, &"x".repeat(255)] {
            assert_eq!(good.parse::<UserId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ü", "a*b", "a\0", "a\u{7f}", "a\n", &"x".repeat(256)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
        assert!("open_router".parse::<ProviderName>().is_ok());
        for bad in ["", "GitHub", "a b", "../x", "_x", "-x", &"x".repeat(65)] {
            assert!(bad.parse::<ProviderName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_of_one_millisecond_sort_in_creation_order() {
        let maker = IdMaker::new(Clock::manual(UnixTime(1_800_000_000)));
        let ids: Vec<_> = (0..1000).map(|_| maker.credential()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
