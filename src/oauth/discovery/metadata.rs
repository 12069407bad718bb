//! Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0), found from the issuer
//! identifier alone.
//!
//! Every URL in the document is untrusted: it is parsed as an [`Endpoint`], and the egress guard
//! checks its address when it is used. A malformed member counts as absent, except those that every
//! login needs; an unknown one is ignored.

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use crate::catalog::value::Endpoint;
use crate::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use crate::json;
use crate::oauth::message::request::accept_json;

/// Maximum length of a list.
const MAX_LIST: usize = 1000;

/// Maximum length of a foreign issuer in an error message, in bytes.
const MAX_SHOWN: usize = 200;

/// Metadata of an authorization server (RFC 8414 §2). Absent members are `None` or empty lists.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Issuer identifier as the document writes it. It is the requested one, except that either may
    /// end with a slash after a bare host.
    pub issuer: String,
    /// Authorization endpoint.
    pub authorization_endpoint: Option<Endpoint>,
    /// Token endpoint.
    pub token_endpoint: Option<Endpoint>,
    /// Published keys (RFC 7517).
    pub jwks_uri: Option<Endpoint>,
    /// Userinfo endpoint (OpenID Connect Core §5.3).
    pub userinfo_endpoint: Option<Endpoint>,
    /// Revocation endpoint (RFC 7009).
    pub revocation_endpoint: Option<Endpoint>,
    /// Device authorization endpoint (RFC 8628).
    pub device_authorization_endpoint: Option<Endpoint>,
    /// Pushed authorization request endpoint (RFC 9126).
    pub pushed_authorization_request_endpoint: Option<Endpoint>,
    /// True if authorization requests must be pushed.
    pub require_pushed_authorization_requests: bool,
    /// Client registration endpoint (RFC 7591).
    pub registration_endpoint: Option<Endpoint>,
    /// True if authorization responses carry `iss` (RFC 9207 §3).
    pub authorization_response_iss_parameter_supported: bool,
    /// True if a client id may be the URL of the client's metadata
    /// (draft-ietf-oauth-client-id-metadata-document).
    pub client_id_metadata_document_supported: bool,
    /// Client authentication methods; an empty list means `client_secret_basic` (RFC 8414 §2).
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Client authentication methods of the revocation endpoint; an empty list says nothing.
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// Signature algorithms of client assertions.
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// PKCE methods; an empty list says nothing.
    pub code_challenge_methods_supported: Vec<String>,
    /// Documented scopes.
    pub scopes_supported: Vec<String>,
}

/// Reason why there is no usable metadata. Contains nothing of the document but names of members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The issuer is not a URL that metadata can be found from.
    #[error("the issuer must be an https URL without a query")]
    InvalidIssuer,
    /// No complete response arrived.
    #[error("{0}")]
    Unreachable(#[from] EgressError),
    /// No well-known URL has a document; holds the last status.
    #[error("the issuer's well-known URLs have no metadata (status {0})")]
    Status(u16),
    /// The document is not a JSON object, or a member occurs twice.
    #[error("the metadata are not a JSON object, or a member occurs twice")]
    NotJson,
    /// The document names another issuer (RFC 8414 §3.3).
    #[error("the metadata belong to the issuer {found}, not to the requested {requested}")]
    AnotherIssuer {
        /// The issuer that was asked.
        requested: String,
        /// The document's issuer, if it is a URL of ordinary length.
        found: String,
    },
    /// A member that is needed is missing or malformed.
    #[error("the metadata have no usable '{0}'")]
    Missing(&'static str),
}

impl DiscoveryError {
    /// Returns true if the issuer has no metadata, rather than wrong ones or a failure.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NotJson) || matches!(self, Self::Status(status) if *status < 500)
    }
}

