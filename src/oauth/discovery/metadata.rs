//! Discovery (RFC 8414, OpenID Connect Discovery 1.0): what an authorization server says about itself, found from its
//! issuer identifier alone.
//!
//! Every URL in the document comes from outside: it is taken only as an [`Endpoint`], and the egress guard has the last word
//! when it is used. A member that is not what it has to be makes the document unusable; an unknown one is ignored.

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use crate::catalog::value::Endpoint;
use crate::egress::{Answer, Egress, EgressError, Outgoing};
use crate::json;
use crate::oauth::message::request::accept_json;

/// The longest list that is read.
const MOST_MEMBERS: usize = 1000;

/// What an authorization server says about itself (RFC 8414 §2). What it does not say is `None`, or an empty list.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Its issuer identifier, equal to the one that was asked for.
    pub issuer: String,
    /// Where users log in.
    pub authorization_endpoint: Option<Endpoint>,
    /// Where codes become tokens.
    pub token_endpoint: Option<Endpoint>,
    /// Its published keys (RFC 7517).
    pub jwks_uri: Option<Endpoint>,
    /// Where an account is asked who it is (OpenID Connect Core §5.3).
    pub userinfo_endpoint: Option<Endpoint>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Endpoint>,
    /// Where a token is looked into (RFC 7662).
    pub introspection_endpoint: Option<Endpoint>,
    /// Where the device flow begins (RFC 8628).
    pub device_authorization_endpoint: Option<Endpoint>,
    /// Where authorization requests are pushed (RFC 9126).
    pub pushed_authorization_request_endpoint: Option<Endpoint>,
    /// Whether they have to be.
    pub require_pushed_authorization_requests: bool,
    /// Where clients register themselves (RFC 7591).
    pub registration_endpoint: Option<Endpoint>,
    /// Whether `iss` is in its answers (RFC 9207 §3).
    pub authorization_response_iss_parameter_supported: bool,
    /// Whether a client's id may be the URL of its metadata (draft-ietf-oauth-client-id-metadata-document).
    pub client_id_metadata_document_supported: bool,
    /// How clients authenticate at the token endpoint; empty: `client_secret_basic` (RFC 8414 §2).
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// With what a client's assertion may be signed.
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// PKCE's methods; empty: it says nothing.
    pub code_challenge_methods_supported: Vec<String>,
    /// The grants.
    pub grant_types_supported: Vec<String>,
    /// The scopes that it tells of.
    pub scopes_supported: Vec<String>,
    /// With what ID tokens are signed.
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// With what a DPoP proof may be signed (RFC 9449 §5.1); empty: it says nothing of DPoP.
    pub dpop_signing_alg_values_supported: Vec<String>,
}

/// Why there is no metadata. Nothing of the document is in it but the names of members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The issuer is no URL that metadata can be found from.
    #[error("the issuer is no https URL without a query")]
    NoIssuer,
    /// There is no whole answer.
    #[error("{0}")]
    Unreachable(#[from] EgressError),
    /// Neither well-known URL has a document; the status of the last.
    #[error("there are no metadata at the issuer's well-known URLs (status {0})")]
    Status(u16),
    /// The document is no JSON object, or says something twice.
    #[error("the metadata are no JSON object, or say something twice")]
    NotJson,
    /// The document is another issuer's (RFC 8414 §3.3).
    #[error("the metadata are of another issuer than the one that was asked for")]
    AnotherIssuer,
    /// A member is not what it has to be.
    #[error("the metadata's '{0}' is malformed")]
    Malformed(&'static str),
    /// A member that is needed is not there.
    #[error("the metadata have no '{0}'")]
    Missing(&'static str),
}

impl Metadata {
    /// Fetches the metadata of `issuer`: under the path that RFC 8414 §3.1 inserts, else where OpenID Connect Discovery §4
    /// appends its own. The issuer that the document names must be this one, to the letter.
    ///
    /// # Errors
    /// See [`DiscoveryError`]. A document that is there and wrong ends the search: the next would be no better.
    pub async fn fetch(egress: &Egress, issuer: &str) -> Result<Self, DiscoveryError> {
        let mut status = StatusCode::NOT_FOUND;
        for url in well_known(issuer).ok_or(DiscoveryError::NoIssuer)? {
            let answer = get(egress, url).await?;
            if answer.status == StatusCode::OK {
                return Self::read(&answer.body, issuer);
            }
            status = answer.status;
        }
        Err(DiscoveryError::Status(status.as_u16()))
    }

    /// Reads a metadata document.
    ///
    /// # Errors
    /// Where it is another issuer's, or a member is not what it has to be.
    pub fn read(document: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        let Some(Value::Object(members)) = json::parse(document) else { return Err(DiscoveryError::NotJson) };
        if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(DiscoveryError::AnotherIssuer);
        }
        let (endpoint, flag, list) =
            (|name| endpoint(&members, name), |name| flag(&members, name), |name| list(&members, name));
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            jwks_uri: endpoint("jwks_uri")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            introspection_endpoint: endpoint("introspection_endpoint")?,
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            pushed_authorization_request_endpoint: endpoint("pushed_authorization_request_endpoint")?,
            require_pushed_authorization_requests: flag("require_pushed_authorization_requests")?,
            registration_endpoint: endpoint("registration_endpoint")?,
            authorization_response_iss_parameter_supported: flag("authorization_response_iss_parameter_supported")?,
            client_id_metadata_document_supported: flag("client_id_metadata_document_supported")?,
            token_endpoint_auth_methods_supported: list("token_endpoint_auth_methods_supported")?,
            token_endpoint_auth_signing_alg_values_supported: list("token_endpoint_auth_signing_alg_values_supported")?,
            code_challenge_methods_supported: list("code_challenge_methods_supported")?,
            grant_types_supported: list("grant_types_supported")?,
            scopes_supported: list("scopes_supported")?,
            id_token_signing_alg_values_supported: list("id_token_signing_alg_values_supported")?,
            dpop_signing_alg_values_supported: list("dpop_signing_alg_values_supported")?,
        })
    }
}

/// One GET for a JSON document.
pub(in crate::oauth) async fn get(egress: &Egress, url: Url) -> Result<Answer, EgressError> {
    let mut headers = HeaderMap::new();
    accept_json(&mut headers);
    egress.send(Outgoing { method: Method::GET, url, headers, body: None }).await
}

/// Where the metadata of an issuer may be: RFC 8414's places (§3.1, §5) before OpenID's own. An issuer has no query and no fragment
/// (RFC 8414 §2), and is a URL that could be an endpoint.
fn well_known(issuer: &str) -> Option<[Url; 3]> {
    let url = Endpoint::parse(issuer).ok()?.url().clone();
    if url.query().is_some() {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let at = |path: String| {
        let mut there = url.clone();
        there.set_path(&path);
        there
    };
    Some([
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ])
}

pub(in crate::oauth) fn endpoint(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Endpoint>, DiscoveryError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Endpoint::parse(text).map(Some).map_err(|_| DiscoveryError::Malformed(name)),
        Some(_) => Err(DiscoveryError::Malformed(name)),
    }
}

fn flag(members: &Map<String, Value>, name: &'static str) -> Result<bool, DiscoveryError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(DiscoveryError::Malformed(name)),
    }
}

pub(in crate::oauth) fn list(members: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, DiscoveryError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MOST_MEMBERS => {
            let texts = list.iter().map(|item| item.as_str().map(str::to_owned).ok_or(DiscoveryError::Malformed(name)));
            texts.collect()
        }
        Some(_) => Err(DiscoveryError::Malformed(name)),
    }
}
