//! The token endpoint (RFC 6749 §3.2).

use http::HeaderMap;
use serde_json::{Value, json};

use crate::sandbox::behaviour::RefreshTokens;
use crate::sandbox::client::{CLIENT_ID, authenticate};
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::grants::TokenSet;

impl AuthorizationServer {
    /// `POST /token`.
    pub(in crate::sandbox) fn token(&self, headers: &HeaderMap, form: &Form) -> Result<Value, EndpointError> {
        authenticate(&self.client_secret, headers, form)?;
        let mut grants = self.grants();
        let tokens = match form.get("grant_type")? {
            Some("authorization_code") => {
                let (code, redirect_uri) = (form.required("code")?, form.required("redirect_uri")?);
                grants.redeem(code, redirect_uri, form.get("code_verifier")?)?
            }
            Some("refresh_token") => grants.refresh(form.required("refresh_token")?, form.scopes()?)?,
            // Without a refresh token (RFC 6749 §4.4.3).
            Some("client_credentials") => {
                grants.grant(CLIENT_ID.to_owned(), &form.scopes_or_default()?, RefreshTokens::Absent).1
            }
            Some("urn:ietf:params:oauth:grant-type:device_code") => {
                let interval = grants.behaviour.device_interval;
                let (user, scopes) = self.devices().poll(form.required("device_code")?, interval)?;
                let refresh_tokens = grants.behaviour.refresh_tokens;
                grants.grant(user, &scopes, refresh_tokens).1
            }
            Some(_) => return Err(EndpointError::new("unsupported_grant_type", "this grant_type is not supported")),
            None => return Err(EndpointError::invalid_request("grant_type is missing")),
        };
        Ok(token_document(&tokens))
    }
}

fn token_document(tokens: &TokenSet) -> Value {
    let mut document = json!({
        "access_token": tokens.access_token.expose(),
        "token_type": "Bearer",
        "expires_in": tokens.expires_in.as_secs(),
        "scope": tokens.scopes.join(" "),
    });
    if let Some(refresh_token) = &tokens.refresh_token {
        document["refresh_token"] = refresh_token.expose().into();
    }
    document
}
