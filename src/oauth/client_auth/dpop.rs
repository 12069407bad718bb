//! DPoP (RFC 9449): proofs that a token's holder has the key that the token is bound to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::clock::Clock;
use crate::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use crate::jose::{self, Algorithm, Header, SigningKey};
use crate::oauth::message::error::{BuildError, error_members};
use crate::random::Random;
use crate::secret::Secret;

/// Token type and authorization scheme of bound tokens (§5, §7.1).
pub(in crate::oauth) const SCHEME: &str = "DPoP";

const PROOF: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Error of a server that requires a nonce, or a newer one (§8, §9).
const USE_NONCE: &str = "use_dpop_nonce";

/// Maximum length of a nonce, in bytes.
const MAX_NONCE: usize = 1024;

/// Maximum number of servers whose nonces are kept.
const MAX_NONCES: usize = 1_000;

/// Sends requests with DPoP proofs, if the tokens are bound to a key. Clones share the nonces.
#[derive(Clone, Debug)]
pub(in crate::oauth) struct Dpop {
    key: Option<Arc<SigningKey>>,
    /// The newest nonce of each server, by origin (§8.2).
    nonces: Arc<Mutex<BTreeMap<String, String>>>,
    clock: Clock,
    random: Random,
}

impl Dpop {
    pub(super) fn unbound(clock: Clock, random: Random) -> Self {
        Self { key: None, nonces: Arc::default(), clock, random }
    }

    pub(super) fn with_key(self, key: Option<Arc<SigningKey>>) -> Self {
        Self { key, ..self }
    }

    /// Sends a request, with a proof if there is a key. A server that asks for a nonce has not
    /// looked at the request yet: it is built and sent once more, with the nonce.
    pub(in crate::oauth) async fn send<E: From<EgressError> + From<BuildError>>(
        &self,
        egress: &Egress,
        access_token: Option<&Secret>,
        build: impl Fn() -> Result<EgressRequest, BuildError>,
    ) -> Result<EgressResponse, E> {
        let request = build()?;
        let Some(key) = self.key.as_deref() else { return Ok(egress.send(request).await?) };
        let response = self.send_proved::<E>(egress, key, access_token, request).await?;
        if wants_nonce(&response) {
            return self.send_proved(egress, key, access_token, build()?).await;
        }
        Ok(response)
    }

    async fn send_proved<E: From<EgressError> + From<BuildError>>(
        &self,
        egress: &Egress,
        key: &SigningKey,
        access_token: Option<&Secret>,
        mut request: EgressRequest,
    ) -> Result<EgressResponse, E> {
        let url = request.url.clone();
        request.headers.insert(PROOF, self.proof(key, access_token, &request.method, &url)?);
        let response = egress.send(request).await?;
        self.keep_nonce(&url, &response.headers);
        Ok(response)
    }

    /// Returns the value of a proof for one request.
    fn proof(
        &self,
        key: &SigningKey,
        access_token: Option<&Secret>,
        method: &Method,
        url: &Url,
    ) -> Result<HeaderValue, BuildError> {
        let header = Header { kind: Some("dpop+jwt"), key_id: None, jwk: Some(key.bare_jwk()) };
        let claims = self.claims(access_token, method, url);
        let proof = jose::sign(&header, &claims, key, Algorithm::Es256).ok_or(BuildError::ClientKey)?;
        let mut value = HeaderValue::from_str(proof.expose()).map_err(|_| BuildError::Token)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Returns the claims of a proof (§4.2). `htu` is the URL without query and fragment; `ath`
    /// binds the proof to the access token that is sent with it.
    fn claims(&self, access_token: Option<&Secret>, method: &Method, url: &Url) -> Map<String, Value> {
        let mut bare = url.clone();
        bare.set_query(None);
        bare.set_fragment(None);
        let nonce = self.nonces().get(&url.origin().ascii_serialization()).cloned();
        let hash = access_token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose())));
        let members = [
            ("jti", Some(json!(self.random.base64url::<16>()))),
            ("htm", Some(json!(method.as_str()))),
            ("htu", Some(json!(bare.as_str()))),
            ("iat", Some(json!(self.clock.now().0))),
            ("nonce", nonce.map(|nonce| json!(nonce))),
            ("ath", hash.map(|hash| json!(hash))),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Keeps the server's nonce for the next proof, whatever the status (§8.2).
    fn keep_nonce(&self, url: &Url, headers: &HeaderMap) {
        let mut sent = headers.get_all(NONCE).iter();
        if let (Some(nonce), None) = (sent.next(), sent.next())
            && let Ok(nonce) = nonce.to_str()
            && !nonce.is_empty()
            && nonce.len() <= MAX_NONCE
            && nonce.bytes().all(|c| c.is_ascii_graphic())
        {
            let mut nonces = self.nonces();
            if nonces.len() >= MAX_NONCES {
                nonces.clear();
            }
            nonces.insert(url.origin().ascii_serialization(), nonce.to_owned());
        }
    }

    fn nonces(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proofs for the requests of the proxy. Its nonces are kept for all credentials.
#[derive(Clone, Debug)]
pub struct DpopProver(Dpop);

impl DpopProver {
    /// Creates a prover without nonces.
    pub fn new(clock: Clock, random: Random) -> Self {
        Self(Dpop::unbound(clock, random))
    }

    /// Returns the header that proves the possession of `key` for one request with this token.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn prove(
        &self,
        key: &SigningKey,
        access_token: &Secret,
        method: &Method,
        url: &Url,
    ) -> Result<(HeaderName, HeaderValue), BuildError> {
        Ok((PROOF, self.0.proof(key, Some(access_token), method, url)?))
    }

    /// Keeps the nonce of a response. Returns true if the response asks for a proof with it
    /// (RFC 9449 §9).
    pub fn keep_nonce(&self, url: &Url, status: StatusCode, headers: &HeaderMap) -> bool {
        self.0.keep_nonce(url, headers);
        status == StatusCode::UNAUTHORIZED && headers.contains_key(NONCE) && is_challenge(headers)
    }
}

/// Returns true if the server asks for a nonce: in the error of a token response (§8), or in the
/// challenge of a resource server (§9).
fn wants_nonce(response: &EgressResponse) -> bool {
    if !response.headers.contains_key(NONCE) {
        return false;
    }
    match response.status {
        StatusCode::UNAUTHORIZED if is_challenge(&response.headers) => true,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
            let members = error_members(&response.body);
            members.is_some_and(|members| members.get("error").and_then(Value::as_str) == Some(USE_NONCE))
        }
        _ => false,
    }
}

fn is_challenge(headers: &HeaderMap) -> bool {
    let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.into_iter().any(|challenge| challenge.contains(USE_NONCE))
}
