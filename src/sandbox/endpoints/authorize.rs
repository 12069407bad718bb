//! The authorization endpoint (RFC 6749 §4.1.1): checks the request, lets the user decide, and
//! redirects the browser.

use http::StatusCode;
use url::Url;

use super::page;
use crate::sandbox::message::form::{Form, RepeatedParam};
use crate::sandbox::message::reply::{Reply, redirect};
use crate::sandbox::state::authorization_server::AuthorizationServer;
use crate::sandbox::state::grants::RequestedAccess;

/// The user unless the request names another.
const DEFAULT_USER: &str = "dev";
/// Scope of a request without scopes (RFC 6749 §3.3).
const DEFAULT_SCOPE: &str = "profile";

/// `error` and `error_description` of an error redirect (RFC 6749 §4.1.2.1).
pub(in crate::sandbox) type RedirectError = (&'static str, &'static str);

/// The client and redirect URI of a request.
struct Addressee<'q> {
    client_id: &'q str,
    redirect_uri: &'q str,
    to: Url,
}

/// The user's decision.
pub(in crate::sandbox) enum Decision {
    Approve { user: String },
    Deny,
}

impl AuthorizationServer {
    /// `GET /authorize`: shows the page, or follows `sandbox_decision` at once.
    pub(in crate::sandbox) fn authorize(&self, query: &Form) -> Reply {
        let addressee = match self.addressee(query) {
            Ok(addressee) => addressee,
            Err(why) => return page::error(StatusCode::BAD_REQUEST, why),
        };
        let request = match self.read_request(query, &addressee) {
            Ok(request) => request,
            Err((error, description)) => {
                let state = once(query, "state");
                return self.send_back(addressee.to, state, &[("error", error), ("error_description", description)]);
            }
        };
        match query.get("sandbox_decision") {
            Ok(None) => {
                let transaction = self.grants().begin(request.clone());
                page::decision(&request, &transaction, DEFAULT_USER, self.random)
            }
            Ok(Some(decision)) => match Decision::read(decision, query.get("sandbox_user")) {
                Ok(decision) => self.conclude(request, decision),
                Err(why) => page::error(StatusCode::BAD_REQUEST, why),
            },
            Err(RepeatedParam) => page::error(StatusCode::BAD_REQUEST, "sandbox_decision was sent more than once."),
        }
    }

    /// `POST /authorize/decision`: handles the page's form. A transaction id works once.
    pub(in crate::sandbox) fn decide(&self, form: &Form) -> Reply {
        let request = once(form, "transaction").and_then(|id| self.grants().decide(id));
        let Some(request) = request else {
            let why = "This page was already submitted, or was open for too long. Start again from the application.";
            return page::error(StatusCode::BAD_REQUEST, why);
        };
        let chosen = once(form, "decision").unwrap_or_default();
        match Decision::read(chosen, form.get("user")) {
            Ok(decision) => self.conclude(request, decision),
            Err(why) => page::error(StatusCode::BAD_REQUEST, why),
        }
    }

    fn conclude(&self, request: RequestedAccess, decision: Decision) -> Reply {
        let to =
            Url::parse(&request.redirect_uri).expect("a redirect URI is parsed before anything is request of a user");
        let state = request.state.clone();
        match decision {
            Decision::Approve { user } => {
                let code = self.grants().approve(request, user, &self.behaviour());
                self.send_back(to, Some(&state), &[("code", code.expose())])
            }
            Decision::Deny => {
                let denied = [("error", "access_denied"), ("error_description", "The user denied the request")];
                self.send_back(to, Some(&state), &denied)
            }
        }
    }

    /// Redirects the browser to the client. The redirect URI's own query stays (RFC 6749 §3.1.2).
    fn send_back(&self, mut to: Url, state: Option<&str>, parameters: &[(&str, &str)]) -> Reply {
        let issuer = self.behaviour().announces_iss.then_some(("iss", self.base_url.as_str()));
        let state = state.map(|state| ("state", state));
        to.query_pairs_mut().extend_pairs(parameters.iter().copied().chain(state).chain(issuer));
        redirect(&to)
    }

