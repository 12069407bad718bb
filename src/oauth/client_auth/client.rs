//! Our registration at an authorization server and its authentication (RFC 6749 §2.3, RFC 7523
//! §2.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::assertion::{self, CLIENT_ASSERTION_TYPE, Parties};
use super::dpop::Dpop;
use crate::catalog::entry::{AssertionAudience, OAuth, TokenAuth};
use crate::clock::Clock;
use crate::jose::{self, Algorithm, SigningKey};
use crate::oauth::message::error::BuildError;
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::sanitize::Sanitizer;
use crate::random::Random;
use crate::secret::Secret;

/// Lifetime of a client assertion: enough for its one request and two clocks that differ a little.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// Our registration at a provider. Clones share which secret worked last.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client id; not a secret.
    pub id: String,
    secrets: Arc<Secrets>,
    /// Index of the secret to use; the one that worked last if `None`.
    chosen: Option<usize>,
    key: Option<Arc<SigningKey>>,
    /// True if requests identify no client at all.
    anonymous: bool,
    /// Proofs for tokens that are bound to a key; each credential has its own key.
    pub(in crate::oauth) dpop: Dpop,
    clock: Clock,
    random: Random,
}

/// Client secrets in the order of the configuration, and the index of the one that worked last.
#[derive(Debug, Default)]
struct Secrets {
    all: Vec<Secret>,
    working: AtomicUsize,
}

impl Client {
    /// Creates a client with secrets in the order in which they are tried. A public client has
    /// none.
    pub fn new(id: impl Into<String>, secrets: Vec<Secret>, clock: Clock, random: Random) -> Self {
        let secrets = Arc::new(Secrets { all: secrets, working: AtomicUsize::new(0) });
        let dpop = Dpop::unbound(clock.clone(), random);
        Self { id: id.into(), secrets, chosen: None, key: None, anonymous: false, dpop, clock, random }
    }

    /// Creates a client that identifies itself with nothing: the grant alone says who asks
    /// (RFC 7521 §4.1).
    pub fn anonymous(clock: Clock, random: Random) -> Self {
        Self { anonymous: true, ..Self::new("", Vec::new(), clock, random) }
    }

    /// Sets the private key for `private_key_jwt`.
    #[must_use]
    pub fn with_key(self, key: Option<Arc<SigningKey>>) -> Self {
        Self { key, ..self }
    }

    /// Sets the key that tokens are bound to (RFC 9449); without one, requests carry no proof.
    #[must_use]
    pub fn with_dpop(self, dpop_key: Option<Arc<SigningKey>>) -> Self {
        Self { dpop: self.dpop.with_key(dpop_key), ..self }
    }

    /// Returns true if the client has the secret or key that `way` needs.
    pub fn can(&self, way: TokenAuth) -> bool {
        match way {
            _ if self.anonymous => true,
            TokenAuth::None => true,
            TokenAuth::PrivateKeyJwt => self.key.is_some(),
            TokenAuth::Basic
            | TokenAuth::BasicRaw
            | TokenAuth::BasicWithId
            | TokenAuth::Post
            | TokenAuth::ClientSecretJwt => self.required_secret().is_ok(),
        }
    }

