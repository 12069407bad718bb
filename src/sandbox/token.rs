//! The token endpoint (RFC 6749 §3.2): a code or a refresh token in, tokens out.

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::answer::{Answer, Refusal, json_answer};
use super::authorize::scopes;
use super::client::authenticate;
use super::form::{Form, Repeated};
use super::grants::{Issued, Redemption};
use super::options::{Behaviour, RefreshTokens, SandboxClient};
use super::server::AuthorizationServer;

impl AuthorizationServer {
    /// `POST /token`.
    pub(super) fn token(&self, headers: &HeaderMap, form: &Form) -> Answer {
        match self.issue(headers, form) {
            Ok(issued) => issued.answer(),
            Err(refusal) => refusal.answer(),
        }
    }

    fn issue(&self, headers: &HeaderMap, form: &Form) -> Result<Issued, Refusal> {
        self.issue_to(authenticate(&self.clients, headers, form)?, form)
    }

    /// What a client that has proved itself is given.
    pub(super) fn issue_to(&self, client: &SandboxClient, form: &Form) -> Result<Issued, Refusal> {
        let behaviour = self.behaviour();
        match optional(form, "grant_type")? {
            Some("authorization_code") => {
                let with = Redemption {
                    code: required(form, "code")?,
                    client_id: &client.id,
                    redirect_uri: required(form, "redirect_uri")?,
                    code_verifier: optional(form, "code_verifier")?,
                };
                self.grants().redeem(&with, &behaviour)
            }
            Some("refresh_token") => {
                let scopes: Vec<String> = optional(form, "scope")?
                    .map(|text| text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
                    .unwrap_or_default();
                let redirect_uri = optional(form, "redirect_uri")?;
                let token = required(form, "refresh_token")?;
                self.grants().refresh(token, &client.id, &scopes, redirect_uri, &behaviour)
            }
            Some("client_credentials") => {
                if client.secret.is_none() {
                    return Err(Refusal::UnauthorizedClient("a public client cannot ask for itself (RFC 6749 §4.4)"));
                }
                let scopes = scopes(form).map_err(|(_, why)| Refusal::InvalidScope(why))?;
                // Without a refresh token (RFC 6749 §4.4.3).
                let behaviour = Behaviour { refresh_tokens: RefreshTokens::Absent, ..Behaviour::clone(&behaviour) };
                Ok(self.grants().give_client(&client.id, &scopes, &behaviour))
            }
            Some("urn:ietf:params:oauth:grant-type:device_code") => {
                self.grants().redeem_device(required(form, "device_code")?, &client.id, &behaviour)
            }
            Some(_) => Err(Refusal::UnsupportedGrantType),
            None => Err(Refusal::InvalidRequest("grant_type is missing")),
        }
    }
}

impl Issued {
    fn answer(&self) -> Answer {
        let mut answer = json!({
            "access_token": self.access_token.expose(),
            "token_type": "Bearer",
            "expires_in": self.expires_in.as_secs(),
            "scope": self.scopes.join(" "),
        });
        if let Some(refresh_token) = &self.refresh_token {
            answer["refresh_token"] = refresh_token.expose().into();
        }
        json_answer(StatusCode::OK, &answer)
    }
}

/// The parameter, at most once.
pub(super) fn optional<'f>(form: &'f Form, name: &str) -> Result<Option<&'f str>, Refusal> {
    form.get(name).map_err(|Repeated| Refusal::InvalidRequest("a parameter was sent more than once"))
}

/// The parameter, exactly once.
pub(super) fn required<'f>(form: &'f Form, name: &str) -> Result<&'f str, Refusal> {
    optional(form, name)?.ok_or(Refusal::InvalidRequest("a parameter is missing: code, redirect_uri or a token"))
}
