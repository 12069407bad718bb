//! Endpoints for issued tokens: userinfo, revocation, introspection.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::message::reply::{Reply, json_reply};
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::client::authenticate;
use crate::sandbox::state::grants::TokenUse;

impl AuthorizationServer {
    /// `GET /userinfo`: describes the account of an access token (RFC 6750 §2.1).
    pub(in crate::sandbox) fn userinfo(&self, headers: &HeaderMap) -> Reply {
        let bearer = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(bearer_token);
        let grants = self.grants();
        let token =
            bearer.and_then(|token| grants.active(token)).filter(|(token, _)| token.used_as == TokenUse::Access);
        if let Some((token, _)) = token {
            return json_reply(StatusCode::OK, &account(&token.grant.user));
        }
        let challenge = if bearer.is_some() { r#"Bearer error="invalid_token""# } else { "Bearer" };
        let mut reply = json_reply(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_token" }));
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        reply
    }

    /// `POST /revoke` (RFC 7009).
    pub(in crate::sandbox) fn revoke(&self, headers: &HeaderMap, form: &Form) -> Reply {
        let revoked = authenticate(&self.clients, headers, form)
            .and_then(|client| self.grants().revoke(form.required("token")?, &client.id, &self.behaviour()));
        match revoked {
            Ok(()) => json_reply(StatusCode::OK, &json!({})),
            Err(error) => error.reply(),
        }
    }

    /// `POST /introspect` (RFC 7662). A client sees only its own tokens; all others are inactive.
    pub(in crate::sandbox) fn introspect(&self, headers: &HeaderMap, form: &Form) -> Reply {
        match self.token_state(headers, form) {
            Ok(state) => json_reply(StatusCode::OK, &state),
            Err(error) => error.reply(),
        }
    }

    fn token_state(&self, headers: &HeaderMap, form: &Form) -> Result<Value, EndpointError> {
        let client = authenticate(&self.clients, headers, form)?;
        let grants = self.grants();
        let own = grants.active(form.required("token")?).filter(|(token, _)| token.grant.client_id == client.id);
        let Some((token, expires_at)) = own else { return Ok(json!({ "active": false })) };
        let mut state = json!({
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
            state["token_type"] = "Bearer".into();
        }
        Ok(state)
    }
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Returns the claims (OpenID Connect Core §5.1) of an invented account.
fn account(user: &str) -> Value {
    json!({ "sub": subject(user), "preferred_username": user, "name": format!("{user} (Sandbox)") })
}

/// Returns the stable id of an account.
fn subject(user: &str) -> String {
    format!("sandbox|{user}")
}
