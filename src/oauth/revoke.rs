//! Ending a grant at the provider (RFC 7009), or in the provider's own way as the entry describes it.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::catalog::entry::{OAuth, RefreshWith, Revoke, RevokeAuth, TokenAuth, TokenKind};
use crate::egress::{Answer, Egress, EgressError, Outgoing};
use crate::json;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::{self, INVALID_CLIENT, Unbuildable};
use crate::oauth::message::sanitize::Cleaner;
use crate::oauth::token::response::error_code;
use crate::secret::Secret;

/// The tokens of a grant.
#[derive(Clone, Copy, Debug)]
pub struct Revocable<'a> {
    /// The access token.
    pub access_token: Option<&'a Secret>,
    /// The refresh token.
    pub refresh_token: Option<&'a Secret>,
}

/// Why the grant may live on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// The credential has none of the tokens that this provider revokes.
    #[error("there is no token that this provider revokes")]
    NoToken,
    /// There is no whole answer.
    #[error(transparent)]
    Unreachable(#[from] EgressError),
    /// The provider refuses, or fails.
    #[error("the revocation endpoint answered with status {status}{}", error.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The error code of the answer, cleaned like all that a provider says.
        error: Option<String>,
    },
    /// There was nothing to send.
    #[error(transparent)]
    Unbuildable(#[from] Unbuildable),
}

impl RevokeError {
    /// Whether to try again later, with all tokens: to revoke one twice does no harm (RFC 7009 §2.2).
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoToken | Self::Unbuildable(_) => false,
            Self::Unreachable(error) => error.is_passing(),
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
        }
    }
}

/// How one token ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The provider says so.
    Revoked,
    /// The provider does not revoke tokens of this kind (RFC 7009 §2.2.1); another one may have ended the grant.
    NotThisKind,
}

/// Revokes the tokens of a grant in the entry's order, the refresh token before the access token unless it says
/// otherwise; only the first of them where the entry says that it takes the others along. All that are sent must succeed; a token that the server does not know any more is a success.
///
/// # Errors
/// The first failure, and of several one that may pass. When the server cannot be reached, the rest is not tried.
pub async fn revoke(
    egress: &Egress,
    how: &Revoke,
    entry: &OAuth,
    client: &Client,
    tokens: &Revocable<'_>,
) -> Result<(), RevokeError> {
    // Where the access token is what is refreshed, it stands in both places, and there is one token to end.
    let one = entry.refresh.as_ref().is_some_and(|refresh| refresh.with == RefreshWith::AccessToken);
    let tokens = &Revocable { refresh_token: tokens.refresh_token.filter(|_| !one), ..*tokens };
    let (mut ended, mut failed): (Vec<Ended>, Option<RevokeError>) = (Vec::new(), None);
    let there = how.tokens.iter().filter_map(|kind| Some((*kind, tokens.of(*kind)?)));
    for token in there.take(if how.first_only { 1 } else { usize::MAX }) {
        match revoke_one(egress, how, entry, client, tokens, token).await {
            Ok(way) => ended.push(way),
            Err(error @ RevokeError::Unreachable(_)) => return Err(error),
            // The token that authenticates this request went with the grant that the one before it ended.
            Err(RevokeError::Refused { status: 401, .. })
                if how.auth == RevokeAuth::Bearer && ended.contains(&Ended::Revoked) => {}
            Err(error) if failed.as_ref().is_none_or(|first| !first.is_passing() && error.is_passing()) => {
                failed = Some(error);
            }
            Err(_) => {}
        }
    }
    match failed {
        Some(error) => Err(error),
        None if ended.contains(&Ended::Revoked) => Ok(()),
        None if ended.is_empty() => Err(RevokeError::NoToken),
        None => Err(RevokeError::Refused { status: 400, error: Some("unsupported_token_type".to_owned()) }),
    }
}

