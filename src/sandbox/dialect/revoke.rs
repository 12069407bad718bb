//! The revocation request, as the provider has it.

use super::super::options::SandboxClient;
use super::parameters::Sent;
use super::token::read_body;
use super::{Dialect, Head, Violation, check_headers, pairs, require};
use crate::catalog::entry::{Body, RefreshWith, Revoke, RevokeAuth, TokenAuth, TokenKind};
use crate::secret::Secret;

/// A revocation request that keeps what the entry says.
pub(in super::super) struct Revocation<'c> {
    /// The token that is to end.
    pub(in super::super) token: Secret,
    /// Which one the request says it is.
    pub(in super::super) named: Option<TokenKind>,
    /// The bearer of the request.
    pub(in super::super) bearer: Option<Secret>,
    /// The client that proved itself.
    pub(in super::super) client: Option<&'c SandboxClient>,
}

impl Dialect {
    /// The revocation that a request asks for.
    pub(in super::super) fn read_revocation<'c>(
        &self,
        head: Head<'_>,
        body: &[u8],
        clients: &'c [SandboxClient],
    ) -> Result<Revocation<'c>, Violation> {
        let how = self.how_it_revokes()?;
        let (bearer, query) = match how.auth {
            RevokeAuth::Bearer => self.presented(head, &how.url).map(|(token, query)| (Some(token), query))?,
            _ => (None, pairs(head.query)),
        };
        let named = clients.iter().find(|client| self.check_head(head, &query, &how.url, &client.id).is_ok());
        let named = named.ok_or_else(|| Violation("this is not the URL for that".to_owned()))?;
        check_headers(head.headers, &how.headers, "")?;
        let mut sent = read_body(how.body, head.headers, body)?;
        let way = match how.auth {
            RevokeAuth::Client => Some(self.entry.token_auth),
            RevokeAuth::Basic => Some(TokenAuth::Basic),
            RevokeAuth::Post => Some(TokenAuth::Post),
            RevokeAuth::Bearer => None,
            RevokeAuth::None => {
                require(!head.headers.contains_key("authorization"), "there is an Authorization header")?;
                None
            }
        };
        let client = way.map(|way| self.authenticated(way, head.headers, &mut sent, clients)).transpose()?;
        let same = client.is_none_or(|client| client.id == named.id || !how.url.as_str().contains("{client_id}"));
        require(same, "the URL names another client")?;
        if how.body == Body::None {
            let token = bearer.clone().ok_or_else(|| Violation("nothing carries the token".to_owned()))?;
            return Ok(Revocation { token, named: None, bearer, client });
        }
        sent.take_all(&how.params)?;
        let kinds = [(TokenKind::Refresh, "refresh_token"), (TokenKind::Access, "access_token")];
        let carried = kinds.into_iter().find_map(|(kind, word)| {
            let standard = how.token_param.replace("{kind}", word);
            let token = sent.take_if_there(self.name(&standard))?;
            Some((token, how.token_param.contains("{kind}").then_some(kind)))
        });
        let (token, mut named) = carried.ok_or_else(|| Violation("the token is missing".to_owned()))?;
        if how.hint {
            let hint = sent.take("token_type_hint")?;
            let hinted = kinds.into_iter().find(|(_, word)| *word == hint.expose()).map(|(kind, _)| kind);
            require(hinted.is_some() && named.is_none_or(|named| Some(named) == hinted), "token_type_hint is wrong")?;
            named = hinted;
        }
        sent.nothing_left()?;
        Ok(Revocation { token, named, bearer, client })
    }

    /// Whether a request to the token endpoint's URL is a revocation: all that marks one is in its body.
    pub(in super::super) fn is_revocation(&self, body: &[u8]) -> bool {
        let marks = self.entry.revoke.as_ref().map(|how| &how.params).filter(|marks| !marks.is_empty());
        marks.is_some_and(|marks| Sent::form(body).is_ok_and(|mut sent| sent.take_all(marks).is_ok()))
    }

    /// Which token the provider wants as the `nth`, of a grant with a refresh token; and whether it is the last.
    pub(in super::super) fn in_turn(&self, nth: usize) -> Option<(TokenKind, bool)> {
        let how = self.entry.revoke.as_ref()?;
        let of_access = self.entry.refresh.as_ref().is_some_and(|how| how.with == RefreshWith::AccessToken);
        let there = |kind: &&TokenKind| !of_access || **kind == TokenKind::Access;
        let tokens: Vec<TokenKind> = how.tokens.iter().filter(there).copied().collect();
        let all = if how.first_only { 1 } else { tokens.len() };
        tokens.get(nth).filter(|_| nth < all).map(|kind| (*kind, nth + 1 == all))
    }

    fn how_it_revokes(&self) -> Result<&Revoke, Violation> {
        self.entry.revoke.as_ref().ok_or_else(|| Violation("nothing is revoked here".to_owned()))
    }
}
