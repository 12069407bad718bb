//! The authorization request and its callback.

use std::collections::BTreeMap;

use strongroom::catalog::input::InputFrom;
use url::Url;

use super::Provider;
use super::grants::Authorization;
use super::parameters::Sent;
use super::rules::Rules;
use super::violation::{Violation, require};

/// The parameter by which a test names the user who approves.
pub const USER: &str = "emulator_user";

impl Provider {
    /// Approves the request and returns the URL of the callback.
    pub(super) fn authorize(&self, query: &str) -> Result<Url, Violation> {
        let (authorization, state) = self.rules.read_authorization(query)?;
        require(self.clients.ids.contains(&authorization.client_id), "the client is unknown")?;
        require(self.clients.redirect_uri == authorization.redirect_uri, "the redirect URI is not registered")?;
        let mut to = Url::parse(&authorization.redirect_uri).map_err(|error| Violation(error.to_string()))?;
        let granted = self.grants().granted(&authorization.scopes);
        let code = self.grants().approve(authorization);
        let entry = &self.rules.entry;
        let granted = entry.callback_scope.as_ref().map(|name| (name, self.rules.written_scopes(&granted)));
        let issuer = entry.issuer.as_deref().filter(|_| entry.announces_iss);
        to.query_pairs_mut()
            .append_pair(entry.code_param.as_deref().unwrap_or("code"), &code)
            .extend_pairs(self.rules.callback_parameters())
            .append_pair("state", &state)
            .extend_pairs(granted)
            .extend_pairs(issuer.map(|issuer| ("iss", issuer)));
        Ok(to)
    }
}

impl Rules {
    /// Reads the request and its state.
    fn read_authorization(&self, query: &str) -> Result<(Authorization, String), Violation> {
        let mut sent = Sent::form(query.as_bytes())?;
        let user = sent.take(USER)?;
        let location = self.location(&self.entry.authorize_url, "");
        sent.take_all(location.query.iter().map(|(name, value)| (name, value)))?;
        sent.take_all(&self.entry.authorize_params)?;
        sent.take_fixed("response_type", "code")?;
        let client_id = sent.take(self.name("client_id"))?;
        let redirect_uri = sent.take(self.name("redirect_uri"))?;
        let state = sent.take("state")?;
        let scopes = self.read_scopes(sent.take_optional(self.name("scope")).as_deref())?;
        let further = self.read_further(&mut sent)?;
        let code_challenge = sent.take_optional(self.name("code_challenge"));
        let challenge_method = sent.take_optional("code_challenge_method");
        require(self.entry.pkce == code_challenge.is_some(), if self.entry.pkce { "no PKCE" } else { "PKCE" })?;
        let is_s256 = challenge_method.as_deref() == Some("S256");
        require(code_challenge.is_some() == is_s256, "code_challenge_method must be S256")?;
        let openid = scopes.iter().any(|scope| scope == "openid");
        let nonce = sent.take_optional("nonce");
        require(openid == nonce.is_some(), if openid { "no nonce" } else { "a nonce without the scope openid" })?;
        sent.finish()?;
        Ok((Authorization { client_id, user, redirect_uri, scopes, further, code_challenge }, state))
    }

    /// Splits scopes at the provider's separator. Each has to be known.
    fn read_scopes(&self, sent: Option<&str>) -> Result<Vec<String>, Violation> {
        let entry = &self.entry;
        let separator = entry.scope_separator.as_str();
        let scopes: Vec<String> = sent.iter().flat_map(|text| text.split(separator)).map(str::to_owned).collect();
        for scope in &scopes {
            let known = [&entry.default_scopes, &entry.always_scopes, &self.further_scopes];
            let is_known = known.into_iter().any(|list| list.contains(scope));
            require(is_known, "a scope is unknown here; perhaps the separator is wrong")?;
        }
        let complete = entry.always_scopes.iter().all(|scope| scopes.contains(scope));
        require(complete, "a scope that is always requested is missing")?;
        let fixed = !entry.fixed_scopes || scopes.len() == entry.always_scopes.len();
        require(fixed, "there are more scopes than are ever requested here")?;
        Ok(scopes)
    }

    /// Reads the scopes of further tokens.
    fn read_further(&self, sent: &mut Sent) -> Result<BTreeMap<String, Vec<String>>, Violation> {
        let mut requested = BTreeMap::new();
        for (name, further) in &self.entry.further_tokens {
            let text = further.scope_param.as_ref().and_then(|param| sent.take_optional(param));
            let Some(text) = text else { continue };
            let scopes: Vec<String> = text.split(self.entry.scope_separator.as_str()).map(str::to_owned).collect();
            let known = |scope: &String| further.default_scopes.contains(scope) || self.further_scopes.contains(scope);
            require(scopes.iter().all(known), "a scope of a further token is unknown here")?;
            requested.insert(name.clone(), scopes);
        }
        Ok(requested)
    }

    /// Returns the parameters that the provider adds to a callback with a code.
    fn callback_parameters(&self) -> Vec<(String, String)> {
        let inputs = self.entry.inputs.iter().filter(|(_, input)| input.from == InputFrom::Callback);
        let members = inputs.map(|(name, input)| input.member.as_ref().unwrap_or(name));
        let mut names: Vec<&String> = members.chain(&self.entry.callback_metadata).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|name| (name.clone(), self.member_value(name))).collect()
    }
}
