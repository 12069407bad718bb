//! Dynamic client registration (RFC 7591) at an authorization server that does not know us.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::catalog::entry::TokenAuth;
use crate::catalog::value::Endpoint;
use crate::clock::UnixTime;
use crate::egress::{Egress, EgressError, EgressRequest};
use crate::json;
use crate::oauth::message::error::{ErrorResponse, error_members};
use crate::oauth::message::request::accept_json;
use crate::oauth::message::sanitize::Sanitizer;
use crate::secret::Secret;

/// Maximum length of a client id and secret, in bytes.
const MAX_TEXT: usize = 4096;

/// Our client metadata.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationRequest<'a> {
    /// Name that users see.
    pub client_name: &'a str,
    /// The only redirect URI.
    pub redirect_uri: &'a str,
    /// Requested authentication method.
    pub token_auth: TokenAuth,
    /// Authentication methods that the server announces.
    pub announced: &'a [String],
    /// Scopes that logins may ask for.
    pub scopes: &'a [String],
}

/// Our registration at the server (RFC 7591 §3.2.1). `Debug` does not show the secret.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The client id.
    pub client_id: String,
    /// The client secret; a public client has none.
    pub client_secret: Option<Secret>,
    /// Expiry of the secret; `None` if it does not expire.
    pub secret_expires_at: Option<UnixTime>,
    /// Authentication method; may differ from the requested one.
    pub token_auth: TokenAuth,
    /// Client configuration endpoint and registration access token (RFC 7592 §3), if the server has
    /// them.
    pub management: Option<(String, Secret)>,
}

/// Reason why the registration failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// No complete response arrived.
    #[error("cannot register a client at the authorization server: {0}")]
    Unreachable(#[from] EgressError),
    /// The server refuses.
    #[error("the authorization server refused to register this client: {0}")]
    Refused(ErrorResponse),
    /// The status is not one of success.
    #[error("the registration endpoint answered with status {0}")]
    Status(u16),
    /// The response is not a JSON object, or a member is missing or malformed.
    #[error("the registration response is unusable: its member '{0}' is missing or malformed")]
    Malformed(&'static str),
}

/// Authentication methods of registered clients with their names (RFC 7591 §2), best first.
///
/// The SDKs of MCP look up the client by the form's `client_id`, whatever the method. Their
/// revocation endpoints also require the form's `client_secret`.
const METHODS: [(TokenAuth, &str); 3] = [
    (TokenAuth::Post, "client_secret_post"),
    (TokenAuth::BasicWithId, "client_secret_basic"),
    (TokenAuth::None, "none"),
];

/// Returns the authentication method to request, given those that a server announces; without any,
/// `client_secret_basic` (RFC 8414 §2). `None` if a registered client can have none of them.
pub fn preferred_auth(announced: &[String]) -> Option<TokenAuth> {
    if announced.is_empty() {
        return Some(TokenAuth::BasicWithId);
    }
    METHODS.iter().find(|(_, name)| announced.iter().any(|announced| announced == name)).map(|(way, _)| *way)
}

/// Registers us. The caller has to store the result: each further request registers another client.
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
    let url = endpoint.url().clone();
    let request_out = EgressRequest { method: Method::POST, url, headers, body: Some(body), chosen: false };
    let response = egress.send(request_out).await?;
    let members = json::parse_object(&response.body).unwrap_or_default();
    let refused = error_members(&response.body).unwrap_or_default();
    match response.status {
        // RFC 7591 §3.2.1 requires 201; some servers send 200.
        StatusCode::CREATED | StatusCode::OK => Registration::read(&members, request),
        status if status.is_client_error() && refused.contains_key("error") => {
            let text = |name| refused.get(name).and_then(Value::as_str);
            let error = text("error").unwrap_or("error");
            let refused =
                ErrorResponse::new(error, text("error_description"), &Sanitizer::for_server(egress.is_chosen(false)));
            Err(RegistrationError::Refused(refused))
        }
        status => Err(RegistrationError::Status(status.as_u16())),
    }
}

