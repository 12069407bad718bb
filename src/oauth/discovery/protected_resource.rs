//! A protected resource says who its authorization servers are (RFC 9728): how a client that knows nothing but the URL of an
//! MCP server finds out where its user logs in.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_auth::ChallengeParser;
use serde_json::Value;
use url::Url;

use super::metadata::{DiscoveryError, get, list};
use crate::catalog::value::Endpoint;
use crate::egress::{Egress, EgressError, Outgoing};
use crate::json;

/// What a resource says about itself, and what it said when it was asked without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    /// Its identifier: what tokens are asked for (RFC 8707).
    pub resource: String,
    /// The issuers of the authorization servers that give tokens for it, in its own order.
    pub authorization_servers: Vec<String>,
    /// The scopes that it needs: those of its challenge (RFC 6750 §3), else those of its metadata.
    pub scopes: Vec<String>,
}

/// Why nobody knows where to log in for a resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// There is no whole answer.
    #[error("the server could not be asked: {0}")]
    Unreachable(#[from] EgressError),
    /// It neither says where its metadata are, nor has any at the well-known URLs.
    #[error("the server says nothing about how it is authorized (RFC 9728): there are no metadata, with status {0}")]
    NoMetadata(u16),
    /// The URL that its challenge names is none that is fetched.
    #[error("the server's resource_metadata is no https URL")]
    NoUrl,
    /// The document is no JSON object, or says something twice.
    #[error("the server's metadata are no JSON object, or say something twice")]
    NotJson,
    /// The document is another resource's (RFC 9728 §3.3).
    #[error("the server's metadata are of another resource than the one that was asked for")]
    AnotherResource,
    /// A member is not what it has to be.
    #[error("the metadata's '{0}' is malformed")]
    Malformed(&'static str),
    /// It names no authorization server.
    #[error("the server's metadata name no authorization server")]
    NoAuthorizationServer,
}

/// What a `WWW-Authenticate` says to a bearer (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Challenge {
    resource_metadata: Option<String>,
    scopes: Vec<String>,
}

impl ProtectedResource {
    /// Asks `server` without a token, follows what its 401 says, and else looks at the well-known URLs: under its own path,
    /// then at the root of its host.
    ///
    /// # Errors
    /// See [`ResourceError`]. The document has to be the server's own: its `resource` is the URL that was asked, or, in the
    /// document at the root, that of the root.
    pub async fn find(egress: &Egress, server: &Endpoint) -> Result<Self, ResourceError> {
        let url = server.url();
        let challenge = challenge_of(egress, url).await?;
        let whole = vec![url.clone()];
        let mut places: Vec<(Url, Vec<Url>)> = Vec::new();
        if let Some(named) = &challenge.resource_metadata {
            let named = Endpoint::parse(named).map_err(|_| ResourceError::NoUrl)?;
            let of = if *named.url() == at_root(url) { vec![url.clone(), root(url)] } else { whole };
            places.push((named.url().clone(), of));
        } else {
            places.push((under_path(url), whole));
            places.push((at_root(url), vec![url.clone(), root(url)]));
        }
        let mut status = StatusCode::NOT_FOUND;
        for (place, of) in places {
            let answer = get(egress, place).await?;
            if answer.status == StatusCode::OK {
                return Self::read(&answer.body, &of).map(|found| found.with(&challenge));
            }
            status = answer.status;
        }
        Err(ResourceError::NoMetadata(status.as_u16()))
    }

    /// Reads a metadata document, which has to be of one of the resources `of`.
    ///
    /// # Errors
    /// Where it is another's, or a member is not what it has to be.
    pub fn read(document: &[u8], of: &[Url]) -> Result<Self, ResourceError> {
        let Some(Value::Object(members)) = json::parse(document) else { return Err(ResourceError::NotJson) };
        let resource = members.get("resource").and_then(Value::as_str).ok_or(ResourceError::AnotherResource)?;
        if !Url::parse(resource).is_ok_and(|named| of.contains(&named)) {
            return Err(ResourceError::AnotherResource);
        }
        let texts = |name| {
            list(&members, name).map_err(|fault| match fault {
                DiscoveryError::Malformed(name) => ResourceError::Malformed(name),
                _ => ResourceError::NotJson,
            })
        };
        let authorization_servers = texts("authorization_servers")?;
        if authorization_servers.is_empty() {
            return Err(ResourceError::NoAuthorizationServer);
        }
        Ok(Self { resource: resource.to_owned(), authorization_servers, scopes: texts("scopes_supported")? })
    }

    fn with(self, challenge: &Challenge) -> Self {
        if challenge.scopes.is_empty() { self } else { Self { scopes: challenge.scopes.clone(), ..self } }
    }
}

async fn challenge_of(egress: &Egress, url: &Url) -> Result<Challenge, ResourceError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    let request = Outgoing { method: Method::GET, url: url.clone(), headers, body: None };
    match egress.send(request).await {
        Ok(answer) => Ok(Challenge::read(&answer.headers)),
        // A server that needs no token opens a stream of events, which has no end.
        Err(EgressError::TooSlow { sent: true } | EgressError::TooLarge) => Ok(Challenge::default()),
        Err(error) => Err(error.into()),
    }
}

