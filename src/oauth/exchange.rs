//! The code (RFC 6749 §4.1.3): what a flow brings back becomes a grant.

use super::client::Client;
use super::grant::Grant;
use super::parameters::Parameters;
use super::pkce::CodeVerifier;
use super::token::{self, TokenError, TokenRequest};
use crate::catalog::entry::OAuth;
use crate::egress::Egress;
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
}

/// Exchanges the code for a grant: one POST, sent once and never again, for a code that is tried twice may cost the
/// tokens that the first try gave (RFC 6749 §4.1.2).
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
    token::send(egress, entry, client, request).await
}