/// Deletes our registration at its client configuration endpoint (RFC 7592 §2.3).
///
/// # Errors
/// See [`RegistrationError`]; a server need not support it.
pub async fn unregister(egress: &Egress, uri: &str, access_token: &Secret) -> Result<(), RegistrationError> {
    let malformed = |_| RegistrationError::Malformed("registration_client_uri");
    let url = Endpoint::parse(uri).map_err(malformed)?.url().clone();
    let bearer = format!("Bearer {}", access_token.expose());
    let mut bearer =
        HeaderValue::try_from(bearer).map_err(|_| RegistrationError::Malformed("registration_access_token"))?;
    bearer.set_sensitive(true);
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    let request = EgressRequest { method: Method::DELETE, url, headers, body: None, chosen: true };
    match egress.send(request).await?.status {
        status if status.is_success() => Ok(()),
        status => Err(RegistrationError::Status(status.as_u16())),
    }
}

impl RegistrationRequest<'_> {
    /// Returns the method of a registration that names none. The server has to name it (RFC 7591
    /// §3.2.1), so the secret tells if the client is a public one.
    fn method_without_a_name(&self, has_secret: bool) -> TokenAuth {
        match (has_secret, self.token_auth) {
            // The default of RFC 7591 §2. It has the client id in the form too, as a public client.
            (true, TokenAuth::None) => TokenAuth::BasicWithId,
            (false, _) if self.announced.iter().any(|name| name == method_name(TokenAuth::None)) => TokenAuth::None,
            (_, requested) => requested,
        }
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "client_name": self.client_name,
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method_name(self.token_auth),
        });
        if !self.scopes.is_empty() {
            document["scope"] = self.scopes.join(" ").into();
        }
        document
    }
}

impl Registration {
    fn read(members: &Map<String, Value>, request: &RegistrationRequest<'_>) -> Result<Self, RegistrationError> {
        let text = |name: &'static str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text))
                if (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control) =>
            {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(RegistrationError::Malformed(name)),
        };
        let client_id = text("client_id")?.ok_or(RegistrationError::Malformed("client_id"))?;
        let expiry = members.get("client_secret_expires_at").and_then(Value::as_i64).filter(|at| *at > 0);
        let has_secret = text("client_secret").is_ok_and(|secret| secret.is_some());
        let token_auth = match text("token_endpoint_auth_method") {
            Ok(Some(name)) => method_of(&name).ok_or(RegistrationError::Malformed("token_endpoint_auth_method"))?,
            Ok(None) | Err(_) => request.method_without_a_name(has_secret),
        };
        // A client without authentication has no use for a secret, whatever the server sends.
        let client_secret = match token_auth {
            TokenAuth::None => text("client_secret").unwrap_or_default(),
            _ => Some(text("client_secret")?.ok_or(RegistrationError::Malformed("client_secret"))?),
        };
        let client_secret = client_secret.map(Secret::new);
        let secret_expires_at = expiry.map(UnixTime).filter(|_| client_secret.is_some());
        let uri = text("registration_client_uri").ok().flatten().filter(|uri| Endpoint::parse(uri).is_ok());
        let access_token = text("registration_access_token").ok().flatten().map(Secret::new);
        let management = uri.zip(access_token);
        Ok(Self { client_id, client_secret, secret_expires_at, token_auth, management })
    }
}

fn method_name(way: TokenAuth) -> &'static str {
    METHODS.iter().find(|(known, _)| *known == way).map_or("none", |(_, name)| name)
}

