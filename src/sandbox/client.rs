//! Client authentication (RFC 6749 §2.3): in the header, in the body, or a public client's bare id; never two at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::answer::Refusal;
use super::form::Form;
use super::options::{RedirectUris, SandboxClient};
use crate::catalog::entry::TokenAuth;
use crate::secret::Secret;

/// Schemes that a browser runs, reads or shows itself, instead of handing the answer to a client.
const NEVER_REDIRECTED_TO: [&str; 9] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "ws", "wss"];

impl SandboxClient {
    /// Whether the user may be sent there with an answer for this client.
    pub(super) fn takes_redirect_uri(&self, text: &str) -> bool {
        match &self.redirect_uris {
            RedirectUris::Exactly(registered) => registered.iter().any(|uri| uri == text),
            RedirectUris::Any => url::Url::parse(text)
                .is_ok_and(|url| url.fragment().is_none() && !NEVER_REDIRECTED_TO.contains(&url.scheme())),
        }
    }

    fn knows(&self, presented: &Presented) -> bool {
        if !self.token_auth.contains(&presented.way) {
            return false;
        }
        match (&self.secret, &presented.secret) {
            (Some(own), Some(given)) => own.equals(given.expose()),
            (None, None) => true,
            _ => false,
        }
    }
}

/// What a client says of itself.
struct Presented {
    id: String,
    secret: Option<Secret>,
    way: TokenAuth,
}

/// The client that sent this request, if it can prove it.
pub(super) fn authenticate<'c>(
    clients: &'c [SandboxClient],
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'c SandboxClient, Refusal> {
    let wrong = Refusal::InvalidClient("client authentication failed");
    let id = form.get("client_id").map_err(|_| Refusal::InvalidRequest("client_id more than once"))?;
    let secret = form.get("client_secret").map_err(|_| Refusal::InvalidRequest("client_secret more than once"))?;
    let presented = match (headers.get(AUTHORIZATION), id, secret) {
        (Some(_), _, Some(_)) => return Err(Refusal::InvalidRequest("two client authentications in one request")),
        (Some(header), id, None) => {
            let presented = from_header(header.to_str().map_err(|_| wrong)?, clients).ok_or(wrong)?;
            if id.is_some_and(|id| id != presented.id) {
                return Err(Refusal::InvalidRequest("client_id is not that of the Authorization header"));
            }
            presented
        }
        (None, Some(id), Some(secret)) => {
            Presented { id: id.to_owned(), secret: Some(Secret::new(secret)), way: TokenAuth::Post }
        }
        (None, Some(id), None) => Presented { id: id.to_owned(), secret: None, way: TokenAuth::None },
        (None, None, _) => return Err(Refusal::InvalidClient("no client authentication")),
    };
    clients.iter().find(|client| client.id == presented.id).filter(|client| client.knows(&presented)).ok_or(wrong)
}

/// Reads `Basic`: with both parts form-urlencoded, as RFC 6749 has it, or raw, where the client is one that does so.
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

/// Undoes `application/x-www-form-urlencoded` for one value; a `&` or `=` in it was not encoded, and is a fault.
fn form_decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
