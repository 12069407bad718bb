//! The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3): the URL that the user opens.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Url, form_urlencoded};

use super::pkce::CodeVerifier;
use super::state::{Nonce, StateToken};
use crate::catalog::entry::{OAuth, is_protected_param};
use crate::oauth::message::error::BuildError;
use crate::oauth::message::parameters::Parameters;

/// All characters except the unreserved ones of RFC 3986. A space becomes `%20`, which every server
/// reads alike.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An authorization request.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationRequest<'a> {
    /// The provider's entry.
    pub entry: &'a OAuth,
    /// Our client id.
    pub client_id: &'a str,
    /// Redirect URI; the token request repeats it unchanged.
    pub redirect_uri: &'a str,
    /// Scopes, the entry's defaults included (`OAuth::scopes_for`); left out if empty.
    pub scopes: &'a [String],
    /// Scopes of further tokens, by the tokens' names (`OAuth::further_scopes_for`).
    pub further_scopes: &'a BTreeMap<String, Vec<String>>,
    /// The state of this flow.
    pub state: &'a StateToken,
    /// The verifier whose challenge is sent; `None` only if the provider rejects PKCE.
    pub verifier: Option<&'a CodeVerifier>,
    /// The nonce of the ID token, if the login uses OpenID Connect.
    pub nonce: Option<&'a Nonce>,
}

impl AuthorizationRequest<'_> {
    /// Returns the URL. The query of the endpoint's own URL stays, except for protocol parameters;
    /// the entry's further parameters come last.
    ///
    /// # Errors
    /// [`BuildError::Url`] if the endpoint's URL lacks a value.
    pub fn url(&self) -> Result<Url, BuildError> {
        self.url_with(self.parameters())
    }

    /// Returns the URL of a pushed request (RFC 9126 §4): only the client id and the reference are
    /// added to the endpoint's URL.
    ///
    /// # Errors
    /// [`BuildError::Url`] if the endpoint's URL lacks a value.
    pub fn url_of_pushed(&self, request_uri: &str) -> Result<Url, BuildError> {
        let mut parameters = Parameters::default();
        parameters.set("client_id", self.client_id);
        parameters.set("request_uri", request_uri);
        self.url_with(parameters)
    }

    fn url_with(&self, mut parameters: Parameters) -> Result<Url, BuildError> {
        parameters.rename(&self.entry.rename);
        let mut url = self.entry.authorize_url.url().ok_or(BuildError::Url)?.clone();
        let kept: Vec<String> =
            url.query().unwrap_or("").split('&').filter(|pair| is_kept(pair)).map(str::to_owned).collect();
        let known: Vec<String> = kept.iter().map(|pair| name_of(pair)).collect();
        let ours = parameters
            .iter()
            .filter(|(name, _)| !known.iter().any(|known| known == name))
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
        let query: Vec<String> = kept.iter().cloned().chain(ours).collect();
        url.set_query(Some(&query.join("&")));
        url.set_fragment(None);
        Ok(url)
    }

    /// Returns the parameters under the protocol's names.
    pub(super) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.set("response_type", "code");
        parameters.set("client_id", self.client_id);
        parameters.set("redirect_uri", self.redirect_uri);
        parameters.set_scopes(self.entry, self.scopes, self.further_scopes);
        parameters.set("state", self.state.expose());
        if let Some(verifier) = self.verifier {
            parameters.set("code_challenge", &verifier.challenge());
            parameters.set("code_challenge_method", "S256");
        }
        if let Some(nonce) = self.nonce {
            parameters.set("nonce", nonce.as_str());
        }
        parameters.add(&self.entry.authorize_params);
        parameters
    }
}

/// Returns true if a parameter of the endpoint's own URL stays. `scope` does not, because the flow
/// decides the scopes.
fn is_kept(pair: &str) -> bool {
    let name = name_of(pair);
    !pair.is_empty() && (is_routing(pair) || !is_protected_param(&name)) && name != "scope"
}

/// Returns true for a `request` parameter by which a server selects its page, as in
/// `authorize.php?request=authorize`. A request object (RFC 9101) could set any parameter of ours;
/// it has dots.
fn is_routing(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, value)| name == "request" && !value.contains(['.', '%']))
}

fn name_of(pair: &str) -> String {
    form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