fn method_of(name: &str) -> Option<TokenAuth> {
    METHODS.iter().find(|(_, known)| *known == name).map(|(way, _)| *way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::tests::hostile::{Hostile, patient, response};

    async fn registered(status: &str, body: &str) -> (Result<Registration, RegistrationError>, String) {
        let server = Hostile::saying(response(status, "application/json", body)).await;
        let endpoint = Endpoint::parse(server.url("/register").as_str()).unwrap();
        let scopes = ["a".to_owned(), "b".to_owned()];
        let request = RegistrationRequest {
            client_name: "Strongroom",
            redirect_uri: "https://app.example/callback?a=b",
            token_auth: TokenAuth::BasicWithId,
            announced: &[],
            scopes: &scopes,
        };
        let outcome = register(&patient(), &endpoint, &request).await;
        (outcome, server.seen().concat())
    }

    #[tokio::test]
    async fn client_metadata_are_sent_and_the_result_is_read() {
        let body =
            r#"{"client_id":"c1","client_secret":"s1","client_secret_expires_at":1900000000,"redirect_uris":[]}"#;
        let (registration, seen) = registered("201 Created", body).await;
        let registration = registration.unwrap();
        assert_eq!((registration.client_id.as_str(), registration.token_auth), ("c1", TokenAuth::BasicWithId));
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
    async fn unusable_responses_are_errors_with_a_reason() {
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
                Refused(ErrorResponse {
                    error: "invalid_redirect_uri".into(),
                    description: Some("not this one".into()),
                    reasons: crate::oauth::message::reasons::Reasons::default().with_code("invalid_redirect_uri"),
                    status: None,
                }),
            ),
        ] {
            assert_eq!(registered(status, body).await.0.map(|_| ()), Err(error), "{body}");
        }
    }

    fn read(document: &Value, asked: TokenAuth, announced: &[&str]) -> Result<Registration, RegistrationError> {
        let announced: Vec<_> = announced.iter().map(|name| (*name).to_owned()).collect();
        let request = RegistrationRequest {
            client_name: "Strongroom",
            redirect_uri: "https://app.example/callback",
            token_auth: asked,
            announced: &announced,
            scopes: &[],
        };
        Registration::read(document.as_object().unwrap(), &request)
    }

    #[test]
    fn a_registration_without_a_method_follows_its_secret() {
        use TokenAuth::{BasicWithId, None as Public, Post};
        let (none, post) = ("none", "client_secret_post");
        for (asked, announced, secret, expected) in [
            (Public, &[none][..], true, Some(BasicWithId)),
            (Public, &[none], false, Some(Public)),
            (Post, &[none, post], true, Some(Post)),
            (Post, &[none, post], false, Some(Public)),
            (Post, &[post], true, Some(Post)),
            (Post, &[post], false, None),
            (BasicWithId, &[], true, Some(BasicWithId)),
            (BasicWithId, &[], false, None),
        ] {
            for method in [json!(null), json!(""), json!(7)] {
                let mut document = json!({"client_id": "c", "token_endpoint_auth_method": method});
                if secret {
                    document["client_secret"] = "s".into();
                }
                let found = read(&document, asked, announced);
                let found = found.map(|read| (read.token_auth, read.client_secret.is_some()));
                let expected = expected.map(|way| (way, secret)).ok_or(RegistrationError::Malformed("client_secret"));
                assert_eq!(found, expected, "{asked:?} {announced:?} {document}");
            }
        }
        // A server that names the method decides.
        let named = json!({"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "none"});
        assert_eq!(read(&named, Post, &[post]).unwrap().token_auth, Public);
    }

    /// Each optional member may be empty, relative, of a wrong type or null. A secret is optional
    /// for a client without authentication alone.
    #[test]
    fn malformed_members_count_as_absent() {
        let values = [json!(""), json!("/relative"), json!(7), json!(null), json!([]), json!({"a": 1}), json!(true)];
        let read = |document: &Value| read(document, TokenAuth::BasicWithId, &[]).unwrap();
        for (name, method) in [
            ("client_secret", Some("none")),
            ("client_secret_expires_at", None),
            ("token_endpoint_auth_method", None),
            ("client_id_issued_at", None),
            ("redirect_uris", None),
            ("registration_client_uri", None),
            ("registration_access_token", None),
            ("logo_uri", None),
            ("scope", None),
        ] {
            for value in &values {
                let is_method = name == "token_endpoint_auth_method";
                let is_other_method = is_method && value == "/relative";
                let is_a_time = name == "client_secret_expires_at" && value == 7;
                if is_other_method || is_a_time {
                    continue;
                }
                let mut document = json!({"client_id": "c", "client_secret": "s"});
                if let Some(method) = method {
                    document["token_endpoint_auth_method"] = method.into();
                }
                document[name] = value.clone();
                let read = read(&document);
                let expected = if method.is_some() { TokenAuth::None } else { TokenAuth::BasicWithId };
                assert_eq!((read.client_id.as_str(), read.token_auth), ("c", expected), "{document}");
                assert!(read.secret_expires_at.is_none(), "{document}");
            }
        }
    }

    #[test]
    fn the_best_announced_method_is_requested() {
        let way = |names: &[&str]| preferred_auth(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(way(&[]), Some(TokenAuth::BasicWithId));
        assert_eq!(way(&["client_secret_basic"]), Some(TokenAuth::BasicWithId));
        assert_eq!(way(&["client_secret_basic", "client_secret_post"]), Some(TokenAuth::Post));
        assert_eq!(way(&["none", "client_secret_post"]), Some(TokenAuth::Post));
        assert_eq!(way(&["none"]), Some(TokenAuth::None));
        assert_eq!(way(&["private_key_jwt"]), None);
    }
}
