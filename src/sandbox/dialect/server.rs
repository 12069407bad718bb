//! The endpoints in another provider's part: what comes in is read as the provider reads it, and answered in its shape.

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal, json_answer};
use super::super::endpoint::Endpoint;
use super::super::grants::TokenUse;
use super::super::page;
use super::super::server::{AuthorizationServer, read_body};
use super::token::Wanted;
use super::{Dialect, Head, Violation, require};
use crate::catalog::entry::TokenKind;
use crate::clock::UnixTime;

/// Why there is no answer.
enum Denied {
    /// The request is not the provider's.
    Violation(Violation),
    /// The standard says no.
    Refusal(Refusal),
}

impl From<Violation> for Denied {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl<'r> Head<'r> {
    pub(in super::super) fn of<B>(request: &'r Request<B>) -> Self {
        let uri = request.uri();
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        Self { method: request.method(), path, query, headers: request.headers() }
    }
}

impl AuthorizationServer {
    /// Answers as the provider does.
    pub(in super::super) async fn speak(
        &self,
        dialect: &Dialect,
        endpoint: Endpoint,
        request: Request<Incoming>,
    ) -> Answer {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, ());
        let head = Head::of(&request);
        if endpoint == Endpoint::Authorize {
            return match dialect.read_authorization(head.query) {
                Ok(form) => self.authorize(&form),
                Err(violation) => page::refusal(StatusCode::BAD_REQUEST, &violation.to_string()),
            };
        }
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(refusal) => return refusal.answer(),
        };
        let answered = match endpoint {
            Endpoint::Token if !dialect.is_revocation(&body) => self.give_tokens(dialect, head, &body),
            Endpoint::Introspect => self.tell_end(dialect, head, &body),
            Endpoint::Token | Endpoint::Revoke => self.end_token(dialect, head, &body),
            _ => self.tell_who(dialect, head, &body),
        };
        match answered {
            Ok(value) => dated(json_answer(StatusCode::OK, &value), self.clock.now()),
            Err(Denied::Refusal(refusal)) => refusal.answer(),
            Err(Denied::Violation(violation)) => {
                let said = json!({ "error": "invalid_request", "error_description": violation.to_string() });
                json_answer(StatusCode::BAD_REQUEST, &said)
            }
        }
    }

    fn give_tokens(&self, dialect: &Dialect, head: Head<'_>, body: &Bytes) -> Result<Value, Denied> {
        let (client, wanted, given) = dialect.read_token_request(head, body, &self.clients)?;
        let issued = match wanted {
            Wanted::Standard(form) => self.issue_to(client, &form)?,
            Wanted::Renewal(token) => self.grants().renew(token.expose(), &client.id, &self.behaviour())?,
        };
        let user = self.grants().active(issued.access_token.expose()).map(|(token, _)| token.grant.user.clone());
        Ok(dialect.token_answer(&issued, &user.unwrap_or_default(), self.clock.now(), given))
    }

    fn tell_end(&self, dialect: &Dialect, head: Head<'_>, body: &Bytes) -> Result<Value, Denied> {
        let (client, token) = dialect.read_introspection(head, body, &self.clients)?;
        let grants = self.grants();
        let own = grants.active(token.expose()).filter(|(token, _)| token.grant.client_id == client.id);
        Ok(own.map_or(json!({ "active": false }), |(_, end)| json!({ "active": true, "exp": end })))
    }

    fn tell_who(&self, dialect: &Dialect, head: Head<'_>, body: &Bytes) -> Result<Value, Denied> {
        let access = |text: &str| {
            let grants = self.grants();
            let (token, _) = grants.active(text).filter(|(token, _)| token.used_as == TokenUse::Access)?;
            Some((token.grant.client_id.clone(), token.grant.user.clone()))
        };
        let token = dialect.read_identity_request(head, body, |text| access(text).map(|(client_id, _)| client_id))?;
        let (_, user) = access(token.expose()).ok_or(Refusal::InvalidGrant("the token is not good"))?;
        Ok(dialect.identity_answer(&user))
    }

    /// The tokens of a grant come in the order that the entry says, and with the last of them the grant ends.
    fn end_token(&self, dialect: &Dialect, head: Head<'_>, body: &Bytes) -> Result<Value, Denied> {
        let revocation = dialect.read_revocation(head, body, &self.clients)?;
        let grants = self.grants();
        let token = grants.issued(revocation.token.expose());
        let token = token.ok_or_else(|| Violation("the token is none of ours".to_owned()))?;
        let kind = match token.used_as {
            TokenUse::Access => TokenKind::Access,
            TokenUse::Refresh { spent } => {
                require(!spent, "the refresh token was spent before")?;
                TokenKind::Refresh
            }
        };
        require(revocation.named.is_none_or(|named| named == kind), "the token is not the one that it is said to be")?;
        let own = revocation.client.is_none_or(|client| client.id == token.grant.client_id);
        require(own, "the token was issued to another client")?;
        if let Some(bearer) = &revocation.bearer {
            let bearer = grants.active(bearer.expose()).filter(|(bearer, _)| bearer.used_as == TokenUse::Access);
            require(bearer.is_some(), "the bearer is no good access token")?;
        }
        let (wanted, last) = dialect
            .in_turn(token.grant.next_revocation())
            .ok_or_else(|| Violation("a token more than are revoked here".to_owned()))?;
        require(wanted == kind, "it is not this token's turn")?;
        if last {
            token.grant.end();
        }
        Ok(json!({}))
    }
}

/// The answer with the sandbox's own time on it, which a client measures absolute times against.
fn dated(mut answer: Answer, now: UnixTime) -> Answer {
    let time = jiff::Timestamp::from_second(now.0).ok();
    let text = time.and_then(|time| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok());
    if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
        answer.headers_mut().insert(DATE, value);
    }
    answer
}