impl Metadata {
    /// Returns the endpoints of an MCP server of revision 2025-03-26 without metadata. That revision
    /// fixes their paths, and requires PKCE of OAuth 2.1.
    ///
    /// # Errors
    /// If `issuer` is not an origin.
    pub fn of_legacy_server(issuer: &str) -> Result<Self, DiscoveryError> {
        let document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "code_challenge_methods_supported": ["S256"],
        });
        Self::read(document.to_string().as_bytes(), issuer)
    }

    /// Fetches the metadata of `issuer`: from the path that RFC 8414 §3.1 inserts, or else from the
    /// one that OpenID Connect Discovery §4 appends. The first usable document counts, because some
    /// servers answer every path with 200 and a page (RFC 8414 §3.2).
    ///
    /// # Errors
    /// See [`DiscoveryError`]. The error of an unusable document comes before that of a status.
    pub async fn fetch(egress: &Egress, issuer: &str) -> Result<Self, DiscoveryError> {
        Self::fetch_usable(egress, issuer, Ok).await
    }

    /// Like [`Metadata::fetch`], for documents of which `usable` makes a result.
    pub(in crate::oauth) async fn fetch_usable<T>(
        egress: &Egress,
        issuer: &str,
        usable: impl Fn(Self) -> Result<T, DiscoveryError>,
    ) -> Result<T, DiscoveryError> {
        let mut failed = DiscoveryError::Status(StatusCode::NOT_FOUND.as_u16());
        for url in well_known(issuer).ok_or(DiscoveryError::InvalidIssuer)? {
            let response = get(egress, url).await?;
            let read = match response.status {
                StatusCode::OK => Self::read(&response.body, issuer).and_then(&usable),
                status => Err(DiscoveryError::Status(status.as_u16())),
            };
            match read {
                Ok(found) => return Ok(found),
                Err(error) if matches!(failed, DiscoveryError::Status(_)) => failed = error,
                Err(_) => {}
            }
        }
        Err(failed)
    }

    /// Parses a metadata document. A member that is empty, relative or of a wrong type counts as
    /// absent: it is an error only for those who need it.
    ///
    /// # Errors
    /// If it names another issuer.
    pub fn read(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let members = json::parse_object(document).ok_or(DiscoveryError::NotJson)?;
        let named = members.get("issuer").and_then(Value::as_str).ok_or(DiscoveryError::Missing("issuer"))?;
        if !is_same_issuer(named, issuer) {
            return Err(DiscoveryError::AnotherIssuer { requested: issuer.to_owned(), found: shown(named) });
        }
        let endpoint = |name| Endpoint::parse(members.get(name)?.as_str()?).ok();
        let (flag, list) = (|name| flag(&members, name), |name| list(&members, name));
        Ok(Self {
            issuer: named.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint"),
            token_endpoint: endpoint("token_endpoint"),
            jwks_uri: endpoint("jwks_uri"),
            userinfo_endpoint: endpoint("userinfo_endpoint"),
            revocation_endpoint: endpoint("revocation_endpoint"),
            device_authorization_endpoint: endpoint("device_authorization_endpoint"),
            pushed_authorization_request_endpoint: endpoint("pushed_authorization_request_endpoint"),
            require_pushed_authorization_requests: flag("require_pushed_authorization_requests"),
            registration_endpoint: endpoint("registration_endpoint"),
            authorization_response_iss_parameter_supported: flag("authorization_response_iss_parameter_supported"),
            client_id_metadata_document_supported: flag("client_id_metadata_document_supported"),
            token_endpoint_auth_methods_supported: list("token_endpoint_auth_methods_supported"),
            revocation_endpoint_auth_methods_supported: list("revocation_endpoint_auth_methods_supported"),
            token_endpoint_auth_signing_alg_values_supported: list("token_endpoint_auth_signing_alg_values_supported"),
            code_challenge_methods_supported: list("code_challenge_methods_supported"),
            scopes_supported: list("scopes_supported"),
        })
    }
}

/// Returns true if both texts name the same issuer. They are compared as texts (RFC 8414 §3.3),
/// but a slash after a bare host makes no difference: libraries for URLs add it.
pub fn is_same_issuer(one: &str, other: &str) -> bool {
    without_root_slash(one) == without_root_slash(other)
}

fn without_root_slash(issuer: &str) -> &str {
    let bare =
        issuer.strip_suffix('/').filter(|rest| rest.split_once("://").is_some_and(|(_, host)| !host.contains('/')));
    bare.unwrap_or(issuer)
}

/// Formats an issuer that an untrusted document names.
fn shown(issuer: &str) -> String {
    let url = Url::parse(issuer).ok().filter(|url| url.as_str().len() <= MAX_SHOWN);
    url.map_or_else(|| "of another form".to_owned(), String::from)
}

/// Fetches a JSON document with GET.
pub(in crate::oauth) async fn get(egress: &Egress, url: Url) -> Result<EgressResponse, EgressError> {
    let mut headers = HeaderMap::new();
    accept_json(&mut headers);
    egress.send(EgressRequest { method: Method::GET, url, headers, body: None, chosen: false }).await
}

/// Returns the URLs at which an issuer's metadata may be: those of RFC 8414 (§3.1, §5) before
/// OpenID's. An issuer has no query and no fragment (§2).
fn well_known(issuer: &str) -> Option<[Url; 3]> {
    let url = Endpoint::parse(issuer).ok()?.url().clone();
    if url.query().is_some() {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = url.clone();
        url.set_path(&path);
        url
    };
    Some([
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ])
}

fn flag(members: &Map<String, Value>, name: &str) -> bool {
    members.get(name) == Some(&Value::Bool(true))
}

/// Returns the texts of a list that are not empty, at most [`MAX_LIST`]. Everything else counts as
/// absent.
pub(in crate::oauth) fn list(members: &Map<String, Value>, name: &str) -> Vec<String> {
    let items = members.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).filter(|text| !text.is_empty()).take(MAX_LIST).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each optional member may be empty, relative, of a wrong type or null: it counts as absent,
    /// and the other members are read.
    #[test]
    fn malformed_members_count_as_absent() {
        let whole = serde_json::json!({
            "issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "jwks_uri": "https://as.example/keys",
            "userinfo_endpoint": "https://as.example/me",
            "revocation_endpoint": "https://as.example/revoke",
            "device_authorization_endpoint": "https://as.example/device",
            "pushed_authorization_request_endpoint": "https://as.example/par",
            "registration_endpoint": "https://as.example/register",
            "require_pushed_authorization_requests": true,
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": true,
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["read"],
        });
        let read = |document: &Value| Metadata::read(document.to_string().as_bytes(), "https://as.example").unwrap();
        let members = whole.as_object().unwrap().keys().filter(|name| *name != "issuer");
        for name in members {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(name);
            assert_ne!(format!("{:?}", read(&without)), format!("{:?}", read(&whole)), "{name} is read");
            for value in ["", "/relative", "http://as.example/plain", "not a URL"].map(Value::from).into_iter().chain([
                Value::Null,
                7.into(),
                serde_json::json!([]),
                serde_json::json!(["", 7, null]),
                serde_json::json!({"a": "b"}),
            ]) {
                let mut document = whole.clone();
                document[name] = value;
                assert_eq!(
                    format!("{:?}", read(&document)),
                    format!("{:?}", read(&without)),
                    "{name}: {}",
                    document[name]
                );
            }
        }
        assert_eq!(
            read(&serde_json::json!({"issuer": "https://as.example", "scopes_supported": ["a", 1]})).scopes_supported,
            ["a"]
        );
    }
}
