//! Whose account it is: one request with the fresh token, and JSON pointers into its answer.

use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use zeroize::Zeroizing;

use super::cleaning::{gives_away, visible};
use super::client::Client;
use super::grant::Grant;
use super::json;
use super::request::{self, Unbuildable};
use crate::catalog::entry::{self, OAuth};
use crate::egress::{Egress, EgressError, Outgoing};

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
    let answer = egress.send(userinfo_request(how, client, grant)?).await?;
    if !answer.status.is_success() {
        return Err(IdentityError::Status(answer.status.as_u16()));
    }
    let value = json::parse(&answer.body).ok_or(IdentityError::NotJson)?;
    Ok(Identity::read(how, &value).without_tokens(grant))
}

/// `{client_id}` in a header stands for our id: some providers want it beside the token.
fn userinfo_request(how: &entry::Identity, client: &Client, grant: &Grant) -> Result<Outgoing, Unbuildable> {
    let mut headers = HeaderMap::new();
    let further = how.headers.iter().map(|(name, value)| (name.clone(), value.replace("{client_id}", &client.id)));
    request::add_headers(&mut headers, &further.collect())?;
    request::bear(&mut headers, &grant.token_type, &grant.access_token)?;
    request::accept_json(&mut headers);
    if how.body.is_some() {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    let body = how.body.as_ref().map(|text| Zeroizing::new(text.clone().into_bytes()));
    let url = how.url.url().ok_or(Unbuildable::Url)?.clone();
    Ok(Outgoing { method: how.method.into(), url, headers, body })
}

impl Identity {
    /// What the entry's pointers find in `value`.
    pub(super) fn read(how: &entry::Identity, value: &Value) -> Self {
        let name = |pointer: &Option<_>| {
            let pointer: &crate::catalog::value::JsonPointer = pointer.as_ref()?;
            name(pointer.find(value)?)
        };
        Self { username: name(&how.username), title: name(&how.title), account: name(&how.account) }
    }

    /// A name with a token in it is none: names are listed.
    fn without_tokens(self, grant: &Grant) -> Self {
        let innocent = |name: &String| {
            let mut tokens = [Some(&grant.access_token), grant.refresh_token.as_ref()].into_iter().flatten();
            !tokens.any(|token| gives_away(name, token))
        };
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
