//! Protected resource metadata (RFC 9728): finds the authorization server of an MCP server from the
//! server's URL alone.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_auth::ChallengeParser;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::metadata::{get, list};
use crate::catalog::value::Endpoint;
use crate::egress::{Egress, EgressError, EgressRequest};
use crate::json;

/// Time within which a server must answer a request without a token.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Revision of the Model Context Protocol.
const PROTOCOL_VERSION: &str = "2025-11-25";

/// Metadata of a resource, combined with its challenge to a request without a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    /// Resource identifier, sent with token requests (RFC 8707).
    pub resource: String,
    /// Issuers of its authorization servers, in the resource's order.
    pub authorization_servers: Vec<String>,
    /// Required scopes: those of the challenge (RFC 6750 §3), or else of the metadata.
    pub scopes: Vec<String>,
}

/// Reason why a resource's authorization server is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// No complete response arrived.
    #[error("cannot ask the MCP server for its authorization server: {0}")]
    Unreachable(#[from] EgressError),
    /// The challenge names no metadata, and the well-known URLs have none.
    #[error("the server has no protected resource metadata (RFC 9728): status {0}")]
    NoMetadata(u16),
    /// The document is not a JSON object, or a member occurs twice.
    #[error("the server's metadata are not a JSON object, or a member occurs twice")]
    NotJson,
    /// The document names another resource (RFC 9728 §3.3).
    #[error("the server's metadata belong to another resource than the requested one")]
    AnotherResource,
    /// The document names no authorization server.
    #[error("the server's metadata name no authorization server")]
    NoAuthorizationServer,
}

impl ResourceError {
    /// Returns true if the server has no metadata, rather than wrong ones or a failure.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NotJson) || matches!(self, Self::NoMetadata(status) if *status < 500)
    }
}

/// The challenge in `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Challenge {
    resource_metadata: Option<String>,
    scopes: Vec<String>,
}

impl ProtectedResource {
    /// Asks `server` without a token and fetches the metadata that its 401 names, or else those at
    /// the well-known URLs: under the server's path, then at the root of its host. The first usable
    /// document counts.
    ///
    /// # Errors
    /// See [`ResourceError`]. The document must name the server's URL as its `resource`; the
    /// document at the root may name the root instead.
    pub async fn find(egress: &Egress, server: &Endpoint) -> Result<Self, ResourceError> {
        let url = server.url();
        let challenge = challenge_of(egress, url).await?;
        let whole = vec![url.clone()];
        let or_root = vec![url.clone(), root(url)];
        // Each candidate URL, with the resources that its document may name.
        let mut candidates = vec![(under_path(url), &whole), (at_root(url), &or_root)];
        // A URL that is empty, relative or not https counts as absent.
        let named = challenge.resource_metadata.as_deref().and_then(|named| Endpoint::parse(named).ok());
        if let Some(named) = named.map(|named| named.url().clone()) {
            let resources = if named == at_root(url) { &or_root } else { &whole };
            candidates.retain(|(well_known, _)| *well_known != named);
            candidates.insert(0, (named, resources));
        }
        let mut failed = ResourceError::NoMetadata(StatusCode::NOT_FOUND.as_u16());
        for (candidate, resources) in candidates {
            let read = match get(egress, candidate).await {
                Ok(response) if response.status == StatusCode::OK => Self::read(&response.body, resources),
                Ok(response) => Err(ResourceError::NoMetadata(response.status.as_u16())),
                // A server that is too slow has used up the time of this request.
                Err(error) if error.timed_out() => return Err(error.into()),
                Err(error) => Err(error.into()),
            };
            match read {
                Ok(found) => return Ok(found.with(&challenge)),
                // Some servers answer every path with 200 and a page, so the next URL is tried.
                Err(error) if matches!(failed, ResourceError::NoMetadata(_)) => failed = error,
                Err(_) => {}
            }
        }
        Err(failed)
    }

    /// Describes a server of MCP's revision 2025-03-26: its authorization server is its own origin.
    pub fn of_legacy_server(server: &Endpoint) -> Self {
        Self {
            resource: server.url().to_string(),
            authorization_servers: vec![server.url().origin().ascii_serialization()],
            scopes: Vec::new(),
        }
    }