async fn revoke_one(
    egress: &Egress,
    how: &Revoke,
    entry: &OAuth,
    client: &Client,
    tokens: &Revocable<'_>,
    (kind, token): (TokenKind, &Secret),
) -> Result<Ended, RevokeError> {
    let mut cleaner = Cleaner::default();
    client.hide(&mut cleaner);
    for token in [Some(token), tokens.access_token, tokens.refresh_token].into_iter().flatten() {
        cleaner.hide(token.expose());
    }
    let way = match how.auth {
        RevokeAuth::Client => entry.token_auth,
        RevokeAuth::Basic => TokenAuth::Basic,
        RevokeAuth::Post => TokenAuth::Post,
        RevokeAuth::Bearer | RevokeAuth::None => TokenAuth::None,
    };
    let mut refused = Err(RevokeError::NoToken);
    for client in client.tries(way) {
        let answer = egress.send(revocation_request(how, entry, &client, tokens, (kind, token))?).await?;
        refused = judge(&answer, how, &cleaner);
        match &refused {
            Err(RevokeError::Refused { error: Some(error), .. }) if error == INVALID_CLIENT => {}
            _ => return refused,
        }
    }
    refused
}

fn revocation_request(
    how: &Revoke,
    entry: &OAuth,
    client: &Client,
    tokens: &Revocable<'_>,
    (kind, token): (TokenKind, &Secret),
) -> Result<Outgoing, Unbuildable> {
    let (mut headers, mut parameters) = (HeaderMap::new(), Parameters::default());
    let mut url = how.url.with_client_id(&client.id).ok_or(Unbuildable::Url)?;
    parameters.set(&how.token_param.replace("{kind}", kind.hint()), token.expose());
    if how.hint {
        parameters.set("token_type_hint", kind.hint());
    }
    request::add_headers(&mut headers, &how.headers)?;
    match how.auth {
        RevokeAuth::Client => client.authenticate(entry.token_auth, entry, &mut headers, &mut parameters)?,
        RevokeAuth::Basic => client.authenticate(TokenAuth::Basic, entry, &mut headers, &mut parameters)?,
        RevokeAuth::Post => client.authenticate(TokenAuth::Post, entry, &mut headers, &mut parameters)?,
        RevokeAuth::Bearer => {
            let bearer = tokens.access_token.unwrap_or(token);
            request::present(entry.access_token.as_ref(), "Bearer", bearer, &mut headers, &mut url)?;
        }
        RevokeAuth::None => {}
    }
    // Not `add`: some token endpoints revoke where `grant_type` says so. What is ours is set already, and stays.
    for (name, value) in &how.params {
        parameters.set(name, value);
    }
    request::accept_json(&mut headers);
    parameters.rename(&entry.rename);
    let body = request::body(how.body, &parameters, &mut headers);
    Ok(Outgoing { method: how.method.into(), url, headers, body })
}

/// Any 2xx is a success (RFC 7009 §2.2) unless its body says otherwise, and so is what the entry knows as the provider's
/// way to say that the token is dead already. A server that fails (5xx) knows nothing, whatever its body says.
fn judge(answer: &Answer, how: &Revoke, cleaner: &Cleaner) -> Result<Ended, RevokeError> {
    let error = match json::parse(&answer.body) {
        Some(Value::Object(members)) => error_code(&members),
        _ => None,
    };
    let refused = |error: Option<&str>| RevokeError::Refused {
        status: answer.status.as_u16(),
        error: error.map(|error| cleaner.error(error)),
    };
    let answered = answer.status.is_success() || answer.status.is_client_error();
    match error.as_deref() {
        None if answer.status.is_success() => Ok(Ended::Revoked),
        Some(error) if answered && how.gone_errors.iter().any(|gone| gone == error) => Ok(Ended::Revoked),
        None if how.gone_statuses.contains(&answer.status.as_u16()) => Ok(Ended::Revoked),
        Some("unsupported_token_type") if answer.status == StatusCode::BAD_REQUEST => Ok(Ended::NotThisKind),
        error => Err(refused(error)),
    }
}

impl Revocable<'_> {
    fn of(&self, kind: TokenKind) -> Option<&Secret> {
        match kind {
            TokenKind::Access => self.access_token,
            TokenKind::Refresh => self.refresh_token,
        }
    }
}

impl TokenKind {
    /// The value of `token_type_hint` (RFC 7009 §2.1).
    fn hint(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}
