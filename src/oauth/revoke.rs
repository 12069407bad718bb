//! Token revocation (RFC 7009), or the provider's own way of ending a grant, as the entry describes
//! it.

use http::{HeaderMap, StatusCode};

use super::client_auth::client::Client;
use super::client_auth::request::ClientRequest;
use super::message::error::{BuildError, ClientRejection, INVALID_CLIENT, error_code, error_members};
use super::message::parameters::Parameters;
use super::message::request::{add_access_token, add_headers};
use super::message::sanitize::Sanitizer;
use crate::catalog::entry::{OAuth, RefreshWith, Revoke, RevokeAuth, TokenAuth, TokenKind};
use crate::egress::{Egress, EgressError, EgressResponse};
use crate::secret::Secret;

/// The tokens of a grant.
#[derive(Clone, Copy, Debug)]
pub struct RevocableTokens<'a> {
    /// The access token.
    pub access_token: Option<&'a Secret>,
    /// The refresh token.
    pub refresh_token: Option<&'a Secret>,
}

/// Reason why the grant may still be valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// The credential has none of the tokens that this provider revokes.
    #[error("the credential has no token that this provider revokes")]
    NoToken,
    /// No complete response arrived.
    #[error(transparent)]
    Unreachable(#[from] EgressError),
    /// The provider refuses, or fails.
    #[error("the revocation endpoint answered with status {status}{}", error.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    Refused {
        /// Status of the response.
        status: u16,
        /// Error code of the response, sanitized.
        error: Option<String>,
        /// True if the provider rejects the client's authentication.
        client: bool,
    },
    /// The request could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl RevokeError {
    /// Returns true if a later attempt may succeed. It may repeat all tokens, because revoking one
    /// twice does no harm (RFC 7009 §2.2).
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NoToken | Self::Build(_) => false,
            Self::Unreachable(error) => error.is_temporary(),
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
        }
    }
}

impl ClientRejection for RevokeError {
    fn rejects_client(&self) -> bool {
        matches!(self, Self::Refused { client: true, .. })
    }
}

/// Outcome of the revocation of one token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Revoked {
    /// The provider confirms it.
    Confirmed,
    /// The provider does not revoke tokens of this kind (RFC 7009 §2.2.1); another token may have
    /// ended the grant.
    UnsupportedKind,
}

/// Revokes the tokens of a grant in the entry's order, by default the refresh token first; only the
/// first one if the entry says that it ends the others. A token that the server does not know
/// counts as revoked.
///
/// # Errors
/// The first failure, or the first temporary one if there are several. If the server is
/// unreachable, the remaining tokens are not sent.
pub async fn revoke(
    egress: &Egress,
    how: &Revoke,
    entry: &OAuth,
    client: &Client,
    tokens: &RevocableTokens<'_>,
) -> Result<(), RevokeError> {
    // If the provider refreshes access tokens, the refresh token is a copy of the access token.
    let is_copy = entry.refresh.as_ref().is_some_and(|refresh| refresh.with == RefreshWith::AccessToken);
    let tokens = &RevocableTokens { refresh_token: tokens.refresh_token.filter(|_| !is_copy), ..*tokens };
    // A revocation carries no DPoP proof: it is the client that it authenticates, not the token.
    let client = &client.clone().with_dpop(None);
    let (mut revoked, mut failed): (Vec<Revoked>, Option<RevokeError>) = (Vec::new(), None);
    let present = how.tokens.iter().filter_map(|kind| Some((*kind, tokens.get(*kind)?)));
    for token in present.take(if how.first_only { 1 } else { usize::MAX }) {
        match revoke_one(egress, how, entry, client, tokens, token).await {
            Ok(outcome) => revoked.push(outcome),
            Err(error @ RevokeError::Unreachable(_)) => return Err(error),
            // The access token that authenticates this request ended with the previous token.
            Err(RevokeError::Refused { status: 401, .. })
                if how.auth == RevokeAuth::Bearer && revoked.contains(&Revoked::Confirmed) => {}
            Err(error) if failed.as_ref().is_none_or(|first| !first.is_temporary() && error.is_temporary()) => {
                failed = Some(error);
            }
            Err(_) => {}
        }
    }
    match failed {
        Some(error) => Err(error),
        None if revoked.contains(&Revoked::Confirmed) => Ok(()),
        None if revoked.is_empty() => Err(RevokeError::NoToken),
        None => {
            Err(RevokeError::Refused { status: 400, error: Some("unsupported_token_type".to_owned()), client: false })
        }
    }
}

