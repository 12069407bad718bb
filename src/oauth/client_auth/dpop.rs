//! Proof of possession (RFC 9449): tokens that are bound to a key of the credential's own, and the proofs that go with them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::client::Client;
use crate::egress::{Answer, Egress, EgressError, Outgoing};
use crate::jose::{self, Algorithm, Header};
use crate::json;
use crate::oauth::message::request::Unbuildable;
use crate::secret::Secret;

/// How such a token is used, and what a token answer calls it (§5, §7.1).
pub(in crate::oauth) const SCHEME: &str = "DPoP";

const PROOF: HeaderName = HeaderName::from_static("dpop");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What a server says that wants a nonce, or a newer one (§8, §9).
const USE_NONCE: &str = "use_dpop_nonce";

/// The longest nonce that is kept, in bytes.
const LONGEST_NONCE: usize = 1024;

/// The newest nonce of each server, by origin (§8.2).
#[derive(Debug, Default)]
pub(in crate::oauth) struct Nonces(Mutex<BTreeMap<String, String>>);

impl Nonces {
    fn of(&self, url: &Url) -> Option<String> {
        let nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.get(&url.origin().ascii_serialization()).cloned()
    }

    fn note(&self, url: &Url, nonce: &str) {
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.insert(url.origin().ascii_serialization(), nonce.to_owned());
    }
}

/// Sends a request as it is, or, where the client has a key for tokens that are bound to one, with a proof. Where the server
/// wants a nonce it has not looked at the request yet, and gets it once more with that.
pub(in crate::oauth) async fn send(
    egress: &Egress,
    client: &Client,
    access_token: Option<&Secret>,
    build: impl Fn() -> Result<Outgoing, Unbuildable>,
) -> Result<Result<Answer, EgressError>, Unbuildable> {
    let mut request = build()?;
    if client.dpop_key().is_none() {
        return Ok(egress.send(request).await);
    }
    let url = request.url.clone();
    prove(client, access_token, &mut request)?;
    let answer = match egress.send(request).await {
        Ok(answer) => answer,
        failed => return Ok(failed),
    };
    note_nonce(client, &url, &answer.headers);
    if !wants_nonce(&answer) {
        return Ok(Ok(answer));
    }
    let mut again = build()?;
    prove(client, access_token, &mut again)?;
    let answer = egress.send(again).await;
    if let Ok(answer) = &answer {
        note_nonce(client, &url, &answer.headers);
    }
    Ok(answer)
}

/// Puts a fresh proof into the request (§4.2).
fn prove(client: &Client, access_token: Option<&Secret>, request: &mut Outgoing) -> Result<(), Unbuildable> {
    let key = client.dpop_key().ok_or(Unbuildable::NoClientKey)?;
    let claims = claims(client, access_token, &request.method, &request.url);
    let header = Header { kind: Some("dpop+jwt"), key_id: None, jwk: Some(key.bare_jwk()) };
    let proof = jose::sign(&header, &claims, key, Algorithm::Es256).map_err(|_| Unbuildable::ClientKey)?;
    let mut value = HeaderValue::from_str(proof.expose()).map_err(|_| Unbuildable::Token)?;
    value.set_sensitive(true);
    request.headers.insert(PROOF, value);
    Ok(())
}

/// `htu` is the URL without query and fragment; `ath` binds the proof to the token that it goes with.
fn claims(client: &Client, access_token: Option<&Secret>, method: &Method, url: &Url) -> Map<String, Value> {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    let nonce = client.nonces().of(url);
    let hash = access_token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token.expose())));
    let members = [
        ("jti", Some(json!(URL_SAFE_NO_PAD.encode(client.random.bytes::<16>())))),
        ("htm", Some(json!(method.as_str()))),
        ("htu", Some(json!(bare.as_str()))),
        ("iat", Some(json!(client.clock.now().0))),
        ("nonce", nonce.map(|nonce| json!(nonce))),
        ("ath", hash.map(|hash| json!(hash))),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Keeps the nonce that the server gave for the next proof, whatever the answer was (§8.2).
fn note_nonce(client: &Client, url: &Url, headers: &HeaderMap) {
    let mut given = headers.get_all(NONCE).iter();
    if let (Some(nonce), None) = (given.next(), given.next())
        && let Ok(nonce) = nonce.to_str()
        && !nonce.is_empty()
        && nonce.len() <= LONGEST_NONCE
        && nonce.bytes().all(|c| c.is_ascii_graphic())
    {
        client.nonces().note(url, nonce);
    }
}

/// Whether the answer says that a nonce was missing or too old: in the error of a token answer (§8), or in the challenge
/// of a resource server (§9).
fn wants_nonce(answer: &Answer) -> bool {
    if !answer.headers.contains_key(NONCE) {
        return false;
    }
    match answer.status {
        StatusCode::UNAUTHORIZED if challenged(&answer.headers) => true,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
            json::parse(&answer.body).is_some_and(|body| body.get("error").and_then(Value::as_str) == Some(USE_NONCE))
        }
        _ => false,
    }
}

fn challenged(headers: &HeaderMap) -> bool {
    let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.into_iter().any(|challenge| challenge.contains(USE_NONCE))
}