    /// Returns client and redirect URI. If either is invalid, the user sees an error page and is
    /// not redirected (RFC 6749 §4.1.2.1).
    fn addressee<'q>(&self, query: &'q Form) -> Result<Addressee<'q>, &'static str> {
        let client_id = once(query, "client_id").ok_or("client_id is missing, or was sent more than once.")?;
        let client = self.clients.iter().find(|client| client.id == client_id);
        let client = client.ok_or("No client with this client_id is registered here.")?;
        let redirect_uri = once(query, "redirect_uri").ok_or("redirect_uri is missing, or was sent more than once.")?;
        let to = Url::parse(redirect_uri).ok().filter(|_| client.allows_redirect_uri(redirect_uri));
        Ok(Addressee { client_id, redirect_uri, to: to.ok_or("This redirect_uri is not registered for the client.")? })
    }

    fn read_request(&self, query: &Form, addressee: &Addressee<'_>) -> Result<RequestedAccess, RedirectError> {
        let no_state = ("invalid_request", "state is missing, or was sent more than once");
        Ok(RequestedAccess {
            client_id: addressee.client_id.to_owned(),
            redirect_uri: addressee.redirect_uri.to_owned(),
            code_challenge: self.check_parameters(query)?,
            state: once(query, "state").ok_or(no_state)?.to_owned(),
            scopes: scopes(query)?,
        })
    }

    /// Checks `response_type` and PKCE, and returns the code challenge.
    fn check_parameters(&self, query: &Form) -> Result<Option<String>, RedirectError> {
        let repeated = |_: RepeatedParam| ("invalid_request", "a parameter was sent more than once");
        match query.get("response_type").map_err(repeated)? {
            Some("code") => {}
            Some(_) => return Err(("unsupported_response_type", "only code is supported")),
            None => return Err(("invalid_request", "response_type is missing")),
        }
        let challenge = query.get("code_challenge").map_err(repeated)?;
        match (challenge, query.get("code_challenge_method").map_err(repeated)?) {
            (Some(challenge), Some("S256")) if is_challenge(challenge) => Ok(Some(challenge.to_owned())),
            (Some(_), Some("S256")) => Err(("invalid_request", "code_challenge is not a SHA-256 hash")),
            (Some(_), _) => Err(("invalid_request", "code_challenge_method must be S256")),
            (None, Some(_)) => Err(("invalid_request", "code_challenge is missing")),
            (None, None) if self.behaviour().pkce_required => Err(("invalid_request", "PKCE with S256 is required")),
            (None, None) => Ok(None),
        }
    }
}

impl Decision {
    pub(in crate::sandbox) fn read(
        decision: &str,
        user: Result<Option<&str>, RepeatedParam>,
    ) -> Result<Self, &'static str> {
        match decision {
            "approve" => {
                let user = user.map_err(|RepeatedParam| "The user name was sent more than once.")?.map(str::trim);
                let user = user.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_USER);
                if user.chars().count() > 64 || user.chars().any(char::is_control) {
                    return Err("A user name has at most 64 characters and no control characters.");
                }
                Ok(Self::Approve { user: user.to_owned() })
            }
            "deny" => Ok(Self::Deny),
            _ => Err("The decision must be approve or deny."),
        }
    }
}

/// Returns the parameter if it was sent exactly once.
fn once<'q>(query: &'q Form, name: &str) -> Option<&'q str> {
    query.get(name).ok().flatten()
}

/// Returns the requested scopes without duplicates (RFC 6749 §3.3).
pub(in crate::sandbox) fn scopes(query: &Form) -> Result<Vec<String>, RedirectError> {
    let text = query.get("scope").map_err(|RepeatedParam| ("invalid_request", "scope was sent more than once"))?;
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.unwrap_or(DEFAULT_SCOPE).split(' ').filter(|scope| !scope.is_empty()) {
        if !scope.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return Err(("invalid_scope", "a scope contains an invalid character"));
        }
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}

/// Returns true for 32 bytes in base64url without padding.
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}
