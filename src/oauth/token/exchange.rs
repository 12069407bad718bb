//! The code (RFC 6749 §4.1.3): what a flow brings back becomes a grant.

use std::collections::BTreeMap;

use super::endpoint::{self, Sending, TokenError, TokenRequest};
use super::grant::Grant;
use super::introspect;
use super::refresh;
use crate::catalog::entry::{LongLived, OAuth};
use crate::egress::Egress;
use crate::oauth::authorization::pkce::CodeVerifier;
use crate::oauth::client_auth::client::Client;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::scope;
use crate::secret::Secret;

/// An authorization code (RFC 6749 §1.3.1): whoever has it and the verifier has the grant, so it is a secret.
#[derive(Clone, Debug)]
pub struct AuthorizationCode(Secret);

impl AuthorizationCode {
    /// The code of a callback, as it is: what is in it is the provider's affair.
    pub fn new(code: impl Into<String>) -> Self {
        Self(Secret::new(code))
    }
}

/// What a flow brings to the token endpoint.
#[derive(Clone, Copy, Debug)]
pub struct CodeExchange<'a> {
    /// The code of the callback.
    pub code: &'a AuthorizationCode,
    /// To the letter the one of the authorization request (RFC 6749 §4.1.3).
    pub redirect_uri: &'a str,
    /// The verifier whose challenge the authorization request had.
    pub verifier: Option<&'a CodeVerifier>,
    /// The scopes that the authorization request asked for.
    pub requested: &'a [String],
    /// The scopes that it asked for beside these, by the name of the further token.
    pub requested_further: &'a BTreeMap<String, Vec<String>>,
}

/// Exchanges the code for a grant: one POST, sent once and never again, for a code that is tried twice may cost the
/// tokens that the first try gave (RFC 6749 §4.1.2).
///
/// Where the entry has a second exchange for a long-lived token, that follows, and its token is the grant's.
pub async fn exchange(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    exchange: &CodeExchange<'_>,
) -> Result<Grant, TokenError> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", "authorization_code");
    parameters.set("code", exchange.code.0.expose());
    parameters.set("redirect_uri", exchange.redirect_uri);
    if let Some(verifier) = exchange.verifier {
        parameters.set("code_verifier", verifier.secret().expose());
    }
    let request = TokenRequest {
        url: &entry.token_url,
        parameters,
        further: &[&entry.token_params],
        hidden: [Some(&exchange.code.0), exchange.verifier.map(CodeVerifier::secret)].into_iter().flatten().collect(),
        requested: exchange.requested,
    };
    let grant = endpoint::send(egress, entry, client, request).await?;
    let mut grant = match &entry.long_lived {
        Some(how) => lengthen(egress, entry, client, grant, how).await?,
        None => grant,
    };
    round_off(egress, entry, client, &mut grant, exchange.requested_further).await;
    Ok(grant)
}

/// What a login's answer does not say of itself, of the first grant and of the further ones: when they end, what was granted of
/// what was asked for, and what they will be refreshed with.
pub async fn round_off(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    grant: &mut Grant,
    requested_further: &BTreeMap<String, Vec<String>>,
) {
    introspect::learn_end(egress, entry, client, grant).await;
    refresh::settle(entry, grant);
    for (name, further) in &mut grant.further {
        let requested = requested_further.get(name).map(Vec::as_slice).unwrap_or_default();
        if further.scopes.is_empty() {
            further.scopes = requested.to_vec();
        }
        let refreshable = further.refresh_token.is_some();
        further.missing_scopes = scope::missing(requested, &further.scopes, entry, refreshable, false);
        introspect::learn_end(egress, entry, client, further).await;
        refresh::settle(entry, further);
    }
}

/// The second exchange: the short-lived token is not kept; who granted what, the first answer said.
async fn lengthen(
    egress: &Egress,
    entry: &OAuth,
    client: &Client,
    short: Grant,
    how: &LongLived,
) -> Result<Grant, TokenError> {
    let mut parameters = Parameters::default();
    parameters.set("grant_type", &how.grant_type);
    parameters.set(&how.token_param, short.access_token.expose());
    let request = TokenRequest {
        url: &how.url,
        parameters,
        further: &[],
        hidden: vec![&short.access_token],
        requested: &short.scopes,
    };
    // Where the first answer nests its tokens, or names its scopes, this one need not.
    let plain = OAuth { token_path: None, ..entry.clone() };
    let sending = Sending { method: how.method, auth: how.auth.unwrap_or(entry.token_auth) };
    let long = endpoint::send_as(egress, &plain, client, request, &sending).await?;
    let mut metadata = short.metadata;
    metadata.extend(long.metadata);
    Ok(Grant {
        metadata,
        identity: short.identity,
        scopes: short.scopes,
        missing_scopes: short.missing_scopes,
        refresh_token: long.refresh_token.or(short.refresh_token),
        ..long
    })
}
