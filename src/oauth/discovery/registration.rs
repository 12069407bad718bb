//! A client registers itself (RFC 7591) at an authorization server that has never heard of it.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::catalog::entry::TokenAuth;
use crate::catalog::value::Endpoint;
use crate::clock::UnixTime;
use crate::egress::{Egress, EgressError, Outgoing};
use crate::json;
use crate::oauth::message::request::accept_json;
use crate::oauth::message::sanitize::Cleaner;
use crate::secret::Secret;

/// The longest client id and secret that are taken, in bytes.
const LONGEST: usize = 4096;

/// What we say of ourselves.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationRequest<'a> {
    /// What users are shown.
    pub client_name: &'a str,
    /// The one redirect URI.
    pub redirect_uri: &'a str,
    /// How we want to authenticate.
    pub token_auth: TokenAuth,
    /// What we may ask for later.
    pub scopes: &'a [String],
}

/// What the server made of it (RFC 7591 §3.2.1). It has no `Debug` that shows the secret.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Our id there.
    pub client_id: String,
    /// Our secret there; a public client has none.
    pub client_secret: Option<Secret>,
    /// When the secret ends; `None`: never.
    pub secret_expires_at: Option<UnixTime>,
    /// How we authenticate, which may not be what was asked for.
    pub token_auth: TokenAuth,
}

/// Why we are not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// There is no whole answer.
    #[error("the registration endpoint could not be asked: {0}")]
    Unreachable(#[from] EgressError),
    /// The server refuses; its words, cleaned.
    #[error("the authorization server refused to register this client: {0}")]
    Refused(String),
    /// Any other status than 201.
    #[error("the registration endpoint answered with status {0}")]
    Status(u16),
    /// The answer is no JSON object, or a member is not what it has to be.
    #[error("the registration endpoint's answer cannot be used: its member '{0}' is missing or malformed")]
    Malformed(&'static str),
}

/// The ways to authenticate that a registered client can have, by their registered names (RFC 7591 §2), best first.
const WAYS: [(TokenAuth, &str); 3] =
    [(TokenAuth::Basic, "client_secret_basic"), (TokenAuth::Post, "client_secret_post"), (TokenAuth::None, "none")];

/// Of the ways that a server announces the one to ask for; a server that announces none takes `client_secret_basic`
/// (RFC 8414 §2). `None`: it takes none that a client that registers itself can have.
pub fn preferred_way(announced: &[String]) -> Option<TokenAuth> {
    if announced.is_empty() {
        return Some(TokenAuth::Basic);
    }
    WAYS.iter().find(|(_, name)| announced.iter().any(|there| there == name)).map(|(way, _)| *way)
}

/// Registers. One request; the answer is kept, for each further one makes a further client there.
///
/// # Errors
/// See [`RegistrationError`].
pub async fn register(
    egress: &Egress,
    endpoint: &Endpoint,
    request: &RegistrationRequest<'_>,
) -> Result<Registration, RegistrationError> {
    let mut headers = HeaderMap::new();
    accept_json(&mut headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = Zeroizing::new(request.document().to_string().into_bytes());
    let outgoing = Outgoing { method: Method::POST, url: endpoint.url().clone(), headers, body: Some(body) };
    let answer = egress.send(outgoing).await?;
    let members = match json::parse(&answer.body) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    match answer.status {
        // Some servers answer 200, against RFC 7591 §3.2.1.
        StatusCode::CREATED | StatusCode::OK => Registration::read(&members, request.token_auth),
        status if status.is_client_error() && members.contains_key("error") => Err(refusal(&members)),
        status => Err(RegistrationError::Status(status.as_u16())),
    }
}

impl RegistrationRequest<'_> {
    fn document(&self) -> Value {
        let mut document = json!({
            "client_name": self.client_name,
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": name_of(self.token_auth),
        });
        if !self.scopes.is_empty() {
            document["scope"] = self.scopes.join(" ").into();
        }
        document
    }
}

impl Registration {
    fn read(members: &Map<String, Value>, asked: TokenAuth) -> Result<Self, RegistrationError> {
        let text = |name: &'static str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control) => {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(RegistrationError::Malformed(name)),
        };
        let client_id = text("client_id")?.ok_or(RegistrationError::Malformed("client_id"))?;
        let client_secret = text("client_secret")?.map(Secret::new);
        let expiry = members.get("client_secret_expires_at").and_then(Value::as_i64).filter(|at| *at > 0);
        let token_auth = match text("token_endpoint_auth_method")? {
            None => asked,
            Some(name) => way_of(&name).ok_or(RegistrationError::Malformed("token_endpoint_auth_method"))?,
        };
        if token_auth != TokenAuth::None && client_secret.is_none() {
            return Err(RegistrationError::Malformed("client_secret"));
        }
        let secret_expires_at = expiry.map(UnixTime).filter(|_| client_secret.is_some());
        Ok(Self { client_id, client_secret, secret_expires_at, token_auth })
    }
}