    /// Returns the algorithms of the private key; none without a key.
    pub(in crate::oauth) fn algorithms(&self) -> &'static [Algorithm] {
        self.key.as_ref().map_or(&[], |key| key.algorithms())
    }

    /// Returns the client once for each of its secrets, the one that worked last first; only once
    /// if `way` needs no secret.
    pub(super) fn tries(&self, way: Option<TokenAuth>) -> Vec<Self> {
        let count = if way.is_some_and(TokenAuth::needs_secret) { self.secrets.all.len().max(1) } else { 1 };
        let first = self.secrets.working.load(Ordering::Relaxed);
        (0..count).map(|step| Self { chosen: Some((first + step) % count), ..self.clone() }).collect()
    }

    /// Records that the provider accepted the secret of this try.
    pub(super) fn keep_chosen_secret(&self) {
        if let Some(chosen) = self.chosen {
            self.secrets.working.store(chosen, Ordering::Relaxed);
        }
    }

    /// Adds exactly one authentication: in the header or in the body, never in both.
    pub(in crate::oauth) fn authenticate(
        &self,
        way: TokenAuth,
        entry: &OAuth,
        headers: &mut HeaderMap,
        parameters: &mut Parameters,
    ) -> Result<(), BuildError> {
        match way {
            _ if self.anonymous => {}
            TokenAuth::Basic | TokenAuth::BasicRaw | TokenAuth::BasicWithId => {
                let basic = basic(way, &self.id, self.required_secret()?.expose());
                let mut value = HeaderValue::from_str(&basic).expect("base64 is visible ASCII");
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
                if way == TokenAuth::BasicWithId {
                    parameters.set("client_id", &self.id);
                }
            }
            TokenAuth::Post => {
                parameters.set("client_id", &self.id);
                parameters.set("client_secret", self.required_secret()?.expose());
            }
            TokenAuth::None => parameters.set("client_id", &self.id),
            TokenAuth::PrivateKeyJwt | TokenAuth::ClientSecretJwt => {
                let assertion = self.assertion(way, entry)?;
                parameters.set("client_id", &self.id);
                parameters.set("client_assertion_type", CLIENT_ASSERTION_TYPE);
                parameters.set("client_assertion", assertion.expose());
            }
        }
        Ok(())
    }

    /// Signs a client assertion (RFC 7523 §2.2, OpenID Connect Core §9).
    fn assertion(&self, way: TokenAuth, entry: &OAuth) -> Result<Secret, BuildError> {
        let audience = match entry.token_auth_audience {
            AssertionAudience::Issuer => entry.issuer.as_deref().ok_or(BuildError::NoIssuer)?,
            AssertionAudience::TokenUrl => entry.token_url.url().ok_or(BuildError::Url)?.as_str(),
        };
        let parties = Parties { issuer: &self.id, subject: Some(&self.id), audience };
        let claims = assertion::claims(&parties, ASSERTION_LIFETIME, &self.clock, self.random);
        if way == TokenAuth::ClientSecretJwt {
            return Ok(jose::sign_with_secret(&assertion::SECRET_HEADER, &claims, self.required_secret()?));
        }
        assertion::sign(&claims, self.key.as_deref().ok_or(BuildError::NoClientKey)?, entry.token_auth_alg)
    }

    fn required_secret(&self) -> Result<&Secret, BuildError> {
        let chosen = self.chosen.unwrap_or_else(|| self.secrets.working.load(Ordering::Relaxed));
        self.secrets.all.get(chosen).filter(|secret| !secret.is_empty()).ok_or(BuildError::NoClientSecret)
    }

    /// Masks the client's secrets, also in their `Basic` form.
    pub(super) fn mask_secrets(&self, sanitizer: &mut Sanitizer) {
        for secret in &self.secrets.all {
            sanitizer.mask(secret.expose());
            for way in [TokenAuth::Basic, TokenAuth::BasicRaw] {
                sanitizer.mask(basic(way, &self.id, secret.expose()).trim_start_matches("Basic "));
            }
        }
    }
}

/// Returns the value of the `Authorization` header. RFC 6749 §2.3.1 form-encodes both parts first,
/// so that the id may contain a colon. `BasicRaw` is for servers that do not decode them.
fn basic(way: TokenAuth, id: &str, secret: &str) -> Zeroizing<String> {
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

    fn authenticated(way: TokenAuth, id: &str, secret: Option<&str>) -> Result<(Option<String>, String), BuildError> {
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

    // Requirement 3.
    #[test]
    fn basic_form_encodes_id_and_secret() {
        let (basic, body) = authenticated(TokenAuth::Basic, "an id:1", Some("s+c/r€t %")).unwrap();
        assert_eq!(basic.unwrap(), "an+id%3A1:s%2Bc%2Fr%E2%82%ACt+%25");
        assert_eq!(body, "");
        let (raw, body) = authenticated(TokenAuth::BasicRaw, "id", Some("s+c/r t")).unwrap();
        assert_eq!((raw.unwrap().as_str(), body.as_str()), ("id:s+c/r t", ""));
    }

    // Requirement 3.
    #[test]
    fn a_request_has_one_authentication() {
        let (header, body) = authenticated(TokenAuth::Post, "id", Some("secret")).unwrap();
        assert_eq!((header, body.as_str()), (None, "client_id=id&client_secret=secret"));
        let (header, body) = authenticated(TokenAuth::None, "id", Some("not sent")).unwrap();
        assert_eq!((header, body.as_str()), (None, "client_id=id"));
    }

    #[test]
    fn a_missing_secret_is_an_error() {
        for way in [TokenAuth::Basic, TokenAuth::BasicRaw, TokenAuth::BasicWithId, TokenAuth::Post] {
            assert_eq!(authenticated(way, "id", None), Err(BuildError::NoClientSecret));
            assert_eq!(authenticated(way, "id", Some("")), Err(BuildError::NoClientSecret));
        }
    }
}
