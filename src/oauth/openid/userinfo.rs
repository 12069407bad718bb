//! Whose account it is: one request with the fresh token, and JSON pointers into its answer.

use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use zeroize::Zeroizing;

use super::id_token::same_account;
use crate::catalog::entry::{self, OAuth};
use crate::catalog::value::JsonPointer;
use crate::egress::{Egress, EgressError, Outgoing};
use crate::jose::Claims;
use crate::json;
use crate::oauth::client_auth::client::Client;
use crate::oauth::client_auth::dpop;
use crate::oauth::message::request::{self, Unbuildable};
use crate::oauth::message::sanitize::{gives_away, visible};
use crate::oauth::token::grant::Grant;

/// The longest name that is taken, in characters.
const LONGEST: usize = 512;

/// What the provider says about the account. Any of it may be missing: not every provider says everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name for the `username` of the credential.
    pub username: Option<String>,
    /// The name for its title.
    pub title: Option<String>,
    /// The provider's own stable id of the account.
    pub account: Option<String>,
}

/// Why nobody knows whose account it is. The credential is good all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is no whole answer.
    #[error(transparent)]
    Unreachable(#[from] EgressError),
    /// Any other status than success.
    #[error("the identity endpoint answered with status {0}")]
    Status(u16),
    /// The answer is not JSON, or says something twice.
    #[error("the identity endpoint's answer is not JSON")]
    NotJson,
    /// The answer is about another account than the ID token.
    #[error("the identity endpoint answered for another account than the ID token names")]
    AnotherAccount,
    /// There was nothing to send.
    #[error(transparent)]
    Unbuildable(#[from] Unbuildable),
}

/// Asks whose account the grant is for; nobody where the entry has no way to ask.
///
/// # Errors
/// See [`IdentityError`]; the caller goes on without a name.
pub async fn identify(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
) -> Result<Identity, IdentityError> {
    let Some(how) = &entry.identity else { return Ok(Identity::default()) };
    if how.from_token_answer {
        return Ok(grant.identity.clone().unwrap_or_default().without_tokens(grant));
    }
    if how.from_id_token && how.url.is_absent() {
        return Ok(Identity::default());
    }
    let value = userinfo(egress, how, entry, client, grant).await?;
    Ok(Identity::read(how, &value).without_tokens(grant))
}

/// Whose account the grant is for, as its ID token says, whose `claims` were checked; and where that has no name, as the
/// userinfo endpoint says, if it says it of the same account (OpenID Connect Core §5.3.2).
pub async fn identify_by_id_token(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
    claims: &Claims,
) -> Result<Identity, IdentityError> {
    let openid = entry::Identity::openid(None);
    let how = entry.identity.as_ref().unwrap_or(&openid);
    let said = Identity::read(how, &Value::Object(claims.0.clone())).without_tokens(grant);
    if said.username.is_some() || how.url.url().is_none() {
        return Ok(said);
    }
    match userinfo(egress, how, entry, client, grant).await {
        Ok(value) if same_account(&value, claims) => Ok(said.or(Identity::read(how, &value).without_tokens(grant))),
        Ok(_) => Err(IdentityError::AnotherAccount),
        Err(error) => {
            tracing::warn!(%error, "the account was not asked for more than its ID token says");
            Ok(said)
        }
    }
}

async fn userinfo(
    egress: &Egress,
    how: &entry::Identity,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
) -> Result<Value, IdentityError> {
    let token = Some(&grant.access_token);
    let answer = dpop::send(egress, client, token, || userinfo_request(how, entry, client, grant)).await??;
    if !answer.status.is_success() {
        return Err(IdentityError::Status(answer.status.as_u16()));
    }
    json::parse(&answer.body).ok_or(IdentityError::NotJson)
}

/// `{client_id}` in a header stands for our id: some providers want it beside the token.
fn userinfo_request(
    how: &entry::Identity,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
) -> Result<Outgoing, Unbuildable> {
    let mut headers = HeaderMap::new();
    let further = how.headers.iter().map(|(name, value)| (name.clone(), value.replace("{client_id}", &client.id)));
    request::add_headers(&mut headers, &further.collect())?;
    let mut url = how.url.url().ok_or(Unbuildable::Url)?.clone();
    request::present(entry.access_token.as_ref(), &grant.token_type, &grant.access_token, &mut headers, &mut url)?;
    request::accept_json(&mut headers);
    if how.body.is_some() {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    let body = how.body.as_ref().map(|text| Zeroizing::new(text.clone().into_bytes()));
    Ok(Outgoing { method: how.method.into(), url, headers, body })
}

impl Identity {
    /// What the entry's pointers find in `value`.
    pub(in crate::oauth) fn read(how: &entry::Identity, value: &Value) -> Self {
        let name = |pointer: &Option<_>| {
            let pointer: &JsonPointer = pointer.as_ref()?;
            name(pointer.find(value)?)
        };
        if how.from_id_token && [&how.username, &how.title, &how.account].into_iter().all(Option::is_none) {
            return Self::read_standard_claims(value);
        }
        Self { username: name(&how.username), title: name(&how.title), account: name(&how.account) }
    }

    /// The account alone.
    pub(in crate::oauth) fn of_account(pointer: &JsonPointer, value: &Value) -> Self {
        Self { account: pointer.find(value).and_then(name), ..Self::default() }
    }

    /// The standard claims (OpenID Connect Core §5.1).
    fn read_standard_claims(value: &Value) -> Self {
        let claim = |claim: &str| value.get(claim).and_then(name);
        Self {
            username: claim("preferred_username").or_else(|| claim("email")),
            title: claim("name"),
            account: claim("sub"),
        }
    }

    /// This, and of `other` what is not known here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            username: self.username.or(other.username),
            title: self.title.or(other.title),
            account: self.account.or(other.account),
        }
    }

    /// A name with a token in it is none: names are listed.
    #[must_use]
    pub fn without_tokens(self, grant: &Grant) -> Self {
        let innocent = |name: &String| !grant.tokens().any(|token| gives_away(name, token));
        Self {
            username: self.username.filter(innocent),
            title: self.title.filter(innocent),
            account: self.account.filter(innocent),
        }
    }
}

/// A string, or a whole number as text. An overlong one is none: cut, two accounts could look like one.
fn name(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => visible(text).collect::<String>().trim().to_owned(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.chars().count() <= LONGEST).then_some(text)
}
