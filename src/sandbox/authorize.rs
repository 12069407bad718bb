//! The authorization endpoint (RFC 6749 §4.1.1): what is asked is checked, a person decides, the browser is sent back.

use http::StatusCode;
use url::Url;

use super::answer::{Answer, redirect};
use super::dialect::Dialect;
use super::form::{Form, Repeated};
use super::grants::Asked;
use super::page;
use super::server::AuthorizationServer;

/// Who decides when nobody says otherwise.
const DEFAULT_USER: &str = "dev";
/// What is granted when no scope is asked for (RFC 6749 §3.3).
const DEFAULT_SCOPE: &str = "profile";

/// The `error` and the `error_description` that the client is told (RFC 6749 §4.1.2.1).
pub(super) type Fault = (&'static str, &'static str);

/// Whom the answer goes to.
struct Addressee<'q> {
    client_id: &'q str,
    redirect_uri: &'q str,
    to: Url,
}

/// What the user does.
pub(super) enum Decision {
    Approve { user: String },
    Deny,
}

impl AuthorizationServer {
    /// `GET /authorize`: the page; or, with `sandbox_decision` in the query, what follows from it at once.
    pub(super) fn authorize(&self, query: &Form) -> Answer {
        let addressee = match self.addressee(query) {
            Ok(addressee) => addressee,
            Err(why) => return page::refusal(StatusCode::BAD_REQUEST, why),
        };
        let asked = match self.read_request(query, &addressee) {
            Ok(asked) => asked,
            Err((error, description)) => {
                let state = once(query, "state");
                return self.send_back(addressee.to, state, &[("error", error), ("error_description", description)]);
            }
        };
        match query.get("sandbox_decision") {
            Ok(None) => {
                let transaction = self.grants().begin(asked.clone());
                page::decision(&asked, &transaction, DEFAULT_USER, self.random)
            }
            Ok(Some(decision)) => match Decision::read(decision, query.get("sandbox_user")) {
                Ok(decision) => self.conclude(asked, decision),
                Err(why) => page::refusal(StatusCode::BAD_REQUEST, why),
            },
            Err(Repeated) => page::refusal(StatusCode::BAD_REQUEST, "sandbox_decision was sent more than once."),
        }
    }

    /// `POST /authorize/decision`: the page's form. A transaction id works once.
    pub(super) fn decide(&self, form: &Form) -> Answer {
        let asked = once(form, "transaction").and_then(|id| self.grants().decide(id));
        let Some(asked) = asked else {
            let why = "This page was decided on before, or was open for too long. Start again from the application.";
            return page::refusal(StatusCode::BAD_REQUEST, why);
        };
        let chosen = once(form, "decision").unwrap_or_default();
        match Decision::read(chosen, form.get("user")) {
            Ok(decision) => self.conclude(asked, decision),
            Err(why) => page::refusal(StatusCode::BAD_REQUEST, why),
        }
    }

    fn conclude(&self, asked: Asked, decision: Decision) -> Answer {
        let to = Url::parse(&asked.redirect_uri).expect("a redirect URI is parsed before anything is asked of a user");
        let state = asked.state.clone();
        match decision {
            Decision::Approve { user } => {
                let code = self.grants().approve(asked, user, &self.behaviour());
                let name = self.dialect.as_ref().map_or("code", Dialect::code_param);
                let further = self.dialect.as_ref().map(Dialect::callback_parameters).unwrap_or_default();
                let further = further.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let parameters: Vec<_> = [(name, code.expose())].into_iter().chain(further).collect();
                self.send_back(to, Some(&state), &parameters)
            }
            Decision::Deny => {
                let denied = [("error", "access_denied"), ("error_description", "The user denied the request")];
                self.send_back(to, Some(&state), &denied)
            }
        }
    }

    /// Sends the browser back to the client; a query that the redirect URI has is kept (RFC 6749 §3.1.2).
    fn send_back(&self, mut to: Url, state: Option<&str>, parameters: &[(&str, &str)]) -> Answer {
        let issuer = match &self.dialect {
            Some(dialect) => dialect.issuer(),
            None => self.behaviour().announces_iss.then_some(self.base_url.as_str()),
        };
        let issuer = issuer.map(|issuer| ("iss", issuer));
        let state = state.map(|state| ("state", state));
        to.query_pairs_mut().extend_pairs(parameters.iter().copied().chain(state).chain(issuer));
        redirect(&to)
    }

