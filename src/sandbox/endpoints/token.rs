//! The token endpoint (RFC 6749 §3.2).

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::authorize::scopes;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::message::reply::{Reply, json_reply};
use crate::sandbox::options::{Behaviour, RefreshTokens};
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::client::authenticate;
use crate::sandbox::state::grants::{CodeExchangeRequest, TokenSet};

impl AuthorizationServer {
    /// `POST /token`.
    pub(in crate::sandbox) fn token(&self, headers: &HeaderMap, form: &Form) -> Reply {
        match self.issue(headers, form) {
            Ok(tokens) => token_reply(&tokens),
            Err(error) => error.reply(),
        }
    }

    fn issue(&self, headers: &HeaderMap, form: &Form) -> Result<TokenSet, EndpointError> {
        let client = authenticate(&self.clients, headers, form)?;
        let behaviour = self.behaviour();
        match form.optional("grant_type")? {
            Some("authorization_code") => {
                let with = CodeExchangeRequest {
                    code: form.required("code")?,
                    client_id: &client.id,
                    redirect_uri: form.required("redirect_uri")?,
                    code_verifier: form.optional("code_verifier")?,
                };
                self.grants().redeem(&with, &behaviour)
            }
            Some("refresh_token") => {
                let scopes: Vec<String> = form
                    .optional("scope")?
                    .map(|text| text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
                    .unwrap_or_default();
                self.grants().refresh(form.required("refresh_token")?, &client.id, &scopes, &behaviour)
            }
            Some("client_credentials") => {
                if client.secret.is_none() {
                    let why = "a public client cannot use client_credentials (RFC 6749 §4.4)";
                    return Err(EndpointError::UnauthorizedClient(why));
                }
                let scopes = scopes(form).map_err(|(_, why)| EndpointError::InvalidScope(why))?;
                // Without a refresh token (RFC 6749 §4.4.3).
                let behaviour = Behaviour { refresh_tokens: RefreshTokens::Absent, ..Behaviour::clone(&behaviour) };
                Ok(self.grants().grant(client.id.clone(), client.id.clone(), &scopes, &behaviour).1)
            }
            Some("urn:ietf:params:oauth:grant-type:device_code") => {
                let approved = self.devices().poll(form.required("device_code")?, &client.id, &behaviour)?;
                Ok(self.grants().grant(client.id.clone(), approved.user, &approved.scopes, &behaviour).1)
            }
            Some(_) => Err(EndpointError::UnsupportedGrantType),
            None => Err(EndpointError::InvalidRequest("grant_type is missing")),
        }
    }
}

fn token_reply(tokens: &TokenSet) -> Reply {
    let mut document = json!({
        "access_token": tokens.access_token.expose(),
        "token_type": "Bearer",
        "expires_in": tokens.expires_in.as_secs(),
        "scope": tokens.scopes.join(" "),
    });
    if let Some(refresh_token) = &tokens.refresh_token {
        document["refresh_token"] = refresh_token.expose().into();
    }
    json_reply(StatusCode::OK, &document)
}