fn refusal(members: &Map<String, Value>) -> RegistrationError {
    let cleaner = Cleaner::default();
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let error = cleaner.error(text("error").unwrap_or("error"));
    let description = text("error_description").and_then(|text| cleaner.description(text));
    RegistrationError::Refused(description.map_or(error.clone(), |description| format!("{error}: {description}")))
}

fn name_of(way: TokenAuth) -> &'static str {
    WAYS.iter().find(|(known, _)| *known == way).map_or("none", |(_, name)| name)
}

fn way_of(name: &str) -> Option<TokenAuth> {
    WAYS.iter().find(|(_, known)| *known == name).map(|(way, _)| *way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::hostile::{Hostile, answer, patient};

    async fn registered(status: &str, body: &str) -> (Result<Registration, RegistrationError>, String) {
        let server = Hostile::saying(answer(status, "application/json", body)).await;
        let endpoint = Endpoint::parse(server.url("/register").as_str()).unwrap();
        let scopes = ["a".to_owned(), "b".to_owned()];
        let request = RegistrationRequest {
            client_name: "Strongroom",
            redirect_uri: "https://app.example/callback?a=b",
            token_auth: TokenAuth::Basic,
            scopes: &scopes,
        };
        let outcome = register(&patient(), &endpoint, &request).await;
        (outcome, server.seen().concat())
    }

    #[tokio::test]
    async fn a_client_says_who_it_is_and_keeps_what_it_is_given() {
        let body =
            r#"{"client_id":"c1","client_secret":"s1","client_secret_expires_at":1900000000,"redirect_uris":[]}"#;
        let (registration, seen) = registered("201 Created", body).await;
        let registration = registration.unwrap();
        assert_eq!((registration.client_id.as_str(), registration.token_auth), ("c1", TokenAuth::Basic));
        assert_eq!(registration.client_secret.unwrap().expose(), "s1");
        assert_eq!(registration.secret_expires_at, Some(UnixTime(1_900_000_000)));
        let sent: Value = serde_json::from_str(seen.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(
            sent,
            json!({
                "client_name": "Strongroom", "redirect_uris": ["https://app.example/callback?a=b"], "scope": "a b",
                "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                "token_endpoint_auth_method": "client_secret_basic",
            })
        );
        let public = r#"{"client_id":"c2","token_endpoint_auth_method":"none","client_secret_expires_at":0}"#;
        let public = registered("200 OK", public).await.0.unwrap();
        assert_eq!((public.token_auth, public.secret_expires_at), (TokenAuth::None, None));
    }

    #[tokio::test]
    async fn what_is_no_registration_is_an_error_that_says_why() {
        use RegistrationError::{Malformed, Refused, Status};
        for (status, body, error) in [
            ("201 Created", "{}", Malformed("client_id")),
            ("201 Created", r#"{"client_id":""}"#, Malformed("client_id")),
            ("201 Created", r#"{"client_id":"a\nb","client_secret":"s"}"#, Malformed("client_id")),
            ("201 Created", r#"{"client_id":"c"}"#, Malformed("client_secret")),
            ("201 Created", r#"{"client_id":"c","client_secret":1}"#, Malformed("client_secret")),
            (
                "201 Created",
                r#"{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"tls_client_auth"}"#,
                Malformed("token_endpoint_auth_method"),
            ),
            ("201 Created", "<html>", Malformed("client_id")),
            ("403 Forbidden", "", Status(403)),
            ("302 Found", r#"{"client_id":"c","client_secret":"s"}"#, Status(302)),
            (
                "400 Bad Request",
                r#"{"error":"invalid_redirect_uri","error_description":"not\u0000 this one"}"#,
                Refused("invalid_redirect_uri: not this one".into()),
            ),
        ] {
            assert_eq!(registered(status, body).await.0.map(|_| ()), Err(error), "{body}");
        }
    }

    #[test]
    fn of_the_announced_ways_the_best_is_asked_for() {
        let way = |names: &[&str]| preferred_way(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(way(&[]), Some(TokenAuth::Basic));
        assert_eq!(way(&["none", "client_secret_post"]), Some(TokenAuth::Post));
        assert_eq!(way(&["none"]), Some(TokenAuth::None));
        assert_eq!(way(&["private_key_jwt"]), None);
    }
}