async fn revoke_one(
    egress: &Egress,
    how: &Revoke,
    entry: &OAuth,
    client: &Client,
    tokens: &RevocableTokens<'_>,
    (kind, token): (TokenKind, &Secret),
) -> Result<Revoked, RevokeError> {
    let (mut headers, mut parameters) = (HeaderMap::new(), Parameters::default());
    let mut url = how.url.with_client_id(&client.id).ok_or(BuildError::Url)?;
    parameters.set(&how.token_param.replace("{kind}", kind.hint()), token.expose());
    if how.hint {
        parameters.set("token_type_hint", kind.hint());
    }
    // Not `add`, which skips protocol names: some token endpoints revoke if `grant_type` says so.
    for (name, value) in &how.params {
        parameters.set(name, value);
    }
    add_headers(&mut headers, &how.headers)?;
    let auth = match how.auth {
        RevokeAuth::Client => Some(entry.token_auth),
        RevokeAuth::Basic => Some(TokenAuth::Basic),
        RevokeAuth::Post => Some(TokenAuth::Post),
        RevokeAuth::Bearer => {
            let bearer = tokens.access_token.unwrap_or(token);
            add_access_token(entry.access_token.as_ref(), "Bearer", bearer, &mut headers, &mut url)?;
            None
        }
        RevokeAuth::None => None,
    };
    let masked = [Some(token), tokens.access_token, tokens.refresh_token].into_iter().flatten().collect();
    let (method, encoding) = (how.method, how.body);
    let (chosen, further) = (how.url.host_is_chosen(), Vec::new());
    let request = ClientRequest { url, chosen, method, headers, auth, encoding, parameters, further, masked };
    request.send(egress, entry, client, |response, sanitizer| read(response, how, sanitizer)).await
}

/// Reads the response: any 2xx is a success (RFC 7009 §2.2) unless its body reports an error. The
/// entry's own codes for a token that is gone already count as a success too. The body of a 5xx is
/// not believed.
fn read(response: &EgressResponse, how: &Revoke, sanitizer: &Sanitizer) -> Result<Revoked, RevokeError> {
    let error = error_members(&response.body).and_then(|members| error_code(&members));
    let status = response.status;
    let is_answer = status.is_success() || status.is_client_error();
    match error.as_deref() {
        None if status.is_success() => Ok(Revoked::Confirmed),
        Some(error) if is_answer && how.gone_errors.iter().any(|gone| gone == error) => Ok(Revoked::Confirmed),
        None if how.gone_statuses.contains(&status.as_u16()) => Ok(Revoked::Confirmed),
        Some("unsupported_token_type") if status == StatusCode::BAD_REQUEST => Ok(Revoked::UnsupportedKind),
        error => Err(RevokeError::Refused {
            status: status.as_u16(),
            client: error.is_some_and(|code| code.eq_ignore_ascii_case(INVALID_CLIENT)),
            error: error.map(|error| sanitizer.error(error)),
        }),
    }
}

impl RevocableTokens<'_> {
    fn get(&self, kind: TokenKind) -> Option<&Secret> {
        match kind {
            TokenKind::Access => self.access_token,
            TokenKind::Refresh => self.refresh_token,
        }
    }
}

impl TokenKind {
    /// Returns the value of `token_type_hint` (RFC 7009 §2.1).
    fn hint(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}
