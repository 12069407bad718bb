//! The authorization endpoint (RFC 6749 §4.1.1): checks the request, lets the user decide, and
//! redirects the browser.

use url::Url;

use super::page;
use crate::sandbox::client::CLIENT_ID;
use crate::sandbox::message::decision::Decision;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::message::reply::{Reply, redirect};
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::grants::RequestedAccess;

/// Schemes that the browser handles itself, so that no client would get the response.
const BROWSER_SCHEMES: [&str; 9] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "ws", "wss"];

impl AuthorizationServer {
    /// `GET /authorize`: shows the page, or follows `sandbox_decision` at once. An error is a
    /// sentence for the error page.
    pub(in crate::sandbox) fn authorize(&self, query: &Form) -> Result<Reply, &'static str> {
        let to = redirect_target(query)?;
        let request = match read_request(query, &to) {
            Ok(request) => request,
            Err(EndpointError { error, description }) => {
                let parameters = [("error", error), ("error_description", description)];
                return Ok(self.send_back(to, query.once("state"), &parameters));
            }
        };
        match query.get("sandbox_decision").map_err(|_| "sandbox_decision was sent more than once.")? {
            None => {
                let transaction = self.grants().begin(request.clone());
                Ok(page::decision(&request, &transaction, self.random))
            }
            Some(decision) => Ok(self.conclude(request, Decision::read(decision, query, "sandbox_user")?)),
        }
    }

    /// `POST /authorize/decision`: handles the page's form. A transaction id works once.
    pub(in crate::sandbox) fn decide(&self, form: &Form) -> Result<Reply, &'static str> {
        let request = form.once("transaction").and_then(|id| self.grants().decide(id));
        let request = request
            .ok_or("This page was already submitted, or was open for too long. Start again from the application.")?;
        let decision = Decision::read(form.once("decision").unwrap_or_default(), form, "user")?;
        Ok(self.conclude(request, decision))
    }

    fn conclude(&self, request: RequestedAccess, decision: Decision) -> Reply {
        let (to, state) = (request.to.clone(), request.state.clone());
        match decision {
            Decision::Approve { user } => {
                let code = self.grants().approve(request, user);
                self.send_back(to, Some(&state), &[("code", code.expose())])
            }
            Decision::Deny => {
                let denied = [("error", "access_denied"), ("error_description", "The user denied the request")];
                self.send_back(to, Some(&state), &denied)
            }
        }
    }

    /// Redirects the browser to the client, with `iss` (RFC 9207). The redirect URI's own query
    /// stays (RFC 6749 §3.1.2).
    fn send_back(&self, mut to: Url, state: Option<&str>, parameters: &[(&str, &str)]) -> Reply {
        let state = state.map(|state| ("state", state));
        let issuer = ("iss", self.base_url.as_str());
        to.query_pairs_mut().extend_pairs(parameters.iter().copied().chain(state).chain([issuer]));
        redirect(&to)
    }
}

/// Checks client and redirect URI, and returns the latter as a URL. If either is invalid, the user sees an
/// error page and is not redirected (RFC 6749 §4.1.2.1).
fn redirect_target(query: &Form) -> Result<Url, &'static str> {
    let client_id = query.once("client_id").ok_or("client_id is missing, or was sent more than once.")?;
    if client_id != CLIENT_ID {
        return Err("No client with this client_id is registered here.");
    }
    let redirect_uri = query.once("redirect_uri").ok_or("redirect_uri is missing, or was sent more than once.")?;
    let is_allowed = |url: &Url| url.fragment().is_none() && !BROWSER_SCHEMES.contains(&url.scheme());
    Url::parse(redirect_uri).ok().filter(is_allowed).ok_or("This redirect_uri cannot be used.")
}

/// Reads the other parameters. PKCE with S256 is required.
fn read_request(query: &Form, to: &Url) -> Result<RequestedAccess, EndpointError> {
    match query.get("response_type")? {
        Some("code") => {}
        Some(_) => return Err(EndpointError::new("unsupported_response_type", "only code is supported")),
        None => return Err(EndpointError::invalid_request("response_type is missing")),
    }
    let challenge = query.get("code_challenge")?;
    let code_challenge = match (challenge, query.get("code_challenge_method")?) {
        (Some(challenge), Some("S256")) if is_challenge(challenge) => challenge.to_owned(),
        (Some(_), Some("S256")) => return Err(EndpointError::invalid_request("code_challenge is not a SHA-256 hash")),
        _ => return Err(EndpointError::invalid_request("PKCE with S256 is required")),
    };
    Ok(RequestedAccess {
        redirect_uri: query.required("redirect_uri")?.to_owned(),
        to: to.clone(),
        code_challenge,
        state: query.required("state")?.to_owned(),
        scopes: query.scopes_or_default()?,
    })
}

/// Returns true for 32 bytes in base64url without padding.
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}