impl Challenge {
    fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let bearer = values.flat_map(ChallengeParser::new).map_while(Result::ok);
        let mut read = Self::default();
        for challenge in bearer.filter(|challenge| is_for_tokens(challenge.scheme)) {
            for (name, value) in challenge.params {
                if name.eq_ignore_ascii_case("resource_metadata") {
                    read.resource_metadata.get_or_insert_with(|| value.to_unescaped());
                } else if name.eq_ignore_ascii_case("scope") && read.scopes.is_empty() {
                    read.scopes = value.to_unescaped().split_ascii_whitespace().map(str::to_owned).collect();
                }
            }
        }
        read
    }
}

fn is_for_tokens(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("dpop")
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// RFC 9728 §3.1: the well-known path stands before the resource's own; its query stays.
fn under_path(resource: &Url) -> Url {
    let mut there = resource.clone();
    there.set_path(&format!("{WELL_KNOWN}{}", resource.path().trim_end_matches('/')));
    there
}

fn at_root(resource: &Url) -> Url {
    let mut there = root(resource);
    there.set_path(WELL_KNOWN);
    there
}

fn root(resource: &Url) -> Url {
    let mut root = resource.clone();
    root.set_path("/");
    root.set_query(None);
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn challenge(values: &[&'static str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::read(&headers)
    }

    #[test]
    fn bar_40_the_well_known_path_is_inserted_before_the_resources_own() {
        let there = |text: &str| (under_path(&url(text)).to_string(), at_root(&url(text)).to_string());
        let root = "https://mcp.example/.well-known/oauth-protected-resource".to_owned();
        assert_eq!(there("https://mcp.example"), (root.clone(), root.clone()));
        assert_eq!(there("https://mcp.example/a/b?c=d"), (format!("{root}/a/b?c=d"), root.clone()));
        assert_eq!(there("https://mcp.example/a/"), (format!("{root}/a"), root));
    }

    #[test]
    fn bar_40_a_challenge_says_where_the_metadata_are_and_bar_42_which_scopes_are_needed() {
        let read = challenge(&[
            "Basic realm=\"x, resource_metadata=\\\"y\\\"\", Bearer error=\"invalid_token\", scope=\"files:read  files:write\", resource_metadata=\"https://a.example/m\"",
            "Bearer resource_metadata=\"https://b.example/\", scope=other",
        ]);
        assert_eq!(read.resource_metadata.as_deref(), Some("https://a.example/m"));
        assert_eq!(read.scopes, ["files:read", "files:write"]);
        assert_eq!(challenge(&["Basic resource_metadata=\"https://a.example/\""]), Challenge::default());
        assert_eq!(challenge(&["Bearer"]), Challenge::default());
        assert_eq!(challenge(&["\"\\", "=,=,;"]), Challenge::default());
    }

    #[test]
    fn bar_40_metadata_are_taken_of_the_resource_that_was_asked_alone() {
        let of = [url("https://mcp.example/a")];
        let read = |document: &str| ProtectedResource::read(document.as_bytes(), &of);
        let good = r#"{"resource":"https://MCP.example:443/a","authorization_servers":["https://as.example"],"scopes_supported":["x"],"more":1}"#;
        let found = read(good).unwrap();
        assert_eq!((found.authorization_servers, found.scopes), (vec!["https://as.example".into()], vec!["x".into()]));
        for (document, error) in [
            (
                r#"{"resource":"https://mcp.example/","authorization_servers":["https://as.example"]}"#,
                ResourceError::AnotherResource,
            ),
            (
                r#"{"resource":"https://mcp.example/a/","authorization_servers":["https://as.example"]}"#,
                ResourceError::AnotherResource,
            ),
            (
                r#"{"resource":"https://evil.example/a","authorization_servers":["https://as.example"]}"#,
                ResourceError::AnotherResource,
            ),
            (r#"{"authorization_servers":["https://as.example"]}"#, ResourceError::AnotherResource),
            (r#"{"resource":"https://mcp.example/a"}"#, ResourceError::NoAuthorizationServer),
            (
                r#"{"resource":"https://mcp.example/a","authorization_servers":[]}"#,
                ResourceError::NoAuthorizationServer,
            ),
            (
                r#"{"resource":"https://mcp.example/a","authorization_servers":"https://as.example"}"#,
                ResourceError::Malformed("authorization_servers"),
            ),
            (
                r#"{"resource":"https://mcp.example/a","authorization_servers":[1]}"#,
                ResourceError::Malformed("authorization_servers"),
            ),
            (r#"{"resource":"https://mcp.example/a","resource":"https://mcp.example/a"}"#, ResourceError::NotJson),
            ("[]", ResourceError::NotJson),
            ("", ResourceError::NotJson),
        ] {
            assert_eq!(read(document), Err(error), "{document}");
        }
    }
}