    /// The client and where it is answered. While these are in doubt the user is told what is wrong, and sent nowhere (RFC 6749
    /// §4.1.2.1).
    fn addressee<'q>(&self, query: &'q Form) -> Result<Addressee<'q>, &'static str> {
        let client_id = once(query, "client_id").ok_or("client_id is missing, or was sent more than once.")?;
        let client = self.clients.iter().find(|client| client.id == client_id);
        let client = client.ok_or("No client of this client_id is registered here.")?;
        let redirect_uri = once(query, "redirect_uri").ok_or("redirect_uri is missing, or was sent more than once.")?;
        let to = Url::parse(redirect_uri).ok().filter(|_| client.takes_redirect_uri(redirect_uri));
        Ok(Addressee { client_id, redirect_uri, to: to.ok_or("This redirect_uri is not registered for the client.")? })
    }

    fn read_request(&self, query: &Form, addressee: &Addressee<'_>) -> Result<Asked, Fault> {
        let no_state = ("invalid_request", "state is missing, or was sent more than once");
        Ok(Asked {
            client_id: addressee.client_id.to_owned(),
            redirect_uri: addressee.redirect_uri.to_owned(),
            code_challenge: self.check_parameters(query)?,
            state: once(query, "state").ok_or(no_state)?.to_owned(),
            scopes: scopes(query)?,
            further: self.dialect.as_ref().map(|_| Dialect::further_asked(query)).unwrap_or_default(),
        })
    }

    /// `response_type` and PKCE; gives the code challenge.
    fn check_parameters(&self, query: &Form) -> Result<Option<String>, Fault> {
        let repeated = |_: Repeated| ("invalid_request", "a parameter was sent more than once");
        match query.get("response_type").map_err(repeated)? {
            Some("code") => {}
            Some(_) => return Err(("unsupported_response_type", "there is only code")),
            None => return Err(("invalid_request", "response_type is missing")),
        }
        let challenge = query.get("code_challenge").map_err(repeated)?;
        match (challenge, query.get("code_challenge_method").map_err(repeated)?) {
            (Some(challenge), Some("S256")) if is_challenge(challenge) => Ok(Some(challenge.to_owned())),
            (Some(_), Some("S256")) => Err(("invalid_request", "code_challenge is not one of S256")),
            (Some(_), _) => Err(("invalid_request", "code_challenge_method must be S256")),
            (None, Some(_)) => Err(("invalid_request", "code_challenge is missing")),
            (None, None) if self.behaviour().pkce_required => Err(("invalid_request", "PKCE with S256 is required")),
            (None, None) => Ok(None),
        }
    }
}

impl Decision {
    pub(super) fn read(decision: &str, user: Result<Option<&str>, Repeated>) -> Result<Self, &'static str> {
        match decision {
            "approve" => {
                let user = user.map_err(|Repeated| "The user name was sent more than once.")?.map(str::trim);
                let user = user.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_USER);
                if user.chars().count() > 64 || user.chars().any(char::is_control) {
                    return Err("A user name has at most 64 characters, and no control character.");
                }
                Ok(Self::Approve { user: user.to_owned() })
            }
            "deny" => Ok(Self::Deny),
            _ => Err("The decision is either approve or deny."),
        }
    }
}

/// The parameter, where it was sent exactly once.
fn once<'q>(query: &'q Form, name: &str) -> Option<&'q str> {
    query.get(name).ok().flatten()
}

/// The requested scopes, each once; `scope-token` as RFC 6749 §3.3 has it.
pub(super) fn scopes(query: &Form) -> Result<Vec<String>, Fault> {
    let text = query.get("scope").map_err(|Repeated| ("invalid_request", "scope was sent more than once"))?;
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.unwrap_or(DEFAULT_SCOPE).split(' ').filter(|scope| !scope.is_empty()) {
        if !scope.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return Err(("invalid_scope", "a scope has a character that no scope has"));
        }
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}

/// What S256 gives: 32 bytes in base64url without padding.
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}
