//! The authorization request and its answer, as the provider has them.

use std::collections::BTreeMap;

use super::super::form::Form;
use super::parameters::{Sent, standard};
use super::{Dialect, InputFrom, Violation, require};
use crate::secret::Secret;

/// Under which name the standard's form has the scopes of further tokens: JSON, for the standard has no word for them.
const FURTHER: &str = "sandbox_further";

/// The parameters by which a test decides in place of a user.
const DECISION: [&str; 2] = ["sandbox_decision", "sandbox_user"];

impl Dialect {
    /// The request under the standard's names, where it keeps what the entry says.
    pub(in super::super) fn read_authorization(&self, query: &str) -> Result<Form, Violation> {
        let mut sent = Sent::form(query.as_bytes())?;
        let [decision, user] = DECISION.map(|name| sent.take_if_there(name));
        let place = self.place(&self.entry.authorize_url, "");
        sent.take_all(place.query.iter().map(|(name, value)| (name, value)))?;
        sent.take_all(&self.entry.authorize_params)?;
        sent.take_fixed("response_type", "code")?;
        let client_id = sent.take(self.name("client_id"))?;
        let redirect_uri = sent.take(self.name("redirect_uri"))?;
        let state = sent.take("state")?;
        let scope = self.read_scopes(sent.take_if_there(self.name("scope")).as_ref())?;
        let further = self.read_further(&mut sent)?;
        let challenge = sent.take_if_there(self.name("code_challenge"));
        let challenge_method = sent.take_if_there("code_challenge_method");
        require(self.entry.pkce == challenge.is_some(), if self.entry.pkce { "no PKCE" } else { "PKCE" })?;
        let openid = scope.as_ref().is_some_and(|scope| scope.expose().split(' ').any(|scope| scope == "openid"));
        let nonce = sent.take_if_there("nonce");
        require(openid == nonce.is_some(), if openid { "no nonce" } else { "a nonce without the scope openid" })?;
        sent.nothing_left()?;
        Ok(standard([
            ("response_type", Some(Secret::new("code"))),
            ("client_id", Some(client_id)),
            ("redirect_uri", Some(redirect_uri)),
            ("state", Some(state)),
            ("scope", scope),
            (FURTHER, Some(Secret::new(further))),
            ("code_challenge", challenge),
            ("code_challenge_method", challenge_method),
            (DECISION[0], decision),
            (DECISION[1], user),
        ]))
    }

    /// Scopes with the provider's separator between them, each one that it knows, become scopes with a space.
    fn read_scopes(&self, sent: Option<&Secret>) -> Result<Option<Secret>, Violation> {
        let entry = &self.entry;
        let separator = entry.scope_separator.as_str();
        let scopes: Vec<String> =
            sent.iter().flat_map(|text| text.expose().split(separator)).map(str::to_owned).collect();
        for scope in &scopes {
            let known = [&entry.default_scopes, &entry.always_scopes, &self.further_scopes];
            let known = known.into_iter().any(|list| list.contains(scope));
            require(known, "the scopes are none of this provider's; perhaps the separator is wrong")?;
        }
        let there = entry.always_scopes.iter().all(|scope| scopes.contains(scope));
        require(there, "a scope that is always asked for is missing")?;
        let fixed = !entry.fixed_scopes || scopes.len() == entry.always_scopes.len();
        require(fixed, "there are more scopes than are ever asked for here")?;
        Ok(sent.is_some().then(|| Secret::new(scopes.join(" "))))
    }

    /// The scopes of further tokens, where they are asked for.
    fn read_further(&self, sent: &mut Sent) -> Result<String, Violation> {
        let mut asked = BTreeMap::new();
        for (name, further) in &self.entry.further_tokens {
            let Some(text) = further.scope_param.as_ref().and_then(|param| sent.take_if_there(param)) else { continue };
            let scopes: Vec<String> =
                text.expose().split(self.entry.scope_separator.as_str()).map(str::to_owned).collect();
            let known = |scope: &String| further.default_scopes.contains(scope) || self.further_scopes.contains(scope);
            require(scopes.iter().all(known), "a scope of a further token is none of this provider's")?;
            asked.insert(name, scopes);
        }
        Ok(serde_json::json!(asked).to_string())
    }

    /// What [`Self::read_authorization`] read of further tokens.
    pub(in super::super) fn further_asked(form: &Form) -> BTreeMap<String, Vec<String>> {
        let text = form.get(FURTHER).ok().flatten();
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// What the provider calls the code at the callback.
    pub(in super::super) fn code_param(&self) -> &str {
        self.entry.code_param.as_deref().unwrap_or("code")
    }

    /// What the provider adds to a callback that carries a code.
    pub(in super::super) fn callback_parameters(&self) -> Vec<(String, String)> {
        let inputs = self.entry.inputs.iter().filter(|(_, input)| input.from == InputFrom::Callback);
        let members = inputs.map(|(name, input)| input.member.as_ref().unwrap_or(name));
        let mut names: Vec<&String> = members.chain(&self.entry.callback_metadata).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|name| (name.clone(), self.says_in(name))).collect()
    }

    /// What the provider calls itself in its answers, where it does (RFC 9207).
    pub(in super::super) fn issuer(&self) -> Option<&str> {
        self.entry.issuer.as_deref().filter(|_| self.entry.announces_iss)
    }
}
