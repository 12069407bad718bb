//! The identity request: asks the provider whose account a grant is for.

use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use zeroize::Zeroizing;

use super::id_token::is_same_account;
use crate::catalog::entry::{self, OAuth};
use crate::egress::{Egress, EgressError, EgressRequest};
use crate::jose::Claims;
use crate::json;
use crate::oauth::account::Account;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::error::BuildError;
use crate::oauth::message::request::{accept_json, add_access_token, add_headers};
use crate::oauth::token::grant::Grant;

/// Reason why the account is unknown. The credential works nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No complete response arrived.
    #[error(transparent)]
    Unreachable(#[from] EgressError),
    /// The status is not a success.
    #[error("the identity endpoint answered with status {0}")]
    Status(u16),
    /// The response is not JSON, or a member occurs twice.
    #[error("the identity endpoint's response is not JSON")]
    NotJson,
    /// The response describes another account than the ID token.
    #[error("the identity endpoint describes another account than the ID token")]
    AnotherAccount,
    /// The request could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Returns the account of a grant; no names if the entry describes no identity request.
///
/// # Errors
/// See [`IdentityError`]; the caller continues without names.
pub async fn identify(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
) -> Result<Account, IdentityError> {
    let Some(how) = &entry.identity else { return Ok(Account::default()) };
    if how.from_token_answer {
        return Ok(grant.identity.clone().unwrap_or_default().without_tokens(grant.tokens()));
    }
    if how.from_id_token && how.url.is_absent() {
        return Ok(Account::default());
    }
    let value = fetch(egress, how, entry, client, grant).await?;
    Ok(Account::read(how, &value).named(how).without_tokens(grant.tokens()))
}

/// Returns the account that the checked `claims` of the ID token name. If they have no user name,
/// the userinfo endpoint is asked too (OpenID Connect Core §5.3).
///
/// # Errors
/// [`IdentityError::AnotherAccount`] if the endpoint describes another account (§5.3.2).
pub async fn identify_by_id_token(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
    claims: &Claims,
) -> Result<Account, IdentityError> {
    let openid = entry::Identity::openid(None);
    let how = entry.identity.as_ref().unwrap_or(&openid);
    let claimed = Account::read(how, &Value::Object(claims.0.clone())).without_tokens(grant.tokens());
    if claimed.username.is_some() || how.url.url().is_none() {
        return Ok(claimed.named(how));
    }
    match fetch(egress, how, entry, client, grant).await {
        Ok(value) if is_same_account(&value, claims) => {
            Ok(claimed.or(Account::read(how, &value).without_tokens(grant.tokens())).named(how))
        }
        Ok(_) => Err(IdentityError::AnotherAccount),
        Err(error) => {
            tracing::warn!(%error, "userinfo request failed; using the ID token's claims only");
            Ok(claimed.named(how))
        }
    }
}

async fn fetch(
    egress: &Egress,
    how: &entry::Identity,
    entry: &OAuth,
    client: &Client,
    grant: &Grant,
) -> Result<Value, IdentityError> {
    let build = || request(how, entry, client, grant);
    let response = Box::pin(client.dpop.send::<IdentityError>(egress, Some(&grant.access_token), build)).await?;
    if !response.status.is_success() {
        return Err(IdentityError::Status(response.status.as_u16()));
    }
    json::parse(&response.body).ok_or(IdentityError::NotJson)
}

fn request(how: &entry::Identity, entry: &OAuth, client: &Client, grant: &Grant) -> Result<EgressRequest, BuildError> {
    let mut headers = HeaderMap::new();
    // Some providers require the client id in a header beside the token.
    let further = how.headers.iter().map(|(name, value)| (name.clone(), value.replace("{client_id}", &client.id)));
    add_headers(&mut headers, &further.collect())?;
    let mut url = how.url.url().ok_or(BuildError::Url)?.clone();
    add_access_token(entry.access_token.as_ref(), &grant.token_type, &grant.access_token, &mut headers, &mut url)?;
    accept_json(&mut headers);
    if how.body.is_some() {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    let body = how.body.as_ref().map(|text| Zeroizing::new(text.clone().into_bytes()));
    Ok(EgressRequest { method: how.method.into(), url, headers, body, chosen: how.url.host_is_chosen() })
}
