//! What all requests to a provider have in common: headers of the entry's, a bearer token, a body in its encoding.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;
use zeroize::Zeroizing;

use super::parameters::Parameters;
use crate::catalog::entry::{AccessToken, AccessTokenPlace, Body, Method};
use crate::secret::Secret;

/// What an authorization server says to a client that it does not take (RFC 6749 §5.2).
pub(in crate::oauth) const INVALID_CLIENT: &str = "invalid_client";

/// Why a request could not even be built. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbuildable {
    /// The provider wants a client secret, and the configuration has none.
    #[error("no client secret is configured, and the provider wants one")]
    NoClientSecret,
    /// The provider wants an assertion signed with our private key, and there is none.
    #[error("no private key is configured, and the provider wants one (client_key)")]
    NoClientKey,
    /// The private key is not one for the algorithm that the entry names.
    #[error("the configured private key cannot sign with the algorithm that the provider wants")]
    ClientKey,
    /// The issuer, for which an assertion would be, is not known.
    #[error("the provider's issuer is not known, and the assertion is for it")]
    NoIssuer,
    /// A header of the entry's is not one, or is ours to set.
    #[error("the entry's header '{0}' cannot be sent")]
    Header(String),
    /// The entry's URL is not one.
    #[error("the entry's URL cannot be used")]
    Url,
    /// The token cannot stand in a header.
    #[error("the token cannot be sent in a header")]
    Token,
}

/// Adds the entry's headers. They cannot authenticate: a request has one authentication, and that is made elsewhere.
pub(in crate::oauth) fn add_headers(
    headers: &mut HeaderMap,
    further: &BTreeMap<String, String>,
) -> Result<(), Unbuildable> {
    for (name, value) in further {
        let unusable = || Unbuildable::Header(name.clone());
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| unusable())?;
        if parsed == header::AUTHORIZATION {
            return Err(unusable());
        }
        headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| unusable())?);
    }
    Ok(())
}

/// Asks for JSON, which some servers answer with only when they are asked; the entry may ask for something else.
pub(in crate::oauth) fn accept_json(headers: &mut HeaderMap) {
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
}

/// Uses an access token as the entry says; where it says nothing, as bearer.
pub(in crate::oauth) fn present(
    how: Option<&AccessToken>,
    scheme: &str,
    token: &Secret,
    headers: &mut HeaderMap,
    url: &mut Url,
) -> Result<(), Unbuildable> {
    let Some(how) = how else { return bear(headers, scheme, token) };
    if how.place == AccessTokenPlace::Query {
        url.query_pairs_mut().append_pair(&how.name, token.expose());
        return Ok(());
    }
    let text = Zeroizing::new(format!("{}{}", how.prefix.as_deref().unwrap_or(""), token.expose()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| Unbuildable::Token)?;
    value.set_sensitive(true);
    let name = HeaderName::try_from(how.name.as_str()).map_err(|_| Unbuildable::Header(how.name.clone()))?;
    headers.insert(name, value);
    Ok(())
}

/// Uses a token (RFC 6750 §2.1): in the header, and nowhere else.
fn bear(headers: &mut HeaderMap, scheme: &str, token: &Secret) -> Result<(), Unbuildable> {
    let text = Zeroizing::new(format!("{scheme} {}", token.expose()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| Unbuildable::Token)?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// Writes the body, and says in the headers how it is written.
pub(in crate::oauth) fn body(
    encoding: Body,
    parameters: &Parameters,
    headers: &mut HeaderMap,
) -> Option<Zeroizing<Vec<u8>>> {
    let (kind, bytes) = match encoding {
        Body::Form => ("application/x-www-form-urlencoded", parameters.form()),
        Body::Json => ("application/json", parameters.json()),
        Body::None => return None,
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(bytes)
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Delete => Self::DELETE,
        }
    }
}
