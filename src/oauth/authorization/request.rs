//! The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3): the URL that the user opens.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Url, form_urlencoded};

use super::pkce::CodeVerifier;
use super::push::Pushed;
use super::state::StateToken;
use crate::catalog::entry::{OAuth, is_protected_param};
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::Unbuildable;
use crate::oauth::openid::id_token::Nonce;

/// Everything but the unreserved characters of RFC 3986: a space becomes `%20`, which every server reads alike.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the user is to be asked.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationRequest<'a> {
    /// The provider.
    pub entry: &'a OAuth,
    /// Our id there.
    pub client_id: &'a str,
    /// Where the provider sends the user back to; the token request repeats it to the letter.
    pub redirect_uri: &'a str,
    /// The scopes, the entry's defaults already among them (`OAuth::scopes_for`); left out when there are none.
    pub scopes: &'a [String],
    /// The scopes of further tokens, by their names (`OAuth::further_scopes_for`).
    pub further_scopes: &'a BTreeMap<String, Vec<String>>,
    /// The state of this flow.
    pub state: &'a StateToken,
    /// The verifier of this flow, whose challenge is sent; none only where the provider rejects PKCE.
    pub verifier: Option<&'a CodeVerifier>,
    /// What binds the ID token to this flow; sent where the login is one of OpenID Connect.
    pub nonce: Option<&'a Nonce>,
}

impl AuthorizationRequest<'_> {
    /// The URL. What the endpoint's URL has in its query stays as it is written, except for parameters that are ours to
    /// set; the entry's further parameters come last.
    ///
    /// # Errors
    /// Where a value is missing from the endpoint's URL.
    pub fn url(&self) -> Result<Url, Unbuildable> {
        let mut parameters = self.parameters();
        parameters.rename(&self.entry.rename);
        self.url_with(&parameters)
    }

    /// The URL of a request that was pushed (RFC 9126 §4): beside what the endpoint's own has in its query, our id and the
    /// reference, and nothing else.
    ///
    /// # Errors
    /// Where a value is missing from the endpoint's URL.
    pub fn url_of_pushed(&self, pushed: &Pushed) -> Result<Url, Unbuildable> {
        let mut parameters = Parameters::default();
        parameters.set("client_id", self.client_id);
        parameters.set("request_uri", &pushed.request_uri);
        parameters.rename(&self.entry.rename);
        self.url_with(&parameters)
    }

    fn url_with(&self, parameters: &Parameters) -> Result<Url, Unbuildable> {
        let mut url = self.entry.authorize_url.url().ok_or(Unbuildable::Url)?.clone();
        let kept: Vec<String> =
            url.query().unwrap_or("").split('&').filter(|pair| stays(pair)).map(str::to_owned).collect();
        let there: Vec<String> = kept.iter().map(|pair| name_of(pair)).collect();
        let ours = parameters
            .iter()
            .filter(|(name, _)| !there.iter().any(|there| there == name))
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        let query: Vec<String> = kept.iter().cloned().chain(ours).collect();
        url.set_query(Some(&query.join("&")));
        url.set_fragment(None);
        Ok(url)
    }

    /// Under the protocol's names; the entry may have others for them.
    pub(in crate::oauth) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.set("response_type", "code");
        parameters.set("client_id", self.client_id);
        parameters.set("redirect_uri", self.redirect_uri);
        ask_for(&mut parameters, self.entry, self.scopes, self.further_scopes);
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

/// Sets what is asked for: the scopes (RFC 6749 §3.3), and those of further tokens under the names that the entry has for them.
pub(in crate::oauth) fn ask_for(
    parameters: &mut Parameters,
    entry: &OAuth,
    scopes: &[String],
    further: &BTreeMap<String, Vec<String>>,
) {
    if !scopes.is_empty() {
        parameters.set("scope", &scopes.join(entry.scope_separator.as_str()));
    }
    for (name, scopes) in further {
        let param = entry.further_tokens.get(name).and_then(|token| token.scope_param.as_ref());
        if let Some(param) = param {
            parameters.set(param, &scopes.join(entry.scope_separator.as_str()));
        }
    }
}

/// Whether a pair of the endpoint's own query stays in it. `scope` does not: what is asked for is the flow's to say.
fn stays(pair: &str) -> bool {
    let name = name_of(pair);
    !pair.is_empty() && (is_routing(pair) || !is_protected_param(&name)) && name != "scope"
}

/// `request` as some servers tell their pages apart by it (`authorize.php?request=authorize`); a request object (RFC 9101),
/// which could say anything in our name, has dots.
fn is_routing(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, value)| name == "request" && !value.contains(['.', '%']))
}

fn name_of(pair: &str) -> String {
    form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
