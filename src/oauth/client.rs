//! Who we are at the authorization server, and how we prove it (RFC 6749 §2.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::cleaning::Cleaner;
use super::parameters::Parameters;
use super::request::Unbuildable;
use crate::catalog::entry::TokenAuth;
use crate::secret::Secret;

/// Our registration at a provider.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client id; not a secret.
    pub id: String,
    /// The client secret; a public client has none.
    pub secret: Option<Secret>,
}

impl Client {
    /// Puts exactly one authentication into a request: in the header or in the body, never in both.
    pub(super) fn authenticate(
        &self,
        way: TokenAuth,
        headers: &mut HeaderMap,
        parameters: &mut Parameters,
    ) -> Result<(), Unbuildable> {
        match way {
            TokenAuth::Basic | TokenAuth::BasicRaw => {
                let mut value = HeaderValue::from_str(&self.basic(way)?).expect("base64 is visible ASCII");
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
            TokenAuth::Post => {
                parameters.set("client_id", &self.id);
                parameters.set("client_secret", self.required_secret()?.expose());
            }
            TokenAuth::None => parameters.set("client_id", &self.id),
        }
        Ok(())
    }

    /// The value of the `Authorization` header. RFC 6749 §2.3.1 wants both parts form-urlencoded first, so that a colon
    /// in the id does no harm; servers that do not decode them are met with `basic_raw`.
    fn basic(&self, way: TokenAuth) -> Result<Zeroizing<String>, Unbuildable> {
        let secret = self.required_secret()?.expose();
        let pair = Zeroizing::new(match way {
            TokenAuth::BasicRaw => format!("{}:{secret}", self.id),
            _ => format!("{}:{}", form_encoded(&self.id), form_encoded(secret)),
        });
        Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
    }

    fn required_secret(&self) -> Result<&Secret, Unbuildable> {
        self.secret.as_ref().filter(|secret| !secret.is_empty()).ok_or(Unbuildable::NoClientSecret)
    }

    /// Tells `cleaner` what of ours must not come back in a text of the provider's.
    pub(super) fn hide(&self, cleaner: &mut Cleaner) {
        let Some(secret) = &self.secret else { return };
        cleaner.hide(secret.expose());
        for way in [TokenAuth::Basic, TokenAuth::BasicRaw] {
            if let Ok(header) = self.basic(way) {
                cleaner.hide(header.trim_start_matches("Basic "));
            }
        }
    }
}

fn form_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticated(way: TokenAuth, id: &str, secret: Option<&str>) -> Result<(Option<String>, String), Unbuildable> {
        let (mut headers, mut parameters) = (HeaderMap::new(), Parameters::default());
        let client = Client { id: id.to_owned(), secret: secret.map(Secret::new) };
        client.authenticate(way, &mut headers, &mut parameters)?;
        let basic = headers.get(header::AUTHORIZATION).map(|value| {
            let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
            String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
        });
        Ok((basic, String::from_utf8(parameters.form().to_vec()).unwrap()))
    }

    #[test]
    fn bar_3_basic_encodes_id_and_secret_each_before_base64() {
        let (basic, body) = authenticated(TokenAuth::Basic, "an id:1", Some("s+c/r€t %")).unwrap();
        assert_eq!(basic.unwrap(), "an+id%3A1:s%2Bc%2Fr%E2%82%ACt+%25");
        assert_eq!(body, "");
        let (raw, body) = authenticated(TokenAuth::BasicRaw, "id", Some("s+c/r t")).unwrap();
        assert_eq!((raw.unwrap().as_str(), body.as_str()), ("id:s+c/r t", ""));
    }

    #[test]
    fn bar_3_there_is_one_authentication_in_a_request_and_never_two() {
        let (header, body) = authenticated(TokenAuth::Post, "id", Some("secret")).unwrap();
        assert_eq!((header, body.as_str()), (None, "client_id=id&client_secret=secret"));
        let (header, body) = authenticated(TokenAuth::None, "id", Some("not sent")).unwrap();
        assert_eq!((header, body.as_str()), (None, "client_id=id"));
    }

    #[test]
    fn a_confidential_client_without_a_secret_sends_nothing() {
        for way in [TokenAuth::Basic, TokenAuth::BasicRaw, TokenAuth::Post] {
            assert_eq!(authenticated(way, "id", None), Err(Unbuildable::NoClientSecret));
            assert_eq!(authenticated(way, "id", Some("")), Err(Unbuildable::NoClientSecret));
        }
    }
}
