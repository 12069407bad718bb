//! Client authentication (RFC 6749 §2.3): in the header, in the body, or by a public client's id;
//! never two at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::catalog::entry::TokenAuth;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::message::form::Form;
use crate::sandbox::options::{RedirectUris, SandboxClient};
use crate::secret::Secret;

/// Schemes that the browser handles itself, so that no client would get the response.
const BROWSER_SCHEMES: [&str; 9] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "ws", "wss"];

impl SandboxClient {
    /// Returns true if the client may use this redirect URI.
    pub(in crate::sandbox) fn allows_redirect_uri(&self, text: &str) -> bool {
        match &self.redirect_uris {
            RedirectUris::Exactly(registered) => registered.iter().any(|uri| uri == text),
            RedirectUris::Any => url::Url::parse(text)
                .is_ok_and(|url| url.fragment().is_none() && !BROWSER_SCHEMES.contains(&url.scheme())),
        }
    }

    fn accepts(&self, presented: &Presented) -> bool {
        if !self.token_auth.contains(&presented.way) {
            return false;
        }
        match (&self.secret, &presented.secret) {
            (Some(own), Some(sent)) => own.equals(sent.expose()),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The authentication in a request.
struct Presented {
    id: String,
    secret: Option<Secret>,
    way: TokenAuth,
}

/// Authenticates the client of a request.
pub(in crate::sandbox) fn authenticate<'c>(
    clients: &'c [SandboxClient],
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'c SandboxClient, EndpointError> {
    let wrong = EndpointError::InvalidClient("client authentication failed");
    let id = form.get("client_id").map_err(|_| EndpointError::InvalidRequest("client_id was sent more than once"))?;
    let secret = form
        .get("client_secret")
        .map_err(|_| EndpointError::InvalidRequest("client_secret was sent more than once"))?;
    let presented = match (headers.get(AUTHORIZATION), id, secret) {
        (Some(_), _, Some(_)) => {
            return Err(EndpointError::InvalidRequest("two client authentications in one request"));
        }
        (Some(header), id, None) => {
            let presented = from_header(header.to_str().map_err(|_| wrong)?, clients).ok_or(wrong)?;
            if id.is_some_and(|id| id != presented.id) {
                return Err(EndpointError::InvalidRequest("client_id differs from the Authorization header"));
            }
            presented
        }
        (None, Some(id), Some(secret)) => {
            Presented { id: id.to_owned(), secret: Some(Secret::new(secret)), way: TokenAuth::Post }
        }
        (None, Some(id), None) => Presented { id: id.to_owned(), secret: None, way: TokenAuth::None },
        (None, None, _) => return Err(EndpointError::InvalidClient("client authentication is missing")),
    };
    clients.iter().find(|client| client.id == presented.id).filter(|client| client.accepts(&presented)).ok_or(wrong)
}

/// Reads `Basic`: both parts form-encoded (RFC 6749 §2.3.1), or raw if the client does not encode
/// them.
fn from_header(header: &str, clients: &[SandboxClient]) -> Option<Presented> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let raw = clients.iter().any(|client| client.id == id && client.token_auth.contains(&TokenAuth::BasicRaw));
    let (id, secret, way) = if raw {
        (id.to_owned(), secret.to_owned(), TokenAuth::BasicRaw)
    } else {
        (form_decoded(id)?, form_decoded(secret)?, TokenAuth::Basic)
    };
    Some(Presented { id, secret: Some(Secret::new(secret)), way })
}

/// Decodes one form-encoded value. A `&` or `=` shows that it was not encoded.
fn form_decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
