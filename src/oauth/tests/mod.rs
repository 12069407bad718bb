//! Tests of the client against a server that sends given bytes.

mod authorization;
mod exchanging;
mod hostile_answers;
mod identity;
mod refreshing;
mod revocation;

use super::{AuthorizationCode, Client, CodeExchange, CodeVerifier, Grant, OAuthError, exchange};
use crate::catalog::entry::OAuth;
use crate::clock::Clock;
use crate::egress::Egress;
use crate::egress::tests::hostile::{Hostile, patient, response};
use crate::random::Random;
use crate::secret::Secret;

const REDIRECT_URI: &str = "https://app.example/callback?a=1&b=%20x";
const CLIENT_SECRET: &str = "client/s3cr3t+";
const CODE: &str = "the-c0de/of=this&flow";

/// Returns a minimal entry with the lines `further`.
pub(super) fn entry(further: &str) -> OAuth {
    entry_at("https://provider.example", further)
}

fn entry_at(base: &str, further: &str) -> OAuth {
    let text = format!("authorize_url = \"{base}/authorize\"\ntoken_url = \"{base}/token\"\n{further}");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn entry_of(server: &Hostile, further: &str) -> OAuth {
    entry_at(server.url("").as_str().trim_end_matches('/'), further)
}

fn client() -> Client {
    Client::new("our id", vec![Secret::new(CLIENT_SECRET)], Clock::system(), Random)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn json(body: &str) -> String {
    response("200 OK", "application/json", body)
}

/// Exchanges a code for the scopes `read` and `write`.
async fn exchange_with(egress: &Egress, server: &Hostile, further: &str) -> Result<Grant, OAuthError> {
    exchange_told(egress, server, further, None).await
}

/// Exchanges a code whose callback named these scopes.
async fn exchange_told(
    egress: &Egress,
    server: &Hostile,
    further: &str,
    told: Option<&str>,
) -> Result<Grant, OAuthError> {
    let verifier = CodeVerifier::generate(Random);
    let flow = CodeExchange {
        requested_further: &std::collections::BTreeMap::new(),
        code: &AuthorizationCode::new(CODE),
        redirect_uri: REDIRECT_URI,
        verifier: Some(&verifier),
        requested: &texts(&["read", "write"]),
        told,
    };
    exchange(egress, &entry_of(server, further), &client(), &flow).await
}

/// Exchanges a code at a server that sends these bytes.
async fn exchanged(response: &str, further: &str) -> Result<Grant, OAuthError> {
    let server = Hostile::saying(response).await;
    exchange_with(&patient(), &server, further).await
}

/// Returns head and body of the only request.
fn only_request(server: &Hostile) -> (String, String) {
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "exactly one request");
    let (head, body) = seen[0].split_once("\r\n\r\n").expect("a whole request");
    (head.to_owned(), body.to_owned())
}
