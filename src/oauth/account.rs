//! The account behind a grant, as the provider describes it.

use serde_json::Value;

use super::message::sanitize::contains_token;
use crate::catalog::entry;
use crate::catalog::value::JsonPointer;
use crate::secret::Secret;
use crate::visible::visible;

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 512;

/// Names of an account. Each may be missing, because not every provider gives all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The `username` of the credential.
    pub username: Option<String>,
    /// The title of the credential.
    pub title: Option<String>,
    /// The provider's own stable id of the account.
    pub account: Option<String>,
}

impl Account {
    /// Reads the names that the entry's pointers find in `value`; without pointers, the standard
    /// claims.
    pub(super) fn read(how: &entry::Identity, value: &Value) -> Self {
        let find = |pointer: &Option<JsonPointer>| name(pointer.as_ref()?.find(value)?);
        if how.from_id_token && [&how.username, &how.title, &how.account].into_iter().all(Option::is_none) {
            return Self::read_standard_claims(value);
        }
        Self { username: find(&how.username), title: find(&how.title), account: find(&how.account) }
    }

    /// Reads only the account id.
    pub(super) fn of_account(pointer: &JsonPointer, value: &Value) -> Self {
        Self { account: pointer.find(value).and_then(name), ..Self::default() }
    }

    /// Reads the standard claims (OpenID Connect Core §5.1).
    fn read_standard_claims(value: &Value) -> Self {
        let claim = |claim: &str| value.get(claim).and_then(name);
        Self {
            username: claim("preferred_username").or_else(|| claim("email")),
            title: claim("name"),
            account: claim("sub"),
        }
    }

    /// Fills in the user name of an OpenID account that has none: its `name`, else its `sub`.
    #[must_use]
    pub(super) fn named(self, how: &entry::Identity) -> Self {
        let has_pointers = [&how.username, &how.title, &how.account].into_iter().any(Option::is_some);
        if has_pointers || !how.from_id_token || self.username.is_some() {
            return self;
        }
        Self { username: self.title.clone().or_else(|| self.account.clone()), ..self }
    }

    /// Fills in from `other` the names that are missing here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            username: self.username.or(other.username),
            title: self.title.or(other.title),
            account: self.account.or(other.account),
        }
    }

    /// Drops every name that contains one of the tokens, because names are shown in lists.
    #[must_use]
    pub fn without_tokens<'a>(self, tokens: impl Iterator<Item = &'a Secret>) -> Self {
        let tokens: Vec<_> = tokens.collect();
        let is_safe = |name: &String| !tokens.iter().any(|token| contains_token(name, token));
        Self {
            username: self.username.filter(is_safe),
            title: self.title.filter(is_safe),
            account: self.account.filter(is_safe),
        }
    }
}

/// Returns a string, or a whole number as text. A name that is too long is dropped, because two
/// accounts could look alike after a cut.
fn name(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => visible(text).collect::<String>().trim().to_owned(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.chars().count() <= MAX_NAME).then_some(text)
}
