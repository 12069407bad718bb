//! What can be done with a token once it is issued: ask whose it is, revoke it, look into it.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, json_answer};
use super::client::authenticate;
use super::form::Form;
use super::grants::TokenUse;
use super::server::AuthorizationServer;
use super::token::required;

impl AuthorizationServer {
    /// `GET /userinfo`: whose account the bearer of this access token was let into (RFC 6750 §2.1).
    pub(super) fn userinfo(&self, headers: &HeaderMap) -> Answer {
        let bearer = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(bearer_token);
        let grants = self.grants();
        let held = bearer.and_then(|token| grants.active(token)).filter(|(token, _)| token.used_as == TokenUse::Access);
        if let Some((token, _)) = held {
            return json_answer(StatusCode::OK, &account(&token.grant.user));
        }
        let challenge = if bearer.is_some() { r#"Bearer error="invalid_token""# } else { "Bearer" };
        let mut answer = json_answer(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_token" }));
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        answer
    }

    /// `POST /revoke` (RFC 7009).
    pub(super) fn revoke(&self, headers: &HeaderMap, form: &Form) -> Answer {
        let revoked = authenticate(&self.clients, headers, form)
            .and_then(|client| self.grants().revoke(required(form, "token")?, &client.id, &self.behaviour()));
        match revoked {
            Ok(()) => json_answer(StatusCode::OK, &json!({})),
            Err(refusal) => refusal.answer(),
        }
    }

    /// `POST /introspect` (RFC 7662). A client sees its own tokens; every other one is inactive to it.
    pub(super) fn introspect(&self, headers: &HeaderMap, form: &Form) -> Answer {
        match self.look_into(headers, form) {
            Ok(seen) => json_answer(StatusCode::OK, &seen),
            Err(refusal) => refusal.answer(),
        }
    }

    fn look_into(&self, headers: &HeaderMap, form: &Form) -> Result<Value, Refusal> {
        let client = authenticate(&self.clients, headers, form)?;
        let grants = self.grants();
        let held = grants.active(required(form, "token")?).filter(|(token, _)| token.grant.client_id == client.id);
        let Some((token, expires_at)) = held else { return Ok(json!({ "active": false })) };
        let mut seen = json!({
            "active": true,
            "client_id": client.id,
            "username": token.grant.user,
            "sub": subject(&token.grant.user),
            "scope": token.scopes.join(" "),
            "iat": token.issued_at,
            "exp": expires_at,
            "iss": self.base_url,
        });
        if token.used_as == TokenUse::Access {
            seen["token_type"] = "Bearer".into();
        }
        Ok(seen)
    }
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The claims of OpenID Connect Core §5.1 that a make-believe account has.
fn account(user: &str) -> Value {
    json!({ "sub": subject(user), "preferred_username": user, "name": format!("{user} (Sandbox)") })
}

/// The stable id of an account.
fn subject(user: &str) -> String {
    format!("sandbox|{user}")
}
