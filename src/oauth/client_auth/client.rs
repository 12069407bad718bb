//! Who we are at the authorization server, and how we prove it (RFC 6749 §2.3, RFC 7523 §2.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::assertion;
use super::dpop::Nonces;
use crate::catalog::entry::{OAuth, TokenAuth};
use crate::clock::Clock;
use crate::jose::{Algorithm, SigningKey};
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::Unbuildable;
use crate::oauth::message::sanitize::Cleaner;
use crate::random::Random;
use crate::secret::Secret;

/// Our registration at a provider. Clones share what was learnt about which secret works.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client id; not a secret.
    pub id: String,
    secrets: Arc<Secrets>,
    /// The secret of this try; the one that worked last where none is chosen.
    chosen: Option<usize>,
    key: Option<Arc<SigningKey>>,
    /// Whether nothing at all is said about who asks.
    nobody: bool,
    /// The key that the tokens of this use are bound to (RFC 9449); each credential has its own.
    dpop_key: Option<Arc<SigningKey>>,
    nonces: Arc<Nonces>,
    pub(in crate::oauth) clock: Clock,
    pub(in crate::oauth) random: Random,
}

/// The client's secrets in the order of the configuration, and which of them the provider took last.
#[derive(Debug, Default)]
struct Secrets {
    all: Vec<Secret>,
    working: AtomicUsize,
}

impl Client {
    /// A client with these secrets, in the order in which they are tried; a public one has none.
    pub fn new(id: impl Into<String>, secrets: Vec<Secret>, clock: Clock, random: Random) -> Self {
        let secrets = Arc::new(Secrets { all: secrets, working: AtomicUsize::new(0) });
        let nonces = Arc::new(Nonces::default());
        Self { id: id.into(), secrets, chosen: None, key: None, nobody: false, dpop_key: None, nonces, clock, random }
    }

    /// No client at all: what a grant brings says by itself who asks (RFC 7521 §4.1).
    pub fn nobody(clock: Clock, random: Random) -> Self {
        Self { nobody: true, ..Self::new("", Vec::new(), clock, random) }
    }

    /// The same with a private key, for `private_key_jwt`.
    #[must_use]
    pub fn with_key(self, key: Option<Arc<SigningKey>>) -> Self {
        Self { key, ..self }
    }

    /// The same for tokens that are bound to this key; without one nothing is proved.
    #[must_use]
    pub fn with_dpop(self, dpop_key: Option<Arc<SigningKey>>) -> Self {
        Self { dpop_key, ..self }
    }

    pub(in crate::oauth) fn dpop_key(&self) -> Option<&SigningKey> {
        self.dpop_key.as_deref()
    }

    pub(in crate::oauth) fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// Whether it has what this way of authenticating needs.
    pub fn can(&self, way: TokenAuth) -> bool {
        match way {
            _ if self.nobody => true,
            TokenAuth::None => true,
            TokenAuth::PrivateKeyJwt => self.key.is_some(),
            TokenAuth::Basic | TokenAuth::BasicRaw | TokenAuth::Post | TokenAuth::ClientSecretJwt => {
                self.required_secret().is_ok()
            }
        }
    }

    /// What its private key can sign with; nothing where it has none.
    pub(in crate::oauth) fn algorithms(&self) -> &'static [Algorithm] {
        self.key.as_ref().map_or(&[], |key| key.algorithms())
    }

    /// The same client once for each of its secrets, the one that worked last first: where the provider answers
    /// `invalid_client`, nothing was spent, and the next is tried. A client without a secret is tried once.
    pub(in crate::oauth) fn tries(&self, way: TokenAuth) -> Vec<Self> {
        let count = if way.needs_secret() { self.secrets.all.len().max(1) } else { 1 };
        let first = self.secrets.working.load(Ordering::Relaxed);
        (0..count).map(|step| Self { chosen: Some((first + step) % count), ..self.clone() }).collect()
    }

    /// Notes that the provider took the secret of this try.
    pub(in crate::oauth) fn worked(&self) {
        if let Some(chosen) = self.chosen {
            self.secrets.working.store(chosen, Ordering::Relaxed);
        }
    }

    /// Puts exactly one authentication into a request: in the header or in the body, never in both.
    pub(in crate::oauth) fn authenticate(
        &self,
        way: TokenAuth,
        entry: &OAuth,
        headers: &mut HeaderMap,
        parameters: &mut Parameters,
    ) -> Result<(), Unbuildable> {
        match way {
            _ if self.nobody => {}
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
            TokenAuth::PrivateKeyJwt | TokenAuth::ClientSecretJwt => {
                let assertion = assertion::make(self, way, entry)?;
                parameters.set("client_id", &self.id);
                parameters.set("client_assertion_type", assertion::TYPE);
                parameters.set("client_assertion", assertion.expose());
            }
        }
        Ok(())
    }

    /// The value of the `Authorization` header. RFC 6749 §2.3.1 wants both parts form-urlencoded first, so that a colon
    /// in the id does no harm; servers that do not decode them are met with `basic_raw`.
    fn basic(&self, way: TokenAuth) -> Result<Zeroizing<String>, Unbuildable> {
        Ok(basic_of(way, &self.id, self.required_secret()?.expose()))
    }

    pub(in crate::oauth) fn required_secret(&self) -> Result<&Secret, Unbuildable> {
        let chosen = self.chosen.unwrap_or_else(|| self.secrets.working.load(Ordering::Relaxed));
        self.secrets.all.get(chosen).filter(|secret| !secret.is_empty()).ok_or(Unbuildable::NoClientSecret)
    }

    pub(in crate::oauth) fn required_key(&self) -> Result<&SigningKey, Unbuildable> {
        self.key.as_deref().ok_or(Unbuildable::NoClientKey)
    }

    /// Tells `cleaner` what of ours must not come back in a text of the provider's.
    pub(in crate::oauth) fn hide(&self, cleaner: &mut Cleaner) {
        for secret in &self.secrets.all {
            cleaner.hide(secret.expose());
            for way in [TokenAuth::Basic, TokenAuth::BasicRaw] {
                cleaner.hide(basic_of(way, &self.id, secret.expose()).trim_start_matches("Basic "));
            }
        }
    }
}

fn basic_of(way: TokenAuth, id: &str, secret: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(match way {
        TokenAuth::BasicRaw => format!("{id}:{secret}"),
        _ => format!("{}:{}", form_encoded(id), form_encoded(secret)),
    });
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

fn form_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticated(way: TokenAuth, id: &str, secret: Option<&str>) -> Result<(Option<String>, String), Unbuildable> {
        let (mut headers, mut parameters) = (HeaderMap::new(), Parameters::default());
        let client = Client::new(id, secret.map(Secret::new).into_iter().collect(), Clock::system(), Random);
        let entry = crate::oauth::tests::entry("");
        client.authenticate(way, &entry, &mut headers, &mut parameters)?;
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
