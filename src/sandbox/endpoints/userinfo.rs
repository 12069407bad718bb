//! Endpoints for issued tokens: userinfo and revocation.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::sandbox::client::authenticate;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::message::reply::{Reply, json_reply};
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::grants::TokenUse;

impl AuthorizationServer {
    /// `GET /userinfo`: describes the account of an access token (RFC 6750 §2.1) with the claims of
    /// OpenID Connect Core §5.1.
    pub(in crate::sandbox) fn userinfo(&self, headers: &HeaderMap) -> Reply {
        let bearer = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(bearer_token);
        let grants = self.grants();
        let token = bearer.and_then(|token| grants.active(token)).filter(|token| token.used_as == TokenUse::Access);
        if let Some(token) = token {
            let user = &token.grant.user;
            let account = json!({
                "sub": format!("sandbox|{user}"), "preferred_username": user, "name": format!("{user} (Sandbox)"),
            });
            return json_reply(StatusCode::OK, &account);
        }
        let challenge = if bearer.is_some() { r#"Bearer error="invalid_token""# } else { "Bearer" };
        let mut reply = json_reply(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_token" }));
        reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        reply
    }

    /// `POST /revoke` (RFC 7009).
    pub(in crate::sandbox) fn revoke(&self, headers: &HeaderMap, form: &Form) -> Result<Value, EndpointError> {
        authenticate(&self.client_secret, headers, form)?;
        self.grants().revoke(form.required("token")?);
        Ok(json!({}))
    }
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
