//! The revocation request.

use serde_json::{Value, json};
use strongroom::catalog::entry::{Body, RefreshWith, RevokeAuth, TokenAuth, TokenKind};

use super::Provider;
use super::parameters::Sent;
use super::rules::{RequestHead, Rules, check_headers, pairs};
use super::token::read_body;
use super::violation::{Violation, require};

/// The two kinds with their values of `token_type_hint`.
const KINDS: [(TokenKind, &str); 2] = [(TokenKind::Refresh, "refresh_token"), (TokenKind::Access, "access_token")];

/// A revocation that follows the rules.
struct Revocation {
    token: String,
    /// The token's kind, if the request names it.
    named: Option<TokenKind>,
    /// The access token that authenticates the request.
    bearer: Option<String>,
    /// The client that authenticates.
    client_id: Option<String>,
}

impl Provider {
    /// Revokes a token. Tokens have to come in the entry's order; the last one ends the grant.
    pub(super) fn revoke(&self, head: RequestHead<'_>, body: &[u8]) -> Result<Value, Violation> {
        let revocation = self.read_revocation(head, body)?;
        let mut grants = self.grants();
        if let Some(bearer) = &revocation.bearer {
            require(grants.by_access_token(bearer).is_some(), "the bearer is not a valid access token")?;
        }
        let client_id = revocation.client_id.as_deref();
        grants.revoke(&revocation.token, revocation.named, client_id, |nth| self.rules.nth_revocation(nth))?;
        Ok(json!({}))
    }

    fn read_revocation(&self, head: RequestHead<'_>, body: &[u8]) -> Result<Revocation, Violation> {
        let rules = &self.rules;
        let how = rules.entry.revoke.as_ref().ok_or_else(|| Violation("nothing is revoked here".to_owned()))?;
        let (bearer, query) = match how.auth {
            RevokeAuth::Bearer => rules.bearer(head, &how.url).map(|(token, query)| (Some(token), query))?,
            _ => (None, pairs(head.query)),
        };
        let named_client = self.clients.ids.iter().find(|id| rules.check_head(head, &query, &how.url, id).is_ok());
        let named_client = named_client.ok_or_else(|| Violation("the URL is another one".to_owned()))?;
        check_headers(head.headers, &how.headers, "")?;
        let mut sent = read_body(how.body, head.headers, body)?;
        let way = match how.auth {
            RevokeAuth::Client => Some(rules.entry.token_auth),
            RevokeAuth::Basic => Some(TokenAuth::Basic),
            RevokeAuth::Post => Some(TokenAuth::Post),
            RevokeAuth::Bearer => None,
            RevokeAuth::None => {
                require(!head.headers.contains_key("authorization"), "there is an Authorization header")?;
                None
            }
        };
        let client_id = way.map(|way| self.authenticate(way, head.headers, &mut sent)).transpose()?;
        let is_same =
            client_id.as_ref().is_none_or(|id| id == named_client || !how.url.as_str().contains("{client_id}"));
        require(is_same, "the URL names another client")?;
        if how.body == Body::None {
            let token = bearer.clone().ok_or_else(|| Violation("nothing carries the token".to_owned()))?;
            return Ok(Revocation { token, named: None, bearer, client_id });
        }
        sent.take_all(&how.params)?;
        let carried = KINDS.into_iter().find_map(|(kind, word)| {
            let standard = how.token_param.replace("{kind}", word);
            let token = sent.take_optional(rules.name(&standard))?;
            Some((token, how.token_param.contains("{kind}").then_some(kind)))
        });
        let (token, mut named) = carried.ok_or_else(|| Violation("the token is missing".to_owned()))?;
        if how.hint {
            let hint = sent.take("token_type_hint")?;
            let hinted = KINDS.into_iter().find(|(_, word)| *word == hint).map(|(kind, _)| kind);
            require(hinted.is_some() && named.is_none_or(|named| Some(named) == hinted), "token_type_hint is wrong")?;
            named = hinted;
        }
        sent.finish()?;
        Ok(Revocation { token, named, bearer, client_id })
    }
}

impl Rules {
    /// Returns true if a request to the token endpoint's URL is a revocation: its body has all the
    /// parameters that mark one.
    pub(super) fn is_revocation(&self, body: &[u8]) -> bool {
        let marks = self.entry.revoke.as_ref().map(|how| &how.params).filter(|marks| !marks.is_empty());
        marks.is_some_and(|marks| Sent::form(body).is_ok_and(|mut sent| sent.take_all(marks).is_ok()))
    }

    /// Returns the kind of token that is due as the `nth` revocation of a grant, and whether it is
    /// the last.
    fn nth_revocation(&self, nth: usize) -> Option<(TokenKind, bool)> {
        let how = self.entry.revoke.as_ref()?;
        let of_access = self.entry.refresh.as_ref().is_some_and(|how| how.with == RefreshWith::AccessToken);
        let exists = |kind: &&TokenKind| !of_access || **kind == TokenKind::Access;
        let tokens: Vec<TokenKind> = how.tokens.iter().filter(exists).copied().collect();
        let count = if how.first_only { 1 } else { tokens.len() };
        tokens.get(nth).filter(|_| nth < count).map(|kind| (*kind, nth + 1 == count))
    }
}
