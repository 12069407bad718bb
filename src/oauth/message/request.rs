//! Parts of a request to a provider: the entry's headers, the access token, the encoded body.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;
use zeroize::Zeroizing;

use super::error::BuildError;
use super::parameters::Parameters;
use crate::catalog::entry::{AccessToken, AccessTokenPlace, Body, Method};
use crate::secret::Secret;

/// Adds the entry's headers. `Authorization` is refused, because a request has exactly one
/// authentication and the entry's headers are not it.
pub(in crate::oauth) fn add_headers(
    headers: &mut HeaderMap,
    further: &BTreeMap<String, String>,
) -> Result<(), BuildError> {
    for (name, value) in further {
        let unusable = || BuildError::Header(name.clone());
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| unusable())?;
        if parsed == header::AUTHORIZATION {
            return Err(unusable());
        }
        headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| unusable())?);
    }
    Ok(())
}

/// Asks for JSON unless the entry's headers ask for something else. Some servers send JSON only on
/// request.
pub(in crate::oauth) fn accept_json(headers: &mut HeaderMap) {
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
}

/// Adds an access token the way the entry describes; by default in the `Authorization` header
/// (RFC 6750 §2.1).
pub(in crate::oauth) fn add_access_token(
    how: Option<&AccessToken>,
    scheme: &str,
    token: &Secret,
    headers: &mut HeaderMap,
    url: &mut Url,
) -> Result<(), BuildError> {
    let (name, text) = match how {
        None => (header::AUTHORIZATION, format!("{scheme} {}", token.expose())),
        Some(how) if how.place == AccessTokenPlace::Query => {
            url.query_pairs_mut().append_pair(&how.name, token.expose());
            return Ok(());
        }
        Some(how) => (
            HeaderName::try_from(how.name.as_str()).map_err(|_| BuildError::Header(how.name.clone()))?,
            format!("{}{}", how.prefix.as_deref().unwrap_or(""), token.expose()),
        ),
    };
    let text = Zeroizing::new(text);
    let mut value = HeaderValue::from_str(&text).map_err(|_| BuildError::Token)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Encodes the parameters as a body and sets `Content-Type`.
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