    /// Parses a metadata document, which must name one of `resources`.
    ///
    /// # Errors
    /// If it names another resource or no authorization server.
    pub fn read(document: &[u8], resources: &[Url]) -> Result<Self, ResourceError> {
        let members = json::parse_object(document).ok_or(ResourceError::NotJson)?;
        let resource = members.get("resource").and_then(Value::as_str).ok_or(ResourceError::AnotherResource)?;
        if !Url::parse(resource).is_ok_and(|named| resources.contains(&named)) {
            return Err(ResourceError::AnotherResource);
        }
        let mut authorization_servers = list(&members, "authorization_servers");
        authorization_servers.retain(|issuer| Endpoint::parse(issuer).is_ok());
        if authorization_servers.is_empty() {
            return Err(ResourceError::NoAuthorizationServer);
        }
        Ok(Self { resource: resource.to_owned(), authorization_servers, scopes: list(&members, "scopes_supported") })
    }

    fn with(self, challenge: &Challenge) -> Self {
        if challenge.scopes.is_empty() { self } else { Self { scopes: challenge.scopes.clone(), ..self } }
    }
}

/// Asks without a token: by GET, and by POST if GET is not answered with 401, because a server may
/// offer no event stream.
async fn challenge_of(egress: &Egress, url: &Url) -> Result<Challenge, ResourceError> {
    for method in [Method::GET, Method::POST] {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let body = (method == Method::POST).then(|| {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Zeroizing::new(initialize().to_string().into_bytes())
        });
        let request = EgressRequest { method, url: url.clone(), headers, body, chosen: false };
        match egress.send_for_head(request, PROBE_TIMEOUT).await {
            Ok(response) if response.status == StatusCode::UNAUTHORIZED => {
                return Ok(Challenge::read(&response.headers));
            }
            Ok(_) | Err(EgressError::TooSlow { sent: true }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Challenge::default())
}

/// The first message of an MCP client.
fn initialize() -> Value {
    let client = json!({ "name": "strongroom", "version": env!("CARGO_PKG_VERSION") });
    let params = json!({ "protocolVersion": PROTOCOL_VERSION, "capabilities": {}, "clientInfo": client });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })
}

impl Challenge {
    fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let bearer = values.flat_map(ChallengeParser::new).map_while(Result::ok);
        let mut read = Self::default();
        for challenge in bearer.filter(|challenge| is_token_scheme(challenge.scheme)) {
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

fn is_token_scheme(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("dpop")
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Inserts the well-known path before the resource's own (RFC 9728 §3.1); the query stays.
fn under_path(resource: &Url) -> Url {
    let mut url = resource.clone();
    url.set_path(&format!("{WELL_KNOWN}{}", resource.path().trim_end_matches('/')));
    url
}

fn at_root(resource: &Url) -> Url {
    let mut url = root(resource);
    url.set_path(WELL_KNOWN);
    url
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

    // Requirement 40.
    #[test]
    fn the_well_known_path_is_inserted() {
        let urls = |text: &str| (under_path(&url(text)).to_string(), at_root(&url(text)).to_string());
        let root = "https://mcp.example/.well-known/oauth-protected-resource".to_owned();
        assert_eq!(urls("https://mcp.example"), (root.clone(), root.clone()));
        assert_eq!(urls("https://mcp.example/a/b?c=d"), (format!("{root}/a/b?c=d"), root.clone()));
        assert_eq!(urls("https://mcp.example/a/"), (format!("{root}/a"), root));
    }

    // Requirement 40 and 42.
    #[test]
    fn a_challenge_names_metadata_and_scopes() {
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

    // Requirement 40.
    #[test]
    fn only_the_requested_resource_is_accepted() {
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
                ResourceError::NoAuthorizationServer,
            ),
            (
                r#"{"resource":"https://mcp.example/a","authorization_servers":[1]}"#,
                ResourceError::NoAuthorizationServer,
            ),
            (r#"{"resource":"https://mcp.example/a","resource":"https://mcp.example/a"}"#, ResourceError::NotJson),
            ("[]", ResourceError::NotJson),
            ("", ResourceError::NotJson),
        ] {
            assert_eq!(read(document), Err(error), "{document}");
        }
    }

    #[test]
    fn malformed_members_count_as_absent() {
        let of = [url("https://mcp.example/a")];
        for name in ["scopes_supported", "jwks_uri", "bearer_methods_supported", "resource_name", "resource_policy_uri"]
        {
            for value in [json!(""), json!("/relative"), json!(7), json!(null), json!([]), json!(["", 7]), json!({})] {
                let mut document = json!({"resource": "https://mcp.example/a",
                    "authorization_servers": ["", "/relative", 7, null, "https://as.example"]});
                document[name] = value;
                let read = ProtectedResource::read(document.to_string().as_bytes(), &of).unwrap();
                assert_eq!(read.authorization_servers, ["https://as.example"], "{document}");
                assert!(read.scopes.is_empty(), "{document}");
            }
        }
    }
}
